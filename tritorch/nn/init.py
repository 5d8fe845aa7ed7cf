"""Initial values of parameters, in place and without a graph; the same numbers as PyTorch's for the same seed."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..errors import message
from ..functional import empty_like, from_numpy, randperm, where
from ..functional import eye as _eye
from ..tensor import Tensor

__all__ = [
    "calculate_gain", "constant", "constant_", "dirac", "dirac_", "eye", "eye_", "kaiming_normal", "kaiming_normal_",
    "kaiming_uniform", "kaiming_uniform_", "normal", "normal_", "ones_", "orthogonal", "orthogonal_", "sparse",
    "sparse_", "trunc_normal_", "uniform", "uniform_", "xavier_normal", "xavier_normal_", "xavier_uniform",
    "xavier_uniform_", "zeros_",
]  # fmt: skip

_LINEAR = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_GAINS: dict[str, float] = {
    **dict.fromkeys(_LINEAR, 1),
    "sigmoid": 1,
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity asks for larger weights.

    Args:
        nonlinearity: name of a function of nn.functional: linear, conv*, sigmoid 1; tanh 5/3; relu sqrt(2);
            leaky_relu sqrt(2 / (1 + slope^2)); selu 3/4.
        param: the negative slope of leaky_relu. Default: 0.01.

    Raises:
        ValueError: the name is not in the list, or the slope is no number.

    >>> import tritorch as torch
    >>> torch.nn.init.calculate_gain("leaky_relu", 0.2)
    1.3867504905630728
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"calculate_gain: negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"calculate_gain: Unsupported nonlinearity {nonlinearity}; known: {[*_GAINS, 'leaky_relu']}")
    return _GAINS[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight `(out, in, *kernel)`; ValueError below 2 dims."""
    shape = tensor.shape
    if len(shape) < 2:
        raise ValueError(
            message("init", "Fan in and fan out can not be computed for fewer than 2 dimensions", tensor=tensor)
        )
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


_calculate_fan_in_and_fan_out = fans


def _fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"init: Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return fans(tensor)[mode == "fan_out"]


_calculate_correct_fan = _fan


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with U(a, b).

    >>> import tritorch as torch
    >>> w = torch.nn.init.uniform_(torch.empty(3, 5), -1, 1)
    >>> bool((w.abs() <= 1).all())
    True
    """
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with N(mean, std^2)."""
    return tensor.normal_(mean, std, generator=generator)


@no_grad()
def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Fill with N(mean, std^2) restricted to [a, b], by rejection.

    Where [a, b] holds at least 30 % of the normal distribution, values outside are drawn again; else uniform values
    are accepted with the density's probability.

    >>> import tritorch as torch
    >>> w = torch.nn.init.trunc_normal_(torch.empty(100), std=3.0)
    >>> bool((w.abs() <= 2).all())
    True
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            f"trunc_normal_: mean {mean} is more than 2 std from [{a}, {b}]; the distribution may be incorrect",
            stacklevel=3,
        )

    def below(x: float) -> float:
        return (1.0 + math.erf((x - mean) / std / math.sqrt(2.0))) / 2.0

    if below(b) - below(a) > 0.3:
        low, high = (tensor.new_tensor(v, device="cpu").item() for v in (a, b))  # as the tensor's dtype rounds them
        result = tensor.normal_(mean, std, generator=generator)
        while True:
            outside = (result < low) | (result > high)
            if not outside.any():
                break
            result = where(outside, empty_like(result).normal_(mean, std, generator=generator), result)
    else:
        mode = max(a, min(mean, b))
        log_peak = -0.5 * ((mode - mean) / std) ** 2
        result = tensor.uniform_(a, b, generator=generator)
        candidates, draws = result.clone(), empty_like(tensor)

        def refused() -> Tensor:
            candidates.sub_(mean).div_(std).pow_(2).mul_(-0.5).sub_(log_peak)
            return draws.uniform_(generator=generator).log_().gt(candidates)

        pending = refused()
        while pending.any():
            candidates.uniform_(a, b, generator=generator)
            result = where(pending, candidates, result)
            pending = where(pending, refused(), pending)
    if result is not tensor:
        tensor.copy_(result)
    return tensor


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with `val`."""
    return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0."""
    return constant_(tensor, 0.0)


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """Fill a 2-dim tensor with the identity matrix; ValueError for other dims."""
    if tensor.ndim != 2:
        raise ValueError(message("eye_", "Only tensors with 2 dimensions are supported", tensor=tensor))
    return tensor.copy_(_eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device))


