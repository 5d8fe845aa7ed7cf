"""The memory under tensors: storages, set_, resize_, shared memory; PyTorch's typed constructors (FloatTensor ...)."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import inplace as _inplace
from ..binding import method, write
from ..device import CPU, address, as_strided
from ..device import empty as device_empty
from ..errors import message
from ..tensor import Tensor, bump, wrap
from .conversion import from_data
from .creation import to_size

KINDS = {
    "Float": dtypes.float32, "Double": dtypes.float64, "Half": dtypes.float16, "BFloat16": dtypes.bfloat16,
    "Long": dtypes.int64, "Int": dtypes.int32, "Short": dtypes.int16, "Char": dtypes.int8, "Byte": dtypes.uint8,
    "Bool": dtypes.bool_, "ComplexFloat": dtypes.complex64, "ComplexDouble": dtypes.complex128,
}  # fmt: skip
_TENSORS = [f"{k}Tensor" for k in KINDS if not k.startswith("Complex")]
_STORAGES = [f"{k}Storage" for k in KINDS]

__all__ = ["TypedStorage", "UntypedStorage", "is_storage", "set_default_tensor_type", *_TENSORS, *_STORAGES]


def _flat(t: Tensor) -> Any:
    """The whole memory that `t` lies in, as one row of its elements."""
    root = _inplace.root_of(t)._a
    if root.flags.c_contiguous:
        return root.reshape(-1)
    if root.flags.f_contiguous:
        return root.T.reshape(-1)
    n = sum((s - 1) * step for s, step in zip(root.shape, root.strides, strict=True)) // root.itemsize + 1
    return as_strided(root, (n,), (root.itemsize,))


class TypedStorage:
    """The memory of a tensor as one row of elements, shared with the tensor.

    Arguments:
        data: a number of elements, or numbers.

    >>> import tritorch as torch
    >>> torch.arange(4).view(2, 2).storage().tolist()
    [0, 1, 2, 3]
    """

    dtype: dtypes.dtype = dtypes.float32

    def __init__(self, data: Any = 0, *, wrap_tensor: Tensor | None = None):
        if wrap_tensor is not None:
            self._t = wrap_tensor
        elif isinstance(data, int):
            self._t = wrap(np.empty(data, self.dtype.np))
        else:
            self._t = wrap(from_data(list(data), self.dtype))
        self.dtype = self._t.dtype

    def __len__(self) -> int:
        return self._t.numel()

    size = __len__

    @property
    def device(self) -> Any:
        return self._t.device

    @property
    def is_cuda(self) -> bool:
        return self._t.is_cuda

    def nbytes(self) -> int:
        """Bytes of the memory."""
        return self._t.nbytes

    def element_size(self) -> int:
        """Bytes per element."""
        return self._t.element_size()

    def data_ptr(self) -> int:
        """Address of the first element."""
        return self._t.data_ptr()

    def __getitem__(self, i: Any) -> Any:
        got: Any = self._t[i]
        return type(self)(wrap_tensor=got) if isinstance(i, slice) else got.item()

    def __setitem__(self, i: Any, value: Any) -> None:
        self._t[i] = value

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def tolist(self) -> list:
        """The elements as Python numbers."""
        return self._t.tolist()

    def fill_(self, value: Any) -> TypedStorage:
        """Set every element; returns self."""
        self._t.fill_(value)  # type: ignore[attr-defined]
        return self

    def copy_(self, source: Any) -> TypedStorage:
        """Take over another storage's elements; returns self."""
        self._t.copy_(source._t)  # type: ignore[attr-defined]
        return self

    def clone(self) -> Any:
        """A copy."""
        return type(self)(wrap_tensor=self._t.clone())  # type: ignore[attr-defined]

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return UntypedStorage(wrap_tensor=wrap(self._t._a.view(np.uint8), self._t.device))

    def __repr__(self) -> str:
        kind, place = type(self).__name__, self.device
        lines = "\n ".join(map(str, self.tolist()))
        return f" {lines}\n[torch.{kind}(dtype={self.dtype}, device={place}) of size {len(self)}]"


