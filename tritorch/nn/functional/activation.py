"""Activation functions. The elementwise ones are lines of the table in `tritorch.kernels.elementwise`."""

from __future__ import annotations

from typing import Any

from ... import functional
from ...autograd.autocast import ACTIVE, cast
from ...binding import in_place, with_out
from ...device import CPU
from ...dtypes import FLOAT, bool_, float64, uint8
from ...errors import check_dim, message
from ...kernels._op import OPS
from ...tensor import Tensor

__all__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hardtanh_",
    "leaky_relu", "leaky_relu_", "logsigmoid", "mish", "prelu", "relu", "relu6", "relu_", "rrelu", "rrelu_", "selu",
    "selu_", "sigmoid", "silu", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold", "threshold_",
]  # fmt: skip

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def floating(op: str, input: Any, complex_too: bool = False) -> None:
    """TypeError for what is no Tensor, NotImplementedError for one that is not of a floating (or complex) dtype."""
    if input.__class__ is not Tensor and not isinstance(input, Tensor):
        raise TypeError(message(op, "argument 'input' must be Tensor", input=input))
    if input.dtype.category != FLOAT and not (complex_too and input.dtype.is_complex):
        raise NotImplementedError(f"{op}: not implemented for {input.dtype.name}: input must be of a floating dtype")


def _number(op: str, name: str, value: Any) -> float:
    """`value` as a float; TypeError where it is no number."""
    try:
        if not isinstance(value, str):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise TypeError(message(op, f"{name} must be a number", **{name: value}))


def _run(input: Tensor, inplace: bool, op: str, *params: float) -> Tensor:
    if inplace:
        return in_place(OPS[op], op + "_")(input, *params)
    return OPS[op](input, *params)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0), elementwise; NaN stays NaN.

    Args:
        input: any shape, floating or integer.
        inplace: overwrite `input`; default False.

    >>> import tritorch as torch
    >>> torch.nn.functional.relu(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return _run(input, inplace, "relu")


def relu_(input: Tensor) -> Tensor:
    """In-place `relu`."""
    return relu(input, True)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6), elementwise (arXiv 1704.04861).

    Args:
        input: any shape, floating.
        inplace: overwrite `input`; default False.

    >>> import tritorch as torch
    >>> torch.nn.functional.relu6(torch.tensor([-1.0, 2.0, 7.0]))
    tensor([0., 2., 6.])
    """
    return _run(input, inplace, "relu6")


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x.

    Args:
        input: any shape, floating.
        negative_slope: default 0.01.
        inplace: overwrite `input`; default False.

    >>> import tritorch as torch
    >>> torch.nn.functional.leaky_relu(torch.tensor([-2.0, 0.0, 2.0]), 0.1)
    tensor([-0.2000,  0.0000,  2.0000])
    """
    floating("leaky_relu", input)
    return _run(input, inplace, "leaky_relu", _number("leaky_relu", "negative_slope", negative_slope))


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """In-place `leaky_relu`."""
    return leaky_relu(input, negative_slope, True)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight * x, with a learned weight (arXiv 1502.01852).

    Args:
        input: (N, C, ...) or any shape when weight has one element.
        weight: 0-dim, (1,) or (C,), of input's dtype.

    Raises:
        RuntimeError: weight does not have one element or one per channel, or its dtype differs.

    >>> import tritorch as torch
    >>> torch.nn.functional.prelu(torch.tensor([-2.0, 2.0]), torch.tensor([0.25]))
    tensor([-0.5000,  2.0000])
    """
    if ACTIVE:
        input, weight = cast("prelu", input, weight)
    floating("prelu", input)
    if weight.dtype is not input.dtype:
        raise RuntimeError(message("prelu", "weight must have the dtype of input", weight=weight, input=input))
    if weight.ndim > 1:
        raise RuntimeError(message("prelu", "weight must have 0 or 1 dims", weight=weight))
    if weight.numel() != 1:
        channels = input.shape[1] if input.ndim >= 2 else 1
        if input.ndim == 0 or channels != weight.numel():
            rule = f"weight must have 1 element or one for each of the {channels} channels"
            raise RuntimeError(message("prelu", rule, weight=weight, input=input))
        weight = weight.reshape((1, -1) + (1,) * (input.ndim - 2)) if input.ndim >= 2 else weight
    else:
        weight = weight.reshape(())
    return OPS["prelu"](input, weight)


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """Leaky ReLU whose slope is drawn from U(lower, upper) per element in training, else their mean (arXiv 1505.00853).

    Args:
        input: any shape, floating.
        lower, upper: bounds of the slope; default 1/8 and 1/3.
        training: draw the slopes; default False.
        inplace: overwrite `input`; default False.

    Raises:
        RuntimeError: lower is greater than upper.

    >>> import tritorch as torch
    >>> torch.nn.functional.rrelu(torch.tensor([-2.0, 0.0, 2.0]), 0.1, 0.3)
    tensor([-0.4000,  0.0000,  2.0000])
    """
    floating("rrelu", input)
    if lower > upper:
        raise RuntimeError(
            message("rrelu", "Lower bound should be less than or equal to the upper bound", lower=lower, upper=upper)
        )
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    falling = (input <= 0).detach()
    if input.device is CPU:  # one draw for each slope that is used, as PyTorch counts them there
        slopes = functional.empty(int(falling.sum()), dtype=float64).uniform_(lower, upper)
        noise = functional.ones_like(input.detach())
        noise[falling] = slopes.to(input.dtype)
    else:
        noise = functional.where(falling, functional.empty_like(input.detach()).uniform_(lower, upper), 1.0)
    if inplace:
        return in_place(functional.mul, "rrelu_")(input, noise)
    return input * noise


def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """In-place `rrelu`."""
    return rrelu(input, lower, upper, training, True)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (exp(x) - 1) (arXiv 1511.07289).

    Args:
        input: any shape, floating.
        alpha: minus the limit for x -> -inf; default 1.
        inplace: overwrite `input`; default False.

    >>> import tritorch as torch
    >>> torch.nn.functional.elu(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-0.8647,  0.0000,  2.0000])
    """
    floating("elu", input)
    return _run(input, inplace, "elu", _number("elu", "alpha", alpha), 1.0, 1.0)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """In-place `elu`."""
    return elu(input, alpha, True)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * elu(x, alpha) with the two constants that keep mean 0 and variance 1 (arXiv 1706.02515).

    Args:
        input: any shape, floating.
        inplace: overwrite `input`; default False.

    >>> import tritorch as torch
    >>> torch.nn.functional.selu(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-1.5202,  0.0000,  2.1014])
    """
    floating("selu", input)
    return _run(input, inplace, "elu", SELU_ALPHA, SELU_SCALE, 1.0)


def selu_(input: Tensor) -> Tensor:
    """In-place `selu`."""
    return selu(input, True)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1)) (arXiv 1704.07483).

    Args:
        input: any shape, floating.
        alpha: minus the limit for x -> -inf; default 1.
        inplace: overwrite `input`; default False.

    Raises:
        RuntimeError: alpha is 0.

    >>> import tritorch as torch
    >>> torch.nn.functional.celu(torch.tensor([-2.0, 0.0, 2.0]), 2.0)
    tensor([-1.2642,  0.0000,  2.0000])
    """
    floating("celu", input)
    if alpha == 0:
        raise RuntimeError("celu: ZeroDivisionError: alpha cannot be 0")
    return _run(input, inplace, "celu", _number("celu", "alpha", alpha))


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """In-place `celu`."""
    return celu(input, alpha, True)


