"""Sampling an image at the points of a grid (arXiv 1506.02025):

    y[n, c, p] = sum_k w_k(grid[n, p]) x[n, c, place_k(grid[n, p])]

Along each dim a point has one (nearest), two (bilinear) or four (bicubic) neighbours with weights; k runs over the
product of the dims. A neighbour outside counts 0 with the padding "zeros"; the other paddings bring it back inside.
Places and weights are the same for all channels: they are computed once per point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._fold import contiguous
from ._launch import empty, kernel, launch
from ._op import Array, op
from ._rows import GRAIN
from ._select import where as select
from ._strides import dense
from ._threads import parallel
from .copy import stack, where
from .index import gather, scatter_add

if TYPE_CHECKING:
    import triton.language as tl

_MODES = ("nearest", "bilinear", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")
_A = -0.75  # of Keys' cubic convolution
_BLOCK = 1 << 18  # elements at a time, with places and weights for the points among them
_LONG = 1 << 13  # points from which a call per channel costs less than the places of all channels


# ----------------------------------------------------------------------------------------------------- the kernel


@kernel
def _reflect(at, low, span):
    """Coordinates folded into [low, low + span]."""
    at = tl.abs(at - low)
    turns = tl.floor(at / span)
    extra = at - turns * span
    return tl.where(turns - 2 * tl.floor(turns / 2) == 0, extra, span - extra) + low


@kernel
def _inside(at, n, PADDING: tl.constexpr, ALIGN: tl.constexpr):
    """Coordinates brought into an image of n pixels by the padding."""
    if PADDING == 2:
        if ALIGN:
            at = tl.where(n > 1, _reflect(at, 0, tl.maximum(n - 1, 1)), at * 0)
        else:
            at = _reflect(at, -0.5, n)
    if PADDING != 0:
        at = tl.where(at > 0, at, at * 0)
        at = tl.where(at < n - 1, at, at * 0 + (n - 1))
    return at


@kernel
def _position(u, n, MODE: tl.constexpr, PADDING: tl.constexpr, ALIGN: tl.constexpr):
    """A coordinate of the grid in pixels."""
    at = (u + 1) * ((n - 1) * 0.5) if ALIGN else ((u + 1) * n - 1) * 0.5
    if MODE == 2:  # whose neighbours are brought inside, not the point
        return at
    return _inside(at, n, PADDING, ALIGN)


@kernel
def _first(at, MODE: tl.constexpr):
    """The first neighbour but one (bicubic), the first (bilinear), the only (nearest)."""
    low = tl.floor(at)
    if MODE == 0:  # ties to even
        part = at - low
        odd = low - 2 * tl.floor(low * 0.5)
        low = low + tl.where((part > 0.5) | ((part == 0.5) & (odd != 0)), 1, 0)
    return low


@kernel
def _weight(t, k, MODE: tl.constexpr):
    """The weight of neighbour k for a point at t behind the first one (bicubic: the first but one)."""
    if MODE == 0:
        return t * 0 + 1
    if MODE == 1:
        return tl.where(k == 1, t, 1 - t)
    d = tl.abs(t + 1 - k)
    near = (1.25 * d - 2.25) * d * d + 1
    far = ((-0.75 * d + 3.75) * d - 6) * d + 3
    return tl.where((k == 1) | (k == 2), near, far)


@kernel
def _neighbour(low, t, k, n, MODE: tl.constexpr, PADDING: tl.constexpr, ALIGN: tl.constexpr):
    """Index, weight of neighbour k, and whether it counts."""
    at = low + k - (1 if MODE == 2 else 0)
    if MODE == 2:
        at = _inside(at, n, PADDING, ALIGN)
    valid = (at >= 0) & (at < n)
    return tl.where(valid, at, 0).to(tl.int64), _weight(t, k, MODE), valid


@kernel
def _grid_sample(
    x_ptr, grid_ptr, y_ptr, n_points, per_image, channels, depth, height, width, DIMS: tl.constexpr, MODE: tl.constexpr,
    PADDING: tl.constexpr, ALIGN: tl.constexpr, F64: tl.constexpr, CHANNELS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """y (N, C, per_image) of x (N, C, depth, height, width) at grid (N, per_image, DIMS), contiguous; depth 1 for DIMS 2.

    Program (i, j) makes BLOCK of all n_points = N * per_image points in CHANNELS channels from the j-th CHANNELS on;
    BLOCK is a power of 2.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    TAPS: tl.constexpr = 4 if MODE == 2 else MODE + 1
    point = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = point < n_points
    image = point // per_image
    first = tl.program_id(1) * CHANNELS
    size = depth * height * width
    x_at = (image * channels + first) * size
    y_at = (image * channels + first) * per_image + point % per_image
    x = _position(tl.load(grid_ptr + point * DIMS, mask=inside, other=0).to(ACC), width, MODE, PADDING, ALIGN)
    y = _position(tl.load(grid_ptr + point * DIMS + 1, mask=inside, other=0).to(ACC), height, MODE, PADDING, ALIGN)
    x_low = _first(x, MODE)
    y_low = _first(y, MODE)
    z = x * 0
    if DIMS == 3:
        z = _position(tl.load(grid_ptr + point * DIMS + 2, mask=inside, other=0).to(ACC), depth, MODE, PADDING, ALIGN)
    z_low = _first(z, MODE)
    for c in range(0, CHANNELS):
        here = inside & (first + c < channels)
        acc = tl.zeros((BLOCK,), ACC)
        for k in range(0, TAPS if DIMS == 3 else 1):
            plane = tl.zeros((BLOCK,), tl.int64)
            plane_weight = tl.zeros((BLOCK,), ACC) + 1
            plane_valid = here
            if DIMS == 3:
                plane, plane_weight, valid = _neighbour(z_low, z - z_low, k, depth, MODE, PADDING, ALIGN)
                plane_valid = here & valid
            for i in range(0, TAPS):
                row, row_weight, row_valid = _neighbour(y_low, y - y_low, i, height, MODE, PADDING, ALIGN)
                for j in range(0, TAPS):
                    column, weight, valid = _neighbour(x_low, x - x_low, j, width, MODE, PADDING, ALIGN)
                    at = x_at + c * size + (plane * height + row) * width + column
                    value = tl.load(x_ptr + at, mask=plane_valid & row_valid & valid, other=0).to(ACC)
                    acc += value * (plane_weight * row_weight * weight)
        tl.store(y_ptr + y_at + c * per_image, acc.to(y_ptr.dtype.element_ty), mask=here)


