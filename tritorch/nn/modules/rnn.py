"""Recurrent layers over whole sequences: RNN, LSTM, GRU. Single steps are in rnn_cell.py."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ...autograd.autocast import ACTIVE, cast
from ...autograd.autocast import back as cast_back
from ...functional import cat, empty, stack, zeros
from ...kernels.rnn import gru_layer, lstm_layer, rnn_layer
from ...tensor import Parameter, Tensor
from .. import functional as F
from .. import init
from ..utils.rnn import PackedSequence
from .module import Module
from .rnn_cell import GRUCell, LSTMCell, RNNCell, RNNCellBase

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"]

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class RNNBase(Module):
    """What the three share: parameters, checks, the run over layers and directions.

    Args:
        mode: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU"; the others as for LSTM.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        if mode not in GATES:
            raise ValueError(f"Unrecognized RNN mode: {mode}; known: {list(GATES)}")
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed; "
                f"got {dropout!r}"
            )
        for name, value in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(value, bool):
                raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")
        for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if not isinstance(value, int):
                raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
            if value <= 0:
                raise ValueError(f"{name} must be greater than zero; got {value}")
        if proj_size < 0:
            raise ValueError(f"proj_size should be a positive integer or zero to disable projections; got {proj_size}")
        if proj_size >= hidden_size:
            raise ValueError(f"proj_size has to be smaller than hidden_size; got {proj_size} and {hidden_size}")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._all_weights: list[list[str]] = []
        rows, out, directions = GATES[mode] * hidden_size, proj_size or hidden_size, 2 if bidirectional else 1
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[:directions]:
                width = input_size if layer == 0 else out * directions
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, out)}
                if bias:
                    shapes.update(bias_ih=(rows,), bias_hh=(rows,))
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                names = [f"{name}_l{layer}{suffix}" for name in shapes]
                for name, shape in zip(names, shapes.values(), strict=True):
                    setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))
                self._all_weights.append(names)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew from U(-k, k), k = 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters, one list per layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Parameter]:
        return [getattr(self, name) for name in self._flat_weights_names]

    def flatten_parameters(self) -> None:
        """For scripts that call it: the weights are used where they are, there is nothing to rearrange."""

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size != 0:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.batch_first is not False:
            text += f", batch_first={self.batch_first}"
        if self.dropout != 0:
            text += f", dropout={self.dropout}"
        if self.bidirectional is not False:
            text += f", bidirectional={self.bidirectional}"
        return text

    @property
    def _listed(self) -> str:
        """The layer's name in autocast's lists."""
        return self.mode.partition("_")[0].lower()

    # The run

    def _forward(self, input: Any, states: tuple[Tensor, ...] | None, widths: tuple[int, ...]) -> tuple[Any, tuple]:
        """Output and final states; `widths` are the sizes of the states' last dims."""
        name = type(self).__name__
        packed = isinstance(input, PackedSequence)
        given = input.data.dtype if packed else input.dtype
        if ACTIVE:
            if packed:
                x, states = cast(self._listed, input.data, states)
                input = PackedSequence(x, *input[1:])
            else:
                input, states = cast(self._listed, input, states)
        directions = 2 if self.bidirectional else 1
        if packed:
            x, batch_sizes, order, back = input
            sizes = tuple(batch_sizes.tolist())
            batch, batched = sizes[0], True
            self._check_input(name, x, 2)
        else:
            if input.dim() not in (2, 3):
                raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.dim()}D instead")
            batched = input.dim() == 3
            x = input if batched else input.unsqueeze(1)
            if batched and self.batch_first:
                x = x.transpose(0, 1)
            self._check_input(name, x, 3)
            steps, batch = x.shape[:2]
            if steps == 0:
                raise RuntimeError(f"{name}: Expected sequence length to be larger than 0 in RNN")
            sizes, order, back = (batch,) * steps, None, None
            x = x.reshape((steps * batch, self.input_size))
        n = self.num_layers * directions
        if states is None:
            states = tuple(zeros((n, batch, width), dtype=x.dtype, device=x.device) for width in widths)
        else:
            states = self._checked_states(name, states, widths, n, batch, batched)
            if order is not None:
                states = tuple(s.index_select(1, order) for s in states)

        finals: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            outputs = []
            for d in range(directions):
                k = layer * directions + d
                weights = [getattr(self, w) for w in self._all_weights[k]]
                if ACTIVE:
                    (weights,) = cast(self._listed, weights)
                y, *last = self._one(x, [s[k] for s in states], weights, sizes, d == 1)
                outputs.append(y)
                finals.append(tuple(last))
            x = outputs[0] if directions == 1 else cat(outputs, 1)
            if self.dropout and self.training and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, True)
        last = tuple(stack(list(parts), 0) for parts in zip(*finals, strict=True))
        if ACTIVE:
            x, *last = cast_back(self._listed, given, (x, *last))
            last = tuple(last)

        if packed:
            if back is not None:
                last = tuple(s.index_select(1, back) for s in last)
            return PackedSequence(x, batch_sizes, order, back), last
        if not batched:
            return x, tuple(s.squeeze(1) for s in last)
        x = x.reshape((len(sizes), batch, x.shape[-1]))
        return x.transpose(0, 1) if self.batch_first else x, last

    def _one(
        self, x: Tensor, states: list[Tensor], weights: list[Tensor], sizes: tuple[int, ...], reverse: bool
    ) -> tuple[Tensor, ...]:
        """One layer in one direction: y and the final states."""
        w_ih, w_hh = weights[:2]
        b_ih, b_hh = weights[2:4] if self.bias else (None, None)
        if self.mode == "GRU":  # the reset gate multiplies h w^T + b_hh, so b_hh cannot join b_ih
            return gru_layer(F.linear(x, w_ih, b_ih), states[0], w_hh, b_hh, sizes, reverse)[:2]
        bias = None if b_ih is None or b_hh is None else b_ih + b_hh
        gx = F.linear(x, w_ih, bias)
        if self.mode == "LSTM":
            projection = weights[-1] if self.proj_size else None
            return lstm_layer(gx, states[0], states[1], w_hh, projection, sizes, reverse)[:3]
        return rnn_layer(gx, states[0], w_hh, sizes, reverse, self.mode == "RNN_RELU")

    def _check_input(self, name: str, x: Tensor, dims: int) -> None:
        if x.dim() != dims:
            raise RuntimeError(f"{name}: input must have {dims} dimensions, got {x.dim()}")
        if x.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{name}: input.size(-1) must be equal to input_size. Expected {self.input_size}, got {x.shape[-1]}"
            )
        weight = getattr(self, self._all_weights[0][0])
        kind = (cast(self._listed, weight)[0] if ACTIVE else weight).dtype
        if x.dtype != kind:
            raise ValueError(
                f"{name}: RNN input dtype ({x.dtype}) does not match weight dtype ({kind}). "
                f"Convert input: input.to({kind}), or convert model: model.to({x.dtype})"
            )

    @staticmethod
    def _checked_states(
        name: str, states: tuple[Tensor, ...], widths: tuple[int, ...], n: int, batch: int, batched: bool
    ) -> tuple[Tensor, ...]:
        wanted = 3 if batched else 2
        if any(s.dim() != wanted for s in states):
            kind = "batched 3-D" if batched else "unbatched 2-D"
            dims = " and ".join(f"{s.dim()}-D" for s in states)
            raise RuntimeError(f"{name}: For {kind} input, hx should also be {wanted}-D but got {dims}")
        if not batched:
            states = tuple(s.unsqueeze(1) for s in states)
        for i, (state, width) in enumerate(zip(states, widths, strict=True)):
            if tuple(state.shape) != (n, batch, width):
                which = f"hidden[{i}]" if len(states) > 1 else "hidden"
                raise RuntimeError(f"{name}: Expected {which} size {(n, batch, width)}, got {list(state.shape)}")
        return states


