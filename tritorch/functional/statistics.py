"""Public statistics: var, std, norm, median, mode, quantile and their kin."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import inf, prod
from typing import Any

from .. import return_types
from ..autograd.autocast import ACTIVE
from ..autograd.autocast import cast as autocast
from ..dtypes import dtype, float32, float64, int64
from ..errors import check_dims, message
from ..kernels import moments as _moments
from ..kernels import select as _select
from ..kernels import sort as _sort
from ..tensor import TENSORS, Tensor
from ._arguments import cast, one_dim, ordered, public, sortable, tensor
from .reduction import mean, sum

__all__ = [
    "median", "mode", "nanmedian", "nanquantile", "norm", "quantile", "std", "std_mean", "var", "var_mean",
]  # fmt: skip

Dims = int | Sequence[int] | None
_UNSET: Any = object()


def _spread_arguments(name: str, x: Tensor, dim: Any, unbiased: Any, keepdim: bool, correction: Any) -> tuple:
    """(dims, correction) of the forms f(x, unbiased), f(x, dim, unbiased, keepdim) and f(x, dim, correction=...)."""
    if x.dtype.category < 2:
        raise RuntimeError(message(name, "only supports floating point and complex dtypes", input=x))
    if dim.__class__ is bool:
        dim, unbiased = None, dim
    if correction is _UNSET:
        correction = 1 if unbiased is None else int(unbiased)
    elif unbiased is not None:
        raise TypeError(
            f"{name}() takes unbiased or correction, not both; got unbiased: {unbiased}, correction: {correction}"
        )
    correction = 1 if correction is None else correction
    dims = check_dims(name, dim, x._a.ndim)
    if x._a.size and prod([x._a.shape[d] for d in dims]) - correction <= 0 or not x._a.size and not dims:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor "
            "(input numel divided by output numel).",
            UserWarning,
            stacklevel=4,
        )
    return dims, correction


def _variance(name: str, input: Tensor, dim: Any, unbiased: Any, keepdim: bool, correction: Any) -> Tensor:
    x = tensor(name, input)
    dims, correction = _spread_arguments(name, x, dim, unbiased, keepdim, correction)
    if x.dtype.is_complex:
        y = _moments.var(x.real, dims, correction, keepdim) + _moments.var(x.imag, dims, correction, keepdim)
        return y.sqrt() if name.startswith("std") else y
    return (_moments.std if name.startswith("std") else _moments.var)(x, dims, correction, keepdim)


def _mean_for(input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    return mean(input, None if dim.__class__ is bool else dim, keepdim)


@public(out=True)
def var(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = _UNSET
) -> Tensor:
    """Variance over `dim`: sum of (x - mean)^2 / (n - correction).

    Arguments:
        input: float or complex.
        dim: one dim or several, all by default.
        unbiased: the older way to say correction=1 (True) or correction=0.
        keepdim: keep the reduced dims with size 1.
        correction: default 1. NaN when it is not below n.

    Raises:
        RuntimeError: for integers.

    >>> import tritorch as torch
    >>> torch.var(torch.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    return _variance("var", input, dim, unbiased, keepdim, correction)


@public(out=True)
def std(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = _UNSET
) -> Tensor:
    """Standard deviation over `dim`, the square root of `var`; its gradient is 0 where it is 0.

    >>> import tritorch as torch
    >>> torch.std(torch.tensor([1.0, 2.0, 3.0]), correction=0)
    tensor(0.8165)
    """
    return _variance("std", input, dim, unbiased, keepdim, correction)


@public(bind=False)
def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = _UNSET
) -> tuple[Tensor, Tensor]:
    """(`var`, `mean`) over `dim`.

    >>> import tritorch as torch
    >>> torch.var_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    return _variance("var_mean", input, dim, unbiased, keepdim, correction), _mean_for(input, dim, keepdim)


@public(bind=False)
def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = _UNSET
) -> tuple[Tensor, Tensor]:
    """(`std`, `mean`) over `dim`.

    >>> import tritorch as torch
    >>> torch.std_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    return _variance("std_mean", input, dim, unbiased, keepdim, correction), _mean_for(input, dim, keepdim)


