"""Public reductions: sum, mean, prod, any, all and their kin; softmax, log_softmax, logsumexp."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod as _product
from typing import Any

import numpy as np

from ..autograd.graph import Node, next_seq
from ..autograd.modes import STATE
from ..device import CPU
from ..dtypes import bool_, dtype, uint8
from ..errors import check_dims, message
from ..kernels import reduce as _reduce
from ..kernels import softmax as _softmax
from ..kernels._fold import SMALL
from ..tensor import TENSORS, Tensor, method, write_out
from ._arguments import axis_names, cast, one_dim, tensor

__all__ = [
    "all", "any", "count_nonzero", "log_softmax", "logsumexp", "mean", "nanmean", "nansum", "prod", "softmax", "sum",
]  # fmt: skip

Dims = int | Sequence[int] | None

_new, _ndarray, _add = object.__new__, np.ndarray, np.add.reduce
_ALL = tuple([tuple(range(n)) for n in range(65)])  # every dim of a tensor, by the number of its dims
_sum_op, _mean_op = _reduce.sum_, _reduce.mean


def _small(op: Any, x: Tensor, dim: int | None, keepdim: bool, divide: bool) -> Tensor | None:
    """Sum or mean of a few floats on the CPU by one NumPy call; None where that does not apply."""
    d = x.dtype
    a = x._a
    if x.device is not CPU or not d.is_floating_point or d.is_half or a.size > SMALL or a.size == 0:
        return None
    n = a.ndim
    if dim is None:
        dims = _ALL[n]
        y = _add(a, None, None, None, keepdim)
    elif dim.__class__ is int and -n <= dim < n:
        dims = (dim if dim >= 0 else dim + n,)
        y = _add(a, dim, None, None, keepdim)
    else:
        return None
    if divide:
        y /= a.size // y.size
    out = _new(Tensor)
    out._a = y if y.__class__ is _ndarray else np.asarray(y)
    out.dtype = d
    out.device = CPU
    out._vc = out._view = out._node = None
    if x._node is not None and STATE.grad:
        if STATE.anomaly:
            return None
        node = _new(Node)
        node.seq = next_seq()
        node.op = op
        node.next = (x._node,)
        node.saved = (a.shape, dims, keepdim)
        node.device = CPU
        node.versions = node.hooks = node.trace = None
        out._node = node
    return out


def _dims_of(dim: Dims, numpy_names: dict, keepdim: bool, op: str) -> tuple[Dims, bool]:
    """`dim` and `keepdim` when they came under NumPy's names."""
    dim, keepdim = numpy_names.pop("axis", dim), numpy_names.pop("keepdims", keepdim)
    if numpy_names:
        raise TypeError(f"{op}() got an unexpected keyword argument '{next(iter(numpy_names))}'")
    return dim, keepdim


@method
def sum(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
    out: Tensor | None = None,
    **numpy_names: Any,
) -> Tensor:
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
    if dtype is None and out is None and not numpy_names and input.__class__ in TENSORS:
        y = _small(_sum_op, input, dim, keepdim, False)  # type: ignore[arg-type]
        if y is not None:
            return y
    if numpy_names:
        dim, keepdim = _dims_of(dim, numpy_names, keepdim, "sum")
    x = cast(tensor("sum", input), dtype, "sum")
    y = _sum_op(x, check_dims("sum", dim, x._a.ndim), keepdim)
    if dtype is not None and y.dtype is not dtype:
        y = y.to(dtype)
    return y if out is None else _into("sum", y, out)


def _into(op: str, y: Tensor, out: Tensor) -> Tensor:
    write_out(op, y, out)
    return out


@method
def mean(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
    out: Tensor | None = None,
    **numpy_names: Any,
) -> Tensor:
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
    if dtype is None and out is None and not numpy_names and input.__class__ in TENSORS:
        y = _small(_mean_op, input, dim, keepdim, True)  # type: ignore[arg-type]
        if y is not None:
            return y
    if numpy_names:
        dim, keepdim = _dims_of(dim, numpy_names, keepdim, "mean")
    x = cast(tensor("mean", input), dtype, "mean")
    if x.dtype.category < 2:
        raise RuntimeError(
            message(
                "mean", "could not infer output dtype. Input dtype must be a floating point or complex dtype", input=x
            )
        )
    y = _mean_op(x, check_dims("mean", dim, x._a.ndim), keepdim)
    return y if out is None else _into("mean", y, out)


