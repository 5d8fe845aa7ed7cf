from __future__ import annotations

import numpy as np
import pytest

from tests.oracle.compare import both, errors, normal

Q, K, V = normal(2, 4, 5, 8), normal(2, 4, 7, 8), normal(2, 4, 7, 6)


def sdpa(t, *args, **options):
    return t.nn.functional.scaled_dot_product_attention(*args, **options)


@pytest.mark.parametrize("kind", ["float64", "float32"])
@pytest.mark.parametrize("causal", [False, True])
def test_plain(kind, causal):
    both(lambda t, q, k, v: sdpa(t, q, k, v, is_causal=causal), Q, K, V, kind=kind)
    both(lambda t, q, k, v: sdpa(t, q, k, v, is_causal=causal, scale=0.7), Q, K, V, kind=kind)


@pytest.mark.parametrize("shape", [(5, 7), (4, 5, 7), (2, 1, 5, 7), (2, 4, 1, 7), (1, 7)])
def test_masks(shape):
    both(lambda t, q, k, v, m: sdpa(t, q, k, v, m), Q, K, V, normal(*shape))
    seen = normal(*shape) > 0
    seen[..., 0] = True
    both(lambda t, q, k, v, m: sdpa(t, q, k, v, m), Q, K, V, seen)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3, 2)])
def test_other_numbers_of_dims(lead):
    q, k, v = normal(*lead, 5, 8), normal(*lead, 7, 8), normal(*lead, 7, 6)
    both(lambda t, q, k, v: sdpa(t, q, k, v), q, k, v)
    both(lambda t, q, k, v, m: sdpa(t, q, k, v, m), q, k, v, normal(5, 7))
    both(lambda t, q, k, v: sdpa(t, q, k, v, is_causal=True), q, k, v)


def test_leading_dims_broadcast():
    both(lambda t, q, k, v: sdpa(t, q, k, v), Q, K[:1], V[:1])


@pytest.mark.parametrize("causal", [False, True])
def test_grouped_queries(causal):
    both(lambda t, q, k, v: sdpa(t, q, k, v, is_causal=causal, enable_gqa=True), Q, K[:, :2], V[:, :2])


def test_fully_masked_rows_are_zero():
    seen = np.ones((5, 7), bool)
    seen[2] = False
    both(lambda t, q, k, v, m: sdpa(t, q, k, v, m), Q, K, V, seen, kind="float32")


@pytest.mark.parametrize("causal", [False, True])
def test_dropout_draws_the_same_mask(causal):
    def call(t, q, k, v):
        t.manual_seed(5)
        return sdpa(t, q, k, v, dropout_p=0.3, is_causal=causal)

    both(call, Q, K, V)


@pytest.mark.parametrize("causal", [False, True])
def test_second_derivative(causal):
    def call(t, q, k, v):
        y = t.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        (g,) = t.autograd.grad((y * y).sum(), q, create_graph=True)
        return g

    import torch

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):  # the only one with a second derivative
        both(call, Q, K, V)


WEIGHTS = normal(24, 8, scale=0.4), normal(24, scale=0.1), normal(8, 8, scale=0.4), normal(8, scale=0.1)


def mha(call):
    """`call(t)` gives the options; runs the multi-head form on query, key, value of (L, N, E)."""

    def run(t, q, k, v, w, b, wo, bo):
        options = {"add_zero_attn": False, "dropout_p": 0.0, "bias_k": None, "bias_v": None, "training": False}
        options.update(call(t))
        zero, p, bk, bv = (options.pop(n) for n in ("add_zero_attn", "dropout_p", "bias_k", "bias_v"))
        f = t.nn.functional.multi_head_attention_forward
        return f(q, k, v, 8, 2, w, b, bk, bv, zero, p, wo, bo, **options)

    return run


OPTIONS = {
    "plain": lambda t: {},
    "no weights": lambda t: {"need_weights": False},
    "each head": lambda t: {"average_attn_weights": False},
    "mask": lambda t: {"attn_mask": t.ones(5, 7).triu(1).bool()},
    "float mask": lambda t: {"attn_mask": t.ones(5, 7, dtype=t.float64).cumsum(1), "need_weights": False},
    "3d mask": lambda t: {"attn_mask": t.ones(6, 5, 7).triu(2).bool(), "need_weights": False},
    "padding": lambda t: {"key_padding_mask": t.tensor([[False] * 5 + [True] * 2] * 3)},
    "padding and mask": lambda t: {"key_padding_mask": t.tensor([[False] * 5 + [True] * 2] * 3),
                                   "attn_mask": t.ones(5, 7).triu(1).bool(), "need_weights": False},
    "causal": lambda t: {"attn_mask": t.ones(5, 7).triu(1).bool(), "is_causal": True, "need_weights": False},
    "zero": lambda t: {"add_zero_attn": True, "attn_mask": t.ones(5, 7).triu(1).bool()},
    "bias": lambda t: {"bias_k": t.ones(1, 1, 8, dtype=t.float64), "bias_v": t.ones(1, 1, 8, dtype=t.float64) * 2},
    "static": lambda t: {"static_k": t.ones(6, 7, 4, dtype=t.float64) * 0.1,
                         "static_v": t.ones(6, 7, 4, dtype=t.float64)},
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_multi_head(name):
    both(mha(OPTIONS[name]), normal(5, 3, 8), normal(7, 3, 8), normal(7, 3, 8, seed=1), *WEIGHTS)


def test_multi_head_of_one_sample_and_of_itself():
    both(mha(OPTIONS["plain"]), normal(5, 8), normal(7, 8), normal(7, 8, seed=1), *WEIGHTS)
    both(lambda t, q, *w: mha(OPTIONS["plain"])(t, q, q, q, *w), normal(5, 3, 8), *WEIGHTS)


def test_multi_head_with_own_projections():
    def call(t, q, k, v, wq, wk, wv, b, wo, bo):
        f = t.nn.functional.multi_head_attention_forward
        return f(q, k, v, 8, 2, None, b, None, None, False, 0.0, wo, bo, use_separate_proj_weight=True,
                 q_proj_weight=wq, k_proj_weight=wk, v_proj_weight=wv)  # fmt: skip

    both(
        call, normal(5, 3, 8), normal(7, 3, 4), normal(7, 3, 6), normal(8, 8), normal(8, 4), normal(8, 6), *WEIGHTS[1:]
    )


def test_multi_head_dropout_draws_the_same_mask():
    def call(t, *args):
        t.manual_seed(2)
        return mha(lambda t: {"dropout_p": 0.4, "training": True})(t, *args)

    both(call, normal(5, 3, 8), normal(7, 3, 8), normal(7, 3, 8, seed=1), *WEIGHTS)


Z = (2, 3, 4)
ERRORS = {
    "causal and mask": lambda t: sdpa(t, t.zeros(Z), t.zeros(Z), t.zeros(Z), t.zeros(3, 3), is_causal=True),
    "dtypes": lambda t: sdpa(t, t.zeros(Z), t.zeros(Z).double(), t.zeros(Z)),
    "dims": lambda t: sdpa(t, t.zeros(3), t.zeros(3), t.zeros(3)),
    "mask dtype": lambda t: sdpa(t, t.zeros(Z), t.zeros(Z), t.zeros(Z), t.zeros(3, 3).long()),
    "mask size": lambda t: sdpa(t, t.zeros(Z), t.zeros(Z), t.zeros(Z), t.zeros(3, 2)),
    "width": lambda t: sdpa(t, t.zeros(Z), t.zeros(2, 3, 5), t.zeros(Z)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_types(name):
    errors(ERRORS[name])
