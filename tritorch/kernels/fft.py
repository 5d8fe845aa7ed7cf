"""Discrete Fourier transforms over one or several dims, by the libraries.

X_k = c sum_j x_j e^(-+ 2 pi i j k / n); `forward` takes the minus sign; the scale c is 1, 1/sqrt(n) or 1/n for
norm 0, 1, 2, n the number of elements of all transformed dims together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._library import library, namespace
from ._op import Array
from ._strides import dense
from ._threads import parallel
from .copy import pad_constant
from .view import view_as_complex, view_as_real

_FORWARD, _INVERSE = ("backward", "ortho", "forward"), ("forward", "ortho", "backward")


def _kind(x: Array) -> np.dtype:
    return np.dtype(np.complex64) if x.dtype.itemsize <= (8 if x.dtype.kind == "c" else 4) else np.dtype(np.complex128)


_GRAIN = 1 << 15  # elements that are worth a thread
_FEW = 1 << 12  # elements up to which one call of NumPy is the fastest way


def _lines(f: Callable[..., Array], x: Array, axis: int, norm: str, **more: int) -> Array:
    """`f` (of np.fft) along one dim of a NumPy array, over threads; the dim is the last one in memory meanwhile."""
    x = np.moveaxis(x, axis, -1)
    rows = (x if x.flags.c_contiguous else dense(x)).reshape(-1, x.shape[-1])
    parts: dict[int, Array] = {}

    def block(start: int, stop: int) -> None:
        parts[start] = f(rows[start:stop], norm=norm, **more)

    parallel(block, len(rows), max(1, _GRAIN // max(rows.shape[1], 1)))
    y = [parts[start] for start in sorted(parts)] or [f(rows[:1], norm=norm, **more)]
    joined = y[0] if len(y) == 1 else np.concatenate(y)
    return np.moveaxis(joined.reshape(*x.shape[:-1], joined.shape[-1]), -1, axis)


def _complex(x: Array, dims: tuple[int, ...], norm: int, forward: bool) -> Array:
    """np.fft.fftn or ifftn."""
    f, norms = (np.fft.fft, _FORWARD) if forward else (np.fft.ifft, _INVERSE)
    for i, d in enumerate(reversed(dims)):
        if i == 0 and x.dtype.kind != "c" and x.shape[d] > 1:
            x = _mirrored(_lines(np.fft.rfft if forward else np.fft.ihfft, x, d, norms[norm]), d, x.shape[d])
        else:
            x = _lines(f, x, d, norms[norm])
    return x


def _mirrored(half: Array, d: int, n: int) -> Array:
    """All n elements of a Hermitian transform from the first n // 2 + 1 along `d`."""
    half = np.moveaxis(half, d, -1)
    y = np.empty((*half.shape[:-1], n), half.dtype)
    m = half.shape[-1]
    y[..., :m] = half
    np.conjugate(half[..., n - m : 0 : -1], out=y[..., m:])
    return np.moveaxis(y, -1, d)


def _dense(y: Array, kind: np.dtype) -> Array:
    y = y.astype(kind, copy=False)
    return y if y.flags.c_contiguous else dense(y)


@library
class fft_c2c:
    """Complex (or real) to complex; gx is the transform of g with the other sign, its real part for a real x."""

    def cpu(x: Array, dims: tuple[int, ...], norm: int, forward: bool) -> Array:
        if isinstance(x, np.ndarray) and x.size > _FEW:
            return _dense(_complex(x, dims, norm, forward), _kind(x))
        fft = namespace(x).fft
        y = fft.fftn(x, axes=dims, norm=_FORWARD[norm]) if forward else fft.ifftn(x, axes=dims, norm=_INVERSE[norm])
        return namespace(x).ascontiguousarray(y.astype(_kind(x), copy=False))

    def grad(g, x_dtype, dims, norm, forward):
        y = fft_c2c(g, dims, norm, not forward)
        return y if x_dtype.is_complex else y.real

    def samples(rng):
        yield (rng.normal(size=(3, 5)),), ((1, 0), 2, True)
        yield (rng.normal(size=(3, 5)) + 1j * rng.normal(size=(3, 5)),), ((1,), 0, True)
        yield (rng.normal(size=(2, 3, 4)) + 0j,), ((0, 2), 1, False)


@library
class fft_r2c:
    """Real to the half of the Hermitian result: n // 2 + 1 elements along the last of `dims`."""

    def cpu(x: Array, dims: tuple[int, ...], norm: int) -> Array:
        if isinstance(x, np.ndarray) and x.size > _FEW:
            y = _lines(np.fft.rfft, x, dims[-1], _FORWARD[norm])
            return _dense(_complex(y, dims[:-1], norm, True), _kind(x))
        y = namespace(x).fft.rfftn(x, axes=dims, norm=_FORWARD[norm])
        return namespace(x).ascontiguousarray(y.astype(_kind(x), copy=False))

    def grad(g, x_shape, dims, norm):
        d = dims[-1]
        missing = x_shape[d] - g.shape[d]
        if missing:
            g = pad_constant(g, tuple((0, missing if i == d else 0) for i in range(len(x_shape))), 0.0)
        return fft_c2c(g, dims, norm, False).real

    def samples(rng):
        yield (rng.normal(size=(3, 5)),), ((1,), 0)
        yield (rng.normal(size=(2, 3, 4)),), ((0, 2), 1)
        yield (rng.normal(size=(4, 1)),), ((0, 1), 2)


@library
class fft_c2r:
    """The half of a Hermitian input (n // 2 + 1 elements along the last of `dims`) to n real ones.

    Every element but the first, and the last of an even n, stands for its conjugate too: in gx it counts twice.
    """

    def cpu(x: Array, dims: tuple[int, ...], norm: int, n: int) -> Array:
        real = np.dtype(np.float32 if _kind(x) == np.complex64 else np.float64)
        if isinstance(x, np.ndarray) and x.size > _FEW:
            y = _complex(x, dims[:-1], norm, False)
            return _dense(_lines(np.fft.irfft, y, dims[-1], _INVERSE[norm], n=n), real)
        xp = namespace(x)
        sizes = [x.shape[d] for d in dims[:-1]] + [n]
        y = xp.fft.irfftn(x, s=sizes, axes=dims, norm=_INVERSE[norm])
        return xp.ascontiguousarray(y.astype(real, copy=False))

    def grad(g, x_dtype, dims, norm, n):
        y = fft_r2c(g, dims, norm)
        d = dims[-1]
        twice = (n - 1) // 2
        if twice:
            ones = [1.0] * y.shape[d]
            ones[1 : 1 + twice] = [2.0] * twice
            weights = g.new_tensor(ones).reshape([-1 if i == d else 1 for i in range(y.dim())] + [1])
            y = view_as_complex(view_as_real(y) * weights)  # the parts alone: no kernel multiplies complex numbers
        return y if x_dtype.is_complex else y.real

    def samples(rng):
        yield (rng.normal(size=(3, 4)),), ((0, 1), 1, 7)
        yield (rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4)),), ((1,), 0, 6)
        yield (rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4)),), ((0, 1), 2, 7)
