"""softmax and its kin: long and short rows, any dim, infinities, on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch.kernels import softmax as S
from tritorch.kernels._op import OPS

INF = np.inf
SHAPES = [
    ((3, 9000), 1), ((9000, 3), 0), ((2, 200, 70), 1), ((1, 600, 100), 1), ((5,), 0), ((3, 4), 0), ((), 0), ((3, 0), 1),
    ((0, 3), 1), ((300, 30, 6), 2),
]  # fmt: skip


def exact(x: np.ndarray, dim: int) -> dict[str, np.ndarray]:
    x = np.asarray(x, np.float64)
    if x.size == 0:
        return {"softmax": x, "log_softmax": x}
    with np.errstate(all="ignore"):
        top = x.max(dim, keepdims=True)
        e = np.exp(x - top)
        s = e.sum(dim, keepdims=True)
        return {"softmax": e / s, "log_softmax": x - top - np.log(s)}


@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
def test_both_sides_against_float64(shape, dim):
    rng = np.random.default_rng(0)
    x = np.asarray(rng.normal(size=shape) * 5).astype(np.float32)
    g = np.asarray(rng.normal(size=shape)).astype(np.float32)
    for name, want in exact(x, dim).items():
        op = OPS[name]
        y = np.asarray(want.astype(np.float32))
        back = (
            y * (g - (g * y).sum(dim, keepdims=True))
            if name == "softmax"
            else g - np.exp(y) * g.sum(dim, keepdims=True)
        )
        for side in ("cpu", "gpu"):
            got = getattr(op, side)(x, dim)
            assert got.shape == x.shape and got.dtype == x.dtype and got.flags.c_contiguous
            np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-5)
            np.testing.assert_allclose(getattr(op, f"{side}_grad")(g, y, dim), back, rtol=1e-3, atol=1e-4)


SPECIAL = np.array(
    [[-INF] * 4, [1, INF, 2, 3], [1, np.nan, 2, 3], [1, -INF, 2, 3], [INF, INF, -INF, 1], [1000, -1000, 999, -INF]],
    np.float32,
)


@pytest.mark.parametrize("repeat", [1, 400, 1500])
def test_infinities_and_nan(repeat):
    x = np.tile(SPECIAL, (1, repeat))
    for dim, a in ((1, x), (0, np.ascontiguousarray(x.T))):
        for name, want in exact(a, dim).items():
            for side in ("cpu", "gpu"):
                np.testing.assert_allclose(getattr(OPS[name], side)(a, dim), want, rtol=2e-5, atol=2e-5)
        with np.errstate(all="ignore"):
            want = np.logaddexp.reduce(a.astype(np.float64), dim)
        for side in ("cpu", "gpu"):
            np.testing.assert_allclose(getattr(OPS["logsumexp"], side)(a, (dim,), False), want, rtol=1e-6)


def test_logsumexp_over_several_dims_and_long_rows():
    rng = np.random.default_rng(1)
    for shape, dim in (((3, 40, 5), (0, 2)), ((2, 9000), (1,)), ((9000, 2), (0,)), ((3, 4), (0, 1)), ((3, 4), ())):
        x = (rng.normal(size=shape) * 20).astype(np.float32)
        want = np.log(np.exp(x.astype(np.float64)).sum(dim)) if dim else x
        for side in ("cpu", "gpu"):
            np.testing.assert_allclose(getattr(OPS["logsumexp"], side)(x, dim, False), want, rtol=1e-6)


def test_no_overflow_and_rows_sum_to_one():
    x = np.array([[1e4, 1e4 - 1, -1e4], [-1e38, -1e38, -1e38]], np.float32)
    for side in ("cpu", "gpu"):
        y = getattr(OPS["softmax"], side)(x, 1)
        np.testing.assert_allclose(y.sum(1), 1, rtol=1e-6)
        assert np.isfinite(getattr(OPS["log_softmax"], side)(x, 1)).all()


def test_row_tiles():
    for n_rows in (1, 5, 4096):
        for r in (1, 10, 5000, 10**6):
            for k in (1, 7, 4096):
                block_j, block_r, one, warps = S.row_tiles(n_rows, r, k)
                assert block_j & (block_j - 1) == 0 == block_r & (block_r - 1) and warps in (4, 8, 16)
                assert not one or block_r >= r
