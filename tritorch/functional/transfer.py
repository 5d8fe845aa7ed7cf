"""Public functions and methods that copy a tensor, into other memory, another dtype, another device."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import inplace as _inplace
from ..autograd.graph import make_node
from ..autograd.modes import STATE
from ..binding import method, overwrite, write
from ..device import CPU, device, resolve, to_device, to_host
from ..device import copy as device_copy
from ..dtypes import NAMES, dtype
from ..errors import message
from ..kernels._shapes import broadcast_shapes
from ..kernels.copy import cast
from ..kernels.copy import clone as _clone
from ..tensor import TENSORS, Tensor, wrap
from .shape import expand

__all__ = ["clone", "detach", "numel"]


@method
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with its own memory, differentiable."""
    return _clone(input)


def _contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself when its elements are in C order, a copy otherwise."""
    return self if self._a.flags.c_contiguous else _clone(self)


Tensor.contiguous = _contiguous  # type: ignore[attr-defined]


def detach(input: Tensor) -> Tensor:
    """The same memory without history."""
    return input.detach()


def _copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Overwrite with `src`, broadcast and cast; differentiable by `src`."""
    if src.__class__ not in TENSORS:
        src = wrap(np.asarray(src))
    _inplace.check(self, "copy_")
    try:
        fits = src._a.shape == self._a.shape or broadcast_shapes(src._a.shape, self._a.shape) == self._a.shape
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(message("copy_", "src must broadcast to self's shape", src=src, self=self))
    if STATE.grad and src._node is not None:
        value = src if src.device is self.device else src.to(self.device)
        value = value if value.dtype is self.dtype else cast(value, self.dtype)
        value = value if value._a.shape == self._a.shape else expand(value, *self._a.shape)
        return overwrite(self, value, "copy_")
    write(self, src)
    if STATE.grad and self._node is not None:
        _inplace.rebase(self, None)
    return self


Tensor.copy_ = _copy_  # type: ignore[attr-defined]


class _ToDevice:
    """The op between devices; its rule is the way back."""

    name, differentiable, holds = "to_copy", 1, False

    @staticmethod
    def pull(node: Any, g: Any) -> Any:
        source = node.saved[0]
        return (_move(g, node.device, source),)

    @staticmethod
    def pull_tensors(node: Any, g: Any) -> Any:
        return (_to_device(g, node.saved[0]),)


def _move(a: Any, source: device, target: device, non_blocking: bool = False) -> Any:
    if source is CPU:
        return to_device(np.ascontiguousarray(a).reshape(a.shape), target, non_blocking)
    if target is CPU:
        return to_host(a)
    return device_copy(a, target)


def _to_device(x: Tensor, target: device, non_blocking: bool = False) -> Tensor:
    out = wrap(_move(x._a, x.device, target, non_blocking), target)
    out.dtype = x.dtype
    if x._node is not None and STATE.grad:
        out._node = make_node(_ToDevice, (x._node,), (x.device,), target)
    return out


def _to(self: Tensor, *args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False, copy: bool = False,
        memory_format: Any = None) -> Tensor:  # fmt: skip
    """The tensor in another dtype and/or on another device; itself when nothing changes (and not `copy`).

    Arguments: `to(dtype)`, `to(device)`, `to(device, dtype)`, `to(other_tensor)`, each with non_blocking and copy.
    non_blocking: from pinned memory to cuda the host goes on while the copy runs; copies to the CPU always wait.
    """
    kind, place = dtype, device
    flags = []
    for a in args:
        if a.__class__ is _dtype_class:
            kind = a
        elif isinstance(a, Tensor):
            kind, place = a.dtype, a.device
        elif isinstance(a, bool):
            flags.append(a)
        elif a is not None:
            place = a
    if len(flags) > 1:  # to(..., non_blocking, copy)
        copy = flags[1]
    out = self
    if place is not None:
        target = resolve(_device_class(place)) if not isinstance(place, str) or place != "cpu" else CPU
        if target is not self.device:
            if kind is not None and kind is not self.dtype and self.device is CPU:
                out = cast(out, kind)
            out = _to_device(out, target, non_blocking or bool(flags and flags[0]))
    if kind is not None and kind is not out.dtype:
        if kind.__class__ is not _dtype_class:
            raise TypeError(f"to() received an invalid dtype: {kind!r}")
        out = cast(out, kind)
    return _clone(out) if copy and out is self else out


_dtype_class, _device_class = dtype, device
Tensor.to = _to  # type: ignore[attr-defined]
Tensor.cpu = lambda self, memory_format=None: self if self.device is CPU else _to(self, CPU)  # type: ignore[attr-defined]
Tensor.cuda = lambda self, device=None, non_blocking=False, memory_format=None: _to(  # type: ignore[attr-defined]
    self, _device_class("cuda", device) if isinstance(device, int) else device or "cuda", non_blocking=non_blocking
)
Tensor.type_as = lambda self, other: _to(self, other.dtype)  # type: ignore[attr-defined]
for _name, _kind in {
    "float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16", "int": "int32", "long": "int64",
    "short": "int16", "char": "int8", "byte": "uint8", "bool": "bool", "cfloat": "complex64", "cdouble": "complex128",
}.items():  # fmt: skip

    def _as(self: Tensor, memory_format: Any = None, *, _kind: Any = NAMES[_kind]) -> Tensor:
        return self if self.dtype is _kind else cast(self, _kind)

    _as.__name__ = _name
    setattr(Tensor, _name, _as)

_TYPE_NAMES = {"float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long",
               "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool",
               "complex64": "ComplexFloat", "complex128": "ComplexDouble"}  # fmt: skip


def _type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The type's name ('torch.FloatTensor'), or the tensor cast to `dtype` (a dtype or such a name)."""
    if dtype is None:
        return f"torch.{'' if self.device is CPU else 'cuda.'}{_TYPE_NAMES[self.dtype.name]}Tensor"
    if isinstance(dtype, str):
        short = dtype.rsplit(".", 1)[-1].removesuffix("Tensor")
        found = [k for k, v in _TYPE_NAMES.items() if v == short]
        if not found:
            raise ValueError(f"type: invalid type: {dtype!r}")
        return _to(self, NAMES[found[0]], device="cuda" if ".cuda." in dtype else None)
    return _to(self, getattr(dtype, "dtype", dtype))


Tensor.type = _type  # type: ignore[attr-defined]


def numel(input: Tensor) -> int:
    """Number of elements."""
    return input._a.size
