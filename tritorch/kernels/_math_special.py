"""The error function and the gamma family for kernels; `_math.py` has the elementary functions and the conventions.

lgamma, digamma and polygamma1 compute in float64 for either type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._launch import kernel
from ._math import _div, _exp, _negative, _signed, _sqrt

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _erfc(x):
    """1 - erf(x): e^(-x^2) by a polynomial in t = (|x| - 4) / (|x| + 4) over 1 + 2 |x|."""
    a = tl.abs(x)
    if x.dtype == tl.float64:
        v = tl.where(a > 28, 28.0, a).to(x.dtype)
        t = (v - 4) / (v + 4)
        p = 9.644268907238183e-10 * t + 1.5702163493400102e-09
        p = p * t - 1.2539037763330825e-08
        p = p * t - 1.6352193412281156e-08
        p = p * t + 1.0682153992562373e-07
        p = p * t + 7.110756463439738e-08
        p = p * t - 8.217859767020368e-07
        p = p * t + 2.9807403456243087e-07
        p = p * t + 5.707227215733186e-06
        p = p * t - 1.1225151437545023e-05
        p = p * t - 2.4398111903846686e-05
        p = p * t + 0.00015062312326694376
        p = p * t - 0.00019925700599664065
        p = p * t - 0.0007577737158652761
        p = p * t + 0.0050319700329074695
        p = p * t - 0.016197733979602495
        p = p * t + 0.037167515531803634
        p = p * t - 0.06633036582053915
        p = p * t + 0.09373283499865392
        p = p * t - 0.10103906603585096
        p = p * t + 0.06809705425468617
        p = p * t + 0.015379652102610119
        p = p * t - 0.1396211168405625
        p = p * t + 1.2329951186255526
    else:
        v = tl.where(a > 11, 11.0, a).to(x.dtype)
        t = _div(v - 4, v + 4)
        p = 0.0001166079965817477 * t - 0.00024863229744759855
        p = p * t - 0.0007163394718893107
        p = p * t + 0.005082809154341677
        p = p * t - 0.016222274556440104
        p = p * t + 0.037139916895708044
        p = p * t - 0.06632325953594638
        p = p * t + 0.0937404437927717
        p = p * t - 0.10103995084812756
        p = p * t + 0.06809613205416178
        p = p * t + 0.015379683653270457
        p = p * t - 0.13962108431457343
        p = p * t + 1.2329951186255526
    s = v * v
    low = tl.fma(v, v, s * -1.0)  # what squaring rounded away would be multiplied by |x| otherwise
    e = _exp(s * -1.0)
    y = _div(e - e * low, 2 * v + 1) * p
    return tl.where(x != x, x, tl.where(_negative(x), 2 - y, y))


@kernel
def _erfinv(x):
    """Giles' approximation (GPU Computing Gems, 2010, ch. 10); Halley's steps on top in float64."""
    w = tl.log((1 - x) * (1 + x)) * -1.0
    near = w < 5
    s = tl.where(near, w - 2.5, _sqrt(tl.where(near, 5.0, w).to(x.dtype)) - 3)
    p = 2.81022636e-08 * s + 3.43273939e-07
    p = p * s - 3.5233877e-06
    p = p * s - 4.39150654e-06
    p = p * s + 0.00021858087
    p = p * s - 0.00125372503
    p = p * s - 0.00417768164
    p = p * s + 0.246640727
    p = p * s + 1.50140941
    q = -0.000200214257 * s + 0.000100950558
    q = q * s + 0.00134934322
    q = q * s - 0.00367342844
    q = q * s + 0.00573950773
    q = q * s - 0.0076224613
    q = q * s + 0.00943887047
    q = q * s + 1.00167406
    q = q * s + 2.83297682
    y = tl.where(near, p, q) * x
    if x.dtype == tl.float64:
        a = tl.abs(x)
        lq = tl.log(1 - a) * -1.0
        v = tl.where(lq > 12, tl.sqrt(lq - 0.5723649429247001 - 0.5 * tl.log(lq)), tl.abs(y))
        for _ in range(3):  # Halley's steps, against erfc for large |x|, where erf has no bits left
            d = tl.where(a < 0.5, tl.erf(v) - a, (1 - a) - _erfc(v)) * 0.886226925452758 * tl.exp(v * v)
            v = v - d / (1 + d * v)
        y = _signed(tl.where(a == 0, 0.0, v), x)
    y = tl.where(tl.abs(x) == 1, _signed(tl.abs(x) * float("inf"), x), y)
    return tl.where(tl.abs(x) <= 1, y, float("nan"))


@kernel
def _lgamma(x):
    """log |Gamma(x)|: recurrence up to 8 and Stirling's series; reflection below 0."""
    v = x.to(tl.float64)
    neg = v < 0
    z = tl.where(neg, 1 - v, v)
    product = z * 0 + 1
    for _ in range(8):
        low = z < 8
        product = tl.where(low, product * z, product)
        z = tl.where(low, z + 1, z)
    r = 1 / z
    w = r * r
    p = 0.0064102564102564103 * w - 0.0019175269175269176
    p = p * w + 0.00084175084175084176
    p = p * w - 0.00059523809523809524
    p = p * w + 0.00079365079365079365
    p = p * w - 0.0027777777777777778
    p = p * w + 0.083333333333333333
    y = (z - 0.5) * tl.log(z) - z + 0.91893853320467274 + p * r - tl.log(product)
    part = tl.abs(v - tl.floor(v + 0.5))
    y = tl.where(neg, 1.1447298858494002 - tl.log(tl.sin(part * 3.141592653589793)) - y, y)
    y = tl.where((v == 1) | (v == 2), 0.0, y)
    pole = ((v <= 0) & (v == tl.floor(v))) | (tl.abs(v) == float("inf"))
    return tl.where(pole, float("inf"), tl.where(v != v, v, y)).to(x.dtype)


