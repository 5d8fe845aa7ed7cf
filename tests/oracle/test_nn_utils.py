"""nn.utils and nn.init against PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import torch.nn.utils.prune  # noqa: E402, F811

import tritorch  # noqa: E402

LIBS = (tritorch, torch)


def same(a, b, rtol=1e-5, atol=1e-6):
    assert tuple(a.shape) == tuple(b.shape)
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=atol)


INITS = [
    "uniform_(w, -0.3, 0.8)", "normal_(w, 0.2, 0.7)", "constant_(w, 0.3)", "ones_(w)", "zeros_(w)", "eye_(w)",
    "xavier_uniform_(w, gain=1.3)", "xavier_normal_(w)", "kaiming_uniform_(w, a=0.2, mode='fan_out')",
    "kaiming_normal_(w, nonlinearity='relu')", "orthogonal_(w, gain=1.5)", "orthogonal_(w.T)",
    "sparse_(w, 0.3, std=0.5)",
    "trunc_normal_(w)", "trunc_normal_(w, mean=0.5, std=0.2, a=0.3, b=0.9)", "trunc_normal_(w, std=1.0, a=1.5, b=1.7)",
    "trunc_normal_(w, std=0.02)",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:trunc_normal_", "ignore:mean is more than 2 std")
@pytest.mark.parametrize("call", INITS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_init(call, dtype):
    made = []
    for lib in LIBS:
        w = lib.empty(9, 6, dtype=getattr(lib, dtype))
        lib.manual_seed(5)
        result = eval(f"lib.nn.init.{call}", {"lib": lib, "w": w})
        assert result is w or "w.T" in call
        made.append(w)
    same(*made)


@pytest.mark.parametrize("shape", [(6, 2, 3), (6, 3, 3, 2), (4, 5, 1, 2, 3)])
@pytest.mark.parametrize("groups", [1, 2])
def test_dirac(shape, groups):
    same(*(lib.nn.init.dirac_(lib.empty(*shape), groups) for lib in LIBS))


@pytest.mark.parametrize("shape", [(6, 2, 3), (5, 4)])
def test_fans_and_gains(shape):
    ours, theirs = tritorch.nn.init, torch.nn.init
    assert ours._calculate_fan_in_and_fan_out(tritorch.empty(*shape)) == theirs._calculate_fan_in_and_fan_out(
        torch.empty(*shape)
    )
    for name in ("linear", "conv2d", "conv_transpose1d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert ours.calculate_gain(name) == theirs.calculate_gain(name)
    assert ours.calculate_gain("leaky_relu", 0.3) == theirs.calculate_gain("leaky_relu", 0.3)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5, math.inf])
def test_clip_grad_norm(p):
    rng = np.random.default_rng(0)
    grads = [rng.normal(size=s).astype(np.float32) for s in ((3, 4), (5,), (2, 2, 2))]
    results = []
    for lib in LIBS:
        params = [lib.nn.Parameter(lib.zeros(*g.shape)) for g in grads]
        for param, g in zip(params, grads, strict=True):
            param.grad = lib.tensor(g)
        total = lib.nn.utils.clip_grad_norm_(params, 1.5, p)
        results.append([total, *(param.grad for param in params)])
    for a, b in zip(*results, strict=True):
        same(a, b)


LENGTHS = [3, 5, 1, 4]


def sequences(lib, *more):
    rng = np.random.default_rng(1)
    return [lib.tensor(rng.normal(size=(n, *more)).astype(np.float32)) for n in LENGTHS]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["right", "left"])
def test_pad_sequence(batch_first, side):
    same(*(lib.nn.utils.rnn.pad_sequence(sequences(lib, 2), batch_first, -1.0, side) for lib in LIBS))


@pytest.mark.parametrize("batch_first", [False, True])
def test_pack_and_pad(batch_first):
    packs, pads = [], []
    for lib in LIBS:
        rnn = lib.nn.utils.rnn
        padded = rnn.pad_sequence(sequences(lib, 2), batch_first)
        packed = rnn.pack_padded_sequence(padded, LENGTHS, batch_first, enforce_sorted=False)
        packs.append(packed)
        pads.append(rnn.pad_packed_sequence(packed, batch_first, 7.0, total_length=6))
        for a, b in zip(rnn.unpack_sequence(packed), sequences(lib, 2), strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    for a, b in zip(*packs, strict=True):
        same(a, b)
    for a, b in zip(*pads, strict=True):
        same(a, b)


@pytest.mark.parametrize(
    "kind", ["nn.RNN(2, 3)", "nn.GRU(2, 3, 2, bidirectional=True)", "nn.LSTM(2, 4, 2, proj_size=3)"]
)
def test_recurrent_layer_on_a_packed_batch(kind):
    results = []
    for lib in LIBS:
        lib.manual_seed(0)
        layer = eval(kind, {"nn": lib.nn})
        inputs = [s.requires_grad_() for s in sequences(lib, 2)]
        packed = lib.nn.utils.rnn.pack_sequence(inputs, enforce_sorted=False)
        output, states = layer(packed)
        states = states if isinstance(states, tuple) else (states,)
        loss = (output.data * output.data).sum() + sum((s * s * s).sum() for s in states)
        loss.backward()
        padded, lengths = lib.nn.utils.rnn.pad_packed_sequence(output)
        results.append([padded, lengths, *states, *(s.grad for s in inputs), *(p.grad for p in layer.parameters())])
    for a, b in zip(*results, strict=True):
        same(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", ["nn.Linear(4, 3)", "nn.Conv2d(2, 3, 2)", "nn.ConvTranspose1d(2, 3, 2)"])
@pytest.mark.parametrize("wrap", ["weight_norm", "spectral_norm", "orthogonal"])
def test_parametrizations(layer, wrap):
    results = []
    if wrap == "orthogonal" and "Linear" not in layer:
        layer = "nn.Linear(3, 3)"
    for lib in LIBS:
        lib.manual_seed(2)
        made = eval(layer, {"nn": lib.nn})
        getattr(lib.nn.utils.parametrizations, wrap)(made)
        weight = made.weight
        (weight * weight * weight).sum().backward()
        grads = [p.grad for p in made.parameters() if p.grad is not None]
        made.eval()
        results.append((repr(made).replace("()", ""), list(made.state_dict()), [weight, made.weight, *grads]))
    assert results[0][1] == results[1][1]
    for a, b in zip(results[0][2], results[1][2], strict=True):
        same(a, b, rtol=2e-4, atol=2e-5)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("wrap", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize("layer", ["nn.Linear(4, 3)", "nn.Conv2d(2, 3, 2)", "nn.ConvTranspose1d(2, 3, 2)"])
def test_hook_based_norms(layer, wrap):
    inputs = {"nn.Linear(4, 3)": (5, 4), "nn.Conv2d(2, 3, 2)": (1, 2, 4, 4), "nn.ConvTranspose1d(2, 3, 2)": (1, 2, 4)}
    x = np.random.default_rng(0).normal(size=inputs[layer]).astype(np.float32)
    results = []
    for lib in LIBS:
        lib.manual_seed(2)
        made = getattr(lib.nn.utils, wrap)(eval(layer, {"nn": lib.nn}))
        keys = list(made.state_dict())
        y = made(lib.tensor(x))
        (y * y).sum().backward()
        grads = [p.grad for p in made.parameters()]
        getattr(lib.nn.utils, f"remove_{wrap}")(made)
        results.append((keys, [y, *grads, made.eval()(lib.tensor(x))]))
    assert results[0][0] == results[1][0]
    for a, b in zip(results[0][1], results[1][1], strict=True):
        same(a, b, rtol=2e-4, atol=2e-5)


PRUNES = [
    "l1_unstructured(m, 'weight', 0.3)", "random_unstructured(m, 'weight', amount=4)",
    "ln_structured(m, 'weight', 2, n=2, dim=0)", "random_structured(m, 'weight', 0.5, dim=1)", "identity(m, 'bias')",
]  # fmt: skip


@pytest.mark.parametrize("first", PRUNES)
@pytest.mark.parametrize("second", PRUNES[:4])
def test_prune(first, second):
    results = []
    for lib in LIBS:
        lib.manual_seed(4)
        m = lib.nn.Linear(6, 5)
        prune = lib.nn.utils.prune
        for call in (first, second):
            eval(f"prune.{call}", {"prune": prune, "m": m})
        keys = list(m.state_dict())
        y = m(lib.ones(2, 6))
        prune.remove(m, "weight")
        results.append((keys, y, m.weight))
    assert results[0][0] == results[1][0]
    for a, b in zip(results[0][1:], results[1][1:], strict=True):
        same(a, b)


def test_global_prune():
    results = []
    for lib in LIBS:
        lib.manual_seed(4)
        a, b = lib.nn.Linear(6, 5), lib.nn.Linear(5, 4)
        prune = lib.nn.utils.prune
        prune.l1_unstructured(a, "weight", 3)
        prune.global_unstructured([(a, "weight"), (b, "weight")], prune.L1Unstructured, amount=0.4)
        assert prune.is_pruned(a)
        results.append((a.weight, b.weight))
    for a, b in zip(*results, strict=True):
        same(a, b)


@pytest.mark.parametrize(
    "pair", ["nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3)", "nn.Conv1d(2, 3, 2, bias=False), nn.BatchNorm1d(3)"]
)
def test_fusion_of_batch_norm(pair):
    results = []
    for lib in LIBS:
        lib.manual_seed(4)
        conv, bn = eval(pair, {"nn": lib.nn})
        bn.running_mean.normal_()
        bn.running_var.uniform_(0.5, 2)
        bn.weight.data.uniform_(0.5, 2)
        fused = lib.nn.utils.fusion.fuse_conv_bn_eval(conv.eval(), bn.eval())
        results.append((fused.weight, fused.bias))
    for a, b in zip(*results, strict=True):
        same(a, b)
