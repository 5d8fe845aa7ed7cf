from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.raw_checks import check_cpu_grad
from tritorch.kernels.attention import attention


def plain(q, k, v, mask, scale, causal):
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
    s = q @ k.swapaxes(2, 3) * scale
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
    if causal:
        s = np.where(np.tri(*s.shape[2:], dtype=bool), s, -np.inf)
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v


def test_fused_backward_is_the_derivative():
    assert check_cpu_grad(attention) == 13


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("sizes", [(2, 4, 4, 300, 300), (3, 4, 2, 5, 9), (1, 2, 1, 700, 130), (9, 6, 6, 33, 31)])
def test_blocks_of_any_size_give_the_formula(sizes, causal):
    b, h, g, n_queries, n_keys = sizes
    rng = np.random.default_rng(0)
    q = rng.normal(size=(b, h, n_queries, 8))
    k, v = rng.normal(size=(b, g, n_keys, 8)), rng.normal(size=(b, g, n_keys, 6))
    mask = rng.normal(size=(1, h, 1, n_keys))
    assert np.allclose(attention.cpu(q, k, v, mask, 0.3, causal)[0], plain(q, k, v, mask, 0.3, causal))
    seen = rng.random((b, 1, n_queries, n_keys)) < 0.7
    seen[..., 0] = True
    assert np.allclose(attention.cpu(q, k, v, seen, 0.3, causal)[0], plain(q, k, v, seen, 0.3, causal))


def test_a_row_without_keys_is_zero_and_sends_no_gradient():
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(1, 1, 3, 2)) for _ in range(3))
    mask = np.ones((1, 1, 3, 3), bool)
    mask[0, 0, 1] = False
    y, lse = attention.cpu(q, k, v, mask, 1.0, False)
    assert not y[0, 0, 1].any() and y[0, 0, 0].any()
    gq, gk, gv, _ = attention.cpu_grad(np.ones_like(y), q, k, v, mask, y, lse, 1.0, False, (True, True, True, False))
    assert not gq[0, 0, 1].any() and np.isfinite(gk).all() and np.isfinite(gv).all()
    none = attention.cpu(q, k[:, :, :0], v[:, :, :0], None, 1.0, False)[0]
    assert none.shape == y.shape and not none.any()
