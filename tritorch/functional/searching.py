"""Looking values up among others: isin, searchsorted, bucketize."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.apply import mixed_devices
from ..binding import with_out
from ..device import CPU
from ..dtypes import bool_, int32
from ..errors import message
from ..kernels import index as _index
from ..kernels.nonzero import searchsorted as _searchsorted
from ..tensor import TENSORS, Tensor, wrap
from .comparison import result_type
from .indexing import _in_range, _indices

__all__ = ["bucketize", "isin", "searchsorted"]


@with_out
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Is each element among `test_elements`; bool, of the shape of `elements`."""
    for name, value in (("elements", elements), ("test_elements", test_elements)):
        if not isinstance(value, (Tensor, bool, int, float, np.ndarray, np.generic, list, tuple)):
            raise TypeError(message("isin", f"{name} must be a Tensor or a number", **{name: value}))
    first = next((v for v in (elements, test_elements) if isinstance(v, Tensor)), None)
    place = CPU if first is None else first.device
    x, among = [v if isinstance(v, Tensor) else wrap(np.asarray(v)).to(place) for v in (elements, test_elements)]
    if x.device is not among.device:
        raise mixed_devices("isin", ("elements", "test_elements"), (x, among))
    if place is CPU:
        return wrap(np.asarray(np.isin(x._a, among._a, invert=invert)))
    kind = result_type(x, among)
    x, row = x.to(kind), among.to(kind).reshape(-1).sort()[0]
    if not row._a.size:
        return x.new_full(x._a.shape, invert, dtype=bool_)
    found = row.take(_searchsorted(row, x, False).clamp(max=row._a.size - 1)) == x
    return ~found if invert else found


@with_out
def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Where each of `input` would be inserted into the sorted last dim, to keep it sorted.

    Arguments:
        sorted_sequence: (..., n), in rising order.
        input: (..., m); for a sequence of one dim any shape, or a number.
        out_int32: give int32 instead of int64; default False.
        right: after equal elements, not before them; default False. `side`, "left" or "right", says the same.
        sorter: (..., n), int64: the order that sorts `sorted_sequence`, where it is not sorted itself. Default None.

    Raises:
        RuntimeError: shapes, dtypes or devices that do not fit; `side` is unknown or contradicts `right`.

    >>> import tritorch as torch
    >>> torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([3, 6]))
    tensor([1, 3])
    """
    op = "searchsorted"
    if side not in (None, "left", "right"):
        raise RuntimeError(message(op, "side can only be 'left' or 'right'", side=side))
    if side == "left" and right:
        raise RuntimeError(message(op, "side and right can't be set to opposites", side=side, right=right))
    if not sorted_sequence._a.ndim:
        raise RuntimeError(message(op, "sorted_sequence must have at least one dim", sorted_sequence=sorted_sequence))
    if sorter is not None:
        i = _indices(op, sorted_sequence, sorter, "sorter")
        if i.shape != sorted_sequence._a.shape:
            rule = "sorter must have the shape of sorted_sequence"
            raise RuntimeError(message(op, rule, sorter=sorter, sorted_sequence=sorted_sequence))
        last = i.ndim - 1
        _in_range(op, i, i.shape[last], last, sorted_sequence)
        sorted_sequence = _index.gather(sorted_sequence, last, i)
    return _inserted(op, "sorted_sequence", sorted_sequence, input, right or side == "right", out_int32)


@with_out
def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The index of the bucket, between sorted `boundaries`, of each of `input`.

    Arguments:
        input: any shape, or a number.
        boundaries: (n,), in rising order; bucket i is (boundaries[i - 1], boundaries[i]].
        out_int32: give int32 instead of int64; default False.
        right: buckets are [boundaries[i - 1], boundaries[i]); default False.

    Raises:
        RuntimeError: boundaries have not one dim, or are on another device.

    >>> import tritorch as torch
    >>> torch.bucketize(torch.tensor([0.5, 3.0]), torch.tensor([1.0, 2.0]))
    tensor([0, 2])
    """
    if boundaries._a.ndim != 1:
        raise RuntimeError(message("bucketize", "boundaries must have one dim", boundaries=boundaries))
    return _inserted("bucketize", "boundaries", boundaries, input, right, out_int32)


def _inserted(op: str, name: str, rows: Tensor, input: Any, right: bool, out_int32: bool) -> Tensor:
    """`searchsorted` in rows that are sorted; `name` is that of their argument."""
    if input.__class__ in TENSORS:
        values = input
    elif isinstance(input, (bool, int, float, np.ndarray, np.generic, list, tuple)):
        values = wrap(np.asarray(input)).to(rows.device)
    else:
        raise TypeError(message(op, "input must be a Tensor or a number", input=input))
    if values.device is not rows.device:
        raise mixed_devices(op, (name, "input"), (rows, values))
    if rows._a.ndim != 1 and rows._a.shape[:-1] != values._a.shape[:-1]:
        raise RuntimeError(message(op, "all but the last dim must agree", **{name: rows}, input=input))
    kind = result_type(rows, values)
    if kind.is_complex:
        raise NotImplementedError(message(op, "complex numbers have no order", **{name: rows}, input=input))
    found = _searchsorted(rows.to(kind), values.to(kind), right)
    return found.to(int32) if out_int32 else found
