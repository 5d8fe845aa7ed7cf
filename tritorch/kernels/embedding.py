"""Embedding: rows of a table by index, and the deterministic scatter-add that is its backward.

embedding:       y[i] = w[idx[i]]
embedding_grad:  gw[r] = sum of c_i g[i] over the i with idx[i] == r, in the order of i;
                 c_i = 0 where idx[i] == padding_idx, 1 / (number of i with that row) with `by_freq`, else 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._gather import contiguous, memory_words
from ._indexed import add, read
from ._launch import empty, kernel, launch
from ._op import Array, op
from .sort import sort_gpu

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _embedding(w_ptr, idx_ptr, y_ptr, n, n_rows, width, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr):
    """y (n, width) = rows idx (n,) of w (n_rows, width), contiguous; one program copies BLOCK_N x BLOCK_D elements.

    Rows that are not there read as all bits set: NaN.
    """
    i = tl.program_id(0).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    row = tl.load(idx_ptr + i, mask=i < n, other=0).to(tl.int64)
    mask = (i < n)[:, None] & (d < width)[None, :]
    there = ((row >= 0) & (row < n_rows))[:, None]
    value = tl.load(w_ptr + row[:, None] * width + d[None, :], mask=mask & there, other=-1)
    tl.store(y_ptr + i[:, None] * width + d[None, :], value, mask=mask)


@kernel
def _embedding_bwd(
    g_ptr, sorted_ptr, at_ptr, y_ptr, n, width, padding, STEPS: tl.constexpr, BY_FREQ: tl.constexpr, F64: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """y (rows, width): sums of the rows of g (n, width) with one index; sorted (n,) indices ascending, at (n,) their
    places.

    Program (r, d) finds the run of r in `sorted` by bisection (2 ** STEPS > n) and adds its members BLOCK_N at a time,
    in order. Row `padding` stays 0; BY_FREQ divides by the length of the run.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    r = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    low = r * 0
    high = r * 0
    width_of_step = r * 0 + 2 ** (STEPS - 1)
    for _ in range(0, STEPS):  # the first places with an index >= r and > r
        a = low + width_of_step
        b = high + width_of_step
        va = tl.load(sorted_ptr + a - 1, mask=a <= n, other=0).to(tl.int64)
        vb = tl.load(sorted_ptr + b - 1, mask=b <= n, other=0).to(tl.int64)
        low = tl.where((a <= n) & (va < r), a, low)
        high = tl.where((b <= n) & (vb <= r), b, high)
        width_of_step = width_of_step // 2
    acc = tl.zeros((BLOCK_D,), ACC)
    count = high - low
    stop = tl.where(r == padding, low, high)
    for i in range(low, stop, BLOCK_N):
        j = i + tl.arange(0, BLOCK_N)
        at = tl.load(at_ptr + j, mask=j < stop, other=0)
        mask = (j < stop)[:, None] & (d < width)[None, :]
        acc += tl.sum(tl.load(g_ptr + at[:, None] * width + d[None, :], mask=mask, other=0).to(ACC), 0)
    if BY_FREQ:
        acc = acc / tl.where(count == 0, 1, count).to(ACC)
    tl.store(y_ptr + r * width + d, acc.to(y_ptr.dtype.element_ty), mask=d < width)


