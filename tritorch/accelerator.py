"""torch.accelerator: the machine's accelerator, whatever its name: here cuda, real or emulated."""

from __future__ import annotations

from typing import Any

from . import cuda
from .device import device

__all__ = [
    "current_accelerator", "current_device_idx", "current_device_index", "current_stream", "device_count", "device_index",
    "empty_cache", "is_available", "max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved",
    "memory_stats", "reset_peak_memory_stats", "set_device_idx", "set_device_index", "set_stream", "synchronize",
]  # fmt: skip


def is_available() -> bool:
    """Whether there is a cuda device."""
    return cuda.is_available()


def device_count() -> int:
    """Number of cuda devices."""
    return cuda.device_count()


def current_accelerator(check_available: bool = False) -> device | None:
    """`device("cuda")`, None where there is no cuda device.

    >>> import tritorch as torch
    >>> torch.accelerator.current_accelerator() in (torch.device("cuda"), None)
    True
    """
    return device("cuda") if cuda.is_available() else None


def current_device_index() -> int:
    """Index of the current device."""
    return cuda.current_device()


def set_device_index(device: Any) -> None:
    """Make a device (index, string or device) the current one."""
    cuda.set_device(device)


def current_stream(device: Any = None) -> cuda.Stream:
    """The stream that work on a device goes to."""
    return cuda.current_stream(device)


def set_stream(stream: cuda.Stream) -> None:
    """Make a stream, and its device, the current one."""
    cuda.set_device(stream.device)
    cuda.set_stream(stream)


def synchronize(device: Any = None) -> None:
    """Wait until all work on a device is done."""
    cuda.synchronize(device)


class device_index(cuda.device):  # noqa: N801 - PyTorch's name
    """Context in which the device of an index is the current one; None changes nothing."""

    __slots__ = ()


current_device_idx, set_device_idx = current_device_index, set_device_index
empty_cache = cuda.empty_cache
max_memory_allocated, max_memory_reserved = cuda.max_memory_allocated, cuda.max_memory_reserved
memory_allocated, memory_reserved = cuda.memory_allocated, cuda.memory_reserved
memory_stats, reset_peak_memory_stats = cuda.memory_stats, cuda.reset_peak_memory_stats
