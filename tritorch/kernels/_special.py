"""NumPy definitions of elementwise functions that NumPy lacks, or gives with other rules than PyTorch.

All keep the dtype of their first operand (callers have promoted already) and never warn differently from ufuncs.
erf and erfc follow the rational approximations of Sun's fdlibm (s_erf.c, 1993), good to about 1 ulp in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
_PP = (1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02, -5.77027029648944159157e-03,
       -2.37630166566501626084e-05)  # fmt: skip
_QQ = (1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03, 1.32494738004321644526e-04,
       -3.96022827877536812320e-06)  # fmt: skip
_PA = (-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01, 3.18346619901161753674e-01,
       -1.10894694282396677476e-01, 3.54783043256182359371e-02, -2.16637559486879084300e-03)  # fmt: skip
_QA = (1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02, 1.26171219808761642112e-01,
       1.36370839120290507362e-02, 1.19844998467991074170e-02)  # fmt: skip
_RA = (-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e01, -6.23753324503260060396e01,
       -1.62396669462573470355e02, -1.84605092906711035994e02, -8.12874355063065934246e01, -9.81432934416914548592e00)  # fmt: skip
_SA = (1.0, 1.96512716674392571292e01, 1.37657754143519042600e02, 4.34565877475229228821e02, 6.45387271733267880336e02,
       4.29008140027567833386e02, 1.08635005541779435134e02, 6.57024977031928170135e00, -6.04244152148580987438e-02)  # fmt: skip
_RB = (-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e01, -1.60636384855821916062e02,
       -6.37566443368389627722e02, -1.02509513161107724954e03, -4.83519191608651397019e02)  # fmt: skip
_SB = (1.0, 3.03380607434824582924e01, 3.25792512996573918826e02, 1.53672958608443695994e03, 3.19985821950859553908e03,
       2.55305040643316442583e03, 4.74528541206955367215e02, -2.24409524465858183362e01)  # fmt: skip
_ERX = 8.45062911510467529297e-01


def _poly(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Horner's rule, in place; coefficients from the lowest power up."""
    y = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        y *= x
        y += c
    return y


def _erf64(x: Array, complement: bool) -> Array:
    """erf or erfc of a float64 array, by ranges of |x|."""
    a = np.abs(x)
    y = np.empty_like(a)
    small = a < 0.84375
    if small.any():
        v = x[small]
        z = v * v
        r = v + v * (_poly(z, _PP) / _poly(z, _QQ))
        y[small] = 1 - r if complement else r
    middle = (a >= 0.84375) & (a < 1.25)
    if middle.any():
        s = a[middle] - 1
        pq = _poly(s, _PA) / _poly(s, _QA)
        neg = x[middle] < 0
        if complement:
            y[middle] = np.where(neg, 1 + (_ERX + pq), 1 - _ERX - pq)
        else:
            y[middle] = np.where(neg, -_ERX - pq, _ERX + pq)
    large = a >= 1.25
    if large.any():
        v = np.minimum(a[large], 28.0)
        s = 1 / (v * v)
        inner = v < 1 / 0.35
        ratio = np.where(inner, _poly(s, _RA) / _poly(s, _SA), _poly(s, _RB) / _poly(s, _SB))
        z = v.astype(np.float32).astype(np.float64)  # the leading bits, so that exp(-z*z) is exact in them
        tail = np.exp(-z * z - 0.5625) * np.exp((z - v) * (z + v) + ratio) / v
        neg = x[large] < 0
        if complement:
            y[large] = np.where(neg, 2 - tail, tail)
        else:
            y[large] = np.where(neg, tail - 1, 1 - tail)
    bad = np.isnan(a)
    if bad.any():
        y[bad] = np.nan
    return y


_ERF32 = (1.1283792023175157, 0.10277131496088733, -0.00020215169193874504, -0.0006036813403345763,
          7.648989836380481e-05, -1.8611879329895212e-06, -5.150692041755428e-07, 5.391411407958733e-08,
          -1.6406705661970935e-09)  # fmt: skip


_ERF32 = tuple(np.array(c, np.float32) for c in _ERF32)  # NumPy takes a 0-dim array faster than a Python number


def odd_tanh(x: Array, z: Array, coefficients: tuple[Any, ...]) -> Array:
    """tanh(x P(z)), coefficients from the lowest power up."""
    y = np.multiply(z, coefficients[-1], out=np.empty_like(z))
    for c in coefficients[-2:0:-1]:
        y += c
        y *= z
    y += coefficients[0]
    y *= x
    return np.tanh(y, out=y)


def _erf32(x: Array) -> Array:
    """erf of a float32 array as tanh(x P(x^2)), within 2.8 ulp.

    atanh(erf(x)) / x is smooth and even, tanh damps P's errors, and NumPy's tanh takes less than a nanosecond. P is
    the minimax polynomial for the relative error of the result on |x| <= 4, beyond which erf rounds to 1.
    """
    z = np.multiply(x, x, out=np.empty_like(x))
    return odd_tanh(x, np.minimum(z, 16, out=z), _ERF32)


