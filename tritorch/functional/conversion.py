"""Tensors from data: Python numbers and nested lists, NumPy arrays, buffers, other libraries' arrays.

`tensor` copies, `as_tensor`, `asarray`, `from_numpy`, `frombuffer`, `from_dlpack` share memory where they can.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np

from .. import dtypes
from ..binding import method
from ..device import CPU, backend, cuda_index, resolve, to_device
from ..device import device as Device
from ..errors import message
from ..tensor import Tensor, wrap

__all__ = ["as_tensor", "asarray", "from_dlpack", "from_numpy", "frombuffer", "scalar_tensor", "tensor"]

_default_device = CPU


def set_default_device(device: Any) -> None:
    """Set the device of tensors that are created without `device=`; None means the CPU."""
    global _default_device
    _default_device = CPU if device is None else resolve(Device(device))


def get_default_device() -> Device:
    """The device of tensors that are created without `device=`."""
    return _default_device


def to_place(device: Any) -> Device:
    """The device that `device=` names: a device, a string, an index, None for the default."""
    if device is None or device is CPU:
        return _default_device if device is None else CPU
    return resolve(Device(device))


_PYTHON_KINDS = {float: dtypes.float64, int: dtypes.int64, bool: dtypes.bool_, complex: dtypes.complex128}


def to_dtype(op: str, dtype: Any) -> dtypes.dtype:
    """The dtype that `dtype=` names: a dtype, or Python's float, int, bool, complex."""
    if dtype.__class__ is dtypes.dtype:
        return dtype
    found = _PYTHON_KINDS.get(dtype) if isinstance(dtype, type) else None
    if found is None:
        raise TypeError(f"{op}(): argument 'dtype' must be torch.dtype, not {type(dtype).__name__}")
    return found


def finish(a: Any, place: Device, requires_grad: bool) -> Tensor:
    """A Tensor over `a`, moved to the device when it is a host array for cuda."""
    if place is not CPU and cuda_index(a) is None:
        a = to_device(np.ascontiguousarray(a).reshape(a.shape), place)
    t = wrap(a, place)
    if requires_grad:
        t.requires_grad_()
    return t


# ------------------------------------------------------------------------------------------------- from Python's data


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A new tensor with a copy of `data`.

    Arguments:
        data: a number, nested sequences of numbers (0-dim tensors and NumPy's scalars among them), an array, a tensor.
        dtype: default: bool, int64, the default float or complex for Python's numbers, the dtype of arrays.
        device: default: that of a tensor, else the default device.
        requires_grad: record operations on it.
        pin_memory: accepted; without effect on the CPU.

    Raises:
        ValueError: sequences of different lengths, or of strings. RuntimeError: things that are no numbers, and numbers
        that the dtype can't hold.

    >>> import tritorch as torch
    >>> torch.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    kind = None if dtype is None else to_dtype("tensor", dtype)
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            UserWarning,
            stacklevel=2,
        )
        place = data.device if device is None else to_place(device)
        made = data.detach().to(device=place, dtype=kind or data.dtype, copy=True)
        return made.requires_grad_() if requires_grad else made
    place = to_place(device)
    if data.__class__ is np.ndarray or isinstance(data, np.ndarray):
        a = np.array(_checked("tensor", data), copy=True, order="K")
        return finish(a if kind is None else a.astype(kind.np), place, requires_grad)
    t = finish(from_data(data, kind), place, requires_grad)
    return t


def from_data(data: Any, kind: dtypes.dtype | None) -> np.ndarray:
    """A new array from a number or nested sequences; `kind` None infers the dtype."""
    simple = data.__class__
    if simple is float or simple is int or simple is bool:
        shape: list[int] = []
        leaves = [data]
        classes: set[type] = {simple}
    elif hasattr(data, "__array_interface__") and not isinstance(data, np.generic):
        a = np.array(_checked("tensor", np.asarray(data)))
        return a if kind is None else a.astype(kind.np)
    else:
        shape, leaves, classes = _flatten(data)
    if not classes <= _PLAIN:
        leaves, classes, found = _plain_leaves(leaves, classes)
    else:
        found = None
    if kind is None:
        kind = found
        if classes or kind is None:
            here = dtypes.get_default_dtype() if not classes else _joint(classes)
            kind = here if kind is None else dtypes.promote_types(kind, here)
    return _to_array(leaves, classes, kind).reshape(shape)


_PLAIN = {float, int, bool, complex}


