"""Derivatives of random numbers by the shape parameters of their distributions, on NumPy arrays.

A number x with the distribution function F(x; a) moves with a as a quantile does, F(x(a); a) staying the same:

    dx/da = -(dF/da) / (dF/dx)

(M. Figurnov, S. Mohamed, A. Mnih: Implicit reparameterization gradients, arXiv:1805.08498; for the Dirichlet
distribution M. Jankowiak, F. Obermeyer: Pathwise derivatives beyond the reparameterization trick, arXiv:1806.01851).
F is a power series or continued fraction times its own density, so that the quotient needs no exponential and does not
cancel; the series' terms and their derivatives are summed together. All compute in float64 and round to the input's
dtype. `_math_implicit.py` has the same for kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._log_gamma import digamma

Array = Any
_EPS = 4e-16
_LARGE = 1e4
"""From this shape on gamma numbers are expanded in 1 / a; the error, of order 0.02 / a^2, is below that of float64's
sums of many terms."""


def _gamma_below(a: Array, x: Array) -> Array:
    """For x < a + 1: P(a, x) = x^a e^-x / Gamma(a + 1) S, S = sum_k x^k / ((a + 1) ... (a + k))."""
    term, total = np.ones_like(a), np.ones_like(a)
    slope, slopes = np.zeros_like(a), np.zeros_like(a)  # of log term, and the sum of the terms' derivatives
    k = 0
    while np.any(term > total * 1e-17):
        k += 1
        term = term * (x / (a + k))
        slope = slope - 1 / (a + k)
        total += term
        slopes += term * slope
    return -(x / a) * (total * (np.log(x) - digamma(a + 1)) + slopes)


def _gamma_above(a: Array, x: Array) -> Array:
    """For x >= a + 1: 1 - P = x^a e^-x / Gamma(a) h, h Legendre's continued fraction, by Lentz' recurrence.

    `dc`, `dd`, `dh` are derivatives by a of c, d and log h.
    """
    b = x + 1 - a
    c, dc = np.full_like(a, 1e300), np.zeros_like(a)
    d = 1 / b
    dd = d * d
    h, dh = d, d
    active, k = np.ones(a.shape, bool), 0
    while active.any() and k < 100_000:
        k += 1
        n = k * (a - k)
        b = b + 2
        below = n * d + b
        dd = -(k * d + n * dd - 1) / (below * below)
        d = 1 / below
        dc = (k - n * dc / c) / c - 1
        c = b + n / c
        change, step = d * c, dd / d + dc / c
        h, dh = np.where(active, h * change, h), np.where(active, dh + step, dh)
        active &= (np.abs(change - 1) > _EPS) | (np.abs(step) > _EPS * (1 + np.abs(dh)))
    return x * h * (np.log(x) - digamma(a) + dh)


def _gamma_large(a: Array, x: Array) -> Array:
    """For large a by the uniform expansion of the quantile in 1 / a.

    With x = a l, eta^2 / 2 = l - 1 - log l and f = eta / (l - 1): eta = eta0 + log(f) / (eta0 a), where eta0 sqrt(a) is
    the standard normal number of the same probability (N. M. Temme: Asymptotic inversion of incomplete gamma functions,
    Mathematics of Computation 58, 1992).
    """
    l = x / a
    m = l - 1
    eta = np.sign(m) * np.sqrt(np.maximum(2 * (m - np.log1p(m)), 0))
    near = np.abs(m) < 0.01
    t = np.where(near, m, 0.01)
    eta = np.where(near, t * (1 - t / 3 + 7 * t * t / 36 - 73 * t**3 / 540 + 1331 * t**4 / 12960), eta)
    far = np.where(near, 1.0, eta)
    e = np.where(near, eta, 0.0)
    f = np.where(near, 1 - e / 3 + e * e / 12 - 23 * e**3 / 1080, far / np.where(near, 1.0, m))
    ratio = np.where(near, -1 / 3 + e / 36 + e * e / 1620 - 7 * e**3 / 6480, np.log(f) / far)
    slope = np.where(
        near, 1 / 36 + e / 810 - 7 * e * e / 2160, (1 / far - l * far / np.where(near, 1.0, m) ** 2 - ratio) / far
    )
    eta0 = eta - ratio / a
    return l * (1 + f * (-eta0 / 2 * (1 + slope / a) - ratio / a))


def standard_gamma_grad(a: Array, x: Array) -> Array:
    """dx/da of a gamma number x of shape a and scale 1."""
    dtype = np.result_type(a, x)
    u, v = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    shape = u.shape
    u, v = u.reshape(-1), v.reshape(-1)
    y = np.full(u.shape, np.nan)
    y[(v == 0) & (u > 0)] = 0
    inside = (u > 0) & (v > 0) & np.isfinite(u) & np.isfinite(v)
    for f, where in (
        (_gamma_large, inside & (u > _LARGE)),
        (_gamma_below, inside & (u <= _LARGE) & (v < u + 1)),
        (_gamma_above, inside & (u <= _LARGE) & (v >= u + 1)),
    ):
        if where.any():
            y[where] = f(u[where], v[where])
    return y.reshape(shape).astype(dtype)


def _beta_fraction(p: Array, q: Array, x: Array, by_p: bool) -> tuple[Array, Array]:
    """K of I_x(p, q) = x^p (1 - x)^q / (p B(p, q)) K, and d log K by p or q: Lentz' recurrence for the continued fraction
    1 / (1 + d1 / (1 + d2 / ...)), d_2m = m (q - m) x / ((p + 2m - 1) (p + 2m)), d_(2m + 1) = -(p + m) (p + q + m) x /
    ((p + 2m) (p + 2m + 1)) (DLMF 8.17.22); for x < (p + 1) / (p + q + 2), where it converges fast."""
    c, dc = np.ones_like(p), np.zeros_like(p)
    d, dd = np.zeros_like(p), np.zeros_like(p)
    h, dh = np.ones_like(p), np.zeros_like(p)
    active, n = np.ones(p.shape, bool), 0
    while active.any() and n < 20_000:
        n += 1
        m = n // 2
        if n % 2:
            e = -(p + m) * (p + q + m) * x / ((p + 2 * m) * (p + 2 * m + 1))
            de = e / (p + q + m)
            if by_p:
                de = de + e * (1 / (p + m) - 1 / (p + 2 * m) - 1 / (p + 2 * m + 1))
        else:
            e = m * (q - m) * x / ((p + 2 * m - 1) * (p + 2 * m))
            de = -e * (1 / (p + 2 * m - 1) + 1 / (p + 2 * m)) if by_p else m * x / ((p + 2 * m - 1) * (p + 2 * m))
        below = 1 + e * d
        below = np.where(below == 0, 1e-300, below)
        dd = -(de * d + e * dd) / (below * below)
        d = 1 / below
        dc = (de - e * dc / c) / c
        c = 1 + e / c
        c = np.where(c == 0, 1e-300, c)
        change, step = d * c, dd / d + dc / c
        h, dh = np.where(active, h / change, h), np.where(active, dh - step, dh)
        active &= (np.abs(change - 1) > _EPS) | (np.abs(step) > _EPS * (1 + np.abs(dh)))
    return h, dh


def dirichlet_grad(x: Array, alpha: Array, total: Array) -> Array:
    """dx/da / (1 - x) of a number x of the beta distribution with the parameters a = alpha, b = total - alpha, by a.

    So each element of a Dirichlet vector is distributed; the vector's derivative is dx_i/da_j = y_j (delta_ij - x_i).
    """
    dtype = np.result_type(x, alpha, total)
    z, a, s = np.broadcast_arrays(*[np.asarray(v, np.float64) for v in (x, alpha, total)])
    shape = z.shape
    z, a, s = z.reshape(-1), a.reshape(-1), s.reshape(-1)
    b = s - a
    y = np.full(z.shape, np.nan)
    inside = (a > 0) & (b > 0) & (z > 0) & (z < 1) & np.isfinite(s)
    y[(a > 0) & (b > 0) & (z == 0)] = 0
    low = z < (a + 1) / (s + 2)
    some = inside & low
    if some.any():
        p, q, v = a[some], b[some], z[some]
        k, slope = _beta_fraction(p, q, v, True)
        y[some] = -(v / p) * k * (np.log(v) - digamma(p + 1) + digamma(p + q) + slope)
    some = inside & ~low
    if some.any():
        p, q, v = a[some], b[some], z[some]
        k, slope = _beta_fraction(q, p, 1 - v, False)
        y[some] = (v / q) * k * (np.log(v) - digamma(p) + digamma(p + q) + slope)
    return y.reshape(shape).astype(dtype)
