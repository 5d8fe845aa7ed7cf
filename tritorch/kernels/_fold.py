"""How a reduction sees its array: as (M, R, K), where R is reduced; and the fast NumPy sums and maxima over R.

NumPy's own `reduce` along the last axis pays about 0.2 us per row, along the first one it walks rows however short they
are. Sums are therefore products with ones (or `einsum`), in chunks so that rounding errors stay as small as in a
pairwise sum; maxima of rows come from `argmax` or a loop over the columns; products fold their rows until these are short.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from math import prod
from typing import Any

import numpy as np

from ..device import cuda_index
from ._launch import empty_like
from ._op import Array
from ._pointwise import copy_into
from ._rows import over_blocks, vecdot
from ._strides import dense
from ._threads import parallel, single_enter, single_exit

SMALL = 4096  # elements below which one plain NumPy call is the fastest way
_CHUNK = 128  # elements summed in one run, so that float32 rounding errors do not grow with the length
_LONG = 256  # the same for rows, whose sums have many lanes
_WIDTH = 4096  # columns whose running products stay in the first-level cache
READ = 1 << 21
"""Elements that are worth a thread where each is read once and little else: a thread reads them in 0.15 ms, and takes up to
0.05 ms to start. Also the size of a block."""


@lru_cache(maxsize=64)
def ones(n: int, kind: str) -> Array:
    """A row of n ones, read-only; `kind` is a NumPy dtype character."""
    row = np.ones(n, kind)
    row.flags.writeable = False
    return row


def kept_shape(shape: tuple[int, ...], dim: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
    """The shape that is left when `dim` is reduced.

    >>> kept_shape((2, 3, 4), (0, 2), False), kept_shape((2, 3, 4), (0, 2), True)
    ((3,), (1, 3, 1))
    """
    if keepdim:
        return tuple(1 if i in dim else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in dim)


def dense_order(x: Array) -> tuple[int, ...] | None:
    """The order of dims in which `x` lies in memory without gaps, None when there is none.

    >>> dense_order(np.zeros((2, 3)).T)
    (1, 0)
    """
    if x.flags.c_contiguous:
        return tuple(range(x.ndim))
    order = tuple(sorted(range(x.ndim), key=lambda i: (-x.strides[i], -x.shape[i])))
    return order if x.transpose(order).flags.c_contiguous else None


def contiguous(x: Array) -> Array:
    """`x` itself when its elements are in C order without gaps, else a copy that is; also of device arrays."""
    if x.flags.c_contiguous:
        return x
    if x.__class__ is np.ndarray and cuda_index(x) is None:
        return dense(x)
    y = empty_like(x)
    copy_into(y, x)
    return y


def groups(shape: tuple[int, ...], reduced: list[bool]) -> list[list[Any]]:
    """Neighbouring dims with the same fate merged: a list of [size, is reduced], outermost first.

    >>> groups((2, 3, 4, 5), [False, True, True, False])
    [[2, False], [12, True], [5, False]]
    """
    merged: list[list[Any]] = []
    for n, r in zip(shape, reduced):
        if merged and (merged[-1][1] == r or n == 1):
            merged[-1][0] *= n
        else:
            merged.append([n, r])
    return merged


def plan(x: Array, dim: tuple[int, ...]) -> tuple[Array, list[tuple[int, int, int]], list[int]]:
    """How to reduce `dim` of `x`, one run of neighbouring dims after the other, innermost first.

    Returns `x` in the order of its memory (copied only when it has gaps); per run the (M, R, K) of which R is reduced;
    and the dims that are kept, in the order of memory.
    """
    order = dense_order(x)
    if order is None:
        x, order = contiguous(x), tuple(range(x.ndim))
    y = x.transpose(order)
    merged = groups(y.shape, [i in dim for i in order])
    runs = []
    for at in range(len(merged) - 1, -1, -1):
        if merged[at][1]:
            runs.append((prod(n for n, _ in merged[:at]), merged[at][0], prod(n for n, _ in merged[at + 1 :])))
            merged[at][0] = 1
    if not runs:  # only dims of size 1 are reduced, but the result is still an array of its own
        runs.append((x.size, 1, 1))
    return y, runs, [i for i in order if i not in dim]


def finish(y: Array, shape: tuple[int, ...], dim: tuple[int, ...], keepdim: bool, kept: list[int]) -> Array:
    """The result of the last run of `plan`, with its dims in the order and shape that the caller asked for."""
    if kept != sorted(kept):
        y = contiguous(y.reshape([shape[i] for i in kept]).transpose([kept.index(i) for i in sorted(kept)]))
    return y.reshape(kept_shape(shape, dim, keepdim))


def by_groups(x: Array, dim: tuple[int, ...], keepdim: bool, step: Callable[..., Array]) -> Array:
    """Reduce `dim` of `x` along its `plan`; for operations whose result does not depend on the grouping.

    `step(x, first, last)` takes a C-contiguous (M, R, K), whether it is the first and whether it is the last run, and
    gives (M, K). Works on device arrays too.
    """
    y, runs, kept = plan(x, dim)
    for i, mrk in enumerate(runs):
        y = step(y.reshape(mrk), i == 0, i == len(runs) - 1)
    return finish(y, x.shape, dim, keepdim, kept)


@lru_cache(maxsize=256)
def _chunk(r: int) -> int:
    """Elements of a row summed in one run: a divisor of `r` when there is a good one, so that rows split evenly."""
    return next((d for d in range(min(r, _LONG), 63, -1) if r % d == 0), _LONG)


def _short_sums(x: Array) -> Array:
    """Sums of short rows. A product with ones is the faster way to read the cache, `einsum` to read memory."""
    return x.dot(ones(x.shape[1], x.dtype.char)) if x.size < READ or x.shape[1] < 64 else np.einsum("ij->i", x)


def row_sums(x: Array) -> Array:
    """Sums of the rows of a float (M, R) whose rows are contiguous, with the rounding error of a chunked sum."""
    m, r = x.shape
    if r <= _LONG:
        return _short_sums(x)
    size = _chunk(r)
    c, tail = divmod(r, size)
    if tail == 0 and x.flags.c_contiguous:  # one call, where a stack of them would cost a call each
        y = _short_sums(x.reshape(m * c, size)).reshape(m, c)
    else:
        y = np.einsum("ijk->ij", x[:, : r - tail].reshape(m, c, size))
    y = row_sums(y) if c > 8 else y.dot(ones(c, x.dtype.char))
    if tail:
        y += x[:, r - tail :] @ ones(tail, x.dtype.char)
    return y


def row_dots(x: Array, w: Array) -> Array:
    """Dot products of the rows of two float (M, R) whose rows are contiguous, with the error of a chunked sum."""
    m, r = x.shape
    if r <= _CHUNK:
        return vecdot(x, w)
    c, tail = divmod(r, _CHUNK)
    y = vecdot(x[:, : r - tail].reshape(m, c, _CHUNK), w[:, : r - tail].reshape(m, c, _CHUNK))
    y = row_sums(y)
    if tail:
        y += np.vecdot(x[:, r - tail :], w[:, r - tail :])
    return y


def column_sums(x: Array) -> Array:
    """Sums over the middle dim of a float C-contiguous (M, R, K), K > 1."""
    m, r, k = x.shape
    if r * k < 128 and m > 16:  # a product per m would cost more than its few elements
        return _by_columns(np.add, x) if r <= 32 else np.add.reduce(x, 1)
    if r <= _CHUNK:
        return ones(r, x.dtype.char) @ x
    c, tail = divmod(r, _CHUNK)
    y = ones(_CHUNK, x.dtype.char) @ x[:, : r - tail].reshape(m, c, _CHUNK, k)
    y = np.add.reduce(y, 1) if c <= 16 else column_sums(y)
    if tail:
        y += ones(tail, x.dtype.char) @ x[:, r - tail :]
    return y


def _by_columns(ufunc: np.ufunc, x: Array) -> Array:
    """Reduce the middle dim of (M, R, K), R at least 1, by a loop over it."""
    if x.shape[1] == 1:
        return x[:, 0].copy()
    y = ufunc(x[:, 0], x[:, 1])
    for j in range(2, x.shape[1]):
        ufunc(y, x[:, j], out=y)
    return y


def _blocked(step: Callable[[Array], Array], x: Array, shape: tuple[int, ...]) -> Array:
    """`step` on blocks of the first dim of `x`, over threads when they are worth it."""
    y = np.empty(shape, x.dtype)

    def block(start: int, stop: int) -> None:
        y[start:stop] = step(x[start:stop])

    over_blocks(block, len(x), x[0].size, max(1, READ // x[0].size))
    return y


def sum_step(x: Array, *_: bool) -> Array:
    """(M, R, K) -> (M, K) by addition, for float32 and float64, on all threads when it is big."""
    m, r, k = x.shape
    if r == 0:
        return np.zeros((m, k), x.dtype)
    if k == 1:
        rows = x[:, :, 0]
        if x.size < 2 * READ:
            return _single(row_sums, rows)[:, None]
        if m > 1:
            return _blocked(row_sums, rows, (m,))[:, None]
        return row_sums(_in_parts(_folded_sum, rows[0])[None])[:, None]
    if x.size < 2 * READ:
        return _single(column_sums, x)
    if m > 1:
        return _blocked(column_sums, x, (m, k))
    c, tail = divmod(r, _CHUNK)  # a few long columns: their chunks are shared out
    if c < 2:
        return _single(column_sums, x)
    y = sum_step(x[0, : r - tail].reshape(c, _CHUNK, k))[None]
    y = column_sums(y) if c > 16 else np.add.reduce(y, 1)
    if tail:
        y += column_sums(x[:, r - tail :])
    return y


def _folded_sum(row: Array) -> Array:
    """The sum of one long row (1, R): sums of columns read several places of the memory at a time, which is faster."""
    width = row.size // _CHUNK
    if width < 2048:
        return row_sums(row)
    whole = width * _CHUNK
    y = row_sums(column_sums(row[:, :whole].reshape(1, _CHUNK, width)))
    return y + row_sums(row[:, whole:]) if whole < row.size else y


def count_step(x: Array, *_: bool) -> Array:
    """(M, R, K) -> (M, K), int64: the number of True elements; counts (the result of a run before) are added.

    Bytes are added as they are, eight at a time where they are neighbours, as long as no sum exceeds 255. Short rows are
    multiplied with ones.
    """
    if x.dtype.char != "?":
        return np.add.reduce(x, 1)
    m, r, k = x.shape
    if m * k == 1:
        return np.array([[np.count_nonzero(x)]])
    if k == 1 and r < 128:
        sums = _in_cache(lambda rows: rows.astype(np.float32) @ ones(r, "f"), x[:, :, 0])
        return sums.astype(np.int64)[:, None]
    tail = r % 8 if k == 1 else 0
    part = x[:, : r - tail, 0].view(np.uint64) if k == 1 else x.view(np.uint8)
    y = np.zeros((m, k), np.int64)
    for i in range(0, part.shape[1], 255):
        sums = np.add.reduce(part[:, i : i + 255], 1, part.dtype)
        y += np.add.reduce(sums.view(np.uint8).reshape(m, 8), 1, np.int64, None, True) if k == 1 else sums
    if tail:
        y += np.add.reduce(x[:, r - tail :], 1, np.int64)
    return y


def _in_parts(step: Callable[[Array], Array], row: Array) -> Array:
    """`step` on each part of a long row, parts of half of READ, over threads."""
    size = READ // 2
    y = np.empty(-(-row.size // size), row.dtype)

    def part(first: int, last: int) -> None:
        for i in range(first, last):
            y[i : i + 1] = step(row[None, i * size : (i + 1) * size])

    single_enter()
    try:
        parallel(part, y.size, READ // size)
    finally:
        single_exit()
    return y


def _single(step: Callable[[Array], Array], x: Array) -> Array:
    """`step` with one BLAS thread: starting more costs such a small product more than it gains."""
    single_enter()
    try:
        return step(x)
    finally:
        single_exit()


def _in_cache(step: Callable[[Array], Array], x: Array) -> Array:
    """`step` for a few rows of (M, R) at a time, so that they stay in cache while it comes back to them."""
    m, r = x.shape
    rows = max(1, (1 << 18) // r)
    if m <= rows:
        return step(x)
    return np.concatenate([step(x[i : i + rows]) for i in range(0, m, rows)])


def _best_of_rows(ufunc: np.ufunc, x: Array) -> Array:
    """Row maxima (or minima) of a C-contiguous (M, R), R at least 1; NaN wins."""
    m, r = x.shape
    if r >= 2048 or m < 4:
        return ufunc.reduce(x, 1)
    if r < 96:
        return _in_cache(lambda x: _by_columns(ufunc, x[:, :, None])[:, 0], x)
    at = x.argmax(1) if ufunc is np.maximum else x.argmin(1)
    at += np.arange(0, m * r, r)
    return x.reshape(-1).take(at)


def _product_of_rows(x: Array) -> Array:
    """Products of the rows of a C-contiguous (M, R), long ones as the columns of a matrix each, then by quarters until
    they are short: NumPy's own reduction of a row multiplies one element after the other, each waiting for the one
    before."""
    m, r = x.shape
    if r >= 8 * _WIDTH:
        n, rest = divmod(r, _WIDTH)
        y = np.multiply.reduce(x[:, : r - rest].reshape(m, n, _WIDTH), 1)
        y[:, :rest] *= x[:, r - rest :]
        x, r = y, _WIDTH
    while r > 48:
        r, rest = divmod(x.shape[1], 4)
        y = x[:, :r] * x[:, r : 2 * r]
        y *= x[:, 2 * r : 3 * r]
        y *= x[:, 3 * r : 4 * r]
        if rest:
            y[:, :rest] *= x[:, 4 * r :]
        x = y
    return _by_columns(np.multiply, x[:, :, None])[:, 0] if len(x) > 4096 else np.multiply.reduce(x, 1)


def _best_of_columns(ufunc: np.ufunc, x: Array) -> Array:
    """Maxima (or minima) over the middle dim of a C-contiguous (M, R, K); R at least 1."""
    m, r, k = x.shape
    if k >= 512 or r * k <= 4096:
        return _by_columns(ufunc, x) if r <= 48 and m > 16 else ufunc.reduce(x, 1)
    c = 4096 // k  # short rows are laid side by side, so that one inner loop is long
    n = r // c
    y = ufunc.reduce(x[:, : n * c].reshape(m, n, c * k), 1).reshape(m, c, k)
    y = ufunc.reduce(y, 1)
    return ufunc(y, ufunc.reduce(x[:, n * c :], 1)) if n * c < r else y


def ufunc_step(ufunc: np.ufunc) -> Callable[[Array], Array]:
    """(M, R, K) -> (M, K) by np.maximum, np.minimum or np.multiply; R at least 1."""
    of_rows = partial(_in_cache, _product_of_rows) if ufunc is np.multiply else partial(_best_of_rows, ufunc)
    of_columns = partial(_best_of_columns, ufunc)

    def step(x: Array, *_: bool) -> Array:
        m, r, k = x.shape
        if k > 1:
            return of_columns(x) if x.size < 2 * READ or m == 1 else _blocked(of_columns, x, (m, k))
        rows = x[:, :, 0]
        if m == 1 and r >= 2 * READ:
            rows = _in_parts(of_rows, rows[0])[None]
        if rows.size < 2 * READ:
            return of_rows(rows)[:, None]
        return _blocked(of_rows, rows, (m,))[:, None]

    return step


def row_blocks(x: Array, dim: int) -> tuple[Array, int, int, int]:
    """`x` as a C-contiguous (M, R, K) around `dim`, copied only when its memory has another order, with M, R, K."""
    if not x.flags.c_contiguous:
        x = dense(x)
    shape = x.shape
    if not shape:
        return x.reshape(1, 1, 1), 1, 1, 1
    r = shape[dim]
    k = 1
    for n in shape[dim + 1 :]:
        k *= n
    m = 1
    for n in shape[:dim]:
        m *= n
    return x.reshape(m, r, k), m, r, k
