"""PairwiseDistance and CosineSimilarity."""

from __future__ import annotations

from ...tensor import Tensor
from .. import functional as F
from .module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class PairwiseDistance(Module):
    """y = ||x1 - x2 + eps||_p along the last dim.

    Args:
        p: default 2.
        eps: default 1e-6.
        keepdim: keep the last dim with size 1. Default: False.

    >>> import tritorch as torch
    >>> torch.nn.PairwiseDistance()(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False):
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """`(N, D)` or `(D)` each."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """y = x1 . x2 / (max(||x1||, eps) max(||x2||, eps)) along `dim`.

    Args:
        dim: default 1.
        eps: default 1e-8.

    >>> import tritorch as torch
    >>> torch.nn.CosineSimilarity(dim=0)(torch.ones(2), torch.tensor([1.0, 0.0]))
    tensor(0.7071)
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8):
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Shapes that broadcast."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
