"""Recurrent layers: shapes, packed batches, second derivatives, errors."""

from __future__ import annotations

import pytest

import tritorch as torch
from tritorch import nn
from tritorch.nn.utils.rnn import pack_sequence, pad_packed_sequence

KINDS = [nn.RNN, nn.GRU, nn.LSTM]


@pytest.mark.parametrize("kind", KINDS)
def test_layers_directions_and_layouts(kind):
    layer = kind(3, 4, 2, bidirectional=True, batch_first=True)
    y, states = layer(torch.randn(5, 7, 3))
    assert y.shape == (5, 7, 8)
    for s in states if kind is nn.LSTM else (states,):
        assert s.shape == (4, 5, 4)
    y, states = layer(torch.randn(7, 3))
    assert y.shape == (7, 8)
    assert (states[0] if kind is nn.LSTM else states).shape == (4, 4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences_equal_single_ones(kind, bidirectional):
    layer = kind(3, 4, 2, bidirectional=bidirectional)
    sequences = [torch.randn(n, 3) for n in (2, 5, 1)]
    output, states = layer(pack_sequence(sequences, enforce_sorted=False))
    padded, lengths = pad_packed_sequence(output)
    assert lengths.tolist() == [2, 5, 1]
    for i, sequence in enumerate(sequences):
        y, alone = layer(sequence)
        assert torch.allclose(padded[: len(sequence), i], y, atol=1e-6)
        pairs = zip(states, alone, strict=True) if kind is nn.LSTM else [(states, alone)]
        for s, a in pairs:
            assert torch.allclose(s[:, i], a, atol=1e-6)


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_cells_step_as_the_layers(cell):
    kind = {nn.RNNCell: nn.RNN, nn.GRUCell: nn.GRU, nn.LSTMCell: nn.LSTM}[cell]
    one, layer = cell(3, 4), kind(3, 4)
    layer.load_state_dict({f"{name}_l0": value for name, value in one.state_dict().items()})
    x, state = torch.randn(6, 2, 3), None
    for t in range(6):
        state = one(x[t], state)
    _, last = layer(x)
    pairs = zip(state, last, strict=True) if cell is nn.LSTMCell else [(state, last)]
    for a, b in pairs:
        assert torch.allclose(a, b[0], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives(kind):
    layer = kind(2, 3).double()
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], (x,))


def test_all_parameters_by_name():
    layer = nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2)
    assert layer.all_weights[3][4] is layer.weight_hr_l1_reverse
    assert len(layer._flat_weights) == 20
    layer.flatten_parameters()


BAD = [
    (lambda: nn.LSTM(3, 4)(torch.randn(5, 2, 7)), RuntimeError, r"Expected 3, got 7"),
    (lambda: nn.LSTM(3, 4)(torch.randn(2, 5, 2, 3)), ValueError, "2D or 3D, got 4D"),
    (lambda: nn.LSTM(3, 4)(torch.randn(5, 2, 3).double()), ValueError, "does not match weight dtype"),
    (lambda: nn.LSTM(3, 4)(torch.randn(0, 2, 3)), RuntimeError, "sequence length to be larger than 0"),
    (lambda: nn.GRU(3, 4)(torch.randn(5, 2, 3), torch.randn(2, 2, 4)), RuntimeError, r"hidden size \(1, 2, 4\)"),
    (lambda: nn.GRU(3, 4)(torch.randn(5, 2, 3), torch.randn(2, 4)), RuntimeError, "should also be 3-D but got 2-D"),
    (lambda: nn.LSTM(3, 4)(torch.randn(5, 3), (torch.randn(1, 1, 4),) * 2), RuntimeError, "should also be 2-D"),
    (lambda: nn.GRU(3, 4, proj_size=2), ValueError, "only supported for LSTM"),
    (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "smaller than hidden_size"),
    (lambda: nn.LSTM(3, 4, dropout=1.5), ValueError, "dropout should be a number"),
    (lambda: nn.LSTM(3, 0), ValueError, "hidden_size must be greater than zero"),
    (lambda: nn.LSTM(3.0, 4), TypeError, "input_size should be of type int"),
    (lambda: nn.LSTM(3, 4, bias=1), TypeError, "bias should be of type bool"),
    (lambda: nn.RNN(3, 4, nonlinearity="gelu"), ValueError, "Unknown nonlinearity"),
    (lambda: nn.RNNCell(3, 4)(torch.randn(2, 5)), RuntimeError, "got 5 expected 3"),
    (lambda: nn.LSTMCell(3, 4)(torch.randn(2, 2, 3)), ValueError, "1D or 2D, got 3D"),
    (lambda: nn.GRUCell(3, 4)(torch.randn(2, 3), torch.randn(3, 4)), RuntimeError, r"must have shape \(2, 4\)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "text"), BAD)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_dropout_on_one_layer_warns():
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        nn.LSTM(3, 4, dropout=0.5)
