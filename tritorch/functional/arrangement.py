"""Public functions that repeat or reorder elements, or keep a triangle of them: copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..device import CPU, constant
from ..errors import check_dim, message
from ..kernels import copy as _copy
from ..kernels.copy import clone as _clone
from ..tensor import Tensor, host, method, wrap
from .shape import ravel, reshape, sizes_of, transpose

__all__ = [
    "argwhere", "flip", "fliplr", "flipud", "repeat", "repeat_interleave", "roll", "rot90", "tile", "tril", "triu",
]  # fmt: skip


@method
def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """The tensor tiled `repeats` times along each dim; more repeats than dims add dims in front."""
    times = sizes_of(repeats)
    if len(times) < input._a.ndim:
        raise RuntimeError(
            f"repeat: Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor; got {times} "
            f"for shape {tuple(input._a.shape)}"
        )
    if any(t < 0 for t in times):
        raise RuntimeError(f"repeat: Trying to create tensor with negative dimension; got repeats {times}")
    return _copy.repeat(input, times)


@method
def tile(input: Tensor, *dims: Any) -> Tensor:
    """As `repeat`, with ones put in front of too few dims."""
    times = sizes_of(dims)
    return repeat(input, *((1,) * (input._a.ndim - len(times)) + times))


@method
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element repeated `repeats` times (a number, or one per element) along `dim` (None: flattened)."""
    if repeats is None:
        counts = host(input)
        return wrap(np.repeat(np.arange(counts.size), counts)).to(input.device)
    x = ravel(input) if dim is None else input
    d = 0 if dim is None else check_dim("repeat_interleave", dim, x._a.ndim)
    counts = host(repeats) if isinstance(repeats, Tensor) else np.asarray(repeats)
    if counts.size not in (1, x._a.shape[d]):
        raise RuntimeError(
            f"repeat_interleave: repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} "
            f"and input.size({d}) = {x._a.shape[d]}"
        )
    if (counts < 0).any():
        raise RuntimeError("repeat_interleave: repeats can not be negative")
    index = np.repeat(
        np.arange(x._a.shape[d]),
        counts.reshape(-1) if counts.size > 1 else int(counts.reshape(-1)[0]) if counts.size else 0,
    )
    return x.index_select(d, wrap(index if x.device is CPU else constant(index, x.device), x.device))


@method
def flip(input: Tensor, *dims: Any) -> Tensor:
    """A copy with the order along `dims` reversed."""
    n = input._a.ndim
    ds = tuple([check_dim("flip", d, n) for d in sizes_of(dims)])
    if len(set(ds)) != len(ds):
        raise RuntimeError(f"flip: a dim appears multiple times in dims {dims}")
    return _copy.flip(input, ds if n else ())


@method
def fliplr(input: Tensor) -> Tensor:
    """Columns in reverse order."""
    return flip(input, 1)


@method
def flipud(input: Tensor) -> Tensor:
    """Rows in reverse order."""
    return flip(input, 0)


@method
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Shifted cyclically by `shifts` along `dims` (None: flattened)."""
    one = lambda v: (v,) if isinstance(v, int) else tuple(v)  # noqa: E731
    if dims is None or dims == ():
        if len(one(shifts)) != 1:
            raise RuntimeError(f"roll: shifts and dims must align; got {shifts} and {dims}")
        return reshape(_copy.roll(ravel(input), one(shifts), (0,)), input._a.shape)
    ds = tuple([check_dim("roll", d, input._a.ndim) for d in one(dims)])
    if len(one(shifts)) != len(ds):
        raise RuntimeError(f"roll: shifts and dims must align; got {shifts} and {dims}")
    return _copy.roll(input, one(shifts), ds)


@method
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Rotated k times by 90 degrees in the plane of `dims`."""
    a, b = (check_dim("rot90", d, input._a.ndim) for d in dims)
    k %= 4
    if k == 1:
        return transpose(flip(input, b), a, b)
    if k == 2:
        return flip(input, a, b)
    return flip(transpose(input, a, b), b) if k == 3 else _clone(input)


@method(inplace=True, out=True)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two dims; elements above `diagonal` are 0."""
    return _copy.tril(_matrix("tril", input), diagonal)


@method(inplace=True, out=True)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two dims; elements below `diagonal` are 0."""
    return _copy.triu(_matrix("triu", input), diagonal)


def _matrix(op: str, x: Tensor) -> Tensor:
    if x._a.ndim < 2:
        raise RuntimeError(message(op, "input tensor must have at least 2 dimensions", input=x))
    return x


@method
def argwhere(input: Tensor) -> Tensor:
    """The indices of nonzero elements, one row each."""
    return input.nonzero()
