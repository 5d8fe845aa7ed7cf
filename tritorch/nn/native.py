"""Functions of torch's own namespace that do what nn does, with the positional arguments of PyTorch's C++ signatures.

A reduction is a number there (0: none, 1: mean, 2: sum), and what nn.functional takes by keyword comes by position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import message
from ..functional.creation import empty_like
from ..kernels.rnn import gru_layer, lstm_layer, rnn_layer
from ..tensor import Tensor
from . import functional as F
from .functional.classification import binary_cross_entropy_with_logits as _bce
from .modules.module import Module
from .modules.rnn import GRU, LSTM, RNN

__all__ = [
    "adaptive_max_pool1d", "affine_grid_generator", "alpha_dropout_", "batch_norm", "binary_cross_entropy_with_logits",
    "constant_pad_nd", "conv_tbc", "convolution", "cosine_embedding_loss", "ctc_loss", "dropout_", "embedding",
    "feature_alpha_dropout_", "feature_dropout", "feature_dropout_", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d",
    "gru", "gru_cell", "hinge_embedding_loss", "instance_norm", "kl_div", "lstm", "lstm_cell", "margin_ranking_loss",
    "native_dropout", "native_group_norm", "native_layer_norm", "poisson_nll_loss", "rnn_relu", "rnn_relu_cell", "rnn_tanh",
    "rnn_tanh_cell", "triplet_margin_loss",
]  # fmt: skip

_REDUCTIONS = ("none", "mean", "sum")


def _name(reduction: int) -> str:
    if reduction not in (0, 1, 2):
        raise ValueError(f"reduction must be 0 (none), 1 (mean) or 2 (sum); got {reduction!r}")
    return _REDUCTIONS[reduction]


# ---- layers


def embedding(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Tensor:
    """Rows of `weight`; padding_idx -1: no padding row."""
    return F.embedding(
        indices, weight, None if padding_idx == -1 else padding_idx, None, 2.0, scale_grad_by_freq, sparse
    )


def batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None,
    training: bool, momentum: float, eps: float, cudnn_enabled: bool = False,
) -> Tensor:  # fmt: skip
    """As `torch.nn.functional.batch_norm`."""
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None,
    use_input_stats: bool, momentum: float, eps: float, cudnn_enabled: bool = False,
) -> Tensor:  # fmt: skip
    """As `torch.nn.functional.instance_norm`."""
    return F.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def native_layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(y, mean, 1 / sqrt(var + eps)) of `torch.nn.functional.layer_norm`."""
    x: Any = input
    dims = tuple(range(x.dim() - len(normalized_shape), x.dim()))
    mean = x.mean(dims, True)
    scale = (x.var(dims, correction=0, keepdim=True) + eps).rsqrt()
    return F.layer_norm(input, normalized_shape, weight, bias, eps), mean.detach(), scale.detach()


def native_group_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, N: int, C: int, HxW: int, group: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(y, mean, 1 / sqrt(var + eps)) of `torch.nn.functional.group_norm`."""
    x: Any = input
    rows = x.reshape((N, group, C // group * HxW))
    scale = (rows.var(-1, correction=0) + eps).rsqrt()
    return F.group_norm(input, group, weight, bias, eps), rows.mean(-1), scale


def native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """(y, mask): dropout and which elements were kept."""
    x: Any = input
    if not train:
        return x.clone(), x.new_ones(x.shape, dtype=None).bool()
    mask = empty_like(x).bernoulli_(1 - p)
    return x * mask * (0.0 if p == 1 else 1 / (1 - p)), mask.bool()


def dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """Dropout in place; returns input."""
    return F.dropout(input, p, train, True)


def alpha_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """Alpha dropout in place; returns input."""
    return F.alpha_dropout(input, p, train, True)


def feature_alpha_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """Alpha dropout of whole channels in place; returns input."""
    return F.feature_alpha_dropout(input, p, train, True)


def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Dropout of whole channels: input (N, C, ...)."""
    if input.ndim < 2:
        raise RuntimeError(message("feature_dropout", "needs at least 2 dimensions in the input", input=input))
    x: Any = input
    ones = x.new_ones((*x.shape[:2], *[1] * (x.dim() - 2)))
    return x * F.dropout(ones, p, train)


def feature_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """Dropout of whole channels in place; returns input."""
    x: Any = input
    return x.copy_(feature_dropout(x, p, train))


def constant_pad_nd(input: Tensor, pad: Sequence[int], value: float = 0) -> Tensor:
    """As `torch.nn.functional.pad` in mode "constant"."""
    return F.pad(input, list(pad), "constant", value)


def convolution(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], transposed: bool, output_padding: Sequence[int], groups: int,
) -> Tensor:  # fmt: skip
    """conv1d, conv2d or conv3d, or their transposes, by the number of the weight's dims."""
    n = weight.ndim - 2
    if n not in (1, 2, 3):
        raise RuntimeError(message("convolution", "weight must have 3 to 5 dims", weight=weight))
    if transposed:
        f = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[n - 1]
        return f(input, weight, bias, tuple(stride), tuple(padding), tuple(output_padding), groups, tuple(dilation))
    g = (F.conv1d, F.conv2d, F.conv3d)[n - 1]
    return g(input, weight, bias, tuple(stride), tuple(padding), tuple(dilation), groups)


def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """conv1d of (time, batch, channels) with a weight (width, in channels, out channels)."""
    x: Any = input
    w: Any = weight
    y: Any = F.conv1d(x.permute((1, 2, 0)), w.permute((2, 1, 0)), bias, 1, pad)
    return y.permute((2, 0, 1))


