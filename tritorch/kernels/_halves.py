"""Casts of arrays, and ops on half precision: computed in float32, rounded to the operands' type.

NumPy casts between float16 and float32 with scalar code: 1.5 ns an element, 60 where float16 has no normal number.
float32 can do the same on the bits: shifted by 13, a float16 is a float32 of 2^-112 its size, subnormal ones included.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ._blocks import LARGE, large
from ._op import Array
from ._select import redo

F16, F32 = np.dtype(np.float16), np.dtype(np.float32)
_FEWER = 13  # bits of mantissa that float16 lacks
_SCALE = np.array(2.0**112, F32)  # 2 to the difference of the exponents' biases
_MOVED = np.array(-0x70002000, np.int32)  # the bits of a shifted float16: sign, 5 of exponent, 10 of mantissa
_EXPONENT = np.array(0x7F800000, np.int32)
_SMALL = 4096  # below, NumPy's one call costs less


def widen(x: Array, *, out: Array | None = None) -> Array:
    """float16 or bfloat16 as float32."""
    if x.dtype != F16 or x.size < _SMALL:
        return _plainly(F32)(x, out=out)
    bits = x.view(np.int16)
    y = np.empty(x.shape, F32) if out is None else out
    moved = y.view(np.int32)
    moved[...] = bits
    moved <<= _FEWER
    moved &= _MOVED
    y *= _SCALE
    return redo(y, (bits & 0x7FFF) >= 0x7C00, _plainly(F32), x)  # inf and NaN


def narrow16(x: Array, *, out: Array | None = None) -> Array:
    """float32 as float16, to the nearest, ties to even.

    Adding and subtracting 1.5 * 2^(e + 13), for |x| in [2^e, 2^(e + 1)), leaves the 11 bits that float16 holds; with
    e = -14 for smaller x, the fewer that its subnormal numbers hold.
    """
    if x.size < _SMALL:
        return _plainly(F16)(x, out=out)
    v = np.clip(x, -65536, 65536)  # float16's inf
    size = (v.view(np.int32) & _EXPONENT).view(F32)
    size *= 1.5 * 2**13
    np.clip(size, 1.5 * 2**-1, np.inf, out=size)
    v += size
    v -= size
    v /= _SCALE
    moved = v.view(np.int32)
    moved >>= _FEWER
    y = np.empty(x.shape, F16) if out is None else out
    bits = y.view(np.int16)
    np.copyto(bits, moved, casting="unsafe")  # all but the sign, which has stayed behind
    bits |= np.signbit(x).astype(np.int16) << 15
    return y


@lru_cache
def _plainly(dtype: np.dtype) -> Callable[..., Array]:
    """NumPy's cast as a function that can write into `out`."""

    def cast(x: Array, *, out: Array | None = None) -> Array:
        if out is None:
            return x.astype(dtype)
        np.copyto(out, x, casting="unsafe")
        return out

    return cast


def convert(x: Array, dtype: np.dtype) -> Array:
    """x.astype(dtype) between float16 and float32, on threads when it is large."""
    fn = narrow16 if dtype == F16 else widen
    return large(fn, x) if x.size >= LARGE else fn(x)


@lru_cache(maxsize=1024)
def through_float32(fn: Callable[..., Any], dtype: np.dtype) -> Callable[..., Array]:
    """fn for operands of the half type `dtype`: on float32, its result rounded where it is float32."""

    def call(*operands: Any) -> Array:
        y = np.asarray(fn(*[widen(v) if getattr(v, "dtype", None) == dtype else v for v in operands]))
        if y.dtype != F32:
            return y
        return narrow16(y) if dtype == F16 else y.astype(dtype)

    return call
