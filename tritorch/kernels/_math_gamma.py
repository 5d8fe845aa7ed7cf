"""Zeta, polygamma, the incomplete gamma functions and the orthogonal polynomials for kernels; NumPy's are in `_gamma.py`.

All compute in float64 for either type. `_pointwise` reads this file when an expression first asks for one of its
functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._launch import kernel
from ._math_special import _digamma, _lgamma, _polygamma1

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _zeta_sum(s, q):
    """sum_k (q + k)^-s for s > 1, q > 0: ten terms, then Euler and Maclaurin's formula."""
    y = s * 0 + q * 0
    at = q
    for _ in range(10):
        y += tl.exp(tl.log(at) * s * -1.0)
        at += 1
    a = q + 10
    power = tl.exp(tl.log(a) * s * -1.0)
    y += power * a / (s - 1) + power * 0.5
    inverse = 1 / a
    square = inverse * inverse
    term = power * s * inverse
    y += 0.08333333333333333 * term
    term = term * (s + 1) * (s + 2) * square
    y -= 0.001388888888888889 * term
    term = term * (s + 3) * (s + 4) * square
    y += 3.306878306878307e-05 * term
    term = term * (s + 5) * (s + 6) * square
    y -= 8.267195767195768e-07 * term
    term = term * (s + 7) * (s + 8) * square
    y += 2.08767569878681e-08 * term
    term = term * (s + 9) * (s + 10) * square
    y -= 5.284190138687493e-10 * term
    term = term * (s + 11) * (s + 12) * square
    y += 1.3382536530684679e-11 * term
    term = term * (s + 13) * (s + 14) * square
    y -= 3.3896802963225828e-13 * term
    term = term * (s + 15) * (s + 16) * square
    y += 8.586062056277845e-15 * term
    term = term * (s + 17) * (s + 18) * square
    return y - 2.174868698558062e-16 * term


@kernel
def _zeta64(s, a):
    safe = tl.where(s > 1, s, 2.0)
    part = a - tl.floor(a)
    low = a < 0
    y = _zeta_sum(safe, tl.where(low, tl.where(part == 0, 1.0, part), tl.where(a > 0, a, 1.0)))
    # the terms below 0 by their absolute values
    below = _zeta_sum(safe, tl.where(low & (part > 0), 1 - part, 1.0)) - _zeta_sum(safe, tl.where(low, 1 - a, 1.0))
    even = tl.floor(safe * 0.5) * 2 == safe
    y = tl.where(low, y + tl.where(even, below, below * -1.0), y)
    y = tl.where(low & (s != tl.floor(s)), float("nan"), y)
    pole = (a <= 0) & (a == tl.floor(a))
    y = tl.where(pole, float("inf"), y)
    y = tl.where(s > 1, y, tl.where((s == 1) | (pole & (s != s)), float("inf"), float("nan")))
    return tl.where((a != a) & (s != 1), a, y)


@kernel
def _zeta(x, q):
    """Hurwitz' zeta function."""
    return _zeta64(x.to(tl.float64), q.to(tl.float64)).to(q.dtype)


@kernel
def _polygamma(x, n):
    """The n-th derivative of digamma: (-1)^(n+1) n! zeta(n + 1, x)."""
    v = x.to(tl.float64)
    k = tl.zeros_like(v) + n.to(tl.float64)
    factorial = tl.exp(_lgamma(k + 1))
    odd = tl.floor(k * 0.5) * 2 != k
    order = tl.where(k == 0, 1.0, k) + 1
    y = _zeta64(order, v) * tl.where(odd, factorial, factorial * -1.0)
    return tl.where(k == 0, _digamma(v), tl.where(k == 1, _polygamma1(v), y)).to(x.dtype)


@kernel
def _log_density(a, x):
    """log(x^a e^-x / Gamma(a + 1)), for large a without cancellation."""
    inverse = 1 / a
    r = (x - a) * inverse
    d = r / (2 + r)  # log(1 + r) = 2 artanh(d)
    w = d * d
    near = tl.abs(r) < 0.2
    h = tl.where(near, w, 0.0)
    p = 0.05263157894736842 * h + 0.058823529411764705
    p = p * h + 0.06666666666666667
    p = p * h + 0.07692307692307693
    p = p * h + 0.09090909090909091
    p = p * h + 0.1111111111111111
    p = p * h + 0.14285714285714285
    p = p * h + 0.2
    p = p * h + 0.3333333333333333
    u = tl.where(near | (r <= -1), 1.0, 1 + r)
    shifted = tl.where(near, 2 * d * h * p - r * d, tl.log(u) - r)
    big = tl.where(a > 20, a, 20.0)
    i = tl.where(a > 20, inverse, 0.05)
    correction = i * (0.08333333333333333 - i * i * (0.002777777777777778 - i * i * 0.0007936507936507937))
    large = big * shifted - 0.5 * tl.log(6.283185307179586 * big) - correction
    return tl.where(a > 20, large, a * tl.log(x) - x - _lgamma(a + 1))


