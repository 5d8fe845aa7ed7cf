"""New tensors by shape: zeros, ones, full, empty, eye, and their `_like` and `new_` forms.

All take `dtype=`, `device=`, `requires_grad=` and `out=` as in PyTorch. `layout=`, `pin_memory=` and
`memory_format=` are accepted: there is one layout, and no memory to pin on the CPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..binding import dtype_for, method, write_out
from ..device import CPU, as_strided, constant, on_device
from ..device import device as Device
from ..device import empty as device_empty
from ..tensor import Tensor, wrap
from .conversion import finish, from_data, to_dtype, to_place

__all__ = [
    "empty", "empty_like", "empty_permuted", "empty_strided", "eye", "full", "full_like", "ones", "ones_like", "zeros",
    "zeros_like",
]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- sizes


def to_size(op: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape given as `f(2, 3)` or `f((2, 3))`; TypeError unless all are ints, RuntimeError for negative ones."""
    if len(size) == 1 and size[0].__class__ is not int:
        first = size[0]
        if isinstance(first, (tuple, list)):
            size = tuple(first)
    elif len(size) > 1 and isinstance(size[0], (tuple, list)):
        raise TypeError(f"{op}() takes 1 positional argument but {len(size)} were given")
    for s in size:
        if s.__class__ is not int:
            size = tuple([_to_int(op, "size", x) for x in size])
            break
    for s in size:
        if s < 0:
            raise RuntimeError(f"{op}: Trying to create tensor with negative dimension {s}: {list(size)}")
    return size


def _to_int(op: str, name: str, value: Any) -> int:
    if not isinstance(value, bool):
        try:
            return value.__index__()
        except (AttributeError, TypeError):
            pass
    expected = "tuple of ints" if name == "size" else "int"
    raise TypeError(f"{op}(): argument '{name}' (position 1) must be {expected}, not {type(value).__name__}")


def _size_of(op: str, size: tuple[Any, ...], more: dict[str, Any]) -> tuple[int, ...]:
    """The shape, also from the keyword `size=`; the other keywords must be the ones that need nothing done."""
    if "size" in more and not size:
        size = (more.pop("size"),)
    elif not size:
        raise TypeError(f'{op}() missing 1 required positional arguments: "size"')
    if more:
        check_ignored(op, more)
    return to_size(op, size)


_IGNORED = ("layout", "pin_memory", "memory_format", "names")


def check_ignored(op: str, more: dict[str, Any]) -> None:
    """TypeError for a keyword that is none of those that are accepted without effect."""
    for name in more:
        if name not in _IGNORED:
            raise TypeError(f"{op}() got an unexpected keyword argument '{name}'")


def kind_for(op: str, dtype: Any, out: Tensor | None) -> dtypes.dtype:
    """The dtype to make: the one asked for, that of out, or the default float."""
    if out is None:
        return dtypes.get_default_dtype() if dtype is None else to_dtype(op, dtype)
    if not isinstance(out, Tensor):
        raise TypeError(f"{op}: out must be a Tensor; got {type(out).__name__}")
    return dtype_for(op, None if dtype is None else to_dtype(op, dtype), out)


# -------------------------------------------------------------------------------------------------------- the arrays


def empty_array(shape: tuple[int, ...], kind: dtypes.dtype, place: Device) -> Any:
    """Uninitialised memory."""
    if place is CPU:
        return np.empty(shape, kind.np)
    return device_empty(shape, kind.np, place)


def _full(shape: tuple[int, ...], value: Any, np_dtype: Any) -> np.ndarray:
    """np.full; of a large array a piece is filled and copied, which is faster than to write number by number."""
    a = np.empty(shape, np_dtype)
    flat = a.reshape(-1)
    whole = a.size - a.size % _PIECE
    if whole > 8 * _PIECE:
        piece = flat[:_PIECE]
        piece[...] = value
        flat[_PIECE:whole].reshape(-1, _PIECE)[...] = piece
        flat = flat[whole:]
    flat[...] = value
    return a


_PIECE = 4096


def _filled(shape: tuple[int, ...], value: Any, kind: dtypes.dtype, place: Device) -> Any:
    if place is CPU:
        return np.zeros(shape, kind.np) if value == 0 else _full(shape, value, kind.np)
    if kind.is_complex:
        return constant(np.full(shape, value, kind.np), place)
    a = device_empty(shape, kind.np, place)
    if a.size:
        from ..kernels._pointwise import fill

        with on_device(place.index):
            fill(a, value)
    return a


