"""Quotients and remainders with C's and Python's rounding, as PyTorch gives them.

NumPy makes them one element at a time, by fmod: 7 to 50 ns each. For float32 the quotient in float64 decides: with less
than 28 bits its integer part is exact (two float32 whose quotient is no integer n differ from n by 2^-24 / n at least,
relatively), and so is x - n y.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._op import Array
from ._select import redo
from ._special import few, with_sign_of, within

_F32 = np.dtype(np.float32)
_EXACT = float(1 << 28)  # quotients whose integer part is exact
_WHOLE = float(1 << 24)  # integers that are exact in float32


def _no_zero(op: str, b: Array) -> None:
    if np.asarray(b).dtype.kind in "iub" and not np.all(b):
        raise RuntimeError(f"{op}: ZeroDivisionError: integer division by zero in the second operand")


def _single(a: Any, b: Any) -> bool:
    """Is the result float32, and of many elements?"""
    return not few(a, b) and np.result_type(a, b) == _F32


def _double(v: Any) -> Any:
    """A float32 array, or a number that is rounded to float32, as float64."""
    return v.astype(np.float64) if v.__class__ is np.ndarray else float(np.float32(v))


def _remainder(a: Any, b: Any, rounding: np.ufunc, exactly: Callable[..., Array]) -> Array:
    """x - rounding(x / y) y for float32; `exactly` serves where that is not exact, or not finite."""
    x, y = _double(a), _double(b)
    q = x / y
    doubtful = None if within(q, _EXACT) else ~(np.abs(q) < _EXACT)
    rounding(q, out=q)
    q *= y
    np.subtract(x, q, out=q)
    r = q.astype(_F32)
    return r if doubtful is None else redo(r, doubtful | np.isnan(r), exactly, a, b)


def fmod(a: Array, b: Array) -> Array:
    """a - trunc(a / b) b, with a's sign."""
    _no_zero("fmod", b)
    if not _single(a, b):
        return np.fmod(a, b)
    return with_sign_of(_remainder(a, b, np.trunc, np.fmod), a)


def remainder(a: Array, b: Array) -> Array:
    """a - floor(a / b) b, with b's sign; a zero has a's."""
    _no_zero("remainder", b)
    y = np.asarray(_remainder(a, b, np.floor, np.remainder) if _single(a, b) else np.remainder(a, b))
    return redo(y, y == 0, np.copysign, y, a) if y.dtype.kind == "f" else y


def _floor_divide(a: Array, b: Array) -> Array:
    """NumPy gives NaN for a / 0, C and PyTorch the infinity of the true quotient."""
    y = np.asarray(np.floor_divide(a, b))
    return redo(y, np.equal(b, 0), np.true_divide, a, b) if y.dtype.kind == "f" else y


def floor_divide(a: Array, b: Array) -> Array:
    """floor(a / b), as if a / b were exact."""
    _no_zero("floor_divide", b)
    if not _single(a, b):
        return _floor_divide(a, b)
    x, y = _double(a), _double(b)
    q = x / y
    doubtful = ~(np.abs(q) < _WHOLE) | np.isinf(y)
    np.floor(q, out=q)
    return redo(q.astype(_F32), doubtful, _floor_divide, a, b)
