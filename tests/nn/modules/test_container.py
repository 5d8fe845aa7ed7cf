"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

from __future__ import annotations

from collections import OrderedDict

import pytest

import tritorch as torch
from tritorch import nn


def kinds(container):
    return [type(m).__name__ for m in container]


def test_sequential_as_a_list():
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())
    assert isinstance(net[-1], nn.Sigmoid)
    assert kinds(net[1:]) == ["Tanh", "Sigmoid"]
    assert list(net[1:]._modules) == ["1", "2"]
    net[1] = nn.Identity()
    del net[0]
    assert list(net._modules) == ["0", "1"]
    net.append(nn.ReLU()).extend([nn.Tanh()]).insert(1, nn.GELU())
    assert kinds(net) == ["Identity", "GELU", "Sigmoid", "ReLU", "Tanh"]
    assert type(net.pop(1)).__name__ == "GELU"
    assert kinds(net + nn.Sequential(nn.GELU())) == ["Identity", "Sigmoid", "ReLU", "Tanh", "GELU"]
    net += nn.Sequential(nn.GELU())
    assert len(net) == 5
    assert len(net * 2) == len(2 * net) == 10
    net *= 2
    assert len(net) == 10
    del net[2:]
    assert kinds(net) == ["Identity", "Sigmoid"]
    with pytest.raises(IndexError):
        net[2]
    for call, error in [
        (lambda: net + 3, ValueError), (lambda: net * 0, ValueError), (lambda: net * "a", TypeError),
        (lambda: net.insert(0, 3), AssertionError), (lambda: net.insert(9, nn.ReLU()), IndexError),
        (lambda: net.append(3), TypeError), (lambda: net.extend(3), TypeError),
    ]:  # fmt: skip
        with pytest.raises(error):
            call()
    assert kinds(net) == ["Identity", "Sigmoid"]


def test_sequential_with_names():
    net = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), act=nn.ReLU()))
    assert list(net.state_dict()) == ["first.weight", "first.bias"]
    assert net.act is net[1]
    assert list(net[:1]._modules) == ["first"]
    assert net(torch.ones(1, 2)).shape == (1, 3)


def test_module_list():
    layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    layers.insert(1, nn.ReLU())
    layers += [nn.Linear(2, 2), nn.Linear(2, 2)]
    assert list(layers._modules) == ["0", "1", "2", "3", "4"]
    assert repr(layers) == (
        "ModuleList(\n  (0): Linear(in_features=2, out_features=2, bias=True)\n  (1): ReLU()\n"
        "  (2-4): 3 x Linear(in_features=2, out_features=2, bias=True)\n)"
    )
    assert isinstance(layers[1:3], nn.ModuleList)
    assert len(layers[1:3]) == 2
    del layers[::2]
    assert kinds(layers) == ["ReLU", "Linear"]
    assert kinds(layers + [nn.Tanh()]) == ["ReLU", "Linear", "Tanh"]
    with pytest.raises(NotImplementedError):
        layers(1)
    with pytest.raises(TypeError):
        layers.insert(0, "x")


def test_module_dict():
    parts = nn.ModuleDict([("b", nn.ReLU()), ("a", nn.Tanh())])
    assert list(parts) == list(parts.keys()) == ["b", "a"]
    assert kinds(parts.values()) == ["ReLU", "Tanh"]
    assert "a" in parts
    parts.update({"c": nn.GELU()})
    parts["a"] = nn.Sigmoid()
    assert [(k, type(v).__name__) for k, v in parts.items()] == [("b", "ReLU"), ("a", "Sigmoid"), ("c", "GELU")]
    assert isinstance(parts.pop("b"), nn.ReLU)
    del parts["a"]
    assert len(parts) == 1
    parts.clear()
    assert len(parts) == 0
    for given, error in [(3, TypeError), ([3], TypeError), ([("a", nn.ReLU(), 1)], ValueError)]:
        with pytest.raises(error):
            parts.update(given)
    with pytest.raises(KeyError):
        parts["keys"] = nn.ReLU()


def test_parameter_list():
    values = nn.ParameterList([torch.ones(2), 5, nn.Parameter(torch.zeros(3))])
    assert [n for n, _ in values.named_parameters()] == ["0", "2"]
    assert values[1] == 5
    values.append(torch.ones(1))
    values[0] = torch.zeros(2)
    assert isinstance(values[0], nn.Parameter)
    assert len(values[1:3]) == 2
    assert values[-1].shape == (1,)
    assert len(list(values)) == 4
    with pytest.raises(IndexError):
        values[4]
    with pytest.raises(TypeError):
        values.extend(torch.ones(2))
    with pytest.raises(RuntimeError, match="should not be called"):
        values(1)


def test_parameter_dict():
    values = nn.ParameterDict({"b": torch.ones(2), "a": 3})
    assert list(values) == ["a", "b"]
    assert [n for n, _ in values.named_parameters()] == ["b"]
    assert values.get("none", 7) == 7
    assert values.setdefault("c", torch.ones(1)).shape == (1,)
    assert list(reversed(values)) == ["c", "b", "a"]
    assert values.popitem()[0] == "c"
    merged = values | nn.ParameterDict({"z": torch.ones(1)})
    assert list(merged) == ["a", "b", "z"]
    values |= {"y": torch.ones(1)}
    assert "y" in values
    assert list(values.fromkeys(["p", "q"], 1).values()) == [1, 1]
    twin = values.copy()
    del values["b"]
    assert "b" in twin
    values.clear()
    assert len(values) == 0
    with pytest.raises(KeyError):
        values["b"]
    with pytest.raises(TypeError):
        values[3] = 1
