"""Layers on cuda (emulated where there is no GPU): moved there, they compute what they compute on the CPU."""

from __future__ import annotations

import copy

import pytest

import tritorch as torch
from tritorch import nn

LAYERS = [
    (nn.Linear(5, 4), (3, 5)),
    (nn.Bilinear(3, 4, 5), (6, 3), (6, 4)),
    (nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2), nn.LogSoftmax(-1)), (5, 4)),
    (nn.GELU(), (3, 4)),
    (nn.PReLU(4), (3, 4)),
    (nn.Conv1d(4, 6, 3, padding="same", groups=2), (2, 4, 9)),
    (nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), (2, 3, 6, 5)),
    (nn.ConvTranspose2d(4, 2, 3, stride=2), (1, 4, 3, 4)),
    (nn.MaxPool2d(2), (2, 3, 5, 6)),
    (nn.AdaptiveAvgPool2d(2), (2, 3, 5, 6)),
    (nn.BatchNorm2d(3), (4, 3, 3, 2)),
    (nn.InstanceNorm1d(3, affine=True), (2, 3, 6)),
    (nn.LayerNorm(4), (3, 4)),
    (nn.RMSNorm(4), (3, 4)),
    (nn.GroupNorm(2, 4), (3, 4, 5)),
    (nn.Upsample(scale_factor=2, mode="bilinear"), (1, 2, 3, 4)),
    (nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2), (4, 2, 3)),
    (nn.GRU(3, 4), (4, 2, 3)),
    (nn.RNN(3, 4, nonlinearity="relu", batch_first=True), (2, 4, 3)),
    (nn.LSTMCell(3, 4), (2, 3)),
    (nn.MultiheadAttention(8, 2), (5, 3, 8), (4, 3, 8), (4, 3, 8)),
    (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), (5, 3, 8)),
]  # fmt: skip


def tensors(value):
    if value is None:
        return []
    return [t for v in value for t in tensors(v)] if isinstance(value, tuple) else [value]


@pytest.mark.parametrize("case", LAYERS, ids=[type(c[0]).__name__ for c in LAYERS])
def test_cuda_equals_cpu(case):
    layer, *shapes = case
    inputs = [torch.randn(*shape) for shape in shapes]
    results = []
    for place in ("cpu", "cuda"):
        module = copy.deepcopy(layer).to(place)
        assert {p.device.type for p in module.parameters()} <= {place}
        xs = [x.clone().to(place).requires_grad_() for x in inputs]
        outputs = tensors(module(*xs))
        sum((y * y).sum() for y in outputs).backward()
        grads = [x.grad for x in xs] + [p.grad for p in module.parameters() if p.grad is not None]
        results.append([*outputs, *grads, *module.buffers()])
    assert len(results[0]) == len(results[1])
    for here, there in zip(*results, strict=True):
        assert there.device.type == "cuda"
        assert torch.allclose(here, there.cpu(), rtol=1e-3, atol=1e-4)


def test_moving_keeps_parameters_and_carries_gradients_and_buffers():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LazyLinear(2))
    before = list(net.parameters())
    net[:2](torch.ones(2, 3)).sum().backward()
    net.cuda()
    assert [p is q for p, q in zip(before, net.parameters(), strict=True)] == [True] * 6
    assert net[0].weight.grad.device.type == net[1].running_mean.device.type == "cuda"
    assert net(torch.ones(2, 3, device="cuda")).device.type == "cuda"
    assert net[2].weight.device.type == "cuda"
    state = {name: value.cpu() for name, value in net.state_dict().items()}
    net.load_state_dict(state)
    assert net[0].weight.device.type == "cuda"
    assert {p.device.type for p in net.cpu().parameters()} == {"cpu"}


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_recurrent_layers_in_half_precision(kind, dtype):
    exact = kind(3, 4).to(dtype).float()
    x = torch.randn(4, 2, 3).to(dtype)
    rough = copy.deepcopy(exact).to("cuda", dtype)
    results = []
    for layer, v in ((exact, x.float()), (rough, x.cuda())):
        y, _ = layer(v)
        (y * y).sum().backward()
        results.append([y, *(p.grad for p in layer.parameters())])
    for want, got in zip(*results, strict=True):
        assert got.dtype is dtype
        assert torch.allclose(got.cpu().float(), want, rtol=0.05, atol=0.03)
