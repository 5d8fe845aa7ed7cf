"""The relaxed Bernoulli distribution: numbers in (0, 1) with gradients in place of 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..nn.functional import softplus
from ..tensor import Size, Tensor
from . import constraints
from .probability import ByLogits, ByProbability
from .transformed_distribution import TransformedDistribution
from .transforms import SigmoidTransform
from .utils import broadcast_all, clamp_probs, uniform

__all__ = ["LogitRelaxedBernoulli", "RelaxedBernoulli"]


class LogitRelaxedBernoulli(ByProbability):
    """The logit of a `RelaxedBernoulli`: (logits + logistic noise) / temperature.

    Arguments:
        temperature: a Tensor, positive. probs, logits: of the Bernoulli distribution, one of the two.

    >>> import tritorch as torch
    >>> d = torch.distributions.relaxed_bernoulli.LogitRelaxedBernoulli(torch.tensor(1.0), torch.tensor(0.5))
    >>> d.log_prob(torch.tensor(0.0))
    tensor(-1.3863)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.real
    has_rsample = True

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self.temperature = temperature
        name = self._choose(probs, logits)
        (param,) = self._together(**{name: probs if name == "probs" else logits})
        setattr(self, name, param)
        super().__init__(param.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        p = clamp_probs(self.probs.expand(shape))
        u = clamp_probs(uniform(shape, p))
        return (u.log() - (-u).log1p() + p.log() - (-p).log1p()) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        logits, value = broadcast_all(self.logits, value)
        x = logits - value * self.temperature
        return broadcast_all(self.temperature)[0].log() + x - 2 * softplus(x)


class RelaxedBernoulli(ByLogits, TransformedDistribution):
    """sigmoid((logits + logistic noise) / temperature): towards 0 and 1 as the temperature falls, with gradients.

    C. J. Maddison, A. Mnih, Y. W. Teh: The concrete distribution, arXiv:1611.00712; E. Jang, S. Gu, B. Poole: Categorical
    reparameterization with Gumbel-softmax, arXiv:1611.01144.

    Arguments:
        temperature: a Tensor, positive. probs, logits: of the Bernoulli distribution, one of the two.

    >>> import tritorch as torch
    >>> torch.distributions.RelaxedBernoulli(torch.tensor(1.0), torch.tensor([0.2, 0.5])).batch_shape
    torch.Size([2])
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    base_dist: LogitRelaxedBernoulli

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)

    @property
    def _source(self) -> LogitRelaxedBernoulli:
        return self.base_dist

    @property
    def temperature(self) -> Any:
        """The temperature."""
        return self.base_dist.temperature
