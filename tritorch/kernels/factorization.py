"""Factorisations of matrices: Cholesky, LU with partial pivoting, QR, by the libraries; batch dims in front.

LU is blocked elimination on arrays, since NumPy's interface to LAPACK gives no factors. `info` is 0, or the number
(from 1) of the pivot or leading minor at which a matrix failed.

Rules: I. Murray, Differentiation of the Cholesky decomposition, 2016, arXiv:1602.07527; M. Seeger et al., Auto-
Differentiating Linear Algebra, 2017, arXiv:1710.08717 (QR).
"""

from __future__ import annotations

import numpy as np

from ._library import alone, each, library, namespace, stacked
from ._op import Array
from .copy import cat

BLOCK = 32


def adjoint(x: Array) -> Array:
    """x^H of raw arrays."""
    y = x.swapaxes(-2, -1)
    return y.conj() if x.dtype.kind == "c" else y


def substitute(t: Array, b: Array, upper: bool, unit: bool) -> Array:
    """The x of t x = b by recursive halving: products of blocks, then of few rows; 0 on the diagonal gives inf or nan."""
    n = t.shape[-1]
    if n <= BLOCK:
        found = _substituted(t, b, upper, unit)
        if found is not None:
            return found
        x = b.copy()
        order = range(n - 1, -1, -1) if upper else range(n)
        for i in order:
            known = slice(i + 1, n) if upper else slice(0, i)
            row = x[..., i, :]
            if i != order[0]:
                row = row - (t[..., i : i + 1, known] @ x[..., known, :])[..., 0, :]
            x[..., i, :] = row if unit else row / t[..., i, i][..., None]
        return x
    h = n // 2
    low, high = slice(0, h), slice(h, n)
    first, second = (high, low) if upper else (low, high)
    x1 = substitute(t[..., first, first], b[..., first, :], upper, unit)
    rest = b[..., second, :] - t[..., second, first] @ x1
    x2 = substitute(t[..., second, second], rest, upper, unit)
    return namespace(t).concatenate((x2, x1) if upper else (x1, x2), -2)


def _substituted(t: Array, b: Array, upper: bool, unit: bool) -> Array | None:
    """The x of t x = b by NumPy's solver, which is exact here: of an upper triangular matrix L is 1 and U the matrix.

    None where that does not hold (a matrix that is singular or not finite) or the arrays are not NumPy's.
    """
    if not isinstance(t, np.ndarray) or not np.isfinite(t).all():
        return None
    flipped = (..., slice(None, None, -1), slice(None))
    t = np.triu(t if upper else t[..., ::-1, ::-1])
    if unit:
        t[..., range(t.shape[-1]), range(t.shape[-1])] = 1
    try:
        return np.linalg.solve(t, b) if upper else np.linalg.solve(t, b[flipped])[flipped]
    except np.linalg.LinAlgError:
        return None


def lu_arrays(x: Array) -> tuple[Array, Array, Array]:
    """(L below and U on and above the diagonal, rows that were exchanged (from 0), info)."""
    xp = namespace(x)
    m, n = x.shape[-2:]
    k = min(m, n)
    batch = x.shape[:-2]
    count = int(np.prod(batch, dtype=np.int64))
    a = xp.array(x, order="C").reshape((count, m, n))
    rows = xp.arange(count)
    pivots = xp.zeros((count, k), np.int32)
    info = xp.zeros(count, np.int32)
    for j0 in range(0, k, BLOCK):
        j1 = min(j0 + BLOCK, k)
        for j in range(j0, j1):
            column = a[:, j:, j]
            size = abs(column.real) + abs(column.imag) if a.dtype.kind == "c" else abs(column)
            p = size.argmax(1) + j
            pivots[:, j] = p
            top = a[rows, p]
            a[rows, p] = a[:, j]
            a[:, j] = top
            pivot = a[:, j, j]
            info = xp.where((info == 0) & (pivot == 0), j + 1, info)
            a[:, j + 1 :, j] /= xp.where(pivot == 0, 1, pivot).astype(a.dtype)[:, None]
            a[:, j + 1 :, j + 1 : j1] -= a[:, j + 1 :, j : j + 1] * a[:, j : j + 1, j + 1 : j1]
        if j1 < n:
            a[:, j0:j1, j1:] = substitute(a[:, j0:j1, j0:j1], a[:, j0:j1, j1:], False, True)
            a[:, j1:, j1:] -= a[:, j1:, j0:j1] @ a[:, j0:j1, j1:]
    return a.reshape(x.shape), pivots.reshape((*batch, k)), info.astype(np.int32).reshape(batch)


