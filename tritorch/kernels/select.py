"""One element of each row by rank or frequency, with its index: kthvalue, median, nanmedian, mode.

    kthvalue: the k-th smallest      median: the element at (n - 1) // 2 in sorted order, NaN where there is one
    nanmedian: the same without NaN  mode: the most frequent element, the smallest of several

On the GPU the rows are sorted first and a kernel of one program per row picks.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ._configs import next_power_of_2
from ._fold import kept_shape
from ._launch import empty, kernel, launch
from ._op import Array, op
from .extremum import put, put_device, put_tensor
from .reduce import _shared, _shared_array
from .sort import last_dim, order, sort_gpu, take_rows

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _later(a, b):
    return tl.where(b > a, b, a)


@kernel
def _pick(y_ptr, at_ptr, to_ptr, to_at_ptr, r, k, rank, WHAT: tl.constexpr, FLOAT: tl.constexpr, BLOCK_R: tl.constexpr):
    """Choose one of each sorted row of y (m, r, k), whose indices are `at`: values `to` and indices `to_at` (m, k).

    WHAT: kth (the one at `rank`), median, nanmedian, or mode (the end of the first longest run of equal elements).
    """
    row = tl.program_id(0).to(tl.int64)
    base = row // k * r * k + row % k
    cols = tl.arange(0, BLOCK_R)
    place = tl.zeros((1,), tl.int32) + rank
    if WHAT == "mode":
        start = tl.zeros((1,), tl.int32)
        longest = tl.zeros((BLOCK_R,), tl.int32)
        end = tl.zeros((BLOCK_R,), tl.int32)
        for i in range(0, r, BLOCK_R):
            j = i + cols
            v = tl.load(y_ptr + base + j.to(tl.int64) * k, mask=j < r, other=0)
            w = tl.load(y_ptr + base + (j - 1).to(tl.int64) * k, mask=(j < r) & (j > 0), other=0)
            if FLOAT:
                v, w = v.to(tl.float64), w.to(tl.float64)
            else:
                v, w = v.to(tl.int64), w.to(tl.int64)
            starts = tl.associative_scan(tl.where((v != w) | (j == 0), j, 0), 0, _later)
            starts = tl.where(starts > start, starts, start)
            start = tl.max(starts, 0, keep_dims=True)
            run = tl.where(j < r, j - starts + 1, 0)
            end = tl.where(run > longest, j, end)
            longest = tl.where(run > longest, run, longest)
        best = tl.max(longest, 0)
        place = tl.min(tl.where(longest == best, end, 0x7FFFFFFF), 0)
    elif WHAT != "kth":
        bad = tl.zeros((BLOCK_R,), tl.int32)
        if FLOAT:
            for i in range(0, r, BLOCK_R):
                j = i + cols
                v = tl.load(y_ptr + base + j.to(tl.int64) * k, mask=j < r, other=0).to(tl.float64)
                bad += (v != v).to(tl.int32)
        n_bad = tl.sum(bad, 0)
        if WHAT == "median":
            place = tl.where(n_bad > 0, r - n_bad, (r - 1) // 2)
        else:
            place = tl.where(n_bad < r, (r - n_bad - 1) // 2, 0)
    at = base + place.to(tl.int64) * k
    out = row + tl.zeros_like(at)
    tl.store(to_ptr + out, tl.load(y_ptr + at))
    tl.store(to_at_ptr + out, tl.load(at_ptr + at))


def _pick_gpu(x: Array, dim: int, keepdim: bool, what: str, rank: int = 0) -> tuple[Array, Array]:
    shape = x.shape or (1,)
    m, r, k = prod(shape[:dim]), shape[dim], prod(shape[dim + 1 :])
    y, at = sort_gpu(x, dim, r, False)
    kept = kept_shape(x.shape, (dim,), keepdim)
    to, to_at = empty(kept, x.dtype), empty(kept, np.int64)
    if m * k:
        launch(
            _pick, (m * k,), y, at, to, to_at, r, k, rank,
            WHAT=what, FLOAT=x.dtype.kind in "fV", BLOCK_R=min(next_power_of_2(r), 1024), num_warps=4,
        )  # fmt: skip
    return to, to_at


# --------------------------------------------------------------------------------------------------------- the CPU


def _chosen(x: Array, rows: Array, at: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
    """Values and indices of one element per row, in the shape of the reduced `x`."""
    kept = kept_shape(x.shape, (dim,), keepdim)
    at = np.ascontiguousarray(at, np.int64).reshape(-1, 1)
    return take_rows(rows, at).reshape(kept), at.reshape(kept)


def _kth(x: Array, k: int, dim: int, keepdim: bool) -> tuple[Array, Array]:
    rows = last_dim(x, dim)
    at = rows.argpartition(k - 1, 1)[:, k - 1] if rows.size else np.empty(len(rows), np.int64)
    return _chosen(x, rows, at, dim, keepdim)


def _median(x: Array, dim: int, keepdim: bool, ignore_nan: bool) -> tuple[Array, Array]:
    rows = last_dim(x, dim)
    r = rows.shape[1]
    if not rows.size:
        return _chosen(x, rows, np.empty(len(rows), np.int64), dim, keepdim)
    middle = (r - 1) // 2
    at = rows.argpartition(middle, 1)[:, middle]
    bad = rows != rows if rows.dtype.kind == "f" else None
    if bad is not None and bad.any():
        if ignore_nan:
            n = r - bad.sum(1)
            by_rank = order(rows, False)
            at = by_rank[np.arange(len(rows)), np.maximum((n - 1) // 2, 0)]
        else:
            at = np.where(bad.any(1), bad.argmax(1), at)
    return _chosen(x, rows, at, dim, keepdim)


def _mode(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
    rows = last_dim(x, dim)
    if not rows.size:
        return _chosen(x, rows, np.empty(len(rows), np.int64), dim, keepdim)
    by_rank = order(rows, False)
    y = take_rows(rows, by_rank)
    places = np.arange(y.shape[1])
    starts = np.zeros(y.shape, np.int64)
    starts[:, 1:] = np.where(y[:, 1:] != y[:, :-1], places[1:], 0)
    run = places - np.maximum.accumulate(starts, 1)
    at = by_rank[np.arange(len(y)), run.argmax(1)]
    return _chosen(x, rows, at, dim, keepdim)


# --------------------------------------------------------------------------------------------------------- the ops


@op
class kthvalue:
    """The k-th smallest element (from 1) along one dim, and its index."""

    differentiable = 1

    def cpu(x: Array, k: int, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return _kth(x, k, dim, keepdim)

    def gpu(x: Array, k: int, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return _pick_gpu(x, dim, keepdim, "kth", k - 1)

    grad, cpu_grad, gpu_grad = put_tensor, put, put_device

    def samples(rng):
        yield (rng.permuted(np.arange(132.0)).reshape(4, 33),), (7, 1, False)
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), (2, 1, True)

    def cost(x, k, dim, keepdim):
        return x.nbytes, 0


@op
class median:
    """The lower median along one dim, and its index; NaN where there is one."""

    differentiable = 1

    def cpu(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return _median(x, dim, keepdim, False)

    def gpu(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return _pick_gpu(x, dim, keepdim, "median")

    grad, cpu_grad, gpu_grad = put_tensor, put, put_device

    def samples(rng):
        yield (rng.permuted(np.arange(132.0)).reshape(4, 33),), (1, False)
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), (1, True)

    def cost(x, dim, keepdim):
        return x.nbytes, 0


@op
class nanmedian:
    """The lower median of the elements that are not NaN along one dim, and its index; NaN where there is no other."""

    differentiable = 1

    def cpu(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return _median(x, dim, keepdim, True)

    def gpu(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return _pick_gpu(x, dim, keepdim, "nanmedian")

    grad, cpu_grad, gpu_grad = put_tensor, put, put_device

    def samples(rng):
        yield (rng.permuted(np.arange(132.0)).reshape(4, 33),), (1, False)
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), (1, True)

    def cost(x, dim, keepdim):
        return x.nbytes, 0


@op
class median_all:
    """The lower median of all elements of a 1-dim x; its gradient is shared by all elements equal to it."""

    def cpu(x: Array, ignore_nan: bool) -> Array:
        return _median(x, 0, False, ignore_nan)[0]

    def gpu(x: Array, ignore_nan: bool) -> Array:
        return _pick_gpu(x, 0, False, "nanmedian" if ignore_nan else "median")[0]

    def grad(g, x, y):
        return _shared(g, x, y, (0,), False)

    def cpu_grad(g, x, y):
        return _shared_array(g, x, y, (0,), False)

    def samples(rng):
        yield (rng.permuted(np.arange(33.0)),), (False,)
        yield (rng.permuted(np.arange(34.0)),), (True,)

    def cost(x, ignore_nan):
        return x.nbytes, 0


@op
class mode:
    """The most frequent element along one dim (the smallest of several), and the index of its last occurrence."""

    differentiable = 1

    def cpu(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return _mode(x, dim, keepdim)

    def gpu(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return _pick_gpu(x, dim, keepdim, "mode")

    grad, cpu_grad, gpu_grad = put_tensor, put, put_device

    def samples(rng):
        yield (rng.integers(0, 9, (4, 33)),), (1, False)
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), (1, True)

    def cost(x, dim, keepdim):
        return x.nbytes, 0


AOT = [
    ("median fp32 1024 x 512", lambda array: median.gpu(array((1024, 512)), 1, False)),
    ("kthvalue i32 1024 x 512", lambda array: kthvalue.gpu(array((1024, 512), "i32"), 3, 1, False)),
    ("mode bf16 1024 x 512", lambda array: mode.gpu(array((1024, 512), "bf16"), 1, False)),
]
