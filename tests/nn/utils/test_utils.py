"""clip_grad, convert_parameters, fusion, skip_init, the hook-based norms, pruning, sequences: errors and edges."""

from __future__ import annotations

import math

import pytest

import tritorch as torch
from tritorch import nn
from tritorch.nn import utils
from tritorch.nn.utils import prune, rnn


def test_clip_grad_edges():
    assert utils.clip_grad_norm_([], 1.0).item() == 0
    with pytest.warns(UserWarning, match="empty generator"):
        utils.clip_grad_norm_((p for p in []), 1.0)
    p = nn.Parameter(torch.zeros(2))
    utils.clip_grad_norm_([p], 1.0)
    p.grad = torch.tensor([math.inf, 1.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    assert p.grad[1].item() == 1
    p.grad = torch.tensor([3.0, 4.0])
    with pytest.warns(FutureWarning):
        assert utils.clip_grad_norm([p], 1.0).item() == 5


def test_parameters_as_one_vector():
    net = nn.Linear(2, 3)
    vector = utils.parameters_to_vector(net.parameters())
    assert vector.shape == (9,)
    utils.vector_to_parameters(torch.arange(9.0), net.parameters())
    assert net.bias.tolist() == [6, 7, 8]
    assert utils.parameters_to_vector(net.parameters()).tolist() == list(range(9))
    with pytest.raises(TypeError, match="expected torch.Tensor"):
        utils.vector_to_parameters([1], net.parameters())


def test_fusion():
    linear, bn = nn.Linear(3, 4), nn.BatchNorm1d(4)
    x = torch.randn(10, 3)
    bn(linear(x))
    with pytest.raises(AssertionError, match="eval"):
        utils.fuse_linear_bn_eval(linear, bn)
    linear.eval(), bn.eval()
    assert torch.allclose(utils.fuse_linear_bn_eval(linear, bn)(x), bn(linear(x)), atol=1e-5)
    deconv, bn2 = nn.ConvTranspose2d(2, 3, 2).eval(), nn.BatchNorm2d(3).eval()
    bn2.running_var.fill_(3)
    y = torch.randn(1, 2, 4, 4)
    assert torch.allclose(utils.fuse_conv_bn_eval(deconv, bn2, transpose=True)(y), bn2(deconv(y)), atol=1e-5)
    with pytest.raises(AssertionError, match="no running statistics"):
        utils.fuse_linear_bn_eval(linear, nn.BatchNorm1d(4, track_running_stats=False).eval())
    with pytest.raises(AssertionError, match="num_features"):
        utils.fuse_linear_bn_eval(linear, nn.BatchNorm1d(3).eval())


def test_skip_init_draws_no_random_numbers():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    assert utils.skip_init(nn.Linear, 100, 100).weight.shape == (100, 100)
    assert torch.equal(torch.rand(1), expected)
    assert nn.init.uniform_(torch.zeros(50)).max() > 0
    with pytest.raises(RuntimeError, match="Module class"):
        utils.skip_init(int)
    with pytest.raises(RuntimeError, match="'device' arg"):
        utils.skip_init(nn.ReLU)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_hook_based_norms(kind):
    apply, undo = getattr(utils, kind), getattr(utils, f"remove_{kind}")
    layer = apply(nn.Linear(3, 2))
    with pytest.raises(RuntimeError, match="Cannot register two"):
        apply(layer)
    assert not isinstance(layer.weight, nn.Parameter)
    undo(layer)
    assert isinstance(layer.weight, nn.Parameter)
    assert set(layer.state_dict()) == {"weight", "bias"}
    with pytest.raises(ValueError, match="not found"):
        undo(layer)
    with pytest.raises(ValueError, match="uninitialized"):
        apply(nn.LazyLinear(2))


BAD_PRUNES = [
    (lambda m: prune.l1_unstructured(m, "weight", 1.5), ValueError),
    (lambda m: prune.l1_unstructured(m, "weight", 100), ValueError),
    (lambda m: prune.l1_unstructured(m, "weight", "a"), TypeError),
    (lambda m: prune.ln_structured(m, "bias", 1, 2, 0), ValueError),
    (lambda m: prune.ln_structured(m, "weight", 1, 2, 7), IndexError),
    (lambda m: prune.custom_from_mask(m, "weight", torch.ones(1)), AssertionError),
    (lambda m: prune.l1_unstructured(m, "weight", 1, importance_scores=torch.ones(1)), AssertionError),
    (lambda m: prune.remove(m, "weight"), ValueError),
    (lambda m: prune.global_unstructured(3, prune.L1Unstructured, amount=1), TypeError),
    (lambda m: prune.global_unstructured([(m, "weight")], prune.LnStructured, amount=1, n=2), TypeError),
]


@pytest.mark.parametrize(("call", "error"), BAD_PRUNES)
def test_a_pruning_that_fails_changes_nothing(call, error):
    m = nn.Linear(4, 3)
    with pytest.raises(error):
        call(m)
    assert list(m.state_dict()) == ["weight", "bias"]
    assert not prune.is_pruned(m)


def test_pruned_module_trains_its_original():
    m = prune.l1_unstructured(nn.Linear(4, 3), "weight", 0.5)
    m(torch.ones(2, 4)).sum().backward()
    assert torch.equal(m.weight_orig.grad, 2 * m.weight_mask)
    original = m.weight_orig
    prune.remove(m, "weight")
    assert m.weight is original
    assert (m.weight == 0).sum() == 6


BAD_SEQUENCES = [
    (lambda: rnn.pack_padded_sequence(torch.ones(3, 2, 1), [1, 3]), RuntimeError, "sorted in decreasing order"),
    (lambda: rnn.pack_padded_sequence(torch.ones(3, 2, 1), [3, 0]), RuntimeError, "greater than 0"),
    (lambda: rnn.pack_padded_sequence(torch.ones(3, 2, 1), [3]), RuntimeError, "batch_size 2"),
    (lambda: rnn.pack_padded_sequence(torch.ones(3, 2, 1), [4, 1]), RuntimeError, "lengths up to 3"),
    (lambda: rnn.pad_sequence(3), RuntimeError, "iterable"),
    (lambda: rnn.pad_sequence([]), RuntimeError, "empty list"),
    (lambda: rnn.pad_sequence([torch.ones(2, 1), torch.ones(1, 2)]), RuntimeError, "must agree"),
    (lambda: rnn.pad_sequence([torch.ones(2)], padding_side="top"), RuntimeError, "padding_side"),
    (lambda: rnn.pad_packed_sequence(rnn.pack_sequence([torch.ones(3)]), total_length=2), ValueError, "total_length"),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD_SEQUENCES)
def test_sequence_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_packed_sequence_moves():
    packed = rnn.pack_sequence([torch.ones(2), torch.ones(3)], enforce_sorted=False)
    assert packed.double().data.dtype is torch.float64
    assert packed.to(torch.float32) is packed
    assert packed.long().unsorted_indices.tolist() == [1, 0]
    assert not packed.is_cuda
    assert rnn.invert_permutation(None) is None
