"""erf, gelu and silu of several passes: against the definitions in float64, at the ends, on every size."""

from __future__ import annotations

from math import erf, exp, pi, sqrt, tanh

import numpy as np
import pytest

import tritorch as torch
from tritorch.kernels import _activations as act
from tritorch.kernels import _erf
from tritorch.kernels._blocks import LARGE

X = np.concatenate([np.linspace(-7, 7, 4001), [0.0, -0.0, 1e-30, 1e19, -1e19]])


def _phi(x: float) -> float:
    return exp(-x * x / 2) / sqrt(2 * pi) if abs(x) < 30 else 0.0


def _tanh_form(x: float) -> tuple[float, float]:
    u = sqrt(2 / pi) * (x + 0.044715 * x**3)
    t = tanh(u)
    slope = 0.0 if abs(t) == 1 else (1 - t * t) * sqrt(2 / pi) * (1 + 3 * 0.044715 * x * x)
    return 0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * slope


def _silu(x: float) -> tuple[float, float]:
    s = 1 / (1 + exp(-x)) if x > -700 else 0.0
    return x * s, s * (1 + x * (1 - s)) if abs(x) < 700 else float(x > 0)


CASES = {
    "erf": (_erf.erf, None, lambda x: (erf(x), None)),
    "gelu": (act.gelu, act.gelu_grad,
             lambda x: (x * 0.5 * (1 + erf(x / sqrt(2))), 0.5 * (1 + erf(x / sqrt(2))) + x * _phi(x))),
    "gelu_tanh": (act.gelu_tanh, act.gelu_tanh_grad, _tanh_form),
    "silu": (act.silu, act.silu_grad, _silu),
}  # fmt: skip


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_against_the_definition(name, kind):
    forward, backward, exact = CASES[name]
    x = (X if kind is np.float64 else X[np.abs(X) < 1e18]).astype(kind)
    x = x[np.abs(x) < 30] if name != "erf" else x
    eps = np.finfo(kind).eps
    want = [exact(float(v)) for v in x]
    with np.errstate(all="ignore"):
        y = forward(x)
        assert y.dtype == kind
        assert np.abs(y - [w[0] for w in want]).max() <= 16 * eps * (1 if name == "erf" else 2)
        if backward is not None:
            g = np.full_like(x, 2.0)
            gx = backward(g, x, None)
            assert gx.dtype == kind
            assert np.abs(gx - [2 * w[1] for w in want]).max() <= 40 * eps


def test_erf_is_relatively_exact_near_zero_and_ends_at_one():
    x = np.float32([1e-30, -1e-3, 0.1, 5, -40, 1e30, np.inf, -np.inf, np.nan])
    with np.errstate(all="ignore"):
        y = _erf.erf(x)
    want = np.array([erf(float(v)) for v in x])
    assert np.all(np.abs(y[:-1] - want[:-1]) <= 3 * np.spacing(np.abs(want[:-1].astype(np.float32))))
    assert np.isnan(y[-1])


@pytest.mark.parametrize("name", ["gelu", "silu", "sigmoid", "tanh", "exp", "relu"])
def test_small_and_large_agree(name):
    fn = getattr(torch.nn.functional, name, None) or getattr(torch, name)
    torch.manual_seed(0)
    x = torch.randn(LARGE + 17, requires_grad=True)
    y = fn(x)
    y.sum().backward()
    part = x.detach()[-1000:].clone().requires_grad_()
    small = fn(part)
    small.sum().backward()
    assert torch.equal(y[-1000:], small)
    assert torch.equal(x.grad[-1000:], part.grad)
