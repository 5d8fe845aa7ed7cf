"""Spectra of matrices: SVD, eigenvalues of Hermitian and general matrices, by the libraries; batch dims in front.

The rules hold where the values differ from each other. A complex vector is given up to a phase e^{i phi}: a loss that
depends on the phase has no gradient, and the rules say so.

Rules: J. Townsend, Differentiating the Singular Value Decomposition, 2016; C. Boeddeker et al., 2017, arXiv:1701.00392.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import LinAlgError, message
from ._library import library, namespace, stacked
from ._op import Array


def _converged(op: str, f: Callable[[Array], Any], x: Array) -> Any:
    """`f` of all matrices of x."""
    try:
        return stacked(f, x)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(message(op, f"the algorithm failed to converge ({error})", input=x)) from None


def _adjoint(x: Array) -> Array:
    y = x.swapaxes(-2, -1)
    return y.conj() if x.dtype.kind == "c" else y


def _gaps(values):  # noqa: ANN001, ANN202 - on Tensors
    """v_j - v_i, and 1 on the diagonal."""
    gaps = values.unsqueeze(-2) - values.unsqueeze(-1)
    return gaps + values.new_ones(values.shape).diag_embed()


def _check_phase(op: str, diagonal) -> None:  # noqa: ANN001 - on Tensors
    size = diagonal.detach().imag.abs()
    if size.numel() and float(size.max()) > 1e-2:
        raise RuntimeError(
            f"{op}: complex vectors are given up to a phase e^(i phi); the loss depends on it, so its gradient is not "
            f"defined (imaginary part {float(size.max()):.3g} instead of 0)"
        )


def _real(x):  # noqa: ANN001, ANN202 - on Tensors
    return x.real if x.is_complex() else x


@library
class linalg_svd:
    """(U, S, Vh): x = U diag(S) Vh, S descending; `full`: U and Vh square (their further columns carry no gradient)."""

    def cpu(x: Array, full: bool) -> tuple[Array, Array, Array]:
        xp = namespace(x)
        if not x.size:
            m, n = x.shape[-2:]
            k = min(m, n)
            eye = xp.zeros((*x.shape[:-2], m, m if full else k), x.dtype), xp.zeros((*x.shape[:-2], n, n), x.dtype)
            for e in eye:
                e[..., range(min(e.shape[-2:])), range(min(e.shape[-2:]))] = 1
            return eye[0], xp.zeros((*x.shape[:-2], k), x.real.dtype), eye[1][..., : n if full else k, :]
        u, s, vh = _converged("linalg.svd", lambda a: tuple(xp.linalg.svd(a, full)), x)
        return u, s, vh

    def grad(g, y0, y1, y2, full):
        gu, gs, gvh = g
        u, s, vh = y0, y1, y2
        k, m, n = s.shape[-1], u.shape[-2], vh.shape[-1]
        if full:
            u, gu, vh, gvh = u[..., :k], gu[..., :k], vh[..., :k, :], gvh[..., :k, :]
        left, right = u.mH @ gu, vh @ gvh.mH
        left, right = left - left.mH, right - right.mH
        scale = s.to(u.dtype)
        inner = left * scale.unsqueeze(-2) + scale.unsqueeze(-1) * right
        inner = inner / _gaps(s * s).to(u.dtype)
        if u.is_complex():
            phases = left.diagonal(0, -2, -1)
            _check_phase("linalg_svd", phases + right.diagonal(0, -2, -1))
            inner = inner - inner.diagonal(0, -2, -1).diag_embed() + (phases / (scale * 2)).diag_embed()
        inner = inner + gs.to(u.dtype).diag_embed()
        gx = u @ inner
        if m > k:
            rest = gu / scale.unsqueeze(-2)
            gx = gx + rest - u @ (u.mH @ rest)
        gx = gx @ vh
        if n > k:
            rest = gvh / scale.unsqueeze(-1)
            gx = gx + u @ (rest - (rest @ vh.mH) @ vh)
        return gx

    def samples(rng):
        yield (rng.normal(size=(4, 4)),), (False,)
        yield (rng.normal(size=(2, 5, 3)),), (False,)
        yield (rng.normal(size=(3, 5)),), (False,)
        yield (np.zeros((2, 0)),), (False,)


@library
class linalg_svdvals:
    """The singular values of x, descending; gx = U diag(g) Vh."""

    def cpu(x: Array) -> Array:
        xp = namespace(x)
        if not x.size:
            return xp.zeros((*x.shape[:-2], min(x.shape[-2:])), x.real.dtype)
        return _converged("linalg.svdvals", lambda a: xp.linalg.svd(a, compute_uv=False), x)

    def grad(g, x):
        u, _, vh = linalg_svd(x, False)
        return (u * g.unsqueeze(-2).to(u.dtype)) @ vh

    def samples(rng):
        yield (rng.normal(size=(4, 3)),), ()
        yield (rng.normal(size=(2, 3, 4)),), ()
        yield (np.zeros((0, 3)),), ()


@library
class linalg_eigh:
    """(w, V): x = V diag(w) V^H, w ascending, of a Hermitian x, of which one triangle is read."""

    def cpu(x: Array, upper: bool) -> tuple[Array, Array]:
        eigh, triangle = namespace(x).linalg.eigh, "U" if upper else "L"
        w, v = _converged("linalg.eigh", lambda a: tuple(eigh(a, triangle)), x)
        return w, v

    def grad(g, y0, y1):
        gw, gv = g
        inner = y1.mH @ gv
        if inner.is_complex():
            _check_phase("linalg_eigh", inner.diagonal(0, -2, -1))
        inner = inner / _gaps(y0).to(inner.dtype)
        inner = inner - inner.diagonal(0, -2, -1).diag_embed() + gw.to(inner.dtype).diag_embed()
        gx = y1 @ inner @ y1.mH
        return (gx + gx.mH) * 0.5

    def samples(rng):
        for shape in ((4, 4), (2, 3, 3)):
            a = rng.normal(size=shape)
            yield (a + a.swapaxes(-2, -1),), (len(shape) == 3,)
        yield (np.zeros((0, 0)),), (False,)


@library
class linalg_eigvalsh:
    """The eigenvalues, ascending, of a Hermitian x, of which one triangle is read; gx = V diag(g) V^H."""

    def cpu(x: Array, upper: bool) -> Array:
        eigvalsh, triangle = namespace(x).linalg.eigvalsh, "U" if upper else "L"
        return _converged("linalg.eigvalsh", lambda a: eigvalsh(a, triangle), x)

    def grad(g, x, upper):
        _, v = linalg_eigh(x, upper)
        return (v * g.unsqueeze(-2).to(v.dtype)) @ v.mH

    def samples(rng):
        a = rng.normal(size=(2, 4, 4))
        yield (a + a.swapaxes(-2, -1),), (False,)


@library
class linalg_eig:
    """(w, V), complex: x V = V diag(w), columns of V of norm 1."""

    def cpu(x: Array) -> tuple[Array, Array]:
        xp = namespace(x)
        kind = np.result_type(x.dtype, np.complex64)
        if not bool(xp.isfinite(x).all()):
            raise RuntimeError(message("linalg.eig", "input tensor should not contain infs or NaNs", input=x))
        w, v = _converged("linalg.eig", lambda a: tuple(xp.linalg.eig(a)), x)
        return w.astype(kind, copy=False), v.astype(kind, copy=False)

    def grad(g, x_dtype, y0, y1):
        gw, gv = g
        inner = y1.mH @ gv
        phases = inner.diagonal(0, -2, -1)
        turning = phases * (y0.detach().imag != 0).to(phases.dtype) if not x_dtype.is_complex else phases
        _check_phase("linalg_eig", turning)
        inner = inner - (y1.mH @ y1) * phases.real.to(phases.dtype).unsqueeze(-2)
        inner = inner / _gaps(y0).conj()
        inner = inner - inner.diagonal(0, -2, -1).diag_embed() + gw.diag_embed()
        from .linear_system import linalg_solve

        gx = linalg_solve(y1.mH, inner @ y1.mH)[0]
        return gx if x_dtype.is_complex else gx.real

    def samples(rng):
        yield (rng.normal(size=(4, 4)) * 0.2 + np.diag([1.0, 2.5, 4.0, 6.0]),), ()
        yield (rng.normal(size=(2, 3, 3)) * 0.2 + np.diag([1.0, 2.5, -4.0]),), ()
