"""softmax, log_softmax and logsumexp.

    softmax(x)_i = exp(x_i - m) / s      log_softmax(x)_i = x_i - m - log(s)      logsumexp(x) = m + log(s)
    with m = max_j x_j and s = sum_j exp(x_j - m)

On the CPU several passes over a block of rows while it is in cache. On the GPU a row that fits is read once; a longer
one twice, the first time with a running maximum and sum per lane (arXiv 1805.02867).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ._configs import SMALL, next_power_of_2
from ._fold import by_groups, column_sums, contiguous, kept_shape, row_dots, row_sums, ufunc_step
from ._launch import empty, empty_like, kernel, launch
from ._op import Array, op
from ._rows import BLOCK, over_blocks
from .reduce import kind, parts, tiles

if TYPE_CHECKING:
    import triton.language as tl

# ------------------------------------------------------------------------------------------------------ the kernels


@kernel
def _online(v, m, s):
    """Running maximum m and sum s of exp(. - m), m replaced by 0 where infinite, after one more tile v."""
    top = tl.where(v > m, v, m)
    safe = tl.where(tl.abs(top) == float("inf"), 0.0, top)
    return top, s * tl.exp(m - safe) + tl.exp(v - safe)


@kernel
def _softmax_fwd(
    x_ptr, y_ptr, n_out, r, k,
    F64: tl.constexpr, LOG: tl.constexpr, ONE_TILE: tl.constexpr, BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """(Log-)softmax over the middle dim of x and y (m, r, k), contiguous.

    One program normalises BLOCK_J of the n_out = m * k rows. ONE_TILE: BLOCK_R >= r; else the row is read twice.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    j_ok = (j < n_out)[:, None]
    base = (j // k * r * k + j % k)[:, None]
    rows = tl.arange(0, BLOCK_R)[None, :]
    if ONE_TILE:
        mask = j_ok & (rows < r)
        at = base + rows.to(tl.int64) * k
        v = tl.load(x_ptr + at, mask=mask, other=float("-inf")).to(ACC)
        v = v - tl.max(v, 1)[:, None]
        e = tl.exp(v)
        s = tl.sum(e, 1)[:, None]
        if LOG:
            y = v - tl.log(s)
        else:
            y = e / s
        tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=mask)
    else:
        m = tl.full((BLOCK_J, BLOCK_R), float("-inf"), ACC)
        s = tl.zeros((BLOCK_J, BLOCK_R), ACC)
        for i in range(0, r, BLOCK_R):
            mask = j_ok & (i + rows < r)
            v = tl.load(x_ptr + base + (i + rows).to(tl.int64) * k, mask=mask, other=float("-inf")).to(ACC)
            m, s = _online(v, m, s)
        top = tl.max(m, 1)[:, None]
        safe = tl.where(tl.abs(m) == float("inf"), 0.0, m)
        s = tl.sum(tl.where(m == float("-inf"), s * 0, s * tl.exp(safe - top)), 1)[:, None]
        for i in range(0, r, BLOCK_R):
            mask = j_ok & (i + rows < r)
            at = base + (i + rows).to(tl.int64) * k
            v = tl.load(x_ptr + at, mask=mask, other=0).to(ACC) - top
            if LOG:
                y = v - tl.log(s)
            else:
                y = tl.exp(v) / s
            tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=mask)


