"""Cross-entropy of logits against class indices: log-softmax and negative log-likelihood in one pass over the logits.

With p = softmax(x), W = sum of weights and e = label_smoothing, row i of x (M, V) with the target t costs

    loss_i = (1 - e) w_t (lse - x_t) + e / V * sum_c w_c (lse - x_c),   lse = log(sum_c exp x_c);

rows with t == ignore_index cost 0. Reduction 'mean' divides by the sum of w_t over the rows that count.
Backward: gx_i = g_i * (s_i p - q_i), with q_i the target's distribution times weights and s_i its sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..device import EMULATED, to_host
from ._fold import contiguous, row_sums
from ._index_range import SYNC, out_of_range
from ._launch import empty, empty_like, kernel, launch
from ._op import Array, op
from ._pointwise import pointwise
from ._rows import over_blocks
from .reduce import reduce_gpu

if TYPE_CHECKING:
    import triton.language as tl

REDUCTIONS = ("none", "mean", "sum")

# ------------------------------------------------------------------------------------------------------ the kernels


@kernel
def _target_weights(t_ptr, w_ptr, wt_ptr, n_rows, n, ignore_index, HAS_W: tl.constexpr, BLOCK: tl.constexpr):
    """wt (n_rows,) = weight of each row's target, 1 without w, 0 for ignored rows; NaN for what is none of n classes."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    t = tl.load(t_ptr + i, mask=i < n_rows, other=0)
    kept = (i < n_rows) & (t != ignore_index)
    known = (t >= 0) & (t < n)
    if HAS_W:
        weight = tl.load(w_ptr + t, mask=kept & known, other=0).to(wt_ptr.dtype.element_ty)
    else:
        weight = kept.to(wt_ptr.dtype.element_ty)
    tl.store(wt_ptr + i, tl.where(kept & (known == 0), float("nan"), weight), mask=i < n_rows)


