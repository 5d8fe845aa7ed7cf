"""Inverses, determinants, solutions of linear systems and the matrix exponential, by the libraries; batch dims in front.

Ops that can meet a singular matrix give `info` as a further output, 0 or the number (from 1) of the pivot that is 0;
the public functions raise by it. The matrix exponential is Higham's scaling and squaring (The scaling and squaring
method for the matrix exponential revisited, SIAM J. Matrix Anal. 26, 2005).
"""

from __future__ import annotations

import numpy as np

from ._library import alone, each, library, namespace, stacked
from ._op import Array
from .copy import cat
from .factorization import lu_arrays
from .spectral import linalg_svd


def _solved(a: Array, b: Array | None) -> tuple[Array, Array]:
    """(a^-1 b, info), a^-1 for b None; matrices that fail give inf."""
    xp = namespace(a)
    f = xp.linalg.inv if b is None else xp.linalg.solve
    info = xp.zeros(a.shape[:-2], np.int32)
    args = (a,) if b is None else (a, b)
    try:
        y = stacked(f, *args)
        if xp is np or bool(xp.isfinite(y).all()):
            return y, info
    except np.linalg.LinAlgError:
        pass
    y = xp.full(args[-1].shape, np.inf, a.dtype)
    info = alone(lu_arrays, a)[2]
    for i in each(a.shape[:-2]):
        if not info[i]:
            try:
                y[i] = f(*[v[i] for v in args])
            except np.linalg.LinAlgError:
                info[i] = a.shape[-1]
    return y, info


@library
class linalg_inv:
    """(y, info): y = x^-1; gx = -y^H g y^H."""

    def cpu(x: Array) -> tuple[Array, Array]:
        return _solved(x, None)

    def grad(g, y0):
        return y0.mH @ g @ y0.mH * -1

    def samples(rng):
        yield (rng.normal(size=(4, 4)) + 3 * np.eye(4),), ()
        yield (rng.normal(size=(2, 3, 3)) + 2 * np.eye(3),), ()
        yield (np.zeros((0, 0)),), ()

    differentiable = 1


@library
class linalg_solve:
    """(y, info): a y = b, batches of one shape; gb = a^-H g, ga = -gb y^H."""

    def cpu(a: Array, b: Array) -> tuple[Array, Array]:
        return _solved(a, b)

    def grad(g, a, y0, needs):
        gb = linalg_solve(a.mH, g)[0]
        return (gb @ y0.mH * -1 if needs[0] else None), gb

    def samples(rng):
        yield (rng.normal(size=(4, 4)) + 3 * np.eye(4), rng.normal(size=(4, 2))), ()
        yield (rng.normal(size=(2, 3, 3)) + 2 * np.eye(3), rng.normal(size=(2, 3, 1))), ()
        yield (np.zeros((2, 0, 0)), np.zeros((2, 0, 2))), ()

    differentiable = 1


def _others(s):  # noqa: ANN001, ANN202 - on Tensors
    """Per element of the last dim the product of all others."""
    n = s.shape[-1]
    grid = s.unsqueeze(-2).expand((*s.shape[:-1], n, n))
    eye = s.new_ones(s.shape).diag_embed()
    return (grid * (1 - eye) + eye).prod(-1)


def _size(x):  # noqa: ANN001, ANN202 - on Tensors
    """The largest sum of absolute values of a column."""
    return x.abs().sum(-2).amax(-1)


