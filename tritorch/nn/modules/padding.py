"""Padding layers; the amounts go from the last dim to the first: (left, right, top, bottom, front, back)."""

from __future__ import annotations

from ...tensor import Tensor
from .. import functional as F
from .module import Module
from .sizes import Size, ntuple

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _Pad(Module):
    """Padding of the last `n_dims` dims by `mode`."""

    n_dims: int
    mode: str
    padding: tuple[int, ...]

    def __init__(self, padding: Size):
        super().__init__()
        self.padding = ntuple(padding, 2 * self.n_dims)

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, *)` or `(C, *)`."""
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPad(_Pad):
    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, *)` or `(C, *)`; ValueError for other dims."""
        n = self.n_dims
        if input.dim() not in (n + 1, n + 2):
            raise ValueError(f"{type(self).__name__}: expected {n + 1}D or {n + 2}D input (got {input.dim()}D input)")
        return F.pad(input, self.padding, "circular")


class CircularPad1d(_CircularPad):
    """Pads the last dim with what stands at its other end.

    Args:
        padding: one amount, or (left, right).

    >>> import tritorch as torch
    >>> torch.nn.CircularPad1d(1)(torch.arange(3.0).reshape(1, 3))
    tensor([[2., 0., 1., 2., 0.]])
    """

    n_dims = 1


class CircularPad2d(_CircularPad):
    """Pads the last 2 dims with what stands at their other ends; see CircularPad1d."""

    n_dims = 2


class CircularPad3d(_CircularPad):
    """Pads the last 3 dims with what stands at their other ends; see CircularPad1d."""

    n_dims = 3


class _ConstantPad(_Pad):
    def __init__(self, padding: Size, value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, *)` or `(C, *)`."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Pads the last dim with `value`.

    Args:
        padding: one amount, or (left, right).
        value: a float.

    >>> import tritorch as torch
    >>> torch.nn.ConstantPad1d((2, 1), 3.5)(torch.zeros(1, 1))
    tensor([[3.5000, 3.5000, 0.0000, 3.5000]])
    """

    n_dims = 1


class ConstantPad2d(_ConstantPad):
    """Pads the last 2 dims with `value`; see ConstantPad1d."""

    n_dims = 2


class ConstantPad3d(_ConstantPad):
    """Pads the last 3 dims with `value`; see ConstantPad1d."""

    n_dims = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Size):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Pads the last dim with zeros.

    >>> import tritorch as torch
    >>> torch.nn.ZeroPad1d(1)(torch.ones(1, 2))
    tensor([[0., 1., 1., 0.]])
    """


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Pads the last 2 dims with zeros.

    >>> import tritorch as torch
    >>> torch.nn.ZeroPad2d(2)(torch.ones(1, 1, 3, 3)).shape
    torch.Size([1, 1, 7, 7])
    """


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Pads the last 3 dims with zeros; see ZeroPad1d."""


class _ReflectionPad(_Pad):
    mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """Pads the last dim with its mirror image; the border itself is not repeated.

    Args:
        padding: one amount, or (left, right).

    >>> import tritorch as torch
    >>> torch.nn.ReflectionPad1d(2)(torch.arange(4.0).reshape(1, 4))
    tensor([[2., 1., 0., 1., 2., 3., 2., 1.]])
    """

    n_dims = 1


class ReflectionPad2d(_ReflectionPad):
    """Pads the last 2 dims with their mirror image; see ReflectionPad1d."""

    n_dims = 2


class ReflectionPad3d(_ReflectionPad):
    """Pads the last 3 dims with their mirror image; see ReflectionPad1d."""

    n_dims = 3


class _ReplicationPad(_Pad):
    mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """Pads the last dim with the values at its border.

    Args:
        padding: one amount, or (left, right).

    >>> import tritorch as torch
    >>> torch.nn.ReplicationPad1d(2)(torch.arange(3.0).reshape(1, 3))
    tensor([[0., 0., 0., 1., 2., 2., 2.]])
    """

    n_dims = 1


class ReplicationPad2d(_ReplicationPad):
    """Pads the last 2 dims with the values at their borders; see ReplicationPad1d."""

    n_dims = 2


class ReplicationPad3d(_ReplicationPad):
    """Pads the last 3 dims with the values at their borders; see ReplicationPad1d."""

    n_dims = 3
