"""Edges of the graph, hooks on several tensors, versions."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

import tritorch as torch
from tritorch.autograd.graph import GradientEdge, get_gradient_edge, increment_version, register_multi_grad_hook


def leaf(*values: float) -> torch.Tensor:
    return torch.tensor(values, requires_grad=True)


def test_an_edge_stands_for_its_tensor() -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    loss = (y * y).sum()
    edge, end = get_gradient_edge(y), get_gradient_edge(x)
    assert edge.node is y.grad_fn and edge.output_nr == 0
    found = torch.autograd.grad(loss, [edge, end, y], retain_graph=True)
    assert [g.tolist() for g in found] == [[2.0, 8.0], [4.0, 32.0], [2.0, 8.0]]
    (g,) = torch.autograd.grad(get_gradient_edge(loss), edge, retain_graph=True)
    assert g.tolist() == [2.0, 8.0]
    (g,) = torch.autograd.grad(edge, x, torch.tensor([1.0, 10.0]), retain_graph=True)
    assert g.tolist() == [2.0, 40.0]
    (g,) = torch.autograd.grad(GradientEdge(y.grad_fn, 0), x, torch.tensor([1.0, 10.0]), create_graph=True)
    assert g.tolist() == [2.0, 40.0] and g.requires_grad
    torch.autograd.backward(get_gradient_edge(loss), retain_graph=True)
    assert x.grad.tolist() == [4.0, 32.0]
    torch.autograd.backward(loss, inputs=[end, edge], retain_graph=True)
    assert x.grad.tolist() == [8.0, 64.0]
    loss.backward(inputs=end)
    assert x.grad.tolist() == [12.0, 96.0]


def test_edges_do_not_keep_the_tensor() -> None:
    x = leaf(1.0, 2.0)
    y = x + 1
    edge = get_gradient_edge(y)
    z = (y * 3).sum()
    gone = weakref.ref(y)
    del y
    gc.collect()
    assert gone() is None
    assert torch.autograd.grad(z, edge)[0].tolist() == [3.0, 3.0]


def test_edges_of_several_outputs() -> None:
    x = torch.ones(2, 3, requires_grad=True)
    a, b = x.unbind(0)
    edges = [get_gradient_edge(a), get_gradient_edge(b)]
    assert [e.output_nr for e in edges] == [0, 1]
    ga, gb = torch.autograd.grad((a * 2 + b * 3).sum(), edges)
    assert ga.tolist() == [2.0] * 3 and gb.tolist() == [3.0] * 3


def test_errors_of_edges() -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    edge = get_gradient_edge(y)
    with pytest.raises(RuntimeError, match="not require gradients"):
        get_gradient_edge(torch.ones(1))
    with pytest.raises(RuntimeError, match="only for scalar outputs"):
        torch.autograd.grad(edge, x)
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        torch.autograd.grad(edge, x, torch.ones(3))
    with pytest.raises(RuntimeError, match="must be given"):
        torch.autograd.grad(GradientEdge(y.grad_fn, 0), x)
    with pytest.raises(RuntimeError, match="materialize_grads"):
        torch.autograd.grad(x.sum(), edge, materialize_grads=True)
    other = get_gradient_edge(leaf(1.0))
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(y.sum(), other)
    assert torch.autograd.grad(y.sum(), other, allow_unused=True) == (None,)


def run_twice(mode: Any, use: Any, inputs: Any = None) -> list:
    a, b, c = leaf(1.0, 1.0), leaf(1.0, 1.0), leaf(1.0, 1.0)
    d = a * b
    calls: list = []
    handle = register_multi_grad_hook([a, b, c, d], calls.append, mode=mode)
    loss = use(a, b, c, d).sum()
    loss.backward(retain_graph=True, inputs=None if inputs is None else [[a, b, c, d][i] for i in inputs])
    loss.backward(retain_graph=True)
    handle.remove()
    loss.backward()
    return [c.tolist() if mode == "any" else [g is not None for g in c] for c in calls]


def test_multi_grad_hook() -> None:
    assert run_twice("all", lambda a, b, c, d: d * 2) == [[True, True, False, True]] * 2
    assert run_twice("all", lambda a, b, c, d: d * 2 + c) == [[True] * 4] * 2
    assert run_twice("all", lambda a, b, c, d: d * 2 + c, [0]) == [[True, False, False, True], [True] * 4]
    assert run_twice("any", lambda a, b, c, d: d * 2) == [[2.0, 2.0]] * 2
    with pytest.raises(ValueError, match="mode"):
        register_multi_grad_hook([leaf(1.0)], print, mode="some")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="tensor 1"):
        register_multi_grad_hook([leaf(1.0), torch.ones(1)], print)


def test_multi_grad_hook_within_a_backward_of_a_backward() -> None:
    a, b = leaf(2.0), leaf(3.0)
    calls: list = []
    with register_multi_grad_hook([a, b], lambda gs: calls.append([None if g is None else g.item() for g in gs])):
        inner, todo = (b * 5).sum(), [1]
        b.register_post_accumulate_grad_hook(lambda t: inner.backward() if todo and todo.pop() else None)
        (a * b).sum().backward()
    assert calls == [[None, 5.0], [3.0, 2.0]]


def test_increment_version() -> None:
    x, y = torch.ones(2, requires_grad=True), torch.ones(2)
    z = (x * y).sum()
    increment_version(y)
    increment_version([y, y])
    assert y._version == 3
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        z.backward()
    with pytest.raises(RuntimeError, match="got int"):
        increment_version(3)


def test_what_captures_alone_runs() -> None:
    """`grad` runs the nodes on the ways to its inputs and no others: their values are still there afterwards."""
    a, b = leaf(2.0), leaf(3.0)
    ran: list[str] = []
    left, right = a * a, b * b
    left.register_hook(lambda g: ran.append("left"))
    right.register_hook(lambda g: ran.append("right"))
    loss = (left + right).sum()
    assert torch.autograd.grad(loss, a)[0].item() == 4.0 and ran == ["left"]
    assert torch.autograd.grad(loss, b)[0].item() == 6.0 and ran == ["left", "right"]
    assert torch.autograd.grad((left.detach() * right).sum(), right)[0].item() == 4.0
