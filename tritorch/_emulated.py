"""The emulated cuda devices: memory is NumPy's, accounted per device; streams run in program order.

A stream that is captured keeps its launches and copies instead of running them, and `EmulatedGraph` runs them at each
replay, with the care that a real device forces on the program: see there.

The number of devices is `TRITORCH_EMULATED_DEVICES` (default 1), the memory of each `TRITORCH_EMULATED_MEMORY` MiB
(default 4096); both can be set later by `tritorch.device.emulate`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ._capture import CAPTURES, refuse
from .device import as_strided, backend
from .errors import OutOfMemoryError

_MIB = 1 << 20

HOLDERS: dict[int, int] = {}
"""id of each array that owns device memory -> its device; one for all backends that there are in turn."""


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
        self.pool: dict[int, np.ndarray] | None = None

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
        a.fill(_wild(dtype))  # fresh GPU memory holds anything: a kernel that leaves elements unwritten is to be seen
        self.used[index] += size
        if self.used[index] > self.peak[index]:
            self.peak[index] = self.used[index]
        HOLDERS[id(a)] = index
        weakref.finalize(a, self._free, id(a), index, size).atexit = False
        if self.pool is not None:
            self.pool[id(a)] = a
        return a

    def _free(self, key: int, index: int, size: int) -> None:
        self.used[index] -= size
        del HOLDERS[key]

    def holder(self, a: Any) -> int | None:
        """The device that an array's memory belongs to, None for the CPU's."""
        return HOLDERS.get(id(owner_of(a)))

    def upload(self, a: np.ndarray, index: int, non_blocking: bool = False) -> np.ndarray:
        out = self.empty(a.shape, a.dtype, index)
        stream = self.stream_of(index)
        if CAPTURES and stream.graph is not None:
            stream.graph.add(stream, "upload", lambda out: np.copyto(out, a), (out,), {})
        else:
            out[...] = a
        return out

    def overwrite(self, out: np.ndarray, a: np.ndarray) -> None:
        """Put a NumPy array into a device array."""
        out[...] = a

    def new_pool(self) -> dict[int, np.ndarray]:
        """What is made in the pool, by its id; it is given back with the pool alone."""
        return {}

    @contextlib.contextmanager
    def use_pool(self, pool: dict[int, np.ndarray] | None) -> Iterator[None]:
        """Context in which memory comes from `pool`, for None from the one that all share."""
        before, self.pool = self.pool, pool
        try:
            yield
        finally:
            self.pool = before

    def pin(self, a: np.ndarray) -> np.ndarray:
        """A copy in plain memory: there is no device that would read it beside the host."""
        return np.array(a, order="C")

    def download(self, a: np.ndarray) -> np.ndarray:
        return np.array(a, order="C")

    def copy(self, a: np.ndarray, index: int) -> np.ndarray:
        stream = self.stream_of(index)
        if CAPTURES and stream.graph is not None:
            out = self.empty(a.shape, a.dtype, index)
            stream.graph.add(stream, "copy", np.copyto, (out, a), {})
            return out
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
        if stream.graph is not None:
            refuse("waiting for a stream")

    def new_event(self, timing: bool) -> EmulatedEvent:
        return EmulatedEvent()

    def range_push(self, text: str) -> None:
        """No tool looks at the emulated device: ranges, marks and the profiler's switch reach nobody."""

    range_mark = range_push

    def range_pop(self) -> None:
        pass

    def profiler(self, on: bool) -> None:
        pass


class EmulatedStream:
    """A stream in name: work is done when it is given; `ptr` only tells streams apart.

    Attributes:
        graph: what its work goes into while it is captured.
    """

    _made = 0

    def __init__(self, null: bool = False) -> None:
        EmulatedStream._made += 0 if null else 1
        self.ptr = 0 if null else EmulatedStream._made
        self.graph: EmulatedGraph | None = None

    def begin_capture(self, mode: Any = None) -> None:
        """Keep the work from now on instead of doing it."""
        self.graph = EmulatedGraph(backend().pool, self)

    def end_capture(self) -> EmulatedGraph:
        """What was kept."""
        graph = self.graph
        assert graph is not None
        graph.end()
        return graph


class EmulatedEvent:
    """A moment of the host's clock."""

    def __init__(self) -> None:
        self.when: float | None = None
        self.mark: tuple[EmulatedGraph, EmulatedStream, int] | None = None  # in a stream that is captured

    def record(self, stream: EmulatedStream | None) -> None:
        self.when = time.perf_counter()
        if stream is None or stream.graph is None:
            self.mark = None
        else:
            self.mark = (stream.graph, stream, len(stream.graph.nodes))

    def done(self) -> bool:
        self._not_captured()
        return True

    def synchronize(self) -> None:
        """The event has happened when record returned."""
        self._not_captured()

    def wait(self, stream: Any) -> None:
        """The event has happened when record returned; one of a captured stream brings the other into the capture."""
        if self.mark is not None:
            self.mark[0].wait(stream, *self.mark[1:])

    def elapsed(self, end: EmulatedEvent) -> float:
        self._not_captured()
        if self.when is None or end.when is None:
            raise RuntimeError("Event.elapsed_time: both events must be recorded before")
        return (end.when - self.when) * 1e3

    def _not_captured(self) -> None:
        if self.mark is not None:
            refuse("waiting for an event of a captured stream")


