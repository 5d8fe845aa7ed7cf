"""Errors name the function, the rule and what came, before anything is changed; warnings say what to do."""

from __future__ import annotations

import pytest

import tritorch as torch
from tritorch.nn import functional as F

Z = torch.zeros
CASES = [
    (lambda: F.glu(Z(2, 3)), RuntimeError, "glu: .*even.*dimension 1 is size 3.*shape \\(2, 3\\)"),
    (lambda: F.gelu(torch.tensor([1])), NotImplementedError, "gelu: .*int64"),
    (lambda: F.prelu(Z(2, 3), Z(4)), RuntimeError, "prelu: .*3 channels.*shape \\(4,\\)"),
    (lambda: F.mse_loss(Z(2), Z(2), reduction="avg"), ValueError, "mse_loss: 'avg' is not a valid value"),
    (lambda: F.cross_entropy(Z(3, 4), torch.tensor([0, 1])), ValueError, "batch_size \\(3\\).*batch_size \\(2\\)"),
    (lambda: F.cross_entropy(Z(1, 4), torch.tensor([7])), IndexError, "Target 7 is out of bounds for 4 classes"),
    (lambda: F.nll_loss(Z(1, 4), torch.tensor([-7])), IndexError, "Target -7 is out of bounds for 4 classes"),
    (lambda: F.binary_cross_entropy(Z(1) + 2, Z(1)), RuntimeError, "between 0 and 1; got \\[2, 2\\]"),
    (lambda: F.layer_norm(Z(2, 3), (4,)), RuntimeError, "layer_norm: Given normalized_shape=\\[4\\].*\\[2, 3\\]"),
    (lambda: F.batch_norm(Z(2, 3), Z(4), Z(3)), RuntimeError, "running_mean should contain 3 elements not 4"),
    (lambda: F.batch_norm(Z(1, 3), None, None, training=True), ValueError, "more than 1 value per channel"),
    (lambda: F.group_norm(Z(2, 4, 3), 3), RuntimeError, "group_norm: .*divisible by num_groups=3.*\\(2, 4, 3\\)"),
    (lambda: F.dropout(Z(2), 1.5), ValueError, "dropout: dropout probability .* got 1.5"),
    (lambda: F.embedding(torch.tensor([9]), Z(5, 2)), IndexError, "embedding: index out of range: weight has 5 rows; got index 9"),
    (lambda: F.embedding(torch.tensor([0]), Z(5, 2), sparse=True), NotImplementedError, "sparse"),
    (lambda: F.scaled_dot_product_attention(Z(2, 3), Z(2, 4), Z(2, 4)), RuntimeError, "one last dim.*\\(2, 3\\).*\\(2, 4\\)"),
    (lambda: F.interpolate(Z(1, 1, 4), size=2, mode="bilinear"), NotImplementedError, "'bilinear' takes inputs of 4 dims"),
    (lambda: F.pad(Z(1, 3), (3, 0), "reflect"), RuntimeError, "less than the corresponding input dimension 3"),
    (lambda: F.pixel_shuffle(Z(1, 3, 2, 2), 2), RuntimeError, "divisible by the square of upscale_factor 2.*\\(1, 3, 2, 2\\)"),
    (lambda: F.ctc_loss(Z(3, 1, 4), torch.tensor([[1]]), [5], [1]), RuntimeError, "input_lengths.*at most 3"),
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(CASES)))
def test_error(i):
    call, kind, text = CASES[i]
    with pytest.raises(kind, match=text):
        call()


X, Y = Z(2, 3), Z(7)
MISMATCHED = {
    "mse_loss": lambda: F.mse_loss(X, Y),
    "l1_loss": lambda: F.l1_loss(X, Y),
    "smooth_l1_loss": lambda: F.smooth_l1_loss(X, Y),
    "huber_loss": lambda: F.huber_loss(X, Y),
    "kl_div": lambda: F.kl_div(X, Y, reduction="sum"),
    "poisson_nll_loss": lambda: F.poisson_nll_loss(X, Y),
    "gaussian_nll_loss": lambda: F.gaussian_nll_loss(X, Y, X + 1),
    "hinge_embedding_loss": lambda: F.hinge_embedding_loss(X, Y),
    "soft_margin_loss": lambda: F.soft_margin_loss(X, Y),
    "multilabel_soft_margin_loss": lambda: F.multilabel_soft_margin_loss(X, Y),
    "margin_ranking_loss": lambda: F.margin_ranking_loss(Y, Y, Z(2)),
    "cosine_embedding_loss": lambda: F.cosine_embedding_loss(X, Z(1, 7), Z(2)),
    "triplet_margin_loss": lambda: F.triplet_margin_loss(X, X, Z(1, 7)),
    "binary_cross_entropy": lambda: F.binary_cross_entropy(X, X, weight=Y),
    "binary_cross_entropy_with_logits": lambda: F.binary_cross_entropy_with_logits(X, X, pos_weight=Y),
}


@pytest.mark.parametrize("name", MISMATCHED)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_sizes_that_do_not_broadcast_are_an_error_with_both_shapes(name):
    with pytest.raises(RuntimeError, match=rf"^{name}: .*shape \((2, 3|2,)\).*7,?\)|^{name}: .*7,?\).*shape \(2"):
        MISMATCHED[name]()


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_sizes_that_broadcast_silently_are_named(name):
    with pytest.warns(
        UserWarning, match="torch.Size\\(\\[3\\]\\).*different to the input size \\(torch.Size\\(\\[3, 1\\]\\)\\)"
    ):
        assert getattr(F, name)(Z(3, 1), Z(3)).shape == ()


def test_a_failed_batch_norm_leaves_the_running_statistics():
    mean, var = Z(3), Z(3) + 1
    with pytest.raises(RuntimeError):
        F.batch_norm(Z(2, 3), mean, var, Z(4), training=True)
    assert mean.tolist() == [0, 0, 0] and var.tolist() == [1, 1, 1]


def test_softmax_without_a_dim_warns():
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        F.softmax(Z(2, 3))
