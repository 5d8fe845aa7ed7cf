"""Every layer against PyTorch: repr, keys, first values for a seed, outputs, gradients, buffers afterwards."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402


def x(*shape, low=None, high=None):
    """A float input of this shape, N(0, 1) or U(low, high)."""
    return ("float", shape, low, high)


def n(high, *shape):
    """An int64 input of this shape, values below `high`."""
    return ("int", shape, 0, high)


def sign(*shape):
    """A float input of -1 and 1, which needs no gradient."""
    return ("sign", shape, None, None)


def fixed(values, dtype="int64"):
    return ("fixed", values, dtype, None)


# Constructor, inputs. `train` (the default) and `eval` are both run where the layer has a mode.
LAYERS = {
    "nn.Identity()": [x(3, 4)],
    "nn.Linear(5, 4)": [x(3, 5)],
    "nn.Linear(5, 4, bias=False)": [x(2, 3, 5)],
    "nn.Bilinear(3, 4, 5)": [x(6, 3), x(6, 4)],
    "nn.Flatten()": [x(2, 3, 4)],
    "nn.Unflatten(1, (2, 3))": [x(4, 6, 2)],
    "nn.ReLU()": [x(3, 4)],
    "nn.ReLU6()": [x(3, 4, low=-8, high=8)],
    "nn.Threshold(0.1, 20)": [x(3, 4)],
    "nn.RReLU()": [x(3, 4)],
    "nn.Hardtanh(-0.5, 0.7)": [x(3, 4)],
    "nn.Sigmoid()": [x(3, 4)],
    "nn.Hardsigmoid()": [x(3, 4, low=-5, high=5)],
    "nn.Hardswish()": [x(3, 4, low=-5, high=5)],
    "nn.Tanh()": [x(3, 4)],
    "nn.SiLU()": [x(3, 4)],
    "nn.Mish()": [x(3, 4)],
    "nn.ELU(0.7)": [x(3, 4)],
    "nn.CELU(2.0)": [x(3, 4)],
    "nn.SELU()": [x(3, 4)],
    "nn.GLU(1)": [x(3, 4)],
    "nn.GELU()": [x(3, 4)],
    "nn.GELU('tanh')": [x(3, 4)],
    "nn.Hardshrink(0.3)": [x(3, 4)],
    "nn.LeakyReLU(0.2)": [x(3, 4)],
    "nn.LogSigmoid()": [x(3, 4)],
    "nn.Softplus(2, 1)": [x(3, 4)],
    "nn.Softshrink(0.4)": [x(3, 4)],
    "nn.PReLU(4)": [x(3, 4)],
    "nn.Softsign()": [x(3, 4)],
    "nn.Tanhshrink()": [x(3, 4)],
    "nn.Softmin(1)": [x(3, 4)],
    "nn.Softmax(dim=1)": [x(3, 4, 2)],
    "nn.Softmax2d()": [x(2, 3, 4, 2)],
    "nn.LogSoftmax(dim=-1)": [x(3, 4)],
    "nn.Dropout(0.3)": [x(5, 6)],
    "nn.Dropout1d(0.4)": [x(3, 5, 2)],
    "nn.Dropout2d(0.4)": [x(3, 5, 2, 2)],
    "nn.Dropout3d(0.4)": [x(2, 5, 2, 2, 2)],
    "nn.AlphaDropout(0.3)": [x(5, 6)],
    "nn.FeatureAlphaDropout(0.3)": [x(3, 5, 2)],
    "nn.PairwiseDistance(1.5, keepdim=True)": [x(3, 4), x(3, 4)],
    "nn.CosineSimilarity()": [x(3, 4), x(3, 4)],
    "nn.Fold((4, 5), (2, 2))": [x(2, 12, 12)],
    "nn.Unfold((2, 3), padding=1)": [x(2, 3, 4, 5)],
    "nn.PixelShuffle(2)": [x(2, 8, 3, 3)],
    "nn.PixelUnshuffle(2)": [x(2, 2, 4, 6)],
    "nn.ChannelShuffle(2)": [x(2, 6, 3)],
    "nn.Upsample(scale_factor=2)": [x(2, 3, 4)],
    "nn.Upsample(size=(5, 3), mode='bilinear')": [x(1, 2, 3, 4)],
    "nn.Upsample(scale_factor=1.5, mode='bicubic', align_corners=True)": [x(1, 2, 4, 4)],
    "nn.UpsamplingNearest2d(scale_factor=2)": [x(1, 2, 3, 4)],
    "nn.UpsamplingBilinear2d(size=6)": [x(1, 2, 3, 4)],
    "nn.CircularPad1d(2)": [x(2, 3, 5)],
    "nn.CircularPad2d((1, 2, 0, 1))": [x(2, 3, 4, 5)],
    "nn.CircularPad3d(1)": [x(1, 2, 3, 4, 5)],
    "nn.ConstantPad1d((2, 1), 3.5)": [x(2, 3, 5)],
    "nn.ConstantPad2d(1, 3.5)": [x(2, 3, 4, 5)],
    "nn.ConstantPad3d(1, 2)": [x(1, 2, 3, 4, 5)],
    "nn.ReflectionPad1d(2)": [x(2, 3, 5)],
    "nn.ReflectionPad2d((1, 2, 0, 1))": [x(2, 3, 4, 5)],
    "nn.ReflectionPad3d(1)": [x(1, 2, 3, 4, 5)],
    "nn.ReplicationPad1d(2)": [x(2, 3, 5)],
    "nn.ReplicationPad2d([1, 2, 0, 1])": [x(2, 3, 4, 5)],
    "nn.ReplicationPad3d(1)": [x(1, 2, 3, 4, 5)],
    "nn.ZeroPad1d(2)": [x(2, 3, 5)],
    "nn.ZeroPad2d((1, 2, 0, 1))": [x(2, 3, 4, 5)],
    "nn.ZeroPad3d(1)": [x(1, 2, 3, 4, 5)],
    "nn.MaxPool1d(2)": [x(2, 3, 7)],
    "nn.MaxPool2d((2, 3), stride=1, padding=1, ceil_mode=True)": [x(2, 3, 5, 6)],
    "nn.MaxPool2d(2, return_indices=True)": [x(2, 3, 5, 6)],
    "nn.MaxPool3d(2)": [x(1, 2, 4, 4, 5)],
    "nn.MaxUnpool1d(2)": [x(1, 1, 3), fixed([[[1, 2, 4]]])],
    "nn.MaxUnpool2d(2)": [x(1, 1, 2, 2), fixed([[[[0, 3], [9, 15]]]])],
    "nn.MaxUnpool3d(2)": [x(1, 1, 1, 1, 2), fixed([[[[[0, 7]]]]])],
    "nn.AvgPool1d(2)": [x(2, 3, 7)],
    "nn.AvgPool2d((2, 3), padding=1, count_include_pad=False)": [x(2, 3, 5, 6)],
    "nn.AvgPool3d(2, divisor_override=3)": [x(1, 2, 4, 4, 5)],
    "nn.FractionalMaxPool2d(2, output_size=(3, 4))": [x(2, 3, 7, 8)],
    "nn.FractionalMaxPool3d(2, output_ratio=0.5)": [x(1, 2, 6, 6, 6)],
    "nn.LPPool1d(2, 3)": [x(2, 3, 7, low=0.1, high=2)],
    "nn.LPPool2d(3, 2, stride=1)": [x(2, 3, 5, 6, low=0.1, high=2)],
    "nn.LPPool3d(2, 2)": [x(1, 2, 4, 4, 4, low=0.1, high=2)],
    "nn.AdaptiveAvgPool1d(3)": [x(2, 3, 7)],
    "nn.AdaptiveAvgPool2d((3, None))": [x(2, 3, 5, 6)],
    "nn.AdaptiveAvgPool3d(2)": [x(1, 2, 4, 5, 3)],
    "nn.AdaptiveMaxPool1d(3)": [x(2, 3, 7)],
    "nn.AdaptiveMaxPool2d((3, 2), True)": [x(2, 3, 5, 6)],
    "nn.AdaptiveMaxPool3d(2)": [x(1, 2, 4, 5, 3)],
    "nn.Embedding(10, 3)": [n(10, 4, 5)],
    "nn.Embedding(10, 3, padding_idx=2, max_norm=1.0, scale_grad_by_freq=True)": [n(10, 4, 5)],
    "nn.EmbeddingBag(10, 3)": [n(10, 4, 5)],
    "nn.EmbeddingBag(10, 3, mode='sum', padding_idx=2)": [n(10, 9), fixed([0, 3, 7])],
    "nn.EmbeddingBag(10, 3, mode='max', include_last_offset=True)": [n(10, 9), fixed([0, 3, 9])],
    "nn.Conv1d(4, 6, 3)": [x(2, 4, 9)],
    "nn.Conv1d(4, 6, 3, padding='same', dilation=2, groups=2, bias=False, padding_mode='circular')": [x(2, 4, 9)],
    "nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0))": [x(2, 4, 7, 6)],
    "nn.Conv2d(3, 4, 3, padding=(2, 1), padding_mode='reflect')": [x(2, 3, 6, 5)],
    "nn.Conv2d(4, 4, 3, groups=4, padding='valid')": [x(4, 6, 5)],
    "nn.Conv3d(2, 4, 3, padding_mode='replicate', padding=1)": [x(1, 2, 4, 5, 4)],
    "nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1)": [x(2, 4, 5)],
    "nn.ConvTranspose2d(4, 6, 3, groups=2, dilation=2, padding=1)": [x(2, 4, 5, 4)],
    "nn.ConvTranspose3d(2, 3, 2, stride=2, bias=False)": [x(1, 2, 3, 2, 3)],
    "nn.BatchNorm1d(3)": [x(5, 3)],
    "nn.BatchNorm1d(3, momentum=None)": [x(5, 3, 4)],
    "nn.BatchNorm2d(3, affine=False)": [x(4, 3, 3, 2)],
    "nn.BatchNorm3d(3, track_running_stats=False)": [x(2, 3, 3, 2, 2)],
    "nn.BatchNorm2d(3, bias=False)": [x(4, 3, 3, 2)],
    "nn.InstanceNorm1d(3)": [x(2, 3, 6)],
    "nn.InstanceNorm2d(3, affine=True, track_running_stats=True)": [x(2, 3, 4, 5)],
    "nn.InstanceNorm3d(3)": [x(3, 4, 3, 2)],
    "nn.LayerNorm(4)": [x(3, 4)],
    "nn.LayerNorm((3, 4), eps=1e-3, bias=False)": [x(2, 3, 4)],
    "nn.LayerNorm([4], elementwise_affine=False)": [x(3, 4)],
    "nn.RMSNorm(4)": [x(3, 4)],
    "nn.RMSNorm((3, 4), eps=1e-3, elementwise_affine=False)": [x(2, 3, 4)],
    "nn.GroupNorm(2, 4)": [x(3, 4, 5)],
    "nn.GroupNorm(2, 4, affine=False)": [x(3, 4, 5, 2)],
    "nn.LocalResponseNorm(3)": [x(2, 5, 4)],
    "nn.CrossMapLRN2d(3)": [x(2, 5, 4, 3)],
    "nn.LazyLinear(3)": [x(2, 5)],
    "nn.LazyConv1d(3, 2)": [x(2, 4, 6)],
    "nn.LazyConv2d(3, 2, stride=2, bias=False)": [x(2, 4, 6, 5)],
    "nn.LazyConv3d(3, 2)": [x(1, 4, 4, 3, 3)],
    "nn.LazyConvTranspose1d(3, 2)": [x(2, 4, 6)],
    "nn.LazyConvTranspose2d(3, 2)": [x(2, 4, 3, 3)],
    "nn.LazyConvTranspose3d(3, 2)": [x(1, 4, 2, 3, 3)],
    "nn.LazyBatchNorm1d()": [x(4, 3)],
    "nn.LazyBatchNorm2d()": [x(4, 3, 2, 2)],
    "nn.LazyBatchNorm3d()": [x(4, 3, 2, 2, 2)],
    "nn.LazyInstanceNorm1d()": [x(2, 3, 4)],
    "nn.LazyInstanceNorm2d()": [x(2, 3, 4, 4)],
    "nn.LazyInstanceNorm3d()": [x(2, 3, 4, 4, 2)],
    "nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 10])": [x(6, 16), n(20, 6)],
    "nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5], head_bias=True)": [x(16), fixed(7)],
    "nn.RNN(3, 4)": [x(5, 2, 3)],
    "nn.RNN(3, 4, 2, 'relu', bidirectional=True)": [x(5, 2, 3), x(4, 2, 4)],
    "nn.RNN(3, 4, batch_first=True, bias=False)": [x(2, 5, 3)],
    "nn.LSTM(3, 4)": [x(5, 2, 3)],
    "nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True, proj_size=2)": [x(2, 5, 3), (x(4, 2, 2), x(4, 2, 4))],
    "nn.LSTM(3, 4, 3, dropout=0.4, bias=False)": [x(5, 2, 3)],
    "nn.GRU(3, 4, 2)": [x(5, 2, 3), x(2, 2, 4)],
    "nn.GRU(3, 4, bidirectional=True, bias=False)": [x(5, 3)],
    "nn.RNNCell(3, 4, nonlinearity='relu')": [x(2, 3), x(2, 4)],
    "nn.RNNCell(3, 4)": [x(3)],
    "nn.LSTMCell(3, 4)": [x(2, 3), (x(2, 4), x(2, 4))],
    "nn.GRUCell(3, 4)": [x(2, 3), x(2, 4)],
    "nn.GRUCell(3, 4, bias=False)": [x(3)],
    "nn.MultiheadAttention(8, 2)": [x(5, 3, 8), x(4, 3, 8), x(4, 3, 8)],
    "nn.MultiheadAttention(8, 2, bias=False, kdim=3, vdim=5, add_bias_kv=True, add_zero_attn=True, batch_first=True)": [
        x(2, 5, 8), x(2, 4, 3), x(2, 4, 5),
    ],
    "nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)": [x(5, 3, 8)],
    "nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation='gelu', norm_first=True, batch_first=True)": [
        x(3, 5, 8),
    ],
    "nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0)": [x(5, 3, 8), x(4, 3, 8)],
    "nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), 2, nn.LayerNorm(8))": [x(5, 3, 8)],
    "nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0, norm_first=True), 2)": [
        x(5, 3, 8), x(4, 3, 8),
    ],
    "nn.Transformer(8, 2, 1, 2, 16, dropout=0.0)": [x(5, 3, 8), x(4, 3, 8)],
    "nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.Tanh(), nn.Linear(3, 2)))": [x(5, 4)],
}  # fmt: skip

LOSSES = {
    "nn.L1Loss()": [x(3, 4), x(3, 4)],
    "nn.MSELoss(reduction='sum')": [x(3, 4), x(3, 4)],
    "nn.SmoothL1Loss(beta=0.5)": [x(3, 4), x(3, 4)],
    "nn.HuberLoss(delta=0.7, reduction='none')": [x(3, 4), x(3, 4)],
    "nn.NLLLoss()": [x(5, 4), n(4, 5)],
    "nn.NLLLoss(weight=torch.tensor([0.5, 1.0, 2.0]), ignore_index=1)": [x(2, 3, 4), n(3, 2, 4)],
    "nn.CrossEntropyLoss()": [x(5, 4), n(4, 5)],
    "nn.CrossEntropyLoss(weight=torch.tensor([0.5, 1.0, 2.0]), label_smoothing=0.1)": [x(6, 3), n(3, 6)],
    "nn.CrossEntropyLoss(reduction='sum', ignore_index=2)": [x(2, 3, 4), n(3, 2, 4)],
    "nn.CrossEntropyLoss(label_smoothing=0.2)": [x(6, 3), x(6, 3, low=0, high=1)],
    "nn.LinearCrossEntropyLoss(8, 5, bias=True)": [x(6, 8), n(5, 6)],
    "nn.LinearCrossEntropyLoss(8, 5, out_features=(2,))": [x(6, 8), n(5, 6, 2)],
    "nn.PoissonNLLLoss()": [x(3, 4), x(3, 4, low=0, high=5)],
    "nn.PoissonNLLLoss(log_input=False, full=True)": [x(3, 4, low=0.5, high=5), x(3, 4, low=0, high=5)],
    "nn.GaussianNLLLoss(full=True)": [x(3, 4), x(3, 4), x(3, 4, low=0.5, high=2)],
    "nn.KLDivLoss(reduction='batchmean')": [x(3, 4), x(3, 4, low=0.1, high=1)],
    "nn.KLDivLoss(reduction='sum', log_target=True)": [x(3, 4), x(3, 4)],
    "nn.BCELoss()": [x(3, 4, low=0.1, high=0.9), x(3, 4, low=0, high=1)],
    "nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0, 3.0, 0.5]))": [x(3, 4), x(3, 4, low=0, high=1)],
    "nn.HingeEmbeddingLoss(0.5)": [x(3, 4), sign(3, 4)],
    "nn.SoftMarginLoss()": [x(3, 4), sign(3, 4)],
    "nn.MultiLabelMarginLoss()": [x(2, 4), fixed([[3, 0, -1, 1], [1, -1, 2, 0]])],
    "nn.MultiLabelSoftMarginLoss(weight=torch.tensor([1.0, 2.0, 3.0, 0.5]))": [x(3, 4), n(2, 3, 4)],
    "nn.MultiMarginLoss(p=2, margin=0.7)": [x(5, 4), n(4, 5)],
    "nn.CosineEmbeddingLoss(0.1)": [x(3, 4), x(3, 4), sign(3)],
    "nn.MarginRankingLoss(0.3)": [x(6), x(6), sign(6)],
    "nn.TripletMarginLoss(swap=True)": [x(3, 4), x(3, 4), x(3, 4)],
    "nn.TripletMarginWithDistanceLoss(margin=0.8)": [x(3, 4), x(3, 4), x(3, 4)],
    "nn.TripletMarginWithDistanceLoss(distance_function=nn.PairwiseDistance(p=1))": [x(3, 4), x(3, 4), x(3, 4)],
    "nn.CTCLoss()": [x(7, 2, 5, low=-3, high=-0.5), fixed([[1, 2, 2], [3, 4, 0]]), fixed([7, 6]), fixed([3, 2])],
}

ALL = {**LAYERS, **LOSSES}
# Outputs alone: PyTorch's CrossMapLRN2d never takes the first channel out of its running sum again, and its CTC
# gradient takes for granted that log_softmax comes before (see test_ctc_gradient).
NO_GRADIENTS = ("nn.CrossMapLRN2d(3)", "nn.CTCLoss()")
MODED = ("Dropout", "RReLU", "Norm", "LSTM(3, 4, 3", "Transformer")


def make(spec, rng):
    """The NumPy array of an input's description, and whether it needs a gradient; a tuple for a tuple."""
    if isinstance(spec[0], tuple):
        return tuple(make(s, rng) for s in spec)
    kind, shape, low, high = spec
    if kind == "fixed":
        return np.asarray(shape, dtype=low), False
    if kind == "int":
        return rng.integers(low, high, shape), False
    if kind == "sign":
        return rng.choice(np.float32([-1, 1]), shape), False
    values = rng.normal(size=shape) if low is None else rng.uniform(low, high, shape)
    return values.astype(np.float32), True


