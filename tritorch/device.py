"""Device objects and device memory; the only file that imports cupy.

`device("cuda:1")` and friends are interned, so devices compare by identity on the hot path.

Memory on cuda is CuPy's, or NumPy's when `TRITON_INTERPRET=1` asks for the emulated device (`_emulated.py`). All other
files see raw arrays: `empty`, `to_device`, `to_host`, `copy`, `as_strided` make them, `set_device` chooses where.
"""

from __future__ import annotations

import os
import threading
import weakref
from sys import getrefcount
from typing import Any

import numpy as np

from ._capture import CAPTURES, refuse
from ._requirements import check_cupy, check_driver, check_triton, install
from .errors import OutOfMemoryError

_TYPES = ("cpu", "cuda")


class device:  # noqa: N801 - PyTorch's name
    """Where a tensor lives: `device("cpu")`, `device("cuda")`, `device("cuda:1")`, `device("cuda", 1)`, `device(1)`.

    >>> device("cuda:1"), device("cpu").type
    (device(type='cuda', index=1), 'cpu')
    """

    __slots__ = ("type", "index")
    type: str
    index: int | None
    _interned: dict[tuple[str, int | None], device] = {}

    def __new__(cls, type: Any = "cpu", index: int | None = None) -> device:
        if type.__class__ is device:
            return type
        if isinstance(type, int) and not isinstance(type, bool):
            type, index = "cuda", type
        if not isinstance(type, str):
            raise TypeError(f"device: expected a str, int or device; got {type!r}")
        kind, colon, number = type.partition(":")
        if colon:
            if index is not None or not number.isdigit():
                raise RuntimeError(f"device: invalid device string {type!r}; expected for example 'cpu' or 'cuda:0'")
            index = int(number)
        if kind not in _TYPES:
            raise RuntimeError(
                f"device: expected one of {', '.join(_TYPES)} at the start of a device string; got {type!r}"
            )
        found = cls._interned.get((kind, index))
        if found is None:
            found = object.__new__(cls)
            found.type, found.index = kind, index
            cls._interned[kind, index] = found
        return found

    def __repr__(self) -> str:
        return (
            f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"
        )

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __reduce__(self):
        return device, (str(self),)

    def __copy__(self) -> device:
        return self

    def __deepcopy__(self, memo: dict) -> device:
        return self


CPU = device("cpu")

# ---- device memory -------------------------------------------------------------------------------------------------

EMULATED = os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "yes", "on", "y")
"""True when cuda is emulated on NumPy memory; Triton reads the same variable once, so it holds for the process."""


_backend: Any = None


class _Current(threading.local):
    """This thread's device; a new thread starts on device 0 and tells the driver so at first use.

    `tape` is what writes down the call of an op that is to be repeated (`kernels/_replay.py`), None nearly always.
    """

    def __init__(self) -> None:
        self.index = 0
        self.tape: Any = None
        if _backend is not None:
            _backend.bind(0)


_current = _Current()
_lock = threading.Lock()


def backend() -> Any:
    """What makes memory, streams and events; RuntimeError that says what to install when cuda can't be had."""
    global _backend
    if _backend is None:
        with _lock:
            if _backend is None:
                if EMULATED:
                    from ._emulated import EmulatedBackend

                    check_triton(emulated=True)
                    _backend = EmulatedBackend()
                else:
                    _backend = CupyBackend()
    return _backend


def emulate(devices: int = 1, memory_mib: int = 4096) -> None:
    """Give the emulated cuda another number of devices and another memory, for tests of many devices and of full ones.

    Args:
        devices: number of devices, at least 1.
        memory_mib: memory of each, in MiB.

    Raises:
        RuntimeError: when cuda is not emulated.
    """
    global _backend
    if not EMULATED:
        raise RuntimeError("emulate: cuda is not emulated in this process; start it with TRITON_INTERPRET=1")
    if devices < 1:
        raise ValueError(f"emulate: devices must be at least 1; got {devices}")
    from ._emulated import EmulatedBackend

    _backend = EmulatedBackend(devices, memory_mib << 20)
    if _current.index >= devices:
        _current.index = 0


def device_count() -> int:
    """Number of cuda devices, 0 when there is no driver or no CuPy."""
    try:
        return backend().count()
    except RuntimeError:
        return 0


def current_device() -> int:
    """Index of this thread's current cuda device."""
    return _current.index


def set_device(dev: device | int | str) -> None:
    """Make `dev` this thread's current cuda device; RuntimeError when there is no such device."""
    index = dev if isinstance(dev, int) else index_of(device(dev))
    if index == _current.index and _backend is not None:
        return
    b = backend()
    if not 0 <= index < b.count():
        raise RuntimeError(f"CUDA error: invalid device ordinal: cuda:{index}; there are {b.count()} devices")
    b.bind(index)
    _current.index = index


class on_device:  # noqa: N801 - used like a function
    """Context in which `index` (None or negative: no change) is the current cuda device."""

    __slots__ = ("index", "before")

    def __init__(self, index: int | None):
        self.index = index

    def __enter__(self) -> None:
        self.before = _current.index
        if self.index is not None and self.index >= 0:
            set_device(self.index)

    def __exit__(self, *exc: Any) -> None:
        set_device(self.before)


def index_of(dev: device | int | None) -> int:
    """The device's number; the current device for None and for `device("cuda")`, checked against what is there."""
    index = dev if dev is None or isinstance(dev, int) else dev.index
    if index is None:
        index = _current.index
    b = _backend or backend()
    if not 0 <= index < b.count():
        raise RuntimeError(f"CUDA error: invalid device ordinal: cuda:{index}; there are {b.count()} devices")
    return index


