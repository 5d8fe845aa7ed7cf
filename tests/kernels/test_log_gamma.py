"""log Gamma, digamma, trigamma: against Python's lgamma and by the identities that define them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tritorch.kernels._gamma import gammainc, gammaincc
from tritorch.kernels._log_gamma import digamma, lgamma, trigamma

RNG = np.random.default_rng(0)
POSITIVE = np.concatenate([RNG.uniform(0, 20, 2000), np.exp(RNG.normal(size=500) * 12), [1.0, 2.0, 1.4616321449683622]])
NEGATIVE = RNG.uniform(-20, 0, 1000)
EULER = 0.5772156649015329


@pytest.mark.parametrize("x", [POSITIVE, NEGATIVE, np.concatenate([POSITIVE, NEGATIVE])])
def test_lgamma_against_python(x):
    want = np.array([math.lgamma(v) for v in x])
    np.testing.assert_allclose(lgamma(x), want, rtol=3e-15, atol=2e-14)
    single = x.astype(np.float32)
    exact = np.array([math.lgamma(float(v)) for v in single])
    got = lgamma(single)
    assert got.dtype == np.float32
    assert (np.abs(got - exact) <= 0.51 * np.spacing(np.abs(exact.astype(np.float32)))).all()


def test_lgamma_around_its_zeros_keeps_the_digits_of_float32():
    x = np.nextafter(np.float32([1, 1, 2, 2]), np.float32([0, 3, 0, 3]))
    exact = np.array([math.lgamma(float(v)) for v in x])
    np.testing.assert_allclose(lgamma(x), exact, rtol=2e-7)
    assert (lgamma(np.array([1.0, 2.0])) == 0).all()


def test_digamma_by_its_recurrence_and_reflection():
    np.testing.assert_allclose(
        digamma(np.array([1.0, 0.5, 2.0])), [-EULER, -EULER - 2 * math.log(2), 1 - EULER], rtol=1e-14
    )
    x = POSITIVE[(POSITIVE > 0.01) & (POSITIVE < 1e3)]
    np.testing.assert_allclose(digamma(x + 1), digamma(x) + 1 / x, rtol=1e-12, atol=1e-13)
    x = NEGATIVE[np.abs(NEGATIVE - np.rint(NEGATIVE)) > 0.01]
    np.testing.assert_allclose(digamma(x), digamma(1 - x) - math.pi / np.tan(math.pi * x), rtol=1e-10, atol=1e-11)
    zero = 1.4616321449683622  # around which it is the slope times the distance
    y = zero + RNG.normal(size=50) * 1e-4
    np.testing.assert_allclose(digamma(y), trigamma(np.full(50, zero)) * (y - zero), rtol=1e-3, atol=1e-14)


def test_trigamma_by_its_recurrence_and_reflection():
    np.testing.assert_allclose(trigamma(np.array([1.0, 0.5])), [math.pi**2 / 6, math.pi**2 / 2], rtol=1e-15)
    x = POSITIVE[(POSITIVE > 0.01) & (POSITIVE < 1e3)]
    np.testing.assert_allclose(trigamma(x), trigamma(x + 1) + x**-2, rtol=1e-14)
    x = NEGATIVE[np.abs(NEGATIVE - np.rint(NEGATIVE)) > 0.01]
    np.testing.assert_allclose(trigamma(x), (math.pi / np.sin(math.pi * x)) ** 2 - trigamma(1 - x), rtol=1e-10)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("copies", [1, 1000])
def test_poles_and_infinities(kind, copies):
    x = np.tile(np.array([0.0, -0.0, -1.0, -7.0, np.inf, -np.inf, np.nan, -1e-40], kind), copies)
    with np.errstate(all="ignore"):
        y, psi, slope = lgamma(x)[:8], digamma(x)[:8], trigamma(x)[:8]
    np.testing.assert_array_equal(y[:7], [np.inf, np.inf, np.inf, np.inf, np.inf, np.inf, np.nan])
    assert abs(y[7] - 92.1034) < 1e-2
    np.testing.assert_array_equal(psi[:7], [-np.inf, np.inf, np.nan, np.nan, np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(slope[:5], [np.inf, np.inf, np.inf, np.inf, 0])


def test_shapes():
    for fn in (lgamma, digamma, trigamma):
        assert fn(np.array(2.5)).shape == ()
        assert fn(np.ones((0, 3))).shape == (0, 3)
        assert fn(np.ones((4, 3), np.float32)).dtype == np.float32


def test_lgamma_around_its_zeros_keeps_the_digits_of_float64():
    t = np.concatenate([-np.logspace(-12, -3, 60), np.logspace(-12, -3, 60)])
    one, two = (1 + t) - 1, (2 + t) - 2  # as rounded
    zeta = (1.6449340668482264, 1.2020569031595942, 1.0823232337111382, 1.03692775514337)

    def exact(d):  # log Gamma(1 + d) = -gamma d + sum_k zeta(k) (-d)^k / k
        return -EULER * d + sum(z * (-d) ** k / k for k, z in enumerate(zeta, 2))

    np.testing.assert_allclose(lgamma(1 + t), exact(one), rtol=2e-15)
    np.testing.assert_allclose(lgamma(2 + t), exact(two) + np.log1p(two), rtol=2e-15)
    wide = np.linspace(-0.45, 0.45, 101)
    np.testing.assert_allclose(lgamma(2 + wide), lgamma(1 + wide) + np.log1p(wide), rtol=1e-14, atol=1e-15)


def test_the_incomplete_gamma_functions_where_they_are_small():
    """Exact values by mpmath, 40 digits."""
    rows = [
        (36.5, 0.00134, 6.103653345261678e-148, 1.0),
        (0.0015, 0.609, 0.9993299682297445, 0.0006700317702555019),
        (0.001, 0.001, 0.9936876467088603, 0.00631235329113971),
        (0.5, 1.25, 0.886153701993342, 0.11384629800665805),
        (20.25, 18.5, 0.37221699787625256, 0.6277830021237474),
        (25.0, 20.0, 0.15677262182623772, 0.8432273781737623),
        (150.0, 130.0, 0.046065544014896063, 0.953934455985104),
    ]
    for a, x, p, q in rows:
        np.testing.assert_allclose(gammainc(np.array([a]), np.array([x])), [p], rtol=2e-13)
        np.testing.assert_allclose(gammaincc(np.array([a]), np.array([x])), [q], rtol=2e-13)
