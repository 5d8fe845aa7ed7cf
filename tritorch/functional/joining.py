"""Public functions that join tensors, and cut them into pieces (views)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.graph import Version
from ..autograd.inplace import MULTI
from ..binding import method, with_out, write_out
from ..dtypes import promote_types
from ..errors import check_dim, message
from ..kernels import copy as _copy
from ..kernels.copy import cast
from ..kernels.copy import clone as _clone
from ..tensor import TENSORS, Tensor
from .shape import reshape, unsqueeze
from .views import narrow

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "cat", "chunk", "column_stack", "concat", "concatenate",
    "dsplit", "dstack", "hsplit", "hstack", "row_stack", "split", "split_with_sizes", "stack", "tensor_split", "unbind",
    "vsplit", "vstack",
]  # fmt: skip


def _joined(op: str, tensors: Any) -> list[Tensor]:
    xs = list(tensors)
    if not xs:
        raise ValueError(f"{op}: expected a non-empty list of Tensors")
    for i, x in enumerate(xs):
        if x.__class__ not in TENSORS:
            raise TypeError(f"{op}: expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
    kind = xs[0].dtype
    for x in xs[1:]:
        if x.dtype is not kind:
            kind = promote_types(kind, x.dtype)
    return [x if x.dtype is kind else cast(x, kind) for x in xs]


def cat(tensors: Any, dim: int = 0, *, out: Tensor | None = None, axis: int | None = None) -> Tensor:
    """Tensors joined along `dim`; shapes are equal but for that dim (and empty 1-dim tensors are passed over).

    Raises:
        RuntimeError: for shapes that do not fit. IndexError: for `dim` out of range.
    """
    xs = _joined("cat", tensors)
    given = dim if axis is None else axis
    full = [x for x in xs if x._a.shape != (0,)]
    if not full:
        full = xs[:1]
    n = full[0]._a.ndim
    if n == 0:
        raise RuntimeError("cat: zero-dimensional tensor (at position 0) cannot be concatenated")
    d = check_dim("cat", given, n)
    first = full[0]._a.shape
    for i, x in enumerate(full[1:], 1):
        s = x._a.shape
        if len(s) != n:
            raise RuntimeError(f"cat: Tensors must have same number of dimensions: got {n} and {len(s)}")
        if s[:d] != first[:d] or s[d + 1 :] != first[d + 1 :]:
            raise RuntimeError(
                f"cat: Sizes of tensors must match except in dimension {d}. Expected shape {tuple(first)} but got "
                f"{tuple(s)} for tensor number {i} in the list."
            )
    result = _copy.cat(full, d) if len(full) > 1 else _clone(full[0])
    if out is not None:
        write_out("cat", result, out)
        return out
    return result


concat = concatenate = cat


def stack(tensors: Any, dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """Tensors of one shape joined along a new dim."""
    xs = _joined("stack", tensors)
    shape = xs[0]._a.shape
    d = check_dim("stack", dim, len(shape) + 1)
    for i, x in enumerate(xs):
        if x._a.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(x._a.shape)} at entry {i}"
            )
    result = _copy.stack(xs, d)
    if out is not None:
        write_out("stack", result, out)
        return out
    return result


def atleast_1d(*tensors: Any) -> Any:
    """Each tensor with at least 1 dim."""
    return _atleast(tensors, lambda x: reshape(x, 1) if x._a.ndim == 0 else x)


def atleast_2d(*tensors: Any) -> Any:
    """Each tensor with at least 2 dims."""
    return _atleast(tensors, lambda x: reshape(x, 1, -1) if x._a.ndim < 2 else x)


def atleast_3d(*tensors: Any) -> Any:
    """Each tensor with at least 3 dims."""

    def one(x: Tensor) -> Tensor:
        n = x._a.ndim
        return reshape(x, 1, -1, 1) if n < 2 else unsqueeze(x, -1) if n == 2 else x

    return _atleast(tensors, one)


def _atleast(tensors: tuple, f: Any) -> Any:
    if len(tensors) == 1:
        return tuple(map(f, tensors[0])) if isinstance(tensors[0], (tuple, list)) else f(tensors[0])
    return tuple(map(f, tensors))


def _some(op: str, tensors: Any) -> tuple[Tensor, ...]:
    found = tuple(tensors)
    if not found:
        raise RuntimeError(f"{op}: expected a non-empty list of Tensors")
    return found


@with_out
def hstack(tensors: Any) -> Tensor:
    """Joined along dim 1 (dim 0 for vectors)."""
    xs = atleast_1d(_some("hstack", tensors))
    return cat(xs, 0 if xs[0]._a.ndim == 1 else 1)


@with_out
def vstack(tensors: Any) -> Tensor:
    """Joined along dim 0, vectors as rows."""
    return cat(atleast_2d(_some("vstack", tensors)), 0)


row_stack = vstack


@with_out
def dstack(tensors: Any) -> Tensor:
    """Joined along dim 2."""
    return cat(atleast_3d(_some("dstack", tensors)), 2)


@with_out
def column_stack(tensors: Any) -> Tensor:
    """Vectors as columns, matrices side by side."""
    return hstack([reshape(x, -1, 1) if x._a.ndim < 2 else x for x in tensors])


def block_diag(*tensors: Any) -> Tensor:
    """The block-diagonal matrix of matrices (vectors as rows)."""
    for i, x in enumerate(tensors):
        if x._a.ndim > 2:
            raise RuntimeError(message("block_diag", f"tensor {i} must have at most 2 dims", tensor=x))
    blocks = [atleast_2d(x) for x in tensors]
    width = sum(b._a.shape[1] for b in blocks)
    rows, start = [], 0
    for b in blocks:
        rows.append(_copy.pad_constant(b, ((0, 0), (start, width - start - b._a.shape[1])), 0.0))
        start += b._a.shape[1]
    return cat(rows, 0)


def _multi(op: Any, x: Tensor, params: tuple) -> tuple[Tensor, ...]:
    outs = op(x, *params)
    if x._vc is None:
        x._vc = Version()
    for o in outs:
        o._vc, o._view = x._vc, (x, MULTI, ())
    return outs


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of the given size (the last may be smaller), or of the given list of sizes; views."""
    d = check_dim("split", dim, tensor._a.ndim)
    if tensor._a.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    n = tensor._a.shape[d]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and n):
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
        sizes = [size] * (n // size) + ([n % size] if n % size or n == 0 else []) if size else [0]
    else:
        sizes = list(split_size_or_sections)
        if sum(sizes) != n or any(s < 0 for s in sizes):
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {d}), but got "
                f"split_sizes={sizes}"
            )
    return _multi(_copy.split, tensor, (tuple(sizes), d))


