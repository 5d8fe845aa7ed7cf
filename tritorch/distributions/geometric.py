"""The geometric distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import functional
from ..autograd.modes import no_grad
from ..dtypes import finfo
from ..nn.functional import binary_cross_entropy_with_logits
from ..tensor import Size, Tensor
from . import constraints
from .probability import ByProbability

__all__ = ["Geometric"]


class Geometric(ByProbability):
    """The number of failures before the first success, of probability p: (1 - p)^k p, k = 0, 1, ...

    Arguments:
        probs: p, in (0, 1]. logits: log(p / (1 - p)). One of the two.

    >>> import tritorch as torch
    >>> torch.distributions.Geometric(0.25).mean
    tensor(3.)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        name = self._choose(probs, logits)
        (param,) = self._together(**{name: probs if name == "probs" else logits})
        setattr(self, name, param)
        super().__init__(param.shape, validate_args=validate_args)
        if self._validate_args and name == "probs" and not (param > 0).all():
            raise ValueError(
                f"Expected parameter probs (Tensor of shape {tuple(param.shape)}) of distribution {self!r} to be "
                f"positive but found invalid values:\n{param}"
            )

    @property
    def mean(self) -> Tensor:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        return functional.zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        with no_grad():
            u = self.probs.new_empty(self._extended_shape(sample_shape)).uniform_()
            return (u.clamp(min=finfo(self.probs.dtype).tiny).log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        certain = (self.probs == 1) & (value == 0)  # 0 log 0, whose gradient is 0 as well
        p, value = functional.broadcast_tensors(self.probs, value)
        return value * (-p.masked_fill(certain, 0.0)).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs
