"""nn.init: distributions, errors, no graph; the numbers themselves are compared in tests/oracle/test_nn_utils.py."""

from __future__ import annotations

import math

import pytest

import tritorch as torch
from tritorch.nn import Parameter, init

FILLS = [
    lambda w: init.uniform_(w, -1, 1), init.normal_, init.ones_, init.zeros_, lambda w: init.constant_(w, 2), init.eye_,
    init.xavier_uniform_, init.xavier_normal_, init.kaiming_uniform_, init.kaiming_normal_, init.orthogonal_,
    init.trunc_normal_, lambda w: init.sparse_(w, 0.5),
]  # fmt: skip


@pytest.mark.parametrize("fill", FILLS)
def test_parameters_stay_leaves(fill):
    w = Parameter(torch.empty(6, 4))
    assert fill(w) is w
    assert w.is_leaf
    assert w.requires_grad
    assert w.grad_fn is None


@pytest.mark.parametrize("fill", FILLS)
def test_the_same_seed_gives_the_same_numbers(fill):
    made = []
    for _ in range(2):
        torch.manual_seed(1)
        made.append(fill(torch.empty(6, 4)))
    assert torch.equal(*made)


def test_spreads():
    w = torch.empty(200, 300)
    assert init.xavier_normal_(w).std().item() == pytest.approx(math.sqrt(2 / 500), rel=0.02)
    assert init.xavier_uniform_(w, gain=2).std().item() == pytest.approx(2 * math.sqrt(2 / 500), rel=0.02)
    assert init.kaiming_normal_(w, nonlinearity="relu").std().item() == pytest.approx(math.sqrt(2 / 300), rel=0.02)
    assert init.kaiming_uniform_(w, mode="fan_out", nonlinearity="linear").std().item() == pytest.approx(
        math.sqrt(1 / 200), rel=0.02
    )
    cut = init.trunc_normal_(w, mean=1.0, std=2.0, a=0.5, b=4.0)
    assert cut.min() >= 0.5
    assert cut.max() <= 4.0


def test_orthogonal_rows_or_columns():
    for shape in ((5, 3), (3, 5), (4, 2, 2)):
        w = init.orthogonal_(torch.empty(*shape), gain=2).reshape(shape[0], -1)
        small = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        assert torch.allclose(small, 4 * torch.eye(len(small)), atol=1e-5)


def test_sparse_has_zeros_in_each_column():
    assert ((init.sparse_(torch.empty(10, 4), 0.25) == 0).sum(0) == 3).all()


def test_dirac_passes_channels_on():
    w, x = init.dirac_(torch.empty(4, 2, 3, 3), groups=2), torch.randn(1, 4, 5, 5)
    assert torch.equal(torch.nn.functional.conv2d(x, w, padding=1, groups=2), x)


BAD = [
    (lambda: init.calculate_gain("swish"), "Unsupported nonlinearity swish"),
    (lambda: init.calculate_gain("leaky_relu", True), "not a valid number"),
    (lambda: init.xavier_uniform_(torch.empty(3)), "fewer than 2 dimensions"),
    (lambda: init.kaiming_normal_(torch.empty(3, 2), mode="fan"), "Mode fan not supported"),
    (lambda: init.eye_(torch.empty(3)), "Only tensors with 2 dimensions"),
    (lambda: init.sparse_(torch.empty(3), 0.5), "Only tensors with 2 dimensions"),
    (lambda: init.dirac_(torch.empty(3, 2)), "3, 4, or 5 dimensions"),
    (lambda: init.dirac_(torch.empty(3, 2, 3), groups=2), "divisible by groups"),
    (lambda: init.orthogonal_(torch.empty(3)), "2 or more dimensions"),
]


@pytest.mark.parametrize(("call", "text"), BAD)
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_truncation_far_from_the_mean_warns():
    with pytest.warns(UserWarning, match="more than 2 std"):
        init.trunc_normal_(torch.empty(10), mean=5.0)
