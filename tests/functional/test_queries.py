"""frexp on both devices, by its bits."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import tritorch as torch


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_frexp(device, dtype):
    info = ml_dtypes.finfo(dtype)
    tiny, least, most = (float(v) for v in (info.smallest_normal, info.smallest_subnormal, info.max))
    rng = np.random.default_rng(0)
    x = np.array(
        [0.0, -0.0, 1, -1, 0.5, 8, tiny, -tiny, least, 3 * least, tiny - least, most, -most, np.inf, -np.inf, np.nan]
    )
    x = np.concatenate([x, rng.normal(size=500) * 2.0 ** rng.uniform(-12, 12, 500)]).astype(dtype).reshape(3, -1)
    mantissa, exponent = torch.frexp(torch.tensor(x, device=device))
    want, want_exponent = np.frexp(x.astype(np.float64))
    special = ~np.isfinite(want)
    assert exponent.dtype is torch.int32 and mantissa.cpu()._a.dtype == x.dtype
    np.testing.assert_array_equal(mantissa.cpu().double().numpy(), want)
    np.testing.assert_array_equal(np.signbit(mantissa.cpu().double().numpy()), np.signbit(want))
    np.testing.assert_array_equal(exponent.cpu().numpy()[~special], want_exponent[~special])
    assert not exponent.cpu().numpy()[special].any()


def test_layouts_and_gradients(device):
    x = torch.arange(1.0, 13, device=device).reshape(3, 4)
    assert torch.frexp(x.T).mantissa.tolist() == torch.frexp(x).mantissa.T.tolist()
    assert torch.frexp(x[:, ::2]).exponent.tolist() == [[1, 2], [3, 3], [4, 4]]
    assert torch.frexp(torch.ones(0, device=device)).mantissa.shape == (0,)
    x = torch.tensor([3.0, 10, 0.25], device=device).requires_grad_()
    torch.frexp(x).mantissa.sum().backward()
    assert x.grad.tolist() == [0.25, 1 / 16, 2]
    assert not torch.frexp(x).exponent.requires_grad
    with pytest.raises(RuntimeError, match="only supports floating-point"):
        torch.frexp(torch.tensor([1], device=device))


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "prod"])
@pytest.mark.parametrize("initial", [None, 0.5])
def test_segment_reduce(device, reduce, initial):
    x = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    lengths = [2, 0, 3, 4, 0]
    start = {"sum": 0.0, "mean": np.nan, "max": -np.inf, "min": np.inf, "prod": 1.0}[reduce]
    f = {"sum": np.add, "mean": np.add, "max": np.maximum, "min": np.minimum, "prod": np.multiply}[reduce]
    rows, at = [], 0
    for n in lengths:
        piece = x[at : at + n]
        at += n
        if not n:
            rows.append(np.full(2, start if initial is None else initial))
            continue
        row = f.reduce(piece, 0) if initial is None else f(f.reduce(piece, 0), np.float32(initial))
        rows.append(row / n if reduce == "mean" else row)
    data = torch.tensor(x, device=device).requires_grad_()
    y = torch.segment_reduce(data, reduce, lengths=torch.tensor(lengths, device=device), initial=initial)
    np.testing.assert_allclose(y.detach().cpu().numpy(), rows, rtol=1e-6)
    offsets = torch.tensor([0, 2, 2, 5, 9, 9], device=device)
    same = torch.segment_reduce(data.detach(), reduce, offsets=offsets, initial=initial, unsafe=True)
    np.testing.assert_array_equal(same.cpu().numpy(), y.detach().cpu().numpy())
    y[torch.tensor([0, 2, 3], device=device)].sum().backward()
    assert torch.isfinite(data.grad).all() and (data.grad != 0).any()


def test_pieces_that_do_not_fit(device):
    x = torch.ones(4, device=device)
    for lengths in ([1, 2], [5, -1], []):
        with pytest.raises(RuntimeError, match="add up to the size of dim 0"):
            torch.segment_reduce(x, "sum", lengths=torch.tensor(lengths, dtype=torch.int64, device=device))
    with pytest.raises(RuntimeError, match="reduce must be one of"):
        torch.segment_reduce(x, "median", lengths=torch.tensor([4], device=device))


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags_on_a_device_are_not_looked_at(mode, monkeypatch):
    weight, index = torch.arange(12.0).reshape(6, 2), torch.tensor([1, 2, 4, 5, 4])
    for offsets, last in ((torch.tensor([0, 2, 2]), False), (torch.tensor([0, 2, 2, 5]), True)):
        bag = torch.nn.functional.embedding_bag
        want = bag(index, weight, offsets, mode=mode, include_last_offset=last)
        there = index.cuda(), weight.cuda(), offsets.cuda()
        with monkeypatch.context() as watched:
            for name in ("item", "tolist", "__int__", "__bool__"):
                watched.setattr(torch.Tensor, name, lambda *a: pytest.fail("looked at the offsets"))
            y = bag(*there, mode=mode, include_last_offset=last)
        assert y.tolist() == want.tolist()
