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
