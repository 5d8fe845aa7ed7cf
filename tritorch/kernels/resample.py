"""Resampling along one dim: every output is a weighted sum of a few inputs,

    y[o] = sum_k weight[k, o] * x[index[k, o]].

All modes of interpolate, and the padding modes that repeat existing values, are such sums, one dim after the other.
The gradient is the transposed sum, which is again a resampling (a gather with other taps): no scatter, bits repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._capture import CAPTURES
from ..device import cuda_index, current_device, to_device
from ._fold import contiguous
from ._launch import empty, kernel, launch
from ._op import Array, op
from ._rows import long_runs
from ._strides import assign
from ._threads import parallel

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _resample(
    x_ptr, index_ptr, weight_ptr, y_ptr, size, n_out, n_in, tail, TAPS: tl.constexpr, F64: tl.constexpr, BLOCK:
    tl.constexpr
):  # fmt: skip
    """y (lead, n_out, tail) of x (lead, n_in, tail), contiguous; index and weight (TAPS, n_out), float64 weights.

    One program makes BLOCK of the `size` elements of y.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < size
    inner = at % tail
    row = at // tail
    o = row % n_out
    base = row // n_out * n_in * tail + inner
    acc = tl.zeros((BLOCK,), ACC)
    for k in range(0, TAPS):
        weight = tl.load(weight_ptr + k * n_out + o, mask=mask, other=0).to(ACC)
        index = tl.load(index_ptr + k * n_out + o, mask=mask, other=0)
        value = tl.load(x_ptr + base + index * tail, mask=mask & (weight != 0), other=0).to(ACC)
        acc += weight * value
    tl.store(y_ptr + at, acc.to(y_ptr.dtype.element_ty), mask=mask)


_BLOCK = 1 << 19  # elements at a time; smaller blocks gain less in the cache than they lose by shorter calls
_PHASES = (
    4  # of an enlargement by copies, up to which each is a step; of sums, steps with gaps between outputs are slow
)
_GRAIN = 1 << 17  # elements that are worth a thread