class _OneState(RNNBase):
    def __init__(self, mode: str, *args: Any, **kwargs: Any):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__(mode, *args, **kwargs)

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """The output and the final state.

        Args:
            input: `(T, N, input_size)`, with batch_first `(N, T, *)`, `(T, *)`, or a PackedSequence.
            hx: h_0, `(layers * dirs, N, H)`. Default: zeros.

        Returns:
            the output `(T, N, dirs * H)` in the input's layout, and h_n of the shape of h_0.
        """
        output, states = self._forward(input, None if hx is None else (hx,), (self.hidden_size,))
        return output, states[0]


class RNN(_OneState):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh); Elman, Finding structure in time, 1990.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional: as for LSTM.
        nonlinearity: "tanh" or "relu", after num_layers. Default: "tanh".

    >>> import tritorch as torch
    >>> output, h = torch.nn.RNN(10, 20, 2)(torch.zeros(5, 3, 10))
    >>> output.shape, h.shape
    (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(self, *args: Any, **kwargs: Any):
        if len(args) > 3:
            nonlinearity, args = args[3], (*args[:3], *args[4:])
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity


class GRU(_OneState):
    """r, z = sigmoid(.), n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h' = (1 - z) n + z h.

    Cho et al., arXiv:1406.1078.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional: as for LSTM.

    >>> import tritorch as torch
    >>> output, h = torch.nn.GRU(10, 20, bidirectional=True)(torch.zeros(5, 3, 10))
    >>> output.shape, h.shape
    (torch.Size([5, 3, 40]), torch.Size([2, 3, 20]))
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__("GRU", *args, **kwargs)


class LSTM(RNNBase):
    """i, f, o = sigmoid(.), g = tanh(.) of W_ih x + b_ih + W_hh h + b_hh, c' = f c + i g, h' = o tanh(c').

    Hochreiter and Schmidhuber, Long short-term memory, 1997; projections: Sak et al., arXiv:1402.1128.

    Args:
        input_size: size of the input's last dim.
        hidden_size: H.
        num_layers: layers one after the other. Default: 1.
        bias: default True.
        batch_first: input and output are `(N, T, *)` instead of `(T, N, *)`. Default: False.
        dropout: of each layer's output but the last's, in training. Default: 0.
        bidirectional: a second run from the end; the outputs are joined. Default: False.
        proj_size: h' = W_hr o tanh(c') has this size. Default: 0, none.

    Attributes:
        weight_ih_l0, weight_hh_l0: `(4 H, input_size)`, `(4 H, H)`, gates in the order i, f, g, o; from U(-k, k) with
            k = 1 / sqrt(H). bias_ih_l0, bias_hh_l0: `(4 H)`. Further layers l1, ...; the other direction `_reverse`.

    >>> import tritorch as torch
    >>> output, (h, c) = torch.nn.LSTM(10, 20, 2)(torch.zeros(5, 3, 10))
    >>> output.shape, h.shape, c.shape
    (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__("LSTM", *args, **kwargs)

    def forward(self, input: Any, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Any, tuple[Tensor, Tensor]]:
        """The output and the final states.

        Args:
            input: `(T, N, input_size)`, with batch_first `(N, T, *)`, `(T, *)`, or a PackedSequence.
            hx: (h_0, c_0), each `(layers * dirs, N, H)`, h_0 with proj_size in the place of H. Default: zeros.

        Returns:
            the output `(T, N, dirs * H)` in the input's layout, and (h_n, c_n) of the shapes of (h_0, c_0).
        """
        widths = self.proj_size or self.hidden_size, self.hidden_size
        output, states = self._forward(input, None if hx is None else tuple(hx), widths)
        return output, (states[0], states[1])