class EmulatedGraph:
    """The work of a captured stream, in order.

    As strict as a device: nothing runs while it is recorded; what a launch reads must be memory of a device (an array on
    the CPU would have to be copied there); memory from before the capture has to live until the replay, where the address
    would otherwise be another tensor's; and memory made in the capture may be written by its launches alone.
    """

    def __init__(self, pool: dict[int, np.ndarray] | None, origin: EmulatedStream):
        self.origin = origin
        self.pool = {} if pool is None else pool
        self.before = set(self.pool)
        self.nodes: list[tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
        self.last: dict[EmulatedStream, int] = {}  # how many nodes there were when a stream was last given work
        self.joined: dict[EmulatedStream, int] = {origin: 0}

    def add(
        self, stream: EmulatedStream, name: str, run: Callable[..., Any], args: tuple[Any, ...], consts: dict[str, Any]
    ) -> None:
        """Keep `run(*args, **consts)`, where arrays stand among the arguments, or in a list of the constants."""
        kept = tuple([self._kept(name, a) for a in args])
        reach = {k: [self._kept(name, a) for a in v] if v.__class__ is list else v for k, v in consts.items()}
        self.nodes.append((name, run, kept, reach))
        self.last[stream] = len(self.nodes)

    def _kept(self, name: str, a: Any) -> Any:
        if not isinstance(a, np.ndarray):
            return a
        owner = owner_of(a)
        if id(owner) not in HOLDERS:
            refuse(f"the work of kernel {name} on an array of the CPU", "copy it to the device before the capture")
        return Reached(a, owner, id(owner) in self.pool)

    def wait(self, stream: EmulatedStream, other: EmulatedStream, n: int) -> None:
        """`stream` waits for the first `n` nodes, which `other` recorded an event behind."""
        if stream.graph is None:
            stream.graph = self
            self.joined[stream] = -1
        elif other is not stream:
            self.joined[other] = n

    def end(self) -> None:
        """No more work comes."""
        loose = [s for s, n in self.joined.items() if s is not self.origin and (n < 0 or self.last.get(s, 0) > n)]
        for stream in self.joined:
            stream.graph = None
        if loose:
            raise RuntimeError(
                "CUDAGraph.capture_end: cudaErrorStreamCaptureUnjoined: a stream that waited for the captured one has work "
                "that the captured one does not wait for"
            )
        for key in self.pool.keys() - self.before:
            a = self.pool[key]
            if a.tobytes() != np.full_like(a, _wild(a.dtype)).tobytes():
                raise RuntimeError(
                    f"CUDAGraph.capture_end: memory of shape {a.shape}, {a.dtype}, was written while the graph was recorded, "
                    "but not by a kernel, so that a replay would not write it"
                )

    def launch(self, stream: Any = None) -> None:
        """Do the work."""
        for name, run, args, consts in self.nodes:
            reach = {k: [_reached(name, a) for a in v] if v.__class__ is list else v for k, v in consts.items()}
            run(*[_reached(name, a) for a in args], **reach)


class Reached:
    """An array as a launch knows it: an address, which keeps the memory alive only where the graph's pool does."""

    def __init__(self, a: np.ndarray, owner: np.ndarray, pooled: bool):
        self.owner: Callable[[], np.ndarray | None] = (lambda: owner) if pooled else weakref.ref(owner)
        self.offset = a.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
        self.shape, self.strides, self.dtype = a.shape, a.strides, a.dtype


def _reached(name: str, a: Any) -> Any:
    if a.__class__ is not Reached:
        return a
    owner = a.owner()
    if owner is None:
        raise RuntimeError(
            f"CUDAGraph.replay: kernel {name} reaches memory of shape {a.shape}, {a.dtype}, that was made before the capture "
            "and has been freed since; keep the tensors that a graph uses"
        )
    return as_strided(owner, a.shape, a.strides, a.offset, a.dtype)


def owner_of(a: Any) -> Any:
    """The array whose memory `a` is a view of."""
    while (base := getattr(a, "base", None)) is not None:
        a = getattr(base, "owner", base)
    return a


def _wild(dtype: np.dtype) -> Any:
    """What fresh memory is filled with."""
    return np.nan if dtype.kind in "fVc" else True if dtype.kind == "b" else np.iinfo(dtype).max // 3


def out_of_memory(index: int, size: int, used: int, total: int) -> OutOfMemoryError:
    """The error for memory that cannot be had, with the figures in MiB."""
    return OutOfMemoryError(
        f"CUDA out of memory: tried to allocate {size / _MIB:.2f} MiB on cuda:{index}; "
        f"{used / _MIB:.2f} MiB of {total / _MIB:.2f} MiB are in use by this process"
    )
