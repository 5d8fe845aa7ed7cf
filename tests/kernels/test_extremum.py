"""Places of extrema on the CPU, on all layouts, short and long, with NaN and ties."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch.kernels import extremum
from tritorch.kernels._threads import get_num_threads, set_num_threads


@pytest.mark.parametrize("read", [1 << 21, 1 << 13])
@pytest.mark.parametrize("shape", [(90, 300), (5, 20, 60), (3, 100, 64), (70, 2, 64), (40_000,), (40, 64, 9)], ids=str)
@pytest.mark.parametrize("kind", ["f4", "f8", "i8", "u1", "?"])
def test_places(shape, kind, read, monkeypatch):
    monkeypatch.setattr(extremum, "READ", read)  # more or fewer blocks, over threads
    monkeypatch.setattr(extremum, "_MANY", 64)
    rng = np.random.default_rng(0)
    x = (rng.normal(size=shape) * 5 + (20 if kind == "u1" else 0)).round().astype(kind)
    before = get_num_threads()
    set_num_threads(3)
    try:
        for nan in (False, True) if kind[0] == "f" else (False,):
            if nan:
                x.reshape(-1)[rng.integers(0, x.size, 20)] = np.nan
            for a in (x, x.T):
                for dim in range(a.ndim):
                    for largest, find in ((True, np.argmax), (False, np.argmin)):
                        for keepdim in (False, True):
                            at = extremum.arg_array(a, dim, keepdim, largest)
                            assert at.dtype == np.int64
                            np.testing.assert_array_equal(at, find(a, dim, keepdims=keepdim))
                        y, at = extremum.best_array(a, dim, False, largest)
                        np.testing.assert_array_equal(y, (np.max if largest else np.min)(a, dim))
    finally:
        set_num_threads(before)
