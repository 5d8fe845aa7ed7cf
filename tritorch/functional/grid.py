"""Index grids and combinations, and complex tensors from two real ones."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.autocast import ACTIVE, cast
from ..errors import message
from ..kernels._shapes import broadcast_shapes
from ..tensor import Tensor
from ._arguments import tensor
from .conversion import finish, to_dtype, to_place
from .creation import check_ignored
from .joining import cat, stack
from .views import view_as_complex

__all__ = ["cartesian_prod", "combinations", "complex", "meshgrid", "polar", "tril_indices", "triu_indices", "vander"]


def _triangle(op: str, row: int, col: int, dtype: Any, device: Any, more: dict, keep: Any) -> Tensor:
    check_ignored(op, more)
    for name, value in (("row", row), ("col", col)):
        if value < 0:
            raise RuntimeError(f"{op}: {name} must be non-negative, got {value}")
    kind = dtypes.int64 if dtype is None else to_dtype(op, dtype)
    if kind not in (dtypes.int32, dtypes.int64):
        raise NotImplementedError(f'"{op}" not implemented for {kind}; int32 and int64 are')
    mask = keep(np.arange(row)[:, None], np.arange(col))
    return finish(np.stack(np.nonzero(mask)).astype(kind.np), to_place(device), False)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, **more: Any) -> Tensor:
    """Row and column indices, shape (2, n), of the elements of a (row, col) matrix on and below a diagonal."""
    return _triangle("tril_indices", row, col, dtype, device, more, lambda i, j: j - i <= offset)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, **more: Any) -> Tensor:
    """Row and column indices, shape (2, n), of the elements of a (row, col) matrix on and above a diagonal."""
    return _triangle("triu_indices", row, col, dtype, device, more, lambda i, j: j - i >= offset)


def meshgrid(*given: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Coordinate tensors of a grid: views of the inputs, expanded to the joint shape.

    Arguments:
        given: 0- or 1-dim tensors of one dtype and device, or one sequence of them.
        indexing: "ij": dim k is the k-th input's; "xy": the first two dims are exchanged. Default "ij".

    >>> import tritorch as torch
    >>> x, y = torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij")
    >>> y
    tensor([[0, 1, 2],
            [0, 1, 2]])
    """
    tensors: list[Tensor] = list(given[0] if len(given) == 1 and isinstance(given[0], (list, tuple)) else given)
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.",
            UserWarning,
            stacklevel=2,
        )
        indexing = "ij"
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(f"meshgrid(): argument 'tensors' must be tuple of Tensors, not {type(t).__name__}")
        if t.ndim > 1:
            raise RuntimeError(message("meshgrid", "Expected 0D or 1D tensor in the tensor list", tensor=t))
        if t.dtype is not tensors[0].dtype:
            raise RuntimeError(message("meshgrid", "expects all tensors to have the same dtype", tensor=t))
        if t.device is not tensors[0].device:
            raise RuntimeError(message("meshgrid", "expects all tensors to have the same device", tensor=t))
    swap = indexing == "xy" and len(tensors) > 1
    if swap:
        tensors[0], tensors[1] = tensors[1], tensors[0]
    shape = tuple(t.numel() for t in tensors)
    grids = [t.reshape(*[-1 if d == k else 1 for d in range(len(shape))]).expand(shape) for k, t in enumerate(tensors)]
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def _vector(op: str, x: Any) -> Any:
    if not isinstance(x, Tensor):
        raise TypeError(f"{op}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    if x.ndim != 1:
        raise RuntimeError(f"{op}: Expect a 1D vector, but got shape {list(x.shape)}")
    return x


def cartesian_prod(*tensors: Any) -> Tensor:
    """All tuples with one element from each of the 1-dim tensors, shape (product of sizes, number of tensors)."""
    vectors = [_vector("cartesian_prod", t) for t in tensors]
    if len(vectors) == 1:
        return vectors[0]
    return stack([g.reshape(-1) for g in meshgrid(*vectors, indexing="ij")], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of `r` elements of a 1-dim tensor in their order, shape (number of choices, r)."""
    x = _vector("combinations", input)
    if r < 0:
        raise RuntimeError(f"combinations: Expect a non-negative number, but got {r}")
    if r == 0:
        return x[:0]
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    n = x.numel()
    count = math.comb(n + r - 1, r) if with_replacement and n else math.comb(n, r)
    index = np.fromiter(itertools.chain.from_iterable(choose(range(n), r)), np.int64, count * r)
    return x[finish(index, x.device, False)].reshape(count, r)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """The Vandermonde matrix: columns x^(N-1), ..., x, 1, or in increasing order.

    Arguments:
        x: 1-dim. N: number of columns, default the size of x. increasing: powers from 0 on.
    """
    if x.ndim != 1:
        raise RuntimeError(f"vander: x must be a one-dimensional tensor; got shape {list(x.shape)}")
    n = x.numel() if N is None else N
    if n < 0:
        raise RuntimeError(f"vander: N must be non-negative; got {n}")
    if x.dtype.category < dtypes.FLOAT:
        x = x.to(dtypes.int64)
    column = x.new_ones((x.numel(), 1))
    columns = [column]
    for _ in range(1, n):
        column = column * x[:, None]
        columns.append(column)
    columns = columns[:n]
    if not columns:
        return x.new_empty((x.numel(), 0))
    return cat(columns if increasing else columns[::-1], 1)


def complex(real: Tensor, imag: Tensor, *, out: Tensor | None = None) -> Tensor:
    """real + i imag, broadcast.

    Arguments:
        real, imag: float32 or both float64 (float16 is widened to float32).
    """
    tensor("complex", real, "real")
    tensor("complex", imag, "imag", 2)
    for t in (real, imag):
        if not t.dtype.is_floating_point or t.dtype is dtypes.bfloat16:
            raise RuntimeError(
                f"Expected both inputs to be Half, Float or Double tensors but got {real.dtype} and {imag.dtype}"
            )
    if real.dtype is not imag.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {real.dtype} but got scalar type {imag.dtype} for second argument"
        )
    if real.dtype.is_half:
        real, imag = real.to(dtypes.float32), imag.to(dtypes.float32)
    shape = broadcast_shapes(tuple(real.shape), tuple(imag.shape))
    made = view_as_complex(stack([real.expand(shape), imag.expand(shape)], -1))
    if out is None:
        return made
    from ..binding import write_out

    write_out("complex", made, out)
    return out


def polar(abs: Tensor, angle: Tensor, *, out: Tensor | None = None) -> Tensor:
    """abs (cos angle + i sin angle), broadcast; float32 or float64."""
    tensor("polar", abs, "abs")
    tensor("polar", angle, "angle", 2)
    if ACTIVE:
        abs, angle = cast("polar", abs, angle)
    if abs.dtype is not angle.dtype:
        raise RuntimeError(message("polar", "abs and angle must have the same dtype", abs=abs, angle=angle))
    if abs.dtype.category != 2:
        raise RuntimeError(message("polar", "abs and angle must be of a floating dtype", abs=abs, angle=angle))
    return complex(abs * angle.cos(), abs * angle.sin(), out=out)
