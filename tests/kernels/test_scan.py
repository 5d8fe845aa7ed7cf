"""Scans: long and short rows, any dim, reverse, splits, zeros, infinities, on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch.kernels import scan
from tritorch.kernels._op import OPS

CASES = [((9000,), 0), ((3, 5000), 1), ((5000, 3), 0), ((2, 300, 5), 1), ((4, 7), -1), ((), 0), ((0,), 0), ((3, 0), 0),
         ((70, 40), 0), ((1, 1), 1)]  # fmt: skip


@pytest.mark.parametrize(("shape", "dim"), CASES, ids=str)
def test_both_sides_against_float64(shape, dim):
    rng = np.random.default_rng(0)
    dim %= max(len(shape), 1)
    x = np.asarray(rng.normal(size=shape)).astype(np.float32)
    wide = x.astype(np.float64)
    turned = np.flip(wide, dim) if x.ndim else wide
    total = np.cumsum(wide, dim).reshape(shape)
    back = (np.flip(np.cumsum(turned, dim), dim) if x.ndim else turned).reshape(shape)
    factors = np.asarray(np.exp(x / 100))
    for side in ("cpu", "gpu"):
        f = {name: getattr(OPS[name], side) for name in ("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin")}
        np.testing.assert_allclose(f["cumsum"](x, dim, False), total, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(f["cumsum"](x, dim, True), back, rtol=1e-4, atol=1e-3)
        want = np.cumprod(factors.astype(np.float64), dim).reshape(shape)
        np.testing.assert_allclose(f["cumprod"](factors, dim), want, rtol=2e-3)
        want = np.logaddexp.accumulate(wide, dim) if x.ndim else wide
        np.testing.assert_allclose(f["logcumsumexp"](x, dim), want, rtol=1e-4, atol=1e-4)
        for name, ufunc in (("cummax", np.maximum), ("cummin", np.minimum)):
            values, at = f[name](x, dim)
            np.testing.assert_array_equal(values, ufunc.accumulate(x, dim) if x.ndim else x)
            if x.size:
                picked = np.take_along_axis(x, at, dim) if x.ndim else x
                np.testing.assert_array_equal(picked, values)


def test_integers_and_bools_go_to_int64():
    x = np.random.default_rng(1).integers(-100, 100, (3, 3000)).astype(np.int8)
    for a in (x, x > 0):
        for side in ("cpu", "gpu"):
            y = getattr(OPS["cumsum"], side)(a, 1, False)
            assert y.dtype == np.int64
            np.testing.assert_array_equal(y, np.cumsum(a, 1, dtype=np.int64))


def test_running_extrema_take_the_last_of_equals_and_keep_nan():
    x = np.array([[1, 1, 0, np.nan, 5, np.nan, 7], [2, 3, 3, 1, 3, 4, 0]], np.float32)
    for side in ("cpu", "gpu"):
        values, at = getattr(OPS["cummax"], side)(x, 1)
        np.testing.assert_array_equal(values, [[1, 1, 1, *[np.nan] * 4], [2, 3, 3, 3, 3, 4, 4]])
        np.testing.assert_array_equal(at, [[0, 1, 1, 3, 3, 5, 5], [0, 1, 2, 2, 4, 5, 5]])


def test_logcumsumexp_of_infinities():
    x = np.array([-np.inf, -np.inf, 0, -np.inf, 1, np.inf, 2])
    with np.errstate(all="ignore"):
        want = np.logaddexp.accumulate(x)
        for side in ("cpu", "gpu"):
            np.testing.assert_allclose(getattr(OPS["logcumsumexp"], side)(x, 0), want, rtol=1e-12)


def test_gradient_of_a_running_product_with_zeros():
    x = np.array([2.0, 0, 3, 0, 4])
    g = np.array([1.0, 10, 100, 1000, 10000])
    want = np.array([1, 2 * (10 + 300), 0, 0, 0.0])
    y = scan.cumprod.cpu(x, 0)
    np.testing.assert_array_equal(scan.cumprod.cpu_grad(g, x, y, 0), want)


def test_float32_sums_do_not_drift():
    x = np.full(1_000_000, 0.1, np.float32)
    assert abs(scan.cumsum.cpu(x, 0, False)[-1] / (x.astype(np.float64).sum()) - 1) < 3e-7
    rng = np.random.default_rng(3)
    for n in (256, 257, 1000, 70_001):
        x = rng.random((3, n)).astype(np.float32)
        for reverse in (False, True):
            wide = x[:, ::-1].astype(np.float64) if reverse else x.astype(np.float64)
            want = np.cumsum(wide, 1)[:, :: -1 if reverse else 1]
            np.testing.assert_allclose(scan.cumsum.cpu(x, 1, reverse), want, rtol=5e-7)


def test_infinity_does_not_spread_to_earlier_sums():
    x = np.ones((2, 500), np.float32)
    x[0, 300], x[1, 40] = np.inf, np.nan
    y = scan.cumsum.cpu(x, 1, False)
    assert np.isfinite(y[0, :300]).all() and np.isinf(y[0, 300:]).all()
    assert np.isfinite(y[1, :40]).all() and np.isnan(y[1, 40:]).all()
