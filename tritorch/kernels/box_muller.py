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

_PAIRS = 1 << 15  # pairs to a block: 128 KB per float32 buffer; smaller ones make threads wait for the interpreter

_EIGHT = "V32"  # eight float32 numbers, moved as one
_f = np.float32
_LOG = (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
        2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)  # fmt: skip
_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_LOG64, _SIN64, _COS64 = (tuple(float(_f(c)) for c in table) for table in (_LOG, _SIN, _COS))
_SQRT_HALF = _f(0.707106781186547524)
_LN2_LOW, _LN2_HIGH = _f(-2.12194440e-4), _f(0.693359375)  # ln 2 in two parts; the first product with e is exact
_FOUR_OVER_PI, _TWO_PI = _f(1.27323954473516), _f(2 * np.pi)
_PI4 = (_f(-0.78515625), _f(-2.4187564849853515625e-4), float(_f(-3.77489497744594108e-8)))  # -pi/4 in three parts


class _Buffers:
    """The working memory of one thread: float32, float64 and int32 arrays of one block."""

    def __init__(self, n: int):
        self.f = np.empty((6, n), _f)
        self.d = np.empty((3, n), np.float64)
        self.i = np.empty((2, n), np.int32)


def _round(wide: np.ndarray, narrow: np.ndarray) -> None:
    """Round float64 to float32 and put the rounded values back into the float64 array."""
    np.copyto(narrow, wide, casting="same_kind")
    np.copyto(wide, narrow)


def _horner(table: tuple[float, ...], x: np.ndarray, acc: np.ndarray, tmp: np.ndarray) -> None:
    """tmp = the polynomial at x (float64 holding float32 values) in fused steps, each rounded; acc is scratch."""
    np.multiply(x, table[0], out=acc)
    for c in table[1:-1]:
        acc += c
        _round(acc, tmp)
        acc *= x
    acc += table[-1]
    np.copyto(tmp, acc, casting="same_kind")


def _log(u: np.ndarray, b: _Buffers) -> None:
    """u = log u for float32 u in [2^-24, 1]; uses f[2:6], all of d and i."""
    n = u.size
    e, z, y, t = (a[:n] for a in b.f[2:])
    x64, acc, w64 = (a[:n] for a in b.d)
    bits, exponent = (a[:n] for a in b.i)
    np.right_shift(u.view(np.int32), 23, out=exponent)
    exponent -= 126
    np.copyto(e, exponent, casting="same_kind")
    np.bitwise_and(u.view(np.int32), 0x007FFFFF, out=bits)
    bits |= 0x3F000000
    m = bits.view(_f)  # the mantissa in [0.5, 1)
    np.copyto(t, np.less(m, _SQRT_HALF).view(np.int8))
    e -= t
    t *= m
    x = u
    np.subtract(m, _f(1), out=x)
    x += t
    np.multiply(x, x, out=z)
    np.copyto(x64, x)
    _horner(_LOG64, x64, acc, y)
    y *= x
    np.copyto(acc, y)
    np.copyto(w64, z)
    acc *= w64
    np.multiply(e, _LN2_LOW, out=t)
    np.copyto(w64, t)
    acc += w64
    np.copyto(y, acc, casting="same_kind")
    z *= _f(0.5)
    y -= z
    x += y
    e *= _LN2_HIGH
    x += e


def _sincos(t: np.ndarray, b: _Buffers) -> tuple[np.ndarray, np.ndarray]:
    """(sin t, cos t) for float32 t in [0, 2 pi]; t is overwritten; uses f[2:6], all of d and i."""
    n = t.size
    z, c, s, w = (a[:n] for a in b.f[2:])
    z64, acc, x64 = (a[:n] for a in b.d)
    j, bits = (a[:n] for a in b.i)
    np.multiply(t, _FOUR_OVER_PI, out=w)
    np.copyto(j, w, casting="unsafe")
    j += 1
    j &= ~1  # the octant, made even
    np.copyto(w, j, casting="same_kind")
    x = t
    for part in _PI4[:2]:  # these products are exact
        np.multiply(w, part, out=s)
        x += s
    np.copyto(acc, w)
    acc *= _PI4[2]
    np.copyto(x64, x)
    acc += x64
    _round(acc, x)
    x64, acc = acc, x64
    np.multiply(x, x, out=z)
    np.copyto(z64, z)

    _horner(_SIN64, z64, acc, s)
    s *= z
    np.copyto(acc, s)
    acc *= x64
    acc += x64
    np.copyto(s, acc, casting="same_kind")

    _horner(_COS64, z64, acc, c)
    c *= z
    np.copyto(acc, c)
    acc *= z64
    z *= _f(0.5)
    np.copyto(x64, z)
    acc -= x64
    np.copyto(c, acc, casting="same_kind")
    c += _f(1)

    # Octants 2 and 6 swap the two; bit 2 of j is the sign of the sine, and of j + 2 that of the cosine.
    # Selecting by bits takes no branch, which no processor could guess.
    s_bits, c_bits, differ = s.view(np.int32), c.view(np.int32), w.view(np.int32)
    np.left_shift(j, 30, out=bits)
    bits >>= 31  # all bits where bit 1 of j is set, none elsewhere
    np.bitwise_xor(s_bits, c_bits, out=differ)
    differ &= bits
    s_bits ^= differ
    c_bits ^= differ
    np.bitwise_and(j, 4, out=bits)
    bits <<= 29
    s_bits ^= bits
    j += 2
    j &= 4
    j <<= 29
    c_bits ^= j
    return s, c


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
    mean, std = float(_f(mean)), float(_f(std))
    step = _PAIRS // 8
    parts = iter(range(0, groups.shape[0], step))
    turn = threading.Lock()

    def run(start: int, stop: int) -> None:
        b = _Buffers(min(_PAIRS, groups.shape[0] * 8))
        for _ in range(start, stop):
            with turn:
                i = next(parts)
                if draw is not None:
                    draw(x[16 * i : 16 * (i + step)])
            part = groups[i : i + step]
            n = part.shape[0] * 8
            r, t = b.f[0, :n], b.f[1, :n]
            np.copyto(r.view(_EIGHT), part[:, 0])
            np.copyto(t.view(_EIGHT), part[:, 1])
            np.subtract(_f(1), r, out=r)
            t *= _TWO_PI
            _log(r, b)
            r *= _f(-2)
            np.sqrt(r, out=r)
            sine, cosine = _sincos(t, b)
            for lane, y in enumerate((cosine, sine)):
                y *= r
                if not plain:
                    wide = b.d[0, :n]
                    np.copyto(wide, y)
                    wide *= std
                    wide += mean
                    np.copyto(y, wide, casting="same_kind")
                part[:, lane] = y.view(_EIGHT)

    parallel(run, -(-groups.shape[0] // step))
