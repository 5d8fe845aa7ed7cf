"""Sum-like reductions over dims: y = sum, mean, prod, max, min, any or all of x over `dim` (a tuple of dims).

Sums of integers and bools are int64. On the CPU a float sum is a chain of matrix-vector products (`_fold.py`). On the
GPU one kernel serves all: the dims are merged to (M, R, K), of which R is reduced, without a copy; when M * K gives too
few programs, R is split, partial results go to a workspace and the same kernel reduces them.
"""

from __future__ import annotations

from math import prod as prod_of
from typing import TYPE_CHECKING, Any

import numpy as np

from ._configs import SMALL as FEW
from ._configs import next_power_of_2
from ._fold import SMALL, by_groups, count_step, kept_shape, sum_step, ufunc_step
from ._launch import empty, kernel, launch
from ._op import Array, op

if TYPE_CHECKING:
    import triton.language as tl

# ------------------------------------------------------------------------------------------------------ the kernels


@kernel
def _multiply(a, b):
    return a * b


@kernel
def _prepared(v, PRE: tl.constexpr, P: tl.constexpr):
    """What is reduced instead of v: itself, v != 0, v^2, |v| or |v|^P."""
    if PRE == "nonzero":
        v = tl.where(v != 0, 1, 0).to(v.dtype)
    elif PRE == "square":
        v = v * v
    elif PRE == "abs":
        v = tl.abs(v)
    elif PRE == "power":
        v = tl.exp2(tl.log2(tl.abs(v)) * P)
    return v


@kernel
def _combined(acc, v, OP: tl.constexpr):
    """One more tile; a NaN in a maximum or minimum stays."""
    if OP == "sum":
        acc += v
    elif OP == "prod":
        acc *= v
    elif OP == "max":
        acc = tl.where((v > acc) | (v != v), v, acc)
    else:
        acc = tl.where((v < acc) | (v != v), v, acc)
    return acc


