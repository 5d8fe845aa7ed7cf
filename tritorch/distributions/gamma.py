"""The gamma distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd.function import Function
from ..dtypes import finfo
from ..functional.distributions import _standard_gamma, _standard_gamma_grad
from ..special import gammainc
from ..tensor import Size, Tensor
from . import constraints
from .exp_family import ExponentialFamily
from .utils import at_least, broadcast_all

__all__ = ["Gamma"]


class _LowerIncomplete(Function):
    """P(a, x) with its derivative by a, too: -density dx/da, x(a) the quantile."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(a, x)
        return gammainc(a, x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        a, x = ctx.saved_tensors
        by_x = g * ((a - 1) * x.log() - x - a.lgamma()).exp()
        return -by_x * _standard_gamma_grad(a, x), by_x


class Gamma(ExponentialFamily):
    """Density rate^a x^(a-1) exp(-rate x) / Gamma(a), a the concentration.

    Arguments:
        concentration: the shape, positive. rate: 1 / scale, positive.

    Gradients of `rsample` by the concentration are implicit (see `tritorch.kernels._implicit`).

    >>> import tritorch as torch
    >>> torch.distributions.Gamma(3.0, 2.0).mean
    tensor(1.5000)
    """

    arg_constraints: Any = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.nonnegative
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None):
        self.concentration, self.rate = self._together(concentration=concentration, rate=rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate.pow(2)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        value = _standard_gamma(self.concentration.expand(shape)) / self.rate.expand(shape)
        return at_least(value, finfo(value.dtype).tiny)  # a sample that rounds to 0 has no logarithm

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        a, rate = self.concentration, self.rate
        return a.xlogy(rate) + (a - 1).xlogy(value) - rate * value - a.lgamma()

    def cdf(self, value: Tensor) -> Tensor:
        self._check(value)
        x = self.rate * value
        return _LowerIncomplete.apply(*broadcast_all(self.concentration.to(x.device), x))

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + a.lgamma() + (1.0 - a) * a.digamma()

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return self.concentration - 1, -self.rate

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        return (x + 1).lgamma() + (x + 1) * (-y.reciprocal()).log()
