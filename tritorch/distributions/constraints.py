"""Sets of values: where a distribution's parameters and its samples may lie.

A constraint says of each element (or of each block of `event_dim` dims from the right) whether it belongs to the set.

>>> import tritorch as torch
>>> torch.distributions.constraints.simplex.check(torch.tensor([[0.2, 0.8], [0.2, 0.2]]))
tensor([ True, False])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import functional, linalg
from ..dtypes import bool_, finfo
from ..errors import message
from ..tensor import Tensor

__all__ = [
    "Constraint", "MixtureSameFamilyConstraint", "boolean", "cat", "corr_cholesky", "dependent", "dependent_property",
    "greater_than", "greater_than_eq", "half_open_interval", "independent", "integer_interval", "interval",
    "is_dependent", "less_than", "lower_cholesky", "lower_triangular", "multinomial", "nonnegative",
    "nonnegative_integer", "one_hot", "positive", "positive_definite", "positive_integer", "positive_semidefinite",
    "real", "real_vector", "simplex", "square", "stack", "symmetric", "unit_interval",
]  # fmt: skip


class Constraint:
    """A set of values.

    Attributes:
        is_discrete: the set is countable.
        event_dim: number of dims from the right that make one value; default 0.
    """

    is_discrete: Any = False
    event_dim: Any = 0

    def check(self, value: Tensor) -> Tensor:
        """Which values are in the set: bool of the shape of `value` less its last `event_dim` dims."""
        raise NotImplementedError(f"{type(self).__name__} defines no check")

    def __repr__(self) -> str:
        return type(self).__name__.lstrip("_") + "()"


def _all(value: Tensor, dims: int) -> Tensor:
    """Do all elements of the last `dims` dims hold."""
    return value.reshape(*value.shape[: value.ndim - dims], -1).all(-1) if dims else value


# ---- sets that depend on the distribution -----------------------------------------------------------------------------


class _Dependent(Constraint):
    """A set that only the distribution's parameters fix; calling it gives one with the flags stated."""

    def __init__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented):
        self._flags = {"is_discrete": is_discrete, "event_dim": event_dim}

    def _flag(self, name: str) -> Any:
        if self._flags[name] is NotImplemented:
            raise NotImplementedError(f"{name} of a dependent constraint is known only to its distribution")
        return self._flags[name]

    is_discrete = property(lambda self: self._flag("is_discrete"))
    event_dim = property(lambda self: self._flag("event_dim"))

    def __call__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> _Dependent:
        """The same constraint with flags stated."""
        given = {"is_discrete": is_discrete, "event_dim": event_dim}
        return _Dependent(**self._flags | {k: v for k, v in given.items() if v is not NotImplemented})

    def check(self, value: Tensor) -> Tensor:
        raise ValueError("a dependent constraint has no check of its own; ask the distribution's property")


def is_dependent(constraint: Any) -> bool:
    """Is it a constraint that only its distribution fixes.

    >>> is_dependent(dependent), is_dependent(real)
    (True, False)
    """
    return isinstance(constraint, _Dependent)


class _DependentProperty(property, _Dependent):
    """A property of a distribution that gives a constraint; on the class it stands for a dependent constraint.

    >>> class D:
    ...     @dependent_property(is_discrete=False, event_dim=0)
    ...     def support(self):
    ...         return interval(0.0, 2.0)
    >>> D().support, D.support.event_dim
    (Interval(lower_bound=0.0, upper_bound=2.0), 0)
    """

    def __init__(
        self,
        fn: Callable[..., Any] | None = None,
        *,
        is_discrete: Any = NotImplemented,
        event_dim: Any = NotImplemented,
    ):
        property.__init__(self, fn)
        _Dependent.__init__(self, is_discrete=is_discrete, event_dim=event_dim)

    def __call__(self, fn: Callable[..., Any]) -> _DependentProperty:  # type: ignore[override]
        return _DependentProperty(fn, **self._flags)


# ---- sets of numbers --------------------------------------------------------------------------------------------------


class _Real(Constraint):
    def check(self, value: Tensor) -> Tensor:
        return value == value  # all but NaN


class _Boolean(Constraint):
    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return (value == 0) | (value == 1)


class _Bounded(Constraint):
    """Numbers between bounds, which print with the name."""

    def __repr__(self) -> str:
        return f"{type(self).__name__[1:]}({', '.join(f'{k}={v}' for k, v in vars(self).items())})"


class _Above(_Bounded):
    def __init__(self, lower_bound: Any):
        self.lower_bound = lower_bound


