"""Dropout (arXiv 1207.0580): y = x * mask / (1 - p), with a mask that is given, or drawn on cuda in the same launch.

`drawn` takes its numbers from the Philox streams (`philox.py`): element i stays where the i-th number of [0, 1) that
`philox.fill` would give for x's type is below 1 - p, so the values are those of a mask filled before. What it keeps for the
backward is one bit per element; drawing the numbers again there would cost more time than reading 1/8 byte does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..random import Generator
from . import philox
from ._fold import contiguous
from ._launch import empty, kernel, launch
from ._op import Array, op
from ._pointwise import pointwise
from .philox import pairs64, stream, uniform32_of

if TYPE_CHECKING:
    import triton.language as tl

_ROWS = 256  # bytes of bits per program, eight elements each


@kernel(do_not_specialize=("seed", "offset"))
def _drawn(
    x_ptr, y_ptr, bits_ptr, n, seed, offset, keep: tl.float64, scale: tl.float64, WIDE: tl.constexpr, ROWS: tl.constexpr
):
    """y = x * kept * scale, and the bits of kept, where kept is whether a number of [0, 1) is below `keep`.

    x_ptr, y_ptr: n contiguous elements. bits_ptr: uint8, ceil(n / 8) bytes, element 8 r + j in bit j of byte r.
    seed, offset: as `philox.stream` takes them. WIDE: x is float64, whose numbers have 53 bits.
    One program works on 8 ROWS elements.
    """
    seed, offset = stream(seed, offset)
    first = tl.program_id(0).to(tl.int64) * ROWS
    at = first * 8 + tl.arange(0, 8 * ROWS)
    mask = at < n
    if WIDE:
        w0, w1 = pairs64(seed, first * 4 + tl.arange(0, 4 * ROWS) + offset)
        k0 = ((w0 >> 11).to(tl.float64) * 1.1102230246251565e-16 < keep).to(tl.int32)
        k1 = ((w1 >> 11).to(tl.float64) * 1.1102230246251565e-16 < keep).to(tl.int32)
        kept = tl.reshape(tl.join(k0, k1), (8 * ROWS,))
        bits = tl.reshape(k0 | k1 << 1, (ROWS, 4)) << 2 * tl.arange(0, 4)[None, :]
    else:
        scale = scale.to(tl.float32)
        limit = keep.to(tl.float32)
        i0, i1, i2, i3 = tl.randint4x(seed, first * 2 + tl.arange(0, 2 * ROWS) + offset)
        k0 = (uniform32_of(i0) < limit).to(tl.int32)
        k1 = (uniform32_of(i1) < limit).to(tl.int32)
        k2 = (uniform32_of(i2) < limit).to(tl.int32)
        k3 = (uniform32_of(i3) < limit).to(tl.int32)
        kept = tl.reshape(tl.join(tl.join(k0, k2), tl.join(k1, k3)), (8 * ROWS,))
        bits = tl.reshape(k0 | k1 << 1 | k2 << 2 | k3 << 3, (ROWS, 2)) << 4 * tl.arange(0, 2)[None, :]
    row = first + tl.arange(0, ROWS)
    over = tl.minimum(tl.maximum(n - row * 8, 0), 8).to(tl.int32)  # elements of the row; bits of none are 0
    tl.store(bits_ptr + row, (tl.sum(bits, axis=1) & ((1 << over) - 1)).to(tl.uint8), mask=row * 8 < n)
    x = tl.load(x_ptr + at, mask=mask, other=0).to(scale.dtype)
    tl.store(y_ptr + at, (x * kept * scale).to(y_ptr.dtype.element_ty), mask=mask)


@kernel
def _by_bits(x_ptr, bits_ptr, y_ptr, n, scale: tl.float64, WIDE: tl.constexpr, ROWS: tl.constexpr):
    """y = x * bit * scale; all as `_drawn` has it."""
    if not WIDE:
        scale = scale.to(tl.float32)
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    bits = tl.load(bits_ptr + row, mask=row * 8 < n, other=0).to(tl.int32)
    j = tl.arange(0, 8)[None, :]
    at = row[:, None] * 8 + j
    mask = at < n
    x = tl.load(x_ptr + at, mask=mask, other=0).to(scale.dtype)
    kept = (bits[:, None] >> j) & 1
    tl.store(y_ptr + at, (x * kept * scale).to(y_ptr.dtype.element_ty), mask=mask)


def _shape(x: Array) -> tuple[tuple[int], dict[str, Any]]:
    """(grid, options) of a launch over all elements."""
    return (-(-x.size // (8 * _ROWS)),), {"WIDE": x.dtype == np.float64, "ROWS": _ROWS, "num_warps": 8}


def drawn(x: Array, p: float, generator: Generator) -> tuple[Array, Array]:
    """Dropout of a device array with a mask from a generator.

    Args:
        x: any shape, floating.
        p: probability that an element becomes 0, below 1.

    Returns:
        y of x's shape, and the mask's bits for `dropout_bits`.
    """
    x = contiguous(x)
    y, bits = empty(x.shape, x.dtype), empty((-(-x.size // 8),), np.uint8)
    seed, offset = generator.philox(2 * x.size if x.dtype == np.float64 else x.size)
    grid, options = _shape(x)
    launch(_drawn, grid, x, y, bits, x.size, philox.signed(seed), offset, float(1 - p), 1 / (1 - p), **options)
    return y, bits


def reference(x: np.ndarray, p: float, seed: int, offset: int) -> tuple[np.ndarray, np.ndarray]:
    """What `drawn` gives, in NumPy."""
    kept = philox.reference(philox.BERNOULLI, x.size, x.dtype, 1 - p, 0.0, seed, offset) != 0
    wide = x.astype(np.float32) if x.dtype.itemsize == 2 else x
    y = dropout.cpu(wide, kept.reshape(x.shape), 1 / (1 - p))
    return y.astype(x.dtype), np.packbits(kept, bitorder="little")


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


@op
class dropout_bits:
    """y = x * mask * scale for a mask of bits, uint8: element i, in C order, has bit i mod 8 of byte i // 8."""

    def cpu(x: Array, bits: Array, scale: float) -> Array:
        mask = np.unpackbits(bits, count=x.size, bitorder="little").view(np.bool_)
        return dropout.cpu(x, mask.reshape(x.shape), scale)

    def gpu(x: Array, bits: Array, scale: float) -> Array:
        x = contiguous(x)
        y = empty(x.shape, x.dtype)
        grid, options = _shape(x)
        launch(_by_bits, grid, x, contiguous(bits), y, x.size, float(scale), **options)
        return y

    def grad(g, bits, scale, needs):
        return dropout_bits(g, bits, scale), None

    def cpu_grad(g, bits, scale, needs):
        return dropout_bits.cpu(g, bits, scale), None

    def gpu_grad(g, bits, scale, needs):
        return dropout_bits.gpu(g, bits, scale), None

    def samples(rng):
        yield (rng.normal(size=(3, 5)), rng.integers(0, 256, 2).astype(np.uint8)), (1 / 0.7,)
        yield (rng.normal(size=(2, 3, 4)), rng.integers(0, 256, 3).astype(np.uint8)), (2.0,)

    def cost(x, bits, scale):
        return 2 * x.nbytes + bits.nbytes, 2 * x.size


# ------------------------------------------------------------------------------------- what `report.py` compiles ahead


def AOT() -> list[Any]:  # noqa: N802 - the name that the report looks for
    """Masks given, drawn, drawn in a graph (whose seed lies in memory), and read from bits."""
    shape = (8192, 4096)

    return [
        ("given bf16 8192 x 4096", lambda array: dropout.gpu(array(shape, "bf16"), array(shape, "i1"), 2.0)),
        *[
            (
                f"drawn {dtype} 8192 x 4096",
                lambda array, dtype=dtype: drawn(array(shape, dtype), 0.1, Generator("cuda:0")),
            )
            for dtype in ("bf16", "fp32", "fp64")
        ],
        (
            "drawn in a graph bf16 8192 x 4096",
            lambda array: drawn(array(shape, "bf16"), 0.1, philox.InGraph(array)),
        ),
        *[
            (
                f"bits {dtype} 8192 x 4096",
                lambda array, dtype=dtype: dropout_bits.gpu(array(shape, dtype), array((1 << 22,), "u8"), 2.0),
            )
            for dtype in ("bf16", "fp32", "fp64")
        ],
    ]
