"""The categorical distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import functional
from ..autograd.modes import no_grad
from ..dtypes import finfo
from ..errors import message
from ..tensor import Size, Tensor
from . import constraints
from .distribution import Distribution
from .probability import one_of
from .utils import lazy_property, logits_to_probs, probs_to_logits

__all__ = ["Categorical"]


class Categorical(Distribution):
    """One of the indices 0 ... k - 1 with given probabilities.

    Arguments:
        probs: (..., k), not negative; divided by their sum. logits: (..., k), their logarithms up to a constant; made
            so that the sum of exp is 1. One of the two.

    Raises:
        ValueError: none or both are given, or a parameter without dims.

    >>> import tritorch as torch
    >>> d = torch.distributions.Categorical(torch.tensor([1.0, 3.0]))
    >>> d.probs, d.log_prob(torch.tensor(0))
    (tensor([0.2500, 0.7500]), tensor(-1.3863))
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self._param_name = "probs" if one_of("Categorical", probs, logits) else "logits"
        param = probs if self._param_name == "probs" else logits
        if param.ndim < 1:
            rule = f"`{self._param_name}` parameter must be at least one-dimensional"
            raise ValueError(message("Categorical", rule, **{self._param_name: param}))
        if self._param_name == "probs":
            self.probs = probs / probs.sum(-1, keepdim=True)
        else:
            self.logits = logits - logits.logsumexp(-1, keepdim=True)
        self._num_events = param.shape[-1]
        super().__init__(param.shape[:-1], validate_args=validate_args)

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits)

    @property
    def _param(self) -> Tensor:
        return getattr(self, self._param_name)

    @property
    def param_shape(self) -> Size:
        """Shape of the parameter."""
        return self._param.shape

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self) -> Tensor:
        return self.probs.new_full(self._extended_shape(), math.nan)

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(-1)

    @property
    def variance(self) -> Tensor:
        return self.probs.new_full(self._extended_shape(), math.nan)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        count = self._sizes(sample_shape).numel()
        with no_grad():
            drawn = functional.multinomial(self.probs.reshape(-1, self._num_events), count, True)
            return drawn.transpose(0, 1).reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        index, logits = functional.broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, index[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        logits = self.logits.clamp(min=finfo(self.logits.dtype).min)  # 0 times -inf is to be 0
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = functional.arange(self._num_events, device=self._param.device)
        values = values.view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values
