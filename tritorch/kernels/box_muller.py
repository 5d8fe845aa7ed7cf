"""The Box-Muller transform of float32 numbers in blocks of 16, with the bits of PyTorch's vectorised CPU code.

    x = 16 uniform numbers of [0, 1):  r = sqrt(-2 log(1 - x[:8])),  t = 2 pi x[8:],  x = (r cos t, r sin t)

PyTorch evaluates log, sin and cos by the polynomials of Cephes (S. Moshier, 1989: logf, sinf, cosf) in float32, and its
compiler fuses each multiplication with the addition that follows. The same numbers need the same roundings: a fused
multiply-add is here a float64 product (exact for float32 factors), a float64 sum and one rounding to float32.
Blocks of `_PAIRS` pairs stay in cache; several blocks go to several threads.

G. E. P. Box, M. E. Muller: A note on the generation of random normal deviates, Ann. Math. Statist. 29(2), 1958.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from ._threads import parallel

_PAIRS = 1 << 16  # pairs to a block: 256 KB per float32 row; smaller ones make threads wait for the interpreter

_EIGHT = "V32"  # eight float32 numbers, moved as one
_f = np.float32


def _constants(kind: type, *values: float) -> list[np.ndarray]:
    """Arrays without dims, which NumPy takes in half the time of its scalars."""
    return [np.array(v, kind) for v in values]


_LOG = (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
        2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)  # fmt: skip
_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_LOG64 = _constants(np.float64, *map(_f, _LOG))
_COS_SIN64 = [np.array(c, _f).astype(np.float64)[:, None] for c in zip(_COS, _SIN, strict=True)]
_ONE, _HALF, _MINUS_TWO = _constants(_f, 1, 0.5, -2)
_SQRT_HALF, _LN2_LOW, _LN2_HIGH = _constants(_f, 0.707106781186547524, -2.12194440e-4, 0.693359375)  # ln 2 in two parts
_FOUR_OVER_PI, _TWO_PI = _constants(_f, 1.27323954473516, 2 * np.pi)
_PI4 = _constants(_f, -0.78515625, -2.4187564849853515625e-4)  # -pi/4 in three parts; products with these are exact
_PI4_LOW = _constants(np.float64, _f(-3.77489497744594108e-8))[0]
_MANTISSA, _HALF_BITS, _EXPONENT, _BIAS = _constants(np.int32, 0x007FFFFF, 0x3F000000, 23, 126)
_1, _4, _29, _30, _31, _EVEN = _constants(np.int32, 1, 4, 29, 30, 31, ~1)
_QUARTERS = np.array([[2], [0]], np.int32)  # from a cosine's octant to that whose sine it is, and from a sine's


def _polynomial(table: list[np.ndarray], x: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Write the polynomials at x (float64 holding float32 values) into `value`, in fused steps; returns a float64 array
    of its shape."""
    total = x * table[0]
    for c in table[1:-1]:
        total += c
        value[...] = total
        total[...] = value
        total *= x
    total += table[-1]
    value[...] = total
    return total


def _log(x: np.ndarray) -> None:
    """x = log x for float32 x in [2^-24, 1]."""
    bits = x.view(np.int32)
    exponent = bits >> _EXPONENT
    exponent -= _BIAS
    e = exponent.astype(_f)
    bits &= _MANTISSA
    bits |= _HALF_BITS  # x: the mantissa in [0.5, 1)
    low = (x < _SQRT_HALF).view(np.int8).astype(_f)
    e -= low
    low *= x
    x -= _ONE
    x += low

    y = low
    square = x * x
    x64 = x.astype(np.float64)
    total = _polynomial(_LOG64, x64, y)
    y *= x
    total[...] = y
    x64[...] = square
    total *= x64
    np.multiply(e, _LN2_LOW, out=y)
    total += y
    y[...] = total
    square *= _HALF
    y -= square
    x += y
    e *= _LN2_HIGH
    x += e


def _cos_sin(t: np.ndarray) -> np.ndarray:
    """Rows cos t and sin t for float32 t in [0, 2 pi]; t is overwritten."""
    whole = t * _FOUR_OVER_PI
    octant = whole.astype(np.int32)
    octant += _1
    octant &= _EVEN
    whole[...] = octant
    for part in _PI4:
        t += whole * part
    wide = whole * _PI4_LOW
    wide += t
    t[...] = wide  # in [-pi/4, pi/4]

    square = t * t
    y = np.empty((2, t.size), _f)
    factor = np.empty((2, t.size))
    factor[0] = square
    factor[1] = t
    total = _polynomial(_COS_SIN64, factor[0], y)
    y *= square
    total[...] = y
    total *= factor
    square *= _HALF
    factor[0] = square
    total[0] -= factor[0]
    total[1] += factor[1]
    y[...] = total
    y[0] += _ONE

    # Octants 2 and 6 swap the two; bit 2 of the octant is the sign of the sine, and of octant + 2 that of the cosine.
    # Selecting by bits takes no branch, which no processor could guess.
    bits = y.view(np.int32)
    swap = octant << _30
    swap >>= _31  # all bits where bit 1 of the octant is set, none elsewhere
    swap &= bits[0] ^ bits[1]
    bits ^= swap
    sign = octant + _QUARTERS
    sign &= _4
    sign <<= _29
    bits ^= sign
    return y


def box_muller_16(
    x: np.ndarray, mean: float = 0.0, std: float = 1.0, draw: Callable[[np.ndarray], object] | None = None
) -> None:
    """Turn uniform numbers into normal ones, in place.

    Args:
        x: float32, contiguous, one dim, size a multiple of 16; values in [0, 1).
        mean, std: of the normal distribution; applied as one fused multiply-add.
        draw: writes the uniform numbers into a part of x, else they are there. It is called for the parts in their
            order, by one thread at a time, while the others transform what they have.
    """
    groups = x.view(_EIGHT).reshape(-1, 2)
    plain = mean == 0.0 and std == 1.0
    mean, std = (np.float64(_f(v)) for v in (mean, std))  # float64 makes the sum wide
    step = _PAIRS // 8
    parts = iter(range(0, groups.shape[0], step))
    turn = threading.Lock()

    def run(start: int, stop: int) -> None:
        for _ in range(start, stop):
            with turn:
                i = next(parts)
                if draw is not None:
                    draw(x[16 * i : 16 * (i + step)])
            part = groups[i : i + step]
            r, t = part.T.copy().view(_f)
            np.subtract(_ONE, r, out=r)
            t *= _TWO_PI
            _log(r)
            r *= _MINUS_TWO
            np.sqrt(r, out=r)
            y = _cos_sin(t)
            y *= r
            if not plain:
                y[...] = y * std + mean
            part[...] = y.view(_EIGHT).T

    parallel(run, -(-groups.shape[0] // step))
