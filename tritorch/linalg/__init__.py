"""torch.linalg: norms, factorisations, spectra, linear systems; batched, with gradients.

NumPy (LAPACK) computes on the CPU, CuPy's libraries on cuda: `tritorch.kernels.LIBRARY_OPS` lists the ops.
"""

from __future__ import annotations

from ..errors import LinAlgError
from .factorization import cholesky, cholesky_ex, householder_product, lu, lu_factor, lu_factor_ex, lu_solve, qr
from .norm import matrix_norm, norm, vector_norm
from .product import cross, diagonal, matmul, matrix_exp, matrix_power, multi_dot, vander, vecdot
from .solution import (
    det,
    inv,
    inv_ex,
    lstsq,
    pinv,
    slogdet,
    solve,
    solve_ex,
    solve_triangular,
    tensorinv,
    tensorsolve,
)
from .spectral import cond, eig, eigh, eigvals, eigvalsh, matrix_rank, svd, svdvals

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh",
    "householder_product", "inv", "inv_ex", "lstsq", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "matmul",
    "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve",
    "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip
