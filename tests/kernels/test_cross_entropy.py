from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.raw_checks import check_cpu_grad
from tritorch.kernels.cross_entropy import cross_entropy


def test_fused_backward_is_the_derivative():
    assert check_cpu_grad(cross_entropy) == 3


@pytest.mark.parametrize("classes", [3, 40_000])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_against_the_formula(classes, weighted, smoothing):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(6, classes)) * 5, rng.integers(0, classes, 6)
    t[2] = -100
    w = rng.uniform(0.5, 2, classes) if weighted else np.ones(classes)
    log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
    safe = np.where(t < 0, 0, t)
    each = -(1 - smoothing) * w[safe] * log_p[np.arange(6), safe] - smoothing / classes * (log_p * w).sum(1)
    each[2] = 0
    loss, _ = cross_entropy.cpu(x, t, w if weighted else None, -100, "none", smoothing)
    assert np.allclose(loss, each)
    mean, _ = cross_entropy.cpu(x, t, w if weighted else None, -100, "mean", smoothing)
    assert mean.shape == () and np.allclose(mean, each.sum() / w[safe][t >= 0].sum())


def test_large_logits_do_not_overflow():
    x = np.array([[1000.0, 0.0], [-1000.0, 0.0]], np.float32)
    loss, _ = cross_entropy.cpu(x, np.array([0, 0]), None, -100, "none", 0.0)
    assert loss.tolist() == [0.0, 1000.0]


@pytest.mark.parametrize("classes", [3, 49, 1000])
def test_a_certain_row_costs_exactly_nothing(classes):
    x = np.zeros((1, classes), np.float32)
    x[0, 1] = 500
    assert cross_entropy.cpu(x, np.array([1]), None, -100, "sum", 0.0)[0] == 0


def test_only_ignored_rows_give_nan_mean_and_zero_sum():
    x, t = np.zeros((2, 3)), np.array([-100, -100])
    assert np.isnan(cross_entropy.cpu(x, t, None, -100, "mean", 0.0)[0])
    assert cross_entropy.cpu(x, t, None, -100, "sum", 0.0)[0] == 0


@pytest.mark.parametrize("target", [3, -1])
def test_a_target_that_is_no_class_raises(target):
    with pytest.raises(IndexError, match=f"Target {target} is out of bounds for 3 classes"):
        cross_entropy.cpu(np.zeros((1, 3)), np.array([target]), None, -100, "mean", 0.0)
