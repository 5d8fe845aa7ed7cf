"""The part of CuPy that `tritorch.device` uses, on NumPy memory, for tests without a driver (goes with libcuda.c)."""

from __future__ import annotations

import ctypes
import math
import threading
import types

import numpy as np

__version__ = "14.2.0"
FAIL_SYNCHRONIZE = [False]
REPLAYED = []  # (graph, stream) of each launch of a graph
POOLED = [0]  # bytes made in pools other than the default one
LIMIT = [1 << 30]
_used = [0, 0]
_state = threading.local()


def _driver():
    return ctypes.CDLL("libcuda.so.1")  # there only in the child that runs on the stub, not where tests are collected


def _index():
    return getattr(_state, "index", 0)


class OutOfMemoryError(MemoryError):
    pass


class MemoryPointer:
    def __init__(self, block, offset, mem):
        self.block, self.offset, self.mem = block, offset, mem
        self.ptr = block.__array_interface__["data"][0] + offset

    def __add__(self, n):
        return MemoryPointer(self.block, self.offset + n, self.mem)

    def copy_from_device_async(self, source, size, stream):
        self.block[self.offset : self.offset + size] = source.block[source.offset : source.offset + size]

    def memset_async(self, value, size, stream=None):
        self.block[self.offset : self.offset + size] = value


class Block:
    """Memory that goes back to a list by its size, as CuPy's pool does it."""

    __slots__ = ("raw", "start", "size", "index")
    free = {}

    def __init__(self, size):
        self.index, self.size = _index(), 0
        if getattr(_state, "malloc", _pool.malloc) != _pool.malloc:
            POOLED[0] += size
        assert _driver().stub_may_allocate(), "the driver refuses memory while another thread captures"
        if _used[self.index] + size > LIMIT[0]:
            raise OutOfMemoryError("stub")
        _used[self.index] += size
        self.size, kept = size, self.free.get(size)
        if kept:
            self.raw, self.start = kept.pop()
        else:
            self.raw = np.zeros(size + 512, np.uint8)
            self.start = -self.raw.ctypes.data % 512

    def __del__(self):
        _used[self.index] -= self.size
        if self.size:
            self.free.setdefault(self.size, []).append((self.raw, self.start))


def alloc(size):
    mem = Block(size)
    return MemoryPointer(mem.raw, mem.start, mem)


def _dense(shape, itemsize):
    strides = []
    for n in reversed(shape):
        strides.append(itemsize)
        itemsize *= max(n, 1)
    return tuple(reversed(strides))


class ndarray:
    """shape, dtype, strides over a block of bytes; deliberately not a NumPy array."""

    def __init__(self, shape, dtype, memptr=None, strides=None):
        dtype = np.dtype(dtype)
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        size = math.prod(shape)
        nbytes = size * dtype.itemsize
        self.__dict__.update(
            dtype=dtype, shape=shape, size=size, ndim=len(shape), nbytes=nbytes, device=Device(_index()), base=None,
            strides=_dense(shape, dtype.itemsize) if strides is None else tuple(strides),
            data=alloc(nbytes) if memptr is None else memptr,
        )  # fmt: skip

    @property
    def flags(self):
        dense = _dense(self.shape, self.dtype.itemsize)
        return types.SimpleNamespace(
            c_contiguous=all(n == 1 or s == d for n, s, d in zip(self.shape, self.strides, dense)) or not self.size
        )

    def host(self):
        return np.ndarray(self.shape, self.dtype, self.data.block, self.data.offset, self.strides)

    def get(self):
        return self.host().copy()

    def set(self, a, stream=None):
        assert a.flags.c_contiguous and a.dtype == self.dtype and a.shape == self.shape
        self.host()[...] = a

    def __getitem__(self, key):
        view = self.host()[key]
        offset = view.__array_interface__["data"][0] - self.data.block.ctypes.data
        return ndarray(view.shape, self.dtype, MemoryPointer(self.data.block, offset, self.data.mem), view.strides)

    def view(self, dtype=None):
        return ndarray(self.shape, self.dtype if dtype is None else dtype, self.data, self.strides)

    def swapaxes(self, a, b):
        order = list(range(self.ndim))
        order[a], order[b] = order[b], order[a]
        return self.transpose(order)

    def __setattr__(self, name, value):
        if name == "shape" and "data" in self.__dict__:  # a new shape for the same memory, or AttributeError
            try:
                view = self.host().reshape(value, copy=False)
            except ValueError:
                raise AttributeError("incompatible shape") from None
            value = view.shape
            self.__dict__["ndim"], self.__dict__["strides"] = len(value), view.strides
        self.__dict__[name] = value

    def transpose(self, *order):
        order = order[0] if len(order) == 1 and not isinstance(order[0], int) else order
        order = [d % self.ndim for d in order]
        strides = tuple(self.strides[d] for d in order)
        return ndarray(tuple(self.shape[d] for d in order), self.dtype, self.data, strides)

    def reshape(self, *shape):
        shape = tuple(shape[0]) if isinstance(shape[0], (tuple, list)) else shape
        try:
            view = self.host().reshape(shape, copy=False)
        except ValueError as error:
            if self.flags.c_contiguous:
                raise
            raise AssertionError("this reshape copies, by a kernel that CuPy compiles itself") from error
        return ndarray(view.shape, self.dtype, self.data, view.strides)

    def __len__(self):
        return self.shape[0]

    @property
    def T(self):
        return ndarray(self.shape[::-1], self.dtype, self.data, self.strides[::-1])


