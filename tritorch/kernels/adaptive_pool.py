"""Maximum pooling over windows that a table gives: adaptive ones and those of fractional pooling.

    adaptive    m windows floor(i n / m) ... ceil((i + 1) n / m) - 1 that cover n elements
    fractional  m windows of k elements at starts int((i + u) a) - int(u a), a = (n - k) / (m - 1), the last at n - k,
                with u drawn per image and dim (arXiv 1412.6071)

The ops give the positions of the maxima in the flat image; the pooled values, and their gradient, are a gather there.
"""

from __future__ import annotations

import math

import numpy as np

from . import _windows
from ._indexed import read_along
from ._op import Array, op
from .pool import distinct

Ints = tuple[int, ...]


def adaptive_windows(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts floor(i n / m) and ends ceil((i + 1) n / m) of the m windows over n elements."""
    i = np.arange(m)
    return i * n // m, -(-(i + 1) * n // m)


def _adaptive_table(n: int, m: int) -> np.ndarray:
    """(m, longest window) positions; shorter windows repeat their last element."""
    start, end = adaptive_windows(n, m)
    longest = int((end - start).max()) if m else 1
    return np.minimum(start[:, None] + np.arange(longest), end[:, None] - 1)


def fractional_starts(u: np.ndarray, n: int, m: int, k: int) -> np.ndarray:
    """(..., m) starts of the windows for draws u (...) in [0, 1)."""
    u = u[..., None]
    starts = np.zeros((*u.shape[:-1], m), np.int64)
    if m > 1:
        alpha = u.dtype.type((n - k) / (m - 1))
        starts = ((np.arange(m).astype(u.dtype) + u) * alpha).astype(np.int64) - (u * alpha).astype(np.int64)
    starts[..., -1] = n - k
    return starts


def _flat_windows(tables: list[np.ndarray], size: Ints) -> np.ndarray:
    """(..., *out, window) positions in the flat image from tables (..., out, window) per dim."""
    dims = len(size)
    flat = np.zeros((1,) * (tables[0].ndim - 2 + 2 * dims), np.int64)
    for i, (table, n) in enumerate(zip(tables, size, strict=True)):
        shape = [1] * (2 * dims)
        shape[i], shape[dims + i] = table.shape[-2:]
        flat = flat * n + table.reshape(*table.shape[:-2], *shape)
    return flat.reshape(*flat.shape[: flat.ndim - dims], -1)


def _largest(x: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Per window (N, C, *out, window) of flat positions, that of the first maximum, or of the last NaN."""
    n, c = x.shape[:2]
    flat = np.broadcast_to(flat, (n, c, *flat.shape[-(x.ndim - 1) :]))
    windows = read_along(x.reshape(n, c, -1), 2, flat.reshape(n, c, -1)).reshape(flat.shape)
    best = windows.argmax(-1)
    if x.dtype.kind == "f":
        nan = np.isnan(windows)
        if nan.any():
            best = np.where(nan.any(-1), nan.shape[-1] - 1 - nan[..., ::-1].argmax(-1), best)
    return np.take_along_axis(flat, best[..., None], -1)[..., 0]


@op
class adaptive_max_pool_indices:
    """int64 positions, in the flat image, of the largest elements of `out` windows that cover the image."""

    def cpu(x: Array, out: Ints) -> Array:
        size = x.shape[2:]
        return _largest(x, _flat_windows([_adaptive_table(n, m) for n, m in zip(size, out, strict=True)], size))

    def gpu(x: Array, out: Ints) -> Array:
        longest = tuple(_adaptive_table(n, m).shape[1] for n, m in zip(x.shape[2:], out, strict=True))
        return _windows.adaptive_argmax(x, out, longest)

    def samples(rng):
        yield (distinct(rng, (2, 3, 7)),), ((3,),)
        yield (distinct(rng, (1, 2, 5, 8)),), ((3, 5),)
        yield (distinct(rng, (1, 1, 4, 3, 5)),), ((2, 3, 2),)

    def cost(x, out):
        return x.nbytes + 8 * x.shape[0] * x.shape[1] * math.prod(out), x.size


@op
class fractional_max_pool_indices:
    """int64 positions, in the flat image, of the largest elements of windows drawn by u (N, C, dims)."""

    def cpu(x: Array, u: Array, kernel: Ints, out: Ints) -> Array:
        size = x.shape[2:]
        if not u.size:
            return np.empty((*x.shape[:2], *out), np.int64)
        order = (1, 0) if len(size) == 2 else (0, 1, 2)  # PyTorch takes the width's draw first in two dims
        tables = [
            fractional_starts(u[:, :, order[i]], size[i], out[i], kernel[i])[..., None] + np.arange(kernel[i])
            for i in range(len(size))
        ]
        return _largest(x, _flat_windows(tables, size))

    def gpu(x: Array, u: Array, kernel: Ints, out: Ints) -> Array:
        return _windows.fractional_argmax(x, u, kernel, out)

    def samples(rng):
        yield (distinct(rng, (2, 3, 9, 8)), rng.uniform(size=(2, 3, 2))), ((2, 3), (5, 4))
        yield (distinct(rng, (1, 2, 5, 6, 7)), rng.uniform(size=(1, 2, 3))), ((2, 2, 2), (3, 3, 4))

    def cost(x, u, kernel, out):
        y = x.shape[0] * x.shape[1] * math.prod(out)
        return x.nbytes + u.nbytes + 8 * y, y * math.prod(kernel)
