"""Hooks: forward, pre, backward, of one module and of all, removal, pickling."""

from __future__ import annotations

import gc
import pickle
import weakref

import pytest

import tritorch as torch
from tritorch import nn
from tritorch.nn.modules import hooks


def test_forward_hooks_order_and_replacement():
    layer, seen = nn.Identity(), []
    layer.register_forward_hook(lambda m, args, y: seen.append("a"))
    layer.register_forward_hook(lambda m, args, y: seen.append("b"), prepend=True)
    handle = layer.register_forward_hook(lambda m, args, y: y + args[0])
    assert layer(torch.ones(1)).item() == 2
    assert seen == ["b", "a"]
    handle.remove()
    handle.remove()
    assert layer(torch.ones(1)).item() == 1
    with layer.register_forward_hook(lambda m, args, y: y * 0):
        assert layer(torch.ones(1)).item() == 0
    assert layer(torch.ones(1)).item() == 1


def test_pre_hooks_change_arguments():
    class Sum(nn.Module):
        def forward(self, x, *, y=0):
            return x + y

    layer = Sum()
    layer.register_forward_pre_hook(lambda m, args: args[0] * 3)
    assert layer(2) == 6
    layer.register_forward_pre_hook(lambda m, args, kwargs: (args, {"y": 10}), with_kwargs=True)
    assert layer(2) == 16
    layer.register_forward_hook(lambda m, args, kwargs, out: (out, kwargs["y"]), with_kwargs=True)
    assert layer(2) == (16, 10)
    layer.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        layer(2)


def test_always_call_runs_after_an_error():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    layer, seen = Fails(), []
    layer.register_forward_hook(lambda m, args, y: seen.append("never"))
    layer.register_forward_hook(lambda m, args, y: seen.append(y), always_call=True)
    with pytest.raises(ValueError, match="broken"):
        layer(1)
    assert seen == [None]


def test_full_backward_hooks():
    layer, seen = nn.Linear(3, 2), []
    layer.register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi[0].clone(), go[0].clone())))
    x = torch.ones(4, 3, requires_grad=True)
    layer(x).sum().backward()
    assert (seen[0][1] == 2).all()
    assert torch.allclose(seen[0][0], x.grad)
    assert torch.allclose(x.grad, 2 * layer.weight.sum(0).expand(4, 3))
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 0,))
    x.grad = None
    layer(x).sum().backward()
    assert (x.grad == 0).all()


def test_backward_hook_without_input_gradient():
    layer, seen = nn.Linear(3, 2), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].shape)))
    layer(torch.ones(4, 3)).sum().backward()
    assert seen == [((None,), (4, 2))]
    layer.register_full_backward_hook(lambda m, gi, go: (torch.ones(4, 3),))
    with pytest.raises(RuntimeError, match="only where an input"):
        layer(torch.ones(4, 3)).sum().backward()


def test_backward_hook_with_several_inputs_and_outputs():
    class Two(nn.Module):
        def forward(self, a, n, b):
            return a * b, n, a + b

    layer, seen = Two(), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    a, b = torch.tensor(2.0, requires_grad=True), torch.tensor(3.0, requires_grad=True)
    product, n, total = layer(a, 5, b)
    (product + 10 * total).backward()
    (gi, go) = seen[0]
    assert [None if g is None else g.item() for g in gi] == [13, None, 12]
    assert [None if g is None else g.item() for g in go] == [1, None, 10]
    assert n == 5


def test_wrong_number_of_gradients():
    layer = nn.Linear(3, 2)
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    with pytest.raises(RuntimeError, match="as many gradients as it gets"):
        layer(torch.ones(4, 3, requires_grad=True)).sum().backward()


def test_kinds_of_backward_hooks_do_not_mix():
    layer = nn.Linear(3, 2)
    layer.register_full_backward_hook(lambda m, gi, go: None)
    with pytest.raises(RuntimeError, match="cannot use both"):
        layer.register_backward_hook(lambda m, gi, go: None)


def test_output_that_carries_no_tensor_warns():
    class Dict(nn.Module):
        def forward(self, x):
            return {"y": x}

    layer = Dict()
    layer.register_full_backward_hook(lambda m, gi, go: None)
    with pytest.warns(UserWarning, match="tuple of Tensors"):
        layer(torch.ones(1, requires_grad=True))


def test_hooks_of_all_modules():
    seen = []
    handles = [
        hooks.register_module_forward_pre_hook(lambda m, args: seen.append(("pre", type(m).__name__))),
        hooks.register_module_forward_hook(lambda m, args, y: seen.append(("post", type(m).__name__))),
        hooks.register_module_full_backward_hook(lambda m, gi, go: seen.append(("back", type(m).__name__))),
    ]
    try:
        nn.Sequential(nn.Tanh())(torch.ones(1, requires_grad=True)).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    assert seen == [
        ("pre", "Sequential"), ("pre", "Tanh"), ("post", "Tanh"), ("post", "Sequential"), ("back", "Tanh"),
        ("back", "Sequential"),
    ]  # fmt: skip
    seen.clear()
    nn.Tanh()(torch.ones(1))
    assert seen == []


def test_registration_hooks():
    seen = []
    handles = [
        hooks.register_module_parameter_registration_hook(lambda m, n, v: seen.append(n)),
        hooks.register_module_buffer_registration_hook(lambda m, n, v: seen.append(n)),
        hooks.register_module_module_registration_hook(lambda m, n, v: seen.append(n)),
    ]
    try:
        net = nn.Module()
        net.w = nn.Parameter(torch.ones(1))
        net.register_buffer("b", torch.ones(1))
        net.child = nn.ReLU()
    finally:
        for handle in handles:
            handle.remove()
    assert seen == ["w", "b", "child"]


def double(module, args, y):
    return y * 2


def test_hooks_survive_pickling_and_handles_keep_nothing_alive():
    layer = nn.Identity()
    handle = layer.register_forward_hook(double)
    twin, twin_handle = pickle.loads(pickle.dumps((layer, handle)))
    assert twin(torch.ones(1)).item() == 2
    twin_handle.remove()
    assert twin(torch.ones(1)).item() == 1
    assert layer(torch.ones(1)).item() == 2
    gone = weakref.ref(layer)
    del layer
    gc.collect()
    assert gone() is None
    handle.remove()
