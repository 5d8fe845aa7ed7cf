"""Distributions whose parameters are tensors: normal, bernoulli, multinomial, poisson, binomial, gamma."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.function import Function
from ..autograd.modes import no_grad
from ..binding import method, write_out
from ..device import CPU, on_device
from ..errors import message
from ..kernels import philox_rejection, rejection
from ..kernels import random as fills
from ..kernels._shapes import broadcast_shapes
from ..kernels.implicit import dirichlet_grad, standard_gamma_grad
from ..kernels.reduce import amax
from ..random import Generator, pick
from ..tensor import Tensor, wrap
from .creation import empty_array
from .random import Fill, draw, draw_out, needs_float, rand, run
from .shape import broadcast_tensors

__all__ = ["bernoulli", "binomial", "multinomial", "normal", "poisson"]


def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None, out: Tensor | None = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Normal numbers of the given means and standard deviations.

    Arguments:
        mean, std: tensors that broadcast together, or numbers; with two numbers `size` says the shape.
        size: a sequence of ints.

    Raises:
        RuntimeError: a negative `std`.

    >>> import tritorch as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.normal(torch.tensor([0.0, 100.0]), torch.tensor([1.0, 2.0]))
    tensor([ 1.5410, 99.4131])
    """
    tensors = [t for t in (mean, std) if isinstance(t, Tensor)]
    if not tensors:
        if size is None:
            raise TypeError(
                "normal() received an invalid combination of arguments: two numbers need size, a tuple of ints; "
                f"got mean {mean!r}, std {std!r}"
            )
        check_std("normal", std)
        fill = lambda a, g: fills.normal(a, float(mean), float(std), g)
        return draw("normal", (tuple(size),), fill, generator, out, dtype, device, requires_grad, more)
    first = tensors[0]
    if isinstance(std, Tensor):
        if std.is_complex():
            raise RuntimeError("normal expects standard deviation to be non-complex")
        if std.device is CPU and std.numel() and not (std._a >= 0).all():
            raise RuntimeError("normal expects all elements of std >= 0.0")
    else:
        check_std("normal", std)
    needs_float("normal", first.dtype)
    try:
        shape = broadcast_shapes(*(tuple(t.shape) for t in tensors))
    except ValueError:
        raise RuntimeError(message("normal", "mean and std must broadcast", mean=mean, std=std)) from None
    scale = 1.0 if isinstance(std, Tensor) else float(std)
    t = draw(
        "normal", (shape,), lambda a, g: fills.normal(a, 0.0, scale, g), generator, out, None,
        first.device, False, {}, first.dtype if out is None else None,
    )  # fmt: skip
    with no_grad():
        if isinstance(std, Tensor):
            t.mul_(std)
        t.add_(mean)
    return t


def check_std(op: str, std: Any) -> None:
    if not std >= 0:
        raise RuntimeError(f"{op} expects std >= 0.0, but found std {std}")


def _check_p(op: str, p: Any) -> None:
    if not 0 <= p <= 1:
        raise RuntimeError(f"{op} expects p to be in [0, 1], but got p={p}")


def _check_probabilities(op: str, p: Tensor) -> None:
    if p.dtype.category != dtypes.FLOAT:
        raise NotImplementedError(f'"{op}" not implemented for probabilities of {p.dtype}; expected floating point')
    if p.device is CPU and not ((p._a >= 0) & (p._a <= 1)).all():
        raise RuntimeError(f"{op}: Expected p_in >= 0 && p_in <= 1 to be true for all elements of p")


def bernoulli_fill(op: str, p: Any) -> Fill:
    if isinstance(p, Tensor):
        _check_probabilities(op, p)
        source = p.detach().contiguous() if p.device is not CPU else p
        return lambda a, g: fills.bernoulli_tensor(a, _expand_to(op, source, a), g)
    _check_p(op, p)
    return lambda a, g: fills.bernoulli_scalar(a, float(p), g)


def _expand_to(op: str, p: Tensor, a: Any) -> Any:
    if tuple(p.shape) == tuple(a.shape):
        return p._a
    try:
        wide = p.expand(tuple(a.shape))
    except RuntimeError:
        raise RuntimeError(message(op, "p must broadcast to the tensor's shape", p=p, input=a)) from None
    return wide._a if p.device is CPU else wide.contiguous()._a


