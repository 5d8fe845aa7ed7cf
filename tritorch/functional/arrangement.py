"""Public functions that repeat or reorder elements, or keep a triangle of them: copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..binding import method
from ..device import CPU
from ..dtypes import int32, int64
from ..errors import check_dim, message
from ..kernels import copy as _copy
from ..kernels.copy import clone as _clone
from ..kernels.interleave import interleave as _interleave
from ..tensor import Tensor, wrap
from .joining import stack
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
    """Each element repeated `repeats` times along `dim`.

    Arguments:
        repeats: a number, or a tensor (n,) or () of int32 or int64 with one number per element; None: the numbers are
            `input` itself, and the elements 0, 1, ...
        dim: None for the flattened tensor.
        output_size: the result's size along `dim`. On cuda a tensor of repeats is read for it, once, unless it is given;
            it must be right there.

    Raises:
        RuntimeError: negative repeats, of a wrong dtype or number, or on another device; an output_size that is wrong.

    >>> import tritorch as torch
    >>> torch.repeat_interleave(torch.tensor([5, 6]), torch.tensor([2, 1]))
    tensor([5, 5, 6])
    """
    if repeats is None:
        return wrap(*_interleaved(input, output_size))
    x = ravel(input) if dim is None else input
    d = 0 if dim is None else check_dim("repeat_interleave", dim, x._a.ndim)
    n = x._a.shape[d]
    if not isinstance(repeats, (int, Tensor)):
        repeats = wrap(np.asarray(repeats, np.int64)).to(x.device)
    if isinstance(repeats, Tensor):
        if repeats.device is not x.device:
            raise RuntimeError(
                f"repeat_interleave: repeats and input are expected to be on the same device, but got {repeats.device} and "
                f"{x.device}"
            )
        if repeats._a.ndim > 1 or repeats.numel() not in (1, n):
            raise RuntimeError(
                "repeat_interleave: repeats must be 0-dim or 1-dim tensor and have the same size as input along dim; got "
                f"repeats of shape {tuple(repeats._a.shape)} and input.size({d}) = {n}"
            )
        if repeats.numel() != 1 or n == 1:
            index, place = _interleaved(reshape(repeats, (-1,)), output_size)
            return x.index_select(d, wrap(index, place))
        repeats = int(repeats.item()) if output_size is None or not n else output_size // n
    if repeats < 0:
        raise RuntimeError(f"repeat_interleave: repeats can not be negative; got {repeats}")
    if output_size not in (None, n * repeats):
        raise RuntimeError(_WRONG_SIZE.format(output_size, n * repeats))
    if repeats == 1:
        return _clone(x)
    shape = list(x._a.shape)
    tiled = x.unsqueeze(d + 1).expand(*shape[: d + 1], repeats, *shape[d + 1 :]).contiguous()
    return reshape(tiled, (*shape[:d], n * repeats, *shape[d + 1 :]))


def _interleaved(counts: Tensor, total: int | None) -> tuple[Any, Any]:
    """The raw indices that repeat element i counts[i] times, and their device."""
    if counts.dtype not in (int32, int64):
        raise NotImplementedError(
            message("repeat_interleave", "repeats has to be a Long or Int tensor", repeats=counts)
        )
    if counts._a.ndim != 1:
        raise RuntimeError(message("repeat_interleave", "only accepts a 1D vector as repeats", repeats=counts))
    if counts.device is CPU or total is None:
        n, least = stack([counts.sum(), counts.amin().to(int64)]).tolist() if counts.numel() else (0, 0)
        if least < 0:
            raise RuntimeError(f"repeat_interleave: repeats can not be negative; got {least}")
        if total not in (None, n):
            raise RuntimeError(_WRONG_SIZE.format(total, n))
        total = n
    return _interleave(counts.detach(), total)._a, counts.device


_WRONG_SIZE = "repeat_interleave: allocated size does not match required size; got output_size {} for {} elements"


@method
def flip(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """A copy with the order along `dims` reversed."""
    n = input._a.ndim
    ds = tuple([check_dim("flip", d, n) for d in sizes_of(args if dims is None else (dims,))])
    if len(set(ds)) != len(ds):
        raise RuntimeError(f"flip: a dim appears multiple times in dims {ds}")
    return _copy.flip(input, ds if n else ())


@method
def fliplr(input: Tensor) -> Tensor:
    """Columns in reverse order."""
    if input._a.ndim < 2:
        raise RuntimeError(message("fliplr", "input needs at least 2 dims", input=input))
    return flip(input, 1)


@method
def flipud(input: Tensor) -> Tensor:
    """Rows in reverse order."""
    if not input._a.ndim:
        raise RuntimeError(message("flipud", "input needs at least 1 dim", input=input))
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
    if not input._a.ndim:
        raise IndexError(message("roll", f"dims {dims} of a tensor that has none", input=input))
    return _copy.roll(input, one(shifts), ds)


@method
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Rotated k times by 90 degrees in the plane of `dims`."""
    if len(dims) != 2:
        raise RuntimeError(message("rot90", "dims must be the two dims of a plane", dims=dims, input=input))
    if input._a.ndim < 2:
        raise RuntimeError(message("rot90", "input needs at least 2 dims", input=input))
    a, b = (check_dim("rot90", d, input._a.ndim) for d in dims)
    if a == b:
        raise RuntimeError(message("rot90", "dims must be different", dims=dims))
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
