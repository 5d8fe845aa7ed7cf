"""The places of nonzero elements, and places among sorted elements: nonzero, searchsorted.

On the GPU, nonzero counts in each block, scans the counts and writes each block's places behind those of the blocks
before: the host reads one number, since it has to know the size of the result. searchsorted bisects, one lane per value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..device import EMULATED, to_host
from ._indexed import places_of
from ._launch import empty, kernel, launch
from ._op import Array, op
from ._rows import LONG_RUN, over_blocks
from ._strides import dense

if TYPE_CHECKING:
    import triton.language as tl

BLOCK = 1024


@kernel
def _is_set(x_ptr, i, live):
    v = tl.load(x_ptr + i, mask=live, other=0)
    if v.dtype.is_floating():
        return live & (v.to(tl.float64 if v.dtype == tl.float64 else tl.float32) != 0)
    else:
        return live & (v != 0)


@kernel
def _count(x_ptr, count_ptr, n, BLOCK: tl.constexpr):
    """count[p] = number of nonzero elements among BLOCK of the n of x."""
    p = tl.program_id(0)
    i = p.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    tl.store(count_ptr + p, tl.sum(_is_set(x_ptr, i, i < n).to(tl.int64), 0))


@kernel
def _compact(x_ptr, total_ptr, at_ptr, n, BLOCK: tl.constexpr):
    """at[...] = places of the nonzero elements of x (n,), in order; total: their number up to and with each block."""
    p = tl.program_id(0)
    i = p.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    found = _is_set(x_ptr, i, i < n)
    rank = tl.cumsum(found.to(tl.int32), 0)
    before = tl.where(p > 0, tl.load(total_ptr + tl.maximum(p - 1, 0)), 0)
    tl.store(at_ptr + before + rank - 1, i, mask=found)


@kernel
def _unravel(at_ptr, y_ptr, n, size, stride, step, BLOCK: tl.constexpr):
    """y[i * step] = at[i] // stride % size, the index along one dim of n places in a flat array."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < n
    at = tl.load(at_ptr + i, mask=live, other=0)
    tl.store(y_ptr + i * step, at // stride % size, mask=live)


def places_of_nonzero(x: Array) -> Array:
    """int64 places of the nonzero elements of a device array, counted through it in C order."""
    from ._gather import contiguous
    from .scan import cumsum

    if not x.size:
        return empty((0,), np.int64)
    x = contiguous(x)
    blocks = -(-x.size // BLOCK)
    counts = empty((blocks,), np.int64)
    launch(_count, (blocks,), x, counts, x.size, BLOCK=BLOCK, num_warps=4)
    totals = cumsum.gpu(counts, 0, False) if blocks > 1 else counts
    n = int(to_host(totals[blocks - 1 :])[0])
    at = empty((n,), np.int64)
    if n:
        launch(_compact, (blocks,), x, totals, at, x.size, BLOCK=BLOCK, num_warps=4)
    return at


@op
class nonzero:
    """(n, ndim) int64: the indices of the nonzero elements of x, in C order."""

    upcast = False

    def cpu(x: Array) -> Array:
        if not x.ndim:
            return np.empty((int(bool(x)), 0), np.int64)
        y = places_of(x)
        return dense(np.stack(y).T) if x.ndim > 1 else y[0][:, None]

    def gpu(x: Array) -> Array:
        at = places_of_nonzero(x)
        y = empty((at.size, x.ndim), np.int64)
        if y.size:
            stride = 1
            for d in range(x.ndim - 1, -1, -1):
                launch(
                    _unravel, (-(-at.size // BLOCK),), at, y[:, d:], at.size, x.shape[d], stride, x.ndim,
                    BLOCK=BLOCK, num_warps=4,
                )  # fmt: skip
                stride *= x.shape[d]
        return y

    def samples(rng):
        yield (rng.integers(0, 2, (3, 5, 7)),), ()
        yield (rng.normal(size=(40,)) * (rng.random(40) > 0.7),), ()
        yield (rng.random((5, 0)) > 0.5,), ()
        yield (rng.random(()) > 2,), ()

    def cost(x):
        return 2 * x.nbytes, x.size


@kernel
def _search(
    rows_ptr, v_ptr, y_ptr, n, k, r, STEPS: tl.constexpr, SHARED: tl.constexpr, RIGHT: tl.constexpr, BLOCK: tl.constexpr
):
    """y (n,): the first place in its row of `rows` (m, r) whose element is not below (RIGHT: is above) each of v (n,).

    Row j serves the k values from j * k; SHARED: there is one row. NaN is above everything. 2 ** STEPS > r.
    """
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < n
    v = tl.load(v_ptr + i, mask=live, other=0)
    if SHARED:
        base = i * 0
    else:
        base = i // k * r
    low = i * 0
    step = tl.zeros((1,), tl.int64) + 2 ** (STEPS - 1)
    for _ in range(0, STEPS):
        to = low + step
        w = tl.load(rows_ptr + base + to - 1, mask=live & (to <= r), other=0)
        if v.dtype.is_floating():
            a = w.to(tl.float64 if v.dtype == tl.float64 else tl.float32)
            b = v.to(tl.float64 if v.dtype == tl.float64 else tl.float32)
            if RIGHT:
                before = (a <= b) | (b != b)
            else:
                before = (a < b) | ((b != b) & (a == a))
        elif RIGHT:
            before = w <= v
        else:
            before = w < v
        low = tl.where((to <= r) & before, to, low)
        step = step // 2
    tl.store(y_ptr + i, low, mask=live)


_MANY = 1 << 13  # values from which it pays to bisect for all of them at once


def _bisect(rows: Array, v: Array, right: bool, y: Array) -> None:
    """y = the places of v in their rows (m, r), or in the only one; no v is NaN.

    All values take the same steps, a read and a comparison each, without the branches that np.searchsorted takes for
    each value (60 ns among 1024 elements; so 10).
    """
    m, r = rows.shape
    width = 1 << r.bit_length()  # so many elements with the rows filled up by what is above all others
    info = None if rows.dtype.kind == "f" else np.iinfo(rows.dtype) if rows.dtype.kind in "iu" else None
    above = np.inf if rows.dtype.kind == "f" else True if info is None else info.max
    padded = np.full((m, width), above, rows.dtype)
    padded[:, 1 : r + 1] = rows  # element `to - 1` of a row at `to`
    flat = padded.reshape(-1)
    values, places = np.ascontiguousarray(v).reshape(-1), y.reshape(-1)
    own = values.size // m  # values of a row
    before = np.less_equal if right else np.less

    def block(start: int, stop: int) -> None:
        part = values[start:stop]
        at = np.arange(start, stop) // own * width if m > 1 else np.zeros(stop - start, np.int64)
        base = at.copy() if m > 1 else 0
        step = width // 2
        while step:
            to = at + step
            to_add = before(flat.take(to, mode="wrap"), part).view(np.int8) * np.int64(step)
            np.add(at, to_add, out=at)
            step //= 2
        np.minimum(at - base, r, out=places[start:stop])

    over_blocks(block, values.size, 1, 1 << 15, run=LONG_RUN)


@op
class searchsorted:
    """int64 places at which values v (..., k) go into sorted rows (r,) or (..., r): before equal ones, or (`right`) after."""

    upcast = False

    def cpu(rows: Array, v: Array, right: bool) -> Array:
        side = "right" if right else "left"
        known = rows.dtype == v.dtype and v.dtype.kind in "biuf"
        if known and v.size >= _MANY and rows.size and not (v.dtype.kind == "f" and np.isnan(v.max())):
            y = np.empty(v.shape, np.int64)
            _bisect(rows.reshape(-1, rows.shape[-1]), v, right, y)
            return y
        if rows.ndim == 1:
            return np.asarray(np.searchsorted(rows, v, side), np.int64)
        y = np.zeros(v.shape, np.int64)
        if not y.size or not rows.size:
            return y
        flat = y.reshape(-1, v.shape[-1])
        pairs = zip(rows.reshape(-1, rows.shape[-1]), v.reshape(-1, v.shape[-1]), strict=True)
        for i, (row, values) in enumerate(pairs):
            flat[i] = np.searchsorted(row, values, side)
        return y

    def gpu(rows: Array, v: Array, right: bool) -> Array:
        from ._gather import contiguous
        from ._pointwise import fill

        y = empty(v.shape, np.int64)
        r = rows.shape[-1]
        if y.size and not r:
            fill(y, 0)
        elif y.size:
            block = BLOCK if EMULATED else 256
            launch(
                _search, (-(-y.size // block),), contiguous(rows), contiguous(v), y, y.size,
                v.shape[-1] if v.ndim else 1, r,
                STEPS=r.bit_length(), SHARED=rows.ndim == 1, RIGHT=right, BLOCK=block, num_warps=4,
            )  # fmt: skip
        return y

    def samples(rng):
        yield (np.sort(rng.integers(0, 9, 12)), rng.integers(-1, 10, (3, 5))), (False,)
        yield (np.sort(rng.integers(0, 9, (3, 8))), rng.integers(-1, 10, (3, 5))), (True,)
        yield (np.sort(rng.normal(size=9)), rng.normal(size=())), (True,)

    def cost(rows, v, right):
        return rows.nbytes + v.nbytes + 8 * v.size, v.size * rows.shape[-1].bit_length()


def _aot(array, dtype: str) -> None:
    """The launches of nonzero; the op itself reads a number between them."""
    n = 1 << 20
    x, counts, at = array((n,), dtype), array((n // BLOCK,), "i64"), array((n,), "i64")
    launch(_count, (n // BLOCK,), x, counts, n, BLOCK=BLOCK, num_warps=4)
    launch(_compact, (n // BLOCK,), x, counts, at, n, BLOCK=BLOCK, num_warps=4)
    launch(_unravel, (n // BLOCK,), at, array((n, 2), "i64"), n, 1024, 1024, 2, BLOCK=BLOCK, num_warps=4)


AOT = [
    ("nonzero bool of 2^20", lambda array: _aot(array, "i1")),
    ("nonzero bf16 of 2^20", lambda array: _aot(array, "bf16")),
    ("searchsorted fp32 2^20 in 4096", lambda array: searchsorted.gpu(array((4096,)), array((1 << 20,)), True)),
    ("searchsorted i64 rows", lambda array: searchsorted.gpu(array((64, 1000), "i64"), array((64, 512), "i64"), False)),
]
