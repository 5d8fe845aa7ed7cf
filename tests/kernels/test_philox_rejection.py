"""Gamma, Poisson and binomial numbers of the emulated device: moments, edges, and that the stream moves on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tritorch.device import to_device, to_host
from tritorch.kernels.philox_rejection import binomial, poisson, standard_gamma
from tritorch.random import Generator

N = 1000


def full(*values: float, dtype: str = "float64", n: int = N):
    """One row for each value on the device."""
    return to_device(np.repeat(np.array(values, dtype)[:, None], n, 1))


def follows(drawn, mean: np.ndarray, variance: np.ndarray) -> None:
    x = to_host(drawn)
    assert (np.abs(x.mean(1) - mean) < 5 * np.sqrt(variance / N) + 1e-9).all()
    np.testing.assert_allclose(x.var(1), variance, rtol=0.3, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments(dtype: str) -> None:
    g = Generator("cuda").manual_seed(3)
    a = np.array([0.1, 0.9, 1.0, 6.5, 200.0])
    follows(standard_gamma(full(*a, dtype=dtype), g), a, a)
    rate = np.array([0.3, 4.0, 9.9, 10.0, 300.0])
    follows(poisson(full(*rate, dtype=dtype), g), rate, rate)
    n, p = np.array([4.0, 50.0, 50.0, 400.0, 7.0]), np.array([0.3, 0.1, 0.5, 0.9, 1.0])
    follows(binomial(full(*n, dtype=dtype), full(*p, dtype=dtype), g), n * p, n * p * (1 - p))


def test_probabilities_of_counts() -> None:
    g = Generator("cuda").manual_seed(4)
    x = to_host(poisson(full(12.0, n=4000), g))
    expected = [math.exp(-12 + k * math.log(12) - math.lgamma(k + 1)) for k in range(30)]
    found = np.bincount(x.astype(int).ravel(), minlength=30)[:30] / 4000
    np.testing.assert_allclose(found, expected, atol=0.025)
    x = to_host(binomial(full(30.0, n=4000), full(0.4, n=4000), g))
    expected = [math.comb(30, k) * 0.4**k * 0.6 ** (30 - k) for k in range(31)]
    np.testing.assert_allclose(np.bincount(x.astype(int).ravel(), minlength=31) / 4000, expected, atol=0.028)


def test_edges() -> None:
    g = Generator("cuda").manual_seed(5)
    assert np.isnan(to_host(standard_gamma(full(0.0, -1.0, np.nan, n=2), g))).all()
    assert to_host(poisson(full(0.0, n=4), g)).tolist() == [[0.0] * 4]
    assert np.isnan(to_host(poisson(full(np.nan, n=2), g))).all()
    assert to_host(binomial(full(0.0, 5.0, 5.0, n=1), full(0.5, 0.0, 1.0, n=1), g)).tolist() == [[0], [0], [5]]
    assert standard_gamma(full(n=3), g).shape == (0, 3)


def test_the_stream_moves_on_and_repeats() -> None:
    def draw(g: Generator) -> list:
        return [to_host(f).tolist() for f in (standard_gamma(full(2.0, n=5), g), standard_gamma(full(2.0, n=5), g))]

    first, second = draw(Generator("cuda").manual_seed(6))
    assert first != second
    assert draw(Generator("cuda").manual_seed(6)) == [first, second]
