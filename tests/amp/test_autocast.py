"""autocast: regions, nesting, threads, kept casts; cuda's lists on the emulated device; custom functions."""

from __future__ import annotations

import pickle
import threading
import warnings

import numpy as np
import pytest

import tritorch as torch
from tritorch.autograd.autocast import ACTIVE, AUTOCAST, POLICY
from tritorch.nn import functional as F

HALF = {"cpu": torch.bfloat16, "cuda": torch.float16}


def test_nested_regions_and_their_end(device):
    x = torch.ones(2, 2, device=device)
    with torch.autocast(device):
        assert (x @ x).dtype is HALF[device]
        assert torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) is HALF[device]
        with torch.autocast(device, enabled=False):
            assert (x @ x).dtype is torch.float32 and not torch.is_autocast_enabled(device)
        with torch.autocast(device, dtype=torch.bfloat16):
            assert (x @ x).dtype is torch.bfloat16
        assert (x @ x).dtype is HALF[device]
        with pytest.raises(ZeroDivisionError), torch.autocast(device, enabled=False):
            1 / 0
        assert torch.is_autocast_enabled(device)
    assert (x @ x).dtype is torch.float32 and not ACTIVE and not AUTOCAST.kept


def test_decorator_and_reentry(device):
    region = torch.autocast(device)

    @region
    def product(x, depth):
        return product(x, depth - 1) if depth else x @ x

    x = torch.ones(2, 2, device=device)
    assert product(x, 3).dtype is HALF[device] and product.__name__ == "product"
    with region, region:
        assert (x @ x).dtype is HALF[device]
    assert not ACTIVE


def test_other_devices_other_dtypes():
    c, g = torch.ones(2, 2), torch.ones(2, 2, device="cuda")
    with torch.autocast("cuda"):
        assert (c @ c).dtype is torch.float32 and (g @ g).dtype is torch.float16
        assert (g.double() @ g.double()).dtype is torch.float64
    i = torch.ones(2, 2, dtype=torch.int64)
    with torch.autocast("cpu"):
        assert (i @ i).dtype is torch.int64 and (g @ g).dtype is torch.float32


def test_threads_have_their_own():
    found = {}

    def work():
        found["inside"] = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype

    with torch.autocast("cpu"):
        t = threading.Thread(target=work)
        t.start()
        t.join()
    assert found["inside"] is torch.float32


def test_weights_are_cast_once():
    w = torch.nn.Parameter(torch.ones(2, 2))
    with torch.autocast("cpu"):
        a, b = F.linear(torch.ones(1, 2), w), F.linear(torch.ones(1, 2), w)
        assert len(AUTOCAST.kept) == 1
        with torch.no_grad():
            w.mul_(3)
        assert F.linear(torch.ones(1, 2), w).tolist() == [[6.0, 6.0]]  # not the cast of the old value
        with torch.no_grad():
            assert not F.linear(torch.ones(1, 2), w).requires_grad
        torch.clear_autocast_cache()
        assert not AUTOCAST.kept
    (a.float() + b.float()).sum().backward()
    assert w.grad.dtype is torch.float32 and w.grad.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    with torch.autocast("cpu", cache_enabled=False):
        F.linear(torch.ones(1, 2), w)
        assert not AUTOCAST.kept and not torch.is_autocast_cache_enabled()


def test_switches_by_hand():
    torch.set_autocast_enabled("cpu", True)
    try:
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16 and torch.is_autocast_cpu_enabled()
    finally:
        torch.set_autocast_enabled("cpu", False)
    torch.set_autocast_dtype("cpu", torch.float16)
    try:
        with torch.autocast("cpu"):
            assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype is torch.float16
    finally:
        torch.set_autocast_dtype("cpu", torch.bfloat16)
    assert torch.get_autocast_cpu_dtype() is torch.bfloat16 and not ACTIVE


def test_dtypes_that_autocast_does_not_know():
    with pytest.warns(UserWarning, match="target dtype torch.float64 is not supported"):
        region = torch.autocast("cpu", dtype=torch.float64)
    with region:
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32
    with pytest.raises(RuntimeError, match="'cpu' or 'cuda'"):
        torch.autocast("tpu")


CUDA = {
    "matmul": (lambda a: a @ a, "low"),
    "mv": (lambda a: a.mv(a[0]), "low"),
    "addmm": (lambda a: torch.addmm(a, a, a), "low"),
    "linear": (lambda a: F.linear(a, a, a[0]), "low"),
    "einsum": (lambda a: torch.einsum("ij,jk->ik", a, a), "low"),
    "attention": (lambda a: F.scaled_dot_product_attention(*[a.reshape(1, 1, 4, 4)] * 3), "low"),
    "conv2d": (lambda a: F.conv2d(a.reshape(1, 1, 4, 4), a[:2, :2].reshape(1, 1, 2, 2)), "low"),
    "prelu": (lambda a: F.prelu(a, a[0, :1]), "low"),
    "exp": (lambda a: a.exp(), "full"),
    "log": (lambda a: torch.log(a), "full"),
    "power": (lambda a: a**2, "full"),
    "power of a number": (lambda a: 2**a, "full"),
    "reciprocal": (lambda a: a.reciprocal(), "full"),
    "softplus": (lambda a: F.softplus(a), "full"),
    "sum": (lambda a: a.sum(0), "full"),
    "prod": (lambda a: a.prod(0), "full"),
    "cumsum": (lambda a: a.cumsum(0), "full"),
    "norm": (lambda a: a.norm(), "full"),
    "softmax": (lambda a: F.softmax(a, 1), "full"),
    "log_softmax": (lambda a: a.log_softmax(1), "full"),
    "layer_norm": (lambda a: F.layer_norm(a, (4,)), "full"),
    "mse_loss": (lambda a: F.mse_loss(a, a), "full"),
    "cross_entropy": (lambda a: F.cross_entropy(a, torch.tensor([0, 1, 2, 3], device="cuda")), "full"),
    "relu": (lambda a: a.relu(), "own"),
    "mean": (lambda a: a.mean(), "own"),
    "add": (lambda a: a + a, "own"),
    "sqrt": (lambda a: a.sqrt(), "own"),
    "dot": (lambda a: torch.dot(a[0], a[0].float()), "wide"),
    "tensordot": (lambda a: torch.tensordot(a, a.float(), 1), "wide"),
}


