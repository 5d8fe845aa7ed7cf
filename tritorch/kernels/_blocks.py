"""Large elementwise work on the CPU: blocks of a fixed size over threads, temporaries that stay in cache.

Blocks do not depend on the number of threads, so neither do the result's bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ._rows import LONG_RUN
from ._threads import parallel

LARGE = 1 << 18
"""Elements from which blocks pay."""
_BLOCK = 1 << 18
"""Elements of a block. In shorter ones, whose temporaries would fit the second-level cache, the calls are so short that the
threads meet at the interpreter's lock: threshold of 2^20 numbers takes 0.82 ms in blocks of 2^16, 0.63 in blocks of 2^17
and 0.59 in these. Longer ones leave a large array's temporaries to the memory."""
_GRAIN = 1 << 17  # elements that are worth a thread
_CHEAP_GRAIN = 1 << 19  # the same of an op that takes 0.1 ns an element: to wake a thread takes as long as 2^19 of them
_CHEAP = frozenset(
    (np.add, np.subtract, np.multiply, np.negative, np.abs, np.square, np.maximum, np.minimum, np.logical_and,
     np.logical_or, np.logical_not, np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
     np.isnan, np.isfinite, np.isinf)
)  # fmt: skip


def large(fn: Callable[..., Any], *operands: Any, out: np.ndarray | None = None) -> Any:
    """`fn(*operands)`, which is elementwise, for an operand of LARGE elements or more.

    Args:
        fn: a ufunc, or a function that composes elementwise NumPy functions; with a keyword-only `out` if it can write
            its result to where it belongs.
        operands: arrays, numbers or None. The largest has the result's shape; the others have it as well, or are rows
            or columns that broadcast to it. Anything else is computed in one call.
        out: takes the result of an `fn` that has `out` and makes one pass; may be an operand, but overlap none.
    """
    lead = max((v for v in operands if v.__class__ is np.ndarray), key=_size)
    dtype = _result(fn, tuple([v.dtype if v.__class__ is np.ndarray else v.__class__ for v in operands]))
    if out is not None and not (out.flags.c_contiguous and out.shape == lead.shape and out.dtype == dtype):
        return fn(*operands, out=out)
    order = None if out is not None else _order(lead, operands)
    if order is not None:
        operands = tuple([v.transpose(order) if v.__class__ is np.ndarray and v.ndim else v for v in operands])
        lead = lead.transpose(order)
    plan = None if dtype is None else _plan(lead, operands)
    if plan is None:
        y = fn(*operands) if out is None else fn(*operands, out=out)
    else:
        y = np.empty(lead.shape, dtype) if out is None else out
        _run(fn, y, *plan)
    return y if order is None else y.transpose(np.argsort(order))


def _size(v: np.ndarray) -> int:
    return v.size


@lru_cache(maxsize=1024)
def _result(fn: Callable[..., Any], kinds: tuple) -> np.dtype | None:
    """The dtype of fn's result for operands of these dtypes and classes; None if it gives no array of their shape."""
    try:
        values = [np.ones(3, k) if isinstance(k, np.dtype) else None if k is type(None) else k(1) for k in kinds]
        with np.errstate(all="ignore"):
            y = fn(*values)
    except (TypeError, ValueError, OverflowError):
        return None  # what is wrong, the call itself says
    return y.dtype if y.__class__ is np.ndarray and y.shape == (3,) else None


def _order(lead: np.ndarray, operands: tuple) -> list[int] | None:
    """The order of dims that makes transposed operands contiguous, if one does it for all."""
    if lead.flags.c_contiguous:
        return None
    order = sorted(range(lead.ndim), key=lambda d: -lead.strides[d])
    if not lead.transpose(order).flags.c_contiguous:
        return None
    alike = all(
        v.__class__ is not np.ndarray or v.ndim == 0 or v.shape == lead.shape and v.strides == lead.strides
        for v in operands
    )
    return order if alike else None


def _run(fn: Callable[..., Any], y: np.ndarray, parts: list[_Part], step: int, n: int, row: tuple[int, ...]) -> None:
    out = y.reshape(n, *row)
    into = fn.__class__ is np.ufunc or "out" in (getattr(fn, "__kwdefaults__", None) or ())
    starts = iter(range(0, n, step))

    def run(*_: int) -> None:
        for i in starts:  # whichever thread comes first: one that has to wake up comes late
            j = min(i + step, n)
            to = out[i:j]
            made = fn(*[p(i, j) for p in parts], out=to) if into else fn(*[p(i, j) for p in parts])
            if made is not to:
                to[...] = made

    with np.errstate():  # which takes the buffer's size back, too
        if row and row[-1] >= LONG_RUN:
            np.setbufsize(LONG_RUN)
        parallel(run, -(-n // step), max(1, (_CHEAP_GRAIN if fn in _CHEAP else _GRAIN) * n // (step * y.size)))


class _Part:
    """How one operand is cut: along its first dim, or the same piece for all blocks."""

    __slots__ = ("array", "how")

    def __init__(self, array: Any, how: str):
        self.array, self.how = array, how

    def __call__(self, i: int, j: int) -> Any:
        if self.how == "cut":
            return self.array[i:j]
        return self.array[: j - i] if self.how == "tile" else self.array


def _plan(lead: np.ndarray, operands: tuple) -> tuple[list[_Part], int, int, tuple[int, ...]] | None:
    """The parts, the step between blocks, the first dim's length and the others; None where blocks do not fit."""
    cols = 0  # length of the rows, 0: all operands are flat
    columns = False
    for v in operands:
        if v.__class__ is not np.ndarray or v.ndim == 0:
            continue
        if not v.flags.c_contiguous:
            return _along_first_dim(lead, operands)
        if v.shape == lead.shape:
            continue
        if v.size == 1:
            if v.ndim > lead.ndim:
                return None
            continue
        if _is_column(v, lead):
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
    columns = columns or cols >= LONG_RUN
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
        elif not columns:  # short rows: repeated to a block, which spares NumPy the start of a loop for every row
            parts.append(_Part(np.tile(v.reshape(cols), step // cols), "tile"))
        elif _is_column(v, lead):
            parts.append(_Part(v.reshape(n, 1), "cut"))
        else:
            parts.append(_Part(v.reshape(1, cols), "keep"))
    return parts, step, n, (cols,) if columns else ()


def _is_column(v: np.ndarray, lead: np.ndarray) -> bool:
    return v.ndim == lead.ndim and v.shape[-1] == 1 and v.shape[:-1] == lead.shape[:-1]


def _along_first_dim(lead: np.ndarray, operands: tuple) -> tuple[list[_Part], int, int, tuple[int, ...]] | None:
    """The plan for slices of larger arrays, all of one shape."""
    parts = []
    for v in operands:
        if v.__class__ is not np.ndarray or v.ndim == 0:
            parts.append(_Part(v, "keep"))
        elif v.shape == lead.shape:
            parts.append(_Part(v, "cut"))
        else:
            return None
    n = lead.shape[0]
    return (parts, max(1, _BLOCK * n // lead.size), n, lead.shape[1:]) if n > 1 else None


def _depth(v: Any) -> int:
    """The number of dims of `v` without leading dims of 1."""
    depth = v.ndim
    while depth > 1 and v.shape[v.ndim - depth] == 1:
        depth -= 1
    return depth
