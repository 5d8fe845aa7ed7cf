"""Layers: what is wrong with their arguments, and what the comparison with PyTorch does not reach."""

from __future__ import annotations

import pytest

import tritorch as torch
from tritorch import nn

BAD = [
    (lambda: nn.Bilinear(0, 1, 1), ValueError, "in1_features must be > 0"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "in_channels must be divisible by groups"),
    (lambda: nn.Conv2d(4, 3, 3, groups=2), ValueError, "out_channels must be divisible by groups"),
    (lambda: nn.Conv2d(4, 4, 3, groups=0), ValueError, "positive integer"),
    (lambda: nn.Conv2d(4, 4, 3, padding="full"), ValueError, "Invalid padding string"),
    (lambda: nn.Conv2d(4, 4, 3, padding="same", stride=2), ValueError, "strided"),
    (lambda: nn.Conv2d(4, 4, 3, padding_mode="mirror"), ValueError, "padding_mode must be one of"),
    (lambda: nn.ConvTranspose2d(4, 4, 3, padding_mode="reflect"), ValueError, 'Only "zeros"'),
    (lambda: nn.ConvTranspose1d(2, 2, 3, stride=2)(torch.ones(1, 2, 4), output_size=[20]), ValueError, "valid sizes"),
    (lambda: nn.ConvTranspose1d(2, 2, 3)(torch.ones(1, 2, 4), output_size=[6, 6]), ValueError, "must have 1 or 3"),
    (lambda: nn.BatchNorm1d(3)(torch.ones(2, 3, 4, 5)), ValueError, r"expected 2D or 3D input \(got 4D input\)"),
    (lambda: nn.BatchNorm2d(3)(torch.ones(2, 3)), ValueError, "expected 4D input"),
    (lambda: nn.BatchNorm3d(3)(torch.ones(2, 3)), ValueError, "expected 5D input"),
    (lambda: nn.InstanceNorm2d(3)(torch.ones(2, 3)), ValueError, "expected 3D or 4D input"),
    (lambda: nn.InstanceNorm1d(3, affine=True)(torch.ones(2, 4, 5)), ValueError, "to match num_features"),
    (lambda: nn.GroupNorm(3, 4), ValueError, "must be divisible by num_groups"),
    (lambda: nn.SyncBatchNorm(3, process_group=1), ValueError, "process_group must be None"),
    (lambda: nn.Dropout(1.2), ValueError, "between 0 and 1"),
    (lambda: nn.Hardtanh(1, 0), AssertionError, "must be greater"),
    (lambda: nn.Softmax2d()(torch.ones(2)), ValueError, "3D or 4D"),
    (lambda: nn.CircularPad2d(1)(torch.ones(2)), ValueError, "3D or 4D"),
    (lambda: nn.Unflatten(1, 3), TypeError, "tuple of ints"),
    (lambda: nn.Unflatten(1, (2, 1.5)), TypeError, "at pos 1"),
    (lambda: nn.Embedding(3, 2, padding_idx=3), AssertionError, "within num_embeddings"),
    (lambda: nn.Embedding(3, 2, _weight=torch.ones(2, 2)), AssertionError, "does not match"),
    (lambda: nn.Embedding.from_pretrained(torch.ones(3)), AssertionError, "2-dim"),
    (lambda: nn.FractionalMaxPool2d(2), ValueError, "output size, or a pooling ratio"),
    (lambda: nn.FractionalMaxPool2d(2, 3, 0.5), ValueError, "only one of"),
    (lambda: nn.FractionalMaxPool3d(2, output_ratio=1.5), ValueError, "between 0 and 1"),
    (lambda: nn.HuberLoss(delta="1"), TypeError, "float or int"),
    (lambda: nn.MultiMarginLoss(p=3), ValueError, "p == 1 and p == 2"),
    (lambda: nn.MultiMarginLoss(weight=torch.ones(2, 2)), ValueError, "1D tensor"),
    (lambda: nn.TripletMarginLoss(margin=0), ValueError, "greater than 0"),
    (lambda: nn.TripletMarginWithDistanceLoss(margin=-1), ValueError, "greater than 0"),
    (lambda: nn.LinearCrossEntropyLoss(3, 4, weight=torch.ones(3)), RuntimeError, "expected weight shape"),
    (lambda: nn.LinearCrossEntropyLoss(3, 4, label_smoothing=2), RuntimeError, r"in range \[0, 1\]"),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(16, 20, []), ValueError, "larger than 0"),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 5]), ValueError, "increasing order"),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [5])(torch.ones(2, 4), torch.tensor([1, 9])), RuntimeError, "be in"),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [5])(torch.ones(2, 4), torch.tensor([1])), RuntimeError, "same size"),
    (lambda: nn.MultiheadAttention(5, 2), AssertionError, "divisible by num_heads"),
    (lambda: nn.MultiheadAttention(0, 2), ValueError, "greater than 0"),
    (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), RuntimeError, "relu/gelu"),
    (lambda: nn.Transformer(4, 2, 1, 1, 8)(torch.ones(3, 2, 4), torch.ones(3, 1, 4)), RuntimeError, "batch number"),
    (lambda: nn.Transformer(4, 2, 1, 1, 8)(torch.ones(3, 2, 5), torch.ones(3, 2, 4)), RuntimeError, "feature number"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "text"), BAD)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: nn.MSELoss(size_average=False),
        lambda: nn.InstanceNorm1d(3)(torch.ones(2, 4, 5)),
        lambda: nn.init.kaiming_uniform_(torch.empty(0, 3)),
    ],
)
def test_warnings(call):
    with pytest.warns(UserWarning):
        call()