class Taps:
    """Which inputs make up each output of one dim, with what weight.

    index: (K, O) int64 in [0, size); weight: (K, O) float64, 0 for an unused tap; size: inputs along the dim.
    """

    def __init__(self, index: Array, weight: Array, size: int):
        self.index, self.weight, self.size = index, weight, size
        self._on_device: dict[int, tuple[Array, Array]] = {}
        self._steps: dict[Any, list[Step]] = {}
        self.covered = False  # do the steps write to all outputs

    def on_device(self) -> tuple[Array, Array]:
        """(index, weight) in the memory of the current cuda device, copied there once."""
        place = current_device()
        if CAPTURES:
            arrays = {"index": self.index, "weight": self.weight}
            index, weight = (CAPTURES[-1].table((self, k), lambda a=a: a, place) for k, a in arrays.items())
            return index, weight
        kept = self._on_device.get(place)
        # Arrays are elsewhere once the emulated devices have been set anew.
        if kept is None or any(cuda_index(a) != place for a in kept):
            index, weight = np.ascontiguousarray(self.index), np.ascontiguousarray(self.weight)
            self._on_device[place] = to_device(index), to_device(weight)
        return self._on_device[place]

    @cached_property
    def transposed(self) -> Taps:
        """The taps of the transposed sum, from outputs back to inputs."""
        k, n_out = self.index.shape
        used = self.weight != 0
        outputs = np.broadcast_to(np.arange(n_out), (k, n_out))[used]
        inputs, weight = self.index[used], self.weight[used]
        order = np.lexsort((outputs, inputs))
        inputs, outputs, weight = inputs[order], outputs[order], weight[order]
        count = np.bincount(inputs, minlength=self.size)
        first = np.cumsum(count) - count
        rank = np.arange(inputs.size) - first[inputs]
        index = np.zeros((max(1, int(count.max(initial=0))), self.size), np.int64)
        turned = np.zeros(index.shape)
        index[rank, inputs] = outputs
        turned[rank, inputs] = weight
        taps = Taps(index, turned, n_out)
        taps.__dict__["transposed"] = self
        return taps

    @cached_property
    def identity(self) -> bool:
        """Is every output the input at its place."""
        steps = self.steps(self.weight.dtype)
        whole = slice(0, self.size, 1)
        return self.index.shape[1] == self.size and len(steps) == 1 and steps[0][:3] == (whole, whole, None)

    def steps(self, kind: np.dtype) -> list[Step]:
        """The sums in NumPy's terms, with weights in `kind`."""
        found = self._steps.get(kind)
        if found is None:
            found = self._steps[kind] = []
            written = np.zeros(self.index.shape[1], np.bool_)
            for at, index, weight in self._pieces():
                seen = written[at]
                one = (weight == 1).all()
                found.append(
                    Step(
                        _slice(at),
                        _slice(index),
                        None if one else weight.astype(kind),
                        bool(seen.any()),
                        bool(seen.all()),
                    )
                )
                written[at] = True
            self.covered = bool(written.all()) and all(s.all_written or not s.any_written for s in found)
        return found

    def _pieces(self) -> Iterator[tuple[Array, Array, Array]]:
        """Per tap the outputs that it serves, their inputs, their weights, in as few pieces as are regular."""
        for index, weight in zip(self.index, self.weight, strict=True):
            at = np.flatnonzero(weight)
            if not at.size:
                continue
            pieces = _regular(at, index[at], 1 if (weight != 1).any() else _PHASES)
            if pieces:
                yield from ((o, i, weight[o]) for o, i in pieces)
            elif 2 * at.size > weight.size:
                # an unused tap among used ones: weight 0 of what the first tap reads anyway
                yield np.arange(weight.size), np.where(weight != 0, index, self.index[0]), weight
            else:
                yield at, index[at], weight[at]


