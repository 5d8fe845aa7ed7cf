"""The recurrent layers on the GPU: a fused kernel per step for the gates, forward and backward, around matrix products.

The product h w^T of a step and the input's share of the gates come from memory, everything else of the step happens in
registers. What the steps' order is, and how rows are packed, says `rnn.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._gemm import gemm
from ._launch import empty, kernel, launch
from ._math import _tanh
from ._op import Array
from ._pointwise import cast, copy_into
from .copy import clone
from .reduce import reduce_gpu

if TYPE_CHECKING:
    import triton.language as tl

Spans = list[tuple[int, int]]


def spans_of(batch_sizes: tuple[int, ...], reverse: bool) -> Spans:
    """(first row, end row) of each step, in the order of computation."""
    spans, start = [], 0
    for n in batch_sizes:
        spans.append((start, start + n))
        start += n
    return spans[::-1] if reverse else spans


# ------------------------------------------------------------------------------------------------------ the kernels


@kernel
def _sigmoid(x):
    return 0.5 * _tanh(0.5 * x) + 0.5


@kernel
def _lstm_step(
    x_ptr, s_ptr, c_ptr, gate_ptr, cell_ptr, h_ptr, total, k, ACC: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """One step of all rows: x (n, 4 k) the input's share, s (n, 4 k) = h w^T, c (n, k) the cells, read and written.

    Writes gates (n, 4 k), cells (n, k) and h (n, k). One program makes BLOCK of the total = n * k elements; all
    arrays are contiguous.
    """
    DTYPE: tl.constexpr = tl.float64 if ACC == "f64" else tl.float32
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < total
    base = at // k * (4 * k) + at % k
    i = tl.load(x_ptr + base, mask=mask, other=0).to(DTYPE) + tl.load(s_ptr + base, mask=mask, other=0).to(DTYPE)
    base_f = base + k
    f = tl.load(x_ptr + base_f, mask=mask, other=0).to(DTYPE) + tl.load(s_ptr + base_f, mask=mask, other=0).to(DTYPE)
    base_u = base_f + k
    u = tl.load(x_ptr + base_u, mask=mask, other=0).to(DTYPE) + tl.load(s_ptr + base_u, mask=mask, other=0).to(DTYPE)
    base_o = base_u + k
    o = tl.load(x_ptr + base_o, mask=mask, other=0).to(DTYPE) + tl.load(s_ptr + base_o, mask=mask, other=0).to(DTYPE)
    i, f, u, o = _sigmoid(i), _sigmoid(f), _tanh(u), _sigmoid(o)
    c = f * tl.load(c_ptr + at, mask=mask, other=0).to(DTYPE) + i * u
    kind = gate_ptr.dtype.element_ty
    tl.store(gate_ptr + base, i.to(kind), mask=mask)
    tl.store(gate_ptr + base_f, f.to(kind), mask=mask)
    tl.store(gate_ptr + base_u, u.to(kind), mask=mask)
    tl.store(gate_ptr + base_o, o.to(kind), mask=mask)
    tl.store(c_ptr + at, c.to(c_ptr.dtype.element_ty), mask=mask)
    tl.store(cell_ptr + at, c.to(cell_ptr.dtype.element_ty), mask=mask)
    tl.store(h_ptr + at, (o * _tanh(c)).to(h_ptr.dtype.element_ty), mask=mask)


@kernel
def _gru_step(
    x_ptr, s_ptr, b_ptr, h_ptr, gate_ptr, inner_ptr, y_ptr, total, k,
    HAS_BIAS: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One step of all rows: x (n, 3 k) the input's share, s (n, 3 k) = h w^T, b (3 k), h (n, k) read and written.

    Writes gates (n, 3 k), inner (n, k) = h w_n^T + b_n and y (n, k) = h. One program makes BLOCK of the total = n * k
    elements; all arrays are contiguous.
    """
    DTYPE: tl.constexpr = tl.float64 if ACC == "f64" else tl.float32
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < total
    col = at % k
    base = at // k * (3 * k) + col
    s_r = tl.load(s_ptr + base, mask=mask, other=0).to(DTYPE)
    s_z = tl.load(s_ptr + base + k, mask=mask, other=0).to(DTYPE)
    m = tl.load(s_ptr + base + 2 * k, mask=mask, other=0).to(DTYPE)
    if HAS_BIAS:
        s_r += tl.load(b_ptr + col, mask=mask, other=0).to(DTYPE)
        s_z += tl.load(b_ptr + col + k, mask=mask, other=0).to(DTYPE)
        m += tl.load(b_ptr + col + 2 * k, mask=mask, other=0).to(DTYPE)
    r = _sigmoid(tl.load(x_ptr + base, mask=mask, other=0).to(DTYPE) + s_r)
    z = _sigmoid(tl.load(x_ptr + base + k, mask=mask, other=0).to(DTYPE) + s_z)
    u = _tanh(tl.load(x_ptr + base + 2 * k, mask=mask, other=0).to(DTYPE) + r * m)
    h = u + z * (tl.load(h_ptr + at, mask=mask, other=0).to(DTYPE) - u)
    kind = gate_ptr.dtype.element_ty
    tl.store(gate_ptr + base, r.to(kind), mask=mask)
    tl.store(gate_ptr + base + k, z.to(kind), mask=mask)
    tl.store(gate_ptr + base + 2 * k, u.to(kind), mask=mask)
    tl.store(inner_ptr + at, m.to(inner_ptr.dtype.element_ty), mask=mask)
    tl.store(h_ptr + at, h.to(h_ptr.dtype.element_ty), mask=mask)
    tl.store(y_ptr + at, h.to(y_ptr.dtype.element_ty), mask=mask)