@kernel
def _softmax_bwd(
    g_ptr, y_ptr, gx_ptr, n_out, r, k,
    F64: tl.constexpr, LOG: tl.constexpr, ONE_TILE: tl.constexpr, BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """gx = y * (g - sum(g * y)), with LOG gx = g - exp(y) * sum(g), over the middle dim; all (m, r, k), contiguous.

    One program makes BLOCK_J of the n_out = m * k rows. ONE_TILE: BLOCK_R >= r; else the row is read twice.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    j_ok = (j < n_out)[:, None]
    base = (j // k * r * k + j % k)[:, None]
    rows = tl.arange(0, BLOCK_R)[None, :]
    if ONE_TILE:
        mask = j_ok & (rows < r)
        at = base + rows.to(tl.int64) * k
        g = tl.load(g_ptr + at, mask=mask, other=0).to(ACC)
        y = tl.load(y_ptr + at, mask=mask, other=0).to(ACC)
        if LOG:
            gx = g - tl.exp(y) * tl.sum(g, 1)[:, None]
        else:
            gx = y * (g - tl.sum(g * y, 1)[:, None])
        tl.store(gx_ptr + at, gx.to(gx_ptr.dtype.element_ty), mask=mask)
    else:
        acc = tl.zeros((BLOCK_J, BLOCK_R), ACC)
        for i in range(0, r, BLOCK_R):
            mask = j_ok & (i + rows < r)
            at = base + (i + rows).to(tl.int64) * k
            g = tl.load(g_ptr + at, mask=mask, other=0).to(ACC)
            if LOG:
                acc += g
            else:
                acc += g * tl.load(y_ptr + at, mask=mask, other=0).to(ACC)
        s = tl.sum(acc, 1)[:, None]
        for i in range(0, r, BLOCK_R):
            mask = j_ok & (i + rows < r)
            at = base + (i + rows).to(tl.int64) * k
            g = tl.load(g_ptr + at, mask=mask, other=0).to(ACC)
            y = tl.load(y_ptr + at, mask=mask, other=0).to(ACC)
            if LOG:
                gx = g - tl.exp(y) * s
            else:
                gx = y * (g - s)
            tl.store(gx_ptr + at, gx.to(gx_ptr.dtype.element_ty), mask=mask)


@kernel
def _logsumexp(x_ptr, y_ptr, n_out, r, k, part, F64: tl.constexpr, BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr):
    """logsumexp over the middle dim of x (m, r, k), contiguous, into y (m, splits, k).

    Program (i, split) makes outputs i * BLOCK_J ... of the n_out = m * k from the rows split * part ...
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    split = tl.program_id(1).to(tl.int64)
    j_ok = j < n_out
    row = j // k
    start = split * part
    count = tl.minimum(r - start, part).to(tl.int32)
    base = ((row * r + start) * k + (j - row * k))[:, None]
    rows = tl.arange(0, BLOCK_R)[None, :]
    m = tl.full((BLOCK_J, BLOCK_R), float("-inf"), ACC)
    s = tl.zeros((BLOCK_J, BLOCK_R), ACC)
    for i in range(0, count, BLOCK_R):
        mask = (i + rows < count) & j_ok[:, None]
        v = tl.load(x_ptr + base + (i + rows).to(tl.int64) * k, mask=mask, other=float("-inf")).to(ACC)
        m, s = _online(v, m, s)
    top = tl.max(m, 1)
    top = tl.where(tl.abs(top) == float("inf"), 0.0, top)
    safe = tl.where(tl.abs(m) == float("inf"), 0.0, m)
    s = tl.sum(tl.where(m == float("-inf"), s, s * tl.exp(safe - top[:, None])), 1)
    y = tl.log(s) + top
    tl.store(y_ptr + (row * tl.num_programs(1) + split) * k + (j - row * k), y.to(y_ptr.dtype.element_ty), mask=j_ok)


def row_tiles(n_rows: int, r: int, k: int) -> tuple[int, int, bool, int]:
    """(BLOCK_J, BLOCK_R, ONE_TILE, warps) for `n_rows` rows of `r` elements, `k` apart."""
    longest = 4096 if SMALL else 16384  # elements of a tile that stay in registers
    block_r = next_power_of_2(r)
    block_j = next_power_of_2(min(n_rows, k, 32)) if k > 1 else 1
    one = block_r * block_j <= longest
    if not one:
        block_r = max(16, (1024 if SMALL else 4096) // block_j)
    elif k == 1:
        block_j = max(1, min(next_power_of_2(n_rows), (4096 if SMALL else 1024) // block_r))
    size = block_j * block_r
    return block_j, block_r, one, 16 if size >= 8192 else 8 if size >= 2048 else 4


def _rows(shape: tuple[int, ...], dim: int) -> tuple[int, int, int]:
    return (prod(shape[:dim]), shape[dim], prod(shape[dim + 1 :])) if shape else (1, 1, 1)


def _launch_rows(kern: Any, dim: int, log: bool, *arrays: Array) -> None:
    m, r, k = _rows(arrays[0].shape, dim)
    if m * r * k == 0:
        return
    block_j, block_r, one, warps = row_tiles(m * k, r, k)
    launch(
        kern, (-(-m * k // block_j),), *arrays, m * k, r, k,
        F64=arrays[0].dtype.itemsize == 8, LOG=log, ONE_TILE=one, BLOCK_J=block_j, BLOCK_R=block_r, num_warps=warps,
    )  # fmt: skip


def _softmax_gpu(x: Array, dim: int, log: bool) -> Array:
    x = contiguous(x)
    y = empty_like(x)
    _launch_rows(_softmax_fwd, dim, log, x, y)
    return y


def _softmax_gpu_grad(g: Array, y: Array, dim: int, log: bool) -> Array:
    g, y = contiguous(g), contiguous(y)
    gx = empty_like(y)
    _launch_rows(_softmax_bwd, dim, log, g, y, gx)
    return gx


# --------------------------------------------------------------------------------------------------------- the CPU

FEW = 1024  # elements up to which plain NumPy calls are the fastest way
_max, _sum = np.maximum.reduce, np.add.reduce
_maxima = ufunc_step(np.maximum)


def _sums(x: Array) -> Array:
    """Sums over the middle dim of a contiguous float (M, R, K), as (M, K)."""
    return row_sums(x[:, :, 0])[:, None] if x.shape[2] == 1 else column_sums(x)


def _dots(x: Array, w: Array) -> Array:
    return row_dots(x[:, :, 0], w[:, :, 0])[:, None] if x.shape[2] == 1 else column_sums(x * w)


def _by_rows(fn: Callable[..., None], dim: int, *arrays: Array) -> Array:
    """Call `fn` on blocks of the arrays seen as (M, R, K), the last one being the output; returns that one.

    Blocks go along M; where a single (R, K) is too large for the cache, along K, on copies.
    """
    y = arrays[-1]
    m, r, k = _rows(y.shape, dim)
    if y.size == 0:
        return y
    views = [a.reshape(m, r, k) for a in arrays]
    if k == 1 or r * k <= 4 * BLOCK:
        over_blocks(lambda start, stop: fn(*[v[start:stop] for v in views]), m, r * k, run=r if k == 1 else k)
        return y
    width = max(64, BLOCK // r)
    n = -(-k // width)

    def run(start: int, stop: int) -> None:
        for i in range(start, stop):
            part = slice(i % n * width, (i % n + 1) * width)
            blocks = [np.ascontiguousarray(v[i // n : i // n + 1, :, part]) for v in views[:-1]]
            out = np.empty_like(blocks[0])
            fn(*blocks, out)
            views[-1][i // n : i // n + 1, :, part] = out

    over_blocks(run, m * n, r * width, run=width)
    return y


def _plain_exp(x: Array, y: Array, limit: float) -> Array | None:
    """y = exp(x), and its sums, when that neither overflows nor loses digits: no maximum per row is needed then."""
    if not np.maximum.reduce(x.reshape(-1)) <= limit:  # also when it is NaN
        return None
    s = _sums(np.exp(x, out=y))
    return s if np.minimum.reduce(s.reshape(-1)) >= 1e-10 else None


def _softmax_block(x: Array, y: Array) -> None:
    s = _plain_exp(x, y, 60)
    if s is not None:
        y *= np.reciprocal(s, out=s)[:, None]
        return
    np.subtract(x, _maxima(x)[:, None], out=y)
    np.exp(y, out=y)
    s = _sums(y)
    y *= np.reciprocal(s, out=s)[:, None]


def _log_softmax_block(x: Array, y: Array) -> None:
    s = _plain_exp(x, y, 16)  # log(s) must not be so large that x - log(s) rounds more than x - m - log(s)
    if s is not None:
        np.subtract(x, np.log(s)[:, None], out=y)
        return
    np.subtract(x, _maxima(x)[:, None], out=y)
    y -= np.log(_sums(np.exp(y)))[:, None]


def _softmax_grad_block(g: Array, y: Array, gx: Array) -> None:
    np.subtract(g, _dots(g, y)[:, None], out=gx)
    gx *= y


def _log_softmax_grad_block(g: Array, y: Array, gx: Array) -> None:
    np.exp(y, out=gx)
    gx *= _sums(g)[:, None]
    np.subtract(g, gx, out=gx)


def _logsumexp_step(x: Array, *_: bool) -> Array:
    """(M, R, K) -> (M, K)."""
    m, r, k = x.shape
    y = np.full((m, k), -np.inf, x.dtype)
    if not x.size:
        return y

    def block(start: int, stop: int) -> None:
        part = x[start:stop]
        e = np.empty_like(part)
        s = _plain_exp(part, e, 60)
        if s is not None:
            np.log(s, out=y[start:stop])
            return
        top = _maxima(part)
        top[np.isinf(top)] = 0
        np.subtract(part, top[:, None], out=e)
        s = _sums(np.exp(e, out=e))
        np.log(s, out=s)
        y[start:stop] = s + top

    over_blocks(block, m, r * k, run=r if k == 1 else k)
    return y


# --------------------------------------------------------------------------------------------------------- the ops


@op
class softmax:
    """y_i = exp(x_i) / sum_j exp(x_j) over one dim; a row of -inf only gives NaN."""

    def cpu(x: Array, dim: int) -> Array:
        if x.size <= FEW:
            if x.size == 0:
                return x.copy()
            y = np.subtract(x, _max(x, dim, None, None, True), order="C")
            y = np.exp(y, out=y) if x.ndim else np.asarray(np.exp(y))
            y /= _sum(y, dim, None, None, True)
            return y
        return _by_rows(_softmax_block, dim, x, np.empty(x.shape, x.dtype))

    def gpu(x: Array, dim: int) -> Array:
        return _softmax_gpu(x, dim, False)

    def grad(g, y, dim):
        gy = g * y
        return gy - y * gy.sum(dim, True)

    def cpu_grad(g, y, dim):
        if y.size <= FEW:
            gy = np.multiply(g, y, order="C")
            return np.subtract(gy, y * _sum(gy, dim, None, None, True), out=gy) if y.ndim and y.size else g * 0
        return _by_rows(_softmax_grad_block, dim, g, y, np.empty(y.shape, y.dtype))

    def gpu_grad(g, y, dim):
        return _softmax_gpu_grad(g, y, dim, False)

    def samples(rng):
        yield (rng.normal(size=(4, 33)),), (1,)
        yield (rng.normal(size=(3, 5, 7)),), (1,)
        yield (rng.normal(size=(6, 3)),), (0,)
        yield (rng.normal(size=()),), (0,)

    def cost(x, dim):
        return 2 * x.nbytes, 4 * x.size


@op
class log_softmax:
    """y_i = x_i - log sum_j exp(x_j) over one dim."""

    def cpu(x: Array, dim: int) -> Array:
        if x.size <= FEW:
            if x.size == 0:
                return x.copy()
            y = np.asarray(np.subtract(x, _max(x, dim, None, None, True), order="C"))
            y -= np.log(_sum(np.exp(y), dim, None, None, True))
            return y
        return _by_rows(_log_softmax_block, dim, x, np.empty(x.shape, x.dtype))

    def gpu(x: Array, dim: int) -> Array:
        return _softmax_gpu(x, dim, True)

    def grad(g, y, dim):
        return g - y.exp() * g.sum(dim, True)

    def cpu_grad(g, y, dim):
        if y.size <= FEW:
            gx = np.exp(y, order="C")
            gx *= _sum(g, dim, None, None, True) if y.size else 1
            return np.subtract(g, gx, out=gx) if y.ndim else np.asarray(g - gx)
        return _by_rows(_log_softmax_grad_block, dim, g, y, np.empty(y.shape, y.dtype))

    def gpu_grad(g, y, dim):
        return _softmax_gpu_grad(g, y, dim, True)

    def samples(rng):
        yield (rng.normal(size=(4, 33)),), (1,)
        yield (rng.normal(size=(3, 5, 7)),), (1,)
        yield (rng.normal(size=(6, 3)),), (0,)

    def cost(x, dim):
        return 2 * x.nbytes, 5 * x.size


@op
class logsumexp:
    """y = log sum exp(x) over dim (a tuple of dims)."""

    holomorphic = True

    def cpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        if x.dtype.kind == "c":
            top = np.asarray(x.real.max(dim, keepdims=True))
            top[np.isinf(top)] = 0
            y = np.asarray(np.log(_sum(np.exp(x - top), dim, None, None, True)) + top)
            return y if keepdim else y.reshape(kept_shape(x.shape, dim, False))
        if not dim:
            return x.copy()
        if 0 < x.size <= FEW:
            top = np.asarray(_max(x, dim, None, None, True))
            top[np.isinf(top)] = 0
            y = np.asarray(np.log(_sum(np.exp(x - top), dim, None, None, True)))
            y += top
            return y if keepdim else y.reshape(kept_shape(x.shape, dim, False))
        return by_groups(x, dim, keepdim, _logsumexp_step)

    def gpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        result, (_, wide) = x.dtype, kind(x.dtype)

        def step(x: Array, first: bool, last: bool) -> Array:
            m, r, k = x.shape
            if m * k == 0:
                return empty((m, k), result)
            block_j, block_r, splits, warps = tiles(m * k, r, k)
            part, splits = parts(r, splits, block_r)
            y = empty((m, splits, k) if splits > 1 else (m, k), result if last and splits == 1 else wide)
            launch(
                _logsumexp, (-(-m * k // block_j), splits), x, y, m * k, r, k, part,
                F64=wide.itemsize == 8, BLOCK_J=block_j, BLOCK_R=block_r, num_warps=warps,
            )  # fmt: skip
            return y if splits == 1 else step(y, False, last)

        return by_groups(x, dim, keepdim, step) if dim else x.copy()

    def grad(g, x, y, dim, keepdim):
        if not keepdim:
            kept = kept_shape(tuple(x.shape), dim, True)
            g, y = g.reshape(kept), y.reshape(kept)
        size = y.real if y.is_complex() else y
        return g * (x - y.masked_fill(size == -float("inf"), 0)).exp()

    def cpu_grad(g, x, y, dim, keepdim):
        if not keepdim:
            kept = kept_shape(x.shape, dim, True)
            g, y = g.reshape(kept), y.reshape(kept)
        gx = np.asarray(x - np.where(y.real == -np.inf, y.dtype.type(0), y))
        np.exp(gx, out=gx)
        gx *= g
        return gx

    def samples(rng):
        yield (rng.normal(size=(4, 33)),), ((1,), True)
        yield (rng.normal(size=(3, 5, 7)),), ((0, 2), False)
        yield (rng.normal(size=(33, 3)),), ((0,), False)

    def cost(x, dim, keepdim):
        return x.nbytes, 3 * x.size


AOT = [
    ("softmax bf16 8192 x 4096", lambda array: softmax.gpu(array((8192, 4096), "bf16"), 1)),
    ("softmax fp32 8192 x 16384", lambda array: softmax.gpu(array((8192, 16384)), 1)),
    ("softmax fp32 65536 x 64", lambda array: softmax.gpu(array((65536, 64)), 1)),
    ("log_softmax fp32 512 x 50257", lambda array: log_softmax.gpu(array((512, 50257)), 1)),
    (
        "log_softmax fp16 64 x 19 x 4096 over the middle",
        lambda array: log_softmax.gpu(array((64, 19, 4096), "fp16"), 1),
    ),
    (
        "softmax backward bf16 8192 x 4096",
        lambda array: softmax.gpu_grad(array((8192, 4096), "bf16"), array((8192, 4096), "bf16"), 1),
    ),
    (
        "log_softmax backward fp32 512 x 50257",
        lambda array: log_softmax.gpu_grad(array((512, 50257)), array((512, 50257)), 1),
    ),
    ("logsumexp fp32 512 x 50257", lambda array: logsumexp.gpu(array((512, 50257)), (1,), False)),
]
