"""The error function, its complement and its inverse on NumPy arrays, float32 or float64.

- erfc(a) = e^(-a^2) t Q(1 - 2 t) with t = k / (k + a), a >= 0: mapping the half line to an interval and dividing by
  the tail leaves a smooth function, of which Q is the minimax polynomial (W. J. Cody, Math. Comp. 23, 1969, does the
  same by ranges). In float32 within 2 ulp, in float64 within 3.
- erf in float64 is 1 - erfc, and an odd polynomial for |x| < 1/2; in float32 it is tanh(x P(x^2)).
- erfinv in float32 is x times a polynomial in w = -log(1 - x^2), as M. Giles (GPU Computing Gems, 2010, ch. 10), and in
  sqrt(w) for w > 4; in float64 it is the normal quantile of M. J. Wichura's AS 241 (Applied Statistics 37, 1988).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._op import Array
from ._select import redo, where

F32 = np.dtype(np.float32)


def table(*coefficients: float) -> tuple[Any, ...]:
    """Coefficients for float32 arrays: NumPy takes a 0-dim array faster than a Python number."""
    return tuple(np.array(c, F32) for c in coefficients)


def horner(x: Array, coefficients: tuple[Any, ...]) -> Array:
    """The polynomial by Horner's rule, an array of its own; coefficients from the lowest power up."""
    y = np.multiply(x, coefficients[-1], out=np.empty_like(x))
    for c in coefficients[-2:0:-1]:
        y += c
        y *= x
    y += coefficients[0]
    return y


# ------------------------------------------------------------------------------------------------- erfc

_ERFC32 = (3, 11, table(
    0.3580023025670452, -0.2944648284803716, 0.1967427681871963, -0.10348868205897747, 0.03984298890810888,
    -0.00894652949803149, -0.0004086065358962746, 0.001026688514010529, -0.0001614572686638831, -0.00010865071690337964,
))  # fmt: skip
_ERFC64 = (4, 28, (
    0.27399891525012277, -0.2441371822702205, 0.19330217556631132, -0.135213457828308, 0.0827128969693933,
    -0.04350273431005013, 0.019095378729629117, -0.006592513333278706, 0.001528013889375186, -7.023973952789697e-05,
    -0.00011376302125718655, 4.420336948109079e-05, -9.09342023654446e-07, -4.71592064316985e-06, 1.1748155194913865e-06,
    3.578543304308493e-07, -2.130569977339063e-07, -2.166866699985898e-08, 3.184635173762259e-08, 2.5740993736038563e-09,
    -3.7259917892483226e-09, -8.067829460360013e-10,
))  # fmt: skip


def _exp_of_minus_square(v: Array) -> Array:
    """e^(-v^2). What rounding took from v^2 would be multiplied by v^2: squares are made exact first."""
    if v.dtype == F32:
        z = v.astype(np.float64)
        z *= z
        np.negative(z, out=z)
        return np.exp(z, out=z).astype(F32)
    z = v.astype(F32).astype(np.float64)  # the leading bits, whose square fits
    y = np.exp(-z * z)
    y *= np.exp((z - v) * (z + v))
    return y


def _positive_erfc(a: Array) -> Array:
    """erfc of a >= 0."""
    k, end, coefficients = _ERFC32 if a.dtype == F32 else _ERFC64
    a = a.clip(0, end, out=np.empty_like(a))  # beyond, erfc is 0 and e^(-a^2) would have no digits
    t = np.add(a, k, out=np.empty_like(a))
    np.divide(k, t, out=t)
    u = np.multiply(t, -2, out=np.empty_like(t))
    u += 1
    y = horner(u, coefficients)
    y *= t
    y *= _exp_of_minus_square(a)
    return y


def erfc(x: Array) -> Array:
    """1 - erf(x), without the digits that a difference would lose."""
    x = np.asarray(x)
    y = _positive_erfc(np.abs(x, out=np.empty_like(x)))
    return where(x < 0, 2 - y, y)


# -------------------------------------------------------------------------------------------------- erf

_ERF32 = table(1.1283792023175157, 0.10277131496088733, -0.00020215169193874504, -0.0006036813403345763,
               7.648989836380481e-05, -1.8611879329895212e-06, -5.150692041755428e-07, 5.391411407958733e-08,
               -1.6406705661970935e-09)  # fmt: skip
_ERF64 = (1.1283791670955126, -0.37612638903183476, 0.11283791670925353, -0.026866170632887928, 0.00522397737302147,
          -0.0008548297753674966, 0.00012053335124353741, -1.4845849259707869e-05, 1.4725865480556744e-06)  # fmt: skip


def odd_tanh(x: Array, z: Array, coefficients: tuple[Any, ...]) -> Array:
    """tanh(x P(z)), coefficients from the lowest power up."""
    y = horner(z, coefficients)
    y *= x
    return np.tanh(y, out=y)


