"""Device objects and device memory.

`device("cuda:1")` and friends are interned, so devices compare by identity on the hot path.

Memory on cuda is CuPy's (`_cupy.py`), or NumPy's when `TRITON_INTERPRET=1` asks for the emulated device (`_emulated.py`).
All other files see raw arrays: `empty`, `to_device`, `to_host`, `copy`, `as_strided` make them, `set_device` chooses where.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

import numpy as np

from ._capture import CAPTURES, refuse
from ._requirements import check_triton

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
                    from ._cupy import CupyBackend

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
