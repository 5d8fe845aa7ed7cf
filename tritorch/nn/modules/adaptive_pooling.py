"""Pooling layers that are given the size of their output."""

from __future__ import annotations

from typing import Any

from ...tensor import Tensor
from .. import functional as F
from .module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
]  # fmt: skip


class _AdaptiveAvgPool(Module):
    def __init__(self, output_size: Any):
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means over windows that make the last dim `output_size` long.

    >>> import tritorch as torch
    >>> torch.nn.AdaptiveAvgPool1d(2)(torch.tensor([[1.0, 3.0, 2.0, 4.0]]))
    tensor([[2., 3.]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, L)` or `(C, L)`."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means over windows that make the last 2 dims `output_size` large.

    Args:
        output_size: one or two ints; None keeps a dim.

    >>> import tritorch as torch
    >>> torch.nn.AdaptiveAvgPool2d((5, None))(torch.zeros(1, 64, 8, 9)).shape
    torch.Size([1, 64, 5, 9])
    """

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, H, W)` or `(C, H, W)`."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means over windows that make the last 3 dims `output_size` large; see AdaptiveAvgPool2d."""

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, D, H, W)` or `(C, D, H, W)`."""
        return F.adaptive_avg_pool3d(input, self.output_size)


class _AdaptiveMaxPool(_AdaptiveAvgPool):
    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima over windows that make the last dim `output_size` long.

    Args:
        output_size: an int.
        return_indices: also return where each maximum stood. Default: False.

    >>> import tritorch as torch
    >>> torch.nn.AdaptiveMaxPool1d(2)(torch.tensor([[1.0, 3.0, 2.0, 4.0]]))
    tensor([[3., 4.]])
    """

    def forward(self, input: Tensor) -> Any:
        """`(N, C, L)` or `(C, L)`."""
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima over windows that make the last 2 dims `output_size` large; see AdaptiveMaxPool1d."""

    def forward(self, input: Tensor) -> Any:
        """`(N, C, H, W)` or `(C, H, W)`."""
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima over windows that make the last 3 dims `output_size` large; see AdaptiveMaxPool1d."""

    def forward(self, input: Tensor) -> Any:
        """`(N, C, D, H, W)` or `(C, D, H, W)`."""
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)