class _Below(_Bounded):
    def __init__(self, upper_bound: Any):
        self.upper_bound = upper_bound


class _Between(_Bounded):
    def __init__(self, lower_bound: Any, upper_bound: Any):
        self.lower_bound, self.upper_bound = lower_bound, upper_bound


class _GreaterThan(_Above):
    """x > lower_bound.

    >>> import tritorch as torch
    >>> greater_than(0.0).check(torch.tensor([0.0, 1.0]))
    tensor([False,  True])
    """

    def check(self, value: Tensor) -> Tensor:
        return value > self.lower_bound


class _GreaterThanEq(_Above):
    """x >= lower_bound."""

    def check(self, value: Tensor) -> Tensor:
        return value >= self.lower_bound


class _LessThan(_Below):
    """x < upper_bound."""

    def check(self, value: Tensor) -> Tensor:
        return value < self.upper_bound


class _Interval(_Between):
    """lower_bound <= x <= upper_bound."""

    def check(self, value: Tensor) -> Tensor:
        return (value >= self.lower_bound) & (value <= self.upper_bound)


class _HalfOpenInterval(_Between):
    """lower_bound <= x < upper_bound."""

    def check(self, value: Tensor) -> Tensor:
        return (value >= self.lower_bound) & (value < self.upper_bound)


def _whole(value: Tensor) -> Tensor:
    return value % 1 == 0


class _IntegerGreaterThan(_Above):
    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return _whole(value) & (value >= self.lower_bound)


class _IntegerLessThan(_Below):
    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return _whole(value) & (value <= self.upper_bound)


class _IntegerInterval(_Between):
    """Whole numbers, lower_bound <= x <= upper_bound."""

    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return _whole(value) & (value >= self.lower_bound) & (value <= self.upper_bound)


# ---- sets of vectors --------------------------------------------------------------------------------------------------


class _Simplex(Constraint):
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return _all(value >= 0, 1) & ((value.sum(-1) - 1).abs() < 1e-6)


class _OneHot(Constraint):
    is_discrete = True
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return _all((value == 0) | (value == 1), 1) & (value.sum(-1) == 1)


class _Multinomial(Constraint):
    """Vectors of counts with a sum of at most `upper_bound`."""

    is_discrete = True
    event_dim = 1

    def __init__(self, upper_bound: Any):
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return _all(value >= 0, 1) & (value.sum(-1) <= self.upper_bound)


# ---- sets of matrices -------------------------------------------------------------------------------------------------


class _LowerTriangular(Constraint):
    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        return _all(value.tril() == value, 2)


class _LowerCholesky(_LowerTriangular):
    """Lower triangular matrices with a positive diagonal."""

    def check(self, value: Tensor) -> Tensor:
        return super().check(value) & _all(value.diagonal(dim1=-2, dim2=-1) > 0, 1)


class _CorrCholesky(_LowerCholesky):
    """Cholesky factors of correlation matrices: their rows have length 1."""

    def check(self, value: Tensor) -> Tensor:
        tolerance = finfo(value.dtype).eps * value.shape[-1] * 10
        return super().check(value) & _all((value.norm(2, -1) - 1).abs() <= tolerance, 1)


class _Square(Constraint):
    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        square = value.shape[-2] == value.shape[-1]
        return functional.full(tuple(value.shape[:-2]), square, dtype=bool_, device=value.device)


class _Symmetric(_Square):
    def check(self, value: Tensor) -> Tensor:
        square = super().check(value)
        return _all(functional.isclose(value, value.mT, atol=1e-6), 2) if square.all() else square


class _PositiveSemidefinite(_Symmetric):
    def check(self, value: Tensor) -> Tensor:
        symmetric = super().check(value)
        return symmetric & _all(linalg.eigvalsh(value) >= 0, 1) if symmetric.all() else symmetric


class _PositiveDefinite(_Symmetric):
    def check(self, value: Tensor) -> Tensor:
        symmetric = super().check(value)
        return symmetric & (linalg.cholesky_ex(value).info == 0) if symmetric.all() else symmetric


# ---- sets made of others ----------------------------------------------------------------------------------------------


