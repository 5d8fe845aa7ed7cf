"""Public scans along one dim: cumsum, cumprod, cummax, cummin, logcumsumexp."""

from __future__ import annotations

from typing import Any

from .. import return_types
from ..autograd.autocast import ACTIVE
from ..autograd.autocast import cast as autocast
from ..dtypes import dtype
from ..errors import message
from ..kernels import scan as _scan
from ..tensor import Tensor
from ._arguments import cast, one_dim, ordered, public, tensor

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "logcumsumexp"]


@public(inplace=True, out=True, typed=True)
def cumsum(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """y_t = x_0 + ... + x_t along `dim`; integers and bools in int64.

    >>> import tritorch as torch
    >>> torch.cumsum(torch.tensor([1, 2, 3]), 0)
    tensor([1, 3, 6])
    """
    if ACTIVE and dtype is None:
        (input,) = autocast("cumsum", input)
    x = cast(tensor("cumsum", input), dtype, "cumsum")
    y = _scan.cumsum(x, one_dim("cumsum", x, dim), False)
    return y if dtype is None else y.to(dtype)


@public(inplace=True, out=True, typed=True)
def cumprod(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """y_t = x_0 * ... * x_t along `dim`; integers and bools in int64.

    >>> import tritorch as torch
    >>> torch.cumprod(torch.tensor([1, 2, 3]), 0)
    tensor([1, 2, 6])
    """
    if ACTIVE and dtype is None:
        (input,) = autocast("cumprod", input)
    x = cast(tensor("cumprod", input), dtype, "cumprod")
    y = _scan.cumprod(x, one_dim("cumprod", x, dim))
    return y if dtype is None else y.to(dtype)


@public(out=True)
def cummax(input: Tensor, dim: int) -> Any:
    """Running maximum along `dim` and the index of its last occurrence; NaN once there was one.

    >>> import tritorch as torch
    >>> torch.cummax(torch.tensor([1, 3, 2]), 0).values
    tensor([1, 3, 3])
    """
    x = ordered("cummax", tensor("cummax", input))
    return return_types.cummax(*_scan.cummax(x, one_dim("cummax", x, dim)))  # type: ignore[attr-defined]


@public(out=True)
def cummin(input: Tensor, dim: int) -> Any:
    """Running minimum along `dim` and the index of its last occurrence; NaN once there was one.

    >>> import tritorch as torch
    >>> torch.cummin(torch.tensor([3, 1, 2]), 0).indices
    tensor([0, 1, 1])
    """
    x = ordered("cummin", tensor("cummin", input))
    return return_types.cummin(*_scan.cummin(x, one_dim("cummin", x, dim)))  # type: ignore[attr-defined]


@public(out=True)
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """y_t = log(exp(x_0) + ... + exp(x_t)) along `dim`, without overflow; floating point and complex.

    >>> import tritorch as torch
    >>> torch.logcumsumexp(torch.tensor([0.0, 0.0]), 0)
    tensor([0.0000, 0.6931])
    """
    x = tensor("logcumsumexp", input)
    if x.dtype.category < 2:
        raise NotImplementedError(message("logcumsumexp", "needs a floating point or complex dtype", input=x))
    return _scan.logcumsumexp(x, one_dim("logcumsumexp", x, dim))
