"""The linear recurrence h_t = a_t h_{t-1} + b_t along one dim, as one differentiable op.

Its gradient is the same recurrence from the other end. It also is what the gradients of running products and of
logcumsumexp are made of. On the CPU a step is one multiply-add of whole slices; a few long rows are folded, each pass
doubling the steps that an element stands for (Kogge and Stone 1973). On the GPU a program scans its rows tile by tile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._configs import SMALL, next_power_of_2
from ._fold import contiguous, row_blocks
from ._launch import empty_like, kernel, launch
from ._op import Array, op

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _then(a1, b1, a2, b2):
    """First h -> a1 h + b1, then h -> a2 h + b2."""
    return a1 * a2, a2 * b1 + b2


@kernel
def _scan_linear(
    a_ptr, b_ptr, h_ptr, n_out, r, k,
    F64: tl.constexpr, REVERSE: tl.constexpr, BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """h_t = a_t h_{t-1} + b_t along the middle dim of a, b, h (m, r, k), contiguous; REVERSE from the end.

    One program does BLOCK_J of the n_out = m * k rows.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    j_ok = j < n_out
    m = j // k
    cols = tl.arange(0, BLOCK_R)[None, :]
    carry = tl.zeros((BLOCK_J,), ACC)
    for i in range(0, r, BLOCK_R):
        mask = (i + cols < r) & j_ok[:, None]
        place = (i + cols).to(tl.int64)
        if REVERSE:
            place = r - 1 - place
        at = (m * r * k + (j - m * k))[:, None] + place * k
        a = tl.load(a_ptr + at, mask=mask, other=1).to(ACC)
        b = tl.load(b_ptr + at, mask=mask, other=0).to(ACC)
        a, b = tl.associative_scan((a, b), 1, _then)
        h = a * carry[:, None] + b
        carry = tl.sum(tl.where(cols == BLOCK_R - 1, h, 0), 1)
        tl.store(h_ptr + at, h.to(h_ptr.dtype.element_ty), mask=mask)


def tiles(n_out: int, r: int, k: int) -> tuple[int, int, int]:
    """(BLOCK_J, BLOCK_R, warps) of a scan over `n_out` rows of `r` elements, `k` apart."""
    block_r = min(next_power_of_2(r), 1024 if k == 1 else 64)
    block_j = min(next_power_of_2(n_out), max(1, (4096 if SMALL else 1024) // block_r))
    return block_j, block_r, 4


def folded(x: Array, dim: int) -> tuple[Array, int, int, int]:
    x = contiguous(x)
    m = r = k = 1
    for i, n in enumerate(x.shape):
        m, r, k = (m * n, r, k) if i < dim else (m, n, k) if i == dim else (m, r, k * n)
    return x, m, r, k


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
    end = x.narrow(dim, 0, 1).detach() * 0 + fill
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

    def cpu(a: Array, b: Array, dim: int, reverse: bool) -> Array:
        return recurrence(a, b, dim, reverse)

    def gpu(a: Array, b: Array, dim: int, reverse: bool) -> Array:
        a, m, r, k = folded(a, dim)
        b = folded(b, dim)[0]
        h = empty_like(b)
        block_j, block_r, warps = tiles(m * k, r, k)
        if h.size:
            launch(
                _scan_linear, (-(-m * k // block_j),), a, b, h, m * k, r, k,
                F64=b.dtype.itemsize == 8, REVERSE=reverse, BLOCK_J=block_j, BLOCK_R=block_r, num_warps=warps,
            )  # fmt: skip
        return h

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
