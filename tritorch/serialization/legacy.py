"""Reading the format that PyTorch wrote before 1.6: pickles one after the other, then the storages' bytes.

In order: a magic number, the protocol's version, facts about the machine, the object, the list of the storages' keys,
and for each key its number of elements (8 bytes) and the elements. Nothing in it can be checked against a checksum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from . import rebuilding, unpickle
from .archive import DamagedFileError
from .names import StorageType
from .storages import LoadedStorage

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class _Blind:
    """A policy that makes nothing: the first reading only looks which storages the object names."""

    def find(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            from .names import our_object

            return our_object(module, name)
        return _Anything()

    def call(self, function: Any, args: tuple) -> Any:
        return _Anything()

    def new(self, cls: Any, args: tuple, kwargs: dict) -> Any:
        return _Anything()

    def build(self, instance: Any, state: Any) -> Any:
        return instance


class _Anything(dict):
    """Stands for an object that the first reading does not make: a key, a dict, nothing."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


def read(
    file: BinaryIO,
    size: int,
    where: str,
    unpickle_object: Callable[[Callable[[Any], Any]], Any],
    restore: Callable[[LoadedStorage, str], LoadedStorage],
    encoding: str,
) -> Any:
    """Load from `file`.

    Args:
        file: standing at its first byte.
        size: bytes that it can hold.
        where: the file in words.
        unpickle_object: unpickles the object where the file stands, given the function for persistent ids.
        restore: puts a storage where it belongs.
        encoding: of Python 2's strings.
    """

    def plain(persistent_load: Callable[[Any], Any] | None = None) -> Any:
        return unpickle.load(file, _Blind(), persistent_load or _no_id, limit=size, encoding=encoding)

    start = file.tell()
    try:
        magic = plain()
    except Exception as e:
        raise DamagedFileError(f"load: {where} is no checkpoint: neither a zip file nor the format before 1.6") from e
    if magic != _MAGIC or type(magic) is not int:
        raise DamagedFileError(f"load: {where} is no checkpoint: neither a zip file nor the format before 1.6")
    version, machine = plain(), plain()
    if version != _PROTOCOL:
        raise DamagedFileError(f"load: {where} has protocol version {version!r:.40}; {_PROTOCOL} is known")
    if isinstance(machine, dict) and machine.get("little_endian") is False:
        raise RuntimeError(f"load: {where} was written on a big-endian machine, which is not supported")
    at = file.tell()
    kinds: dict[str, StorageType] = {}

    def note(saved: Any) -> Any:
        storage_type, key, _, _ = rebuilding.storage_parts(saved, 6)
        kinds[key] = storage_type
        return _Anything()

    plain(note)
    keys = plain()
    if type(keys) is not list or not all(type(k) is str for k in keys):
        raise DamagedFileError(f"load: {where} is damaged: its list of storages is not a list of names")
    contents = {key: _content(file, kinds, key, size - (file.tell() - start), where) for key in keys}
    end = file.tell()
    restored: dict[str, LoadedStorage] = {}

    def persistent_load(saved: Any) -> Any:
        storage_type, key, location, _ = rebuilding.storage_parts(saved, 6)
        if key not in contents:
            raise DamagedFileError(f"load: {where} is damaged: storage {key!r} is missing")
        if key not in restored:
            restored[key] = restore(LoadedStorage(contents[key]), location)
        storage, item = restored[key], storage_type.dtype.itemsize if storage_type.dtype else 1
        view = saved[5]
        if view is not None:
            _, first, count = view
            storage = LoadedStorage(storage.content[first * item : (first + count) * item], storage.device)
        return rebuilding.TypedStorage(storage, storage_type.dtype)

    file.seek(at)
    made = unpickle_object(persistent_load)
    file.seek(end)
    return made


def _content(file: BinaryIO, kinds: dict[str, StorageType], key: str, left: int, where: str) -> np.ndarray:
    kind = kinds.get(key)
    head = file.read(8)
    count = int.from_bytes(head, "little", signed=True)
    item = kind.dtype.itemsize if kind is not None and kind.dtype is not None else 1
    if kind is None or len(head) < 8 or count < 0 or count * item > left - 8:
        raise DamagedFileError(
            f"load: {where} is damaged: storage {key!r:.40} of {count} elements is cut off or unknown"
        )
    data = file.read(count * item)
    if len(data) < count * item:
        raise DamagedFileError(f"load: {where} is damaged: storage {key!r:.40} is cut off")
    return np.frombuffer(bytearray(data), np.uint8)


def _no_id(saved: Any) -> Any:
    raise DamagedFileError("load: a storage where none is expected")
