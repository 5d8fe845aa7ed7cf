"""Every function gives the same on cuda (emulated) as on the CPU, forward and backward."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch as torch
from tritorch.nn import functional as F


def numbers(*shape):
    return np.random.default_rng([3, *shape]).normal(size=shape)


def classes(x, *values):
    return torch.tensor(values, device=x.device)


X, Y, P = numbers(4, 6), numbers(6, 4).T.copy(), 1 / (1 + np.exp(-numbers(4, 6)))
IMAGE, VOLUME = numbers(2, 4, 5, 3), numbers(1, 2, 3, 4, 3)

CALLS = {
    **{
        name: (lambda x, name=name: getattr(F, name)(x), (X,))
        for name in (
            "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardtanh", "hardswish",
            "hardsigmoid", "hardshrink", "softshrink", "tanhshrink", "softsign", "softplus", "glu", "logsigmoid", "rrelu",
            "normalize",
        )
    },
    **{
        name: (lambda x, y, name=name: getattr(F, name)(x, y), (X, Y))
        for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss", "cosine_similarity")
    },
    "prelu": (F.prelu, (IMAGE, numbers(4))),
    "softmax": (lambda x: F.softmax(x, 0), (X,)),
    "log_softmax": (lambda x: F.log_softmax(x, 1), (X,)),
    "cross_entropy": (lambda x: F.cross_entropy(x, classes(x, 1, 5, 0, 2), label_smoothing=0.1), (X,)),
    "cross_entropy of images": (lambda x: F.cross_entropy(x, classes(x, [1, 0], [3, 2]), reduction="sum"), (numbers(2, 4, 2),)),
    "cross_entropy of probabilities": (F.cross_entropy, (X, P)),
    "binary_cross_entropy": (F.binary_cross_entropy, (P, P[::-1].copy())),
    "binary_cross_entropy_with_logits": (F.binary_cross_entropy_with_logits, (X, P)),
    "kl_div": (lambda x, y: F.kl_div(x, y, reduction="batchmean"), (X, P)),
    "triplet_margin_loss": (F.triplet_margin_loss, (X, Y, numbers(6, 4).T * 2)),
    "ctc_loss": (lambda x: F.ctc_loss(F.log_softmax(x, 2), classes(x, [1, 2], [2, 1]), [5, 4], [2, 1]), (numbers(5, 2, 3),)),
    "ctc_loss with targets on the CPU": (
        lambda x: F.ctc_loss(F.log_softmax(x, 2), torch.tensor([[1, 2], [2, 1]]), torch.tensor([5, 4]), torch.tensor([2, 1])),
        (numbers(5, 2, 3),),
    ),
    "batch_norm": (lambda x, w: F.batch_norm(x, None, None, w, w, training=True), (IMAGE, numbers(4))),
    "batch_norm in evaluation": (lambda x, w: F.batch_norm(x, w.detach(), (w * w).detach(), w, w), (IMAGE, numbers(4))),
    "group_norm": (lambda x, w: F.group_norm(x, 2, w, w), (IMAGE, numbers(4))),
    "instance_norm": (lambda x, w: F.instance_norm(x, weight=w), (IMAGE, numbers(4))),
    "layer_norm": (lambda x, w: F.layer_norm(x, (6,), w, w), (X, numbers(6))),
    "rms_norm": (lambda x, w: F.rms_norm(x, (6,), w), (X, numbers(6))),
    "local_response_norm": (lambda x: F.local_response_norm(x, 3), (IMAGE,)),
    "embedding": (lambda w: F.embedding(classes(w, [1, 2], [0, 1]), w, padding_idx=2), (numbers(4, 5),)),
    "attention": (lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), (numbers(2, 2, 5, 4),)),
    "attention with a mask": (F.scaled_dot_product_attention, (X, X * 2, Y, numbers(4, 4))),
    "interpolate": (lambda x: F.interpolate(x, scale_factor=1.7, mode="bicubic"), (IMAGE,)),
    "interpolate a volume": (lambda x: F.interpolate(x, size=4, mode="trilinear"), (VOLUME,)),
    "pad": (lambda x: F.pad(x, (1, 2)), (X,)),
    "pad by reflection": (lambda x: F.pad(x, (1, 2), "reflect"), (X,)),
    "affine_grid": (lambda a: F.affine_grid(a, (2, 1, 3, 4), False), (numbers(2, 2, 3),)),
    "nll_loss": (lambda x: F.nll_loss(x, classes(x, 1, 5, 0, 2)), (X,)),
    "multi_margin_loss": (lambda x: F.multi_margin_loss(x, classes(x, 1, 5, 0, 2)), (X,)),
    "multilabel_margin_loss": (lambda x: F.multilabel_margin_loss(x, classes(x, [1, 0, -1], [2, -1, 0])), (numbers(2, 3),)),
    "gaussian_nll_loss": (lambda x, y: F.gaussian_nll_loss(x, y, x * x + 1), (X, Y)),
    "embedding_bag": (lambda w: F.embedding_bag(classes(w, 1, 2, 0, 1), w, classes(w, 0, 3)), (numbers(4, 5),)),
    "embedding_bag by maximum": (lambda w: F.embedding_bag(classes(w, [1, 2], [0, 1]), w, mode="max"), (numbers(4, 5),)),
    "grid_sample": (lambda x, g: F.grid_sample(x, g, align_corners=False), (IMAGE, numbers(2, 3, 3, 2) * 0.7)),
    "pdist": (F.pdist, (X,)),
    "cdist": (torch.cdist, (X, Y)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), (IMAGE,)),
}  # fmt: skip


def run(call, arrays, device):
    inputs = [torch.tensor(a, dtype=torch.float32, device=device).requires_grad_() for a in arrays]
    y = call(*inputs)
    g = np.random.default_rng(5).normal(size=tuple(y.shape)).astype(np.float32)
    y.backward(torch.tensor(g, device=device).reshape(y.shape))
    return y.detach().cpu().numpy(), [t.grad.cpu().numpy() for t in inputs]


@pytest.mark.parametrize("name", CALLS)
def test_cuda_equals_cpu(name):
    call, arrays = CALLS[name]
    y, grads = run(call, arrays, "cpu")
    y2, grads2 = run(call, arrays, "cuda")
    np.testing.assert_allclose(y2, y, rtol=2e-4, atol=2e-5)
    for a, b in zip(grads2, grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=5e-4, atol=5e-5)


def test_dropout_keeps_the_expected_share(device):
    torch.manual_seed(0)
    x = torch.ones(64, 64, device=device, requires_grad=True)
    y = F.dropout(x, 0.25)
    kept = (y != 0).float().mean().item()
    assert abs(kept - 0.75) < 0.05
    y.sum().backward()
    assert np.array_equal(x.grad.cpu().numpy(), y.detach().cpu().numpy())
    assert np.allclose(np.unique(y.detach().cpu().numpy()), [0, 1 / 0.75])
    whole = F.dropout2d(torch.ones(8, 16, 3, 3, device=device), 0.5).cpu().numpy()
    assert set(np.unique(whole.sum((2, 3)))) == {0.0, 18.0}
