"""Choices between tensors, comparisons of whole tensors, and questions about their dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.apply import mixed_devices
from ..binding import method, write_out
from ..device import CPU
from ..dtypes import float64, result_dtype, scalar_dtype
from ..errors import message
from ..kernels._shapes import broadcast_shapes
from ..kernels.copy import where as _where
from ..tensor import TENSORS, Tensor, wrap
from ._arguments import tensor

__all__ = [
    "allclose", "can_cast", "equal", "is_complex", "is_floating_point", "is_tensor", "isclose", "isreal", "result_type",
    "where",
]  # fmt: skip


def where(condition: Tensor, input: Any = None, other: Any = None, *, out: Tensor | None = None) -> Any:
    """input where condition else other, broadcast and promoted; with the condition alone, its nonzero indices.

    >>> import tritorch as torch
    >>> torch.where(torch.tensor([True, False]), 1.0, torch.tensor([5.0, 6.0]))
    tensor([1., 6.])
    """
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition.dtype.category != 0:
        if condition.dtype.name != "uint8":
            raise RuntimeError(message("where", "expected condition to be a boolean tensor", condition=condition))
        condition = condition != 0
    tensors: list[Any] = [v for v in (input, other) if v.__class__ in TENSORS]
    for v in tensors:
        if v.device is not condition.device and v._a.ndim:
            raise mixed_devices("where", ("condition", "tensor"), (condition, v))
    common = result_dtype(
        [v.dtype for v in tensors if v._a.ndim], [v.dtype for v in tensors if not v._a.ndim],
        [scalar_dtype(v) for v in (input, other) if v.__class__ not in TENSORS],
    )  # fmt: skip
    pair = []
    v: Any
    for v in (input, other):
        if v.__class__ not in TENSORS:
            if condition.device is CPU or common.is_complex:
                v = wrap(np.asarray(v, common.np))
            else:  # made there: a copy from the CPU would wait for the device, and cannot be captured in a graph
                v = condition.new_full((), v, dtype=common)
        if v.device is not condition.device:
            v = v.to(condition.device)
        pair.append(v if v.dtype is common else v.to(common))
    try:
        broadcast_shapes(condition._a.shape, pair[0]._a.shape, pair[1]._a.shape)
    except ValueError:
        raise RuntimeError(
            message("where", "the shapes do not broadcast together", condition=condition, input=pair[0], other=pair[1])
        ) from None
    result = _where(condition, *pair)
    if out is not None:
        write_out("where", result, out)
        return out
    return result


Tensor.where = lambda self, condition, other: where(condition, self, other)  # type: ignore[attr-defined]


@method
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """|input - other| <= atol + rtol * |other|, elementwise; infinities are close to themselves."""
    tensor("isclose", input)
    tensor("isclose", other, "other", 2)
    if input.dtype is not other.dtype:
        raise RuntimeError(message("isclose", "input and other must have the same dtype", input=input, other=other))
    if not (rtol >= 0 and atol >= 0):
        raise RuntimeError(f"isclose: rtol and atol must be greater than or equal to zero; got {rtol} and {atol}")
    close = input == other
    if equal_nan and input.dtype.category >= 2:
        close = close | (input.isnan() & other.isnan())
    if input.dtype.category >= 2:
        bound = atol + (rtol * other).abs()
        difference = (input - other).abs()
        close = close | (difference.isfinite() & (difference <= bound))
    elif rtol or atol:
        x, y = input.to(float64), other.to(float64)
        close = close | ((x - y).abs() <= atol + rtol * y.abs())
    return close


@method
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Is every element close, see `isclose`."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all().item())


@method
def equal(input: Tensor, other: Tensor) -> bool:
    """Same shape and same elements."""
    if input.device is not other.device:
        raise mixed_devices("equal", ("input", "other"), (input, other))
    return input._a.shape == other._a.shape and bool((input == other).all().item())


@method
def isreal(input: Tensor) -> Tensor:
    """Is the imaginary part 0."""
    if input.dtype.is_complex:
        return input.imag == 0
    return input == input if input.dtype.category < 2 else input.isnan() | True


def result_type(tensor1: Any, tensor2: Any) -> Any:
    """The dtype of an arithmetic operation on two tensors or numbers."""
    pair = (tensor1, tensor2)
    return result_dtype(
        [v.dtype for v in pair if v.__class__ in TENSORS and v._a.ndim],
        [v.dtype for v in pair if v.__class__ in TENSORS and not v._a.ndim],
        [scalar_dtype(v) for v in pair if v.__class__ not in TENSORS],
    )


def can_cast(from_: Any, to: Any) -> bool:
    """May a result of dtype `from_` be stored as `to`: not into a lower category.

    >>> import tritorch as torch
    >>> torch.can_cast(torch.int64, torch.float16), torch.can_cast(torch.float32, torch.int64)
    (True, False)
    """
    return from_.category <= to.category


def is_tensor(obj: Any) -> bool:
    """Is `obj` a Tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Has `input` a floating-point dtype."""
    return input.dtype.is_floating_point


def is_complex(input: Tensor) -> bool:
    """Has `input` a complex dtype."""
    return input.dtype.is_complex
