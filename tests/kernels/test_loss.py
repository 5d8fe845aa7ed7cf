from __future__ import annotations

import numpy as np
import pytest

import tritorch as torch
from tests.kernels.raw_checks import check_cpu_grad
from tritorch.kernels import dropout, loss  # noqa: F401 - registers the ops
from tritorch.kernels._op import OPS

NAMES = (
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_fused_backward_is_the_derivative(name):
    assert check_cpu_grad(OPS[name]) == 6


def test_dropout_backward_is_the_derivative():
    assert check_cpu_grad(OPS["dropout"]) == 2


@pytest.mark.parametrize("name", NAMES)
def test_blocks_change_nothing(name):
    rng = np.random.default_rng(0)
    x, t = (rng.uniform(0.1, 0.9, 70_001).astype(np.float32) for _ in range(2))
    whole = OPS[name].cpu(x, t, 0.3, "none")
    parts = np.concatenate(
        [OPS[name].cpu(a, b, 0.3, "none") for a, b in zip(np.array_split(x, 9), np.array_split(t, 9))]
    )
    assert np.array_equal(whole, parts)
    assert np.allclose(OPS[name].cpu(x, t, 0.3, "mean"), whole.astype(np.float64).mean(), rtol=1e-6)
    g = np.float32(1)
    gx, gt = OPS[name].cpu_grad(np.asarray(g), x, t, 0.3, "sum", (True, True))
    few = OPS[name].cpu_grad(np.asarray(g), x[:50], t[:50], 0.3, "sum", (True, True))
    assert np.allclose(gx[:50], few[0]) and np.allclose(gt[:50], few[1])


def test_logits_of_any_size_stay_finite():
    x = np.array([-1e4, -50, 0, 50, 1e4], np.float32)
    y = OPS["binary_cross_entropy_with_logits"].cpu(x, np.ones(5, np.float32), 0.0, "none")
    assert np.allclose(y, [1e4, 50, np.log(2), 0, 0], atol=1e-6)


def test_probabilities_of_zero_and_one_are_bounded():
    y = OPS["binary_cross_entropy"].cpu(np.array([0.0, 1.0]), np.array([1.0, 0.0]), 0.0, "none")
    assert y.tolist() == [100.0, 100.0]


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy"])
def test_single_numbers(name, reduction):
    fn = getattr(torch.nn.functional, name)
    x, t = torch.tensor(0.75, requires_grad=True), torch.tensor(0.25)
    row = torch.tensor([0.75], requires_grad=True)
    y, want = fn(x, t, reduction=reduction), fn(row, t.reshape(1), reduction=reduction)
    y.backward()
    want.sum().backward()
    assert y.shape == x.grad.shape == ()
    assert y.item() == want.item()
    assert x.grad.item() == row.grad.item()
