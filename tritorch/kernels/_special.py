"""NumPy definitions of elementwise functions that NumPy lacks, gives with other rules than PyTorch, or makes slowly.

All keep the dtype of their operands (callers have promoted already) and never warn differently from ufuncs. `out` takes
the result, so that work in blocks (`_blocks.large`) needs no copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._op import Array
from ._select import redo, where

INTEGERS = {np.dtype(f): (np.dtype(i), np.array(-1 << bits - 1, i)) for f, i, bits in (("f", "i", 32), ("d", "q", 64))}
"""Float dtype -> the integers of its size, and the sign bit among them."""
_FEW = 512


def fresh(x: Array, out: Array | None) -> Array:
    """`out`, or a new array like x; an array even where x is 0-dim, of which NumPy's functions make scalars."""
    return np.empty_like(x) if out is None else out


def _bits(*operands: Any) -> bool:
    """Are all of them arrays of one float dtype whose bits can be handled?"""
    dtype = getattr(operands[0], "dtype", None)
    return dtype in INTEGERS and all(v.__class__ is np.ndarray and v.dtype == dtype for v in operands)


def few(a: Any, b: Any) -> bool:
    """Are there so few elements that one slow call of NumPy costs less than several fast ones?"""
    return getattr(a, "size", 1) < _FEW and getattr(b, "size", 1) < _FEW


def within(x: Array, bound: float) -> bool:
    """Is |x| < bound everywhere? Two reductions, which cost less than one mask."""
    return x.size > 0 and -bound < x.min() and x.max() < bound


# ---- exponentials


def sigmoid(x: Array, *, out: Array | None = None) -> Array:
    """1 / (1 + exp(-x)); exp may overflow to inf, which gives the right 0."""
    y = np.asarray(np.negative(x, out=out))
    np.exp(y, out=y)
    y += 1
    return np.reciprocal(y, out=y) if y.size < _FEW else np.divide(1, y, out=y)


def log_sigmoid(x: Array, *, out: Array | None = None) -> Array:
    """min(x, 0) - log(1 + exp(-|x|))."""
    y = np.abs(x, out=np.empty_like(x))
    np.negative(y, out=y)
    np.exp(y, out=y)
    np.log1p(y, out=y)
    return np.subtract(x.clip(-np.inf, 0), y, out=fresh(x, out))


def log_sigmoid_grad(g: Array, x: Array, y: None, *, out: Array | None = None) -> Array:
    """g sigmoid(-x)."""
    gx = np.exp(x, out=fresh(x, out))
    gx += 1
    return np.divide(g, gx, out=gx)


def logit(x: Array, eps: float = -1.0, *, out: Array | None = None) -> Array:
    """log(x / (1 - x)), x clamped to [eps, 1 - eps] for eps >= 0."""
    if eps >= 0:
        x = x.clip(eps, 1 - eps)
    y = np.subtract(1, x, out=fresh(x, out))
    np.divide(x, y, out=y)
    return np.log(y, out=y)


def logit_grad(g: Array, x: Array, y: None, eps: float, *, out: Array | None = None) -> Array:
    """g / (x (1 - x)); 0 where x has been clamped (or, with eps, is NaN), NaN where it is no probability."""
    gx = np.subtract(1, x, out=fresh(x, out))
    gx *= x
    np.divide(g, gx, out=gx)
    if eps >= 0:
        return redo(gx, ~((x >= eps) & (x <= 1 - eps)), np.zeros_like, gx)
    return redo(gx, (x < 0) | (x > 1), lambda v: np.full_like(v, np.nan), gx)