@kernel
def _incomplete(a, x):
    """(P, Q), the regularised incomplete gamma functions, of float64 tiles: a series for x < a + 1, a fraction beyond."""
    inside = (a > 0) & (x > 0) & (a < float("inf")) & (x < float("inf"))
    u = tl.where(inside, a, 1.0)
    v = tl.where(inside, x, 1.0)
    lower = v < u + 1
    # x^a e^-x / Gamma(a + 1) sum_k x^k / ((a + 1) ... (a + k))
    term = tl.where(lower, 1.0, 0.0).to(tl.float64)
    total = term
    k = u * 0
    while tl.max((term > total * 1e-17).to(tl.int32)) > 0:
        k += 1
        term = term * (v / (u + k))
        total += term
    # Legendre's continued fraction by Lentz' recurrence
    b = v + 1 - u
    b = tl.where(lower, 1.0, b)
    c = u * 0 + 1e300
    d = 1 / b
    h = d
    k = u * 0
    active = inside & (v >= u + 1)
    while tl.max(active.to(tl.int32)) > 0:
        k += 1
        an = k * (u - k)
        b = b + 2
        d = an * d + b
        d = 1 / tl.where(d == 0, 1e-300, d)
        c = b + an / c
        c = tl.where(c == 0, 1e-300, c)
        change = tl.where(active, d * c, 1.0)
        h = h * change
        active = active & (tl.abs(change - 1) > 1e-16) & (k < 100000)
    part = tl.where(lower, total, h * u) * tl.exp(_log_density(u, v))
    part = tl.where(part > 1, 1.0, part)
    p = tl.where(lower, part, 1 - part)
    q = tl.where(lower, 1 - part, part)
    zero = ((x == 0) & (a > 0)) | ((a == float("inf")) & (x < float("inf")))
    one = ((a == 0) & (x > 0)) | ((x == float("inf")) & (a < float("inf")))
    bad = (a < 0) | (x < 0) | (a != a) | (x != x)
    zero, one = zero & (bad == 0), one & (bad == 0)
    nan = float("nan")
    p = tl.where(inside, p, tl.where(zero, 0.0, tl.where(one, 1.0, nan)))
    q = tl.where(inside, q, tl.where(zero, 1.0, tl.where(one, 0.0, nan)))
    return p, q


@kernel
def _igamma(a, x):
    """P(a, x), the lower incomplete gamma function over Gamma(a)."""
    u, v = tl.broadcast(a.to(tl.float64), x.to(tl.float64))
    p, _ = _incomplete(u, v)
    return p.to(x.dtype)


@kernel
def _igammac(a, x):
    """1 - P(a, x)."""
    u, v = tl.broadcast(a.to(tl.float64), x.to(tl.float64))
    _, q = _incomplete(u, v)
    return q.to(x.dtype)


# ---- orthogonal polynomials ----------------------------------------------------------------------------------------


@kernel
def _recurrence(x, n, KIND: tl.constexpr, SHIFTED: tl.constexpr):
    """The polynomial of degree n at x (2 x - 1 with SHIFTED): p_0 = 1, p_1, and the kind's three-term recurrence.

    KIND: chebyshev "t", "u", "v", "w", hermite "h", "he", laguerre "l", legendre "p".
    """
    z, degree = tl.broadcast(x.to(tl.float64), n.to(tl.float64))
    degree = tl.where(degree < 0, tl.ceil(degree), tl.floor(degree))
    if SHIFTED:
        z = 2 * z - 1
    if KIND == "u" or KIND == "h":
        now = 2 * z
    elif KIND == "v":
        now = 2 * z - 1
    elif KIND == "w":
        now = 2 * z + 1
    elif KIND == "l":
        now = 1 - z
    else:
        now = z
    before = tl.full(z.shape, 1, tl.float64)
    y = tl.where(degree < 0, 0.0, tl.where(degree == 0, before, now))
    k = tl.full(z.shape, 1, tl.float64)
    active = (degree > 1) & (degree < float("inf"))
    while tl.max(active.to(tl.int32)) > 0:
        if KIND == "h":
            after = 2 * (z * now - k * before)
        elif KIND == "he":
            after = z * now - k * before
        elif KIND == "l":
            after = ((2 * k + 1 - z) * now - k * before) / (k + 1)
        elif KIND == "p":
            after = ((2 * k + 1) * z * now - k * before) / (k + 1)
        else:
            after = 2 * z * now - before
        before = now
        now = after
        k += 1
        y = tl.where(active & (degree == k), now, y)
        active = active & (degree > k)
    return y.to(x.dtype)


@kernel
def _chebyshev_polynomial_t(x, n):
    return _recurrence(x, n, "t", False)


@kernel
def _chebyshev_polynomial_u(x, n):
    return _recurrence(x, n, "u", False)


@kernel
def _chebyshev_polynomial_v(x, n):
    return _recurrence(x, n, "v", False)


@kernel
def _chebyshev_polynomial_w(x, n):
    return _recurrence(x, n, "w", False)


@kernel
def _hermite_polynomial_h(x, n):
    return _recurrence(x, n, "h", False)


@kernel
def _hermite_polynomial_he(x, n):
    return _recurrence(x, n, "he", False)


@kernel
def _laguerre_polynomial_l(x, n):
    return _recurrence(x, n, "l", False)


@kernel
def _legendre_polynomial_p(x, n):
    return _recurrence(x, n, "p", False)


@kernel
def _shifted_chebyshev_polynomial_t(x, n):
    return _recurrence(x, n, "t", True)


@kernel
def _shifted_chebyshev_polynomial_u(x, n):
    return _recurrence(x, n, "u", True)


@kernel
def _shifted_chebyshev_polynomial_v(x, n):
    return _recurrence(x, n, "v", True)


@kernel
def _shifted_chebyshev_polynomial_w(x, n):
    return _recurrence(x, n, "w", True)
