"""DataParallel without a device, and its parts on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import namedtuple

import pytest

import tritorch as torch
from tritorch import nn
from tritorch.nn import parallel

Pair = namedtuple("Pair", ["a", "b"])


def test_pass_through_without_devices():
    net = nn.Linear(3, 2)
    model = nn.DataParallel(net, device_ids=[])
    x = torch.randn(4, 3)
    assert torch.equal(model(x), net(x))
    assert list(model.state_dict()) == ["module.weight", "module.bias"]


def test_scatter_and_gather_follow_the_structure():
    x, devices = torch.arange(5.0), ["cpu", "cpu"]
    parts = parallel.scatter({"x": x, "n": 3, "pair": Pair(x * 2, [x])}, devices)
    assert [p["x"].tolist() for p in parts] == [[0, 1, 2], [3, 4]]
    assert [p["n"] for p in parts] == [3, 3]
    assert parts[1]["pair"].a.tolist() == [6, 8]
    assert isinstance(parts[0]["pair"].b, list)
    joined = parallel.gather(parts_without_numbers(parts), "cpu")
    assert joined["x"].tolist() == x.tolist()
    assert joined["pair"].a.tolist() == (2 * x).tolist()
    assert parallel.gather([torch.tensor(1.0), torch.tensor(2.0)], "cpu").tolist() == [1, 2]
    assert parallel.gather([None, None], "cpu") is None
    with pytest.raises(ValueError, match="same number of keys"):
        parallel.gather([{"a": x}, {}], "cpu")


def parts_without_numbers(parts):
    return [{k: v for k, v in p.items() if k != "n"} for p in parts]


def test_scatter_kwargs_fills_up():
    inputs, kwargs = parallel.scatter_kwargs((torch.arange(4.0),), {}, ["cpu", "cpu"])
    assert len(inputs) == len(kwargs) == 2
    inputs, kwargs = parallel.scatter_kwargs((), {"x": torch.arange(4.0)}, ["cpu", "cpu"])
    assert inputs == ((), ())
    assert kwargs[1]["x"].tolist() == [2, 3]


def test_replicas_lead_their_gradients_back():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    net[2].weight = nn.Parameter(torch.randn(2, 4))
    replicas = parallel.replicate(net, ["cpu", "cpu"])
    assert list(replicas[0].parameters()) == []
    x = torch.randn(6, 3)
    outputs = parallel.parallel_apply(replicas, [(x[:3],), (x[3:],)])
    parallel.gather(outputs, "cpu").sum().backward()
    assert net[0].weight.grad is not None
    assert net[2].bias.grad.tolist() == [6, 6]


def test_an_error_in_a_replica_says_where():
    net = nn.Linear(3, 2)
    with pytest.raises(RuntimeError) as info:
        parallel.parallel_apply([net, net], [(torch.ones(1, 3),), (torch.ones(1, 4),)])
    assert "in replica 1" in info.value.__notes__
    with pytest.raises(AssertionError, match="number of inputs"):
        parallel.parallel_apply([net], [])


TWO_DEVICES = """
import copy
import tritorch as torch
from tritorch import nn

assert torch.cuda.device_count() == 2
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 2))
alone, x = copy.deepcopy(net), torch.randn(7, 3)
model = nn.DataParallel(net.cuda())
y, expected = model(x.cuda()), alone(x)
assert model.device_ids == [0, 1] and str(y.device) == "cuda:0"
y.pow(2).sum().backward()
expected.pow(2).sum().backward()
assert torch.allclose(y.cpu(), expected, atol=1e-5)
for p, q in zip(net.parameters(), alone.parameters(), strict=True):
    assert torch.allclose(p.grad.cpu(), q.grad, atol=1e-5)
net[0].cpu()
try:
    model(x.cuda())
except RuntimeError as error:
    assert "found one of them on device: cpu" in str(error)
else:
    raise AssertionError("parameters on the wrong device were accepted")
"""


def test_two_emulated_devices():
    env = {**os.environ, "TRITON_INTERPRET": "1", "TRITORCH_EMULATED_DEVICES": "2"}
    done = subprocess.run([sys.executable, "-c", TWO_DEVICES], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


THREE_DEVICES = """
import copy
import tritorch as torch
from tritorch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)
        self.norm.eval()
    def forward(self, x, *, scale=1.0, pair=None):
        y = self.last(self.norm(self.first(x)).relu()) * scale
        return {"y": y, "seen": y.new_full((1,), len(x)), "pair": None if pair is None else pair[0] + pair[1]}

torch.manual_seed(0)
alone = Net()
model = nn.DataParallel(copy.deepcopy(alone).cuda(), output_device="cuda:1")
steps = [torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9) for m in (model, alone)]
for _ in range(4):
    x = torch.randn(7, 3)
    losses = []
    for net, step, inputs in ((model, steps[0], x.cuda()), (alone, steps[1], x)):
        step.zero_grad()
        out = net(inputs, scale=2.0, pair=[inputs, inputs])
        loss = out["y"].square().mean()
        loss.backward()
        step.step()
        losses.append(loss.item())
        if net is model:
            assert str(out["y"].device) == "cuda:1" and out["seen"].tolist() == [3.0, 3.0, 1.0]
            assert torch.equal(out["pair"].cpu(), 2 * x)
    assert abs(losses[0] - losses[1]) < 1e-5, losses
for p, q in zip(model.parameters(), alone.parameters(), strict=True):
    assert str(p.device) == "cuda:0" and torch.allclose(p.cpu(), q, atol=1e-5)
assert model(torch.randn(2, 3).cuda())["seen"].tolist() == [1.0, 1.0]  # fewer samples than devices
assert list(model.state_dict()) == ["module." + name for name in alone.state_dict()]

class Fails(nn.Module):
    def forward(self, x):
        if x.device.index == 2:
            raise ValueError("only here")
        return x

try:
    nn.DataParallel(Fails())(torch.ones(3, 1).cuda())
except ValueError as error:
    assert "only here" in str(error) and "2" in str(error.__notes__), error.__notes__
else:
    raise AssertionError("the error of a replica was lost")
"""


def test_training_on_three_emulated_devices_is_training_on_one():
    env = {**os.environ, "TRITON_INTERPRET": "1", "TRITORCH_EMULATED_DEVICES": "3"}
    done = subprocess.run([sys.executable, "-c", THREE_DEVICES], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
