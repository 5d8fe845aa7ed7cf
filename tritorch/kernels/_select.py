"""np.where on the bits of the numbers.

np.where takes one branch per element, which a processor cannot guess for a random mask: 4 ns each. As a mask of ones or
zeros over all bits, `z ^ ((x ^ z) & mask)`, the same choice is a few vector instructions: up to 17 times as fast, and
just as exact for NaN, inf and signed zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_BLOCK = 1 << 17  # elements at a time: the masks stay in the cache
_SMALL = 4096  # below, one call of np.where costs less than several
_BITS = {4: np.dtype(np.int32), 8: np.dtype(np.int64)}


def where(mask: Any, x: Any, z: Any) -> np.ndarray:
    """np.where(mask, x, z), fast where x and z are arrays of mask's shape and one dtype of 4 or 8 bytes, or one is 0."""
    if mask.__class__ is np.ndarray and mask.dtype.char == "?" and mask.size >= _SMALL:
        whole_x = x.__class__ is np.ndarray and x.shape == mask.shape
        whole_z = z.__class__ is np.ndarray and z.shape == mask.shape
        if whole_x and whole_z:
            if x.dtype == z.dtype and x.dtype.itemsize in _BITS and x.dtype.kind in "fiuc":
                return _select(mask, x, z)
        elif whole_x:
            if x.dtype.itemsize in _BITS and x.dtype.kind in "fiuc" and _is_zero(z, x.dtype):
                return _select(mask, x, None)
        elif whole_z and z.dtype.itemsize in _BITS and z.dtype.kind in "fiuc" and _is_zero(x, z.dtype):
            return _select(~mask, z, None)
    return np.where(mask, x, z)


def _is_zero(v: Any, dtype: np.dtype) -> bool:
    """Is `v` a positive zero that leaves `dtype` as it is."""
    if v.__class__ is int:
        return v == 0
    if v.__class__ is float:
        return v == 0 and dtype.kind in "fc" and str(v)[0] != "-"
    return v.__class__ is np.ndarray and v.ndim == 0 and v.dtype == dtype and not v.view(_BITS[dtype.itemsize])


def _select(mask: np.ndarray, x: np.ndarray, z: np.ndarray | None) -> np.ndarray:
    bits = _BITS[x.dtype.itemsize]
    y = np.empty(mask.shape, x.dtype)
    given = [mask, x, y] if z is None else [mask, x, y, z]
    if all(a.flags.c_contiguous for a in given):
        given = [a.reshape(-1) for a in given]
        step = _BLOCK
    else:
        step = len(mask) if mask.ndim else 1
    flags, xs, ys = given[0].view(np.int8), given[1].view(bits), given[2].view(bits)
    zs = given[3].view(bits) if z is not None else None
    for i in range(0, len(flags), step):
        part = slice(i, i + step)
        full = np.negative(flags[part]).astype(bits)  # 0 or all bits set
        if zs is None:
            np.bitwise_and(full, xs[part], out=ys[part])
        else:
            differ = np.bitwise_xor(xs[part], zs[part], out=ys[part])
            np.bitwise_and(differ, full, out=differ)
            np.bitwise_xor(differ, zs[part], out=differ)
    return y
