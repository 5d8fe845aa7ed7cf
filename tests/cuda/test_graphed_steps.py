"""A whole training step as one CUDA graph, on the emulated device: N replays against N eager steps."""

from __future__ import annotations

import copy
import importlib
from pathlib import Path

import numpy as np
import pytest

import tritorch as torch
from tritorch import nn
from tritorch.device import EMULATED
from tritorch.nn import functional as F
from tritorch.nn.utils import clip_grad_norm_

pytestmark = pytest.mark.skipif(not EMULATED, reason="looks at how the emulated device captures")

X, Y = np.random.default_rng(0).normal(size=(5, 6, 8)).astype(np.float32), np.arange(30).reshape(5, 6) % 4


def batch(i):
    return torch.tensor(X[i % 5]).cuda(), torch.tensor(Y[i % 5]).cuda()


def network(p=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 12), nn.GELU(), nn.Dropout(p), nn.LayerNorm(12), nn.Linear(12, 4)).cuda()


def network_for(name):
    """The network, or for optimizers of many small launches a single layer."""
    if "SGD" in name or name.startswith(("Adam", "AMS")) and name != "Adamax":
        return network()
    torch.manual_seed(0)
    return nn.Linear(8, 4).cuda()


class Trainer:
    """One step of training, eager or as a replay, on the same code."""

    def __init__(self, model, optimizer, scaler=None, clip=0.5):
        self.model, self.optimizer, self.scaler, self.clip = model, optimizer, scaler, clip
        self.x, self.y = batch(0)

    def step(self):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(self.x), self.y)
        if self.scaler is None:
            loss.backward()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
        clip_grad_norm_(self.model.parameters(), self.clip)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return loss

    def train(self, steps, graphed, warm=2):
        """The losses of `steps` steps on batch 0, 1, ...; `warm` of them are eager in any case."""
        losses = []
        for i in range(steps):
            for static, new in zip((self.x, self.y), batch(i), strict=True):
                static.copy_(new)
            if graphed and i == warm:
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph):
                    self.loss = self.step()
            if graphed and i >= warm:
                self.graph.replay()
                losses.append(self.loss.item())
            else:
                losses.append(self.step().item())
        return losses


OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "SGD with momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "SGD, rate on the device": lambda p: torch.optim.SGD(p, lr=torch.tensor(0.1, device="cuda"), momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.05, capturable=True, weight_decay=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.05, capturable=True),
    "AMSGrad, rate on the device": lambda p: torch.optim.AdamW(
        p, lr=torch.tensor(0.05, device="cuda"), capturable=True, amsgrad=True, maximize=True
    ),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True, capturable=True),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.05, capturable=True),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=0.05, betas=(0.9, 0.6), capturable=True),
    "Adamax": lambda p: torch.optim.Adamax(p, lr=0.05, capturable=True),
    "Adadelta": lambda p: torch.optim.Adadelta(p, capturable=True),
    "ASGD": lambda p: torch.optim.ASGD(p, lr=0.05, t0=2, capturable=True),
    "Rprop": lambda p: torch.optim.Rprop(p, lr=0.01, capturable=True),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05, lr_decay=0.3, fused=True),
    "Adagrad, rate on the device": lambda p: torch.optim.Adagrad(p, lr=torch.tensor(0.05, device="cuda"), fused=True),
    "Adafactor": lambda p: torch.optim.Adafactor(p, lr=0.3, weight_decay=0.01),
    "Adafactor, rate on the device": lambda p: torch.optim.Adafactor(p, lr=torch.tensor(0.3, device="cuda"), d=1.1),
}


def parameters(model):
    return [p.detach().cpu().numpy() for p in model.parameters()]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_replays_equal_eager_steps(name):
    found = []
    for graphed in (False, True):
        model = network_for(name)
        trainer = Trainer(model, OPTIMIZERS[name](model.parameters()))
        losses = trainer.train(5, graphed)
        found.append((losses, parameters(model), trainer.optimizer.state_dict()["state"]))
    (eager, a, states), (replayed, b, replayed_states) = found
    assert eager == replayed and len(set(eager)) == 5
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)
    for i, state in states.items():
        for key, value in state.items():
            assert value.tolist() == replayed_states[i][key].tolist(), key


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if "device" not in n])
def test_capturable_agrees_with_the_cpu(name):
    """The same options on the CPU, where the steps are the host's, give the same parameters to rounding."""
    runs = []
    for place in ("cpu", "cuda"):
        torch.manual_seed(1)
        weights = [nn.Parameter(torch.randn(s).to(place)) for s in ((3, 5), (2050,), ())]
        weights.append(nn.Parameter(torch.randn(4, 3).to(place).t()))  # not contiguous: by tensor operations
        optimizer = OPTIMIZERS[name](weights)
        for group in optimizer.param_groups:
            if place == "cpu" and "capturable" in group:
                group["capturable"] = False
        for _ in range(5):
            for w in weights:
                w.grad = torch.randn(w.shape).to(place)
            optimizer.step()
        runs.append([w.detach().cpu().numpy() for w in weights])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["SGD with momentum", "AMSGrad, rate on the device", "NAdam", "ASGD", "Adagrad"])
