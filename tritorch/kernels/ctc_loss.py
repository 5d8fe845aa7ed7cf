"""Connectionist temporal classification (Graves et al. 2006, doi 10.1145/1143844.1143891).

With the target spread out as blank, t_1, blank, t_2, ..., blank (L = 2 S + 1 places), the forward variable

    alpha_t(l) = x_t(l) + log(exp alpha_{t-1}(l) + exp alpha_{t-1}(l - 1) + [may skip] exp alpha_{t-1}(l - 2))

sums all alignments that end in place l; beta is the same from the end. The loss is minus the log of the sum over the
last two places, and its gradient minus the posterior exp(alpha + beta - x + loss), summed per class.
"""

from __future__ import annotations

import numpy as np

from ._op import Array, op
from .copy import cat


def _places(targets: Array, blank: int) -> tuple[Array, Array]:
    """(N, L): the class of each place, and whether it can be entered from two places before."""
    n, s = targets.shape
    ext = np.full((n, 2 * s + 1), blank, np.int64)
    ext[:, 1::2] = targets
    skip = np.zeros(ext.shape, bool)
    skip[:, 2:] = (ext[:, 2:] != blank) & (ext[:, 2:] != ext[:, :-2])
    return ext, skip


def _shifted(a: Array, by: int) -> Array:
    """a (N, L) moved to the right by `by` (to the left if negative), -inf coming in."""
    out = np.full(a.shape, -np.inf, a.dtype)
    if by > 0:
        out[:, by:] = a[:, :-by]
    else:
        out[:, :by] = a[:, -by:]
    return out


def _step(a: Array, skip: Array, by: int) -> Array:
    """log of the sum over staying, moving one place and, where allowed, two."""
    with np.errstate(invalid="ignore"):
        two = np.where(skip, a, -np.inf) if by < 0 else a
        two = _shifted(two, 2 * by)
        if by > 0:
            two = np.where(skip, two, -np.inf)
        return np.logaddexp(np.logaddexp(a, _shifted(a, by)), two)


@op
class ctc_loss:
    """Loss (N,) of log-probabilities x (T, N, C) against targets (N, S) of the given lengths; also alpha (T, N, L)."""

    differentiable = 1

    def cpu(x: Array, targets: Array, in_len: Array, target_len: Array, blank: int) -> tuple[Array, Array]:
        steps, n, _ = x.shape
        ext, skip = _places(targets, blank)
        row = np.arange(n)
        alpha = np.full((steps, n, ext.shape[1]), -np.inf, x.dtype)
        if steps:
            alpha[0, :, 0] = x[0, row, ext[:, 0]]
            if ext.shape[1] > 1:
                alpha[0, :, 1] = np.where(target_len > 0, x[0, row, ext[:, 1]], -np.inf)
        for t in range(1, steps):
            np.add(_step(alpha[t - 1], skip, 1), x[t][row[:, None], ext], out=alpha[t])
        end = 2 * target_len
        loss = np.where(target_len > 0, np.inf, 0.0).astype(x.dtype)
        some = in_len > 0
        if some.any():
            last = alpha[np.maximum(in_len, 1) - 1, row]
            final = last[row, end]
            before = np.where(target_len > 0, last[row, np.maximum(end - 1, 0)], -np.inf)
            loss = np.where(some, -np.logaddexp(final, before), loss).astype(x.dtype)
        return loss, alpha

    def grad(g, x, targets, in_len, target_len, y0, y1, blank):
        posterior, ext = _posterior(x, targets, in_len, target_len, blank)
        scaled = -(posterior * g.reshape((1, -1, 1)))
        index = ext.unsqueeze(0).expand(posterior.shape)
        return x.new_zeros(x.shape).scatter_add(2, index, scaled), None, None, None

    def cpu_grad(g, x, targets, in_len, target_len, y0, y1, blank):
        steps, n, classes = x.shape
        ext, skip = _places(targets, blank)
        row = np.arange(n)
        beta = np.full(ext.shape, -np.inf, x.dtype)
        post = np.zeros(y1.shape, x.dtype)
        for t in range(steps - 1, -1, -1):
            emitted = x[t][row[:, None], ext]
            beta = _step(beta, skip, -1) + emitted
            ending = np.flatnonzero(in_len - 1 == t)
            if ending.size:
                e = 2 * target_len[ending]
                beta[ending] = -np.inf
                beta[ending, e] = emitted[ending, e]
                with_target = e > 0
                beta[ending[with_target], e[with_target] - 1] = emitted[ending[with_target], e[with_target] - 1]
            with np.errstate(invalid="ignore", over="ignore"):
                p = np.exp(y1[t] + beta - emitted + y0[:, None])
            post[t] = np.where((beta == -np.inf) | (y1[t] == -np.inf), 0, p)
        post[np.arange(steps)[:, None] >= in_len] = 0
        if (y0 == np.inf).any():
            post[:, y0 == np.inf] = np.nan  # no alignment: PyTorch's gradient, which zero_infinity turns to 0
        post *= -g[:, None]
        post[:, g == 0] = 0
        hot = np.zeros((n, ext.shape[1], classes), x.dtype)
        hot[row[:, None], np.arange(ext.shape[1]), ext] = 1
        gx = np.ascontiguousarray((post.swapaxes(0, 1) @ hot).swapaxes(0, 1))
        return gx, None, None, None

    def samples(rng):
        x = rng.normal(size=(6, 3, 4))
        x -= np.log(np.exp(x).sum(-1, keepdims=True))
        targets = np.array([[1, 1], [2, 3], [3, 1]])
        yield (x, targets, np.array([6, 5, 4]), np.array([2, 2, 1])), (0,)
        yield (x, targets % 3, np.array([6, 6, 4]), np.array([2, 0, 2])), (3,)

    def cost(x, targets, in_len, target_len, blank):
        return x.nbytes, 12 * x.shape[0] * x.shape[1] * (2 * targets.shape[1] + 1)


