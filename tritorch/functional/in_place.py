"""torch's functions that end in an underscore: the in-place methods under their names as functions."""

from __future__ import annotations

from typing import Any

from ..binding import in_place, with_out
from ..errors import message
from ..tensor import Tensor
from . import indexing, pointwise, random_methods, transfer  # noqa: F401 - they bind the methods
from .pointwise import float_power, logit

_METHODS = """acos acosh addmv arccos arccosh arcsin arcsinh arctan arctanh as_strided asin asinh atan atanh clamp
clamp_max clamp_min clip conj_physical cosh deg2rad detach erf erfc exp2 expm1 fill fix frac gcd i0 index_put lcm ldexp
log10 log1p log2 logit nan_to_num negative rad2deg reciprocal resize_as round rsqrt sinc sinh trunc xlogy zero""".split()

__all__ = ["conj_physical", "fill", *[f"{name}_" for name in _METHODS]]


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor of input's shape and dtype that holds `value` everywhere.

    >>> import tritorch as torch
    >>> torch.fill(torch.zeros(2), 3)
    tensor([3., 3.])
    """
    return input.clone().fill_(value)  # type: ignore[attr-defined]


@with_out
def conj_physical(input: Tensor) -> Tensor:
    """As `torch.conj`: the conjugate is always computed at once."""
    return input.conj()  # type: ignore[attr-defined]


def _conj_physical_(self: Tensor) -> Tensor:
    """The conjugate, in place."""
    return self.copy_(self.conj()) if self.is_complex() else self  # type: ignore[attr-defined]


def _as_strided_(self: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """Become the view of `torch.as_strided`; returns self."""
    if self._node is not None:
        raise RuntimeError(
            message("as_strided_", "not for tensors that are part of a graph; use as_strided", input=self)
        )
    view = self.as_strided(size, stride, storage_offset)  # type: ignore[attr-defined]
    self._a, self._vc, self._view = view._a, view._vc, view._view
    return self


Tensor.conj_physical_ = _conj_physical_  # type: ignore[attr-defined]
Tensor.as_strided_ = _as_strided_  # type: ignore[attr-defined]
Tensor.logit_ = in_place(logit, "logit_")  # type: ignore[attr-defined]
Tensor.float_power_ = in_place(float_power, "float_power_")  # type: ignore[attr-defined]
for _name in _METHODS:
    if _name != "resize_as":
        globals()[f"{_name}_"] = getattr(Tensor, f"{_name}_")


def resize_as_(input: Tensor, the_template: Tensor, *, memory_format: Any = None) -> Tensor:
    """`Tensor.resize_` to the template's shape."""
    return input.resize_(the_template.shape)  # type: ignore[attr-defined]


Tensor.resize_as_ = resize_as_  # type: ignore[attr-defined]