def test_the_scaler_as_part_of_the_graph(name):
    """Steps with infinities are left out by the device alone, and the scale follows; as on the eager way."""
    found = []
    for graphed in (False, True):
        model = network_for(name)
        scaler = torch.amp.GradScaler("cuda", init_scale=2.0**60, growth_interval=2)
        scaler.scale(torch.ones((), device="cuda"))
        trainer = Trainer(model, OPTIMIZERS[name](model.parameters()), scaler)
        start = parameters(model)
        losses, scales = [], []
        for i in range(6):
            for static, new in zip((trainer.x, trainer.y), batch(i), strict=True):
                static.copy_(new)
            if i in (0, 3):
                scaler.update(2.0**4)
            if i in (1, 5):
                scaler.update(float("inf"))
            if graphed and i == 2:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    loss = trainer.step()
            if graphed and i >= 2:
                graph.replay()
            else:
                loss = trainer.step()
            losses.append(loss.item())
            scales.append(scaler.get_scale())
        assert any((a != b).any() for a, b in zip(start, parameters(model), strict=True))
        found.append((losses, scales, parameters(model), trainer.optimizer.state_dict()["state"]))
    assert found[0][0] == found[1][0] and found[0][1] == found[1][1]
    for a, b in zip(found[0][2], found[1][2], strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_array_equal(a, b)
    for i, state in found[0][3].items():
        assert {k: v.tolist() for k, v in state.items()} == {k: v.tolist() for k, v in found[1][3][i].items()}


@pytest.mark.parametrize("name", ["SGD", "AdamW", "NAdam"])
def test_a_step_that_is_left_out_changes_nothing(name):
    model = network()
    optimizer, scaler = OPTIMIZERS[name](model.parameters()), torch.amp.GradScaler("cuda", init_scale=4.0)
    trainer = Trainer(model, optimizer, scaler)
    trainer.step()
    before = parameters(model), copy.deepcopy(optimizer.state_dict()["state"])
    trainer.x.fill_(float("inf"))
    trainer.step()
    assert scaler.get_scale() == 2.0 and optimizer.found_inf is None
    for a, b in zip(before[0], parameters(model), strict=True):
        np.testing.assert_array_equal(a, b)
    for i, state in optimizer.state_dict()["state"].items():
        assert {k: v.tolist() for k, v in state.items()} == {k: v.tolist() for k, v in before[1][i].items()}


def test_dropout_draws_anew_at_each_replay():
    """The replays are the steps that eager code would have taken, masks included; and the masks differ."""
    runs = []
    for graphed in (False, True):
        model = network(0.5)
        trainer = Trainer(model, OPTIMIZERS["AdamW"](model.parameters()))
        torch.manual_seed(3)
        losses = trainer.train(5, graphed)
        runs.append((losses, parameters(model), torch.rand(3, device="cuda").tolist()))
    assert runs[0][0] == runs[1][0] and runs[0][2] == runs[1][2]
    for a, b in zip(runs[0][1], runs[1][1], strict=True):
        np.testing.assert_array_equal(a, b)
    x = torch.ones(64, 64, device="cuda").requires_grad_()
    g = torch.cuda.CUDAGraph()
    with torch.cuda.graph(g):
        y = F.dropout(x, 0.25)
        (gx,) = torch.autograd.grad(y.sum(), x)
    kept = []
    for _ in range(3):
        g.replay()
        np.testing.assert_array_equal(y.tolist(), gx.tolist())
        kept.append(y.detach().cpu().numpy() != 0)
        assert abs(kept[-1].mean() - 0.75) < 5 * (0.75 * 0.25 / 4096) ** 0.5
    assert (kept[0] != kept[1]).any() and (kept[1] != kept[2]).any()


def test_the_learning_rate_can_change_between_replays():
    model = network()
    lr = torch.tensor(0.1, device="cuda")
    trainer = Trainer(model, torch.optim.AdamW(model.parameters(), lr=lr, capturable=True, weight_decay=0.1))
    trainer.train(3, True)
    lr.fill_(0.0)
    before = parameters(model)
    trainer.graph.replay()
    for a, b in zip(before, parameters(model), strict=True):
        np.testing.assert_array_equal(a, b)
    lr.fill_(0.1)
    trainer.graph.replay()
    assert any((a != b).any() for a, b in zip(before, parameters(model), strict=True))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda p: torch.optim.Adam(p),
            "CUDA graph capture of step.. for an instance of Adam but .*capturable is False",
        ),
        (lambda p: torch.optim.RMSprop(p), "an instance of RMSprop but .*capturable is False"),
        (lambda p: torch.optim.Adagrad(p), "an instance of Adagrad but its steps are the host's, but for fused=True"),
    ],
)
def test_steps_counted_by_the_host_are_not_captured(make, words):
    model = network()
    trainer = Trainer(model, make(model.parameters()))
    trainer.step()
    with pytest.raises(RuntimeError, match=words), torch.cuda.graph(torch.cuda.CUDAGraph()):
        trainer.step()


