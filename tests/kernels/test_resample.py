from __future__ import annotations

import numpy as np
import pytest

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


REGULAR = {
    "every second": np.arange(0, 40, 2),
    "each three times": np.repeat(np.arange(20), 3),
    "each twice, shifted": np.clip((np.arange(40) + 1) // 2, 0, 19),
    "limited at the borders": np.clip(np.arange(-2, 24), 0, 19),
    "backwards": np.arange(19, -1, -1),
    "one": np.array([3]),
    "the same": np.full(30, 7),
    "mixed": np.concatenate([np.arange(5), np.arange(12, 3, -1), np.arange(0, 20, 3)]),
}


@pytest.mark.parametrize("name", REGULAR)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dim", [0, 1])
def test_steps_in_slices_are_the_sums(name, weighted, dim):
    index = REGULAR[name]
    size = max(20, int(index.max()) + 1)
    rng = np.random.default_rng(0)
    first = rng.normal(size=index.size) if weighted else np.ones(index.size)
    second = rng.normal(size=index.size) * (rng.random(index.size) < 0.4)
    for rows, weights in (((index,), (first,)), ((index, index[::-1]), (first, second))):
        taps = Taps(np.stack(rows), np.stack(weights), size)
        matrix = np.zeros((index.size, size))
        for i, w in zip(rows, weights, strict=True):
            np.add.at(matrix, (np.arange(index.size), i), w)
        x = rng.normal(size=(size, 3) if dim == 0 else (3, size))
        y = resample.cpu(x, taps, dim)
        assert np.allclose(y, matrix @ x if dim == 0 else x @ matrix.T)
        back = resample.cpu(y, taps.transposed, dim)
        assert np.allclose(back, matrix.T @ y if dim == 0 else y @ matrix)


def test_enlarging_and_shrinking_by_a_whole_number_needs_no_index_arrays():
    def steps(index):
        return Taps(index[None], np.ones((1, index.size)), int(index.max()) + 1).steps(np.dtype("f4"))

    assert [s[:3] for s in steps(np.arange(0, 20, 2))] == [(slice(0, 10, 1), slice(0, 19, 2), None)]
    assert [s[:2] for s in steps(np.repeat(np.arange(30), 2))] == [
        (slice(0, 59, 2), slice(0, 30, 1)),
        (slice(1, 60, 2), slice(0, 30, 1)),
    ]
    assert Taps(np.arange(9)[None], np.ones((1, 9)), 9).identity
