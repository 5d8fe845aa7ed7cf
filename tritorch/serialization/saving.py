"""`save`: a pickle with PyTorch's names and the storages' bytes in a zip file."""

from __future__ import annotations

import io
import os
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from ..device import CPU
from . import names, storages
from .archive import ALIGNMENT, ChecksAhead, Writer
from .replacing import replace, whole_writes

DEFAULT_PROTOCOL = 2


def save(
    obj: Any,
    f: Any,
    pickle_module: ModuleType | Any = pickle,
    pickle_protocol: int = DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Write an object with its tensors to a file that PyTorch reads too.

    Tensors that share memory share it again after `load`; the whole memory behind a view is written once. A file given
    by its path is replaced in one step, after all bytes are on the disk: whenever the process is killed, the path holds
    the whole old file or the whole new one.

    Args:
        obj: tensors, containers, modules, anything that pickles.
        f: a path, or an object with `write`.
        pickle_module: whose Pickler writes the object; default pickle.
        pickle_protocol: 2 (default, what PyTorch reads with weights_only=True) to 5.

    Raises:
        RuntimeError: the folder is missing, or tensors of different dtypes share memory.
        ValueError: pickle_protocol 0, or PyTorch's old format is asked for.
        TypeError: `f` is neither path nor file.

    >>> import io, tritorch as torch
    >>> f = io.BytesIO()
    >>> torch.save({"w": torch.ones(2)}, f)
    >>> torch.load(io.BytesIO(f.getvalue()))
    {'w': tensor([1., 1.])}
    """
    if not _use_new_zipfile_serialization:
        raise ValueError("save: only the zip format is written; the format before PyTorch 1.6 is read by load")
    if pickle_protocol == 0:
        raise ValueError("save: pickle_protocol must be 1 to 5 (0 has no persistent ids for the tensors); got 0")
    if isinstance(f, (str, os.PathLike)):
        target = os.fspath(f)
        content, memory = _pickle(obj, pickle_module, pickle_protocol)
        size = sum(owner.nbytes for owner in memory)
        replace(target, lambda write: _write(write, content, memory), size)
    elif callable(getattr(f, "write", None)):
        content, memory = _pickle(obj, pickle_module, pickle_protocol)
        _write(whole_writes(f), content, memory)
    else:
        raise TypeError(f"save: f must be a path or an object with write; got {type(f).__name__}")


def _write(write: Callable[[Any], Any], content: bytes, memory: list[Any]) -> None:
    out = Writer(write)
    out.add("data.pkl", content)
    out.add(".format_version", b"1")
    out.add(".storage_alignment", str(ALIGNMENT).encode())
    out.add("byteorder", sys.byteorder.encode())
    # what is on a device comes to the host one by one, when its turn is
    ahead = ChecksAhead([storages.host_bytes(o) if isinstance(o, np.ndarray) else None for o in memory])
    try:
        for i, owner in enumerate(memory):
            held = storages.host_bytes(owner)
            out.add(f"data/{i}", held, ahead.take(i, held))
    finally:
        ahead.stop()
    out.add("version", b"3\n")
    out.close()


# ---- the pickle ----------------------------------------------------------------------------------------------------


class _Name:
    """A global that is written by its name alone; callable, as pickle expects of what it reduces to."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    def __call__(self) -> None:
        raise TypeError(f"{self.module}.{self.name} is a name, not a function")


class _Storage:
    """What becomes a persistent id."""

    __slots__ = ("id",)

    def __init__(self, pid: tuple):
        self.id = pid


_REBUILD_TENSOR = _Name("torch._utils", "_rebuild_tensor_v2")
_REBUILD_PARAMETER = _Name("torch._utils", "_rebuild_parameter")
_REBUILD_PARAMETER_STATE = _Name("torch._utils", "_rebuild_parameter_with_state")
_REBUILD_FROM_TYPE = _Name("torch._tensor", "_rebuild_from_type_v2")
_TENSOR = _Name("torch", "Tensor")
_UNINITIALIZED = {n: _Name("torch.nn.parameter", n) for n in ("UninitializedParameter", "UninitializedBuffer")}
_SIZE, _DEVICE = _Name("torch", "Size"), _Name("torch", "device")
_STORAGES = {kind: _Name("torch", name) for kind, name in names.STORAGE_NAMES.items()}


def _pickle(obj: Any, pickle_module: Any, protocol: int) -> tuple[bytes, list[Any]]:
    """The pickle of `obj` and the memory that its tensors view, in the order of the storages' keys."""
    buffer = io.BytesIO()
    base = getattr(pickle_module, "_Pickler", None) or pickle_module.Pickler
    if not issubclass(base, pickle._Pickler):  # type: ignore[attr-defined]
        raise TypeError(
            f"save: pickle_module {getattr(pickle_module, '__name__', pickle_module)!r} needs a Pickler written in "
            "Python (a subclass of pickle._Pickler), for PyTorch's names to be written"
        )
    pickler = _pickler_class(base)(buffer, protocol=protocol)
    pickler.memory, pickler.keys = [], {}
    pickler.dump(obj)
    return buffer.getvalue(), pickler.memory


_classes: dict[type, Any] = {}


def _pickler_class(base: type) -> Any:
    made = _classes.get(base)
    if made is None:
        made = _classes[base] = type("TorchPickler", (_TorchNames, base), {"dispatch": _Dispatch(base.dispatch)})  # type: ignore[attr-defined]
    return made


class _Dispatch(dict):
    """The pickler's table by type, in which subclasses of Tensor find Tensor's entry."""

    def __init__(self, base: dict):
        from .. import dtypes
        from ..device import device
        from ..tensor import Parameter, Size, Tensor

        super().__init__(base)
        self.tensor, self.parameter = Tensor, Parameter
        self[Tensor] = _TorchNames.save_tensor
        self[Parameter] = _TorchNames.save_parameter
        self[Size] = _TorchNames.save_size
        self[dtypes.dtype] = _TorchNames.save_dtype
        self[device] = _TorchNames.save_device
        self[_Name] = _TorchNames.save_name
        self[FunctionType] = self[type] = _TorchNames.save_global

    def get(self, kind: type, default: Any = None) -> Any:
        found = dict.get(self, kind)
        if found is None and issubclass(kind, self.tensor):
            if kind.__name__ in _UNINITIALIZED:
                return _TorchNames.save_uninitialized
            return _TorchNames.save_parameter if issubclass(kind, self.parameter) else _TorchNames.save_tensor
        return found if found is not None else default


class _TorchNames:
    """What a pickler needs to write tensors as PyTorch does; mixed into the Pickler of `pickle_module`."""

    memory: list[Any]
    keys: dict[tuple[int, int], tuple[int, Any]]

    def persistent_id(self, obj: Any) -> Any:
        return obj.id if type(obj) is _Storage else None

    def save_name(self, obj: _Name) -> None:
        self._write_global(obj, obj.module, obj.name)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """A class or function by PyTorch's name where it is one of ours."""
        if obj in (type(None), type(NotImplemented), type(...)):
            return self.save_type(obj)  # type: ignore[attr-defined]
        name = str(name or getattr(obj, "__qualname__", None) or obj.__name__)
        module = getattr(obj, "__module__", None)
        if isinstance(module, str) and (module == "tritorch" or module.startswith("tritorch.")):
            return self._write_global(obj, *names.torch_name(module, name))
        return super().save_global(obj, name)  # type: ignore[misc]

    def _write_global(self, obj: Any, module: str, name: str) -> None:
        protocol = self.proto  # type: ignore[attr-defined]
        if protocol >= 4:
            self.save(module)  # type: ignore[attr-defined]
            self.save(name)  # type: ignore[attr-defined]
            self.write(pickle.STACK_GLOBAL)  # type: ignore[attr-defined]
        else:
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())  # type: ignore[attr-defined]
        self.memoize(obj)  # type: ignore[attr-defined]

    def save_dtype(self, obj: Any) -> None:
        self._write_global(obj, "torch", obj.name)

    def save_size(self, obj: Any) -> None:
        self.save_reduce(_SIZE, (tuple(obj),), obj=obj)  # type: ignore[attr-defined]

    def save_device(self, obj: Any) -> None:
        args = (obj.type,) if obj.index is None else (obj.type, obj.index)
        self.save_reduce(_DEVICE, args, obj=obj)  # type: ignore[attr-defined]

    def save_tensor(self, obj: Any) -> None:
        function, args = self._reduce_tensor(obj)
        state = _attributes(obj)
        if state:
            function, args = _REBUILD_FROM_TYPE, (function, _TENSOR, args, state)
        self.save_reduce(function, args, obj=obj)  # type: ignore[attr-defined]

    def save_parameter(self, obj: Any) -> None:
        args: tuple = (obj.detach(), bool(obj.requires_grad), OrderedDict())
        state = _attributes(obj)
        if state:
            self.save_reduce(_REBUILD_PARAMETER_STATE, (*args, state), obj=obj)  # type: ignore[attr-defined]
        else:
            self.save_reduce(_REBUILD_PARAMETER, args, obj=obj)  # type: ignore[attr-defined]

    def save_uninitialized(self, obj: Any) -> None:
        name = type(obj).__name__
        self.save_reduce(_UNINITIALIZED[name], (bool(obj.requires_grad),), obj=obj)  # type: ignore[attr-defined]

    def _reduce_tensor(self, tensor: Any) -> tuple[Any, tuple]:
        array = tensor._a
        owner, offset, strides = storages.locate(array)
        place = (storages.address(owner), owner.nbytes)
        key, kind = self.keys.setdefault(place, (len(self.memory), tensor.dtype))
        if key == len(self.memory):
            self.memory.append(owner)
        elif kind is not tensor.dtype and owner.nbytes:
            raise RuntimeError(
                f"save: Cannot save multiple tensors or storages that view the same data as different types; got "
                f"{kind} and {tensor.dtype}. Save copies (.clone()) instead"
            )
        location = "cpu" if tensor.device is CPU else str(tensor.device)
        count = owner.nbytes // tensor.dtype.itemsize
        storage = _Storage(("storage", _STORAGES[tensor.dtype], str(key), location, count))
        size = tuple(tensor.shape)
        return _REBUILD_TENSOR, (storage, offset, size, strides, bool(tensor.requires_grad), OrderedDict())


def _attributes(tensor: Any) -> dict[str, Any]:
    """What a user has hung on the tensor; our own notes begin with an underscore."""
    return {name: value for name, value in tensor.__dict__.items() if not name.startswith("_")}