def test_deprecated_names():
    with pytest.warns(FutureWarning, match="NLLLoss2d has been deprecated"):
        nn.NLLLoss2d()
    with pytest.warns(FutureWarning, match="min_value"):
        assert nn.Hardtanh(min_value=-3).min_val == -3
    with pytest.warns(FutureWarning, match="nn.init.xavier_uniform"):
        nn.init.xavier_uniform(torch.empty(2, 2))


@pytest.mark.parametrize(("kwargs", "reduction"), [({"size_average": False}, "sum"), ({"reduce": False}, "none")])
def test_deprecated_reductions(kwargs, reduction):
    with pytest.warns(UserWarning, match=f"reduction='{reduction}'"):
        assert nn.L1Loss(**kwargs).reduction == reduction


def test_sync_batch_norm_is_batch_norm_in_one_process():
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(3)))
    made = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    assert [type(m).__name__ for m in made.modules()].count("SyncBatchNorm") == 2
    x = torch.randn(4, 2, 3, 3)
    reference = nn.BatchNorm2d(3)
    assert torch.allclose(
        made[1](x.mean(1, keepdim=True).expand(4, 3, 3, 3)), reference(x.mean(1, keepdim=True).expand(4, 3, 3, 3))
    )
    assert list(made.state_dict()) == list(net.state_dict())


def test_cross_map_lrn_is_local_response_norm():
    x = torch.randn(2, 7, 3, 4)
    assert torch.equal(nn.CrossMapLRN2d(3, 0.5)(x), nn.LocalResponseNorm(3, 0.5)(x))
    with pytest.raises(ValueError, match="4D"):
        nn.CrossMapLRN2d(3)(torch.ones(2, 3))


def test_adaptive_softmax_predicts_the_most_probable_class():
    layer = nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 10])
    x = 10 * torch.randn(30, 16)
    log_prob = layer.log_prob(x)
    assert torch.allclose(log_prob.exp().sum(1), torch.ones(30), atol=1e-5)
    assert torch.equal(layer.predict(x), log_prob.argmax(1))
    target = torch.randint(0, 20, (30,))
    output, loss = layer(x, target)
    assert torch.allclose(output, log_prob.gather(1, target.unsqueeze(1)).squeeze(1), atol=1e-4)
    assert torch.allclose(loss, -output.mean())


def test_attention_masks():
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.randn(2, 4, 8)
    causal = torch.ones(4, 4, dtype=torch.bool).triu(1)
    y, weights = attention(x, x, x, attn_mask=causal)
    assert (weights.masked_select(causal.expand(2, 4, 4)) == 0).all()
    floats = nn.Transformer.generate_square_subsequent_mask(4)
    assert torch.allclose(attention(x, x, x, attn_mask=floats)[0], y, atol=1e-6)
    assert torch.allclose(attention(x, x, x, attn_mask=causal, need_weights=False)[0], y, atol=1e-6)
    padding = torch.tensor([[False, False, True, True], [False] * 4])
    _, weights = attention(x, x, x, key_padding_mask=padding, average_attn_weights=False)
    assert weights.shape == (2, 2, 4, 4)
    assert (weights[0, :, :, 2:] == 0).all()
    alone, _ = attention(x[0], x[0], x[0])
    assert torch.allclose(alone, attention(x, x, x)[0][0], atol=1e-6)


def test_encoder_recognises_the_causal_mask():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), 2).eval()
    x, mask = torch.randn(5, 3, 8), nn.Transformer.generate_square_subsequent_mask(5)
    y = encoder(x, mask=mask)
    x2 = x.clone()
    x2[3:] = 0
    assert torch.allclose(encoder(x2, mask=mask)[:3], y[:3], atol=1e-5)


def test_embeddings_from_pretrained():
    table = torch.randn(5, 3)
    layer = nn.Embedding.from_pretrained(table)
    assert not layer.weight.requires_grad
    assert layer.weight.data_ptr() == table.data_ptr()
    bag = nn.EmbeddingBag.from_pretrained(table, freeze=False, mode="sum")
    assert bag.weight.requires_grad
    assert torch.allclose(bag(torch.tensor([[1, 2]])), table[1:3].sum(0, keepdim=True))


def test_inplace_activations_write_into_the_input():
    for layer in (
        nn.ReLU(True),
        nn.ReLU6(True),
        nn.Hardtanh(inplace=True),
        nn.ELU(inplace=True),
        nn.LeakyReLU(0.1, True),
    ):
        x = torch.tensor([-2.0, 0.5])
        assert layer(x) is x
        assert x[0].item() != -2
