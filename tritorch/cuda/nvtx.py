"""Named ranges for NVIDIA's tools (Nsight Systems), which show them above the kernels.

On the emulated device nobody looks at them; `torch.profiler.record_function` names ranges there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..device import backend

__all__ = ["mark", "range", "range_pop", "range_push"]


class _Depth(threading.local):
    n = 0


_depth = _Depth()


def range_push(msg: str) -> int:
    """Begin a range within the open ones of this thread; returns how many there are around it.

    >>> import tritorch as torch
    >>> torch.cuda.nvtx.range_push("step"), torch.cuda.nvtx.range_push("forward")
    (0, 1)
    >>> torch.cuda.nvtx.range_pop(), torch.cuda.nvtx.range_pop()
    (1, 0)
    """
    backend().range_push(msg)
    _depth.n += 1
    return _depth.n - 1


def range_pop() -> int:
    """End the innermost range of this thread; returns how many there are around it, -1 and nothing done without one."""
    if _depth.n == 0:
        return -1
    backend().range_pop()
    _depth.n -= 1
    return _depth.n


def mark(msg: str) -> None:
    """Note a moment."""
    backend().range_mark(msg)


@contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """A range as a context manager or decorator; the name is `msg.format(*args, **kwargs)`."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
