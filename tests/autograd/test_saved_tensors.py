"""Hooks on saved tensors: what reaches them, what a graph made with them gives, where they are not allowed."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pytest

import tritorch as torch
from tritorch.autograd import graph
from tritorch.autograd.modes import STATE, WATCHED

F = torch.nn.functional


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x * x
        ctx.save_for_backward(x, None, y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, nothing, y = ctx.saved_tensors
        assert nothing is None
        return g * (2 * x + 0 * y)


INDEX = torch.tensor([0, 2, 0])
CALLS = {
    "mul": lambda x: x * x,
    "broadcast": lambda x: x * x[0],
    "number": lambda x: x * 2,
    "div": lambda x: 1 / (x + 3),
    "exp": lambda x: x.exp(),
    "relu": lambda x: x.relu(),
    "pow": lambda x: x**3,
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "matmul": lambda x: x @ x.t(),
    "linear": lambda x: F.linear(x, x),
    "softmax": lambda x: x.softmax(1),
    "max": lambda x: x.max(1).values,
    "sort": lambda x: x.sort(0).values,
    "index": lambda x: x[INDEX.to(x.device)],
    "gather": lambda x: x.gather(0, INDEX.to(x.device)[:, None]),
    "masked_fill": lambda x: x.masked_fill(x > 0, 2.0),
    "where": lambda x: torch.where(x > 0, x * x, x),
    "layer_norm": lambda x: F.layer_norm(x, (4,)),
    "addcmul": lambda x: torch.addcmul(x, x, x),
    "cat": lambda x: torch.cat([x, x * x]),
    "view": lambda x: (x.t()[1:] * x.t()[1:]).sum(0),
    "std_mean": lambda x: torch.stack(torch.std_mean(x, 1)),
    "embedding": lambda x: F.embedding(INDEX.to(x.device), x),
    "cross_entropy": lambda x: F.cross_entropy(x, INDEX.to(x.device)),
    "function": Product.apply,
    "checkpoint": lambda x: torch.utils.checkpoint.checkpoint(lambda v: (v * v).exp(), x),
}


def values(device: str) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(3, 4).to(device).requires_grad_()


@pytest.mark.parametrize("name", CALLS)
def test_gradients_are_those_without_hooks(name: str, device: str) -> None:
    x = values(device)
    expected = torch.autograd.grad(CALLS[name](x).sum(), x)[0]
    with graph.saved_tensors_hooks(lambda t: t.cpu().detach().clone(), lambda t: t.to(device)):
        y = CALLS[name](x)
    found = torch.autograd.grad(y.sum(), x, retain_graph=True)[0]
    assert found.tolist() == expected.tolist()
    assert torch.autograd.grad(y.sum(), x)[0].tolist() == expected.tolist()


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"checkpoint"}))
def test_second_derivatives(name: str) -> None:
    x = values("cpu")

    def second(y: Any) -> Any:
        (g,) = torch.autograd.grad((y * y).sum(), x, create_graph=True)
        return torch.autograd.grad((g * g).sum(), x)[0]

    expected = second(CALLS[name](x))
    with graph.saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t):
        y = CALLS[name](x)
    assert torch.allclose(second(y), expected)


def test_what_pack_sees() -> None:
    x = values("cpu")
    seen = []
    with graph.saved_tensors_hooks(lambda t: seen.append(t) or t.detach(), lambda t: t):
        x * x
        assert len(seen) == 2 and all(t is x for t in seen)
        seen.clear()
        y = x.exp()
        assert len(seen) == 1 and seen[0].requires_grad and not seen[0].is_leaf and seen[0].tolist() == y.tolist()
        seen.clear()
        x + x, x.sum(), x.view(12), -x, x[1:], x * 2  # shapes and numbers
        with torch.no_grad():
            x * x
        assert seen == []
        x[INDEX]
        assert seen[0].tolist() == INDEX.tolist()


def test_the_innermost_hooks_alone_are_called() -> None:
    x, calls = values("cpu"), []

    def hooks(name: str) -> Any:
        return graph.saved_tensors_hooks(lambda t: calls.append(name) or t, lambda t: calls.append(f"un{name}") or t)

    with hooks("a"):
        with hooks("b"):
            y = x.exp()
        z = x.square()
    w = x.exp()
    (y + z + w).sum().backward()
    assert calls == ["b", "a", "una", "unb"]
    assert STATE.hooks is None and WATCHED[0] == 0


def test_hooks_are_the_threads_own() -> None:
    x, calls = values("cpu"), []
    with graph.saved_tensors_hooks(lambda t: calls.append(1) or t, lambda t: t):
        thread = threading.Thread(target=lambda: x * x)
        thread.start()
        thread.join()
    assert calls == []


def test_errors() -> None:
    x = values("cpu")
    with pytest.raises(RuntimeError, match="modifying its input in place"):
        with graph.saved_tensors_hooks(lambda t: t.add_(1), lambda t: t):
            (x * 1).exp()
    assert STATE.hooks is None and WATCHED[0] == 0
    with graph.saved_tensors_hooks(lambda t: 1, lambda n: n):
        y = x * x
    with pytest.raises(TypeError, match="unpack_hook expected to be a Tensor but got result of type int"):
        y.sum().backward()
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_a_failing_unpack_leaves_the_graph_as_it_was() -> None:
    x, fail = values("cpu"), [True]

    def unpack(t: Any) -> Any:
        if fail[0]:
            raise KeyError("gone")
        return t

    with graph.saved_tensors_hooks(lambda t: t.detach(), unpack):
        y = (x * x).sum()
    with pytest.raises(KeyError):
        y.backward()
    fail[0] = False
    y.backward()
    assert x.grad.tolist() == (2 * x).tolist()


def test_a_change_in_place_is_not_seen_through_hooks() -> None:
    x = values("cpu")
    with graph.saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t):
        y = x.exp()
    before = y.tolist()
    y.add_(1)
    y.sum().backward()
    assert x.grad.tolist() == before


def test_function_unpacks_at_each_reading_only() -> None:
    x, calls = values("cpu"), []

    class Unread(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    with graph.saved_tensors_hooks(lambda t: t, lambda t: calls.append(1) or t):
        y = Unread.apply(x)
    y.sum().backward()
    assert calls == []


def test_disabled() -> None:
    x = values("cpu")
    with graph.disable_saved_tensors_hooks("outer"):
        (x * x).sum().backward()
        with graph.disable_saved_tensors_hooks("inner"):
            with pytest.raises(RuntimeError, match="inner"):
                graph.saved_tensors_hooks(id, id).__enter__()
        with pytest.raises(RuntimeError, match="outer"):
            graph.saved_tensors_hooks(id, id).__enter__()
    with graph.saved_tensors_hooks(id, id), pytest.raises(RuntimeError, match="not here"):
        with graph.disable_saved_tensors_hooks("not here"):
            pass
    assert STATE.hooks is None and STATE.no_hooks is None and WATCHED[0] == 0


@pytest.mark.parametrize("pin", [False, True])
def test_save_on_cpu(pin: bool, device: str) -> None:
    x = values(device)
    with graph.save_on_cpu(pin_memory=pin):
        y = (x * x).exp()
    kept = y.grad_fn.saved[0].value[1]
    assert kept.device.type == "cpu"
    y.sum().backward()
    assert x.grad.tolist() == torch.autograd.grad((x * x).exp().sum(), x)[0].tolist()
    with pytest.raises(ValueError, match="xpu"):
        graph.save_on_cpu(device_type="xpu")


def test_saved_memory_goes_with_the_backward() -> None:
    x = values("cpu")
    with graph.save_on_cpu():
        y = x.exp()
    kept = weakref.ref(y.grad_fn.saved[0].value[1])
    loss = y.sum()
    del y
    loss.backward()
    assert kept() is None
    with graph.save_on_cpu():
        y = x.exp()
    node = weakref.ref(y.grad_fn)
    gc.disable()
    try:
        del y
        assert node() is None  # no cycle
    finally:
        gc.enable()
