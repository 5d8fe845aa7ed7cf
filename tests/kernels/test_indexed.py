"""Reading, writing and adding by index arrays on the CPU, against NumPy's own (slower) indexing."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch.kernels import _indexed
from tritorch.kernels._threads import get_num_threads, set_num_threads

WHOLE = slice(None)


def keys(shape: tuple[int, ...]) -> list[tuple]:
    rng = np.random.default_rng(0)
    at = lambda n, *s: rng.integers(-n, n, s)
    found = [(at(shape[0], 30),), (at(shape[0], 3, 4).astype(np.int32),), (at(shape[0], 0),), (at(shape[0]),)]
    for d in range(1, len(shape)):
        found += [(*(WHOLE,) * d, at(shape[d], 20)), (*(WHOLE,) * (d - 1), at(shape[d - 1], 5, 1), at(shape[d], 7))]
    if len(shape) > 2:
        found += [(at(shape[0], 4), WHOLE, at(shape[2], 4)), tuple(at(n, 50) for n in shape)]
    found.append((rng.random(shape) < 0.3,))
    found.append((rng.random(shape[:1]) < 0.3,))
    return found


SHAPES = [(7,), (3000,), (40, 30), (6, 700), (300, 4, 5), (3, 50, 11), (9, 1, 70)]


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Several threads and small blocks."""
    monkeypatch.setattr(_indexed, "_FEW", 16)
    monkeypatch.setattr(_indexed, "_GRAIN", 64)
    monkeypatch.setattr(_indexed, "_BLOCK", 100)
    monkeypatch.setattr(_indexed, "_LONG", 30)
    before = get_num_threads()
    set_num_threads(3)
    yield
    set_num_threads(before)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["f4", "f8", "?", "c16", "i2"])
def test_reading(shape, kind):
    x = (np.random.default_rng(1).normal(size=shape) * 9).astype(kind)
    for key in keys(shape):
        for a in (x, np.repeat(x, 2, 0)[::2], x.T.copy().T):
            y = _indexed.read(a, key)
            assert y.flags.c_contiguous and y.dtype == x.dtype
            np.testing.assert_array_equal(y, x[key])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_writing_and_adding(shape):
    rng = np.random.default_rng(2)
    x = rng.integers(0, 9, shape).astype(np.float32)
    for key in keys(shape):
        there = x[key]
        for v in (
            rng.integers(0, 9, there.shape).astype(np.float32),
            np.full((1,) * min(there.ndim, 1), 3.0),
            np.array(2.0),
        ):
            want = x.copy()
            np.add.at(want, key, v)
            for start in (x, np.repeat(x, 2, 0)[::2]):
                y = start.copy() if start is x else np.repeat(x, 2, 0)[::2]
                _indexed.add(y, key, v)
                np.testing.assert_array_equal(y, want)
            want, y = x.copy(), x.copy()
            want[key] = v
            _indexed.write(y, key, v)
            np.testing.assert_array_equal(y, want)


def test_rows_that_come_often():
    rng = np.random.default_rng(5)
    for size in (40, 70_000):
        at = np.concatenate([rng.integers(0, size, 200), np.repeat(rng.integers(0, size, 3), 30)])
        x, v = np.zeros((size, 50), np.float32), rng.integers(0, 9, (at.size, 50)).astype(np.float32)
        want = x.copy()
        np.add.at(want, at, v)
        _indexed.add(x, (at,), v)
        np.testing.assert_array_equal(x, want)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_along_a_dim(shape):
    rng = np.random.default_rng(3)
    x = rng.integers(0, 9, shape).astype(np.float32)
    for dim in range(x.ndim):
        for few in (0, 1):  # indices for all other places, or for fewer
            sizes = tuple(13 if d == dim else n - few if n > 1 else n for d, n in enumerate(shape))
            i = rng.integers(-shape[dim], shape[dim], sizes)
            key = _indexed.along(i, dim)
            np.testing.assert_array_equal(_indexed.read_along(x, dim, i), x[key])
            np.testing.assert_array_equal(_indexed.read_along(np.repeat(x, 2, -1)[..., ::2], dim, i), x[key])
            v = rng.integers(0, 9, [n + 1 for n in sizes]).astype(np.float32)
            used = v[tuple(slice(n) for n in sizes)]
            want, y = x.copy(), x.copy()
            want[key] = used
            _indexed.write_along(y, dim, i, v)
            np.testing.assert_array_equal(y, want)
            for ufunc in (np.add, np.maximum, np.multiply):
                want, y = x.copy(), x.copy()
                ufunc.at(want, key, used)
                _indexed.combine_along(ufunc, y, dim, i, v)
                np.testing.assert_array_equal(y, want)


def test_places_of_a_mask():
    rng = np.random.default_rng(4)
    for shape in ((9,), (3, 1), (5, 4, 3), (2, 0, 3), (1,)):
        for mask in (rng.random(shape) < 0.5, rng.integers(0, 2, shape) * np.nan):
            for found, want in zip(_indexed.places_of(mask), mask.nonzero(), strict=True):
                np.testing.assert_array_equal(found, want)
