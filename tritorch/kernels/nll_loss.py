"""Negative log-likelihood of class indices: picks one log-probability of each row.

Row i of x (M, V) with the target t costs -w_t x_t; rows with t == ignore_index cost 0. Reduction 'mean' divides by the
sum of w_t over the rows that count. Backward: gx_i = -g_i w_t at the target, 0 elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._launch import empty, empty_like, kernel, launch
from ._op import Array, op
from ._pointwise import pointwise
from .cross_entropy import (
    _count,
    _dense,
    _is_plain,
    _target_terms,
    _tiles,
    _weights_gpu,
    _wide_type,
    check_targets,
    cross_entropy_target,
)
from .reduce import reduce_gpu

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _nll_fwd(x_ptr, t_ptr, wt_ptr, loss_ptr, n_rows, n, ignore_index, BLOCK: tl.constexpr):
    """loss (n_rows,) of x (n_rows, n), contiguous; wt (n_rows,): weight of each row's target. BLOCK rows a program."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < n_rows
    t = tl.load(t_ptr + i, mask=live, other=0)
    kept = live & (t != ignore_index)
    wt = tl.load(wt_ptr + i, mask=live, other=0)
    picked = tl.load(x_ptr + i * n + t, mask=kept & (t >= 0) & (t < n), other=0).to(wt.dtype)
    tl.store(loss_ptr + i, tl.where(kept, -picked * wt, 0).to(loss_ptr.dtype.element_ty), mask=live)


