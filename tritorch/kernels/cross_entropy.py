"""Cross-entropy of logits against class indices: log-softmax and negative log-likelihood in one pass over the logits.

With p = softmax(x), W = sum of weights and e = label_smoothing, row i of x (M, V) with the target t costs

    loss_i = (1 - e) w_t (lse - x_t) + e / V * sum_c w_c (lse - x_c),   lse = log(sum_c exp x_c);

rows with t == ignore_index cost 0. Reduction 'mean' divides by the sum of w_t over the rows that count.
Backward: gx_i = g_i * (s_i p - q_i), with q_i the target's distribution times weights and s_i its sum.
"""

from __future__ import annotations

import numpy as np

from ._op import Array, op
from ._rows import over_blocks

REDUCTIONS = ("none", "mean", "sum")


def _target_terms(t: Array, w: Array | None, ignore_index: int, n_classes: int, dtype):
    """(rows that count, target with 0 for ignored rows, weight of each row's target with 0 for ignored rows)."""
    kept = t != ignore_index
    safe = np.where(kept, t, 0)
    if safe.size and (safe.min() < 0 or safe.max() >= n_classes):
        wrong = safe.min() if safe.min() < 0 else safe.max()
        raise IndexError(f"cross_entropy: Target {wrong} is out of bounds for {n_classes} classes")
    wt = kept.astype(dtype) if w is None else np.where(kept, w[safe], 0).astype(dtype)
    return kept, safe, wt


@op
class cross_entropy:
    """Loss of logits x (M, V) against indices t (M,); also log-sum-exp of each row, for the backward.

    Result: 0-dim for reduction 'mean' and 'sum', (M,) for 'none'. w: weight of each class, (V,) or None.
    """

    differentiable = 1

    def cpu(
        x: Array, t: Array, w: Array | None, ignore_index: int, reduction: str, label_smoothing: float
    ) -> tuple[Array, Array]:
        n_rows, n = x.shape
        kept, safe, wt = _target_terms(t, w, ignore_index, n, x.dtype)
        lse = np.empty(n_rows, x.dtype)
        eps = label_smoothing
        smooth = np.empty(n_rows, x.dtype) if eps else None
        w_row = np.ones(n, x.dtype) if w is None else w
        w_sum = w_row.sum()

        def block(i: int, start: int, stop: int) -> None:
            rows = x[start:stop]
            top = rows.max(axis=1)
            buf = np.subtract(rows, top[:, None])
            np.exp(buf, out=buf)
            total = buf @ ones
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

    def grad(g, x, t, w, y1, ignore_index, reduction, label_smoothing):
        q = cross_entropy_target(t, x, w, ignore_index, label_smoothing)
        row = g.reshape((-1, 1)) if reduction == "none" else g
        if reduction == "mean":
            row = row / _count(t, w, ignore_index, g)
        return (x.softmax(1) * q.sum(1, True) - q) * row, None, None

    def cpu_grad(g, x, t, w, y1, ignore_index, reduction, label_smoothing):
        n_rows, n = x.shape
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

        def block(i: int, start: int, stop: int) -> None:
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
        yield (x, np.array([3, 0, 6, 2, 3]), rng.uniform(0.5, 2, 7).astype(np.float32)), (2, "sum", 0.1)
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

    def samples(rng):
        yield (np.array([1, 0, -1]), rng.normal(size=(3, 4)), None), (-1, 0.1)
        yield (np.array([1, 0, 2]), rng.normal(size=(3, 4)), rng.uniform(0.5, 2, 4)), (-1, 0.0)

    def cost(t, x, w, ignore_index, label_smoothing):
        return x.nbytes, 0
