"""Public extrema: max and min in all their forms, amax, amin, aminmax, argmax, argmin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import return_types
from ..dtypes import bool_
from ..errors import check_dims, message
from ..kernels import extremum as _extremum
from ..kernels import reduce as _reduce
from ..tensor import TENSORS, Tensor
from ._arguments import one_dim, ordered, public, tensor

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "min"]

Dims = int | Sequence[int] | None


def _over_dims(name: str, op: Any, input: Tensor, dim: Dims, keepdim: bool) -> Tensor:
    x = ordered(name, tensor(name, input))
    shape = x._a.shape
    dims = check_dims(name, dim, len(shape))
    if x._a.size == 0:
        if dim is None or isinstance(dim, (tuple, list)) and not dim:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
                f"with the 'dim' argument; got input of shape {shape}"
            )
        for d in dims:
            if shape[d] == 0:
                raise IndexError(
                    f"{name}(): Expected reduction dim {d} to have non-zero size; got input of shape {shape}"
                )
    return op(x, dims, keepdim)


@public(out=True)
def amax(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """Largest element over `dim` (all dims by default), NaN where there is one.

    The gradient is shared evenly between equal elements.

    >>> import tritorch as torch
    >>> torch.amax(torch.tensor([[1.0, 5.0], [3.0, 2.0]]), (0, 1))
    tensor(5.)
    """
    return _over_dims("amax", _reduce.amax, input, dim, keepdim)


@public(out=True)
def amin(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """Smallest element over `dim` (all dims by default), NaN where there is one.

    The gradient is shared evenly between equal elements.

    >>> import tritorch as torch
    >>> torch.amin(torch.tensor([[1.0, 5.0], [3.0, 2.0]]), 1)
    tensor([1., 2.])
    """
    return _over_dims("amin", _reduce.amin, input, dim, keepdim)


@public(out=True)
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """Smallest and largest element, of all or over one dim, as (min, max).

    >>> import tritorch as torch
    >>> torch.aminmax(torch.tensor([3, 1, 2])).max
    tensor(3)
    """
    x = ordered("aminmax", tensor("aminmax", input))
    if dim is None:
        if x._a.size == 0:
            raise RuntimeError(
                "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity"
            )
        dims: Any = tuple(range(x._a.ndim))
    else:
        d = one_dim("aminmax", x, dim, False)
        dims = (d,) if x._a.ndim else ()
    return return_types.aminmax(_reduce.amin(x, dims, keepdim), _reduce.amax(x, dims, keepdim))  # type: ignore[attr-defined]


def _best(name: str, op: Any, of_all: Any, input: Tensor, dim: Any, keepdim: bool, other: Any) -> Any:
    x = tensor(name, input)
    if dim.__class__ in TENSORS or other is not None:
        from .pointwise import maximum, minimum  # type: ignore[attr-defined]

        return (maximum if name == "max" else minimum)(x, dim if other is None else other)
    ordered(name, x)
    if dim is None:
        if x._a.size == 0:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
                f"with the 'dim' argument; got input of shape {tuple(x.shape)}"
            )
        return of_all(x, tuple(range(x._a.ndim)), False)
    return getattr(return_types, name)(*op(x, one_dim(name, x, dim, False), keepdim))


@public(out=True)
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The largest element; over one dim (values, indices); of two tensors, elementwise, as `maximum`.

    The index is that of the first of equal elements; a NaN comes before all. The gradient of `max(x)` is shared
    evenly between equal elements, that of `max(x, dim)` goes to the element chosen.

    Arguments:
        input: any dtype but complex.
        dim: an int, or the other tensor.
        keepdim: keep the reduced dim with size 1.

    Raises:
        RuntimeError: `max(x)` of no elements. IndexError: `dim` out of range or of size 0.

    >>> import tritorch as torch
    >>> torch.max(torch.tensor([[1.0, 5.0], [3.0, 2.0]]), 1).indices
    tensor([1, 0])
    """
    return _best("max", _extremum.max_, _reduce.amax, input, dim, keepdim, other)


@public(out=True)
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The smallest element; over one dim (values, indices); of two tensors, elementwise, as `minimum`. See `max`.

    >>> import tritorch as torch
    >>> torch.min(torch.tensor([3, 1, 2]))
    tensor(1)
    """
    return _best("min", _extremum.min_, _reduce.amin, input, dim, keepdim, other)


def _place(name: str, op: Any, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    x = ordered(name, tensor(name, input))
    if x.dtype is bool_:
        raise NotImplementedError(message(name, "does not support bool input", input=x))
    if dim is None:
        if x._a.size == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0; got shape {tuple(x.shape)}"
            )
        y = op(x.detach().reshape((-1,)), 0, False)
        return y.reshape((1,) * x._a.ndim) if keepdim else y
    return op(x, one_dim(name, x, dim, False), keepdim)


@public(out=True)
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index (int64) of the largest element over `dim`, or in the flattened tensor; the first one, NaN before all.

    >>> import tritorch as torch
    >>> torch.argmax(torch.tensor([[1.0, 5.0], [3.0, 2.0]]))
    tensor(1)
    """
    return _place("argmax", _extremum.argmax, input, dim, keepdim)


@public(out=True)
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index (int64) of the smallest element over `dim`, or in the flattened tensor; the first one, NaN before all.

    >>> import tritorch as torch
    >>> torch.argmin(torch.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([0, 1])
    """
    return _place("argmin", _extremum.argmin, input, dim, keepdim)