@with_out
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x * Phi(x) with the normal distribution's Phi (arXiv 1606.08415).

    Args:
        input: any shape, floating.
        approximate: "none" for the error function, "tanh" for 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    Raises:
        RuntimeError: another value of approximate.

    >>> import tritorch as torch
    >>> torch.nn.functional.gelu(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-0.0455,  0.0000,  1.9545])
    """
    floating("gelu", input)
    if approximate not in ("none", "tanh"):
        raise RuntimeError(message("gelu", "approximate argument must be either none or tanh", approximate=approximate))
    return OPS["gelu" if approximate == "none" else "gelu_tanh"](input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b) with a and b the halves of `input` along `dim` (arXiv 1612.08083).

    Args:
        input: an even size along dim, floating.
        dim: default -1.

    Raises:
        RuntimeError: input has no dims, or the size along dim is odd.

    >>> import tritorch as torch
    >>> torch.nn.functional.glu(torch.tensor([2.0, 4.0, 0.0, 0.0]))
    tensor([1., 2.])
    """
    floating("glu", input)
    shape = input._a.shape
    if not shape:
        raise RuntimeError("glu: glu does not support scalars because halving size must be even")
    axis = check_dim("glu", dim, len(shape))
    n = shape[axis]
    if n % 2:
        raise RuntimeError(
            message("glu", f"Halving dimension must be even, but dimension {axis} is size {n}", input=input)
        )
    a, b = input.split(n // 2, axis) if n else (input, input)
    return a * OPS["sigmoid"](b)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x), also known as swish (arXiv 1606.08415, 1710.05941).

    Args:
        input: any shape, floating or complex.
        inplace: overwrite `input`; default False.

    >>> import tritorch as torch
    >>> torch.nn.functional.silu(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-0.2384,  0.0000,  1.7616])
    """
    floating("silu", input, complex_too=True)
    return _run(input, inplace, "silu")


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)) (arXiv 1908.08681).

    Args:
        input: any shape, floating.
        inplace: overwrite `input`; default False.

    >>> import tritorch as torch
    >>> torch.nn.functional.mish(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-0.2525,  0.0000,  1.9440])
    """
    floating("mish", input)
    return _run(input, inplace, "mish")


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x limited to [min_val, max_val], which lose their fractions where x has an integer dtype.

    Args:
        input: any shape.
        min_val, max_val: default -1 and 1.
        inplace: overwrite `input`; default False.

    Raises:
        ValueError: min_val is greater than max_val.
        RuntimeError: a bool input; a negative limit of uint8.

    >>> import tritorch as torch
    >>> torch.nn.functional.hardtanh(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-1.,  0.,  1.])
    """
    if min_val > max_val:
        raise ValueError(
            message("hardtanh", "min_val cannot be greater than max_val", min_val=min_val, max_val=max_val)
        )
    if input.dtype.category < 2:
        min_val, max_val = int(min_val), int(max_val)
        if input.dtype is bool_ or input.dtype is uint8 and min_val < 0:
            rule = "bools have no limits, and those of uint8 are not negative"
            raise RuntimeError(message("hardtanh", rule, input=input, min_val=min_val, max_val=max_val))
    return _run(input, inplace, "hardtanh", min_val, max_val)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """In-place `hardtanh`."""
    return hardtanh(input, min_val, max_val, True)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * relu6(x + 3) / 6 (arXiv 1905.02244).

    Args:
        input: any shape, floating.
        inplace: overwrite `input`; default False.

    >>> import tritorch as torch
    >>> torch.nn.functional.hardswish(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-0.3333,  0.0000,  1.6667])
    """
    floating("hardswish", input)
    return _run(input, inplace, "hardswish")


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """relu6(x + 3) / 6.

    Args:
        input: any shape, floating.
        inplace: overwrite `input`; default False.

    >>> import tritorch as torch
    >>> torch.nn.functional.hardsigmoid(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([0.1667, 0.5000, 0.8333])
    """
    floating("hardsigmoid", input)
    return _run(input, inplace, "hardsigmoid")


