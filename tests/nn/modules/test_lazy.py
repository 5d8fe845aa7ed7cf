"""Lazy modules and uninitialized parameters."""

from __future__ import annotations

import copy
import pickle

import pytest

import tritorch as torch
from tritorch import nn
from tritorch.nn.parameter import is_lazy


def test_first_input_makes_the_parameters():
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    assert all(is_lazy(p) for p in net.parameters())
    assert repr(net[3]) == "LazyLinear(in_features=0, out_features=2, bias=True)"
    assert net(torch.ones(2, 3, 5, 5)).shape == (2, 2)
    assert [type(m).__name__ for m in net] == ["Conv2d", "BatchNorm2d", "Flatten", "Linear"]
    assert type(net[0].weight) is nn.Parameter
    assert type(net[1].running_mean) is torch.Tensor
    net(torch.ones(2, 3, 5, 5)).sum().backward()
    assert net[0].weight.grad.shape == (4, 3, 3, 3)
    assert not net[0]._forward_pre_hooks


def test_loading_makes_the_parameters():
    source, target = nn.Linear(5, 2), nn.LazyLinear(2)
    target.load_state_dict(source.state_dict())
    assert torch.equal(target.weight, source.weight)
    assert target(torch.ones(1, 5)).shape == (1, 2)
    assert target.in_features == 5
    waiting = nn.LazyLinear(2)
    waiting.load_state_dict(nn.LazyLinear(2).state_dict())
    assert is_lazy(waiting.weight)
    with pytest.raises(RuntimeError, match="shape of an uninitialized"):
        nn.Linear(5, 2).load_state_dict(nn.LazyLinear(2).state_dict())


def test_use_before_the_first_input_is_an_error():
    weight = nn.LazyLinear(2).weight
    assert repr(weight) == "<UninitializedParameter>"
    with pytest.raises(RuntimeError, match="shape of an uninitialized"):
        _ = weight.shape
    for use in (lambda: weight + 1, lambda: weight.sum(), lambda: torch.relu(weight)):
        with pytest.raises((ValueError, RuntimeError), match="uninitialized"):
            use()
    with pytest.raises(RuntimeError, match="share memory"):
        weight.share_memory_()


def test_dtype_and_device_wait_too():
    layer = nn.LazyLinear(2).double()
    assert layer.weight.dtype is torch.float64
    assert layer(torch.ones(1, 3, dtype=torch.float64)).dtype is torch.float64
    norm = nn.LazyBatchNorm1d().double()
    assert is_lazy(norm.running_mean)
    norm(torch.ones(2, 3, dtype=torch.float64))
    assert norm.running_mean.dtype is torch.float64
    assert nn.LazyLinear(2, dtype=torch.float16).weight.dtype is torch.float16


def test_copies():
    layer = nn.LazyLinear(2)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert is_lazy(twin.weight)
        assert twin(torch.ones(1, 3)).shape == (1, 2)
    assert is_lazy(layer.weight)


@pytest.mark.parametrize("lazy", [nn.LazyConv1d(2, 3), nn.LazyConvTranspose2d(2, 3)])
def test_wrong_dims(lazy):
    with pytest.raises(RuntimeError, match=r"Expected \dD \(unbatched\) or \dD \(batched\) input"):
        lazy(torch.ones(3))


def test_a_class_of_its_own():
    class Half(nn.Module):
        def __init__(self, weight):
            super().__init__()
            self.weight = weight

        def forward(self, x):
            return x * self.weight

    class LazyHalf(nn.modules.lazy.LazyModuleMixin, Half):
        cls_to_become = Half

        def __init__(self):
            super().__init__(nn.UninitializedParameter())

        def initialize_parameters(self, x):
            self.weight.materialize(x.shape[-1:])
            nn.init.ones_(self.weight)

    layer = LazyHalf()
    assert layer(torch.ones(2, 3)).shape == (2, 3)
    assert type(layer) is Half

    class Forgets(LazyHalf):
        def initialize_parameters(self, x):
            pass

    with pytest.raises(RuntimeError, match="has not been fully initialized"):
        Forgets()(torch.ones(1))
