"""The engine: order, accumulation, hooks, freeing, depth, memory."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest

import tritorch as torch


def leaf(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_gradients_accumulate_over_paths_and_calls() -> None:
    x = leaf(2.0, 3.0)
    y = x * x + x
    y.backward(torch.ones(2, dtype=torch.float64))
    assert x.grad.tolist() == [5.0, 7.0]
    (x * 10).sum().backward()
    assert x.grad.tolist() == [15.0, 17.0]


def test_leaves_never_share_a_gradient_buffer() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a + b).backward(torch.ones(2, dtype=torch.float64))
    a.grad.zero_()
    assert b.grad.tolist() == [1.0, 1.0]
    seed = torch.ones(2, dtype=torch.float64)
    c = leaf(1.0, 2.0)
    (c + 0).backward(seed)
    seed.zero_()
    assert c.grad.tolist() == [1.0, 1.0]


def test_gradients_of_views_are_whole_tensors() -> None:
    x = torch.zeros(3, 4, requires_grad=True)
    x.t().sum().backward()
    x.grad += 1
    assert x.grad.tolist() == [[2.0] * 4] * 3
    y = torch.zeros(2, 3, requires_grad=True)
    y.expand(5, 2, 3).sum().backward()
    assert y.grad.is_contiguous() and y.grad.tolist() == [[5.0] * 3] * 2


def test_second_backward_needs_retain_graph() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    assert x.grad.item() == 8.0


def test_second_backward_where_only_sizes_were_saved() -> None:
    x = leaf(2.0, 3.0)
    y = (torch.cat([x, x + 1]).view(2, 2) - x).sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("call", ["index", "gather", "masked_fill", "index_put", "function"])
def test_arrays_go_with_the_backward(call: str, device: str) -> None:
    class Kept(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x + 0)
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    x = torch.zeros(3, 4, device=device, requires_grad=True)
    i = torch.zeros(3, 4, dtype=torch.int64, device=device)
    made = {
        "index": lambda: x[i],
        "gather": lambda: x.gather(0, i.clone()),
        "masked_fill": lambda: x.masked_fill(i == 0, 1.0),
        "index_put": lambda: x.index_put((i[0].clone(),), x[0]),
        "function": lambda: Kept.apply(x),
    }[call]()
    made.sum().backward()
    node = made.grad_fn
    while node is not None and node.op.name == "clone":
        node = node.next[0]
    assert node.saved is None


def test_backward_needs_a_scalar_or_a_gradient() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="scalar outputs"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.ones(1).sum().backward()
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        (x * 2).backward(torch.ones(3))


def test_grad_and_unused_inputs() -> None:
    x, unused = leaf(1.0, 2.0), leaf(3.0)
    y = (x * x).sum()
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(y, [x, unused], retain_graph=True)
    g, none = torch.autograd.grad(y, [x, unused], retain_graph=True, allow_unused=True)
    assert g.tolist() == [2.0, 4.0] and none is None and x.grad is None
    _, zero = torch.autograd.grad(y, [x, unused], materialize_grads=True)
    assert zero.tolist() == [0.0]


def test_grad_by_a_computed_tensor() -> None:
    x = leaf(2.0)
    h = x * 3
    y = h * h
    (g,) = torch.autograd.grad(y, h)
    assert g.item() == 12.0


def test_batched_grads() -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    (rows,) = torch.autograd.grad(y, x, torch.eye(2, dtype=torch.float64), is_grads_batched=True)
    assert rows.tolist() == [[2.0, 0.0], [0.0, 4.0]]


def test_backward_into_chosen_inputs_only() -> None:
    x, w = leaf(2.0), leaf(3.0)
    (x * w).sum().backward(inputs=[x])
    assert x.grad.item() == 3.0 and w.grad is None


def test_third_derivative() -> None:
    x = leaf(2.0)
    y = x**4
    for expected in (32.0, 48.0, 48.0):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
        assert y.item() == expected


def test_double_backward_accumulates_into_grad() -> None:
    x = leaf(3.0)
    (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    g.backward()
    assert x.grad.item() == 18.0


def test_tensor_hooks_see_and_replace_the_gradient() -> None:
    x = leaf(1.0, 2.0)
    h = x * 2
    seen = []
    first = h.register_hook(lambda g: seen.append(g.tolist()))
    h.register_hook(lambda g: g * 10)
    (h * 3).sum().backward()
    assert seen == [[3.0, 3.0]] and x.grad.tolist() == [60.0, 60.0]
    first.remove()
    x.grad = None
    x.register_hook(lambda g: g + 1)
    (x * 1).sum().backward()
    assert len(seen) == 1 and x.grad.tolist() == [2.0, 2.0]


def test_a_hook_of_another_shape_is_refused() -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match="must return a gradient of shape"):
        (x * 2).sum().backward()


def test_post_accumulate_hook_gets_the_tensor() -> None:
    x = leaf(1.0)
    seen = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append((t is x, t.grad.item())))
    (x * 5).sum().backward()
    assert seen == [(True, 5.0)]


def test_retain_grad() -> None:
    x = leaf(2.0)
    h = x * 3
    h.retain_grad()
    (h * h).sum().backward()
    assert h.grad.item() == 12.0 and h.retains_grad and not x.retains_grad


def test_node_hooks_and_the_graph_can_be_walked() -> None:
    x = leaf(2.0)
    y = (x * 3).exp()
    node = y.grad_fn
    assert node.name() == "ExpBackward0" and node.next_functions[0][0].name() == "MulBackward0"
    assert node.next_functions[0][0].next_functions[0][0].name() == "AccumulateGrad"
    seen = []
    node.register_hook(lambda ins, outs: seen.append((ins[0].shape, outs[0].item())))
    y.backward()
    assert seen == [((1,), 1.0)]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, lambda: torch.set_grad_enabled(False)])
def test_modes(mode) -> None:
    x = leaf(1.0)
    with mode():
        assert not (x * 2).requires_grad and not torch.is_grad_enabled()
        with torch.enable_grad():
            assert (x * 2).requires_grad
    assert (x * 2).requires_grad and torch.is_grad_enabled()


def test_modes_as_decorators_and_on_generators() -> None:
    x = leaf(1.0)

    @torch.no_grad()
    def f():
        return (x * 2).requires_grad

    @torch.no_grad
    def g():
        return (x * 2).requires_grad

    @torch.no_grad()
    def numbers():
        yield (x * 2).requires_grad
        yield (x * 2).requires_grad

    assert not f() and not g()
    for flag in numbers():
        assert not flag and (x * 2).requires_grad


def test_modes_belong_to_their_thread() -> None:
    found = []
    with torch.no_grad():
        t = threading.Thread(target=lambda: found.append(torch.is_grad_enabled()))
        t.start()
        t.join()
    assert found == [True]


def test_several_threads_run_backward_at_once() -> None:
    w = torch.ones(50, 50, dtype=torch.float64)
    errors = []

    def work(k: int) -> None:
        for _ in range(30):
            x = torch.full((50, 50), float(k), dtype=torch.float64, requires_grad=True)
            ((x @ w) * x).sum().backward()
            if abs(x.grad[0, 0].item() - 100.0 * k) > 1e-9:
                errors.append(x.grad[0, 0].item())

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not errors


def test_a_chain_of_100000_ops_neither_recurses_nor_leaks() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1e-5
    y.backward()
    assert x.grad.item() == 1.0
    z = x
    for _ in range(100_000):
        z = z * 1.0
    del y, z  # freeing a deep graph must not recurse either
    gc.collect()


def test_ten_thousand_steps_leave_memory_flat() -> None:
    w = torch.ones(8, 8, requires_grad=True)
    x = torch.ones(4, 8)

    def step() -> None:
        h = (x @ w).relu()
        v = h[0] * 1
        v.mul_(0.5)
        loss = (h * h).mean() + v.sum()
        loss.backward()
        with torch.no_grad():
            w.sub_(w.grad, alpha=1e-4)
        w.grad = None

    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        for _ in range(4000):  # Python's own free lists fill up to 2,000 objects of a kind
            step()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(10_000):
            step()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < 50_000, f"{after - before} bytes more after 10,000 steps, without the cyclic collector"


def test_anomaly_mode_names_the_forward_call() -> None:
    x = leaf(0.0)
    with pytest.raises(RuntimeError, match="nan values") as error, torch.autograd.detect_anomaly():
        ((x * 0) / (x * 0)).sum().backward()
    assert "test_anomaly_mode_names_the_forward_call" in str(error.value)
    assert not torch.is_anomaly_enabled()


def test_anomaly_mode_notes_where_a_failing_node_was_made() -> None:
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            raise ValueError("no")

    with torch.autograd.set_detect_anomaly(True):
        y = Bad.apply(leaf(1.0))
        with pytest.raises(ValueError) as error:
            y.backward()
    assert any("test_anomaly_mode_notes" in note for note in error.value.__notes__)


def test_float16_and_bfloat16_gradients_keep_their_dtype() -> None:
    for kind in (torch.float16, torch.bfloat16):
        x = torch.ones(3, dtype=kind, requires_grad=True)
        ((x * 2).exp() / x).sum().backward()
        assert x.grad.dtype is kind and x.grad.shape == (3,)


def test_complex_gradients() -> None:
    x = torch.tensor([1 + 2j, -0.5j], dtype=torch.complex128, requires_grad=True)
    y = (x * x).abs().sum()
    y.backward()
    expected = 2 * np.abs([1 + 2j, -0.5j]) * np.exp(1j * np.angle([1 + 2j, -0.5j]))
    np.testing.assert_allclose(x.grad.numpy(), expected)


def test_gradients_that_numpy_made_a_number() -> None:
    """0-dim arithmetic of NumPy's gives numbers, not arrays; a leaf's gradient is a tensor all the same."""
    for f in (lambda x: x.norm(), lambda x: torch.softmax(x, 0), lambda x: x.amax(), lambda x: x.max()):
        x = torch.tensor(2.0, requires_grad=True)
        f(x).backward()
        f(x).backward()
        assert isinstance(x.grad, torch.Tensor) and x.grad.shape == ()
