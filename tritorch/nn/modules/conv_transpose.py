"""Transposed convolutions: the gradient of a convolution with respect to its input, as a layer."""

from __future__ import annotations

from typing import Any

from ...tensor import Tensor
from .. import functional as F
from .conv_base import ConvBase
from .sizes import Size

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class ConvTransposeBase(ConvBase):
    """What the three transposed convolutions share."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        if padding_mode != "zeros":
            raise ValueError(
                f'Only "zeros" padding mode is supported for {type(self).__name__}; got padding_mode={padding_mode!r}'
            )
        self._setup(
            in_channels, out_channels, kernel_size, stride, padding, dilation, True, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def _transpose(self, function: Any, input: Tensor, output_size: Any) -> Tensor:
        extra = self._output_padding(input, output_size)
        return function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _output_padding(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """What to add on one side so that the result has `output_size`."""
        if output_size is None:
            return self.output_padding
        n, name = self.n_dims, type(self).__name__
        lead = input.dim() - n
        sizes = list(output_size)
        if len(sizes) == n + lead:
            sizes = sizes[lead:]
        if len(sizes) != n:
            raise ValueError(
                f"{name}: for {input.dim()}D input, output_size must have {n} or {n + lead} elements (got {len(sizes)})"
            )
        least = [
            (x - 1) * s - 2 * p + d * (k - 1) + 1
            for x, s, p, d, k in zip(
                input.shape[lead:], self.stride, self.padding, self.dilation, self.kernel_size, strict=True
            )
        ]
        most = [low + s - 1 for low, s in zip(least, self.stride, strict=True)]
        if any(not low <= size <= high for low, size, high in zip(least, sizes, most, strict=True)):
            raise ValueError(
                f"{name}: requested an output size of {sizes}, but valid sizes range from {least} to {most} "
                f"(for an input of {tuple(input.shape[lead:])})"
            )
        return tuple(size - low for size, low in zip(sizes, least, strict=True))


class ConvTranspose1d(ConvTransposeBase):
    """Transposed convolution over the last dim; a Conv1d's output goes back to its input's shape.

    Args:
        in_channels, out_channels, kernel_size, stride, groups, bias, dilation, device, dtype: as for Conv1d.
        padding: `dilation (kernel_size - 1) - padding` zeros are added on both sides. Default: 0.
        output_padding: added to one side of the result, since several input sizes give a Conv1d's output. Default: 0.
        padding_mode: "zeros" alone.

    Attributes:
        weight: `(in_channels, out_channels / groups, kernel_size)`.
        bias: `(out_channels)`.

    >>> import tritorch as torch
    >>> torch.nn.ConvTranspose1d(4, 2, 3, stride=2)(torch.zeros(1, 4, 5), output_size=[12]).shape
    torch.Size([1, 2, 12])
    """

    n_dims = 1

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """`(N, C, L)` or `(C, L)`; `output_size` chooses the output padding."""
        return self._transpose(F.conv_transpose1d, input, output_size)


class ConvTranspose2d(ConvTransposeBase):
    """Transposed convolution over the last 2 dims; see ConvTranspose1d.

    >>> import tritorch as torch
    >>> torch.nn.ConvTranspose2d(4, 2, 3, stride=2)(torch.zeros(1, 4, 5, 6)).shape
    torch.Size([1, 2, 11, 13])
    """

    n_dims = 2

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """`(N, C, H, W)` or `(C, H, W)`; `output_size` chooses the output padding."""
        return self._transpose(F.conv_transpose2d, input, output_size)


class ConvTranspose3d(ConvTransposeBase):
    """Transposed convolution over the last 3 dims; see ConvTranspose1d.

    >>> import tritorch as torch
    >>> torch.nn.ConvTranspose3d(4, 2, 3)(torch.zeros(1, 4, 2, 3, 4)).shape
    torch.Size([1, 2, 4, 5, 6])
    """

    n_dims = 3

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """`(N, C, D, H, W)` or `(C, D, H, W)`; `output_size` chooses the output padding."""
        return self._transpose(F.conv_transpose3d, input, output_size)
