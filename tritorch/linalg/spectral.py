"""SVD, eigenvalues, ranks and condition numbers."""

from __future__ import annotations

from math import inf
from typing import Any

from .. import return_types
from ..binding import with_out
from ..errors import message
from ..kernels import spectral as _ops
from ..kernels.linear_system import linalg_inv
from ..tensor import Tensor
from ._arguments import matrices
from .norm import matrix_norm
from .solution import tolerances

__all__ = ["cond", "eig", "eigh", "eigvals", "eigvalsh", "matrix_rank", "svd", "svdvals"]


@with_out
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """(U, S, Vh): A = U diag(S) Vh, S descending.

    Arguments:
        A: (*, m, n).
        full_matrices: U is (m, m) and Vh (n, n), else (m, k) and (k, n) with k = min(m, n).
        driver: PyTorch takes it on cuda only.

    The gradient holds for distinct singular values and, with U and Vh, for losses that do not depend on their phase.

    >>> import tritorch as torch
    >>> torch.linalg.svd(torch.tensor([[0.0, 2.0], [3.0, 0.0]])).S
    tensor([3., 2.])
    """
    _no_driver("linalg.svd", driver)
    return return_types.linalg_svd(*_ops.linalg_svd(matrices("linalg.svd", A), bool(full_matrices)))  # type: ignore[attr-defined]


def _no_driver(op: str, driver: str | None) -> None:
    if driver is not None:
        raise RuntimeError(f"{op}: driver can't be chosen; got {driver!r}")


@with_out
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values of A (*, m, n), descending: S of `svd`, faster and with a stabler gradient.

    >>> import tritorch as torch
    >>> torch.linalg.svdvals(torch.tensor([[0.0, 2.0], [3.0, 0.0]]))
    tensor([3., 2.])
    """
    _no_driver("linalg.svdvals", driver)
    return _ops.linalg_svdvals(matrices("linalg.svdvals", A))


def _triangle(op: str, UPLO: Any) -> bool:
    name = UPLO.upper() if isinstance(UPLO, str) else UPLO
    if name not in ("L", "U"):
        raise RuntimeError(f"{op}: UPLO must be 'L' or 'U'; got {UPLO!r}")
    return name == "U"


@with_out
def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """(eigenvalues, eigenvectors) of Hermitian matrices: A = V diag(w) V^H, w real and ascending.

    Arguments:
        A: (*, n, n). UPLO: the triangle that is read.

    >>> import tritorch as torch
    >>> torch.linalg.eigh(torch.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    tensor([1., 3.])
    """
    A = matrices("linalg.eigh", A, square=True)
    return return_types.linalg_eigh(*_ops.linalg_eigh(A, _triangle("linalg.eigh", UPLO)))  # type: ignore[attr-defined]


@with_out
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of Hermitian matrices (*, n, n), ascending.

    Arguments:
        A: (*, n, n). UPLO: the triangle that is read, "L" (default) or "U".

    >>> import tritorch as torch
    >>> torch.linalg.eigvalsh(torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
    tensor([1., 3.])
    """
    return _ops.linalg_eigvalsh(matrices("linalg.eigvalsh", A, square=True), _triangle("linalg.eigvalsh", UPLO))


@with_out
def eig(A: Tensor) -> Any:
    """(eigenvalues, eigenvectors) of square matrices, complex: A V = V diag(w), columns of V of norm 1.

    Raises:
        RuntimeError: inf or NaN in A; in backward, a loss that depends on the vectors' phase.

    >>> import tritorch as torch
    >>> torch.linalg.eig(torch.tensor([[0.0, 1.0], [-1.0, 0.0]])).eigenvalues
    tensor([0.+1.j, 0.-1.j])
    """
    return return_types.linalg_eig(*_ops.linalg_eig(matrices("linalg.eig", A, square=True)))  # type: ignore[attr-defined]


@with_out
def eigvals(A: Tensor) -> Tensor:
    """The eigenvalues of square matrices (*, n, n), complex.

    >>> import tritorch as torch
    >>> torch.linalg.eigvals(torch.tensor([[0.0, -1.0], [1.0, 0.0]])).abs()
    tensor([1., 1.])
    """
    return _ops.linalg_eig(matrices("linalg.eigvals", A, square=True))[0]


@with_out
def matrix_rank(A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """The number of singular values above max(atol, rtol * the largest), int64.

    Arguments:
        A: (*, m, n).
        tol: an older name of atol.
        hermitian: A is Hermitian; its eigenvalues are used.
        atol, rtol: numbers or tensors; the defaults are those of `pinv`.

    >>> import tritorch as torch
    >>> torch.linalg.matrix_rank(torch.ones(3, 3))
    tensor(1)
    """
    A = matrices("linalg.matrix_rank", A, square=hermitian).detach()
    if tol is not None:
        atol, rtol = tol, 0.0 if rtol is None else rtol
    values: Any = eigvalsh(A).abs() if hermitian else svdvals(A)  # type: ignore[attr-defined]
    if values.shape[-1] == 0:
        return values.new_zeros(values.shape[:-1]).long()
    low, share = [values.new_tensor(v) for v in tolerances("linalg.matrix_rank", A, atol, rtol)]
    limit = (values.amax(-1) * share).maximum(low)
    return (values > limit.unsqueeze(-1)).sum(-1)


@with_out
def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number |A|_p |A^-1|_p; inf for singular matrices.

    Arguments:
        A: (*, m, n), square unless p is None, 2 or -2.
        p: a norm of `matrix_norm`; None as 2: largest over smallest singular value.

    >>> import tritorch as torch
    >>> torch.linalg.cond(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor(2.)
    """
    x: Any = matrices("linalg.cond", A)
    if p is None or p in (2, -2):
        s: Any = svdvals(x)
        if s.shape[-1] == 0:
            return s.new_zeros(s.shape[:-1])
        y = s[..., 0] / s[..., -1]
        return 1 / y if p == -2 else y
    if p not in ("fro", "nuc", 1, -1, inf, -inf):
        raise RuntimeError(f"linalg.cond: p must be None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf; got {p!r}")
    if x.shape[-1] != x.shape[-2]:
        raise RuntimeError(message("linalg.cond", f"A must be square for p = {p!r}", A=A))
    inverse, info = linalg_inv(x)
    y = matrix_norm(x, p) * matrix_norm(inverse, p)
    return y.masked_fill(info != 0, inf)  # type: ignore[attr-defined]
