"""Fold and Unfold: sliding blocks of images as columns, and back."""

from __future__ import annotations

from ...tensor import Tensor
from .. import functional as F
from .module import Module
from .sizes import Size

__all__ = ["Fold", "Unfold"]


class Unfold(Module):
    """Sliding blocks of `(N, C, *)` as the columns of `(N, C prod(kernel_size), L)`.

    Args:
        kernel_size: size of the blocks.
        dilation: default 1.
        padding: zeros on both sides. Default: 0.
        stride: default 1.

    >>> import tritorch as torch
    >>> torch.nn.Unfold(kernel_size=(2, 3))(torch.zeros(2, 5, 3, 4)).shape
    torch.Size([2, 30, 4])
    """

    def __init__(self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1):
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, H, W)` or `(C, H, W)`."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """The sum of sliding blocks, the columns of `(N, C prod(kernel_size), L)`, as an image `(N, C, *output_size)`.

    Args:
        output_size: spatial size of the result.
        kernel_size, dilation, padding, stride: as for Unfold.

    >>> import tritorch as torch
    >>> torch.nn.Fold(output_size=(4, 5), kernel_size=(2, 2))(torch.zeros(1, 12, 12)).shape
    torch.Size([1, 3, 4, 5])
    """

    def __init__(self, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1):
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C prod(kernel_size), L)` or without N."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )
