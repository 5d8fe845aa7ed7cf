"""The continuous Bernoulli distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import functional
from ..nn.functional import binary_cross_entropy_with_logits
from ..tensor import Size, Tensor
from . import constraints
from .exp_family import ExponentialFamily
from .probability import ByProbability
from .utils import broadcast_all, clamp_probs, uniform

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(ByProbability, ExponentialFamily):
    """Density C(p) p^x (1 - p)^(1 - x) in [0, 1], C(p) = 2 artanh(1 - 2p) / (1 - 2p), 2 for p = 1/2.

    G. Loaiza-Ganem, J. P. Cunningham: The continuous Bernoulli: fixing a pervasive error in variational autoencoders,
    arXiv:1907.06845.

    Arguments:
        probs: p. logits: log(p / (1 - p)). One of the two.
        lims: within these p, where the formulas cancel, Taylor's series around 1/2 are used.

    >>> import tritorch as torch
    >>> torch.distributions.ContinuousBernoulli(0.5).mean
    tensor(0.5000)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ):
        name = self._choose(probs, logits)
        (param,) = self._together(**{name: probs if name == "probs" else logits})
        setattr(self, name, param)
        self._lims = lims
        super().__init__(param.shape, validate_args=validate_args)
        if name == "probs":
            self.__dict__["probs"] = clamp_probs(param)

    def _parts(self) -> tuple[Tensor, Tensor]:
        """Where the formulas hold, and p with one of these values elsewhere."""
        low, high = self._lims
        outside = (self.probs <= low) | (self.probs > high)
        return outside, functional.where(outside, self.probs, low)

    def _log_norm(self) -> Tensor:
        """log C(p)."""
        outside, p = self._parts()
        below = functional.where(p <= 0.5, p, 0.0)
        above = functional.where(p >= 0.5, p, 1.0)
        width = functional.where(p <= 0.5, (-2.0 * below).log1p(), (2.0 * above - 1.0).log())
        square = (self.probs - 0.5).pow(2)
        taylor = math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * square) * square
        return functional.where(outside, ((-p).log1p() - p.log()).abs().log() - width, taylor)

    @property
    def mean(self) -> Tensor:
        outside, p = self._parts()
        x = self.probs - 0.5
        taylor = 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.pow(2)) * x
        return functional.where(outside, p / (2.0 * p - 1.0) + 1.0 / ((-p).log1p() - p.log()), taylor)

    @property
    def variance(self) -> Tensor:
        outside, p = self._parts()
        square = (self.probs - 0.5).pow(2)
        taylor = 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * square) * square
        exact = p * (p - 1.0) / (1.0 - 2.0 * p).pow(2) + 1.0 / ((-p).log1p() - p.log()).pow(2)
        return functional.where(outside, exact, taylor)

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        return self.icdf(uniform(self._extended_shape(sample_shape), self.probs))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none") + self._log_norm()

    def cdf(self, value: Tensor) -> Tensor:
        self._check(value)
        outside, p = self._parts()
        exact = (p.pow(value) * (1.0 - p).pow(1.0 - value) + p - 1.0) / (2.0 * p - 1.0)
        inside = functional.where(outside, exact, value)
        return functional.where(value <= 0.0, 0.0, functional.where(value >= 1.0, 1.0, inside))

    def icdf(self, value: Tensor) -> Tensor:
        outside, p = self._parts()
        exact = ((-p + value * (2.0 * p - 1.0)).log1p() - (-p).log1p()) / (p.log() - (-p).log1p())
        return functional.where(outside, exact, value)

    def entropy(self) -> Tensor:
        log_no, log_yes = (-self.probs).log1p(), self.probs.log()
        return self.mean * (log_no - log_yes) - self._log_norm() - log_no

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.logits,)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        low, high = self._lims[0] - 0.5, self._lims[1] - 0.5
        outside = (x <= low) | (x > high)
        t = functional.where(outside, x, low)
        taylor = 0.5 * x + x.pow(2) / 24.0 - x.pow(4) / 2880.0
        return functional.where(outside, t.expm1().abs().log() - t.abs().log(), taylor)
