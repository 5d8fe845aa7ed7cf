"""Dropout drawn on cuda: the kernel against its NumPy twin and against a mask filled before, forward and backward."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import tritorch as torch
from tritorch.device import EMULATED, device, to_device, to_host
from tritorch.kernels import dropout as D
from tritorch.kernels import philox
from tritorch.nn import functional as F
from tritorch.random import Generator

if not EMULATED:
    pytest.skip("the emulated device: set TRITON_INTERPRET=1", allow_module_level=True)

TYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]


def generator(seed, offset=0):
    g = Generator(device("cuda:0")).manual_seed(seed)
    g.set_offset(offset)
    return g


@pytest.mark.parametrize("np_dtype", TYPES)
@pytest.mark.parametrize("shape", [(1,), (3, 5), (), (2049,), (4, 8, 64), (0, 3)])
@pytest.mark.parametrize(("seed", "offset", "p"), [(7, 0, 0.3), (2**63 + 5, 2**32 - 3, 0.9)])
def test_equals_the_twin(np_dtype, shape, seed, offset, p):
    x = np.random.default_rng(0).normal(size=shape).astype(np_dtype)
    g = generator(seed, offset)
    y, bits = D.drawn(to_device(x, 0), p, g)
    expected_y, expected_bits = D.reference(x, p, seed, offset)
    np.testing.assert_array_equal(to_host(y), expected_y)
    np.testing.assert_array_equal(to_host(bits), expected_bits)
    assert g.get_offset() == offset + -(-x.size * (2 if np_dtype == np.float64 else 1) // 4)
    back = D.dropout_bits.gpu(to_device(x, 0), bits, 1 / (1 - p))
    np.testing.assert_array_equal(to_host(back), expected_y)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided"])
def test_is_a_filled_mask_times_the_input(kind, layout):
    """The numbers are those of `bernoulli_`, element by element in the order of indices; so is the gradient."""
    base = torch.randn(12, 9).to(kind).cuda()
    x = {"contiguous": base, "transposed": base.t(), "strided": base[::2, ::3]}[layout].detach().requires_grad_()
    g = torch.randn(x.shape).to(kind).cuda()
    torch.manual_seed(11)
    y = F.dropout(x, 0.4)
    y.backward(g)
    torch.manual_seed(11)
    mask = torch.empty(tuple(x.shape), dtype=kind, device="cuda").bernoulli_(0.6) != 0
    for got, of in ((y, x), (x.grad, g)):
        want = D.dropout(of.detach(), mask, 1 / 0.6)
        np.testing.assert_array_equal(got.detach().cpu().double().numpy(), want.cpu().double().numpy())


def test_a_nan_stays_one_where_it_is_dropped():
    x = torch.full((64,), float("nan"), device="cuda")
    assert F.dropout(x, 0.5).isnan().all()


def test_second_derivatives_and_freed_masks():
    x = torch.randn(40, device="cuda", requires_grad=True)
    (g,) = torch.autograd.grad(F.dropout(x, 0.5).pow(3).sum(), x, create_graph=True)
    g.sum().backward()
    kept = g.detach() != 0
    np.testing.assert_allclose(x.grad.tolist(), (6 * x.detach() * 8 * kept).tolist(), rtol=1e-5)
    y = F.dropout(x, 0.5).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_the_backward_keeps_a_bit_per_element():
    x = torch.ones(1 << 14, device="cuda", requires_grad=True)
    F.dropout(x, 0.5)
    before = torch.cuda.memory_allocated()
    y = F.dropout(x, 0.5)
    assert torch.cuda.memory_allocated() - before <= 4 * x.numel() + x.numel() // 8
    del y


def test_in_place_and_channels_draw_the_same_stream():
    x = torch.ones(6, 7, device="cuda")
    torch.manual_seed(2)
    y = F.dropout(x, 0.5)
    torch.manual_seed(2)
    assert F.dropout(x, 0.5, inplace=True) is x and x.tolist() == y.tolist()
    torch.manual_seed(2)
    z = F.dropout2d(torch.ones(2, 3, 4, 4, device="cuda"), 0.5)
    kept = philox.reference(philox.BERNOULLI, 6, np.float32, 0.5, 0.0, 2, 0).reshape(2, 3)
    np.testing.assert_array_equal(z[:, :, 0, 0].cpu().numpy(), 2 * kept)


def test_checkpointed_dropout_draws_the_same_mask_again():
    """The second run of a checkpoint takes the numbers of the first, on both devices, also where nothing was drawn before."""
    for place in ("cpu", "cuda"):
        x = torch.ones(300).to(place).requires_grad_()
        y = torch.utils.checkpoint.checkpoint(lambda v: F.dropout(v, 0.5), x, use_reentrant=False)
        following = torch.rand(2, device=place)
        y.sum().backward()
        assert x.grad.tolist() == y.tolist()
        assert torch.rand(2, device=place).tolist() != following.tolist()
