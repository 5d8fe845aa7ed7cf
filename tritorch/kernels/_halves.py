"""Casts of arrays, and ops on half precision: computed in float32, rounded to the operands' type.

NumPy casts between float16 and float32 with scalar code: 1.5 ns an element, 60 where float16 has no normal number.
float32 can do the same on the bits: shifted by 13, a float16 is a float32 of 2^-112 its size, subnormal ones included.
What an op gives for a large array of halves alone is looked up: there are 2^16 of them.
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
_SHRINK = np.array(2.0**-112, F32)
_RAISE = np.array(1.5 * 2**13, F32)
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
    if bits.max() < 0x7C00 and x.view(np.uint16).max() < 0xFC00:
        return y
    return redo(y, (bits & 0x7FFF) >= 0x7C00, _plainly(F32), x)  # inf and NaN


def narrow16(x: Array, *, out: Array | None = None) -> Array:
    """float32 as float16, to the nearest, ties to even.

    Adding and subtracting 1.5 * 2^(e + 13), for |x| in [2^e, 2^(e + 1)), leaves the 11 bits that float16 holds; with
    e = -14 for smaller x, the fewer that its subnormal numbers hold.
    """
    if x.size < _SMALL:
        return _plainly(F16)(x, out=out)
    v = x if -65520 < x.min() and x.max() < 65520 else np.clip(x, -65536, 65536)  # float16's inf
    size = np.empty_like(v)
    whole = size.view(np.int32)
    np.bitwise_and(v.view(np.int32), _EXPONENT, out=whole)
    size *= _RAISE
    size.clip(0.75, np.inf, out=size)
    v = np.add(v, size, out=None if v is x else v)
    v -= size
    v *= _SHRINK
    moved = v.view(np.int32)
    moved >>= _FEWER
    y = np.empty(x.shape, F16) if out is None else out
    bits, signs = y.view(np.int16), np.empty(x.shape, np.int16)
    np.copyto(bits, moved, casting="unsafe")  # all but the sign, which has stayed behind
    np.right_shift(x.view(np.int32), 16, out=whole)
    np.copyto(signs, whole, casting="unsafe")
    signs &= -0x8000
    bits |= signs
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


@lru_cache(maxsize=32)
def _table(fn: Callable[..., Any], dtype: np.dtype, params: tuple, written: str) -> Array:
    """What fn gives for each of the 2^16 numbers of a half type, in the order of their bits."""
    every = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    with np.errstate(all="ignore"):
        return np.asarray(through_float32(fn, dtype)(every, *params))


@lru_cache(maxsize=1024)
def looked_up(fn: Callable[..., Any], dtype: np.dtype, params: tuple, written: str) -> Callable[..., Array]:
    """`through_float32(fn, dtype)` for a large array: read from a table of all 2^16 results, at 0.5 ns each.

    Args:
        fn: an elementwise function of an array and numbers.
        dtype: float16 or bfloat16.
        params: the numbers.
        written: repr(params), which tells -0.0 from 0.
    """

    def read(x: Array, *, out: Array | None = None) -> Array:  # the table is not kept here: it may have to make room
        return _table(fn, dtype, params, written).take(x.view(np.uint16), mode="wrap", out=out)

    return read
