"""The Wishart distribution."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from numbers import Number
from typing import Any

from .. import functional, linalg
from ..errors import message
from ..tensor import Size, Tensor
from . import constraints
from .chi2 import Chi2
from .exp_family import ExponentialFamily
from .multivariate_normal import factor_of_precision, half_log_det, inverse_of, only_matrix
from .utils import lazy_property, standard_normal

__all__ = ["Wishart"]


def mvdigamma(x: Tensor, p: int) -> Tensor:
    """The derivative of mvlgamma: sum_(j < p) digamma(x - j / 2)."""
    steps = functional.arange(p, dtype=x.dtype, device=x.device) / 2
    return (x.unsqueeze(-1) - steps).digamma().sum(-1)


class Wishart(ExponentialFamily):
    """The distribution of sum_(i <= df) x_i x_i^T of normal vectors x with mean 0 and a given covariance C.

    Drawn by Bartlett's decomposition.

    Arguments:
        df: degrees of freedom, above n - 1, not necessarily whole.
        covariance_matrix: C, (..., n, n). precision_matrix: its inverse. scale_tril: its lower Cholesky factor. One of
            the three.

    Raises:
        ValueError: not one matrix is given, or `df` is too small.

    >>> import tritorch as torch
    >>> torch.distributions.Wishart(torch.tensor(3.0), torch.eye(2)).mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self,
        df: Any,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        name, matrix = only_matrix(
            "Wishart", covariance_matrix=covariance_matrix, precision_matrix=precision_matrix, scale_tril=scale_tril
        )
        n = matrix.shape[-1]
        if isinstance(df, Number):
            df = functional.tensor(df, dtype=matrix.dtype, device=matrix.device)
        batch = Size(functional.broadcast_shapes(tuple(matrix.shape[:-2]), tuple(df.shape)))
        self.df = df.expand(batch)
        if (self.df <= n - 1).any():
            raise ValueError(message("Wishart", f"Value of df expected to be greater than ndim - 1 = {n - 1}", df=df))
        setattr(self, name, matrix.expand((*batch, -1, -1)))
        super().__init__(batch, Size((n, n)), validate_args=validate_args)
        if (self.df < n).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        self._factor = (
            matrix if name == "scale_tril"
            else linalg.cholesky(matrix) if name == "covariance_matrix"
            else factor_of_precision(matrix)
        )  # fmt: skip
        steps = functional.arange(n, dtype=self.df.dtype, device=self.df.device)
        self._chi2 = Chi2(self.df.unsqueeze(-1) - steps.expand((*batch, n)))

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self._event_shape[-1] - 1),
        }

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._factor.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return (self._factor @ self._factor.mT).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        return inverse_of(self._factor).expand(self._batch_shape + self._event_shape)

    def _by_matrix(self, x: Tensor) -> Tensor:
        return x.view((*self._batch_shape, 1, 1))

    @property
    def mean(self) -> Tensor:
        return self._by_matrix(self.df) * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self.df - self._event_shape[-1] - 1
        return self._by_matrix(functional.where(factor <= 0, math.nan, factor)) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        diagonal = v.diagonal(dim1=-2, dim2=-1)
        return self._by_matrix(self.df) * (v.pow(2) + diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2))

    def _bartlett(self, sample_shape: Sequence[int]) -> Tensor:
        """L A A^T L^T; A lower triangular, chi numbers on the diagonal, normal ones below."""
        n = self._event_shape[-1]
        noise = self._chi2.rsample(sample_shape).sqrt().diag_embed(dim1=-2, dim2=-1)
        below = standard_normal((*self._sizes(sample_shape), *self._batch_shape, n * (n - 1) // 2), self.df)
        rows, columns = functional.tril_indices(n, n, -1, device=noise.device)
        triangle = functional.zeros_like(noise)
        triangle[..., rows, columns] = below
        chol = self._factor @ (noise + triangle)
        return chol @ chol.mT

    def rsample(self, sample_shape: Sequence[int] = Size(), max_try_correction: int | None = None) -> Tensor:
        """Draws; singular ones (by rounding) are drawn again up to `max_try_correction` times.

        Arguments:
            max_try_correction: default 3 for one batch dim or none, else 10.
        """
        if max_try_correction is None:
            max_try_correction = 3 if len(self._batch_shape) > 0 else 10
        sample = self._bartlett(sample_shape)
        if not self._validate_args and max_try_correction < 1:
            return sample
        singular = ~self.support.check(sample)
        if singular.any():
            warnings.warn("Singular sample detected.", stacklevel=2)
            for _ in range(max_try_correction):
                sample = functional.where(singular[..., None, None], self._bartlett(sample_shape), sample)
                singular = ~self.support.check(sample)
                if not singular.any():
                    break
        return sample

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        nu, n = self.df, self._event_shape[-1]
        precision = inverse_of(self._factor)
        trace = (precision * value).sum((-2, -1))  # both symmetric
        return (
            -nu * (n * math.log(2) / 2 + half_log_det(self._factor))
            - (nu / 2).mvlgamma(n)
            + (nu - n - 1) / 2 * linalg.slogdet(value)[1]
            - trace / 2
        )

    def entropy(self) -> Tensor:
        nu, n = self.df, self._event_shape[-1]
        return (
            (n + 1) * (n * math.log(2) / 2 + half_log_det(self._factor))
            + (nu / 2).mvlgamma(n)
            - (nu - n - 1) / 2 * mvdigamma(nu / 2, n)
            + nu * n / 2
        )

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        n = self._event_shape[-1]
        half = y + (n + 1) / 2
        return half * (-linalg.slogdet(-2 * x)[1] + n * math.log(2)) + half.mvlgamma(n)
