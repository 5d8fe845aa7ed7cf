# ruff: noqa: E501 - tables of one line per case
"""The functions of nn in torch's own namespace, with its positional arguments, against torch."""

from __future__ import annotations

import numpy as np
import pytest

from .compare import both, integers, normal, uniform

CASES = {
    "embedding": (lambda t, w, i: t.embedding(w, i, 2), normal(5, 3), integers(5, 4)),
    "batch_norm": (lambda t, x, w, b: t.batch_norm(x, w, b, None, None, True, 0.1, 1e-5, False), normal(4, 3), normal(3), normal(3, seed=1)),
    "instance_norm": (lambda t, x: t.instance_norm(x, None, None, None, None, True, 0.1, 1e-5, False), normal(2, 3, 5)),
    "native_layer_norm": (lambda t, x, w, b: t.native_layer_norm(x, [5], w, b, 1e-5)[0], normal(2, 3, 5), normal(5), normal(5, seed=1)),
    "constant_pad_nd": (lambda t, x: t.constant_pad_nd(x, (1, 2), 3.0), normal(2, 3)),
    "convolution": (lambda t, x, w: t.convolution(x, w, None, [1, 2], [1, 0], [1, 1], False, [0, 0], 1), normal(2, 3, 6, 7), normal(4, 3, 3, 2)),
    "convolution transposed": (lambda t, x, w: t.convolution(x, w, None, [2], [1], [1], True, [1], 1), normal(2, 3, 6), normal(3, 4, 3)),
    "conv_tbc": (lambda t, x, w, b: t.conv_tbc(x, w, b, 1), normal(6, 2, 3), normal(3, 3, 4), normal(4)),
    "adaptive_max_pool1d": (lambda t, x: t.adaptive_max_pool1d(x, 3), normal(2, 3, 7)),
    "grid_sampler": (lambda t, x, g: t.grid_sampler(x, g, 0, 1, True), normal(1, 2, 4, 4), uniform(1, 3, 3, 2, low=-0.9, high=0.9)),
    "affine_grid_generator": (lambda t, x: t.affine_grid_generator(x, [2, 3, 4, 5], False), normal(2, 2, 3)),
    "bce": (lambda t, x, y: t.binary_cross_entropy_with_logits(x, y, None, None, 2), normal(4), uniform(4)),
    "kl_div": (lambda t, x, y: t.kl_div(x, y, 0), normal(4), uniform(4)),
    "poisson": (lambda t, x, y: t.poisson_nll_loss(x, y, True, False, 1e-8, 1), normal(4), uniform(4)),
    "hinge": (lambda t, x: t.hinge_embedding_loss(x, t.tensor([1, -1, 1, -1]), 0.5, 1), normal(4)),
    "ranking": (lambda t, x, y: t.margin_ranking_loss(x, y, t.tensor([1, -1, 1, -1]), 0.5, 1), normal(4), uniform(4)),
    "cosine": (lambda t, x, y: t.cosine_embedding_loss(x, y, t.tensor([1, -1]), 0.1, 2), normal(2, 4), uniform(2, 4)),
    "triplet": (lambda t, a, b, c: t.triplet_margin_loss(a, b, c, 1.0, 2, 1e-6, False, 1), normal(3, 4), uniform(3, 4), normal(3, 4, seed=2)),
    "ctc": (lambda t, x: t.ctc_loss(x.log_softmax(-1), t.tensor([[1, 2], [2, 1]]), (6, 6), (2, 2), 0, 1), normal(6, 2, 4)),
    "lstm_cell": (lambda t, x, h, c, w, v, b: t.lstm_cell(x, (h, c), w, v, b, b), normal(2, 3), normal(2, 4), normal(2, 4, seed=1), normal(16, 3), normal(16, 4), normal(16)),
    "gru_cell": (lambda t, x, h, w, v, b: t.gru_cell(x, h, w, v, b, b), normal(2, 3), normal(2, 4), normal(12, 3), normal(12, 4), normal(12)),
    "rnn_tanh_cell": (lambda t, x, h, w, v: t.rnn_tanh_cell(x, h, w, v), normal(2, 3), normal(2, 4), normal(4, 3), normal(4, 4)),
    "rnn_relu_cell": (lambda t, x, h, w, v, b: t.rnn_relu_cell(x, h, w, v, b, b), normal(2, 3), normal(2, 4), normal(4, 3), normal(4, 4), normal(4)),
    "lstm": (lambda t, x, h, c, w, v, b: t.lstm(x, (h, c), [w, v, b, b], True, 1, 0.0, False, False, False),
             normal(5, 2, 3), normal(1, 2, 4), normal(1, 2, 4, seed=1), normal(16, 3), normal(16, 4), normal(16)),
    "lstm bidirectional": (lambda t, x, h, c, w, v: t.lstm(x, (h, c), [w, v, w * 2, v * 2], False, 1, 0.0, False, True, True),
                           normal(2, 5, 3), normal(2, 2, 4), normal(2, 2, 4, seed=1), normal(16, 3), normal(16, 4)),
    "gru": (lambda t, x, h, w, v, b: t.gru(x, h, [w, v, b, b], True, 1, 0.0, False, False, True), normal(2, 5, 3), normal(1, 2, 4), normal(12, 3), normal(12, 4), normal(12)),
    "rnn_tanh": (lambda t, x, h, w, v: t.rnn_tanh(x, h, [w, v], False, 1, 0.0, True, False, False), normal(5, 2, 3), normal(1, 2, 4), normal(4, 3), normal(4, 4)),
    "rnn_relu": (lambda t, x, h, w, v: t.rnn_relu(x, h, [w, v], False, 1, 0.0, True, False, False), normal(5, 2, 3), normal(1, 2, 4), normal(4, 3), normal(4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str) -> None:
    f, *arrays = CASES[name]
    both(f, *arrays)


def test_dropout_forms() -> None:
    import tritorch as t

    x = t.ones(2, 3, 50)
    t.manual_seed(0)
    y = t.feature_dropout(x, 0.5, True)
    assert np.unique(y.numpy()).tolist() == [0.0, 2.0] and (y.amax(-1) == y.amin(-1)).all()
    kept, mask = t.native_dropout(x, 0.3, True)
    assert t.equal(kept != 0, mask) and t.equal(t.native_dropout(x, 0.3, False)[0], x)
    z = x.clone()
    assert t.dropout_(z, 0.0, True) is z and t.feature_dropout_(z, 0.0, True) is z
    with pytest.raises(ValueError):
        t.kl_div(x, x, 3)
