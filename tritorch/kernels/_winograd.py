"""Convolution with kernels of height 3 on NumPy arrays, two output rows at a time with two thirds of the products.

Winograd's F(2, 3) (Lavin and Gray, arXiv 1509.09308), over the rows only: with d0 ... d3 four neighbouring rows of the
padded image and w0, w1, w2 the rows of the kernel,

    m0 = (d0 - d2) w0          m1 = (d1 + d2) (w0 + w1 + w2) / 2
    m3 = (d1 - d3) w2          m2 = (d2 - d1) (w0 - w1 + w2) / 2
    y0 = m0 + m1 + m2          y1 = m1 - m2 - m3

where a product with a row of the kernel is a convolution along the row, done through columns as in _columns.py. Four
such products give two rows, where the plain sum needs six. The gradient of the kernel comes from the same four sums of
rows, with e0, e1 two rows of the output's gradient in the kernel's place (F(3, 2)):

    n0 = (d0 - d2) e0          n1 = (d1 + d2) (e0 + e1) / 2
    n3 = (d1 - d3) e1          n2 = (d2 - d1) (e0 - e1) / 2
    gw0 = n0 + n1 + n2         gw1 = n1 - n2              gw2 = n1 + n2 - n3

Rounding errors are about those of the plain sum. An infinite pixel makes NaN of what would be infinite, and of the
other row of a pair.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from ._columns import COLUMN_BYTES, MIN_COLUMNS, over_images
from ._op import Array
from ._rows import long_runs
from ._threads import get_num_threads

MIN_CHANNELS = 16  # with fewer the products are too thin to pay for the sums of rows

Ints = tuple[int, ...]


def suits(dtype: np.dtype, channels: int, outputs: int, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints,
          groups: int, size: Ints) -> bool:  # fmt: skip
    """Whether a convolution of `size` pixels can go this way, and gains by it."""
    return (
        len(size) == 2
        and kernel[0] == 3
        and stride == (1, 1)
        and dilation == (1, 1)
        and groups == 1
        and min(padding) >= 0
        and min(channels, outputs) >= MIN_CHANNELS
        and dtype.char in "fd"
        and size[0] + 2 * padding[0] >= 4
        and size[1] + 2 * padding[1] >= kernel[1]
    )


class _Tiling(NamedTuple):
    """How images are cut: `images` at a time, `rows` pairs of output rows of `width` elements at a time."""

    out: tuple[int, int]
    pairs: int
    width: int  # of a padded row, whose zeros behind it are those before the next one
    images: int
    rows: int

    def units(self, n: int) -> list[tuple[int, int]]:
        """(first image, first pair of rows) of each product for n images."""
        return list(itertools.product(range(0, n, self.images), range(0, self.pairs, self.rows)))


def _tiling(x_shape: Ints, kernel: Ints, padding: Ints, itemsize: int) -> _Tiling:
    n, channels, height, width = x_shape
    out = height + 2 * padding[0] - 2, width + 2 * padding[1] - kernel[1] + 1
    pairs, wide = -(-out[0] // 2), max(out[1], width + padding[1])
    if pairs * wide >= MIN_COLUMNS:
        most = max(1, COLUMN_BYTES // (4 * channels * kernel[1] * wide * itemsize))
        pieces = max(-(-pairs // most), min(pairs, -(-get_num_threads() // n)))  # of a lone image one for each thread
        return _Tiling(out, pairs, wide, 1, -(-pairs // pieces))
    share = -(-n // get_num_threads())
    groups = max(1, share * pairs * wide // MIN_COLUMNS)
    return _Tiling(out, pairs, wide, -(-share // groups), pairs)


class _Rows:
    """Even and odd rows of a few padded images, flat per channel, and the columns of their four sums.

    A row of one image is followed by that row of the next image, so that all tiles are neighbours.
    """

    def __init__(self, x: Array, kernel: Ints, padding: Ints, tiling: _Tiling):
        self.x, self.padding, self.tiling = x, padding, tiling
        self.held: tuple[int, int] | None = None
        channels, taps = x.shape[1], kernel[1]
        t = tiling
        shape = (channels, t.pairs + 1, t.images, t.width)
        flat = np.zeros((2, channels, math.prod(shape[1:]) + t.width + taps), x.dtype)
        self.frames = flat[:, :, : math.prod(shape[1:])].reshape(2, *shape)
        step = flat.strides
        windows = (2, channels, taps, flat.shape[2] - taps + 1)
        self.windows = np.lib.stride_tricks.as_strided(flat, windows, (*step[:2], step[2], step[2]), writeable=False)
        self.cols = np.empty((4, channels, taps, t.rows * t.images * t.width), x.dtype)

    def fill(self, start: int, stop: int) -> None:
        """The rows of the images start ... stop; the zeros around them stay from before."""
        if self.held == (start, stop):
            return
        self.held = start, stop
        above, left = self.padding
        height, width = self.x.shape[2:]
        for odd in (0, 1):
            skip = (odd - above) % 2  # of the image's rows, those of this parity in the padded image
            part = self.x[start:stop, :, skip::2].transpose(1, 2, 0, 3)
            first = (above + skip - odd) // 2
            part = part[:, : self.frames.shape[2] - first]  # an output row may need no more than that
            self.frames[odd, :, first : first + part.shape[1], : stop - start, left : left + width] = part
        self.frames[:, :, :, stop - start :] = 0  # an infinity that was there before would come back times zero

    def columns(self, first: int, rows: int) -> Array:
        """(4, channels * taps, columns) of `rows` pairs of rows from `first` on."""
        line = self.tiling.images * self.tiling.width
        a, n = first * line, rows * line
        even, odd = self.windows
        d0, d2 = even[:, :, a : a + n], even[:, :, a + line : a + line + n]
        d1, d3 = odd[:, :, a : a + n], odd[:, :, a + line : a + line + n]
        cols = self.cols[..., :n]
        np.subtract(d0, d2, out=cols[0])
        np.add(d1, d2, out=cols[1])
        np.subtract(d2, d1, out=cols[2])
        np.subtract(d1, d3, out=cols[3])
        return cols.reshape(4, -1, n)


def _kernel_sums(w: Array) -> Array:
    """The factors of m0 ... m3, (4, K, C * taps)."""
    k, c, _, taps = w.shape
    sums = np.empty((4, k, c, taps), w.dtype)
    outer = (w[:, :, 0] + w[:, :, 2]) / 2
    half = w[:, :, 1] / 2
    sums[0], sums[1], sums[2], sums[3] = w[:, :, 0], outer + half, outer - half, w[:, :, 2]
    return sums.reshape(4, k, c * taps)


def correlate_rows(x: Array, w: Array, padding: Ints, bias: Array | None) -> Array:
    """y (N, K, *out) of x (N, C, H, W) and w (K, C, 3, taps), stride 1."""
    n, k = x.shape[0], w.shape[0]
    t = _tiling(x.shape, w.shape[2:], padding, x.itemsize)
    sums = _kernel_sums(w)
    y = np.empty((n, k, *t.out), x.dtype)
    shift = None if bias is None else bias.reshape(-1, 1, 1)

    units = t.units(n)

    def block(start: int, stop: int) -> None:
        source = _Rows(x, w.shape[2:], padding, t)
        room = np.empty((4, k, source.cols.shape[3]), x.dtype)
        for i, first in units[start:stop]:
            j, rows = min(i + t.images, n), min(t.rows, t.pairs - first)
            source.fill(i, j)
            cols = source.columns(first, rows)
            m = np.matmul(sums, cols, out=room[..., : cols.shape[2]])
            m[0] += m[1]
            m[0] += m[2]
            m[1] -= m[2]
            m[1] -= m[3]
            for odd in (0, 1):
                target = y[i:j, :, 2 * first + odd : 2 * (first + rows) : 2].transpose(1, 2, 0, 3)
                found = m[odd].reshape(k, rows, t.images, t.width)[:, : target.shape[1], : j - i, : t.out[1]]
                if shift is None:
                    target[...] = found
                else:
                    np.add(found, shift[:, None], out=target)

    with long_runs():
        over_images(block, len(units), 2 * y.size * sums.shape[2] * 2)
    return y


def weight_gradient_rows(g: Array, x: Array, kernel: Ints, padding: Ints) -> Array:
    """gw (K, C, 3, taps) from g (N, K, *out) and x (N, C, H, W), stride 1."""
    n, k = g.shape[:2]
    channels, taps = x.shape[1], kernel[1]
    t = _tiling(x.shape, kernel, padding, x.itemsize)
    units = t.units(n)
    partial: dict[int, Array] = {}

    def block(start: int, stop: int) -> None:
        source = _Rows(x, kernel, padding, t)
        total = np.zeros((4, channels * taps, k), x.dtype)
        room = np.empty_like(total)
        factors = np.zeros((4, k, t.rows, t.images, t.width), x.dtype)
        for i, first in units[start:stop]:
            j, rows = min(i + t.images, n), min(t.rows, t.pairs - first)
            source.fill(i, j)
            for odd in (0, 1):
                part = g[i:j, :, 2 * first + odd : 2 * (first + rows) : 2].transpose(1, 2, 0, 3)
                room_for = factors[3 * odd]
                if part.shape[1] < t.rows or j - i < t.images:
                    room_for[...] = 0
                room_for[:, : part.shape[1], : j - i, : t.out[1]] = part
            np.add(factors[0], factors[3], out=factors[1])
            np.subtract(factors[0], factors[3], out=factors[2])
            cols = source.columns(first, rows)
            np.matmul(cols, factors.reshape(4, k, -1)[:, :, : cols.shape[2]].mT, out=room)
            total += room
        partial[start] = total

    with long_runs():
        over_images(block, len(units), 4 * g.size * channels * taps)
    n0, n1, n2, n3 = sum(partial[start] for start in sorted(partial))  # in a fixed order: equal bits in each run
    n1, n2 = n1 / 2, n2 / 2
    rows = np.stack([n0 + n1 + n2, n1 - n2, n1 + n2 - n3]).reshape(3, channels, taps, k)
    return np.ascontiguousarray(rows.transpose(3, 1, 0, 2))
