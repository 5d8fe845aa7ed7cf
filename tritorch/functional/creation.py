"""New tensors by shape: zeros, ones, full, empty, eye, ranges, and their `_like` and `new_` forms.

All take `dtype=`, `device=`, `requires_grad=` and `out=` as in PyTorch. `layout=`, `pin_memory=` and
`memory_format=` are accepted: there is one layout, and no memory to pin on the CPU.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..device import CPU, as_strided, on_device, to_device
from ..device import device as Device
from ..device import empty as device_empty
from ..errors import message
from ..kernels.rounding import fma64
from ..tensor import Tensor, method, wrap, write_out
from .conversion import finish, from_data, to_dtype, to_place

__all__ = [
    "arange", "empty", "empty_like", "empty_permuted", "empty_strided", "eye", "full", "full_like", "linspace",
    "logspace", "ones", "ones_like", "range", "zeros", "zeros_like",
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


def _kind_for(op: str, dtype: Any, out: Tensor | None) -> dtypes.dtype:
    if dtype is None:
        return dtypes.get_default_dtype() if out is None else out.dtype
    kind = to_dtype(op, dtype)
    if out is not None and out.dtype is not kind:
        raise RuntimeError(message(op, f"dtype {kind} does not match the dtype of out", out=out))
    return kind


# -------------------------------------------------------------------------------------------------------- the arrays


def empty_array(shape: tuple[int, ...], kind: dtypes.dtype, place: Device) -> Any:
    """Uninitialised memory."""
    if place is CPU:
        return np.empty(shape, kind.np)
    return device_empty(shape, kind.np, place)


def _filled(shape: tuple[int, ...], value: Any, kind: dtypes.dtype, place: Device) -> Any:
    if place is CPU:
        return np.zeros(shape, kind.np) if value == 0 else np.full(shape, value, kind.np)
    if kind.is_complex:
        return to_device(np.full(shape, value, kind.np), place)
    a = device_empty(shape, kind.np, place)
    if a.size:
        from ..kernels._pointwise import fill

        with on_device(place.index):
            fill(a, value)
    return a


def _make(
    op: str, shape: tuple[int, ...], value: Any, dtype: Any, device: Any, requires_grad: bool, out: Tensor | None
) -> Tensor:
    kind = _kind_for(op, dtype, out)
    place = to_place(device) if out is None else out.device
    t = wrap(_filled(shape, value, kind, place), place)
    if out is not None:
        write_out(op, t, out)
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
    kind = _kind_for("empty", dtype, out)
    place = to_place(device) if out is None else out.device
    t = wrap(empty_array(shape, kind, place), place)
    if out is not None:
        write_out("empty", t, out)
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
    a = np.eye(n, m, dtype=_kind_for("eye", dtype, out).np)
    return _deliver("eye", a, device, requires_grad, out)


def _deliver(op: str, a: np.ndarray, device: Any, requires_grad: bool, out: Tensor | None) -> Tensor:
    """A host array as a tensor on the device, or written into `out`."""
    if out is None:
        return finish(a, to_place(device), requires_grad)
    write_out(op, finish(a, out.device, False), out)
    return out


# ------------------------------------------------------------------------------------------------------------ ranges


def _bound(op: str, name: str, value: Any) -> Any:
    if isinstance(value, Tensor):
        if value.ndim and op != "arange":
            raise RuntimeError(f"{op} only supports 0-dimensional {name} tensors; got shape {tuple(value.shape)}")
        return value.item()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (bool, int, float, complex)):
        return value
    raise TypeError(f"{op}(): argument '{name}' must be Number, not {type(value).__name__}")


def arange(
    *bounds: Any,
    out: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **more: Any,
) -> Tensor:
    """`start + i * step` for all i up to `end`, which is left out.

    Arguments:
        start, end, step: `arange(end)`, `arange(start, end)` or `arange(start, end, step)`; start 0, step 1 by default.
        dtype: default: int64 when all are ints, else the default float.

    Raises:
        RuntimeError: step 0, step of the wrong sign, infinite or NaN bounds.

    >>> import tritorch as torch
    >>> torch.arange(1, 2, 0.5)
    tensor([1.0000, 1.5000])
    """
    alone = len(bounds) == 1 and "end" not in more
    given: dict[str, Any] = dict(zip(("end",) if alone else ("start", "end", "step"), bounds))
    for name in ("start", "end", "step"):
        if name in more:
            given[name] = more.pop(name)
    if more:
        check_ignored("arange", more)
    if "end" not in given or len(bounds) > 3:
        raise TypeError(
            f"arange() received an invalid combination of arguments - got {bounds}; expected end, or start, end, step"
        )
    start, end, step = (_bound("arange", n, given.get(n, d)) for n, d in (("start", 0), ("end", 0), ("step", 1)))
    if dtype is not None or out is not None:
        kind = _kind_for("arange", dtype, out)
    else:
        whole = all(isinstance(v, int) for v in (start, end, step))
        kind = dtypes.int64 if whole else dtypes.get_default_dtype()
    return _deliver("arange", _arange(start, end, step, kind), device, requires_grad, out)


def _arange(start: Any, end: Any, step: Any, kind: dtypes.dtype) -> np.ndarray:
    for v in (start, end, step):
        if isinstance(v, complex):
            raise RuntimeError(f"arange: value cannot be converted to type double without overflow: {v}")
    if kind.category in (dtypes.BOOL, dtypes.COMPLEX):
        raise NotImplementedError(f'"arange_cpu" not implemented for {kind}')
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if kind is dtypes.int64 and step and not int(step):
        raise ValueError(f"arange: step must be nonzero; {step} as int64 is 0")
    if not step:
        raise RuntimeError("arange: step must be nonzero")
    if (end - start) * (1 if step > 0 else -1) < 0:
        raise RuntimeError(
            f"arange: upper bound and lower bound inconsistent with step sign: start {start}, end {end}, step {step}"
        )
    if kind is dtypes.int64:
        start, end, step = int(start), int(end), int(step)
        return np.arange(start, end, step, dtype=np.int64)
    n = math.ceil((end - start) / step)
    if kind.category == dtypes.INT:
        return (int(start) + int(step) * np.arange(n)).astype(kind.np)
    return _float_range(float(start), float(step), n, kind)


_LANES = {2: 16, 4: 8, 8: 4}  # numbers that PyTorch computes at once, by the dtype's size


def _float_range(start: float, step: float, n: int, kind: dtypes.dtype) -> np.ndarray:
    """start + i step, rounded as PyTorch's vector code does: within a vector the steps count from its first number."""
    i = np.arange(n, dtype=np.float64)
    if kind.is_half:
        start, step = float(np.float32(start)), float(np.float32(step))
    single = np.float32 if kind.is_half else kind.np  # half precision is rounded through float32
    a = fma64(i, step, start).astype(single).astype(kind.np)
    lanes = _LANES[kind.itemsize]
    whole = n // (2 * lanes) * (2 * lanes)
    if whole:
        base = a[:whole:lanes].astype(np.float64)
        lane = np.arange(lanes, dtype=np.float64)
        a[:whole] = fma64(np.tile(lane, base.size), step, base.repeat(lanes)).astype(single)
    return a


