"""Random tensors and the in-place random methods; on the CPU with PyTorch's numbers for the same seed.

How the numbers come about is in `kernels/random.py` (CPU) and `kernels/philox.py` (cuda); here are PyTorch's
signatures and checks. All functions take `generator=`; without it they draw from the device's default generator, which
`manual_seed` seeds.
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from .. import random as _streams
from ..autograd import inplace as _inplace
from ..autograd.modes import STATE, no_grad
from ..device import CPU, on_device
from ..device import device as Device
from ..errors import message
from ..kernels import random as fills
from ..kernels import rejection
from ..random import Generator, default_generator, get_rng_state, initial_seed, manual_seed, pick, seed, set_rng_state
from ..tensor import Tensor, bump, method, overlap, wrap, write_out
from .conversion import to_dtype, to_place
from .creation import check_ignored, empty_array, like_array, to_size

__all__ = [
    "Generator", "bernoulli", "binomial", "default_generator", "get_rng_state", "initial_seed", "manual_seed",
    "multinomial", "normal", "poisson", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like",
    "randperm", "seed", "set_rng_state",
]  # fmt: skip

_streams._as_tensor = wrap  # from here on, a generator's state is a Tensor

Fill = Callable[[Any, Generator], None]


# ------------------------------------------------------------------------------------------------------ new tensors


def _needs_float(op: str, kind: dtypes.dtype, and_complex: bool = True) -> None:
    if kind.category < dtypes.FLOAT or (kind.is_complex and not and_complex):
        raise NotImplementedError(f'"{op}" not implemented for {kind}: the dtype must be a floating-point one')


def _run(fill: Fill, a: Any, g: Generator, place: Device) -> None:
    if place is CPU:
        fill(a, g)
    else:
        with on_device(place.index):
            fill(a, g)


def _draw(
    op: str, size: tuple[Any, ...], fill: Fill, generator: Generator | None, out: Tensor | None, dtype: Any,
    device: Any, requires_grad: bool, more: dict[str, Any], default: dtypes.dtype | None = None,
) -> Tensor:  # fmt: skip
    """A new tensor, or `out`, filled with numbers."""
    if more:
        if "size" in more and not size:
            size = (more.pop("size"),)
        check_ignored(op, more)
    if not size:
        raise TypeError(f'{op}() missing 1 required positional arguments: "size"')
    shape = to_size(op, size)
    if out is not None:
        return _draw_out(op, shape, fill, generator, out, dtype)
    kind = (default or dtypes.get_default_dtype()) if dtype is None else to_dtype(op, dtype)
    if default is None and kind.category < dtypes.FLOAT:
        _needs_float(op, kind)
    place = to_place(device)
    g = pick(generator, place, op)
    a = empty_array(shape, kind, place)
    _run(fill, a, g, place)
    t = wrap(a, place)
    return t.requires_grad_() if requires_grad else t


def _draw_out(
    op: str, shape: tuple[int, ...], fill: Fill, generator: Generator | None, out: Tensor, dtype: Any
) -> Tensor:
    if not isinstance(out, Tensor):
        raise TypeError(f"{op}: out must be a Tensor; got {type(out).__name__}")
    if dtype is not None and to_dtype(op, dtype) is not out.dtype:
        raise RuntimeError(message(op, f"dtype {dtype} does not match the dtype of out", out=out))
    g = pick(generator, out.device, op)
    if tuple(out._a.shape) == shape:
        return _fill_tensor(op, out, fill, g)
    a = empty_array(shape, out.dtype, out.device)
    _run(fill, a, g, out.device)
    write_out(op, wrap(a, out.device), out)
    return out


def _uniform01(a: Any, g: Generator) -> None:
    fills.uniform(a, 0.0, 1.0, g)


def _standard_normal(a: Any, g: Generator) -> None:
    fills.normal(a, 0.0, 1.0, g)


def rand(
    *size: Any, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Uniform numbers of [0, 1).

    Arguments:
        size: the shape, as ints or one sequence.
        generator: where the bits come from; default: the device's default generator.
        dtype: floating point or complex; default: the default float.

    >>> import tritorch as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.rand(2)
    tensor([0.4963, 0.7682])
    """
    return _draw("rand", size, _uniform01, generator, out, dtype, device, requires_grad, more)


