"""Convolutions of 1 to 3 spatial dims, transposed ones, unfold and fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...autograd.autocast import ACTIVE, cast
from ...dtypes import bool_
from ...errors import message
from ...kernels.conv import conv as _conv
from ...kernels.conv import conv_input_grad as _conv_input_grad
from ...kernels.copy import pad_constant as _pad_constant
from ...kernels.im2col import col2im as _col2im
from ...kernels.im2col import im2col as _im2col
from ...tensor import Tensor

__all__ = [
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "fold", "unfold",
]  # fmt: skip


def _ints(op: str, name: str, value: Any, n: int, least: int) -> tuple[int, ...]:
    """An int, or one int per spatial dim, as a tuple; at least `least`."""
    if value.__class__ is int:
        found = (value,) * n
    else:
        try:
            found = (
                tuple([v.__index__() for v in value]) if isinstance(value, (tuple, list)) else (value.__index__(),) * n
            )
        except (AttributeError, TypeError):
            raise TypeError(f"{op}: {name} must be an int or a tuple of ints; got {value!r}") from None
        if len(found) == 1:
            found *= n
        if len(found) != n:
            raise RuntimeError(
                f"{op}: expected {name} to be a single integer value or a list of {n} values; got {value}"
            )
    if min(found) < least:
        rule = "non-zero, positive" if least else "non-negative"
        raise RuntimeError(f"{op}: {name} must be {rule}; got {value}")
    return found


def _check(op: str, input: Any, weight: Any, bias: Any, n: int) -> None:
    for name, t in (("input", input), ("weight", weight), ("bias", bias)):
        if not isinstance(t, Tensor):
            if name == "bias" and t is None:
                continue
            raise TypeError(f"{op}(): argument '{name}' must be Tensor, not {type(t).__name__}")
        if t.dtype is not input.dtype:
            raise RuntimeError(message(op, f"input and {name} must have the same dtype", input=input, **{name: t}))
        if t.device is not input.device:
            rule = f"input and {name} must be on the same device ({input.device} and {t.device})"
            raise RuntimeError(message(op, rule, input=input, **{name: t}))
    if input.dtype is bool_:
        raise RuntimeError(message(op, "not implemented for 'Bool'", input=input))
    if weight._a.ndim != n + 2:
        raise RuntimeError(message(op, f"weight must have {n + 2} dims (out, in / groups, *kernel)", weight=weight))
    if input._a.ndim not in (n + 1, n + 2):
        rule = f"expected {n + 1}D (unbatched) or {n + 2}D (batched) input"
        raise RuntimeError(message(op, rule, input=input, weight=weight))


def _groups(op: str, groups: Any, weight: Tensor) -> int:
    if not isinstance(groups, int) or isinstance(groups, bool):
        raise TypeError(f"{op}: groups must be an int; got {groups!r}")
    if groups < 1:
        raise RuntimeError(f"{op}: groups must be a positive integer; got {groups}")
    if weight._a.shape[0] % groups or weight._a.shape[0] < groups:
        raise RuntimeError(
            message(op, f"weight's first dim must be a positive multiple of groups={groups}", weight=weight)
        )
    return groups


def _check_bias(op: str, bias: Tensor | None, channels: int) -> None:
    if bias is not None and bias._a.shape != (channels,):
        raise RuntimeError(message(op, f"expected bias to be 1-dimensional with {channels} elements", bias=bias))


def _same(op: str, padding: str, size: Sequence[int], kernel: Any, stride: Any, dilation: Any) -> Any:
    """Padding 'valid' and 'same' in numbers: (per dim, what is missing on the right of each dim)."""
    if padding == "valid":
        return (0,) * len(kernel), None
    if padding != "same":
        raise RuntimeError(f"{op}: padding must be 'valid', 'same', an int or a tuple of ints; got {padding!r}")
    if any(s != 1 for s in stride):
        raise RuntimeError(
            f"{op}: padding='same' is not supported for strided convolutions; got stride {tuple(stride)}"
        )
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    extra = [t % 2 for t in total]
    return tuple(t // 2 for t in total), extra if any(extra) else None


def _convolution(
    op: str, n: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: Any
):
    if ACTIVE:
        input, weight, bias = cast(op, input, weight, bias)
    _check(op, input, weight, bias, n)
    stride = _ints(op, "stride", stride, n, 1)
    dilation = _ints(op, "dilation", dilation, n, 1)
    groups = _groups(op, groups, weight)
    kernel = weight._a.shape[2:]
    extra = None
    if isinstance(padding, str):
        padding, extra = _same(op, padding, input._a.shape[-n:], kernel, stride, dilation)
    else:
        padding = _ints(op, "padding", padding, n, 0)
    _check_bias(op, bias, weight._a.shape[0])
    batched = input._a.ndim == n + 2
    x = input if batched else input.unsqueeze(0)
    if x._a.shape[1] != weight._a.shape[1] * groups:
        rule = (
            f"given groups={groups}, expected input to have {weight._a.shape[1] * groups} channels, "
            f"but got {x._a.shape[1]} channels instead"
        )
        raise RuntimeError(message(op, rule, input=input, weight=weight))
    if extra is not None:  # an even reach: one more zero on the right
        x = _pad_constant(x, ((0, 0), (0, 0), *((0, e) for e in extra)), 0.0)
    size = x._a.shape[2:]
    for i in range(n):
        reach = dilation[i] * (kernel[i] - 1) + 1
        if size[i] + 2 * padding[i] < reach:
            rule = f"kernel size can't be greater than actual input size: {reach} > {size[i] + 2 * padding[i]} (padded)"
            raise RuntimeError(message(op, f"{rule} in spatial dim {i}", input=input, weight=weight))
    y = _conv(x, weight, bias, stride, padding, dilation, groups)
    return y if batched else y.squeeze(0)


def _transposed(
    op: str,
    n: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
) -> Tensor:
    if ACTIVE:
        input, weight, bias = cast(op, input, weight, bias)
    _check(op, input, weight, bias, n)
    stride = _ints(op, "stride", stride, n, 1)
    dilation = _ints(op, "dilation", dilation, n, 1)
    padding = _ints(op, "padding", padding, n, 0)
    output_padding = _ints(op, "output_padding", output_padding, n, 0)
    groups = _groups(op, groups, weight)
    kernel = weight._a.shape[2:]
    batched = input._a.ndim == n + 2
    x = input if batched else input.unsqueeze(0)
    if x._a.shape[1] != weight._a.shape[0]:
        rule = f"expected input to have {weight._a.shape[0]} channels, weight's first dim"
        raise RuntimeError(message(op, rule, input=input, weight=weight))
    channels = weight._a.shape[1] * groups
    _check_bias(op, bias, channels)
    size = []
    for i in range(n):
        if output_padding[i] >= max(stride[i], dilation[i]):
            rule = "output padding must be smaller than either stride or dilation"
            raise RuntimeError(
                f"{op}: {rule}; got output_padding {output_padding}, stride {stride}, dilation {dilation}"
            )
        m = (x._a.shape[2 + i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel[i] - 1) + output_padding[i] + 1
        if m < 1:
            raise RuntimeError(
                message(op, f"the output would have size {m} in spatial dim {i}, too small", input=input, weight=weight)
            )
        size.append(m)
    y = _conv_input_grad(x, weight, tuple(size), stride, padding, dilation, groups)
    if bias is not None:
        y = y + bias.reshape(-1, *(1,) * n)
    return y if batched else y.squeeze(0)


_CONV_DOC = """{n}-D convolution (cross-correlation) of each image.

    y[n, k, p] = bias[k] + sum over c, r of weight[k, c, r] input[n, c, p stride + r dilation - padding]

    Args:
        input: (N, C, {letters}) or (C, {letters}).
        weight: (K, C / groups, {kernel}).
        bias: (K,) or None.
        stride, dilation: int or a tuple of {n}, default 1.
        padding: zeros on both sides, int or a tuple of {n}, default 0; or 'valid' (none), or 'same' (stride 1 only).
        groups: the channels are split into this many groups, default 1.

    Returns:
        (N, K, {out}), floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1 per dim.

    Raises:
        RuntimeError: sizes, dtypes or devices do not go together.

    >>> import tritorch as torch
    >>> torch.nn.functional.conv{n}d(torch.ones(1, 2, {eights}), torch.ones(4, 2, {threes})).shape
    torch.Size([1, 4, {sixes}])
    """

_TRANSPOSED_DOC = """{n}-D transposed convolution: the gradient of `conv{n}d` by its input, as an op of its own.

    Each input[n, k, p] times weight[k, c, r] is added to y[n, c, p stride + r dilation - padding].

    Args:
        input: (N, K, {letters}) or (K, {letters}).
        weight: (K, C / groups, {kernel}).
        bias: (C,) or None.
        stride, dilation: int or a tuple of {n}, default 1.
        padding: what is cut off on both sides, default 0.
        output_padding: what is added to the size on one side, default 0; less than stride or dilation.
        groups: default 1.

    Returns:
        (N, C, {out}), (size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1 per dim.

    Raises:
        RuntimeError: sizes, dtypes or devices do not go together.

    >>> import tritorch as torch
    >>> torch.nn.functional.conv_transpose{n}d(torch.ones(1, 2, {sixes}), torch.ones(2, 4, {threes})).shape
    torch.Size([1, 4, {eights}])
    """


def _document(f: Callable[..., Tensor], text: str, n: int) -> None:
    letters = ("W", "H, W", "D, H, W")[n - 1]
    words = {
        "n": n,
        "letters": letters,
        "kernel": ", ".join(f"k{c}" for c in letters.split(", ")),
        "out": ", ".join(f"{c}out" for c in letters.split(", ")),
        "threes": ", ".join(["3"] * n),
        "sixes": ", ".join(["6"] * n),
        "eights": ", ".join(["8"] * n),
    }
    f.__doc__ = text.format(**words)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    return _convolution("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    return _convolution("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    return _convolution("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    return _transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    return _transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    return _transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


for _n, (_f, _t) in enumerate(
    ((conv1d, conv_transpose1d), (conv2d, conv_transpose2d), (conv3d, conv_transpose3d)), start=1
):
    _document(_f, _CONV_DOC, _n)
    _document(_t, _TRANSPOSED_DOC, _n)


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The sliding windows of images as columns (im2col).

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size, dilation, padding, stride: int or a tuple of 2.

    Returns:
        (N, C * kh * kw, L) with L windows, row by row.

    Raises:
        RuntimeError: input is not 3-D or 4-D, or no window fits.

    >>> import tritorch as torch
    >>> torch.nn.functional.unfold(torch.ones(1, 3, 5, 5), 3).shape
    torch.Size([1, 27, 9])
    """
    if input._a.ndim not in (3, 4):
        raise RuntimeError(message("unfold", "expected 3D or 4D (batch mode) input", input=input))
    kernel, stride = _ints("unfold", "kernel_size", kernel_size, 2, 1), _ints("unfold", "stride", stride, 2, 1)
    padding, dilation = _ints("unfold", "padding", padding, 2, 0), _ints("unfold", "dilation", dilation, 2, 1)
    x = input if input._a.ndim == 4 else input.unsqueeze(0)
    _windows("unfold", x._a.shape[2:], kernel, stride, padding, dilation, input)
    y = _im2col(x, kernel, stride, padding, dilation)
    return y if input._a.ndim == 4 else y.squeeze(0)


def _windows(op: str, size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, input: Tensor) -> int:
    count = 1
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        m = (n + 2 * p - d * (k - 1) - 1) // s + 1
        if m < 1:
            rule = f"no window of kernel_size {kernel}, dilation {dilation} fits into {tuple(size)}, padding {padding}"
            raise RuntimeError(message(op, rule, input=input))
        count *= m
    return count


def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Columns added up to images: the adjoint of `unfold` (col2im).

    Args:
        input: (N, C * kh * kw, L) or (C * kh * kw, L).
        output_size: (H, W).
        kernel_size, dilation, padding, stride: int or a tuple of 2, as in `unfold`.

    Returns:
        (N, C, H, W).

    Raises:
        RuntimeError: the sizes do not go together.

    >>> import tritorch as torch
    >>> torch.nn.functional.fold(torch.ones(1, 4, 4), (3, 3), 2)[0, 0]
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """
    if input._a.ndim not in (2, 3):
        raise RuntimeError(message("fold", "expected 2D or 3D (batch mode) input", input=input))
    size, kernel = _ints("fold", "output_size", output_size, 2, 1), _ints("fold", "kernel_size", kernel_size, 2, 1)
    stride, padding = _ints("fold", "stride", stride, 2, 1), _ints("fold", "padding", padding, 2, 0)
    dilation = _ints("fold", "dilation", dilation, 2, 1)
    x = input if input._a.ndim == 3 else input.unsqueeze(0)
    if x._a.shape[1] % (kernel[0] * kernel[1]):
        rule = f"input's second dim must be divisible by the product of kernel_size {kernel}"
        raise RuntimeError(message("fold", rule, input=input))
    count = _windows("fold", size, kernel, stride, padding, dilation, input)
    if x._a.shape[2] != count:
        rule = (
            f"output_size {size}, kernel_size {kernel}, dilation {dilation}, padding {padding}, stride {stride} make "
        )
        raise RuntimeError(message("fold", rule + f"{count} windows, which must be input's last dim", input=input))
    y = _col2im(x, size, kernel, stride, padding, dilation)
    return y if input._a.ndim == 3 else y.squeeze(0)