def tensors(lib, args):
    made = []
    for arg in args:
        if isinstance(arg[0], tuple):
            made.append(tuple(tensors(lib, arg)))
        else:
            t = lib.tensor(arg[0].copy())
            made.append(t.requires_grad_() if arg[1] else t)
    return made


def flat(value):
    if value is None:
        return []
    if isinstance(value, (tuple, list)):
        return [t for v in value for t in flat(v)]
    return [value]


def numpy(t):
    return t.detach().numpy()


def close(ours, theirs, what):
    assert ours.shape == tuple(theirs.shape), f"{what}: shape {tuple(ours.shape)}, PyTorch {tuple(theirs.shape)}"
    a, b = numpy(ours), numpy(theirs)
    assert a.dtype == b.dtype, what
    np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5, err_msg=what)


def both(text, seed=3):
    tritorch.manual_seed(seed)
    torch.manual_seed(seed)
    return eval(text, {"nn": tritorch.nn, "torch": tritorch}), eval(text, {"nn": torch.nn, "torch": torch})


@pytest.mark.filterwarnings("ignore")  # PyTorch's own about nested tensors
@pytest.mark.parametrize("text", ALL)
def test_repr_keys_and_first_values(text):
    ours, theirs = both(text)
    assert repr(ours) == repr(theirs)
    ours_state, theirs_state = ours.state_dict(), theirs.state_dict()
    assert list(ours_state) == list(theirs_state)
    assert dict(ours_state._metadata) == dict(theirs_state._metadata)
    for name, value in ours_state.items():
        if not tritorch.nn.parameter.is_lazy(value):
            np.testing.assert_allclose(numpy(value), numpy(theirs_state[name]), rtol=1e-5, atol=1e-6, err_msg=name)


