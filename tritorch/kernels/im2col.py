"""im2col and its adjoint: the windows of an image as columns, and columns added up to an image.

    im2col: y[n, c K + r, l] = x[n, c, window l at tap r]      x (N, C, H, W) -> (N, C K, L), K taps, L windows
    col2im: x[n, c, pixel] = sum of all y that im2col takes from it

Each is the other's gradient.
"""

from __future__ import annotations

import math

import numpy as np

from ..device import as_strided
from . import _windows
from ._columns import output_size
from ._op import Array, op
from ._strides import assign, dense
from ._threads import parallel
from .pool import _taps

Ints = tuple[int, ...]


_GRAIN = 1 << 19  # elements that are worth a thread


def _grain(y: Array) -> int:
    """Images that are worth a thread, of the windows y."""
    return max(1, _GRAIN * len(y) // max(y.size, 1))


def _apart(kernel: Ints, stride: Ints, dilation: Ints) -> bool:
    """Does no pixel belong to two windows: they are then copied at once."""
    return all(k <= s for k, s in zip(kernel, stride, strict=True)) and max(dilation) == 1


def _windows_of(x: Array, kernel: Ints, stride: Ints, out: Ints) -> Array:
    """x (N, C, *size) as a view (N, C, *kernel, *out)."""
    inner = x.strides[2:]
    steps = [a * s for a, s in zip(inner, stride, strict=True)]
    return as_strided(x, (*x.shape[:2], *kernel, *out), (*x.strides[:2], *inner, *steps))


def _geometries():
    for x, k, s, p, d in [
        ((2, 3, 5, 6), (2, 3), (1, 1), (0, 0), (1, 1)),
        ((1, 2, 7, 6), (3, 2), (2, 3), (1, 1), (1, 2)),
        ((2, 2, 7, 6), (2, 3), (3, 3), (0, 0), (1, 1)),
    ]:
        yield x, (k, s, p, d)


@op
class im2col:
    """Windows of x (N, C, *size) as columns (N, C * taps, windows)."""

    def cpu(x: Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Array:
        size = x.shape[2:]
        out = output_size(size, kernel, stride, padding, dilation)
        shape = x.shape[0], x.shape[1] * math.prod(kernel), math.prod(out)
        if not any(padding) and _apart(kernel, stride, dilation):
            y = np.empty((*x.shape[:2], *kernel, *out), x.dtype)
            if y.size:
                assign(y, _windows_of(x, kernel, stride, out))
            return y.reshape(shape)
        images = (x if x.flags.c_contiguous else dense(x)).reshape(-1, *size)
        y = (np.zeros if any(padding) else np.empty)((len(images), *kernel, *out), x.dtype)
        taps = list(_taps(size, out, kernel, stride, padding, dilation))

        def some(start: int, stop: int) -> None:
            to, of = y[start:stop], images[start:stop]
            for tap, a, b in taps:
                to[(slice(None), *tap)][a] = of[b]

        parallel(some, len(images), _grain(y))
        return y.reshape(shape)

    def gpu(x: Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Array:
        out = output_size(x.shape[2:], kernel, stride, padding, dilation)
        return _windows.columns(x, out, kernel, stride, padding, dilation)

    def grad(g, x_shape, kernel, stride, padding, dilation):
        return col2im(g, x_shape[2:], kernel, stride, padding, dilation)

    def cpu_grad(g, x_shape, kernel, stride, padding, dilation):
        return col2im.cpu(g, x_shape[2:], kernel, stride, padding, dilation)

    def samples(rng):
        for x, params in _geometries():
            yield (rng.normal(size=x),), params

    def cost(x, kernel, stride, padding, dilation):
        windows = math.prod(output_size(x.shape[2:], kernel, stride, padding, dilation))
        return x.nbytes + math.prod((*x.shape[:2], *kernel)) * windows * x.itemsize, 0


@op
class col2im:
    """The sum of columns (N, C * taps, windows) in the pixels they were taken from, (N, C, *size)."""

    def cpu(y: Array, size: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Array:
        out = output_size(size, kernel, stride, padding, dilation)
        c = y.shape[1] // math.prod(kernel)
        shape = y.shape[0], c, *size
        if not any(padding) and _apart(kernel, stride, dilation):
            covered = all(n == k * m and k == s for n, k, s, m in zip(size, kernel, stride, out, strict=True))
            x = (np.empty if covered else np.zeros)(shape, y.dtype)
            if y.size:
                assign(_windows_of(x, kernel, stride, out), y.reshape(*shape[:2], *kernel, *out))
            return x
        y = y.reshape(y.shape[0] * c, *kernel, *out)
        x = np.zeros((len(y), *size), y.dtype)
        taps = list(_taps(size, out, kernel, stride, padding, dilation))

        def some(start: int, stop: int) -> None:
            to, of = x[start:stop], y[start:stop]
            for tap, a, b in taps:
                to[b] += of[(slice(None), *tap)][a]

        parallel(some, len(y), _grain(y))
        return x.reshape(shape)

    def gpu(y: Array, size: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Array:
        out = output_size(size, kernel, stride, padding, dilation)
        return _windows.images(y, size, out, kernel, stride, padding, dilation)

    def grad(g, size, kernel, stride, padding, dilation):
        return im2col(g, kernel, stride, padding, dilation)

    def samples(rng):
        for x, (k, s, p, d) in _geometries():
            out = output_size(x[2:], k, s, p, d)
            yield (rng.normal(size=(x[0], x[1] * math.prod(k), math.prod(out))),), (x[2:], k, s, p, d)

    def cost(y, size, kernel, stride, padding, dilation):
        x = y.shape[0] * (y.shape[1] // math.prod(kernel)) * math.prod(size)
        return y.nbytes + x * y.itemsize, y.size
