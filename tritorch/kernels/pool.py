"""Pooling over 1 to 3 spatial dims: windows of `kernel` elements, `stride` apart.

    max_pool            y = the largest element of each window (NaN counts as the largest)
    max_pool_indices    where in the flat image it is; the first one of several, the last one of several NaN
    avg_pool            y = sum over the window / its size, and its adjoint avg_pool_grad
    max_unpool          the inverse of max_pool: zeros but at the indices

A window is separable: maxima and sums go dim by dim, over few images at a time so that the steps between stay in cache.
A tap of a window that lies in the padding is left out by the range of outputs that it serves, nothing is padded.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np

from . import _windows
from ._fold import sum_step
from ._indexed import read_along, write_along
from ._op import Array, op
from ._threads import parallel

Ints = tuple[int, ...]

_BLOCK = 1 << 18  # elements of the input worked on at a time


def pooled_size(size: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool) -> Ints:
    """Outputs per dim; with ceil_mode also windows that start in the input (or its left padding) but end beyond it."""
    out = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        m = (n + 2 * p - d * (k - 1) - 1 + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (m - 1) * s >= n + p:
            m -= 1
        out.append(m)
    return tuple(out)


@lru_cache(1024)
def _tap(n: int, m: int, r: int, s: int, p: int, d: int) -> tuple[slice, slice]:
    """Which outputs of m meet tap r inside of the n inputs, and those inputs."""
    shift = r * d - p
    first = max(0, -(shift // s)) if shift < 0 else 0
    last = min(m - 1, (n - 1 - shift) // s)
    if last < first:
        return slice(0, 0), slice(0, 0)
    return slice(first, last + 1), slice(first * s + shift, last * s + shift + 1, s)


def _taps(size: Ints, out: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints):
    """Per tap of the whole window: its position in the kernel, (..., outputs), (..., inputs)."""
    for tap in itertools.product(*map(range, kernel)):
        pairs = [_tap(*args) for args in zip(size, out, tap, stride, padding, dilation, strict=True)]
        yield tap, (..., *(a for a, _ in pairs)), (..., *(b for _, b in pairs))


def _gathered(inputs: tuple, outputs: slice, every: int) -> tuple[int, tuple]:
    """A tap's inputs in columns 0::every, 1::every, ...: which of these, and the place there."""
    if every == 1:
        return 0, inputs
    part, first = inputs[-1].start % every, inputs[-1].start // every
    return part, (*inputs[:-1], slice(first, first + outputs.stop - outputs.start))


def _combine(
    x: np.ndarray, axis: int, n_out: int, taps: list[tuple[slice, slice]], ufunc: np.ufunc, start
) -> np.ndarray:
    """One dim of a separable window: y[.., i, ..] = ufunc over the taps of x."""
    shape = (*x.shape[:axis], n_out, *x.shape[axis + 1 :])
    front = (slice(None),) * axis
    whole = [b for a, b in taps if a.stop - a.start == n_out]
    rest = [(a, b) for a, b in taps if a.stop - a.start not in (0, n_out)]
    if len(whole) >= 2:
        y = np.empty(shape, x.dtype)
        ufunc(x[(*front, whole[0])], x[(*front, whole[1])], out=y)
        whole = whole[2:]
    elif whole:
        y = x[(*front, whole.pop())].copy()
    else:
        y = np.full(shape, start, x.dtype)
    for b in whole:
        ufunc(y, x[(*front, b)], out=y)
    for a, b in rest:
        target = y[(*front, a)]
        ufunc(target, x[(*front, b)], out=target)
    return y


