"""Cholesky, LU and QR factorisations and what solves with them."""

from __future__ import annotations

from typing import Any

from .. import return_types
from ..binding import given, with_out
from ..errors import message
from ..kernels import factorization as _ops
from ..tensor import Tensor
from ._arguments import check_info, joint_batch, matrices, tensor, together
from .solution import triangular

__all__ = [
    "cholesky", "cholesky_ex", "cholesky_inverse", "cholesky_solve", "geqrf", "householder_product", "lu", "lu_factor",
    "lu_factor_ex", "lu_solve", "lu_unpack", "ormqr", "qr",
]  # fmt: skip

_POSITIVE = "The input is not positive-definite: its leading minor of order {} is not."
_NONZERO = (
    "U[{0},{0}] is zero, so that solving with the factors would divide by zero; linalg.lu gives them nevertheless."
)


@with_out
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """`cholesky` that does not raise: (L, info); info is 0 or the order of the leading minor that is not positive.

    What L holds where info is not 0 is unspecified.

    >>> import tritorch as torch
    >>> torch.linalg.cholesky_ex(torch.tensor([[1.0, 2.0], [2.0, 1.0]])).info
    tensor(2, dtype=torch.int32)
    """
    factor, info = _ops.linalg_cholesky(matrices("linalg.cholesky_ex", A, square=True), bool(upper))
    if check_errors:
        check_info("linalg.cholesky_ex", info, _POSITIVE)
    return return_types.linalg_cholesky_ex(factor, info)  # type: ignore[attr-defined]