def range(
    start: Any = 0, end: Any = None, step: Any = 1, *, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """`arange` with `end` included, of the default float; PyTorch calls it deprecated."""
    check_ignored("range", more)
    if end is None:
        start, end = 0, start
    kind = _kind_for("range", dtype, out)
    start, end, step = (_bound("range", n, v) for n, v in (("start", start), ("end", end), ("step", step)))
    if not step:
        raise RuntimeError("range: step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(f"range: upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    n = int((end - start) / step) + 1
    a = _float_range(float(start), float(step), n, kind) if kind.category == dtypes.FLOAT else None
    if a is None:
        a = (int(start) + int(step) * np.arange(n)).astype(kind.np)
    return _deliver("range", a, device, requires_grad, out)


def linspace(
    start: Any, end: Any, steps: int, *, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """`steps` numbers from `start` to `end`, both included, evenly spaced.

    Arguments:
        start, end: numbers or 0-dim tensors. steps: at least 0.
        dtype: default: the default float, or complex when one of them is.

    >>> import tritorch as torch
    >>> torch.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    check_ignored("linspace", more)
    start, end = _bound("linspace", "start", start), _bound("linspace", "end", end)
    kind = _spaced_kind("linspace", start, end, steps, dtype, out)
    return _deliver("linspace", _linspace(start, end, steps, kind), device, requires_grad, out)


def _spaced_kind(op: str, start: Any, end: Any, steps: Any, dtype: Any, out: Tensor | None) -> dtypes.dtype:
    if not isinstance(steps, (int, np.integer)) or isinstance(steps, bool):
        raise TypeError(f"{op}(): argument 'steps' (position 3) must be int, not {type(steps).__name__}")
    if steps < 0:
        raise RuntimeError(f"{op}: number of steps must be non-negative; got {steps}")
    kind = _kind_for(op, dtype, out)
    if isinstance(start, complex) or isinstance(end, complex):
        if dtype is None and out is None:
            kind = kind.to_complex()
        elif not kind.is_complex:
            raise RuntimeError(f"{op}: inferred dtype {kind.to_complex()} can't be safely cast to passed dtype {kind}")
    if kind is dtypes.bool_:
        raise NotImplementedError(f'"{op}_cpu" not implemented for {kind}')
    return kind


def _linspace(start: Any, end: Any, steps: int, kind: dtypes.dtype) -> np.ndarray:
    """The first half counts from the start, the second from the end."""
    if steps == 0:
        return np.empty(0, kind.np)
    if kind.category == dtypes.INT:
        start, end = int(start), int(end)
    if steps == 1:
        return np.array([start]).astype(kind.np)
    i = np.arange(steps, dtype=np.float64)
    half = steps // 2
    if kind.is_complex:
        step = (end - start) / (steps - 1)
        return np.where(i < half, start + step * i, end - step * (steps - 1 - i)).astype(kind.np)
    single = np.float64 if kind.itemsize == 8 else np.float32
    first, last = single(start), single(end)
    step = float((last - first) / single(steps - 1))
    a = np.empty(steps)
    a[:half] = fma64(i[:half], step, float(first))
    a[half:] = fma64(steps - 1 - i[half:], -step, float(last))
    a = a.astype(single)
    return (np.trunc(a) if kind.category == dtypes.INT else a).astype(kind.np)


def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, out: Tensor | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """`base` to the power of each number of `linspace(start, end, steps)`."""
    check_ignored("logspace", more)
    start, end = _bound("logspace", "start", start), _bound("logspace", "end", end)
    kind = _spaced_kind("logspace", start, end, steps, dtype, out)
    wide = dtypes.complex128 if kind.is_complex else dtypes.float64
    with np.errstate(all="ignore"):
        exponents = _linspace(start, end, steps, wide if kind.category != dtypes.INT else dtypes.float64)
        a = np.power(wide.np.type(base), exponents).astype(kind.np)
    return _deliver("logspace", a, device, requires_grad, out)


# ------------------------------------------------------------------------------------------------ like another tensor


def like_array(op: str, input: Any, dtype: Any, device: Any) -> tuple[Any, dtypes.dtype, Device]:
    """(uninitialised array of input's shape and, where it is dense, strides; dtype; device)."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{op}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    kind = input.dtype if dtype is None else to_dtype(op, dtype)
    place = input.device if device is None else to_place(device)
    if place is CPU and input.device is CPU:
        a = input._a
        expanded = any(s == 0 and n > 1 for s, n in zip(a.strides, a.shape))
        return np.empty_like(a, kind.np, order="C" if expanded else "K", subok=False), kind, place
    return empty_array(tuple(input._a.shape), kind, place), kind, place


def _like(op: str, input: Any, value: Any, dtype: Any, device: Any, requires_grad: bool, more: dict) -> Tensor:
    if more:
        check_ignored(op, more)
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
    kind = _kind_for("empty_strided", dtype, None)
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
