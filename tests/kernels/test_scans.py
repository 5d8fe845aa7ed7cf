"""Scans of few long rows, which are cut into parts: forced here by small tiles."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import tritorch as torch
from tritorch.device import EMULATED
from tritorch.kernels import _scans
from tritorch.kernels._op import OPS

pytestmark = pytest.mark.skipif(not EMULATED, reason="about the emulated device")

SHAPES = [((700,), 0), ((2, 333), 1), ((333, 2), 0), ((2, 130, 3), 1), ((5, 64), 1), ((1, 65), 1), ((33,), 0)]


@pytest.fixture(autouse=True)
def launched(monkeypatch):
    """Tiles of 16 elements and two of them to a part; gives the grids of the scans."""
    grids: list[tuple[str, tuple[int, ...]]] = []
    launch = _scans.launch

    def watched(kernel, grid, *args, **consts):
        grids.append((kernel.__name__.lstrip("_"), grid))
        launch(kernel, grid, *args, **consts)

    monkeypatch.setattr(_scans, "launch", watched)
    monkeypatch.setattr(_scans, "tiles", lambda n_out, r, k: (2, 16, 4))
    monkeypatch.setattr(_scans, "TILES", 2)
    monkeypatch.setattr(_scans, "PROGRAMS", 12)
    return grids


def test_parts():
    for programs in (1, 3, 12, 100):
        for r in (1, 15, 16, 64, 65, 700, 10**9):
            n, part = _scans.parts(programs, r, 16)
            assert part % 16 == 0 and (n - 1) * part < r <= n * part and n <= max(1, 12 // programs)
            assert n == 1 or part >= 2 * 16


def test_a_long_row_takes_three_launches(launched):
    OPS["cumsum"].gpu(np.ones(700, np.float32), 0, False)
    assert launched == [("scan", (1, 11)), ("scan", (1, 1)), ("scan", (1, 11))]
    launched.clear()
    OPS["cumsum"].gpu(np.ones((24, 700), np.float32), 1, False)
    assert launched == [("scan", (12, 1))]


@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16, np.int32])
def test_sums(shape, dim, reverse, dtype, launched):
    x = np.random.default_rng(0).integers(-4, 5, shape).astype(dtype)  # exact in every dtype
    y = OPS["cumsum"].gpu(x, dim, reverse)
    wide = x.astype(np.float64)
    want = np.flip(np.cumsum(np.flip(wide, dim), dim), dim) if reverse else np.cumsum(wide, dim)
    assert y.dtype == (np.int64 if dtype is np.int32 else dtype)
    np.testing.assert_array_equal(y.astype(np.float64), want.astype(y.dtype).astype(np.float64))
    assert len(launched) == (3 if shape[dim] >= 64 else 1)


def test_sums_of_integers_beyond_53_bits():
    x = np.full(200, 2**55 + 1, np.int64)
    np.testing.assert_array_equal(OPS["cumsum"].gpu(x, 0, False), np.cumsum(x))


@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
def test_products_and_logarithms_of_sums(shape, dim):
    rng = np.random.default_rng(1)
    x = rng.choice([0.5, 1, 2, -1], shape)
    x.reshape(-1)[::97] = 0
    np.testing.assert_array_equal(OPS["cumprod"].gpu(x, dim), np.cumprod(x, dim))
    z = rng.normal(size=shape)
    z.reshape(-1)[::50] = -np.inf
    z.reshape(-1)[0] = -np.inf
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(OPS["logcumsumexp"].gpu(z, dim), np.logaddexp.accumulate(z, dim), rtol=1e-12)


@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_, ml_dtypes.bfloat16])
def test_extrema_and_their_places(shape, dim, dtype):
    x = np.random.default_rng(2).integers(0, 40, shape).astype(dtype)
    for name, ufunc in (("cummax", np.maximum), ("cummin", np.minimum)):
        values, at = OPS[name].gpu(x, dim)
        want, want_at = OPS[name].cpu(x.astype(np.float32), dim)
        np.testing.assert_array_equal(values.astype(np.float32), ufunc.accumulate(x.astype(np.float32), dim))
        np.testing.assert_array_equal(at, want_at)
        assert values.dtype == x.dtype and at.dtype == np.int64 and want.shape == values.shape


def test_extrema_of_what_never_wins_and_of_nan():
    for fill, name in ((-np.inf, "cummax"), (np.inf, "cummin")):
        x = np.full(200, fill, np.float32)
        values, at = OPS[name].gpu(x, 0)
        np.testing.assert_array_equal(values, x)
        np.testing.assert_array_equal(at, np.arange(200))
    x = np.arange(200, dtype=np.float32)
    x[70] = x[150] = np.nan
    values, at = OPS["cummax"].gpu(x, 0)
    assert (values[:70] == x[:70]).all() and np.isnan(values[70:]).all()
    np.testing.assert_array_equal(at, [*range(70), *[70] * 80, *[150] * 50])
    low = np.full(100, np.iinfo(np.int64).min)
    np.testing.assert_array_equal(OPS["cummax"].gpu(low, 0)[1], np.arange(100))


@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
@pytest.mark.parametrize("reverse", [False, True])
def test_recurrences(shape, dim, reverse):
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0.5, 1, shape), rng.normal(size=shape)
    a.reshape(-1)[::31] = 0
    found = OPS["linear_recurrence"].gpu(a, b, dim, reverse)
    np.testing.assert_allclose(found, OPS["linear_recurrence"].cpu(a, b, dim, reverse), rtol=1e-9, atol=1e-12)


def test_a_recurrence_that_starts_late():
    """The product of the factors overflows while the state is still 0."""
    a, b = np.full(600, 2.0, np.float32), np.zeros(600, np.float32)
    b[-3:] = 1
    np.testing.assert_array_equal(OPS["linear_recurrence"].gpu(a, b, 0, False)[-4:], [0, 1, 3, 7])


def test_two_runs_give_equal_bits():
    x = np.random.default_rng(4).normal(size=3000).astype(np.float32)
    first = OPS["cumsum"].gpu(x, 0, False)
    assert first.tobytes() == OPS["cumsum"].gpu(x.copy(), 0, False).tobytes()
    np.testing.assert_allclose(first, np.cumsum(x.astype(np.float64)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "logcumsumexp"])
def test_gradients(name):
    x = torch.tensor(np.random.default_rng(5).uniform(0.9, 1.1, 150))
    w = torch.tensor(np.random.default_rng(6).normal(size=150))
    grads = []
    for device in ("cpu", "cuda"):
        t = x.detach().to(device).requires_grad_()
        y = getattr(t, name)(0)
        ((y[0] if name == "cummax" else y) * w.to(device)).sum().backward()
        grads.append(t.grad.cpu().numpy())
    np.testing.assert_allclose(grads[1], grads[0], rtol=1e-9, atol=1e-12)
