"""GradScaler: found infinities, clipping, state, several optimizers; a training run on both devices."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tritorch as torch
from tritorch import nn
from tritorch.amp import GradScaler
from tritorch.kernels import unscale


def parameter(value, device="cpu"):
    return nn.Parameter(torch.tensor(value, device=device))


def test_step_is_left_out_and_scale_halves(device):
    w = parameter([1.0, 2.0], device)
    optimizer, scaler = torch.optim.SGD([w], lr=1.0), GradScaler(device, init_scale=4.0, growth_interval=1)
    scaler.scale((w * torch.tensor([1.0, float("inf")], device=device)).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert w.tolist() == [1.0, 2.0] and scaler.get_scale() == 2.0
    optimizer.zero_grad()
    scaler.scale((w * 3).sum()).backward()
    assert w.grad.tolist() == [6.0, 6.0]
    scaler.unscale_(optimizer)
    assert w.grad.tolist() == [3.0, 3.0]
    norm = nn.utils.clip_grad_norm_([w], 1.0)
    assert float(norm) == pytest.approx(18**0.5, rel=1e-5)
    scaler.step(optimizer)
    scaler.update()
    np.testing.assert_allclose(w.tolist(), [1 - 0.5**0.5, 2 - 0.5**0.5], rtol=1e-5)
    assert scaler.get_scale() == 4.0


def test_optimizers_are_judged_apart():
    a, b = parameter([1.0]), parameter([1.0])
    first, second, scaler = (
        torch.optim.SGD([a], lr=1.0),
        torch.optim.SGD([b], lr=1.0),
        GradScaler("cpu", init_scale=2.0),
    )
    for v in scaler.scale([a.sum(), (b * float("nan")).sum()]):
        v.backward()
    scaler.step(first)
    scaler.step(second)
    scaler.update()
    assert a.tolist() == [0.0] and b.tolist() == [1.0] and scaler.get_scale() == 1.0


def test_state_round_trip_and_pickle():
    w = parameter([1.0])
    optimizer, scaler = torch.optim.SGD([w], lr=1.0), GradScaler("cpu", init_scale=2.0, growth_interval=5)
    scaler.scale(w.sum()).backward()
    scaler.step(optimizer)
    with pytest.raises(AssertionError, match="beginning of an iteration"):
        pickle.dumps(scaler)
    scaler.update()
    other = GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict() == pickle.loads(pickle.dumps(scaler)).state_dict()
    assert copy.deepcopy(scaler).get_growth_interval() == 5
    scaler.update(new_scale=torch.tensor(8.0))
    assert scaler.get_scale() == 8.0


def test_half_gradients_are_refused():
    w = nn.Parameter(torch.ones(2, dtype=torch.float16))
    optimizer, scaler = torch.optim.SGD([w], lr=1.0), GradScaler("cpu")
    w.grad = torch.ones(2, dtype=torch.float16)
    with pytest.raises(ValueError, match="FP16"):
        scaler.step(optimizer)


def test_disabled_passes_through():
    scaler = GradScaler("cpu", enabled=False)
    w = parameter([1.0])
    optimizer = torch.optim.SGD([w], lr=0.5)
    loss = w.sum()
    assert scaler.scale(loss) is loss and scaler.state_dict() == {} and scaler.get_scale() == 1.0
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert w.tolist() == [0.5] and not scaler.is_enabled()


def test_gradients_without_memory_of_their_own():
    w = nn.Parameter(torch.ones(2, 3))
    optimizer, scaler = torch.optim.SGD([w], lr=1.0), GradScaler("cpu", init_scale=2.0)
    w.grad = torch.full((3, 2), 4.0).t()
    scaler.step(optimizer)
    assert w.tolist() == [[-1.0] * 3] * 2


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("bad", [None, float("inf"), float("-inf"), float("nan")])
def test_kernel_against_numpy(kind, bad):
    rng = np.random.default_rng(0)
    sizes = (5, 2048, 5000)
    data = [torch.tensor(rng.normal(size=n).tolist()).to(kind) for n in sizes]
    if bad is not None:
        data[2][4999] = bad
    there = [t.cuda() for t in data]
    scale, found = torch.tensor(3.0), torch.zeros(())
    scale_there, found_there = scale.cuda(), found.cuda()
    unscale.gpu([t._a for t in there], scale_there._a, found_there._a, 0)
    unscale.cpu([t._a for t in data], scale._a, found._a)
    assert found_there.item() == found.item() == (bad is not None)
    for a, b in zip(there, data, strict=True):
        np.testing.assert_array_equal(a.cpu().float().numpy(), b.float().numpy())


def test_training_lowers_the_loss(device):
    """A small network with autocast, scaler and clipping, from a scale that overflows at first."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 3)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    scaler = GradScaler(device, init_scale=2.0**24, growth_interval=50)
    x = torch.randn(24, 4).to(device)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    losses = []
    for _ in range(25 if device == "cpu" else 14):
        optimizer.zero_grad()
        with torch.autocast(device, dtype=torch.float16):
            out = model(x)
            loss = nn.functional.cross_entropy(out, y)
        assert out.dtype is torch.float16 and loss.dtype is torch.float32
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert scaler.get_scale() < 2.0**24  # steps were left out
    assert losses[-1] < 0.6 * losses[0], losses
    assert all(p.dtype is torch.float32 and p.isfinite().all() for p in model.parameters())
