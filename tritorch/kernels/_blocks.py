"""Large elementwise work on the CPU: blocks of a fixed size over threads, temporaries that stay in cache.

Blocks do not depend on the number of threads, so neither do the result's bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._threads import parallel

LARGE = 1 << 18
"""Elements from which blocks pay."""
_BLOCK = 1 << 17
"""Elements of a block. Blocks of 2^15, whose temporaries would fit the second-level cache, take 1.4 times as long on one
thread and twice as long on two: the calls are so short that the threads wait for the interpreter's lock."""
_GRAIN = 1 << 18  # elements that are worth a thread


def large(fn: Callable[..., Any], *operands: Any) -> Any:
    """`fn(*operands)`, which is elementwise, for a first operand of LARGE elements or more.

    Args:
        fn: a ufunc, or a function that composes elementwise NumPy functions.
        operands: arrays, numbers or None. The first is as large as the result; the others have its shape, or are rows
            or columns that broadcast to it. Anything else is computed in one call.
    """
    lead = operands[0]
    plan = _plan(lead, operands)
    if plan is None:
        return fn(*operands)
    parts, step, n = plan
    probe = fn(*[p(0, 1) for p in parts])  # for the result's dtype
    shape = parts[0](0, 1).shape
    if probe.__class__ is not np.ndarray or probe.shape != shape:
        return fn(*operands)
    y = np.empty(lead.shape, probe.dtype)
    out = y.reshape(n, *shape[1:])
    ufunc = fn.__class__ is np.ufunc
    whole = ufunc and all(p.whole for p in parts)  # one call for all of a thread's blocks

    def run(start: int, stop: int) -> None:
        start, stop = start * step, min(stop * step, n)
        size = stop - start if whole else step
        for i in range(start, stop, size):
            j = min(i + size, stop)
            if ufunc:
                fn(*[p(i, j) for p in parts], out=out[i:j])
            else:
                out[i:j] = fn(*[p(i, j) for p in parts])

    parallel(run, -(-n // step), max(1, _GRAIN * n // (step * lead.size)))
    return y


class _Part:
    """How one operand is cut: along its first dim, or the same piece for all blocks."""

    __slots__ = ("array", "how", "whole")

    def __init__(self, array: Any, how: str):
        self.array, self.how = array, how
        self.whole = how != "tile"

    def __call__(self, i: int, j: int) -> Any:
        if self.how == "cut":
            return self.array[i:j]
        return self.array[: j - i] if self.how == "tile" else self.array


def _plan(lead: Any, operands: tuple) -> tuple[list[_Part], int, int] | None:
    """The parts, the step between blocks and the length of the first dim; None where blocks do not fit."""
    cols = 0  # length of the rows, 0: all operands are flat
    columns = False
    for v in operands:
        if v.__class__ is not np.ndarray or v.ndim == 0:
            continue
        if not v.flags.c_contiguous:
            return None
        if v.shape == lead.shape:
            continue
        if v.size == 1:
            if v.ndim > lead.ndim:
                return None
            continue
        if v.ndim == lead.ndim and v.shape[-1] == 1 and v.shape[:-1] == lead.shape[:-1]:
            width, columns = lead.shape[-1], True
        elif v.shape[v.ndim - _depth(v) :] == lead.shape[max(lead.ndim - _depth(v), 0) :]:
            width = v.size
        else:
            return None
        if cols not in (0, width):
            return None
        cols = width
    if cols > _BLOCK:
        return None
    n = lead.size
    if columns:
        n //= cols
        step = max(1, _BLOCK // cols)
    else:
        step = max(1, _BLOCK // cols) * cols if cols else _BLOCK
    parts = []
    for v in operands:
        if v.__class__ is not np.ndarray or v.ndim == 0:
            parts.append(_Part(v, "keep"))
        elif v.size == 1:
            parts.append(_Part(v.reshape(()), "keep"))
        elif v.shape == lead.shape:
            parts.append(_Part(v.reshape((n, cols) if columns else n), "cut"))
        elif not columns:  # rows: repeated to a block, which spares NumPy the start of a loop for every row
            parts.append(_Part(np.tile(v.reshape(cols), step // cols), "tile"))
        elif v.shape[-1] == 1:
            parts.append(_Part(v.reshape(n, 1), "cut"))
        else:
            parts.append(_Part(v.reshape(1, cols), "keep"))
    return parts, step, n


def _depth(v: Any) -> int:
    """The number of dims of `v` without leading dims of 1."""
    depth = v.ndim
    while depth > 1 and v.shape[v.ndim - depth] == 1:
        depth -= 1
    return depth