@method
def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None, out: Tensor | None = None
) -> Tensor:
    """1 with the probability that the element of `input` says (or `p`, for all), else 0.

    Arguments:
        input: floating point, elements in [0, 1]. p: used instead of the elements; then `input` gives only the shape.
    """
    fill = bernoulli_fill("bernoulli", input if p is None else p)
    if out is None:
        kind = input.dtype
        if kind.is_complex:
            raise NotImplementedError(f'"bernoulli" not implemented for {kind}')
        a = empty_array(tuple(input.shape), kind, input.device)
        run(fill, a, pick(generator, input.device, "bernoulli"), input.device)
        return wrap(a, input.device)
    return draw_out("bernoulli", tuple(input.shape), fill, generator, out, None)


@method
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Indices drawn with the weights in each row of `input`.

    Arguments:
        input: (categories,) or (rows, categories), floating point, finite, not negative; rows need not sum to 1.
        num_samples: draws per row. replacement: may an index come twice.

    Returns:
        int64 of shape (num_samples,) or (rows, num_samples).

    >>> import tritorch as torch
    >>> torch.multinomial(torch.tensor([0.0, 3.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    if input.dtype.category != dtypes.FLOAT:
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {input.dtype}")
    if num_samples <= 0:
        raise RuntimeError(f"multinomial: cannot sample n_sample <= 0 samples; got {num_samples}")
    if input.ndim not in (1, 2):
        raise RuntimeError(message("multinomial", "prob_dist must be 1 or 2 dim", input=input))
    categories = input.shape[-1]
    if not replacement and num_samples > categories:
        raise RuntimeError(
            "multinomial: cannot sample n_sample > prob_dist.size(-1) samples without replacement; "
            f"got {num_samples} > {categories}"
        )
    if categories > 1 << 24:
        raise RuntimeError(f"multinomial: number of categories cannot exceed 2^24; got {categories}")
    g = pick(generator, input.device, "multinomial")
    p = input.detach().reshape(-1, categories)
    if p.device is CPU:
        _check_weights(p._a)
        t = wrap(fills.multinomial(p._a, num_samples, replacement, g))
    else:
        t = _multinomial_cuda(p, num_samples, replacement, g)
    t = t.reshape(*input.shape[:-1], num_samples)
    if out is not None:
        write_out("multinomial", t, out, warn=False)
        return out
    return t


def _check_weights(p: np.ndarray) -> None:
    most = amax.cpu(p, (1,), False) if p.size else np.zeros(len(p))
    if p.size and not (p.min() >= 0 and (most < np.inf).all()):  # neither holds for NaN
        raise RuntimeError("multinomial: probability tensor contains either `inf`, `nan` or element < 0")
    if not (most > 0).all():
        raise RuntimeError("multinomial: invalid multinomial distribution (sum of probabilities <= 0)")


def _multinomial_cuda(p: Tensor, n: int, replacement: bool, g: Generator) -> Tensor:
    """The largest n of p / exponential numbers; with replacement the place of uniform numbers in the running sum."""
    if not replacement or n == 1:
        score = p / p.new_empty(tuple(p.shape)).exponential_(1.0, generator=g)
        return score.argmax(-1, keepdim=True) if n == 1 else score.topk(n, -1)[1]
    total = p.to(dtypes.float32).cumsum(-1)
    u = rand(p.shape[0], n, generator=g, device=p.device) * total[:, -1:]
    return (total[:, None, :-1] <= u[:, :, None]).sum(-1)


@no_grad()
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Poisson numbers with the rates in `input`, of its dtype.

    >>> import tritorch as torch
    >>> torch.poisson(torch.zeros(2))
    tensor([0., 0.])
    """
    needs_float("poisson", input.dtype, False)
    g = pick(generator, input.device, "poisson")
    if input.device is not CPU:
        with on_device(input.device.index):
            return wrap(philox_rejection.poisson(input._a, g), input.device)
    if not (input._a >= 0).all():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    a = np.empty(tuple(input.shape), input.dtype.np)
    rejection.poisson(a, input._a, g)
    return wrap(a)


@no_grad()
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """Successes in `count` trials of probability `prob`; both floating point and of one dtype, broadcast.

    >>> import tritorch as torch
    >>> torch.binomial(torch.tensor([3.0, 3.0]), torch.tensor([0.0, 1.0]))
    tensor([0., 3.])
    """
    for t in (count, prob):
        needs_float("binomial", t.dtype, False)
    g = pick(generator, count.device, "binomial")
    if count.device is not CPU:
        n, p = broadcast_tensors(count, prob.to(count.dtype))
        with on_device(count.device.index):
            return wrap(philox_rejection.binomial(n._a, p._a, g), count.device)
    n, p = np.broadcast_arrays(count._a, prob._a)
    a = np.empty(n.shape, count.dtype.np)
    rejection.binomial(a, n, p, g)
    return wrap(a)


def _gamma_numbers(alpha: Tensor, generator: Generator) -> Tensor:
    if alpha.dtype.is_half:
        return _gamma_numbers(alpha.to(dtypes.float32), generator).to(alpha.dtype)
    if alpha.device is CPU:
        a = np.empty(tuple(alpha.shape), alpha.dtype.np)
        rejection.standard_gamma(a, alpha._a, generator)
        return wrap(a)
    with on_device(alpha.device.index):
        x = wrap(philox_rejection.standard_gamma(alpha._a, generator), alpha.device)
    return x.clamp(min=dtypes.finfo(alpha.dtype).tiny)


class _Slope(Function):
    """An implicit derivative; asking for the second one raises."""

    @staticmethod
    def forward(ctx: Any, op: Any, *args: Tensor) -> Tensor:
        ctx.name = op.name
        return op(*args)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        raise NotImplementedError(f"{ctx.name}: the second derivative of random numbers is not implemented")


class _StandardGamma(Function):
    """Gamma numbers, with the implicit derivative by their shapes (`kernels/_implicit.py`)."""

    @staticmethod
    def forward(ctx: Any, alpha: Tensor, generator: Generator) -> Tensor:
        x = _gamma_numbers(alpha, generator)
        ctx.save_for_backward(alpha, x)
        return x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return g * _standard_gamma_grad(*ctx.saved_tensors), None


def _standard_gamma(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Gamma numbers of the shapes in `input` and scale 1; the gradient is implicit.

    >>> import tritorch as torch
    >>> a = torch.tensor([2.0, 3.0], requires_grad=True)
    >>> torch.functional.distributions._standard_gamma(a).requires_grad
    True
    """
    needs_float("_standard_gamma", input.dtype, False)
    return _StandardGamma.apply(input, pick(generator, input.device, "_standard_gamma"))


def _standard_gamma_grad(input: Tensor, output: Tensor) -> Tensor:
    """The derivative of gamma numbers `output` by their shapes `input`; it has no derivative itself."""
    return _Slope.apply(standard_gamma_grad, input, output)


class _SampleDirichlet(Function):
    """Dirichlet vectors, with the derivatives of their elements' beta distributions."""

    @staticmethod
    def forward(ctx: Any, alpha: Tensor, generator: Generator) -> Tensor:
        info = dtypes.finfo(alpha.dtype)
        x = _gamma_numbers(alpha.to(dtypes.float64), generator)  # small shapes give numbers below float32's
        x = x / x.sum(-1, keepdim=True)  # type: ignore[attr-defined]
        x = x.to(alpha.dtype).clamp(min=info.tiny, max=1 - info.eps / 2)
        ctx.save_for_backward(alpha, x)
        return x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        alpha, x = ctx.saved_tensors
        slope = _dirichlet_grad(x, alpha, alpha.sum(-1, keepdim=True).expand_as(alpha))
        return slope * (g - (x * g).sum(-1, keepdim=True)), None


def _sample_dirichlet(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Vectors (..., k) with positive elements of sum 1, by the concentrations in `input`; the gradient is implicit.

    >>> import tritorch as torch
    >>> torch.functional.distributions._sample_dirichlet(torch.ones(3, 4)).shape
    torch.Size([3, 4])
    """
    needs_float("_sample_dirichlet", input.dtype, False)
    return _SampleDirichlet.apply(input, pick(generator, input.device, "_sample_dirichlet"))


def _dirichlet_grad(x: Tensor, alpha: Tensor, total: Tensor) -> Tensor:
    """dx/da / (1 - x) of beta numbers x with the parameters a = alpha and total - alpha; it has no derivative itself."""
    return _Slope.apply(dirichlet_grad, x, alpha, total)
