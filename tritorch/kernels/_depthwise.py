"""The weight gradient of a convolution with one channel per group, on NumPy arrays.

Columns would be used for a single row of products. Instead each tap is a dot product per channel, of the gradient's row
with the flat frame (see `_columns.py`) at the tap's offset, without a copy.
"""

from __future__ import annotations

import math

import numpy as np

from ._columns import Plan, _over_images, _row_length, _Source


def depthwise_weight_gradient(g, x, kernel, plan: Plan) -> np.ndarray:
    """gw (C * m, 1, *kernel): per tap the dot products of g's rows with the shifted rows of x."""
    n, channels = x.shape[:2]
    many = g.shape[1] // channels
    outputs = plan.classes[0]
    length = _row_length(plan, outputs)
    partial: dict[int, np.ndarray] = {}

    def block(first: int, last: int) -> None:
        source = _Source(x, plan, 1)
        total = np.zeros((channels, many, len(outputs.taps)), x.dtype)
        padded = np.zeros((channels, many, outputs.counts[0], *plan.frame[1:]), g.dtype)
        inner = padded[(slice(None), slice(None), *(slice(0, c) for c in g.shape[2:]))]
        rows = padded.reshape(channels, many, length)
        for i in range(first, last):
            source.fill(i, i + 1)
            inner[...] = g[i].reshape(channels, many, *g.shape[2:])
            for t, (phase, offset) in enumerate(zip(outputs.phases, outputs.offsets, strict=True)):
                piece = source.flat[phase, :, 0, offset : offset + length]
                total[:, :, t] += np.vecdot(rows, piece[:, None])
        partial[first] = total

    _over_images(block, n, 2 * g.size * math.prod(kernel))
    total = sum(partial[first] for first in sorted(partial))  # in a fixed order: equal bits in each run
    return total.reshape(channels * many, 1, *kernel)
