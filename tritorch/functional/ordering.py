"""Public sorting: sort, argsort, msort, topk, kthvalue, unique, unique_consecutive."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import return_types
from ..device import CPU
from ..dtypes import bool_, int64
from ..errors import message
from ..kernels import select as _select
from ..kernels import sort as _sort
from ..kernels._indexed import read
from ..tensor import Tensor, wrap
from ._arguments import one_dim, public, sortable, tensor

__all__ = ["argsort", "kthvalue", "msort", "sort", "topk", "unique", "unique_consecutive"]


def _sorted(name: str, input: Tensor, dim: int, descending: bool) -> Any:
    x = tensor(name, input)
    if x.dtype.is_complex:
        raise RuntimeError(message(name, "Sort does not support complex dtypes", input=x))
    return _sort.sort(x, one_dim(name, x, dim), bool(descending))


@public(out=True)
def sort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = False) -> Any:
    """Elements along `dim` in order, and their indices, as (values, indices).

    NaN counts as the largest. Equal elements keep their order with and without `stable`.

    Arguments:
        input: any dtype but complex.
        dim: the last by default.
        descending: the largest first.

    >>> import tritorch as torch
    >>> torch.sort(torch.tensor([3, 1, 2])).indices
    tensor([1, 2, 0])
    """
    return return_types.sort(*_sorted("sort", input, dim, descending))  # type: ignore[attr-defined]


@public(out=True)
def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Tensor:
    """The indices (int64) that sort `input` along `dim`; see `sort`.

    >>> import tritorch as torch
    >>> torch.argsort(torch.tensor([3, 1, 2]), descending=True)
    tensor([0, 2, 1])
    """
    return _sorted("argsort", input, dim, descending)[1]


@public(out=True)
def msort(input: Tensor) -> Tensor:
    """`input` sorted along its first dim.

    >>> import tritorch as torch
    >>> torch.msort(torch.tensor([[2, 1], [0, 5]]))
    tensor([[0, 1],
            [2, 5]])
    """
    return _sorted("msort", input, 0, False)[0]


@public(out=True)
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The `k` largest (smallest) elements along `dim`, best first, and their indices, as (values, indices).

    Raises:
        RuntimeError: `k` is not in [0, size of dim].

    >>> import tritorch as torch
    >>> torch.topk(torch.tensor([3, 1, 4, 1, 5]), 2).values
    tensor([5, 4])
    """
    x = sortable("topk", tensor("topk", input))
    d = one_dim("topk", x, dim)
    n = x._a.shape[d] if x._a.ndim else 1
    k = k if k.__class__ is int else k.__index__()
    if not 0 <= k <= n:
        raise RuntimeError(f"topk: selected index k out of range: must be in [0, {n}]; got {k}")
    return return_types.topk(*_sort.topk(x, k, d, bool(largest)))  # type: ignore[attr-defined]


@public(out=True)
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The `k`-th smallest element (from 1) along `dim`, and its index, as (values, indices).

    Raises:
        RuntimeError: `k` is not in [1, size of dim].

    >>> import tritorch as torch
    >>> torch.kthvalue(torch.tensor([3, 1, 4, 1, 5]), 3).values
    tensor(3)
    """
    x = sortable("kthvalue", tensor("kthvalue", input))
    d = one_dim("kthvalue", x, dim, False)
    n = x._a.shape[d] if x._a.ndim else 1
    if not 1 <= k <= n:
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {d}: must be in [1, {n}]; got {k}"
        )
    return return_types.kthvalue(*_select.kthvalue(x, int(k), d, keepdim))  # type: ignore[attr-defined]


# ---- unique


def _runs(x: Any, inverse: bool, counts: bool) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The first of each run of equal rows of `x` (n, ...), for each row its run, and the runs' lengths."""
    n = x._a.shape[0]
    if n == 0:
        none = x.new_zeros((0,), dtype=int64)
        return x, none if inverse else None, none if counts else None
    if x.device is CPU:
        a = x._a
        first = np.empty(n, bool)
        first[0] = True
        if a.ndim == 1:
            np.not_equal(a[1:], a[:-1], out=first[1:])
        else:
            (a[1:] != a[:-1]).any(tuple(range(1, a.ndim)), out=first[1:])
        places = first.nonzero()[0]
        return (
            wrap(read(a, (places,))),
            wrap(first.cumsum() - 1) if inverse else None,
            wrap(np.diff(places, append=n)) if counts else None,
        )
    differs = x[1:] != x[:-1]
    if x._a.ndim > 1:
        differs = differs.reshape((n - 1, -1)).any(1) if differs._a.size else differs.new_zeros((n - 1,), dtype=bool_)
    first = differs.new_ones((n,), dtype=bool_)
    first[1:] = differs
    places = first.nonzero().reshape((-1,))
    lengths = None
    if counts:
        ends = places.new_full((places.numel(),), n)
        ends[:-1] = places[1:]
        lengths = ends - places
    return x[places], first.cumsum(0) - 1 if inverse else None, lengths


