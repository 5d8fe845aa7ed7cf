"""The gamma family on NumPy arrays: zeta, polygamma, incomplete gamma functions, entropies; orthogonal polynomials.

All compute in float64 and round to the input's dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ._log_gamma import digamma, lgamma, trigamma

Array = Any
# B_2k / (2k)! of Euler and Maclaurin's formula
_BERNOULLI = tuple(
    b / math.factorial(2 * k)
    for k, b in enumerate(
        (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330), 1
    )
)


def _zeta(s: Array, q: Array) -> Array:
    """sum_k (q + k)^-s for s > 1, q > 0: ten terms, then Euler and Maclaurin's formula."""
    y = np.zeros_like(s)
    for k in range(10):
        y += (q + k) ** -s
    a = q + 10
    power = a**-s
    y += power * a / (s - 1) + power / 2
    term = power * s / a
    for k, b in enumerate(_BERNOULLI):
        y += b * term
        term = term * (s + 2 * k + 1) * (s + 2 * k + 2) / (a * a)
    return y


def zeta(x: Array, q: Array) -> Array:
    """Hurwitz' zeta function; inf at the poles q = 0, -1, ...; for other q < 0 the exponent x has to be an integer."""
    dtype = np.result_type(x, q)
    s, a = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(q, np.float64))
    safe = np.where(s > 1, s, 2.0)
    part = a - np.floor(a)
    low = a < 0
    y = _zeta(safe, np.where(low, np.where(part == 0, 1.0, part), np.where(a > 0, a, 1.0)))
    if low.any():  # the terms below 0 by their absolute values
        flipped = np.where(low & (part > 0), 1 - part, 1.0)
        below = _zeta(safe, flipped) - _zeta(safe, np.where(low, 1 - a, 1.0))
        y = np.where(low, y + np.where(safe % 2 == 0, below, -below), y)
    y = np.where(low & (s != np.floor(s)), np.nan, y)
    pole = (a <= 0) & (a == np.floor(a))
    y = np.where(pole, np.inf, y)
    y = np.where(s > 1, y, np.where((s == 1) | pole & np.isnan(s), np.inf, np.nan))
    return np.where(np.isnan(a) & (s != 1), np.nan, y).astype(dtype)


def polygamma(x: Array, n: int) -> Array:
    """The n-th derivative of digamma: (-1)^(n+1) n! zeta(n + 1, x)."""
    if n == 0:
        return digamma(x)
    if n == 1:
        return trigamma(x)
    x = np.asarray(x)
    sign = 1.0 if n & 1 else -1.0
    y = sign * math.exp(math.lgamma(n + 1)) * zeta(np.float64(n + 1), x.astype(np.float64))
    return np.asarray(y).astype(x.dtype, copy=False)


def _log_density(a: Array, x: Array) -> Array:
    """log(x^a e^-x / Gamma(a + 1)), for large a and x near it without cancellation."""
    r = (x - a) / a
    shifted = np.log1p(np.maximum(r, -1.0)) - r
    v = 1 / (a * a)
    stirling = (1 / 12 - v * (1 / 360 - v * (1 / 1260 - v * (1 / 1680 - v / 1188)))) / a
    near = a * shifted - 0.5 * np.log(2 * np.pi * a) - stirling
    return np.where((a > 20) & (r > -0.7), near, a * np.log(x) - x - lgamma(a + 1))


def _small_upper(a: Array, x: Array) -> Array:
    """Q(a, x) for a < 1 and x < 1.5, where it may be far below 1: with u = x^a / Gamma(a + 1) it is
    (1 - u) - u a sum_k (-x)^k / (k! (a + k)), k > 0."""
    log_u = a * np.log(x) - lgamma(a + 1)
    term, total = np.ones_like(x), np.zeros_like(x)
    for k in range(1, 25):
        term = term * (-x / k)
        total += term / (a + k)
    return -np.expm1(log_u) - np.exp(log_u) * a * total


def _gammainc(a: Array, x: Array) -> tuple[Array, Array]:
    """(P, Q), the regularised incomplete gamma functions, of flat float64 arrays with a, x > 0 and finite."""
    p, q = np.empty_like(a), np.empty_like(a)
    scale = np.exp(_log_density(a, x))
    lower = x < a + 1
    if lower.any():  # x^a e^-x / Gamma(a + 1) sum_k x^k / ((a + 1) ... (a + k))
        u, v = a[lower], x[lower]
        term = np.ones_like(u)
        total = np.ones_like(u)
        k = 0
        while np.any(term > total * 1e-17):
            k += 1
            term = term * (v / (u + k))
            total += term
        p[lower] = np.minimum(total * scale[lower], 1.0)
        q[lower] = 1 - p[lower]
        small = lower & (a < 1) & (x < 1.5)
        q[small] = _small_upper(a[small], x[small])
    upper = ~lower
    if upper.any():  # Legendre's continued fraction by Lentz' recurrence
        u, v = a[upper], x[upper]
        b = v + 1 - u
        c = np.full_like(u, 1e300)
        d = 1 / b
        h = d
        k, change = 0, np.full_like(u, 2.0)
        while np.any(np.abs(change - 1) > 1e-16) and k < 100_000:
            k += 1
            an = -k * (k - u)
            b = b + 2
            d = an * d + b
            d = 1 / np.where(d == 0, 1e-300, d)
            c = b + an / c
            c = np.where(c == 0, 1e-300, c)
            change = np.where(np.abs(change - 1) > 1e-16, d * c, 1.0)
            h = h * change
        q[upper] = np.minimum(h * scale[upper] * u, 1.0)
        p[upper] = 1 - q[upper]
    return p, q


