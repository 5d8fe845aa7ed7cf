from __future__ import annotations

import numpy as np

from tests.kernels.raw_checks import check_cpu_grad
from tritorch.kernels.resample import Taps, resample


def test_backward_is_the_derivative():
    assert check_cpu_grad(resample) == 2


def test_taps_and_their_transpose_are_one_matrix():
    rng = np.random.default_rng(0)
    index = rng.integers(0, 6, (3, 10))
    weight = rng.normal(size=(3, 10)) * (rng.random((3, 10)) < 0.6)
    taps = Taps(index, weight, 6)
    matrix = np.zeros((10, 6))
    np.add.at(matrix, (np.broadcast_to(np.arange(10), (3, 10)), index), weight)
    x = rng.normal(size=(2, 6, 3))
    assert np.allclose(resample.cpu(x, taps, 1), matrix @ x)
    g = rng.normal(size=(2, 10, 3))
    assert np.allclose(resample.cpu(g, taps.transposed, 1), matrix.T @ g)
    assert taps.transposed.transposed is taps


def test_an_output_without_taps_is_zero():
    taps = Taps(np.zeros((1, 3), np.int64), np.array([[1.0, 0.0, 2.0]]), 2)
    assert resample.cpu(np.array([5.0, 7.0]), taps, 0).tolist() == [5.0, 0.0, 10.0]
