"""Second moments and norms over dims.

    var(x) = sum((x - mean)^2) / (n - correction)        std = sqrt(var)        norm_p(x) = (sum |x|^p)^(1/p)

Never E[x^2] - E[x]^2, which cancels: the mean comes first, then the centred squares. On the GPU each lane keeps count,
mean and centred squares (Welford 1962); lanes and partial results are merged exactly (Chan, Golub, LeVeque 1979).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from ._fold import SMALL, finish, kept_shape, plan, row_dots, row_sums
from ._launch import empty, kernel, launch
from ._op import Array, op
from ._rows import over_blocks
from ._special import sign
from .reduce import kind, parts, reduce_gpu, sum_array, tiles

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _var(
    x_ptr, mean_ptr, n_ptr, y_ptr, out_mean_ptr, out_n_ptr, n_out, r, k, part,
    CORRECTION: tl.constexpr, F64: tl.constexpr, MERGE: tl.constexpr, LAST: tl.constexpr, ROOT: tl.constexpr,
    BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """Variance over the middle dim of x (m, r, k), contiguous, into y (m, splits, k).

    With MERGE, x holds the centred squares, `mean` and `n` (m, r, k) the means and counts of partial results. Without
    LAST, y gets the centred squares of this part, out_mean its mean, out_n its count. ROOT takes the square root.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    split = tl.program_id(1).to(tl.int64)
    j_ok = j < n_out
    m = j // k
    start = split * part
    count = tl.minimum(r - start, part).to(tl.int32)
    base = ((m * r + start) * k + (j - m * k))[:, None]
    rows = tl.arange(0, BLOCK_R)[None, :]
    n = tl.zeros((BLOCK_J, BLOCK_R), ACC)
    mean = tl.zeros((BLOCK_J, BLOCK_R), ACC)
    square = tl.zeros((BLOCK_J, BLOCK_R), ACC)
    for i in range(0, count, BLOCK_R):
        mask = (i + rows < count) & j_ok[:, None]
        offset = base + (i + rows).to(tl.int64) * k
        v = tl.load(x_ptr + offset, mask=mask, other=0).to(ACC)
        if MERGE:
            n_v = tl.load(n_ptr + offset, mask=mask, other=0)
            mean_v = tl.load(mean_ptr + offset, mask=mask, other=0)
        else:
            n_v = mask.to(ACC)
            mean_v = v
            v = tl.zeros((BLOCK_J, BLOCK_R), ACC)
        total = n + n_v
        share = n_v / tl.where(total == 0, 1, total)
        delta = mean_v - mean
        square = tl.where(n_v > 0, square + v + delta * delta * n * share, square)
        mean = tl.where(n_v > 0, mean + delta * share, mean)
        n = total
    n_all = tl.sum(n, 1)
    mean_all = tl.sum(mean * n, 1) / tl.where(n_all == 0, 1, n_all)
    delta = mean - mean_all[:, None]
    y = tl.sum(tl.where(n > 0, square + delta * delta * n, 0), 1)
    out = (m * tl.num_programs(1) + split) * k + (j - m * k)
    if LAST:
        freedom = n_all - CORRECTION
        y = y / tl.where(freedom > 0, freedom, 0)
        if ROOT:
            y = tl.sqrt(y)
    else:
        tl.store(out_mean_ptr + out, mean_all, mask=j_ok)
        tl.store(out_n_ptr + out, n_all, mask=j_ok)
    tl.store(y_ptr + out, y.to(y_ptr.dtype.element_ty), mask=j_ok)


