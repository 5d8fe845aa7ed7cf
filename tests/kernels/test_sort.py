"""Sorting: stable, NaN last, every dtype, ranked and radix rows, on both sides; selection by rank and frequency."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tritorch.kernels import select, sort
from tritorch.kernels._op import OPS

DTYPES = ("float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")


def values(shape, dtype, rng) -> np.ndarray:
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype.startswith("float"):
        x = rng.integers(-20, 20, shape).astype(dtype) / 4  # many ties
        flat = x.reshape(-1)
        flat[rng.integers(0, x.size, 5)] = [np.nan, np.inf, -np.inf, -0.0, 0.0]
        return x
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def stable(x: np.ndarray, dim: int, descending: bool) -> np.ndarray:
    if not descending:
        return np.argsort(x, dim, kind="stable")
    n = x.shape[dim]
    return np.flip(n - 1 - np.argsort(np.flip(x, dim), dim, kind="stable"), dim)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable(dtype, descending):
    rng = np.random.default_rng(0)
    for shape, dim in (((3, 40), 1), ((40, 3), 0), ((2, 1500), 1), ((1300, 2), 0), ((2, 9, 4), 1)):
        x = values(shape, dtype, rng)
        want = stable(x, dim, descending)
        for side in ("cpu", "gpu"):
            y, at = getattr(OPS["sort"], side)(x, dim, descending)
            np.testing.assert_array_equal(at, want, err_msg=f"{side} {shape}")
            np.testing.assert_array_equal(y, np.take_along_axis(x, want, dim))
            assert at.dtype == np.int64 and y.dtype == x.dtype and y.flags.c_contiguous and at.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_on_the_device(dtype):
    rng = np.random.default_rng(1)
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.float16
    for r in (50, 700):
        x = rng.normal(size=(2, r)).astype(kind)
        y, at = sort.sort.gpu(x, 1, False)
        np.testing.assert_array_equal(at, np.argsort(x.astype(np.float32), 1, kind="stable"))
        assert y.dtype == x.dtype


TOPK = [
    ((3, 70), 1, 5), ((2, 3000), 1, 7), ((700, 3), 0, 2), ((2, 900), 1, 400), ((4, 6), 1, 6), ((4, 6), 0, 0),
    ((2, 1100), 1, 128),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "dim", "k"), TOPK, ids=str)
@pytest.mark.parametrize("largest", [True, False])
def test_topk(shape, dim, k, largest):
    x = np.random.default_rng(2).permuted(np.arange(np.prod(shape), dtype=np.float32)).reshape(shape)
    want = np.take(stable(x, dim, largest), range(k), dim)
    for side in ("cpu", "gpu"):
        y, at = getattr(OPS["topk"], side)(x, k, dim, largest)
        np.testing.assert_array_equal(at, want)
        np.testing.assert_array_equal(y, np.take_along_axis(x, want, dim))


def test_topk_counts_nan_as_the_largest():
    x = np.zeros((2, 2000), np.float32)
    x[0, 77], x[1, 5], x[1, 9] = np.nan, 3, np.inf
    for side in ("cpu", "gpu"):
        y, at = getattr(OPS["topk"], side)(x, 2, 1, True)
        np.testing.assert_array_equal(y, [[np.nan, 0], [np.inf, 3]])
        assert at[0, 0] == 77 and at[1].tolist() == [9, 5]


def test_selection_against_a_plain_loop():
    rng = np.random.default_rng(3)
    for shape in ((5, 31), (3, 800), (4, 1)):
        x = rng.integers(0, 9, shape).astype(np.float32)
        x[0, 0] = np.nan
        for side in ("cpu", "gpu"):
            run = {n: getattr(OPS[n], side) for n in ("kthvalue", "median", "nanmedian", "mode")}
            k = (shape[1] + 1) // 2
            np.testing.assert_array_equal(run["kthvalue"](x, k, 1, False)[0], np.sort(x, 1)[:, k - 1])
            v, at = run["median"](x, 1, False)
            assert np.isnan(v[0]) and at[0] == 0
            np.testing.assert_array_equal(v[1:], np.sort(x[1:], 1)[:, (shape[1] - 1) // 2])
            v, at = run["nanmedian"](x, 1, False)
            rest = np.sort(x[0, 1:])
            assert shape[1] == 1 or v[0] == rest[(len(rest) - 1) // 2]
            v, at = run["mode"](x[1:], 1, False)
            for row, value, i in zip(x[1:], v, at):
                found, counts = np.unique(row, return_counts=True)
                assert value == found[counts.argmax()] and i == np.flatnonzero(row == value)[-1]


def test_all_nan_rows():
    x = np.full((2, 5), np.nan, np.float32)
    for side in ("cpu", "gpu"):
        v, at = getattr(select.nanmedian, side)(x, 1, False)
        assert np.isnan(v).all() and (at >= 0).all() and (at < 5).all()


def test_no_elements():
    for side in ("cpu", "gpu"):
        for shape, dim in (((0,), 0), ((3, 0), 1), ((0, 3), 1)):
            y, at = getattr(sort.sort, side)(np.zeros(shape, np.float32), dim, False)
            assert y.shape == at.shape == shape and at.dtype == np.int64


@pytest.mark.parametrize("kind", ["f4", "f8", "i8", "i4", "i2", "u1", "?"])
@pytest.mark.parametrize("scale", [3, 1e6, 1e15])
def test_stable_order_of_rows(kind, scale):
    rng = np.random.default_rng(0)
    for shape in ((50, 200), (2, 40_001), (1000, 5)):
        x = rng.normal(size=shape) * scale
        x = x.astype(kind) if kind[0] == "f" else (x % (2**61 if kind == "i8" else 100)).astype(kind)
        if kind[0] == "f":
            x.reshape(-1)[::97] = np.nan
        np.testing.assert_array_equal(sort.order(x, False), np.argsort(x, 1, kind="stable"))
        falling = (shape[1] - 1 - np.argsort(x[:, ::-1], 1, kind="stable"))[:, ::-1]
        np.testing.assert_array_equal(sort.order(x, True), falling)
    ends = np.tile(np.array([-(2**63), 2**63 - 1, 0, 5]), (2, 700))
    np.testing.assert_array_equal(sort.order(ends, False), np.argsort(ends, 1, kind="stable"))
