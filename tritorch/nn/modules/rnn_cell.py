"""Single recurrent steps: RNNCell, LSTMCell, GRUCell."""

from __future__ import annotations

import math
from typing import Any

from ...autograd.autocast import ACTIVE, back, cast
from ...functional import empty, zeros
from ...kernels.rnn import gru_layer, lstm_layer, rnn_layer
from ...tensor import Parameter, Tensor
from .. import functional as F
from .. import init
from .module import Module

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


class RNNCellBase(Module):
    """What the three share: parameters, checks, repr."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((rows, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(empty((rows, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew from U(-k, k), k = 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text

    def _states(self, x: Tensor, states: tuple[Tensor, ...] | None, n: int) -> list[Tensor]:
        """The states with a batch dim, zeros by default, checked."""
        name = type(self).__name__
        if x.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {x.dim()}D instead")
        if x.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{name}: input has inconsistent input_size: got {x.shape[-1]} expected {self.input_size}"
            )
        batch = x.shape[0] if x.dim() == 2 else 1
        if states is None:
            return [zeros((batch, self.hidden_size), dtype=x.dtype, device=x.device)] * n
        made = []
        for i, state in enumerate(states):
            which = f"hx[{i}]" if n > 1 else "hidden"
            if state.dim() not in (1, 2):
                raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {state.dim()}D instead")
            state = state.unsqueeze(0) if x.dim() == 1 else state
            if tuple(state.shape) != (batch, self.hidden_size):
                raise RuntimeError(
                    f"{name}: {which} must have shape {(batch, self.hidden_size)}; got {tuple(states[i].shape)}"
                )
            made.append(state)
        return made

    def _gates(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x if x.dim() == 2 else x.unsqueeze(0), self.weight_ih, bias)

    def _recurrent(self, kind: str) -> Any:
        """weight_hh and bias_hh, in low precision under autocast."""
        return cast(kind, self.weight_hh, self.bias_hh) if ACTIVE else (self.weight_hh, self.bias_hh)

    def _both_biases(self) -> Tensor | None:
        return None if self.bias_ih is None or self.bias_hh is None else self.bias_ih + self.bias_hh


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Args:
        input_size, hidden_size: sizes of x and h.
        bias: default True.
        nonlinearity: "tanh" or "relu". Default: "tanh".

    Attributes:
        weight_ih, weight_hh: `(H, input_size)`, `(H, H)`. bias_ih, bias_hh: `(H)`.

    >>> import tritorch as torch
    >>> torch.nn.RNNCell(10, 20)(torch.zeros(3, 10)).shape
    torch.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Input `(N, input_size)` or without N, h of the same dims (default zeros); h'."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        if ACTIVE:
            input, hx = cast("rnn_cell", input, hx)
        w_hh, _ = self._recurrent("rnn_cell")
        (h,) = self._states(input, None if hx is None else (hx,), 1)
        gates = self._gates(input, self._both_biases())
        new = rnn_layer(gates, h, w_hh, (h.shape[0],), False, self.nonlinearity == "relu")[0]
        return new if input.dim() == 2 else new.squeeze(0)


class LSTMCell(RNNCellBase):
    """One step of LSTM.

    Args:
        input_size, hidden_size: sizes of x and h.
        bias: default True.

    Attributes:
        weight_ih, weight_hh: `(4 H, input_size)`, `(4 H, H)`, gates in the order i, f, g, o. bias_ih, bias_hh: `(4 H)`.

    >>> import tritorch as torch
    >>> h, c = torch.nn.LSTMCell(10, 20)(torch.zeros(3, 10))
    >>> h.shape, c.shape
    (torch.Size([3, 20]), torch.Size([3, 20]))
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Input `(N, input_size)` or without N, (h, c) of the same dims (default zeros); (h', c')."""
        kind = input.dtype
        if ACTIVE:
            input, hx = cast("lstm_cell", input, hx)
        w_hh, _ = self._recurrent("lstm_cell")
        h, c = self._states(input, None if hx is None else tuple(hx), 2)
        gates = self._gates(input, self._both_biases())
        _, h, c, *_ = lstm_layer(gates, h, c, w_hh, None, (h.shape[0],), False)
        h, c = back("lstm_cell", kind, (h, c))
        return (h, c) if input.dim() == 2 else (h.squeeze(0), c.squeeze(0))


class GRUCell(RNNCellBase):
    """One step of GRU.

    Args:
        input_size, hidden_size: sizes of x and h.
        bias: default True.

    Attributes:
        weight_ih, weight_hh: `(3 H, input_size)`, `(3 H, H)`, gates in the order r, z, n. bias_ih, bias_hh: `(3 H)`.

    >>> import tritorch as torch
    >>> torch.nn.GRUCell(10, 20)(torch.zeros(3, 10)).shape
    torch.Size([3, 20])
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Input `(N, input_size)` or without N, h of the same dims (default zeros); h'."""
        kind = input.dtype
        if ACTIVE:
            input, hx = cast("gru_cell", input, hx)
        w_hh, b_hh = self._recurrent("gru_cell")
        (h,) = self._states(input, None if hx is None else (hx,), 1)
        gates = self._gates(input, self.bias_ih)
        new = gru_layer(gates, h, w_hh, b_hh, (h.shape[0],), False)[0]
        (new,) = back("gru_cell", kind, (new,))
        return new if input.dim() == 2 else new.squeeze(0)
