"""The table's rules in their three forms: the expression, the one that writes to `out`, the function written out."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch as torch
from tritorch.kernels._op import OPS
from tritorch.kernels.elementwise import NUMPY, Elementwise, _into

RULES = [(n, i) for n, op in OPS.items() if isinstance(op, Elementwise) for i, rule in enumerate(op.rules) if rule]


def sample(op: Elementwise, size: int) -> tuple[list[np.ndarray], tuple, np.ndarray]:
    """Operands as the op's first sample has them, repeated to `size` elements; its parameters; the result."""
    assert op.samples is not None
    args, params = next(iter(op.samples(np.random.default_rng(0))))
    arrays = [np.resize(a, size).astype(np.float64) for a in args]
    with np.errstate(all="ignore"):
        return arrays, params, np.asarray(op.numpy(*arrays, *params))


@pytest.mark.parametrize("size", [15, 6000])
@pytest.mark.parametrize(("name", "i"), RULES)
def test_all_forms_of_a_rule_agree(name, i, size):
    op = OPS[name]
    assert isinstance(op, Elementwise)
    operands, params, y = sample(op, size)
    g = np.random.default_rng(1).normal(size=size)
    with np.errstate(all="ignore"):
        want = op._evaluated(str(op.rules[i]), NUMPY)(g, *operands, y, *params)
        plain = op.rule(i, False)(g, *operands, y, *params)
        into, out = op.rule_into(i), np.empty(size)
        kept = into(g, *operands, y, *params)
        made = into(g, *operands, y, *params, out=out) if "out" in (into.__kwdefaults__ or ()) else kept
    for got in (plain, kept, made):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)


def test_the_last_operation_writes():
    assert _into("g * y * 2") == "multiply(g * y, 2, out=out)"
    assert _into("-g / x") == "divide(-g, x, out=out)"
    assert _into("-(g * x)") == "negative(g * x, out=out)"
    assert _into("where(x < 0, 0, g)") == "where(x < 0, 0, g, out=out)"
    assert _into("g") == "g"


def test_clamp_of_numbers_is_one_op_that_keeps_its_bounds_gradient():
    x = torch.tensor([-2.0, -1.0, 0.5, 2.0, 3.0], requires_grad=True)
    y = x.clamp(-1, 2.0)
    assert y.grad_fn is not None
    y.sum().backward()
    assert y.tolist() == [-1, -1, 0.5, 2, 2]
    assert x.grad.tolist() == [0, 1, 1, 1, 0]
    assert x.detach().clamp(2, -1).tolist() == [-1] * 5
    assert torch.tensor([3, -3]).clamp(0, 1).tolist() == [1, 0]
    assert torch.tensor([1.0]).clamp(float("nan"), 2.0).isnan().all()


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int8, torch.int64])
def test_all_bits_turned_around_on_both_devices(kind):
    x = torch.tensor([0, 1, 5], dtype=kind)
    assert (~x.to("cuda")).tolist() == (~x).tolist()