class _IndependentConstraint(Constraint):
    """Blocks of values: all elements of the last `reinterpreted_batch_ndims` dims are in the base set."""

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int):
        if reinterpreted_batch_ndims < 0:
            raise ValueError(
                message("independent", "needs a number of dims, not negative", dims=reinterpreted_batch_ndims)
            )
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    is_discrete = property(lambda self: self.base_constraint.is_discrete)
    event_dim = property(lambda self: self.base_constraint.event_dim + self.reinterpreted_batch_ndims)

    def check(self, value: Tensor) -> Tensor:
        inside = self.base_constraint.check(value)
        if inside.ndim < self.reinterpreted_batch_ndims:
            rule = f"expected at least {self.base_constraint.event_dim + self.reinterpreted_batch_ndims} dims"
            raise ValueError(message("independent", rule, value=value))
        return _all(inside, self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"IndependentConstraint({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(Constraint):
    """The support of a mixture: a value is in it when it is in every component's support.

    Arguments:
        base_constraint: of the components, whose batch has the components as its last dim.
    """

    def __init__(self, base_constraint: Constraint):
        if not isinstance(base_constraint, Constraint):
            raise AssertionError(f"base_constraint must be a Constraint, got {type(base_constraint).__name__}")
        self.base_constraint = base_constraint

    is_discrete = property(lambda self: self.base_constraint.is_discrete)
    event_dim = property(lambda self: self.base_constraint.event_dim)

    def check(self, value: Tensor) -> Tensor:
        dim = self.event_dim
        if value.ndim < dim:
            raise ValueError(message("MixtureSameFamilyConstraint", f"expected at least {dim} dims", value=value))
        return self.base_constraint.check(value.unsqueeze(-1 - dim)).all(-1)

    def __repr__(self) -> str:
        return f"MixtureSameFamilyConstraint({self.base_constraint!r})"


class _Sequence(Constraint):
    """Several sets side by side along a dim."""

    dim: int
    cseq: list[Constraint]

    is_discrete = property(lambda self: any(c.is_discrete for c in self.cseq))

    def _checked(self, value: Tensor) -> int:
        if not -value.ndim <= self.dim < value.ndim:
            raise IndexError(message(f"{self!r}.check", f"dim {self.dim} is out of range", value=value))
        return self.dim % value.ndim


class _Cat(_Sequence):
    """Values whose pieces along `dim`, of the given lengths (default 1 each), are in the sets of `cseq`.

    >>> import tritorch as torch
    >>> cat([positive, less_than(0.0)]).check(torch.tensor([1.0, 1.0]))
    tensor([ True, False])
    """

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None):
        if not all(isinstance(c, Constraint) for c in cseq):
            raise AssertionError("cat: all elements of cseq must be Constraints")
        self.cseq, self.dim = list(cseq), dim
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise AssertionError(f"cat: {len(self.lengths)} lengths for {len(self.cseq)} constraints")

    event_dim = property(lambda self: max(c.event_dim for c in self.cseq))

    def check(self, value: Tensor) -> Tensor:
        dim = self._checked(value)
        parts = value.split(self.lengths, dim)
        return functional.cat([c.check(v) for c, v in zip(self.cseq, parts, strict=True)], dim)


class _Stack(_Sequence):
    """Values whose slices along `dim` are in the sets of `cseq`."""

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0):
        if not all(isinstance(c, Constraint) for c in cseq):
            raise AssertionError("stack: all elements of cseq must be Constraints")
        self.cseq, self.dim = list(cseq), dim

    @property
    def event_dim(self) -> int:
        most = max(c.event_dim for c in self.cseq)
        return most + (self.dim + most < 0)

    def check(self, value: Tensor) -> Tensor:
        dim = self._checked(value)
        return functional.stack([c.check(value.select(dim, i)) for i, c in enumerate(self.cseq)], dim)


dependent = _Dependent()
dependent_property = _DependentProperty
independent = _IndependentConstraint
boolean = _Boolean()
one_hot = _OneHot()
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
integer_interval = _IntegerInterval
real = _Real()
real_vector = independent(real, 1)
positive = _GreaterThan(0.0)
nonnegative = _GreaterThanEq(0.0)
greater_than = _GreaterThan
greater_than_eq = _GreaterThanEq
less_than = _LessThan
multinomial = _Multinomial
unit_interval = _Interval(0.0, 1.0)
interval = _Interval
half_open_interval = _HalfOpenInterval
simplex = _Simplex()
lower_triangular = _LowerTriangular()
lower_cholesky = _LowerCholesky()
corr_cholesky = _CorrCholesky()
square = _Square()
symmetric = _Symmetric()
positive_semidefinite = _PositiveSemidefinite()
positive_definite = _PositiveDefinite()
cat = _Cat
stack = _Stack
