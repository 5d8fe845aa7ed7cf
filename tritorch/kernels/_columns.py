"""Convolution on NumPy arrays through columns that stay in cache.

The zero-padded image is kept as one flat row per channel (the frame). One tap of the kernel, for all outputs at once,
is then a single contiguous piece of that row, at an offset: the columns are a few long copies, the convolution one
product per group of images, and the outputs come out in rows as long as the frame's, cropped at the end. A stride
splits the input into its residue classes (phases), each a frame of its own, so that the taps stay contiguous; the
input gradient of a strided convolution has residue classes on the other side: each class of input pixels meets its
own taps of the kernel. Both directions are the same `Plan`, run by `correlate`; `weight_gradient` is the transposed
product with the same columns.
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


@lru_cache(512)
def forward_plan(size, kernel, stride, padding, dilation) -> Plan:
    """Source: the input, one frame per residue class of the stride. One class of outputs."""
    out = output_size(size, kernel, stride, padding, dilation)
    dims = range(len(size))
    shift = tuple((kernel[i] - 1) * dilation[i] // stride[i] for i in dims)
    frame = tuple(out[i] + shift[i] for i in dims)
    strides = _flat_strides(frame)
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
    strides = _flat_strides(frame)
    inside, source = [], []
    for i in dims:
        first = max(0, -base[i])
        count = max(0, min(frame[i] - first, grad_size[i] - (first + base[i])))
        inside.append(slice(first, first + count))
        source.append(slice(first + base[i], first + base[i] + count))
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

    def __init__(self, x: np.ndarray, plan: Plan, images: int):
        self.x, self.plan = x, plan
        size = math.prod(plan.frame)
        self.flat = np.zeros((len(plan.phases), x.shape[1], images, max(plan.length, size)), x.dtype)
        self.frames = self.flat[..., :size].reshape(*self.flat.shape[:3], *plan.frame)

    def fill(self, start: int, stop: int) -> None:
        part = self.x[start:stop].swapaxes(0, 1)
        for frames, (inside, source) in zip(self.frames, self.plan.phases, strict=True):
            frames[(slice(None), slice(0, stop - start), *inside)] = part[(slice(None), slice(None), *source)]

    def empty_into(self, x: np.ndarray, start: int, stop: int) -> None:
        """The way back: what the frames hold inside of the image goes to x."""
        part = x[start:stop].swapaxes(0, 1)
        for frames, (inside, source) in zip(self.frames, self.plan.phases, strict=True):
            part[(slice(None), slice(None), *source)] = frames[(slice(None), slice(0, stop - start), *inside)]


def _images_at_a_time(n: int, rows: int, length: int, itemsize: int) -> int:
    """Images whose columns fit together, so that small images share one product."""
    wanted = max(MIN_COLUMNS, COLUMN_BYTES // max(rows * itemsize, 1))
    return max(1, min(-(-n // get_num_threads()), wanted // max(length, 1)))


def _chunk(images: int, rows: int, length: int, itemsize: int) -> int:
    """Columns made at a time of one image (all of them when several images share a product)."""
    if images > 1:
        return length
    wanted = max(MIN_COLUMNS, COLUMN_BYTES // max(rows * itemsize, 1))
    pieces = max(1, round(length / wanted))
    return -(-length // pieces)


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


def _fill_columns(cols: np.ndarray, source: _Source, outputs: OutputClass, images: int, a: int, b: int) -> None:
    """cols (group, channel, tap, image, column) of the columns a .. b of each image.

    Regular taps are copied by one call: threads would meet at the interpreter's lock after each of many.
    """
    g, c = cols.shape[:2]
    lattice = _lattice(outputs.taps, outputs.phases, outputs.offsets)
    if lattice is not None:
        first, counts, steps = lattice
        frames = source.flat[outputs.phases[0], :, :, first + a :]
        channel, image, item = frames.strides
        shape = (g * c, *counts, images, b - a)
        strides = (channel, *(step * item for step in steps), image, item)
        cols.reshape(shape)[...] = np.lib.stride_tricks.as_strided(frames, shape, strides)
        return
    for t, (phase, offset) in enumerate(zip(outputs.phases, outputs.offsets, strict=True)):
        frames = source.flat[phase].reshape(g, c, *source.flat.shape[2:])
        cols[:, :, t] = frames[:, :, :images, offset + a : offset + b]


def _widths(n: int, product: int) -> Iterator[slice]:
    """n columns in pieces that OpenBLAS does not pack, where each column costs few products; else all at once."""
    width = UNPACKED // product
    if width < 4 * MIN_COLUMNS:
        width = n
    for i in range(0, n, width):
        yield slice(i, i + width)


def _row_length(plan: Plan, outputs: OutputClass) -> int:
    return outputs.counts[0] * math.prod(plan.frame[1:])


def correlate(x, weights, plan: Plan, y, bias, groups: int) -> None:
    """y[n, k] = bias[k] + sum over channels and taps, for each class of outputs of the plan.

    x (N, C, *source), weights: per class (groups, K / groups, C / groups * taps), y (N, K, *output) is written.
    """
    n, channels = x.shape[:2]
    k = y.shape[1]
    cg, kg = channels // groups, k // groups
    shifted = None if bias is None else bias.reshape(-1, *(1,) * (x.ndim - 2))
    lengths = [_row_length(plan, c) for c in plan.classes]
    rows = channels * max(len(c.taps) for c in plan.classes)
    images = _images_at_a_time(n, rows, max(lengths), x.itemsize)

    def block(first: int, last: int) -> None:
        source = _Source(x, plan, images)
        for start in range(first, last, images):
            stop = min(start + images, last)
            m = stop - start
            source.fill(start, stop)
            for outputs, w, length in zip(plan.classes, weights, lengths, strict=True):
                target = y[(slice(start, stop), slice(None), *outputs.place)]
                if not outputs.taps:
                    target[...] = 0 if shifted is None else shifted
                    continue
                frames = np.empty((groups, kg, m * length), y.dtype)
                step = _chunk(images, rows, length, x.itemsize)
                for a in range(0, length, step):
                    b = min(a + step, length)
                    cols = np.empty((groups, cg, len(outputs.taps), m, b - a), x.dtype)
                    _fill_columns(cols, source, outputs, m, a, b)
                    cols = cols.reshape(groups, -1, m * (b - a))
                    out = frames if m > 1 else frames[:, :, a:b]
                    for part in _widths(cols.shape[2], w.shape[1] * w.shape[2]):
                        np.matmul(w, cols[:, :, part], out=out[:, :, part])
                crop = frames.reshape(k, m, outputs.counts[0], *plan.frame[1:]).swapaxes(0, 1)
                crop = crop[(slice(None), slice(None), *(slice(0, c) for c in outputs.counts))]
                if shifted is None:
                    target[...] = crop
                else:
                    np.add(crop, shifted, out=target)

    over_images(block, n, 2 * y.size * rows // max(groups, 1))


def scatter(g, weights, plan: Plan, gx, groups: int) -> None:
    """The adjoint of `correlate` with a forward plan, for gradients with far fewer input than output channels.

    One product gives the contribution of each tap, (C / groups * taps, columns), which is added to the frames at the
    tap's offset. g (N, K, *out), weights (groups, C / groups * taps, K / groups); gx (N, C, *size), zeros, is written.
    """
    n, k = g.shape[:2]
    channels = gx.shape[1]
    cg, kg = channels // groups, k // groups
    outputs = plan.classes[0]
    taps = len(outputs.taps)
    length = _row_length(plan, outputs)
    images = _images_at_a_time(n, channels * taps, length, g.itemsize)
    step = _chunk(images, channels * taps, length, g.itemsize)

    def block(first: int, last: int) -> None:
        padded = np.zeros((k, images, outputs.counts[0], *plan.frame[1:]), g.dtype)
        inner = padded[(slice(None), slice(None), *(slice(0, c) for c in g.shape[2:]))]
        target = _Source(gx, plan, images)
        for start in range(first, last, images):
            stop = min(start + images, last)
            m = stop - start
            inner[:, :m] = g[start:stop].swapaxes(0, 1)
            rows = padded.reshape(groups, kg, images, length)[:, :, :m]
            if start > first:
                target.flat[...] = 0
            for a in range(0, length, step):
                b = min(a + step, length)
                piece = rows[..., a:b].reshape(groups, kg, m * (b - a)) if m > 1 else rows[:, :, 0, a:b]
                z = np.matmul(weights, piece).reshape(groups, cg, taps, m, b - a)
                for t, (phase, offset) in enumerate(zip(outputs.phases, outputs.offsets, strict=True)):
                    frames = target.flat[phase].reshape(groups, cg, *target.flat.shape[2:])
                    frames[:, :, :m, offset + a : offset + b] += z[:, :, t]
            target.empty_into(gx, start, stop)

    over_images(block, n, 2 * g.size * channels * taps // max(groups, 1))


def weight_gradient(g, x, kernel, plan: Plan, groups: int) -> np.ndarray:
    """gw (K, C / groups, *kernel) = sum over images and outputs of g times the columns of x."""
    n, k = g.shape[:2]
    channels = x.shape[1]
    cg, kg = channels // groups, k // groups
    outputs = plan.classes[0]
    taps = len(outputs.taps)
    length = _row_length(plan, outputs)
    images = _images_at_a_time(n, channels * taps, length, x.itemsize)
    step = _chunk(images, channels * taps, length, x.itemsize)
    partial: dict[int, np.ndarray] = {}
    # the BLAS is faster with the longer side in front, as long as the result is small enough to be turned in cache
    columns_first = cg * taps > kg and k * cg * taps < 500_000
    shape = (groups, cg * taps, kg) if columns_first else (groups, kg, cg * taps)

    def block(first: int, last: int) -> None:
        source = _Source(x, plan, images)
        total = np.zeros(shape, x.dtype)
        room = np.empty_like(total)
        padded = np.zeros((k, images, outputs.counts[0], *plan.frame[1:]), g.dtype)
        inner = padded[(slice(None), slice(None), *(slice(0, c) for c in g.shape[2:]))]
        for start in range(first, last, images):
            stop = min(start + images, last)
            m = stop - start
            source.fill(start, stop)
            inner[:, :m] = g[start:stop].swapaxes(0, 1)
            rows = padded.reshape(groups, kg, images, length)[:, :, :m]
            for a in range(0, length, step):
                b = min(a + step, length)
                cols = np.empty((groups, cg, taps, m, b - a), x.dtype)
                _fill_columns(cols, source, outputs, m, a, b)
                cols = cols.reshape(groups, -1, m * (b - a))
                piece = rows[..., a:b].reshape(groups, kg, m * (b - a)) if m > 1 else rows[:, :, 0, a:b]
                for part in _widths(cols.shape[2], kg * cg * taps):
                    if columns_first:
                        np.matmul(cols[:, :, part], piece[:, :, part].mT, out=room)
                    else:
                        np.matmul(piece[:, :, part], cols[:, :, part].mT, out=room)
                    total += room
        partial[first] = total

    over_images(block, n, 2 * g.size * channels * taps // max(groups, 1))
    total = sum(partial[first] for first in sorted(partial))  # in a fixed order: equal bits in each run
    if columns_first:
        total = np.ascontiguousarray(total.mT)
    return total.reshape(k, cg, *kernel)


def over_images(block, n: int, flops: int) -> None:
    single_enter()
    try:
        parallel(block, n, max(1, 2_000_000 * n // max(flops, 1)))
    finally:
        single_exit()
