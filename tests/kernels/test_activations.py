"""erf, gelu and silu of several passes: against the definitions in float64, at the ends, on every size."""

from __future__ import annotations

from math import cosh, erf, exp, expm1, log1p, pi, sqrt, tanh

import numpy as np
import pytest

import tritorch as torch
from tritorch.kernels import _activations as act
from tritorch.kernels import _erf
from tritorch.kernels._blocks import LARGE
from tritorch.kernels._op import OPS

RNG = np.random.default_rng(0)

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


LIMITS = {
    "relu": ((), lambda x: max(x, 0.0), lambda x: float(x > 0)),
    "relu6": ((), lambda x: min(max(x, 0.0), 6.0), lambda x: float(0 < x < 6)),
    "hardtanh": ((-1.0, 2.0), lambda x: min(max(x, -1.0), 2.0), lambda x: float(-1 < x < 2)),
    "hardsigmoid": ((), lambda x: min(max(x + 3, 0.0), 6.0) / 6, lambda x: float(abs(x) < 3) / 6),
    "hardswish": ((), lambda x: x * min(max(x + 3, 0.0), 6.0) / 6,
                  lambda x: 0.0 if x <= -3 else 1.0 if x >= 3 else x / 3 + 0.5),
    "leaky_relu": ((0.2,), lambda x: x if x > 0 else 0.2 * x, lambda x: 1.0 if x > 0 else 0.2),
    "threshold": ((0.3, -1.5), lambda x: x if x > 0.3 else -1.5, lambda x: float(x > 0.3)),
    "hardshrink": ((0.5,), lambda x: x if abs(x) > 0.5 else 0.0, lambda x: float(abs(x) > 0.5)),
    "softshrink": ((0.5,), lambda x: x - 0.5 if x > 0.5 else x + 0.5 if x < -0.5 else 0.0, lambda x: float(abs(x) > 0.5)),
    "elu": ((1.3, 1.1, 0.7), lambda x: 1.1 * x if x > 0 else 1.43 * expm1(0.7 * x),
            lambda x: 1.1 if x > 0 else 1.43 * 0.7 * exp(0.7 * x)),
    "celu": ((0.6,), lambda x: x if x > 0 else 0.6 * expm1(x / 0.6), lambda x: 1.0 if x > 0 else exp(x / 0.6)),
    "softplus": ((2.0, 5.0), lambda x: x if 2 * x > 5 else log1p(exp(2 * x)) / 2,
                 lambda x: 1.0 if 2 * x > 5 else 1 / (1 + exp(-2 * x))),
    "mish": ((), lambda x: x * tanh(log1p(exp(x))) if x < 500 else x,
             lambda x: tanh(log1p(exp(x))) + x / (1 + exp(-x)) / cosh(log1p(exp(x))) ** 2),
    "log_sigmoid": ((), lambda x: -log1p(exp(-x)), lambda x: 1 / (1 + exp(x))),
    "clamp": ((-1.0, 2.0), lambda x: min(max(x, -1.0), 2.0), lambda x: float(-1 <= x <= 2)),
}  # fmt: skip


@pytest.mark.parametrize("size", [400, LARGE + 11])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", LIMITS)
def test_values_and_derivatives_by_the_definition(name, kind, size):
    params, value, slope = LIMITS[name]
    base = np.concatenate([np.linspace(-40, 40, 200), RNG.normal(size=200) * 2]).astype(kind)
    x = torch.tensor(np.resize(base, size), requires_grad=True)
    g = np.resize(np.array([1.0, -2.0, 0.5], kind), size)
    y = OPS[name](x, *params)
    y.backward(torch.tensor(g))
    eps = np.finfo(kind).eps
    want = np.array([value(float(v)) for v in base])
    np.testing.assert_allclose(y.detach().numpy()[:400], want, rtol=8 * eps, atol=1e-30)
    want = np.array([slope(float(v)) for v in base])
    np.testing.assert_allclose(x.grad.numpy()[:400] / g[:400], want, rtol=40 * eps, atol=40 * eps)
    np.testing.assert_array_equal(
        y.detach().numpy()[: 400 * (size // 400)].reshape(-1, 400)[-1], y.detach().numpy()[:400]
    )


@pytest.mark.parametrize("size", [8, 8000])
def test_nan_infinities_and_zeros_go_through(size):
    x = np.resize(np.float32([np.nan, np.inf, -np.inf, -0.0]), size)
    with np.errstate(all="ignore"):
        for fn in (act.relu6, lambda v: act.hardtanh(v, -2.0, 3.0), lambda v: act.elu(v, 1.0, 1.0, 1.0),
                   lambda v: act.softshrink(v, 0.5), lambda v: act.hardshrink(v, 0.5), act.hardswish, act.mish):  # fmt: skip
            assert np.isnan(fn(x)[0])
        assert act.elu(x, 1.0, 2.0, 1.0)[1:3].tolist() == [np.inf, -2]
        assert act.celu(x, 0.5)[1:3].tolist() == [np.inf, -0.5]
        assert act.softshrink(x, 0.5)[1:3].tolist() == [np.inf, -np.inf]
        assert act.mish(x)[1] == np.inf
        assert act.leaky_relu(x, 0.0)[1] == np.inf
        assert np.isnan(act.hardswish_grad(np.ones_like(x), x, None)[0])
        assert np.signbit(act.relu6(x)[3])


def test_equal_operands_share_the_gradient():
    g = RNG.normal(size=5000).astype(np.float32)
    a, b = RNG.integers(-2, 3, (2, 5000)).astype(np.float32)
    for of_a, of_b, more in ((act.greater_grad, act.less_grad, a > b), (act.less_grad, act.greater_grad, a < b)):
        np.testing.assert_array_equal(of_a(g, a, b, None), np.where(a == b, g / 2, np.where(more, g, 0)))
        np.testing.assert_array_equal(of_b(g, a, b, None) + of_a(g, a, b, None), g)
