"""Padding with values of the array itself: reflected at its border, its border repeated, or the array repeated.

y[o] = x[source(o - before)] along each dim;
reflect: |i|, and 2 (n - 1) - i from n on      replicate: i limited to [0, n)      circular: i modulo n
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ._gather import contiguous, memory_words
from ._launch import empty, kernel, launch
from ._op import Array, op
from ._strides import ITEM, assign
from ._threads import parallel
from .resample import Taps, resample

if TYPE_CHECKING:
    import triton.language as tl

Widths = tuple[tuple[int, int], ...]
_MODES = ("reflect", "replicate", "circular")


@kernel
def _source(i, n, first, kept, MODE: tl.constexpr):
    """Where the values at i come from, along a dim of n of which `kept` from `first` on are left by negative widths."""
    if MODE == 0:
        i = tl.abs(i)
        return tl.where(i >= n, 2 * (n - 1) - i, i)
    if MODE == 1:
        return tl.minimum(tl.maximum(i, 0), n - 1)
    i = (i - first) % kept  # of which the sign is i's
    return first + tl.where(i < 0, i + kept, i)


@kernel
def _pad_around(
    x_ptr, y_ptr, size, n0, n1, n2, out0, out1, out2, before0, before1, before2, first0, first1, first2, kept0, kept1,
    kept2, MODE: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """y (lead, out0, out1, out2) of x (lead, n0, n1, n2), contiguous, elements of WIDTH words.

    One program makes BLOCK of the `size` words of y; BLOCK is a power of 2.
    """
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    e = at // WIDTH
    c = _source(e % out2 - before2, n2, first2, kept2, MODE)
    e = e // out2
    b = _source(e % out1 - before1, n1, first1, kept1, MODE)
    e = e // out1
    a = _source(e % out0 - before0, n0, first0, kept0, MODE)
    of = ((e // out0 * n0 + a) * n1 + b) * n2 + c
    value = tl.load(x_ptr + of * WIDTH + at % WIDTH, mask=at < size, other=0)
    tl.store(y_ptr + at, value, mask=at < size)


@lru_cache(maxsize=256)
def taps(mode: str, n: int, before: int, after: int) -> Taps:
    """The padding of one dim as a resampling, for the derivative."""
    at = np.arange(-before, n + after)
    if mode == "reflect":
        at = np.abs(at)
        at = np.where(at >= n, 2 * (n - 1) - at, at)
    elif mode == "replicate":
        at = np.clip(at, 0, n - 1)
    else:  # what negative counts cut off is not wrapped around either
        first, m = max(-before, 0), n - max(-before, 0) - max(-after, 0)
        at = first + (at - first) % max(m, 1)
    return Taps(at[None], np.ones((1, at.size)), n)


@lru_cache(maxsize=256)
def _copies(mode: str, n: int, before: int, after: int) -> tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]]:
    """Along a padded dim, (border, where its values are) in pieces, for copies and for sums."""
    end = before + n
    if mode == "reflect":
        whole = [
            (slice(0, before), slice(2 * before, before, -1)),
            (slice(end, end + after), slice(end - 2, end - 2 - after if end - 2 >= after else None, -1)),
        ]
    elif mode == "replicate":
        whole = [(slice(0, before), slice(before, before + 1)), (slice(end, end + after), slice(end - 1, end))]
    else:
        whole = [(slice(0, before), slice(n, end)), (slice(end, end + after), slice(before, before + after))]
    whole = [(to, of) for to, of in whole if to.stop > to.start]
    if before + after > _FEW:
        return whole, whole
    total = np.arange(end + after)
    single = [
        (int(i), int(j))
        for to, of in whole
        for i, j in zip(total[to], np.broadcast_to(total[of], total[to].shape), strict=True)
    ]
    return single, single if mode != "replicate" else whole


_FEW = 16  # rows that are copied one by one: loops over rows are long, those within a border short
_BLOCK = 1 << 19  # elements whose borders are folded at a time, in a copy
_GRAIN = 1 << 19  # elements that are worth a thread


def _axes(y: Array, n_dims: int, items: bool = False) -> list[Array]:
    """A contiguous y (lead, n_dims dims) as (outer, n, inner) around each of the dims, without an inner of 1.

    `items`: short runs of inner elements as one item, which NumPy copies in half of the time.
    """
    found = []
    for d in range(1, n_dims + 1):
        outer, inner = prod(y.shape[:d]), prod(y.shape[d + 1 :])
        if inner == 1:
            found.append(y.reshape(outer, y.shape[d]))
        elif items and inner * y.itemsize <= ITEM:
            found.append(y.reshape(-1).view(np.dtype((np.void, inner * y.itemsize))).reshape(outer, y.shape[d]))
        else:
            found.append(y.reshape(outer, y.shape[d], inner))
    return found


def _split(shape: tuple[int, ...], widths: Widths) -> int:
    """The first dim that is padded."""
    return next((d for d, w in enumerate(widths) if w != (0, 0)), len(shape))


def _folded(g: Array, x_shape: tuple[int, ...], widths: Widths, mode: str) -> Array:
    """The transpose: g's borders added where their values came from."""
    d = _split(x_shape, widths)
    lead, sizes, pads = prod(x_shape[:d]), x_shape[d:], widths[d:]
    gx = np.empty((lead, *sizes), g.dtype)
    g = g.reshape(lead, *g.shape[d:])
    middle = tuple([slice(a, a + n) for n, (a, _) in zip(sizes, pads, strict=True)])
    each = prod(g.shape[1:])
    step = max(1, _BLOCK // each)

    def some(start: int, stop: int) -> None:
        for i in range(start, stop, step):
            j = min(i + step, stop)
            part = np.array(g[i:j], np.float32 if g.dtype.itemsize == 2 else None, order="C")
            for axis, n, (a, b) in zip(_axes(part, len(sizes)), sizes, pads, strict=True):
                for border, to in _copies(mode, n, a, b)[1]:
                    values = axis[:, border]
                    if mode == "replicate" and to.__class__ is slice:
                        values = np.add.reduce(values, 1, keepdims=True)
                    axis[:, to] += values
            assign(gx[i:j], part[(slice(None), *middle)])

    parallel(some, lead, max(1, _GRAIN // each))
    return gx.reshape(x_shape)


@op
class pad_around:
    """x with (before, after) more of its own elements per dim, at least one of them per padded dim; negative widths crop."""

    upcast = False

    def cpu(x: Array, widths: tuple[tuple[int, int], ...], mode: str) -> Array:
        if min(map(min, widths)) < 0:
            for d, (a, b) in enumerate(widths):
                if (a, b) != (0, 0):
                    x = resample.cpu(x, taps(mode, x.shape[d], a, b), d)
            return x
        d = _split(x.shape, widths)
        sizes, pads = x.shape[d:], widths[d:]
        lead = prod(x.shape[:d])
        y = np.empty((lead, *[n + a + b for n, (a, b) in zip(sizes, pads, strict=True)]), x.dtype)
        shape = (*x.shape[:d], *y.shape[1:])
        if not y.size:
            return y.reshape(shape)
        x = x.reshape(lead, *sizes)
        middle = tuple([slice(a, a + n) for n, (a, _) in zip(sizes, pads, strict=True)])

        def some(start: int, stop: int) -> None:
            part = y[start:stop]
            assign(part[(slice(None), *middle)], x[start:stop])
            # the last dim first; what is not there yet of the others is copied over
            for axis, n, (a, b) in reversed(list(zip(_axes(part, len(sizes), True), sizes, pads, strict=True))):
                for border, of in _copies(mode, n, a, b)[0]:
                    axis[:, border] = axis[:, of]

        parallel(some, lead, max(1, _GRAIN // prod(y.shape[1:])))
        return y.reshape(shape)

    def gpu(x: Array, widths: tuple[tuple[int, int], ...], mode: str) -> Array:
        y = empty(tuple([n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)]), x.dtype)
        if y.size:
            to, width = memory_words(y)
            source, _ = memory_words(contiguous(x))
            ones = (0,) * (3 - min(x.ndim, 3))
            pads = [*[(0, 0) for _ in ones], *widths[-3:]]
            n, out = (1,) * len(ones) + x.shape[-3:], (1,) * len(ones) + y.shape[-3:]
            first = [max(-a, 0) for a, _ in pads]
            kept = [max(m - f - max(-b, 0), 1) for m, f, (_, b) in zip(n, first, pads, strict=True)]
            launch(
                _pad_around, (-(-to.size // 256),), source, to, to.size, *n, *out, *[a for a, _ in pads], *first, *kept,
                MODE=_MODES.index(mode), WIDTH=width, BLOCK=256,
            )  # fmt: skip
        return y

    def grad(g, x_shape, widths, mode):
        for d in reversed(range(len(widths))):
            if widths[d] != (0, 0):
                g = resample(g, taps(mode, x_shape[d], *widths[d]).transposed, d)
        return g

    def cpu_grad(g, x_shape, widths, mode):
        if g.size and min(map(min, widths)) >= 0:
            return _folded(g, x_shape, widths, mode)
        half = g.dtype.itemsize == 2
        total = g.astype(np.float32) if half else g
        for d in reversed(range(len(widths))):
            if widths[d] != (0, 0):
                total = resample.cpu(total, taps(mode, x_shape[d], *widths[d]).transposed, d)
        return total.astype(g.dtype) if half else total

    def samples(rng):
        yield (rng.normal(size=(2, 4, 5)),), (((0, 0), (1, 2), (3, 0)), "reflect")
        yield (rng.normal(size=(2, 3, 2)),), (((0, 0), (0, 2), (3, 1)), "replicate")
        yield (rng.normal(size=(2, 4, 5)),), (((0, 0), (4, 1), (2, 3)), "circular")
        yield (rng.normal(size=(2, 4, 5)),), (((0, 0), (-1, 1), (2, -2)), "circular")

    def cost(x, widths, mode):
        return x.nbytes + prod(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)) * x.itemsize, 0


AOT = [
    (
        "pad_around fp32 16 x 64 x 128 x 128 by 2, reflected",
        lambda array: pad_around.gpu(array((16, 64, 128, 128)), ((0, 0), (0, 0), (2, 2), (2, 2)), "reflect"),
    ),
]
