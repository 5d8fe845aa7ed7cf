"""Normalisation: batch, layer, group, instance, RMS, local response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autograd.autocast import ACTIVE, cast
from ...binding import given
from ...device import CPU, on_device
from ...dtypes import INT, finfo
from ...errors import message
from ...kernels import batch_norm as kernels
from ...kernels import group_norm as grouped
from ...kernels.norm import layer_norm as layer_norm_op
from ...kernels.norm import rms_norm as rms_norm_op
from ...tensor import Tensor, bump
from .activation import floating

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "normalize", "rms_norm"]


def _per_channel(op: str, channels: int, **tensors: Tensor | None) -> None:
    for name, t in tensors.items():
        if t is not None and t._a.size != channels:
            raise RuntimeError(message(op, f"{name} should contain {channels} elements not {t.numel()}", **{name: t}))


def _update(
    running_mean: Tensor | None, running_var: Tensor | None, mean: Tensor, var: Tensor, n: int, momentum: float
) -> None:
    """Move the running statistics towards the batch's; var is biased, the running one is not."""
    unbiased = n / (n - 1) if n > 1 else float("nan")
    if mean.device is CPU:  # on the raw arrays: one call's overhead instead of ten
        for running, new, factor in ((running_mean, mean, momentum), (running_var, var, momentum * unbiased)):
            if running is not None:
                a = running._a
                a[...] = a * (1 - momentum) + (new._a * factor).reshape(a.shape)
                bump(running)
        return
    pairs = ((running_mean, mean, momentum), (running_var, var, momentum * unbiased))
    moved = [(running, new, share) for running, new, share in pairs if running is not None]
    with on_device(mean.device.index):
        arrays = [r._a for r, _, _ in moved], [new._a for _, new, _ in moved]
        kernels.move_statistics(*arrays, 1 - momentum, tuple(share for _, _, share in moved))
    for running, _, _ in moved:
        bump(running)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias per channel (arXiv 1502.03167).

    Args:
        input: (N, C, ...), floating.
        running_mean, running_var: (C,) or None; used in evaluation, moved towards the batch's statistics in training.
        weight, bias: (C,) or None.
        training: use the batch's own statistics; default False.
        momentum: share of the new statistics in the running ones; default 0.1.
        eps: default 1e-5.

    Raises:
        ValueError: training with one value per channel.
        RuntimeError: a size does not fit; no running statistics in evaluation.

    >>> import tritorch as torch
    >>> torch.nn.functional.batch_norm(torch.tensor([[1.0], [3.0]]), None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    op = "batch_norm"
    floating(op, input)
    if input._a.ndim < 2 and input._a.shape != (0,):  # nothing at all is let through, as in PyTorch
        raise IndexError(message(op, "expected input of at least 2 dims (N, C, ...)", input=input))
    if input._a.ndim < 2:
        return input.clone()
    channels = input._a.shape[1]
    n = input._a.size // channels if channels else 0
    if training:
        if n == 1:
            raise ValueError(
                f"{op}: Expected more than 1 value per channel when training, got input size {input.shape}"
            )
    elif running_mean is None or running_var is None:
        raise RuntimeError(f"{op}: Expected running_mean and running_var to be defined when training=False")
    _per_channel(op, channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if not training:
        return kernels.batch_norm_eval(input, running_mean, running_var, weight, bias, eps)
    y, mean, var = kernels.batch_norm_train(input, weight, bias, eps)
    if (running_mean is not None or running_var is not None) and n:
        _update(running_mean, running_var, mean, var, n, momentum)
    return y


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`batch_norm` of each sample on its own (arXiv 1607.08022); running statistics are means over the batch.

    Args:
        input: (N, C, ...), floating.
        running_mean, running_var, weight, bias: (C,) or None.
        use_input_stats: False normalises by the running statistics; default True.
        momentum: default 0.1.
        eps: default 1e-5.

    Raises:
        ValueError: one spatial element per channel with use_input_stats.
        RuntimeError: a size does not fit; no running statistics without use_input_stats.

    >>> import tritorch as torch
    >>> torch.nn.functional.instance_norm(torch.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """
    op = "instance_norm"
    floating(op, input)
    if input.ndim < 3:
        raise RuntimeError(message(op, "expected input of at least 3 dims (N, C, ...)", input=input))
    n, channels = input.shape[:2]
    length = input[0, 0].numel() if n and channels else 0
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError(f"{op}: Expected running_mean and running_var to be defined when use_input_stats=False")
        _per_channel(op, channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
        return kernels.batch_norm_eval(input, running_mean, running_var, weight, bias, eps)
    if length == 1:
        raise ValueError(f"{op}: Expected more than 1 spatial element when training, got input size {input.shape}")
    _per_channel(op, channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if running_mean is None and running_var is None:
        return grouped.group_norm(input, weight, bias, channels, eps)
    y, mean, var = kernels.batch_norm_train(input.reshape((1, n * channels, length)), None, None, eps)
    mean, var = mean.reshape((n, channels)).mean(0), var.reshape((n, channels)).mean(0)
    _update(running_mean, running_var, mean, var, length, momentum)
    y = y.reshape(input.shape)
    shape = (1, channels) + (1,) * (input.ndim - 2)
    if weight is not None:
        y = y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


def _trailing(op: str, input: Tensor, normalized_shape: Sequence[int] | int, **tensors: Tensor | None) -> int:
    """The number of normalised dims; RuntimeError when they are not the last ones of input."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape:
        raise RuntimeError(f"{op}: Expected normalized_shape to be at least 1-dimensional; got {list(shape)}")
    for name, t in tensors.items():
        if t is not None and t._a.shape != shape:
            raise RuntimeError(
                message(op, f"Expected {name} to be of same shape as normalized_shape {list(shape)}", **{name: t})
            )
    if input._a.shape[-len(shape) :] != shape:
        wanted = ", ".join(["*", *map(str, shape)])
        raise RuntimeError(
            f"{op}: Given normalized_shape={list(shape)}, expected input with shape [{wanted}], but got input of size"
            f"{list(input.shape)}"
        )
    return len(shape)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dims (arXiv 1607.06450).

    Args:
        input: (*, *normalized_shape), floating.
        normalized_shape: sizes of the dims that are normalised together.
        weight, bias: of shape normalized_shape, or None.
        eps: default 1e-5.

    Raises:
        RuntimeError: a size does not fit.

    >>> import tritorch as torch
    >>> torch.nn.functional.layer_norm(torch.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    if ACTIVE:
        input, weight, bias = cast("layer_norm", input, weight, bias)
    floating("layer_norm", input)
    ndim = _trailing("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return layer_norm_op(input, weight, bias, ndim, eps)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last dims (arXiv 1910.07467).

    Args:
        input: (*, *normalized_shape), floating or complex (x^2 is then the square, not |x|^2).
        normalized_shape: sizes of the dims that are normalised together.
        weight: of shape normalized_shape, or None.
        eps: default: the machine epsilon of input's dtype.

    Raises:
        RuntimeError: a size does not fit.

    >>> import tritorch as torch
    >>> torch.nn.functional.rms_norm(torch.tensor([3.0, 4.0]), (2,))
    tensor([0.8485, 1.1314])
    """
    floating("rms_norm", input, complex_too=True)
    ndim = _trailing("rms_norm", input, normalized_shape, weight=weight)
    return rms_norm_op(input, weight, ndim, finfo(input.dtype).eps if eps is None else eps)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalises each sample's groups of channels, then scales per channel (arXiv 1803.08494).

    Args:
        input: (N, C, ...), floating.
        num_groups: divides C.
        weight, bias: (C,) or None.
        eps: default 1e-5.

    Raises:
        RuntimeError: num_groups does not divide C; a size does not fit.
        ValueError: one value per group.

    >>> import tritorch as torch
    >>> torch.nn.functional.group_norm(torch.tensor([[1.0, 3.0, 5.0, 5.0]]), 2)
    tensor([[-1.0000,  1.0000,  0.0000,  0.0000]])
    """
    if ACTIVE:
        input, weight, bias = cast("group_norm", input, weight, bias)
    op = "group_norm"
    floating(op, input)
    shape, size = input._a.shape, input._a.size
    if len(shape) < 2:
        raise RuntimeError(message(op, "Expected at least 2 dimensions for input tensor", input=input))
    n, channels = shape[:2]
    if num_groups <= 0 or channels % num_groups:
        rule = f"Expected number of channels in input to be divisible by num_groups={num_groups}"
        raise RuntimeError(message(op, rule, input=input))
    if size and size // num_groups == 1 and n == 1:
        raise ValueError(f"{op}: Expected more than 1 value per channel when training, got input size {input.shape}")
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._a.shape != (channels,):
            raise RuntimeError(
                message(
                    op, f"Expected {name} to be a vector of size equal to the number of channels in input", **{name: t}
                )
            )
    return grouped.group_norm(input, weight, bias, num_groups, eps)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta (Krizhevsky et al. 2012).

    Args:
        input: (N, C, ...) with at least 3 dims, floating, or integers, whose means are rounded towards zero.
        size: number of channels of a neighbourhood; those beyond the ends count as 0.
        alpha, beta, k: default 1e-4, 0.75, 1.

    Raises:
        ValueError: fewer than 3 dims.

    >>> import tritorch as torch
    >>> torch.nn.functional.local_response_norm(torch.ones(1, 2, 1), 2, alpha=1.0).flatten()
    tensor([0.7378, 0.5946])
    """
    if input.dtype.category != INT:
        floating("local_response_norm", input)
    if input.ndim < 3:
        raise ValueError(
            f"local_response_norm: Expected 3D or higher dimensionality input (got {input.ndim} dimensions)"
        )
    if input.numel() == 0:
        return input
    from .padding import pad

    padding = [0, 0] * (input.ndim - 2) + [size // 2, (size - 1) // 2]
    square = pad(input * input, padding)
    total = square.narrow(1, 0, input.shape[1])
    for i in range(1, size):
        total = total + square.narrow(1, i, input.shape[1])
    mean = total * (alpha / size) if input.dtype.category != INT else total.div(size, rounding_mode="trunc") * alpha
    return input / (mean + k) ** beta


def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """x / max(||x||_p, eps), the norm taken along `dim`.

    Args:
        input: any shape, floating or complex.
        p: exponent of the norm; default 2.
        dim: int or tuple; default 1.
        eps: the least divisor; default 1e-12.
        out: write the result here.

    >>> import tritorch as torch
    >>> torch.nn.functional.normalize(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    floating("normalize", input, complex_too=True)
    return given("normalize", input / input.norm(p, dim, keepdim=True).clamp_min(eps), out)
