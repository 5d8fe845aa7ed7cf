"""The modified Bessel functions in float32 and float64: against their power series, each other, and far out."""

from __future__ import annotations

from fractions import Fraction
from math import exp, factorial

import numpy as np
import pytest

from tritorch.kernels import _bessel as bessel


def by_series(x: float, order: int) -> float:
    """sum_k (x / 2)^(2 k + order) / (k! (k + order)!), exactly."""
    half = Fraction(x) / 2
    return float(sum(half ** (2 * k + order) / (factorial(k) * factorial(k + order)) for k in range(60)))


@pytest.mark.parametrize(("kind", "bound"), [(np.float32, 5), (np.float64, 16)])
@pytest.mark.parametrize("order", [0, 1])
def test_against_the_power_series(order, kind, bound):
    x = np.concatenate([np.linspace(-24, 24, 193), [8.0, -8.0, 1e-20, 0.3]]).astype(kind)
    want = np.array([by_series(float(v), order) for v in x])
    plain, scaled = ((bessel.i0, bessel.i0e), (bessel.i1, bessel.i1e))[order]
    for got, exact in ((plain(x), want), (scaled(x), want * [exp(-abs(float(v))) for v in x])):
        assert got.dtype == kind
        np.testing.assert_allclose(got, exact, rtol=bound * np.finfo(kind).eps)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("copies", [1, 1500])
def test_ends(kind, copies):
    x = np.tile(np.array([0.0, -0.0, np.inf, -np.inf, np.nan], kind), copies)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(bessel.i0(x)[:5], [1, 1, np.inf, np.inf, np.nan], rtol=1e-15)
        np.testing.assert_allclose(bessel.i0e(x)[:5], [1, 1, 0, 0, np.nan], rtol=1e-15)
        np.testing.assert_array_equal(bessel.i1(x)[:5], [0, 0, np.inf, -np.inf, np.nan])
        np.testing.assert_array_equal(bessel.i1e(x)[:5], [0, 0, 0, 0, np.nan])
    assert np.signbit(bessel.i1(x)[1])


def test_float32_reaches_as_far_as_its_numbers():
    x = np.float32([85, 90, 91.5])  # e^x overflows from 88.7 on, the function does not
    np.testing.assert_allclose(bessel.i0(x), bessel.i0(x.astype(np.float64)), rtol=2e-6)


def test_ndtri_inverts_ndtr():
    p = np.linspace(0.001, 0.999, 999)
    np.testing.assert_allclose(bessel.ndtr(bessel.ndtri(p)), p, rtol=1e-13)
    with np.errstate(all="ignore"):
        ends = bessel.ndtri(np.array([0, 1, -0.1, 1.1, np.nan]))
    np.testing.assert_array_equal(ends, [-np.inf, np.inf, np.nan, np.nan, np.nan])