@kernel
def _rnn_step(x_ptr, s_ptr, h_ptr, y_ptr, total, RELU: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr):
    """h and y (n, k) = tanh or relu of x + s, s = h w^T. One program makes BLOCK of the total = n * k elements."""
    DTYPE: tl.constexpr = tl.float64 if ACC == "f64" else tl.float32
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < total
    h = tl.load(x_ptr + at, mask=mask, other=0).to(DTYPE) + tl.load(s_ptr + at, mask=mask, other=0).to(DTYPE)
    if RELU:
        h = tl.where(h < 0, 0.0, h).to(DTYPE)
    else:
        h = _tanh(h)
    tl.store(h_ptr + at, h.to(h_ptr.dtype.element_ty), mask=mask)
    tl.store(y_ptr + at, h.to(y_ptr.dtype.element_ty), mask=mask)


@kernel
def _lstm_step_bwd(
    gy_ptr, gh_ptr, gc_ptr, gate_ptr, cell_ptr, before_ptr, gz_ptr, hidden_ptr, total, k,
    PROJECTED: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The backward of `_lstm_step`: gc (n, k) read and written, gz (n, 4 k) from gh (+ gy, without a projection).

    `before` (n, k) are the cells before the step. PROJECTED: gh is the gradient of o tanh(c), which is written to
    hidden (n, k). One program makes BLOCK of the total = n * k elements; all arrays are contiguous.
    """
    DTYPE: tl.constexpr = tl.float64 if ACC == "f64" else tl.float32
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < total
    base = at // k * (4 * k) + at % k
    i = tl.load(gate_ptr + base, mask=mask, other=0).to(DTYPE)
    f = tl.load(gate_ptr + base + k, mask=mask, other=0).to(DTYPE)
    u = tl.load(gate_ptr + base + 2 * k, mask=mask, other=0).to(DTYPE)
    o = tl.load(gate_ptr + base + 3 * k, mask=mask, other=0).to(DTYPE)
    t = _tanh(tl.load(cell_ptr + at, mask=mask, other=0).to(DTYPE))
    top = tl.load(gh_ptr + at, mask=mask, other=0).to(DTYPE)
    if PROJECTED:
        tl.store(hidden_ptr + at, (o * t).to(hidden_ptr.dtype.element_ty), mask=mask)
    else:
        top += tl.load(gy_ptr + at, mask=mask, other=0).to(DTYPE)
    c = tl.load(gc_ptr + at, mask=mask, other=0).to(DTYPE) + top * o * (1 - t * t)
    before = tl.load(before_ptr + at, mask=mask, other=0).to(DTYPE)
    kind = gz_ptr.dtype.element_ty
    tl.store(gz_ptr + base, (c * u * i * (1 - i)).to(kind), mask=mask)
    tl.store(gz_ptr + base + k, (c * before * f * (1 - f)).to(kind), mask=mask)
    tl.store(gz_ptr + base + 2 * k, (c * i * (1 - u * u)).to(kind), mask=mask)
    tl.store(gz_ptr + base + 3 * k, (top * t * o * (1 - o)).to(kind), mask=mask)
    tl.store(gc_ptr + at, (c * f).to(gc_ptr.dtype.element_ty), mask=mask)


@kernel
def _gru_step_bwd(
    gy_ptr, gh_ptr, gate_ptr, inner_ptr, before_ptr, gx_ptr, gs_ptr, kept_ptr, total, k,
    ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The backward of `_gru_step`: gx and gs (n, 3 k) from gh + gy; kept (n, k) is what goes past the gates to h.

    `before` (n, k) are the states before the step. One program makes BLOCK of the total = n * k elements; all arrays
    are contiguous.
    """
    DTYPE: tl.constexpr = tl.float64 if ACC == "f64" else tl.float32
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < total
    base = at // k * (3 * k) + at % k
    r = tl.load(gate_ptr + base, mask=mask, other=0).to(DTYPE)
    z = tl.load(gate_ptr + base + k, mask=mask, other=0).to(DTYPE)
    u = tl.load(gate_ptr + base + 2 * k, mask=mask, other=0).to(DTYPE)
    top = tl.load(gh_ptr + at, mask=mask, other=0).to(DTYPE) + tl.load(gy_ptr + at, mask=mask, other=0).to(DTYPE)
    gu = top * (1 - z) * (1 - u * u)
    gr = gu * tl.load(inner_ptr + at, mask=mask, other=0).to(DTYPE) * r * (1 - r)
    gz = top * (tl.load(before_ptr + at, mask=mask, other=0).to(DTYPE) - u) * z * (1 - z)
    kind = gx_ptr.dtype.element_ty
    tl.store(gx_ptr + base, gr.to(kind), mask=mask)
    tl.store(gx_ptr + base + k, gz.to(kind), mask=mask)
    tl.store(gx_ptr + base + 2 * k, gu.to(kind), mask=mask)
    tl.store(gs_ptr + base, gr.to(kind), mask=mask)
    tl.store(gs_ptr + base + k, gz.to(kind), mask=mask)
    tl.store(gs_ptr + base + 2 * k, (gu * r).to(kind), mask=mask)
    tl.store(kept_ptr + at, (top * z).to(kept_ptr.dtype.element_ty), mask=mask)


@kernel
def _rnn_step_bwd(gy_ptr, gh_ptr, y_ptr, gz_ptr, total, RELU: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr):
    """gz (n, k) = (gh + gy) times the slope at y. One program makes BLOCK of the total = n * k elements."""
    DTYPE: tl.constexpr = tl.float64 if ACC == "f64" else tl.float32
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < total
    y = tl.load(y_ptr + at, mask=mask, other=0).to(DTYPE)
    top = tl.load(gh_ptr + at, mask=mask, other=0).to(DTYPE) + tl.load(gy_ptr + at, mask=mask, other=0).to(DTYPE)
    if RELU:
        slope = tl.where(y > 0, 1.0, 0.0).to(DTYPE)
    else:
        slope = 1 - y * y
    tl.store(gz_ptr + at, (top * slope).to(gz_ptr.dtype.element_ty), mask=mask)


@kernel
def _add(a_ptr, b_ptr, y_ptr, total, ACC: tl.constexpr, BLOCK: tl.constexpr):
    """y = a + b over `total` elements, BLOCK per program."""
    DTYPE: tl.constexpr = tl.float64 if ACC == "f64" else tl.float32
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < total
    y = tl.load(a_ptr + at, mask=mask, other=0).to(DTYPE) + tl.load(b_ptr + at, mask=mask, other=0).to(DTYPE)
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=mask)


