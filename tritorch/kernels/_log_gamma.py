"""log Gamma and its first two derivatives on NumPy arrays, in float64, rounded to the input's dtype.

For x >= 0: Stirling's series at z = x + 8, less what the recurrence has added on the way (M. Abramowitz and I. Stegun,
Handbook of Mathematical Functions, 6.1.40, 6.3.18, 6.4.12). The eight steps x, x + 1, ... x + 7 go in pairs,
(x + i) (x + 7 - i) = x (x + 7) + i (7 - i). Negative x by reflection.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._bessel import series
from ._bessel_tables import LOG_GAMMA
from ._erf import horner
from ._op import Array
from ._select import redo, where

_PAIRS = (0, 6, 10, 12)


def _fraction(x: Array) -> Array:
    """x less the nearest integer; 0 for infinities."""
    return np.where(np.isinf(x), 0.0, x - np.rint(x))


def _positive_lgamma(x: Array) -> Array:
    low = x.clip(0, 1e30)  # for larger x the steps no longer matter, and their product would overflow
    pair = low * (low + 7)
    steps = np.array(pair)
    for i in _PAIRS[1:]:
        steps *= pair + i
    z = x.clip(0, 1e308) + 8
    r = 1 / z
    y = horner(r * r, (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156))
    y *= r
    y += (z - 0.5) * np.log(z)
    y -= z
    y += 0.9189385332046728  # log(2 pi) / 2
    y -= np.log(steps)
    return redo(y, (x == 1) | (x == 2), np.zeros_like, x)


def _positive_digamma(x: Array) -> Array:
    low = x.clip(0, 1e150)
    pair = low * (low + 7)
    steps = 1 / pair
    for i in _PAIRS[1:]:
        steps += 1 / (pair + i)
    steps *= 2 * low + 7
    z = x + 8
    r = 1 / z
    w = r * r
    y = horner(w, (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132, 691 / 32760, -1 / 12, 3617 / 8160))
    y *= w
    y -= r / 2
    y += np.log(z)
    y -= steps
    return y


def _positive_trigamma(x: Array) -> Array:
    low = x.clip(0, 1e150)
    pair = low * (low + 7)
    square = 2 * low + 7
    square *= square
    y = np.zeros_like(pair)
    for i in _PAIRS:  # 1 / a^2 + 1 / b^2 = ((a + b)^2 - 2 a b) / (a b)^2
        product = pair + i
        step = square - 2 * product
        product *= product
        step /= product
        y += step
    r = 1 / (x + 8)
    w = r * r
    series = horner(w, (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510))
    series *= w
    series += 1
    series *= r
    y += series
    w /= 2
    y += w
    return y


def _all(positive: Callable[[Array], Array], mirrored: Callable[[Array, Array], Array]) -> Callable[[Array], Array]:
    """The function of all x: `positive(x)` for x >= 0, below 0 it is `mirrored(x, positive(1 - x))`."""

    def call(x: Array) -> Array:
        x = np.asarray(x)
        v = np.atleast_1d(x).astype(np.float64)
        below = v < 0
        if below.any():
            y = positive(where(below, 1 - v, v))
            redo(y, below, mirrored, v, y)
        else:
            y = positive(v)
        return y.reshape(x.shape).astype(x.dtype, copy=False)

    return call


# minimax polynomials in t^2 for |t| <= 1/2: NumPy's own sin and tan of float64 take four times as long
_SIN = (3.141592653589793, -5.167712780049969, 2.5501640398773007, -0.5992645293189447, 0.0821458865731029,
        -0.007370430505916944, 0.0004662998161898394, -2.1903497074626018e-05, 7.697826768224191e-07)  # fmt: skip
_COS = (1.0, -0.9348022005446713, 0.3195033242373781, -0.05724947188084237, 0.006332742410528358,
        -0.0004759174972778394, 2.5879018170871116e-05, -1.033202820981855e-06)  # fmt: skip


def _sin_pi(t: Array) -> Array:
    """sin(pi t), |t| <= 1/2."""
    y = horner(t * t, _SIN)
    y *= t
    return y


def _mirrored_lgamma(x: Array, y: Array) -> Array:
    s = _sin_pi(np.abs(_fraction(x)))
    return np.log(np.pi / s) - y.clip(-1, 1e308)  # still inf at -inf


def _mirrored_digamma(x: Array, y: Array) -> Array:
    t = _fraction(x)
    z = t * t
    cos = horner(z, _COS)
    cos *= 1 - 4 * z
    cos *= np.pi
    cos /= np.where(t == 0, np.nan, _sin_pi(t))
    return y - cos


def _mirrored_trigamma(x: Array, y: Array) -> Array:
    return (np.pi / _sin_pi(_fraction(x))) ** 2 - y


_lgamma = _all(_positive_lgamma, _mirrored_lgamma)


def lgamma(x: Array) -> Array:
    """log |Gamma(x)|; inf at 0, -1, -2, ...; of float64 around its zeros 1 and 2 by a series for the factor of
    (x - 1) (x - 2), where what is added up above cancels."""
    y = _lgamma(x)
    if y.dtype.char == "d":
        redo(y, (x > 0.5) & (x < 2.5), lambda v: series(v - 1.5, LOG_GAMMA) * (v - 1) * (v - 2), x)
    return y


_digamma = _all(_positive_digamma, _mirrored_digamma)


def digamma(x: Array) -> Array:
    """psi(x) = (log Gamma)'(x); NaN at -1, -2, ..., -inf at 0, inf at -0."""
    y = _digamma(x)
    return redo(y, x == 0, lambda s: np.copysign(np.inf, -s), x)


_trigamma = _all(_positive_trigamma, _mirrored_trigamma)


def trigamma(x: Array) -> Array:
    """psi'(x); inf at 0, -1, -2, ..., NaN at -inf."""
    y = _trigamma(x)
    return redo(y, x == -np.inf, lambda s: np.full_like(s, np.nan), x)