def _joint(classes: set[type]) -> dtypes.dtype:
    """The dtype of a mixture of Python's numbers."""
    if complex in classes:
        return dtypes.get_default_dtype().to_complex()
    if float in classes:
        return dtypes.get_default_dtype()
    return dtypes.int64 if int in classes else dtypes.bool_


def _flatten(data: Any) -> tuple[list[int], list[Any], set[type]]:
    """(shape, leaves in C order, their classes) of nested sequences; the shape is that of the first elements."""
    shape: list[int] = []
    level = [data]
    while True:
        first = level[0]
        if not _is_sequence(first):
            if isinstance(first, (str, bytes)):
                raise _not_a_number(first, len(shape))
            break
        n = len(first)
        for item in level:
            if not _is_sequence(item):
                raise TypeError(f"tensor: not a sequence: expected {n} elements at dim {len(shape)}; got {item!r}")
            if len(item) != n:
                if n == 0:
                    continue  # a first element without elements decides: there are none
                raise ValueError(f"expected sequence of length {n} at dim {len(shape)} (got {len(item)})")
        shape.append(n)
        if n == 0:
            return shape, [], set()
        level = list(itertools.chain.from_iterable(level))
    return shape, level, set(map(type, level))


def _is_sequence(x: Any) -> bool:
    if x.__class__ is list or x.__class__ is tuple:
        return True
    if x.__class__ in _PLAIN or isinstance(x, (str, bytes, Tensor, np.generic, dict, set, frozenset)):
        return False
    return hasattr(x, "__len__") and hasattr(x, "__getitem__")


def _not_a_number(x: Any, depth: int) -> Exception:
    kind = type(x).__name__
    if isinstance(x, (str, bytes)):
        if depth:
            return ValueError(f"too many dimensions '{kind}'")
        return TypeError(f"new(): invalid data type '{kind}'")
    return RuntimeError(f"Could not infer dtype of {kind}")


def _plain_leaves(leaves: list[Any], classes: set[type]) -> tuple[list[Any], set[type], dtypes.dtype | None]:
    """Leaves with NumPy's scalars and tensors of one element as Python numbers, the classes of those that were plain,
    and the joint dtype of the others."""
    plain: set[type] = set()
    joint: dtypes.dtype | None = None
    numbers: list[Any] = []
    for x in leaves:
        cls = x.__class__
        if cls in _PLAIN:
            plain.add(cls)
            numbers.append(x)
            continue
        if isinstance(x, Tensor):
            if x.numel() != 1:
                raise ValueError(
                    f"only one element tensors can be converted to Python scalars; got shape {tuple(x.shape)}"
                )
            here = x.dtype
            numbers.append(x.item())
        elif isinstance(x, np.generic):
            here = dtypes.from_numpy_dtype(x.dtype, "tensor")
            numbers.append(float(x) if here is dtypes.bfloat16 else x.item())
        elif isinstance(x, (bool, int, float, complex)):
            base: Any = next(c for c in (bool, int, float, complex) if isinstance(x, c))
            plain.add(base)
            numbers.append(base(x))
            continue
        elif _is_sequence(x):
            raise TypeError(f"tensor: '{cls.__name__}' object cannot be interpreted as a number, as its neighbours are")
        else:
            raise _not_a_number(x, 1)
        joint = here if joint is None else dtypes.promote_types(joint, here)
    return numbers, plain, joint


def _to_array(leaves: list[Any], classes: set[type], kind: dtypes.dtype) -> np.ndarray:
    """One dim of numbers in the dtype; RuntimeError for numbers that an integer dtype can't hold."""
    if kind.category == dtypes.INT:
        return _to_integers(leaves, classes, kind)
    if kind.category == dtypes.BOOL:
        return np.array([bool(x) for x in leaves], np.bool_)
    if kind.category == dtypes.FLOAT:
        if complex in classes or any(x.__class__ is complex for x in leaves):
            raise TypeError("tensor: must be real number, not complex")
        with np.errstate(over="ignore"):
            a = np.array(leaves, np.float64)
            if kind.is_half:
                a = a.astype(np.float32)  # PyTorch rounds through float32
            return a.astype(kind.np, copy=False)
    with np.errstate(over="ignore"):
        return np.array(leaves, np.complex128).astype(kind.np, copy=False)