@kernel
def _cross_entropy_fwd(
    x_ptr, t_ptr, w_ptr, wt_ptr, loss_ptr, lse_ptr, n_rows, n, ignore_index,
    SMOOTHING: tl.constexpr, HAS_W: tl.constexpr, F64: tl.constexpr, BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """loss and lse (n_rows,) of logits x (n_rows, n), contiguous; one program walks BLOCK_J rows in tiles of BLOCK_R
    classes.

    Each lane keeps a running maximum and a sum of exponentials (arXiv 1805.02867).
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    j_ok = j < n_rows
    base = (j * n)[:, None]
    cols = tl.arange(0, BLOCK_R)[None, :]
    m = tl.full((BLOCK_J, BLOCK_R), float("-inf"), ACC)
    s = tl.zeros((BLOCK_J, BLOCK_R), ACC)
    weighted = tl.zeros((BLOCK_J, BLOCK_R), ACC)
    weights = tl.zeros((BLOCK_J, BLOCK_R), ACC)
    for i in range(0, n, BLOCK_R):
        mask = j_ok[:, None] & (i + cols < n)
        v = tl.load(x_ptr + base + (i + cols), mask=mask, other=float("-inf")).to(ACC)
        top = tl.where(v > m, v, m)
        safe = tl.where(tl.abs(top) == float("inf"), 0.0, top)
        s = s * tl.exp(m - safe) + tl.exp(v - safe)
        m = top
        if SMOOTHING > 0:
            if HAS_W:
                w = tl.load(w_ptr + i + cols, mask=i + cols < n, other=0).to(ACC)
                weighted += tl.where(mask & (w != 0), v * w, 0)
                weights += tl.where(mask, w, 0)
            else:
                weighted += tl.where(mask, v, 0)
                weights += mask.to(ACC)
    top = tl.max(m, 1)
    safe = tl.where(tl.abs(m) == float("inf"), 0.0, m)
    s = tl.sum(tl.where(m == float("-inf"), s * 0, s * tl.exp(safe - top[:, None])), 1)
    lse = tl.log(s) + top
    t = tl.load(t_ptr + j, mask=j_ok, other=0)
    kept = j_ok & (t != ignore_index)
    picked = tl.load(x_ptr + j * n + t, mask=kept & (t >= 0) & (t < n), other=0).to(ACC)
    loss = (lse - picked) * tl.load(wt_ptr + j, mask=j_ok, other=0).to(ACC)
    if SMOOTHING > 0:
        loss = loss * (1 - SMOOTHING) + (lse * tl.sum(weights, 1) - tl.sum(weighted, 1)) * SMOOTHING / n
    tl.store(lse_ptr + j, lse, mask=j_ok)
    tl.store(loss_ptr + j, tl.where(kept, loss, 0).to(loss_ptr.dtype.element_ty), mask=j_ok)


@kernel
def _cross_entropy_bwd(
    x_ptr, t_ptr, w_ptr, wt_ptr, lse_ptr, g_ptr, count_ptr, w_sum_ptr, gx_ptr, n_rows, n, ignore_index,
    SMOOTHING: tl.constexpr, HAS_W: tl.constexpr, EACH: tl.constexpr, MEAN: tl.constexpr, F64: tl.constexpr,
    BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """gx = g (s p - q) of the module's formula; one program makes BLOCK_J rows of BLOCK_R classes of gx (n_rows, n).

    EACH: g has one element per row; MEAN: divided by `count`, one element. w_sum: sum of w, one element.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    j_ok = j < n_rows
    c = tl.program_id(1) * BLOCK_R + tl.arange(0, BLOCK_R)
    mask = j_ok[:, None] & (c < n)[None, :]
    at = (j * n)[:, None] + c[None, :]
    t = tl.load(t_ptr + j, mask=j_ok, other=0)
    kept = j_ok & (t != ignore_index)
    if EACH:
        g = tl.load(g_ptr + j, mask=j_ok, other=0).to(ACC)
    else:
        g = tl.load(g_ptr).to(ACC) + tl.zeros((BLOCK_J,), ACC)
    if MEAN:
        g = g / tl.load(count_ptr).to(ACC)
    hit = tl.load(wt_ptr + j, mask=j_ok, other=0).to(ACC) * (1 - SMOOTHING) * g
    mass = hit
    p = tl.exp(
        tl.load(x_ptr + at, mask=mask, other=0).to(ACC) - tl.load(lse_ptr + j, mask=j_ok, other=0).to(ACC)[:, None]
    )
    if SMOOTHING > 0:
        if HAS_W:
            share = tl.load(w_ptr + c, mask=c < n, other=0).to(ACC) * SMOOTHING / n
            mass += g * tl.load(w_sum_ptr).to(ACC) * SMOOTHING / n
            gx = p * mass[:, None] - g[:, None] * share[None, :]
        else:
            gx = p * (mass + g * SMOOTHING)[:, None] - (g * SMOOTHING / n)[:, None]
    else:
        gx = p * mass[:, None]
    gx = gx - tl.where(c[None, :] == t[:, None], hit[:, None], 0)
    tl.store(gx_ptr + at, tl.where(kept[:, None], gx, 0).to(gx_ptr.dtype.element_ty), mask=mask)


def _tiles(n_rows: int, n: int) -> tuple[int, int, int]:
    """(BLOCK_J, BLOCK_R, warps)."""
    block_r = min(1 << max(n - 1, 0).bit_length(), 1024 if EMULATED else 4096)
    block_j = max(1, min(1 << max(n_rows - 1, 0).bit_length(), 1024 // block_r))
    return block_j, block_r, 8 if block_j * block_r >= 2048 else 4


def _wide_type(x: Array):
    return np.dtype(np.float64 if x.dtype.itemsize == 8 else np.float32)


def _dense(x: Array | None) -> Array | None:
    return None if x is None else contiguous(x)


@kernel
def _target(
    t_ptr, w_ptr, q_ptr, total, n, ignore_index, SMOOTHING: tl.constexpr, HAS_W: tl.constexpr, F64: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """q (rows, n), contiguous, of `cross_entropy_target`: `total` elements, BLOCK a program; t (rows,), w (n,)."""
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < total
    row = i // n
    c = i - row * n
    t = tl.load(t_ptr + row, mask=live, other=0)
    kept = live & (t != ignore_index)
    weight = tl.full((BLOCK,), 1, ACC)
    if HAS_W:
        weight = tl.load(w_ptr + c, mask=live, other=0).to(ACC)
    q = tl.where(c == t, weight * (1 - SMOOTHING), 0.0)
    if SMOOTHING > 0:
        q += weight * (SMOOTHING / n)
    tl.store(q_ptr + i, tl.where(kept, q, 0.0).to(q_ptr.dtype.element_ty), mask=live)


def _weights_gpu(t: Array, w: Array | None, n: int, ignore_index: int, kind) -> Array:
    wt = empty(t.shape, kind)
    if t.size:
        launch(
            _target_weights, (-(-t.size // 1024),), t, w, wt, t.size, n, ignore_index, HAS_W=w is not None, BLOCK=1024
        )
    return wt


# ----------------------------------------------------------------------------------------------- the CPU and the ops


def _is_plain(t: Array, w: Array | None, ignore_index: int, n_classes: int, label_smoothing: float) -> bool:
    """All rows count alike: no weights, no smoothing, no row ignored, all targets classes."""
    if w is not None or label_smoothing or not t.size or 0 <= ignore_index < n_classes:
        return False
    return np.maximum.reduce(t.view(np.uint64)) < n_classes  # negative ones become huge


def _plain(x: Array, t: Array, reduction: str) -> tuple[Array, Array]:
    """Loss and lse where all rows count alike."""
    n_rows, n = x.shape
    lse = np.empty(n_rows, x.dtype)

    def block(start: int, stop: int) -> None:
        rows, out = x[start:stop], lse[start:stop]
        top = np.maximum.reduce(rows, 1)
        buf = np.subtract(rows, top[:, None])
        np.exp(buf, out=buf)
        np.log(row_sums(buf), out=out)
        out += top

    over_blocks(block, n_rows, n)
    loss = lse - x[np.arange(n_rows), t]
    if reduction == "none":
        return loss, lse
    total = np.add.reduce(loss)
    return np.asarray(total / n_rows if reduction == "mean" else total, x.dtype), lse


def _plain_grad(g: Array, x: Array, t: Array, lse: Array, reduction: str) -> Array:
    n_rows, n = x.shape
    gx = np.empty(x.shape, x.dtype)
    factor = g[:, None] if reduction == "none" else g / x.dtype.type(n_rows) if reduction == "mean" else g

    def block(start: int, stop: int) -> None:
        out = gx[start:stop]
        np.subtract(x[start:stop], lse[start:stop, None], out=out)
        np.exp(out, out=out)
        out[np.arange(stop - start), t[start:stop]] -= 1
        out *= factor[start:stop] if reduction == "none" else factor

    over_blocks(block, n_rows, n)
    return gx


def check_targets(name: str, t: Array, n_classes: int, ignore_index: int) -> None:
    """IndexError for a target that is no class and not ignored; of device arrays see `_index_range`."""
    if t.__class__ is np.ndarray or SYNC:
        t = t if t.__class__ is np.ndarray else to_host(t)
        wrong = out_of_range(np.where(t == ignore_index, 0, t), n_classes)
        if wrong is not None:
            raise IndexError(f"{name}: Target {wrong} is out of bounds for {n_classes} classes")


def _target_terms(t: Array, w: Array | None, ignore_index: int, n_classes: int, dtype):
    """(rows that count, target with 0 for ignored rows, weight of each row's target with 0 for ignored rows)."""
    kept = t != ignore_index
    safe = np.where(kept, t, 0)
    check_targets("cross_entropy", safe, n_classes, ignore_index)
    wt = kept.astype(dtype) if w is None else np.where(kept, w[safe], 0).astype(dtype)
    return kept, safe, wt


@op
class cross_entropy:
    """Loss of logits x (M, V) against indices t (M,); also log-sum-exp of each row, for the backward.

    Result: 0-dim for reduction 'mean' and 'sum', (M,) for 'none'.
    w: weight of each class, (V,) or None; has no gradient.
    """

    differentiable = 1

    def cpu(
        x: Array, t: Array, w: Array | None, ignore_index: int, reduction: str, label_smoothing: float
    ) -> tuple[Array, Array]:
        n_rows, n = x.shape
        if _is_plain(t, w, ignore_index, n, label_smoothing):
            return _plain(x, t, reduction)
        kept, safe, wt = _target_terms(t, w, ignore_index, n, x.dtype)
        lse = np.empty(n_rows, x.dtype)
        eps = label_smoothing
        smooth = np.empty(n_rows, x.dtype) if eps else None
        w_row = np.ones(n, x.dtype) if w is None else w
        w_sum = w_row.sum()

        def block(start: int, stop: int) -> None:
            rows = x[start:stop]
            top = rows.max(axis=1)
            buf = np.subtract(rows, top[:, None])
            np.exp(buf, out=buf)
            total = buf.dot(ones)
            np.log(total, out=total)
            np.add(total, top, out=lse[start:stop])
            if smooth is not None:
                if w is None or not (w == 0).any():
                    np.subtract(w_sum * lse[start:stop], rows @ w_row, out=smooth[start:stop])
                else:  # 0 times an infinite logit counts as 0
                    terms = (lse[start:stop, None] - rows) * w_row
                    terms[:, w == 0] = 0
                    np.sum(terms, axis=1, out=smooth[start:stop])

        ones = np.ones(n, x.dtype)
        if n_rows and n:
            over_blocks(block, n_rows, n)
        loss = np.zeros(n_rows, x.dtype)
        with np.errstate(all="ignore"):
            if n_rows:
                np.subtract(lse, x[np.arange(n_rows), safe], out=loss, where=kept)
                loss *= wt
            if n_rows and smooth is not None:
                loss *= 1 - eps
                smooth[~kept] = 0
                loss += smooth * (eps / n)
            if reduction == "none":
                return loss, lse
            total = loss.sum(dtype=x.dtype)
            if reduction == "mean":
                total = total / wt.sum()
        return np.asarray(total, x.dtype), lse

    def gpu(
        x: Array, t: Array, w: Array | None, ignore_index: int, reduction: str, label_smoothing: float
    ) -> tuple[Array, Array]:
        n_rows, n = x.shape
        check_targets("cross_entropy", t, n, ignore_index)
        x, t, w, kind = _dense(x), _dense(t), _dense(w), _wide_type(x)
        wt, lse = _weights_gpu(t, w, n, ignore_index, kind), empty((n_rows,), kind)
        loss = empty((n_rows,), x.dtype if reduction == "none" else kind)
        if x.size:
            block_j, block_r, warps = _tiles(n_rows, n)
            launch(
                _cross_entropy_fwd, (-(-n_rows // block_j),), x, t, w, wt, loss, lse, n_rows, n, ignore_index,
                SMOOTHING=label_smoothing, HAS_W=w is not None, F64=kind.itemsize == 8, BLOCK_J=block_j,
                BLOCK_R=block_r,
                num_warps=warps,
            )  # fmt: skip
        if reduction == "none":
            return loss, lse
        total = reduce_gpu(loss, (0,), False, "sum", x.dtype if reduction == "sum" else kind)
        if reduction == "mean":
            count = reduce_gpu(wt, (0,), False, "sum")
            total = pointwise("cross_entropy", ("total / count",), ("total", "count"), (total, count), (x.dtype,))[0]
        return total, lse

    def gpu_grad(g, x, t, w, y1, ignore_index, reduction, label_smoothing):
        n_rows, n = x.shape
        x, t, w, g, kind = _dense(x), _dense(t), _dense(w), _dense(g), _wide_type(x)
        gx = empty_like(x)
        if not gx.size:
            return gx, None, None
        wt = _weights_gpu(t, w, n, ignore_index, kind)
        count = reduce_gpu(wt, (0,), False, "sum") if reduction == "mean" else None
        w_sum = reduce_gpu(w, (0,), False, "sum", kind) if w is not None and label_smoothing else None
        block_j, block_r, warps = _tiles(n_rows, n)
        launch(
            _cross_entropy_bwd, (-(-n_rows // block_j), -(-n // block_r)), x, t, w, wt, y1, g, count, w_sum, gx,
            n_rows, n,
            ignore_index, SMOOTHING=label_smoothing, HAS_W=w is not None, EACH=reduction == "none",
            MEAN=reduction == "mean",
            F64=kind.itemsize == 8, BLOCK_J=block_j, BLOCK_R=block_r, num_warps=warps,
        )  # fmt: skip
        return gx, None, None

    def grad(g, x, t, w, y1, ignore_index, reduction, label_smoothing):
        q = cross_entropy_target(t, x, w, ignore_index, label_smoothing)
        row = g.reshape((-1, 1)) if reduction == "none" else g
        if reduction == "mean":
            row = row / _count(t, w, ignore_index, g)
        return (x.softmax(1) * q.sum(1, True) - q) * row, None, None

    def cpu_grad(g, x, t, w, y1, ignore_index, reduction, label_smoothing):
        n_rows, n = x.shape
        if _is_plain(t, w, ignore_index, n, label_smoothing):
            return _plain_grad(g, x, t, y1, reduction), None, None
        gx = np.empty(x.shape, x.dtype)
        if gx.size == 0:
            return gx, None, None
        kept, safe, wt = _target_terms(t, w, ignore_index, n, x.dtype)
        row = g if reduction == "none" else np.broadcast_to(g, (n_rows,))
        if reduction == "mean":
            with np.errstate(all="ignore"):
                row = row / wt.sum()
        eps = label_smoothing
        hit = wt * row * (1 - eps)  # taken off at the target
        spread = eps / n
        w_sum = n if w is None else w.sum()
        mass = hit + kept * row * (spread * w_sum)  # times p
        if w is not None and eps:
            spread_w = w * np.asarray(spread, x.dtype)
        row = np.where(kept, row, 0).astype(x.dtype)
        mass = mass.astype(x.dtype)

        def block(start: int, stop: int) -> None:
            out = gx[start:stop]
            np.subtract(x[start:stop], y1[start:stop, None], out=out)
            np.exp(out, out=out)
            out *= mass[start:stop, None]
            if eps:
                out -= row[start:stop, None] * (spread_w if w is not None else np.asarray(spread, x.dtype))
            out[np.arange(stop - start), safe[start:stop]] -= hit[start:stop]
            out[~kept[start:stop]] = 0

        over_blocks(block, n_rows, n)
        return gx, None, None

    def samples(rng):
        x = rng.normal(size=(5, 7))
        t = np.array([3, 0, 6, -100, 3])
        yield (x, t, None), (-100, "mean", 0.0)
        yield (x, np.array([3, 0, 6, 2, 3]), rng.integers(1, 4, 7)), (2, "sum", 0.1)
        yield (x, t, None), (-100, "none", 0.2)

    def cost(x, t, w, ignore_index, reduction, label_smoothing):
        return x.nbytes, 4 * x.size


def _count(t, w, ignore_index: int, like):
    """The divisor of reduction 'mean', as a Tensor: how many rows count, or the sum of their weights."""
    kept = t != ignore_index
    if w is None:
        return kept.sum().to(like.dtype)
    return (w.index_select(0, t.masked_fill(~kept, 0)) * kept).sum().to(like.dtype)


@op
class cross_entropy_target:
    """q (M, V) of the module's formula: (1 - e) w_t at the target and e / V * w_c everywhere, 0 for ignored rows."""

    def cpu(t: Array, x: Array, w: Array | None, ignore_index: int, label_smoothing: float) -> Array:
        n_rows, n = x.shape
        kept, safe, wt = _target_terms(t, w, ignore_index, n, x.dtype)
        q = np.zeros(x.shape, x.dtype)
        if label_smoothing:
            q[kept] = (label_smoothing / n) * (np.ones(n, x.dtype) if w is None else w)
        q[np.arange(n_rows), safe] += (1 - label_smoothing) * wt
        return q

    def gpu(t: Array, x: Array, w: Array | None, ignore_index: int, label_smoothing: float) -> Array:
        q = empty_like(x)
        if q.size:
            launch(
                _target, (-(-q.size // 1024),), _dense(t), _dense(w), q, q.size, x.shape[1], ignore_index,
                SMOOTHING=label_smoothing, HAS_W=w is not None, F64=x.dtype.itemsize == 8, BLOCK=1024, num_warps=4,
            )  # fmt: skip
        return q

    def samples(rng):
        yield (np.array([1, 0, -1]), rng.normal(size=(3, 4)), None), (-1, 0.1)
        yield (np.array([1, 0, 2]), rng.normal(size=(3, 4)), rng.uniform(0.5, 2, 4)), (-1, 0.0)

    def cost(t, x, w, ignore_index, label_smoothing):
        return x.nbytes, 0


AOT = [
    (
        "cross_entropy bf16 8192 x 50257",
        lambda array: cross_entropy.gpu(array((8192, 50257), "bf16"), array((8192,), "i64"), None, -100, "mean", 0.0),
    ),
    (
        "cross_entropy fp32 4096 x 1000 weighted and smoothed",
        lambda array: cross_entropy.gpu(array((4096, 1000)), array((4096,), "i64"), array((1000,)), -100, "mean", 0.1),
    ),
    (
        "cross_entropy backward bf16 8192 x 50257",
        lambda array: cross_entropy.gpu_grad(
            array(()), array((8192, 50257), "bf16"), array((8192,), "i64"), None, array((8192,)), -100, "mean", 0.0
        ),
    ),
    (
        "cross_entropy backward fp32 4096 x 1000 weighted and smoothed",
        lambda array: cross_entropy.gpu_grad(
            array(()), array((4096, 1000)), array((4096,), "i64"), array((1000,)), array((4096,)), -100, "mean", 0.1
        ),
    ),
    (
        "cross_entropy_target bf16 4096 x 1000 weighted and smoothed",
        lambda array: cross_entropy_target.gpu(
            array((4096,), "i64"), array((4096, 1000), "bf16"), array((1000,), "bf16"), -100, 0.1
        ),
    ),
]
