"""Bessel and Airy functions and the scaled error functions for kernels; the NumPy definitions are in `_bessel.py`.

All compute in float64 for either type, from the Chebyshev tables of `_bessel_tables.py`. `_pointwise` reads this file
when an expression first asks for one of its functions.
"""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any

from . import _bessel_tables as tables
from ._launch import Kernel, kernel
from ._math_special import _erfc, _erfinv

if TYPE_CHECKING:
    import triton.language as tl


def _series(name: str) -> Any:
    """The device function sum_k c_k T_k(t) of a table, by Clenshaw's recurrence, unrolled with the numbers in place.

    A kernel can't read a Python tuple, so the function is written out as text.
    """
    c = getattr(tables, name)
    steps = "".join(f"    p, q = u * p - q + {v!r}, p\n" for v in c[-3:0:-1])
    source = (
        f"def _{name.lower()}(t):\n    u = t + t\n    q = t * 0 + {c[-1]!r}\n    p = u * {c[-1]!r} + {c[-2]!r}\n"
        f"{steps}    return t * p - q + {c[0]!r}\n"
    )
    file = f"<tritorch series {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    local: dict[str, Any] = {}
    exec(compile(source, file, "exec"), globals(), local)  # noqa: S102
    return Kernel(local[f"_{name.lower()}"])


_i0_near, _i0_far, _i1_near, _i1_far = _series("I0_NEAR"), _series("I0_FAR"), _series("I1_NEAR"), _series("I1_FAR")
_k0_near, _k0_far, _k1_near, _k1_far = _series("K0_NEAR"), _series("K0_FAR"), _series("K1_NEAR"), _series("K1_FAR")
_j0_near, _j1_near, _y0_near, _y1_near = _series("J0_NEAR"), _series("J1_NEAR"), _series("Y0_NEAR"), _series("Y1_NEAR")
_p0_series, _q0_series, _p1_series, _q1_series = _series("P0"), _series("Q0"), _series("P1"), _series("Q1")
_airy_left, _airy_middle, _airy_far = _series("AIRY_LEFT"), _series("AIRY_MIDDLE"), _series("AIRY_FAR")
_airy_cos, _airy_sin, _erfcx_series = _series("AIRY_COS"), _series("AIRY_SIN"), _series("ERFCX")


@kernel
def _sin_cos(x):
    """sin and cos of a float64 x >= 0: multiples of pi / 2 off in three steps, exact below 2^20 of them.

    The library's functions keep a table in memory for arguments beyond any use here.
    """
    k = tl.floor(x * 0.6366197723675814 + 0.5)
    r = x - k * 1.57079632673412561417
    r = r - k * 6.07710050630396597660e-11
    r = r - k * 2.02226624879595063154e-21
    r = tl.where(tl.abs(r) < 1, r, 0.0)  # where x has no digits for its place in the period, any place will do
    w = r * r
    s = -7.647163731819816e-13 * w + 1.6059043836821613e-10
    s = s * w - 2.505210838544172e-08
    s = s * w + 2.7557319223985893e-06
    s = s * w - 0.0001984126984126984
    s = s * w + 0.008333333333333333
    s = s * w - 0.16666666666666666
    s = r + r * w * s
    c = -1.1470745597729725e-11 * w + 2.08767569878681e-09
    c = c * w - 2.755731922398589e-07
    c = c * w + 2.48015873015873e-05
    c = c * w - 0.001388888888888889
    c = c * w + 0.041666666666666664
    c = c * w * w - 0.5 * w + 1
    quarter = k - tl.floor(k * 0.25) * 4
    odd = (quarter == 1) | (quarter == 3)
    sin = tl.where(odd, c, s)
    cos = tl.where(odd, s, c)
    sin = tl.where(quarter > 1, sin * -1.0, sin)
    cos = tl.where((quarter == 1) | (quarter == 2), cos * -1.0, cos)
    return sin, cos


@kernel
def _i0e64(a):
    low = tl.where(a > 8, 8.0, a)
    r = 1 / tl.where(a > 8, a, 8.0)
    return tl.where(a > 8, _i0_far(16 * r - 1) * tl.sqrt(r), _i0_near(low * 0.25 - 1))


@kernel
def _i1e64(a):
    low = tl.where(a > 8, 8.0, a)
    r = 1 / tl.where(a > 8, a, 8.0)
    return tl.where(a > 8, _i1_far(16 * r - 1) * tl.sqrt(r), _i1_near(low * 0.25 - 1) * low)


@kernel
def _i0e(x):
    """e^-|x| I0(x)."""
    return _i0e64(tl.abs(x.to(tl.float64))).to(x.dtype)


