"""The names that a checkpoint carries: PyTorch's in the file, ours in the process.

A pickle names classes and functions by module and name. So that PyTorch reads our files and we read its, what is
written for our objects is PyTorch's name, and what is read is turned back, without importing torch on either way.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from types import FunctionType
from typing import Any

from .. import dtypes
from ..device import device

STORAGE_NAMES = {
    dtypes.float64: "DoubleStorage", dtypes.float32: "FloatStorage", dtypes.float16: "HalfStorage",
    dtypes.bfloat16: "BFloat16Storage", dtypes.int64: "LongStorage", dtypes.int32: "IntStorage",
    dtypes.int16: "ShortStorage", dtypes.int8: "CharStorage", dtypes.uint8: "ByteStorage", dtypes.bool_: "BoolStorage",
    dtypes.complex64: "ComplexFloatStorage", dtypes.complex128: "ComplexDoubleStorage",
}  # fmt: skip
STORAGE_TYPES = {name: kind for kind, name in STORAGE_NAMES.items()}
_UNKNOWN_DTYPES = (
    "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
    "float8_e8m0fnu", "float4_e2m1fn_x2", "complex32", "qint8", "quint8", "qint32", "quint4x2", "quint2x4",
)  # fmt: skip


class StorageType:
    """Stands for `torch.FloatStorage` and its like in a pickle.

    Args:
        name: PyTorch's name of the class.
        dtype: of its elements, None for UntypedStorage.
    """

    def __init__(self, name: str, dtype: dtypes.dtype | None):
        self.name, self.dtype = name, dtype

    def __repr__(self) -> str:
        return f"torch.{self.name}"


_storage_types = {name: StorageType(name, kind) for name, kind in STORAGE_TYPES.items()}
_storage_types["UntypedStorage"] = StorageType("UntypedStorage", None)


class Unsupported(pickle.UnpicklingError):
    """A name of PyTorch's for which there is nothing here; its text says what it was."""


# where our files are cut otherwise than PyTorch's: our module -> the one there
_MODULES = {
    "tritorch.nn.modules.adaptive_pooling": "torch.nn.modules.pooling",
    "tritorch.nn.modules.attention": "torch.nn.modules.activation",
    "tritorch.nn.modules.classification": "torch.nn.modules.loss",
    "tritorch.nn.modules.conv_lazy": "torch.nn.modules.conv",
    "tritorch.nn.modules.conv_transpose": "torch.nn.modules.conv",
    "tritorch.nn.modules.loss_base": "torch.nn.modules.loss",
    "tritorch.nn.modules.margin": "torch.nn.modules.loss",
    "tritorch.nn.modules.parameter_container": "torch.nn.modules.container",
    "tritorch.nn.modules.rnn_cell": "torch.nn.modules.rnn",
}
_TORCH_OF_OURS: dict[tuple[str, str], tuple[str, str]] = {
    ("tritorch.tensor", "Tensor"): ("torch", "Tensor"),
    ("tritorch.tensor", "Parameter"): ("torch.nn.parameter", "Parameter"),
    ("tritorch.size", "Size"): ("torch", "Size"),
    ("tritorch.device", "device"): ("torch", "device"),
    ("tritorch.nn.modules.pixelshuffle", "ChannelShuffle"): ("torch.nn.modules.channelshuffle", "ChannelShuffle"),
}


_OPS = ("tritorch.functional.", "tritorch.kernels.", "tritorch.autograd.elementwise")


def torch_name(module: str, name: str) -> tuple[str, str]:
    """PyTorch's module and name for the object `module.name` of ours; both unchanged for anybody else's.

    >>> torch_name("tritorch.nn.modules.linear", "Linear")
    ('torch.nn.modules.linear', 'Linear')
    """
    known = _TORCH_OF_OURS.get((module, name))
    if known is not None:
        return known
    if module == "tritorch" or module.startswith("tritorch."):
        if module in _MODULES:
            return _MODULES[module], name
        if module.startswith("tritorch.optim.lr_scheduler."):
            return "torch.optim.lr_scheduler", name
        if module.startswith(_OPS):
            functions = sys.modules.get("tritorch.nn.functional")
            return ("torch.nn.functional" if hasattr(functions, name) else "torch"), name
        if module.startswith("tritorch.nn.functional"):
            return "torch.nn.functional", name
        return "torch" + module[len("tritorch") :], name
    return module, name


def our_object(module: str, name: str) -> Any:
    """Our counterpart of PyTorch's `module.name`, None when it has none.

    Raises:
        Unsupported: PyTorch's object is known, but is of a kind that does not exist here.
    """
    if module in ("torch", "torch.storage") and name.endswith("Storage"):
        found = _storage_types.get(name)
        if found is None:
            raise Unsupported(f"load: storages of type {module}.{name} are not supported")
        return found
    if module == "torch":
        if name in dtypes.NAMES:
            return dtypes.NAMES[name]
        if name in _UNKNOWN_DTYPES:
            raise Unsupported(f"load: tensors of dtype torch.{name} are not supported")
        if name == "device":
            return device
        if name in ("Size", "Tensor"):
            return getattr(importlib.import_module("tritorch.tensor"), name)
    if module in ("torch._C._nn", "torch._C"):
        module = "torch.nn.functional" if module == "torch._C._nn" else "torch"
    if name.startswith("_") or "." in name:
        return None
    ours = "tritorch" + module[len("torch") :]
    if module.startswith("torch.nn.modules.") or module == "torch.nn.parameter":
        found = getattr(importlib.import_module("tritorch.nn"), name, None)
        if found is not None:
            return found
    try:
        return getattr(importlib.import_module(ours), name, None)
    except ImportError:
        return None


def is_plain_function(value: Any) -> bool:
    """Whether `value` is a function of tensors, which a layer may hold as its activation."""
    if not isinstance(value, FunctionType):
        return False
    functions = importlib.import_module("tritorch.nn.functional")
    return getattr(functions, value.__name__, None) is value or value.__module__.startswith(_OPS)
