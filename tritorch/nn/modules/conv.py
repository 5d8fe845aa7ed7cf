"""Convolution layers; the transposed ones are in conv_transpose.py, the lazy ones in conv_lazy.py."""

from __future__ import annotations

from typing import Any

from ...tensor import Tensor
from .. import functional as F
from .conv_base import ConvBase
from .conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, ConvTransposeBase
from .sizes import Size

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

# PyTorch's names of the bases, for isinstance tests in scripts.
_ConvNd, _ConvTransposeNd = ConvBase, ConvTransposeBase


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


def __getattr__(name: str) -> Any:
    """The lazy convolutions, which PyTorch has in this module; their own file imports this one."""
    if name.startswith("Lazy"):
        from . import conv_lazy

        return getattr(conv_lazy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