def _cholesky(x: Array) -> tuple[Array, Array]:
    """(L, info) from the lower triangle."""
    xp = namespace(x)
    info = xp.zeros(x.shape[:-2], np.int32)
    try:
        y = stacked(xp.linalg.cholesky, x)
        if xp is np or bool(xp.isfinite(y).all()):
            return y, info
    except np.linalg.LinAlgError:
        pass
    y = xp.tril(x)
    for i in each(x.shape[:-2]):
        try:
            y[i] = xp.linalg.cholesky(x[i])
            if xp is np or bool(xp.isfinite(y[i]).all()):
                continue
        except np.linalg.LinAlgError:
            pass
        good, bad = 0, x.shape[-1]  # the largest leading minor that has a factor, the smallest that has none
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                part = xp.linalg.cholesky(x[i][:middle, :middle])
                fits = bool(xp.isfinite(part).all())
            except np.linalg.LinAlgError:
                fits = False
            good, bad = (middle, bad) if fits else (good, middle)
        info[i] = bad
        y[i] = xp.tril(x[i])
        if good:
            y[i][:good, :good] = xp.linalg.cholesky(x[i][:good, :good])
    return y, info


def _spd(rng: np.random.Generator, *shape: int) -> np.ndarray:
    a = rng.normal(size=shape)
    return a @ a.swapaxes(-2, -1) / shape[-1] + np.eye(shape[-1])


@library
class linalg_cholesky:
    """(L, info): x = L L^H, or with `upper` (U, info): x = U^H U; one triangle of x is read.

    The gradient is that for a Hermitian x: gx = L^-H sym(low(L^H gL)) L^-1, low = lower triangle; sym: half of it and of
    the adjoint of what is below the diagonal.
    """

    def cpu(x: Array, upper: bool) -> tuple[Array, Array]:
        y, info = _cholesky(adjoint(x) if upper else x)
        return (namespace(x).ascontiguousarray(adjoint(y)) if upper else y), info

    def grad(g, y0, upper):
        factor, g = (y0.mH, g.mH) if upper else (y0, g)
        low = (factor.mH @ g).tril()
        inner = linalg_solve_triangular(factor.mH, (low + low.tril(-1).mH) * 0.5, True, False)
        return linalg_solve_triangular(factor.mH, inner.mH, True, False).mH

    def samples(rng):
        yield (_spd(rng, 4, 4),), (False,)
        yield (_spd(rng, 2, 3, 3),), (True,)
        yield (np.zeros((0, 0)),), (False,)

    differentiable = 1


@library
class linalg_solve_triangular:
    """The x of a x = b, a triangular: only its triangle is read; `unit`: with ones on the diagonal.

    gb = a^-H g, ga = the triangle of -gb x^H.
    """

    def cpu(a: Array, b: Array, upper: bool, unit: bool) -> Array:
        return stacked(lambda a, b: namespace(a).ascontiguousarray(substitute(a, b, upper, unit)), a, b)

    def grad(g, a, y, upper, unit, needs):
        gb = linalg_solve_triangular(a.mH, g, not upper, unit)
        ga = None
        if needs[0]:
            ga = gb @ y.mH * -1
            ga = ga.triu(1 if unit else 0) if upper else ga.tril(-1 if unit else 0)
        return ga, gb

    def samples(rng):
        yield (rng.normal(size=(4, 4)) + 3 * np.eye(4), rng.normal(size=(4, 2))), (False, False)
        yield (rng.normal(size=(2, 3, 3)) * 0.5, rng.normal(size=(2, 3, 1))), (True, True)
        yield (rng.normal(size=(40, 40)) * 0.1 + np.eye(40), rng.normal(size=(40, 1))), (True, False)
        yield (np.zeros((2, 0, 0)), np.zeros((2, 0, 3))), (True, False)


@library
class linalg_cholesky_solve:
    """The x of (L L^H) x = b, or of (L^H L) x = b with `upper`: only L's triangle is read.

    gb solves with g for b; gL = -(gb x^H + x gb^H) L, with `upper` -L (...). As in PyTorch that is the gradient by a whole
    matrix: right in the triangle that is read, and not 0 in the other one.
    """

    def cpu(factor: Array, b: Array, upper: bool) -> Array:
        def solved(t: Array, b: Array) -> Array:
            first, second = (adjoint(t), t) if upper else (t, adjoint(t))
            return namespace(t).ascontiguousarray(substitute(second, substitute(first, b, False, False), True, False))

        return stacked(solved, factor, b)

    def grad(g, factor, y, upper, needs):
        gb = linalg_cholesky_solve(factor, g, upper)
        if not needs[0]:
            return None, gb
        both = gb @ y.mH
        both = (both + both.mH) * -1
        return (factor.triu() @ both if upper else both @ factor.tril()), gb

    def samples(rng):
        factor = np.tril(rng.normal(size=(2, 4, 4))) + 3 * np.eye(4)
        yield (factor[0], rng.normal(size=(4, 2))), (False,)
        yield (factor, rng.normal(size=(2, 4, 1))), (False,)
        yield (np.zeros((2, 0, 0)), np.zeros((2, 0, 3))), (True,)


