"""Triton kernels over windows of images: pooling, its gradients, im2col and col2im.

All work on three spatial dims (missing ones have size 1), on contiguous planes (image and channel merged). A forward
program makes BLOCK outputs and walks over the taps of their windows; a backward program makes BLOCK input pixels and
walks over the windows that cover them (a gather: no atomics, equal bits in each run).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ._configs import SMALL, next_power_of_2
from ._launch import empty, kernel, launch
from ._op import Array
from ._places import spatial_place

if TYPE_CHECKING:
    import triton.language as tl

Ints = tuple[int, ...]


@kernel
def _pool(
    x_ptr, y_ptr, total, id_, ih, iw, od, oh, ow, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw, divisor,
    KIND: tl.constexpr, F64: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """y (planes, od, oh, ow) from x (planes, id_, ih, iw); `total` outputs, BLOCK a program.

    KIND: "max", "argmax" (int64 places in the flat plane), "valid" (sum over the elements in range), "padded" (sum over
    those in range of the padding), "divided" (sum / divisor).
    """
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < total
    o, p, q, plane = spatial_place(i, od, oh, ow)
    base = x_ptr + plane * id_ * ih * iw
    d0 = o * sd - pd
    h0 = p * sh - ph
    w0 = q * sw - pw
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    if KIND == "max" or KIND == "argmax":
        acc = tl.full((BLOCK,), float("-inf"), ACC)
    else:
        acc = tl.zeros((BLOCK,), ACC)
    place = tl.full((BLOCK,), -1, tl.int64)
    for t in range(0, kd * kh * kw):
        rw = t % kw
        rest_t = t // kw
        rh = rest_t % kh
        rd = rest_t // kh
        ds = d0 + rd * dd
        hs = h0 + rh * dh
        ws = w0 + rw * dw
        inside = live & (ds >= 0) & (ds < id_) & (hs >= 0) & (hs < ih) & (ws >= 0) & (ws < iw)
        at = (ds.to(tl.int64) * ih + hs) * iw + ws
        v = tl.load(base + at, mask=inside, other=0).to(ACC)
        if KIND == "max" or KIND == "argmax":
            better = inside & ((v > acc) | (v != v) | (place < 0))
            acc = tl.where(better, v, acc)
            place = tl.where(better, at, place)
        else:
            acc += v
    if KIND == "argmax":
        tl.store(y_ptr + i, place, mask=live)
    else:
        if KIND == "divided":
            acc = acc / divisor
        elif KIND == "valid":
            n = tl.minimum(d0 + kd, id_) - tl.maximum(d0, 0)
            n = n * (tl.minimum(h0 + kh, ih) - tl.maximum(h0, 0))
            acc = acc / (n * (tl.minimum(w0 + kw, iw) - tl.maximum(w0, 0))).to(ACC)
        elif KIND == "padded":
            n = tl.minimum(kd, id_ + pd - d0) * tl.minimum(kh, ih + ph - h0)
            acc = acc / (n * tl.minimum(kw, iw + pw - w0)).to(ACC)
        tl.store(y_ptr + i, acc.to(y_ptr.dtype.element_ty), mask=live)


@kernel
def _pool_back(
    g_ptr, index_ptr, gx_ptr, total, id_, ih, iw, od, oh, ow, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw, divisor,
    KIND: tl.constexpr, F64: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """gx (planes, id_, ih, iw): for each of `total` pixels the sum over the windows that cover it.

    KIND "max": g where index names the pixel; "valid", "padded", "divided": g / the window's divisor (see `_pool`);
    "columns": g (planes, taps, od, oh, ow), each tap's own element.
    """
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < total
    d, h, w, plane = spatial_place(i, id_, ih, iw)
    here = i - plane * id_ * ih * iw
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    acc = tl.zeros((BLOCK,), ACC)
    for t in range(0, kd * kh * kw):
        rw = t % kw
        rest_t = t // kw
        rh = rest_t % kh
        rd = rest_t // kh
        ds = d + pd - rd * dd
        hs = h + ph - rh * dh
        ws = w + pw - rw * dw
        o = ds // sd
        p = hs // sh
        q = ws // sw
        inside = live & (ds >= 0) & (hs >= 0) & (ws >= 0) & (o < od) & (p < oh) & (q < ow)
        inside = inside & (o * sd == ds) & (p * sh == hs) & (q * sw == ws)
        if KIND == "columns":
            at = ((plane * (kd * kh * kw) + t) * od + o) * oh + p
        else:
            at = (plane * od + o) * oh + p
        at = at * ow + q
        v = tl.load(g_ptr + at, mask=inside, other=0).to(ACC)
        if KIND == "max":
            named = tl.load(index_ptr + at, mask=inside, other=-1)
            v = tl.where(inside & (named == here), v, 0.0)
        elif KIND == "divided":
            v = v / divisor
        elif KIND == "valid":
            d0 = o * sd - pd
            h0 = p * sh - ph
            w0 = q * sw - pw
            n = tl.minimum(d0 + kd, id_) - tl.maximum(d0, 0)
            n = n * (tl.minimum(h0 + kh, ih) - tl.maximum(h0, 0))
            n = n * (tl.minimum(w0 + kw, iw) - tl.maximum(w0, 0))
            v = v / tl.where(inside, n, 1).to(ACC)
        elif KIND == "padded":
            n = tl.minimum(kd, id_ + 2 * pd - o * sd) * tl.minimum(kh, ih + 2 * ph - p * sh)
            n = n * tl.minimum(kw, iw + 2 * pw - q * sw)
            v = v / tl.where(inside, n, 1).to(ACC)
        acc += v
    tl.store(gx_ptr + i, acc.to(gx_ptr.dtype.element_ty), mask=live)


@kernel
def _im2col(
    x_ptr, y_ptr, total, id_, ih, iw, od, oh, ow, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw, BLOCK: tl.constexpr
):
    """y (planes, taps, od, oh, ow) from x (planes, id_, ih, iw): each tap of each window, zero in the padding."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < total
    o, p, q, rest = spatial_place(i, od, oh, ow)
    t = (rest % (kd * kh * kw)).to(tl.int32)
    plane = rest // (kd * kh * kw)
    rest_t = t // kw
    ds = o * sd - pd + rest_t // kh * dd
    hs = p * sh - ph + rest_t % kh * dh
    ws = q * sw - pw + t % kw * dw
    inside = live & (ds >= 0) & (ds < id_) & (hs >= 0) & (hs < ih) & (ws >= 0) & (ws < iw)
    at = ((plane * id_ + ds) * ih + hs) * iw + ws
    tl.store(y_ptr + i, tl.load(x_ptr + at, mask=inside, other=0), mask=live)


