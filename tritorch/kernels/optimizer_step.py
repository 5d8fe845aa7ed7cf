"""One step of an optimizer on raw arrays: in place, one pass over memory in blocks that stay in the cache.

A large parameter is worked on in blocks of `BLOCK` elements, so that its values, gradient and state are read from
memory once and written once, however many operations the formula has; no temporary is larger than a block. Small
parameters are copied next to each other, worked on as one, and copied back: two copies cost less than the formula's
calls. Blocks are shared among threads when there are enough of them.

`sgd` and `adam` are written out by hand with preallocated scratch; the other optimizers give `sweep` their formula as a
function on blocks. Half-precision parameters are computed in float32; complex ones count as pairs of real numbers.
On cuda, the kernels of optimizer_gpu.py take all parameters of a step in one launch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np

from ._op import Array
from ._threads import parallel

BLOCK = 1 << 16  # elements: fits a core's share of the cache, and threads rarely meet at the interpreter's lock
_GRAIN = 1 << 18  # elements worth a thread: a third of a ms; below, waiting for a busy core costs more than is gained

_SMALL = 1 << 12  # elements up to which a parameter is worked on together with others

Rule: TypeAlias = Callable[..., Sequence[Array]]
Row: TypeAlias = Sequence[np.ndarray]


class _Scratch(threading.local):
    """Per thread and dtype, rows of one block."""

    def __init__(self):
        self.rows: dict[Any, np.ndarray] = {}

    def __call__(self, like: np.ndarray, n: int) -> list[np.ndarray]:
        """`n` arrays shaped as `like`."""
        rows = self.rows.get(like.dtype)
        if rows is None:
            rows = self.rows[like.dtype] = np.empty((2, BLOCK), like.dtype)
        if like.ndim == 1:
            return [rows[i, : like.size] for i in range(n)]
        return [rows[i, : like.size].reshape(like.shape) for i in range(n)]


_scratch = _Scratch()


def real_pairs(a: np.ndarray) -> np.ndarray:
    """A complex array as real numbers, one more dim of size 2; a view."""
    return a[..., None].view(np.float32 if a.dtype == np.complex64 else np.float64)


def pieces(arrays: Row) -> Iterator[Row]:
    """Corresponding pieces of arrays of one shape, views of at most `BLOCK` elements each, in any layout."""
    first = arrays[0]
    size = first.size
    if size <= BLOCK:
        if size:
            yield arrays
        return
    if all(a.flags.c_contiguous for a in arrays):
        flat = [a.reshape(-1) for a in arrays]
    elif all(a.flags.f_contiguous for a in arrays):
        flat = [a.T.reshape(-1) for a in arrays]
    else:
        for row in zip(*arrays, strict=True):  # mixed layouts: dim by dim, until the pieces are small
            yield from pieces([r if r.ndim else r[None] for r in row])
        return
    for a in range(0, size, BLOCK):
        yield [x[a : a + BLOCK] for x in flat]


def blocks(fn: Callable[..., None], rows: Sequence[Row], writes: Sequence[int], grain: int = _GRAIN) -> None:
    """Call `fn(*blocks)` on blocks of the arrays of each row; on several threads where that pays.

    Args:
        fn: elementwise, in place on its blocks, each of at most `BLOCK` elements.
        rows: per parameter the arrays of one shape that belong together, any strides.
        writes: which arrays of a row `fn` changes.
        grain: elements that are worth a thread.
    """
    small: dict[Any, list[Row]] = {}
    jobs: list[tuple[int, Callable[..., None], Sequence[Any]]] = []
    for row in rows:
        first = row[0]
        if first.size <= _SMALL and len(rows) > 1:
            small.setdefault(first.dtype, []).append(row)
        else:
            jobs += [(piece[0].size, fn, piece) for piece in pieces(row)]
    for alike in small.values():
        chunk: list[Row] = []
        n = 0
        for row in alike:
            if n + row[0].size > BLOCK:
                jobs.append((n, _together, (fn, chunk, writes)))
                chunk, n = [], 0
            chunk.append(row)
            n += row[0].size
        jobs.append((n, _together, (fn, chunk, writes)))
    if len(jobs) == 1:
        jobs[0][1](*jobs[0][2])
        return
    starts = list(accumulate((n for n, _, _ in jobs), initial=0))

    def share(start: int, stop: int) -> None:
        for at, (_, run, args) in zip(starts, jobs):
            if start <= at < stop:
                run(*args)

    parallel(share, starts[-1], grain)


def _together(fn: Callable[..., None], rows: list[Row], writes: Sequence[int]) -> None:
    """`fn` on the small arrays of several parameters as if they were one."""
    if len(rows) == 1:
        fn(*rows[0])
        return
    joined = [np.concatenate(column, axis=None) for column in zip(*rows)]
    fn(*joined)
    for i in writes:
        values, at = joined[i], 0
        for row in rows:
            a = row[i]
            n = a.size
            a[...] = values[at : at + n] if a.ndim == 1 else values[at : at + n].reshape(a.shape)
            at += n


def sweep(rule: Rule, p: np.ndarray, g: np.ndarray, states: Sequence[np.ndarray]) -> None:
    """Replace p and the states by `rule(p, g, *states)`, block by block.

    Args:
        rule: gives the new p and the new states, from blocks in float32 or float64.
        p, g: parameter and gradient, of one shape.
        states: arrays of p's shape.
    """
    arrays = [p, g, *states]
    if p.dtype.kind == "c":
        arrays = [real_pairs(a) if a.dtype.kind == "c" else a for a in arrays]

    def block(p: np.ndarray, g: np.ndarray, *states: np.ndarray) -> None:
        if p.itemsize == 2:
            new = rule(*[a.astype(np.float32) for a in (p, g, *states)])
        else:
            new = rule(p, g, *states)
        for old, value in zip((p, *states), new, strict=True):
            np.copyto(old, value, casting="same_kind")

    blocks(block, [arrays], range(1 + len(states)))


def _wide(fn: Callable[..., None], writes: Sequence[int]) -> Callable[..., None]:
    """`fn` for half-precision blocks: computed on float32 copies, which are rounded back."""

    def block(*arrays: np.ndarray) -> None:
        copies = [a.astype(np.float32) for a in arrays]
        fn(*copies)
        for i in writes:
            np.copyto(arrays[i], copies[i], casting="same_kind")

    return block


def _by_dtype(
    rule: Callable[[np.dtype], Callable[..., None]], rows: Iterable[Row], writes: Sequence[int], grain: int = _GRAIN
) -> None:
    """`blocks` of `rule(dtype of computation)` over the rows of each dtype."""
    of_dtype: dict[np.dtype, list[Row]] = {}
    for row in rows:
        of_dtype.setdefault(row[0].dtype, []).append(row)
    for dtype, alike in of_dtype.items():
        if dtype.kind == "c":
            alike = [[real_pairs(a) for a in row] for row in alike]
        kind = np.dtype(np.float64 if dtype in (np.float64, np.complex128) else np.float32)
        fn = rule(kind)
        blocks(_wide(fn, writes) if dtype.itemsize == 2 else fn, alike, writes, grain)


def adam(rows: Iterable[Row], c: dict[str, float], decay: bool, decoupled: bool, maximize: bool) -> None:
    """One step of Adam, AdamW or AMSGrad, in place.

    Args:
        rows: per parameter p, g, m, v: parameter, gradient, first and second moment; for AMSGrad also the largest
            second moment so far.
        c: `rate1` = 1 - beta1, `beta2`, `rate2` = 1 - beta2; `eps` and `step` with the bias corrections
            (eps * sqrt(1 - beta2**t), lr / (1 - beta1**t) * sqrt(1 - beta2**t)); `decay`: weight_decay, or with
            `decoupled` 1 - lr * weight_decay.
        decay, decoupled, maximize: which of them apply.
    """

    def rule(kind: np.dtype) -> Callable[..., None]:
        names = ("rate1", "beta2", "rate2", "eps", "step", "decay")
        # 0-dim arrays: NumPy takes them faster than Python floats
        rate1, beta2, rate2, eps, step, rate_decay = (np.array(c[name], kind) for name in names)

        def block(p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, *top: np.ndarray) -> None:
            t, t2 = _scratch(p, 2)
            if maximize:
                g = np.negative(g, t2)
            if decay:
                if decoupled:
                    np.multiply(p, rate_decay, p)
                else:
                    np.multiply(p, rate_decay, t)
                    g = np.add(g, t, t2)
            np.subtract(g, m, t)
            np.multiply(t, rate1, t)
            np.add(m, t, m)
            np.multiply(v, beta2, v)
            np.multiply(g, g, t)
            np.multiply(t, rate2, t)
            np.add(v, t, v)
            if top:
                np.sqrt(np.maximum(top[0], v, out=top[0]), t)
            else:
                np.sqrt(v, t)
            np.add(t, eps, t)
            np.divide(m, t, t)
            np.multiply(t, step, t)
            np.subtract(p, t, p)

        return block

    rows = list(rows)
    _by_dtype(rule, rows, (0, 2, 3, 4)[: len(rows[0]) - 1] if rows else (), _GRAIN // 3)  # three times SGD's calls


def sgd(rows: Iterable[Row], c: dict[str, float], first: bool, decay: bool, nesterov: bool, maximize: bool) -> None:
    """One step of SGD, in place.

    Args:
        rows: per parameter p, g: parameter and gradient; with momentum also the buffer.
        c: `lr`, `momentum`, `undamped` = 1 - dampening, `decay`.
        first: the buffers become the gradients (the first step with momentum).
        decay, nesterov, maximize: which of them apply.
    """

    def rule(kind: np.dtype) -> Callable[..., None]:
        names = ("lr", "momentum", "undamped", "decay")
        lr, momentum, undamped, rate_decay = (np.array(c[name], kind) for name in names)
        damped = c["undamped"] != 1

        def block(p: np.ndarray, g: np.ndarray, *buffers: np.ndarray) -> None:
            t, t2 = _scratch(p, 2)
            if decay:
                np.multiply(p, rate_decay, t2)
                g = (np.subtract if maximize else np.add)(t2, g, t2)
            elif maximize and buffers:
                g = np.negative(g, t2)
            if buffers:
                b = buffers[0]
                if first:
                    np.copyto(b, g)
                else:
                    np.multiply(b, momentum, b)
                    np.add(b, np.multiply(g, undamped, t) if damped else g, b)
                if nesterov:
                    g = np.add(g, np.multiply(b, momentum, t), t)
                else:
                    g = b
            np.multiply(g, lr, t)
            if maximize and not buffers and not decay:
                np.add(p, t, p)
            else:
                np.subtract(p, t, p)

        return block

    rows = list(rows)
    _by_dtype(rule, rows, (0, 2)[: len(rows[0]) - 1] if rows else ())
