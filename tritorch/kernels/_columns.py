"""Convolution on NumPy arrays through columns that stay in cache.

The zero-padded image is kept as one flat row per channel (the frame); the zeros before a row are also those behind the
row above. One tap of the kernel, for all outputs at once, is then a single contiguous piece of that row, at an offset:
the columns are a few long copies, the convolution a stack of products with tiles of columns, and the outputs come out in
rows as long as the frame's, cropped at the end. A stride splits the input into its residue classes (phases), each a
frame of its own, so that the taps stay contiguous; the input gradient of a strided convolution has residue classes on
the other side: each class of input pixels meets its own taps of the kernel. Both directions are the same `Plan`, run by
`correlate`; `weight_gradient` is the transposed product with the same columns.

Where a convolution has few output channels, the taps of the last dim are not made columns: the product has a row for
each of them, and its rows are added up, each shifted by its tap (`_task`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ._blas import single_enter, single_exit
from ._threads import get_num_threads, parallel

COLUMN_BYTES = 1 << 21  # columns made at a time: they must survive in the second-level cache until the product
MIN_COLUMNS = 256  # fewer make a product too narrow for the BLAS
UNPACKED = 1_000_000
"""m n k up to which OpenBLAS multiplies without packing (with AVX-512): thin factors gain twice from it."""

THREAD_FLOPS = 2_000_000  # are worth a thread
CUT_FLOPS = 100_000_000  # are worth cutting an image for the threads, each of which then makes frames of the whole one

LOCKED = 512
"""NumPy's products and dot products keep the interpreter's lock where they have up to 500 results, however long."""


class OutputClass(NamedTuple):
    """Outputs that meet the same taps, and where they lie."""

    taps: tuple[tuple[int, ...], ...]  # positions in the kernel
    phases: tuple[int, ...]  # per tap: which frame of the source
    offsets: tuple[int, ...]  # per tap: where its columns start in the flat frame
    place: tuple[slice, ...]  # where the results go, over the spatial dims
    counts: tuple[int, ...]  # how many there are per spatial dim


class Plan(NamedTuple):
    """A convolution as frames, taps and crops; made once per geometry."""

    frame: tuple[int, ...]  # spatial shape of a frame
    length: int  # elements of a flat frame with the margin that the last taps read
    phases: tuple[
        tuple[tuple[slice, ...], tuple[slice, ...]], ...
    ]  # per phase: place in the frame, place in the source
    classes: tuple[OutputClass, ...]


def _flat_strides(frame: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(frame[i + 1 :]) for i in range(len(frame)))


def output_size(size, kernel, stride, padding, dilation) -> tuple[int, ...]:
    """floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1 per dim."""
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )


def _shared(frame: tuple[int, ...], counts: tuple[int, ...], phases) -> tuple[int, ...]:
    """The frame with narrower rows, where the zeros before a row serve the row above as the zeros behind it."""
    if len(frame) == 1:
        return frame
    spare = [frame[-1] - counts[-1]]
    for inside, _ in phases:
        first, last = inside[-1].start, inside[-1].stop
        spare.append(min(first, frame[-1] - last))
    return (*frame[:-1], frame[-1] - max(0, min(spare)))


@lru_cache(512)
def forward_plan(size, kernel, stride, padding, dilation) -> Plan:
    """Source: the input, one frame per residue class of the stride. One class of outputs."""
    out = output_size(size, kernel, stride, padding, dilation)
    dims = range(len(size))
    shift = tuple((kernel[i] - 1) * dilation[i] // stride[i] for i in dims)
    frame = tuple(out[i] + shift[i] for i in dims)
    taps = tuple(itertools.product(*(range(k) for k in kernel)))
    residues = [tuple(t[i] * dilation[i] % stride[i] for i in dims) for t in taps]
    used = tuple(dict.fromkeys(residues))
    phases = []
    for residue in used:
        inside, source = [], []
        for i in dims:
            first = max(0, -((residue[i] - padding[i]) // stride[i]))  # the first frame index that is not padding
            start = residue[i] + first * stride[i] - padding[i]
            count = max(0, min(frame[i] - first, -((start - size[i]) // stride[i])))
            inside.append(slice(first, first + count))
            source.append(slice(start, start + (count - 1) * stride[i] + 1, stride[i]) if count else slice(0, 0))
        phases.append((tuple(inside), tuple(source)))
    frame = _shared(frame, out, phases)
    strides = _flat_strides(frame)
    offsets = tuple(sum(t[i] * dilation[i] // stride[i] * strides[i] for i in dims) for t in taps)
    place = tuple(slice(0, n) for n in out)
    outputs = OutputClass(taps, tuple(used.index(r) for r in residues), offsets, place, out)
    return Plan(frame, max(offsets) + out[0] * strides[0], tuple(phases), (outputs,))


def _meetings(a: int, kernel: int, stride: int, padding: int, dilation: int) -> list[tuple[int, int]]:
    """(tap, shift of the output) for the taps that the pixels of residue `a` meet."""
    reach = [(r, a + padding - r * dilation) for r in range(kernel)]
    return [(r, d // stride) for r, d in reach if d % stride == 0]


@lru_cache(512)
def input_plan(size, grad_size, kernel, stride, padding, dilation) -> Plan:
    """Source: the gradient of the output, one frame. One class of input pixels per residue of the stride."""
    dims = range(len(size))
    # pixel a + stride i meets tap r at output i + (a + padding - r dilation) / stride, where that is whole
    matches = [
        [_meetings(a, kernel[i], stride[i], padding[i], dilation[i]) for a in range(min(stride[i], size[i]))]
        for i in dims
    ]
    shifts = [[d for of_class in matches[i] for _, d in of_class] or [0] for i in dims]
    base = tuple(min(s) for s in shifts)
    counts = tuple(-(-size[i] // stride[i]) for i in dims)
    frame = tuple(counts[i] + max(shifts[i]) - base[i] for i in dims)
    inside, source = [], []
    for i in dims:
        first = max(0, -base[i])
        count = max(0, min(frame[i] - first, grad_size[i] - (first + base[i])))
        inside.append(slice(first, first + count))
        source.append(slice(first + base[i], first + base[i] + count))
    frame = _shared(frame, counts, [(inside, source)])
    strides = _flat_strides(frame)
    classes = []
    for residue in itertools.product(*(range(min(stride[i], size[i])) for i in dims)):
        found = list(itertools.product(*(matches[i][residue[i]] for i in dims)))
        classes.append(
            OutputClass(
                tuple(tuple(r for r, _ in tap) for tap in found),
                (0,) * len(found),
                tuple(sum((d - base[i]) * strides[i] for i, (_, d) in enumerate(tap)) for tap in found),
                tuple(slice(residue[i], None, stride[i]) for i in dims),
                tuple(-(-(size[i] - residue[i]) // stride[i]) for i in dims),
            )
        )
    length = max((max(c.offsets) + c.counts[0] * strides[0] for c in classes if c.offsets), default=math.prod(frame))
    return Plan(frame, max(length, math.prod(frame)), ((tuple(inside), tuple(source)),), tuple(classes))


class _Source:
    """Frames of a few images at a time, (phase, channel, image, flat frame); the zeros around them are set once."""

    def __init__(self, x: np.ndarray, plan: Plan, images: int, beyond: tuple[int, int] = (0, 0)):
        """`beyond`: how many images and elements of a frame more the tiles reach over; they stay zero."""
        self.x, self.plan = x, plan
        size = math.prod(plan.frame)
        shape = (len(plan.phases), x.shape[1], images + beyond[0], max(plan.length + beyond[1], size))
        self.flat = np.zeros(shape, x.dtype)
        self.frames = self.flat[..., :size].reshape(*self.flat.shape[:3], *plan.frame)

        self.held: tuple[int, int] | None = None

    def fill(self, start: int, stop: int) -> bool:
        """Put the images start ... stop into the frames; False where they are there already."""
        if self.held == (start, stop):
            return False
        self.held = start, stop
        part = self.x[start:stop].swapaxes(0, 1)
        for frames, (inside, source) in zip(self.frames, self.plan.phases, strict=True):
            frames[(slice(None), slice(0, stop - start), *inside)] = part[(slice(None), slice(None), *source)]
        self.flat[:, :, stop - start :] = 0  # an infinity that was there before would come back times zero
        return True


class _Tiles(NamedTuple):
    """How the columns of some images are cut: each tile is the second factor of one product."""

    together: int  # images whose columns lie in one tile,
    height: int  # or the rows of a tile, of one image
    pieces: int  # tiles along an image
    at_once: int  # of those, whose columns are made at a time

    def of(self, images: int) -> _Tiles:
        """The tiles of fewer images."""
        return self if images >= self.together else self._replace(together=images)


def _images_at_a_time(n: int, rows: int, length: int, itemsize: int) -> int:
    """Images whose columns fit into the cache together, about as many each time."""
    share = -(-n // get_num_threads())
    times = -(-share // max(1, _columns_in_cache(rows, itemsize) // max(length, 1)))
    return -(-share // times)


def _parts(n: int, flops: int) -> int:
    """Into how many parts an image is cut, so that each thread has some of so few."""
    return -(-get_num_threads() // n) if flops >= CUT_FLOPS else 1


def _columns_in_cache(rows: int, itemsize: int) -> int:
    return max(MIN_COLUMNS, COLUMN_BYTES // max(rows * itemsize, 1))


def _tiles(
    images: int, rows: int, count: int, width: int, product: int, itemsize: int, parts: int, blocks: int = 1
) -> tuple[_Tiles, tuple[int, int]]:
    """Tiles for `images` frames of `count` rows of `width`, and what they reach over.

    Args:
        images, count, width: the frames.
        rows: of columns.
        product: multiplications for a column.
        itemsize: bytes of an element.
        parts: the fewest parts of an image.
        blocks: the fewest blocks of images.
    """
    wanted, length = _columns_in_cache(rows, itemsize), count * width
    best = UNPACKED // max(product, 1)  # columns that OpenBLAS does not pack
    if best < MIN_COLUMNS:
        best = wanted
    if length <= best and parts == 1:
        together = -(-images // max(-(-images // (best // length)), min(images, blocks)))
        return _Tiles(together, count, 1, 1), (-images % together, 0)
    height = -(-count // max(parts, -(-length // best)))
    pieces = -(-count // height)
    at_once = pieces if images > 1 else max(1, min(-(-pieces // parts), wanted // (height * width)))
    return _Tiles(1, height, pieces, at_once), (0, (pieces * height - count) * width)


@lru_cache(512)
def _lattice(
    taps: tuple[tuple[int, ...], ...], phases: tuple[int, ...], at: tuple[int, ...]
) -> tuple[int, tuple[int, ...], tuple[int, ...]] | None:
    """(first offset, counts, steps) where the offsets `at` of the taps, all in one frame, are regular in each dim."""
    if len(set(phases)) != 1:
        return None
    counts = tuple(len({tap[i] for tap in taps}) for i in range(len(taps[0])))
    offsets = np.reshape(at, counts)
    first, origin = offsets.flat[0], (0,) * len(counts)
    steps = tuple(
        int(offsets[(*origin[:i], 1, *origin[i + 1 :])] - first) if n > 1 else 0 for i, n in enumerate(counts)
    )
    grid = first + sum(step * at for step, at in zip(steps, np.indices(counts), strict=True))
    return (int(first), counts, steps) if np.array_equal(grid, offsets) else None


def _columns(
    source: _Source, outputs: OutputClass, t: _Tiles, m: int, pieces: range, groups: int, ones: bool, margin: int
) -> np.ndarray:
    """(block of images, piece, group, channel x tap, column) of some pieces of the first m images.

    Each image's share of a tile is longer than the rows by `margin`. With `ones` a row of ones comes last, for the
    bias. Regular taps are copied by one call: threads would meet at the interpreter's lock after each of many.
    """
    length = t.height * math.prod(source.plan.frame[1:])
    wide = length + margin
    channels, taps = source.x.shape[1] // groups, len(outputs.taps)
    outer = (-(-m // t.together), len(pieces), groups)
    cols = np.empty((*outer, channels * taps + ones, t.together * wide), source.x.dtype)
    if ones:
        cols[:, :, :, -1] = 1
    base, channel, image, item = source.flat.strides

    def windows(phase: int, offset: int, counts: tuple[int, ...], steps: tuple[int, ...]) -> np.ndarray:
        shape = (*outer, channels, *counts, t.together, wide)
        outer_strides = (t.together * image, length * item, channels * channel)
        strides = (*outer_strides, channel, *(step * item for step in steps), image, item)
        start = phase * base + (offset + pieces.start * length) * item
        return np.ndarray(shape, cols.dtype, source.flat, start, strides)  # as_strided takes ten times as long

    target = cols[:, :, :, : channels * taps]
    lattice = _lattice(outputs.taps, outputs.phases, outputs.offsets)
    if lattice is not None:
        found = windows(outputs.phases[0], *lattice)
        target.reshape(found.shape)[...] = found
        return cols
    apart = target.reshape(*outer, channels, taps, t.together, wide)
    for i, (phase, offset) in enumerate(zip(outputs.phases, outputs.offsets, strict=True)):
        apart[:, :, :, :, i] = windows(phase, offset, (), ())
    return cols


def _pairs(tiled: np.ndarray, y: np.ndarray, tiles: _Tiles, first: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The parts of `tiled` (block, piece, channel, image, *rows of frames) and of y (image, channel, *size) that agree.

    Pieces are counted from `first`; what the frames have beyond y's rows is left out.
    """
    blocks = len(y) // tiles.together
    whole = blocks * tiles.together
    inner = tuple(slice(0, n) for n in y.shape[3:])
    for i in range(tiled.shape[1]):
        rows = y[:, :, (first + i) * tiles.height : (first + i + 1) * tiles.height]
        part = tiled[(slice(None), i, slice(None), slice(None), slice(0, rows.shape[2]), *inner)].swapaxes(1, 2)
        if blocks:
            yield part[:blocks], rows[:whole].reshape(blocks, tiles.together, *rows.shape[1:])
        if whole < len(y):
            yield part[blocks, : len(y) - whole], rows[whole:]


