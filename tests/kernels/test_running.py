"""Running products and extrema in segments, against the definition."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch.kernels import _running, scan
from tritorch.kernels._threads import get_num_threads, set_num_threads
from tritorch.kernels.scan import cummax, cummin, cumprod

SHAPES = [(1, 20_000), (3, 7001), (500, 33), (700, 32), (64, 1024)]


def extremum(x: np.ndarray, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    """Values and places of rows, one element after the other."""
    y, at = x.copy(), np.zeros(x.shape, np.int64)
    for row, values, places in zip(x, y, at, strict=True):
        best = 0
        for t, v in enumerate(row):
            if v != v or (v >= row[best] if largest else v <= row[best]):
                best = t
            values[t], places[t] = row[best], best
    return y, at


@pytest.fixture(autouse=True)
def short_rows(monkeypatch):
    monkeypatch.setattr(scan, "LEAST", 64)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["f4", "f8", "i8", "i4", "u1", "?"])
def test_running_extrema(shape, kind):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=shape) * (9 if kind[0] != "u" else 3) + 9 * (kind[0] == "u")).round().astype(kind)  # with ties
    if kind[0] == "f":
        x.reshape(-1)[rng.integers(0, x.size, 3)] = [np.nan, np.inf, -np.inf]
    for op, largest in ((cummax, True), (cummin, False)):
        want, places = extremum(x, largest)
        y, at = op.cpu(x, 1)
        np.testing.assert_array_equal(y, want)
        np.testing.assert_array_equal(at, places)
        y, at = op.cpu(np.repeat(x, 2, 1)[:, ::2].T, 0)
        np.testing.assert_array_equal(y.T, want)
        np.testing.assert_array_equal(at.T, places)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_running_products(shape):
    x = np.random.default_rng(1).uniform(0.97, 1.03, shape)
    for kind, rtol in (("f4", 1e-5), ("f8", 1e-12), ("c16", 1e-12)):
        a = x.astype(kind)
        wide = np.complex128 if kind == "c16" else np.float64
        np.testing.assert_allclose(cumprod.cpu(a, 1), np.multiply.accumulate(a, 1, wide), rtol=rtol)
    a = (x * 30).astype(np.int32)
    np.testing.assert_array_equal(cumprod.cpu(a, 1), np.multiply.accumulate(a, 1, np.int64))


def test_the_same_bits_on_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(_running, "_BLOCK", 1 << 14)
    x = np.random.default_rng(2).uniform(0.97, 1.03, (900, 700)).astype(np.float32)
    before = get_num_threads()
    seen = set()
    try:
        for n in (1, 2, 3):
            set_num_threads(n)
            seen.add(cumprod.cpu(x, 1).tobytes())
    finally:
        set_num_threads(before)
    assert len(seen) == 1