# -------------------------------------------------------------------------------------------------------- the CPU


class _Neighbour(NamedTuple):
    """A neighbour of each point along one dim."""

    index: Array  # in [0, n)
    weight: Array | None  # 0 where it does not count; None: 1
    slope: Array | None  # of the weight by the coordinate; None: 0
    valid: Array | None  # does it count; None: always


def _folded(at: Array, low: float, span: float) -> tuple[Array, Array]:
    """Coordinates reflected into [low, low + span], and the sign that this gives their derivative."""
    if span <= 0:
        return at * 0, at * 0
    away = at - low
    sign = 1 - 2 * (away < 0).astype(at.dtype)
    away *= sign
    turns = np.floor(away / span)
    away -= turns * span
    turns -= 2 * np.floor(turns * 0.5)  # 1 where it runs backwards
    sign *= 1 - 2 * turns
    return select(turns != 0, span - away, away) + low, sign


def _brought_inside(at: Array, n: int, padding: str, align: bool) -> tuple[Array, Array | None]:
    """Coordinates within the image, and their derivative (None: 1)."""
    if padding == "zeros":
        return at, None
    if padding == "border":
        factor = ((at > 0) & (at < n - 1)).astype(at.dtype)
    else:
        at, factor = _folded(at, 0, n - 1) if align else _folded(at, -0.5, n)
        factor *= (at > 0) & (at < n - 1)
    return np.clip(at, 0, n - 1), factor


