"""Dims merged to (M, R, K), and NumPy sums and maxima over R, on all layouts, long and short."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tritorch.kernels import _fold
from tritorch.kernels._threads import get_num_threads, set_num_threads

SHAPES = [
    (5, 7, 11),
    (3, 2050, 5),
    (2100, 3),
    (3, 2100),
    (1, 1, 1),
    (300_000,),
    (2, 270_000),
    (200_000, 3),
    (20, 5, 1, 30),
]


def dims_of(n: int) -> list[tuple[int, ...]]:
    return [d for k in range(1, n + 1) for d in itertools.combinations(range(n), k)]


def layouts(x: np.ndarray) -> list[np.ndarray]:
    return [x, x.T, x[..., ::2], x[::-1], np.broadcast_to(x[:1], (3, *x.shape[1:]))]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_and_maxima_over_any_dims(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for a in layouts(x) if x.size < 20_000 else [x, x.T]:
        for dim in dims_of(a.ndim):
            for keepdim in (False, True):
                y = _fold.by_groups(a, dim, keepdim, _fold.sum_step)
                want = np.add.reduce(a.astype(np.float64), dim, keepdims=keepdim)
                assert y.flags.c_contiguous and y.shape == want.shape
                scale = np.add.reduce(np.abs(a.astype(np.float64)), dim, keepdims=keepdim)
                assert np.all(np.abs(y - want) <= 1e-6 * scale)
                for ufunc in (np.maximum, np.minimum):
                    y = _fold.by_groups(a, dim, keepdim, _fold.ufunc_step(ufunc))
                    np.testing.assert_array_equal(y, ufunc.reduce(a, dim, keepdims=keepdim))


@pytest.mark.parametrize("shape", [*SHAPES, (300, 301), (5000, 70), (7, 20_011)], ids=str)
def test_products_and_counts_over_any_dims(shape):
    x = np.random.default_rng(0).uniform(0.97, 1.03, size=shape)
    for a in layouts(x) if x.size < 20_000 else [x, x.T]:
        for dim in dims_of(a.ndim):
            y = _fold.by_groups(a, dim, False, _fold.ufunc_step(np.multiply))
            np.testing.assert_allclose(y, np.multiply.reduce(a, dim), rtol=1e-9)
            mask = a > 1
            y = _fold.by_groups(mask, dim, False, _fold.count_step)
            assert y.dtype == np.int64
            np.testing.assert_array_equal(y, np.add.reduce(mask, dim, np.int64))


def test_results_have_the_same_bits_on_any_number_of_threads(monkeypatch):
    rng = np.random.default_rng(1)
    monkeypatch.setattr(_fold, "READ", 1 << 17)
    steps = (_fold.sum_step, _fold.ufunc_step(np.multiply), _fold.ufunc_step(np.maximum))
    before = get_num_threads()
    try:
        for shape, dim in (((1_100_001,), (0,)), ((1500, 700), (1,)), ((1500, 700), (0,)), ((7, 900, 150), (1,))):
            x = rng.uniform(0.9, 1.1, size=shape).astype(np.float32)
            for step in steps:
                seen = set()
                for n in (1, 2, 3):
                    set_num_threads(n)
                    seen.add(_fold.by_groups(x, dim, False, step).tobytes())
                assert len(seen) == 1, f"{shape} over {dim}"
    finally:
        set_num_threads(before)


@pytest.mark.parametrize("shape", [(40, 10), (40, 60), (5, 2000), (2000, 5), (3, 600, 4)], ids=str)
def test_nan_and_infinity_pass_through(shape):
    rng = np.random.default_rng(2)
    x = rng.normal(size=shape).astype(np.float32)
    x.reshape(-1)[rng.integers(0, x.size, 6)] = [np.nan, np.inf, -np.inf, np.nan, np.inf, -np.inf]
    for dim in dims_of(x.ndim):
        with np.errstate(invalid="ignore"):
            y, want = _fold.by_groups(x, dim, False, _fold.sum_step), x.sum(dim, dtype=np.float64)
        np.testing.assert_array_equal(np.isnan(y), np.isnan(want))
        np.testing.assert_array_equal(np.isinf(y), np.isinf(want))
        for ufunc in (np.maximum, np.minimum):
            y = _fold.by_groups(x, dim, False, _fold.ufunc_step(ufunc))
            np.testing.assert_array_equal(y, ufunc.reduce(x, dim))


def test_row_dots_and_kept_shape():
    rng = np.random.default_rng(3)
    for r in (1, 5, 1024, 1025, 9000):
        a, b = rng.normal(size=(2, 4, r)).astype(np.float32)
        want = (a.astype(np.float64) * b).sum(1)
        np.testing.assert_allclose(_fold.row_dots(a, b), want, atol=1e-4)
    assert _fold.kept_shape((2, 3, 4), (1,), True) == (2, 1, 4)
    assert _fold.dense_order(np.zeros((2, 3, 4)).transpose(2, 0, 1)) == (1, 2, 0)
    assert _fold.dense_order(np.zeros((4, 6))[:, ::2]) is None