def _make(
    op: str, shape: tuple[int, ...], value: Any, dtype: Any, device: Any, requires_grad: bool, out: Tensor | None
) -> Tensor:
    kind = kind_for(op, dtype, out)
    place = to_place(device) if out is None else out.device
    t = wrap(_filled(shape, value, kind, place), place)
    if out is not None:
        write_out(op, t, out, warn=False)
        return out
    if requires_grad:
        t.requires_grad_()
    return t


def zeros(
    *size: Any,
    out: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **more: Any,
) -> Tensor:
    """A tensor of zeros.

    Arguments:
        size: the shape, as ints or one sequence.
        dtype: default: the default float.

    >>> import tritorch as torch
    >>> torch.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return _make("zeros", _size_of("zeros", size, more), 0, dtype, device, requires_grad, out)


def ones(
    *size: Any,
    out: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **more: Any,
) -> Tensor:
    """A tensor of ones; arguments as in `zeros`."""
    return _make("ones", _size_of("ones", size, more), 1, dtype, device, requires_grad, out)


def empty(
    *size: Any,
    out: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **more: Any,
) -> Tensor:
    """A tensor with whatever is in its memory; arguments as in `zeros`."""
    shape = _size_of("empty", size, more)
    kind = kind_for("empty", dtype, out)
    place = to_place(device) if out is None else out.device
    t = wrap(empty_array(shape, kind, place), place)
    if out is not None:
        write_out("empty", t, out, warn=False)
        return out
    return t.requires_grad_() if requires_grad else t


def full(
    size: Any, fill_value: Any, *, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """A tensor with one value everywhere.

    Arguments:
        size: the shape, a sequence of ints.
        fill_value: a number or a 0-dim tensor.
        dtype: default: that of the value (bool, int64, the default float or complex).
    """
    check_ignored("full", more)
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}")
    value, kind = _number("full", fill_value)
    if dtype is not None:
        kind = to_dtype("full", dtype)
    elif out is not None:
        kind = out.dtype
    return _make("full", to_size("full", (size,)), _fit("full", value, kind), kind, device, requires_grad, out)


def _number(op: str, value: Any) -> tuple[Any, dtypes.dtype]:
    """(Python number, its dtype) of a number or a 0-dim tensor."""
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    if isinstance(value, (bool, int, float, complex, np.generic)):
        return value, dtypes.scalar_dtype(value)
    raise TypeError(f"{op}(): argument 'fill_value' (position 2) must be Number, not {type(value).__name__}")


def _fit(op: str, value: Any, kind: dtypes.dtype) -> Any:
    """The value as the dtype holds it; RuntimeError where it can't."""
    if isinstance(value, complex) and not kind.is_complex:
        if value.imag:
            raise RuntimeError(f"{op}: value cannot be converted to type {kind.name} without overflow: {value}")
        value = float(value.real)
    return from_data(value, kind)[()] if kind is not dtypes.bfloat16 else float(value)  # type: ignore[arg-type]


