from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest

from tests.oracle.compare import both, errors, normal, torch, tritorch, warned

X = normal(4, 6, scale=3)

CALLS = {
    "relu": lambda t, x: t.nn.functional.relu(x),
    "relu6": lambda t, x: t.nn.functional.relu6(x * 3),
    "leaky_relu": lambda t, x: t.nn.functional.leaky_relu(x, 0.2),
    "elu": lambda t, x: t.nn.functional.elu(x, 1.3),
    "selu": lambda t, x: t.nn.functional.selu(x),
    "celu": lambda t, x: t.nn.functional.celu(x, 0.7),
    "gelu": lambda t, x: t.nn.functional.gelu(x),
    "gelu_tanh": lambda t, x: t.nn.functional.gelu(x, approximate="tanh"),
    "silu": lambda t, x: t.nn.functional.silu(x),
    "mish": lambda t, x: t.nn.functional.mish(x),
    "hardtanh": lambda t, x: t.nn.functional.hardtanh(x, -0.5, 0.7),
    "hardswish": lambda t, x: t.nn.functional.hardswish(x),
    "hardsigmoid": lambda t, x: t.nn.functional.hardsigmoid(x),
    "hardshrink": lambda t, x: t.nn.functional.hardshrink(x, 0.4),
    "softshrink": lambda t, x: t.nn.functional.softshrink(x, 0.4),
    "tanhshrink": lambda t, x: t.nn.functional.tanhshrink(x),
    "softsign": lambda t, x: t.nn.functional.softsign(x),
    "softplus": lambda t, x: t.nn.functional.softplus(x, 2.0, 3.0),
    "threshold": lambda t, x: t.nn.functional.threshold(x, 0.1, -7.0),
    "glu": lambda t, x: t.nn.functional.glu(x),
    "glu_dim0": lambda t, x: t.nn.functional.glu(x, 0),
    "logsigmoid": lambda t, x: t.nn.functional.logsigmoid(x * 20),
    "sigmoid": lambda t, x: t.nn.functional.sigmoid(x),
    "tanh": lambda t, x: t.nn.functional.tanh(x),
    "softmax": lambda t, x: t.nn.functional.softmax(x, 1),
    "softmax_implicit": lambda t, x: t.nn.functional.softmax(x),
    "softmin": lambda t, x: t.nn.functional.softmin(x, 0),
    "log_softmax": lambda t, x: t.nn.functional.log_softmax(x, -1),
    "softmax_dtype": lambda t, x: t.nn.functional.softmax(x, 1, dtype=t.float64),
    "normalize": lambda t, x: t.nn.functional.normalize(x),
    "normalize_p": lambda t, x: t.nn.functional.normalize(x, 3.0, 0),
    "rrelu_eval": lambda t, x: t.nn.functional.rrelu(x),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_activation(name, kind):
    both(CALLS[name], X, kind=kind)


@pytest.mark.parametrize("name", [n for n in CALLS if "dtype" not in n])
def test_half_precision(name):
    both(CALLS[name], X, kind="bfloat16", tol=6e-2, grads=False)


def test_prelu():
    both(lambda t, x, w: t.nn.functional.prelu(x, w), X, normal(1))
    both(lambda t, x, w: t.nn.functional.prelu(x, w), normal(2, 3, 4), normal(3))


IN_PLACE = [
    name
    for name in sorted(dir(torch.nn.functional))
    if not name.startswith("_")
    and inspect.isfunction(getattr(torch.nn.functional, name))
    and "inplace" in inspect.signature(getattr(torch.nn.functional, name)).parameters
]


@pytest.mark.parametrize("name", IN_PLACE)
def test_every_inplace_keyword_of_torch_changes_the_input(name):
    """The tensor itself comes back, changed once, with the gradient of the change; a leaf is refused."""
    ours, theirs = getattr(tritorch.nn.functional, name), getattr(torch.nn.functional, name)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    options = {"threshold": 0.1, "value": 7.0} if name == "threshold" else {}
    options |= {"training": True} if "dropout" in name or name == "rrelu" else {}
    x = np.random.default_rng(4).normal(size=(4, 3, 5))
    found = []
    for t, f in ((tritorch, ours), (torch, theirs)):
        t.manual_seed(2)
        leaf = t.tensor(x.tolist(), dtype=t.float64, requires_grad=True)
        y = leaf * 1
        version = y._version
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert f(y, **options, inplace=True) is y
            assert y._version > version
            (y * y.detach()).sum().backward()
            with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
                f(leaf, **options, inplace=True)
        found.append((y.detach().numpy(), leaf.grad.numpy()))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7)  # torch computes the slope of hardsigmoid in float32


@pytest.mark.parametrize("name", ["relu_", "leaky_relu_", "elu_", "selu_", "celu_", "hardtanh_", "rrelu_"])
def test_names_of_inplace_functions(name):
    both(lambda t, x: getattr(t.nn.functional, name)(x * 1.5), X)


def test_rrelu_draws_the_same_slopes():
    def call(t, x):
        t.manual_seed(3)
        return t.nn.functional.rrelu(x, training=True)

    both(call, X)
    both(call, X, kind="float32")


def test_gumbel_softmax_draws_the_same_noise():
    def call(t, x, hard):
        t.manual_seed(3)
        return t.nn.functional.gumbel_softmax(x, tau=0.7, hard=hard)

    both(call, X, False, kind="float32", tol=1e-4)
    both(call, X, True, kind="float32", tol=1e-4)


ERRORS = {
    "glu odd": lambda t: t.nn.functional.glu(t.zeros(3)),
    "glu scalar": lambda t: t.nn.functional.glu(t.zeros(())),
    "softshrink negative": lambda t: t.nn.functional.softshrink(t.zeros(3), -1),
    "celu zero": lambda t: t.nn.functional.celu(t.zeros(3), 0.0),
    "gelu approximate": lambda t: t.nn.functional.gelu(t.zeros(3), approximate="x"),
    "gelu int": lambda t: t.nn.functional.gelu(t.tensor([1, 2])),
    "prelu size": lambda t: t.nn.functional.prelu(t.zeros(2, 3), t.zeros(2)),
    "softmax dim": lambda t: t.nn.functional.softmax(t.zeros(2, 3), 2),
    "leaf in place": lambda t: t.nn.functional.relu(t.zeros(3, requires_grad=True), inplace=True),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_types(name):
    errors(ERRORS[name])


def test_implicit_dim_warns():
    ours, theirs = warned(lambda t: t.nn.functional.softmax(t.zeros(2, 3)))
    assert ours == theirs and len(ours) == 1