CASES = [(t, True) for t in ALL] + [(t, False) for t in ALL if any(m in t for m in MODED)]


@pytest.mark.filterwarnings("ignore")  # PyTorch's own about indices, nested tensors and single-layer dropout
@pytest.mark.parametrize(("text", "training"), CASES, ids=[f"{t}-{'train' if m else 'eval'}" for t, m in CASES])
def test_outputs_gradients_and_buffers(text, training):
    ours, theirs = both(text)
    rng = np.random.default_rng(7)
    args = [make(spec, rng) for spec in ALL[text]]
    if "Lazy" in text and not training:
        run = tensors(tritorch, args), tensors(torch, args)
        ours(*run[0]), theirs(*run[1])
    ours.train(training), theirs.train(training)
    xs, ys = tensors(tritorch, args), tensors(torch, args)
    tritorch.manual_seed(11)
    torch.manual_seed(11)
    out, expected = flat(ours(*xs)), flat(theirs(*ys))
    assert len(out) == len(expected)
    for i, (a, b) in enumerate(zip(out, expected, strict=True)):
        close(a, b, f"output {i}")

    loss, expected_loss = 0, 0
    for a, b in zip(out, expected, strict=True):
        if b.requires_grad:
            assert a.requires_grad
            weight = rng.normal(size=tuple(b.shape)).astype(np.float32)
            loss = loss + (a * tritorch.tensor(weight)).sum()
            expected_loss = expected_loss + (b * torch.tensor(weight)).sum()
    if isinstance(loss, int) or text in NO_GRADIENTS:
        return
    loss.backward()
    expected_loss.backward()
    for i, (a, b) in enumerate(zip(flat(xs), flat(ys), strict=True)):
        assert (a.grad is None) == (b.grad is None), f"input {i}"
        if b.grad is not None:
            close(a.grad, b.grad, f"gradient of input {i}")
    for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if b.grad is not None:
            close(a.grad, b.grad, f"gradient of {name}")
    for (name, a), (_, b) in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
        close(a, b, name)


def test_ctc_gradient():
    logits = np.random.default_rng(0).normal(size=(7, 2, 5)).astype(np.float32)
    grads = []
    for lib in (tritorch, torch):
        v = lib.tensor(logits).requires_grad_()
        lengths = lib.tensor([7, 6]), lib.tensor([3, 2])
        lib.nn.CTCLoss()(v.log_softmax(-1), lib.tensor([[1, 2, 2], [3, 4, 0]]), *lengths).backward()
        grads.append(v.grad)
    close(*grads, "gradient of the logits")


def test_every_public_layer_is_compared():
    names = {name for name in tritorch.nn.modules.__all__ if isinstance(getattr(tritorch.nn, name), type)}
    elsewhere = {  # containers and bases: tests/nn; SyncBatchNorm needs a GPU in PyTorch; NLLLoss2d is NLLLoss
        "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "RNNBase", "RNNCellBase",
        "SyncBatchNorm", "NLLLoss2d",
    }  # fmt: skip
    compared = {text[3:].split("(")[0] for text in ALL}
    assert names - elsewhere - compared == set()
    assert {name for name in dir(torch.nn) if name[0].isupper()} - set(dir(tritorch.nn)) == {
        "Container", "LinearCrossEntropyOptions",
    }  # fmt: skip
