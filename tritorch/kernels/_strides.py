"""Copies between layouts on the CPU: y[...] = x, as fast as memory allows.

NumPy walks along the target's memory, whatever that means for the source: of a transposed matrix it reads one number per
cache line, and where rows are a power of two apart, the lines that it will need again displace each other. So a
transposed source is read in strips of a few of the target's columns, whose lines stay; a last dim of a few elements, as
in a stack or a pixel shuffle, goes column by column. Large copies go over threads.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..device import as_strided
from ._threads import parallel

FEW = 1 << 15  # elements up to which NumPy's own way costs less than a plan
GRAIN = 1 << 20  # elements that are worth a thread, where nothing is computed
ITEM = 1024
"""Bytes of a row up to which rows are copied as single items: NumPy's loop over a row costs 8 ns to begin, an item 4."""
_LINE = 64  # bytes of a cache line
_NARROW = 8  # a last dim of so many elements is copied column by column, if that makes longer runs
_CALL = 1024  # elements of a call, at least: below, its cost counts


def dense(x: Any) -> np.ndarray:
    """A copy of a NumPy array in C order."""
    if x.size < FEW:
        return np.array(x, order="C")
    y = np.empty(x.shape, x.dtype)
    assign(y, x)
    return y


def assign(y: np.ndarray, x: np.ndarray, grain: int = GRAIN) -> None:
    """y[...] = x for arrays of one shape that share no memory; the dtypes may differ.

    Args:
        y, x: the target and the source.
        grain: elements that are worth a thread.
    """
    n_last = x.shape[-1] if x.ndim else 1
    if x.ndim and x.strides[-1] < 0:
        grain //= 4  # backwards, NumPy goes element by element
    item = x.dtype.itemsize
    run = n_last * item if x.size >= FEW and abs(x.strides[-1]) == item else 0  # bytes that are copied as they are
    if x.size < FEW or x.size < 2 * grain and (run > ITEM or run > _NARROW * item and x.strides[-1] < 0):
        y[...] = x
        return
    if x.flags.c_contiguous and y.flags.c_contiguous:
        _each(y.reshape(-1), x.reshape(-1), [...], 0, grain)
        return
    dims = [d for d in zip(y.shape, y.strides, x.strides, strict=True) if d[0] > 1]
    dims.sort(key=lambda d: -abs(d[1]))
    merged = dims[:1]
    for n, s, t in dims[1:]:
        before = merged[-1]
        if before[1] == n * s and before[2] == n * t:
            merged[-1] = before[0] * n, s, t
        else:
            merged.append((n, s, t))
    n, s, t = merged[-1]
    if len(merged) > 1 and s == t == item and n * item <= ITEM and x.dtype == y.dtype and not x.dtype.hasobject:
        rows = np.dtype((np.void, n * item))
        shape, ys, xs = zip(*merged[:-1], strict=True)
        _arrange(as_strided(y, shape, ys, 0, rows), as_strided(x, shape, xs, 0, rows), max(1, grain // n))
        return
    shape, ys, xs = zip(*merged, strict=True)
    _arrange(as_strided(y, shape, ys), as_strided(x, shape, xs), grain)


def _arrange(y: np.ndarray, x: np.ndarray, grain: int) -> None:
    """The copy of `assign` for dims in the order of y's memory that cannot be merged further."""
    shape, xs = x.shape, x.strides
    last = len(shape) - 1
    if last and shape[last] <= min(_NARROW, shape[last - 1] // 2) and x.size >= _CALL * shape[last]:
        for j in range(shape[last]):
            assign(y[..., j], x[..., j], grain)
        return
    steps = [abs(t) or 1 << 62 for t in xs]
    nearest = steps.index(min(steps))
    if nearest == last or steps[last] == 1 << 62 or steps[last] < _LINE or x.dtype.itemsize >= _LINE:
        _each(y, x, [...], 0, grain)
    else:
        _strips(y, x, nearest, steps[last], grain)


def _strips(y: np.ndarray, x: np.ndarray, nearest: int, step: int, grain: int) -> None:
    """The copy where neighbours in x are neighbours along the dim `nearest`, not the last, of y."""
    shape = y.shape
    last = len(shape) - 1
    # so many lines do not displace each other in the cache when they are `step` bytes apart
    width = 12 if step % 4096 == 0 else 16 if step % 2048 == 0 else 32 if step % 1024 == 0 else 64
    between = shape[nearest + 1 : last - 1]
    apart = nearest < last - 1
    calls = -(-shape[last] // width) * (prod(between) * -(-shape[last - 1] // 8) if apart else 1)
    if x.size < _CALL * calls:
        _each(y, x, [...], 0, grain)
        return
    strips = [slice(j, j + width) for j in range(0, shape[last], width)]
    if not apart:
        _each(y, x, [(..., s) for s in strips], 0 if nearest else last, grain)
        return
    front = (slice(None),) * (nearest + 1)
    near = [slice(j, j + 8) for j in range(0, shape[last - 1], 8)]
    _each(y, x, [(*front, *at, p, s) for at in np.ndindex(*between) for p in near for s in strips], 0, grain)


def _each(y: np.ndarray, x: np.ndarray, keys: list[Any], dim: int, grain: int) -> None:
    """y[key] = x[key] for all keys; over threads goes the first dim, or (dim not 0) go the keys."""
    if dim:

        def run(start: int, stop: int) -> None:
            for key in keys[start:stop]:
                y[key] = x[key]

        n = len(keys)
    else:

        def run(start: int, stop: int) -> None:
            to, of = y[start:stop], x[start:stop]
            for key in keys:
                to[key] = of[key]

        n = len(y)
    parallel(run, n, max(1, grain * n // x.size))
