"""The linear recurrence against a plain loop, on both sides, both ways."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch.kernels._op import OPS
from tritorch.kernels.recurrence import shifted


@pytest.mark.parametrize(("shape", "dim"), [((5, 40), 1), ((40, 5), 0), ((3000,), 0), ((2, 1500, 3), 1)], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
def test_linear_recurrence(shape, dim, reverse):
    rng = np.random.default_rng(2)
    a, b = rng.uniform(0.2, 1, shape), rng.normal(size=shape)
    h, now = np.zeros(shape), np.zeros([n for i, n in enumerate(shape) if i != dim])
    at, bt, ht = (np.moveaxis(v, dim, 0) for v in (a, b, h))
    for t in range(shape[dim])[:: -1 if reverse else 1]:
        now = at[t] * now + bt[t]
        ht[t] = now
    for side in ("cpu", "gpu"):
        found = getattr(OPS["linear_recurrence"], side)(a, b, dim, reverse)
        np.testing.assert_allclose(found, h, rtol=1e-9, atol=1e-12)


def test_shifted():
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(shifted(x, 1, 1, 9), [[9, 0, 1], [9, 3, 4]])
    np.testing.assert_array_equal(shifted(x, 0, -1, 9), [[3, 4, 5], [9, 9, 9]])