@kernel
def _nll_bwd(
    t_ptr, wt_ptr, g_ptr, count_ptr, gx_ptr, n_rows, n, ignore_index, EACH: tl.constexpr, MEAN: tl.constexpr,
    BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """gx (n_rows, n), contiguous: BLOCK_J rows of BLOCK_R classes a program.

    EACH: g has one element per row; MEAN: divided by `count`, one element.
    """
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    j_ok = j < n_rows
    c = tl.program_id(1) * BLOCK_R + tl.arange(0, BLOCK_R)
    t = tl.load(t_ptr + j, mask=j_ok, other=0)
    wt = tl.load(wt_ptr + j, mask=j_ok, other=0)
    if EACH:
        g = tl.load(g_ptr + j, mask=j_ok, other=0).to(wt.dtype)
    else:
        g = tl.load(g_ptr).to(wt.dtype) + tl.zeros((BLOCK_J,), wt.dtype)
    if MEAN:
        g = g / tl.load(count_ptr).to(wt.dtype)
    hit = tl.where(t != ignore_index, -g * wt, 0)
    gx = tl.where(c[None, :] == t[:, None], hit[:, None], 0)
    at = (j * n)[:, None] + c[None, :]
    tl.store(gx_ptr + at, gx.to(gx_ptr.dtype.element_ty), mask=j_ok[:, None] & (c < n)[None, :])


@op
class nll_loss:
    """Loss of log-probabilities x (M, V) against indices t (M,).

    Result: 0-dim for reduction 'mean' and 'sum', (M,) for 'none'.
    w: weight of each class, (V,) or None; has no gradient.
    """

    def cpu(x: Array, t: Array, w: Array | None, ignore_index: int, reduction: str) -> Array:
        n_rows, n = x.shape
        if _is_plain(t, w, ignore_index, n, 0.0):
            picked = x[np.arange(n_rows), t]
            if reduction == "none":
                return np.negative(picked, out=picked)
            total = np.add.reduce(picked)
            return np.asarray(-total / n_rows if reduction == "mean" else -total, x.dtype)
        check_targets("nll_loss", t, n, ignore_index)
        kept, safe, wt = _target_terms(t, w, ignore_index, n, x.dtype)
        picked = x[np.arange(n_rows), safe]
        with np.errstate(all="ignore"):
            loss = np.where(kept, -picked * wt, 0).astype(x.dtype, copy=False)
            if reduction == "none":
                return loss
            total = loss.sum(dtype=x.dtype)
            if reduction == "mean":
                total = total / wt.sum()
        return np.asarray(total, x.dtype)

    def gpu(x: Array, t: Array, w: Array | None, ignore_index: int, reduction: str) -> Array:
        n_rows, n = x.shape
        check_targets("nll_loss", t, n, ignore_index)
        x, t, w, kind = _dense(x), _dense(t), _dense(w), _wide_type(x)
        wt = _weights_gpu(t, w, n, ignore_index, kind)
        loss = empty((n_rows,), x.dtype if reduction == "none" else kind)
        if n_rows:
            launch(_nll_fwd, (-(-n_rows // 1024),), x, t, wt, loss, n_rows, n, ignore_index, BLOCK=1024, num_warps=4)
        if reduction == "none":
            return loss
        total = reduce_gpu(loss, (0,), False, "sum", x.dtype if reduction == "sum" else kind)
        if reduction == "mean":
            count = reduce_gpu(wt, (0,), False, "sum")
            total = pointwise("nll_loss", ("total / count",), ("total", "count"), (total, count), (x.dtype,))[0]
        return total

    def grad(g, x, t, w, ignore_index, reduction):
        row = g.reshape((-1, 1)) if reduction == "none" else g
        if reduction == "mean":
            row = row / _count(t, w, ignore_index, g)
        return -cross_entropy_target(t, x, w, ignore_index, 0.0) * row, None, None

    def cpu_grad(g, x, t, w, ignore_index, reduction):
        n_rows, n = x.shape
        gx = np.zeros(x.shape, x.dtype)
        if _is_plain(t, w, ignore_index, n, 0.0):
            gx[np.arange(n_rows), t] = -g / x.dtype.type(n_rows) if reduction == "mean" else -g
        elif gx.size:
            kept, safe, wt = _target_terms(t, w, ignore_index, n, x.dtype)
            with np.errstate(all="ignore"):
                hit = -g * wt / wt.sum() if reduction == "mean" else -g * wt
            gx[np.arange(n_rows), safe] = np.where(kept, hit, 0)
        return gx, None, None

    def gpu_grad(g, x, t, w, ignore_index, reduction):
        n_rows, n = x.shape
        gx = empty_like(_dense(x))
        if gx.size:
            t, w, g, kind = _dense(t), _dense(w), _dense(g), _wide_type(x)
            wt = _weights_gpu(t, w, n, ignore_index, kind)
            count = reduce_gpu(wt, (0,), False, "sum") if reduction == "mean" else None
            block_j, block_r, warps = _tiles(n_rows, n)
            launch(
                _nll_bwd, (-(-n_rows // block_j), -(-n // block_r)), t, wt, g, count, gx, n_rows, n, ignore_index,
                EACH=reduction == "none", MEAN=reduction == "mean", BLOCK_J=block_j, BLOCK_R=block_r, num_warps=warps,
            )  # fmt: skip
        return gx, None, None

    def samples(rng):
        x = rng.normal(size=(5, 7))
        t = np.array([3, 0, 6, -100, 3])
        yield (x, t, None), (-100, "mean")
        yield (x, np.array([3, 0, 6, 2, 3]), None), (-100, "mean")
        yield (x, np.array([3, 0, 6, 2, 3]), rng.integers(1, 4, 7)), (2, "sum")
        yield (x, t, None), (-100, "none")

    def cost(x, t, w, ignore_index, reduction):
        return t.size * (t.itemsize + x.itemsize), t.size


AOT = [
    (
        "nll_loss bf16 8192 x 50257",
        lambda array: nll_loss.gpu(array((8192, 50257), "bf16"), array((8192,), "i64"), None, -100, "mean"),
    ),
    (
        "nll_loss backward bf16 8192 x 50257",
        lambda array: nll_loss.gpu_grad(
            array(()), array((8192, 50257), "bf16"), array((8192,), "i64"), None, -100, "mean"
        ),
    ),
]
