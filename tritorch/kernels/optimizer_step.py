"""One step of an optimizer on raw arrays: in place, one pass over memory in blocks that stay in the cache.

A large parameter is worked on in blocks of `BLOCK` elements, so that its values, gradient and state are read from
memory once and written once, however many operations the formula has; no temporary is larger than a block. Large
parameters are shared among threads. A small one costs its NumPy calls and little else.

`sgd` and `adam` are written out by hand with preallocated scratch; the other optimizers give `sweep` their formula as a
function on blocks. Half-precision parameters are computed in float32; complex ones count as pairs of real numbers.
On cuda, the kernels below take all parameters of a step in one launch (optimizer_gpu.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._op import Array
from ._threads import parallel

BLOCK = 1 << 16  # elements: fits a core's share of the cache, and threads rarely meet at the interpreter's lock
_GRAIN = 1 << 18  # elements worth a thread: a third of a ms; below, waiting for a busy core costs more than is gained

_SMALL = 1 << 12  # elements

Rule = Callable[..., Sequence[Array]]


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


def blocks(fn: Callable[..., None], arrays: list[np.ndarray]) -> None:
    """Call `fn(*blocks)` on corresponding blocks of arrays of one shape; large ones by several threads.

    Args:
        fn: works in place on its blocks, each of at most `BLOCK` elements.
        arrays: of one shape, any strides.
    """
    first = arrays[0]
    size = first.size
    if size <= BLOCK:
        if size:
            fn(*arrays)
        return
    if all(a.flags.c_contiguous for a in arrays):
        flat = [a.reshape(-1) for a in arrays]
    elif all(a.flags.f_contiguous for a in arrays):
        flat = [a.T.reshape(-1) for a in arrays]
    else:
        for row in zip(*arrays, strict=True):  # mixed layouts: dim by dim, until the pieces are small
            blocks(fn, [r if r.ndim else r[None] for r in row])
        return

    def part(start: int, stop: int) -> None:
        for a in range(start, stop, BLOCK):
            b = min(a + BLOCK, stop)
            fn(*[x[a:b] for x in flat])

    parallel(part, size, _GRAIN)


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

    blocks(block, arrays)


def _wide(fn: Callable[..., None], writes: tuple[int, ...]) -> Callable[..., None]:
    """`fn` for half-precision blocks: computed on float32 copies, which are rounded back."""

    def block(*arrays: np.ndarray) -> None:
        copies = [a.astype(np.float32) for a in arrays]
        fn(*copies)
        for i in writes:
            np.copyto(arrays[i], copies[i], casting="same_kind")

    return block


class Constants:
    """The numbers of one step as 0-dim arrays of a dtype: NumPy takes them faster than Python floats."""

    def __init__(self, **values: float):
        self.values = values
        self._made: dict[Any, dict[str, np.ndarray]] = {}

    def of(self, dtype: np.dtype) -> dict[str, np.ndarray]:
        """name -> number, in float32 for half precision."""
        made = self._made.get(dtype)
        if made is None:
            kind = np.dtype(np.float64 if dtype in (np.float64, np.complex128) else np.float32)
            made = self._made[dtype] = {k: np.array(v, kind) for k, v in self.values.items()}
        return made


def adam(
    p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, top: np.ndarray | None, c: dict[str, np.ndarray],
    decay: bool, decoupled: bool, maximize: bool,
) -> None:  # fmt: skip
    """One step of Adam, AdamW or AMSGrad, in place.

    Args:
        p, g, m, v: parameter, gradient, first and second moment.
        top: the largest second moment so far (AMSGrad), or None.
        c: `rate1` = 1 - beta1, `beta2`, `rate2` = 1 - beta2; `eps` and `step` with the bias corrections
            (eps * sqrt(1 - beta2**t), lr / (1 - beta1**t) * sqrt(1 - beta2**t)); `decay`: weight_decay, or with
            `decoupled` 1 - lr * weight_decay.
        decay, decoupled, maximize: which of them apply.
    """
    rate1, beta2, rate2, eps, step = c["rate1"], c["beta2"], c["rate2"], c["eps"], c["step"]
    rate_decay = c["decay"]

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

    arrays = [p, g, m, v] if top is None else [p, g, m, v, top]
    if p.dtype.kind == "c":
        arrays = [real_pairs(a) for a in arrays]
    if arrays[0].itemsize == 2:
        blocks(_wide(block, (0, 2, 3, 4)[: len(arrays) - 1]), arrays)
    elif p.size <= BLOCK and p.size:
        block(*arrays)
    else:
        blocks(block, arrays)


def sgd(
    p: np.ndarray, g: np.ndarray, b: np.ndarray | None, c: dict[str, np.ndarray], first: bool, decay: bool,
    nesterov: bool, maximize: bool,
) -> None:  # fmt: skip
    """One step of SGD, in place.

    Args:
        p, g: parameter and gradient.
        b: the momentum buffer, or None.
        c: `lr`, `momentum`, `undamped` = 1 - dampening, `decay`.
        first: the buffer becomes the gradient (the first step with momentum).
        decay, nesterov, maximize: which of them apply.
    """
    lr = c["lr"]
    if b is None and not decay and p.size <= _SMALL and p.itemsize > 2:
        # the two calls alone: for a bias, everything else here would cost more than they do
        t = np.multiply(g, lr)
        (np.add if maximize else np.subtract)(p, t, p)
        return
    momentum, undamped, rate_decay = c["momentum"], c["undamped"], c["decay"]
    damped = bool(undamped != 1)

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

    arrays = [p, g] if b is None else [p, g, b]
    if p.dtype.kind == "c":
        arrays = [real_pairs(a) for a in arrays]
    if arrays[0].itemsize == 2:
        blocks(_wide(block, (0, 2)[: len(arrays) - 1]), arrays)
    elif p.size <= BLOCK and p.size:
        block(*arrays)
    else:
        blocks(block, arrays)
