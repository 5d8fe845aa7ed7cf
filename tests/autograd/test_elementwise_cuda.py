"""Elementwise ops on the emulated device: how many kernels they take, in place and backward, against the CPU."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch as torch
from tritorch.autograd.elementwise_cuda import overlapping
from tritorch.device import EMULATED
from tritorch.kernels import _launch, _pointwise

pytest.importorskip("triton", reason="the emulated device needs Triton; install tritorch[triton]")
pytestmark = pytest.mark.skipif(not EMULATED, reason="about the emulated device")


@pytest.fixture
def launched(monkeypatch):
    """Names of the elementwise kernels that were launched."""
    names: list[str] = []

    def launch(kernel, grid, *args, **consts):
        names.append(kernel.__name__.lstrip("_"))
        _launch.launch(kernel, grid, *args, **consts)

    monkeypatch.setattr(_pointwise, "launch", launch)
    return names


def both(*shape: int, seed: int = 0, **more):
    """The same random values on the CPU and on cuda."""
    x = torch.tensor(np.random.default_rng(seed).uniform(0.5, 2, shape), dtype=torch.float32)
    return x.clone().requires_grad_(**more), x.cuda().requires_grad_(**more)


F = torch.nn.functional


@pytest.mark.parametrize(
    "name, f, kernels",
    [
        ("add", lambda x, w: x + w, []),
        ("sub", lambda x, w: x - w, ["sub_bwd"]),
        ("mul", lambda x, w: x * w, ["mul_bwd"]),
        ("div", lambda x, w: x / w, ["div_bwd"]),
        ("atan2", lambda x, w: torch.atan2(x, w), ["atan2_bwd"]),
        ("gelu", lambda x, w: F.gelu(x), ["gelu_bwd"]),
        ("tanh", lambda x, w: x.tanh(), ["tanh_bwd"]),
        ("number", lambda x, w: x * 3, ["mul_bwd"]),
        ("power", lambda x, w: x**3, ["pow_scalar_bwd"]),
        ("reflected", lambda x, w: 2.0 / x, ["rdiv_bwd"]),
        ("lerp", lambda x, w: torch.lerp(x, w, 0.25), ["lerp_bwd"]),
    ],
)
def test_one_kernel_forward_and_one_backward(name, f, kernels, launched):
    (x, xc), (w, wc) = both(3, 4), both(3, 4, seed=1)
    g = torch.ones(3, 4)
    gc = g.cuda()
    f(x, w).backward(g)
    launched.clear()
    y = f(xc, wc)
    assert len(launched) == 1
    launched.clear()
    y.backward(gc)
    assert [n for n in launched if n != "copy"] == kernels  # the copies are of a gradient that the user holds
    for cpu, cuda in ((x, xc), (w, wc)):
        assert (cpu.grad is None) == (cuda.grad is None)
        if cpu.grad is not None:
            np.testing.assert_allclose(cuda.grad.cpu().numpy(), cpu.grad.numpy(), rtol=2e-6)


def test_only_the_gradients_that_are_asked_for(launched):
    (_, x), (_, w) = both(3, 4), both(3, 4, seed=1)
    y = x.detach() * w
    launched.clear()
    y.sum().backward()
    assert x.grad is None and w.grad.tolist() == x.tolist()


@pytest.mark.parametrize("shapes", [((3, 4), (4,)), ((3, 1), (1, 4)), ((), (3, 4)), ((2, 3, 4), (3, 1))])
def test_broadcast_operands(shapes):
    (x, xc), (w, wc) = both(*shapes[0]), both(*shapes[1], seed=1)
    (x / w).sum().backward()
    (xc / wc).sum().backward()
    for cpu, cuda in ((x, xc), (w, wc)):
        assert cuda.grad.shape == cpu.shape
        np.testing.assert_allclose(cuda.grad.cpu().numpy(), cpu.grad.numpy(), rtol=1e-5)


def test_three_operands_that_broadcast():
    (x, xc), (w, wc), (v, vc) = both(3, 4), both(4, seed=1), both(3, 1, seed=2)
    torch.addcdiv(x, w, v, value=0.5).sum().backward()
    torch.addcdiv(xc, wc, vc, value=0.5).sum().backward()
    for cpu, cuda in ((x, xc), (w, wc), (v, vc)):
        np.testing.assert_allclose(cuda.grad.cpu().numpy(), cpu.grad.numpy(), rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype):
    x = both(64)[0].detach().to(dtype)
    there, wide = x.cuda().requires_grad_(), x.float().requires_grad_()
    F.gelu(there).backward(torch.ones_like(there))
    F.gelu(wide).backward(torch.ones_like(wide))
    np.testing.assert_allclose(there.grad.cpu().float().numpy(), wide.grad.numpy(), rtol=0.51 * torch.finfo(dtype).eps)


def test_shapes_that_do_not_broadcast_are_named():
    (_, x), (_, w) = both(3, 4), both(5)
    with pytest.raises(RuntimeError, match=r"add: the shapes of the operands do not broadcast.*\(3, 4\).*\(5,\)"):
        x + w


# ---- in place ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int32])
@pytest.mark.parametrize("name", ["add_", "sub_", "mul_", "div_", "pow_", "remainder_", "__iadd__"])
def test_in_place_by_one_kernel(name, dtype, launched):
    if dtype is torch.int32 and name in ("div_", "pow_"):
        x = torch.tensor([1, 2], dtype=torch.int32).cuda()
        with pytest.raises(RuntimeError, match="result type"):
            x.div_(x)
        return
    x = torch.tensor([[1.0, 2, 3], [4, 5, 6]]).to(dtype)
    for other in (torch.tensor([[2.0, 1, 2], [3, 1, 2]]).to(dtype), torch.tensor([1.0, 2, 1]).to(dtype), 2):
        if dtype is torch.int32 and isinstance(other, int):
            continue
        cpu, cuda = x.clone(), x.cuda()
        there = other if isinstance(other, int) else other.cuda()
        address = cuda.data_ptr()
        launched.clear()
        getattr(cpu, name)(other)
        assert getattr(cuda, name)(there) is cuda
        assert len(launched) == 1 and cuda.data_ptr() == address and cuda.dtype is dtype
        np.testing.assert_allclose(cuda.cpu().double().numpy(), cpu.double().numpy(), rtol=1e-6)


def test_in_place_where_memory_overlaps():
    """A kernel that reads what another program wrote would be wrong: the values are those of before."""
    for make in (lambda t: t, lambda t: t.cuda()):
        x = make(torch.arange(20000.0))
        x[1:] += x[:-1]
        assert x.cpu().tolist() == [0.0] + [2.0 * i + 1 for i in range(19999)]
        x = make(torch.arange(6.0).reshape(2, 3))
        x += x
        assert x.cpu().tolist() == [[0, 2, 4], [6, 8, 10]]
        x[0] += x[1]
        assert x.cpu().tolist() == [[6, 10, 14], [6, 8, 10]]
        x = make(torch.arange(4.0).reshape(2, 2))
        x += x.t()
        assert x.cpu().tolist() == [[0, 3], [3, 6]]


def test_in_place_keeps_the_rules():
    x, w = torch.ones(3).cuda().requires_grad_(), torch.ones(3).cuda()
    y = x * w
    w.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        x.add_(1)
    with torch.no_grad():
        x.add_(1)
    assert x.tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError, match="single memory location"):
        w[:1].expand(3).add_(w)
    with pytest.raises(RuntimeError, match="output with shape"):
        w.add_(torch.ones(2, 3).cuda())
    with pytest.raises(RuntimeError, match="same device"):
        w.add_(torch.ones(3))
    z = (x * 1).add_(x)
    z.sum().backward()
    assert x.grad.tolist() == [2, 2, 2]
    half = torch.ones(3).cuda().half()
    half += torch.ones(3).cuda()
    assert half.dtype is torch.float16 and half.tolist() == [2, 2, 2]
    part = torch.zeros(4).cuda()
    part[1:3].add_(torch.tensor(5.0).cuda())
    assert part.tolist() == [0, 5, 5, 0]


def test_overlapping():
    a = np.zeros(10, np.float32)
    assert overlapping(a[:5], a[4:]) and not overlapping(a[:5], a[5:]) and overlapping(a[::-1][:6], a[:5])
    assert not overlapping(a[:0], a) and not overlapping(a, np.zeros(10, np.float32))
