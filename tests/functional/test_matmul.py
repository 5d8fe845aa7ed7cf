"""The short ways of matmul and linear record what the generic path records; many Python threads at once."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import tritorch as torch
from tritorch.nn import functional as F


def test_a_saved_operand_that_was_changed_is_noticed():
    for f in (torch.matmul, lambda a, b: F.linear(a, b, torch.ones(3, requires_grad=True))):
        a, b = torch.ones(3, 3, requires_grad=True), torch.ones(3, 3)
        b.add_(0)  # has a version counter before the call
        y = f(a, b)
        b.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()
        a, b = torch.ones(3, 3, requires_grad=True), torch.ones(3, 3)
        y = f(a, b)
        b.add_(1)  # gets its counter after the call
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


def test_what_is_recorded():
    a, b = torch.ones(2, 3), torch.ones(3, 2, requires_grad=True)
    y = a @ b
    assert type(y.grad_fn).__name__ == "Node" and "Matmul" in y.grad_fn.name()
    assert y.grad_fn.next_functions[0][0] is None and y.grad_fn.next_functions[1][0] is not None
    with torch.no_grad():
        assert (a @ b).grad_fn is None
    assert (a @ b.detach()).grad_fn is None
    assert not (a @ b.detach()).requires_grad


def test_parameters_go_the_short_way():
    w = torch.nn.Parameter(torch.ones(2, 3))
    x = torch.ones(4, 3)
    y = F.linear(x, w)
    assert type(y) is torch.Tensor
    y.sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), np.full((2, 3), 4.0))
    (w @ x.T).sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), np.full((2, 3), 8.0))


def test_anomaly_mode_keeps_the_forward_call():
    with torch.autograd.set_detect_anomaly(True):
        a = torch.ones(2, 2, requires_grad=True)
        assert (a @ a).grad_fn.trace is not None
        assert F.linear(a, a).grad_fn.trace is not None


def test_the_same_tensor_twice():
    a = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    (a @ a).sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), [[7.0, 11.0], [9.0, 13.0]])


def test_python_threads_compute_at_once():
    rng = np.random.default_rng(0)
    x, w, v = rng.normal(size=(64, 200)), rng.normal(size=(150, 200)), rng.normal(size=(8, 3, 12, 12))
    k = rng.normal(size=(4, 3, 3, 3))

    def work():
        a, b = torch.tensor(x, requires_grad=True), torch.tensor(w, requires_grad=True)
        F.linear(a, b).square().sum().backward()
        c, d = torch.tensor(v, requires_grad=True), torch.tensor(k, requires_grad=True)
        F.max_pool2d(F.conv2d(c, d, padding=1), 2).square().sum().backward()
        return [t.grad.numpy() for t in (a, b, c, d)]

    wanted = work()
    found: list = []
    users = [threading.Thread(target=lambda: found.extend(work() for _ in range(3))) for _ in range(6)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert len(found) == 18
    for grads in found:
        for g, e in zip(grads, wanted, strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-9, atol=1e-9)


def test_messages_name_op_argument_and_what_came():
    with pytest.raises(
        RuntimeError, match=r"matmul: mat1 and mat2 shapes cannot be multiplied \(2x3 and 4x5\).*input: shape \(2, 3\)"
    ):
        torch.ones(2, 3) @ torch.ones(4, 5)
    with pytest.raises(RuntimeError, match=r"bmm: input must be a 3-D tensor; got input: shape \(2, 3\)"):
        torch.bmm(torch.ones(2, 3), torch.ones(2, 3))
    with pytest.raises(
        RuntimeError, match=r"linear: expected input and weight to have the same dtype; got input: .*float64"
    ):
        F.linear(torch.ones(2, 3), torch.ones(4, 3, dtype=torch.float64))
    with pytest.raises(RuntimeError, match=r"conv2d: given groups=1, expected input to have 2 channels, but got 3"):
        F.conv2d(torch.ones(1, 3, 5, 5), torch.ones(4, 2, 3, 3))
    with pytest.raises(
        RuntimeError, match=r"max_pool2d: padding should be at most half of effective kernel size; got padding"
    ):
        F.max_pool2d(torch.ones(1, 4, 4), 2, padding=2)