# ------------------------------------------------------------------------------------------------------ the launches

_BLOCK = 1024


def _step(kern: Any, total: int, dtype: np.dtype, *args: Any, **consts: Any) -> None:
    acc = "f64" if dtype.itemsize == 8 else "f32"
    launch(kern, (-(-total // _BLOCK),), *args, ACC=acc, BLOCK=_BLOCK, num_warps=4, **consts)


def _plain(x: Array) -> Array:
    return x if x.flags.c_contiguous else clone.gpu(x)  # type: ignore[misc]


def _summing(x: Array) -> Array:
    """A copy in which a sum over time can grow: float32 for half types."""
    return cast(x, np.dtype(np.float32)) if x.dtype.itemsize == 2 else clone.gpu(x)  # type: ignore[misc]


def _as(x: Array, dtype: np.dtype) -> Array:
    return x if x.dtype == dtype else cast(x, dtype)


def _before(rows: Array, first: Array, spans: Spans) -> Array:
    """For each row the state before it, `first` where there is none."""
    out, state = empty(rows.shape, rows.dtype), clone.gpu(first)  # type: ignore[misc]
    n = len(first)
    if len(rows) == n * len(spans):
        copy_into(out[spans[0][0] : spans[0][1]], first)
        if len(spans) > 1:
            forward = spans[0][0] == 0
            copy_into(out[n:] if forward else out[:-n], rows[:-n] if forward else rows[n:])
        return out
    for a, b in spans:
        copy_into(out[a:b], state[: b - a])
        copy_into(state[: b - a], rows[a:b])
    return out


def lstm_forward(
    gx: Array, h0: Array, c0: Array, w: Array, r: Array | None, batch_sizes: tuple[int, ...], reverse: bool
) -> tuple[Array, Array, Array, Array, Array]:
    """y, final h, final c, gates and cells of all rows."""
    k, dtype, gx = c0.shape[1], gx.dtype, _plain(gx)
    gates, cells = empty(gx.shape, dtype), empty((len(gx), k), dtype)
    y, h, c = empty((len(gx), h0.shape[1]), dtype), clone.gpu(h0), _summing(c0)  # type: ignore[misc]
    for a, b in spans_of(batch_sizes, reverse):
        n = b - a
        hidden = y[a:b] if r is None else empty((n, k), dtype)
        s = gemm(h[:n], w.T)
        _step(_lstm_step, n * k, dtype, gx[a:b], s, c[:n], gates[a:b], cells[a:b], hidden, n * k, k)
        if r is not None:
            copy_into(y[a:b], gemm(hidden, r.T))
        copy_into(h[:n], y[a:b])
    return y, h, _as(c, dtype), gates, cells


def lstm_backward(
    g: Any, h0: Array, c0: Array, w: Array, r: Array | None, y: Array, gates: Array, cells: Array,
    batch_sizes: tuple[int, ...], reverse: bool,
) -> tuple[Array | None, ...]:  # fmt: skip
    """Gradients of gx, h0, c0, w and r."""
    spans, k, dtype = spans_of(batch_sizes, reverse), c0.shape[1], gates.dtype
    gy, gh, gc = _plain(g[0]), clone.gpu(g[1]), _summing(g[2])  # type: ignore[misc]
    before, gz = _before(cells, c0, spans), empty(gates.shape, dtype)
    hidden = tops = None
    if r is not None:
        hidden, tops = empty(cells.shape, dtype), empty(y.shape, dtype)
    for a, b in reversed(spans):
        n = b - a
        top = gh[:n]
        if r is not None and tops is not None:
            _step(_add, n * y.shape[1], dtype, top, gy[a:b], tops[a:b], n * y.shape[1])
            top = gemm(tops[a:b], r)
        written = None if hidden is None else hidden[a:b]
        args = gy[a:b], top, gc[:n], gates[a:b], cells[a:b], before[a:b], gz[a:b], written
        _step(_lstm_step_bwd, n * k, dtype, *args, n * k, k, PROJECTED=r is not None)
        copy_into(gh[:n], gemm(gz[a:b], w))
    gr = None if tops is None else gemm(tops.T, hidden)
    return gz, gh, _as(gc, dtype), gemm(gz.T, _before(y, h0, spans)), gr


def gru_forward(
    gx: Array, h0: Array, w: Array, b: Array | None, batch_sizes: tuple[int, ...], reverse: bool
) -> tuple[Array, Array, Array, Array]:
    """y, final h, gates and h w_n^T + b_n of all rows."""
    k, dtype, gx = h0.shape[1], gx.dtype, _plain(gx)
    gates, inner, y = (empty((len(gx), width), dtype) for width in (3 * k, k, k))
    h, bias = clone.gpu(h0), None if b is None else _plain(b)  # type: ignore[misc]
    for first, end in spans_of(batch_sizes, reverse):
        n = end - first
        s = gemm(h[:n], w.T)
        args = gx[first:end], s, bias, h[:n], gates[first:end], inner[first:end], y[first:end]
        _step(_gru_step, n * k, dtype, *args, n * k, k, HAS_BIAS=bias is not None)
    return y, h, gates, inner


def gru_backward(
    g: Any, h0: Array, w: Array, b: Array | None, y: Array, gates: Array, inner: Array,
    batch_sizes: tuple[int, ...], reverse: bool,
) -> tuple[Array | None, ...]:  # fmt: skip
    """Gradients of gx, h0, w and b."""
    spans, k, dtype = spans_of(batch_sizes, reverse), h0.shape[1], gates.dtype
    gy, gh, before = _plain(g[0]), clone.gpu(g[1]), _before(y, h0, spans)  # type: ignore[misc]
    gx, gs, kept = empty(gates.shape, dtype), empty(gates.shape, dtype), empty(gh.shape, dtype)
    for first, end in reversed(spans):
        n = end - first
        args = gy[first:end], gh[:n], gates[first:end], inner[first:end], before[first:end]
        _step(_gru_step_bwd, n * k, dtype, *args, gx[first:end], gs[first:end], kept[:n], n * k, k)
        _step(_add, n * k, dtype, gemm(gs[first:end], w), kept[:n], gh[:n], n * k)
    gb = None if b is None else reduce_gpu(gs, (0,), False, "sum", None)
    return gx, gh, gemm(gs.T, before), gb


def rnn_forward(
    gx: Array, h0: Array, w: Array, batch_sizes: tuple[int, ...], reverse: bool, relu: bool
) -> tuple[Array, Array]:
    """y and final h."""
    k, dtype, gx = h0.shape[1], gx.dtype, _plain(gx)
    y, h = empty(gx.shape, dtype), clone.gpu(h0)  # type: ignore[misc]
    for a, b in spans_of(batch_sizes, reverse):
        n = b - a
        _step(_rnn_step, n * k, dtype, gx[a:b], gemm(h[:n], w.T), h[:n], y[a:b], n * k, RELU=relu)
    return y, h


def rnn_backward(
    g: Any, h0: Array, w: Array, y: Array, batch_sizes: tuple[int, ...], reverse: bool, relu: bool
) -> tuple[Array, ...]:
    """Gradients of gx, h0 and w."""
    spans, k, dtype = spans_of(batch_sizes, reverse), h0.shape[1], y.dtype
    gy, gh, gz = _plain(g[0]), clone.gpu(g[1]), empty(y.shape, dtype)  # type: ignore[misc]
    for a, b in reversed(spans):
        n = b - a
        _step(_rnn_step_bwd, n * k, dtype, gy[a:b], gh[:n], y[a:b], gz[a:b], n * k, RELU=relu)
        copy_into(gh[:n], gemm(gz[a:b], w))
    return gz, gh, gemm(gz.T, _before(y, h0, spans))
