"""Pooling layers with a kernel: max, average, power-average, and max-unpooling. Adaptive ones: adaptive_pooling.py."""

from __future__ import annotations

from typing import Any

from ...tensor import Tensor
from .. import functional as F
from .adaptive_pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from .module import Module
from .sizes import Size, ntuple

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d", "AvgPool2d", "AvgPool3d", "FractionalMaxPool2d", "FractionalMaxPool3d", "LPPool1d", "LPPool2d",
    "LPPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip


class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def _pool(self, function: Any, input: Tensor) -> Any:
        return function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest value of each window of the last dim.

    Args:
        kernel_size: size of the window.
        stride: step of the window. Default: kernel_size.
        padding: minus infinity on both sides. Default: 0.
        dilation: distance between elements of the window. Default: 1.
        return_indices: also return where each maximum stood, for MaxUnpool. Default: False.
        ceil_mode: round the output size up. Default: False.

    >>> import tritorch as torch
    >>> torch.nn.MaxPool1d(2)(torch.tensor([[1.0, 3.0, 2.0, 4.0]]))
    tensor([[3., 4.]])
    """

    def forward(self, input: Tensor) -> Any:
        """`(N, C, L)` or `(C, L)`."""
        return self._pool(F.max_pool1d, input)


class MaxPool2d(_MaxPool):
    """The largest value of each window of the last 2 dims; arguments as for MaxPool1d, one or two numbers each.

    >>> import tritorch as torch
    >>> torch.nn.MaxPool2d(3, stride=2)(torch.zeros(20, 16, 50, 32)).shape
    torch.Size([20, 16, 24, 15])
    """

    def forward(self, input: Tensor) -> Any:
        """`(N, C, H, W)` or `(C, H, W)`."""
        return self._pool(F.max_pool2d, input)


class MaxPool3d(_MaxPool):
    """The largest value of each window of the last 3 dims; arguments as for MaxPool1d, one or three numbers each.

    >>> import tritorch as torch
    >>> torch.nn.MaxPool3d(2)(torch.zeros(1, 2, 4, 6, 8)).shape
    torch.Size([1, 2, 2, 3, 4])
    """

    def forward(self, input: Tensor) -> Any:
        """`(N, C, D, H, W)` or `(C, D, H, W)`."""
        return self._pool(F.max_pool3d, input)


class _MaxUnpool(Module):
    n_dims: int

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0):
        super().__init__()
        self.kernel_size = ntuple(kernel_size, self.n_dims)
        self.stride = ntuple(stride if stride is not None else kernel_size, self.n_dims)
        self.padding = ntuple(padding, self.n_dims)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Puts the maxima of MaxPool1d back where they stood; zero elsewhere.

    Args:
        kernel_size, stride, padding: those of the pooling.

    >>> import tritorch as torch
    >>> pooled, indices = torch.nn.MaxPool1d(2, return_indices=True)(torch.tensor([[[1.0, 3.0, 4.0, 2.0]]]))
    >>> torch.nn.MaxUnpool1d(2)(pooled, indices)
    tensor([[[0., 3., 4., 0.]]])
    """

    n_dims = 1

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """`output_size` settles what the pooling rounded away."""
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpool):
    """Puts the maxima of MaxPool2d back where they stood; see MaxUnpool1d."""

    n_dims = 2

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """`output_size` settles what the pooling rounded away."""
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpool):
    """Puts the maxima of MaxPool3d back where they stood; see MaxUnpool1d."""

    n_dims = 3

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """`output_size` settles what the pooling rounded away."""
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class _AvgPool(Module):
    kernel_size: Any
    stride: Any
    padding: Any

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """The mean of each window of the last dim.

    Args:
        kernel_size: size of the window.
        stride: step of the window. Default: kernel_size.
        padding: zeros on both sides. Default: 0.
        ceil_mode: round the output size up. Default: False.
        count_include_pad: the padding counts in the mean. Default: True.

    >>> import tritorch as torch
    >>> torch.nn.AvgPool1d(2)(torch.tensor([[1.0, 3.0, 2.0, 4.0]]))
    tensor([[2., 3.]])
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        super().__init__()
        self.kernel_size = ntuple(kernel_size, 1)
        self.stride = ntuple(stride if stride is not None else kernel_size, 1)
        self.padding = ntuple(padding, 1)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, L)` or `(C, L)`."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class _AvgPoolDivisor(_AvgPool):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def _pool(self, function: Any, input: Tensor) -> Tensor:
        return function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool2d(_AvgPoolDivisor):
    """The mean of each window of the last 2 dims; arguments as for AvgPool1d, one or two numbers each.

    Args:
        divisor_override: divide the sums by this number. Default: the number of elements.

    >>> import tritorch as torch
    >>> torch.nn.AvgPool2d(3, stride=2)(torch.zeros(20, 16, 50, 32)).shape
    torch.Size([20, 16, 24, 15])
    """

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, H, W)` or `(C, H, W)`."""
        return self._pool(F.avg_pool2d, input)