@with_out
def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L with A = L L^H (`upper`: the U with A = U^H U).

    Arguments:
        A: (*, n, n), Hermitian positive definite; only the triangle asked for is read.

    Raises:
        LinAlgError: A is not positive definite.

    >>> import tritorch as torch
    >>> torch.linalg.cholesky(torch.tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """
    factor, info = _ops.linalg_cholesky(matrices("linalg.cholesky", A, square=True), bool(upper))
    check_info("linalg.cholesky", info, _POSITIVE)
    return factor


@with_out
def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """The X of A X = B for A = L L^H (`upper`: A = L^H L).

    Arguments:
        B: (*, n, k). L: (*, n, n), the factor.
    """
    matrices("cholesky_solve", B, "B")
    matrices("cholesky_solve", L, "L", square=True)
    together("cholesky_solve", L, B)
    if L._a.shape[-1] != B._a.shape[-2]:
        raise RuntimeError(message("cholesky_solve", "B must have as many rows as L", B=B, L=L))
    return _ops.linalg_cholesky_solve(*joint_batch("cholesky_solve", L, B), bool(upper))


@with_out
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A = L L^H (`upper`: A = L^H L) from its factor (*, n, n)."""
    L = matrices("cholesky_inverse", L, "L", square=True)
    eye = L.new_ones(L._a.shape[:-1]).diag_embed()  # type: ignore[attr-defined]
    return _ops.linalg_cholesky_solve(L, eye, bool(upper))


# ---- LU


def _factor(op: str, A: Any, pivot: bool) -> tuple[Tensor, Tensor, Tensor]:
    A = matrices(op, A)
    if not pivot:
        raise RuntimeError(f"{op}: LU without pivoting is not implemented; got pivot: {pivot}")
    return _ops.linalg_lu_factor(A)


@with_out
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """`lu_factor` that does not raise: (LU, pivots, info); info is 0 or the number of the first zero pivot.

    Arguments:
        A, pivot: as `lu_factor`. check_errors: raise all the same; default False.

    >>> import tritorch as torch
    >>> torch.linalg.lu_factor_ex(torch.zeros(2, 2)).info
    tensor(1, dtype=torch.int32)
    """
    factors, rows, info = _factor("linalg.lu_factor_ex", A, pivot)
    if check_errors:
        check_info("linalg.lu_factor_ex", info, _NONZERO)
    return return_types.linalg_lu_factor_ex(factors, rows + 1, info)  # type: ignore[attr-defined]


@with_out
def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """The factors of A = P L U in one matrix, with the row exchanges: (LU, pivots), as `lu_solve` takes them.

    Arguments:
        A: (*, m, n).

    Raises:
        RuntimeError: U has a zero on its diagonal.

    >>> import tritorch as torch
    >>> torch.linalg.lu_factor(torch.tensor([[1.0, 2.0], [4.0, 2.0]])).pivots
    tensor([2, 2], dtype=torch.int32)
    """
    factors, rows, info = _factor("linalg.lu_factor", A, pivot)
    check_info("linalg.lu_factor", info, _NONZERO)
    return return_types.linalg_lu_factor(factors, rows + 1)  # type: ignore[attr-defined]


@with_out
def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """(P, L, U): A = P L U, P a permutation, L unit lower and U upper triangular.

    >>> import tritorch as torch
    >>> P, L, U = torch.linalg.lu(torch.tensor([[1.0, 2.0], [4.0, 2.0]]))
    >>> L
    tensor([[1.0000, 0.0000],
            [0.2500, 1.0000]])
    """
    factors, rows, _ = _factor("linalg.lu", A, pivot)
    return return_types.linalg_lu(*_unpacked(factors, rows))  # type: ignore[attr-defined]


def _unpacked(factors: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    m, n = factors._a.shape[-2:]
    k = min(m, n)
    x: Any = factors
    lower = x[..., :k].tril(-1)
    eye = x.new_ones((*x.shape[:-2], k)).diag_embed()
    if m > k:
        from ..kernels.copy import pad_constant

        eye = pad_constant(eye, (*[(0, 0)] * (x.dim() - 2), (0, m - k), (0, 0)), 0.0)
    return _permutation(rows, m, factors), lower + eye, x[..., :k, :].triu()


def _permutation(rows: Tensor, m: int, like: Tensor) -> Tensor:
    order: Any = _ops.linalg_permutation(rows, m, True)
    return (order.unsqueeze(-1) == order.new_tensor(list(range(m)))).to(like.dtype)


@with_out
def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> Any:
    """(P, L, U) of what `lu_factor` gives; an empty tensor for what is not asked for."""
    matrices("lu_unpack", LU_data, "LU_data")
    if LU_pivots.dtype.name != "int32":
        raise RuntimeError(message("lu_unpack", "LU_pivots must have dtype int32", LU_pivots=LU_pivots))
    p, low, up = _unpacked(LU_data, LU_pivots - 1)  # type: ignore[operator]
    empty = LU_data.new_empty((0,))  # type: ignore[attr-defined]
    return return_types.lu_unpack(  # type: ignore[attr-defined]
        p if unpack_pivots else empty, low if unpack_data else empty, up if unpack_data else empty
    )


@with_out
def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """The X of A X = B from the factors of A.

    Arguments:
        LU, pivots: as `lu_factor` gives them. B: (*, n, k).
        left: False: of X A = B. adjoint: A^H in A's place.

    >>> import tritorch as torch
    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> torch.linalg.lu_solve(LU, pivots, torch.ones(2, 1)).flatten()
    tensor([0.5000, 0.2500])
    """
    matrices("linalg.lu_solve", LU, "LU", square=True)
    matrices("linalg.lu_solve", B, "B")
    together("linalg.lu_solve", LU, B)
    if not left:
        return lu_solve(LU, pivots, B.mH, adjoint=not adjoint).mH  # type: ignore[attr-defined]
    if pivots.dtype.name != "int32":
        raise RuntimeError(message("linalg.lu_solve", "pivots must have dtype int32", pivots=pivots))
    n = LU._a.shape[-1]
    if B._a.shape[-2] != n:
        raise RuntimeError(message("linalg.lu_solve", "B must have as many rows as LU", LU=LU, B=B))
    rows: Any = _ops.linalg_permutation(pivots - 1, n, bool(adjoint))  # type: ignore[operator]
    a, b = joint_batch("linalg.lu_solve", LU, B)
    rows = rows.unsqueeze(-1).expand(b.shape)
    h: Any = a
    if adjoint:
        return triangular(h.mH, triangular(h.mH, b, False), True, unit=True).gather(-2, rows)
    return triangular(h, triangular(h, b.gather(-2, rows), False, unit=True), True)  # type: ignore[attr-defined]


# ---- QR


def qr(A: Tensor, mode: str = "reduced", *, out: Any = None) -> Any:
    """(Q, R): A = Q R, Q with orthonormal columns, R upper triangular.

    Arguments:
        A: (*, m, n).
        mode: "reduced": Q is (m, k), R (k, n), k = min(m, n); "complete": Q is (m, m), R (m, n); "r": R alone.

    Raises:
        RuntimeError: another mode; in backward of "r", and of "complete" with m > n.

    >>> import tritorch as torch
    >>> torch.linalg.qr(torch.tensor([[0.0, 2.0], [3.0, 0.0]])).R.abs()
    tensor([[3., 0.],
            [0., 2.]])
    """
    A = matrices("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"linalg.qr: mode must be 'reduced', 'complete' or 'r'; got {mode!r}")
    if mode == "r":
        _, r = _ops.linalg_qr(A.detach(), False)
        q = A.new_empty((0,))  # type: ignore[attr-defined]
    else:
        q, r = _ops.linalg_qr(A, mode == "complete")
    return given("linalg.qr", return_types.linalg_qr(q, r), out)  # type: ignore[attr-defined]


@with_out
def geqrf(input: Tensor) -> Any:
    """(a, tau): the QR as LAPACK gives it, R in the upper triangle of a, the reflections' vectors below; no gradient."""
    return return_types.geqrf(*_ops.linalg_geqrf(matrices("geqrf", input, "input")))  # type: ignore[attr-defined]


def _vector(A: Any, i: int) -> Tensor:
    """The i-th reflection's vector as a column: 0 above row i, 1 at it, then A's."""
    m = A.shape[-2]
    below = A[..., i + 1 :, i : i + 1]
    top = A.new_zeros((*A.shape[:-2], i + 1, 1))
    top[..., i, 0] = 1
    from ..kernels.copy import cat

    return cat([top, below], A.dim() - 2) if i + 1 < m else top


@with_out
def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first n columns of H_1 H_2 ... H_k, H_i = 1 - tau_i v_i v_i^H, v_i the i-th column of A below its diagonal.

    Arguments:
        A: (*, m, n), n <= m. tau: (*, k), k <= n.

    >>> import tritorch as torch
    >>> a, tau = torch.geqrf(torch.tensor([[3.0], [4.0]]))
    >>> torch.linalg.householder_product(a, tau).abs()
    tensor([[0.6000],
            [0.8000]])
    """
    x: Any = matrices("linalg.householder_product", A)
    t: Any = tensor("linalg.householder_product", tau, "tau")
    m, n = x.shape[-2:]
    if n > m or t.shape[-1] > n or t.shape[:-1] != x.shape[:-2]:
        raise RuntimeError(
            message("linalg.householder_product", "A is (*, m, n), n <= m, tau (*, k <= n)", A=A, tau=tau)
        )
    q = x.new_ones((*x.shape[:-2], m)).diag_embed()[..., :n]
    if not t.shape[-1]:  # in the graph, with a gradient of 0
        return x.clone().copy_(q)
    return _reflect(x, t, q, range(t.shape[-1] - 1, -1, -1), False)


def _reflect(x: Any, t: Any, q: Any, order: Any, conj: bool) -> Any:
    for i in order:
        v = _vector(x, i)
        scale = t[..., i, None, None]
        q = q - (scale.conj() if conj else scale) * (v @ (v.mH @ q))
    return q


@with_out
def ormqr(input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False) -> Tensor:
    """Q other (`left`), or other Q; Q^H with `transpose`; Q the full product of the reflections of `geqrf`."""
    x: Any = matrices("ormqr", input, "input")
    t: Any = tensor("ormqr", tau, "tau")
    y: Any = matrices("ormqr", other, "other")
    if not left:
        return ormqr(input, tau, y.mH, True, not transpose).mH  # type: ignore[attr-defined]
    if y.shape[-2] != x.shape[-2]:
        raise RuntimeError(message("ormqr", "other must have as many rows as input", input=input, other=other))
    order = range(t.shape[-1])
    return _reflect(x, t, y, order if transpose else reversed(order), transpose)
