"""sort and topk along one dim: values and their indices, always stable, NaN as the largest value.

On the CPU keys of up to 32 bits are packed with their index into one int64, whose plain sort is both fast and stable.
On the GPU rows up to `RANKED` elements are ranked by counting the smaller ones; longer ones go through a radix sort, 4
bits a pass (count the digits of each tile, scan the counts, scatter); for topk first the best of each chunk are kept.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ._configs import SMALL, next_power_of_2
from ._fold import contiguous
from ._indexed import read_along, write_along
from ._launch import empty, kernel, launch
from ._op import Array, op
from ._rows import over_blocks
from ._scans import scan_gpu
from ._strides import dense
from .extremum import put_gpu

if TYPE_CHECKING:
    import triton.language as tl

RANKED = 512  # elements of a row that are ranked by comparing all pairs

# ------------------------------------------------------------------------------------------------------ the kernels


@kernel
def _key(v, FLIP: tl.constexpr):
    """An integer with v's order: NaN last, -0 equal to 0; FLIP for the opposite order."""
    if v.dtype.is_floating():
        if v.dtype == tl.float64:
            v = v + 0.0
            bits = v.to(tl.int64, bitcast=True)
            k = tl.where(bits < 0, bits ^ 0x7FFFFFFFFFFFFFFF, bits)
            k = tl.where(v != v, 0x7FFFFFFFFFFFFFFF, k)
        else:
            v = v.to(tl.float32) + 0.0
            bits = v.to(tl.int32, bitcast=True)
            k = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
            k = tl.where(v != v, 0x7FFFFFFF, k)
    elif v.dtype == tl.int64:
        k = v
    else:
        k = v.to(tl.int32)
    if FLIP:
        k = ~k
    return k


@kernel
def _rank_sort(
    x_ptr, from_ptr, y_ptr, at_ptr, r, k, chunk, keep, n_kept,
    FLIP: tl.constexpr, HAS_FROM: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """The first `keep` of each chunk of the middle dim of x (m, r, k) in sorted order, and their indices `at` (int64).

    Program (row, c) ranks the `chunk` elements from c * chunk on, by counting how many come before each, and stores
    rank i < keep at place c * keep + i of y and at (m, n_kept, k). BLOCK_R >= chunk; BLOCK_C are compared at a time.
    With HAS_FROM the indices of x's elements come from `from` (m, r, k).
    """
    row = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1).to(tl.int64)
    m = row // k
    base = (m * r + c * chunk) * k + (row - m * k)
    count = tl.minimum(r - c * chunk, chunk).to(tl.int32)
    i = tl.arange(0, BLOCK_R)
    i_ok = i < count
    v = tl.load(x_ptr + base + i.to(tl.int64) * k, mask=i_ok, other=0)
    key = _key(v, FLIP)
    rank = tl.zeros((BLOCK_R,), tl.int32)
    for start in range(0, count, BLOCK_C):
        j = start + tl.arange(0, BLOCK_C)
        w = tl.load(x_ptr + base + j.to(tl.int64) * k, mask=j < count, other=0)
        other = _key(w, FLIP)
        before = (other[None, :] < key[:, None]) | ((other[None, :] == key[:, None]) & (j[None, :] < i[:, None]))
        rank += tl.sum((before & (j < count)[None, :]).to(tl.int32), 1)
    if HAS_FROM:
        at = tl.load(from_ptr + base + i.to(tl.int64) * k, mask=i_ok, other=0)
    else:
        at = c * chunk + i
    to = (m * n_kept + c * keep + rank) * k + (row - m * k)
    i_ok = i_ok & (rank < keep)
    tl.store(y_ptr + to, v, mask=i_ok)
    tl.store(at_ptr + to, at.to(tl.int64), mask=i_ok)


