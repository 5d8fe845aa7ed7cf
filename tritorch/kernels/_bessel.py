"""Bessel and Airy functions and the scaled error functions on NumPy arrays, in float64, rounded to the input's dtype.

Close to 0 and far out each function is an elementary factor times a Chebyshev series of `_bessel_tables.py`; the
elementary factors are those of M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, chapters 7, 9 and 10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _bessel_tables as tables
from ._erf import erfc, erfinv

Array = Any
_2_PI = 0.6366197723675814


def series(t: Array, c: tuple[float, ...]) -> Array:
    """sum_k c_k T_k(t) by Clenshaw's recurrence."""
    b1 = np.zeros_like(t)
    b2 = np.zeros_like(t)
    t2 = t + t
    for v in c[:0:-1]:
        b1, b2 = t2 * b1 - b2 + v, b1
    return t * b1 - b2 + c[0]


def _double(f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The function of a flat float64 array as one of any float array."""

    def call(x: Array) -> Array:
        x = np.asarray(x)
        y = f(x.reshape(-1).astype(np.float64))
        return np.asarray(y.reshape(x.shape).astype(x.dtype, copy=False))

    call.__name__ = f.__name__
    call.__doc__ = f.__doc__
    return call


def _i_scaled(a: Array, near: tuple, far: tuple, odd: bool) -> Array:
    """e^-a I(a), a >= 0."""
    low = np.minimum(a, 8.0)
    y = series(low / 4 - 1, near)
    y = y * low if odd else y
    r = 1 / np.maximum(a, 8.0)
    return np.where(a <= 8, y, series(16 * r - 1, far) * np.sqrt(r))


@_double
def i0e(x: Array) -> Array:
    """e^-|x| I0(x)."""
    return _i_scaled(np.abs(x), tables.I0_NEAR, tables.I0_FAR, False)


@_double
def i1e(x: Array) -> Array:
    """e^-|x| I1(x)."""
    y = _i_scaled(np.abs(x), tables.I1_NEAR, tables.I1_FAR, True)
    return np.where(x < 0, -y, y)


@_double
def i0(x: Array) -> Array:
    """I0(x), the modified Bessel function of the first kind."""
    a = np.abs(x)
    return np.where(np.isinf(a), np.inf, i0e(x) * np.exp(a))


@_double
def i1(x: Array) -> Array:
    """I1(x)."""
    return np.where(np.isinf(x), x, i1e(x) * np.exp(np.abs(x)))


def _k_scaled(x: Array, order: int) -> Array:
    """e^x K(x), x > 0; inf at 0, NaN below."""
    near = tables.K1_NEAR if order else tables.K0_NEAR
    far = tables.K1_FAR if order else tables.K0_FAR
    low = np.clip(x, 1e-300, 2.0)
    part = series(low * low / 2 - 1, near)
    y = np.log(low / 2) * i1(low) + part / low if order else part - np.log(low / 2) * i0(low)
    r = 1 / np.maximum(x, 2.0)
    y = np.where(x <= 2, y * np.exp(low), series(4 * r - 1, far) * np.sqrt(r))
    return np.where(x > 0, y, np.where(x == 0, np.inf, np.nan))


@_double
def k0e(x: Array) -> Array:
    """e^x K0(x)."""
    return _k_scaled(x, 0)


@_double
def k1e(x: Array) -> Array:
    """e^x K1(x)."""
    return _k_scaled(x, 1)


@_double
def k0(x: Array) -> Array:
    """K0(x), the modified Bessel function of the second kind."""
    return np.where(np.isposinf(x), 0.0, _k_scaled(x, 0) * np.exp(-x))


@_double
def k1(x: Array) -> Array:
    """K1(x)."""
    return np.where(np.isposinf(x), 0.0, _k_scaled(x, 1) * np.exp(-x))


def _waves(a: Array, order: int, second: bool) -> Array:
    """J, or Y (`second`), of a > 8: an amplitude times cos or sin of a - pi / 4 - order pi / 2."""
    x = np.maximum(a, 8.0)
    v = 64 / (x * x)
    p = series(2 * v - 1, tables.P1 if order else tables.P0)
    q = series(2 * v - 1, tables.Q1 if order else tables.Q0) * 8 / x
    s, c = np.sin(x), np.cos(x)
    cos, sin = (s - c, -s - c) if order else (s + c, s - c)  # sqrt(2) times those of the shifted argument
    y = p * sin + q * cos if second else p * cos - q * sin
    return np.where(np.isinf(a), 0.0, y / np.sqrt(np.pi * x))


@_double
def j0(x: Array) -> Array:
    """J0(x), the Bessel function of the first kind."""
    a = np.abs(x)
    low = np.minimum(a, 8.0)
    return np.where(a <= 8, series(low * low / 32 - 1, tables.J0_NEAR), _waves(a, 0, False))


@_double
def j1(x: Array) -> Array:
    """J1(x)."""
    a = np.abs(x)
    low = np.minimum(a, 8.0)
    y = np.where(a <= 8, low * series(low * low / 32 - 1, tables.J1_NEAR), _waves(a, 1, False))
    return np.where(x < 0, -y, y)


@_double
def y0(x: Array) -> Array:
    """Y0(x), the Bessel function of the second kind; -inf at 0, NaN below."""
    low = np.clip(x, 1e-300, 8.0)
    near = series(low * low / 32 - 1, tables.Y0_NEAR) + _2_PI * np.log(low / 2) * j0(low)
    y = np.where(x <= 8, near, _waves(x, 0, True))
    return np.where(x > 0, y, np.where(x == 0, -np.inf, np.nan))


@_double
def y1(x: Array) -> Array:
    """Y1(x); -inf at 0, NaN below."""
    low = np.clip(x, 1e-300, 8.0)
    near = series(low * low / 32 - 1, tables.Y1_NEAR) / low + _2_PI * np.log(low / 2) * j1(low)
    y = np.where(x <= 8, near, _waves(x, 1, True))
    return np.where(x > 0, y, np.where(x == 0, -np.inf, np.nan))


@_double
def spherical_j0(x: Array) -> Array:
    """sin(x) / x."""
    a = np.where(x == 0, 1.0, x)
    return np.where(x == 0, 1.0, np.where(np.isinf(x), 0.0, np.sin(a) / a))


@_double
def airy(x: Array) -> Array:
    """Ai(x), the solution of y'' = x y that falls to 0 for growing x."""
    middle = np.clip(x, -4.0, 2.0)
    left = np.clip(x, -9.0, -4.0)
    y = np.where(x < -4, series((left + 6.5) / 2.5, tables.AIRY_LEFT), series((middle + 1) / 3, tables.AIRY_MIDDLE))
    far = np.maximum(np.abs(x), 2.0)
    z = far * np.sqrt(far) * (2 / 3)
    root = np.sqrt(np.pi * np.sqrt(far))
    falling = np.exp(-z) * series(2 * 1.8856180831641267 / z - 1, tables.AIRY_FAR) / (2 * root)
    v = 648 / np.maximum(z * z, 324.0) - 1
    angle = z - np.pi / 4
    wave = (np.cos(angle) * series(v, tables.AIRY_COS) + np.sin(angle) * series(v, tables.AIRY_SIN) / z) / root
    y = np.where(x > 2, np.where(np.isinf(x), 0.0, falling), np.where(x < -9, wave, y))
    return np.where(np.isnan(x), x, y)


@_double
def erfcx(x: Array) -> Array:
    """e^(x^2) erfc(x)."""
    a = np.abs(x)
    t = np.where(np.isinf(a), 1.0, (a - 4) / (a + 4))
    y = series(t, tables.ERFCX) / (1 + 2 * a)
    low = np.minimum(x, 0.0)
    return np.where(x < 0, 2 * np.exp(low * low) - y, y)


@_double
def ndtr(x: Array) -> Array:
    """The normal distribution function: erfc(-x / sqrt(2)) / 2."""
    return erfc(x * -0.7071067811865476) / 2


@_double
def log_ndtr(x: Array) -> Array:
    """log of the normal distribution function, without underflow for x << 0."""
    z = x * 0.7071067811865476
    low = np.minimum(z, 0.0)
    left = np.log(erfcx(-low) / 2) - low * low
    right = np.log1p(-erfc(np.maximum(z, -1.0)) / 2)
    return np.where(x < -1, left, right)


@_double
def ndtri(p: Array) -> Array:
    """The inverse of `ndtr`: by erfinv in the middle; in the tails by Newton's steps on log_ndtr."""
    tail = np.minimum(p, 1 - p)
    middle = erfinv(np.where(tail > 0.02, 2 * p - 1, 0.0)) * 1.4142135623730951
    q = np.clip(tail, 1e-320, 0.02)
    log_q = np.log(q)
    x = -np.sqrt(-2 * log_q - np.log(2 * np.pi * -2 * log_q))
    for _ in range(6):  # log_ndtr' = sqrt(2 / pi) / erfcx(-x / sqrt(2))
        x = x - (log_ndtr(x) - log_q) * erfcx(x * -0.7071067811865476) / 0.7978845608028654
    y = np.where(tail > 0.02, middle, np.where(p < 0.5, x, -x))
    y = np.where(p == 0, -np.inf, np.where(p == 1, np.inf, y))
    return np.where((p < 0) | (p > 1) | np.isnan(p), np.nan, y)
