"""What plain and transposed convolutions share."""

from __future__ import annotations

import math
from typing import Any

from ...functional import empty
from ...tensor import Parameter, Tensor
from .. import init
from .module import Module
from .sizes import Size, ntuple

_MODES = ("zeros", "reflect", "replicate", "circular")


class ConvBase(Module):
    """What all convolutions share: checks, parameters and their first values, repr."""

    n_dims: int
    weight: Tensor
    bias: Tensor | None

    def _setup(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size | str,
        dilation: Size,
        transposed: bool,
        output_padding: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        name, n = type(self).__name__, self.n_dims
        if groups <= 0:
            raise ValueError(f"{name}: groups must be a positive integer; got {groups}")
        if in_channels % groups:
            raise ValueError(f"{name}: in_channels must be divisible by groups; got {in_channels} and {groups}")
        if out_channels % groups:
            raise ValueError(f"{name}: out_channels must be divisible by groups; got {out_channels} and {groups}")
        self.kernel_size, self.stride, self.dilation = (ntuple(v, n) for v in (kernel_size, stride, dilation))
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"{name}: Invalid padding string {padding!r}, should be 'same' or 'valid'")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError(f"{name}: padding='same' is not supported for strided convolutions; got {stride}")
            self.padding: Any = padding
        else:
            self.padding = ntuple(padding, n)
        if padding_mode not in _MODES:
            raise ValueError(f"{name}: padding_mode must be one of {_MODES}, but got padding_mode={padding_mode!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.transposed, self.output_padding = transposed, ntuple(output_padding, n)
        self.padding_mode = padding_mode
        # What F.pad takes for a padding mode other than zeros: amounts from the last dim to the first.
        amounts: list[int] = []
        for k, d, p in zip(self.kernel_size, self.dilation, self._both_sides(), strict=True):
            total = d * (k - 1)
            amounts[:0] = (total // 2, total - total // 2) if p == "same" else (p, p)
        self._reversed_padding_repeated_twice = amounts

        first, second = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        self.weight = Parameter(empty((first, second // groups, *self.kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _both_sides(self) -> tuple[Any, ...]:
        if self.padding == "same":
            return ("same",) * self.n_dims
        return (0,) * self.n_dims if self.padding == "valid" else self.padding

    def reset_parameters(self) -> None:
        """Draw the parameters anew from U(-k, k), k = 1 / sqrt(fan_in)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init.fans(self.weight)
            if fan_in:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        n = self.n_dims
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * n:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * n:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * n:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text
