"""The reduction kernels on the emulated device: splits, dims apart, odd sizes, NaN, every dtype, no elements."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tritorch.kernels import extremum, moments, reduce
from tritorch.kernels._op import OPS

SUMS = ("sum", "mean", "amax", "amin", "any", "all")
CASES = [
    ((9000,), (0,)), ((3, 5000), (1,)), ((5000, 3), (0,)), ((300, 70), (0,)), ((2, 300, 5), (1,)), ((4, 5, 6), (0, 2)),
    ((1,), (0,)), ((), ()), ((7, 1, 9), (1,)), ((3, 40, 2, 9), (0, 3)),
]  # fmt: skip


def inputs(shape, dtype, rng) -> np.ndarray:
    if dtype in ("int8", "uint8", "int32", "int64"):
        info = np.iinfo(dtype)
        low, high = (info.min, info.max) if dtype in ("int8", "uint8") else (-(2**20), 2**20)
        return np.asarray(rng.integers(low, high, shape)).astype(dtype)
    if dtype == "bool":
        return np.asarray(rng.random(shape) < 0.5)
    x = np.asarray(rng.normal(size=shape))
    return x.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize(("shape", "dim"), CASES, ids=str)
def test_kernel_against_numpy(name, shape, dim):
    rng = np.random.default_rng(0)
    for dtype in ("float32", "float64"):
        x = inputs(shape, dtype, rng)
        for keepdim in (False, True):
            y, want = OPS[name].gpu(x, dim, keepdim), OPS[name].cpu(x, dim, keepdim)
            assert y.shape == want.shape and y.dtype == want.dtype
            np.testing.assert_allclose(y, want, rtol=1e-5, atol=2e-3 if dtype == "float32" else 1e-10)


@pytest.mark.parametrize("name", ("sum", "amax", "amin", "any", "all"))
@pytest.mark.parametrize("dtype", ("int8", "uint8", "int32", "int64", "bool", "float16", "bfloat16"))
def test_every_dtype(name, dtype):
    x = inputs((30, 21), dtype, np.random.default_rng(1))
    for dim in ((0,), (1,), (0, 1)):
        y = OPS[name].gpu(x, dim, False)
        if dtype.endswith("float16"):
            want = OPS[name].cpu(x.astype(np.float32), dim, False)
            np.testing.assert_allclose(y.astype(np.float32), want.astype(np.float32), rtol=1e-2, atol=5e-2)
        else:
            want = OPS[name].cpu(x, dim, False)
            assert y.dtype == want.dtype
            np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("shape", [(4, 40), (4, 3000), (3000, 4)], ids=str)
def test_nan_wins(shape):
    rng = np.random.default_rng(2)
    x = rng.normal(size=shape).astype(np.float32)
    x[1, 2] = x[3, 3] = np.nan
    x[0, 1], x[2, 2] = np.inf, -np.inf
    for dim in (0, 1):
        for name in ("amax", "amin", "any", "all"):
            np.testing.assert_array_equal(OPS[name].gpu(x, (dim,), False), OPS[name].cpu(x, (dim,), False))
        for name in ("max", "min"):
            values, at = OPS[name].gpu(x, dim, False)
            want, want_at = OPS[name].cpu(x, dim, False)
            np.testing.assert_array_equal(values, want)
            np.testing.assert_array_equal(at, want_at)


def test_the_first_of_equal_elements():
    rng = np.random.default_rng(3)
    for shape in ((3, 5000), (5000, 3), (6, 50)):
        x = rng.integers(0, 3, shape).astype(np.float32)
        for dim in (0, 1):
            for largest in (False, True):
                _, at = extremum.arg_reduce_gpu(x, dim, True, largest)
                np.testing.assert_array_equal(at, (x.argmax if largest else x.argmin)(dim, keepdims=True))


def test_no_elements():
    for shape, dim in (((0,), (0,)), ((3, 0), (1,)), ((0, 3), (1,)), ((0, 3), (0,))):
        x = np.zeros(shape, np.float32)
        for name in ("sum", "any", "all"):
            np.testing.assert_array_equal(OPS[name].gpu(x, dim, False), OPS[name].cpu(x, dim, False))
        assert np.isnan(OPS["mean"].gpu(x, dim, False)).all()
        assert OPS["prod"].gpu(x, dim[0], True).shape == OPS["prod"].cpu(x, dim[0], True).shape


@pytest.mark.parametrize(("shape", "dim"), CASES[:-1], ids=str)
def test_var_and_norm_kernels(shape, dim):
    rng = np.random.default_rng(4)
    x = np.asarray(rng.normal(size=shape) + 100).astype(
        np.float32
    )  # far from 0: squares minus squared mean would cancel
    exact = np.asarray(x.astype(np.float64))
    for correction in (0, 1):
        for name in ("var", "std"):
            want = OPS[name].cpu(exact, dim, correction, False)
            np.testing.assert_allclose(OPS[name].gpu(x, dim, correction, False), want, rtol=2e-4)
            np.testing.assert_allclose(OPS[name].cpu(x, dim, correction, False), want, rtol=2e-4)
    for p in (2.0, 1.0, 0.0, 3.0, 0.5, np.inf, -np.inf):
        want = OPS["vector_norm"].cpu(exact, p, dim, False)
        np.testing.assert_allclose(OPS["vector_norm"].gpu(x, p, dim, False), want, rtol=2e-4)


def test_gradient_of_a_product_with_zeros_is_exact():
    x = np.array([[2.0, 3, 4], [0, 3, 4], [0, 0, 4], [2, 3, 0]])
    g = OPS["prod"].cpu_grad(np.ones(4), x, 1, False)
    np.testing.assert_array_equal(g, [[12, 8, 6], [12, 0, 0], [0, 0, 0], [0, 0, 6]])


def test_tiles_cover_the_machine_and_are_powers_of_two():
    for n_out in (1, 3, 64, 5000):
        for r in (1, 7, 1000, 10**7):
            for k in (1, 3, 64, 4096):
                block_j, block_r, splits, warps = reduce.tiles(n_out, r, k)
                assert block_j & (block_j - 1) == 0 == block_r & (block_r - 1) and warps in (4, 8) and splits >= 1
                part, n = reduce.parts(r, splits, block_r)
                assert part % block_r == 0 and part * n >= r and (n == 1 or part * (n - 1) < r)


def test_moments_of_a_nearly_constant_row():
    x = np.full((2, 6000), 1e4, np.float32)
    x[1, ::2] += 1
    for side in (moments.var.cpu, moments.var.gpu):
        np.testing.assert_allclose(side(x, (1,), 0, False), [0, 0.25], atol=1e-3)
