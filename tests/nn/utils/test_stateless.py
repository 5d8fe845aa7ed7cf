"""functional_call."""

from __future__ import annotations

import pytest

import tritorch as torch
from tritorch import nn
from tritorch.func import functional_call


def test_the_module_stays_as_it_was():
    layer = nn.Linear(2, 1)
    own = layer.weight
    weight = torch.ones(1, 2, requires_grad=True)
    y = functional_call(layer, {"weight": weight, "bias": torch.zeros(1)}, torch.ones(3, 2))
    assert (y == 2).all()
    y.sum().backward()
    assert torch.equal(weight.grad, torch.full((1, 2), 3.0))
    assert layer.weight is own
    assert own.grad is None
    with pytest.raises(RuntimeError):
        functional_call(layer, {"weight": torch.ones(1, 5)}, torch.ones(3, 2))
    assert layer.weight is own


def test_buffers_and_several_dicts():
    layer = nn.BatchNorm1d(2)
    mean = torch.full((2,), 5.0)
    functional_call(layer, ({"running_mean": mean}, {"weight": torch.ones(2)}), (torch.ones(3, 2),))
    assert mean.tolist() == pytest.approx([4.6, 4.6])
    assert layer.running_mean.tolist() == [0, 0]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(1, 1, bias=False)
        self.b = nn.Linear(1, 1, bias=False)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.a(x) + self.b(x)


def test_tied_weights():
    net, x = Tied(), torch.ones(1, 1)
    assert functional_call(net, {"a.weight": torch.full((1, 1), 3.0)}, x).item() == 6
    own = net.a.weight.item()
    assert functional_call(net, {"a.weight": torch.full((1, 1), 3.0)}, x, tie_weights=False).item() == pytest.approx(
        3 + own
    )
    with pytest.raises(ValueError, match="tied"):
        functional_call(net, {"a.weight": torch.ones(1, 1), "b.weight": torch.zeros(1, 1)}, x)


def test_names():
    layer = nn.Linear(1, 1)
    with pytest.raises(KeyError, match="none"):
        functional_call(layer, {"none": torch.ones(1)}, torch.ones(1, 1))
    with pytest.raises(RuntimeError, match=r"Missing key\(s\): \['bias'\]"):
        functional_call(layer, {"weight": torch.ones(1, 1)}, torch.ones(1, 1), strict=True)
    with pytest.raises(ValueError, match="several dictionaries"):
        functional_call(layer, ({"bias": torch.ones(1)}, {"bias": torch.ones(1)}), torch.ones(1, 1))