@kernel
def _i1e(x):
    """e^-|x| I1(x)."""
    v = x.to(tl.float64)
    y = _i1e64(tl.abs(v))
    return tl.where(v < 0, y * -1.0, y).to(x.dtype)


@kernel
def _i0(x):
    """The modified Bessel function I0(x)."""
    a = tl.abs(x.to(tl.float64))
    return tl.where(a == float("inf"), a, _i0e64(a) * tl.exp(a)).to(x.dtype)


@kernel
def _i1(x):
    v = x.to(tl.float64)
    a = tl.abs(v)
    y = tl.where(a == float("inf"), a, _i1e64(a) * tl.exp(a))
    return tl.where(v < 0, y * -1.0, y).to(x.dtype)


@kernel
def _edge(x, y, at_zero):
    """y for x > 0, `at_zero` at 0, NaN below and for NaN."""
    return tl.where(x > 0, y, tl.where(x == 0, at_zero, float("nan")))


@kernel
def _k0e64(x):
    low = tl.where(x > 1e-300, tl.where(x > 2, 2.0, x), 1e-300).to(tl.float64)
    near = (_k0_near(low * low * 0.5 - 1) - tl.log(low * 0.5) * _i0e64(low) * tl.exp(low)) * tl.exp(low)
    r = 1 / tl.where(x > 2, x, 2.0)
    return _edge(x, tl.where(x > 2, _k0_far(4 * r - 1) * tl.sqrt(r), near), float("inf"))


@kernel
def _k1e64(x):
    low = tl.where(x > 1e-300, tl.where(x > 2, 2.0, x), 1e-300).to(tl.float64)
    near = _k1_near(low * low * 0.5 - 1) / low + tl.log(low * 0.5) * _i1e64(low) * tl.exp(low)
    r = 1 / tl.where(x > 2, x, 2.0)
    return _edge(x, tl.where(x > 2, _k1_far(4 * r - 1) * tl.sqrt(r), near * tl.exp(low)), float("inf"))


@kernel
def _k0e(x):
    """e^x K0(x)."""
    return _k0e64(x.to(tl.float64)).to(x.dtype)


@kernel
def _k1e(x):
    """e^x K1(x)."""
    return _k1e64(x.to(tl.float64)).to(x.dtype)


@kernel
def _k0(x):
    """The modified Bessel function of the second kind."""
    v = x.to(tl.float64)
    return tl.where(v == float("inf"), 0.0, _k0e64(v) * tl.exp(v * -1.0)).to(x.dtype)


@kernel
def _k1(x):
    v = x.to(tl.float64)
    return tl.where(v == float("inf"), 0.0, _k1e64(v) * tl.exp(v * -1.0)).to(x.dtype)


@kernel
def _waves0(a):
    """(J0, Y0) of a > 8: an amplitude times cos and sin of a - pi / 4."""
    x = tl.where(a > 8, tl.where(a == float("inf"), 8.0, a), 8.0)
    v = 128 / (x * x) - 1
    p = _p0_series(v)
    q = _q0_series(v) * 8 / x
    s, c = _sin_cos(x)
    root = 1 / tl.sqrt(x * 3.141592653589793)
    first = (p * (s + c) - q * (s - c)) * root
    second = (p * (s - c) + q * (s + c)) * root
    return tl.where(a == float("inf"), 0.0, first), tl.where(a == float("inf"), 0.0, second)


@kernel
def _waves1(a):
    """(J1, Y1) of a > 8."""
    x = tl.where(a > 8, tl.where(a == float("inf"), 8.0, a), 8.0)
    v = 128 / (x * x) - 1
    p = _p1_series(v)
    q = _q1_series(v) * 8 / x
    s, c = _sin_cos(x)
    root = 1 / tl.sqrt(x * 3.141592653589793)
    first = (p * (s - c) + q * (s + c)) * root
    second = (q * (s - c) - p * (s + c)) * root
    return tl.where(a == float("inf"), 0.0, first), tl.where(a == float("inf"), 0.0, second)


@kernel
def _bessel_j0(x):
    """The Bessel function of the first kind."""
    a = tl.abs(x.to(tl.float64))
    low = tl.where(a > 8, 8.0, a)
    far, _ = _waves0(a)
    return tl.where(a > 8, far, _j0_near(low * low * 0.03125 - 1)).to(x.dtype)


@kernel
def _bessel_j1(x):
    v = x.to(tl.float64)
    a = tl.abs(v)
    low = tl.where(a > 8, 8.0, a)
    far, _ = _waves1(a)
    y = tl.where(a > 8, far, low * _j1_near(low * low * 0.03125 - 1))
    return tl.where(v < 0, y * -1.0, y).to(x.dtype)


