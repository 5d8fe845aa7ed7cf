"""erf, erfc, erfinv and the normal quantile: against Python's own, in units of the last place, and at the ends."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from tritorch.kernels import _erf
from tritorch.kernels._blocks import LARGE

RNG = np.random.default_rng(0)
X = np.concatenate(
    [RNG.normal(size=3000) * 2, RNG.uniform(-9, 9, 3000), RNG.normal(size=500) * 1e-3, [0.5, -0.5, 1e-30]]
)


def ulps(y: np.ndarray, want: list[float]) -> float:
    exact = np.array(want)
    return float((np.abs(y - exact) / np.spacing(np.abs(exact.astype(y.dtype))).astype(np.float64)).max())


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "bound"), [("erf", 4), ("erfc", 8)])
def test_against_python(name, bound, kind):
    x = X.astype(kind)
    y = getattr(_erf, name)(x)
    assert y.dtype == kind
    assert ulps(y, [getattr(math, name)(float(v)) for v in x]) < bound


def test_far_out_erfc_keeps_its_digits():
    x = np.linspace(9, 26, 500)
    assert ulps(_erf.erfc(x), [math.erfc(v) for v in x]) < 8
    np.testing.assert_array_equal(_erf.erfc(np.array([-40.0, 40.0])), [2.0, 0.0])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_erfinv_is_the_inverse(kind):
    edge = 1 - np.exp(-RNG.uniform(0, 15 if kind is np.float32 else 34, 2000))
    x = np.concatenate([RNG.uniform(-1, 1, 4000), edge, -edge, RNG.normal(size=100) * 1e-4]).astype(kind)
    x = x[np.abs(x) < 1]
    y = _erf.erfinv(x)
    tail = np.array([math.erfc(abs(float(v))) for v in y])  # what is left of 1, with all its digits
    slope = 2 / math.sqrt(math.pi) * np.exp(-(y.astype(np.float64) ** 2))
    miss = np.abs(tail - (1 - np.abs(x.astype(np.float64)))) / slope  # of y, to first order
    near = np.abs(x) < 0.5
    miss[near] = np.abs([math.erf(float(v)) for v in y[near]] - x[near].astype(np.float64)) / slope[near]
    assert (miss / np.spacing(np.abs(y)).astype(np.float64)).max() < 6


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("size", [6, 6000])
def test_ends_and_nan(kind, size):
    x = np.tile(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0], kind), size // 6)
    with np.errstate(all="ignore"):
        y, c, v = _erf.erf(x)[:6], _erf.erfc(x)[:6], _erf.erfinv(np.where(np.isinf(x), x / np.inf, x))[:6]
        ends = _erf.erfinv(np.tile(np.array([1, -1, 1.5, -2, 0, -0.0], kind), size // 6))[:6]
    np.testing.assert_array_equal(y[:5], [0, 0, 1, -1, np.nan])
    np.testing.assert_array_equal(np.signbit(y[:2]), [False, True])
    np.testing.assert_array_equal(c[:5], [1, 1, 0, 2, np.nan])
    assert np.isnan(v[4])
    np.testing.assert_array_equal(ends, [np.inf, -np.inf, np.nan, np.nan, 0, 0])


def test_the_normal_quantile_is_that_of_the_standard_library():
    normal = NormalDist()
    p = np.concatenate([RNG.uniform(0, 1, 500), 10.0 ** -RNG.uniform(0, 300, 500), [0.5]])
    y = _erf.normal_quantile(p - 0.5, np.minimum(p, 1 - p))
    want = [normal.inv_cdf(v) for v in p]
    np.testing.assert_allclose(y, want, rtol=2e-15, atol=1e-300)


def test_sizes_agree():
    x = RNG.uniform(-1, 1, LARGE).astype(np.float32)
    for fn in (_erf.erf, _erf.erfc, _erf.erfinv):
        np.testing.assert_array_equal(fn(x)[:100], fn(x[:100]))
        assert fn(x[0].reshape(())).shape == ()
        assert fn(x[:0]).shape == (0,)