@kernel
def _sort_keys(x_ptr, key_ptr, at_ptr, r, k, FLIP: tl.constexpr, BLOCK: tl.constexpr):
    """Keys and indices 0 ... r - 1 of the rows of x (m, r, k) as contiguous rows (m * k, r); program (tile, row)."""
    row = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ok = i < r
    v = tl.load(x_ptr + row // k * r * k + row % k + i * k, mask=ok, other=0)
    tl.store(key_ptr + row * r + i, _key(v, FLIP), mask=ok)
    tl.store(at_ptr + row * r + i, i.to(tl.int32), mask=ok)


@kernel
def _radix_count(key_ptr, count_ptr, r, shift, SIGN: tl.constexpr, BLOCK: tl.constexpr):
    """How often each of the 16 digits at bit `shift` occurs in a tile: count (rows, 16, tiles), int32.

    Program (tile, row).
    SIGN: the digit holds the sign bit, which sorts the other way round.
    """
    row = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ok = i < r
    digit = ((tl.load(key_ptr + row * r + i, mask=ok, other=0) >> shift) & 15).to(tl.int32)
    if SIGN:
        digit = digit ^ 8
    d = tl.arange(0, 16)
    hits = ((digit[:, None] == d[None, :]) & ok[:, None]).to(tl.int32)
    tl.store(count_ptr + (row * 16 + d) * tl.num_programs(0) + tl.program_id(0), tl.sum(hits, 0))


@kernel
def _radix_scatter(
    key_ptr, at_ptr, count_ptr, upto_ptr, to_key_ptr, to_at_ptr, r, shift, SIGN: tl.constexpr, BLOCK: tl.constexpr
):
    """Move each key and index of a tile behind those with smaller digits, and behind equal digits that came before.

    `upto` (rows, 16, tiles), int64, is the running sum of `count` over digits and tiles; program (tile, row).
    """
    row = tl.program_id(1).to(tl.int64)
    tile = tl.program_id(0)
    i = tile.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ok = i < r
    key = tl.load(key_ptr + row * r + i, mask=ok, other=0)
    at = tl.load(at_ptr + row * r + i, mask=ok, other=0)
    digit = ((key >> shift) & 15).to(tl.int32)
    if SIGN:
        digit = digit ^ 8
    d = tl.arange(0, 16)
    hits = ((digit[:, None] == d[None, :]) & ok[:, None]).to(tl.int32)
    place = (row * 16 + d) * tl.num_programs(0) + tile
    start = tl.load(upto_ptr + place) - tl.load(count_ptr + place)
    to = tl.sum(hits * (tl.cumsum(hits, 0) - 1 + start[None, :]), 1)
    tl.store(to_key_ptr + row * r + to, key, mask=ok)
    tl.store(to_at_ptr + row * r + to, at, mask=ok)


@kernel
def _take_sorted(x_ptr, at_ptr, y_ptr, to_ptr, r, k, keep, BLOCK: tl.constexpr):
    """y (m, keep, k): the elements of x (m, r, k) in the order `at` (m * k, r); `to` (m, keep, k): the order, int64."""
    row = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ok = i < keep
    at = tl.load(at_ptr + row * r + i, mask=ok, other=0).to(tl.int64)
    m = row // k
    v = tl.load(x_ptr + (m * r + at) * k + (row - m * k), mask=ok, other=0)
    to = (m * keep + i) * k + (row - m * k)
    tl.store(y_ptr + to, v, mask=ok)
    tl.store(to_ptr + to, at, mask=ok)


def _ranked(
    x: Array, at: Array | None, m: int, r: int, k: int, chunk: int, keep: int, flip: bool
) -> tuple[Array, Array]:
    """The best `keep` of each chunk, as (m, number kept, k)."""
    chunks = -(-r // chunk)
    kept = (chunks - 1) * keep + min(keep, r - (chunks - 1) * chunk)
    y, to = empty((m, kept, k), x.dtype), empty((m, kept, k), np.int64)
    block = next_power_of_2(min(chunk, r))
    launch(
        _rank_sort, (m * k, chunks), x, at, y, to, r, k, chunk, keep, kept,
        FLIP=flip, HAS_FROM=at is not None, BLOCK_R=block, BLOCK_C=min(block, 512 if SMALL else 32), num_warps=8,
    )  # fmt: skip
    return y, to


def _radix(x: Array, m: int, r: int, k: int, keep: int, flip: bool) -> tuple[Array, Array]:
    rows, block = m * k, 512
    tiles = -(-r // block)
    bits = {1: 8, 2: 16, 4: 32, 8: 64}[x.dtype.itemsize]
    if x.dtype.kind not in "iu" and bits < 32 or x.dtype.kind == "u":
        bits = 32  # half precision keys are made in float32, unsigned ones have no sign bit
    key_type = np.dtype(np.int64 if bits == 64 else np.int32)
    keys, ats = [empty((rows, r), key_type) for _ in "ab"], [empty((rows, r), np.int32) for _ in "ab"]
    launch(_sort_keys, (tiles, rows), x, keys[0], ats[0], r, k, FLIP=flip, BLOCK=block, num_warps=4)
    count = empty((rows, 16 * tiles), np.int32)
    for shift in range(0, bits, 4):
        sign = shift == bits - 4
        launch(_radix_count, (tiles, rows), keys[0], count, r, shift, SIGN=sign, BLOCK=block, num_warps=4)
        upto = scan_gpu(count, 1, False, "sum", np.int64)
        launch(
            _radix_scatter, (tiles, rows), keys[0], ats[0], count, upto, keys[1], ats[1], r, shift,
            SIGN=sign, BLOCK=block, num_warps=8,
        )  # fmt: skip
        keys.reverse()
        ats.reverse()
    y, to = empty((m, keep, k), x.dtype), empty((m, keep, k), np.int64)
    launch(_take_sorted, (-(-keep // block), rows), x, ats[0], y, to, r, k, keep, BLOCK=block, num_warps=4)
    return y, to


def sort_gpu(x: Array, dim: int, keep: int, descending: bool) -> tuple[Array, Array]:
    """The first `keep` of `dim` in sorted order, and their indices."""
    x = contiguous(x)
    shape = x.shape or (1,)
    m, r, k = prod(shape[:dim]), shape[dim], prod(shape[dim + 1 :])
    result = (*shape[:dim], keep, *shape[dim + 1 :]) if x.shape else ()
    if m * k * keep == 0:
        return empty(result, x.dtype), empty(result, np.int64)
    y, at = x, None
    if r > RANKED and keep > RANKED // 4:
        y, at = _radix(x, m, r, k, keep, descending)
    else:
        while r > RANKED:
            y, at = _ranked(y, at, m, r, k, RANKED, keep, descending)
            r = y.shape[1]
        y, at = _ranked(y, at, m, r, k, r, keep, descending)
    return y.reshape(result), at.reshape(result)


# --------------------------------------------------------------------------------------------------------- the CPU


def order(x: Array, descending: bool) -> Array:
    """Indices (int64) that sort the rows of (M, R) stably, NaN as the largest."""
    m, r = x.shape
    y = np.empty((m, r), np.int64)
    if y.size == 0:
        return y
    places = max(r - 1, 1).bit_length()
    few = x.size <= 1024 and x.dtype.kind != "V"  # NumPy's own sort costs less, and has no order for bfloat16
    low = int(x.min()) if x.dtype.char in "lq" and not few else 0
    if not few and (x.dtype.itemsize <= 4 or x.dtype.char in "lq" and int(x.max()) - low < 1 << (62 - places)):

        def rows(start: int, stop: int) -> None:
            """An element and its place in one number: one sort of numbers, which is many times as fast as one of places."""
            part, key = x[start:stop], y[start:stop]
            if part.dtype.kind == "f":
                part = part.astype(np.float32) + np.float32(0)  # so that -0 is the bits of 0
                bits = part.view(np.int32)
                np.bitwise_xor(bits, (bits >> 31) & 0x7FFFFFFF, out=key)
                key.reshape(-1)[np.flatnonzero(part != part)] = 0x7FFFFFFF
            else:
                np.subtract(part, low, out=key)
            if descending:
                np.bitwise_not(key, out=key)
            key <<= places
            key |= np.arange(r)
            key.sort(1)
            key &= (1 << places) - 1
    else:

        def rows(start: int, stop: int) -> None:
            if descending:  # the reverse of the stable order of the reversed row
                at = np.argsort(x[start:stop, ::-1], 1, kind="stable")[:, ::-1]
                np.subtract(r - 1, at, out=y[start:stop])
            else:
                y[start:stop] = np.argsort(x[start:stop], 1, kind="stable")

    over_blocks(rows, m, r, block=1 << 15)
    return y


def last_dim(x: Array, dim: int) -> Array:
    """`x` as contiguous rows (M, R) along `dim`."""
    if not x.ndim:
        return x.reshape(1, 1)
    n = x.shape[dim]
    rest = prod(x.shape[:dim]) * prod(x.shape[dim + 1 :])
    rows = x if dim == x.ndim - 1 else np.moveaxis(x, dim, -1)
    return (rows if rows.flags.c_contiguous else dense(rows)).reshape(rest, n)


def back(rows: Array, shape: tuple[int, ...], dim: int) -> Array:
    """Rows (M, R') as an array like `shape` with R' along `dim`, contiguous."""
    if not shape:
        return rows.reshape(())
    rest = shape[:dim] + shape[dim + 1 :]
    y = rows.reshape(*rest, rows.shape[1])
    if dim < len(rest):
        y = np.moveaxis(y, -1, dim)
    return y if y.flags.c_contiguous else dense(y)


def take_rows(x: Array, at: Array) -> Array:
    """x[i, at[i, j]] of rows (M, R)."""
    if x.size == 0:
        return np.empty(at.shape, x.dtype)
    if at.size > 1 << 14:
        return read_along(x, 1, at)
    return x.reshape(-1).take(at + np.arange(0, x.size, x.shape[1])[:, None])


def _sorted(x: Array, dim: int, descending: bool) -> tuple[Array, Array]:
    if x.ndim and x.shape[dim] == 0 or x.size == 0:
        return x.copy(), np.empty(x.shape, np.int64)
    if x.size <= 1024 and x.ndim:
        return _sorted_few(x, dim, descending, x.shape[dim])
    rows = last_dim(x, dim)
    at = order(rows, descending)
    return back(take_rows(rows, at), x.shape, dim), back(at, x.shape, dim)


def _sorted_few(x: Array, dim: int, descending: bool, k: int) -> tuple[Array, Array]:
    """The first k of the sorted values and their indices, by NumPy's own sort."""
    if not descending:
        at = x.argsort(dim, "stable")
        y = x.copy()
        y.sort(dim, "stable")
        first = slice(k)
    else:
        x = x[(slice(None),) * dim + (slice(None, None, -1),)]  # equal elements: reverse of the reverse
        at = x.shape[dim] - 1 - x.argsort(dim, "stable")
        y = x.copy()
        y.sort(dim, "stable")
        first = slice(-1, -1 - k, -1)
    part = (slice(None),) * dim + (first,)
    return np.ascontiguousarray(y[part]), np.ascontiguousarray(at[part])


def _top(x: Array, k: int, dim: int, largest: bool) -> tuple[Array, Array]:
    shape = x.shape
    if x.size == 0 or k == 0:
        result = (*shape[:dim], k, *shape[dim + 1 :]) if shape else ()
        return np.empty(result, x.dtype), np.empty(result, np.int64)
    if x.size <= 1024 and shape:
        return _sorted_few(x, dim, largest, k)
    rows = last_dim(x, dim)
    r = rows.shape[1]
    if r >= 64 and k <= r // 4:
        some = np.empty((len(rows), k), np.int64)

        def part(start: int, stop: int) -> None:
            found = np.argpartition(rows[start:stop], r - k if largest else k - 1, 1)
            some[start:stop] = np.sort(found[:, r - k :] if largest else found[:, :k], 1)

        over_blocks(part, len(rows), r, block=1 << 17)
        at = take_rows(some, order(take_rows(rows, some), largest))
    else:
        at = order(rows, largest)[:, :k]
    return back(take_rows(rows, at), shape, dim), back(at, shape, dim)


def put_many(g: Array, at: Array, x_shape: tuple[int, ...], dim: int) -> Array:
    """Zeros of `x_shape` with `g` at the indices `at`, which are different ones, along `dim`."""
    if not x_shape:
        return g
    gx = np.zeros(x_shape, g.dtype)
    write_along(gx, dim, at, g)
    return gx


def _put_many(g: Any, at: Any, x_shape: tuple[int, ...], dim: int) -> Any:
    return g.new_zeros(x_shape).scatter(dim, at, g) if x_shape else g


# --------------------------------------------------------------------------------------------------------- the ops


@op
class sort:
    """Elements along one dim in rising (falling) order, and their indices; equal elements keep their order."""

    differentiable = 1

    def cpu(x: Array, dim: int, descending: bool) -> tuple[Array, Array]:
        return _sorted(x, dim, descending)

    def gpu(x: Array, dim: int, descending: bool) -> tuple[Array, Array]:
        return sort_gpu(x, dim, x.shape[dim] if x.ndim else 1, descending)

    def grad(g, x_shape, y1, dim):
        return _put_many(g, y1, x_shape, dim)

    def cpu_grad(g, x_shape, y1, dim):
        return put_many(g, y1, x_shape, dim)

    def gpu_grad(g, x_shape, y1, dim):
        return put_gpu(g, y1, x_shape, dim)

    def samples(rng):
        yield (rng.permuted(np.arange(132.0)).reshape(4, 33),), (1, False)
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), (1, True)
        yield (rng.permuted(np.arange(12.0)),), (0, True)

    def cost(x, dim, descending):
        return 2 * x.nbytes + 8 * x.size, 0


@op
class topk:
    """The k largest (smallest) elements along one dim, best first, and their indices."""

    differentiable = 1

    def cpu(x: Array, k: int, dim: int, largest: bool) -> tuple[Array, Array]:
        return _top(x, k, dim, largest)

    def gpu(x: Array, k: int, dim: int, largest: bool) -> tuple[Array, Array]:
        return sort_gpu(x, dim, k, largest)

    def grad(g, x_shape, y1, dim):
        return _put_many(g, y1, x_shape, dim)

    def cpu_grad(g, x_shape, y1, dim):
        return put_many(g, y1, x_shape, dim)

    def gpu_grad(g, x_shape, y1, dim):
        return put_gpu(g, y1, x_shape, dim)

    def samples(rng):
        yield (rng.permuted(np.arange(240.0)).reshape(3, 80),), (5, 1, True)
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), (2, 1, False)

    def cost(x, k, dim, largest):
        return x.nbytes, 0


AOT = [
    ("sort fp32 1024 x 512", lambda array: sort.gpu(array((1024, 512)), 1, False)),
    ("sort bf16 16 x 100000, descending", lambda array: sort.gpu(array((16, 100000), "bf16"), 1, True)),
    ("sort i64 of 2^20", lambda array: sort.gpu(array((1 << 20,), "i64"), 0, False)),
    ("topk fp32 64 x 50257, k = 50", lambda array: topk.gpu(array((64, 50257)), 50, 1, True)),
]