def erf(x: Array) -> Array:
    """erf(x), in float32 within 2.8 ulp.

    There as tanh(x P(x^2)): atanh(erf(x)) / x is smooth and even, tanh damps P's errors, and NumPy's tanh takes less
    than a nanosecond. P is the minimax polynomial for the relative error of the result on |x| <= 4, beyond which erf
    rounds to 1.
    """
    x = np.asarray(x)
    z = np.multiply(x, x, out=np.empty_like(x))
    if x.dtype == F32:
        return odd_tanh(x, z.clip(0, 16, out=z), _ERF32)
    far = np.subtract(1, _positive_erfc(np.abs(x, out=np.empty_like(x))), out=np.empty_like(x))
    far = np.copysign(far, x, out=far)
    near = horner(z.clip(0, 0.25, out=z), _ERF64)
    near *= x
    return where(np.abs(x) < 0.5, near, far)


# ----------------------------------------------------------------------------------------------- erfinv

_NEAR = table(1.3772152168631195, 0.24976815866666402, -0.001968182706231971, -0.001692456030685034, 0.0002159792811914355,
              7.867699090668898e-06, -4.885366326580047e-06, 2.1623702111230649e-07, 6.849626361591136e-08)  # fmt: skip
_FAR = table(2.8329767878262975, 1.0016746877659954, 0.009445934995758276, -0.007633447252252587, 0.005681581204969254,
             -0.003609720388764538, 0.0015002145444794866, -4.680666445656399e-05, -0.0003230367529702445,
             0.00011765452110756284)  # fmt: skip


def _erfinv_far(x: Array, w: Array) -> Array:
    return horner(np.sqrt(w) - 3, _FAR) * x


def _erfinv32(x: Array) -> Array:
    w = np.subtract(1, x, out=np.empty_like(x))
    w *= x + 1  # the two factors are exact where x is close to 1, which 1 - x^2 is not
    np.log(w, out=w)
    np.negative(w, out=w)
    far = w > 4
    w -= 2
    y = horner(w, _NEAR)
    y *= x
    w += 2
    redo(y, far, _erfinv_far, x, w)
    return redo(y, np.abs(x) == 1, lambda v: v * np.inf, x)


# numerators and denominators of AS 241, from the lowest power up
_CENTRE = (
    (3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125, 45921.953931549871457,
     67265.770927008700853, 33430.575583588128105, 2509.0809287301226727),
    (1.0, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077, 21213.794301586595867,
     39307.895800092710610, 28729.085735721942674, 5226.4952788528545610),
)  # fmt: skip
_TAIL = (
    (1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504, 1.27045825245236838258,
     0.241780725177450611770, 0.0227238449892691845833, 0.000774545014278341407640),
    (1.0, 2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550, 0.148103976427480074590,
     0.0151986665636164571966, 0.000547593808499534494600, 1.05075007164441684324e-9),
)  # fmt: skip
_END = (
    (6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 0.296560571828504891230, 0.0265321895265761230930,
     0.00124266094738807843860, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 0.599832206555887937690, 0.136929880922735805310, 0.0148753612908506148525, 0.000786869131145613259100,
     1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip


def _tail_quantile(tail: Array) -> Array:
    """The x > 0 that a standard normal variable exceeds with probability `tail` < 0.075; float64."""
    r = np.sqrt(-np.log(tail))
    y = horner(r - 1.6, _TAIL[0]) / horner(r - 1.6, _TAIL[1])
    return redo(y, r > 5, lambda s: horner(s - 5, _END[0]) / horner(s - 5, _END[1]), r)


def normal_quantile(q: Array, tail: Array) -> Array:
    """The x below which a standard normal variable lies with probability 1/2 + q; q in [-1/2, 1/2], float64.

    Args:
        q, tail: 1/2 - |q| is `tail`, which the caller knows to full precision.
    """
    r = np.multiply(q, q, out=np.empty_like(q))
    np.subtract(0.180625, r, out=r)
    y = horner(r, _CENTRE[0])
    y /= horner(r, _CENTRE[1])
    y *= q
    redo(y, np.abs(q) > 0.425, lambda t, s: np.copysign(_tail_quantile(t), s), tail, q)
    return redo(y, tail == 0, lambda s: np.copysign(np.inf, s), q)


def erfinv(x: Array) -> Array:
    """The inverse of erf: -inf and inf at -1 and 1, NaN outside; in float32 within 3 ulp."""
    x = np.asarray(x)
    if x.dtype == F32:
        return _erfinv32(x)
    y = normal_quantile(x / 2, (1 - np.abs(x)) / 2)
    y *= 0.7071067811865476
    return y