def _to_integers(leaves: list[Any], classes: set[type], kind: dtypes.dtype) -> np.ndarray:
    if complex in classes:
        raise TypeError("tensor: must be real number, not complex")
    try:
        whole = [int(x) for x in leaves] if classes - {int} else leaves
        a = np.array(whole, np.int64)
    except OverflowError:
        if any(x.__class__ is float for x in leaves):
            raise RuntimeError(f"value cannot be converted to type {kind.name} without overflow") from None
        raise ValueError(
            f"Overflow when unpacking long long: integers must be in [-2^63, 2^63); got {max(leaves, key=abs)}"
        ) from None
    except ValueError:  # int(nan)
        raise RuntimeError(f"value cannot be converted to type {kind.name} without overflow: nan") from None
    if kind is dtypes.int64:
        return a
    info = np.iinfo(kind.np)
    low = -int(info.max) if kind is dtypes.uint8 else int(info.min)  # PyTorch lets negative numbers wrap around
    if a.size and (a.max() > info.max or a.min() < low):
        wrong = a[(a > info.max) | (a < low)][0]
        raise RuntimeError(f"value cannot be converted to type {kind.name} without overflow: {wrong}")
    return a.astype(kind.np)


def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A 0-dim tensor with the number `s`, of the default float dtype unless `dtype` says otherwise."""
    kind = dtypes.get_default_dtype() if dtype is None else to_dtype("scalar_tensor", dtype)
    return finish(from_data(s, kind), to_place(device), requires_grad)


# ---------------------------------------------------------------------------------------------------- sharing memory


def _checked(op: str, a: np.ndarray) -> np.ndarray:
    """The array if a tensor can lie over it; else TypeError or ValueError."""
    if a.dtype not in dtypes.FROM_NP:
        if a.dtype.newbyteorder("=") in dtypes.FROM_NP:
            raise ValueError(
                f"{op}: given numpy array has byte order different from the native byte order ({a.dtype.str}). "
                "Conversion between byte orders is currently not supported."
            )
        names = ", ".join(d.name for d in dtypes.ALL)
        raise TypeError(
            f"{op}: can't convert np.ndarray of type numpy.{a.dtype.type.__name__}. "
            f"The only supported types are: {names}."
        )
    item = a.dtype.itemsize
    for s in a.strides:
        if s < 0:
            raise ValueError(
                f"{op}: At least one stride in the given numpy array is negative (strides {a.strides}), and tensors "
                "with negative strides are not currently supported. Make a copy of your array with array.copy()."
            )
        if s % item:
            raise ValueError(
                f"{op}: given numpy array strides {a.strides} not a multiple of the element byte size {item}"
            )
    return a


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor over the memory of a NumPy array: each sees the other's changes.

    Raises:
        TypeError: not an array, or of a dtype that tensors don't have. ValueError: negative strides, foreign bytes.

    >>> import numpy as np, tritorch as torch
    >>> a = np.zeros(2)
    >>> t = torch.from_numpy(a)
    >>> a[0] = 5
    >>> t
    tensor([5., 0.], dtype=torch.float64)
    """
    if not isinstance(ndarray, np.ndarray):
        kind = type(ndarray)
        name = f"numpy.{kind.__name__}" if kind.__module__ == "numpy" else kind.__name__
        raise TypeError(f"expected np.ndarray (got {name})")
    a = _checked("from_numpy", ndarray)
    if not a.flags.writeable:
        _warn_read_only("NumPy array")
    return wrap(a if a.__class__ is np.ndarray else a.view(np.ndarray))


def _warn_read_only(what: str) -> None:
    warnings.warn(
        f"The given {what} is not writable; writing to the tensor raises an error. Copy it for a tensor of your own.",
        UserWarning,
        stacklevel=3,
    )


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor: itself, sharing an array's memory, or a copy where dtype or device differ or it is a list."""
    kind = None if dtype is None else to_dtype("as_tensor", dtype)
    if isinstance(data, Tensor):
        if (kind is None or kind is data.dtype) and (device is None or to_place(device) is data.device):
            return data
        return data.to(device=data.device if device is None else to_place(device), dtype=kind or data.dtype)
    place = to_place(device)
    shared = _array_of(data)
    if shared is None:
        return finish(from_data(data, kind), place, False)
    a = _checked("as_tensor", shared)
    return finish(a if kind is None else a.astype(kind.np, copy=False), place, False)