def _cubic(t: Array) -> tuple[list[Array], list[Array]]:
    """Weights of the four neighbours of points at t behind the second, and their derivatives."""
    weights, slopes = [], []
    for d, sign, near in ((t + 1, 1, False), (t, 1, True), (1 - t, -1, True), (2 - t, -1, False)):
        if near:
            weights.append(((_A + 2) * d - (_A + 3)) * d * d + 1)
            slopes.append(sign * (3 * (_A + 2) * d - 2 * (_A + 3)) * d)
        else:
            weights.append(((_A * d - 5 * _A) * d + 8 * _A) * d - 4 * _A)
            slopes.append(sign * ((3 * _A * d - 10 * _A) * d + 8 * _A))
    return weights, slopes


def _neighbours(
    u: Array, n: int, mode: str, padding: str, align: bool, slopes: bool
) -> tuple[list[_Neighbour], Array | float]:
    """The neighbours along a dim of n pixels of points at u in [-1, 1], and the derivative of their coordinate by u."""
    at = u + 1
    scale = (n - 1) / 2 if align else n / 2
    if align:
        at *= scale
    else:
        at *= n
        at -= 1
        at *= 0.5
    factor: Array | float = scale
    if mode != "bicubic":  # whose neighbours are brought inside, not the point
        at, inner = _brought_inside(at, n, padding, align)
        factor = scale if inner is None else inner * scale
    if mode == "nearest":
        return [_counted(np.rint(at), 0, None, None, n, padding)], 0.0
    low = np.floor(at)
    t = at - low
    if mode == "bilinear":
        weights: list[Array] = [1 - t, t]
        steep: list[Any] = [t.dtype.type(-1), t.dtype.type(1)]
        return [_counted(low, k, weights[k], steep[k] if slopes else None, n, padding) for k in range(2)], factor
    weights, steep = _cubic(t)
    found = []
    for k in range(4):
        at = _brought_inside(low + (k - 1), n, padding, align)[0]
        found.append(_counted(at, 0, weights[k], steep[k] if slopes else None, n, padding))
    return found, factor


def _counted(low: Array, k: int, weight: Array | None, slope: Any, n: int, padding: str) -> _Neighbour:
    """The neighbour at low + k, with no weight where it is outside of the n pixels."""
    # whole numbers of 32 bits are made and limited in a third of the time; what does not fit becomes negative
    at = low.astype(np.int32 if n < 1 << 30 else np.int64)
    if k:
        at += k
    index = np.clip(at, 0, n - 1)
    if padding != "zeros":
        return _Neighbour(index, weight, slope, None)
    valid = index == at
    weight = valid.astype(low.dtype) if weight is None else np.multiply(weight, valid)
    return _Neighbour(index, weight, None if slope is None else slope * valid.astype(low.dtype), valid)


class _Tap(NamedTuple):
    """One of the products of neighbours: its places in an image, its weight, its neighbours."""

    place: Array
    weight: Array | None
    parts: tuple[_Neighbour, ...]

    def outside(self) -> Array:
        """The points for which it does not count; for the padding "zeros"."""
        return ~np.logical_and.reduce([p.valid for p in self.parts])


def _taps(lines: list[list[_Neighbour]], sizes: tuple[int, ...]) -> Iterator[_Tap]:
    """The products of the dims' neighbours, one after the other: all at once would not stay in cache."""
    wide = prod(sizes) >= 1 << 31

    def from_dim(d: int, front: Any, weight: Any, parts: tuple[_Neighbour, ...]) -> Iterator[_Tap]:
        if d == len(lines):
            yield _Tap(front.astype(np.intp), weight, parts)
            return
        before = None if front is None else front * sizes[d]
        for p in lines[d]:
            place = before + p.index if before is not None else p.index.astype(np.int64) if wide else p.index
            both = p.weight if weight is None else weight if p.weight is None else weight * p.weight
            yield from from_dim(d + 1, place, both, (*parts, p))

    return from_dim(0, None, None, ())