def _embedding_grad_gpu(g: Array, idx: Array, n_rows: int, padding_idx: int, by_freq: bool) -> Array:
    width, n = g.shape[-1], idx.size
    y = empty((n_rows, width), g.dtype)
    if not y.size:
        return y
    if n:
        g, idx = contiguous(g), contiguous(idx)
        ordered, at = sort_gpu(idx.reshape((n,)), 0, n, False)
    else:  # no member to load: any arrays will do
        g, ordered, at = y, empty((1,), np.int64), empty((1,), np.int64)
    block_d = min(1 << max(width - 1, 0).bit_length(), 512)
    launch(
        _embedding_bwd, (n_rows, -(-width // block_d)), g, ordered, at, y, n, width, padding_idx,
        STEPS=n.bit_length() or 1,
        BY_FREQ=by_freq, F64=g.dtype.itemsize == 8, BLOCK_N=max(1, min(32, 2048 // block_d)), BLOCK_D=block_d,
        num_warps=4,
    )  # fmt: skip
    return y


def _tile(n: int, width: int) -> tuple[int, int]:
    block_d = min(1 << max(width - 1, 0).bit_length(), 512)
    return max(1, min(1 << max(n - 1, 0).bit_length(), 2048 // block_d)), block_d


@op
class embedding:
    """y (..., D) = w[idx] of a table w (V, D); padding_idx (-1 for none) and by_freq only change the gradient."""

    upcast = False

    def cpu(w: Array, idx: Array, padding_idx: int, by_freq: bool) -> Array:
        return read(w, (idx,))

    def gpu(w: Array, idx: Array, padding_idx: int, by_freq: bool) -> Array:
        width, n = w.shape[1], idx.size
        y = empty((*idx.shape, width), w.dtype)
        if y.size:
            rows, words = memory_words(contiguous(w))
            to, _ = memory_words(y)
            width *= words
            block_n, block_d = _tile(n, width)
            launch(
                _embedding, (-(-n // block_n), -(-width // block_d)), rows, contiguous(idx), to, n, w.shape[0], width,
                BLOCK_N=block_n, BLOCK_D=block_d,
            )  # fmt: skip
        return y

    def grad(g, w_shape, idx, padding_idx, by_freq, needs):
        return embedding_grad(g, idx, w_shape[0], padding_idx, by_freq), None

    def cpu_grad(g, w_shape, idx, padding_idx, by_freq, needs):
        if g.dtype.itemsize == 2:  # sums of many rows are kept in float32
            wide = embedding_grad.cpu(g.astype(np.float32), idx, w_shape[0], padding_idx, by_freq)
            return wide.astype(g.dtype), None
        return embedding_grad.cpu(g, idx, w_shape[0], padding_idx, by_freq), None

    def gpu_grad(g, w_shape, idx, padding_idx, by_freq, needs):
        return _embedding_grad_gpu(g, idx, w_shape[0], padding_idx, by_freq), None

    def samples(rng):
        yield (rng.normal(size=(6, 3)), rng.integers(0, 6, (2, 4))), (-1, False)
        yield (rng.normal(size=(4, 5)), np.array([2, 2, 0])), (-1, False)

    def cost(w, idx, padding_idx, by_freq):
        return 2 * idx.size * w.shape[1] * w.itemsize, 0


@op
class embedding_grad:
    """Scatter-add of rows g (..., D) into a table of n_rows; duplicates are summed in order, so bits repeat."""

    def cpu(g: Array, idx: Array, n_rows: int, padding_idx: int, by_freq: bool) -> Array:
        width = g.shape[-1]
        out = np.zeros((n_rows, width), g.dtype)
        rows, values = idx.reshape(-1), g.reshape(-1, width) if width else g.reshape(idx.size, 0)
        add(out, (rows,), values)
        if by_freq:
            out /= np.maximum(np.bincount(rows, minlength=n_rows), 1)[:, None].astype(g.dtype)
        if padding_idx >= 0:
            out[padding_idx] = 0
        return out

    def gpu(g: Array, idx: Array, n_rows: int, padding_idx: int, by_freq: bool) -> Array:
        return _embedding_grad_gpu(g, idx, n_rows, padding_idx, by_freq)

    def grad(g, idx, n_rows, padding_idx, by_freq, needs):
        rows = embedding(g, idx, -1, False)
        if padding_idx >= 0:
            rows = rows * (idx != padding_idx).unsqueeze(-1)
        if by_freq:
            ones = g.new_ones((*idx.shape, 1))
            rows = rows / embedding(embedding_grad(ones, idx, n_rows, -1, False), idx, -1, False)
        return rows, None

    def samples(rng):
        idx = rng.integers(0, 6, (2, 4))
        g = rng.normal(size=(2, 4, 3))
        yield (g, idx), (6, -1, False)
        yield (g, idx), (6, int(idx[0, 0]), False)
        yield (g, idx), (7, -1, True)

    def cost(g, idx, n_rows, padding_idx, by_freq):
        return 2 * g.nbytes, g.size


AOT = [
    (
        "embedding bf16 50257 x 1024",
        lambda array: embedding.gpu(array((50257, 1024), "bf16"), array((8, 2048), "i64"), -1, False),
    ),
    (
        "embedding backward bf16 50257 x 1024",
        lambda array: embedding_grad.gpu(array((8, 2048, 1024), "bf16"), array((8, 2048), "i64"), 50257, -1, False),
    ),
    (
        "embedding backward fp32 1000 x 64 by frequency",
        lambda array: embedding_grad.gpu(array((4096, 64)), array((4096,), "i64"), 1000, 0, True),
    ),
]
