"""x[key] and x[key] = v: what PyTorch makes of a key, and writing through one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._capture import CAPTURES, refuse
from ..autograd import inplace as _inplace
from ..autograd.apply import mixed_devices
from ..autograd.graph import make_view
from ..autograd.modes import STATE
from ..binding import alias, overwrite
from ..device import CPU, constant, empty, on_device
from ..dtypes import bool_, uint8
from ..errors import message
from ..kernels import _indexed
from ..kernels import index as _index
from ..kernels._gather import of_mask
from ..kernels._index_range import out_of_range
from ..kernels._pointwise import fill
from ..kernels._shapes import broadcast_shapes
from ..kernels.copy import cast
from ..kernels.view import slice_ as _slice
from ..tensor import TENSORS, Tensor, host, wrap

__all__: list[str] = []


def _basic(x: Tensor, key: tuple) -> Tensor:
    """x[key] for a key of integers, slices and None with an Ellipsis: a view."""
    a = x._a
    return make_view(_slice, x, a[key], (key,), (a.shape, key))


def _plain(x: Tensor, key: Any) -> Tensor | None:
    """x[key] for a key of ints, None, Ellipsis and slices forwards that is in order: NumPy reads those as PyTorch does."""
    items = key if key.__class__ is tuple else (key,)
    dots = False
    for k in items:
        kind = k.__class__
        if k is Ellipsis:
            dots = True
        elif kind is slice:
            if k.step is not None and (k.step.__class__ is not int or k.step <= 0):
                return None
        elif kind is not int and k is not None:
            return None
    if not dots:
        items += (...,)
    a = x._a
    try:
        return make_view(_slice, x, a[items], (items,), (a.shape, items))
    except (IndexError, TypeError):
        return None  # `_parse` says what is wrong


def _getitem(self: Tensor, key: Any) -> Tensor:
    view = _plain(self, key)
    if view is not None:
        return view
    basic, advanced = _parse(self, key)
    view = self if basic is None else _basic(self, basic)
    return view if advanced is None else _index.index(view, advanced)


def _parse(x: Tensor, key: Any) -> tuple[tuple | None, tuple | None]:
    """Split a key as PyTorch does: first integers, slices and None (a view), then index arrays on the view's dims.

    Returns (basic key or None, tuple of full slices and index arrays or None).
    """
    items: list[Any] = list(key) if isinstance(key, tuple) else [key]
    if isinstance(key, list):
        items = (
            [key]
            if not any(isinstance(k, (slice, list, Tensor)) or k is None or k is Ellipsis for k in key)
            else list(key)
        )
    n = x._a.ndim
    shape = x._a.shape
    used = dots = 0
    for k in items:
        if k.__class__ in TENSORS:
            if k.device is not CPU and k.device is not x.device:
                rule = f"indices should be either on cpu or on the same device as the indexed tensor ({x.device})"
                raise RuntimeError(message("index", f"{rule}; got one on {k.device}", self=x, index=k))
            used += k._a.ndim if k.dtype is bool_ or k.dtype is uint8 else 1
        elif k is Ellipsis:
            dots += 1
        elif k is None or k is True or k is False:
            continue
        elif isinstance(k, np.ndarray) and k.dtype.kind == "b":
            used += k.ndim
        elif isinstance(k, (list, tuple)) and _is_mask(k):
            used += np.ndim(k)
        else:
            used += 1
    if used > n:
        raise IndexError(f"too many indices for tensor of dimension {n}")
    if dots > 1:  # the first one stands for all dims left over, as in PyTorch
        first_one = next(i for i, k in enumerate(items) if k is Ellipsis)
        items = [k for i, k in enumerate(items) if k is not Ellipsis or i == first_one]
    basic: list = []
    advanced: list = []  # one entry per dim of the view
    dim = 0
    some = False
    for k in items:
        kind = k.__class__
        if k is Ellipsis:
            skip = n - used
            basic += [slice(None)] * skip
            advanced += [slice(None)] * skip
            dim += skip
        elif k is None:
            basic.append(None)
            advanced.append(slice(None))
        elif kind is bool or kind is np.bool_:
            basic.append(None)
            advanced.append(np.zeros(1 if k else 0, np.int64))
            some = True
        elif kind is slice:
            k = slice(*[v if v is None or v.__class__ is int else _as_int(v) for v in (k.start, k.stop, k.step)])
            if k.step is not None and k.step <= 0:
                raise ValueError("step must be greater than zero")
            basic.append(k)
            advanced.append(slice(None))
            dim += 1
        elif (
            kind is int
            or isinstance(k, (int, np.integer))
            or (isinstance(k, Tensor) and k._a.ndim == 0 and k.dtype.category == 1 and k.dtype is not uint8)
        ):
            i, size = int(k), shape[dim]
            if not -size <= i < size:
                raise IndexError(f"index {i} is out of bounds for dimension {dim} with size {size}")
            basic.append(i)
            dim += 1
        else:
            array = _index_array(k)
            if CAPTURES and isinstance(k, Tensor) and k.device is CPU and x.device is not CPU:
                refuse("an index on the CPU", "copy it to the device before the capture")
            some = True
            if array.dtype.kind == "b" or isinstance(k, Tensor) and k.dtype is uint8:
                if array.ndim == 0:
                    basic.append(None)
                    advanced.append(np.zeros(int(bool(k)), np.int64))
                    continue
                for j, (have, want) in enumerate(zip(array.shape, shape[dim : dim + array.ndim], strict=True)):
                    if have != want:
                        raise IndexError(
                            f"The shape of the mask {list(array.shape)} at index {j} does not match the shape of the indexed "
                            f"tensor {list(shape)} at index {dim + j}"
                        )
                for part in _of_mask(k, array):
                    basic.append(slice(None))
                    advanced.append(part)
                dim += array.ndim
            else:
                size = shape[dim]
                bad = out_of_range(array, size, -size)
                if bad is not None:
                    raise IndexError(f"index {bad} is out of bounds for dimension {dim} with size {size}")
                basic.append(slice(None))
                advanced.append(array)
                dim += 1
    trivial = all(k.__class__ is slice and k == slice(None) for k in basic) and len(basic) <= n
    first = None if trivial and some else (*basic, ...)
    if not some:
        return first if first is not None else (...,), None
    arrays = [k for k in advanced if k.__class__ is not slice]
    try:
        if len(arrays) > 1:
            broadcast_shapes(*[k.shape for k in arrays])
    except ValueError:
        raise IndexError(
            "shape mismatch: indexing tensors could not be broadcast together with shapes "
            + ", ".join(str(list(k.shape)) for k in arrays)
        ) from None
    while advanced and advanced[-1].__class__ is slice:
        advanced.pop()
    return first, tuple(advanced)


def _as_int(v: Any) -> int:
    try:
        return v.__index__()
    except AttributeError:
        raise TypeError(f"slice indices must be integers or None; got {type(v).__name__}") from None


def _is_mask(k: Any) -> bool:
    a = np.asarray(k) if not any(isinstance(v, Tensor) for v in k) else np.empty(0)
    return a.dtype.kind == "b"


def _of_mask(k: Any, mask: Any) -> tuple[Any, ...]:
    """The index arrays of a mask, made where it is."""
    if isinstance(k, Tensor) and k.device is not CPU:
        with on_device(k.device.index):
            return of_mask(mask)
    return _indexed.places_of(mask)


def _index_array(k: Any) -> Any:
    """The raw array of one index, on the device when it is there."""
    if isinstance(k, Tensor):
        array = k._a
    elif isinstance(k, (list, tuple, range)):
        array = np.asarray(
            [int(v) if isinstance(v, Tensor) and v._a.ndim == 0 else host(v) if isinstance(v, Tensor) else v for v in k]
        )
        if array.size == 0:
            array = array.astype(np.int64)
    elif isinstance(k, np.ndarray):
        array = k
    else:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got "
            f"{type(k).__name__})"
        )
    if array.dtype.kind not in "iub":
        raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors; got {array.dtype}")
    return array


def _setitem(self: Tensor, key: Any, value: Any) -> None:
    view, advanced = _plain(self, key), None
    if view is None:
        basic, advanced = _parse(self, key)
        view = self if basic is None else _basic(self, basic)
    _inplace.check(self, "__setitem__")
    if value.__class__ not in TENSORS:
        if advanced is None and self.device is CPU and isinstance(value, (int, float, bool)) and self._node is None:
            view._a[...] = _scalar(self, value)
            _inplace.bump(self)
            return
        value = wrap(np.asarray(value)) if not isinstance(value, (bool, int, float, complex)) else _full(self, value)
    if value.device is not self.device and value._a.ndim == 0:
        value = value.to(self.device)
    if advanced is None:
        extra = value._a.ndim - view._a.ndim
        if extra > 0 and value._a.shape[:extra] == (1,) * extra:
            value = value.reshape(value._a.shape[extra:])
        shape = view._a.shape
        try:
            fits = value._a.shape == shape or broadcast_shapes(value._a.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise RuntimeError(
                f"__setitem__: shape mismatch: value tensor of shape {list(value._a.shape)} cannot be broadcast to indexing "
                f"result of shape {list(shape)}"
            )
        view.copy_(value)
    else:
        _put_in_place(view, advanced, value, False, "__setitem__")


def _scalar(x: Tensor, value: Any) -> Any:
    if x.dtype.category == 1:
        return (
            np.asarray(value).astype(x._a.dtype)
            if isinstance(value, float) or not isinstance(value, int)
            else _wrapped(x, value)
        )
    return value


def _wrapped(x: Tensor, value: int) -> int:
    info = np.iinfo(x._a.dtype)
    if not info.min <= value <= info.max:
        raise RuntimeError(f"value cannot be converted to type {x.dtype} without overflow: {value}")
    return value


def _full(x: Tensor, value: Any, shape: tuple[int, ...] = ()) -> Tensor:
    """A number (or NumPy array) in the dtype and on the device of `x`; of a shape, all elements are the number."""
    a = np.asarray(value).astype(x._a.dtype)
    if x.device is CPU:
        return wrap(np.full(shape, a) if shape else a)
    if a.ndim:
        return wrap(constant(a, x.device), x.device)
    there = empty(shape, a.dtype, x.device)
    if there.size:
        with on_device(x.device.index):
            fill(there, float(a) if x.dtype.category == 2 else a.item())
    return wrap(there, x.device)


def _put_in_place(x: Tensor, key: tuple, value: Tensor, accumulate: bool, name: str) -> Tensor:
    """x[key] = value (or +=) for index arrays."""
    _inplace.check(x, name)
    if value.dtype is not x.dtype:
        value = cast(value, x.dtype)
    _check_put(x, key, value, name)
    if x.device is CPU and (not STATE.grad or (x._node is None and value._node is None)):
        if accumulate:
            _indexed.add(x._a, key, value._a)
        else:
            _indexed.write(x._a, key, value._a)
        _inplace.bump(x)
        if STATE.grad and x._view is not None:
            _inplace.rebase(x, None)
        return x
    return overwrite(x, _index.index_put(alias(x), value, key, accumulate), name)


def _check_put(x: Tensor, key: tuple, value: Tensor, name: str) -> None:
    if value.device is not x.device:
        raise mixed_devices(name, ("self", "values"), (x, value))
    if x._a.__class__ is np.ndarray and x._a.size < 4096:
        shape = x._a[key].shape
    else:  # index arrays of zeros stand for those on a device
        flat = tuple([k if k.__class__ is slice else np.broadcast_to(np.int64(0), k.shape) for k in key])
        shape = np.broadcast_to(np.empty(()), x._a.shape)[key if x.device is CPU else flat].shape
    have = value._a.shape
    try:
        fits = broadcast_shapes(have, shape) == shape or tuple(s for s in have if s != 1) == tuple(
            s for s in shape if s != 1
        )
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(
            f"{name}: shape mismatch: value tensor of shape {list(have)} cannot be broadcast to indexing result of shape {list(shape)}"
        )


Tensor.__getitem__ = _getitem  # type: ignore[attr-defined]
Tensor.__setitem__ = _setitem  # type: ignore[attr-defined]
