"""Inverses, determinants and solutions of linear systems."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from .. import return_types
from ..binding import with_out
from ..dtypes import finfo
from ..errors import check_dim, message
from ..functional.joining import stack
from ..kernels import linear_system as _ops
from ..kernels.factorization import linalg_solve_triangular
from ..tensor import TENSORS, Tensor
from ._arguments import check_info, joint_batch, matrices, tensor, together

__all__ = [
    "det", "inv", "inv_ex", "logdet", "lstsq", "pinv", "slogdet", "solve", "solve_ex", "solve_triangular", "tensorinv",
    "tensorsolve",
]  # fmt: skip

_SINGULAR = "the matrix is singular: element {0} of the diagonal of its U factor is zero"


@with_out
def inv(A: Tensor) -> Tensor:
    """The inverse of each matrix.

    Arguments:
        A: (*, n, n).

    Raises:
        LinAlgError: a matrix is singular.

    >>> import tritorch as torch
    >>> torch.linalg.inv(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    y, info = _ops.linalg_inv(matrices("linalg.inv", A, square=True))
    check_info("linalg.inv", info, _SINGULAR)
    return y


@with_out
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """`inv` that does not raise: (inverse, info); info is 0 or the number of the zero pivot, the inverse then infinite.

    Arguments:
        A: (*, n, n). check_errors: raise all the same; default False.

    >>> import tritorch as torch
    >>> torch.linalg.inv_ex(torch.zeros(2, 2)).info
    tensor(1, dtype=torch.int32)
    """
    y, info = _ops.linalg_inv(matrices("linalg.inv_ex", A, square=True))
    if check_errors:
        check_info("linalg.inv_ex", info, _SINGULAR)
    return return_types.linalg_inv_ex(y, info)  # type: ignore[attr-defined]


@with_out
def det(A: Tensor) -> Tensor:
    """The determinant of each matrix (*, n, n); its gradient is there for singular matrices as well.

    >>> import tritorch as torch
    >>> torch.linalg.det(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor(8.)
    """
    return _ops.linalg_det(matrices("linalg.det", A, square=True))


@with_out
def slogdet(A: Tensor) -> Any:
    """(sign, logabsdet): det A = sign e^logabsdet, where `det` itself would overflow.

    >>> import tritorch as torch
    >>> torch.linalg.slogdet(-torch.eye(3)).sign
    tensor(-1.)
    """
    return return_types.linalg_slogdet(*_ops.linalg_slogdet(matrices("linalg.slogdet", A, square=True)))  # type: ignore[attr-defined]


@with_out
def logdet(input: Tensor) -> Tensor:
    """log det: -inf for a singular matrix, NaN for a negative determinant."""
    sign, size = _ops.linalg_slogdet(matrices("logdet", input, "input", square=True))
    return size + sign.log()


# ---- systems


def _is_vector(A: Tensor, B: Tensor) -> bool:
    """Is B one vector per matrix of A (and not a matrix)."""
    return B._a.ndim == 1 or A._a.ndim - 1 == B._a.ndim and B._a.shape == A._a.shape[:-1]


def _solve(op: str, A: Any, B: Any, left: bool) -> tuple[Tensor, Tensor]:
    A, B = matrices(op, A, square=True), tensor(op, B, "B")
    together(op, A, B)
    if B._a.ndim == 0:
        raise RuntimeError(message(op, "B must have at least 1 dimension", B=B))
    if _is_vector(A, B):
        if not left and B._a.shape[-1] != 1:
            raise RuntimeError(message(op, "B must be a matrix for left=False", A=A, B=B))
        b, vector = B.unsqueeze(-1), True  # type: ignore[attr-defined]
    else:
        b, vector = B, False
    a: Any = A
    if not left:
        a, b = a.mT, b.mT
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError(message(op, f"shapes do not fit the equation {'A X' if left else 'X A'} = B", A=A, B=B))
    a, b = joint_batch(op, a, b)
    y, info = _ops.linalg_solve(a, b)
    y = y if left else y.mT
    return (y.squeeze(-1) if vector else y), info


@with_out
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The X of A X = B (`left=False`: of X A = B).

    Arguments:
        A: (*, n, n). B: (*, n, k), or (n,), or (*, n) with one vector for each matrix of A.

    Raises:
        LinAlgError: A is singular. RuntimeError: shapes or dtypes that do not go together.

    >>> import tritorch as torch
    >>> torch.linalg.solve(torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    y, info = _solve("linalg.solve", A, B, left)
    check_info("linalg.solve", info, _SINGULAR)
    return y


@with_out
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """`solve` that does not raise: (result, info).

    Arguments:
        A, B, left: as `solve`. check_errors: raise all the same; default False.

    >>> import tritorch as torch
    >>> torch.linalg.solve_ex(torch.eye(2) * 2, torch.ones(2)).result
    tensor([0.5000, 0.5000])
    """
    y, info = _solve("linalg.solve_ex", A, B, left)
    if check_errors:
        check_info("linalg.solve_ex", info, _SINGULAR)
    return return_types.linalg_solve_ex(y, info)  # type: ignore[attr-defined]


def triangular(a: Any, b: Any, upper: bool, unit: bool = False) -> Tensor:
    """The x of a x = b for matrices of one batch."""
    return linalg_solve_triangular(a, b, upper, unit)


@with_out
def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """The X of A X = B (`left=False`: of X A = B) for triangular A, of which only the triangle is read.

    Arguments:
        A: (*, n, n). B: (*, n, k).
        unitriangular: take the diagonal as ones. A zero on it gives inf or NaN.

    >>> import tritorch as torch
    >>> torch.linalg.solve_triangular(torch.tensor([[2.0, 0.0], [1.0, 1.0]]), torch.tensor([[2.0], [3.0]]), upper=False)
    tensor([[1.],
            [2.]])
    """
    op = "linalg.solve_triangular"
    a: Any = matrices(op, A, square=True)
    b: Any = matrices(op, B, "B")
    together(op, a, b)
    if b.shape[-2 if left else -1] != a.shape[-1]:
        raise RuntimeError(message(op, f"shapes do not fit the equation {'A X' if left else 'X A'} = B", A=A, B=B))
    if not left:
        a, b, upper = a.mT, b.mT, not upper
    a, b = joint_batch(op, a, b)
    y: Any = triangular(a, b, bool(upper), bool(unitriangular))
    return y if left else y.mT


_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


@with_out
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """The X of least norm that minimises |A X - B|, as (solution, residuals, rank, singular_values).

    Arguments:
        A: (*, m, n). B: (*, m, k), or (*, m) with one vector for each matrix of A.
        rcond: singular values up to rcond times the largest count as 0; default eps * max(m, n).
        driver: LAPACK's name, which says what else is given: residuals for all but "gelsy" (the default) where m > n
            and A has full rank, rank for all but "gels", singular_values for "gelsd" and "gelss". All are computed by
            the SVD here.

    >>> import tritorch as torch
    >>> torch.linalg.lstsq(torch.ones(2, 1), torch.tensor([[1.0], [3.0]])).solution.round(decimals=3)
    tensor([[2.]])
    """
    op = "linalg.lstsq"
    a, b = matrices(op, A), tensor(op, B, "B")
    together(op, a, b)
    driver = "gelsy" if driver is None else driver
    if driver not in _DRIVERS:
        raise RuntimeError(f"{op}: driver must be one of {', '.join(_DRIVERS)}; got {driver!r}")
    vector = a._a.ndim - 1 == b._a.ndim and b._a.shape == a._a.shape[:-1]
    if vector:
        b = b.unsqueeze(-1)  # type: ignore[attr-defined]
    m, n = a._a.shape[-2:]
    if b._a.ndim < 2 or b._a.shape[-2] != m:
        raise RuntimeError(message(op, "A and B must have as many rows", A=A, B=B))
    a, b = joint_batch(op, a, b)
    limit = finfo(a.dtype).eps * max(m, n) if rcond is None else float(rcond)
    y, rank, values = _ops.linalg_lstsq(a, b, limit)
    residuals = y.reshape((-1,))[:0].abs()  # none; of a real dtype, and in the graph as y is
    if driver != "gelsy" and m > n and bool((rank == n).all()):
        rest = a @ y - b  # type: ignore[operator]
        residuals = (rest * rest.conj()).real.sum(-2) if rest.is_complex() else (rest * rest).sum(-2)
        residuals = residuals.squeeze(-1) if vector else residuals
    nothing = a.new_empty((0,))  # type: ignore[attr-defined]
    return return_types.linalg_lstsq(  # type: ignore[attr-defined]
        y.squeeze(-1) if vector else y,
        residuals,
        rank if driver != "gels" else nothing.to(rank.dtype),
        values if driver in ("gelsd", "gelss") else nothing.to(values.dtype),
    )


@with_out
def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """The pseudo-inverse (Moore-Penrose) of each matrix, by its SVD.

    Arguments:
        A: (*, m, n).
        rcond: an older name of rtol.
        hermitian: A is Hermitian; its eigenvalues are used.
        atol, rtol: singular values up to max(atol, rtol * the largest) count as 0; atol defaults to 0, rtol to
            max(m, n) * eps, or to 0 where atol is positive. Numbers, or tensors that broadcast to A's batch dims.

    >>> import tritorch as torch
    >>> torch.linalg.pinv(torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    a: Any = matrices("linalg.pinv", A, square=hermitian)
    low, share = tolerances("linalg.pinv", a, atol, rcond if rtol is None else rtol)
    if not low.shape and not share.shape:
        return _ops.linalg_pinv(a, float(low), float(share), bool(hermitian))
    try:
        batch = np.broadcast_shapes(a.shape[:-2], low.shape, share.shape)
    except ValueError:
        rule = "atol and rtol must broadcast to the batch dims of A"
        raise RuntimeError(message("linalg.pinv", rule, A=A, atol=atol, rtol=rtol)) from None
    flat = a.expand((*batch, *a.shape[-2:])).reshape((prod(batch), *a.shape[-2:]))
    each = zip(np.broadcast_to(low, batch).flat, np.broadcast_to(share, batch).flat, strict=True)
    found = [_ops.linalg_pinv(flat[i], float(u), float(v), bool(hermitian)) for i, (u, v) in enumerate(each)]
    if not found:
        return a.new_empty((*batch, a.shape[-1], a.shape[-2]))
    return stack(found).reshape((*batch, a.shape[-1], a.shape[-2]))  # type: ignore[attr-defined]


def tolerances(op: str, A: Tensor, atol: Any, rtol: Any) -> tuple[np.ndarray, np.ndarray]:
    """(atol, rtol) with PyTorch's defaults, as float64 arrays."""
    low = np.zeros(()) if atol is None else _tolerance(op, "atol", atol)
    if rtol is not None:
        return low, _tolerance(op, "rtol", rtol)
    return low, np.where(low > 0, 0.0, max(A._a.shape[-2:]) * finfo(A.dtype).eps)


def _tolerance(op: str, name: str, value: Any) -> np.ndarray:
    if value.__class__ in TENSORS:
        if value.is_complex():
            raise RuntimeError(message(op, f"{name} must be real", **{name: value}))
        value = value.detach().tolist()
    return np.asarray(value, np.float64)


# ---- tensors as matrices


@with_out
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of the linear map that `tensordot(A, x, x.ndim)` is; A's first `ind` dims are those of the result.

    Raises:
        RuntimeError: ind is not positive, or the two groups of dims differ in their number of elements.

    >>> import tritorch as torch
    >>> torch.linalg.tensorinv(torch.eye(6).reshape(6, 2, 3), ind=1).shape
    torch.Size([2, 3, 6])
    """
    x: Any = tensor("linalg.tensorinv", A)
    if ind <= 0:
        raise RuntimeError(f"linalg.tensorinv: ind must be positive; got {ind}")
    rows, columns = tuple(x.shape[:ind]), tuple(x.shape[ind:])
    if prod(rows) != prod(columns):
        raise RuntimeError(message("linalg.tensorinv", f"dims before and after ind {ind} need as many elements", A=A))
    return inv(x.reshape((prod(rows), prod(columns)))).reshape((*columns, *rows))  # type: ignore[attr-defined]


@with_out
def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """The X with tensordot(A, X, X.ndim) = B.

    Arguments:
        dims: dims of A that are moved to its end first.

    >>> import tritorch as torch
    >>> torch.linalg.tensorsolve(torch.eye(6).reshape(2, 3, 6), torch.ones(2, 3))
    tensor([1., 1., 1., 1., 1., 1.])
    """
    x: Any = tensor("linalg.tensorsolve", A)
    b: Any = tensor("linalg.tensorsolve", B, "B")
    if dims is not None:
        moved = [check_dim("linalg.tensorsolve", d, x.dim()) for d in dims]
        x = x.permute([d for d in range(x.dim()) if d not in moved] + moved)
    shape = tuple(x.shape[b.dim() :])
    if prod(shape) != b.numel() or prod(x.shape[: b.dim()]) != b.numel():
        raise RuntimeError(message("linalg.tensorsolve", "A must map as many elements as B has onto them", A=A, B=B))
    return solve(x.reshape((b.numel(), -1)), b.reshape((-1,))).reshape(shape)  # type: ignore[attr-defined]
