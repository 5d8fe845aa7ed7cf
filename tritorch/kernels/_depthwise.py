"""Convolution with one channel per group: no matrix product is worth its tiles here.

On NumPy the weight gradient is a dot product per tap and channel, of the gradient's row with the flat frame (see
`_columns.py`) at the tap's offset, without a copy. In Triton a program makes outputs of all images and channels in a
row and walks over the taps; its geometry is that of `_implicit_gemm.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ._columns import Plan, _Source, over_images
from ._launch import kernel
from ._places import spatial_place
from ._rows import vecdot

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _depthwise(
    x_ptr, w_ptr, b_ptr, y_ptr, total, many, features, od, oh, ow, sd, sh, sw, td, th, tw,
    step_d, step_h, step_w, shift_d, shift_h, shift_w, per_d, per_h, per_w,
    stride_xn, stride_xc, stride_xd, stride_xh, stride_xw, stride_wk, stride_wd, stride_wh, stride_ww,
    stride_yn, stride_yk, stride_yd, stride_yh, stride_yw,
    F64: tl.constexpr, HAS_BIAS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """y (images, features, od, oh, ow) from x (images, features / many, sd, sh, sw) and w (features, td, th, tw).

    `total` outputs, BLOCK a program, in y's logical order; all operands through strides. Per dim: source = output * step
    + shift + tap * per. bias (features,).
    """
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < total
    o, p, q, rest = spatial_place(i, od, oh, ow)
    k = rest % features
    n = rest // features
    base = x_ptr + n * stride_xn + k // many * stride_xc
    w_base = w_ptr + k * stride_wk
    d0 = o * step_d + shift_d
    h0 = p * step_h + shift_h
    w0 = q * step_w + shift_w
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    acc = tl.zeros((BLOCK,), ACC)
    for t in range(0, td * th * tw):
        rw = t % tw
        rest_t = t // tw
        rh = rest_t % th
        rd = rest_t // th
        ds = d0 + rd * per_d
        hs = h0 + rh * per_h
        ws = w0 + rw * per_w
        inside = live & (ds >= 0) & (ds < sd) & (hs >= 0) & (hs < sh) & (ws >= 0) & (ws < sw)
        at = ds.to(tl.int64) * stride_xd + hs.to(tl.int64) * stride_xh + ws.to(tl.int64) * stride_xw
        v = tl.load(base + at, mask=inside, other=0).to(ACC)
        u = tl.load(w_base + rd * stride_wd + rh * stride_wh + rw * stride_ww, mask=live, other=0).to(ACC)
        acc += v * u
    if HAS_BIAS:
        acc += tl.load(b_ptr + k, mask=live, other=0).to(ACC)
    at_y = n * stride_yn + k * stride_yk + o.to(tl.int64) * stride_yd + p.to(tl.int64) * stride_yh
    tl.store(y_ptr + at_y + q.to(tl.int64) * stride_yw, acc.to(y_ptr.dtype.element_ty), mask=live)


def depthwise_weight_gradient(g, x, kernel, plan: Plan) -> np.ndarray:
    """gw (C * m, 1, *kernel): per tap the dot products of g's rows with the shifted rows of x."""
    n, channels = x.shape[:2]
    many = g.shape[1] // channels
    outputs = plan.classes[0]
    length = outputs.counts[0] * math.prod(plan.frame[1:])
    partial: dict[int, np.ndarray] = {}

    def block(first: int, last: int) -> None:
        source = _Source(x, plan, 1)
        total = np.zeros((channels, many, len(outputs.taps)), x.dtype)
        padded = np.zeros((channels, many, outputs.counts[0], *plan.frame[1:]), g.dtype)
        inner = padded[(slice(None), slice(None), *(slice(0, c) for c in g.shape[2:]))]
        rows = padded.reshape(channels, many, length)
        for i in range(first, last):
            source.fill(i, i + 1)
            inner[...] = g[i].reshape(channels, many, *g.shape[2:])
            for t, (phase, offset) in enumerate(zip(outputs.phases, outputs.offsets, strict=True)):
                piece = source.flat[phase, :, 0, offset : offset + length]
                total[:, :, t] += vecdot(rows, piece[:, None])
        partial[first] = total

    over_images(block, n, 2 * g.size * math.prod(kernel))
    total = sum(partial[first] for first in sorted(partial))  # in a fixed order: equal bits in each run
    return total.reshape(channels * many, 1, *kernel)
