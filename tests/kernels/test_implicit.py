"""Implicit derivatives of gamma and beta numbers: against finite differences of the inverse distribution function.

The distribution function by a quadrature of its own, its inverse by bisection.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from tritorch.kernels import _implicit
from tritorch.kernels._gamma import gammainc
from tritorch.kernels._implicit import dirichlet_grad, standard_gamma_grad

NODES, WEIGHTS = np.polynomial.legendre.leggauss(60)


def inverse(f, p: float, low: float, high: float) -> float:
    """The x of f(x) = p, f rising."""
    for _ in range(200):
        x = (low + high) / 2
        low, high = (x, high) if f(x) < p else (low, x)
    return (low + high) / 2


@pytest.mark.parametrize("a", [0.3, 1.0, 2.5, 20.0, 150.0])
@pytest.mark.parametrize("p", [0.02, 0.4, 0.6, 0.97])
def test_gamma_by_finite_differences(a: float, p: float) -> None:
    def quantile(a: float) -> float:
        return inverse(lambda x: float(gammainc(np.float64(a), np.float64(x))), p, 0.0, a + 20 * math.sqrt(a) + 20)

    h = 1e-4 * a
    numeric = (quantile(a + h) - quantile(a - h)) / (2 * h)
    np.testing.assert_allclose(standard_gamma_grad(np.float64(a), np.float64(quantile(a))), numeric, rtol=1e-6)


def beta_function(a: float, b: float, x: float) -> float:
    """I_x(a, b) by Gauss and Legendre in s, t = x s^4, where the integrand is smooth at 0; from the nearer end."""
    log_norm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)

    def part(a: float, b: float, x: float) -> float:
        s = (1 + NODES) / 2
        return float((2 * s ** (4 * a - 1) * (1 - x * s**4) ** (b - 1) * WEIGHTS).sum() * x**a * math.exp(log_norm))

    return part(a, b, x) if x < 0.5 else 1 - part(b, a, 1 - x)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (2.0, 3.0), (0.5, 0.8), (6.0, 1.5), (20.0, 30.0)])
@pytest.mark.parametrize("p", [0.05, 0.45, 0.93])
def test_beta_by_finite_differences(a: float, b: float, p: float) -> None:
    def quantile(a: float) -> float:
        return inverse(lambda x: beta_function(a, b, x), p, 0.0, 1.0)

    h = 1e-4 * a
    numeric = (quantile(a + h) - quantile(a - h)) / (2 * h)
    x = quantile(a)
    found = dirichlet_grad(np.float64(x), np.float64(a), np.float64(a + b)) * (1 - x)
    np.testing.assert_allclose(found, numeric, rtol=2e-5)


def test_closed_forms() -> None:
    x = np.array([0.1, 0.5, 0.9])
    u = np.array([0.2, 0.7, 0.99])
    # Beta(a, 1): x = u^(1/a), so dx/da = -x log(x) / a
    for a in (0.2, 1.0, 7.0):
        np.testing.assert_allclose(dirichlet_grad(x, a, a + 1) * (1 - x), -x * np.log(x) / a, rtol=1e-12)
    # x of a tiny shape: u = x^a / Gamma(a + 1) but for a factor 1 + O(x)
    a, small = 0.01, 1e-30 * u
    slope = small * (-np.log(small) - np.euler_gamma + a * math.pi**2 / 6) / a
    np.testing.assert_allclose(standard_gamma_grad(a, small), slope, rtol=1e-4)


def test_both_sides_of_a_border_agree() -> None:
    a = np.full(4, 30.0)
    x = np.array([30.9999999, 31.0000001, 30.5, 31.5])
    np.testing.assert_allclose(_implicit._gamma_below(a, x), _implicit._gamma_above(a, x), rtol=1e-9)
    a = np.full(9, 1e4)
    x = a + 100 * np.array([-5.0, -3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0, 5.0])
    x[:4] = x[:4].clip(max=1e4)
    np.testing.assert_allclose(_implicit._gamma_large(a[:5], x[:5]), _implicit._gamma_below(a[:5], x[:5]), rtol=1e-9)
    np.testing.assert_allclose(_implicit._gamma_large(a[5:], x[5:]), _implicit._gamma_above(a[5:], x[5:]), rtol=1e-9)


def test_edges_and_dtypes() -> None:
    nan = math.nan
    found = standard_gamma_grad(np.array([0.0, -1.0, nan, 1.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0, nan, 0.0, -1.0]))
    np.testing.assert_array_equal(found, [nan, nan, nan, nan, 0.0, nan])
    found = dirichlet_grad(np.array([0.0, 1.0, 0.5, nan]), np.array([1.0, 1.0, -1.0, 1.0]), np.full(4, 3.0))
    np.testing.assert_array_equal(found, [0.0, nan, nan, nan])
    assert standard_gamma_grad(np.float32([1.0]), np.float32([1.0])).dtype == np.float32
