"""torch.utils.dlpack: memory shared with other libraries, by the DLPack protocol or by its older capsules."""

from __future__ import annotations

import ctypes
from enum import IntEnum
from typing import Any

import numpy as np

from .. import functional
from ..tensor import Tensor

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]


class DLDeviceType(IntEnum):
    """Kinds of memory in DLPack; CPU and cuda memory (with its host side) are read here."""

    kDLCPU = 1
    kDLCUDA = 2
    kDLCUDAHost = 3
    kDLOpenCL = 4
    kDLVulkan = 7
    kDLMetal = 8
    kDLVPI = 9
    kDLROCM = 10
    kDLROCMHost = 11
    kDLExtDev = 12
    kDLCUDAManaged = 13
    kDLOneAPI = 14
    kDLWebGPU = 15
    kDLHexagon = 16
    kDLMAIA = 17


def to_dlpack(tensor: Tensor) -> Any:
    """The tensor as a DLPack capsule, which another library's `from_dlpack` may read once.

    A tensor of a graph gives its values. Newer libraries take the tensor itself.

    >>> import tritorch as torch
    >>> torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(torch.ones(2)))
    tensor([1., 1.])
    """
    return tensor.detach().__dlpack__()


class _Exported(ctypes.Structure):
    """The start of DLPack's DLManagedTensor."""

    _fields_ = [("data", ctypes.c_void_p), ("kind", ctypes.c_int32), ("index", ctypes.c_int32)]  # noqa: RUF012


class _Capsule:
    """A capsule as an object of the protocol."""

    def __init__(self, capsule: Any):
        api = ctypes.pythonapi
        valid, pointer = api.PyCapsule_IsValid, api.PyCapsule_GetPointer
        pointer.restype = ctypes.c_void_p
        for f in (valid, pointer):
            f.argtypes = [ctypes.py_object, ctypes.c_char_p]
        if not valid(capsule, b"dltensor"):
            raise RuntimeError(
                "from_dlpack received an invalid capsule: a DLPack capsule can be read once, and this one was read "
                "before or is none"
            )
        found = _Exported.from_address(pointer(capsule, b"dltensor"))
        self.capsule, self.place = capsule, (found.kind, found.index)

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.place


class _Writable:
    """The memory of an array that NumPy takes for read-only, because old capsules do not say; PyTorch's are writable."""

    def __init__(self, a: Any):
        self.__array_interface__ = {**a.__array_interface__, "data": (a.__array_interface__["data"][0], False)}
        self.owner = a


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of another library's array; see `torch.from_dlpack`.

    Arguments:
        ext_tensor: an object with `__dlpack__`, or a capsule.
        device, copy: default: where it is, shared.

    Raises:
        RuntimeError: a capsule that was read before; memory that is neither the CPU's nor cuda's.

    >>> import tritorch as torch
    >>> torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(torch.ones(2)))
    tensor([1., 1.])
    """
    if type(ext_tensor).__name__ != "PyCapsule":
        return functional.from_dlpack(ext_tensor, device=device, copy=copy)
    t = functional.from_dlpack(_Capsule(ext_tensor), device=device, copy=copy)
    if t.device.type == "cpu" and not t._a.flags.writeable:
        return functional.from_numpy(np.asarray(_Writable(t._a)))
    return t
