"""The functions of linalg that also have a name in torch's own namespace, and their methods."""

from __future__ import annotations

from typing import Any

from .. import return_types
from ..binding import given, method
from ..errors import message
from ..linalg import factorization as _factorization
from ..linalg import product as _product
from ..linalg import solution as _solution
from ..linalg import spectral as _spectral
from ..linalg._arguments import check_info
from ..tensor import Tensor

__all__ = [
    "cholesky", "cholesky_inverse", "cholesky_solve", "det", "geqrf", "inverse", "logdet", "lu", "lu_solve", "lu_unpack",
    "matrix_exp", "matrix_power", "orgqr", "ormqr", "pca_lowrank", "pinverse", "qr", "slogdet", "svd", "svd_lowrank",
    "triangular_solve",
]  # fmt: skip

det, logdet = _solution.det, _solution.logdet
matrix_exp, matrix_power = _product.matrix_exp, _product.matrix_power
geqrf, ormqr, lu_unpack = _factorization.geqrf, _factorization.ormqr, _factorization.lu_unpack
cholesky_inverse = _factorization.cholesky_inverse
for _f in (det, logdet, matrix_exp, matrix_power, geqrf, ormqr, cholesky_inverse):
    method(_f)


@method(out=True)
def inverse(input: Tensor) -> Tensor:
    """As `torch.linalg.inv`.

    >>> import tritorch as torch
    >>> torch.inverse(2 * torch.eye(2))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]])
    """
    return _solution.inv(input)


@method(out=True)
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """As `torch.linalg.pinv` with rtol = rcond."""
    return _solution.pinv(input, rtol=rcond)


@method(out=True)
def slogdet(input: Tensor) -> Any:
    """As `torch.linalg.slogdet`."""
    return return_types.slogdet(*_solution.slogdet(input))  # type: ignore[attr-defined]


@method(out=True)
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """As `torch.linalg.cholesky`."""
    return _factorization.cholesky(input, upper=upper)


@method(out=True)
def cholesky_solve(input: Tensor, input2: Tensor, upper: bool = False) -> Tensor:
    """The X of A X = input, `input2` the Cholesky factor of A.

    >>> import tritorch as torch
    >>> torch.cholesky_solve(torch.ones(2, 1), 2 * torch.eye(2))
    tensor([[0.2500],
            [0.2500]])
    """
    return _factorization.cholesky_solve(input, input2, upper)


@method
def lu(input: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:
    """(LU, pivots), and infos when asked for: `torch.linalg.lu_factor` in the older form."""
    result = _factorization.lu_factor_ex(input, pivot=pivot)
    if not get_infos:
        check_info("lu", result[2], "U[{0},{0}] is zero")
        result = return_types.linalg_lu_factor(*result[:2])  # type: ignore[attr-defined]
    return given("lu", result, out)


@method(out=True)
def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """The X of A X = input from the factors of A."""
    return _factorization.lu_solve(LU_data, LU_pivots, input)


@method(out=True)
def qr(input: Tensor, some: bool = True) -> Any:
    """(Q, R): `torch.linalg.qr`, "complete" unless `some`."""
    return return_types.qr(*_factorization.qr(input, "reduced" if some else "complete"))  # type: ignore[attr-defined]


@method(out=True)
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V): input = U diag(S) V^H, V and not V^H as in `torch.linalg.svd`.

    Arguments:
        some: the first min(m, n) vectors only.
        compute_uv: else U and V are zeros.
    """
    if not compute_uv:
        s: Any = _spectral.svdvals(input)
        m, n = input._a.shape[-2:]
        batch = input._a.shape[:-2]
        zeros: Any = input.new_zeros  # type: ignore[attr-defined]
        return return_types.svd(zeros((*batch, m, m)), s, zeros((*batch, n, n)))  # type: ignore[attr-defined]
    u, s, vh = _spectral.svd(input, not some)
    return return_types.svd(u, s, vh.mH)  # type: ignore[attr-defined]


@method(out=True)
def orgqr(input: Tensor, input2: Tensor) -> Tensor:
    """As `torch.linalg.householder_product`."""
    return _factorization.householder_product(input, input2)


@method(out=True)
def triangular_solve(
    input: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """(X, A): A X = input for triangular A (`transpose`: A^T X = input); `torch.linalg.solve_triangular` in older form."""
    a: Any = A
    x = _solution.solve_triangular(
        a.mT if transpose else a, input, upper=upper != transpose, unitriangular=unitriangular
    )
    return return_types.triangular_solve(x, a.clone())  # type: ignore[attr-defined]


def svd_lowrank(A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None) -> tuple:
    """(U, S, V): about the q largest singular values of A - M, from products with random vectors.

    Arguments:
        A: (*, m, n). q: how many, at least the rank for an exact result. niter: subspace iterations.

    Source: N. Halko et al., Finding structure with randomness, 2009, arXiv:0909.4061, algorithm 5.1.
    """
    from .random import randn

    x: Any = A if M is None else A - M  # type: ignore[operator]
    if x.shape[-2] < x.shape[-1]:
        u, s, v = svd_lowrank(x.mH, q, niter)
        return v, s, u
    n = 6 if q is None else q
    basis = randn(x.shape[-1], n, dtype=x.dtype, device=x.device)
    basis = _factorization.qr(x @ basis).Q
    for _ in range(2 if niter is None else niter):
        basis = _factorization.qr(x.mH @ basis).Q
        basis = _factorization.qr(x @ basis).Q
    u, s, vh = _spectral.svd(basis.mH @ x, False)
    return basis @ u, s, vh.mH


def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> tuple:
    """(U, S, V): the principal components of the rows of A: `svd_lowrank` of A less its columns' means.

    Arguments:
        A: (*, m, n). q: how many; default min(6, m, n). center: subtract the means.
    """
    m, n = A._a.shape[-2:]
    q = min(6, m, n) if q is None else q
    if not 0 <= q <= min(m, n):
        raise ValueError(message("pca_lowrank", f"q must be in [0, {min(m, n)}] for A", q=q, A=A))
    x: Any = A
    return svd_lowrank(x - x.mean(-2, True) if center else x, q, niter)