def randn(
    *size: Any, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Normal numbers of mean 0 and variance 1 (complex: of both parts together); arguments as in `rand`."""
    return _draw("randn", size, _standard_normal, generator, out, dtype, device, requires_grad, more)


def randint(
    *args: Any, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Integers of [low, high), all equally likely: `randint(high, size)` or `randint(low, high, size)`.

    Arguments:
        low: default 0. high: left out of the range. size: a sequence of ints.
        dtype: default int64.

    Raises:
        RuntimeError: an empty range, or one that the dtype can't hold.

    >>> import tritorch as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randint(0, 10, (4,))
    tensor([4, 9, 3, 0])
    """
    low, high, size = _randint_arguments("randint", args, more)
    if not isinstance(size, (tuple, list)):
        raise TypeError(
            f"randint(): argument 'size' (position {len(args)}) must be tuple of ints, not {type(size).__name__}"
        )
    kind = _integer_kind("randint", dtype, out)
    low, span = _integer_range(low, high, kind)
    return _draw(
        "randint", (tuple(size),), lambda a, g: fills.randint(a, low, span, g), generator, out, dtype, device,
        requires_grad, more, dtypes.int64,
    )  # fmt: skip


def _integer_kind(op: str, dtype: Any, out: Tensor | None) -> dtypes.dtype:
    if dtype is not None:
        return to_dtype(op, dtype)
    return dtypes.int64 if out is None else out.dtype


def _randint_arguments(op: str, args: tuple[Any, ...], more: dict[str, Any]) -> tuple[int, int, Any]:
    given = list(args)
    size = more.pop("size") if "size" in more else given.pop() if len(given) > 1 or "high" in more else None
    high = more.pop("high") if "high" in more else given.pop() if given else None
    low = more.pop("low") if "low" in more else given.pop() if given else 0
    if size is None or high is None or given:
        raise TypeError(f"{op}() received an invalid combination of arguments - got {args}; expected low, high, size")
    for name, value in (("low", low), ("high", high)):
        if isinstance(value, Tensor) and value.ndim == 0 and value.dtype.category == dtypes.INT:
            continue
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"{op}(): argument '{name}' must be int, not {type(value).__name__}")
    return int(low), int(high), size


_DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


def _integer_range(low: int, high: int, kind: dtypes.dtype) -> tuple[int, int]:
    """(low, span) of [low, high) as the dtype can hold it; RuntimeError for an empty or too wide range."""
    _check_order(low, high)
    if kind.category == dtypes.FLOAT:
        low, high = _inner_bounds(low, high, kind)
        _check_order(low, high)
        limit = float(dtypes.finfo(kind).max)
        bounds = (-limit, limit)
        digits = 1 << _DIGITS[kind.name]
    elif kind.category == dtypes.COMPLEX:
        raise NotImplementedError(f'"random_" not implemented for {kind}')
    else:
        info = None if kind is dtypes.bool_ else np.iinfo(kind.np)
        bounds = (0, 1) if info is None else (int(info.min), int(info.max))
        digits = 0
    for name, value in (("from", low), ("to - 1", high - 1)):
        if not bounds[0] <= value <= bounds[1]:
            raise RuntimeError(f"{name} is out of bounds for {kind.name}: {value} is not in [{bounds[0]}, {bounds[1]}]")
        if digits and abs(value) > digits:
            warnings.warn(
                f"{name} is out of bounds [-{digits}, {digits}]: {kind} does not hold all integers of the range",
                UserWarning,
                stacklevel=4,
            )
    return low, high - low


def _check_order(low: int, high: int) -> None:
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")


