"""The switch of NVIDIA's tools that record only between `start` and `stop` (`nsys profile -c cudaProfilerApi`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..device import backend

__all__ = ["profile", "start", "stop"]


def start() -> None:
    """Let the tool record from here on."""
    backend().profiler(True)


def stop() -> None:
    """Let the tool stop recording."""
    backend().profiler(False)


@contextmanager
def profile() -> Iterator[None]:
    """`start` and `stop` around what is inside."""
    start()
    try:
        yield
    finally:
        stop()
