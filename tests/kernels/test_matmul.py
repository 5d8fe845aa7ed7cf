"""Products on NumPy arrays, beyond the generated tests: every path of the host code, strides, threads."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch.kernels import _threads
from tritorch.kernels.matmul import _for_blas, batched_product, column_sum, linear, matmul, matmul_arrays

rng = np.random.default_rng(5)


@pytest.fixture
def two_threads():
    before = _threads.get_num_threads()
    _threads.set_num_threads(2)
    yield
    _threads.set_num_threads(before)


@pytest.mark.parametrize("a, b", [
    ((40, 50, 60), (40, 60, 30)), ((40, 50, 60), (1, 60, 30)), ((3, 1, 50, 60), (5, 60, 30)), ((2, 7, 80, 90), (2, 1, 90, 70)),
    ((1, 50, 60), (60, 30)), ((6, 50, 60), (60, 30)), ((50, 60), (4, 60, 30)),
])  # fmt: skip
def test_batches(two_threads, a, b):
    x, y = rng.normal(size=a), rng.normal(size=b)
    np.testing.assert_allclose(matmul_arrays(x, y), np.einsum("...ij,...jk->...ik", x, y), rtol=1e-12, atol=1e-11)


def test_a_large_batch_goes_to_the_threads(two_threads):
    x, y = rng.normal(size=(64, 60, 70)), rng.normal(size=(64, 70, 50))
    np.testing.assert_allclose(batched_product(x, y), np.einsum("bij,bjk->bik", x, y), rtol=1e-12, atol=1e-11)
    z = rng.normal(size=(3, 64, 60, 70))[:, ::-1]
    np.testing.assert_allclose(batched_product(z, y), np.einsum("abij,bjk->abik", z, y), rtol=1e-12, atol=1e-11)


def test_strides_that_the_blas_takes_are_not_copied():
    x = rng.normal(size=(4, 6, 8))
    for view in (x, x.mT, x[:, ::2], x[..., 2:], x[:, :, 2:].mT):
        assert _for_blas(view) is view
    for view in (x[..., ::2], x[..., ::-1], np.broadcast_to(x[:, :1], x.shape)):
        assert _for_blas(view) is not view
        np.testing.assert_array_equal(_for_blas(view), view)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int8])
def test_column_sum(dtype):
    x = (rng.normal(size=(100, 7)) * 5).astype(dtype)
    got = column_sum(x)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, x.sum(0, dtype=dtype), rtol=1e-5)


def test_only_the_gradients_asked_for_are_computed():
    x, w, b = rng.normal(size=(5, 3)), rng.normal(size=(4, 3)), rng.normal(size=4)
    g = rng.normal(size=(5, 4))
    assert [v is None for v in linear.cpu_grad(g, x, w, b.shape, (False, True, False))] == [True, False, True]
    assert [v is None for v in matmul.cpu_grad(g, x, w.T, (True, False))] == [False, True]


def test_zero_sizes():
    assert matmul_arrays(np.ones((0, 3)), np.ones((3, 4))).shape == (0, 4)
    np.testing.assert_array_equal(matmul_arrays(np.ones((2, 0)), np.ones((0, 4))), np.zeros((2, 4)))
    assert matmul_arrays(np.ones((0, 2, 3)), np.ones((3, 4))).shape == (0, 2, 4)
    gx, gw, gb = linear.cpu_grad(np.ones((0, 4)), np.ones((0, 3)), np.ones((4, 3)), (4,), (True,) * 3)
    assert gx.shape == (0, 3) and not gw.any() and not gb.any()
