"""The LKJ distribution of correlation matrices, by their Cholesky factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import functional
from ..autograd.modes import no_grad
from ..dtypes import finfo
from ..errors import message
from ..tensor import Size, Tensor
from . import constraints
from .beta import Beta
from .distribution import Distribution
from .utils import standard_normal

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Lower Cholesky factors L of correlation matrices R = L L^T with density proportional to det(R)^(c - 1).

    Drawn by the onion method (D. Lewandowski, D. Kurowicka, H. Joe: Generating random correlation matrices based on
    vines and extended onion method, J. Multivariate Analysis 100, 2009, section 3).

    Arguments:
        dim: size of the matrices, at least 2.
        concentration: c, positive; 1, the default, is uniform over correlation matrices, larger is nearer to the unit
            matrix.

    Raises:
        ValueError: `dim` is less than 2.

    >>> import tritorch as torch
    >>> torch.distributions.LKJCholesky(3, 1.0).event_shape
    torch.Size([3, 3])
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None):
        if not isinstance(dim, int):
            raise TypeError(message("LKJCholesky", "dim must be an int", dim=dim))
        if dim < 2:
            raise ValueError(message("LKJCholesky", "Expected dim to be greater than or equal to 2", dim=dim))
        self.dim = dim
        (self.concentration,) = self._together(concentration=concentration)
        super().__init__(self.concentration.shape, Size((dim, dim)), validate_args)
        # |w|^2 of row i, w what stands before the diagonal, is Beta(i / 2, c + (dim - 1 - i) / 2); row 0 is a dummy
        row = functional.arange(dim - 1, dtype=self.concentration.dtype, device=self.concentration.device)
        row = functional.cat([row.new_zeros((1,)), row])
        self._beta = Beta(row + 0.5, (self.concentration + 0.5 * (dim - 2)).unsqueeze(-1) - 0.5 * row)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        with no_grad():
            square = self._beta.sample(sample_shape).unsqueeze(-1)
            direction = standard_normal(self._extended_shape(sample_shape), self.concentration).tril(-1)
            direction = direction / direction.norm(2, -1, keepdim=True)
            direction[..., 0, :] = 0.0
            w = square.sqrt() * direction
            rest = (1 - w.square().sum(-1)).clamp(min=finfo(w.dtype).tiny)
            return w + rest.sqrt().diag_embed()

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        n, c = self.dim - 1, self.concentration
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        order = functional.arange(2, self.dim + 1, dtype=c.dtype, device=c.device)
        order = 2 * (c - 1).unsqueeze(-1) + self.dim - order
        alpha = c + 0.5 * n
        norm = 0.5 * n * math.log(math.pi) + (alpha - 0.5).mvlgamma(n) - alpha.lgamma() * n
        return (order * diagonal.log()).sum(-1) - norm