def erf(x: Array) -> Array:
    x = np.asarray(x)
    return _erf32(x) if x.dtype == np.float32 else np.asarray(_erf64(x.reshape(-1), False).reshape(x.shape))


def erfc(x: Array) -> Array:
    x = np.asarray(x)
    return _erf64(x.reshape(-1).astype(np.float64), True).reshape(x.shape).astype(x.dtype, copy=False)


def erfinv(x: Array) -> Array:
    """By Giles' approximation (2010, GPU Computing Gems ch. 10), then two Newton steps in float64."""
    x = np.asarray(x)
    v = x.astype(np.float64).reshape(-1)
    w = -np.log((1 - v) * (1 + v))
    c = w < 5
    s = np.where(c, w - 2.5, np.sqrt(np.where(c, 5.0, w)) - 3)
    near = _poly(s, (1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-06, -3.5233877e-06,
                     3.43273939e-07, 2.81022636e-08))  # fmt: skip
    far = _poly(s, (2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322,
                    0.000100950558, -0.000200214257))  # fmt: skip
    y = np.where(c, near, far) * v
    for _ in range(2):
        y = np.where(
            np.abs(v) < 1, y - (np.where(v > 0, -1, 1) * _tail(y, v)) / (1.1283791670955126 * np.exp(-y * y)), y
        )
    y = np.where(v == 1, np.inf, np.where(v == -1, -np.inf, y))
    return y.reshape(x.shape).astype(x.dtype, copy=False)


def _tail(y: Array, v: Array) -> Array:
    """erfc(|y|) - (1 - |v|): the residual without cancellation near 1, signed towards zero."""
    return _erf64(np.abs(y), True) - (1 - np.abs(v))


_LANCZOS = (0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
            12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7)  # fmt: skip


def lgamma(x: Array) -> Array:
    """log |Gamma(x)|: Lanczos' series (g = 7, 9 terms), the reflection formula below 1/2, exact zeros at 1 and 2."""
    x = np.asarray(x)
    v = x.astype(np.float64)
    z = np.where(v < 0.5, 1 - v, v) - 1
    series = np.full_like(z, _LANCZOS[0])
    for i, c in enumerate(_LANCZOS[1:], 1):
        series += c / (z + i)
    t = z + 7.5
    y = 0.9189385332046728 + (z + 0.5) * np.log(t) - t + np.log(series)
    y = np.where(v < 0.5, np.log(np.pi) - np.log(np.abs(np.sin(np.pi * np.where(v < 0.5, v % 2, 0.5)))) - y, y)
    y = np.where((v == 1) | (v == 2), 0.0, y)
    y = np.where(((v <= 0) & (v == np.floor(v))) | np.isinf(v), np.inf, y)
    return np.asarray(y).astype(x.dtype, copy=False)


def digamma(x: Array) -> Array:
    """psi(x): recurrence up to 10, then the asymptotic series; reflection below 0."""
    x = np.asarray(x)
    v = x.astype(np.float64)
    z = np.where(v < 0, 1 - v, v)
    y = np.zeros_like(z)
    for _ in range(10):
        low = z < 10
        y = np.where(low, y - 1 / np.where(low, z, 1.0), y)
        z = np.where(low, z + 1, z)
    w = 1 / (z * z)
    y = y + np.log(z) - 0.5 / z - w * _poly(w, (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12))
    y = np.where(v < 0, y - np.pi / np.tan(np.pi * np.where(v < 0, v % 1, 0.5)), y)
    y = np.where(v == 0, np.where(np.signbit(v), np.inf, -np.inf), np.where((v < 0) & (v == np.floor(v)), np.nan, y))
    return np.asarray(y).astype(x.dtype, copy=False)