def resolve(dev: device) -> device:
    """`device("cuda")` with the current device's number; any other device as it is, checked to be there."""
    if dev.type == "cpu":
        return CPU
    return device("cuda", index_of(dev))


def empty(shape: Any, dtype: Any, dev: device | int | None = None) -> Any:
    """Uninitialised contiguous memory on a cuda device.

    Args:
        shape: the sizes.
        dtype: a NumPy dtype (bfloat16 through ml_dtypes).
        dev: the device, by default the current one.

    Raises:
        OutOfMemoryError: with what was asked for, used and present, in MiB.
    """
    a = (_backend or backend()).empty(shape, dtype, _current.index if dev is None else index_of(dev))
    if _current.tape is not None:
        _current.tape.memory.append(a)
    return a


def not_repeatable() -> None:
    """What the caller does is no launch: the call of an op that does it is not repeated from a record."""
    if _current.tape is not None:
        _current.tape.spoiled = True


def to_device(a: np.ndarray, dev: device | int | None = None, non_blocking: bool = False) -> Any:
    """A contiguous copy of a NumPy array on a cuda device.

    Args:
        a: the array.
        dev: the device, by default the current one.
        non_blocking: return before the copy is done; only memory made by `pin` is really copied beside other work, and
            must not be changed until a synchronize. Such a copy can be part of a CUDA graph: each replay makes it again.
    """
    if CAPTURES and not (non_blocking and is_pinned(a)):
        refuse("a copy from the CPU", "make the tensor before the capture, or a copy from pinned memory, non-blocking")
    not_repeatable()
    return backend().upload(a, index_of(dev), non_blocking)


def pin(a: np.ndarray) -> np.ndarray:
    """A contiguous copy of a NumPy array in page-locked memory, which a device reads while the host goes on."""
    out = backend().pin(a)
    key = id(_owner(out))
    _pinned[key] = weakref.ref(_owner(out), lambda _: _pinned.pop(key, None))
    return out


_pinned: dict[int, weakref.ref] = {}
_PINNED_AT_MOST = 1 << 20  # bytes: for more, waiting costs less than another copy on the host


def is_pinned(a: np.ndarray) -> bool:
    """Does a NumPy array lie in memory made by `pin`."""
    return id(_owner(a)) in _pinned


def _owner(a: np.ndarray) -> np.ndarray:
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


def constant(a: np.ndarray, dev: device | int | None = None) -> Any:
    """A device copy of numbers that the host has worked out; if they are few, or in a CUDA graph, without waiting."""
    if a.nbytes > _PINNED_AT_MOST and not CAPTURES:
        return to_device(a, dev)
    return to_device(pin(a), dev, non_blocking=True)


def to_host(a: Any) -> np.ndarray:
    """A contiguous NumPy copy of a device array of any strides."""
    if CAPTURES:
        refuse("reading values on the host", "look at them after the replay")
    not_repeatable()
    return backend().download(a)


def copy(a: Any, dev: device | int | None = None) -> Any:
    """A copy of a device array on a cuda device, the same or another; elements keep their order, not their strides."""
    not_repeatable()
    return backend().copy(a, index_of(dev))


def as_strided(
    a: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0, dtype: np.dtype | None = None
) -> Any:
    """A view of any array's memory, on any device.

    Args:
        a: the array.
        shape: the view's sizes.
        strides: the view's strides in bytes.
        offset: bytes from `a`'s first element to the view's.
        dtype: the view's dtype, `a`'s by default.
    """
    kind: np.dtype = a.dtype if dtype is None else dtype
    if a.__class__ is np.ndarray:
        return np.asarray(_Memory(a, shape, strides, offset, kind)).view(kind)
    return backend().as_strided(a, shape, strides, offset, kind)


class _Memory:
    """NumPy's array interface of a strided view that keeps its owner alive."""

    def __init__(self, owner: np.ndarray, shape: Any, strides: Any, offset: int, dtype: np.dtype):
        address, read_only = owner.__array_interface__["data"]
        kind = f"<V{dtype.itemsize}" if dtype.kind == "V" else dtype.str
        self.owner = owner
        self.__array_interface__ = {
            "data": (address + offset, read_only), "shape": shape, "strides": strides, "typestr": kind, "version": 3,
        }  # fmt: skip


def cuda_index(a: Any) -> int | None:
    """Number of the cuda device whose memory a raw array lies in, None for the CPU's."""
    if isinstance(a, (np.ndarray, np.generic)):
        return _backend.holder(a) if EMULATED and _backend is not None else None
    return a.device.id


def synchronize(dev: device | int | None = None) -> None:
    """Wait until all work on a device is done."""
    if CAPTURES:
        refuse("waiting for the device")
    not_repeatable()
    backend().synchronize(index_of(dev))


def address(a: Any) -> int:
    """Address of a raw array's first element."""
    return a.__array_interface__["data"][0] if a.__class__ is np.ndarray else a.data.ptr


def span(a: Any) -> tuple[int, int]:
    """The bytes that a strided array touches, from its first element."""
    low = sum((n - 1) * s for n, s in zip(a.shape, a.strides) if s < 0)
    high = sum((n - 1) * s for n, s in zip(a.shape, a.strides) if s > 0)
    return low, high + a.dtype.itemsize


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