def adaptive_max_pool1d(input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """(y, indices)."""
    return F.adaptive_max_pool1d(input, output_size, True)  # type: ignore[return-value]


_MODES, _PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """As `torch.nn.functional.grid_sample`, modes by their numbers."""
    return F.grid_sample(input, grid, _MODES[interpolation_mode], _PADDINGS[padding_mode], align_corners)


grid_sampler_2d = grid_sampler_3d = grid_sampler


def affine_grid_generator(theta: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """As `torch.nn.functional.affine_grid`."""
    return F.affine_grid(theta, size, align_corners)


# ---- losses


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None, reduction: int = 1
) -> Tensor:
    """As in nn.functional."""
    return _bce(input, target, weight, None, None, _name(reduction), pos_weight)


def kl_div(input: Tensor, target: Tensor, reduction: int = 1, *, log_target: bool = False) -> Tensor:
    """As in nn.functional."""
    return F.kl_div(input, target, reduction=_name(reduction), log_target=log_target)


def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int) -> Tensor:
    """As in nn.functional."""
    return F.poisson_nll_loss(input, target, log_input, full, None, eps, None, _name(reduction))


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 1) -> Tensor:
    """As in nn.functional."""
    return F.hinge_embedding_loss(input, target, margin, reduction=_name(reduction))


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1
) -> Tensor:
    """As in nn.functional."""
    return F.margin_ranking_loss(input1, input2, target, margin, reduction=_name(reduction))


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1
) -> Tensor:
    """As in nn.functional."""
    return F.cosine_embedding_loss(input1, input2, target, margin, reduction=_name(reduction))


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6,
    swap: bool = False, reduction: int = 1,
) -> Tensor:  # fmt: skip
    """As in nn.functional."""
    return F.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction=_name(reduction))


def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0, reduction: int = 1,
    zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """As in nn.functional."""
    return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, _name(reduction), zero_infinity)


# ---- recurrent layers


def _network(cls: Any, mode: str, args: tuple, hidden: int, params: Sequence[Tensor]) -> Module:
    """A recurrent module around given weights, without weights of its own."""
    has_biases, layers, dropout, train, bidirectional, batch_first = args
    m: Any = cls.__new__(cls)
    Module.__init__(m)
    directions = 2 if bidirectional else 1
    each = len(params) // (layers * directions)
    m.mode, m.input_size, m.hidden_size, m.num_layers = mode, params[0].shape[1], hidden, layers
    m.bias, m.batch_first, m.dropout, m.bidirectional = has_biases, batch_first, float(dropout), bidirectional
    m.proj_size = params[each - 1].shape[0] if each in (3, 5) else 0
    m.training = train
    m._all_weights = [[f"w{k}_{i}" for i in range(each)] for k in range(layers * directions)]
    for names, weights in zip(m._all_weights, zip(*[iter(params)] * each, strict=True), strict=True):
        for name, w in zip(names, weights, strict=True):
            object.__setattr__(m, name, w)
    return m


def lstm(
    input: Tensor, hx: Sequence[Tensor], params: Sequence[Tensor], has_biases: bool, num_layers: int, dropout: float,
    train: bool, bidirectional: bool, batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """(y, h, c) of `torch.nn.LSTM` with the given weights."""
    options = has_biases, num_layers, dropout, train, bidirectional, batch_first
    y, (h, c) = _network(LSTM, "LSTM", options, hx[1].shape[-1], params)(input, tuple(hx))
    return y, h, c


def gru(
    input: Tensor, hx: Tensor, params: Sequence[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool,
    bidirectional: bool, batch_first: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(y, h) of `torch.nn.GRU` with the given weights."""
    options = has_biases, num_layers, dropout, train, bidirectional, batch_first
    return _network(GRU, "GRU", options, hx.shape[-1], params)(input, hx)


def rnn_tanh(
    input: Tensor, hx: Tensor, params: Sequence[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool,
    bidirectional: bool, batch_first: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(y, h) of `torch.nn.RNN` with the given weights."""
    options = has_biases, num_layers, dropout, train, bidirectional, batch_first
    return _network(RNN, "RNN_TANH", options, hx.shape[-1], params)(input, hx)


def rnn_relu(
    input: Tensor, hx: Tensor, params: Sequence[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool,
    bidirectional: bool, batch_first: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(y, h) of `torch.nn.RNN` with relu and the given weights."""
    options = has_biases, num_layers, dropout, train, bidirectional, batch_first
    return _network(RNN, "RNN_RELU", options, hx.shape[-1], params)(input, hx)


def lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """(h', c') of `torch.nn.LSTMCell` with the given weights; input (N, input size)."""
    gates = F.linear(input, w_ih, b_ih if b_hh is None or b_ih is None else b_ih + b_hh)  # type: ignore[operator]
    _, h, c, *_ = lstm_layer(gates, hx[0], hx[1], w_hh, None, (hx[0].shape[0],), False)
    return h, c


def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """h' of `torch.nn.GRUCell` with the given weights; input (N, input size)."""
    return gru_layer(F.linear(input, w_ih, b_ih), hx, w_hh, b_hh, (hx.shape[0],), False)[0]


def _plain_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any, b_hh: Any, relu: bool) -> Tensor:
    gates = F.linear(input, w_ih, b_ih if b_hh is None or b_ih is None else b_ih + b_hh)
    return rnn_layer(gates, hx, w_hh, (hx.shape[0],), False, relu)[0]


def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """h' of `torch.nn.RNNCell` with the given weights."""
    return _plain_cell(input, hx, w_ih, w_hh, b_ih, b_hh, False)


def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """h' of `torch.nn.RNNCell` with relu and the given weights."""
    return _plain_cell(input, hx, w_ih, w_hh, b_ih, b_hh, True)