@with_out
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0.

    Args:
        input: any shape, floating.
        lambd: default 0.5.

    >>> import tritorch as torch
    >>> torch.nn.functional.hardshrink(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-2.,  0.,  2.])
    """
    floating("hardshrink", input)
    return OPS["hardshrink"](input, _number("hardshrink", "lambd", lambd))


@with_out
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x - lambd where x > lambd, x + lambd where x < -lambd, else 0.

    Args:
        input: any shape, floating.
        lambd: not negative; default 0.5.

    Raises:
        RuntimeError: lambd is negative.

    >>> import tritorch as torch
    >>> torch.nn.functional.softshrink(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-1.5000,  0.0000,  1.5000])
    """
    floating("softshrink", input)
    lambd = _number("softshrink", "lambd", lambd)
    if not lambd >= 0:
        raise RuntimeError(message("softshrink", "lambda must be greater or equal to 0", lambd=lambd))
    return OPS["softshrink"](input, lambd)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x).

    >>> import tritorch as torch
    >>> torch.nn.functional.tanhshrink(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-1.0360,  0.0000,  1.0360])
    """
    return input - tanh(input)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|).

    >>> import tritorch as torch
    >>> torch.nn.functional.softsign(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-0.6667,  0.0000,  0.6667])
    """
    return input / (input.abs() + 1)


@with_out
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold.

    Args:
        input: any shape, floating.
        beta: default 1.
        threshold: default 20.

    >>> import tritorch as torch
    >>> torch.nn.functional.softplus(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([0.1269, 0.6931, 2.1269])
    """
    floating("softplus", input)
    return OPS["softplus"](input, _number("softplus", "beta", beta), _number("softplus", "threshold", threshold))


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value.

    Args:
        input: any shape.
        threshold, value: numbers.
        inplace: overwrite `input`; default False.

    >>> import tritorch as torch
    >>> torch.nn.functional.threshold(torch.tensor([-2.0, 0.0, 2.0]), 1.0, -1.0)
    tensor([-1., -1.,  2.])
    """
    return _threshold(input, threshold, value, inplace)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """In-place `threshold`."""
    return _threshold(input, threshold, value, True)


def _threshold(input: Tensor, limit: float, value: float, inplace: bool) -> Tensor:
    _number("threshold", "threshold", limit)
    _number("threshold", "value", value)
    return _run(input, inplace, "threshold", limit, value)


@with_out
def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-x))).

    >>> import tritorch as torch
    >>> torch.nn.functional.logsigmoid(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-2.1269, -0.6931, -0.1269])
    """
    floating("logsigmoid", input)
    return OPS["log_sigmoid"](input)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x)).

    >>> import tritorch as torch
    >>> torch.nn.functional.sigmoid(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([0.1192, 0.5000, 0.8808])
    """
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent, elementwise.

    >>> import tritorch as torch
    >>> torch.nn.functional.tanh(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([-0.9640,  0.0000,  0.9640])
    """
    return input.tanh()