def _separable(
    x, out: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ufunc: np.ufunc, start
) -> np.ndarray:
    size = x.shape[2:]
    images = x.reshape(-1, *size)
    y = np.empty((len(images), *out), x.dtype)
    step = max(1, _BLOCK // max(math.prod(size), 1))
    taps = [
        [_tap(n, m, r, s, p, d) for r in range(k)]
        for n, m, k, s, p, d in zip(size, out, kernel, stride, padding, dilation, strict=True)
    ]

    def block(first: int, last: int) -> None:
        for i in range(first, last, step):
            part = images[i : min(i + step, last)]
            for axis, m in enumerate(out):  # the last dim, of short and strided rows, comes when there is least left
                part = _combine(part, axis + 1, m, taps[axis], ufunc, start)
            y[i : min(i + step, last)] = part

    parallel(block, len(images), -(-step // 2))
    return y.reshape(*x.shape[:2], *out)


def _lowest(dtype: np.dtype):
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _geometries():
    """x shape, (kernel, stride, padding, dilation, out)."""
    for x, k, s, p, d, ceil in [
        ((2, 3, 9), (3,), (2,), (1,), (1,), False),
        ((2, 2, 6, 8), (2, 2), (2, 2), (0, 0), (1, 1), False),
        ((1, 2, 7, 6), (3, 2), (2, 1), (1, 1), (1, 2), True),
        ((1, 1, 4, 5, 6), (2, 3, 2), (1, 2, 2), (0, 1, 0), (1, 1, 2), False),
    ]:
        yield x, (k, s, p, d, pooled_size(x[2:], k, s, p, d, ceil))


def distinct(rng, shape):
    """Values at least 0.05 apart, so that a finite difference changes no maximum."""
    n = math.prod(shape)
    return (rng.permutation(n) * 0.05 + rng.uniform(0, 0.01, n)).reshape(shape) - n * 0.025


@op
class max_pool:
    """The largest element of each window; the gradient goes to its place."""

    remake = True

    def cpu(x: Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints) -> Array:
        return _separable(x, out, kernel, stride, padding, dilation, np.maximum, _lowest(x.dtype))

    def gpu(x: Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints) -> Array:
        return _windows.pool("max_pool", "max", x, kernel, stride, padding, dilation, out)

    def grad(g, x, y, kernel, stride, padding, dilation, out):
        index = max_pool_indices(x.detach(), kernel, stride, padding, dilation, out)
        size = tuple(x.shape)
        flat = g.new_zeros((*size[:2], math.prod(size[2:])))
        return flat.scatter_add(2, index.flatten(2), g.flatten(2)).reshape(size)

    def cpu_grad(g, x, y, kernel, stride, padding, dilation, out):
        size = x.shape[2:]
        images, ys, gs = x.reshape(-1, *size), y.reshape(-1, *out), g.reshape(-1, *out)
        gx = np.zeros(images.shape, g.dtype)
        if not g.size:
            return gx.reshape(x.shape)
        if np.isnan(y.max()):
            index = max_pool_indices.cpu(x, kernel, stride, padding, dilation, out)
            return _scatter_add(g, index, size)
        alone = all(s >= (k - 1) * d + 1 for k, s, d in zip(kernel, stride, dilation, strict=True))
        every = 1 if alone else stride[-1]
        # windows that overlap: columns with the same remainder are gathered first, so that a tap's are neighbours
        taps = [(a, *_gathered(b, a[-1], every)) for _, a, b in _taps(size, out, kernel, stride, padding, dilation)]
        step = max(1, _BLOCK // max(math.prod(size), 1))
        integer = np.dtype(f"i{g.itemsize}")

        def block(first: int, last: int) -> None:
            for i in range(first, last, step):
                j = min(i + step, last)
                left = gs[i:j].copy()  # what has not found its place yet
                bits, best = left.view(integer), ys[i:j]
                parts = [np.ascontiguousarray(images[i:j, ..., c::every]) for c in range(every)]
                sums = [gx[i:j]] if every == 1 else [np.zeros(part.shape, g.dtype) for part in parts]
                for a, c, b in taps:
                    here = (parts[c][b] == best[a]).view(np.int8)
                    np.negative(here, out=here)  # -1, all bits set, where the maximum is: `&` and `^` on the bits
                    moved = here.astype(integer)  # are several times as fast as np.where and masked copies
                    np.bitwise_and(bits[a], moved, out=moved)
                    bits[a] ^= moved
                    if alone:
                        sums[c][b] = moved.view(g.dtype)
                    else:
                        sums[c][b] += moved.view(g.dtype)
                if every > 1:
                    for c, total in enumerate(sums):
                        gx[i:j, ..., c::every] = total

        parallel(block, len(images), -(-step // 2))
        return gx.reshape(x.shape)

    def gpu_grad(g, x, y, kernel, stride, padding, dilation, out):
        index = max_pool_indices.gpu(x, kernel, stride, padding, dilation, out)
        return _windows.pool_back("max_pool", "max", g, index, x.shape[2:], kernel, stride, padding, dilation)

    def samples(rng):
        for x, params in _geometries():
            yield (distinct(rng, x),), params

    def cost(x, kernel, stride, padding, dilation, out):
        y = x.shape[0] * x.shape[1] * math.prod(out)
        return x.nbytes + y * x.itemsize, y * math.prod(kernel)


@op
class max_pool_indices:
    """Where the largest element of each window is: int64 positions in the flat image."""

    def cpu(x: Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints) -> Array:
        size = x.shape[2:]
        y = max_pool.cpu(x, kernel, stride, padding, dilation, out)
        images, ys = x.reshape(-1, *size), y.reshape(-1, *out)
        index = np.empty(ys.shape, np.int64)
        taps = list(_taps(size, out, kernel, stride, padding, dilation))
        none = len(taps)
        small = np.uint8 if none < 256 else np.int64
        steps = [math.prod(size[i + 1 :]) for i in range(len(size))]
        shifts = [sum(r * d * n for r, d, n in zip(tap, dilation, steps, strict=True)) for tap, _, _ in taps]
        shifts = np.array([*shifts, 0])
        start = np.zeros((), np.int64)  # of each window, in the flat image
        for m, s, p, n in zip(out, stride, padding, steps, strict=True):
            start = start[..., None] + (np.arange(m) * s - p) * n
        nan = bool(x.dtype.kind == "f" and x.size and np.isnan(y.max()))
        step = max(1, _BLOCK // max(math.prod(size), 1))

        def block(first: int, last: int) -> None:
            for i in range(first, last, step):
                j = min(i + step, last)
                part, best = images[i:j], ys[i:j]
                found = np.full(best.shape, none, small)
                for t, (_, a, b) in enumerate(taps):  # the lowest tap that equals the maximum
                    here = (part[b] == best[a]).view(np.uint8)
                    code = np.multiply(here, small(none - t), dtype=small)
                    np.minimum(found[a], none - code, out=found[a])
                if nan:
                    for t, (_, a, b) in enumerate(taps):
                        np.copyto(found[a], t, where=np.isnan(part[b]))
                np.add(shifts[found], start, out=index[i:j])

        parallel(block, len(images), -(-step // 2))
        return index.reshape(y.shape)

    def gpu(x: Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints) -> Array:
        return _windows.pool("max_pool_indices", "argmax", x, kernel, stride, padding, dilation, out)

    def samples(rng):
        for x, params in _geometries():
            yield (distinct(rng, x),), params

    def cost(x, kernel, stride, padding, dilation, out):
        y = x.shape[0] * x.shape[1] * math.prod(out)
        return x.nbytes + 8 * y, y * math.prod(kernel)


def _scatter_add(g: np.ndarray, index: np.ndarray, size: Ints) -> np.ndarray:
    """gx[n, c, index] += g per image."""
    images = g.shape[0] * g.shape[1]
    n = math.prod(size)
    at = index.reshape(images, -1) + (np.arange(images) * n)[:, None]
    sums = np.bincount(at.ravel(), g.ravel(), images * n)
    return sums.astype(g.dtype).reshape(*g.shape[:2], *size)


@op
class max_unpool:
    """Zeros of spatial size `size`, but x[n, c, i] at the place index[n, c, i] of the flat image."""

    def cpu(x: Array, index: Array, size: Ints) -> Array:
        n, c = x.shape[:2]
        y = np.zeros((n, c, math.prod(size)), x.dtype)
        write_along(y, 2, index.reshape(n, c, -1), x.reshape(n, c, -1))
        return y.reshape(n, c, *size)

    def gpu(x: Array, index: Array, size: Ints) -> Array:
        return _windows.place(x, index, size)

    def grad(g, x_shape, index, size):
        return g.flatten(2).gather(2, index.flatten(2)).reshape(x_shape), None

    def cpu_grad(g, x_shape, index, size):
        n, c = x_shape[:2]
        return read_along(g.reshape(n, c, -1), 2, index.reshape(n, c, -1)).reshape(x_shape), None

    def gpu_grad(g, x_shape, index, size):
        return _windows.take(g, index, tuple(x_shape)), None

    def samples(rng):
        index = np.stack([rng.permutation(24)[:6] for _ in range(6)]).reshape(2, 3, 2, 3)
        yield (rng.normal(size=(2, 3, 2, 3)), index), ((4, 6),)
        yield (rng.normal(size=(1, 1, 4)), np.array([[[6, 0, 3, 1]]])), ((7,),)

    def cost(x, index, size):
        y = x.shape[0] * x.shape[1] * math.prod(size)
        return x.nbytes + index.nbytes + y * x.itemsize, 0


# ------------------------------------------------------------------------------------------------------- averages


@lru_cache(256)
def _divisors(size, kernel, stride, padding, out, include_pad: bool, divisor: int, dtype) -> np.ndarray | float:
    """What each window's sum is divided by: a number, or an array (*out) where windows differ."""
    if divisor:
        return divisor
    counts = []
    for n, k, s, p, m in zip(size, kernel, stride, padding, out, strict=True):
        start = np.arange(m) * s - p
        if include_pad:
            counts.append(np.minimum(start + k, n + p) - start)
        else:
            counts.append(np.minimum(start + k, n) - np.maximum(start, 0))
    if all((c == c[0]).all() for c in counts if len(c)):
        return math.prod(int(c[0]) if len(c) else 1 for c in counts)
    whole = counts[0]
    for c in counts[1:]:
        whole = whole[..., None] * c
    whole = whole.astype(dtype)
    whole.flags.writeable = False
    return whole


@op
class avg_pool:
    """Sum of each window over the number of its elements (with the padding if `include_pad`), or over `divisor`."""

    def cpu(x: Array, kernel: Ints, stride: Ints, padding: Ints, out: Ints, include_pad: bool, divisor: int) -> Array:
        if kernel == x.shape[2:] and not any(padding) and x.dtype.kind == "f" and x.size:
            y = sum_step(x.reshape(-1, math.prod(kernel), 1)).reshape(*x.shape[:2], *out)
        else:
            y = _separable(x, out, kernel, stride, padding, (1,) * len(kernel), np.add, 0)
        by = _divisors(x.shape[2:], kernel, stride, padding, out, include_pad, divisor, x.dtype)
        if x.dtype.kind != "f":
            return np.asarray(np.trunc(y / by)).astype(x.dtype)
        return np.divide(y, by, out=y)

    def gpu(x: Array, kernel: Ints, stride: Ints, padding: Ints, out: Ints, include_pad: bool, divisor: int) -> Array:
        kind = _windows.average_kind(include_pad, divisor)
        return _windows.pool("avg_pool", kind, x, kernel, stride, padding, (1,) * len(kernel), out, divisor)

    def grad(g, x_shape, kernel, stride, padding, out, include_pad, divisor):
        return avg_pool_grad(g, x_shape[2:], kernel, stride, padding, include_pad, divisor)

    def cpu_grad(g, x_shape, kernel, stride, padding, out, include_pad, divisor):
        return avg_pool_grad.cpu(g, x_shape[2:], kernel, stride, padding, include_pad, divisor)

    def samples(rng):
        for i, (x, (k, s, p, _, _)) in enumerate(_geometries()):
            out = pooled_size(x[2:], k, s, p, (1,) * len(k), i % 2 == 0)
            yield (rng.normal(size=x),), (k, s, p, out, i % 2 == 1, 0 if i < 3 else 5)

    def cost(x, kernel, stride, padding, out, include_pad, divisor):
        y = x.shape[0] * x.shape[1] * math.prod(out)
        return x.nbytes + y * x.itemsize, y * math.prod(kernel)


@op
class avg_pool_grad:
    """The adjoint of `avg_pool`: each g / divisor goes to all elements of its window; `size` is the input's."""

    def cpu(g: Array, size: Ints, kernel: Ints, stride: Ints, padding: Ints, include_pad: bool, divisor: int) -> Array:
        out = g.shape[2:]
        by = _divisors(size, kernel, stride, padding, out, include_pad, divisor, g.dtype)
        gs = g.reshape(-1, *out)
        gx = np.empty((len(gs), *size), g.dtype)
        step = max(1, _BLOCK // max(math.prod(size), 1))

        def block(first: int, last: int) -> None:
            for i in range(first, last, step):
                part = gs[i : min(i + step, last)] / by
                part = part.astype(g.dtype, copy=False)
                for axis in range(len(size) - 1, -1, -1):
                    part = _spread(part, axis + 1, size[axis], kernel[axis], stride[axis], padding[axis])
                gx[i : i + step] = part

        parallel(block, len(gs), step)
        return gx.reshape(*g.shape[:2], *size)

    def gpu(g: Array, size: Ints, kernel: Ints, stride: Ints, padding: Ints, include_pad: bool, divisor: int) -> Array:
        kind = _windows.average_kind(include_pad, divisor)
        ones = (1,) * len(kernel)
        return _windows.pool_back("avg_pool_grad", kind, g, None, size, kernel, stride, padding, ones, divisor)

    def grad(u, g_shape, size, kernel, stride, padding, include_pad, divisor):
        return avg_pool(u, kernel, stride, padding, g_shape[2:], include_pad, divisor)

    def cpu_grad(u, g_shape, size, kernel, stride, padding, include_pad, divisor):
        return avg_pool.cpu(u, kernel, stride, padding, g_shape[2:], include_pad, divisor)

    def samples(rng):
        for i, (x, (k, s, p, _, _)) in enumerate(_geometries()):
            out = pooled_size(x[2:], k, s, p, (1,) * len(k), i % 2 == 0)
            yield (rng.normal(size=(*x[:2], *out)),), (x[2:], k, s, p, i % 2 == 1, 0 if i < 3 else 5)

    def cost(g, size, kernel, stride, padding, include_pad, divisor):
        y = g.shape[0] * g.shape[1] * math.prod(size)
        return g.nbytes + y * g.itemsize, g.size * math.prod(kernel)


def _spread(g: np.ndarray, axis: int, n: int, k: int, s: int, p: int) -> np.ndarray:
    """The adjoint of one dim of a sum over windows."""
    m = g.shape[axis]
    front = (slice(None),) * axis
    y = np.zeros((*g.shape[:axis], n, *g.shape[axis + 1 :]), g.dtype)
    for r in range(k):
        a, b = _tap(n, m, r, s, p, 1)
        if s >= k:
            y[(*front, b)] = g[(*front, a)]
        else:
            y[(*front, b)] += g[(*front, a)]
    return y