@library
class linalg_det:
    """The determinant of x; gx = g conj(y) x^-H, for singular x by the cofactors, which the SVD gives."""

    def cpu(x: Array) -> Array:
        xp = namespace(x)
        return xp.asarray(stacked(xp.linalg.det, x), x.dtype)

    def grad(g, x, y):
        if 0 not in x.shape:
            inverse, info = linalg_inv(x)
            condition = (_size(x) * _size(inverse)).detach()  # infinite, or no number, for a singular matrix
            if bool(((condition < (2.0**50 if condition.dtype.itemsize == 8 else 2.0**21)) & (info == 0)).all()):
                return (g * y.conj()).unsqueeze(-1).unsqueeze(-1) * inverse.mH
        u, s, vh = linalg_svd(x, False)
        sign = linalg_det(u) * linalg_det(vh)
        cofactors = (u * _others(s).to(u.dtype).unsqueeze(-2)) @ vh
        return (g * sign.conj()).unsqueeze(-1).unsqueeze(-1) * cofactors

    def samples(rng):
        yield (rng.normal(size=(4, 4)),), ()
        yield (rng.normal(size=(2, 3, 3)),), ()
        a = rng.normal(size=(3, 2))
        yield (a @ rng.normal(size=(2, 3)),), ()


@library
class linalg_slogdet:
    """(sign, log |det|) of x; gx = (g - i Im(conj(g_sign) sign)) x^-H."""

    def cpu(x: Array) -> tuple[Array, Array]:
        xp = namespace(x)
        sign, size = stacked(lambda a: tuple(xp.linalg.slogdet(a)), x)
        return xp.asarray(sign, x.dtype), xp.asarray(size, x.real.dtype)

    def grad(g, x, y0):
        g_sign, g_size = g
        if x.is_complex():
            g_size = g_size.to(x.dtype) - (g_sign.conj() * y0).imag.to(x.dtype) * 1j
        return g_size.unsqueeze(-1).unsqueeze(-1) * linalg_inv(x)[0].mH

    def samples(rng):
        yield (rng.normal(size=(4, 4)),), ()
        yield (rng.normal(size=(2, 3, 3)),), ()


@library
class linalg_pinv:
    """The pseudo-inverse of x; singular values up to max(atol, rtol s_max) count as 0. `hermitian`: x = x^H.

    gx = -y^H g y^H + (1 - x y) g^H y y^H + y^H y g^H (1 - y x).
    """

    def cpu(x: Array, atol: float, rtol: float, hermitian: bool) -> Array:
        return stacked(lambda a: _pinv(a, atol, rtol, hermitian), x)

    def grad(g, x, y):
        y_h, g_h = y.mH, g.mH
        a = y @ y_h
        b = y_h @ y
        rows = g_h @ a
        columns = b @ g_h
        return y_h @ g @ y_h * -1 + rows - x @ (y @ rows) + columns - (columns @ y) @ x

    def samples(rng):
        yield (rng.normal(size=(4, 4)),), (0.0, 1e-12, False)
        yield (rng.normal(size=(2, 5, 3)),), (0.0, 1e-12, False)
        yield (rng.normal(size=(3, 5)),), (0.0, 1e-12, False)
        yield (np.zeros((0, 3)),), (0.0, 1e-12, False)


def _pinv(x: Array, atol: float, rtol: float, hermitian: bool) -> Array:
    xp = namespace(x)
    if not x.size:
        return xp.zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)
    if hermitian:
        w, v = xp.linalg.eigh(x)
        u, s, vh = v, w, v.conj().swapaxes(-2, -1)
    else:
        u, s, vh = xp.linalg.svd(x, False)
    size = abs(s)
    limit = xp.maximum(np.asarray(atol, s.dtype), np.asarray(rtol, s.dtype) * size.max(-1, keepdims=True))
    inverse = xp.where(size > limit, 1 / xp.where(s == 0, 1, s), 0).astype(s.dtype)
    return xp.ascontiguousarray(
        (vh.conj().swapaxes(-2, -1) * inverse[..., None, :]) @ u.conj().swapaxes(-2, -1)
    ).astype(x.dtype, copy=False)


