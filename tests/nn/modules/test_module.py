"""Module: registration, attributes, traversal, modes, conversion, copies, printing, errors with the place."""

from __future__ import annotations

import copy
import pickle

import pytest

import tritorch as torch
from tritorch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 2)
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("cache", torch.zeros(1), persistent=False)

    def forward(self, x):
        return self.head(self.body(x)) * self.scale


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2)
        self.b = self.a
        self.weight = self.a.weight


def test_named_parameters_buffers_and_modules():
    net = Net()
    assert [n for n, _ in net.named_parameters("net")] == [
        "net.body.0.weight", "net.body.0.bias", "net.body.1.weight", "net.body.1.bias", "net.head.weight",
        "net.head.bias",
    ]  # fmt: skip
    assert [n for n, _ in net.named_buffers()] == [
        "scale", "cache", "body.1.running_mean", "body.1.running_var", "body.1.num_batches_tracked",
    ]  # fmt: skip
    assert [n for n, _ in net.named_modules()] == ["", "body", "body.0", "body.1", "head"]
    assert [n for n, _ in net.named_children()] == ["body", "head"]
    assert [n for n, _ in net.named_parameters(recurse=False)] == []
    assert "cache" not in net.state_dict()
    assert "scale" in net.state_dict()


def test_shared_parts_come_once():
    net = Shared()
    assert [n for n, _ in net.named_parameters()] == ["weight", "a.bias"]
    assert [n for n, _ in net.named_parameters(remove_duplicate=False)] == [
        "weight", "a.weight", "a.bias", "b.weight", "b.bias",
    ]  # fmt: skip
    assert [n for n, _ in net.named_modules()] == ["", "a"]
    assert [n for n, _ in net.named_modules(remove_duplicate=False)] == ["", "a", "b"]
    assert list(net.state_dict()) == ["weight", "a.weight", "a.bias", "b.weight", "b.bias"]
    twin = copy.deepcopy(net)
    assert twin.weight is twin.a.weight
    assert twin.a is twin.b
    assert twin.weight is not net.weight


def test_assignment_rules():
    net = nn.Module()
    net.w = nn.Parameter(torch.ones(2))
    with pytest.raises(TypeError, match="as parameter 'w'"):
        net.w = torch.ones(2)
    net.w = None
    assert net.w is None
    assert list(net.parameters()) == []
    net.layer = nn.ReLU()
    with pytest.raises(TypeError, match="as child module 'layer'"):
        net.layer = torch.ones(2)
    net.layer = None
    assert net.layer is None
    net.register_buffer("b", torch.zeros(1))
    with pytest.raises(TypeError, match="as buffer 'b'"):
        net.b = 3
    net.b = torch.ones(1)
    assert net._buffers["b"].item() == 1
    net.plain = torch.ones(2)
    assert "plain" in net.__dict__
    net.plain = nn.Parameter(torch.ones(2))
    assert "plain" not in net.__dict__
    assert [n for n, _ in net.named_parameters()] == ["plain"]
    with pytest.raises(TypeError, match="as parameter 'plain'"):
        net.plain = nn.Linear(1, 1)
    del net.plain
    net.plain = nn.Linear(1, 1)
    assert [n for n, _ in net.named_children()] == ["plain"]
    assert "plain" not in net._parameters
    del net.plain
    assert not hasattr(net, "plain")
    with pytest.raises(AttributeError, match="'Module' object has no attribute 'plain'"):
        _ = net.plain
    net.buffer = nn.Buffer(torch.ones(2), persistent=False)
    assert "buffer" in dict(net.named_buffers())
    assert "buffer" not in net.state_dict()


@pytest.mark.parametrize(
    ("value", "what"), [(nn.Parameter(torch.ones(1)), "parameters"), (nn.ReLU(), "module"), (nn.Buffer(), "buffer")]
)
def test_assignment_before_init(value, what):
    class Early(nn.Module):
        def __init__(self):
            self.part = value

    with pytest.raises(AttributeError, match=rf"cannot assign {what} before Module.__init__\(\) call"):
        Early()


BAD_NAMES = [("", KeyError, "empty"), ("a.b", KeyError, "t contain"), (3, TypeError, "should be a string")]


@pytest.mark.parametrize(("name", "error", "text"), [*BAD_NAMES, ("training", KeyError, "already exists")])
def test_names(name, error, text):
    net = nn.Module()
    for register, value in [
        (net.register_parameter, nn.Parameter(torch.ones(1))),
        (net.register_buffer, torch.ones(1)),
        (net.add_module, nn.ReLU()),
    ]:
        with pytest.raises(error, match=text):
            register(name, value)
    assert not (net._parameters or net._buffers or net._modules)


def test_register_parameter_refuses_results_and_tensors():
    net = nn.Module()
    with pytest.raises(ValueError, match="non-leaf"):
        made = nn.Parameter(torch.ones(1))
        made._node = (made * 2)._node
        net.register_parameter("w", made)
    with pytest.raises(TypeError, match="must be a Parameter or None"):
        net.register_parameter("w", torch.ones(1))
    with pytest.raises(TypeError, match="not a Module subclass"):
        net.add_module("m", torch.ones(1))


