"""Pooling of 1 to 3 spatial dims: max, average, power average, adaptive, fractional, and max unpooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ...autograd.autocast import ACTIVE, cast
from ...binding import with_out
from ...device import CPU, constant
from ...dtypes import FLOAT, bool_
from ...errors import message
from ...kernels.adaptive_pool import adaptive_max_pool_indices as _adaptive_max_pool_indices
from ...kernels.adaptive_pool import adaptive_windows
from ...kernels.adaptive_pool import fractional_max_pool_indices as _fractional_max_pool_indices
from ...kernels.pool import avg_pool as _avg_pool
from ...kernels.pool import max_pool as _max_pool
from ...kernels.pool import max_pool_indices as _max_pool_indices
from ...kernels.pool import max_unpool as _max_unpool
from ...kernels.pool import pooled_size
from ...tensor import Tensor, wrap
from .conv import _ints

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "fractional_max_pool2d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool1d",
    "max_pool1d_with_indices", "max_pool2d", "max_pool2d_with_indices", "max_pool3d", "max_pool3d_with_indices",
    "max_unpool1d", "max_unpool2d", "max_unpool3d",
]  # fmt: skip


def _batch(op: str, input: Any, n: int, floating: bool = False) -> Tensor:
    """`input` as (N, C, *size); RuntimeError for other numbers of dims."""
    if ACTIVE:
        (input,) = cast(op, input)
    if not isinstance(input, Tensor):
        raise TypeError(f"{op}(): argument 'input' must be Tensor, not {type(input).__name__}")
    if input._a.ndim not in (n + 1, n + 2):
        raise RuntimeError(message(op, f"expected {n + 1}D (unbatched) or {n + 2}D (batched) input", input=input))
    if input.dtype is bool_ or input.dtype.is_complex or (floating and input.dtype.category < FLOAT):
        raise NotImplementedError(message(op, f"not implemented for {input.dtype.name}", input=input))
    return input if input._a.ndim == n + 2 else input.unsqueeze(0)


def _unbatch(input: Tensor, y: Tensor, n: int) -> Tensor:
    return y if input._a.ndim == n + 2 else y.squeeze(0)


def _window(op: str, x: Tensor, n: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool):
    """The arguments as tuples, and the output's size."""
    kernel = _ints(op, "kernel_size", kernel_size, n, 1)
    stride = kernel if stride is None or stride == () or stride == [] else _ints(op, "stride", stride, n, 1)
    padding, dilation = _ints(op, "padding", padding, n, 0), _ints(op, "dilation", dilation, n, 1)
    shape = x._a.shape
    out = _pooled_size(op, shape[2:], kernel, stride, padding, dilation, bool(ceil_mode))
    if min(out) < 1 or 0 in shape[1:]:
        raise RuntimeError(message(op, f"the output would have size {out}, too small", input=x, kernel_size=kernel))
    return kernel, stride, padding, dilation, out