def _least_squares(a: Array, b: Array, rcond: float) -> tuple[Array, Array, Array]:
    xp = namespace(a)
    u, s, vh = xp.linalg.svd(a, False)
    keep = s > rcond * s.max(-1, keepdims=True)
    inverse = xp.where(keep, 1 / xp.where(s == 0, 1, s), 0).astype(s.dtype)
    y = vh.conj().swapaxes(-2, -1) @ (inverse[..., None] * (u.conj().swapaxes(-2, -1) @ b))
    return xp.ascontiguousarray(y), xp.asarray(keep.sum(-1)), s


@library
class linalg_lstsq:
    """(y, rank, s): the y of least norm that minimises |a y - b|; singular values up to rcond s_max count as 0."""

    def cpu(a: Array, b: Array, rcond: float) -> tuple[Array, Array, Array]:
        xp = namespace(a)
        m, n = a.shape[-2:]
        if not a.size:
            zeros = xp.zeros((*a.shape[:-2], n, b.shape[-1]), a.dtype)
            return zeros, xp.zeros(a.shape[:-2], np.int64), xp.zeros((*a.shape[:-2], min(m, n)), a.real.dtype)
        return stacked(lambda a, b: _least_squares(a, b, rcond), a, b)

    def grad(g, a, b, rcond, needs):
        inverse = linalg_pinv(a, 0.0, rcond, False)
        gb = inverse.mH @ g
        ga = None
        if needs[0]:
            y, h = inverse.mH, (g @ b.mH)
            rows = h.mH @ (inverse @ y)
            columns = y @ inverse @ h.mH
            ga = y @ h @ y * -1 + rows - a @ (inverse @ rows) + columns - (columns @ inverse) @ a
        return ga, gb if needs[1] else None

    def samples(rng):
        yield (rng.normal(size=(5, 3)), rng.normal(size=(5, 2))), (1e-12,)
        yield (rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 1))), (1e-12,)

    differentiable = 1


_PADE = (64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
         10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0)  # fmt: skip


def _exponential(x: Array) -> Array:
    """e^x: x scaled by 2^-s to a norm below 5.37, the [13/13] Pade approximant, s squarings."""
    xp = namespace(x)
    n = x.shape[-1]
    norm = abs(x).sum(-2).max(-1) if x.size else xp.zeros(x.shape[:-2])
    finite = xp.where(xp.isfinite(norm), norm, 1.0)
    times = xp.maximum(xp.ceil(xp.log2(xp.maximum(finite, 1e-300) / 5.371920351148152)), 0)
    a = x / (2.0**times)[..., None, None].astype(x.real.dtype)
    eye = xp.eye(n, dtype=x.dtype)
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    c = [v / _PADE[0] for v in _PADE]  # small enough for float32
    odd = a @ (a6 @ (c[13] * a6 + c[11] * a4 + c[9] * a2) + c[7] * a6 + c[5] * a4 + c[3] * a2 + c[1] * eye)
    even = a6 @ (c[12] * a6 + c[10] * a4 + c[8] * a2) + c[6] * a6 + c[4] * a4 + c[2] * a2 + eye
    y = xp.linalg.solve(even - odd, even + odd)
    for i in range(int(times.max()) if times.size else 0):
        y = xp.where((times > i)[..., None, None], y @ y, y)
    return xp.ascontiguousarray(y).astype(x.dtype, copy=False)


@library
class linalg_matrix_exp:
    """y = e^x = sum_k x^k / k!; gx is the upper right block of exp([[x^H, g], [0, x^H]])."""

    def cpu(x: Array) -> Array:
        return stacked(_exponential, x)

    def grad(g, x):
        n, last = x.shape[-1], x.dim() - 1
        top = cat([x.mH, g], last)
        bottom = cat([g.new_zeros(g.shape), x.mH], last)
        return linalg_matrix_exp(cat([top, bottom], last - 1))[..., :n, n:]

    def samples(rng):
        yield (rng.normal(size=(3, 3)),), ()
        yield (rng.normal(size=(2, 2, 2)) * 8,), ()
        yield (np.zeros((0, 0)),), ()
