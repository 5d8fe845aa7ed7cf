"""Dropout layers: nothing in evaluation, random zeros in training."""

from __future__ import annotations

from ...tensor import Tensor
from .. import functional as F
from .module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _Dropout(Module):
    """What all dropout layers share: p (default 0.5) and inplace (default False); ValueError for p outside [0, 1]."""

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"{type(self).__name__}: dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


_DropoutNd = _Dropout  # PyTorch's name of the base


class Dropout(_Dropout):
    """In training each element is zero with probability p, the others are divided by 1 - p.

    Hinton et al., arXiv:1207.0580.

    Args:
        p: default 0.5.
        inplace: overwrite the input. Default: False.

    >>> import tritorch as torch
    >>> torch.nn.Dropout(0.2).eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """Dropout of whole channels of `(N, C, L)` or `(C, L)`. Tompson et al., arXiv:1411.4280."""

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, L)` or `(C, L)`."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Dropout of whole channels of `(N, C, H, W)` or `(N, C, L)`. Tompson et al., arXiv:1411.4280."""

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, H, W)` or `(N, C, L)`."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """Dropout of whole channels of `(N, C, D, H, W)` or `(C, D, H, W)`. Tompson et al., arXiv:1411.4280."""

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, D, H, W)` or `(C, D, H, W)`."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout to the negative saturation value of SELU, which keeps mean and variance. arXiv:1706.02515."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_Dropout):
    """AlphaDropout of whole channels. arXiv:1706.02515."""

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, *)`."""
        return F.feature_alpha_dropout(input, self.p, self.training)