class AvgPool3d(_AvgPoolDivisor):
    """The mean of each window of the last 3 dims; arguments as for AvgPool2d, one or three numbers each.

    >>> import tritorch as torch
    >>> torch.nn.AvgPool3d(2)(torch.zeros(1, 2, 4, 6, 8)).shape
    torch.Size([1, 2, 2, 3, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, D, H, W)` or `(C, D, H, W)`."""
        return self._pool(F.avg_pool3d, input)


class _FractionalMaxPool(Module):
    n_dims: int

    def __init__(
        self,
        kernel_size: Size,
        output_size: Size | None = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ):
        super().__init__()
        name, n = type(self).__name__, self.n_dims
        self.kernel_size = ntuple(kernel_size, n)
        if any(k <= 0 for k in self.kernel_size):
            raise ValueError(f"{name}: kernel_size must be greater than 0, but got {kernel_size}")
        if (output_size is None) == (output_ratio is None):
            raise ValueError(
                f"{name} requires specifying either an output size, or a pooling ratio"
                if output_size is None
                else f"{name}: only one of output_size and output_ratio may be specified"
            )
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else ntuple(output_size, n)
        self.output_ratio = None if output_ratio is None else ntuple(output_ratio, n)
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1 (got {output_ratio})")

    def _pool(self, function: Any, input: Tensor) -> Any:
        return function(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._random_samples,
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """Max pooling with windows at random places, to any smaller size. Graham, arXiv:1412.6071.

    Args:
        kernel_size: size of the window.
        output_size: size of the result; or
        output_ratio: the result's part of the input's size, each in (0, 1).
        return_indices: also return where each maximum stood. Default: False.

    Raises:
        ValueError: neither or both of size and ratio, or a ratio outside (0, 1).
    """

    n_dims = 2

    def forward(self, input: Tensor) -> Any:
        """`(N, C, H, W)` or `(C, H, W)`."""
        return self._pool(F.fractional_max_pool2d, input)


class FractionalMaxPool3d(_FractionalMaxPool):
    """FractionalMaxPool2d for 3 spatial dims."""

    n_dims = 3

    def forward(self, input: Tensor) -> Any:
        """`(N, C, D, H, W)` or `(C, D, H, W)`."""
        return self._pool(F.fractional_max_pool3d, input)


class _LPPool(Module):
    def __init__(self, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False):
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """(sum of x^p)^(1/p) over each window of the last dim.

    Args:
        norm_type: p.
        kernel_size: size of the window.
        stride: step of the window. Default: kernel_size.
        ceil_mode: round the output size up. Default: False.

    >>> import tritorch as torch
    >>> torch.nn.LPPool1d(2, 2)(torch.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, L)` or `(C, L)`."""
        return F.lp_pool1d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(_LPPool):
    """(sum of x^p)^(1/p) over each window of the last 2 dims; see LPPool1d."""

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, H, W)` or `(C, H, W)`."""
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(_LPPool):
    """(sum of x^p)^(1/p) over each window of the last 3 dims; see LPPool1d."""

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, D, H, W)` or `(C, D, H, W)`."""
        return F.lp_pool3d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)