class UntypedStorage(TypedStorage):
    """The memory of a tensor as bytes."""

    dtype = dtypes.uint8

    def untyped(self) -> UntypedStorage:
        """Itself."""
        return self


def is_storage(obj: Any) -> bool:
    """Is `obj` a storage."""
    return isinstance(obj, TypedStorage)


@method
def storage(input: Tensor) -> TypedStorage:
    """The memory that the tensor lies in, all of it."""
    return TypedStorage(wrap_tensor=wrap(_flat(input), input.device))


@method
def untyped_storage(input: Tensor) -> UntypedStorage:
    """The memory that the tensor lies in, all of it, as bytes."""
    return storage(input).untyped()


@method
def storage_type(input: Tensor) -> type:
    """The class of the tensor's storage."""
    return globals()[next(f"{k}Storage" for k, d in KINDS.items() if d is input.dtype)]


# ---- tensors over other memory


def _refuse_history(op: str, t: Tensor) -> None:
    if t._node is not None:
        raise RuntimeError(message(op, "not for tensors that require grad; detach it first", input=t))


def _become(t: Tensor, a: Any) -> Tensor:
    """`t` over another array; views of the old memory keep it."""
    t._a, t._view = a, None
    bump(t)
    return t


def _shared(a: Any, shape: tuple[int, ...], stride: Any, offset: int) -> Any:
    """The strided view of a flat array; RuntimeError when it would reach beyond its end."""
    item = a.dtype.itemsize
    if stride is None:
        stride, step = [], 1
        for n in reversed(shape):
            stride.insert(0, step)
            step *= max(n, 1)
    need = offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True)) + 1 if 0 not in shape else 0
    if need > a.size:
        raise RuntimeError(f"set_: the view needs {need} elements; the storage has {a.size}")
    return as_strided(a, tuple(shape), tuple(s * item for s in stride), offset * item)


@method
def set_(input: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None) -> Tensor:
    """Let the tensor lie over other memory: a tensor's, or a storage's with offset, sizes and strides; returns self.

    >>> import tritorch as torch
    >>> a, b = torch.zeros(2), torch.ones(3)
    >>> a.set_(b)
    tensor([1., 1., 1.])
    """
    _refuse_history("set_", input)
    if source is None:
        return _become(input, input._a[:0] if input._a.ndim else input._a.reshape(1)[:0])
    if isinstance(source, TypedStorage):
        a = source._t._a
        if a.dtype != input._a.dtype:
            a = a.view(input._a.dtype)
        shape = (a.size - storage_offset,) if size is None else tuple(size)
        return _become(input, _shared(a, shape, stride, storage_offset))
    if source.dtype is not input.dtype or source.device is not input.device:
        raise RuntimeError(
            message("set_", "source must have the tensor's dtype and device", input=input, source=source)
        )
    if size is None:
        _become(input, source._a)
        input._vc, input._view = source._vc, source._view
        return input
    return _become(input, _shared(_flat(source), tuple(size), stride, storage_offset))


@method
def is_set_to(input: Tensor, tensor: Tensor) -> bool:
    """Do both lie over the same memory with the same sizes and strides."""
    same = input.data_ptr() == tensor.data_ptr() and input.dtype is tensor.dtype
    return same and input._a.shape == tensor._a.shape and input.stride() == tensor.stride()


def _memory(t: Tensor) -> tuple[Any, int]:
    """(the flat memory, the tensor's offset in it); what an earlier resize_ cut off is still there."""
    a = t._a
    while isinstance(a, np.ndarray) and a.base is not None:
        a = a.base
    owner = getattr(a, "owner", None)
    if isinstance(owner, np.ndarray) and owner.ndim == 1 and owner.dtype == t._a.dtype and t._view is None:
        return owner, (address(t._a) - address(owner)) // owner.itemsize
    return _flat(t), t.storage_offset()