@no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight `(out, in, *kernel)` so that it passes its input channels on unchanged.

    Args:
        groups: the convolution's groups. Default: 1.

    Raises:
        ValueError: not 3, 4 or 5 dims, or `out` no multiple of `groups`.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(message("dirac_", "Only tensors with 3, 4, or 5 dimensions are supported", tensor=tensor))
    if tensor.shape[0] % groups:
        raise ValueError(message("dirac_", f"dim 0 must be divisible by groups ({groups})", tensor=tensor))
    per_group = tensor.shape[0] // groups
    center = tuple(s // 2 for s in tensor.shape[2:])
    tensor.zero_()
    for g in range(groups):
        for d in range(min(per_group, tensor.shape[1])):
            tensor[(g * per_group + d, d, *center)] = 1
    return tensor


@no_grad()
def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)).

    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010.

    >>> import tritorch as torch
    >>> torch.nn.init.xavier_uniform_(torch.empty(3, 5)).shape
    torch.Size([3, 5])
    """
    fan_in, fan_out = fans(tensor)
    a = math.sqrt(3.0) * (gain * math.sqrt(2.0 / float(fan_in + fan_out)))
    return tensor.uniform_(-a, a, generator=generator)


@no_grad()
def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with N(0, std^2), std = gain sqrt(2 / (fan_in + fan_out)); source as for `xavier_uniform_`."""
    fan_in, fan_out = fans(tensor)
    return tensor.normal_(0.0, gain * math.sqrt(2.0 / float(fan_in + fan_out)), generator=generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan = _fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _is_empty(tensor: Tensor) -> bool:
    if 0 not in tensor.shape:
        return False
    warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=4)
    return True


@no_grad()
def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Fill with U(-bound, bound), bound = gain sqrt(3 / fan).

    He et al., Delving Deep into Rectifiers, arXiv:1502.01852.

    Args:
        a: negative slope of leaky_relu. Default: 0.
        mode: "fan_in" keeps the variance of the forward pass, "fan_out" that of the backward. Default: "fan_in".
        nonlinearity: as for `calculate_gain`. Default: "leaky_relu".
        generator: a Generator. Default: the global one.

    >>> import tritorch as torch
    >>> torch.nn.init.kaiming_uniform_(torch.empty(3, 5), nonlinearity="relu").shape
    torch.Size([3, 5])
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return tensor.uniform_(-bound, bound, generator=generator)


@no_grad()
def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Fill with N(0, std^2), std = gain / sqrt(fan); arguments and source as for `kaiming_uniform_`."""
    if _is_empty(tensor):
        return tensor
    return tensor.normal_(0, _kaiming_std(tensor, a, mode, nonlinearity), generator=generator)


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """Fill with a (semi-)orthogonal matrix times `gain`; dims after the first are flattened.

    Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear networks, arXiv:1312.6120.

    Raises:
        ValueError: fewer than 2 dims.

    >>> import tritorch as torch
    >>> w = torch.nn.init.orthogonal_(torch.empty(3, 5))
    >>> torch.allclose(w @ w.T, torch.eye(3), atol=1e-5)
    True
    """
    if tensor.ndim < 2:
        raise ValueError(message("orthogonal_", "Only tensors with 2 or more dimensions are supported", tensor=tensor))
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    flat = tensor.new_empty((rows, tensor.numel() // rows)).normal_(0, 1, generator=generator).detach().cpu().numpy()
    wide = flat.shape[0] < flat.shape[1]
    q, r = np.linalg.qr(flat.T if wide else flat)
    q = q * np.sign(np.diag(r))  # unique: R with a positive diagonal
    tensor.copy_(from_numpy(np.ascontiguousarray(q.T if wide else q)).reshape(tensor.shape))
    return tensor.mul_(gain)


@no_grad()
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Fill a 2-dim tensor with N(0, std^2) and set a part of each column to zero.

    Args:
        sparsity: the part of each column that is zero.
        std: of the other values. Default: 0.01.

    Raises:
        ValueError: not 2 dims.
    """
    if tensor.ndim != 2:
        raise ValueError(message("sparse_", "Only tensors with 2 dimensions are supported", tensor=tensor))
    rows, cols = tensor.shape
    n_zeros = math.ceil(sparsity * rows)
    tensor.normal_(0, std, generator=generator)
    for col in range(cols):
        tensor[randperm(rows)[:n_zeros], col] = 0
    return tensor


def _deprecated(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    name = function.__name__

    @functools.wraps(function)
    def older(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(
            f"`nn.init.{name[:-1]}` is now deprecated in favor of `nn.init.{name}`.", FutureWarning, stacklevel=2
        )
        return function(*args, **kwargs)

    older.__name__ = name[:-1]
    older.__doc__ = f"The older name of `{name}`."
    return older


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)