class _Task(NamedTuple):
    """What `correlate` does for one class of outputs."""

    outputs: OutputClass  # those of its taps that have columns
    weights: np.ndarray  # (groups, K / groups * shifts, C / groups * taps, and 1 for the bias)
    shifts: tuple[int, ...]  # where the summands of an output lie in the product


def _task(outputs: OutputClass, w: np.ndarray, bias: np.ndarray | None) -> _Task:
    """The taps of the last dim become shifts of the product instead of columns, where that moves less memory.

    y = sum_s (w_s * columns) shifted by s: columns for the other taps only, but s times as many rows to add up.
    """
    (groups, kg, rows), shifts = w.shape, (0,)
    lattice = _lattice(outputs.taps, outputs.phases, outputs.offsets) if outputs.taps else None
    if lattice is not None and len(lattice[1]) > 1:  # a row of one dim has no room beside it
        s, step = lattice[1][-1], lattice[2][-1]
        if s > 1 and rows // s + 3 * kg * s < rows:
            w = w.reshape(groups, kg, rows // s, s).swapaxes(2, 3)
            kept = slice(s - 1 if step < 0 else 0, None, s)  # the tap that reads first
            taps, phases, offsets = outputs.taps[kept], outputs.phases[kept], outputs.offsets[kept]
            outputs = outputs._replace(taps=taps, phases=phases, offsets=offsets)
            shifts = tuple(i * step - min(0, (s - 1) * step) for i in range(s))
    w = w.reshape(groups, kg, len(shifts), -1)
    if bias is not None:
        column = np.zeros((*w.shape[:3], 1), w.dtype)
        column[:, :, shifts.index(0), 0] = bias.reshape(groups, kg)
        w = np.concatenate((w, column), 3)
    return _Task(outputs, w.reshape(groups, kg * len(shifts), -1), shifts)


def _add_shifted(products: np.ndarray, shifts: tuple[int, ...]) -> np.ndarray:
    """(..., shift, column) to (..., column); the last columns, which lack a summand, are no outputs."""
    n = products.shape[-1] - max(shifts)
    y = products[..., shifts.index(0), :]
    for i, shift in enumerate(shifts):
        if shift:
            y[..., :n] += products[..., i, shift : shift + n]
    return y


def correlate(x, weights, plan: Plan, y, bias, groups: int) -> None:
    """y[n, k] = bias[k] + sum over channels and taps, for each class of outputs of the plan.

    x (N, C, *source), weights: per class (groups, K / groups, C / groups * taps), y (N, K, *output) is written.
    """
    n, channels = x.shape[:2]
    k = y.shape[1]
    width = math.prod(plan.frame[1:])
    tasks = [_task(outputs, w, bias) for outputs, w in zip(plan.classes, weights, strict=True)]
    rows = max(channels * len(task.outputs.taps) for task in tasks)
    flops = 2 * y.size * max(w.shape[2] for w in weights)
    images = _images_at_a_time(n, rows, max(c.counts[0] for c in plan.classes) * width, x.itemsize)
    parts = _parts(n, flops)
    tiles = [_tiles(images, rows, o.counts[0], width, w[0].size, x.itemsize, parts) for o, w, _ in tasks]
    beyond = max(reach[0] for _, reach in tiles), max(reach[1] for _, reach in tiles)
    units = [
        (i, task, t, first)
        for i in range(0, n, images)
        for task, (t, _) in zip(tasks, tiles, strict=True)
        for first in range(0, t.pieces, t.at_once)
    ]

    def block(start: int, stop: int) -> None:
        source = _Source(x, plan, images, beyond)
        for i, (outputs, w, shifts), t, first in units[start:stop]:
            j = min(i + images, n)
            target = y[(slice(i, j), slice(None), *outputs.place)]
            if not outputs.taps:
                target[...] = 0 if bias is None else bias.reshape(-1, *(1,) * (x.ndim - 2))
                continue
            source.fill(i, j)
            t = t.of(j - i)
            margin, length = max(shifts), t.height * width
            pieces = range(first, min(first + t.at_once, t.pieces))
            cols = _columns(source, outputs, t, j - i, pieces, groups, bias is not None, margin)
            frames = np.matmul(w, cols)
            if margin:
                frames = _add_shifted(frames.reshape(*cols.shape[:2], k, len(shifts), -1), shifts)
                frames = frames.reshape(*cols.shape[:2], k, t.together, length + margin)[..., :length]
            frames = frames.reshape(*cols.shape[:2], k, t.together, t.height, *plan.frame[1:])
            for found, wanted in _pairs(frames, target, t, first):
                wanted[...] = found

    over_images(block, len(units), flops)


def weight_gradient(g, x, kernel, plan: Plan, groups: int) -> np.ndarray:
    """gw (K, C / groups, *kernel) = sum over images and outputs of g times the columns of x."""
    n, k = g.shape[:2]
    channels = x.shape[1]
    cg, kg = channels // groups, k // groups
    outputs = plan.classes[0]
    taps = len(outputs.taps)
    count, width = outputs.counts[0], math.prod(plan.frame[1:])
    images = _images_at_a_time(n, channels * taps, count * width, x.itemsize)
    results = kg * cg * taps
    flops = 2 * g.size * channels * taps // max(groups, 1)
    blocks = -(-LOCKED // results)
    tiles, beyond = _tiles(images, channels * taps, count, width, results, x.itemsize, _parts(n, flops), blocks)
    units = [(i, first) for i in range(0, n, images) for first in range(0, tiles.pieces, tiles.at_once)]
    partial: dict[int, np.ndarray] = {}
    # the BLAS is faster with the longer side in front, as long as the result is small enough to be turned in cache
    columns_first = cg * taps > kg and k * cg * taps < 500_000

    def block(start: int, stop: int) -> None:
        source = _Source(x, plan, images, beyond)
        total = np.zeros((groups, cg * taps, kg) if columns_first else (groups, kg, cg * taps), x.dtype)
        padded, rows = None, np.empty(0)
        for i, first in units[start:stop]:
            j = min(i + images, n)
            t = tiles.of(j - i)
            if source.fill(i, j):
                if padded is None or j - i < images:
                    padded = np.zeros(
                        (-(-(j - i) // t.together), t.pieces, k, t.together, t.height, *plan.frame[1:]), g.dtype
                    )
                for room, found in _pairs(padded, g[i:j], t, 0):
                    room[...] = found
                rows = padded.reshape(*padded.shape[:2], groups, kg, -1)
            pieces = range(first, min(first + t.at_once, t.pieces))
            cols = _columns(source, outputs, t, j - i, pieces, groups, False, 0)
            part = rows[:, pieces.start : pieces.stop]
            products = np.matmul(cols, part.mT) if columns_first else np.matmul(part, cols.mT)
            total += products[0, 0] if products.size == total.size else products.sum((0, 1))
        partial[start] = total

    over_images(block, len(units), flops)
    total = sum(partial[start] for start in sorted(partial))  # in a fixed order: equal bits in each run
    if columns_first:
        total = np.ascontiguousarray(total.mT)
    return total.reshape(k, cg, *kernel)


def over_images(block, n: int, flops: int) -> None:
    single_enter()
    try:
        parallel(block, n, max(1, THREAD_FLOPS * n // max(flops, 1)))
    finally:
        single_exit()
