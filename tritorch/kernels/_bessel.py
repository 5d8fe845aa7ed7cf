"""Bessel and Airy functions and the scaled error functions on NumPy arrays, in float64, rounded to the input's dtype.

Close to 0 and far out each function is an elementary factor times a Chebyshev series of `_bessel_tables.py`; the
elementary factors are those of M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, chapters 7, 9 and 10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _bessel_tables as tables
from ._erf import F32, erfc, horner, normal_quantile, table
from ._select import redo
from ._special import with_sign_of

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


# I0(x) and I1(x) / x as polynomials in x^2 for |x| <= 8: minimax for the relative error in float32, where they suffice
_I0_32 = table(0.9999999911225927, 0.25000005596096253, 0.015624949261221023, 0.00043404382170954465, 6.779313791164667e-06,
               6.800496747242198e-08, 4.623520576602864e-10, 2.6341875943497832e-12, 5.815631423308648e-15,
               5.716078786566127e-17)  # fmt: skip
_I1_32 = table(0.4999999989690398, 0.06250000521510629, 0.0026041626773111912, 5.425457657544872e-05, 6.780216012001188e-07,
               5.662106020758093e-09, 3.318282923016211e-11, 1.6178229938606463e-13, 3.504551606961854e-16,
               2.7504451307799385e-18)  # fmt: skip


def _i_far(a: Array, table_: tuple) -> Array:
    """e^-a I(a) for a > 8."""
    r = 1 / np.maximum(a, 8.0)
    return series(16 * r - 1, table_) * np.sqrt(r)


def _modified(order: int, scaled: bool) -> Callable[[Array], Array]:
    """I0 or I1, `scaled` by e^-|x|."""
    near, far, short = ((tables.I0_NEAR, tables.I0_FAR, _I0_32), (tables.I1_NEAR, tables.I1_FAR, _I1_32))[order]

    def wide(x: Array) -> Array:
        a = np.abs(x)
        low = np.minimum(a, 8.0)
        y = series(low / 4 - 1, near)
        if order:
            y = y * low
        redo(y, a > 8, lambda v: _i_far(v, far), a)
        if not scaled:
            y *= np.exp(a)
            redo(y, np.isinf(a), np.abs, a)
        return with_sign_of(y, x) if order else y

    def single(x: Array) -> Array:
        z = np.multiply(x, x, out=np.empty_like(x))
        y = horner(z.clip(0, 64, out=np.empty_like(x)), short)
        if order:
            y *= x
        if scaled:
            y *= np.exp(-np.abs(x))
        return redo(y, z > 64, beyond, x)

    def beyond(x: Array) -> Array:
        a = np.abs(x)
        y = _i_far(a, far[:8])  # the terms that float32 shows
        if not scaled:  # e^a in two steps: it overflows before I(a) does
            half = np.exp(a / 2)
            y = np.where(np.isinf(a), a, y * half * half)
        return with_sign_of(y, x) if order else y

    in_float64 = _double(wide)

    def call(x: Array) -> Array:
        return single(x) if getattr(x, "dtype", None) == F32 else in_float64(x)

    return call


i0, i0e, i1, i1e = _modified(0, False), _modified(0, True), _modified(1, False), _modified(1, True)
"""The modified Bessel functions of the first kind, I0 and I1; with an e, times e^-|x|."""


def _k_scaled(x: Array, order: int) -> Array:
    """e^x K(x), x > 0; inf at 0, NaN below."""
    near = tables.K1_NEAR if order else tables.K0_NEAR
    far = tables.K1_FAR if order else tables.K0_FAR
    low = x.clip(1e-300, 2.0)
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
    low = x.clip(1e-300, 8.0)
    near = series(low * low / 32 - 1, tables.Y0_NEAR) + _2_PI * np.log(low / 2) * j0(low)
    y = np.where(x <= 8, near, _waves(x, 0, True))
    return np.where(x > 0, y, np.where(x == 0, -np.inf, np.nan))


@_double
def y1(x: Array) -> Array:
    """Y1(x); -inf at 0, NaN below."""
    low = x.clip(1e-300, 8.0)
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
    middle = x.clip(-4.0, 2.0)
    left = x.clip(-9.0, -4.0)
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
    """The inverse of `ndtr`; NaN outside of [0, 1]."""
    return normal_quantile(p - 0.5, np.minimum(p, 1 - p))
