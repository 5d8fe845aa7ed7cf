"""Connectionist temporal classification (Graves et al. 2006, doi 10.1145/1143844.1143891).

With the target spread out as blank, t_1, blank, t_2, ..., blank (L = 2 S + 1 places), the forward variable

    alpha_t(l) = x_t(l) + log(exp alpha_{t-1}(l) + exp alpha_{t-1}(l - 1) + [may skip] exp alpha_{t-1}(l - 2))

sums all alignments that end in place l; beta is the same from the end. The loss is minus the log of the sum over the
last two places, and its gradient minus the posterior exp(alpha + beta - x + loss), summed per class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._fold import contiguous
from ._launch import empty, kernel, launch
from ._op import Array, op
from .copy import cat

if TYPE_CHECKING:
    import triton.language as tl

# ------------------------------------------------------------------------------------------------------ the kernels


@kernel
def _log_add3(a, b, c):
    """log(exp a + exp b + exp c)."""
    top = tl.where(a > b, a, b)
    top = tl.where(c > top, c, top)
    safe = tl.where(top == float("-inf"), 0.0, top)
    return tl.log(tl.exp(a - safe) + tl.exp(b - safe) + tl.exp(c - safe)) + safe


@kernel
def _ctc_alpha(
    x_ptr, target_ptr, in_len_ptr, target_len_ptr, alpha_ptr, loss_ptr, steps, n, classes, s, blank,
    F64: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """alpha (T, N, L) and loss (N,) of x (T, N, C), contiguous; one program walks the steps of one sample.

    BLOCK >= L = 2 s + 1. Neighbouring places are read back from alpha, hence the barriers.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    b = tl.program_id(0).to(tl.int64)
    length = 2 * s + 1
    at = tl.arange(0, BLOCK)
    place = at < length
    odd = place & (at % 2 == 1)
    label = tl.load(target_ptr + b * s + at // 2, mask=odd, other=0)
    label = tl.where(odd, label, blank)
    before = tl.load(target_ptr + b * s + at // 2 - 1, mask=odd & (at >= 3), other=0)
    skip = odd & (at >= 3) & (label != before) & (label != blank)
    target_len = tl.load(target_len_ptr + b)
    x = tl.load(x_ptr + b * classes + label, mask=place, other=0).to(ACC)
    a = tl.where((at == 0) | ((at == 1) & (target_len > 0)), x, float("-inf"))
    tl.store(alpha_ptr + b * length + at, a, mask=place)
    for t in range(1, steps):
        tl.debug_barrier()
        row = alpha_ptr + ((t - 1) * n + b) * length + at
        stay = tl.load(row, mask=place, other=float("-inf"))
        one = tl.load(row - 1, mask=place & (at >= 1), other=float("-inf"))
        two = tl.load(row - 2, mask=skip, other=float("-inf"))
        x = tl.load(x_ptr + (t * n + b) * classes + label, mask=place, other=0).to(ACC)
        tl.store(alpha_ptr + (t * n + b) * length + at, _log_add3(stay, one, two) + x, mask=place)
    tl.debug_barrier()
    in_len = tl.load(in_len_ptr + b)
    last = tl.load(alpha_ptr + ((in_len - 1) * n + b) * length + at, mask=place & (in_len > 0), other=float("-inf"))
    final = place & ((at == 2 * target_len) | ((at == 2 * target_len - 1) & (target_len > 0)))
    last = tl.where(final, last, float("-inf"))
    top = tl.max(last, 0)
    safe = tl.where(top == float("-inf"), 0.0, top)
    loss = -(tl.log(tl.sum(tl.where(final, tl.exp(last - safe), 0), 0)) + safe)
    if_empty = tl.where(target_len > 0, float("inf"), 0.0).to(ACC)
    tl.store(loss_ptr + b, tl.where(in_len > 0, loss, if_empty).to(loss_ptr.dtype.element_ty))


@kernel
def _ctc_beta(
    x_ptr, target_ptr, in_len_ptr, target_len_ptr, alpha_ptr, g_ptr, beta_ptr, post_ptr, steps, n, classes, s,
    blank, F64: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """post (T, N, L) = -g exp(alpha + beta - x + loss), as `_ctc_alpha`; beta (2, N, L) is room for two steps.

    The loss comes from alpha: the op's result may be rounded to half precision.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    b = tl.program_id(0).to(tl.int64)
    length = 2 * s + 1
    at = tl.arange(0, BLOCK)
    place = at < length
    odd = place & (at % 2 == 1)
    label = tl.load(target_ptr + b * s + at // 2, mask=odd, other=0)
    label = tl.where(odd, label, blank)
    after = tl.load(target_ptr + b * s + at // 2 + 1, mask=odd & (at + 2 < length), other=0)
    skip = odd & (at + 2 < length) & (label != after) & (after != blank)
    target_len = tl.load(target_len_ptr + b)
    in_len = tl.load(in_len_ptr + b)
    g = tl.load(g_ptr + b).to(ACC)
    final = place & ((at == 2 * target_len) | (at == 2 * target_len - 1))
    last = tl.load(alpha_ptr + ((in_len - 1) * n + b) * length + at, mask=final & (in_len > 0), other=float("-inf"))
    top = tl.max(last, 0)
    safe = tl.where(top == float("-inf"), 0.0, top)
    loss = -(tl.log(tl.sum(tl.where(final, tl.exp(last - safe), 0), 0)) + safe)
    for back in range(0, steps):
        t = steps - 1 - back
        tl.debug_barrier()
        row = beta_ptr + ((back + 1) % 2 * n + b) * length + at
        running = place & (t < in_len - 1)
        stay = tl.load(row, mask=running, other=float("-inf"))
        one = tl.load(row + 1, mask=running & (at + 1 < length), other=float("-inf"))
        two = tl.load(row + 2, mask=running & skip, other=float("-inf"))
        x = tl.load(x_ptr + (t * n + b) * classes + label, mask=place, other=0).to(ACC)
        beta = _log_add3(stay, one, two) + x
        beta = tl.where(t == in_len - 1, tl.where(final, x, float("-inf")), beta)
        tl.store(beta_ptr + (back % 2 * n + b) * length + at, beta, mask=place)
        alpha = tl.load(alpha_ptr + (t * n + b) * length + at, mask=place, other=float("-inf"))
        dead = (beta == float("-inf")) | (alpha == float("-inf"))
        post = tl.where(dead, 0.0, tl.exp(tl.where(dead, 0.0, alpha + beta - x) + tl.where(dead, 0.0, loss)))
        post = tl.where(loss == float("inf"), float("nan"), post)
        post = tl.where((t < in_len) & (g != 0), -g * post, 0.0)
        tl.store(post_ptr + (t * n + b) * length + at, post, mask=place)


@kernel
def _ctc_classes(
    post_ptr, target_ptr, gx_ptr, n, classes, s, blank, F64: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_C: tl.constexpr
):
    """gx (T, N, C): post (T, N, L) summed over the places of each class, in order; program (step and sample,
    classes)."""
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    row = tl.program_id(0).to(tl.int64)
    b = row % n
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    length = 2 * s + 1
    acc = tl.zeros((BLOCK_C,), ACC)
    for start in range(0, length, BLOCK_L):
        at = start + tl.arange(0, BLOCK_L)
        odd = (at < length) & (at % 2 == 1)
        label = tl.where(odd, tl.load(target_ptr + b * s + at // 2, mask=odd, other=0), blank)
        post = tl.load(post_ptr + row * length + at, mask=at < length, other=0)
        acc += tl.sum(tl.where(label[:, None] == c[None, :], post[:, None], 0.0), 0)
    tl.store(gx_ptr + row * classes + c, acc.to(gx_ptr.dtype.element_ty), mask=c < classes)


def _dense(x: Array) -> Array:
    return contiguous(x)


def _wide_type(x: Array):
    return np.dtype(np.float64 if x.dtype.itemsize == 8 else np.float32)


# ----------------------------------------------------------------------------------------------- the CPU and the op


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


def _final(alpha: Array, in_len: Array, target_len: Array) -> Array:
    """The loss (N,): minus the log of the sum over the last two places at each sample's last step."""
    loss = np.where(target_len > 0, np.inf, 0.0).astype(alpha.dtype)
    if not (in_len > 0).any():
        return loss
    row, end = np.arange(len(in_len)), 2 * target_len
    last = alpha[np.maximum(in_len, 1) - 1, row]
    before = np.where(target_len > 0, last[row, np.maximum(end - 1, 0)], -np.inf)
    return np.where(in_len > 0, -np.logaddexp(last[row, end], before), loss).astype(alpha.dtype)


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
        return _final(alpha, in_len, target_len), alpha

    def gpu(x: Array, targets: Array, in_len: Array, target_len: Array, blank: int) -> tuple[Array, Array]:
        steps, n, classes = x.shape
        s, kind = targets.shape[1], _wide_type(x)
        alpha, loss = empty((steps, n, 2 * s + 1), kind), empty((n,), x.dtype)
        arrays = [_dense(a) for a in (x, targets, in_len, target_len)]
        if n and steps:
            block = max(2, 1 << (2 * s).bit_length())
            launch(
                _ctc_alpha, (n,), *arrays, alpha, loss, steps, n, classes, s, blank, F64=kind.itemsize == 8,
                BLOCK=block,
                num_warps=4,
            )  # fmt: skip
        return loss, alpha

    def gpu_grad(g, x, targets, in_len, target_len, y1, blank):
        steps, n, classes = x.shape
        s, kind = targets.shape[1], _wide_type(x)
        gx, post = empty(x.shape, x.dtype), empty((steps, n, 2 * s + 1), kind)
        if gx.size:
            x, targets, in_len, target_len, g = (_dense(a) for a in (x, targets, in_len, target_len, g))
            block, double = max(2, 1 << (2 * s).bit_length()), kind.itemsize == 8
            launch(
                _ctc_beta, (n,), x, targets, in_len, target_len, y1, g, empty((2, n, 2 * s + 1), kind), post, steps, n,
                classes, s, blank, F64=double, BLOCK=block, num_warps=4,
            )  # fmt: skip
            grid = (steps * n, -(-classes // 64))
            launch(_ctc_classes, grid, post, targets, gx, n, classes, s, blank, F64=double, BLOCK_L=32, BLOCK_C=64)
        return gx, None, None, None

    def grad(g, x, targets, in_len, target_len, y1, blank):
        posterior, ext = _posterior(x, targets, in_len, target_len, blank)
        scaled = -(posterior * g.reshape((1, -1, 1)))
        index = ext.unsqueeze(0).expand(posterior.shape)
        return x.new_zeros(x.shape).scatter_add(2, index, scaled), None, None, None

    def cpu_grad(g, x, targets, in_len, target_len, y1, blank):
        steps, n, classes = x.shape
        ext, skip = _places(targets, blank)
        loss = _final(y1, in_len, target_len)  # not the output, which may be rounded to half precision
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
                p = np.exp(y1[t] + beta - emitted + loss[:, None])
            post[t] = np.where((beta == -np.inf) | (y1[t] == -np.inf), 0, p)
        post[np.arange(steps)[:, None] >= in_len] = 0
        if (loss == np.inf).any():
            post[:, loss == np.inf] = np.nan  # no alignment: PyTorch's gradient, which zero_infinity turns to 0
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


_LENGTHS = lambda array: (array((64, 50), "i64"), array((64,), "i64"), array((64,), "i64"))
AOT = [
    ("ctc_loss fp32 400 x 64 x 80", lambda array: ctc_loss.gpu(array((400, 64, 80)), *_LENGTHS(array), 0)),
    (
        "ctc_loss backward fp32 400 x 64 x 80",
        lambda array: ctc_loss.gpu_grad(array((64,)), array((400, 64, 80)), *_LENGTHS(array), array((400, 64, 101)), 0),
    ),
]
