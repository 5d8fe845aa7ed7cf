"""Powers, exponentials and products of matrices and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..binding import given, with_out
from ..errors import message
from ..functional.matmul import _chain
from ..functional.matmul import cross as _cross
from ..functional.matmul import matmul as _matmul
from ..functional.views import diagonal as _diagonal
from ..kernels.linear_system import linalg_matrix_exp
from ..tensor import TENSORS, Tensor
from ._arguments import matrices
from .solution import inv

__all__ = ["cross", "diagonal", "matmul", "matrix_exp", "matrix_power", "multi_dot", "vander", "vecdot"]


def matrix_exp(A: Tensor) -> Tensor:
    """e^A = sum_k A^k / k! of each square matrix (*, n, n); of half precision in float32.

    Source: N. Higham, The scaling and squaring method for the matrix exponential revisited, 2005.

    >>> import tritorch as torch
    >>> torch.linalg.matrix_exp(torch.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    if A.__class__ in TENSORS and A.dtype.is_half:
        return matrix_exp(A.float()).to(A.dtype)  # type: ignore[attr-defined] # rounded once
    return linalg_matrix_exp(matrices("linalg.matrix_exp", A, square=True))


@with_out
def matrix_power(A: Tensor, n: int) -> Tensor:
    """A^n of each square matrix by repeated squaring; for n < 0 the power of the inverse.

    Raises:
        LinAlgError: n < 0 and A is singular.

    >>> import tritorch as torch
    >>> torch.linalg.matrix_power(torch.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    op = "linalg.matrix_power"
    if A.__class__ not in TENSORS:
        raise TypeError(f"{op}(): argument 'A' must be Tensor, not {type(A).__name__}")
    if A._a.ndim < 2 or A._a.shape[-1] != A._a.shape[-2]:
        raise RuntimeError(message(op, "A must be batches of square matrices", A=A))
    if n.__class__ is not int:
        raise TypeError(f"{op}(): argument 'n' must be int, not {type(n).__name__}")
    base: Any = inv(A) if n < 0 else A
    n = abs(n)
    if n == 0:
        return base.clone().copy_(base.new_ones(base.shape[:-1]).diag_embed())  # in the graph, with a gradient of 0
    y = None
    while n:
        if n & 1:
            y = base if y is None else _matmul(y, base)
        n >>= 1
        if n:
            base = _matmul(base, base)
    return y.clone() if y is A else y  # type: ignore[union-attr, return-value]


def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The product of several matrices in the order that needs the fewest multiplications.

    Arguments:
        tensors: at least two, 2-D; the first and the last may be vectors.

    Source: T. Cormen et al., Introduction to Algorithms, section 15.2.

    >>> import tritorch as torch
    >>> torch.linalg.multi_dot([torch.ones(2, 3), torch.ones(3, 4), torch.ones(4)])
    tensor([12., 12.])
    """
    op = "linalg.multi_dot"
    items: list[Any] = list(tensors)
    if len(items) < 2:
        raise RuntimeError(f"{op}: expected at least 2 tensors; got {len(items)}")
    row, column = items[0].dim() == 1, items[-1].dim() == 1
    if row:
        items[0] = items[0].unsqueeze(0)
    if column:
        items[-1] = items[-1].unsqueeze(1)
    for i, x in enumerate(items):
        if x.dim() != 2:
            raise RuntimeError(message(op, f"tensor {i} must be 2-D (the first and the last 1- or 2-D)", tensor=x))
        if i and items[i - 1].shape[1] != x.shape[0]:
            raise RuntimeError(message(op, f"tensors {i - 1} and {i} can't be multiplied", left=items[i - 1], right=x))
    y: Any = _chain(items)
    if column:
        y = y.squeeze(1)
    if row:
        y = y.squeeze(0)
    return given(op, y, out)


@with_out
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """As `torch.matmul`."""
    return _matmul(input, other)


@with_out
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """sum conj(x) y over `dim`, broadcast.

    >>> import tritorch as torch
    >>> torch.linalg.vecdot(torch.ones(2, 3), torch.ones(2, 3))
    tensor([3., 3.])
    """
    if x.dtype.category < 2 or y.dtype.category < 2:
        raise RuntimeError(message("linalg.vecdot", "x and y must be floating point or complex", x=x, y=y))
    if any(m != n and 1 not in (m, n) for m, n in zip(x._a.shape[::-1], y._a.shape[::-1], strict=False)):
        raise RuntimeError(message("linalg.vecdot", "the shapes do not broadcast together", x=x, y=y))
    left: Any = x
    return ((left.conj() if left.is_complex() else left) * y).sum(dim)


@with_out
def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of 3 elements along `dim`, broadcast.

    >>> import tritorch as torch
    >>> torch.linalg.cross(torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0]))
    tensor([0., 0., 1.])
    """
    return _cross(input, other, dim=dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, as a view: `torch.diagonal` of the last two dims.

    Arguments:
        A: (*, m, n). offset: 0 (default) is the main one, 1 the one above. dim1, dim2: default -2 and -1.

    >>> import tritorch as torch
    >>> torch.linalg.diagonal(torch.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    return _diagonal(A, offset, dim1, dim2)


def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The Vandermonde matrix: y[..., i, j] = x_i^j, j < N.

    Arguments:
        x: (*, n), or a number, which is a vector of one. N: the number of columns, default n.

    >>> import tritorch as torch
    >>> torch.linalg.vander(torch.tensor([2, 3]))
    tensor([[1, 2],
            [1, 3]])
    """
    t: Any = x if x._a.ndim else x.reshape((1,))  # type: ignore[attr-defined]
    n = t.shape[-1] if N is None else N
    if n <= 1 and N is not None:
        raise RuntimeError(f"linalg.vander: N must be greater than 1; got {N}")
    if t.dtype.category == 0:
        t = t.long()
    column = t.unsqueeze(-1)
    ones = t.new_ones((*t.shape, 1))
    powers = column.expand((*t.shape, max(n - 1, 0))).cumprod(-1)
    from ..kernels.copy import cat

    return cat([ones, powers], t.dim()) if n > 1 else ones[..., :n]
