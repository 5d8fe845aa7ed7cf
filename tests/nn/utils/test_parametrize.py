"""Parametrizations: registration, order, assignment, removal, copies, caching, errors."""

from __future__ import annotations

import copy
import pickle

import pytest

import tritorch as torch
from tritorch import nn
from tritorch.nn.utils import parametrize
from tritorch.nn.utils.parametrizations import orthogonal, weight_norm


class Double(nn.Module):
    def forward(self, x):
        return x * 2

    def right_inverse(self, x):
        return x / 2


class Shift(nn.Module):
    def forward(self, x):
        return x + 1


def test_register_assign_remove():
    layer = nn.Linear(2, 2)
    before = layer.weight.detach().clone()
    parameter = layer.weight
    parametrize.register_parametrization(layer, "weight", Double())
    assert type(layer).__name__ == "ParametrizedLinear"
    assert parametrize.type_before_parametrizations(layer) is nn.Linear
    assert torch.allclose(layer.weight, before)
    assert layer.parametrizations.weight.original is parameter
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    layer.weight = torch.ones(2, 2)
    assert torch.equal(layer.weight, torch.ones(2, 2))
    assert torch.equal(layer.parametrizations.weight.original, torch.full((2, 2), 0.5))
    layer(torch.ones(1, 2)).sum().backward()
    assert torch.equal(parameter.grad, torch.full((2, 2), 2.0))
    parametrize.register_parametrization(layer, "weight", Shift())
    assert torch.equal(layer.weight, torch.full((2, 2), 2.0))
    with pytest.raises(RuntimeError, match="does not implement right_inverse"):
        layer.weight = torch.ones(2, 2)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear
    assert layer.weight is parameter
    assert torch.equal(layer.weight, torch.full((2, 2), 2.0))


def test_other_linears_are_untouched():
    weight_norm(nn.Linear(2, 2))
    assert not hasattr(nn.Linear, "weight")
    assert nn.Linear(2, 2).weight.shape == (2, 2)


def test_copies_and_pickles():
    layer = weight_norm(nn.Linear(3, 2))
    twin = copy.deepcopy(layer)
    x = torch.randn(4, 3)
    assert torch.equal(twin(x), layer(x))
    twin.parametrizations.weight.original0.data.fill_(0)
    assert not torch.equal(twin(x), layer(x))
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        pickle.dumps(layer)


def test_cached():
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Double())
    assert layer.weight is not layer.weight
    with parametrize.cached():
        assert layer.weight is layer.weight
        with parametrize.cached():
            kept = layer.weight
        assert layer.weight is kept
    assert layer.weight is not kept


def test_transfer():
    a, b = weight_norm(nn.Linear(3, 2)), nn.Linear(3, 2)
    parametrize.transfer_parametrizations_and_params(a, b)
    assert torch.equal(a.weight, b.weight)
    assert a.parametrizations.weight.original0 is b.parametrizations.weight.original0


def test_old_state_dict_of_weight_norm():
    layer = weight_norm(nn.Linear(3, 2))
    state = layer.state_dict()
    old = {"bias": state["bias"], "weight_g": torch.ones(2, 1), "weight_v": torch.ones(2, 3)}
    layer.load_state_dict(old)
    assert torch.equal(layer.parametrizations.weight.original1, torch.ones(2, 3))


class Wrong(nn.Module):
    def __init__(self, made):
        super().__init__()
        self.made = made

    def forward(self, x):
        return self.made(x)


BAD = [
    (lambda: parametrize.register_parametrization(nn.Linear(2, 2), "none", Double()), "does not have a parameter"),
    (
        lambda: parametrize.register_parametrization(nn.Linear(2, 2), "weight", Wrong(lambda x: 3)),
        "must return a tensor",
    ),
    (
        lambda: parametrize.register_parametrization(nn.Linear(2, 2), "weight", Wrong(lambda x: x[:1])),
        "change the shape",
    ),
    (lambda: parametrize.register_parametrization(nn.Linear(2, 2), "weight", Wrong(lambda x: x.double())), "the dtype"),
    (lambda: parametrize.remove_parametrizations(nn.Linear(2, 2), "weight"), "does not have a parametrization"),
    (
        lambda: parametrize.remove_parametrizations(weight_norm(nn.Linear(2, 2)), "weight", leave_parametrized=False),
        "sequence of tensors",
    ),
    (lambda: orthogonal(nn.Linear(2, 2), "bias"), "matrix or batch of matrices"),
    (lambda: orthogonal(nn.Linear(2, 2), orthogonal_map="rotation"), "has to be one of"),
    (lambda: orthogonal(nn.Linear(2, 2), "none"), "no parameter or buffer"),
]


@pytest.mark.parametrize(("call", "text"), BAD)
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("trivialize", [False, True])
def test_orthogonal_stays_orthogonal(shape, kind, trivialize):
    layer = orthogonal(nn.Linear(*shape[::-1]).double(), "weight", kind, use_trivialization=trivialize)
    sgd = torch.optim.SGD(layer.parameters(), 0.5)
    for _ in range(3):
        w = layer.weight
        small = w.mT @ w if shape[0] >= shape[1] else w @ w.mT
        assert torch.allclose(small, torch.eye(min(shape), dtype=torch.float64), atol=1e-10)
        sgd.zero_grad()
        layer(torch.ones(2, shape[1], dtype=torch.float64)).pow(2).sum().backward()
        sgd.step()
    if trivialize:
        target = torch.eye(*shape, dtype=torch.float64).flip(0)
        layer.weight = target
        assert torch.allclose(layer.weight, target, atol=1e-8)


@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
def test_gradients_of_orthogonal_maps(kind):
    layer = orthogonal(nn.Linear(3, 4).double(), "weight", kind)
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        x[range(3), range(3)] = 1.0
    fixed = x.detach().clone()
    moves = torch.ones(4, 3, dtype=torch.float64).tril(-1 if kind == "householder" else 0)

    def f(x):
        return layer.parametrizations.weight[0](x * moves + fixed * (1 - moves))

    assert torch.autograd.gradcheck(f, (x,))