def _array_of(data: Any) -> np.ndarray | None:
    """The NumPy array that shares the memory of an array-like object; None for anything else."""
    if isinstance(data, np.ndarray):
        return data.view(np.ndarray)
    if isinstance(data, np.generic) or data.__class__ in _PLAIN or isinstance(data, (list, tuple)):
        return None
    return np.asarray(data) if hasattr(data, "__array_interface__") else None


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool | None = None
) -> Tensor:
    """`obj` as a tensor, by the rules of the Python array API standard.

    Arguments:
        obj: a tensor, an array, an object with DLPack or the buffer protocol, a number, nested sequences.
        dtype, device: default: those of `obj`.
        copy: True always copies, False never does (ValueError where it must), None copies where it must.
        requires_grad: of the result; default: that of a tensor, False otherwise.
    """
    kind = None if dtype is None else to_dtype("asarray", dtype)
    if isinstance(obj, Tensor):
        t = obj
    else:
        a = _array_of(obj)
        if a is not None:
            t = wrap(_checked("asarray", a))
        elif hasattr(obj, "__dlpack__"):
            t = from_dlpack(obj)
        elif isinstance(obj, (bytearray, memoryview, bytes)):
            t = frombuffer(obj, dtype=kind or dtypes.get_default_dtype())
        else:
            if copy is False:
                raise ValueError("can't alias arbitrary sequence into a tensor.")
            t = finish(from_data(obj, kind), to_place(device), False)
            copy = None
    place = t.device if device is None else to_place(device)
    kind = kind or t.dtype
    if copy is False and (kind is not t.dtype or place is not t.device):
        raise ValueError(f"can't alias tensor with dtype {t.dtype} on {t.device} into dtype {kind} on {place}.")
    track = (isinstance(obj, Tensor) and obj.requires_grad) if requires_grad is None else requires_grad
    if isinstance(obj, Tensor) and not track and obj.requires_grad:
        t = t.detach()
    if copy or kind is not t.dtype or place is not t.device:
        t = t.to(device=place, dtype=kind, copy=bool(copy))
    if track and not t.requires_grad:
        t.requires_grad_()
    return t


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A tensor of one dim over an object with the buffer protocol.

    Arguments:
        buffer: bytearray, memoryview, mmap, array.array ...; shared.
        dtype: of the elements.
        count: number of elements; negative: all that follow.
        offset: bytes to skip at the start.
    """
    kind = to_dtype("frombuffer", dtype)
    try:
        size = memoryview(buffer).nbytes
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    item = kind.itemsize
    if size == 0 or count == 0:
        raise ValueError(f"both buffer length ({size}) and count ({count}) must not be 0")
    if not 0 <= offset < size:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({size} bytes) minus 1"
        )
    if count < 0:
        if (size - offset) % item:
            raise ValueError(
                f"buffer length ({size - offset} bytes) after offset ({offset} bytes) must be a multiple of element "
                f"size ({item})"
            )
        count = (size - offset) // item
    elif count * item > size - offset:
        raise ValueError(
            f"requested buffer length ({count} * {item} bytes) after offset ({offset} bytes) must not be greater than "
            f"actual buffer length ({size} bytes)"
        )
    a = np.frombuffer(buffer, np.uint8, count * item, offset).view(kind.np)
    if not a.flags.writeable:
        _warn_read_only("buffer")
    return finish(a, CPU, requires_grad)


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of another library's array, by the DLPack protocol.

    Arguments:
        ext_tensor: an object with `__dlpack__` and `__dlpack_device__`.
        device, copy: default: where it is, shared.
    """
    if isinstance(ext_tensor, Tensor):
        t = ext_tensor.detach()
    elif not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(message("from_dlpack", "needs an object with __dlpack__", ext_tensor=type(ext_tensor).__name__))
    else:
        kind, index = ext_tensor.__dlpack_device__()
        if int(kind) in (1, 3):
            t = wrap(_checked("from_dlpack", np.from_dlpack(ext_tensor)))
        elif int(kind) in (2, 13):
            place = resolve(Device("cuda", int(index)))
            t = wrap(backend().from_dlpack(ext_tensor, place.index), place)
        else:
            raise RuntimeError(f"from_dlpack: device type {kind} is neither the CPU nor cuda")
    if device is not None and to_place(device) is not t.device:
        if copy is False:
            raise ValueError(f"from_dlpack: can't move from {t.device} to {device} without a copy")
        return t.to(to_place(device))
    return t.clone() if copy else t


@method
def new_tensor(
    input: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **ignored: Any
) -> Tensor:
    """A new tensor with a copy of `data`, by default of this tensor's dtype and device."""
    return tensor(
        data, dtype=dtype or input.dtype, device=input.device if device is None else device, requires_grad=requires_grad
    )