@pytest.mark.parametrize("given", [torch.float32, torch.float16], ids=["float32", "float16"])
@pytest.mark.parametrize("name", CUDA)
def test_cuda_function(name, given):
    f, policy = CUDA[name]
    a = torch.rand(4, 4).add_(0.5)
    leaf = a.cuda().requires_grad_()
    with torch.autocast("cuda"):
        y = f(leaf.to(given))
    assert y.dtype is {"low": torch.float16, "full": torch.float32, "own": given, "wide": torch.float32}[policy]
    y.float().sum().backward()
    assert leaf.grad.dtype is torch.float32 and leaf.grad.isfinite().all()


def test_backward_inside_a_region_follows_the_forward():
    """sum and exp are in cuda's float32 list: the rules of the backward must not see it."""
    x = torch.rand(3, 4, device="cuda").half().requires_grad_()
    b = torch.rand(4, device="cuda").half().requires_grad_()
    with torch.autocast("cuda"):
        y = ((x + b).relu() * x).mean()
        y.backward()
    assert x.grad.dtype is torch.float16 and b.grad.dtype is torch.float16 and b.grad.shape == (4,)


def test_second_derivative():
    x = torch.linspace(0.5, 1, 4).reshape(2, 2).requires_grad_()
    with torch.autocast("cpu"):
        y = (x @ x).float().pow(2).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    (gg,) = torch.autograd.grad(g.sum(), x)
    xd = x.detach().double().requires_grad_()
    (gd,) = torch.autograd.grad((xd @ xd).pow(2).sum(), xd, create_graph=True)
    (ggd,) = torch.autograd.grad(gd.sum(), xd)
    np.testing.assert_allclose(gg.double().numpy(), ggd.numpy(), rtol=0.05)


def test_unsafe_loss_is_refused():
    p = torch.full((2,), 0.5, device="cuda")
    with torch.autocast("cuda"), pytest.raises(RuntimeError, match="binary_cross_entropy_with_logits"):
        F.binary_cross_entropy(p, p)
    with torch.autocast("cuda"), torch.autocast("cuda", enabled=False):
        assert F.binary_cross_entropy(p, p).dtype is torch.float32


class Product(torch.autograd.Function):
    seen: list = []

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        Product.seen.append(torch.is_autocast_enabled("cpu"))
        return (g @ w.mT).float(), (x.mT @ g).float()


class Wide(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx, x, w):
        assert x.dtype is torch.float32 and not torch.is_autocast_enabled("cpu")
        return x @ w

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, g):
        assert not torch.is_autocast_enabled("cpu")
        return g, g


def test_custom_functions():
    x, w = torch.ones(2, 2, requires_grad=True), torch.ones(2, 2, requires_grad=True)
    with torch.autocast("cpu"):
        y = Product.apply(x, w)
        z = Wide.apply(x.bfloat16(), w)
    assert y.dtype is torch.bfloat16 and z.dtype is torch.float32
    y.float().sum().backward()
    assert Product.seen == [True] and x.grad.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    Product.apply(x, w).sum().backward()
    assert Product.seen == [True, False]
    z.sum().backward()


def test_older_names_say_so():
    for module, kind in ((torch.cuda.amp, "cuda"), (torch.cpu.amp, "cpu")):
        with pytest.warns(FutureWarning, match=f"{kind}.amp.autocast"):
            region = module.autocast()
        with region:
            x = torch.ones(2, 2, device=kind)
            assert (x @ x).dtype is HALF[kind]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert region(lambda: (x @ x).dtype)() is HALF[kind]
        with pytest.warns(FutureWarning):
            assert module.GradScaler(init_scale=4.0).get_scale() == 4.0


def test_region_pickles():
    region = pickle.loads(pickle.dumps(torch.autocast("cpu", dtype=torch.float16)))
    with region:
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float16


def test_lists_name_functions_that_are_hooked():
    """Each name in the tables is one that some function asks for."""
    import inspect
    import re
    from pathlib import Path

    package = Path(inspect.getfile(torch)).parent
    text = "\n".join(p.read_text() for p in package.rglob("*.py"))
    asked = set(re.findall(r'cast\(\s*"(\w+)"', text)) | set(torch.kernels._op.OPS)
    asked |= {f"{kind}{n}d" for n in (1, 2, 3) for kind in ("conv", "conv_transpose", "avg_pool", "max_pool")}
    asked |= {f"{kind}{n}d" for n in (1, 2, 3) for kind in ("adaptive_avg_pool", "adaptive_max_pool")}
    asked |= {f"fractional_max_pool{n}d" for n in (2, 3)}
    asked |= {
        "scaled_dot_product_attention",
        "softmax",
        "log_softmax",
        "pad_reflect",
        "pad_replicate",
        "rnn",
        "lstm",
        "gru",
    }
    assert {name for table in POLICY.values() for name in table} <= asked
