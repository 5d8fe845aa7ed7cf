"""The relaxed one-hot categorical distribution: vectors of sum 1 with gradients in place of one-hot ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import functional
from ..tensor import Size, Tensor
from . import constraints
from .categorical import Categorical
from .distribution import Distribution
from .probability import ByLogits
from .transformed_distribution import TransformedDistribution
from .transforms import ExpTransform
from .utils import broadcast_all, clamp_probs, uniform

__all__ = ["ExpRelaxedCategorical", "RelaxedOneHotCategorical"]


class ExpRelaxedCategorical(ByLogits, Distribution):
    """The logarithm of a `RelaxedOneHotCategorical`: log_softmax((logits + Gumbel noise) / temperature).

    Arguments:
        temperature: a Tensor, positive. probs, logits: as of `Categorical`, one of the two.

    >>> import tritorch as torch
    >>> d = torch.distributions.relaxed_categorical.ExpRelaxedCategorical(torch.tensor(1.0), torch.ones(2))
    >>> d.event_shape
    torch.Size([2])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.real_vector  # with exp of sum 1, which is not checked
    has_rsample = True

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self._categorical = Categorical(probs, logits)
        self.temperature = temperature
        shape = self._categorical.param_shape
        super().__init__(self._categorical.batch_shape, shape[-1:], validate_args=validate_args)

    @property
    def _source(self) -> Categorical:
        return self._categorical

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        u = clamp_probs(uniform(self._extended_shape(sample_shape), self.logits))
        scores = (self.logits + -((-(u.log())).log())) / self.temperature
        return scores - scores.logsumexp(-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        k = self._event_shape[0]
        logits, value = functional.broadcast_tensors(self.logits, value)
        (temperature,) = broadcast_all(self.temperature)
        score = (logits - value * temperature).log_softmax(-1).sum(-1)
        return score + functional.full_like(temperature, float(k)).lgamma() + (k - 1) * temperature.log()


class RelaxedOneHotCategorical(ByLogits, TransformedDistribution):
    """softmax((logits + Gumbel noise) / temperature): towards one-hot as the temperature falls, with gradients.

    arXiv:1611.00712 and arXiv:1611.01144, as `RelaxedBernoulli`.

    Arguments:
        temperature: a Tensor, positive. probs, logits: as of `Categorical`, one of the two.

    >>> import tritorch as torch
    >>> torch.distributions.RelaxedOneHotCategorical(torch.tensor(1.0), torch.ones(3)).event_shape
    torch.Size([3])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex
    has_rsample = True
    base_dist: ExpRelaxedCategorical

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @property
    def _source(self) -> ExpRelaxedCategorical:
        return self.base_dist

    @property
    def temperature(self) -> Any:
        """The temperature."""
        return self.base_dist.temperature
