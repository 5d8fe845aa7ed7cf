"""The negative binomial distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import functional
from ..autograd.modes import no_grad
from ..nn.functional import logsigmoid
from ..tensor import Size, Tensor
from . import constraints
from .gamma import Gamma
from .probability import ByProbability
from .utils import lazy_property

__all__ = ["NegativeBinomial"]


class NegativeBinomial(ByProbability):
    """The number of successes, of probability p, before n failures: Gamma(n + k) / (k! Gamma(n)) p^k (1 - p)^n.

    Arguments:
        total_count: n, not negative, not necessarily whole.
        probs: p, in [0, 1). logits: log(p / (1 - p)). One of the two.

    >>> import tritorch as torch
    >>> torch.distributions.NegativeBinomial(2.0, torch.tensor(0.5)).mean
    tensor(2.)
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(self, total_count: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        name = self._choose(probs, logits)
        count, param = self._together(total_count=total_count, **{name: probs if name == "probs" else logits})
        self.total_count = count.type_as(param)
        setattr(self, name, param)
        super().__init__(param.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Tensor:
        return self.mean / (-self.logits).sigmoid()

    @lazy_property
    def _gamma(self) -> Gamma:
        """Of the rates of the Poisson numbers: the count is a Poisson number of a gamma rate."""
        return Gamma(self.total_count, (-self.logits).exp(), validate_args=False)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        with no_grad():
            return functional.poisson(self._gamma.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        n = self.total_count
        ways = (n + value).lgamma() - (1.0 + value).lgamma() - n.lgamma()
        ways = ways.masked_fill(n + value == 0.0, 0.0)  # no failure to wait for: 0 for certain
        return n * logsigmoid(-self.logits) + value * logsigmoid(self.logits) + ways
