"""Dropout with a given mask: y = x * mask / (1 - p). The mask comes from the random streams of `tritorch.random`."""

from __future__ import annotations

import numpy as np

from ._op import Array, op
from ._pointwise import pointwise


@op
class dropout:
    """y = x * mask * scale; mask is bool and broadcasts to x (arXiv 1207.0580)."""

    def cpu(x: Array, mask: Array, scale: float) -> Array:
        y = np.multiply(x, mask)
        return np.multiply(y, np.asarray(scale, x.dtype), out=y) if y.ndim else y * np.asarray(scale, x.dtype)

    def gpu(x: Array, mask: Array, scale: float) -> Array:
        return pointwise(
            "dropout", ("x * where(mask, 1, 0) * scale",), ("x", "mask"), (x, mask), (x.dtype,), {"scale": float(scale)}
        )[0]

    def grad(g, mask, scale, needs):
        return dropout(g, mask, scale), None

    def cpu_grad(g, mask, scale, needs):
        return dropout.cpu(g, mask, scale), None

    def gpu_grad(g, mask, scale, needs):
        return dropout.gpu(g, mask, scale), None

    def samples(rng):
        yield (rng.normal(size=(3, 5)), rng.random((3, 5)) < 0.7), (1 / 0.7,)
        yield (rng.normal(size=(2, 3, 4)), rng.random((2, 3, 1)) < 0.5), (2.0,)

    def cost(x, mask, scale):
        return 2 * x.nbytes + mask.nbytes, 2 * x.size


AOT = [
    (
        "dropout bf16 8192 x 4096",
        lambda array: dropout.gpu(array((8192, 4096), "bf16"), array((8192, 4096), "i1"), 2.0),
    ),
]
