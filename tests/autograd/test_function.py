"""autograd.Function and its ctx; gradcheck; functional derivatives; checkpoint."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import tritorch as torch
from tritorch.autograd import Function, functional, gradcheck, gradgradcheck
from tritorch.autograd.function import once_differentiable
from tritorch.utils.checkpoint import checkpoint, checkpoint_sequential


def leaf(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


class Both(Function):
    """Two inputs, a number, two outputs."""

    @staticmethod
    def forward(ctx, x, w, k):
        ctx.save_for_backward(x, w)
        ctx.k = k
        return x * w * k, x + w

    @staticmethod
    def backward(ctx, a, b):
        x, w = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, True, False)
        return a * w * ctx.k + b, a * x * ctx.k + b, None


def test_first_and_second_derivatives() -> None:
    x = leaf(1.0, 2.0)
    assert gradcheck(Cube.apply, x) and gradgradcheck(Cube.apply, x)
    assert gradcheck(Exp.apply, x) and gradgradcheck(Exp.apply, x)
    assert gradcheck(lambda a, b: Both.apply(a, b, 2.0), (x, leaf(3.0, 4.0)))
    assert gradgradcheck(lambda a, b: Both.apply(a, b, 2.0), (x, leaf(3.0, 4.0)))


def test_unused_outputs_are_zeros_or_none() -> None:
    x, w = leaf(1.0), leaf(2.0)
    _, total = Both.apply(x, w, 5.0)
    total.backward()
    assert x.grad.item() == 1.0 and w.grad.item() == 1.0

    class Raw(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, a, b):
            assert a is None
            return b * 2

    y = leaf(1.0)
    Raw.apply(y)[1].backward()
    assert y.grad.item() == 2.0


def test_non_differentiable_and_dirty() -> None:
    class Split(Function):
        @staticmethod
        def forward(ctx, x):
            index = x.argmax()
            ctx.mark_non_differentiable(index)
            return x * 2, index

        @staticmethod
        def backward(ctx, g, _):
            return g * 2

    y, index = Split.apply(leaf(1.0, 3.0))
    assert y.requires_grad and not index.requires_grad and index.item() == 1

    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(1.0, 2.0)
    z = x * 1
    out = Double.apply(z)
    assert out is z and z.tolist() == [2.0, 4.0]
    out.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_setup_context() -> None:
    class Square(Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    assert gradcheck(Square.apply, leaf(1.0, -2.0))


def test_saved_tensors_changed_or_freed_raise() -> None:
    x = leaf(1.0)
    z = x * 1
    y = Cube.apply(z)
    z.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    y = Exp.apply(x)
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_wrong_number_or_shape_of_gradients() -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x, mode):
            ctx.mode = mode
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g if ctx.mode == "count" else (g.new_ones(7), None)

    with pytest.raises(RuntimeError, match="incorrect number of gradients"):
        Wrong.apply(leaf(1.0, 2.0), "count").sum().backward()
    with pytest.raises(RuntimeError, match="invalid gradient at index 0"):
        Wrong.apply(leaf(1.0, 2.0), "shape").sum().backward()


def test_an_input_returned_as_it_is() -> None:
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 7

    x = leaf(1.0)
    Same.apply(x).backward()
    assert x.grad.item() == 7.0


def test_once_differentiable() -> None:
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return g * 2 * ctx.saved_tensors[0]

    x = leaf(3.0)
    seed = torch.ones(1, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(Once.apply(x), x, seed, create_graph=True)
    assert g.item() == 6.0
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.backward()


def test_functions_leave_no_cycles() -> None:
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(50):
            x = leaf(1.0)
            a, b = Both.apply(Exp.apply(x), x, 2.0)
            (a + b).backward()
        del x, a, b
        assert len(gc.get_objects()) - before < 20
    finally:
        gc.enable()


def test_gradcheck_finds_a_wrong_rule() -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        gradcheck(Wrong.apply, leaf(1.0))
    assert not gradcheck(Wrong.apply, leaf(1.0), raise_exception=False)
    with pytest.raises(ValueError, match="require gradient"):
        gradcheck(torch.sin, torch.ones(2, dtype=torch.float64))


def test_functional_derivatives() -> None:
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    w = torch.tensor([3.0, 4.0], dtype=torch.float64)

    def f(a, b):
        return (a * a * b).sum()

    j = functional.jacobian(lambda a: a * a, x)
    assert j.tolist() == [[2.0, 0.0], [0.0, 4.0]]
    ja, jb = functional.jacobian(f, (x, w))
    assert ja.tolist() == [6.0, 16.0] and jb.tolist() == [1.0, 4.0]
    h = functional.hessian(lambda a: (a**3).sum(), x)
    assert h.tolist() == [[6.0, 0.0], [0.0, 12.0]]
    (haa, hab), (hba, hbb) = functional.hessian(f, (x, w))
    assert haa.tolist() == [[6.0, 0.0], [0.0, 8.0]] and hab.tolist() == [[2.0, 0.0], [0.0, 4.0]]
    assert hba.tolist() == hab.tolist() and hbb.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    _, v = functional.vjp(lambda a: a * a, x, torch.ones(2, dtype=torch.float64))
    _, u = functional.jvp(lambda a: a * a, x, torch.tensor([1.0, 0.5], dtype=torch.float64))
    assert v.tolist() == [2.0, 4.0] and u.tolist() == [2.0, 2.0]
    _, hv = functional.hvp(lambda a: (a**3).sum(), x, torch.ones(2, dtype=torch.float64))
    assert hv.tolist() == [6.0, 12.0]


def test_checkpoint_gives_the_same_gradients_and_random_numbers() -> None:
    def block(x):
        return (x * torch.rand(3, dtype=torch.float64)).sin() * x

    torch.manual_seed(0)
    x = leaf(1.0, 2.0, 3.0)
    block(x).sum().backward()
    torch.manual_seed(0)
    z = leaf(1.0, 2.0, 3.0)
    out = checkpoint(block, z, use_reentrant=False)
    drawn = torch.rand(2)
    out.sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), x.grad.numpy())
    torch.manual_seed(0)
    torch.rand(3, dtype=torch.float64)
    assert drawn.tolist() == torch.rand(2).tolist()


def test_checkpoint_reaches_parameters_inside() -> None:
    w = leaf(2.0)
    x = torch.ones(1, dtype=torch.float64)
    checkpoint(lambda v: v * w * w, x).backward()
    assert w.grad.item() == 4.0
    y = leaf(1.5)
    checkpoint_sequential([torch.sin, torch.exp, torch.cos], 2, y).backward()
    expected = -np.sin(np.exp(np.sin(1.5))) * np.exp(np.sin(1.5)) * np.cos(1.5)
    np.testing.assert_allclose(y.grad.item(), expected)
