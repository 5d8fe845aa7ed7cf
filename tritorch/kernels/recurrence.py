"""The linear recurrence h_t = a_t h_{t-1} + b_t along one dim, as one differentiable op.

Its gradient is the same recurrence from the other end. It also is what the gradients of running products and of
logcumsumexp are made of. On the CPU a step is one multiply-add of whole slices; a few long rows are folded, each pass
doubling the steps that an element stands for (Kogge and Stone 1973). The kernel is one of `_scans.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._fold import row_blocks
from ._op import Array, op
from ._scans import linear_gpu


def shifted(x: Array, dim: int, step: int, fill: float) -> Array:
    """x moved by +1 or -1 along `dim`, `fill` at the end that becomes free."""
    y = np.empty_like(x)
    to, by = np.moveaxis(y, dim, 0), np.moveaxis(x, dim, 0)
    if step > 0:
        to[:1], to[1:] = fill, by[:-1]
    else:
        to[-1:], to[:-1] = fill, by[1:]
    return y


def shifted_tensor(x: Any, dim: int, step: int, fill: float) -> Any:
    """`shifted` on Tensors, differentiable."""
    n = x.shape[dim]
    if n == 0:
        return x
    end = x.new_full([1 if i == dim else m for i, m in enumerate(x.shape)], fill)
    parts = [end, x.narrow(dim, 0, n - 1)] if step > 0 else [x.narrow(dim, 1, n - 1), end]
    from .copy import cat  # needed on Tensors only

    return cat(parts, dim)


def recurrence(a: Array, b: Array, dim: int, reverse: bool) -> Array:
    """h_t = a_t h_{t-1} + b_t along `dim` (from the end with `reverse`), h starting at 0."""
    h = np.empty(np.broadcast_shapes(a.shape, b.shape), b.dtype)
    if h.size == 0:
        return h
    a, m, r, k = row_blocks(a, dim)
    b = row_blocks(b, dim)[0]
    to = h.reshape(m, r, k)
    if reverse:
        a, b, to = a[:, ::-1], b[:, ::-1], to[:, ::-1]
    if m * k >= 32 or r <= 32:
        to[:, 0] = b[:, 0]
        for t in range(1, r):
            now = to[:, t]
            np.multiply(a[:, t], to[:, t - 1], out=now)
            now += b[:, t]
        return h
    a, to[...] = a.copy(), b
    step = 1
    while step < r:  # few long rows: each pass doubles the number of steps that are folded in
        to[:, step:] += a[:, step:] * to[:, :-step].copy()
        a[:, step:] *= a[:, :-step].copy()
        step *= 2
    return h


@op
class linear_recurrence:
    """h_t = a_t h_{t-1} + b_t along one dim, h = 0 before the first; h_t = a_t h_{t+1} + b_t with reverse."""

    holomorphic = True

    def cpu(a: Array, b: Array, dim: int, reverse: bool) -> Array:
        return recurrence(a, b, dim, reverse)

    def gpu(a: Array, b: Array, dim: int, reverse: bool) -> Array:
        return linear_gpu(a, b, dim, reverse)

    def grad(g, a, y, dim, reverse):
        step = 1 if reverse else -1
        gb = linear_recurrence(shifted_tensor(a, dim, step, 0), g, dim, not reverse)
        return gb * shifted_tensor(y, dim, -step, 0), gb

    def cpu_grad(g, a, y, dim, reverse):
        step = 1 if reverse else -1
        gb = recurrence(shifted(a, dim, step, 0), g, dim, not reverse)
        return gb * shifted(y, dim, -step, 0), gb

    def samples(rng):
        yield (rng.uniform(0.2, 1, (4, 9)), rng.normal(size=(4, 9))), (1, False)
        yield (rng.uniform(0.2, 1, (3, 5, 7)), rng.normal(size=(3, 5, 7))), (1, True)
        yield (rng.uniform(0.2, 1, (40,)), rng.normal(size=40)), (0, False)

    def cost(a, b, dim, reverse):
        return 3 * a.nbytes, 2 * a.size


AOT = [
    (
        "linear_recurrence fp32 64 x 4096 x 64",
        lambda array: linear_recurrence.gpu(array((64, 4096, 64)), array((64, 4096, 64)), 1, False),
    ),
]
