"""The slow way of an elementwise op: operands in the common dtype, the op on arrays of any kind, and its errors."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from .. import dtypes as dt
from ..device import CPU
from ..errors import message, shapes_differ
from ..kernels._blocks import LARGE, large
from ..kernels._halves import looked_up, through_float32
from ..kernels._op import OPS
from ..kernels.elementwise import ON_COMPLEX, Elementwise
from . import bridge
from . import elementwise_cuda as cuda
from .apply import mixed_devices

_asarray = np.asarray


@cache
def whole_only(op: Elementwise) -> bool:
    """Does NumPy have the op for whole numbers alone: bits, gcd, lcm."""
    return op.ufunc and not any("d" in kinds for kinds in op.numpy.types)


def operands_of(op: Elementwise, values: tuple, TENSORS: set[type]) -> tuple | None:
    """Operands in the op's common dtype: tensors cast (differentiably), numbers as Python numbers; None: foreign types."""
    dims, zeros, scalars = [], [], []
    device = None
    for v in values:
        if v.__class__ in TENSORS:
            (dims if v._a.ndim else zeros).append(v.dtype)
            if device is None or (device is CPU and v._a.ndim):
                device = v.device
        elif isinstance(v, (bool, int, float, complex, np.generic)):
            scalars.append(dt.scalar_dtype(v))
        elif isinstance(v, np.ndarray):
            # NumPy arrays join as tensors, as in PyTorch
            return operands_of(op, tuple(bridge.wrap(v) if isinstance(v, np.ndarray) else v for v in values), TENSORS)
        else:
            return None
    common = dt.result_dtype(dims, zeros, scalars)
    if op.kind == "float" and common.category < 2:
        common = dt.get_default_dtype()
    if common.category == dt.COMPLEX and not op.complex:
        raise NotImplementedError(f'{op.name}: "{op.name}" is not implemented for complex tensors; got {common}')
    if op.name == "sub" and dt.bool_ in dims + zeros + scalars:
        raise _boolean(op)
    if common.category < op.lowest:
        if op.name == "square":
            common = dt.int64
        elif op.lowest == dt.INT:
            raise _boolean(op)
        if op.kind != "float" and op.lowest == dt.FLOAT:
            raise NotImplementedError(
                f'{op.name}: "{op.name}" not implemented for {common}; it takes floating-point tensors'
            )
    if common.category > dt.INT and whole_only(op):
        raise NotImplementedError(f'{op.name}: "{op.name}" not implemented for {common}; it takes integer tensors')
    result: list = []
    for v in values:
        if v.__class__ in TENSORS:
            if v.device is not device:
                if v._a.ndim or v.device is not CPU:
                    raise mixed_devices(op.name, op.inputs, values)
                v = v.to(device)
            result.append(v if v.dtype is common else OPS["cast"](v, common))
        else:
            result.append(_number(v, common))
    if not any(v.__class__ in TENSORS for v in result):
        return None
    return tuple(result)


def _boolean(op: Elementwise) -> Exception:
    if op.name == "sub":
        return RuntimeError(
            "sub: Subtraction, the `-` operator, with a bool tensor is not supported. Use the `^` or `logical_xor()` "
            "operator instead."
        )
    if op.name == "neg":
        return RuntimeError(
            "neg: Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use "
            "the `~` or `logical_not()` operator instead."
        )
    return NotImplementedError(f'{op.name}: "{op.name}" not implemented for bool')


def _number(v: Any, common: Any) -> Any:
    """A Python number that NumPy will treat as weak in `common`; integers wrap as in C."""
    v = v.item() if isinstance(v, np.generic) else v
    if common.category == 0:
        return bool(v)
    if common.category == 1:
        v = int(v)
        bits = common.itemsize * 8
        low = -(1 << (bits - 1)) if common.is_signed else 0
        return (v - low) % (1 << bits) + low
    return v if common.category == 3 else float(v)


def compute(op: Elementwise, side: Any, operands: tuple, params: tuple) -> tuple[Any, Any]:
    """The raw result and its device; operands share dtype and device."""
    tensors = [v for v in operands if not isinstance(v, (bool, int, float, complex))]
    device = tensors[0].device
    common = tensors[0].dtype
    arrays: list[Any] = [v if isinstance(v, (bool, int, float, complex)) else v._a for v in operands]
    if device is CPU:
        try:
            return _asarray(_on_cpu(op, common, arrays, params)), device
        except ValueError as error:
            if op.name == "pow" and "negative integer powers" in str(error):
                return _integer_power(*arrays), device
            if "broadcast" not in str(error):
                raise
            raise not_broadcast(op, operands) from None
        except TypeError as error:
            if "not supported for the input types" not in str(error):
                raise
            raise NotImplementedError(f'{op.name}: "{op.name}" not implemented for {common}') from None
    if common.category == dt.COMPLEX:
        came = dict(zip(op.inputs, operands, strict=True))
        raise NotImplementedError(message(op.name, "has no Triton kernel for complex tensors yet", **came))
    try:
        return cuda.run(op, side, device, (*arrays, *params), len(arrays)), device
    except ValueError:
        raise not_broadcast(op, operands) from None


def _integer_power(a: Any, b: Any) -> Any:
    """a^b of integers with powers below 0, which NumPy refuses: 1 / a^-b without its fraction."""
    y = np.power(a, np.maximum(b, 0))
    inverse = np.where(np.equal(a, 1), 1, np.where(np.equal(a, -1), 1 - 2 * (np.asarray(b) % 2), 0))
    return np.where(np.less(b, 0), inverse.astype(y.dtype), y)


def _on_cpu(op: Elementwise, common: Any, arrays: list, params: tuple) -> Any:
    f = op.numpy
    if common.is_half:
        x, *others = arrays
        if getattr(x, "size", 0) >= LARGE and not any(hasattr(v, "dtype") for v in others):
            params = (*others, *params)
            f, arrays, params = looked_up(f, common.np, params, repr(params)), [x], ()
        else:
            f = through_float32(f, common.np)
    elif common.category == dt.COMPLEX:
        f = ON_COMPLEX.get(op.name, f)
    elif common.category < 2 and not op.ufunc:
        # Python numbers next to integer arrays keep the array's type only as arrays
        arrays = [a if hasattr(a, "dtype") else _asarray(a, common.np) for a in arrays]
    big = max([a.size for a in arrays if hasattr(a, "dtype")]) >= LARGE
    y = _asarray(large(f, *arrays, *params) if big else f(*arrays, *params))
    if common.is_half:
        return y
    if y.dtype != common.np and op.kind != "bool" and not (op.name == "abs" and common.category == 3):
        y = y.astype(common.np)
    return y


def not_broadcast(op: Elementwise, operands: tuple) -> RuntimeError:
    came = dict(zip(op.inputs, operands, strict=True))
    return shapes_differ(op.name, "the shapes of the operands do not broadcast together", **came)
