"""Real devices: memory, streams and events by CuPy; the only file that imports cupy."""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np

from ._capture import CAPTURES
from ._requirements import check_cupy, check_driver, check_triton, install
from .device import _current, as_strided, on_device, span
from .errors import OutOfMemoryError


class CupyBackend:
    """Memory, streams and events of real devices, by CuPy; launches go to CuPy's current stream.

    No method needs a kernel of CuPy's own, so neither NVRTC nor its headers have to be there.
    """

    def __init__(self) -> None:
        try:
            import cupy
        except ImportError as error:
            cause = "is missing" if error.name == "cupy" else f"cannot be imported ({error})"
            raise RuntimeError(
                f"device cuda: CuPy {cause}; {install()}; on a machine without a GPU, TRITON_INTERPRET=1 and "
                "pip install 'tritorch[triton]' emulate cuda"
            ) from error
        self.cupy = cupy
        self.runtime = cupy.cuda.runtime
        self.hip = bool(self.runtime.is_hip)
        self.driver_version: int = 0 if self.hip else self.runtime.driverGetVersion()
        check_cupy(cupy.__version__, self.driver_version)
        if not self.hip:
            check_driver(self.driver_version, self.runtime.runtimeGetVersion(), cupy.__version__)
        check_triton(emulated=False, driver=self.driver_version)
        try:
            self.n = self.runtime.getDeviceCount()
        except Exception as error:
            raise RuntimeError(
                f"device cuda: no usable GPU driver ({error}); TRITON_INTERPRET=1 emulates cuda"
            ) from error
        if self.n == 0:
            raise RuntimeError("device cuda: the driver is there but no GPU; TRITON_INTERPRET=1 emulates cuda")
        self.pool = cupy.get_default_memory_pool()
        self.ndarray, self.full = cupy.ndarray, cupy.cuda.memory.OutOfMemoryError
        self.current_stream = cupy.cuda.get_current_stream
        self.peak = [0] * self.n
        self.bound = [0] * self.n  # at least what is used: the last answer of the pool and all that was made since
        self.capabilities: dict[int, tuple[int, int]] = {}
        self.copies: list[tuple[Any, np.ndarray]] = []
        self.holders: tuple[int, int] | None = None  # references to an array's memory when nobody else holds it
        self.bind(0)

    def count(self) -> int:
        return self.n

    def bind(self, index: int) -> None:
        self.cupy.cuda.Device(index).use()

    def name(self, index: int) -> str:
        name = self.runtime.getDeviceProperties(index)["name"]
        return name.decode() if isinstance(name, bytes) else name

    def capability(self, index: int) -> tuple[int, int]:
        found = self.capabilities.get(index)
        if found is None:
            p = self.runtime.getDeviceProperties(index)
            found = self.capabilities[index] = (p["major"], p["minor"])
        return found

    def multiprocessors(self, index: int) -> int:
        return self.runtime.getDeviceProperties(index)["multiProcessorCount"]

    def total_memory(self, index: int) -> int:
        return self.runtime.getDeviceProperties(index)["totalGlobalMem"]

    def empty(self, shape: Any, dtype: Any, index: int) -> Any:
        if index != _current.index:
            with on_device(index):
                return self.empty(shape, dtype, index)
        try:
            a = self.ndarray(shape, dtype)
        except self.full as error:
            raise self.out_of_memory(index, int(np.prod(shape)) * np.dtype(dtype).itemsize) from error
        self._made(index, a.nbytes)
        return a

    def alloc(self, size: int, index: int) -> Any:
        """Bytes of the current device, which is `index`, without an array around them; `ptr` is their address."""
        try:
            block = self.cupy.cuda.alloc(size)
        except self.full as error:
            raise self.out_of_memory(index, size) from error
        self._made(index, size)
        return block

    def _made(self, index: int, size: int) -> None:
        """Keep the most memory that was ever in use; the pool, which adds up its blocks to answer, is rarely asked."""
        bound = self.bound[index] = self.bound[index] + (size + 511 & -512)
        if bound > self.peak[index]:
            used = self.bound[index] = self.pool.used_bytes()
            if used > self.peak[index]:
                self.peak[index] = used

    def out_of_memory(self, index: int, size: int) -> OutOfMemoryError:
        from ._emulated import out_of_memory

        return out_of_memory(index, size, self.pool.used_bytes(), self.total_memory(index))

    def upload(self, a: np.ndarray, index: int, non_blocking: bool = False) -> Any:
        out = self.empty(a.shape, a.dtype, index)
        if a.size:
            with on_device(index):
                if non_blocking:
                    stream, source = self.current_stream(), np.asarray(a, order="C")
                    out.set(source, stream)
                    self._keep(source, stream)
                else:
                    self.overwrite(out, a)
        return out

    def overwrite(self, out: Any, a: np.ndarray) -> None:
        """Put a NumPy array into a contiguous device array and wait until it is there."""
        stream = self.current_stream()
        out.set(np.asarray(a, order="C"), stream)  # ascontiguousarray would give a number a dim
        stream.synchronize()

    def _keep(self, source: np.ndarray, stream: Any) -> None:
        """Hold the source of a copy that may still be running, so that its memory is not used anew."""
        if CAPTURES:
            CAPTURES[-1].kept.append(source)
            return
        self.copies = [(event, kept) for event, kept in self.copies if not event.done]
        event = self.cupy.cuda.Event(disable_timing=True)
        event.record(stream)
        self.copies.append((event, source))

    def pin(self, a: np.ndarray) -> np.ndarray:
        if not a.size:
            return np.array(a, order="C")
        memory = self.cupy.cuda.alloc_pinned_memory(a.nbytes)
        out = np.frombuffer(memory, np.uint8, a.nbytes).view(a.dtype).reshape(a.shape)
        out[...] = a
        return out

    def new_pool(self) -> Any:
        return self.cupy.cuda.MemoryPool()

    def use_pool(self, pool: Any) -> Any:
        """Context in which this thread's memory comes from `pool`, for None from the one that all share."""
        return self.cupy.cuda.using_allocator((self.pool if pool is None else pool).malloc)

    def download(self, a: Any) -> np.ndarray:
        with on_device(a.device.id):
            if not a.size:
                return np.empty(a.shape, a.dtype)
            if a.flags.c_contiguous:
                return a.get()
            low, high = span(a)
            block = self.as_strided(a, (high - low,), (1,), low, np.dtype(np.uint8)).get()
            return np.array(as_strided(block, a.shape, a.strides, -low, a.dtype), order="C")

    def copy(self, a: Any, index: int) -> Any:
        low, high = span(a) if a.size else (0, 0)
        source = a.device.id
        block = self.empty((high - low,), np.uint8, index)
        if a.size:
            with on_device(source):
                ready = self.cupy.cuda.Event(disable_timing=True)
                ready.record(self.current_stream())
            with on_device(index):
                stream = self.current_stream()
                stream.wait_event(ready)
                block.data.copy_from_device_async(a.data + low, high - low, stream)
                done = self.cupy.cuda.Event(disable_timing=True)
                done.record(stream)
            with on_device(source):  # the pool of the source may hand its memory on only after the copy
                self.current_stream().wait_event(done)
        return self.as_strided(block, a.shape, a.strides, -low, a.dtype)

    def as_strided(self, a: Any, shape: Any, strides: Any, offset: int, dtype: np.dtype) -> Any:
        return self.ndarray(shape, dtype, a.data + offset, strides)

    def sole(self, a: Any) -> bool:
        """Is the array dense and the only one that holds its memory."""
        if self.holders is None:
            new = self.empty((1,), np.uint8, _current.index)
            self.holders = getrefcount(new.data), getrefcount(new.data.mem)
        return a.flags.c_contiguous and (getrefcount(a.data), getrefcount(a.data.mem)) == self.holders

    def synchronize(self, index: int) -> None:
        self.cupy.cuda.Device(index).synchronize()

    def memory(self, index: int) -> tuple[int, int, int]:
        """Bytes in use, the most that ever were, bytes held from the system."""
        with on_device(index):
            return self.pool.used_bytes(), self.peak[index], self.pool.total_bytes()

    def free_memory(self, index: int) -> int:
        with on_device(index):
            return self.runtime.memGetInfo()[0]

    def reset_peak(self, index: int) -> None:
        with on_device(index):
            self.peak[index] = self.bound[index] = self.pool.used_bytes()

    def set_limit(self, index: int, size: int) -> None:
        """Let the pool of `index` hold at most so many bytes."""
        with on_device(index):
            self.pool.set_limit(size=size)

    def release(self) -> None:
        self.pool.free_all_blocks()

    def new_stream(self, index: int, priority: int) -> Any:
        with on_device(index):
            return self.cupy.cuda.Stream(non_blocking=True, priority=priority)

    def stream_of(self, index: int) -> Any:
        return self.current_stream(index)

    def default_stream(self, index: int) -> Any:
        return self.cupy.cuda.Stream.null

    def use_stream(self, stream: Any, index: int) -> None:
        with on_device(index):
            stream.use()

    def stream_pointer(self, index: int) -> int:
        return self.current_stream(index).ptr

    def stream_done(self, stream: Any) -> bool:
        return bool(stream.done)

    def synchronize_stream(self, stream: Any) -> None:
        stream.synchronize()

    def new_event(self, timing: bool) -> _CupyEvent:
        return _CupyEvent(self, timing)

    def range_push(self, text: str) -> None:
        self.cupy.cuda.nvtx.RangePush(text)

    def range_pop(self) -> None:
        self.cupy.cuda.nvtx.RangePop()

    def range_mark(self, text: str) -> None:
        self.cupy.cuda.nvtx.Mark(text)

    def profiler(self, on: bool) -> None:
        (self.runtime.profilerStart if on else self.runtime.profilerStop)()


class _CupyEvent:
    def __init__(self, backend: CupyBackend, timing: bool):
        self.backend = backend
        self.event = backend.cupy.cuda.Event(disable_timing=not timing)

    def record(self, stream: Any) -> None:
        self.event.record(self.backend.current_stream() if stream is None else stream)

    def done(self) -> bool:
        return bool(self.event.done)

    def synchronize(self) -> None:
        self.event.synchronize()

    def wait(self, stream: Any) -> None:
        stream.wait_event(self.event)

    def elapsed(self, end: _CupyEvent) -> float:
        return self.backend.cupy.cuda.get_elapsed_time(self.event, end.event)
