"""The transforms themselves: functions of numbers, of vectors and of matrices; `transform.py` has what combines them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import functional
from ..dtypes import finfo
from ..errors import message
from ..functional import broadcast_shapes
from ..nn.functional import logsigmoid, pad, softplus
from ..tensor import Size, Tensor
from . import constraints
from .transform import (
    CatTransform,
    ComposeTransform,
    IndependentTransform,
    ReshapeTransform,
    StackTransform,
    Transform,
    identity_transform,
)
from .utils import broadcast_all, sum_rightmost, tril_matrix_to_vec, vec_to_tril_matrix

__all__ = [
    "AbsTransform", "AffineTransform", "CatTransform", "ComposeTransform", "CorrCholeskyTransform",
    "CumulativeDistributionTransform", "ExpTransform", "IndependentTransform", "LowerCholeskyTransform",
    "PositiveDefiniteTransform", "PowerTransform", "ReshapeTransform", "SigmoidTransform", "SoftmaxTransform",
    "SoftplusTransform", "StackTransform", "StickBreakingTransform", "TanhTransform", "Transform", "identity_transform",
]  # fmt: skip


class _Parameterless(Transform):
    """A transform that its class says all about: two of a class are equal."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    __hash__ = Transform.__hash__


class _Rising(_Parameterless):
    """A bijective function of one number that rises."""

    bijective = True
    sign = +1  # type: ignore[assignment]
    domain = constraints.real


# ---- functions of one number ------------------------------------------------------------------------------------------


class ExpTransform(_Rising):
    """y = exp(x).

    >>> import tritorch as torch
    >>> torch.distributions.ExpTransform()(torch.zeros(1))
    tensor([1.])
    """

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class SigmoidTransform(_Rising):
    """y = 1 / (1 + exp(-x)), kept inside of (0, 1).

    >>> import tritorch as torch
    >>> torch.distributions.SigmoidTransform()(torch.zeros(1))
    tensor([0.5000])
    """

    codomain = constraints.unit_interval

    def _call(self, x: Tensor) -> Tensor:
        return _open_unit(x.sigmoid())

    def _inverse(self, y: Tensor) -> Tensor:
        y = _open_unit(y)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x) - softplus(x)


def _open_unit(y: Tensor) -> Tensor:
    info = finfo(y.dtype)
    return y.clamp(min=info.tiny, max=1.0 - info.eps)


class SoftplusTransform(_Rising):
    """y = log(1 + exp(x)).

    >>> import tritorch as torch
    >>> torch.distributions.SoftplusTransform()(torch.zeros(1))
    tensor([0.6931])
    """

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x)


class TanhTransform(_Rising):
    """y = tanh(x). The inverse is inexact near -1 and 1; `cache_size=1` spares it.

    >>> import tritorch as torch
    >>> torch.distributions.TanhTransform()(torch.ones(1))
    tensor([0.7616])
    """

    codomain = constraints.interval(-1.0, 1.0)

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (math.log(2.0) - x - softplus(x * -2.0)) * 2.0  # log(1 - tanh(x)^2) without cancellation


class AbsTransform(_Parameterless):
    """y = |x|, not bijective; its inverse gives the x that is not negative.

    >>> import tritorch as torch
    >>> torch.distributions.AbsTransform()(torch.tensor([-2.0]))
    tensor([2.])
    """

    domain = constraints.real
    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse(self, y: Tensor) -> Tensor:
        return y


def _equal(a: Any, b: Any) -> bool:
    same = a == b
    return bool(same.all()) if isinstance(same, Tensor) else bool(same)


class PowerTransform(Transform):
    """y = x ^ exponent for positive x.

    Arguments:
        exponent: a Tensor or number, not 0.

    >>> import tritorch as torch
    >>> torch.distributions.PowerTransform(2.0)(torch.tensor([3.0]))
    tensor([9.])
    """

    domain = constraints.positive
    codomain = constraints.positive
    bijective = True

    def __init__(self, exponent: Any, cache_size: int = 0):
        super().__init__(cache_size)
        (self.exponent,) = broadcast_all(exponent)

    @property
    def sign(self) -> Tensor:
        return self.exponent.sign()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PowerTransform) and _equal(self.exponent, other.exponent)

    __hash__ = Transform.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return x.pow(self.exponent)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return broadcast_shapes(tuple(shape), tuple(self.exponent.shape))

    inverse_shape = forward_shape


class AffineTransform(Transform):
    """y = loc + scale * x.

    Arguments:
        loc, scale: Tensors or numbers; scale is not 0.
        event_dim: number of dims of one value, over which Jacobians sum; default 0.

    >>> import tritorch as torch
    >>> torch.distributions.AffineTransform(1.0, 2.0)(torch.tensor([3.0]))
    tensor([7.])
    """

    bijective = True

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0):
        super().__init__(cache_size)
        self.loc, self.scale, self._event_dim = loc, scale, event_dim

    @property
    def event_dim(self) -> int:
        return self._event_dim

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        return constraints.independent(constraints.real, self.event_dim) if self.event_dim else constraints.real

    codomain = domain

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AffineTransform) and _equal(self.loc, other.loc) and _equal(self.scale, other.scale)

    __hash__ = Transform.__hash__

    @property
    def sign(self) -> Any:
        if isinstance(self.scale, Tensor):
            return self.scale.sign()
        return (self.scale > 0) - (self.scale < 0)

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if isinstance(self.scale, Tensor):
            each = self.scale.abs().log()
        else:
            each = functional.full_like(x, math.log(abs(self.scale)))
        if not self.event_dim:
            return each.expand(x.shape)
        return sum_rightmost(each.expand(broadcast_shapes(each.shape, x.shape)), self.event_dim)

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return broadcast_shapes(tuple(shape), _shape(self.loc), _shape(self.scale))

    inverse_shape = forward_shape


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(getattr(x, "shape", ()))