class Device:
    def __init__(self, index):
        self.id = index

    def use(self):
        _state.index = self.id

    def synchronize(self):
        if FAIL_SYNCHRONIZE[0]:
            raise RuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")


class Stream:
    _made = 0x100

    def __init__(self, non_blocking=False, priority=0):
        Stream._made += 16
        self.ptr, self.done = Stream._made, True

    def use(self):
        streams = _state.__dict__.setdefault("streams", {})
        streams[_index()] = self

    def synchronize(self):
        pass

    def wait_event(self, event):
        pass

    def begin_capture(self, mode=None):
        assert self.ptr, "the default stream cannot be captured"
        self.capturing = True
        _driver().stub_capture(1)

    def end_capture(self):
        assert self.capturing
        self.capturing = False
        _driver().stub_capture(0)
        return Graph()


class Graph:
    def launch(self, stream=None):
        REPLAYED.append((self, stream.ptr))


class MemoryPool:
    def malloc(self, size):
        raise AssertionError("the stub only looks which allocator is set")


class using_allocator:  # noqa: N801 - CuPy's name
    def __init__(self, malloc):
        self.malloc = malloc

    def __enter__(self):
        self.before = getattr(_state, "malloc", _pool.malloc)
        _state.malloc = self.malloc

    def __exit__(self, *exc):
        _state.malloc = self.before


PINNED = []


def alloc_pinned_memory(size):
    PINNED.append(size)
    return bytearray(-(-size // 512) * 512)


Stream.null = Stream()
Stream.null.ptr = 0


def get_current_stream(index=None):
    return getattr(_state, "streams", {}).get(_index() if index is None else index, Stream.null)


class Event:
    def __init__(self, disable_timing=False):
        self.done = True

    def record(self, stream=None):
        pass

    def synchronize(self):
        pass


class Pool:
    def used_bytes(self):
        return _used[_index()]

    total_bytes = used_bytes

    def malloc(self, size):
        raise AssertionError("the stub only looks which allocator is set")

    def free_all_blocks(self):
        pass

    def set_limit(self, size):
        LIMIT[0] = size


runtime = types.SimpleNamespace(
    is_hip=False,
    driverGetVersion=lambda: 13000,
    runtimeGetVersion=lambda: 13020,
    getDeviceCount=lambda: 2,
    memGetInfo=lambda: ((1 << 30) - _used[_index()], 1 << 30),
    getDeviceProperties=lambda i: {
        "name": b"stub", "major": 9, "minor": 0, "multiProcessorCount": 132, "totalGlobalMem": 1 << 30,
    },
    deviceCanAccessPeer=lambda a, b: 1,
)  # fmt: skip
cuda = types.SimpleNamespace(
    runtime=runtime, Device=Device, Stream=Stream, Event=Event, get_current_stream=get_current_stream,
    alloc=alloc, alloc_pinned_memory=alloc_pinned_memory, MemoryPool=MemoryPool, using_allocator=using_allocator,
    get_elapsed_time=lambda a, b: 0.5, memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
)  # fmt: skip
_pool = Pool()


def get_default_memory_pool():
    return _pool
