"""Invertible functions of tensors with the logarithm of their Jacobian's determinant: the base, and what combines them."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from .. import functional
from ..errors import message
from ..tensor import Size, Tensor
from . import constraints
from .utils import sum_rightmost

__all__ = [
    "CatTransform", "ComposeTransform", "IndependentTransform", "ReshapeTransform", "StackTransform", "Transform",
    "identity_transform",
]  # fmt: skip


class Transform:
    """A function y = t(x) with its inverse x = t.inv(y) and log |dy / dx|.

    A subclass states `domain`, `codomain`, `bijective`, and writes `_call`, `_inverse` and `log_abs_det_jacobian`.

    Arguments:
        cache_size: 1 keeps the last pair (x, y), so that the inverse of a value just computed is exact and costs
            nothing; default 0.

    Attributes:
        domain, codomain: constraints that x and y satisfy.
        bijective: t.inv(t(x)) is x; else `t.inv` gives one of several x.
        sign: +1 or -1 for rising or falling functions of one number.
        inv: the inverse as a Transform.

    Raises:
        ValueError: `cache_size` is neither 0 nor 1.

    >>> import tritorch as torch
    >>> t = torch.distributions.ExpTransform()
    >>> t(torch.tensor(0.0)), t.inv(torch.tensor(1.0))
    (tensor(1.), tensor(0.))
    """

    bijective: Any = False
    domain: Any
    codomain: Any

    def __init__(self, cache_size: int = 0):
        self._set_cache(cache_size)

    def _set_cache(self, cache_size: int) -> None:
        if cache_size not in (0, 1):
            raise ValueError(message(type(self).__name__, "cache_size must be 0 or 1", cache_size=cache_size))
        self._cache_size = cache_size
        self._cached_x_y: tuple[Any, Any] = (None, None)
        self._inv: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_inv": None}  # a weak reference is not pickled

    @property
    def event_dim(self) -> int:
        """Number of dims from the right that make one value, where x and y have the same."""
        if self.domain.event_dim != self.codomain.event_dim:
            raise ValueError(f"{type(self).__name__}: x and y differ; use .domain.event_dim or .codomain.event_dim")
        return self.domain.event_dim

    @property
    def inv(self) -> Transform:
        """The inverse; its own inverse is this transform."""
        inverse = None if self._inv is None else self._inv()
        if inverse is None:
            inverse = _InverseTransform(self)
            self._inv = weakref.ref(inverse)
        return inverse

    @property
    def sign(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no sign")

    def with_cache(self, cache_size: int = 1) -> Transform:
        """The same transform with another cache size."""
        if cache_size == self._cache_size:
            return self
        made = copy.copy(self)
        made._set_cache(cache_size)
        return made

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = object.__hash__

    def __call__(self, x: Tensor) -> Tensor:
        """y."""
        if self._cache_size == 0:
            return self._call(x)
        known, y = self._cached_x_y
        if known is not x:
            y = self._call(x)
            self._cached_x_y = x, y
        return y

    def _inv_call(self, y: Tensor) -> Tensor:
        if self._cache_size == 0:
            return self._inverse(y)
        x, known = self._cached_x_y
        if known is not y:
            x = self._inverse(y)
            self._cached_x_y = x, y
        return x

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no forward function")

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |det dy/dx| at x, y = t(x): of the shape of x less the dims of one value."""
        raise NotImplementedError(f"{type(self).__name__} has no Jacobian determinant")

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        """The shape of y for x of the given shape."""
        return shape

    def inverse_shape(self, shape: Sequence[int]) -> Sequence[int]:
        """The shape of x for y of the given shape."""
        return shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _InverseTransform(Transform):
    """The inverse of a transform, which keeps the pairs for both."""

    def __init__(self, transform: Transform):
        super().__init__(transform._cache_size)
        self._base = transform

    domain = property(lambda self: self._base.codomain)
    codomain = property(lambda self: self._base.domain)
    bijective = property(lambda self: self._base.bijective)
    sign = property(lambda self: self._base.sign)
    inv = property(lambda self: self._base)  # type: ignore[assignment]

    def with_cache(self, cache_size: int = 1) -> Transform:
        return self._base.with_cache(cache_size).inv

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _InverseTransform) and self._base == other._base

    __hash__ = Transform.__hash__

    def __call__(self, x: Tensor) -> Tensor:
        return self._base._inv_call(x)

    def _inv_call(self, y: Tensor) -> Tensor:
        return self._base(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._base.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return self._base.inverse_shape(shape)

    def inverse_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return self._base.forward_shape(shape)

    def __repr__(self) -> str:
        return f"_InverseTransform({self._base!r})"


def _widened(constraint: Any, event_dim: int) -> Any:
    """The constraint on values of `event_dim` dims."""
    more = event_dim - constraint.event_dim
    return constraints.independent(constraint, more) if more > 0 else constraint


class ComposeTransform(Transform):
    """Several transforms one after the other.

    Arguments:
        parts: applied from the first on; none makes the identity.

    >>> import tritorch as torch
    >>> from tritorch.distributions import AffineTransform, ComposeTransform, ExpTransform
    >>> ComposeTransform([AffineTransform(0.0, 2.0), ExpTransform()]).inv(torch.ones(2))
    tensor([0., 0.])
    """

    def __init__(self, parts: list[Transform], cache_size: int = 0):
        if cache_size:
            parts = [part.with_cache(cache_size) for part in parts]
        super().__init__(cache_size)
        self.parts = parts

    def with_cache(self, cache_size: int = 1) -> Transform:
        return self if cache_size == self._cache_size else ComposeTransform(self.parts, cache_size)

    def _event_dims(self) -> tuple[int, int]:
        """How many dims one x and one y have: what the part that needs most asks for."""
        first = self.parts[-1].codomain.event_dim
        for part in reversed(self.parts):
            first = max(first + part.domain.event_dim - part.codomain.event_dim, part.domain.event_dim)
        last = self.parts[0].domain.event_dim
        for part in self.parts:
            last = max(last + part.codomain.event_dim - part.domain.event_dim, part.codomain.event_dim)
        return first, last

    @constraints.dependent_property
    def domain(self) -> Any:
        return _widened(self.parts[0].domain, self._event_dims()[0]) if self.parts else constraints.real

    @constraints.dependent_property
    def codomain(self) -> Any:
        return _widened(self.parts[-1].codomain, self._event_dims()[1]) if self.parts else constraints.real

    bijective = property(lambda self: all(part.bijective for part in self.parts))
    sign = property(lambda self: prod(part.sign for part in self.parts))

    @property
    def inv(self) -> Transform:
        inverse = None if self._inv is None else self._inv()
        if inverse is None:
            inverse = ComposeTransform([part.inv for part in reversed(self.parts)])
            self._inv = weakref.ref(inverse)
            inverse._inv = weakref.ref(self)
        return inverse

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ComposeTransform) and self.parts == other.parts

    __hash__ = Transform.__hash__

    def __call__(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.parts:
            return functional.zeros_like(x)
        total: Any = 0
        event_dim = self.domain.event_dim
        for i, part in enumerate(self.parts):
            z = y if i == len(self.parts) - 1 else part(x)
            total = total + sum_rightmost(part.log_abs_det_jacobian(x, z), event_dim - part.domain.event_dim)
            event_dim += part.codomain.event_dim - part.domain.event_dim
            x = z
        return total

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        for part in self.parts:
            shape = part.forward_shape(shape)
        return shape

    def inverse_shape(self, shape: Sequence[int]) -> Sequence[int]:
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return shape

    def __repr__(self) -> str:
        return "ComposeTransform(\n    " + ",\n    ".join(map(repr, self.parts)) + "\n)"


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """A transform whose last `reinterpreted_batch_ndims` batch dims count as dims of the value: Jacobians sum over them.

    >>> import tritorch as torch
    >>> t = torch.distributions.IndependentTransform(torch.distributions.ExpTransform(), 1)
    >>> t.log_abs_det_jacobian(torch.ones(3), torch.ones(3).exp())
    tensor(3.)
    """

    def __init__(self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0):
        super().__init__(cache_size)
        self.base_transform = base_transform.with_cache(cache_size)
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    def with_cache(self, cache_size: int = 1) -> Transform:
        if cache_size == self._cache_size:
            return self
        return IndependentTransform(self.base_transform, self.reinterpreted_batch_ndims, cache_size)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.independent(self.base_transform.domain, self.reinterpreted_batch_ndims)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.independent(self.base_transform.codomain, self.reinterpreted_batch_ndims)

    bijective = property(lambda self: self.base_transform.bijective)
    sign = property(lambda self: self.base_transform.sign)

    def _call(self, x: Tensor) -> Tensor:
        if x.ndim < self.domain.event_dim:
            raise ValueError(message("IndependentTransform", f"needs {self.domain.event_dim} dims", x=x))
        return self.base_transform(x)

    def _inverse(self, y: Tensor) -> Tensor:
        if y.ndim < self.codomain.event_dim:
            raise ValueError(message("IndependentTransform", f"needs {self.codomain.event_dim} dims", y=y))
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return sum_rightmost(self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims)

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return self.base_transform.inverse_shape(shape)

    def __repr__(self) -> str:
        return f"IndependentTransform({self.base_transform!r}, {self.reinterpreted_batch_ndims})"


class ReshapeTransform(Transform):
    """The last dims of a tensor in another shape with as many elements.

    Arguments:
        in_shape, out_shape: of the last dims of x and of y.

    >>> import tritorch as torch
    >>> torch.distributions.ReshapeTransform((6,), (2, 3))(torch.zeros(4, 6)).shape
    torch.Size([4, 2, 3])
    """

    bijective = True

    def __init__(self, in_shape: Sequence[int], out_shape: Sequence[int], cache_size: int = 0):
        self.in_shape, self.out_shape = Size(in_shape), Size(out_shape)
        if self.in_shape.numel() != self.out_shape.numel():
            rule = "in_shape, out_shape have different numbers of elements"
            raise ValueError(message("ReshapeTransform", rule, in_shape=in_shape, out_shape=out_shape))
        super().__init__(cache_size)

    domain = property(lambda self: constraints.independent(constraints.real, len(self.in_shape)))
    codomain = property(lambda self: constraints.independent(constraints.real, len(self.out_shape)))

    def _call(self, x: Tensor) -> Tensor:
        return x.reshape(self.forward_shape(x.shape))

    def _inverse(self, y: Tensor) -> Tensor:
        return y.reshape(self.inverse_shape(y.shape))

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x.new_zeros(x.shape[: x.ndim - len(self.in_shape)])

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return _last_dims(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return _last_dims(shape, self.out_shape, self.in_shape)


def _last_dims(shape: Sequence[int], old: Size, new: Size) -> Size:
    """`shape` with its last dims `old` replaced by `new`."""
    cut = len(shape) - len(old)
    if cut < 0 or tuple(shape[cut:]) != old:
        raise ValueError(message("ReshapeTransform", f"needs a shape that ends with {tuple(old)}", shape=tuple(shape)))
    return Size(shape[:cut]) + new


class _SideBySide(Transform):
    """Transforms of pieces of a tensor along a dim."""

    transforms: list[Transform]
    dim: int

    def __init__(self, tseq: Iterable[Transform], dim: int, cache_size: int):
        parts = list(tseq)
        if not all(isinstance(t, Transform) for t in parts):
            raise AssertionError(f"{type(self).__name__}: all elements of tseq must be Transforms")
        super().__init__(cache_size)
        self.transforms = [t.with_cache(cache_size) for t in parts] if cache_size else parts
        self.dim = dim

    bijective = property(lambda self: all(t.bijective for t in self.transforms))

    def _parts(self, x: Tensor) -> Sequence[Tensor]:
        raise NotImplementedError

    def _joined(self, parts: list[Tensor], dim: int) -> Tensor:
        raise NotImplementedError

    def _call(self, x: Tensor) -> Tensor:
        return self._joined([t(v) for t, v in zip(self.transforms, self._parts(x), strict=True)], self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        return self._joined([t.inv(v) for t, v in zip(self.transforms, self._parts(y), strict=True)], self.dim)


class CatTransform(_SideBySide):
    """Transforms of consecutive pieces along `dim`.

    Arguments:
        tseq: one transform per piece. dim: default 0.
        lengths: of the pieces; default 1 each.

    >>> import tritorch as torch
    >>> from tritorch.distributions import CatTransform, ExpTransform, identity_transform
    >>> CatTransform([ExpTransform(), identity_transform], lengths=[1, 2])(torch.zeros(3))
    tensor([1., 0., 0.])
    """

    def __init__(
        self, tseq: Sequence[Transform], dim: int = 0, lengths: Sequence[int] | None = None, cache_size: int = 0
    ):
        super().__init__(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError(f"CatTransform: {len(self.lengths)} lengths for {len(self.transforms)} transforms")

    @property
    def event_dim(self) -> int:
        return max(t.event_dim for t in self.transforms)

    @property
    def length(self) -> int:
        """Size of `dim`."""
        return sum(self.lengths)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)

    def _parts(self, x: Tensor) -> Sequence[Tensor]:
        if not -x.ndim <= self.dim < x.ndim or x.shape[self.dim] != self.length:
            raise AssertionError(message("CatTransform", f"needs size {self.length} in dim {self.dim}", x=x))
        return x.split(self.lengths, self.dim)

    def _joined(self, parts: list[Tensor], dim: int) -> Tensor:
        return functional.cat(parts, dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        parts = []
        for t, a, b in zip(self.transforms, self._parts(x), self._parts(y), strict=True):
            parts.append(sum_rightmost(t.log_abs_det_jacobian(a, b), self.event_dim - t.event_dim))
        dim = self.dim - x.ndim * (self.dim >= 0) + self.event_dim
        return self._joined(parts, dim) if dim < 0 else sum(parts[1:], parts[0])


class StackTransform(_SideBySide):
    """One transform for each index of `dim`.

    >>> import tritorch as torch
    >>> from tritorch.distributions import ExpTransform, StackTransform, identity_transform
    >>> StackTransform([ExpTransform(), identity_transform])(torch.zeros(2))
    tensor([1., 0.])
    """

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0):
        super().__init__(tseq, dim, cache_size)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.stack([t.codomain for t in self.transforms], self.dim)

    def _parts(self, x: Tensor) -> Sequence[Tensor]:
        if not -x.ndim <= self.dim < x.ndim or x.shape[self.dim] != len(self.transforms):
            raise AssertionError(message("StackTransform", f"needs size {len(self.transforms)} in dim {self.dim}", x=x))
        return x.unbind(self.dim)

    def _joined(self, parts: list[Tensor], dim: int) -> Tensor:
        return functional.stack(parts, dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        pairs = zip(self.transforms, self._parts(x), self._parts(y), strict=True)
        return self._joined([t.log_abs_det_jacobian(a, b) for t, a, b in pairs], self.dim)