def _incomplete(a: Array, x: Array, complement: bool) -> Array:
    dtype = np.result_type(a, x)
    u, v = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    shape = u.shape
    u, v = u.reshape(-1), v.reshape(-1)
    inside = (u > 0) & (v > 0) & np.isfinite(u) & np.isfinite(v)
    y = np.full(u.shape, np.nan)
    if inside.any():
        y[inside] = _gammainc(u[inside], v[inside])[complement]
    known = np.isfinite(u) | np.isfinite(v)
    ends = np.where(
        (v == 0) & (u > 0) | np.isposinf(u), 0.0, np.where((u == 0) & (v > 0) | np.isposinf(v), 1.0, np.nan)
    )
    bad = (u < 0) | (v < 0) | np.isnan(u) | np.isnan(v) | (u == 0) & (v == 0) | ~known
    y = np.where(inside, y, np.where(bad, np.nan, 1 - ends if complement else ends))
    return y.reshape(shape).astype(dtype)


def gammainc(a: Array, x: Array) -> Array:
    """P(a, x): the lower incomplete gamma function over Gamma(a)."""
    return _incomplete(a, x, False)


def gammaincc(a: Array, x: Array) -> Array:
    """Q(a, x) = 1 - P(a, x)."""
    return _incomplete(a, x, True)


def gamma_density(a: Array, x: Array) -> Array:
    """x^(a-1) e^-x / Gamma(a): the derivative of P(a, x) by x."""
    u, v = np.asarray(a, np.float64), np.asarray(x, np.float64)
    return np.exp((u - 1) * np.log(v) - v - lgamma(u)).astype(np.result_type(a, x))


def entr(x: Array) -> Array:
    """-x log x; 0 at 0, -inf below."""
    x = np.asarray(x)
    y = -x * np.log(np.where(x > 0, x, np.ones((), x.dtype)))
    return np.where(x > 0, y, np.where(x == 0, 0, np.where(np.isnan(x), x, -np.inf))).astype(x.dtype)


def xlog1py(a: Array, b: Array) -> Array:
    """a log(1 + b), 0 where a is 0."""
    return np.where((a == 0) & ~np.isnan(b), a * 0, a * np.log1p(b))


# ---- orthogonal polynomials: p_0 = 1, p_1 = first(x), p_(k+1) = step(k, x, p_k, p_(k-1))


def _polynomial(first: Callable, step: Callable, shifted: bool = False) -> Callable[[Array, Array], Array]:
    def p(x: Array, n: Array) -> Array:
        dtype = np.result_type(x, n)
        x, n = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(n, np.float64))
        degree = np.trunc(n)
        z = 2 * x - 1 if shifted else x
        before, now = np.ones_like(z), first(z)
        y = np.where(degree < 0, 0.0, np.where(degree == 0, before, now))
        top = int(degree.max()) if degree.size and np.isfinite(degree).all() else 0
        for k in range(1, top):
            before, now = now, step(k, z, now, before)
            y = np.where(degree == k + 1, now, y)
        return y.astype(dtype)

    return p


def _doubling(k: int, x: Array, p: Array, o: Array) -> Array:
    return 2 * x * p - o


_CHEBYSHEV: dict[str, Callable] = {
    "t": lambda x: x, "u": lambda x: 2 * x, "v": lambda x: 2 * x - 1, "w": lambda x: 2 * x + 1,
}  # fmt: skip
POLYNOMIALS: dict[str, Callable[[Array, Array], Array]] = {
    f"{'shifted_' if s else ''}chebyshev_polynomial_{k}": _polynomial(first, _doubling, s)
    for s in (False, True)
    for k, first in _CHEBYSHEV.items()
} | {
    "hermite_polynomial_h": _polynomial(lambda x: 2 * x, lambda k, x, p, o: 2 * (x * p - k * o)),
    "hermite_polynomial_he": _polynomial(lambda x: x, lambda k, x, p, o: x * p - k * o),
    "laguerre_polynomial_l": _polynomial(lambda x: 1 - x, lambda k, x, p, o: ((2 * k + 1 - x) * p - k * o) / (k + 1)),
    "legendre_polynomial_p": _polynomial(lambda x: x, lambda k, x, p, o: ((2 * k + 1) * x * p - k * o) / (k + 1)),
}
"""The polynomials of degree n (an array as well) by their three-term recurrences."""
