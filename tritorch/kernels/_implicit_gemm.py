"""Convolution on the GPU as a matrix product whose left operand is never written down.

A row of the product is an output pixel, a column an output channel, the sum runs over taps of the kernel and input
channels. All three directions follow one rule per spatial dim, `source = index * step + shift(tap)`, in range or zero:

    forward         index: output, step = stride, shift(r) = r dilation - padding
    input gradient  one launch per residue class of the stride: index: input pixels a + stride * index, source: output,
                    step = 1; the taps that reach the class are r0, r0 + rs, ..., and shift falls evenly with them,
                    so no product with an inserted zero is ever made
    weight gradient rows are output channels, columns tap and input channel, the sum runs over output pixels; it is cut
                    into splits that go to a float32 workspace and are added in a fixed order

Images with many channels are copied to channels-last order first: then the loads run along the channels.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._configs import SMALL, next_power_of_2
from ._depthwise import _depthwise
from ._gemm import _add_splits, _copied, fitting_stages, gemm_kind, get_float32_precision, set_float32_precision
from ._launch import empty, kernel, launch
from ._op import Array
from ._places import spatial_place

if TYPE_CHECKING:
    import triton.language as tl

Ints = tuple[int, ...]


@kernel
def _conv(
    x_ptr, w_ptr, b_ptr, y_ptr, pixels, k, c, od, oh, ow, sd, sh, sw, td, th, tw,
    step_d, step_h, step_w, shift_d, shift_h, shift_w, per_d, per_h, per_w,
    stride_xn, stride_xc, stride_xd, stride_xh, stride_xw, stride_wk, stride_wc, stride_wd, stride_wh, stride_ww,
    stride_yn, stride_yk, stride_yd, stride_yh, stride_yw,
    KIND: tl.constexpr, PRECISION: tl.constexpr, HAS_BIAS: tl.constexpr, FLAT: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """y (images, groups * k, od, oh, ow) from x (images, groups * c, sd, sh, sw) and w (groups * k, c, td, th, tw).

    All operands through strides in elements. `pixels` = images * od * oh * ow. Per dim: source = output * step + shift
    + tap * per. Program (t, g) makes BLOCK_M pixels of BLOCK_N channels of group g. The sum runs over blocks of BLOCK_K
    channels of one tap, or, FLAT, over blocks of (tap, channel) pairs, which suits few channels. bias (groups * k,).
    """
    tiles_n = (k + BLOCK_N - 1) // BLOCK_N
    t = tl.program_id(0)
    pm = t // tiles_n
    pn = t - pm * tiles_n
    group = tl.program_id(1).to(tl.int64)
    rm = pm.to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    rn = pn * BLOCK_N + tl.arange(0, BLOCK_N)
    rk = tl.arange(0, BLOCK_K)
    in_m = rm < pixels
    in_n = rn < k
    o, p, q, n = spatial_place(rm, od, oh, ow)
    d0 = o * step_d + shift_d
    h0 = p * step_h + shift_h
    w0 = q * step_w + shift_w
    x_rows = x_ptr + group * c * stride_xc + n * stride_xn
    w_cols = w_ptr + (group * k + rn) * stride_wk
    if KIND == "f64" or KIND == "f64 sum":
        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float64)
    else:
        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    if FLAT:
        total = td * th * tw * c
        for i in range(0, total, BLOCK_K):
            kk = i + rk
            tap = kk // c
            ch = kk - tap * c
            rw = tap % tw
            rest_t = tap // tw
            rh = rest_t % th
            rd = rest_t // th
            ds = d0[:, None] + (rd * per_d)[None, :]
            hs = h0[:, None] + (rh * per_h)[None, :]
            ws = w0[:, None] + (rw * per_w)[None, :]
            inside = in_m[:, None] & (kk < total)[None, :] & (ds >= 0) & (ds < sd) & (hs >= 0) & (hs < sh)
            inside = inside & (ws >= 0) & (ws < sw)
            at = ds.to(tl.int64) * stride_xd + hs.to(tl.int64) * stride_xh + ws.to(tl.int64) * stride_xw
            a = tl.load(x_rows[:, None] + at + (ch * stride_xc)[None, :], mask=inside, other=0)
            at_w = ch * stride_wc + rd * stride_wd + rh * stride_wh + rw * stride_ww
            b = tl.load(w_cols[None, :] + at_w[:, None], mask=in_n[None, :] & (kk < total)[:, None], other=0)
            if KIND == "f64 sum":
                acc += tl.sum(a[:, :, None] * b[None, :, :], 1)
            elif KIND == "f64":
                acc = tl.dot(a, b, acc, out_dtype=tl.float64)
            else:
                acc = tl.dot(a, b, acc, input_precision=PRECISION)
    else:
        blocks = (c + BLOCK_K - 1) // BLOCK_K
        for i in range(0, td * th * tw * blocks):
            tap = i // blocks
            ch = (i - tap * blocks) * BLOCK_K + rk
            rw = tap % tw
            rest_t = tap // tw
            rh = rest_t % th
            rd = rest_t // th
            ds = d0 + rd * per_d
            hs = h0 + rh * per_h
            ws = w0 + rw * per_w
            inside = in_m & (ds >= 0) & (ds < sd) & (hs >= 0) & (hs < sh) & (ws >= 0) & (ws < sw)
            at = ds.to(tl.int64) * stride_xd + hs.to(tl.int64) * stride_xh + ws.to(tl.int64) * stride_xw
            a_ptrs = (x_rows + at)[:, None] + (ch * stride_xc)[None, :]
            a = tl.load(a_ptrs, mask=inside[:, None] & (ch < c)[None, :], other=0)
            at_w = rd * stride_wd + rh * stride_wh + rw * stride_ww
            b_ptrs = (w_cols + at_w)[None, :] + (ch * stride_wc)[:, None]
            b = tl.load(b_ptrs, mask=in_n[None, :] & (ch < c)[:, None], other=0)
            if KIND == "f64 sum":
                acc += tl.sum(a[:, :, None] * b[None, :, :], 1)
            elif KIND == "f64":
                acc = tl.dot(a, b, acc, out_dtype=tl.float64)
            else:
                acc = tl.dot(a, b, acc, input_precision=PRECISION)
    if HAS_BIAS:
        acc += tl.load(b_ptr + group * k + rn, mask=in_n, other=0).to(acc.dtype)[None, :]
    y_rows = (
        y_ptr + n * stride_yn + o.to(tl.int64) * stride_yd + p.to(tl.int64) * stride_yh + q.to(tl.int64) * stride_yw
    )
    y_ptrs = y_rows[:, None] + ((group * k + rn) * stride_yk)[None, :]
    tl.store(y_ptrs, acc.to(y_ptr.dtype.element_ty), mask=in_m[:, None] & in_n[None, :])


@kernel
def _conv_weight(
    g_ptr, x_ptr, w_ptr, pixels, k, c, groups, part, od, oh, ow, sd, sh, sw, taps, th, tw,
    step_d, step_h, step_w, shift_d, shift_h, shift_w, per_d, per_h, per_w,
    stride_gn, stride_gk, stride_gd, stride_gh, stride_gw, stride_xn, stride_xc, stride_xd, stride_xh, stride_xw,
    KIND: tl.constexpr, PRECISION: tl.constexpr, FLAT: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """w (splits, groups, k, taps, c), contiguous: sums over part pixels of g (images, groups * k, od, oh, ow) times x.

    Program (t, g, s) makes BLOCK_M output channels times BLOCK_N columns of group g over split s: columns are channels
    of one tap, or, FLAT, (tap, channel) pairs. BLOCK_K pixels a step; part is a multiple of it.
    """
    tiles_m = (k + BLOCK_M - 1) // BLOCK_M
    t = tl.program_id(0)
    pn = t // tiles_m
    pm = t - pn * tiles_m
    group = tl.program_id(1).to(tl.int64)
    split = tl.program_id(2).to(tl.int64)
    rm = pm * BLOCK_M + tl.arange(0, BLOCK_M)
    in_m = rm < k
    if FLAT:
        column = pn * BLOCK_N + tl.arange(0, BLOCK_N)
        tap = column // c
        ch = column - tap * c
        in_n = column < taps * c
    else:
        blocks = (c + BLOCK_N - 1) // BLOCK_N
        tap = pn // blocks
        ch = (pn - tap * blocks) * BLOCK_N + tl.arange(0, BLOCK_N)
        column = tap * c + ch
        in_n = ch < c
    rw = tap % tw
    rest_t = tap // tw
    rh = rest_t % th
    rd = rest_t // th
    if KIND == "f64" or KIND == "f64 sum":
        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float64)
    else:
        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    start = split * part
    count = tl.minimum(pixels - start, part).to(tl.int32)
    for i in range(0, count, BLOCK_K):
        rk = i + tl.arange(0, BLOCK_K)
        in_k = rk < count
        pixel = start + rk
        o, p, q, n = spatial_place(pixel, od, oh, ow)
        at_g = n * stride_gn + o.to(tl.int64) * stride_gd + p.to(tl.int64) * stride_gh + q.to(tl.int64) * stride_gw
        a_ptrs = g_ptr + ((group * k + rm) * stride_gk)[:, None] + at_g[None, :]
        a = tl.load(a_ptrs, mask=in_m[:, None] & in_k[None, :], other=0)
        d0 = o * step_d + shift_d
        h0 = p * step_h + shift_h
        w0 = q * step_w + shift_w
        if FLAT:
            ds = d0[:, None] + (rd * per_d)[None, :]
            hs = h0[:, None] + (rh * per_h)[None, :]
            ws = w0[:, None] + (rw * per_w)[None, :]
            inside = (ds >= 0) & (ds < sd) & (hs >= 0) & (hs < sh) & (ws >= 0) & (ws < sw)
            at = (n * stride_xn)[:, None] + ds.to(tl.int64) * stride_xd + hs.to(tl.int64) * stride_xh
            at = at + ws.to(tl.int64) * stride_xw
            inside = inside & in_k[:, None] & in_n[None, :]
            b = tl.load(x_ptr + at + ((group * c + ch) * stride_xc)[None, :], mask=inside, other=0)
        else:
            ds = d0 + rd * per_d
            hs = h0 + rh * per_h
            ws = w0 + rw * per_w
            inside = in_k & (ds >= 0) & (ds < sd) & (hs >= 0) & (hs < sh) & (ws >= 0) & (ws < sw)
            at = n * stride_xn + ds.to(tl.int64) * stride_xd + hs.to(tl.int64) * stride_xh + ws.to(tl.int64) * stride_xw
            b_ptrs = x_ptr + at[:, None] + ((group * c + ch) * stride_xc)[None, :]
            b = tl.load(b_ptrs, mask=inside[:, None] & in_n[None, :], other=0)
        if KIND == "f64 sum":
            acc += tl.sum(a[:, :, None] * b[None, :, :], 1)
        elif KIND == "f64":
            acc = tl.dot(a, b, acc, out_dtype=tl.float64)
        else:
            acc = tl.dot(a, b, acc, input_precision=PRECISION)
    place = ((split * groups + group) * k + rm)[:, None] * (taps * c) + column[None, :]
    tl.store(w_ptr + place, acc.to(w_ptr.dtype.element_ty), mask=in_m[:, None] & in_n[None, :])


# -------------------------------------------------------------------------------------------------- the geometry


class Reach(NamedTuple):
    """One spatial dim: source = index * step + shift + tap * per; tap t of `taps` is the kernel's first + t * every."""

    outputs: int
    source: int
    step: int
    shift: int
    per: int
    taps: int
    first: int
    every: int


