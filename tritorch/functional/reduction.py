"""Public reductions: sum, mean, prod, any, all and their kin; softmax, log_softmax, logsumexp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod as _product
from typing import Any

import numpy as np

from ..autograd.autocast import ACTIVE
from ..autograd.autocast import cast as autocast
from ..autograd.graph import Node, next_seq
from ..autograd.modes import NO_GRAD, STATE, WATCHED
from ..binding import check_cast, dtype_for, given, method
from ..device import CPU
from ..dtypes import bool_, dtype, float32, float64, uint8
from ..errors import check_dims, message
from ..kernels import reduce as _reduce
from ..kernels import softmax as _softmax
from ..kernels._fold import SMALL
from ..tensor import Tensor
from ._arguments import cast, one_dim, public, tensor

__all__ = [
    "all", "any", "count_nonzero", "log_softmax", "logsumexp", "mean", "nanmean", "nansum", "prod", "softmax", "sum",
]  # fmt: skip

Dims = int | Sequence[int] | None

_new, _ndarray, _asarray = object.__new__, np.ndarray, np.asarray
_add: Any = np.add.reduce
_ONES32: dict[int, np.ndarray] = {}  # vectors of ones by length, a few hundred of at most SMALL elements
_ONES64: dict[int, np.ndarray] = {}
_ONE = tuple([(i,) for i in range(64)])
_ALL = tuple([tuple(range(n)) for n in range(65)])  # every dim of a tensor, by the number of its dims
_sum_op, _mean_op = _reduce.sum_, _reduce.mean


def _ones(n: int, kept: dict[int, np.ndarray]) -> np.ndarray:
    if len(kept) > 200:
        kept.clear()
    found = kept[n] = np.ones(n, np.float32 if kept is _ONES32 else np.float64)
    return found


def _fast(op: Any, general: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`general` (sum or mean), with a short way for a few floats on the CPU: one NumPy call, no op looked up."""
    divide = op is _mean_op

    def call(
        input: Tensor,
        dim: Dims = None,
        keepdim: bool = False,
        *,
        dtype: dtype | None = None,
        out: Tensor | None = None,
        axis: Dims = None,
        keepdims: bool | None = None,
    ) -> Tensor:
        if not (dtype is out is axis is keepdims is None) or input.__class__ is not Tensor:
            keepdim = keepdim if keepdims is None else keepdims
            return general(input, dim if axis is None else axis, keepdim, dtype, out)
        d = input.dtype
        a = input._a
        size = a.size
        if not 0 < size <= SMALL or d is not float32 and d is not float64 or input.device is not CPU:
            return general(input, dim, keepdim, None, None)
        n = a.ndim
        if dim is None:
            dims = None
            if keepdim:
                y = _add(a, None, None, None, True)
            else:  # a product with ones starts faster than a reduction
                try:
                    y = a.ravel().dot(_ONES32[size] if d is float32 else _ONES64[size])
                except KeyError:
                    y = a.ravel().dot(_ones(size, _ONES32 if d is float32 else _ONES64))
        elif dim.__class__ is int and -n <= dim < n:  # type: ignore[operator]
            dims = _ONE[dim if dim >= 0 else dim + n]  # type: ignore[operator,index]
            y = _add(a, dim, None, None, keepdim)
        else:
            return general(input, dim, keepdim, None, None)
        if divide:
            y = y / (size // y.size)
        t = _new(Tensor)
        t._a = y if y.__class__ is _ndarray else _asarray(y)
        t.dtype = d
        t.device = CPU
        t._vc = t._view = None
        xn = input._node
        if xn is None or NO_GRAD[0] and not STATE.grad:
            t._node = None
            return t
        if WATCHED[0]:
            return general(input, dim, keepdim, None, None)
        node = Node()
        node.seq = next_seq()
        node.op = op
        node.next = (xn,)
        node.saved = (a.shape, _ALL[n] if dims is None else dims, keepdim)
        node.device = CPU
        node.versions = node.hooks = node.trace = None
        t._node = node
        return t

    call.__name__ = call.__qualname__ = general.__name__.strip("_")
    call.__doc__ = general.__doc__
    return method(call)


def _sum(input: Tensor, dim: Dims, keepdim: bool, dtype: dtype | None, out: Tensor | None) -> Tensor:
    """Sum of the elements over `dim`.

    Arguments:
        input: any dtype; integers and bools are summed in int64.
        dim: one dim or several, all by default.
        keepdim: keep the reduced dims with size 1.
        dtype: convert to this dtype first.

    >>> import tritorch as torch
    >>> torch.sum(torch.tensor([[1, 2], [3, 4]]), dim=0)
    tensor([4, 6])
    """
    dtype = dtype_for("sum", dtype, out)
    if ACTIVE and dtype is None:
        (input,) = autocast("sum", input)
    x = cast(tensor("sum", input), dtype, "sum")
    y = _sum_op(x, check_dims("sum", dim, x._a.ndim), keepdim)
    if dtype is not None and y.dtype is not dtype:
        y = y.to(dtype)
    return given("sum", y, out)


def _mean(input: Tensor, dim: Dims, keepdim: bool, dtype: dtype | None, out: Tensor | None) -> Tensor:
    """Mean of the elements over `dim`: their sum / their number (NaN for none).

    Arguments:
        input: float or complex, or any with `dtype`.
        dim, keepdim, dtype: see `sum`.

    Raises:
        RuntimeError: for integers and bools.

    >>> import tritorch as torch
    >>> torch.mean(torch.tensor([1.0, 2.0, 6.0]))
    tensor(3.)
    """
    x = cast(tensor("mean", input), dtype, "mean")
    if x.dtype.category < 2:
        rule = "could not infer output dtype. Input dtype must be a floating point or complex dtype"
        raise RuntimeError(message("mean", rule, input=x))
    if out is not None:
        kind = dtype_for("mean", dtype, out)
        check_cast("mean", x.dtype, kind or x.dtype)
        x = cast(x, kind, "mean")
    y = _mean_op(x, check_dims("mean", dim, x._a.ndim), keepdim)
    return given("mean", y, out)


sum = _fast(_sum_op, _sum)
mean = _fast(_mean_op, _mean)


@public(out=True, typed=True)
def nansum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """`sum` with NaN counted as 0.

    >>> import tritorch as torch
    >>> torch.nansum(torch.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)
    """
    x = tensor("nansum", input)
    if x.dtype.is_complex:
        raise RuntimeError(message("nansum", "does not support complex inputs", input=x))
    if not x.dtype.is_floating_point or x.device is CPU:
        y = sum(x, dim, keepdim, dtype=dtype)
        if not x.dtype.is_floating_point or not np.isnan(y._a).any():  # so nothing was NaN
            return y
    return sum(x.masked_fill(x.isnan(), 0), dim, keepdim, dtype=dtype)


@public(out=True, typed=True)
def nanmean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """`mean` of the elements that are not NaN.

    >>> import tritorch as torch
    >>> torch.nanmean(torch.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)
    """
    x: Any = cast(tensor("nanmean", input), dtype, "nanmean")
    if x.dtype.category < 2:
        raise RuntimeError(message("nanmean", "needs a floating point or complex dtype", input=x))
    if x.device is CPU:
        y = mean(x, dim, keepdim)
        if not np.isnan(y._a).any():
            return y
    bad = x.isnan()
    total: Any = sum(x.masked_fill(bad, 0), dim, keepdim)
    return total / sum(~bad, dim, keepdim)


@public(out=True, typed=True)
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """Product of all elements, or over one dim; of integers and bools in int64.

    >>> import tritorch as torch
    >>> torch.prod(torch.tensor([[1, 2], [3, 4]]), 1)
    tensor([ 2, 12])
    """
    if ACTIVE and dtype is None:
        (input,) = autocast("prod", input)
    x = cast(tensor("prod", input), dtype, "prod")
    if dim is None:
        if keepdim:
            raise TypeError("prod() got an invalid combination of arguments: keepdim needs a dim")
        y = _reduce.prod(x.reshape((-1,)), 0, False)
    elif not x._a.ndim:
        one_dim("prod", x, dim)
        y = _reduce.prod(x.reshape((1,)), 0, False)
    else:
        y = _reduce.prod(x, one_dim("prod", x, dim), keepdim)
    return y if dtype is None else y.to(dtype)


def _logical(name: str, op: Any, input: Tensor, dim: Dims, keepdim: bool) -> Tensor:
    x: Any = tensor(name, input)
    if isinstance(dim, (tuple, list)) and not dim:
        y = x != 0  # no dim is reduced, unlike in a sum
    else:
        y = op(x, check_dims(name, dim, x._a.ndim), keepdim)
    return y.to(uint8) if x.dtype is uint8 else y


@public(out=True)
def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Is an element over `dim` not zero; bool (uint8 for uint8).

    >>> import tritorch as torch
    >>> torch.any(torch.tensor([[0, 2], [0, 0]]), 1)
    tensor([ True, False])
    """
    return _logical("any", _reduce.any_, input, dim, keepdim)


@public(out=True)
def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Are all elements over `dim` not zero; bool (uint8 for uint8).

    >>> import tritorch as torch
    >>> torch.all(torch.tensor([[1, 2], [0, 3]]), 1)
    tensor([ True, False])
    """
    return _logical("all", _reduce.all_, input, dim, keepdim)


@public()
def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """Number of elements over `dim` that are not zero, int64.

    >>> import tritorch as torch
    >>> torch.count_nonzero(torch.tensor([0, 3, 0, 4]))
    tensor(2)
    """
    x = tensor("count_nonzero", input)
    return sum(x if x.dtype is bool_ else x != 0, dim)


# ---- softmax


def _checked(name: str, input: Tensor, dim: Any, dtype: dtype | None) -> tuple[Tensor, int]:
    if ACTIVE and dtype is None:
        (input,) = autocast(name, input)
    x = cast(tensor(name, input), dtype, name)
    if x.dtype.category != 2:
        raise NotImplementedError(message(name, "needs a floating point dtype", input=x))
    if dim.__class__ is not int:
        raise TypeError(f"{name}(): argument 'dim' (position 2) must be int, not {type(dim).__name__}")
    return x, one_dim(name, x, dim)


@public(out=True)
def softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """softmax(x)_i = exp(x_i) / sum_j exp(x_j) along `dim`.

    Arguments:
        input: floating point, or any with `dtype`.
        dim: where the results sum to 1.
        dtype: convert to this dtype first.

    >>> import tritorch as torch
    >>> torch.softmax(torch.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return _softmax.softmax(*_checked("softmax", input, dim, dtype))


@public(out=True)
def log_softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """log_softmax(x)_i = x_i - log sum_j exp(x_j) along `dim`, without overflow; arguments as `softmax`.

    >>> import tritorch as torch
    >>> torch.log_softmax(torch.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return _softmax.log_softmax(*_checked("log_softmax", input, dim, dtype))


@public(out=True)
def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """log sum exp(x) over `dim`, without overflow; integers are converted to the default float.

    >>> import tritorch as torch
    >>> torch.logsumexp(torch.tensor([1000.0, 1000.0]), 0)
    tensor(1000.6932)
    """
    if ACTIVE:
        (input,) = autocast("logsumexp", input)
    x = tensor("logsumexp", input)
    if x.dtype.category < 2:
        from ..dtypes import get_default_dtype

        x = x.to(get_default_dtype())
    dims = check_dims("logsumexp", dim, x._a.ndim)
    if _product(x._a.shape[d] for d in dims) == 0:
        empty: Any = sum(x, dims, keepdim)
        return empty - float("inf")
    return _softmax.logsumexp(x, dims, keepdim)
