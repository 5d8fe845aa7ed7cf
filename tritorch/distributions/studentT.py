"""Student's t distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import functional
from ..tensor import Size, Tensor
from . import constraints
from .chi2 import Chi2
from .distribution import Distribution
from .utils import standard_normal

__all__ = ["StudentT"]


class StudentT(Distribution):
    """loc + scale z / sqrt(c / df) of a standard normal z and a chi-squared c.

    Arguments:
        df: degrees of freedom, positive. loc: default 0. scale: positive; default 1.

    >>> import tritorch as torch
    >>> torch.distributions.StudentT(4.0).variance
    tensor(2.)
    """

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None):
        self.df, self.loc, self.scale = self._together(df=df, loc=loc, scale=scale)
        self._chi2 = Chi2(self.df, validate_args=False)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return functional.where(self.df > 1, self.loc, math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        finite = self.scale.pow(2) * self.df / (self.df - 2)
        return functional.where(self.df > 2, finite, functional.where(self.df > 1, self.df * math.inf, math.nan))

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        x = standard_normal(self._extended_shape(sample_shape), self.df)
        y = x * (self._chi2.rsample(sample_shape) / self.df).rsqrt()
        return self.loc + self.scale * y

    def _log_norm(self) -> Tensor:
        """log of sqrt(df) B(df / 2, 1 / 2)."""
        df = self.df
        return 0.5 * df.log() + 0.5 * math.log(math.pi) + (0.5 * df).lgamma() - (0.5 * (df + 1.0)).lgamma()

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        y = (value - self.loc) / self.scale
        return -0.5 * (self.df + 1.0) * (y**2.0 / self.df).log1p() - self.scale.log() - self._log_norm()

    def entropy(self) -> Tensor:
        half = 0.5 * (self.df + 1)
        return self.scale.log() + half * (half.digamma() - (0.5 * self.df).digamma()) + self._log_norm()