def forward_reach(n: int, m: int, k: int, s: int, p: int, d: int) -> Reach:
    """n inputs, m outputs."""
    return Reach(m, n, s, -p, d, k, 0, 1)


def class_reach(a: int, n: int, m: int, k: int, s: int, p: int, d: int) -> Reach:
    """The input pixels a, a + s, ... of n and the taps that reach them from m outputs."""
    hits = [r for r in range(k) if (a + p - r * d) % s == 0]
    every = s // math.gcd(s, d)
    first = hits[0] if hits else 0
    return Reach(-(-(n - a) // s), m, 1, (a + p - first * d) // s, -every * d // s, len(hits), first, every)


def _three(x: Array) -> Array:
    """(N, C, *size) with spatial dims of size 1 in front to make them three."""
    return x.reshape((*x.shape[:2], *(1,) * (5 - x.ndim), *x.shape[2:]))


def _reaches(found: list[Reach]) -> list[Reach]:
    return [Reach(1, 1, 1, 0, 0, 1, 0, 1)] * (3 - len(found)) + found


def _strides(x: Array) -> list[int]:
    return [s // x.dtype.itemsize for s in x.strides]


def _channels_last(x: Array) -> Array:
    """The same elements with the channels dense in memory, as a view of x's shape."""
    return _copied(x.transpose(0, 2, 3, 4, 1)).transpose(0, 4, 1, 2, 3)


def conv_tile(
    kind: str, rows: int, columns: int, flat: bool, precision: str, weight: bool = False
) -> tuple[int, int, int, int, int]:
    """(BLOCK_M, BLOCK_N, BLOCK_K, num_warps, num_stages) for `rows` x `columns` outputs.

    With FLAT each element of the tile has an address of its own, which takes registers: small tiles. So does exact
    float32, which runs without tensor cores. The sizes are those that compile without spills.
    """
    if SMALL:
        return min(max(next_power_of_2(rows), 16), 256), min(max(next_power_of_2(columns), 16), 64), 32, 4, 2
    narrow = max(16, min(64, next_power_of_2(columns)))
    if kind == "f64 sum":
        return 16, 16, 16, 4, 2
    if kind == "f64":
        return 32, min(narrow, 32), 16, 4, 2
    if kind == "f32" and precision != "tf32":
        return (32, min(narrow, 32), 16, 8, 2) if flat else (64, narrow, 16, 4, 2)
    if flat:
        return 64, narrow, 16 if kind == "f32" else 32, 8, 2
    block_n = max(16, min(128, next_power_of_2(columns)))
    block_k = 32
    block_m, warps = 128, 8
    if -(-rows // 128) * -(-columns // block_n) < 132 and not weight:
        block_m, block_n, warps = 64, narrow, 4
    return block_m, block_n, block_k, warps, fitting_stages(3, block_m, block_n, block_k, 4 if kind == "f32" else 2)


def _kind(op: str, dtype: np.dtype) -> str:
    if dtype.kind in "iub":
        raise NotImplementedError(f"{op}: has no Triton kernel for {dtype}; move its inputs to cpu")
    return gemm_kind(dtype)


def _run(x: Array, w: Array, b: Array | None, y: Array, reach: list[Reach], groups: int) -> None:
    """One launch of `_conv`; w (groups * k, c, *kernel) as seen by it, y the pixels to be written."""
    kind, precision = _kind("conv", x.dtype), get_float32_precision()
    k, c = y.shape[1] // groups, x.shape[1] // groups
    pixels = y.shape[0] * math.prod(r.outputs for r in reach)
    if not pixels or not k:
        return
    taps = [slice(r.first, r.first + (r.taps - 1) * r.every + 1, r.every) if r.taps else slice(0, 0) for r in reach]
    w = w[(slice(None), slice(None), *taps)]
    if c == 1:
        total = pixels * y.shape[1]
        block = min(next_power_of_2(total), 8192) if SMALL else 256
        launch(
            _depthwise, (-(-total // block),), x, w, b, y, total, k, y.shape[1],
            *(r.outputs for r in reach), *(r.source for r in reach), *(r.taps for r in reach), *(r.step for r in reach),
            *(r.shift for r in reach), *(r.per for r in reach), *_strides(x), _strides(w)[0], *_strides(w)[2:],
            *_strides(y), F64=kind.startswith("f64"), HAS_BIAS=b is not None, BLOCK=block, num_warps=4,
        )  # fmt: skip
        return
    flat = c < 16
    block_m, block_n, block_k, warps, stages = conv_tile(kind, pixels, k, flat, precision)
    launch(
        _conv, (-(-pixels // block_m) * -(-k // block_n), groups), x, w, b, y, pixels, k, c,
        *(r.outputs for r in reach), *(r.source for r in reach), *(r.taps for r in reach), *(r.step for r in reach),
        *(r.shift for r in reach), *(r.per for r in reach), *_strides(x), *_strides(w), *_strides(y),
        KIND=kind, PRECISION=precision if kind == "f32" else "ieee", HAS_BIAS=b is not None, FLAT=flat,
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, num_warps=warps, num_stages=stages,
    )  # fmt: skip


def _target(n: int, channels: int, size: Ints, per_group: int, dtype: np.dtype) -> Array:
    """Memory for an image batch (n, channels, *size): channels-last where a tile writes many channels at once."""
    if per_group < 16:
        return empty((n, channels, *size), dtype)
    return empty((n, *size, channels), dtype).transpose(0, 4, 1, 2, 3)


def conv_forward(
    x: Array, w: Array, b: Array | None, out: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int
) -> Array:
    """The op `conv` on device arrays."""
    size, kernel_size = x.shape[2:], w.shape[2:]
    reach = _reaches([forward_reach(*v) for v in zip(size, out, kernel_size, stride, padding, dilation, strict=True)])
    x, w = _three(x), _three(w)
    if w.shape[1] >= 16:
        x, w = _channels_last(x), _channels_last(w)
    y = _target(x.shape[0], w.shape[0], tuple(r.outputs for r in reach), w.shape[0] // groups, x.dtype)
    _run(x, w, b, y, reach, groups)
    return (y if y.flags.c_contiguous else _copied(y)).reshape((x.shape[0], w.shape[0], *out))


def conv_input_gradient(
    g: Array, w: Array, size: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int
) -> Array:
    """The op `conv_input_grad` on device arrays."""
    out, kernel_size = g.shape[2:], w.shape[2:]
    kg, cg = w.shape[0] // groups, w.shape[1]
    n = g.shape[0]
    lead = (1,) * (3 - len(size))
    stride3 = lead + tuple(stride)
    # as `_conv` sees it: channels of the sum are K, outputs are C; one transposed copy of the weights
    turned = w.reshape((groups, kg, cg, *kernel_size)).swapaxes(1, 2)
    turned = _three(_copied(turned).reshape((groups * cg, kg, *kernel_size)))
    g = _three(g)
    if kg >= 16:
        g, turned = _channels_last(g), _channels_last(turned)
    gx = _target(n, cg * groups, (*lead, *size), cg, g.dtype)
    geometry = list(zip(size, out, kernel_size, stride, padding, dilation, strict=True))
    for residue in itertools.product(*(range(min(s, m)) for s, m in zip(stride, size, strict=True))):
        reach = _reaches([class_reach(a, *v) for a, v in zip(residue, geometry, strict=True)])
        place = tuple(slice(a, None, s) for a, s in zip((*(0,) * len(lead), *residue), stride3, strict=True))
        _run(g, turned, None, gx[(slice(None), slice(None), *place)], reach, groups)
    return (gx if gx.flags.c_contiguous else _copied(gx)).reshape((n, cg * groups, *size))


def conv_weight_gradient(
    g: Array, x: Array, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int, splits: int = 0
) -> Array:
    """The op `conv_weight_grad` on device arrays; `splits` for tests."""
    kind, precision = _kind("conv_weight_grad", x.dtype), get_float32_precision()
    k, c = g.shape[1] // groups, x.shape[1] // groups
    out, size = g.shape[2:], x.shape[2:]
    reach = _reaches([forward_reach(*v) for v in zip(size, out, kernel_size, stride, padding, dilation, strict=True)])
    g, x = _three(g), _three(x)
    flat = c < 16
    if not flat:
        g, x = _channels_last(g), _channels_last(x)
    taps = math.prod(kernel_size)
    pixels = g.shape[0] * math.prod(out)
    block_m, block_n, block_k, warps, stages = conv_tile(kind, k, taps * c if flat else c, flat, precision, True)
    block_m = min(block_m, max(16, next_power_of_2(k)))
    columns = -(-taps * c // block_n) if flat else taps * -(-c // block_n)
    tiles = -(-k // block_m) * columns * groups
    if not splits:
        room = (64 << 20) // max(4 * groups * k * taps * c, 1)  # the workspace stays under 64 MiB
        wanted = 2 if SMALL else -(-264 // tiles)
        splits = max(1, min(wanted, room, pixels // (4 * block_k), 65535))
    part = -(-pixels // (splits * block_k)) * block_k
    splits = -(-pixels // part)
    work = np.dtype(np.float64 if kind.startswith("f64") else np.float32)
    sums = empty((splits, groups, k, taps, c), work)
    launch(
        _conv_weight, (-(-k // block_m) * columns, groups, splits), g, x, sums, pixels, k, c, groups, part,
        *(r.outputs for r in reach), *(r.source for r in reach), taps, reach[1].taps, reach[2].taps,
        *(r.step for r in reach), *(r.shift for r in reach), *(r.per for r in reach), *_strides(g), *_strides(x),
        KIND=kind, PRECISION=precision if kind == "f32" else "ieee", FLAT=flat,
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    total = groups * k * taps * c
    flat_w = empty((groups * k, taps, c), g.dtype)
    block = 16384 if SMALL else 1024
    launch(_add_splits, (-(-total // block),), sums, None, flat_w, total, 1, splits, HAS_BIAS=False, BLOCK=block)
    return _copied(flat_w.swapaxes(1, 2)).reshape((groups * k, c, *kernel_size))


def AOT() -> list:  # noqa: N802 - the name that the report looks for
    """All three directions with many and with few channels, for `tritorch.kernels.report`."""

    def case(
        dtype: str, channels: int, features: int, size: int, stride: int = 1, precision: str = "ieee", groups: int = 1
    ):
        def run(array):
            x, w = array((32, channels, size, size), dtype), array((features, channels // groups, 3, 3), dtype)
            out = (size - 1) // stride + 1
            g = array((32, features, out, out), dtype)
            geometry = ((stride, stride), (1, 1), (1, 1), groups)
            before = get_float32_precision()
            set_float32_precision(precision)
            try:
                conv_forward(x, w, array((features,), dtype), (out, out), *geometry)
                conv_input_gradient(g, w, (size, size), *geometry)
                conv_weight_gradient(g, x, (3, 3), *geometry)
            finally:
                set_float32_precision(before)

        title = f"{dtype} {precision} 32x{channels}x{size}x{size} to {features}, stride {stride}, groups {groups}"
        return title, run

    return [
        case("bf16", 64, 64, 32),
        case("bf16", 64, 128, 56, 2),
        case("bf16", 3, 64, 32),
        case("bf16", 256, 512, 14),
        case("fp32", 64, 64, 32),
        case("fp32", 3, 64, 32),
        case("fp32", 64, 128, 56, 2, "tf32"),
        case("fp32", 3, 64, 32, 1, "tf32"),
        case("fp64", 16, 16, 16),
        case("bf16", 64, 64, 32, 2, groups=64),
        case("fp32", 64, 64, 32, 1, groups=64),
    ]