def _over_points(fn: Callable[[int, int, int, int], None], n: int, points: int, channels: int, shared: bool) -> None:
    """`fn(image, stop, first, last)` for blocks: the points from first to last of the images from image to stop.

    Blocks are whole images or parts of one; `shared`: the parts of an image are one thread's.
    """
    each = points * channels
    pairs = max(1, -(-n * each // (2 * _BLOCK)))  # an even number of blocks of at most so many elements
    images = max(1, -(-n // (2 * pairs))) if n * each >= GRAIN else n
    pieces = -(-each // _BLOCK) if images == 1 else 1
    step = -(-points // pieces)
    groups = -(-n // images)

    def some(start: int, stop: int) -> None:
        with np.errstate(all="ignore"):
            for k in range(start, stop):
                i = (k if shared else k // pieces) * images
                for b in range(pieces) if shared else (k % pieces,):
                    fn(i, min(i + images, n), b * step, min((b + 1) * step, points))

    items = groups if shared else groups * pieces
    parallel(some, items, max(1, GRAIN // 2 * items // (n * each)))


@op
class grid_sample:
    """x (N, C, *sizes) at grid (N, *out, dims), whose last dim holds x, y, (z) from -1 to 1: (N, C, *out)."""

    def cpu(x: Array, grid: Array, mode: str, padding: str, align: bool) -> Array:
        n, c, *sizes = x.shape
        dims = len(sizes)
        y = np.empty((n, c, prod(grid.shape[1:-1])), x.dtype)
        images = (x if x.flags.c_contiguous else dense(x)).reshape(n, c, prod(sizes))
        points = grid.reshape(n, y.shape[2], dims)

        def block(i: int, j: int, first: int, last: int) -> None:
            part, out = points[i:j, first:last], y[i:j, :, first:last]
            lines = [
                _neighbours(part[..., dims - 1 - d], size, mode, padding, align, False)[0]
                for d, size in enumerate(sizes)
            ]
            total = out if last - first == y.shape[2] else np.empty(out.shape, y.dtype)
            _summed(images[i:j], _taps(lines, tuple(sizes)), total, False)
            if padding == "zeros" and not np.isfinite(total).all():  # 0 times infinity, maybe
                _summed(images[i:j], _taps(lines, tuple(sizes)), total, True)
            if total is not out:
                out[...] = total

        if y.size:
            _over_points(block, n, y.shape[2], c, False)
        return y.reshape(n, c, *grid.shape[1:-1])

    def gpu(x: Array, grid: Array, mode: str, padding: str, align: bool) -> Array:
        n, c, *sizes = x.shape
        out = grid.shape[1:-1]
        y = empty((n, c, *out), x.dtype)
        if y.size:
            points, channels = n * prod(out), min(c, 8)
            launch(
                _grid_sample, (-(-points // 256), -(-c // channels)), contiguous(x), contiguous(grid), y, points,
                prod(out), c, *([1, *sizes] if len(sizes) == 2 else sizes),
                DIMS=len(sizes), MODE=_MODES.index(mode), PADDING=_PADDINGS.index(padding), ALIGN=align,
                F64=x.dtype.itemsize == 8, CHANNELS=channels, BLOCK=256,
            )  # fmt: skip
        return y

    def grad(g, x, grid, mode, padding, align, needs):
        (n, c), sizes = x.shape[:2], tuple(x.shape[2:])
        dims = len(sizes)
        g, images, points = g.reshape((n, c, -1)), x.reshape((n, c, -1)), grid.reshape((n, -1, dims))
        lines = [_tensor_line(points.select(2, dims - 1 - d), s, mode, padding, align) for d, s in enumerate(sizes)]
        gx = g.new_zeros(images.shape) if needs[0] else None
        ggrid: list[Any] = [0] * dims
        for parts in product(*[line for line, _ in lines]):
            place, valid, weights = 0, None, [w for _, _, w, _ in parts]
            for size, (index, counts, _, _) in zip(sizes, parts, strict=True):
                place = place * size + index
                valid = counts if valid is None else valid & counts
            place = place.unsqueeze(1).expand(g.shape)
            outside = (~valid).unsqueeze(1)
            if gx is not None:
                gx = scatter_add(gx, (g * _tensor_product(weights).unsqueeze(1)).masked_fill(outside, 0.0), 2, place._a)
            if needs[1] and mode != "nearest":
                along = (g * gather(images, 2, place._a).masked_fill(outside, 0.0)).sum(1)
                for d, (_, _, _, slope) in enumerate(parts):
                    ggrid[d] = ggrid[d] + along * _tensor_product([*weights[:d], slope, *weights[d + 1 :]])
        if not needs[1]:
            return gx.reshape(x.shape), None
        if mode == "nearest":
            to_grid = grid.new_zeros(grid.shape)
        else:
            columns = [total * factor for total, (_, factor) in zip(ggrid, lines, strict=True)]
            to_grid = stack(columns[::-1], 2).reshape(grid.shape)
        return None if gx is None else gx.reshape(x.shape), to_grid

    def cpu_grad(g, x, grid, mode, padding, align, needs):
        n, c, *sizes = x.shape
        dims = len(sizes)
        g3 = (g if g.flags.c_contiguous else dense(g)).reshape(n, c, prod(grid.shape[1:-1]))
        images = (x if x.flags.c_contiguous else dense(x)).reshape(n, c, prod(sizes))
        points = grid.reshape(n, g3.shape[2], dims)
        to_x = np.zeros(images.shape, x.dtype) if needs[0] else None
        to_grid = np.zeros(points.shape, x.dtype) if needs[1] else None
        exact = padding == "zeros" and not (np.isfinite(images).all() and np.isfinite(g3).all())
        slopes = needs[1] and mode != "nearest"

        def block(i: int, j: int, first: int, last: int) -> None:
            part, gs = points[i:j, first:last], g3[i:j, :, first:last]
            found = [
                _neighbours(part[..., dims - 1 - d], size, mode, padding, align, slopes) for d, size in enumerate(sizes)
            ]
            values = np.empty(gs.shape, gs.dtype)
            totals: list[Any] = [0] * dims
            for tap in _taps([line for line, _ in found], tuple(sizes)):
                outside = tap.outside() if exact else None
                if to_x is not None:
                    _scatter(to_x[i:j], tap, gs, values, outside)
                if slopes:
                    _take(images[i:j], tap.place, values)
                    along = np.einsum("ncp,ncp->np", values, gs)
                    if outside is not None:
                        along[outside] = 0
                    for d, own in enumerate(tap.parts):
                        term = along * own.slope
                        for e, other in enumerate(tap.parts):
                            if e != d:
                                term *= other.weight
                        totals[d] = totals[d] + term
            if to_grid is not None and slopes:
                for d, (total, (_, factor)) in enumerate(zip(totals, found, strict=True)):
                    np.multiply(total, factor, out=to_grid[i:j, first:last, dims - 1 - d])

        if g3.size:
            _over_points(block, n, g3.shape[2], c, True)
        return (
            None if to_x is None else to_x.reshape(x.shape),
            None if to_grid is None else to_grid.reshape(grid.shape),
        )

    def samples(rng):
        steps = np.linspace(-0.93, 0.88, 12).reshape(1, 2, 3, 2)
        grid = np.concatenate([steps, steps[:, ::-1] * 1.7])
        yield (rng.normal(size=(2, 3, 5, 4)), grid), ("bilinear", "zeros", False)
        yield (rng.normal(size=(2, 2, 5, 4)), grid), ("bilinear", "reflection", True)
        yield (rng.normal(size=(2, 2, 5, 4)), grid), ("bicubic", "border", False)
        yield (rng.normal(size=(2, 1, 3, 4, 5)), rng.uniform(-0.9, 0.9, (2, 2, 1, 2, 3))), ("bilinear", "border", True)

    def cost(x, grid, mode, padding, align):
        points = prod(grid.shape[1:-1])
        taps = {"nearest": 1, "bilinear": 2, "bicubic": 4}[mode] ** (x.ndim - 2)
        y = x.shape[0] * x.shape[1] * points
        return x.nbytes + grid.nbytes + y * x.itemsize, 2 * taps * y


def _take(images: Array, places: Array, out: Array) -> None:
    """out (N, C, P) = images (N, C, S) at places (N, P)."""
    for image, place, to in zip(images, places, out, strict=True):
        np.take(image, place, 1, to, "wrap")  # the fastest of its modes; all places are in range


def _summed(images: Array, taps: Iterator[_Tap], total: Array, exact: bool) -> None:
    """total (N, C, P) = the weighted sum of images (N, C, S) at the taps; `exact`: what does not count is not
    multiplied by 0."""
    values = total
    for tap in taps:
        _take(images, tap.place, values)
        if exact:
            np.copyto(values, 0, where=tap.outside()[:, None])
        if tap.weight is not None:
            values *= tap.weight[:, None]
        if values is not total:
            total += values
        else:
            values = np.empty(total.shape, total.dtype)


def _scatter(to: Array, tap: _Tap, g: Array, values: Array, outside: Array | None) -> None:
    """Add weight times g (N, C, P) to `to` (N, C, S) at the places of the tap; `values` is for the work."""
    if tap.weight is None:
        values[...] = g
    else:
        np.multiply(g, tap.weight[:, None], out=values)
    if outside is not None:
        np.copyto(values, 0, where=outside[:, None])
    n, c, size = to.shape
    if g.shape[2] >= _LONG:
        for image, place, some in zip(to, tap.place, values, strict=True):
            for row, v in zip(image, some, strict=True):
                np.add.at(row, place, v)
    else:
        places = tap.place[:, None] + np.arange(0, n * c * size, size).reshape(n, c, 1)
        np.add.at(to.reshape(-1), places.reshape(-1), values.reshape(-1))


# --------------------------------------------------------------------------------------------- the rule on Tensors


def _tensor_product(factors: list[Any]) -> Any:
    total = factors[0]
    for f in factors[1:]:
        total = total * f
    return total


def _tensor_inside(at: Any, n: int, padding: str, align: bool) -> tuple[Any, Any]:
    """Coordinates within the image, and their derivative, in which they are constant."""
    if padding == "zeros":
        return at, 1.0
    factor: Any = 1.0
    if padding == "reflection":
        low, span = (0.0, n - 1.0) if align else (-0.5, float(n))
        if span <= 0:
            return at * 0, 0.0
        away = at - low
        sign = (away.detach() >= 0).to(at.dtype) * 2 - 1
        away = away * sign
        turns = (away.detach() / span).floor()
        even = turns % 2 == 0
        extra = away - turns * span
        at = where(even, extra, span - extra) + low
        factor = where(even, sign, -sign)
    still = at.detach()
    return at.clamp(0, n - 1), factor * ((still > 0) & (still < n - 1)).to(at.dtype)


def _tensor_line(u: Any, n: int, mode: str, padding: str, align: bool) -> tuple[list[tuple[Any, Any, Any, Any]], Any]:
    """Along one dim: (index, does it count, weight, slope) of each neighbour, and the coordinate's derivative by u."""
    scale = (n - 1) / 2 if align else n / 2
    at = (u + 1) * scale if align else ((u + 1) * n - 1) / 2
    factor = 1.0
    if mode != "bicubic":
        at, factor = _tensor_inside(at, n, padding, align)
    if mode == "nearest":
        near = at.detach().round()
        return [(*_tensor_counted(near, n), u.new_ones(u.shape), u.new_zeros(()))], 0.0
    low = at.detach().floor()
    t = at - low
    if mode == "bilinear":
        one = u.new_ones(())
        weights, slopes, indices = [1 - t, t], [-one, one], [low, low + 1]
    else:
        weights, slopes = _cubic(t)
        indices = [_tensor_inside(low + (k - 1), n, padding, align)[0] for k in range(4)]
    line = [(*_tensor_counted(i, n), w, s) for i, w, s in zip(indices, weights, slopes, strict=True)]
    return line, factor * scale


def _tensor_counted(at: Any, n: int) -> tuple[Any, Any]:
    return at.clamp(0, n - 1).long(), (at >= 0) & (at < n)


AOT = [
    (
        "grid_sample fp32 8 x 64 x 128 x 128",
        lambda array: grid_sample.gpu(array((8, 64, 128, 128)), array((8, 128, 128, 2)), "bilinear", "zeros", False),
    ),
]
