"""The Triton product on the emulated device: ragged tiles, splits, strides, dtypes; and its choice of tiles."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("triton", reason="the emulated device runs Triton's interpreter")

from tritorch.device import EMULATED  # noqa: E402
from tritorch.kernels import _gemm, _gemm_persistent  # noqa: E402
from tritorch.kernels._gemm import gemm, gemm_splits, gemm_tile  # noqa: E402

if not EMULATED:
    pytest.skip("these call kernels on NumPy memory", allow_module_level=True)

rng = np.random.default_rng(3)
TOLERANCE = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2, "float64": 1e-12}


def operand(shape, dtype):
    return rng.normal(size=shape).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_ragged_tiles_and_splits(dtype, splits, bias):
    a, b = operand((40, 70), dtype), operand((70, 35), dtype)
    c = operand((35,), dtype) if bias else None
    exact = a.astype(np.float64) @ b.astype(np.float64) + (c.astype(np.float64) if bias else 0)
    got = gemm(a, b, c, tile=(16, 16, 16), splits=splits)
    assert got.dtype == a.dtype and got.flags.c_contiguous
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(got.astype(np.float64), exact, rtol=tolerance, atol=8 * tolerance)
    again = gemm(a, b, c, tile=(16, 16, 16), splits=splits)
    np.testing.assert_array_equal(got.view(f"u{got.itemsize}"), again.view(f"u{got.itemsize}"))


def layouts():
    r = np.random.default_rng(4)
    yield "both transposed", r.normal(size=(33, 20)).T, r.normal(size=(18, 33)).T
    yield "every second column", r.normal(size=(20, 64))[:, ::2], r.normal(size=(32, 40))
    yield "backwards", r.normal(size=(20, 32))[::-1, ::-1], r.normal(size=(32, 40))
    yield "expanded row", np.broadcast_to(r.normal(size=(1, 32)), (20, 32)), r.normal(size=(32, 5))
    yield "batch against one", r.normal(size=(2, 3, 17, 5)), r.normal(size=(5, 9))
    yield "batch inside", r.normal(size=(2, 3, 17, 5)), r.normal(size=(3, 5, 9))
    yield (
        "batch of three dims that do not merge",
        r.normal(size=(2, 1, 3, 4, 5)),
        r.normal(size=(1, 2, 3, 5, 4))[:, :, ::-1],
    )
    yield "heads", r.normal(size=(2, 7, 3, 8)).transpose(0, 2, 1, 3), r.normal(size=(2, 7, 3, 8)).transpose(0, 2, 3, 1)
    yield "one element", r.normal(size=(1, 1)), r.normal(size=(1, 1))
    yield "no terms", np.ones((3, 0)), np.ones((0, 4))


@pytest.mark.parametrize("name, a, b", [pytest.param(*v, id=v[0]) for v in layouts()])
def test_layouts(name, a, b):
    np.testing.assert_allclose(gemm(a, b), a @ b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8, np.uint8])
def test_integers_wrap_as_numpys(dtype):
    a, b = rng.integers(-50, 50, (9, 20)).astype(dtype), rng.integers(-50, 50, (20, 17)).astype(dtype)
    np.testing.assert_array_equal(gemm(a, b), a @ b)


def test_complex_is_refused():
    with pytest.raises(NotImplementedError, match="no Triton kernel for complex64"):
        gemm(np.ones((2, 2), np.complex64), np.ones((2, 2), np.complex64))


def test_tiles_are_powers_of_two_and_fit(monkeypatch):
    monkeypatch.setattr(_gemm, "SMALL", False)
    for kind, item in (("dot16", 2), ("f32", 4), ("f64", 8), ("int", 8)):
        for precision in ("ieee", "tf32"):
            for m in (1, 17, 300, 5000):
                for n in (1, 100, 4096):
                    m_, n_, k_, warps, stages = gemm_tile(kind, m, n, 512, 3, precision)
                    assert all(v >= 16 and v & (v - 1) == 0 for v in (m_, n_, k_))
                    assert (m_ + n_) * k_ * item * stages <= 227 << 10
                    assert warps in (4, 8)
                    assert 1 <= gemm_splits(4, 512, k_) <= 512 // (4 * k_)


def test_precision_is_checked():
    with pytest.raises(ValueError, match="precision must be one of"):
        _gemm.set_float32_precision("fast")
    assert _gemm.get_float32_precision() == "ieee"


@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
@pytest.mark.parametrize("bias", [False, True])
def test_the_product_through_descriptors(layout, bias):
    m, n, k = 72, 88, 104  # no multiples of the tiles; rows of whole 16 bytes
    a = operand((m, k), "bfloat16") if layout[0] == "n" else operand((k, m), "bfloat16").T
    b = operand((k, n), "bfloat16") if layout[1] == "n" else operand((n, k), "bfloat16").T
    c = operand((n,), "bfloat16") if bias else None
    want = gemm(a, b, c)
    for tile, programs in (((32, 32, 32), 3), ((64, 256, 64), 1)):
        got = np.zeros((m, n), a.dtype)
        _gemm_persistent.gemm_persistent(a, b, c, got, tile, programs)
        np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=2e-2, atol=1e-2)


def test_when_descriptors_are_taken(monkeypatch):
    calls = []
    monkeypatch.setattr(_gemm_persistent, "gemm_persistent", lambda a, b, bias, c: calls.append(a.shape))
    monkeypatch.setattr(_gemm_persistent, "has_engine", lambda: True)
    a, b = operand((256, 64), "bfloat16"), operand((64, 256), "bfloat16")
    gemm(a, b)
    assert not calls  # not asked for
    monkeypatch.setattr(_gemm_persistent, "_wanted", True)
    gemm(a, b)
    gemm(np.asfortranarray(a), b)
    assert len(calls) == 2
    for x, y in ((a[:, :60], b[:60]), (a[:, ::2], b[::2]), (a.astype(np.float32), b.astype(np.float32)), (a[:200], b),
                 (operand((2, 256, 64), "bfloat16"), operand((2, 64, 256), "bfloat16"))):  # fmt: skip
        assert gemm(x, y).shape == (*x.shape[:-1], y.shape[-1])
    assert len(calls) == 2
    monkeypatch.setattr(_gemm_persistent, "has_engine", lambda: False)
    gemm(a, b)
    assert len(calls) == 2