@kernel
def _bessel_y0(x):
    """The Bessel function of the second kind."""
    v = x.to(tl.float64)
    low = tl.where(v > 1e-300, tl.where(v > 8, 8.0, v), 1e-300).to(tl.float64)
    t = low * low * 0.03125 - 1
    near = _y0_near(t) + 0.6366197723675814 * tl.log(low * 0.5) * _j0_near(t)
    _, far = _waves0(v)
    return _edge(v, tl.where(v > 8, far, near), -float("inf")).to(x.dtype)


@kernel
def _bessel_y1(x):
    v = x.to(tl.float64)
    low = tl.where(v > 1e-300, tl.where(v > 8, 8.0, v), 1e-300).to(tl.float64)
    t = low * low * 0.03125 - 1
    near = _y1_near(t) / low + 0.6366197723675814 * tl.log(low * 0.5) * low * _j1_near(t)
    _, far = _waves1(v)
    return _edge(v, tl.where(v > 8, far, near), -float("inf")).to(x.dtype)


@kernel
def _airy(x):
    """Ai(x): series in the middle, a falling exponential to the right, a wave to the left."""
    v = x.to(tl.float64)
    middle = tl.where(v > -4, tl.where(v > 2, 2.0, v), -4.0)
    left = tl.where(v > -9, tl.where(v > -4, -4.0, v), -9.0)
    y = tl.where(v < -4, _airy_left((left + 6.5) * 0.4), _airy_middle((middle + 1) / 3))
    a = tl.abs(v)
    far = tl.where((a > 2) & (a < float("inf")), a, 2.0)
    root_far = tl.sqrt(far)
    z = far * root_far * 0.6666666666666666
    root = 1 / tl.sqrt(3.141592653589793 * root_far)
    falling = tl.exp(z * -1.0) * _airy_far(3.7712361663282534 / z - 1) * root * 0.5
    zz = tl.where(z * z > 324, z * z, 324.0)
    t = 648 / zz - 1
    s, c = _sin_cos(z)
    wave = ((s + c) * _airy_cos(t) + (s - c) * _airy_sin(t) / z) * 0.7071067811865476 * root
    y = tl.where(v > 2, tl.where(a == float("inf"), 0.0, falling), tl.where(v < -9, wave, y))
    return tl.where((v != v) | (v == -float("inf")), float("nan"), y).to(x.dtype)


@kernel
def _erfcx64(x):
    a = tl.abs(x)
    t = tl.where(a == float("inf"), 1.0, (a - 4) / (a + 4))
    y = _erfcx_series(t) / (1 + 2 * a)
    low = tl.where(x < 0, x, 0.0)
    return tl.where(x < 0, 2 * tl.exp(low * low) - y, y)


@kernel
def _erfcx(x):
    """e^(x^2) erfc(x)."""
    return _erfcx64(x.to(tl.float64)).to(x.dtype)


@kernel
def _log_ndtr64(x):
    z = x * 0.7071067811865476
    low = tl.where(z < 0, z, 0.0)
    left = tl.log(_erfcx64(low * -1.0) * 0.5) - low * low
    tail = _erfc(tl.where(z < -1, -1.0, z)) * -0.5  # log(1 + tail), by the rounding error of the sum
    u = tail + 1
    right = tl.where(u == 1, tail, tl.log(u) * (tail / tl.where(u == 1, 1.0, u - 1)))
    return tl.where(x < -1, left, right)


@kernel
def _log_ndtr(x):
    """log of the normal distribution function, without underflow for x << 0."""
    return _log_ndtr64(x.to(tl.float64)).to(x.dtype)


@kernel
def _ndtri(x):
    """The inverse of the normal distribution function: erfinv in the middle, Newton's steps on log_ndtr in the tails."""
    p = x.to(tl.float64)
    tail = tl.where(p < 0.5, p, 1 - p)
    inner = tail > 0.02
    middle = _erfinv(tl.where(inner, 2 * p - 1, 0.0).to(tl.float64)) * 1.4142135623730951
    q = tl.where(tail > 1e-307, tl.where(inner, 0.02, tail), 1e-307)
    log_q = tl.log(q)
    z = tl.sqrt(-2 * log_q - tl.log(-12.566370614359172 * log_q)) * -1.0
    for _ in range(6):
        z = z - (_log_ndtr64(z) - log_q) * _erfcx64(z * -0.7071067811865476) * 1.2533141373155003
    y = tl.where(inner, middle, tl.where(p < 0.5, z, z * -1.0))
    y = tl.where(p == 0, -float("inf"), tl.where(p == 1, float("inf"), y))
    return tl.where((p >= 0) & (p <= 1), y, float("nan")).to(x.dtype)
