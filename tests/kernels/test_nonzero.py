"""searchsorted on the CPU: many values, bisected together, at the places that NumPy finds one by one."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch.kernels.nonzero import searchsorted


@pytest.mark.parametrize("rows", [0, 1, 7, 64])  # 0: one row for all values
@pytest.mark.parametrize("length", [1, 2, 7, 8, 50, 1023, 1025])
@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "i8", "u1", "?"])
def test_many_values(rows, length, kind):
    rng = np.random.default_rng(0)
    m = max(rows, 1)
    shift = 60 if kind == "u1" else 0
    table = (rng.normal(size=(m, length)) * 20 + shift).round().astype(kind)
    values = (rng.normal(size=(m, 9000 // m + 1)) * 20 + shift).round().astype(kind)
    if kind[0] == "f":
        table[:, -1], values[0, :2] = np.inf, [np.inf, -np.inf]
    elif kind != "?":
        info = np.iinfo(kind)
        table[:, -1], values[0, :2] = info.max, [info.max, info.min]
    table.sort(1)
    for right, side in ((False, "left"), (True, "right")):
        want = [np.searchsorted(row, v, side) for row, v in zip(table, values, strict=True)]
        found = searchsorted.cpu(table if rows else table[0], values, right)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, want)


def test_nan_is_above_everything():
    rows = np.array([1, 2, np.nan, np.nan])
    values = np.random.default_rng(0).normal(size=9000)
    for _ in range(2):
        for right, side in ((False, "left"), (True, "right")):
            np.testing.assert_array_equal(searchsorted.cpu(rows, values, right), np.searchsorted(rows, values, side))
        values[5] = np.nan