def _posterior(x, targets, in_len, target_len, blank: int):
    """exp(alpha + beta - x + loss) (T, N, L) on Tensors, differentiable in x; also each place's class (N, L)."""
    steps, n, _ = x.shape
    length = 2 * targets.shape[1] + 1
    never = -1e30  # finite: differences of two impossible places have derivatives
    ext = targets.new_full((n, length), blank)
    ext[:, 1::2] = targets
    skip = (ext[:, 2:] != blank) & (ext[:, 2:] != ext[:, :-2])
    place = (targets.new_ones((length,)).cumsum(0) - 1).reshape((1, -1))
    end = (2 * target_len).reshape((-1, 1))
    last = (place == end) | (place == end - 1)
    emitted = x.gather(2, ext.unsqueeze(0).expand((steps, n, length)))
    column = x.new_full((n, 1), never)
    wall = x.new_full((n, 2), never)
    start = (place < 2) & (place <= end)

    def onwards(a):
        one = cat([column, a[:, :-1]], 1)
        if length < 3:
            return a.logaddexp(one)
        two = cat([wall, a[:, :-2].masked_fill(~skip, never)], 1)
        return a.logaddexp(one).logaddexp(two)

    def backwards(b):
        one = cat([b[:, 1:], column], 1)
        if length < 3:
            return b.logaddexp(one)
        two = cat([b[:, 2:].masked_fill(~skip, never), wall], 1)
        return b.logaddexp(one).logaddexp(two)

    alphas = [emitted[0].masked_fill(~start, never)]
    for t in range(1, steps):
        alphas.append(onwards(alphas[-1]) + emitted[t])
    beta = x.new_full((n, length), never)
    posts: list = [None] * steps
    for t in range(steps - 1, -1, -1):
        ending = (in_len - 1 == t).reshape((-1, 1))
        beta = (backwards(beta) + emitted[t]).masked_fill(ending, 0.0)
        beta = beta + emitted[t].masked_fill(~last, never).masked_fill(~ending, 0.0)
        posts[t] = (alphas[t] + beta - emitted[t]).unsqueeze(0)
    joint = cat(posts, 0)
    total = joint[0].logsumexp(1, True)  # the same at every step
    return (joint - total).exp() * _running(x, in_len, steps), ext


def _running(x, in_len, steps: int):
    """(T, N, 1) of 1 where the sample still runs at step t, else 0."""
    step = (in_len.new_ones((steps,)).cumsum(0) - 1).reshape((-1, 1))
    return (step < in_len.reshape((1, -1))).to(x.dtype).unsqueeze(2)