def _row_order(x: Tensor) -> Tensor:
    """Indices that sort the rows of `x` (n, ...) lexicographically."""
    flat: Any = x.reshape((x._a.shape[0], -1))
    if x.device is CPU:
        a = flat._a if flat.dtype.itemsize != 2 or not flat.dtype.is_floating_point else flat._a.astype(np.float32)
        return wrap(np.lexsort(a.T[::-1]).astype(np.int64) if a.shape[1] else np.arange(a.shape[0]))
    order: Any = _sorted("unique", flat[:, -1], 0, False)[1]
    for column in range(flat.shape[1] - 2, -1, -1):
        order = order[_sorted("unique", flat[:, column][order], 0, False)[1]]
    return order


def _existing(name: str, x: Tensor, dim: int) -> int:
    if not x._a.ndim:
        raise IndexError(f"{name}: Dimension specified as {dim} but tensor has no dimensions")
    d = one_dim(name, x, dim)
    if x._a.size == 0 and any(n == 0 for i, n in enumerate(x._a.shape) if i != d):
        shape = tuple(x.shape)
        raise RuntimeError(f"{name}: There are 0 sized dimensions that dim doesn't select; got shape {shape}, dim {d}")
    return d


def _answer(values: Tensor, inverse: Tensor | None, counts: Tensor | None) -> Any:
    found = tuple(t for t in (values, inverse, counts) if t is not None)
    return values if len(found) == 1 else found


@public()
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements in rising order; with `dim`, the distinct slices along it, in lexicographic order.

    Each NaN is distinct. No gradient.

    Arguments:
        input: any dtype but complex.
        sorted: the result is sorted in any case.
        return_inverse: also, for each element, the index of its value in the result.
        return_counts: also, for each value, how often it occurs.
        dim: compare slices along this dim.

    >>> import tritorch as torch
    >>> torch.unique(torch.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    x = tensor("unique", input).detach()
    if dim is None:
        flat = x.reshape((-1,))
        if x.device is CPU and not return_inverse and flat._a.dtype.kind in "biuf":
            a = flat._a.copy()
            a.sort()
            ordered, at = wrap(a), None
        else:
            ordered, at = _sorted("unique", flat, 0, False)
    else:
        d = _existing("unique", x, dim)
        flat = x.movedim(d, 0)
        at = _row_order(flat) if flat._a.shape[0] else flat.new_zeros((0,), dtype=int64)
        ordered = flat[at]
    values, run, counts = _runs(ordered, return_inverse, return_counts)
    inverse = None
    if run is not None:
        inverse = run.new_zeros(run.shape).scatter(0, at, run)
        if dim is None:
            inverse = inverse.reshape(x.shape)
    if dim is not None:
        values = values.movedim(0, one_dim("unique", x, dim)).contiguous()
    return _answer(values, inverse, counts)


@public()
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The first of each run of equal neighbours, in the flattened tensor or, with `dim`, of equal slices along it.

    Arguments as `unique`.

    >>> import tritorch as torch
    >>> torch.unique_consecutive(torch.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    x = tensor("unique_consecutive", input).detach()
    d = 0 if dim is None else _existing("unique_consecutive", x, dim)
    rows = x.reshape((-1,)) if dim is None else x.movedim(d, 0)
    values, inverse, counts = _runs(rows, return_inverse, return_counts)
    if dim is None:
        inverse = None if inverse is None else inverse.reshape(x.shape)
    else:
        values = values.movedim(0, d).contiguous()
    return _answer(values, inverse, counts)