@kernel
def _reduce(
    x_ptr, y_ptr, n_out, r, k, part, n,
    KIND: tl.constexpr, OP: tl.constexpr, IDENTITY: tl.constexpr, PRE: tl.constexpr, POST: tl.constexpr,
    P: tl.constexpr, EVEN: tl.constexpr, ONE: tl.constexpr, BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """Reduce the middle dim of x (m, r, k), contiguous, into y (m, splits, k), contiguous.

    Program (i, split) makes outputs i * BLOCK_J ... of the n_out = m * k from the rows split * part ... of r. `part` is
    a multiple of BLOCK_R; both blocks are powers of two. IDENTITY leaves OP unchanged; EVEN: BLOCK_J divides n_out;
    ONE: n_out is 1. `n` is the divisor of POST "mean". Computes in KIND: f32, f64 or i64.
    """
    ACC: tl.constexpr = tl.float64 if KIND == "f64" else (tl.int64 if KIND == "i64" else tl.float32)
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    split = tl.program_id(1).to(tl.int64)
    j_ok = j < n_out
    m = j // k
    start = split * part
    count = tl.minimum(r - start, part).to(tl.int32)
    if ONE:  # one long row: its parts are aligned, whatever r is
        base = x_ptr + start + tl.zeros((BLOCK_J,), tl.int64)
    else:
        base = x_ptr + (m * r + start) * k + (j - m * k)
    base = base[:, None]
    rows = tl.arange(0, BLOCK_R)[None, :]
    acc = tl.full((BLOCK_J, BLOCK_R), IDENTITY, ACC)
    full = count // BLOCK_R * BLOCK_R
    for i in range(0, full, BLOCK_R):
        offset = (i + rows).to(tl.int64) * k
        if EVEN:
            v = tl.load(base + offset)
        else:
            v = tl.load(base + offset, mask=j_ok[:, None], other=0)
        acc = _combined(acc, _prepared(v.to(ACC), PRE, P), OP)
    if full < count:
        mask = (full + rows < count) & j_ok[:, None]
        v = tl.load(base + (full + rows).to(tl.int64) * k, mask=mask, other=0)
        acc = _combined(acc, tl.where(mask, _prepared(v.to(ACC), PRE, P), IDENTITY).to(ACC), OP)
    if OP == "sum":
        y = tl.sum(acc, 1)
    elif OP == "prod":
        y = tl.reduce(acc, 1, _multiply)
    else:
        y = tl.max(acc, 1) if OP == "max" else tl.min(acc, 1)
        if KIND != "i64":
            y = tl.where(tl.max((acc != acc).to(tl.int32), 1) > 0, float("nan"), y)
    if POST == "mean":
        y = y / n
    elif POST == "sqrt":
        y = tl.sqrt(y)
    elif POST == "root":
        y = tl.exp2(tl.log2(y) / P)
    tl.store(y_ptr + (m * tl.num_programs(1) + split) * k + (j - m * k), y.to(y_ptr.dtype.element_ty), mask=j_ok)


def tiles(n_out: int, r: int, k: int) -> tuple[int, int, int, int]:
    """(BLOCK_J, BLOCK_R, splits, warps) of a reduction to `n_out` outputs of `r` elements each, `k` apart."""
    if k == 1:
        block_r = min(next_power_of_2(r), 1024 if FEW else 2048)
        block_j = min(next_power_of_2(n_out), max(1, (4096 if FEW else 1024) // block_r))
    else:
        block_j = min(next_power_of_2(min(k, n_out)), 64)
        block_r = min(next_power_of_2(r), 2048 // block_j)
    programs = -(-n_out // block_j)
    wanted = 4 if FEW else 264  # two programs on each of an H100's 132 multiprocessors
    splits = max(1, min(wanted // programs, r // (4 * block_r)))
    return block_j, block_r, splits, 8 if block_j * block_r >= 2048 else 4


def parts(r: int, splits: int, block_r: int) -> tuple[int, int]:
    """Elements per split, a multiple of `block_r`, and the number of splits that this makes."""
    part = -(-r // (splits * block_r)) * block_r if r else block_r
    return part, max(1, -(-r // part))


def kind(dtype: Any) -> tuple[str, Any]:
    """What a kernel computes in for arrays of `dtype`: its KIND, and the NumPy dtype of a workspace."""
    if dtype.kind in "iub":
        return "i64", np.dtype(np.int64)
    return ("f64", dtype) if dtype.itemsize == 8 else ("f32", np.dtype(np.float32))


def reduce_gpu(
    x: Array,
    dim: tuple[int, ...],
    keepdim: bool,
    operation: str,
    result: Any = None,
    pre: str = "",
    post: str = "",
    p: float = 0,
) -> Array:
    """Reduce `dim` of a device array by `operation` (sum, prod, max, min) with `_reduce`.

    Arguments:
        result: NumPy dtype of the result, x's own by default.
        pre, post, p: what is done to each element before, and to the result after (see the kernel).
    """
    result = np.dtype(result or x.dtype)
    name, wide = kind(x.dtype)
    n = prod_of(x.shape[d] for d in dim)
    if pre == "nonzero":
        identity = int(operation == "min")
    elif operation in ("max", "min"):
        sign = -1 if operation == "max" else 1
        identity = sign * float("inf") if name != "i64" else (2**63 - 1 if sign > 0 else -(2**63))
    else:
        identity = int(operation == "prod")

    def step(x: Array, first: bool, last: bool) -> Array:
        m, r, k = x.shape
        if m * k == 0:
            return empty((m, k), result)
        block_j, block_r, splits, warps = tiles(m * k, r, k)
        part, splits = parts(r, splits, block_r)
        whole = last and splits == 1
        y = empty((m, splits, k) if splits > 1 else (m, k), result if whole else wide)
        launch(
            _reduce, (-(-m * k // block_j), splits), x, y, m * k, r, k, part, n,
            KIND=name, OP=operation, IDENTITY=identity, PRE=pre if first else "", POST=post if whole else "", P=p,
            EVEN=m * k % block_j == 0, ONE=m * k == 1, BLOCK_J=block_j, BLOCK_R=block_r, num_warps=warps,
        )  # fmt: skip
        return y if splits == 1 else step(y, False, last)

    if not dim:
        x, dim, keepdim = x.reshape((1,)), (0,), False
    return by_groups(x, dim, keepdim, step)


# ---------------------------------------------------------------------------------------------------------- the ops


def sum_array(x: Array, dim: tuple[int, ...], keepdim: bool) -> Array:
    """Sum of a NumPy array, integers and bools in int64."""
    kind = x.dtype.char
    if kind == "?" and x.size >= SMALL:
        return by_groups(x, dim, keepdim, count_step)
    if kind not in "fd":
        return np.asarray(np.add.reduce(x, dim, np.int64 if x.dtype.kind in "iub" else None, None, keepdim))
    if x.size < SMALL:
        return np.asarray(np.add.reduce(x, dim, None, None, keepdim))
    repeats = 1
    if 0 in x.strides:  # an expanded gradient: equal slices are counted, not read
        for d in dim:
            if x.strides[d] == 0 and x.shape[d] > 1:
                repeats *= x.shape[d]
                x = x[(slice(None),) * d + (slice(1),)]
        if repeats > 1:
            return sum_array(x, dim, keepdim) * x.dtype.type(repeats)
    return by_groups(x, dim, keepdim, sum_step)


def spread(g: Array, shape: tuple[int, ...], dim: tuple[int, ...], keepdim: bool) -> Array:
    """The gradient of a sum: `g` repeated along `dim`; big results are read-only views."""
    if not keepdim:
        g = g.reshape(kept_shape(shape, dim, True))
    if prod_of(shape) > SMALL:
        return np.broadcast_to(g, shape)
    y = np.empty(shape, g.dtype)
    y[...] = g
    return y


def _kept(t: Any, x: Any, dim: tuple[int, ...], keepdim: bool) -> Any:
    """A result (or its gradient) with the reduced dims back, at size 1; for arrays and Tensors."""
    return t if keepdim else t.reshape(kept_shape(tuple(x.shape), dim, True))


@op
class sum_:
    """y = sum of x over dim."""

    def cpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        return sum_array(x, dim, keepdim)

    def gpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        return reduce_gpu(x, dim, keepdim, "sum", np.int64 if x.dtype.kind in "iub" else None)

    def grad(g, x_shape, dim, keepdim):
        return (g if keepdim else g.reshape(kept_shape(x_shape, dim, True))).expand(x_shape)

    def cpu_grad(g, x_shape, dim, keepdim):
        return spread(g, x_shape, dim, keepdim)

    def samples(rng):
        yield (rng.normal(size=(3, 5, 7)),), ((0, 2), False)
        yield (rng.normal(size=(4, 33)),), ((1,), True)
        yield (rng.normal(size=(33, 5)),), ((0,), False)
        yield (rng.normal(size=(3, 4)),), ((0, 1), False)
        yield (rng.normal(size=()),), ((), False)

    def cost(x, dim, keepdim):
        return x.nbytes, x.size


@op
class mean:
    """y = sum of x over dim / number of elements."""

    def cpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        y = sum_array(x, dim, keepdim)
        n = x.size // y.size if y.size else 1
        if n == 0:
            return np.full_like(y, np.nan)
        y /= n
        return y

    def gpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        return reduce_gpu(x, dim, keepdim, "sum", post="mean")

    def grad(g, x_shape, dim, keepdim):
        n = prod_of(x_shape[d] for d in dim)
        return ((g if keepdim else g.reshape(kept_shape(x_shape, dim, True))) / max(n, 1)).expand(x_shape)

    def cpu_grad(g, x_shape, dim, keepdim):
        n = prod_of(x_shape[d] for d in dim)
        return spread(np.asarray(g / max(n, 1)), x_shape, dim, keepdim)

    def samples(rng):
        yield (rng.normal(size=(3, 5, 7)),), ((0, 2), False)
        yield (rng.normal(size=(4, 33)),), ((1,), True)
        yield (rng.normal(size=(33, 5)),), ((0,), False)
        yield (rng.normal(size=()),), ((), False)

    def cost(x, dim, keepdim):
        return x.nbytes, x.size


@op
class prod:
    """y = product of x over one dim, of integers in int64; the gradient is NaN where x is not finite, as of g y / x, but
    zeros are no problem."""

    holomorphic = True

    def cpu(x: Array, dim: int, keepdim: bool) -> Array:
        kind = np.int64 if x.dtype.kind in "iub" else None
        if x.size < SMALL or kind is not None or x.dtype.kind == "c":
            return np.asarray(np.multiply.reduce(x, dim, kind, None, keepdim))
        return by_groups(x, (dim,), keepdim, ufunc_step(np.multiply))

    def gpu(x: Array, dim: int, keepdim: bool) -> Array:
        return reduce_gpu(x, (dim,), keepdim, "prod", np.int64 if x.dtype.kind in "iub" else None)

    def grad(g, x, dim, keepdim):
        if not keepdim:
            g = g.unsqueeze(dim)
        if x.shape[dim] < 2:
            return g.expand(x.shape)
        n = x.shape[dim]
        one = x.new_full([1 if i == dim % x.dim() else m for i, m in enumerate(x.shape)], 1)
        before = _cat([one, x.narrow(dim, 0, n - 1)], dim).cumprod(dim)
        after = _cat([one, x.narrow(dim, 1, n - 1).flip((dim,))], dim).cumprod(dim).flip((dim,))
        return g * (before * after + (x - x))

    def cpu_grad(g, x, dim, keepdim):
        if not keepdim:
            g = np.expand_dims(g, dim)
        if x.size >= SMALL and x.dtype.kind == "f" and (x != 0).all():
            y = prod.cpu(x, dim, True)
            y *= g
            return y / x
        xt = np.moveaxis(x, dim, 0)
        others = np.ones(xt.shape, x.dtype)
        np.multiply.accumulate(xt[:-1], 0, out=others[1:])
        after = np.ones_like(others)
        np.multiply.accumulate(xt[:0:-1], 0, out=after[-2::-1] if len(xt) > 1 else after[:0])
        others *= after
        others += xt - xt
        return np.moveaxis(others, 0, dim) * g

    def samples(rng):
        yield (rng.uniform(0.5, 2, size=(3, 5, 7)),), (1, False)
        yield (rng.uniform(0.5, 2, size=(4, 9)),), (1, True)
        x = rng.uniform(0.5, 2, size=(5, 3))
        x[2, 0] = x[1, 1] = x[3, 1] = 0
        yield (x,), (0, False)

    def cost(x, dim, keepdim):
        return x.nbytes, x.size


def _cat(tensors, dim):
    from .copy import cat  # needed on Tensors only

    return cat(tensors, dim)


def _extremum(x: Array, dim: tuple[int, ...], keepdim: bool, ufunc: np.ufunc) -> Array:
    if x.size < SMALL or x.dtype.kind in "bcV":
        return np.asarray(ufunc.reduce(x, dim, None, None, keepdim))
    return by_groups(x, dim, keepdim, ufunc_step(ufunc))


def _shared(g: Any, x: Any, y: Any, dim: tuple[int, ...], keepdim: bool) -> Any:
    """The gradient shared evenly between all elements that are equal to the extremum (on Tensors)."""
    hit = (x == _kept(y, x, dim, keepdim)).to(g.dtype)
    return hit * (_kept(g, x, dim, keepdim) / hit.sum(dim, True))


def _shared_array(g: Array, x: Array, y: Array, dim: tuple[int, ...], keepdim: bool) -> Array:
    hit = x == _kept(y, x, dim, keepdim)
    g = _kept(g, x, dim, keepdim)
    count = np.add.reduce(hit, dim, np.int64, None, True)
    return hit * (g / count.astype(g.dtype))


@op
class amax:
    """y = largest element over dim, NaN where there is one."""

    def cpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        return _extremum(x, dim, keepdim, np.maximum)

    def gpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        return reduce_gpu(x, dim, keepdim, "max")

    grad, cpu_grad = _shared, _shared_array

    def samples(rng):
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), ((0, 2), False)
        yield (rng.permuted(np.arange(132.0)).reshape(4, 33),), ((1,), True)
        yield (rng.permuted(np.arange(132.0)).reshape(33, 4),), ((0,), False)

    def cost(x, dim, keepdim):
        return x.nbytes, x.size


@op
class amin:
    """y = smallest element over dim, NaN where there is one."""

    def cpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        return _extremum(x, dim, keepdim, np.minimum)

    def gpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        return reduce_gpu(x, dim, keepdim, "min")

    grad, cpu_grad = _shared, _shared_array

    def samples(rng):
        yield (rng.permuted(np.arange(105.0)).reshape(3, 5, 7),), ((0, 2), False)
        yield (rng.permuted(np.arange(132.0)).reshape(4, 33),), ((1,), True)

    def cost(x, dim, keepdim):
        return x.nbytes, x.size


@op
class any_:
    """y = whether an element over dim is not zero (NaN is not)."""

    upcast = False

    def cpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        return np.asarray(np.logical_or.reduce(x if x.dtype.kind == "b" else x != 0, dim, None, None, keepdim))

    def gpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        return reduce_gpu(x, dim, keepdim, "max", np.bool_, pre="nonzero")

    def samples(rng):
        yield (rng.random((3, 5, 7)) < 0.1,), ((0, 2), False)
        yield (rng.integers(-1, 2, (4, 33)),), ((1,), True)
        yield (np.where(rng.random((4, 3)) < 0.5, 0.0, rng.normal(size=(4, 3))),), ((1,), False)

    def cost(x, dim, keepdim):
        return x.nbytes, x.size


@op
class all_:
    """y = whether all elements over dim are not zero."""

    upcast = False

    def cpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        return np.asarray(np.logical_and.reduce(x if x.dtype.kind == "b" else x != 0, dim, None, None, keepdim))

    def gpu(x: Array, dim: tuple, keepdim: bool) -> Array:
        return reduce_gpu(x, dim, keepdim, "min", np.bool_, pre="nonzero")

    def samples(rng):
        yield (rng.random((3, 5, 7)) < 0.9,), ((0, 2), False)
        yield (rng.integers(-1, 30, (4, 33)),), ((1,), True)

    def cost(x, dim, keepdim):
        return x.nbytes, x.size


AOT = [
    ("sum bf16 4096 x 4096 over the last dim", lambda array: sum_.gpu(array((4096, 4096), "bf16"), (1,), False)),
    ("sum fp32 4096 x 4096 over the first dim", lambda array: sum_.gpu(array((4096, 4096)), (0,), False)),
    ("mean fp32 of 2^24 + 3", lambda array: mean.gpu(array(((1 << 24) + 3,)), (0,), False)),
    ("sum i32 64 x 1000 x 50 over the middle", lambda array: sum_.gpu(array((64, 1000, 50), "i32"), (1,), False)),
    ("amax fp16 8192 x 1024", lambda array: amax.gpu(array((8192, 1024), "fp16"), (1,), False)),
    ("prod fp64 1024 x 1000", lambda array: prod.gpu(array((1024, 1000), "fp64"), 1, False)),
    ("any fp32 1024 x 4096", lambda array: any_.gpu(array((1024, 4096)), (1,), False)),
    ("all bool 2^20", lambda array: all_.gpu(array((1 << 20,), "i1"), (0,), False)),
]
