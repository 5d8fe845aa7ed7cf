"""Discrete Fourier transforms over one or several dims, by the libraries.

X_k = c sum_j x_j e^(-+ 2 pi i j k / n); `forward` takes the minus sign; the scale c is 1, 1/sqrt(n) or 1/n for
norm 0, 1, 2, n the number of elements of all transformed dims together.
"""

from __future__ import annotations

import numpy as np

from ._library import library, namespace
from ._op import Array
from .copy import pad_constant
from .view import view_as_complex, view_as_real

_FORWARD, _INVERSE = ("backward", "ortho", "forward"), ("forward", "ortho", "backward")


def _kind(x: Array) -> np.dtype:
    return np.dtype(np.complex64) if x.dtype.itemsize <= (8 if x.dtype.kind == "c" else 4) else np.dtype(np.complex128)


@library
class fft_c2c:
    """Complex (or real) to complex; gx is the transform of g with the other sign, its real part for a real x."""

    def cpu(x: Array, dims: tuple[int, ...], norm: int, forward: bool) -> Array:
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
        xp = namespace(x)
        sizes = [x.shape[d] for d in dims[:-1]] + [n]
        y = xp.fft.irfftn(x, s=sizes, axes=dims, norm=_INVERSE[norm])
        return xp.ascontiguousarray(y.astype(np.float32 if _kind(x) == np.complex64 else np.float64, copy=False))

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