def test_get_and_set_by_name():
    net = Net()
    assert net.get_submodule("body.0") is net.body[0]
    assert net.get_submodule("") is net
    assert net.get_parameter("body.0.weight") is net.body[0].weight
    assert net.get_buffer("body.1.running_mean") is net.body[1].running_mean
    for get, name in [
        (net.get_submodule, "body.7"), (net.get_submodule, "scale"), (net.get_parameter, "scale"),
        (net.get_buffer, "head.weight"), (net.get_parameter, "head.none"),
    ]:  # fmt: skip
        with pytest.raises(AttributeError):
            get(name)
    net.set_submodule("body.0", nn.Identity())
    assert isinstance(net.body[0], nn.Identity)
    with pytest.raises(ValueError, match="empty"):
        net.set_submodule("", nn.Identity())
    with pytest.raises(AttributeError):
        net.set_submodule("body.new", nn.Identity(), strict=True)


def test_train_eval_requires_grad_zero_grad_apply():
    net = Net()
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    with pytest.raises(ValueError, match="boolean"):
        net.train("yes")
    net(torch.ones(4, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all((p.grad == 0).all() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    seen = []
    net.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "BatchNorm1d", "Sequential", "Linear", "Net"]


def test_conversion_keeps_the_parameter_objects():
    net = Net()
    before = list(net.parameters())
    net(torch.ones(4, 3)).sum().backward()
    net.double()
    assert [p is q for p, q in zip(before, net.parameters(), strict=True)] == [True] * 6
    assert {p.dtype for p in net.parameters()} == {torch.float64}
    assert {p.grad.dtype for p in net.parameters()} == {torch.float64}
    assert net.body[1].num_batches_tracked.dtype is torch.int64
    assert net.scale.dtype is torch.float64
    net(torch.ones(4, 3, dtype=torch.float64)).sum().backward()
    for method, dtype in [("half", torch.float16), ("bfloat16", torch.bfloat16), ("float", torch.float32)]:
        assert {p.dtype for p in getattr(net, method)().parameters()} == {dtype}
    assert {p.dtype for p in net.to(torch.ones(1, dtype=torch.float64)).parameters()} == {torch.float64}
    assert {p.dtype for p in net.to("cpu", torch.float32).parameters()} == {torch.float32}
    assert net.type(torch.float64).body[1].num_batches_tracked.dtype is torch.float64
    with pytest.raises(TypeError, match="floating-point or complex"):
        net.to(torch.int64)
    assert net.to_empty(device="cpu").head.weight.shape == (2, 4)


def test_copies_and_pickles():
    net = Net().eval()
    x = torch.ones(2, 3)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(twin(x), net(x))
        assert twin.head.weight is not net.head.weight
        assert isinstance(twin.head.weight, nn.Parameter)
        assert not twin.training
        assert list(twin.state_dict()) == list(net.state_dict())
        twin.new = nn.Parameter(torch.ones(1))
        assert not hasattr(net, "new")


def test_forward_is_required():
    with pytest.raises(NotImplementedError, match=r'Module \[Module\] is missing the required "forward" function'):
        nn.Module()(1)


def test_init_takes_no_arguments():
    with pytest.raises(TypeError, match="takes no arguments; got 3"):
        nn.Module(3)


def test_cooperative_init():
    class Other:
        def __init__(self, value):
            self.value = value

    class Both(nn.Module, Other):
        call_super_init = True

    assert Both(value=5).value == 5


def test_error_names_the_place_in_the_tree():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(3, 4), nn.Linear(3, 4)])

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Sequential(nn.Identity(), Block())

        def forward(self, x):
            return self.head(x)

    with pytest.raises(RuntimeError) as info:
        Model()(torch.ones(2, 3))
    assert info.value.__notes__ == ["in Model.head.1.layers.1 (Linear)"]


def test_repr_and_dir():
    class Noted(nn.Linear):
        def extra_repr(self):
            return "first line\nsecond line"

    assert repr(Noted(1, 1)) == "Noted(\n  first line\n  second line\n)"
    assert repr(nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh()))) == (
        "Sequential(\n  (0): ReLU()\n  (1): Sequential(\n    (0): Tanh()\n  )\n)"
    )
    names = dir(Net())
    assert {"body", "scale", "forward", "training"} <= set(names)
    assert "0" not in dir(nn.Sequential(nn.ReLU()))


def test_a_call_without_hooks_goes_straight_to_forward(monkeypatch):
    def never(*args):
        raise AssertionError("call_hooked was entered")

    monkeypatch.setattr("tritorch.nn.modules.hooks.call_hooked", never)
    assert nn.Sequential(nn.ReLU(), nn.Identity())(torch.ones(2)).tolist() == [1, 1]