@library
class linalg_lu_factor:
    """(LU, pivots from 0, info): P^T x = L U, L unit lower triangular below the diagonal of LU, U on and above it."""

    def cpu(x: Array) -> tuple[Array, Array, Array]:
        return alone(lu_arrays, x)

    def grad(g, y0, y1):
        m, n = y0.shape[-2:]
        k = min(m, n)
        gl, gu = g.tril(-1), g.triu()
        square, g_right, g_low = y0[..., :k, :k], None, None
        gl1, gu1 = gl[..., :k, :k], gu[..., :k, :k]
        if n > k:  # U2 = L^-1 A2
            g_right = linalg_solve_triangular(square.mH, gu[..., k:], True, True)
            gl1 = gl1 - (g_right @ y0[..., :k, k:].mH).tril(-1)
        if m > k:  # L2 = A2 U^-1
            g_low = linalg_solve_triangular(square, gl[..., k:, :].mH, True, False).mH
            gu1 = gu1 - (y0[..., k:, :k].mH @ g_low).triu()
        inner = (square.tril(-1).mH @ gl1 + gl1).tril(-1) + (gu1 @ square.triu().mH).triu()
        inner = linalg_solve_triangular(square.mH, inner, True, True)
        gx = linalg_solve_triangular(square, inner.mH, True, False).mH
        if g_right is not None:
            gx = cat([gx, g_right], gx.dim() - 1)
        if g_low is not None:
            gx = cat([gx, g_low], gx.dim() - 2)
        rows = linalg_permutation(y1, m, True)
        return gx.gather(-2, rows.unsqueeze(-1).expand(gx.shape))

    def samples(rng):
        yield (rng.normal(size=(4, 4)),), ()
        yield (rng.normal(size=(2, 5, 3)),), ()
        yield (rng.normal(size=(3, 5)),), ()
        yield (rng.normal(size=(40, 40)),), ()
        yield (np.zeros((0, 0)),), ()

    differentiable = 1


@library
class linalg_permutation:
    """The rows of m in their order after the exchanges `x` of an LU: (P^T a)[i] = a[y[i]]; `inverse`: a = (P^T a)[y]."""

    def cpu(x: Array, m: int, inverse: bool) -> Array:
        xp = namespace(x)
        flat = x.reshape((-1, x.shape[-1])) if x.size else x.reshape((int(np.prod(x.shape[:-1])), x.shape[-1]))
        rows = xp.repeat(xp.arange(m)[None], flat.shape[0], 0)
        every = xp.arange(flat.shape[0])
        for j in range(flat.shape[1]):
            p = flat[:, j]
            there = rows[every, p]
            rows[every, p] = rows[:, j]
            rows[:, j] = there
        if inverse:
            rows = rows.argsort(-1)
        return rows.reshape((*x.shape[:-1], m))

    def samples(rng):
        yield (np.array([[2, 1, 2], [0, 2, 2]]),), (3, False)
        yield (np.array([3, 3]),), (5, True)


def _qr_square(gq, gr, q, r):  # noqa: ANN001, ANN202 - on Tensors
    """The gradient of q r for r square: (gq + q h) r^-H, h Hermitian with the lower triangle of r gr^H - gq^H q."""
    inner = r @ gr.mH - gq.mH @ q
    low = inner.tril(-1)
    corner = inner.diagonal(0, -2, -1)
    corner = (corner.real.to(corner.dtype) if corner.is_complex() else corner).diag_embed()
    return linalg_solve_triangular(r, (gq + q @ (low + low.mH + corner)).mH, True, False).mH


@library
class linalg_qr:
    """(q, r): x = q r, q with orthonormal columns, r upper triangular; `complete`: q square.

    No gradient for `complete` with more rows than columns, where q is not a function of x.
    """

    def cpu(x: Array, complete: bool) -> tuple[Array, Array]:
        q, r = stacked(lambda a: tuple(namespace(a).linalg.qr(a, "complete" if complete else "reduced")), x)
        return q, r

    def grad(g, x, y0, y1, complete):
        m, n = x.shape[-2:]
        gq, gr = g
        if complete and m > n:
            raise RuntimeError("linalg_qr: in mode 'complete' the derivative is not defined for more rows than columns")
        if m >= n:
            return _qr_square(gq, gr, y0, y1)
        right, g_right = x[..., m:], gr[..., m:]
        gq = gq + right @ g_right.mH
        return cat([_qr_square(gq, gr[..., :m], y0, y1[..., :m]), y0 @ g_right], x.dim() - 1)

    def samples(rng):
        yield (rng.normal(size=(4, 4)),), (True,)
        yield (rng.normal(size=(2, 5, 3)),), (False,)
        yield (rng.normal(size=(3, 5)),), (False,)
        yield (np.zeros((3, 0)),), (False,)


@library
class linalg_geqrf:
    """(a, tau): the QR of x as reflections, vectors below and R on and above the diagonal of a."""

    def cpu(x: Array) -> tuple[Array, Array]:
        xp = namespace(x)
        if x.ndim == 2:
            h, tau = xp.linalg.qr(x, "raw")
            return xp.ascontiguousarray(h.swapaxes(-2, -1)), tau
        a, tau = xp.empty_like(x), xp.empty((*x.shape[:-2], min(x.shape[-2:])), x.dtype)
        for i in each(x.shape[:-2]):
            h, tau[i] = xp.linalg.qr(x[i], "raw")
            a[i] = h.T
        return a, tau

    def samples(rng):
        yield (rng.normal(size=(4, 3)),), ()
        yield (rng.normal(size=(2, 3, 3)),), ()
