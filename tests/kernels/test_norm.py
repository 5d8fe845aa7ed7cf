from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.raw_checks import check_cpu_grad
from tritorch.kernels import _rows, batch_norm, group_norm, norm
from tritorch.kernels._op import OPS

NAMES = ("layer_norm", "rms_norm", "batch_norm_train", "batch_norm_eval", "group_norm")


@pytest.mark.parametrize("name", NAMES)
def test_fused_backward_is_the_derivative(name):
    assert check_cpu_grad(OPS[name]) >= 3


def normalised(x, axes, eps):
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)


@pytest.mark.parametrize("shape", [(3, 5), (700, 33), (2, 3, 300, 41), (40, 6, 2, 2)])
def test_norms_against_the_formula(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape) * 3 + 100
    w, b = rng.normal(size=shape[-1]), rng.normal(size=shape[-1])
    expected = normalised(x, -1, 1e-5) * w + b
    assert np.allclose(norm.layer_norm.cpu(x, w, b, 1, 1e-5), expected, atol=1e-10)
    single = norm.layer_norm.cpu(*(a.astype(np.float32) for a in (x, w, b)), 1, 1e-5)
    assert single.dtype == np.float32 and np.allclose(single, expected, atol=2e-3)
    rms = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * w
    assert np.allclose(norm.rms_norm.cpu(x, w, 1, 1e-6), rms)
    y, mean, var = batch_norm.batch_norm_train.cpu(x, None, None, 1e-5)
    axes = (0, *range(2, x.ndim))
    assert np.allclose(y, normalised(x, axes, 1e-5), atol=1e-9)
    assert np.allclose(mean, x.mean(axes)) and np.allclose(var, x.var(axes))
    if x.ndim > 2:
        grouped = normalised(x.reshape(shape[0], 1, -1), 2, 1e-5).reshape(shape)
        assert np.allclose(group_norm.group_norm.cpu(x, None, None, 1, 1e-5), grouped, atol=1e-9)


def test_variance_of_values_far_from_zero_does_not_cancel():
    x = (np.random.default_rng(0).normal(size=(64, 2, 50)) + 3000).astype(np.float32)
    _, mean, var = batch_norm.batch_norm_train.cpu(x, None, None, 0.0)
    exact = x.astype(np.float64).var((0, 2))
    assert np.allclose(mean, x.astype(np.float64).mean((0, 2)), rtol=1e-6)
    assert np.allclose(var, exact, rtol=1e-4)


def test_column_sums_do_not_depend_on_the_threads():
    from tritorch.kernels import _threads

    rng = np.random.default_rng(0)
    x, g = (rng.normal(size=(32768, 96)).astype(np.float32) for _ in range(2))
    before = _threads.get_num_threads()
    try:
        found = []
        for n in (1, 2, 3):
            _threads.set_num_threads(n)
            found.append(norm.layer_norm.cpu_grad(g, x, None, 1, 1e-5, (True, True, True)))
    finally:
        _threads.set_num_threads(before)
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other))
    assert _rows.block_rows(32768, 96) < 32768 // 5


@pytest.mark.parametrize("name", NAMES)
def test_empty_arrays(name):
    x = np.zeros((0, 4, 3), np.float32)
    args = {"batch_norm_eval": (np.zeros(4), np.ones(4), None, None, 1e-5), "rms_norm": (None, 1, 1e-5),
            "batch_norm_train": (None, None, 1e-5), "layer_norm": (None, None, 1, 1e-5),
            "group_norm": (None, None, 2, 1e-5)}[name]  # fmt: skip
    y = OPS[name].cpu(x, *args)
    assert (y[0] if isinstance(y, tuple) else y).shape == x.shape
