"""`load`: reads what `save` and PyTorch wrote, safely by default."""

from __future__ import annotations

import importlib
import io
import os
import pickle
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import legacy, names, rebuilding, storages, unpickle
from .allowed import Allowed
from .archive import DamagedFileError, Reader, Source, is_archive, open_source


def load(
    f: Any,
    map_location: storages.MapLocation = None,
    pickle_module: ModuleType | Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read an object that `save` or PyTorch wrote.

    By default nothing in the file is executed: tensors, plain containers and modules whose classes this process has
    defined are rebuilt, and everything else is refused by name.

    Args:
        f: a path, or an object with `read` and `seek`.
        map_location: where tensors go: None (where they were), a device or its name, a dict from the saved to the
            wanted location, or a function of (storage, location) that returns the storage, moved or not.
        pickle_module: whose Unpickler reads the object; only with weights_only=False.
        weights_only: True (default) reads data only; False runs whatever code the file names: only for files you trust.
        mmap: map the file instead of reading it: storages come from the disk as they are used, writes stay in the
            process, checksums of the tensors are not compared. Needs a path; default False.
        pickle_load_args: `encoding`, of the strings that Python 2 wrote; default "utf-8".

    Raises:
        tritorch.serialization.DamagedFileError: the file is truncated, altered or no checkpoint; a RuntimeError.
        pickle.UnpicklingError: the file asks for more than weights_only=True allows; the message names it.
        RuntimeError: the location is not available.

    >>> import io, tritorch as torch
    >>> f = io.BytesIO()
    >>> torch.save([torch.arange(3), "text"], f)
    >>> torch.load(io.BytesIO(f.getvalue()))
    [tensor([0, 1, 2]), 'text']
    """
    safe = True if weights_only is None else bool(weights_only)
    if safe and pickle_module is not None:
        raise RuntimeError("load: weights_only=True reads without a pickle_module; pass weights_only=False with it")
    encoding = pickle_load_args.setdefault("encoding", "utf-8")
    if safe and set(pickle_load_args) - {"encoding", "fix_imports", "errors"}:
        raise TypeError(f"load: unexpected keyword arguments {sorted(set(pickle_load_args) - {'encoding'})}")
    if mmap and not isinstance(f, (str, os.PathLike)):
        raise ValueError("load: f must be a file path in order to use the mmap argument")
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _load(
                file, repr(os.fspath(f)), map_location, pickle_module, safe, bool(mmap), pickle_load_args, encoding
            )
    if not callable(getattr(f, "read", None)):
        raise AttributeError(f"load: f must be a path or an object with read and seek; got {type(f).__name__}")
    return _load(f, "the file", map_location, pickle_module, safe, False, pickle_load_args, encoding)


def _load(
    file: Any, where: str, map_location: Any, module: Any, safe: bool, mmap: bool, pickle_args: dict, encoding: str
) -> Any:
    source = open_source(file)
    if source.size == 0:
        raise EmptyFileError(f"load: {where} is empty")

    def restore(storage: storages.LoadedStorage, location: str) -> storages.LoadedStorage:
        return storages.restore(storage, location, map_location)

    def unpickled(stream: Any, size: int, persistent_load: Callable[[Any], Any]) -> Any:
        if safe:
            policy = Allowed(rebuilding.FUNCTIONS)
            return unpickle.load(stream, policy, persistent_load, limit=size, encoding=encoding)
        return _unsafe(stream, module or pickle, persistent_load, pickle_args)

    if is_archive(source):
        return _load_archive(source, where, restore, unpickled, mmap)
    if mmap:
        raise RuntimeError(f"load: mmap=True needs a file in the zip format; {where} is not")
    file.seek(source._base)
    stream = file if hasattr(file, "readline") else io.BytesIO(source.read(0, source.size))
    return legacy.read(
        stream, source.size, where, lambda persistent: unpickled(stream, source.size, persistent), restore, encoding
    )


class EmptyFileError(DamagedFileError, EOFError):
    """A file without a byte."""


def _load_archive(source: Source, where: str, restore: Any, unpickled: Any, mmap: bool) -> Any:
    reader = Reader(source, where)
    if "data.pkl" not in reader.records and "constants.pkl" in reader.records:
        raise RuntimeError(f"load: {where} is a TorchScript archive, which is not supported")
    order = bytes(reader.read("byteorder")) if "byteorder" in reader.records else b"little"
    if order != sys.byteorder.encode():
        raise RuntimeError(f"load: {where} has {order.decode('ascii', 'replace')}-endian data, which is not supported")
    loaded: dict[str, storages.LoadedStorage] = {}

    def persistent_load(saved: Any) -> rebuilding.TypedStorage:
        storage_type, key, location, count = rebuilding.storage_parts(saved, 5)
        if key not in loaded:
            name = f"data/{key}"
            content = reader.mapped(name) if mmap else reader.read(name)
            item = storage_type.dtype.itemsize if storage_type.dtype is not None else 1
            if content.size < count * item:
                raise DamagedFileError(
                    f"load: {where} is damaged: storage {key!r} holds {content.size} bytes, not {count * item}"
                )
            loaded[key] = restore(storages.LoadedStorage(content), location)
        return rebuilding.TypedStorage(loaded[key], storage_type.dtype)

    pickled = bytes(reader.read("data.pkl"))
    if not mmap:
        reader.read_ahead("data/")
    return unpickled(io.BytesIO(pickled), len(pickled), persistent_load)


def _unsafe(stream: Any, module: Any, persistent_load: Callable[[Any], Any], pickle_args: dict) -> Any:
    """Python's own unpickler, with PyTorch's names turned into ours."""

    class Unpickler(module.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if module != "torch" and not module.startswith("torch."):
                return super().find_class(module, name)
            if name in rebuilding.FUNCTIONS:
                return rebuilding.FUNCTIONS[name]
            if name == "_VariableFunctionsClass":  # PyTorch pickles torch.relu as an attribute of it
                return importlib.import_module("tritorch")
            found = names.our_object(module, name)
            if found is None:
                raise pickle.UnpicklingError(f"load: the file names {module}.{name}, which has no counterpart here")
            return found

        def persistent_load(self, saved: Any) -> Any:
            return persistent_load(saved)

    return Unpickler(stream, **pickle_args).load()
