"""Storages: the memory behind tensors, found when they are saved and shared again when they are loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..device import CPU, as_strided, empty, resolve, to_device, to_host
from ..device import device as Device
from .archive import DamagedFileError


def owner_of(array: Any) -> Any:
    """The array that owns the memory of `array`, itself where it is no view."""
    while True:
        base = array.base
        if base is None:
            return array
        if isinstance(base, type(array)) or isinstance(base, np.ndarray):
            array = base
        elif isinstance(getattr(base, "owner", None), np.ndarray):
            array = base.owner  # a strided view made through the array interface
        else:
            return array  # the memory of another library, or a mapping


def address(array: Any) -> int:
    """Where the array's first element lies."""
    return array.__array_interface__["data"][0] if isinstance(array, np.ndarray) else array.data.ptr


def locate(array: Any) -> tuple[Any, int, tuple[int, ...]]:
    """The dense memory that `array` is a view of, its offset and strides there, counted in elements.

    A view that PyTorch's storages can't express (negative strides, odd offsets, gaps in its owner) is copied first.
    """
    size = array.itemsize
    for candidate in (array, None):
        if candidate is None:
            array = array.copy()
        owner = owner_of(array)
        if owner.flags.c_contiguous or owner.flags.f_contiguous:
            offset = address(array) - address(owner) if array.size else 0
            steps = _strides(array)
            fits = offset % size == 0 and all(s % size == 0 and s >= 0 for s in steps)
            if fits and offset >= 0 and owner.nbytes % size == 0:
                return owner, offset // size, tuple(s // size for s in steps)
    raise AssertionError("a fresh copy is dense")


def _strides(array: Any) -> tuple[int, ...]:
    """Strides in bytes; those of a contiguous array as PyTorch counts them, where NumPy's are arbitrary for size 1."""
    if not array.flags.c_contiguous:
        return array.strides
    strides, step = [], array.itemsize
    for n in reversed(array.shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def host_bytes(owner: Any) -> np.ndarray:
    """The owner's memory as one row of bytes, copied to the host from a device."""
    flat = owner.reshape(-1, order="A") if owner.ndim != 1 else owner
    if not isinstance(flat, np.ndarray):
        flat = to_host(flat)
    return flat.view(np.uint8)


class LoadedStorage:
    """The bytes of one storage of a file; what a `map_location` function gets and gives back.

    Args:
        content: the bytes, a uint8 array on `device`.
        device: where they are.
    """

    def __init__(self, content: Any, device: Device = CPU):
        self.content, self.device = content, device

    def nbytes(self) -> int:
        """Number of bytes."""
        return int(self.content.size)

    def to(self, device: Any) -> LoadedStorage:
        """The storage on another device, itself when it is there."""
        target = resolve(Device(device))
        if target is self.device:
            return self
        host = self.content if self.device is CPU else to_host(self.content)
        return LoadedStorage(host if target is CPU else to_device(host, target), target)

    def cpu(self) -> LoadedStorage:
        """The storage in the host's memory."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> LoadedStorage:
        """The storage on a cuda device, by default the current one."""
        return self.to("cuda" if device is None else device)

    def view(self, dtype: dtypes.dtype, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
        """The array of `shape` at `offset`, strides and offset counted in elements, sharing the storage's memory.

        Raises:
            DamagedFileError: the array would reach beyond the storage.
        """
        size = dtype.itemsize
        numbers = (offset, *shape, *strides)
        if len(shape) != len(strides) or not all(type(n) is int and n >= 0 for n in numbers):
            raise DamagedFileError(f"load: a tensor has shape {shape}, strides {strides} and offset {offset}")
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if 0 not in shape and (last + 1) * size > self.nbytes():
            raise DamagedFileError(
                f"load: a tensor of shape {shape}, strides {strides} and offset {offset} reaches beyond its storage of "
                f"{self.nbytes()} bytes"
            )
        steps = tuple(s * size for s in strides)
        if 0 in shape:
            return _empty(self, dtype, shape)
        flat = self.content[: self.nbytes() // size * size].view(dtype.np)
        if isinstance(flat, np.ndarray):
            return np.ndarray(shape, dtype.np, flat, offset * size, steps)
        return as_strided(flat, shape, steps, offset * size)


def _empty(storage: LoadedStorage, dtype: dtypes.dtype, shape: tuple[int, ...]) -> Any:
    if storage.device is CPU:
        return np.empty(shape, dtype.np)
    return empty(shape, dtype.np, storage.device)


def restore(storage: LoadedStorage, location: str, map_location: Any) -> LoadedStorage:
    """The storage where `map_location` says, or where it was when saved.

    Args:
        storage: in host memory.
        location: the file's tag, "cpu" or "cuda:0".
        map_location: None, a device or its name, a dict of locations, or a function of (storage, location).

    Raises:
        RuntimeError: the location is not there.
    """
    target: Any = map_location
    if isinstance(map_location, dict):
        target = map_location.get(location, location)
    elif callable(map_location) and not isinstance(map_location, (str, Device)):
        answer = map_location(storage, location)
        if answer is not None:
            if not isinstance(answer, LoadedStorage):
                raise TypeError(f"load: map_location must return the storage, moved or not, or None; got {answer!r}")
            return answer
        target = location
    elif map_location is None:
        target = location
    try:
        return storage.to(target)
    except RuntimeError as e:
        if target is location or target == location:
            raise RuntimeError(
                f"load: the file's tensors were on {location!r}, which is not available here: {e}. "
                "Load them with map_location='cpu'"
            ) from e
        raise


MapLocation = None | str | Device | dict[str, Any] | Callable[[LoadedStorage, str], Any]
