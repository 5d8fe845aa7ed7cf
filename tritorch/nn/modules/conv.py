"""Convolution layers; the transposed ones are in conv_transpose.py, the lazy ones in conv_lazy.py."""

from __future__ import annotations

import math
from typing import Any

from ...functional import empty
from ...tensor import Parameter, Tensor
from .. import functional as F
from .. import init
from .module import Module
from .sizes import Size, ntuple

__all__ = ["Conv1d", "Conv2d", "Conv3d"]

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


class _Conv(ConvBase):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self._setup(
            in_channels, out_channels, kernel_size, stride, padding, dilation, False, 0, groups, bias, padding_mode,
            device, dtype,
        )  # fmt: skip

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        raise NotImplementedError

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, *)` or `(C, *)`."""
        return self._conv_forward(input, self.weight, self.bias)

    def _convolve(self, function: Any, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode == "zeros":
            return function(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        padded = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
        return function(padded, weight, bias, self.stride, 0, self.dilation, self.groups)


class Conv1d(_Conv):
    """Cross-correlation over the last dim: y_o = b_o + sum over c of w_oc * x_c.

    Args:
        in_channels, out_channels: C of the input and of the output.
        kernel_size: size of the window.
        stride: step of the window. Default: 1.
        padding: on both sides; a number per dim, "valid" (none) or "same" (output as long as the input). Default: 0.
        dilation: distance between elements of the window. Default: 1.
        groups: channels are split into this many groups that do not mix. Default: 1.
        bias: add b. Default: True.
        padding_mode: "zeros", "reflect", "replicate" or "circular". Default: "zeros".
        device, dtype: of the parameters.

    Attributes:
        weight: `(out_channels, in_channels / groups, kernel_size)`.
        bias: `(out_channels)`.

    Raises:
        ValueError: channels that groups do not divide, an unknown padding or padding mode, "same" with a stride.

    >>> import tritorch as torch
    >>> torch.nn.Conv1d(16, 33, 3, stride=2)(torch.zeros(20, 16, 50)).shape
    torch.Size([20, 33, 24])
    """

    n_dims = 1

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self._convolve(F.conv1d, input, weight, bias)


class Conv2d(_Conv):
    """Cross-correlation over the last 2 dims; arguments as for Conv1d, one or two numbers each.

    >>> import tritorch as torch
    >>> torch.nn.Conv2d(3, 8, (3, 5), stride=(2, 1), padding=(4, 2))(torch.zeros(2, 3, 10, 12)).shape
    torch.Size([2, 8, 8, 12])
    """

    n_dims = 2

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self._convolve(F.conv2d, input, weight, bias)


class Conv3d(_Conv):
    """Cross-correlation over the last 3 dims; arguments as for Conv1d, one or three numbers each.

    >>> import tritorch as torch
    >>> torch.nn.Conv3d(2, 3, 3)(torch.zeros(1, 2, 5, 6, 7)).shape
    torch.Size([1, 3, 3, 4, 5])
    """

    n_dims = 3

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self._convolve(F.conv3d, input, weight, bias)