@method
def resize_(input: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Change the shape in place: the same elements in order, cut, or followed by uninitialised ones; returns self."""
    if input._node is not None:
        raise RuntimeError("resize_: cannot resize variables that require grad")
    shape = to_size("resize_", sizes)
    n = int(np.prod(shape, dtype=np.int64))
    flat, start = _memory(input)
    if start + n > flat.size:
        grown = (
            np.empty(start + n, flat.dtype)
            if input.device is CPU
            else device_empty((start + n,), flat.dtype, input.device)
        )
        made = wrap(grown, input.device)
        write(made[: flat.size], wrap(flat, input.device))  # type: ignore[index]
        flat = grown
        a = as_strided(flat, shape, _contiguous(shape, flat.itemsize), start * flat.itemsize)
        return _become(input, a)
    a = as_strided(flat, shape, _contiguous(shape, flat.itemsize), start * flat.itemsize)
    view = input._view
    _become(input, a)
    input._view = view
    return input


def _contiguous(shape: tuple[int, ...], item: int) -> tuple[int, ...]:
    strides, step = [], item
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


@method
def share_memory_(input: Tensor) -> Tensor:
    """Move the elements into memory that processes forked from now on share; returns self. No effect on cuda."""
    if input.device is not CPU or input.__dict__.get("_shared"):
        return input
    a = input._a
    block = mmap.mmap(-1, max(a.nbytes, 1))
    moved = np.frombuffer(block, a.dtype, a.size).reshape(a.shape)
    moved[...] = a
    input._a = moved
    input.__dict__["_shared"] = True
    return input


# ---- typed constructors


class _TypedMeta(type):
    """FloatTensor(2, 3), FloatTensor([1, 2]), isinstance(x, FloatTensor)."""

    dtype: dtypes.dtype

    def __instancecheck__(cls, obj: Any) -> bool:
        return isinstance(obj, Tensor) and obj.dtype is cls.dtype and obj.device is CPU

    def __call__(cls, *data: Any, **more: Any) -> Any:
        return made(cls.dtype, data)


def made(kind: dtypes.dtype, data: tuple) -> Tensor:
    """The tensor of PyTorch's older constructors: sizes, or one sequence of numbers, array or tensor."""
    if len(data) == 1 and not isinstance(data[0], int):
        value = data[0]
        if isinstance(value, Tensor):
            if value.dtype is not kind:
                raise TypeError(message("new", f"expected a tensor of {kind}", data=value))
            return value.detach()
        from ..tensor import Size

        if isinstance(value, Size):
            return wrap(np.empty(tuple(value), kind.np))
        return wrap(from_data(value, kind))
    return wrap(np.empty(data if data else (0,), kind.np))


for _kind, _dtype in KINDS.items():
    _doc = f"The class of CPU tensors of {_dtype}; called with sizes or numbers it makes one."
    globals()[f"{_kind}Tensor"] = _TypedMeta(
        f"{_kind}Tensor", (), {"dtype": _dtype, "__doc__": _doc, "__module__": "torch"}
    )
    _doc = f"The memory of a tensor of {_dtype} as one row."
    globals()[f"{_kind}Storage"] = type(f"{_kind}Storage", (TypedStorage,), {"dtype": _dtype, "__doc__": _doc})


def set_default_tensor_type(t: Any) -> None:
    """Set the default float dtype by a typed constructor, `torch.DoubleTensor`, or its name."""
    name = t if isinstance(t, str) else f"torch.{t.__name__}"
    kind = KINDS.get(name.removeprefix("torch.").removesuffix("Tensor"))
    if kind is None or not name.startswith("torch.") or not kind.is_floating_point:
        raise TypeError(f"set_default_tensor_type: invalid type object: {t!r}; expected a floating point tensor type")
    dtypes.set_default_dtype(kind)


@method
def new(input: Tensor, *data: Any, device: Any = None) -> Tensor:
    """A tensor of this one's dtype and device: of the given sizes, uninitialised, or of the given numbers."""
    return made(input.dtype, data).to(input.device if device is None else device)  # type: ignore[attr-defined]