class CumulativeDistributionTransform(Transform):
    """y = cdf(x) of a distribution: uniform numbers from its samples, and back through `icdf`.

    >>> import tritorch as torch
    >>> from tritorch.distributions import CumulativeDistributionTransform, Normal
    >>> CumulativeDistributionTransform(Normal(0.0, 1.0))(torch.zeros(1))
    tensor([0.5000])
    """

    bijective = True
    codomain = constraints.unit_interval
    sign = +1  # type: ignore[assignment]

    def __init__(self, distribution: Any, cache_size: int = 0):
        super().__init__(cache_size)
        self.distribution = distribution

    @property
    def domain(self) -> Any:
        return self.distribution.support

    def _call(self, x: Tensor) -> Tensor:
        return self.distribution.cdf(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.distribution.log_prob(x)


# ---- functions of vectors ---------------------------------------------------------------------------------------------


def _resized(name: str, shape: Sequence[int], by: int) -> Size:
    """A shape whose last size changes by `by`."""
    if len(shape) < 1:
        raise ValueError(message(name, "needs at least 1 dim", shape=tuple(shape)))
    return Size(shape[:-1]) + (shape[-1] + by,)


class SoftmaxTransform(_Parameterless):
    """y = softmax(x) over the last dim; not bijective, since x + c gives the same y.

    >>> import tritorch as torch
    >>> torch.distributions.SoftmaxTransform()(torch.zeros(2))
    tensor([0.5000, 0.5000])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        return x.softmax(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return _resized("SoftmaxTransform", shape, 0)

    inverse_shape = forward_shape


class StickBreakingTransform(_Parameterless):
    """n real numbers to n + 1 positive ones with sum 1: each breaks a part, a sigmoid of x, off what is left.

    x = 0 gives equal parts.

    >>> import tritorch as torch
    >>> torch.distributions.StickBreakingTransform()(torch.zeros(3))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    @staticmethod
    def _log_left(x: Tensor) -> Tensor:
        """log of the number of parts that come after each."""
        return functional.arange(x.shape[-1], 0, -1, dtype=x.dtype, device=x.device).log()

    def _call(self, x: Tensor) -> Tensor:
        part = (x - self._log_left(x)).sigmoid()
        left = (1 - part).cumprod(-1)
        return pad(part, [0, 1], value=1) * pad(left, [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        first = y[..., :-1]
        left = (1 - first.cumsum(-1)).clamp(min=finfo(y.dtype).tiny)
        return first.log() - left.log() + self._log_left(first)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        x = x - self._log_left(x)
        return (-x + logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return _resized("StickBreakingTransform", shape, +1)

    def inverse_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return _resized("StickBreakingTransform", shape, -1)


class CorrCholeskyTransform(Transform):
    """n (n - 1) / 2 real numbers to the Cholesky factor of an n x n correlation matrix.

    tanh of the numbers are the canonical partial correlations z below the diagonal; row i of the factor is
    z_ij prod_(k < j) sqrt(1 - z_ik^2), with z_ii = 1 (D. Lewandowski, D. Kurowicka, H. Joe: Generating random
    correlation matrices based on vines and extended onion method, J. Multivariate Analysis 100, 2009).

    >>> import tritorch as torch
    >>> torch.distributions.CorrCholeskyTransform()(torch.zeros(1))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        limit = 1 - finfo(x.dtype).eps
        z = vec_to_tril_matrix(x.tanh().clamp(min=-limit, max=limit), diag=-1)
        left = (1 - z**2).sqrt().cumprod(-1)
        z = z + functional.eye(z.shape[-1], dtype=z.dtype, device=z.device)
        return z * pad(left[..., :-1], [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        left = pad((1 - (y * y).cumsum(-1))[..., :-1], [1, 0], value=1)
        z = tril_matrix_to_vec(y, diag=-1) / tril_matrix_to_vec(left, diag=-1).sqrt()
        return (z.log1p() - (-z).log1p()) / 2

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        left = tril_matrix_to_vec(1 - (y * y).cumsum(-1), diag=-2)
        return 0.5 * left.log().sum(-1) - 2 * (x + softplus(-2 * x) - math.log(2.0)).sum(-1)

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        count = _resized("CorrCholeskyTransform", shape, 0)[-1]
        n = round((0.25 + 2 * count) ** 0.5 + 0.5)
        if n * (n - 1) // 2 != count:
            rule = "the size of the last dim is not n (n - 1) / 2"
            raise ValueError(message("CorrCholeskyTransform", rule, shape=tuple(shape)))
        return Size(shape[:-1]) + (n, n)

    def inverse_shape(self, shape: Sequence[int]) -> Sequence[int]:
        if len(shape) < 2 or shape[-1] != shape[-2]:
            raise ValueError(message("CorrCholeskyTransform", "needs square matrices", shape=tuple(shape)))
        return Size(shape[:-2]) + (shape[-1] * (shape[-1] - 1) // 2,)


# ---- functions of matrices --------------------------------------------------------------------------------------------


class LowerCholeskyTransform(_Parameterless):
    """Square matrices to lower triangular ones with a positive diagonal: the exponential of the diagonal.

    >>> import tritorch as torch
    >>> torch.distributions.LowerCholeskyTransform()(torch.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(_Parameterless):
    """Square matrices to positive definite ones: L L^T with L of `LowerCholeskyTransform`.

    >>> import tritorch as torch
    >>> torch.distributions.PositiveDefiniteTransform()(torch.zeros(1, 1))
    tensor([[1.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x: Tensor) -> Tensor:
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y: Tensor) -> Tensor:
        from ..linalg import cholesky

        return LowerCholeskyTransform().inv(cholesky(y))
