"""The emulated cuda devices: memory is NumPy's, accounted per device; streams run in program order.

The number of devices is `TRITORCH_EMULATED_DEVICES` (default 1), the memory of each `TRITORCH_EMULATED_MEMORY` MiB
(default 4096); both can be set later by `tritorch.device.emulate`.
"""

from __future__ import annotations

import gc
import os
import time
import weakref
from typing import Any

import numpy as np

from .errors import OutOfMemoryError

_MIB = 1 << 20


class EmulatedBackend:
    """What device.py asks of a backend, on NumPy memory (`CupyBackend` has the same methods)."""

    hip = False

    def __init__(self, devices: int | None = None, memory: int | None = None):
        self.n = int(os.environ.get("TRITORCH_EMULATED_DEVICES", "1")) if devices is None else devices
        mib = int(os.environ.get("TRITORCH_EMULATED_MEMORY", "4096"))
        self.total = mib * _MIB if memory is None else memory
        self.limit = [self.total] * self.n
        self.used = [0] * self.n
        self.peak = [0] * self.n
        self.null = EmulatedStream(null=True)
        self.streams: dict[int, EmulatedStream] = {}

    def count(self) -> int:
        return self.n

    def bind(self, index: int) -> None:
        """Make a device the current one of this thread; the caller keeps the number."""

    def name(self, index: int) -> str:
        return "tritorch emulated device (NumPy memory, Triton interpreter)"

    def capability(self, index: int) -> tuple[int, int]:
        return (9, 0)

    def multiprocessors(self, index: int) -> int:
        return 1

    def total_memory(self, index: int) -> int:
        return self.total

    def empty(self, shape: Any, dtype: Any, index: int) -> np.ndarray:
        dtype = np.dtype(dtype)
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        size = dtype.itemsize
        for n in shape:
            size *= n
        if self.used[index] + size > self.limit[index]:
            gc.collect()
            if self.used[index] + size > self.limit[index]:
                raise out_of_memory(index, size, self.used[index], self.limit[index])
        a = np.empty(shape, dtype)
        # fresh GPU memory holds anything: a kernel that leaves elements unwritten is to be seen
        if dtype.kind in "fV" or dtype.kind == "c":
            a.fill(np.nan)
        elif dtype.kind == "b":
            a.fill(True)
        else:
            a.fill(np.iinfo(dtype).max // 3)
        self.used[index] += size
        if self.used[index] > self.peak[index]:
            self.peak[index] = self.used[index]
        weakref.finalize(a, self._free, index, size).atexit = False
        return a

    def _free(self, index: int, size: int) -> None:
        self.used[index] -= size

    def upload(self, a: np.ndarray, index: int, non_blocking: bool = False) -> np.ndarray:
        out = self.empty(a.shape, a.dtype, index)
        out[...] = a
        return out

    def pin(self, a: np.ndarray) -> np.ndarray:
        """A copy in plain memory: there is no device that would read it beside the host."""
        return np.array(a, order="C")

    def download(self, a: np.ndarray) -> np.ndarray:
        return np.array(a, order="C")

    def copy(self, a: np.ndarray, index: int) -> np.ndarray:
        return self.upload(a, index)

    def synchronize(self, index: int) -> None:
        """Programs have run when launch returns, so there is nothing to wait for."""

    def memory(self, index: int) -> tuple[int, int, int]:
        """Bytes in use, the most that ever were, bytes held from the system."""
        return self.used[index], self.peak[index], self.used[index]

    def reset_peak(self, index: int) -> None:
        self.peak[index] = self.used[index]

    def set_limit(self, index: int, size: int) -> None:
        """Let `index` use at most so many bytes."""
        self.limit[index] = size

    def release(self) -> None:
        gc.collect()

    def free_memory(self, index: int) -> int:
        return self.total - self.used[index]

    def new_stream(self, index: int, priority: int) -> EmulatedStream:
        return EmulatedStream()

    def stream_of(self, index: int) -> EmulatedStream:
        return self.streams.get(index) or self.null

    def default_stream(self, index: int) -> EmulatedStream:
        return self.null

    def use_stream(self, stream: EmulatedStream, index: int) -> None:
        self.streams[index] = stream

    def stream_pointer(self, index: int) -> int:
        return self.stream_of(index).ptr

    def stream_done(self, stream: EmulatedStream) -> bool:
        return True

    def synchronize_stream(self, stream: EmulatedStream) -> None:
        """Work is done when it is given."""

    def new_event(self, timing: bool) -> EmulatedEvent:
        return EmulatedEvent()


class EmulatedStream:
    """A stream in name: work is done when it is given; `ptr` only tells streams apart."""

    _made = 0

    def __init__(self, null: bool = False) -> None:
        EmulatedStream._made += 0 if null else 1
        self.ptr = 0 if null else EmulatedStream._made


class EmulatedEvent:
    """A moment of the host's clock."""

    def __init__(self) -> None:
        self.when: float | None = None

    def record(self, stream: Any) -> None:
        self.when = time.perf_counter()

    def done(self) -> bool:
        return True

    def synchronize(self) -> None:
        """The event has happened when record returned."""

    def wait(self, stream: Any) -> None:
        """The event has happened when record returned."""

    def elapsed(self, end: EmulatedEvent) -> float:
        if self.when is None or end.when is None:
            raise RuntimeError("Event.elapsed_time: both events must be recorded before")
        return (end.when - self.when) * 1e3


def out_of_memory(index: int, size: int, used: int, total: int) -> OutOfMemoryError:
    """The error for memory that cannot be had, with the figures in MiB."""
    return OutOfMemoryError(
        f"CUDA out of memory: tried to allocate {size / _MIB:.2f} MiB on cuda:{index}; "
        f"{used / _MIB:.2f} MiB of {total / _MIB:.2f} MiB are in use by this process"
    )
