"""The generalized Pareto distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import functional
from ..tensor import Size, Tensor
from . import constraints
from .distribution import Distribution
from .utils import uniform

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Probability 1 - (1 + c z)^(-1 / c) of values up to x = loc + scale z; exponential (1 - e^-z) for c = 0.

    Arguments:
        loc: the least value. scale: positive. concentration: c; below 0 the largest value is loc - scale / c.

    >>> import tritorch as torch
    >>> torch.distributions.GeneralizedPareto(0.0, 1.0, 0.5).mean
    tensor(2.)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real}
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None):
        self.loc, self.scale, self.concentration = self._together(loc=loc, scale=scale, concentration=concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        c = self.concentration
        return constraints.interval(self.loc, functional.where(c < 0, self.loc - self.scale / c, math.inf))

    def _flat(self) -> tuple[Tensor, Tensor]:
        """Where c counts as 0, and c with 1 there."""
        c = self.concentration
        flat = functional.isclose(c, functional.zeros_like(c))
        return flat, functional.where(flat, functional.ones_like(c), c)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        return self.icdf(uniform(self._extended_shape(sample_shape), self.loc))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        z = (value - self.loc) / self.scale
        flat, c = self._flat()
        slope = 1 / c + 1  # 0 makes the uniform distribution, also at its upper end
        steep = functional.where(slope == 0, functional.zeros_like(z), slope * (c * z).log1p())
        return -self.scale.log() - functional.where(flat, z, steep)

    def log_survival_function(self, value: Tensor) -> Tensor:
        """log of the probability of values above `value`."""
        self._check(value)
        z = (value - self.loc) / self.scale
        flat, c = self._flat()
        return -functional.where(flat, z, (c * z).log1p() / c)

    def log_cdf(self, value: Tensor) -> Tensor:
        """log of `cdf`."""
        return (-self.log_survival_function(value).exp()).log1p()

    def cdf(self, value: Tensor) -> Tensor:
        return self.log_cdf(value).exp()

    def icdf(self, value: Tensor) -> Tensor:
        log_above = (-value).log1p()
        flat, c = self._flat()
        return self.loc + self.scale * functional.where(flat, -log_above, (-c * log_above).expm1() / c)

    @property
    def mean(self) -> Tensor:
        c = self.concentration
        return functional.where(c < 1, self.loc + self.scale / (1 - c), math.inf)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        c = self.concentration
        return functional.where(c < 0.5, self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c)), math.inf)

    def entropy(self) -> Tensor:
        return self.scale.log() + self.concentration + 1