@lru_cache(maxsize=1024)
def _pooled_size(op: str, size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Any:
    if any(p > ((k - 1) * d + 1) // 2 for p, k, d in zip(padding, kernel, dilation, strict=True)):
        rule = "padding should be at most half of effective kernel size"
        raise RuntimeError(f"{op}: {rule}; got padding {padding}, kernel_size {kernel}, dilation {dilation}")
    return pooled_size(size, kernel, stride, padding, dilation, ceil_mode)


def _max(n: int) -> tuple[Callable, Callable]:
    op = f"max_pool{n}d"

    def both(
        input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, indices: bool
    ) -> Any:
        x = _batch(op, input, n)
        params = _window(op, x, n, kernel_size, stride, padding, dilation, ceil_mode)
        y = _unbatch(input, _max_pool(x, *params), n)
        if not indices:
            return y
        return y, _unbatch(input, _max_pool_indices(x, *params), n)

    def pool(
        input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        return both(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)

    def with_indices(
        input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        return both(input, kernel_size, stride, padding, dilation, ceil_mode, True)

    pool.__doc__ = f"""The largest element of each window (NaN counts as the largest), over {n} dims.

    Args:
        input: (N, C, *size) or (C, *size) with {n} spatial dims.
        kernel_size: int or a tuple of {n}.
        stride: default kernel_size.
        padding: -inf on both sides, at most half of the kernel, default 0.
        dilation: step between the elements of a window, default 1.
        ceil_mode: also windows that end beyond the input, default False.
        return_indices: also give the positions in the flat image, int64.

    Raises:
        RuntimeError: dims do not fit, or no window does.

    >>> import tritorch as torch
    >>> torch.nn.functional.max_pool{n}d(torch.ones(1, 2, {", ".join(["8"] * n)}), 2).shape
    torch.Size([1, 2, {", ".join(["4"] * n)}])
    """
    with_indices.__doc__ = f"`max_pool{n}d` with its indices."
    return pool, with_indices


def _avg(n: int) -> Callable:
    op = f"avg_pool{n}d"

    def run(
        input: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, include: bool, divisor: Any
    ) -> Tensor:
        x = _batch(op, input, n)
        if divisor is not None and not isinstance(divisor, int):
            raise TypeError(message(op, "divisor_override must be an int", divisor_override=divisor))
        if divisor == 0:
            raise RuntimeError(f"{op}: divisor must be not zero; got divisor_override {divisor}")
        kernel, stride, padding, _, out = _window(op, x, n, kernel_size, stride, padding, 1, ceil_mode)
        return _unbatch(input, _avg_pool(x, kernel, stride, padding, out, bool(include), divisor or 0), n)

    if n == 1:

        def pool(
            input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
            count_include_pad: bool = True,
        ) -> Tensor:  # fmt: skip
            return run(input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)
    else:

        def pool(
            input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
            count_include_pad: bool = True, divisor_override: int | None = None,
        ) -> Tensor:  # fmt: skip
            return run(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)

    override = "" if n == 1 else "\n        divisor_override: divide by this instead, default None."
    pool.__doc__ = f"""The average of each window, over {n} dims.

    Args:
        input: (N, C, *size) or (C, *size) with {n} spatial dims.
        kernel_size: int or a tuple of {n}.
        stride: default kernel_size.
        padding: zeros on both sides, at most half of the kernel, default 0.
        ceil_mode: also windows that end beyond the input, default False.
        count_include_pad: padding counts in the divisor, default True.{override}

    Raises:
        RuntimeError: dims do not fit, or no window does.

    >>> import tritorch as torch
    >>> torch.nn.functional.avg_pool{n}d(torch.ones(1, 2, {", ".join(["8"] * n)}), 2).shape
    torch.Size([1, 2, {", ".join(["4"] * n)}])
    """
    return pool


def _lp(n: int) -> Callable:
    op = f"lp_pool{n}d"

    def pool(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
        x = _batch(op, input, n, floating=True)
        kernel, stride, padding, _, out = _window(op, x, n, kernel_size, stride, 0, 1, ceil_mode)
        sums = _avg_pool(x**norm_type, kernel, stride, padding, out, True, 0) * math.prod(kernel)
        y = (sums.sign() * sums.abs().relu()) ** (1.0 / norm_type)
        return _unbatch(input, y, n)

    pool.__doc__ = f"""(sum over the window of x^p)^(1/p), over {n} dims.

    Args:
        input: (N, C, *size) or (C, *size) with {n} spatial dims, floating.
        norm_type: p; 1 is the sum, inf would be the maximum.
        kernel_size: int or a tuple of {n}.
        stride: default kernel_size.
        ceil_mode: also windows that end beyond the input, default False.

    >>> import tritorch as torch
    >>> torch.nn.functional.lp_pool{n}d(torch.ones(1, 2, {", ".join(["8"] * n)}), 2, 2).shape
    torch.Size([1, 2, {", ".join(["4"] * n)}])
    """
    return pool


# ---------------------------------------------------------------------------------------------------------- adaptive


def _adaptive(op: str, input: Any, output_size: Any, n: int) -> tuple[Tensor, tuple[int, ...]]:
    """(the batch, the output's size); None in `output_size` stands for the input's size."""
    several = isinstance(output_size, (tuple, list))
    if several and n > 1 and isinstance(input, Tensor) and input._a.ndim <= n:  # PyTorch compares the lengths first
        raise ValueError(message(op, f"input needs at least {n + 1} dims", input=input, output_size=output_size))
    x = _batch(op, input, n, floating=True)
    size = x._a.shape[2:]
    if several and len(output_size) == n:
        output_size = tuple(s if o is None else o for o, s in zip(output_size, size, strict=True))
    elif output_size is None:
        output_size = tuple(size)
    out = _ints(op, "output_size", output_size, n, 0)
    if 0 in x._a.shape[1:]:
        raise RuntimeError(message(op, "expected input to have non-zero size for non-batch dimensions", input=x))
    return x, out


def _means(n: int, m: int, dtype: np.dtype) -> np.ndarray:
    """(m, n): row i averages window i."""
    start, end = adaptive_windows(n, m)
    i = np.arange(n)
    inside = (i >= start[:, None]) & (i < end[:, None])
    return (inside / (end - start)[:, None]).astype(dtype)


def _adaptive_avg(n: int) -> Callable:
    op = f"adaptive_avg_pool{n}d"

    def pool(input: Tensor, output_size: Any) -> Tensor:
        x, out = _adaptive(op, input, output_size, n)
        size = x._a.shape[2:]
        if all(m and s % m == 0 for s, m in zip(size, out, strict=True)):
            step = tuple(s // m for s, m in zip(size, out, strict=True))
            return _unbatch(input, _avg_pool(x, step, step, (0,) * n, out, True, 0), n)
        y = x
        for i in range(n):  # windows of different lengths: one product with a matrix of averages per dim
            if size[i] != out[i]:
                means = _means(size[i], out[i], x.dtype.np)
                a = wrap(means if x.device is CPU else constant(means, x.device), x.device)
                dim = 2 + i
                y = (a @ y.movedim(dim, -2) if dim != n + 1 else (y @ a.mT).movedim(dim, -2)).movedim(-2, dim)
        return _unbatch(input, y, n)

    pool.__doc__ = f"""Averages of the windows floor(i n / m) ... ceil((i + 1) n / m) of m outputs, over {n} dims.

    Args:
        input: (N, C, *size) or (C, *size) with {n} spatial dims, floating.
        output_size: int or a tuple of {n}; None keeps a size.

    >>> import tritorch as torch
    >>> torch.nn.functional.adaptive_avg_pool{n}d(torch.ones(1, 2, {", ".join(["7"] * n)}), 3).shape
    torch.Size([1, 2, {", ".join(["3"] * n)}])
    """
    return pool


def _at(x: Tensor, index: Tensor) -> Tensor:
    """The elements of the flat images that `index` names."""
    return x.flatten(2).gather(2, index.flatten(2)).reshape(index.shape)


def _adaptive_max(n: int) -> tuple[Callable, Callable]:
    op = f"adaptive_max_pool{n}d"

    def both(input: Any, output_size: Any, indices: bool) -> Any:
        x, out = _adaptive(op, input, output_size, n)
        size = x._a.shape[2:]
        if all(m and s % m == 0 for s, m in zip(size, out, strict=True)):
            step = tuple(s // m for s, m in zip(size, out, strict=True))
            params = (step, step, (0,) * n, (1,) * n, out)
            y = _unbatch(input, _max_pool(x, *params), n)
            return (y, _unbatch(input, _max_pool_indices(x, *params), n)) if indices else y
        index = _adaptive_max_pool_indices(x, out)
        y = _unbatch(input, _at(x, index), n)
        return (y, _unbatch(input, index, n)) if indices else y

    def pool(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        return both(input, output_size, return_indices)

    def with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> tuple[Tensor, Tensor]:
        return both(input, output_size, True)

    pool.__doc__ = f"""Maxima of the windows floor(i n / m) ... ceil((i + 1) n / m) of m outputs, over {n} dims.

    Args:
        input: (N, C, *size) or (C, *size) with {n} spatial dims, floating.
        output_size: int or a tuple of {n}; None keeps a size.
        return_indices: also give the positions in the flat image, int64.

    >>> import tritorch as torch
    >>> torch.nn.functional.adaptive_max_pool{n}d(torch.ones(1, 2, {", ".join(["7"] * n)}), 3).shape
    torch.Size([1, 2, {", ".join(["3"] * n)}])
    """
    with_indices.__doc__ = f"`adaptive_max_pool{n}d` with its indices."
    return pool, with_indices


# -------------------------------------------------------------------------------------------- unpooling, fractional


def _unpool(n: int) -> Callable:
    op = f"max_unpool{n}d"

    def pool(
        input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
    ) -> Tensor:
        x = _batch(op, input, n)
        if not isinstance(indices, Tensor) or indices.dtype.name != "int64":
            raise RuntimeError(message(op, "elements in indices should be type int64", indices=indices))
        if indices._a.shape != input._a.shape:
            raise RuntimeError(message(op, "indices and input must have the same shape", input=input, indices=indices))
        kernel = _ints(op, "kernel_size", kernel_size, n, 1)
        stride = kernel if stride is None else _ints(op, "stride", stride, n, 1)
        padding = _ints(op, "padding", padding, n, 0)
        size = tuple(
            (m - 1) * s - 2 * p + k for m, s, p, k in zip(x._a.shape[2:], stride, padding, kernel, strict=True)
        )
        if output_size is not None:
            wanted = tuple(output_size)[-n:]
            if len(tuple(output_size)) not in (n, n + 1, n + 2):
                raise ValueError(f"{op}: output_size should have {n} or {n + 2} elements; got {output_size}")
            for w, d, s in zip(wanted, size, stride, strict=True):
                if not d - s < w < d + s:
                    raise ValueError(f"{op}: invalid output_size {wanted}: each must be within one stride of {size}")
            size = tuple(int(w) for w in wanted)
        places = indices if input._a.ndim == n + 2 else indices.unsqueeze(0)
        total = math.prod(size)
        if places._a.size and not 0 <= int(places.min()) <= int(places.max()) < total:
            raise RuntimeError(message(op, f"found an invalid index: they must be in [0, {total - 1}]", size=size))
        return _unbatch(input, _max_unpool(x, places, size), n)

    pool.__doc__ = f"""Zeros, but `input` at the places that `max_pool{n}d` took it from.

    Args:
        input: (N, C, *size) or (C, *size) with {n} spatial dims.
        indices: int64, of input's shape, from max_pool{n}d(..., return_indices=True).
        kernel_size, stride, padding: of that pooling.
        output_size: the size before it; default (size - 1) stride - 2 padding + kernel_size.

    Raises:
        RuntimeError: an index lies outside, or shapes differ.

    >>> import tritorch as torch
    >>> x = torch.ones(1, 1, {", ".join(["4"] * n)})
    >>> y, i = torch.nn.functional.max_pool{n}d(x, 2, return_indices=True)
    >>> torch.nn.functional.max_unpool{n}d(y, i, 2).sum()
    tensor({2**n}.)
    """
    return pool


def _fractional(n: int) -> tuple[Callable, Callable]:
    op = f"fractional_max_pool{n}d"

    def both(
        input: Any, kernel_size: Any, output_size: Any, output_ratio: Any, random_samples: Any, indices: bool
    ) -> Any:
        x = _batch(op, input, n, floating=True)
        kernel = _ints(op, "kernel_size", kernel_size, n, 1)
        if output_size is None and output_ratio is None:
            raise ValueError(f"{op}: one of output_size and output_ratio must be given; got None and None")
        if output_size is None:
            ratios = (output_ratio,) * n if isinstance(output_ratio, (int, float)) else tuple(output_ratio)
            if not all(0 < r < 1 for r in ratios):
                raise ValueError(f"{op}: output_ratio must be between 0 and 1; got {output_ratio}")
            output_size = tuple(int(s * r) for s, r in zip(x._a.shape[2:], ratios, strict=True))
        out = _ints(op, "output_size", output_size, n, 1)
        for s, k, m in zip(x._a.shape[2:], kernel, out, strict=True):
            if m + k - 1 > s:
                rule = f"kernel_size {kernel} is too large relative to the input: output_size {out}"
                raise RuntimeError(message(op, rule, input=input))
        if random_samples is None:
            from ... import rand

            random_samples = rand(x._a.shape[0], x._a.shape[1], n, dtype=x.dtype, device=x.device)
        elif random_samples._a.shape != (*x._a.shape[:2], n):
            rule = f"_random_samples must have the shape {(*x._a.shape[:2], n)}"
            raise RuntimeError(message(op, rule, _random_samples=random_samples, input=input))
        index = _fractional_max_pool_indices(x.detach(), random_samples, kernel, out)
        y = _unbatch(input, _at(x, index), n)
        return (y, _unbatch(input, index, n)) if indices else y

    def pool(
        input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Tensor | None = None,
    ) -> Any:  # fmt: skip
        return both(input, kernel_size, output_size, output_ratio, _random_samples, return_indices)

    def with_indices(
        input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        return both(input, kernel_size, output_size, output_ratio, _random_samples, True)

    pool.__doc__ = f"""Maxima of windows whose starts are drawn at random, over {n} dims (arXiv 1412.6071).

    Args:
        input: (N, C, *size) or (C, *size) with {n} spatial dims, floating.
        kernel_size: int or a tuple of {n}.
        output_size: int or a tuple of {n}; or
        output_ratio: the output's size as a part of the input's, between 0 and 1.
        return_indices: also give the positions in the flat image, int64.

    >>> import tritorch as torch
    >>> torch.nn.functional.fractional_max_pool{n}d(torch.ones(1, 2, {", ".join(["9"] * n)}), 2, output_size=5).shape
    torch.Size([1, 2, {", ".join(["5"] * n)}])
    """
    with_indices.__doc__ = f"`fractional_max_pool{n}d` with its indices."
    return pool, with_indices


def _named(name: str, f: Callable[..., Any]) -> Callable[..., Any]:
    f.__name__ = f.__qualname__ = name
    return f


def _pair(
    name: str, pair: tuple[Callable[..., Any], Callable[..., Any]]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return _named(name, pair[0]), _named(f"{name}_with_indices", pair[1])


max_pool1d, max_pool1d_with_indices = _pair("max_pool1d", _max(1))
max_pool2d, max_pool2d_with_indices = _pair("max_pool2d", _max(2))
max_pool3d, max_pool3d_with_indices = _pair("max_pool3d", _max(3))
adaptive_max_pool1d, adaptive_max_pool1d_with_indices = _pair("adaptive_max_pool1d", _adaptive_max(1))
adaptive_max_pool2d, adaptive_max_pool2d_with_indices = _pair("adaptive_max_pool2d", _adaptive_max(2))
adaptive_max_pool3d, adaptive_max_pool3d_with_indices = _pair("adaptive_max_pool3d", _adaptive_max(3))
fractional_max_pool2d, fractional_max_pool2d_with_indices = _pair("fractional_max_pool2d", _fractional(2))
fractional_max_pool3d, fractional_max_pool3d_with_indices = _pair("fractional_max_pool3d", _fractional(3))
avg_pool1d = _named("avg_pool1d", _avg(1))
avg_pool2d = with_out(_named("avg_pool2d", _avg(2)))
avg_pool3d = with_out(_named("avg_pool3d", _avg(3)))
lp_pool1d = _named("lp_pool1d", _lp(1))
lp_pool2d = _named("lp_pool2d", _lp(2))
lp_pool3d = _named("lp_pool3d", _lp(3))
adaptive_avg_pool1d = _named("adaptive_avg_pool1d", _adaptive_avg(1))
adaptive_avg_pool2d = _named("adaptive_avg_pool2d", _adaptive_avg(2))
adaptive_avg_pool3d = _named("adaptive_avg_pool3d", _adaptive_avg(3))
max_unpool1d = _named("max_unpool1d", _unpool(1))
max_unpool2d = _named("max_unpool2d", _unpool(2))
max_unpool3d = _named("max_unpool3d", _unpool(3))
