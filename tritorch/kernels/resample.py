"""Resampling along one dim: every output is a weighted sum of a few inputs,

    y[o] = sum_k weight[k, o] * x[index[k, o]].

All modes of interpolate, and the padding modes that repeat existing values, are such sums, one dim after the other.
The gradient is the transposed sum, which is again a resampling (a gather with other taps): no scatter, bits repeat.
"""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .._capture import CAPTURES
from ..device import current_device, to_device
from ._fold import contiguous
from ._launch import empty, kernel, launch
from ._op import Array, op
from ._rows import FEW, over_blocks
from ._strides import assign

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


_FEW = 32  # outputs that are copied one by one


class Taps:
    """Which inputs make up each output of one dim, with what weight.

    index: (K, O) int64 in [0, size); weight: (K, O) float64, 0 for an unused tap; size: inputs along the dim.
    """

    def __init__(self, index: Array, weight: Array, size: int):
        self.index, self.weight, self.size = index, weight, size
        self._on_device: dict[int, tuple[Array, Array]] = {}
        self._rows: dict[Any, list[tuple[Array | None, Array, Array | None]]] = {}

    def on_device(self) -> tuple[Array, Array]:
        """(index, weight) in the memory of the current cuda device, copied there once."""
        place = current_device()
        if CAPTURES:
            arrays = {"index": self.index, "weight": self.weight}
            index, weight = (CAPTURES[-1].table((self, k), lambda a=a: a, place) for k, a in arrays.items())
            return index, weight
        if place not in self._on_device:
            self._on_device[place] = (
                to_device(np.ascontiguousarray(self.index)),
                to_device(np.ascontiguousarray(self.weight)),
            )
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
    def run(self) -> tuple[int, int] | None:
        """The outputs of the first tap that are a copy of neighbouring inputs, when they are nearly all."""
        n_out = self.index.shape[1]
        if not n_out or not (self.weight[0] == 1).all():
            return None
        run = _longest_run(self.index[0])
        return run if n_out - (run[1] - run[0]) <= _FEW else None

    @cached_property
    def identity(self) -> bool:
        """Is every output the input at its place."""
        rows = self.rows(self.weight.dtype)
        if self.index.shape[1] != self.size or len(rows) != 1:
            return False
        at, index, weight = rows[0]
        return at is None and weight is None and bool((index == np.arange(self.size)).all())

    def rows(self, kind: np.dtype) -> list[tuple[Array | None, Array, Array | None]]:
        """Per tap (outputs it serves, or None for all; their inputs; their weights in `kind`, or None where all are 1)."""
        found = self._rows.get(kind)
        if found is None:
            found = self._rows[kind] = []
            for index, weight in zip(self.index, self.weight, strict=True):
                at = np.flatnonzero(weight)
                if not at.size:
                    continue
                if (
                    2 * at.size > weight.size
                ):  # an unused tap among used ones: weight 0 of what the first tap reads anyway
                    at, index = None, np.where(weight != 0, index, self.index[0])
                else:
                    index, weight = index[at], weight[at]
                found.append((at, index, None if (weight == 1).all() else weight.astype(kind)))
        return found


def _longest_run(index: Array) -> tuple[int, int]:
    """Begin and end of the longest part of `index` that counts up one by one."""
    cuts = np.flatnonzero(np.diff(index, prepend=index[0], append=index[-1]) != 1)
    k = int(np.argmax(np.diff(cuts)))
    return int(cuts[k]), int(cuts[k + 1])


def _taken(x: Array, index: Array, run: tuple[int, int], y: Array) -> None:
    """y = x[:, index]; of the elements from run[0] to run[1] each is the neighbour of the one before in x, too."""
    start, stop = run
    assign(y[:, start:stop], x[:, index[start] : index[start] + stop - start])
    for o in (*range(start), *range(stop, index.size)):
        y[:, o] = x[:, index[o]]


@op
class resample:
    """y = x with `dim` resampled by `taps`."""

    def cpu(x: Array, taps: Taps, dim: int) -> Array:
        shape = (*x.shape[:dim], taps.index.shape[1], *x.shape[dim + 1 :])
        lead, tail = prod(shape[:dim]), prod(shape[dim + 1 :])
        rows = taps.rows(x.dtype)
        y = np.zeros(shape, x.dtype) if not rows or rows[0][0] is not None else np.empty(shape, x.dtype)
        if not rows or not y.size:
            return y
        # the last dim without a dim of size 1 behind it: NumPy's inner loop runs along the outputs
        x3 = x.reshape((lead, x.shape[dim], tail) if tail > 1 else (lead, x.shape[dim]))
        y3 = y.reshape((lead, shape[dim], tail) if tail > 1 else (lead, shape[dim]))

        def block(start: int, stop: int) -> None:
            part, out = x3[start:stop], y3[start:stop]
            for k, (at, index, weight) in enumerate(rows):
                if k == 0 and weight is None and taps.run and part.size > FEW:
                    _taken(part, index, taps.run, out)
                    continue
                if k == 0 and at is None:
                    values = np.take(part, index, axis=1, out=out, mode="clip")
                else:
                    values = np.take(part, index, axis=1)
                if weight is not None:
                    values *= weight if tail == 1 else weight[:, None]
                if at is not None:
                    out[:, at] += values
                elif k:
                    out += values

        over_blocks(block, lead, shape[dim] * tail)
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
