from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.raw_checks import check_cpu_grad
from tritorch.kernels.nll_loss import nll_loss


def test_fused_backward_is_the_derivative():
    assert check_cpu_grad(nll_loss) == 4


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [False, True])
def test_loss_against_the_formula(weighted, ignored):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    if ignored:
        t[2] = -100
    w = rng.uniform(0.5, 2, 4) if weighted else np.ones(4)
    each = np.array([0.0 if c < 0 else -w[c] * row[c] for row, c in zip(x, t, strict=True)])
    given = w if weighted else None
    assert np.allclose(nll_loss.cpu(x, t, given, -100, "none"), each)
    assert np.allclose(nll_loss.cpu(x, t, given, -100, "sum"), each.sum())
    mean = nll_loss.cpu(x, t, given, -100, "mean")
    assert mean.shape == () and np.allclose(mean, each.sum() / w[t[t >= 0]].sum())


def test_ignored_rows():
    t = np.array([-100, -100])
    assert np.isnan(nll_loss.cpu(np.zeros((2, 3)), t, None, -100, "mean"))
    assert nll_loss.cpu(np.full((2, 3), -np.inf), t, None, -100, "sum") == 0


@pytest.mark.parametrize("target", [3, -1])
@pytest.mark.parametrize("w", [None, np.ones(3)])
def test_a_target_that_is_no_class_raises(target, w):
    with pytest.raises(IndexError, match=f"nll_loss: Target {target} is out of bounds for 3 classes"):
        nll_loss.cpu(np.zeros((1, 3)), np.array([target]), w, -100, "mean")
