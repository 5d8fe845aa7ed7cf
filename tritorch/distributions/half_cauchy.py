"""The half-Cauchy distribution."""

from __future__ import annotations

import math
from typing import Any

from .. import functional
from ..tensor import Tensor
from .cauchy import Cauchy
from .folded import Folded

__all__ = ["HalfCauchy"]


class HalfCauchy(Folded):
    """|x| of a Cauchy x around 0.

    Arguments:
        scale: of x, positive.

    >>> import tritorch as torch
    >>> torch.distributions.HalfCauchy(1.0).cdf(torch.tensor(1.0))
    tensor(0.5000)
    """

    base_dist: Cauchy

    def __init__(self, scale: Any, validate_args: bool | None = None):
        super().__init__(Cauchy(0, *self._together(scale=scale), validate_args=False), validate_args)

    @property
    def mean(self) -> Tensor:
        return functional.full_like(self.scale, math.inf)

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance
