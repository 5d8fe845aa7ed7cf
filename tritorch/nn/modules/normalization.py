"""Normalisation within a sample: LayerNorm, RMSNorm, GroupNorm and the two local response norms."""

from __future__ import annotations

from typing import Any

from ...functional import empty
from ...tensor import Parameter, Tensor
from .. import functional as F
from .. import init
from .module import Module

__all__ = ["CrossMapLRN2d", "GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


def _shape(size: Any) -> tuple[int, ...]:
    return (int(size),) if hasattr(size, "__index__") else tuple(size)


class _Affine(Module):
    """A learned factor and summand, which either may be None."""

    weight: Tensor | None
    bias: Tensor | None

    def _make(self, shape: Any, weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        for name, wanted in (("weight", weight), ("bias", bias)):
            self.register_parameter(name, Parameter(empty(shape, device=device, dtype=dtype)) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight to 1 and bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class LayerNorm(_Affine):
    """y = (x - mean) / sqrt(var + eps) * weight + bias over the last dims. Ba et al., arXiv:1607.06450.

    Args:
        normalized_shape: sizes of the last dims, an int for one.
        eps: default 1e-5.
        elementwise_affine: learn weight and bias. Default: True.
        bias: with weight, also learn bias. Default: True.

    Attributes:
        weight, bias: `normalized_shape`, at the start 1 and 0.

    >>> import tritorch as torch
    >>> torch.nn.LayerNorm(2)(torch.tensor([[1.0, 3.0]]))
    tensor([[-1.0000,  1.0000]], grad_fn=<NativeLayerNormBackward0>)
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._make(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """`(*, *normalized_shape)`."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """y = x / sqrt(mean(x^2) + eps) * weight over the last dims. Zhang and Sennrich, arXiv:1910.07467.

    Args:
        normalized_shape: sizes of the last dims, an int for one.
        eps: default: the machine epsilon of the input's dtype.
        elementwise_affine: learn weight. Default: True.

    Attributes:
        weight: `normalized_shape`, at the start 1.

    >>> import tritorch as torch
    >>> torch.nn.RMSNorm(4)(torch.zeros(2, 4)).shape
    torch.Size([2, 4])
    """

    weight: Tensor | None

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        weight = Parameter(empty(self.normalized_shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", weight)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight to 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """`(*, *normalized_shape)`."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_Affine):
    """LayerNorm over groups of channels of `(N, C, *)`, with weight and bias per channel. Wu and He, arXiv:1803.08494.

    Args:
        num_groups: a divisor of
        num_channels: C.
        eps: default 1e-5.
        affine: learn weight and bias. Default: True.
        bias: with weight, also learn bias. Default: True.

    Raises:
        ValueError: `num_groups` does not divide `num_channels`.

    >>> import tritorch as torch
    >>> torch.nn.GroupNorm(3, 6)(torch.zeros(2, 6, 4, 4)).shape
    torch.Size([2, 6, 4, 4])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self._make(num_channels, affine, affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, *)`."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """y_c = x_c / (k + alpha / size * sum of x^2 over `size` neighbouring channels)^beta.

    Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, NeurIPS 2012.

    Args:
        size: number of channels in the sum.
        alpha: default 1e-4.
        beta: default 0.75.
        k: default 1.

    >>> import tritorch as torch
    >>> torch.nn.LocalResponseNorm(2)(torch.zeros(1, 5, 4)).shape
    torch.Size([1, 5, 4])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, *)`."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(LocalResponseNorm):
    """LocalResponseNorm for `(N, C, H, W)` under the name it had in Torch; k is an int in its repr."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1):
        super().__init__(size, alpha, beta, k)

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, H, W)`; ValueError for other dims."""
        if input.dim() != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.dim()}D instead.")
        return super().forward(input)
