"""Tensors of more than 2^31 elements: the last program of each kernel reads and writes where it should.

The memory is virtual (pages are made when they are touched), and of a launch only the last program runs: it is the one
whose offsets need 64 bits. The bounds check of the emulated device sees an offset that wrapped.
"""

from __future__ import annotations

import builtins
import sys

import numpy as np
import pytest

pytest.importorskip("triton", reason="the emulated device needs Triton; install tritorch[triton]")

import tritorch.nn  # noqa: F401 - registers the ops
from tritorch._emulated import EmulatedBackend
from tritorch.device import EMULATED
from tritorch.kernels import _gather, _interpreter, _pointwise
from tritorch.kernels._gemm import gemm
from tritorch.kernels._op import OPS

if not EMULATED:
    pytest.skip("these call kernels on NumPy memory", allow_module_level=True)

ROWS, N = 2**25 + 2, 64  # 2^31 + 128 elements
memory = sys.modules["tritorch.device"]


class Untouched(EmulatedBackend):
    """Memory that costs nothing until it is written."""

    def empty(self, shape, dtype, index):
        return np.zeros(shape, dtype)


@pytest.fixture
def last_program(monkeypatch):
    monkeypatch.setattr(memory, "_backend", Untouched())
    monkeypatch.setattr(_interpreter, "range", lambda n: builtins.range(n - 1, n), raising=False)


def large(dtype, seed=0):
    """(ROWS, N) zeros with random last rows."""
    try:
        x = np.zeros((ROWS, N), dtype)
    except MemoryError:
        pytest.skip("the system does not give out so much virtual memory")
    rng = np.random.default_rng(seed)
    x[-4:] = rng.integers(-9, 9, (4, N)) if np.dtype(dtype).kind == "i" else rng.normal(size=(4, N))
    return x


def same(got, want, eps=2e-3):
    assert got.shape == want.shape
    np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=eps, atol=eps)


def test_elementwise_flat_and_tiled(last_program):
    x = large(np.int8)
    (y,) = _pointwise.pointwise("t", ("a + a",), ("a",), (x,), (x.dtype,))
    same(y[-1], x[-1] * 2)
    out = np.zeros((ROWS, 2 * N), np.int8)[:, ::2]
    _pointwise.pointwise("t", ("a + b",), ("a", "b"), (x, x[-1]), (x.dtype,), None, (out,))
    same(out[-1], x[-1] + x[-1])


def test_casts_and_transposed_copies(last_program):
    x = large(np.int8)
    same(_pointwise.cast(x, np.float16)[-1], x[-1])
    out = np.zeros((N, ROWS), np.int8)
    _pointwise.copy_into(out, x.T)
    same(out[-1:, -1:], x.T[-1:, -1:])


ROW_OPS = {
    "softmax": ((), (1,)),
    "log_softmax": ((), (1,)),
    "layer_norm": ("w b", (1, 1e-5)),
    "rms_norm": ("w", (1, 1e-5)),
    "sum": ((), ((1,), False)),
    "amax": ((), ((1,), False)),
    "cumsum": ((), (1, False)),
}


@pytest.mark.parametrize("name", ROW_OPS)
def test_kernels_over_rows(last_program, name):
    op = OPS[name]
    extra, params = ROW_OPS[name]
    x = large(np.float16)
    weights = [
        np.random.default_rng(i).normal(size=N).astype(np.float16) for i, _ in enumerate(extra and extra.split())
    ]
    weights += [None] * (len(op.inputs) - 1 - len(weights))
    got = op.gpu(x, *weights, *params)
    wide = [None if w is None else w.astype(np.float32) for w in weights]
    want = op.cpu(x[-2:].astype(np.float32), *wide, *params)
    first = lambda v: v[0] if isinstance(v, tuple) else v  # noqa: E731
    same(first(got)[-1], first(want)[-1], 4e-3)


def test_indices_far_out(last_program):
    x = large(np.int8)
    at = np.array([0, 5, ROWS - 1])
    same(OPS["embedding"].gpu(x, at, -1, False), x[at])
    same(OPS["index"].gpu(x, (at,)), x[at])
    same(OPS["gather"].gpu(x.reshape(-1), 0, at * N + 3), x.reshape(-1)[at * N + 3])
    places, m, _ = _gather.places(x.shape, (at,))
    _gather.scatter_runs(x, places, np.full((3, N), 7, np.int8), m)
    assert (x[-1] == 7).all()


def test_products_of_strided_rows(last_program):
    base = np.zeros(2**31 + 128, np.int8)
    a = np.lib.stride_tricks.as_strided(base, (3, 32), (2**30, 1))
    a[2] = np.arange(32)
    b = np.random.default_rng(0).integers(-3, 3, (32, 5)).astype(np.int8)
    same(gemm(a, b, tile=(16, 16, 16))[2], a[2] @ b)
