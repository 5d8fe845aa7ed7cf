"""The multinomial distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import functional
from ..autograd.modes import no_grad
from ..errors import message
from ..tensor import Size, Tensor
from . import constraints
from .binomial import Binomial
from .categorical import Categorical
from .distribution import Distribution
from .probability import ByLogits

__all__ = ["Multinomial"]


class Multinomial(ByLogits, Distribution):
    """How often each index comes in n draws of a `Categorical`: n! prod_i p_i^k_i / k_i!

    Arguments:
        total_count: n, one int for the whole batch; default 1.
        probs, logits: as of `Categorical`, one of the two.

    Raises:
        NotImplementedError: `total_count` is no int.

    >>> import tritorch as torch
    >>> torch.distributions.Multinomial(4, torch.tensor([1.0, 3.0])).mean
    tensor([1., 3.])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    total_count: int

    def __init__(
        self,
        total_count: int = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        if not isinstance(total_count, int):
            raise NotImplementedError(
                message("Multinomial", "inhomogeneous total_count is not supported", total_count=total_count)
            )
        if total_count < 0:
            raise ValueError(message("Multinomial", "total_count must not be negative", total_count=total_count))
        self.total_count = total_count
        self._categorical = Categorical(probs, logits)
        shape = self._categorical.param_shape
        super().__init__(self._categorical.batch_shape, shape[-1:], validate_args=validate_args)

    @property
    def _source(self) -> Categorical:
        return self._categorical

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        with no_grad():
            drawn = self._categorical.sample(Size((self.total_count,)) + self._sizes(sample_shape))
            drawn = drawn.movedim(0, -1)
            counts = self.probs.new_zeros(self._extended_shape(sample_shape))
            return counts.scatter_add(-1, drawn, functional.ones_like(drawn, dtype=counts.dtype))

    def entropy(self) -> Tensor:
        """n H(p) - log n! + sum_i E log k_i!, whose k_i are binomial."""
        n = functional.tensor(self.total_count, dtype=self.probs.dtype, device=self.probs.device)
        each = Binomial(self.total_count, probs=self.probs, validate_args=False)
        count = each.enumerate_support(expand=False)[1:]
        expected = (each.log_prob(count).exp() * (count + 1).lgamma()).sum((0, -1))
        return n * self._categorical.entropy() - (n + 1).lgamma() + expected

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        logits, value = functional.broadcast_tensors(self.logits, value)
        impossible = (value == 0) & (logits == -float("inf"))  # what never comes, and did not
        power = (logits.masked_fill(impossible, 0.0) * value).sum(-1)
        return (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1) + power