def eye(
    n: int, m: int | None = None, *, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Ones on the diagonal of an (n, m) matrix; m defaults to n."""
    check_ignored("eye", more)
    n = _to_int("eye", "n", n)
    m = n if m is None else _to_int("eye", "m", m)
    for name, value in (("n", n), ("m", m)):
        if value < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {value}")
    a = np.eye(n, m, dtype=kind_for("eye", dtype, out).np)
    return deliver("eye", a, device, requires_grad, out)


def deliver(op: str, a: np.ndarray, device: Any, requires_grad: bool, out: Tensor | None, warn: bool = False) -> Tensor:
    """A host array as a tensor on the device, or written into `out` (see `write_out`)."""
    place = to_place(device) if out is None else out.device
    if place is not CPU:
        a = constant(np.ascontiguousarray(a).reshape(a.shape), place)
    if out is None:
        return finish(a, place, requires_grad)
    write_out(op, finish(a, place, False), out, warn)
    return out


# ------------------------------------------------------------------------------------------------ like another tensor


def like_array(op: str, input: Any, dtype: Any, device: Any) -> tuple[Any, dtypes.dtype, Device]:
    """(uninitialised array of input's shape and, where it is dense, strides; dtype; device)."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{op}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    kind = input.dtype if dtype is None else to_dtype(op, dtype)
    place = input.device if device is None else to_place(device)
    if place is CPU and input.device is CPU:
        a = input._a
        if a.flags.c_contiguous:
            return np.empty(a.shape, kind.np), kind, place
        expanded = any(s == 0 and n > 1 for s, n in zip(a.strides, a.shape))
        return np.empty_like(a, kind.np, order="C" if expanded else "K", subok=False), kind, place
    return empty_array(tuple(input._a.shape), kind, place), kind, place


def _like(op: str, input: Any, value: Any, dtype: Any, device: Any, requires_grad: bool, more: dict) -> Tensor:
    if more:
        check_ignored(op, more)
    if dtype is None and device is None and input.__class__ is Tensor and input.device is CPU and not requires_grad:
        source = input._a
        if source.flags.c_contiguous and value.__class__ is int and 0 <= value <= 1:  # zeros_like, ones_like
            return wrap((np.ones if value else np.zeros)(source.shape, source.dtype))
    a, kind, place = like_array(op, input, dtype, device)
    if value is not None:
        value = _fit(op, value, kind)
        if place is CPU:
            a.fill(value)
        else:
            a = _filled(tuple(a.shape), value, kind, place)
    t = wrap(a, place)
    return t.requires_grad_() if requires_grad else t


def zeros_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **more: Any
) -> Tensor:
    """Zeros of the shape, dtype and device of `input`, unless others are given."""
    return _like("zeros_like", input, 0, dtype, device, requires_grad, more)


def ones_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **more: Any
) -> Tensor:
    """Ones of the shape, dtype and device of `input`, unless others are given."""
    return _like("ones_like", input, 1, dtype, device, requires_grad, more)


def empty_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **more: Any
) -> Tensor:
    """Uninitialised memory of the shape, dtype and device of `input`, unless others are given."""
    return _like("empty_like", input, None, dtype, device, requires_grad, more)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **more: Any
) -> Tensor:
    """One value everywhere, in the shape, dtype and device of `input`, unless others are given."""
    value, _ = _number("full_like", fill_value)
    return _like("full_like", input, value, dtype, device, requires_grad, more)


def empty_strided(
    size: Any, stride: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **more: Any
) -> Tensor:
    """Uninitialised memory with the given steps between neighbours along each dim, in elements."""
    check_ignored("empty_strided", more)
    shape = to_size("empty_strided", (tuple(size),))
    steps = tuple(stride)
    if len(shape) != len(steps):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(steps)})"
        )
    if any(s < 0 for s in steps):
        raise RuntimeError(
            f"empty_strided: strides must not be negative: sizes={list(shape)} and strides={list(steps)}"
        )
    kind = kind_for("empty_strided", dtype, None)
    place = to_place(device)
    count = 0 if 0 in shape else 1 + sum((n - 1) * s for n, s in zip(shape, steps))
    memory = empty_array((count,), kind, place)
    a = as_strided(memory, shape, tuple(s * kind.itemsize for s in steps)) if count else memory.reshape(shape)
    t = wrap(a, place)
    return t.requires_grad_() if requires_grad else t


def empty_permuted(
    size: Any, physical_layout: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **more: Any
) -> Tensor:
    """Uninitialised dense memory with the dims in the order of `physical_layout`, the outermost first."""
    shape, order = to_size("empty_permuted", (tuple(size),)), tuple(physical_layout)
    if sorted(order) != [*np.arange(len(shape))]:
        raise RuntimeError(
            f"empty_permuted: physical_layout must name each dim of size {list(shape)} once; got {order}"
        )
    steps, step = [0] * len(shape), 1
    for d in reversed(order):
        steps[d] = step
        step *= max(shape[d], 1)
    return empty_strided(shape, steps, dtype=dtype, device=device, requires_grad=requires_grad, **more)


# ------------------------------------------------------------------------------------------------- methods of tensors


def _new(name: str, factory: Any) -> None:
    def new(input: Tensor, *size: Any, dtype: Any = None, device: Any = None, **more: Any) -> Tensor:
        return factory(*size, dtype=dtype or input.dtype, device=input.device if device is None else device, **more)

    new.__name__ = new.__qualname__ = name
    new.__doc__ = f"`{factory.__name__}` with this tensor's dtype and device unless others are given."
    method(new)


for _name, _factory in (
    ("new_zeros", zeros), ("new_ones", ones), ("new_empty", empty), ("new_full", full),
    ("new_empty_strided", empty_strided),
):  # fmt: skip
    _new(_name, _factory)