@pytest.mark.parametrize("name", ["SGD with momentum", "AdamW", "RAdam", "Adafactor"])
def test_the_state_is_made_before_the_capture(name):
    model = network()
    trainer = Trainer(model, OPTIMIZERS[name](model.parameters()))
    with pytest.raises(RuntimeError, match="the first step, which makes the state, cannot be captured"):
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            trainer.step()
    model.zero_grad()
    trainer.step()


def test_scalers_that_would_wait_are_not_captured():
    model = network()
    trainer = Trainer(model, torch.optim.Adagrad(model.parameters()), torch.amp.GradScaler("cuda"))
    with pytest.raises(RuntimeError, match="the first use of a GradScaler cannot be captured"):
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            trainer.step()
    trainer.scaler = torch.amp.GradScaler("cuda")
    model.zero_grad()
    trainer.step()
    with pytest.raises(RuntimeError, match="step: reading values on the host"):
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            trainer.step()


def test_capturable_needs_cuda():
    w = nn.Parameter(torch.ones(2))
    w.grad = torch.ones(2)
    for optimizer in (torch.optim.Adam, torch.optim.ASGD):
        with pytest.raises(AssertionError, match="If capturable=True, params and state_steps must be on supported dev"):
            optimizer([w], capturable=True).step()


def test_counters_follow_capturable_through_state_dicts():
    w = nn.Parameter(torch.ones(2, device="cuda"))
    w.grad = torch.ones(2, device="cuda")
    optimizer = torch.optim.NAdam([w], capturable=True)
    optimizer.step()
    assert optimizer.state[w]["step"].device.type == optimizer.state[w]["mu_product"].device.type == "cuda"
    saved = optimizer.state_dict()
    other = torch.optim.NAdam([w])
    other.load_state_dict(saved)
    assert other.param_groups[0]["capturable"] and other.state[w]["step"].device.type == "cuda"
    other.param_groups[0]["capturable"] = False
    other.step()
    assert other.state[w]["step"].tolist() == 2 and other.state[w]["step"].device.type == "cpu"
    other.load_state_dict(other.state_dict())
    assert other.state[w]["step"].device.type == "cpu"
    other.param_groups[0]["capturable"] = True
    with pytest.raises(AssertionError, match="state_steps"):
        other.step()


def test_tables_of_addresses_are_copied_once(monkeypatch):
    from tritorch.kernels import _multi_array

    made = []
    copy_there = _multi_array.to_device
    monkeypatch.setattr(
        _multi_array, "to_device", lambda a, *more, **m: made.append(a.shape) or copy_there(a, *more, **m)
    )
    weights = [nn.Parameter(torch.ones(s, device="cuda")) for s in ((3,), (2050,))]
    for w in weights:
        w.grad = torch.ones_like(w)
    optimizer = torch.optim.Adam(weights)
    optimizer.step()
    clip_grad_norm_(weights, 1.0)
    first = len(made)
    assert first == 4  # addresses for either, full and other blocks for both
    for _ in range(3):
        optimizer.step()
        clip_grad_norm_(weights, 1.0)
    assert len(made) == first
    weights[0].grad = torch.ones(3, device="cuda")
    optimizer.step()
    assert len(made) == first + 1


def test_the_models_of_the_benchmark(monkeypatch):
    """ResNet, GPT-2 under autocast and LSTM, as benchmarks/gpu_training.py makes them: replays equal eager steps, bit for bit."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    bench = importlib.import_module("gpu_training")
    for name, make in bench.models(torch, True).items():
        ends = []
        for graphed in (False, True):
            torch.manual_seed(0)
            net, loss_of = make()
            optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, capturable=True)

            def step():
                optimizer.zero_grad()
                loss = loss_of(net)
                loss.backward()
                optimizer.step()

            step()
            if graphed:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    step()
            for _ in range(2):
                graph.replay() if graphed else step()
            ends.append([v.detach().cpu().numpy() for v in net.state_dict().values()])
        for a, b in zip(*ends, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