@kernel
def _adaptive_argmax(x_ptr, y_ptr, total, id_, ih, iw, od, oh, ow, kd, kh, kw, F64: tl.constexpr, BLOCK: tl.constexpr):
    """y (planes, od, oh, ow), int64: the largest element of window floor(i n / m) ... ceil((i + 1) n / m) - 1 of x.

    kd, kh, kw: the longest window per dim.
    """
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < total
    q = i % ow
    rest = i // ow
    p = rest % oh
    rest = rest // oh
    o = rest % od
    base = x_ptr + rest // od * id_ * ih * iw
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    best = tl.full((BLOCK,), float("-inf"), ACC)
    place = tl.full((BLOCK,), -1, tl.int64)
    for t in range(0, kd * kh * kw):
        rest_t = t // kw
        ds = o * id_ // od + rest_t // kh
        hs = p * ih // oh + rest_t % kh
        ws = q * iw // ow + t % kw
        inside = live & (ds < ((o + 1) * id_ + od - 1) // od) & (hs < ((p + 1) * ih + oh - 1) // oh)
        inside = inside & (ws < ((q + 1) * iw + ow - 1) // ow)
        at = (ds * ih + hs) * iw + ws
        v = tl.load(base + at, mask=inside, other=0).to(ACC)
        better = inside & ((v > best) | (v != v) | (place < 0))
        best = tl.where(better, v, best)
        place = tl.where(better, at, place)
    tl.store(y_ptr + i, place, mask=live)


@kernel
def _drawn_start(u, i, n, m, k):
    """Start of window i of m windows of k elements over n that the draw u places (`adaptive_pool.fractional_starts`)."""
    span = tl.zeros_like(u) + (n - k)
    if u.dtype == tl.float32:
        alpha = tl.div_rn(span, tl.zeros_like(u) + (m - 1))
    else:
        alpha = span / (m - 1)
    start = ((i.to(u.dtype) + u) * alpha).to(tl.int64) - (u * alpha).to(tl.int64)
    return tl.where(i == m - 1, n - k, start)


@kernel
def _fractional_argmax(
    x_ptr, u_ptr, y_ptr, total, id_, ih, iw, od, oh, ow, kd, kh, kw, DIMS: tl.constexpr, F64: tl.constexpr,
    U64: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """y (planes, od, oh, ow), int64: the largest element of windows (kd, kh, kw) of x placed by u (planes, DIMS).

    In two dims the first draw is the width's. The last window along a dim ends with x.
    """
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < total
    q = i % ow
    rest = i // ow
    p = rest % oh
    rest = rest // oh
    o = rest % od
    plane = rest // od
    base = x_ptr + plane * id_ * ih * iw
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    DRAW: tl.constexpr = tl.float64 if U64 else tl.float32
    u_w = tl.load(u_ptr + plane * DIMS + (2 if DIMS == 3 else 0), mask=live, other=0).to(DRAW)
    ws = _drawn_start(u_w, q, iw, ow, kw)
    hs = tl.zeros_like(ws)
    ds = tl.zeros_like(ws)
    if DIMS > 1:
        hs = _drawn_start(tl.load(u_ptr + plane * DIMS + 1, mask=live, other=0).to(DRAW), p, ih, oh, kh)
    if DIMS > 2:
        ds = _drawn_start(tl.load(u_ptr + plane * DIMS, mask=live, other=0).to(DRAW), o, id_, od, kd)
    best = tl.full((BLOCK,), float("-inf"), ACC)
    place = tl.full((BLOCK,), -1, tl.int64)
    for t in range(0, kd * kh * kw):
        rest_t = t // kw
        at = ((ds + rest_t // kh) * ih + hs + rest_t % kh) * iw + ws + t % kw
        v = tl.load(base + at, mask=live, other=0).to(ACC)
        better = (v > best) | (v != v) | (place < 0)
        best = tl.where(better, v, best)
        place = tl.where(better, at, place)
    tl.store(y_ptr + i, place, mask=live)


@kernel
def _place(x_ptr, index_ptr, y_ptr, total, n, size, BLOCK: tl.constexpr):
    """y[plane, index[plane, i]] = x[plane, i] for `total` elements, n a plane; y (planes, size)."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < total
    at = i // n * size + tl.load(index_ptr + i, mask=live, other=0)
    tl.store(y_ptr + at, tl.load(x_ptr + i, mask=live, other=0), mask=live)


@kernel
def _take(y_ptr, index_ptr, x_ptr, total, n, size, BLOCK: tl.constexpr):
    """x[plane, i] = y[plane, index[plane, i]]: the adjoint of `_place`."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < total
    at = i // n * size + tl.load(index_ptr + i, mask=live, other=0)
    tl.store(x_ptr + i, tl.load(y_ptr + at, mask=live, other=0), mask=live)


# --------------------------------------------------------------------------------------------------- the launches


def _three(values: Ints, fill: int) -> Ints:
    return (fill,) * (3 - len(values)) + tuple(values)


def _sizes(size: Ints, out: Ints, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints) -> list[int]:
    groups = (size, 1), (out, 1), (kernel_size, 1), (stride, 1), (padding, 0), (dilation, 1)
    return [v for values, fill in groups for v in _three(values, fill)]


def _dense(x: Array) -> Array:
    from ._gemm import _copied

    return x if x.flags.c_contiguous else _copied(x)


def _grid(total: int) -> tuple[tuple[int], int]:
    block = min(next_power_of_2(total), 8192) if SMALL else 256
    return (-(-total // block),), block


def _f64(x: Array) -> bool:
    return x.dtype.itemsize == 8


def _check(op: str, x: Array) -> None:
    if x.dtype.kind in "iubc":
        raise NotImplementedError(f"{op}: has no Triton kernel for {x.dtype}; move its inputs to cpu")


def pool(
    op: str,
    kind: str,
    x: Array,
    kernel_size: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    out: Ints,
    divisor: int = 0,
) -> Array:
    """Forward of max_pool ("max"), max_pool_indices ("argmax") and avg_pool ("valid", "padded", "divided")."""
    _check(op, x)
    y = empty((*x.shape[:2], *out), np.dtype(np.int64) if kind == "argmax" else x.dtype)
    if y.size:
        grid, block = _grid(y.size)
        sizes = _sizes(x.shape[2:], out, kernel_size, stride, padding, dilation)
        launch(_pool, grid, _dense(x), y, y.size, *sizes, divisor, KIND=kind, F64=_f64(x), BLOCK=block, num_warps=4)
    return y


def pool_back(
    op: str, kind: str, g: Array, index: Array | None, size: Ints, kernel_size: Ints, stride: Ints, padding: Ints,
    dilation: Ints, divisor: int = 0,
) -> Array:  # fmt: skip
    """Backward of the same; `size` is the input's."""
    _check(op, g)
    gx = empty((*g.shape[:2], *size), g.dtype)
    if gx.size:
        grid, block = _grid(gx.size)
        sizes = _sizes(size, g.shape[2:], kernel_size, stride, padding, dilation)
        launch(
            _pool_back, grid, _dense(g), index, gx, gx.size, *sizes, divisor,
            KIND=kind, F64=_f64(g), BLOCK=block, num_warps=4,
        )  # fmt: skip
    return gx


def average_kind(include_pad: bool, divisor: int) -> str:
    """The KIND of `_pool` for avg_pool's parameters."""
    return "divided" if divisor else "padded" if include_pad else "valid"


def columns(x: Array, out: Ints, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Array:
    """The op `im2col`."""
    taps = math.prod(kernel_size)
    y = empty((x.shape[0], x.shape[1] * taps, math.prod(out)), x.dtype)
    if y.size:
        grid, block = _grid(y.size)
        sizes = _sizes(x.shape[2:], out, kernel_size, stride, padding, dilation)
        launch(_im2col, grid, _dense(x), y, y.size, *sizes, BLOCK=block, num_warps=4)
    return y


def images(y: Array, size: Ints, out: Ints, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Array:
    """The op `col2im`."""
    _check("col2im", y)
    x = empty((y.shape[0], y.shape[1] // math.prod(kernel_size), *size), y.dtype)
    if x.size:
        grid, block = _grid(x.size)
        sizes = _sizes(size, out, kernel_size, stride, padding, dilation)
        launch(
            _pool_back, grid, _dense(y), None, x, x.size, *sizes, 0,
            KIND="columns", F64=_f64(y), BLOCK=block, num_warps=4,
        )  # fmt: skip
    return x


def adaptive_argmax(x: Array, out: Ints, longest: Ints) -> Array:
    """The op `adaptive_max_pool_indices`; `longest`: the longest window per dim."""
    _check("adaptive_max_pool", x)
    y = empty((*x.shape[:2], *out), np.dtype(np.int64))
    if y.size:
        grid, block = _grid(y.size)
        sizes = [v for values in (x.shape[2:], out, longest) for v in _three(values, 1)]
        launch(_adaptive_argmax, grid, _dense(x), y, y.size, *sizes, F64=_f64(x), BLOCK=block, num_warps=4)
    return y


def fractional_argmax(x: Array, u: Array, kernel_size: Ints, out: Ints) -> Array:
    """The op `fractional_max_pool_indices`."""
    _check("fractional_max_pool", x)
    y = empty((*x.shape[:2], *out), np.dtype(np.int64))
    if y.size:
        grid, block = _grid(y.size)
        sizes = [v for values in (x.shape[2:], out, kernel_size) for v in _three(values, 1)]
        launch(
            _fractional_argmax, grid, _dense(x), _dense(u), y, y.size, *sizes,
            DIMS=len(out), F64=_f64(x), U64=_f64(u), BLOCK=block, num_warps=4,
        )  # fmt: skip
    return y


def place(x: Array, index: Array, size: Ints) -> Array:
    """The op `max_unpool`."""
    from ._pointwise import fill

    y = empty((*x.shape[:2], *size), x.dtype)
    if y.size:
        fill(y, 0)
    if x.size:
        grid, block = _grid(x.size)
        launch(
            _place, grid, _dense(x), _dense(index), y, x.size, math.prod(x.shape[2:]), math.prod(size),
            BLOCK=block, num_warps=4,
        )  # fmt: skip
    return y


def take(y: Array, index: Array, shape: Ints) -> Array:
    """The gradient of `place`; `shape` is the index's."""
    x = empty(shape, y.dtype)
    if x.size:
        grid, block = _grid(x.size)
        sizes = math.prod(shape[2:]), math.prod(y.shape[2:])
        launch(_take, grid, _dense(y), _dense(index), x, x.size, *sizes, BLOCK=block, num_warps=4)
    return x


def AOT() -> list[Any]:  # noqa: N802 - the name that the report looks for
    """Pooling forward and backward, for `tritorch.kernels.report`."""
    window = ((3, 3), (2, 2), (1, 1), (1, 1))

    def both(kind: str, dtype: str):
        def run(array):
            x, g = array((32, 64, 56, 56), dtype), array((32, 64, 28, 28), dtype)
            pool("pool", kind, x, *window, (28, 28))
            pool_back("pool", kind, g, array((32, 64, 28, 28), "i64"), (56, 56), *window)

        return f"{kind} {dtype} 32x64x56x56", run

    def indices(array):
        x = array((32, 64, 56, 56), "bf16")
        index = pool("pool", "argmax", x, *window, (28, 28))
        take(place(array((32, 64, 28, 28), "bf16"), index, (56, 56)), index, index.shape)
        adaptive_argmax(x, (7, 6), (8, 10))
        fractional_argmax(x, array((32, 64, 2), "bf16"), (2, 2), (40, 39))

    def unfolded(array):
        y = columns(array((32, 64, 56, 56), "bf16"), (28, 28), *window)
        images(y, (56, 56), (28, 28), *window)

    return [
        *(both(kind, dtype) for kind in ("max", "valid", "padded") for dtype in ("bf16", "fp32", "fp64")),
        ("indices", indices),
        ("im2col, col2im", unfolded),
    ]