@method(out=True)
@axis_names
def nansum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """`sum` with NaN counted as 0.

    >>> import tritorch as torch
    >>> torch.nansum(torch.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)
    """
    x = tensor("nansum", input)
    if x.dtype.is_complex:
        raise RuntimeError(message("nansum", "does not support complex inputs", input=x))
    return sum(x.masked_fill(x.isnan(), 0) if x.dtype.is_floating_point else x, dim, keepdim, dtype=dtype)


@method(out=True)
@axis_names
def nanmean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """`mean` of the elements that are not NaN.

    >>> import tritorch as torch
    >>> torch.nanmean(torch.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)
    """
    x = cast(tensor("nanmean", input), dtype, "nanmean")
    if x.dtype.category < 2:
        raise RuntimeError(message("nanmean", "needs a floating point or complex dtype", input=x))
    bad = x.isnan()
    return sum(x.masked_fill(bad, 0), dim, keepdim) / sum(~bad, dim, keepdim)


@method(out=True)
@axis_names
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """Product of all elements, or over one dim; of integers and bools in int64.

    >>> import tritorch as torch
    >>> torch.prod(torch.tensor([[1, 2], [3, 4]]), 1)
    tensor([ 2, 12])
    """
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
    x = tensor(name, input)
    if isinstance(dim, (tuple, list)) and not dim:
        y = x != 0  # no dim is reduced, unlike in a sum
    else:
        y = op(x, check_dims(name, dim, x._a.ndim), keepdim)
    return y.to(uint8) if x.dtype is uint8 else y


@method(out=True)
@axis_names
def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Is an element over `dim` not zero; bool (uint8 for uint8).

    >>> import tritorch as torch
    >>> torch.any(torch.tensor([[0, 2], [0, 0]]), 1)
    tensor([ True, False])
    """
    return _logical("any", _reduce.any_, input, dim, keepdim)


@method(out=True)
@axis_names
def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Are all elements over `dim` not zero; bool (uint8 for uint8).

    >>> import tritorch as torch
    >>> torch.all(torch.tensor([[1, 2], [0, 3]]), 1)
    tensor([ True, False])
    """
    return _logical("all", _reduce.all_, input, dim, keepdim)


@method
@axis_names
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
    x = cast(tensor(name, input), dtype, name)
    if x.dtype.category != 2:
        raise NotImplementedError(message(name, "needs a floating point dtype", input=x))
    if dim.__class__ is not int:
        raise TypeError(f"{name}(): argument 'dim' (position 2) must be int, not {type(dim).__name__}")
    return x, one_dim(name, x, dim)


@method(out=True)
@axis_names
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


@method(out=True)
@axis_names
def log_softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """log_softmax(x)_i = x_i - log sum_j exp(x_j) along `dim`, without overflow; arguments as `softmax`.

    >>> import tritorch as torch
    >>> torch.log_softmax(torch.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return _softmax.log_softmax(*_checked("log_softmax", input, dim, dtype))


@method(out=True)
@axis_names
def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """log sum exp(x) over `dim`, without overflow; integers are converted to the default float.

    >>> import tritorch as torch
    >>> torch.logsumexp(torch.tensor([1000.0, 1000.0]), 0)
    tensor(1000.6932)
    """
    x = tensor("logsumexp", input)
    if x.dtype.is_complex:
        raise NotImplementedError(message("logsumexp", "needs a real dtype", input=x))
    if x.dtype.category < 2:
        from ..dtypes import get_default_dtype

        x = x.to(get_default_dtype())
    dims = check_dims("logsumexp", dim, x._a.ndim)
    if _product(x._a.shape[d] for d in dims) == 0:
        return x.new_full([1 if i in dims else n for i, n in enumerate(x._a.shape)], -float("inf")).sum(dims, keepdim)
    return _softmax.logsumexp(x, dims, keepdim)
