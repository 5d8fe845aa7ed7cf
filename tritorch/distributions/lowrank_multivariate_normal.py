"""The multivariate normal distribution with a covariance of low rank plus a diagonal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import functional, linalg
from ..errors import message
from ..tensor import Size, Tensor
from . import constraints
from .distribution import Distribution
from .multivariate_normal import half_log_det, mahalanobis, times_vector
from .utils import lazy_property, standard_normal

__all__ = ["LowRankMultivariateNormal"]


def capacitance_factor(w: Tensor, d: Tensor) -> Tensor:
    """Cholesky factor of I + W^T D^-1 W."""
    k = w.mT @ (w / d.unsqueeze(-1))
    return linalg.cholesky(k + functional.eye(k.shape[-1], dtype=k.dtype, device=k.device))


def low_rank_mahalanobis(w: Tensor, d: Tensor, capacitance: Tensor, x: Tensor) -> Tensor:
    """x^T (W W^T + D)^-1 x by Woodbury's identity: x^T D^-1 x - |L^-1 W^T D^-1 x|^2, L the capacitance's factor."""
    inner = times_vector((w / d.unsqueeze(-1)).mT, x)
    return (x.square() / d).sum(-1) - mahalanobis(capacitance, inner)


def low_rank_half_log_det(d: Tensor, capacitance: Tensor) -> Tensor:
    """Half of log det(W W^T + D), by the matrix determinant lemma."""
    return half_log_det(capacitance) + 0.5 * d.log().sum(-1)


class LowRankMultivariateNormal(Distribution):
    """Normal vectors with the covariance W W^T + diag(d): n x n with n (r + 1) numbers, in O(n r^2).

    Arguments:
        loc: the mean, (..., n). cov_factor: W, (..., n, r). cov_diag: d, (..., n), positive.

    Raises:
        ValueError: shapes that do not go together.

    >>> import tritorch as torch
    >>> d = torch.distributions.LowRankMultivariateNormal(torch.zeros(2), torch.ones(2, 1), torch.ones(2))
    >>> d.covariance_matrix
    tensor([[2., 1.],
            [1., 2.]])
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None):
        name = "LowRankMultivariateNormal"
        if loc.ndim < 1:
            raise ValueError(message(name, "loc must be at least one-dimensional", loc=loc))
        n = loc.shape[-1]
        if cov_factor.ndim < 2:
            rule = "cov_factor must be at least two-dimensional, with optional leading batch dimensions"
            raise ValueError(message(name, rule, cov_factor=cov_factor))
        if cov_factor.shape[-2] != n:
            raise ValueError(
                message(name, f"cov_factor must be a batch of matrices with shape {n} x m", cov_factor=cov_factor)
            )
        if cov_diag.shape[-1:] != (n,):
            raise ValueError(message(name, f"cov_diag must be a batch of vectors with shape ({n},)", cov_diag=cov_diag))
        parts = [tuple(loc.shape[:-1]), tuple(cov_factor.shape[:-2]), tuple(cov_diag.shape[:-1])]
        try:
            batch = Size(functional.broadcast_shapes(*parts))
        except RuntimeError:
            rule = "Incompatible batch shapes"
            raise ValueError(message(name, rule, loc=loc, cov_factor=cov_factor, cov_diag=cov_diag)) from None
        self.loc = loc.expand((*batch, n))
        self.cov_factor = cov_factor.expand((*batch, n, cov_factor.shape[-1]))
        self.cov_diag = cov_diag.expand((*batch, n))
        super().__init__(batch, Size((n,)), validate_args=validate_args)
        # with the given batch, which may be smaller
        self._w, self._d = cov_factor, cov_diag
        self._capacitance = capacitance_factor(cov_factor, cov_diag)

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        return (self._w.pow(2).sum(-1) + self._d).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower Cholesky factor of the covariance: D^(1/2) times that of I + D^(-1/2) W W^T D^(-1/2)."""
        root = self._d.sqrt().unsqueeze(-1)
        scaled = self._w / root
        eye = functional.eye(self._event_shape[0], dtype=scaled.dtype, device=scaled.device)
        return self._full(root * linalg.cholesky(scaled @ scaled.mT + eye))

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """W W^T + diag(d)."""
        return self._full(self._w @ self._w.mT + self._d.diag_embed())

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance, by Woodbury's identity."""
        inner = (self._w / self._d.unsqueeze(-1)).mT
        half = linalg.solve_triangular(*_same_batch(self._capacitance, inner), upper=False)
        return self._full(self._d.reciprocal().diag_embed() - half.mT @ half)

    def _full(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        low = standard_normal((*shape[:-1], self.cov_factor.shape[-1]), self.loc)
        each = standard_normal(shape, self.loc)
        return self.loc + times_vector(self._w, low) + self._d.sqrt() * each

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        distance = low_rank_mahalanobis(self._w, self._d, self._capacitance, value - self.loc)
        n = self._event_shape[0]
        return -0.5 * (n * math.log(2 * math.pi) + distance) - low_rank_half_log_det(self._d, self._capacitance)

    def entropy(self) -> Tensor:
        half = low_rank_half_log_det(self._d, self._capacitance)
        return (0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + half).expand(self._batch_shape)


def _same_batch(a: Tensor, b: Tensor) -> tuple[Any, Any]:
    batch = functional.broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2]))
    return a.expand((*batch, *a.shape[-2:])), b.expand((*batch, *b.shape[-2:]))
