"""Extrema with their place: values and indices of max and min over one dim, argmax, argmin.

The first of equal elements counts, and the first NaN before all others. On the GPU each lane keeps the best value and
index it has met; the tile is then reduced by its extremum and the smallest index that has it.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ._configs import SMALL
from ._fold import READ, contiguous, kept_shape, row_blocks
from ._indexed import read_along, write_along
from ._launch import empty, kernel, launch
from ._op import Array, op
from ._pointwise import fill
from ._rows import over_blocks
from ._strides import dense
from .reduce import kind, parts, tiles

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _better(v, at, acc, acc_at, MAX: tl.constexpr):
    """Keep the better of a lane's best (acc, acc_at) and (v, at); the first NaN is the best."""
    if MAX:
        better = v > acc
    else:
        better = v < acc
    better = (better & (acc == acc)) | ((v != v) & (acc == acc))
    return tl.where(better, v, acc), tl.where(better, at, acc_at)


@kernel
def _arg_reduce(
    x_ptr, from_ptr, y_ptr, at_ptr, n_out, r, k, part,
    KIND: tl.constexpr, MAX: tl.constexpr, WORST: tl.constexpr, HAS_FROM: tl.constexpr,
    BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """Extremum over the middle dim of x (m, r, k), contiguous: values y and indices at, both (m, splits, k).

    With HAS_FROM, `from` (m, r, k) holds the indices of x's elements (partial results), else they are 0 ... r - 1.
    Program (i, split) makes outputs i * BLOCK_J ... from the rows split * part ...; blocks are powers of two.
    """
    ACC: tl.constexpr = tl.float64 if KIND == "f64" else (tl.int64 if KIND == "i64" else tl.float32)
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    split = tl.program_id(1).to(tl.int64)
    j_ok = j < n_out
    m = j // k
    start = split * part
    count = tl.minimum(r - start, part).to(tl.int32)
    base = ((m * r + start) * k + (j - m * k))[:, None]
    rows = tl.arange(0, BLOCK_R)[None, :]
    acc = tl.full((BLOCK_J, BLOCK_R), WORST, ACC)
    acc_at = tl.full((BLOCK_J, BLOCK_R), 0x7FFFFFFFFFFFFFFF, tl.int64)
    for i in range(0, count, BLOCK_R):
        mask = (i + rows < count) & j_ok[:, None]
        offset = base + (i + rows).to(tl.int64) * k
        v = tl.load(x_ptr + offset, mask=mask, other=WORST).to(ACC)
        if HAS_FROM:
            at = tl.load(from_ptr + offset, mask=mask, other=0x7FFFFFFFFFFFFFFF)
        else:
            at = tl.where(mask, start + i + rows, 0x7FFFFFFFFFFFFFFF)
        first = (acc_at == 0x7FFFFFFFFFFFFFFF) & mask
        acc = tl.where(first, v, acc)
        acc_at = tl.where(first, at, acc_at)
        acc, acc_at = _better(v, at, acc, acc_at, MAX)
    if MAX:
        best = tl.max(acc, 1)
    else:
        best = tl.min(acc, 1)
    hit = acc == best[:, None]
    if KIND != "i64":
        has_nan = tl.max((acc != acc).to(tl.int32), 1) > 0
        hit = tl.where(has_nan[:, None], acc != acc, hit)
        best = tl.where(has_nan, float("nan"), best)
    place = tl.min(tl.where(hit, acc_at, 0x7FFFFFFFFFFFFFFF), 1)
    out = (m * tl.num_programs(1) + split) * k + (j - m * k)
    tl.store(y_ptr + out, best.to(y_ptr.dtype.element_ty), mask=j_ok)
    tl.store(at_ptr + out, place, mask=j_ok)


@kernel
def _put(g_ptr, at_ptr, gx_ptr, size, n, r, k, BLOCK: tl.constexpr):
    """gx[m, at[m, i, k], k] = g[m, i, k] for g and at (m, n, k), gx (m, r, k), contiguous; BLOCK of g a program."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ok = i < size
    at = tl.load(at_ptr + i, mask=ok, other=0)
    g = tl.load(g_ptr + i, mask=ok, other=0)
    tl.store(gx_ptr + (i // (n * k) * r + at) * k + i % k, g, mask=ok)


def put_gpu(g: Array, at: Array, shape: tuple[int, ...], dim: int) -> Array:
    """Zeros of `shape` with `g` at the indices `at`, which differ along `dim`; device arrays."""
    g, at = contiguous(g), contiguous(at)
    gx = empty(shape, g.dtype)
    r, k = (shape[dim], prod(shape[dim + 1 :])) if shape else (1, 1)
    if gx.size:
        n = g.size * r // gx.size
        if n < r:
            fill(gx, 0)
        if g.size:
            block = 16384 if SMALL else 1024
            launch(_put, (-(-g.size // block),), g, at, gx, g.size, n, r, k, BLOCK=block, num_warps=4)
    return gx


def arg_reduce_gpu(x: Array, dim: int, keepdim: bool, largest: bool) -> tuple[Array, Array]:
    """Values and int64 indices of the extrema of a device array over `dim`."""
    x = contiguous(x)
    shape = kept_shape(x.shape, (dim,), keepdim)
    name, wide = kind(x.dtype)
    info = np.iinfo(x.dtype) if x.dtype.kind in "iu" else None
    worst: Any = float("-inf") if largest else float("inf")
    if name == "i64":
        worst = int(not largest) if info is None else int(info.min if largest else info.max)
    m, r, k = 1, x.shape[dim] if x.ndim else 1, 1
    for i, n in enumerate(x.shape):
        m, k = (m * n, k) if i < dim else (m, k * n if i > dim else k)
    source, at = x, None
    while True:
        if m * k == 0:
            return empty(shape, x.dtype), empty(shape, np.int64)
        block_j, block_r, splits, warps = tiles(m * k, r, k)
        part, splits = parts(r, splits, block_r)
        y = empty((m, splits, k), x.dtype if splits == 1 else wide)
        places = empty((m, splits, k), np.int64)
        launch(
            _arg_reduce, (-(-m * k // block_j), splits), source, at, y, places, m * k, r, k, part,
            KIND=name, MAX=largest, WORST=worst, HAS_FROM=at is not None,
            BLOCK_J=block_j, BLOCK_R=block_r, num_warps=warps,
        )  # fmt: skip
        if splits == 1:
            return y.reshape(shape), places.reshape(shape)
        source, at, r = y, places, splits


_MANY = 1 << 16  # elements from which columns are worth a transpose


def arg_array(x: Array, dim: int, keepdim: bool, largest: bool) -> Array:
    """np.argmax or np.argmin over one dim, as an int64 array."""
    if not x.ndim:
        return np.zeros((), np.int64)
    k = prod(x.shape[dim + 1 :]) if x.size >= _MANY else 2
    if 1 < k < 32 or k == 1 and x.size < 2 * READ:
        at = np.asarray(x.argmax(dim) if largest else x.argmin(dim))
        return at.reshape(kept_shape(x.shape, (dim,), True)) if keepdim else at
    shape = kept_shape(x.shape, (dim,), keepdim)
    x, m, r, k = row_blocks(x, dim)
    at = np.empty((m, k), np.int64)

    def block(start: int, stop: int) -> None:
        part = x[start:stop]
        if k > 1 and r <= 64 and _best_of_few(part, at[start:stop], largest):
            return
        rows = part[:, :, 0] if k == 1 else dense(part.transpose(0, 2, 1))  # NumPy does so element by element
        at[start:stop] = (rows.argmax(-1) if largest else rows.argmin(-1)).reshape(-1, k)

    over_blocks(block, m, r * k, max(1, READ // (r * k)))
    return at.reshape(shape)


def _best_of_few(x: Array, at: Array, largest: bool) -> bool:
    """at (M, K) = the places of the extrema over the middle dim of x (M, R, K), row by row; False where one is NaN."""
    beats, extremum = (np.greater, np.maximum) if largest else (np.less, np.minimum)
    best = x[:, 0].copy()
    place = np.zeros(best.shape, np.int32)
    for j in range(1, x.shape[1]):
        row = x[:, j]
        np.maximum(place, np.multiply(beats(row, best), np.int32(j)), out=place)
        extremum(best, row, out=best)
    at[...] = place
    return x.dtype.kind != "f" or not np.isnan(best).any()


def best_array(x: Array, dim: int, keepdim: bool, largest: bool) -> tuple[Array, Array]:
    """Extrema of a NumPy array over one dim, and their indices."""
    at = arg_array(x, dim, keepdim, largest)
    if x.size <= 1024:
        reduce = np.maximum.reduce if largest else np.minimum.reduce
        return np.asarray(reduce(x, dim, None, None, keepdim)), at
    found = at if keepdim else np.expand_dims(at, dim)
    y = read_along(x, dim, found) if at.size > 4096 else np.take_along_axis(x, found, dim)
    return y.reshape(at.shape), at


# The rules of ops that pick one element along `dim` and say where (y1).


def put(g: Array, y1: Array, x_shape: tuple[int, ...], dim: int, keepdim: bool) -> Array:
    """Zeros with `g` at the indices `y1` that a reduction of `dim` gave."""
    if not x_shape:
        return g
    gx = np.zeros(x_shape, g.dtype)
    if not keepdim:
        g, y1 = np.expand_dims(g, dim), np.expand_dims(y1, dim)
    write_along(gx, dim, y1, g)
    return gx


def put_device(g: Array, y1: Array, x_shape: tuple[int, ...], dim: int, keepdim: bool) -> Array:
    """`put` on device arrays."""
    return put_gpu(g, y1, x_shape, dim)


def put_tensor(g: Any, y1: Any, x_shape: tuple[int, ...], dim: int, keepdim: bool) -> Any:
    """`put` on Tensors, differentiable."""
    if not x_shape:
        return g
    if not keepdim:
        g, y1 = g.unsqueeze(dim), y1.unsqueeze(dim)
    return g.new_zeros(x_shape).scatter(dim, y1, g)


@op
class max_:
    """Largest elements of x over one dim and their indices."""

    differentiable = 1

    def cpu(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return best_array(x, dim, keepdim, True)

    def gpu(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return arg_reduce_gpu(x, dim, keepdim, True)

    grad, cpu_grad, gpu_grad = put_tensor, put, put_device

    def samples(rng):
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), (1, False)
        yield (rng.permuted(np.arange(132.0)).reshape(4, 33),), (1, True)
        yield (rng.permuted(np.arange(132.0)).reshape(33, 4),), (0, False)
        yield (rng.normal(size=()),), (0, False)

    def cost(x, dim, keepdim):
        return x.nbytes, x.size


@op
class min_:
    """Smallest elements of x over one dim and their indices."""

    differentiable = 1

    def cpu(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return best_array(x, dim, keepdim, False)

    def gpu(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return arg_reduce_gpu(x, dim, keepdim, False)

    grad, cpu_grad, gpu_grad = put_tensor, put, put_device

    def samples(rng):
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), (1, False)
        yield (rng.permuted(np.arange(132.0)).reshape(4, 33),), (1, True)

    def cost(x, dim, keepdim):
        return x.nbytes, x.size


@op
class argmax:
    """Index of the largest element of x over one dim."""

    def cpu(x: Array, dim: int, keepdim: bool) -> Array:
        return arg_array(x, dim, keepdim, True)

    def gpu(x: Array, dim: int, keepdim: bool) -> Array:
        return arg_reduce_gpu(x, dim, keepdim, True)[1]

    def samples(rng):
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), (1, False)
        yield (rng.integers(0, 5, (4, 33)),), (1, True)

    def cost(x, dim, keepdim):
        return x.nbytes, x.size


@op
class argmin:
    """Index of the smallest element of x over one dim."""

    def cpu(x: Array, dim: int, keepdim: bool) -> Array:
        return arg_array(x, dim, keepdim, False)

    def gpu(x: Array, dim: int, keepdim: bool) -> Array:
        return arg_reduce_gpu(x, dim, keepdim, False)[1]

    def samples(rng):
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), (1, False)
        yield (rng.integers(0, 5, (4, 33)),), (1, True)

    def cost(x, dim, keepdim):
        return x.nbytes, x.size


AOT = [
    ("max bf16 4096 x 4096 over the last dim", lambda array: max_.gpu(array((4096, 4096), "bf16"), 1, False)),
    ("argmin fp32 4096 x 512 over the first dim", lambda array: argmin.gpu(array((4096, 512)), 0, False)),
    ("argmax i64 of 2^20", lambda array: argmax.gpu(array((1 << 20,), "i64"), 0, False)),
    ("backward of max", lambda array: put_gpu(array((4096,)), array((4096,), "i64"), (4096, 512), 1)),
]