Tensor.split = lambda self, split_size, dim=0: split(self, split_size, dim)  # type: ignore[attr-defined]


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of the given sizes; views."""
    return split(input, list(split_sizes), dim)


Tensor.split_with_sizes = split_with_sizes  # type: ignore[attr-defined]


@method
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size, the last may be smaller; views."""
    if chunks < 1:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    d = check_dim("chunk", dim, input._a.ndim)
    if input._a.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    n = input._a.shape[d]
    size = -(-n // chunks)
    return split(input, size, d) if size else split(input, [0] * chunks, d)


@method
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces cut at the given indices, or the given number of pieces of nearly equal size; views."""
    d = check_dim("tensor_split", dim, input._a.ndim)
    n = input._a.shape[d]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, str):
        rule = "indices_or_sections must be a number, a list of numbers or a Tensor"
        raise TypeError(message("tensor_split", rule, indices_or_sections=indices_or_sections))
    if isinstance(indices_or_sections, int):
        k = indices_or_sections
        if k < 1:
            raise RuntimeError(f"number of sections must be larger than 0, got {k}")
        cuts = [0, *np.cumsum([n // k + (i < n % k) for i in range(k)]).tolist()]
        return tuple([narrow(input, d, a, b - a) for a, b in zip(cuts, cuts[1:], strict=False)])
    cuts = [0, *indices_or_sections, n]
    pieces = []
    for a, b in zip(cuts, cuts[1:], strict=False):
        a, b, _ = slice(a, b).indices(n)
        pieces.append(narrow(input, d, a, max(0, b - a)))
    return tuple(pieces)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dim 1 (dim 0 for vectors) into equal parts, or at indices.

    Raises:
        RuntimeError: no dim, or one whose size the number of parts does not divide.

    >>> import tritorch as torch
    >>> torch.hsplit(torch.ones(2, 4), 2)[0].shape
    torch.Size([2, 2])
    """
    return _split_along("hsplit", input, indices_or_sections, 0 if input._a.ndim == 1 else 1, 1)


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dim 0 of two or more, as `hsplit`."""
    return _split_along("vsplit", input, indices_or_sections, 0, 2)


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dim 2 of three or more, as `hsplit`."""
    return _split_along("dsplit", input, indices_or_sections, 2, 3)


def _split_along(op: str, input: Tensor, parts: Any, dim: int, dims: int) -> tuple[Tensor, ...]:
    """`tensor_split` where input has `dims` dims at least and a number of parts divides the size."""
    if input._a.ndim < dims:
        raise RuntimeError(message(op, f"requires a tensor with at least {dims} dims", input=input))
    if isinstance(parts, int) and (parts < 1 or input._a.shape[dim] % parts):
        raise RuntimeError(message(op, f"the size of dim {dim} is not divisible by {parts} parts", input=input))
    return tensor_split(input, parts, dim)


for _f in (hsplit, vsplit, dsplit):
    setattr(Tensor, _f.__name__, _f)


@method
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along `dim`, without that dim; views."""
    d = check_dim("unbind", dim, input._a.ndim)
    if input._a.ndim == 0:
        raise IndexError("unbind: Dimension specified as 0 but tensor has no dimensions")
    return _multi(_copy.unbind, input, (d,))