def logaddexp(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """log(e^a + e^b) = max(a, b) + log(1 + e^-|a - b|)."""
    if few(a, b):
        return np.logaddexp(a, b, out=out)
    d = np.asarray(np.subtract(a, b))
    np.abs(d, out=d)
    np.negative(d, out=d)
    np.exp(d, out=d)
    np.log1p(d, out=d)
    y = np.add(np.maximum(a, b), d, out=d if out is None else out)
    return redo(y, np.isnan(y), np.logaddexp, a, b)  # two infinities of one sign


def logaddexp2(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """log2(2^a + 2^b), as `logaddexp`."""
    if few(a, b):
        return np.logaddexp2(a, b, out=out)
    d = np.asarray(np.subtract(a, b))
    np.abs(d, out=d)
    np.negative(d, out=d)
    np.exp2(d, out=d)
    np.log1p(d, out=d)
    d *= 1.4426950408889634
    y = np.add(np.maximum(a, b), d, out=d if out is None else out)
    return redo(y, np.isnan(y), np.logaddexp2, a, b)


def complex_log1p(z: Array) -> Array:
    """log(1 + z) of complex z, exact for small ones as well: log |1 + z| = log1p(x (x + 2) + y^2) / 2."""
    x, y = z.real, z.imag
    r = x * (x + 2) + y * y
    size = np.where(np.abs(z) < 0.5, np.where(r == 0, x, np.log1p(np.maximum(r, -1)) / 2), np.log(np.hypot(x + 1, y)))
    result = np.empty_like(z)
    result.real, result.imag = size, np.arctan2(y, x + 1)
    return result


def complex_logaddexp(a: Array, b: Array) -> Array:
    """log(e^a + e^b) = m + log(1 + e^(l - m)), m the one with the larger real part and l the other."""
    less = a.real < b.real
    high, low = np.where(less, b, a), np.where(less, a, b)
    y = complex_log1p(np.exp(low - high)) + high
    ends = np.isinf(high.real) & (low.real == high.real)
    y = np.where(ends, np.where(high.real < 0, low, np.log(np.exp(low) + np.exp(high))), y)
    return np.where(np.isnan(low) | np.isnan(high), complex(np.nan, np.nan), y).astype(high.dtype, copy=False)


def xlogy(a: Array, b: Array) -> Array:
    """a log b, 0 where a is 0."""
    y = np.asarray(a * np.log(b))
    return redo(y, a == 0, lambda u, v: np.where(np.isnan(v), v, u * 0), a, b)


def sinc(x: Array) -> Array:
    """sin(pi x) / (pi x), 1 at 0."""
    z = np.asarray(x * np.pi)
    y = np.sin(z, out=np.empty_like(z))
    y /= z
    return redo(y, z == 0, np.ones_like, z)


# ---- powers


def rsqrt(x: Array, *, out: Array | None = None) -> Array:
    y = np.sqrt(x, out=fresh(x, out))
    return np.divide(1, y, out=y)


def reciprocal(x: Array, *, out: Array | None = None) -> Array:
    """1 / x, which NumPy makes faster as a quotient than as np.reciprocal."""
    return np.reciprocal(x, out=out) if x.size < _FEW else np.divide(1, x, out=out)


def _whole_power(x: Array, c: int) -> Array:
    """x^c by |x|^c: NumPy's power takes 1 ns an element for positive bases, and 50 once there is a negative one."""
    y = np.power(np.abs(x), float(c), out=np.empty_like(x))
    return copysign(y, x) if c & 1 else y


def pow_scalar(x: Array, c: float, *, out: Array | None = None) -> Array:
    """x ** c for a Python number c; the common exponents without a call of pow per element."""
    if c == 2:
        return np.square(x, out=out)
    if c == 1:
        return np.array(x)
    if c == 0:
        return np.ones_like(x)
    if c == 0.5:
        return np.sqrt(x, out=out)
    if c == -1:
        return np.divide(1, x, out=out)
    if c == -0.5:
        return rsqrt(x, out=out)
    if c in (3, 4, -2):
        y = np.square(x, out=fresh(x, out))
        return np.multiply(y, x, out=y) if c == 3 else np.square(y, out=y) if c == 4 else np.divide(1, y, out=y)
    if x.dtype not in INTEGERS or x.size < 64 or np.min(x) >= 0:
        return np.power(x, c, out=out)
    if float(c).is_integer():
        return _whole_power(x, int(c))
    y = np.power(np.abs(x), c, out=fresh(x, out))
    return where((x < 0) & (x > -np.inf), np.nan, y, out=y)


def pow_scalar_grad(g: Array, x: Array, y: None, c: float, *, out: Array | None = None) -> Array:
    """g c x^(c - 1); 0 for c = 0, whatever x and g are."""
    if c == 0:
        return np.zeros_like(g)
    gx = np.asarray(pow_scalar(x, c - 1, out=out))
    gx = np.multiply(gx, c, out=gx)
    return np.multiply(gx, g, out=gx)


def hypot(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """sqrt(a^2 + b^2), by that formula where no square can have overflowed or underflowed."""
    if few(a, b):
        return np.hypot(a, b, out=out)
    y = np.add(np.multiply(a, a), np.multiply(b, b))
    if y.dtype not in INTEGERS:
        return np.hypot(a, b, out=out)
    least = 1e-30 if y.dtype.itemsize == 4 else 1e-280
    if within(y, np.inf) and y.min() > least:
        return np.sqrt(y, out=y if out is None else out)
    unsafe = ~((y > least) & (y < np.inf))
    y = redo(np.sqrt(y, out=y), unsafe, np.hypot, a, b)
    return y if out is None else np.positive(y, out=out)  # which may be a or b


# ---- signs and neighbours, on the bits


def with_sign_of(y: Array, x: Any) -> Array:
    """y, which is 0 or positive or has the sign of x, changed in place to have it; -0.0 and NaN included."""
    if not _bits(y, x):
        return np.copysign(y, x, out=y)
    integer, sign = INTEGERS[y.dtype]
    bits = y.view(integer)
    bits |= x.view(integer) & sign
    return y


def copysign(a: Array, b: Array) -> Array:
    """|a| with the sign of b, -0.0 and NaN included."""
    if few(a, b) or not _bits(a, b):
        return np.copysign(a, b)
    integer, sign = INTEGERS[a.dtype]
    y = np.asarray(a.view(integer) & ~sign)
    return (y | (b.view(integer) & sign)).view(a.dtype)


def nextafter(a: Array, b: Array) -> Array:
    """The next number from a towards b: one step in the integers that the bits are, away from 0 or towards it."""
    if few(a, b) or not _bits(a, b) or a.shape != b.shape:
        return np.nextafter(a, b)
    up, positive = np.less(a, b), np.greater(a, 0)
    step = np.equal(up, positive).view(np.int8)
    step += step
    step -= 1
    step *= np.not_equal(a, b).view(np.int8)
    y = np.add(a.view(INTEGERS[a.dtype][0]), step).view(a.dtype)
    return redo(y, (a == 0) | np.isnan(a) | np.isnan(b), np.nextafter, a, b)


def sign(x: Array, *, out: Array | None = None) -> Array:
    """-1, 0 or 1; 0 for NaN."""
    x = np.asarray(x)
    if x.dtype.kind == "b":
        return x.copy()
    if x.dtype.kind != "f":
        return np.sign(x)
    y = fresh(x, out)
    y[...] = np.subtract(np.greater(x, 0).view(np.int8), np.less(x, 0).view(np.int8))
    return y


def signbit(x: Array) -> Array:
    x = np.asarray(x)
    return np.signbit(x) if x.dtype.kind == "f" else x < 0


def heaviside(a: Array, b: Array) -> Array:
    """0, b or 1 for a < 0, = 0 or > 0."""
    return where(a == 0, b, (a > 0).astype(np.asarray(b).dtype))


# ---- rounding


def _floats_only(f: Any) -> Any:
    def g(x: Array, *, out: Array | None = None) -> Array:
        return np.array(x) if x.dtype.kind in "iub" else f(x, out=out)

    return g


ceil, floor, trunc, round_ = map(_floats_only, (np.ceil, np.floor, np.trunc, np.rint))


def frac(x: Array, *, out: Array | None = None) -> Array:
    """x - trunc(x)."""
    y = np.trunc(x, out=fresh(x, out))
    return np.subtract(x, y, out=y)


def nan_to_num(x: Array, nan: float, posinf: float, neginf: float, *, out: Array | None = None) -> Array:
    """x with NaN and the infinities replaced."""
    finite = within(x, np.inf) if x.size >= _FEW else np.isfinite(x).all()
    replaced = () if finite else ((np.isnan(x), nan), (x == np.inf, posinf), (x == -np.inf, neginf))
    y = np.array(x) if out is None else out
    if out is not None:
        np.copyto(y, x)
    for found, value in replaced:
        where(found, np.asarray(value, x.dtype), y, out=y)
    return y


# ---- combinations


def deg2rad(x: Array, *, out: Array | None = None) -> Array:
    return np.multiply(x, 0.017453292519943295, out=out)


def rad2deg(x: Array, *, out: Array | None = None) -> Array:
    return np.multiply(x, 57.29577951308232, out=out)


def lerp(a: Array, b: Array, c: Array, *, out: Array | None = None) -> Array:
    """a + c (b - a); from b's side for |c| >= 1/2, which makes both ends exact."""
    if getattr(c, "size", 1) == 1:  # no choice per element
        d = np.subtract(b, a, out=out)
        if np.abs(c) < 0.5:
            return np.add(a, np.multiply(d, c, out=out), out=out)
        return np.subtract(b, np.multiply(d, 1 - c, out=out), out=out)
    near = np.abs(c) < 0.5
    y = (c - ~near) * (b - a)
    return np.add(y, where(near, a, b), out=out)


def addcmul(a: Array, b: Array, c: Array, value: Any, *, out: Array | None = None) -> Array:
    """a + value b c."""
    y = b if value == 1 else np.multiply(b, value, out=out)
    return np.add(a, np.multiply(y, c, out=out), out=out)


def addcdiv(a: Array, b: Array, c: Array, value: Any, *, out: Array | None = None) -> Array:
    """a + value b / c."""
    y = np.true_divide(b, c, out=out)
    return np.add(a, y if value == 1 else np.multiply(y, value, out=out), out=out)
