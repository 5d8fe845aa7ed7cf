"""Scans along one dim: cumsum, cumprod, cummax, cummin, logcumsumexp.

Products of float32 run in float64 on the CPU; sums go by runs, whose totals do. The kernels are those of `_scans.py`. The
gradients of products and of logcumsumexp are linear recurrences (`recurrence.py`), which neither divide nor overflow.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from ._fold import row_blocks
from ._indexed import combine_along
from ._op import Array, op
from ._rows import FEW, over_blocks
from ._running import LEAST, running_extremum, running_product
from ._scans import extremum_gpu, scan_gpu
from ._special import complex_logaddexp
from .recurrence import linear_recurrence, recurrence, shifted, shifted_tensor

_RUN = 32  # elements that one product sums up on the CPU

# --------------------------------------------------------------------------------------------------------- the CPU


def accumulate(
    ufunc: np.ufunc, x: Array, dim: int, result: Any = None, wide: Any = None, reverse: bool = False
) -> Array:
    """`ufunc` accumulated along `dim`.

    NumPy's accumulate is fast along contiguous rows only; other layouts step through `dim` with whole slices.

    Arguments:
        result: dtype of the result, x's own by default.
        wide: dtype of the running value, the result's by default.
    """
    result = result or x.dtype
    wide = wide or result
    if x.size <= FEW and x.ndim:
        turn = (*(slice(None),) * dim, slice(None, None, -1 if reverse else 1))
        return ufunc.accumulate(x[turn], dim, wide)[turn].astype(result, "C", copy=False)
    y = np.empty(x.shape, result)
    x, m, r, k = row_blocks(x, dim)
    to = y.reshape(m, r, k)
    if reverse:
        x, to = x[:, ::-1], to[:, ::-1]

    def rows(start: int, stop: int) -> None:
        to[start:stop] = ufunc.accumulate(x[start:stop], 1, wide)

    def steps(start: int, stop: int) -> None:
        part, out = x[start:stop], to[start:stop]
        total = part[:, 0].astype(wide)
        out[:, 0] = total
        for t in range(1, r):
            ufunc(total, part[:, t], out=total)
            out[:, t] = total

    if ufunc is np.multiply and k == 1 and r >= 32 and y.size >= LEAST:
        running_product(x[:, :, 0], to[:, :, 0], wide)
    else:
        over_blocks(rows if k == 1 or m * k < 64 else steps, m, r * k)
    return y


@lru_cache(maxsize=8)
def _triangle(kind: str, reverse: bool) -> Array:
    ones = np.ones((_RUN, _RUN), kind)
    return np.tril(ones) if reverse else np.triu(ones)


def _summed_by_runs(x: Array, y: Array, reverse: bool) -> bool:
    """Cumulative sums of the rows of a float (M, R) into y: each run of 32 is a product with a triangle of ones.

    Six times as fast as an accumulation, in which each sum waits for the one before. The sums of the runs are carried on
    in float64. False, and y undefined, where something is not finite: infinity times the triangle's zeros is NaN.
    """
    m, r = x.shape
    c = r // _RUN
    w = c * _RUN
    local = y[:, :w].reshape(m, c, _RUN)
    np.matmul(x[:, :w].reshape(m, c, _RUN), _triangle(x.dtype.char, reverse), out=local)
    totals = local[:, :, 0 if reverse else -1].astype(np.float64)
    if not np.isfinite(totals).all():
        return False
    tail = np.add.accumulate(x[:, : w - 1 : -1] if reverse else x[:, w:], 1, np.float64)
    before = np.zeros((m, c))
    if reverse:
        if r > w:
            y[:, w:] = tail[:, ::-1]
            totals[:, -1] += tail[:, -1]
        before[:, :-1] = np.add.accumulate(totals[:, :0:-1], 1)[:, ::-1]
        if r > w:
            before[:, -1] = tail[:, -1]
    else:
        ends = np.add.accumulate(totals, 1)
        before[:, 1:] = ends[:, :-1]
        if r > w:
            y[:, w:] = tail + ends[:, -1:]
    local += before.astype(x.dtype)[:, :, None]
    return True


def cumulative_sum(x: Array, dim: int, reverse: bool) -> Array:
    """Cumulative sums of a NumPy array along `dim`, from the end with `reverse`; integers and bools in int64."""
    if x.dtype.char == "f" and x.ndim and x.shape[dim] >= 8 * _RUN and prod(x.shape[dim + 1 :]) == 1:
        y = np.empty(x.shape, x.dtype)
        rows, m, r, _ = row_blocks(x, dim)
        rows, to = rows[:, :, 0], y.reshape(m, r)
        finite = []
        over_blocks(lambda i, j: finite.append(_summed_by_runs(rows[i:j], to[i:j], reverse)), m, r)
        if all(finite):
            return y
    return accumulate(np.add, x, dim, _integer(x.dtype), _wide(x.dtype), reverse)


_WIDE = {"f": np.dtype(np.float64), "F": np.dtype(np.complex128)}


def _wide(dtype: Any) -> Any:
    return _WIDE.get(dtype.char)


def _integer(dtype: Any) -> Any:
    return np.int64 if dtype.kind in "iub" else None


# --------------------------------------------------------------------------------------------------------- the ops


@op
class cumsum:
    """y_t = x_0 + ... + x_t along one dim (x_t + ... + x_last with reverse), of integers in int64."""

    def cpu(x: Array, dim: int, reverse: bool) -> Array:
        return cumulative_sum(x, dim, reverse)

    def gpu(x: Array, dim: int, reverse: bool) -> Array:
        return scan_gpu(x, dim, reverse, "sum", _integer(x.dtype))

    def grad(g, dim, reverse):
        return cumsum(g, dim, not reverse)

    def cpu_grad(g, dim, reverse):
        return cumulative_sum(g, dim, not reverse)

    def gpu_grad(g, dim, reverse):
        return scan_gpu(g, dim, not reverse, "sum")

    def samples(rng):
        yield (rng.normal(size=(4, 33)),), (1, False)
        yield (rng.normal(size=(3, 5, 7)),), (1, True)
        yield (rng.normal(size=(33, 3)),), (0, False)
        yield (rng.normal(size=()),), (0, False)

    def cost(x, dim, reverse):
        return 2 * x.nbytes, x.size


@op
class cumprod:
    """y_t = x_0 * ... * x_t along one dim, of integers in int64; the gradient is exact where x is 0."""

    holomorphic = True

    def cpu(x: Array, dim: int) -> Array:
        return accumulate(np.multiply, x, dim, _integer(x.dtype), _wide(x.dtype))

    def gpu(x: Array, dim: int) -> Array:
        return scan_gpu(x, dim, False, "prod", _integer(x.dtype))

    def grad(g, x, y, dim):
        # y_t / x_s is the product before s times the product from s + 1 to t: the second factor folds into a recurrence
        if not x.shape:
            return g
        after = linear_recurrence(shifted_tensor(x, dim, -1, 0), g, dim, True)
        return shifted_tensor(y, dim, 1, 1) * after + (x - x)  # NaN where x is not finite, as of the quotients

    def cpu_grad(g, x, y, dim):
        if not x.shape:
            return g
        if np.all(x):
            gx = cumulative_sum(g * y, dim, True)
            gx /= x
            return gx
        return shifted(y, dim, 1, 1) * recurrence(shifted(x, dim, -1, 0), g, dim, True) + (x - x)

    def samples(rng):
        yield (rng.uniform(0.5, 2, size=(4, 9)),), (1,)
        yield (rng.uniform(0.5, 2, size=(3, 5, 7)),), (1,)
        x = rng.uniform(0.5, 2, size=(6, 3))
        x[2, 0] = x[1, 1] = x[3, 1] = 0
        yield (x,), (0,)

    def cost(x, dim):
        return 2 * x.nbytes, x.size


def _extremum_array(ufunc: np.ufunc, x: Array, dim: int) -> tuple[Array, Array]:
    if x.size >= LEAST and x.shape[dim] >= 32 and prod(x.shape[dim + 1 :]) == 1:
        y, at = np.empty(x.shape, x.dtype), np.empty(x.shape, np.int64)
        rows, m, r, _ = row_blocks(x, dim)
        running_extremum(ufunc, rows.reshape(m, r), y.reshape(m, r), at.reshape(m, r))
        return y, at
    y = accumulate(ufunc, x, dim)
    if not x.ndim:
        return y, np.zeros((), np.int64)
    hit = x == y
    if x.dtype.kind == "f":
        hit |= x != x
    places = np.arange(x.shape[dim]).reshape([-1 if i == dim else 1 for i in range(x.ndim)])
    return y, accumulate(np.maximum, hit * places, dim)


def _runs_collected(g: Any, at: Any, dim: int) -> Any:
    """Zeros with `g` added at the indices `at`, which rise along `dim`, each starting at its own place (on Tensors).

    The sum over a run of equal indices is a recurrence from its end that is cut between runs; no scatter is needed.
    """
    if not at.shape or not at.numel():
        return g
    same = (shifted_tensor(at, dim, -1, -1) == at).to(g.dtype)
    places = at.detach() * 0 + 1
    starts = (cumsum(places, dim, False) - 1 == at).to(g.dtype)
    return linear_recurrence(same, g, dim, True) * starts


def _collected(g: Array, at: Array, dim: int) -> Array:
    """Zeros with `g` added at the indices `at` along `dim`."""
    if not at.ndim or not g.size:
        return g
    y = np.zeros(g.shape, g.dtype)
    combine_along(np.add, y, dim, at, g)
    return y


@op
class cummax:
    """Running maximum along one dim and the index of its last occurrence; NaN once there was one."""

    differentiable = 1

    def cpu(x: Array, dim: int) -> tuple[Array, Array]:
        return _extremum_array(np.maximum, x, dim)

    def gpu(x: Array, dim: int) -> tuple[Array, Array]:
        return extremum_gpu(x, dim, True)

    def grad(g, y1, dim):
        return _runs_collected(g, y1, dim)

    def cpu_grad(g, y1, dim):
        return _collected(g, y1, dim)

    def samples(rng):
        yield (rng.permuted(np.arange(132.0)).reshape(4, 33),), (1,)
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), (1,)

    def cost(x, dim):
        return 4 * x.nbytes, x.size


@op
class cummin:
    """Running minimum along one dim and the index of its last occurrence; NaN once there was one."""

    differentiable = 1

    def cpu(x: Array, dim: int) -> tuple[Array, Array]:
        return _extremum_array(np.minimum, x, dim)

    def gpu(x: Array, dim: int) -> tuple[Array, Array]:
        return extremum_gpu(x, dim, False)

    def grad(g, y1, dim):
        return _runs_collected(g, y1, dim)

    def cpu_grad(g, y1, dim):
        return _collected(g, y1, dim)

    def samples(rng):
        yield (rng.permuted(np.arange(132.0)).reshape(4, 33),), (1,)
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), (1,)

    def cost(x, dim):
        return 4 * x.nbytes, x.size


def _complex_logcumsumexp(x: Array, dim: int) -> Array:
    y = x.astype(np.complex128)
    if y.size and y.ndim:
        steps = np.moveaxis(y, dim, 0)
        total = np.full_like(steps[0], -np.inf)
        for t in range(len(steps)):
            total = steps[t] = complex_logaddexp(steps[t], total)
    return y.astype(x.dtype, copy=False)


@op
class logcumsumexp:
    """y_t = log(exp(x_0) + ... + exp(x_t)) along one dim."""

    holomorphic = True

    def cpu(x: Array, dim: int) -> Array:
        if x.dtype.kind == "c":
            return _complex_logcumsumexp(x, dim)
        return accumulate(np.logaddexp, x, dim, None, _wide(x.dtype))

    def gpu(x: Array, dim: int) -> Array:
        return scan_gpu(x, dim, False, "logaddexp")

    def grad(g, x, y, dim):
        # exp(x_s - y_t) = exp(x_s - y_s) * exp(y_s - y_s+1) * ... with all factors of real numbers at most 1
        if not x.shape:
            return g
        size = y.real if y.is_complex() else y
        y = y.masked_fill(size == -float("inf"), 0)
        decay = y - shifted_tensor(y, dim, -1, 0)
        decay = (decay if y.is_complex() else decay.clamp(max=0)).exp()
        return (x - y).exp() * linear_recurrence(decay, g, dim, True)

    def cpu_grad(g, x, y, dim):
        if not x.shape:
            return g
        y = np.where(y.real == -np.inf, y.dtype.type(0), y)
        decay = y - shifted(y, dim, -1, 0)
        if y.dtype.kind == "f":
            np.minimum(decay, 0, out=decay)
        np.exp(decay, out=decay)
        return np.exp(x - y) * recurrence(decay, g, dim, True)

    def samples(rng):
        yield (rng.normal(size=(4, 9)),), (1,)
        yield (rng.normal(size=(3, 5, 7)),), (1,)
        yield (rng.normal(size=(33, 3)),), (0,)

    def cost(x, dim):
        return 2 * x.nbytes, 5 * x.size


AOT = [
    ("cumsum fp32 4096 x 4096 along the last dim", lambda array: cumsum.gpu(array((4096, 4096)), 1, False)),
    ("cumsum bf16 4096 x 512 along the first dim", lambda array: cumsum.gpu(array((4096, 512), "bf16"), 0, True)),
    ("cumsum i32 of 2^22", lambda array: cumsum.gpu(array((1 << 22,), "i32"), 0, False)),
    ("cumprod fp32 1024 x 1000", lambda array: cumprod.gpu(array((1024, 1000)), 1)),
    ("logcumsumexp fp32 1024 x 1000", lambda array: logcumsumexp.gpu(array((1024, 1000)), 1)),
    ("cummax fp16 1024 x 1000", lambda array: cummax.gpu(array((1024, 1000), "fp16"), 1)),
]
