"""Running products and extrema of rows on the CPU.

NumPy's accumulate waits for each element before it takes the next: 3 ns each. So every row is cut into segments of 32,
which are laid side by side: element j of all segments of many rows is one long row of its own, 31 calls run through the
segments of all, and one more brings in what came before each segment.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._rows import over_blocks
from ._strides import assign

_SEGMENT = 32
_BLOCK = 1 << 19  # elements at a time; fewer make the calls too short
LEAST = 1 << 16  # elements from which it pays


def running_product(x: np.ndarray, y: np.ndarray, wide: Any) -> None:
    """y = the running products of the rows of x (M, R), in the dtype `wide`."""
    m, r = x.shape

    def rows(start: int, stop: int) -> None:
        part = _segmented(x[start:stop], wide)
        _run(np.multiply, part, 1)
        _joined(part, y[start:stop])

    over_blocks(rows, m, r, max(1, _BLOCK // r))


def running_extremum(ufunc: np.ufunc, x: np.ndarray, y: np.ndarray, at: np.ndarray) -> None:
    """y = the running maxima (minima) of the rows of x (M, R), at = their places, int64.

    The last of equal elements counts, and NaN before everything.
    """
    m, r = x.shape
    kind = x.dtype.kind
    ends = (-np.inf, np.inf) if kind == "f" else (False, True) if kind == "b" else (_limits(x.dtype))
    neutral = ends[ufunc is np.minimum]
    places = np.arange(r + -r % _SEGMENT, dtype=np.int32).reshape(-1, _SEGMENT).T[:, None]

    def rows(start: int, stop: int) -> None:
        part = _segmented(x[start:stop], x.dtype)
        best = part.copy()
        _run(ufunc, best, neutral)
        hit = part == best
        if kind == "f":
            hit |= part != part
        place = np.multiply(hit, places, dtype=np.int32)
        _run(np.maximum, place, 0)
        _joined(best, y[start:stop])
        _joined(place, at[start:stop])

    over_blocks(rows, m, r, max(1, _BLOCK // r))


def _limits(dtype: np.dtype) -> tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def _segmented(x: np.ndarray, kind: Any) -> np.ndarray:
    """(32, M, C): element j of segment c of row i of x (M, R) at [j, i, c]; what is over at the end is copied from before."""
    m, r = x.shape
    c, rest = divmod(r, _SEGMENT)
    y = np.empty((_SEGMENT, m, c + (rest > 0)), kind)
    assign(y[:, :, :c], x[:, : c * _SEGMENT].reshape(m, c, _SEGMENT).transpose(2, 0, 1))
    if rest:
        y[:rest, :, c] = x[:, c * _SEGMENT :].T
        y[rest:, :, c] = y[0, :, c]
    return y


def _run(ufunc: np.ufunc, x: np.ndarray, neutral: Any) -> None:
    """Accumulate over segments, in place; `neutral` changes nothing."""
    for j in range(1, _SEGMENT):
        ufunc(x[j], x[j - 1], out=x[j])
    before = np.empty(x.shape[1:], x.dtype)
    before[:, 0] = neutral
    ufunc.accumulate(x[-1, :, :-1], 1, out=before[:, 1:])
    flat = x.reshape(_SEGMENT, -1)
    ufunc(flat, before.reshape(-1), out=flat)


def _joined(x: np.ndarray, y: np.ndarray) -> None:
    """y (M, R) = the rows that `_segmented` cut."""
    m, r = y.shape
    c, rest = divmod(r, _SEGMENT)
    assign(y[:, : c * _SEGMENT].reshape(m, c, _SEGMENT), x[:, :, :c].transpose(1, 2, 0))
    if rest:
        y[:, c * _SEGMENT :] = x[:rest, :, c].T
