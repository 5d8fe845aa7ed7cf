"""The von Mises distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import functional
from ..autograd.modes import no_grad
from ..dtypes import bool_, float64
from ..special import i0e, i1e
from ..tensor import Size, Tensor
from . import constraints
from .distribution import Distribution

__all__ = ["VonMises"]


class VonMises(Distribution):
    """Density exp(concentration cos(x - loc)) / (2 pi I0(concentration)) of angles in [-pi, pi).

    Arguments:
        loc: the mean angle, in radians. concentration: positive.

    >>> import tritorch as torch
    >>> torch.distributions.VonMises(0.0, 1.0).log_prob(torch.tensor(0.0))
    tensor(-1.0738)
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    has_rsample = False

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None):
        self.loc, self.concentration = self._together(loc=loc, concentration=concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        """The circular variance 1 - I1(concentration) / I0(concentration)."""
        return 1 - i1e(self.concentration) / i0e(self.concentration)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        k = self.concentration
        return k * ((value - self.loc).cos() - 1) - math.log(2 * math.pi) - i0e(k).log()

    def _proposal(self) -> Tensor:
        """The parameter of the wrapped Cauchy distribution whose draws are thinned out; by its series for small k."""
        k = self.concentration.to(float64)
        tau = 1 + (1 + 4 * k**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * k)
        return functional.where(k < 1e-5, 1 / k + k, (1 + rho**2) / (2 * rho))

    @no_grad()
    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Draws by rejection (D. J. Best, N. I. Fisher: Efficient simulation of the von Mises distribution, Applied
        Statistics 28, 1979), in float64."""
        shape = self._extended_shape(sample_shape)
        loc, k = self.loc.to(float64), self.concentration.to(float64)
        r = self._proposal()
        x = functional.zeros(shape, dtype=float64, device=loc.device)
        waiting = functional.ones(shape, dtype=bool_, device=loc.device)
        while waiting.any():
            u1, u2, u3 = functional.rand((3, *shape), dtype=float64, device=loc.device).unbind(0)
            z = (math.pi * u1).cos()
            f = (1 + r * z) / (r + z)
            c = k * (r - f)
            accept = (c * (2 - c) - u2 > 0) | ((c / u2).log() + 1 - c >= 0)
            x = functional.where(accept, (u3 - 0.5).sign() * f.acos(), x)
            waiting = waiting & ~accept
        return ((x + math.pi + loc) % (2 * math.pi) - math.pi).to(self.loc.dtype)
