"""Checks and conversions that the reductions share, and NumPy's names for their keywords."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from ..binding import method, with_out
from ..dtypes import bool_, dtype
from ..errors import check_dim, message
from ..tensor import TENSORS, Tensor

F = TypeVar("F", bound=Callable[..., Any])
_NUMPY = {"axis": "dim", "keepdims": "keepdim", "a": "input", "x": "input"}


def tensor(op: str, x: Any, name: str = "input", position: int = 1) -> Tensor:
    """`x` when it is a Tensor, else TypeError."""
    if x.__class__ not in TENSORS:
        raise TypeError(f"{op}(): argument '{name}' (position {position}) must be Tensor, not {type(x).__name__}")
    return x


def cast(x: Tensor, kind: dtype | None, op: str) -> Tensor:
    """`x` in the dtype asked for, itself when none is."""
    if kind is None or kind is x.dtype:
        return x
    if kind.__class__ is not dtype:
        raise TypeError(f"{op}(): argument 'dtype' must be torch.dtype, not {type(kind).__name__}")
    return x.to(kind)


def floating(op: str, x: Tensor, kind: type[Exception] = RuntimeError) -> Tensor:
    """`x` when its dtype is floating point or complex."""
    if x.dtype.category < 2:
        raise kind(message(op, "needs a floating point or complex dtype", input=x))
    return x


def ordered(op: str, x: Tensor) -> Tensor:
    """`x` when its elements can be compared: any dtype but complex."""
    if x.dtype.is_complex:
        raise NotImplementedError(message(op, "complex numbers have no order", input=x))
    return x


def sortable(op: str, x: Tensor) -> Tensor:
    """`x` when its elements can be ranked, as PyTorch sees it: any dtype but complex and bool."""
    if x.dtype is bool_:
        raise NotImplementedError(message(op, "not implemented for bool", input=x))
    return ordered(op, x)


def one_dim(op: str, x: Tensor, dim: Any, empty: bool = True) -> int:
    """`dim` counted from the front; without `empty`, IndexError when it has size 0."""
    d = check_dim(op, dim, x._a.ndim)
    if not empty and x._a.ndim and x._a.shape[d] == 0:
        raise IndexError(
            f"{op}(): Expected reduction dim {d} to have non-zero size; got input of shape {tuple(x.shape)}"
        )
    return d


def public(*, out: bool = False, typed: bool = False, inplace: bool = False, bind: bool = True) -> Callable[[F], F]:
    """Decorator of a public reduction: binds the method, takes NumPy's keywords `axis` and `keepdims` as PyTorch does.

    Arguments:
        out: also take the keyword `out=`.
        typed: where `dtype=` is not given, the dtype of out is meant.
        inplace: also make the method `name_`.
        bind: make it a method.
    """

    def decorate(function: Any) -> Any:
        slow = with_out(function, typed=typed) if out else function

        @wraps(slow)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not kwargs:
                return function(*args)
            return slow(*args, **{_NUMPY.get(k, k): v for k, v in kwargs.items()})

        return method(call, inplace=inplace) if bind else call

    return decorate