@kernel
def _digamma(x):
    """The derivative of log Gamma: recurrence up to 10 and the asymptotic series; reflection below 0."""
    v = x.to(tl.float64)
    neg = v < 0
    z = tl.where(neg, 1 - v, v)
    y = tl.zeros_like(z)
    for _ in range(10):
        low = z < 10
        y = tl.where(low, y - 1 / tl.where(low, z, 1.0), y)
        z = tl.where(low, z + 1, z)
    w = 1 / (z * z)
    p = 0.083333333333333333 * w - 0.021092796092796094
    p = p * w + 0.0075757575757575758
    p = p * w - 0.0041666666666666667
    p = p * w + 0.0039682539682539683
    p = p * w - 0.0083333333333333333
    p = p * w + 0.083333333333333333
    y = y + tl.log(z) - 0.5 / z - w * p
    part = tl.where(neg, v - tl.floor(v + 0.5), 0.25) * 3.141592653589793
    y = tl.where(neg, y - 3.141592653589793 * tl.cos(part) / tl.sin(part), y)
    y = tl.where(neg & (v == tl.floor(v)), float("nan"), y)
    y = tl.where(v == 0, _signed(z * 0 + float("inf"), v) * -1.0, y)
    return tl.where(v == float("inf"), v, y).to(x.dtype)


@kernel
def _polygamma1(x):
    """The derivative of digamma: recurrence up to 10 and the asymptotic series; reflection below 1/2."""
    v = x.to(tl.float64)
    neg = v < 0.5
    z = tl.where(neg, 1 - v, v)
    y = tl.zeros_like(z)
    for _ in range(10):
        low = z < 10
        d = tl.where(low, z, 1.0)
        y = tl.where(low, y + 1 / (d * d), y)
        z = tl.where(low, z + 1, z)
    r = 1 / z
    w = r * r
    p = 1.1666666666666667 * w - 0.25311355311355311
    p = p * w + 0.075757575757575758
    p = p * w - 0.033333333333333333
    p = p * w + 0.023809523809523810
    p = p * w - 0.033333333333333333
    p = p * w + 0.16666666666666667
    y = y + r + w * 0.5 + w * r * p
    s = tl.sin(tl.where(neg, v - tl.floor(v + 0.5), 0.5) * 3.141592653589793)
    y = tl.where(neg, 9.869604401089358 / (s * s) - y, y)
    return y.to(x.dtype)
