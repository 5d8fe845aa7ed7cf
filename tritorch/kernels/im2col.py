"""im2col and its adjoint: the windows of an image as columns, and columns added up to an image.

    im2col: y[n, c K + r, l] = x[n, c, window l at tap r]      x (N, C, H, W) -> (N, C K, L), K taps, L windows
    col2im: x[n, c, pixel] = sum of all y that im2col takes from it

Each is the other's gradient.
"""

from __future__ import annotations

import math

import numpy as np

from . import _windows
from ._columns import output_size
from ._op import Array, op
from .pool import _taps

Ints = tuple[int, ...]


def _geometries():
    for x, k, s, p, d in [
        ((2, 3, 5, 6), (2, 3), (1, 1), (0, 0), (1, 1)),
        ((1, 2, 7, 6), (3, 2), (2, 3), (1, 1), (1, 2)),
    ]:
        yield x, (k, s, p, d)


@op
class im2col:
    """Windows of x (N, C, *size) as columns (N, C * taps, windows)."""

    def cpu(x: Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Array:
        size = x.shape[2:]
        out = output_size(size, kernel, stride, padding, dilation)
        y = np.zeros((*x.shape[:2], *kernel, *out), x.dtype)
        for tap, a, b in _taps(size, out, kernel, stride, padding, dilation):
            y[(slice(None), slice(None), *tap)][a] = x[b]
        return y.reshape(x.shape[0], x.shape[1] * math.prod(kernel), math.prod(out))

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
        y = y.reshape(y.shape[0], c, *kernel, *out)
        x = np.zeros((y.shape[0], c, *size), y.dtype)
        for tap, a, b in _taps(size, out, kernel, stride, padding, dilation):
            x[b] += y[(slice(None), slice(None), *tap)][a]
        return x

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
