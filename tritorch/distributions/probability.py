"""The parameter that is given as probabilities or as logits, one of the two; the other is computed when it is asked for."""

from __future__ import annotations

from typing import Any

from ..errors import message
from ..tensor import Size, Tensor
from .distribution import Distribution
from .utils import lazy_property, logits_to_probs, probs_to_logits

__all__ = ["ByLogits", "ByProbability"]


def one_of(name: str, probs: Any, logits: Any) -> bool:
    """Is it `probs` that is given; ValueError unless exactly one is."""
    if (probs is None) == (logits is None):
        rule = "Either `probs` or `logits` must be specified, but not both"
        raise ValueError(message(name, rule, probs=probs, logits=logits))
    return probs is not None


class ByProbability(Distribution):
    """Attributes `probs`, the probability of an event, and `logits`, log(p / (1 - p))."""

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits, is_binary=True)

    def _choose(self, probs: Any, logits: Any) -> str:
        """The name of the one that is given."""
        self._param_name = "probs" if one_of(type(self).__name__, probs, logits) else "logits"
        return self._param_name

    @property
    def _param(self) -> Tensor:
        return getattr(self, self._param_name)

    @property
    def param_shape(self) -> Size:
        """Shape of the parameter."""
        return self._param.shape


class ByLogits:
    """Attributes `logits` and `probs` of a distribution that is made of another one that has them."""

    _source: Any

    @property
    def logits(self) -> Tensor:
        """log of the probabilities, up to what their sum is."""
        return self._source.logits

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        return self._source.probs

    @property
    def param_shape(self) -> Size:
        """Shape of the parameter."""
        return self._source.param_shape
