"""Mixtures of distributions of one family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import functional
from ..autograd.modes import no_grad
from ..errors import message
from ..tensor import Size, Tensor
from . import constraints
from .categorical import Categorical
from .distribution import Distribution

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """sum_k w_k p_k(x): a component is drawn, then a value from it.

    Arguments:
        mixture_distribution: a Categorical of k components, its batch the batch of the mixture.
        component_distribution: has the components as the last dim of its batch.

    Raises:
        ValueError: `mixture_distribution` is no Categorical, or the numbers of components or the batches differ.

    >>> import tritorch as torch
    >>> from tritorch.distributions import Categorical, MixtureSameFamily, Normal
    >>> d = MixtureSameFamily(Categorical(torch.ones(2)), Normal(torch.tensor([-1.0, 1.0]), 1.0))
    >>> d.mean, d.variance
    (tensor(0.), tensor(2.))
    """

    arg_constraints: Any = {}
    has_rsample = False

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ):
        self._mixture_distribution, self._component_distribution = mixture_distribution, component_distribution
        for what, given, kind in (
            ("The Mixture distribution needs to be an instance of Categorical", mixture_distribution, Categorical),
            ("The Component distribution need to be an instance of Distribution", component_distribution, Distribution),
        ):
            if not isinstance(given, kind):
                raise ValueError(message("MixtureSameFamily", what, given=type(given).__name__))
        weights, batch = mixture_distribution.batch_shape, component_distribution.batch_shape[:-1]
        for a, b in zip(reversed(weights), reversed(batch)):
            if 1 not in (a, b) and a != b:
                rule = "`mixture_distribution.batch_shape` is not compatible with `component_distribution.batch_shape`"
                raise ValueError(message("MixtureSameFamily", rule, mixture=weights, component=batch))
        k = mixture_distribution.logits.shape[-1]
        if component_distribution.batch_shape[-1] != k:
            rule = f"`component_distribution.batch_shape[-1]` does not equal the {k} components"
            raise ValueError(message("MixtureSameFamily", rule, batch_shape=component_distribution.batch_shape))
        self._num_component = k
        self._event_ndims = len(component_distribution.event_shape)
        super().__init__(batch, component_distribution.event_shape, validate_args=validate_args)

    def _expanded(self, shape: Size) -> dict[str, Any]:
        return {
            "_mixture_distribution": self._mixture_distribution.expand(shape),
            "_component_distribution": self._component_distribution.expand(shape + (self._num_component,)),
        }

    @constraints.dependent_property
    def support(self) -> Any:
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Categorical:
        """The distribution of the component."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components."""
        return self._component_distribution

    def _weights(self) -> Tensor:
        """The components' probabilities, with the dims of an event behind."""
        w = self._mixture_distribution.probs
        return w.reshape(w.shape + (1,) * self._event_ndims)

    @property
    def mean(self) -> Tensor:
        return (self._weights() * self._component_distribution.mean).sum(-1 - self._event_ndims)

    @property
    def variance(self) -> Tensor:
        """The mean of the variances and the variance of the means."""
        w, dim = self._weights(), -1 - self._event_ndims
        within = (w * self._component_distribution.variance).sum(dim)
        far = self._component_distribution.mean - self.mean.unsqueeze(dim)
        return within + (w * far.pow(2)).sum(dim)

    def cdf(self, value: Tensor) -> Tensor:
        each = self._component_distribution.cdf(value.unsqueeze(-1 - self._event_ndims))
        return (each * self._mixture_distribution.probs).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        each = self._component_distribution.log_prob(value.unsqueeze(-1 - self._event_ndims))
        return (each + self._mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        with no_grad():
            shape = self._sizes(sample_shape)
            chosen = self._mixture_distribution.sample(shape)
            drawn = self._component_distribution.sample(shape)  # of every component
            dim = len(shape) + len(self._batch_shape)
            index = chosen.reshape(chosen.shape + (1,) * (self._event_ndims + 1))
            index = index.expand(shape + self._batch_shape + (1,) + self._event_shape)
            return functional.gather(drawn, dim, index).squeeze(dim)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self._mixture_distribution},\n  {self._component_distribution})"
