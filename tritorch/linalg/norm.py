"""Norms of vectors and matrices."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from ..binding import with_out
from ..dtypes import dtype
from ..errors import check_dim, message
from ..functional._arguments import cast
from ..functional.statistics import vector_norm as _vector_norm
from ..kernels.spectral import linalg_svdvals
from ..tensor import TENSORS, Tensor

__all__ = ["matrix_norm", "norm", "vector_norm"]

Dims = int | Sequence[int] | None
vector_norm = with_out(_vector_norm)


def _float(op: str, A: Any, kind: dtype | None) -> Tensor:
    if A.__class__ not in TENSORS:
        raise TypeError(f"{op}(): argument 'A' must be Tensor, not {type(A).__name__}")
    A = cast(A, kind, op)
    if A.dtype.category < 2:
        raise RuntimeError(message(op, "A must be floating point or complex", A=A))
    return A


def _largest(x: Any, dim: int) -> Any:
    """The largest along `dim`, kept; 0 of none."""
    return x.amax(dim, True) if x.shape[dim] else x.sum(dim, True)


@with_out
def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The norm of each matrix.

    Arguments:
        A: (*, m, n).
        ord: "fro": root of the sum of squares; "nuc": sum of the singular values; 2, -2: largest, smallest of them;
            inf, -inf: largest, smallest sum of |row|; 1, -1: of |column|.
        dim: the matrices' two dims.
        keepdim: keep them with size 1.
        dtype: cast to it first.

    >>> import tritorch as torch
    >>> torch.linalg.matrix_norm(torch.tensor([[3.0, 0.0], [0.0, 4.0]]), 2)
    tensor(4.)
    """
    op = "linalg.matrix_norm"
    x: Any = _float(op, A, dtype)
    if x.dim() < 2:
        raise RuntimeError(message(op, "A must have at least 2 dimensions", A=A))
    if isinstance(dim, int) or len(dim) != 2:
        raise RuntimeError(f"{op}: dim must be two dims; got {dim}")
    rows, columns = (check_dim(op, d, x.dim()) for d in dim)
    if rows == columns:
        raise RuntimeError(f"{op}: dims must be different; got {tuple(dim)}")
    if ord == "fro":
        return _vector_norm(x, 2, (rows, columns), keepdim)
    if ord == "nuc" or ord in (2, -2):
        s: Any = linalg_svdvals(x.permute([d for d in range(x.dim()) if d not in (rows, columns)] + [rows, columns]))
        y = s.sum(-1, True) if ord == "nuc" else _largest(s, -1) if ord == 2 else s.amin(-1, True)
        y = y.squeeze(-1)
        if keepdim:
            for d in sorted((rows, columns)):
                y = y.unsqueeze(d)
        return y
    if isinstance(ord, str) or ord not in (1, -1, inf, -inf):
        raise RuntimeError(f"{op}: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf; got {ord!r}")
    first, second = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = x.abs().sum(first, True)
    y = _largest(sums, second) if ord > 0 else sums.amin(second, True)
    if keepdim:
        return y
    for d in sorted((rows, columns), reverse=True):
        y = y.squeeze(d)
    return y


@with_out
def norm(A: Tensor, ord: Any = None, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """The norm of vectors or of matrices.

    Arguments:
        ord: None: root of the sum of squares over `dim`; else as in `vector_norm` or `matrix_norm`.
        dim: one dim: vectors; two: matrices; None: all of A, which is 1- or 2-dim when ord is given.

    >>> import tritorch as torch
    >>> torch.linalg.norm(torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    op = "linalg.norm"
    A = _float(op, A, dtype)
    dims = (dim,) if isinstance(dim, int) else None if dim is None else tuple(dim)
    if ord is not None:
        if dims is not None and len(dims) not in (1, 2):
            raise RuntimeError(f"{op}: dim must be one or two dims when ord is given; got {dim}")
        if dims is None and A._a.ndim not in (1, 2):
            raise RuntimeError(message(op, "A must be 1-D or 2-D when ord is given and dim is not", A=A))
        if (len(dims) if dims is not None else A._a.ndim) == 2:
            return matrix_norm(A, ord, (0, 1) if dims is None else dims, keepdim)
        if isinstance(ord, str):
            raise RuntimeError(f"{op}: order {ord!r} is for matrices; got shape {tuple(A.shape)}, dim {dim}")
    return _vector_norm(A, 2 if ord is None else ord, dims, keepdim)