def _regular(at: Array, index: Array, phases: int) -> list[tuple[Array, Array]]:
    """Outputs and inputs in pieces that count up in equal steps, but for a few at the borders; none if there are too many.

    Shrinking by a whole number reads every so many inputs, enlarging writes every so many outputs, in so many phases.
    """
    for r in range(1, min(phases, at.size // 8) + 1):
        pieces, border = [], []
        for j in range(r):
            o, i = at[j::r], index[j::r]
            steps = np.diff(o) * (1 << 32) + np.diff(i)
            cuts = np.flatnonzero(steps != steps[steps.size // 2])
            low = int(cuts[cuts < steps.size // 2].max(initial=-1)) + 1
            high = int(cuts[cuts >= steps.size // 2].min(initial=steps.size)) + 1
            if o.size - (high - low) > 4 or steps[steps.size // 2] >> 32 < 1 or int(i[low + 1] - i[low]) < 1:
                break
            pieces.append((o[low:high], i[low:high]))
            border += [(o[:low], i[:low]), (o[high:], i[high:])]
        else:
            o, i = (np.concatenate([pair[k] for pair in border]) for k in range(2))
            return [*pieces, (o, i)] if o.size else pieces
    return []


class Step(NamedTuple):
    """y[at] = or += weight * x[index]."""

    at: slice | Array  # of the outputs
    index: slice | Array  # of the inputs
    weight: Array | None  # None: 1
    any_written: bool  # have steps before written to any of the outputs
    all_written: bool  # or to all of them


def _slice(index: Array) -> slice | Array:
    """An index array as a slice, if it counts up in equal steps."""
    first = int(index[0])
    step = int(index[1]) - first if index.size > 1 else 1
    if step < 1 or not (np.diff(index) == step).all():
        return index
    return slice(first, int(index[-1]) + 1, step)


def _take(x: Array, index: slice | Array, out: Array | None = None) -> Array:
    """x[:, index], a view where it can be."""
    if index.__class__ is slice:
        return x[:, index]
    return np.take(x, index, 1, out, "wrap")  # the fastest of its modes; all indices are in range


def _run(steps: list[Step], x: Array, y: Array) -> None:
    """y (lead, outputs, ...) = or += the steps on x (lead, inputs, ...)."""
    for at, index, weight, written, _ in steps:
        to = y if at.__class__ is not slice else y[:, at]
        if weight is not None and x.ndim > 2:
            weight = weight[:, None]
        if at.__class__ is not slice:
            values = _take(x, index)
            values = values if weight is None else values * weight
            if written:
                y[:, at] += values
            else:
                y[:, at] = values
        elif written:
            values = _take(x, index)
            to += values if weight is None else values * weight
        elif index.__class__ is not slice and to.flags.c_contiguous:
            _take(x, index, to)
            if weight is not None:
                to *= weight
        elif weight is None:
            assign(to, _take(x, index))
        else:
            np.multiply(_take(x, index), weight, out=to)


@op
class resample:
    """y = x with `dim` resampled by `taps`."""

    def cpu(x: Array, taps: Taps, dim: int) -> Array:
        shape = (*x.shape[:dim], taps.index.shape[1], *x.shape[dim + 1 :])
        lead, tail = prod(shape[:dim]), prod(shape[dim + 1 :])
        steps = taps.steps(x.dtype)
        y = (np.empty if taps.covered else np.zeros)(shape, x.dtype)
        if not steps or not y.size:
            return y
        # the last dim without a dim of size 1 behind it: NumPy's inner loop runs along the outputs
        x3 = x.reshape((lead, x.shape[dim], tail) if tail > 1 else (lead, x.shape[dim]))
        y3 = y.reshape((lead, shape[dim], tail) if tail > 1 else (lead, shape[dim]))
        each = max(x.size, y.size) // lead
        step = max(1, _BLOCK // each)

        def some(start: int, stop: int) -> None:
            for i in range(start, stop, step):
                j = min(i + step, stop)
                _run(steps, x3[i:j], y3[i:j])

        with long_runs(shape[dim] * tail if tail == 1 else tail):
            parallel(some, lead, max(1, _GRAIN // each))
        return y

    def gpu(x: Array, taps: Taps, dim: int) -> Array:
        shape = (*x.shape[:dim], taps.index.shape[1], *x.shape[dim + 1 :])
        y = empty(shape, x.dtype)
        if y.size:
            launch(
                _resample, (-(-y.size // 1024),), contiguous(x), *taps.on_device(), y, y.size, shape[dim], x.shape[dim],
                prod(shape[dim + 1 :]),
                TAPS=len(taps.index), F64=x.dtype.itemsize == 8, BLOCK=1024,
            )  # fmt: skip
        return y

    def gpu_grad(g, taps, dim):
        return resample.gpu(g, taps.transposed, dim)

    def grad(g, taps, dim):
        return resample(g, taps.transposed, dim)

    def cpu_grad(g, taps, dim):
        return resample.cpu(g, taps.transposed, dim)

    def samples(rng):
        index = np.array([[0, 1, 1, 3, 2], [1, 2, 2, 4, 0]])
        weight = np.array([[0.25, 0.5, 0, 1, 0], [0.75, 0.5, 1, 0, 0]])
        yield (rng.normal(size=(2, 5, 3)),), (Taps(index, weight, 5), 1)
        yield (rng.normal(size=(3, 5)),), (Taps(index[:1], np.ones((1, 5)), 5), 1)

    def cost(x, taps, dim):
        return x.nbytes * 2, 2 * x.size


AOT = [
    (
        "resample fp32 16 x 64 x 128 x 128 to twice the height",
        lambda array: resample.gpu(
            array((16, 64, 128, 128)), Taps(np.zeros((2, 256), np.int64), np.ones((2, 256)), 128), 2
        ),
    ),
]