def trigamma(x: Array) -> Array:
    """psi'(x): recurrence up to 10, then the asymptotic series; reflection below 1/2."""
    x = np.asarray(x)
    v = x.astype(np.float64)
    z = np.where(v < 0.5, 1 - v, v)
    y = np.zeros_like(z)
    for _ in range(10):
        low = z < 10
        y = np.where(low, y + 1 / np.where(low, z * z, 1.0), y)
        z = np.where(low, z + 1, z)
    w = 1 / (z * z)
    y = y + 1 / z + w / 2 + w / z * _poly(w, (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6))
    y = np.where(v < 0.5, -y + (np.pi / np.sin(np.pi * v)) ** 2, y)
    return np.asarray(y).astype(x.dtype, copy=False)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)); exp may overflow to inf, which gives the right 0."""
    y = np.negative(x)
    if y.__class__ is not np.ndarray:
        return 1 / (1 + np.exp(y))
    np.exp(y, out=y)
    y += 1
    return np.reciprocal(y, out=y)


def log_sigmoid(x: Array) -> Array:
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def logit(x: Array, eps: float = -1.0) -> Array:
    if eps >= 0:
        x = np.clip(x, eps, 1 - eps)
    return np.log(x / (1 - x))


def rsqrt(x: Array) -> Array:
    return 1 / np.sqrt(x)


def deg2rad(x: Array) -> Array:
    return x * 0.017453292519943295


def rad2deg(x: Array) -> Array:
    return x * 57.29577951308232


def sinc(x: Array) -> Array:
    z = x * np.pi
    return np.where(z == 0, z * 0 + 1, np.sin(z) / z)


def xlogy(a: Array, b: Array) -> Array:
    return np.where((a == 0) & ~np.isnan(b), a * 0, a * np.log(b))


def _integer_zero_division(op: str, b: Array) -> None:
    if np.asarray(b).dtype.kind in "iub" and not np.all(b):
        raise RuntimeError(f"{op}: ZeroDivisionError: integer division by zero in the second operand")


def floor_divide(a: Array, b: Array) -> Array:
    _integer_zero_division("floor_divide", b)
    y = np.floor_divide(a, b)
    if y.dtype.kind == "f":  # NumPy gives nan for a / 0, C and PyTorch the infinity of the true quotient
        y = np.where(b == 0, np.true_divide(a, b), y)
    return y


def remainder(a: Array, b: Array) -> Array:
    _integer_zero_division("remainder", b)
    return np.remainder(a, b)


def fmod(a: Array, b: Array) -> Array:
    _integer_zero_division("fmod", b)
    return np.fmod(a, b)


def heaviside(a: Array, b: Array) -> Array:
    return np.where(a == 0, b, (a > 0).astype(np.asarray(b).dtype))


def lerp(a: Array, b: Array, c: Array) -> Array:
    d = b - a
    return np.where(np.abs(c) < 0.5, a + c * d, b - d * (1 - c))


def sign(x: Array) -> Array:
    x = np.asarray(x)
    if x.dtype.kind == "b":
        return x.copy()
    if x.dtype.kind == "f":
        return (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)  # 0 for NaN, as PyTorch
    return np.sign(x)


def _floats_only(f: Any) -> Any:
    def g(x: Array) -> Array:
        return np.array(x) if x.dtype.kind in "iub" else f(x)

    return g


ceil, floor, trunc, round_ = map(_floats_only, (np.ceil, np.floor, np.trunc, np.rint))


def pow_scalar(x: Array, c: float) -> Array:
    """x ** c for a Python number c; the common exponents without a call of pow per element."""
    if c == 2:
        return np.square(x)
    if c == 1:
        return np.array(x)
    if c == 0:
        return np.ones_like(x)
    if c == 3:
        return x * x * x
    if c == 0.5:
        return np.sqrt(x)
    if c == -1:
        return np.reciprocal(x)
    return np.power(x, c)


def frac(x: Array) -> Array:
    return x - np.trunc(x)


def signbit(x: Array) -> Array:
    x = np.asarray(x)
    return np.signbit(x) if x.dtype.kind == "f" else x < 0


def nan_to_num(x: Array, nan: float, posinf: float, neginf: float) -> Array:
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


_ZEROS = {np.dtype(c): np.zeros((), c) for c in "bhilqBfd"}  # a 0-dim array costs NumPy half of what a Python 0 costs


def relu(x: Array) -> Array:
    return np.maximum(x, _ZEROS[x.dtype])


def relu6(x: Array) -> Array:
    return np.clip(x, 0, 6)


def leaky_relu(x: Array, slope: float) -> Array:
    return np.maximum(x, x * slope) if 0 <= slope <= 1 else np.where(x > 0, x, x * slope)


def threshold(x: Array, limit: float, value: float) -> Array:
    return np.where(x <= limit, np.asarray(value, x.dtype), x)


def hardtanh(x: Array, low: float, high: float) -> Array:
    return np.clip(x, low, high)


def hardsigmoid(x: Array) -> Array:
    return np.clip(x + 3, 0, 6) / 6


def hardswish(x: Array) -> Array:
    return x * np.clip(x + 3, 0, 6) / 6


def hardshrink(x: Array, limit: float) -> Array:
    return np.where((x >= -limit) & (x <= limit), np.zeros((), x.dtype), x)


def softshrink(x: Array, limit: float) -> Array:
    return np.where(x > limit, x - limit, np.where(x < -limit, x + limit, x * 0))


def elu(x: Array, alpha: float, scale: float, slope: float) -> Array:
    return np.where(x > 0, x * scale, np.expm1(np.minimum(x, 0) * slope) * (alpha * scale))


def celu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0) / alpha) * alpha)


def softplus(x: Array, beta: float, limit: float) -> Array:
    z = x * beta
    return np.where(z > limit, x, np.log1p(np.exp(np.minimum(z, limit))) / beta)


def mish(x: Array) -> Array:
    return x * np.tanh(np.logaddexp(x, 0))