# ---- norms


def vector_norm(
    input: Tensor, ord: float = 2, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """(sum |x|^ord)^(1/ord) over `dim`; the largest (smallest) |x| for ord = inf (-inf), the number of x != 0 for 0.

    Arguments:
        input: float or complex.
        ord: default 2.
        dim: one dim or several, all by default.

    Raises:
        RuntimeError: for integers; for a negative or infinite `ord` over no elements.

    >>> from tritorch.functional.statistics import vector_norm
    >>> import tritorch as torch
    >>> vector_norm(torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if ACTIVE and dtype is None:
        (input,) = autocast("norm", input)
    x = cast(tensor("linalg.vector_norm", input), dtype, "linalg.vector_norm")
    if x.dtype.category < 2:
        raise RuntimeError(
            message("linalg.vector_norm", "Expected a floating point or complex tensor as input", input=x)
        )
    if isinstance(ord, (str, complex)):
        raise TypeError(f"linalg.vector_norm: ord must be a number; got {ord!r}")
    dims = check_dims("linalg.vector_norm", dim, x._a.ndim)
    ord = float(ord)
    if (ord < 0 or ord == inf) and 0 in [x._a.shape[d] for d in dims]:
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord:g} norm on an empty tensor because the operation has no "
            f"identity; got shape {tuple(x.shape)}"
        )
    if x.dtype.is_complex:
        x = x.abs()
    return _moments.vector_norm(x, ord, dims, keepdim)


@public(out=True)
def norm(input: Tensor, p: Any = "fro", dim: Dims = None, keepdim: bool = False, dtype: dtype | None = None) -> Tensor:
    """Norm over `dim` (all dims by default): "fro" and 2: sqrt of the sum of |x|^2; p: (sum |x|^p)^(1/p); "nuc".

    Raises:
        RuntimeError: for integers. ValueError: for an unknown name.

    >>> import tritorch as torch
    >>> torch.norm(torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = tensor("norm", input)
    if isinstance(p, str):
        if p == "nuc":
            from .. import linalg

            both: Any = (-2, -1) if dim is None else dim
            return linalg.matrix_norm(cast(x, dtype, "norm"), "nuc", both, keepdim)
        if p != "fro":
            raise ValueError(f"norm: p must be a number, 'fro' or 'nuc'; got {p!r}")
        p = 2
    return vector_norm(x, 2 if p is None else p, dim, keepdim, dtype=dtype)


# ---- one element of each row


def _chosen(name: str, input: Tensor, dim: Any, keepdim: bool, ignore_nan: bool) -> Any:
    x: Any = sortable(name, tensor(name, input))
    if dim is None:
        if x._a.size == 0:
            empty: Any = sum(x)
            return empty * float("nan") if x.dtype.is_floating_point else x.new_full((), -(2**63))
        return _select.median_all(x.reshape((-1,)), ignore_nan)
    op = _select.nanmedian if ignore_nan else _select.median
    return getattr(return_types, name)(*op(x, one_dim(name, x, dim, False), keepdim))


@public(out=True)
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of all elements; with `dim`, over it, as (values, indices). NaN where there is one.

    >>> import tritorch as torch
    >>> torch.median(torch.tensor([1.0, 3.0, 2.0, 4.0]))
    tensor(2.)
    """
    return _chosen("median", input, dim, keepdim, False)


@public(out=True)
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """`median` of the elements that are not NaN.

    >>> import tritorch as torch
    >>> torch.nanmedian(torch.tensor([1.0, float("nan"), 2.0]))
    tensor(1.)
    """
    return _chosen("nanmedian", input, dim, keepdim, True)


@public(out=True)
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element along `dim` (the smallest of several) and the index of its last occurrence.

    >>> import tritorch as torch
    >>> torch.mode(torch.tensor([3, 1, 3, 1, 2])).values
    tensor(1)
    """
    x = ordered("mode", tensor("mode", input))
    return return_types.mode(*_select.mode(x, one_dim("mode", x, dim, False), keepdim))  # type: ignore[attr-defined]


# ---- quantiles

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(
    name: str, input: Tensor, q: Any, dim: Any, keepdim: bool, interpolation: str, ignore_nan: bool
) -> Tensor:
    if ACTIVE:
        (input,) = autocast("quantile", input)
    x = tensor(name, input)
    if x.dtype not in (float32, float64):
        raise RuntimeError(message(name, "input tensor must be either float or double dtype", input=x))
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(f"{name}() interpolation must be one of {', '.join(_INTERPOLATIONS)}; got {interpolation!r}")
    if q.__class__ in TENSORS:
        if q._a.ndim > 1:
            raise RuntimeError(message(name, "q must be a scalar or 1D tensor", q=q))
        if q.dtype is not x.dtype:
            raise RuntimeError(message(name, "q tensor must be same dtype as the input tensor", q=q, input=x))
        if q.device is not x.device:
            raise RuntimeError(message(name, "q tensor must be on the same device as the input tensor", q=q, input=x))
        if q.numel() and not bool(((q >= 0) & (q <= 1)).all()):
            raise RuntimeError(message(name, "q values must be in the range [0, 1]", q=q))
    else:
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
        q = x.new_full((), q)
    if x._a.size == 0:
        raise RuntimeError(message(name, "input tensor must be non-empty", input=x))
    shape = tuple(x.shape)
    if dim is None:
        d, kept = 0, (1,) * len(shape) if keepdim else ()
        x = x.reshape((-1,))
    else:
        d = one_dim(name, x, dim)
        kept = tuple(1 if i == d else n for i, n in enumerate(shape) if keepdim or i != d)
        x = x.movedim(d, -1) if shape else x.reshape((1,))
    rows = _sort.sort(x, x._a.ndim - 1, False)[0]
    n = rows._a.shape[-1]
    bad = rows.isnan()
    points = q.reshape((-1,))
    if ignore_nan:
        last = (n - 1 - bad.sum(-1, keepdim=True)).clamp(min=0).to(rows.dtype)
        rank = points * last
    else:
        rank = (points * (n - 1)).expand((*rows.shape[:-1], points.numel()))
        rank = rank.masked_fill(bad.any(-1, keepdim=True), n - 1)  # the last element is a NaN
    if interpolation == "lower":
        rank = rank.floor()
    elif interpolation == "higher":
        rank = rank.ceil()
    elif interpolation == "nearest":
        rank = rank.round()
    below = rank.floor()
    y = rows.gather(-1, below.to(int64))
    if interpolation in ("linear", "midpoint"):
        weight = rank - below if interpolation == "linear" else (rank != below).to(rows.dtype) * 0.5
        y = y.lerp(rows.gather(-1, rank.ceil().to(int64)), weight)
    if q._a.ndim == 0:
        return y.reshape(kept)
    return y.movedim(-1, 0).reshape((q.numel(), *kept))


@public(out=True)
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The values below which the shares `q` of the elements lie; NaN where there is one.

    The rank q * (n - 1) falls between two sorted elements, which `interpolation` joins.

    Arguments:
        input: float32 or float64.
        q: a number in [0, 1], or a 1-D tensor of them: then the first dim of the result.
        dim: default: of the flattened tensor.
        interpolation: linear, lower, higher, midpoint or nearest.

    >>> import tritorch as torch
    >>> torch.quantile(torch.tensor([0.0, 1.0, 2.0, 3.0]), 0.5)
    tensor(1.5000)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@public(out=True)
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """`quantile` of the elements that are not NaN.

    >>> import tritorch as torch
    >>> torch.nanquantile(torch.tensor([1.0, float("nan"), 2.0]), 0.5)
    tensor(1.5000)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)
