"""The multivariate normal distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import functional, linalg
from ..errors import message
from ..tensor import Size, Tensor
from . import constraints
from .distribution import Distribution
from .utils import lazy_property, standard_normal

__all__ = ["MultivariateNormal"]


def times_vector(matrix: Tensor, vector: Tensor) -> Tensor:
    """Products (..., m, n) (..., n), batches broadcast."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def solved(factor: Tensor, distance: Tensor) -> Tensor:
    """L^-1 d for lower triangular L (*batch, n, n) and d (*sample, *batch, n), as (*batch, n, samples).

    The sample dims become columns, so that each matrix is used once.
    """
    batch = factor.shape[:-2]
    columns = distance.reshape(-1, *batch, distance.shape[-1]).movedim(0, -1)
    return linalg.solve_triangular(factor, columns, upper=False)


def mahalanobis(factor: Tensor, distance: Tensor) -> Tensor:
    """d^T (L L^T)^-1 d; L and d as in `solved`, or with fewer batch dims. (*sample, *batch)."""
    shape = functional.broadcast_shapes(tuple(factor.shape[:-2]), tuple(distance.shape[:-1]))
    n = distance.shape[-1]
    batch = shape[len(shape) - (factor.ndim - 2) :]
    y = solved(factor.expand((*batch, n, n)), distance.expand((*shape, n)))
    return y.square().sum(-2).movedim(-1, 0).reshape(shape)


def half_log_det(factor: Tensor) -> Tensor:
    """log det L of triangular L: half of that of L L^T."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def factor_of_precision(precision: Tensor) -> Tensor:
    """The Cholesky factor of the inverse of a positive definite matrix, from its own factor in reversed order."""
    reverse = linalg.cholesky(precision.flip((-2, -1))).flip((-2, -1)).mT
    eye = functional.eye(precision.shape[-1], dtype=precision.dtype, device=precision.device)
    return linalg.solve_triangular(reverse, eye.expand_as(reverse), upper=False)


def inverse_of(factor: Tensor) -> Tensor:
    """(L L^T)^-1."""
    eye = functional.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    inverse = linalg.solve_triangular(factor, eye.expand_as(factor), upper=False)
    return inverse.mT @ inverse


def only_matrix(name: str, **given: Any) -> tuple[str, Tensor]:
    """Name and value of the one of several matrices that is given; ValueError otherwise, or for less than two dims."""
    found = [(k, v) for k, v in given.items() if v is not None]
    if len(found) != 1:
        rule = f"Exactly one of {' or '.join(given)} may be specified"
        raise ValueError(message(name, rule, given=[k for k, _ in found]))
    if found[0][1].ndim < 2:
        rule = f"{found[0][0]} must be at least two-dimensional, with optional leading batch dimensions"
        raise ValueError(message(name, rule, **dict(found)))
    return found[0]


class MultivariateNormal(Distribution):
    """Normal vectors x = loc + L z with covariance L L^T, z standard normal.

    Density exp(-(x - loc)^T C^-1 (x - loc) / 2) / sqrt((2 pi)^n det C).

    Arguments:
        loc: the mean, (..., n).
        covariance_matrix: C, (..., n, n). precision_matrix: its inverse. scale_tril: its lower Cholesky factor L, the
            cheapest. One of the three.

    Raises:
        ValueError: not one matrix is given, `loc` has no dim, or a parameter is outside of its constraint.

    >>> import tritorch as torch
    >>> torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2)).log_prob(torch.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        if loc.ndim < 1:
            raise ValueError(message("MultivariateNormal", "loc must be at least one-dimensional", loc=loc))
        name, matrix = only_matrix(
            "MultivariateNormal", covariance_matrix=covariance_matrix, precision_matrix=precision_matrix,
            scale_tril=scale_tril,
        )  # fmt: skip
        try:
            batch = Size(functional.broadcast_shapes(tuple(matrix.shape[:-2]), tuple(loc.shape[:-1])))
        except RuntimeError:
            rule = "batch dims do not broadcast together"
            raise RuntimeError(message("MultivariateNormal", rule, **{"loc": loc, name: matrix})) from None
        setattr(self, name, matrix.expand((*batch, -1, -1)))
        self.loc = loc.expand((*batch, -1))
        super().__init__(batch, self.loc.shape[-1:], validate_args=validate_args)
        # with the given batch, which may be smaller: one factorization serves all
        self._factor = (
            matrix if name == "scale_tril"
            else linalg.cholesky(matrix) if name == "covariance_matrix"
            else factor_of_precision(matrix)
        )  # fmt: skip

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._full(self._factor)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return self._full(self._factor @ self._factor.mT)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        return self._full(inverse_of(self._factor))

    def _full(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        return self._factor.pow(2).sum(-1).expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        z = standard_normal(self._extended_shape(sample_shape), self.loc)
        return self.loc + times_vector(self._factor, z)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        distance = mahalanobis(self._factor, value - self.loc)
        n = self._event_shape[0]
        return -0.5 * (n * math.log(2 * math.pi) + distance) - half_log_det(self._factor)

    def entropy(self) -> Tensor:
        n = self._event_shape[0]
        return (0.5 * n * (1.0 + math.log(2 * math.pi)) + half_log_det(self._factor)).expand(self._batch_shape)
