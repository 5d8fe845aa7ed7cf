"""Second derivatives of what is composed of several ops (single ops have generated tests)."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch as torch
from tritorch.nn import functional as F


def numbers(*shape):
    return np.random.default_rng([4, *shape]).normal(size=shape)


TARGET = torch.tensor([1, 0, 3])
CALLS = {
    "cross_entropy": (lambda x: F.cross_entropy(x, TARGET, label_smoothing=0.1), (numbers(3, 4),)),
    "nll_loss": (lambda x: F.nll_loss(x.log_softmax(1), TARGET), (numbers(3, 4),)),
    "instance_norm": (lambda x, w: F.instance_norm(x, torch.zeros(2).double(), torch.ones(2).double(), w), (numbers(2, 2, 4), numbers(2))),
    "local_response_norm": (lambda x: F.local_response_norm(x, 2, 0.4), (numbers(2, 3, 2),)),
    "embedding_bag": (lambda w: F.embedding_bag(torch.tensor([[0, 1], [1, 2]]), w) ** 2, (numbers(3, 2),)),
    "interpolate": (lambda x: F.interpolate(x, 5, mode="linear") ** 2, (numbers(1, 2, 3),)),
    "grid_sample": (lambda x, g: F.grid_sample(x, g * 0.4, align_corners=False), (numbers(1, 2, 4, 4), numbers(1, 2, 2, 2))),
    "attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v), (numbers(2, 3, 2), numbers(2, 4, 2), numbers(2, 4, 3))),
    "pairwise_distance": (F.pairwise_distance, (numbers(3, 4), numbers(4, 3).T.copy())),
    "gaussian_nll_loss": (lambda x, y: F.gaussian_nll_loss(x, y, x * x + 1), (numbers(3, 4), numbers(3, 4) + 1)),
    "ctc_loss": (lambda x: F.ctc_loss(x.log_softmax(2), torch.tensor([[1, 2]]), [4], [2]), (numbers(4, 1, 3),)),
    "glu": (F.glu, (numbers(3, 4),)),
    "normalize": (F.normalize, (numbers(3, 4),)),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_second_derivative(name):
    call, arrays = CALLS[name]
    inputs = [torch.tensor(a).requires_grad_() for a in arrays]
    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)
