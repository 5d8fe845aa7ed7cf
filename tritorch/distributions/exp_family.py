"""Exponential families: densities p(x) = h(x) exp(theta . t(x) - A(theta))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd import grad
from ..autograd.modes import enable_grad
from ..tensor import Tensor
from .distribution import Distribution
from .utils import sum_rightmost

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """A distribution that knows its natural parameters theta (`_natural_params`) and A (`_log_normalizer`).

    From these come the entropy and the KL divergence of two of a kind, as Bregman divergences of A, by autograd
    (F. Nielsen, R. Nock: Entropies and cross-entropies of exponential families, ICIP 2010).

    Subclasses state `_mean_carrier_measure`, the expected log h(x), where it is a number.
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError(f"{type(self).__name__} does not give its natural parameters")

    def _log_normalizer(self, *natural_params: Any) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not give its log normalizer")

    if TYPE_CHECKING:
        _mean_carrier_measure: Any
    else:

        @property
        def _mean_carrier_measure(self) -> Any:
            raise NotImplementedError(f"{type(self).__name__} has no constant mean of its carrier measure")

    def _expected_statistics(self) -> tuple[tuple[Tensor, ...], Tensor, tuple[Tensor, ...]]:
        """theta, A(theta) and its gradient, the expected t(x)."""
        with enable_grad():
            params = tuple(p.detach().requires_grad_() for p in self._natural_params)
            normalizer = self._log_normalizer(*params)
            statistics = grad(normalizer.sum(), params, create_graph=True)
        return params, normalizer, statistics

    def entropy(self) -> Tensor:
        """A(theta) - theta . grad A(theta) - E log h."""
        params, normalizer, statistics = self._expected_statistics()
        result = normalizer - self._mean_carrier_measure
        for p, t in zip(params, statistics, strict=True):
            result = result - sum_rightmost(p * t, p.ndim - len(self.batch_shape))
        return result
