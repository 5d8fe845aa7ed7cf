"""Embedding: rows of a table by index, and the deterministic scatter-add that is its backward.

embedding:       y[i] = w[idx[i]]
embedding_grad:  gw[r] = sum of c_i g[i] over the i with idx[i] == r, in the order of i;
                 c_i = 0 where idx[i] == padding_idx, 1 / (number of i with that row) with `by_freq`, else 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._launch import empty, kernel, launch
from ._op import Array, op

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _embedding(w_ptr, idx_ptr, y_ptr, n, width, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr):
    """y (n, width) = rows idx (n,) of w (rows, width), contiguous; one program copies BLOCK_N x BLOCK_D elements."""
    i = tl.program_id(0).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    row = tl.load(idx_ptr + i, mask=i < n, other=0).to(tl.int64)
    mask = (i < n)[:, None] & (d < width)[None, :]
    value = tl.load(w_ptr + row[:, None] * width + d[None, :], mask=mask, other=0)
    tl.store(y_ptr + i[:, None] * width + d[None, :], value, mask=mask)


def _tile(n: int, width: int) -> tuple[int, int]:
    block_d = min(1 << max(width - 1, 0).bit_length(), 512)
    return max(1, min(1 << max(n - 1, 0).bit_length(), 2048 // block_d)), block_d



@op
class embedding:
    """y (..., D) = w[idx] of a table w (V, D); padding_idx (-1 for none) and by_freq only change the gradient."""

    upcast = False

    def cpu(w: Array, idx: Array, padding_idx: int, by_freq: bool) -> Array:
        return np.take(w, idx, axis=0)

    def gpu(w: Array, idx: Array, padding_idx: int, by_freq: bool) -> Array:
        width, n = w.shape[1], idx.size
        y = empty((*idx.shape, width), w.dtype)
        if y.size:
            w, idx = (a if a.flags.c_contiguous else a.copy() for a in (w, idx))
            block_n, block_d = _tile(n, width)
            launch(_embedding, (-(-n // block_n), -(-width // block_d)), w, idx, y, n, width, BLOCK_N=block_n, BLOCK_D=block_d)
        return y

    def grad(g, w_shape, idx, padding_idx, by_freq, needs):
        return embedding_grad(g, idx, w_shape[0], padding_idx, by_freq), None

    def cpu_grad(g, w_shape, idx, padding_idx, by_freq, needs):
        if g.dtype.itemsize == 2:  # sums of many rows are kept in float32
            wide = embedding_grad.cpu(g.astype(np.float32), idx, w_shape[0], padding_idx, by_freq)
            return wide.astype(g.dtype), None
        return embedding_grad.cpu(g, idx, w_shape[0], padding_idx, by_freq), None

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
        if padding_idx >= 0:
            kept = rows != padding_idx
            if not kept.all():
                rows, values = rows[kept], values[kept]
        if not rows.size or not width:
            return out
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        starts = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
        sums = np.add.reduceat(values[order], starts, axis=0)
        if by_freq:
            sums /= np.diff(np.append(starts, rows.size))[:, None].astype(g.dtype)
        out[rows[starts]] = sums
        return out

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