def _inner_bounds(low: int, high: int, kind: dtypes.dtype) -> tuple[int, int]:
    """Bounds moved inwards to numbers of the dtype, so that no drawn integer rounds out of the range."""
    digits = _DIGITS[kind.name]

    def rounded(x: int) -> float:
        value = np.float32(x) if kind.is_half else x
        with np.errstate(over="ignore"):
            return float(np.asarray(value).astype(kind.np))

    def step(x: int) -> int:
        return 1 << max(abs(x).bit_length() - digits, 0)

    above, below = rounded(low + 1), rounded(high - 1)
    if math.isfinite(above) and above < low:
        low = int(above) + step(low + 1)
    if math.isfinite(below) and below >= high:
        high = int(below) - step(high - 1)
    return low, high


_MOST_WHOLE = {name: (1 << digits) + 1 for name, digits in _DIGITS.items()}


def randperm(
    n: int, *, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """The numbers 0 ... n - 1 in random order.

    Arguments:
        n: at least 0. dtype: default int64; must hold n.

    >>> import tritorch as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randperm(5)
    tensor([4, 0, 1, 3, 2])
    """
    check_ignored("randperm", more)
    (n,) = to_size("randperm", (n,))
    kind = _integer_kind("randperm", dtype, out)
    if kind.category in (dtypes.BOOL, dtypes.COMPLEX):
        raise NotImplementedError(f'"randperm" not implemented for {kind}')
    most = _MOST_WHOLE[kind.name] if kind.category == dtypes.FLOAT else int(np.iinfo(kind.np).max)
    if n > most:
        raise RuntimeError(f"randperm: n cannot be greater than {most} for {kind}; got {n}")
    place = to_place(device) if out is None else out.device
    g = pick(generator, place, "randperm")
    if place is CPU:
        t = wrap(fills.randperm(n, kind.np, g))
    else:
        t = rand(n, generator=g, dtype=dtypes.float64, device=place).argsort().to(kind)
    if out is not None:
        write_out("randperm", t, out)
        return out
    return t.requires_grad_() if requires_grad else t


def _like(
    op: str, input: Any, fill: Fill, generator: Any, dtype: Any, device: Any, requires_grad: bool, more: dict
) -> Tensor:
    check_ignored(op, more)
    a, kind, place = like_array(op, input, dtype, device)
    if op != "randint_like":
        _needs_float(op, kind)
    _run(fill, a, pick(generator, place, op), place)
    t = wrap(a, place)
    return t.requires_grad_() if requires_grad else t


def rand_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Uniform numbers of [0, 1) in the shape, dtype and device of `input`."""
    return _like("rand_like", input, _uniform01, generator, dtype, device, requires_grad, more)


def randn_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Standard normal numbers in the shape, dtype and device of `input`."""
    return _like("randn_like", input, _standard_normal, generator, dtype, device, requires_grad, more)


def randint_like(
    input: Tensor, low: int, high: int | None = None, *, generator: Generator | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Integers of [low, high), or of [0, low) when `high` is left out, in the shape, dtype and device of `input`."""
    if high is None:
        low, high = 0, low
    kind = input.dtype if dtype is None else to_dtype("randint_like", dtype)
    start, span = _integer_range(low, high, kind)
    fill = lambda a, g: fills.randint(a, start, span, g)
    return _like("randint_like", input, fill, generator, dtype, device, requires_grad, more)


# -------------------------------------------------------------------------------- distributions with tensor arguments


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
        _check_std("normal", std)
        fill = lambda a, g: fills.normal(a, float(mean), float(std), g)
        return _draw("normal", (tuple(size),), fill, generator, out, dtype, device, requires_grad, more)
    first = tensors[0]
    if isinstance(std, Tensor):
        if std.is_complex():
            raise RuntimeError("normal expects standard deviation to be non-complex")
        if std.device is CPU and std.numel() and not (std._a >= 0).all():
            raise RuntimeError("normal expects all elements of std >= 0.0")
    else:
        _check_std("normal", std)
    _needs_float("normal", first.dtype)
    try:
        shape = np.broadcast_shapes(*(tuple(t.shape) for t in tensors))
    except ValueError:
        raise RuntimeError(message("normal", "mean and std must broadcast", mean=mean, std=std)) from None
    scale = 1.0 if isinstance(std, Tensor) else float(std)
    t = _draw(
        "normal", (shape,), lambda a, g: fills.normal(a, 0.0, scale, g), generator, out, None,
        first.device, False, {}, first.dtype if out is None else None,
    )  # fmt: skip
    with no_grad():
        if isinstance(std, Tensor):
            t.mul_(std)
        t.add_(mean)
    return t


def _check_std(op: str, std: Any) -> None:
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


def _bernoulli_fill(op: str, p: Any) -> Fill:
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
    fill = _bernoulli_fill("bernoulli", input if p is None else p)
    if out is None:
        kind = input.dtype
        if kind.is_complex:
            raise NotImplementedError(f'"bernoulli" not implemented for {kind}')
        a = empty_array(tuple(input.shape), kind, input.device)
        _run(fill, a, pick(generator, input.device, "bernoulli"), input.device)
        return wrap(a, input.device)
    return _draw_out("bernoulli", tuple(input.shape), fill, generator, out, None)


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
        write_out("multinomial", t, out)
        return out
    return t


def _check_weights(p: np.ndarray) -> None:
    if p.size and not (np.isfinite(p) & (p >= 0)).all():
        raise RuntimeError("multinomial: probability tensor contains either `inf`, `nan` or element < 0")
    if (p.astype(np.float64).sum(axis=-1) <= 0).any():
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
    """Poisson numbers with the rates in `input`, of its dtype; only on the CPU."""
    _on_cpu("poisson", input)
    if input.device is CPU and not (input._a >= 0).all():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    a = np.empty(tuple(input.shape), input.dtype.np)
    rejection.poisson(a, input._a, pick(generator, CPU, "poisson"))
    return wrap(a)


@no_grad()
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """Successes in `count` trials of probability `prob`; both floating point, broadcast; only on the CPU."""
    for t in (count, prob):
        _on_cpu("binomial", t)
    n, p = np.broadcast_arrays(count._a, prob._a)
    a = np.empty(n.shape, count.dtype.np)
    rejection.binomial(a, n, p, pick(generator, CPU, "binomial"))
    return wrap(a)


def _standard_gamma(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Gamma numbers of the shapes in `input` and scale 1; no gradient; only on the CPU."""
    _on_cpu("_standard_gamma", input)
    if STATE.grad and input.requires_grad:
        raise NotImplementedError("_standard_gamma: the derivative by the shape is not there; detach the input")
    a = np.empty(tuple(input.shape), input.dtype.np)
    rejection.standard_gamma(a, input._a, pick(generator, CPU, "_standard_gamma"))
    return wrap(a)


def _on_cpu(op: str, t: Tensor) -> None:
    if t.device is not CPU:
        raise NotImplementedError(f"{op}: no kernel for {t.device}; draw on the CPU and move the result")
    _needs_float(op, t.dtype, False)


# --------------------------------------------------------------------------------------------------- in-place methods


def _fill_tensor(name: str, t: Tensor, fill: Fill, generator: Generator | None) -> Tensor:
    """Overwrite `t` with numbers: checks of in-place ops, no history, one more version."""
    _inplace.check(t, name)
    g = pick(generator, t.device, name)
    a = t._a
    if t.device is CPU:
        if not a.flags.writeable or any(s == 0 and n > 1 for s, n in zip(a.strides, a.shape)):
            raise overlap(t)
        fill(a, g)
    else:
        with on_device(t.device.index):
            fill(a, g)
    bump(t)
    if STATE.grad:
        _inplace.rebase(t, None)
    return t


def _from(name: str, given: Any, more: dict[str, Any], default: Any) -> Any:
    """The argument `from`, which Python's grammar lets come only by position or by `**`."""
    if "from" in more:
        given = more.pop("from")
    if more:
        raise TypeError(f"{name}() got an unexpected keyword argument {next(iter(more))!r}")
    return default if given is None else given


@method
def uniform_(
    self: Tensor, from_: Any = None, to: float = 1.0, *, generator: Generator | None = None, **more: Any
) -> Tensor:
    """Fill with uniform numbers of [from, to)."""
    low, high = float(_from("uniform_", from_, more, 0.0)), float(to)
    _needs_float("uniform_", self.dtype)
    limit = float(dtypes.finfo(self.dtype).max)
    for name, value in (("from", low), ("to", high)):
        if not abs(value) <= limit:
            raise RuntimeError(f"uniform_: {name} is out of bounds for {self.dtype}: {value}")
    if low > high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}")
    if high - low > limit:
        raise RuntimeError(f"uniform_ expects to-from <= the largest {self.dtype}; found from={low}, to={high}")
    return _fill_tensor("uniform_", self, lambda a, g: fills.uniform(a, low, high, g), generator)


@method
def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers."""
    _check_std("normal_", std)
    _needs_float("normal_", self.dtype)
    return _fill_tensor("normal_", self, lambda a, g: fills.normal(a, float(mean), float(std), g), generator)


@method
def random_(self: Tensor, *bounds: Any, generator: Generator | None = None, **more: Any) -> Tensor:
    """Fill with integers: `random_()` up to the largest (floats: all whole numbers exactly held), `random_(to)`,
    `random_(from, to)`; `to` is left out of the range, None means up to the largest."""
    if len(bounds) > 2:
        raise TypeError(f"random_() takes from and to; got {bounds}")
    given = dict(zip(("to",) if len(bounds) == 1 and "to" not in more else ("from", "to"), bounds))
    given.update({name: more.pop(name) for name in ("from", "to") if name in more})
    if more:
        raise TypeError(f"random_() got an unexpected keyword argument {next(iter(more))!r}")
    kind = self.dtype
    if kind.is_complex:
        raise NotImplementedError(f'"random_" not implemented for {kind}')
    if not given:
        return _fill_tensor("random_", self, fills.random_full, generator)
    low, high = int(given.get("from", 0)), given.get("to")
    if high is None and low == -(1 << 63):
        return _fill_tensor("random_", self, lambda a, g: fills.randint(a, low, 1 << 64, g), generator)
    if high is None:
        most = 1 if kind is dtypes.bool_ else int(np.iinfo(kind.np).max) if kind.category == dtypes.INT else None
        high = 1 + (most if most is not None else 1 << _DIGITS[kind.name])
        if kind.category == dtypes.FLOAT:
            low = _inner_bounds(low, high, kind)[0]
        _check_order(low, high)
        span = high - low
    else:
        low, span = _integer_range(low, int(high), kind)
    return _fill_tensor("random_", self, lambda a, g: fills.randint(a, low, span, g), generator)


@method
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with 1 by the probability `p` (a number, or a tensor that broadcasts), else 0."""
    if self.dtype.is_complex:
        raise NotImplementedError(f'"bernoulli_" not implemented for {self.dtype}')
    return _fill_tensor("bernoulli_", self, _bernoulli_fill("bernoulli_", p), generator)


@method
def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with exponential numbers of rate `lambd`."""
    if self.dtype.category != dtypes.FLOAT:
        raise RuntimeError(
            "Exponential distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {self.dtype}"
        )
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return _fill_tensor("exponential_", self, lambda a, g: fills.exponential(a, float(lambd), g), generator)


@method
def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill with the number of trials of probability `p` up to the first success: 1, 2, 3 ..."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    if self.dtype is dtypes.bool_ or self.dtype.is_complex:
        raise NotImplementedError(f'"geometric_" not implemented for {self.dtype}')
    return _fill_tensor("geometric_", self, lambda a, g: fills.geometric(a, float(p), g), generator)


@method
def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with Cauchy numbers."""
    if self.dtype.category != dtypes.FLOAT:
        raise RuntimeError(
            "Cauchy distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {self.dtype}"
        )
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    return _fill_tensor("cauchy_", self, lambda a, g: fills.cauchy(a, float(median), float(sigma), g), generator)


@method
def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with exp of normal numbers of the given mean and standard deviation."""
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    _needs_float("log_normal_", self.dtype, False)
    return _fill_tensor("log_normal_", self, lambda a, g: fills.log_normal(a, float(mean), float(std), g), generator)