def _var_gpu(x: Array, dim: tuple[int, ...], correction: float, keepdim: bool, root: bool) -> Array:
    shape, result = x.shape, x.dtype
    if not dim:
        x, dim, shape, keepdim = x.reshape((1,)), (0,), (1,), False
    _, wide = kind(result)
    y, runs, kept = plan(x, dim)
    mean = n = None
    for i, (m, r, k) in enumerate(runs):
        if m * k == 0:
            y = empty((m, k), result)
            break
        splits = 0
        while splits != 1:
            block_j, block_r, splits, warps = tiles(m * k, r, k)
            part, splits = parts(r, splits, block_r)
            last = splits == 1 and i == len(runs) - 1
            to = empty((m, splits, k), result if last else wide)
            to_mean, to_n = (None, None) if last else (empty((m, splits, k), wide), empty((m, splits, k), wide))
            launch(
                _var, (-(-m * k // block_j), splits), y, mean, n, to, to_mean, to_n, m * k, r, k, part,
                CORRECTION=correction, F64=wide.itemsize == 8, MERGE=mean is not None, LAST=last, ROOT=root,
                BLOCK_J=block_j, BLOCK_R=block_r, num_warps=warps,
            )  # fmt: skip
            y, mean, n, r = to, to_mean, to_n, splits
    return finish(y, shape, dim, keepdim, kept)


# ---------------------------------------------------------------------------------------------------------- the ops


def _count(shape: tuple[int, ...], dim: tuple[int, ...]) -> int:
    n = 1
    for d in dim:
        n *= shape[d]
    return n


def _var_array(x: Array, dim: tuple[int, ...], correction: float, keepdim: bool) -> Array:
    n = _count(x.shape, dim)
    freedom = max(n - correction, 0)
    if n == 0:
        return np.full(kept_shape(x.shape, dim, keepdim), np.nan, x.dtype)
    if (
        x.size >= SMALL
        and x.flags.c_contiguous
        and dim == tuple(range(x.ndim - len(dim), x.ndim))
        and len(dim) < x.ndim
    ):
        rows = x.reshape(-1, n)
        y = np.empty(kept_shape(x.shape, dim, keepdim), x.dtype)
        flat = y.reshape(-1)

        def block(start: int, stop: int) -> None:
            part = rows[start:stop]
            centred = part - (row_sums(part) / n)[:, None]
            flat[start:stop] = row_dots(centred, centred)

        over_blocks(block, len(rows), n)
    else:
        mean = sum_array(x, dim, True)
        mean /= n
        centred = np.asarray(x - mean)
        centred *= centred
        y = sum_array(centred, dim, keepdim)
    if freedom > 0:
        y /= y.dtype.type(freedom)
    else:  # 0 / 0 for a row of one element, else infinite
        y[...] = np.where(y > 0, np.inf, np.nan)
    return y


def _var_grad(g: Any, x: Any, dim: tuple[int, ...], correction: float, keepdim: bool, mean: Any) -> Any:
    """2 / (n - correction) * g * (x - mean), for arrays and Tensors."""
    freedom = _count(tuple(x.shape), dim) - correction
    if not keepdim:
        g = g.reshape(kept_shape(tuple(x.shape), dim, True))
    return g * (2 / freedom if freedom > 0 else inf) * (x - mean)


@op
class var:
    """y = sum of (x - mean)^2 over dim / (n - correction)."""

    def cpu(x: Array, dim: tuple, correction: float, keepdim: bool) -> Array:
        return _var_array(x, dim, correction, keepdim)

    def gpu(x: Array, dim: tuple, correction: float, keepdim: bool) -> Array:
        return _var_gpu(x, dim, correction, keepdim, False)

    def grad(g, x, dim, correction, keepdim):
        return _var_grad(g, x, dim, correction, keepdim, x.mean(dim, True) if dim else x)

    def cpu_grad(g, x, dim, correction, keepdim):
        return _var_array_grad(g, x, dim, correction, keepdim)

    def samples(rng):
        yield (rng.normal(size=(3, 5, 7)),), ((0, 2), 1, False)
        yield (rng.normal(size=(4, 33)),), ((1,), 0, True)
        yield (rng.normal(size=(33, 5)),), ((0,), 2.5, False)
        yield (rng.normal(size=(3, 4)),), ((0, 1), 1, False)

    def cost(x, dim, correction, keepdim):
        return x.nbytes, 4 * x.size


@op
class std:
    """y = sqrt(sum of (x - mean)^2 over dim / (n - correction)); its gradient is 0 where y is 0."""

    def cpu(x: Array, dim: tuple, correction: float, keepdim: bool) -> Array:
        y = _var_array(x, dim, correction, keepdim)
        return np.sqrt(y, out=y)

    def gpu(x: Array, dim: tuple, correction: float, keepdim: bool) -> Array:
        return _var_gpu(x, dim, correction, keepdim, True)

    def grad(g, x, y, dim, correction, keepdim):
        g = (g / (y * 2)).masked_fill(y == 0, 0)
        return _var_grad(g, x, dim, correction, keepdim, x.mean(dim, True) if dim else x)

    def cpu_grad(g, x, y, dim, correction, keepdim):
        g = np.where(y == 0, y.dtype.type(0), g / (y * 2))
        return _var_array_grad(g, x, dim, correction, keepdim)

    def samples(rng):
        yield (rng.normal(size=(3, 5, 7)),), ((0, 2), 1, False)
        yield (rng.normal(size=(4, 33)),), ((1,), 0, True)
        yield (rng.normal(size=(33, 5)),), ((0,), 1, False)

    def cost(x, dim, correction, keepdim):
        return x.nbytes, 4 * x.size


def _var_array_grad(g: Array, x: Array, dim: tuple[int, ...], correction: float, keepdim: bool) -> Array:
    mean = sum_array(x, dim, True)
    mean /= max(_count(x.shape, dim), 1)
    freedom = _count(x.shape, dim) - correction
    g = (g if keepdim else g.reshape(kept_shape(x.shape, dim, True))) * x.dtype.type(
        2 / freedom if freedom > 0 else inf
    )
    gx = np.asarray(x - mean)
    gx *= g
    return gx


# ------------------------------------------------------------------------------------------------------------ norms


def _norm_array(x: Array, p: float, dim: tuple[int, ...], keepdim: bool) -> Array:
    if p == 2:
        if x.size >= SMALL and x.flags.c_contiguous and dim == tuple(range(x.ndim - len(dim), x.ndim)):
            n = _count(x.shape, dim)
            y = np.empty(kept_shape(x.shape, dim, keepdim), x.dtype)
            rows, flat = x.reshape(-1, n), y.reshape(-1)

            def block(start: int, stop: int) -> None:
                flat[start:stop] = row_dots(rows[start:stop], rows[start:stop])

            over_blocks(block, len(rows), n)
        else:
            y = sum_array(np.asarray(x * x), dim, keepdim)
        return np.sqrt(y, out=y)
    size = np.asarray(np.abs(x))
    if p == inf or p == -inf:
        return np.asarray((np.maximum if p > 0 else np.minimum).reduce(size, dim, None, None, keepdim))
    if p == 0:
        return sum_array((size != 0).astype(x.dtype), dim, keepdim)
    if p == 1:
        return sum_array(size, dim, keepdim)
    y = sum_array(np.power(size, x.dtype.type(p), out=size), dim, keepdim)
    return np.power(y, y.dtype.type(1 / p), out=y)


@op
class vector_norm:
    """y = (sum of |x|^p over dim)^(1/p); the largest (smallest) |x| for p = inf (-inf); the number of x != 0 for p = 0.

    The gradient is 0 where y is 0, and shared evenly between equal elements for infinite p.
    """

    def cpu(x: Array, p: float, dim: tuple, keepdim: bool) -> Array:
        return _norm_array(x, p, dim, keepdim)

    def gpu(x: Array, p: float, dim: tuple, keepdim: bool) -> Array:
        if p == inf or p == -inf:
            return reduce_gpu(x, dim, keepdim, "max" if p > 0 else "min", pre="abs")
        if p == 2:
            return reduce_gpu(x, dim, keepdim, "sum", pre="square", post="sqrt")
        if p == 1 or p == 0:
            return reduce_gpu(x, dim, keepdim, "sum", pre="abs" if p else "nonzero")
        return reduce_gpu(x, dim, keepdim, "sum", pre="power", post="root", p=p)

    def grad(g, x, y, p, dim, keepdim):
        if not keepdim:
            kept = kept_shape(tuple(x.shape), dim, True)
            g, y = g.reshape(kept), y.reshape(kept)
        if p == 0:
            return x * 0
        if p == 1:
            return g * x.sign()
        if p == 2:
            return x * (g / y).masked_fill(y == 0, 0)
        if p == inf or p == -inf:
            hit = (x.abs() == y) | (x.isnan() & y.isnan())
            hit = hit.to(g.dtype)
            return x.sign() * hit * (g / hit.sum(dim, True))
        ratio = (x.abs() / y).masked_fill(y == 0, 0)
        return g * x.sign() * ratio.pow(p - 1) if p > 1 else g * x.sign() * ratio.pow(p - 1).masked_fill(x == 0, 0)

    def cpu_grad(g, x, y, p, dim, keepdim):
        if not keepdim:
            kept = kept_shape(x.shape, dim, True)
            g, y = g.reshape(kept), y.reshape(kept)
        if p == 0:
            return np.zeros_like(x)
        if p == 1:
            return g * sign(x)
        if p == 2:
            return x * np.where(y == 0, y.dtype.type(0), g / y)
        if p == inf or p == -inf:
            hit = (np.abs(x) == y) | np.isnan(x) & np.isnan(y)
            share = g / np.add.reduce(hit, dim, np.int64, None, True).astype(g.dtype)
            return sign(x) * hit * share
        ratio = np.asarray(np.where(y == 0, y.dtype.type(0), np.abs(x) / y) ** x.dtype.type(p - 1))
        if p < 1:
            ratio[x == 0] = 0
        return g * sign(x) * ratio

    def samples(rng):
        x = rng.normal(size=(4, 5, 7)) + 0.1
        yield (x,), (2.0, (0, 2), False)
        yield (x,), (1.0, (1,), True)
        yield (rng.permuted(np.linspace(0.1, 3, 33)) * np.where(rng.random(33) < 0.5, -1, 1),), (inf, (0,), False)
        yield (np.abs(x) + 0.5,), (2.5, (1,), False)
        yield (x[0],), (3.0, (0, 1), False)

    def cost(x, p, dim, keepdim):
        return x.nbytes, 2 * x.size


AOT = [
    ("var bf16 4096 x 4096 over the last dim", lambda array: var.gpu(array((4096, 4096), "bf16"), (1,), 1, False)),
    ("std fp32 4096 x 512 over the first dim", lambda array: std.gpu(array((4096, 512)), (0,), 1, False)),
    ("var fp64 64 x 256 x 1024 over two dims", lambda array: var.gpu(array((64, 256, 1024), "fp64"), (0, 2), 0, False)),
    ("norm fp32 of 2^24", lambda array: vector_norm.gpu(array((1 << 24,)), 2.0, (0,), False)),
    ("norm fp16, p = 3, 4096 x 1024", lambda array: vector_norm.gpu(array((4096, 1024), "fp16"), 3.0, (1,), False)),
]
