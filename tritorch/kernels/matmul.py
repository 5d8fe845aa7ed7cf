"""Matrix products: y[..., i, j] = sum_k a[..., i, k] b[..., k, j], and linear: y = x w^T + b.

One op serves mm, bmm and the batched, broadcasting matmul: operands are matrices with any batch dims in front, read
through their strides, so that a transposed operand costs no copy on either side.
"""

from __future__ import annotations

import math

import numpy as np

from ._blas import LARGE_PRODUCT, single_enter, single_exit
from ._gemm import gemm
from ._op import Array, op
from ._shapes import broadcast_shapes
from ._threads import parallel, product

# ----------------------------------------------------------------------------------------------- on NumPy arrays


def _for_blas(x: np.ndarray) -> np.ndarray:
    """`x`, copied where its strides would send np.matmul to its slow loop (no unit stride, or rows that overlap)."""
    s0, s1 = x.strides[-2:]
    size = x.itemsize
    if (s1 == size and s0 >= x.shape[-1] * size) or (s0 == size and s1 >= x.shape[-2] * size):
        return x
    return np.ascontiguousarray(x)


def batched_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a @ b` with broadcasting batch dims: one BLAS thread, our own threads over the longest batch dim."""
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    flops = 2 * m * k * n
    total = flops
    for d in batch:
        total *= d
    if total <= 20_000:
        return np.matmul(a, b)
    a, b = _for_blas(a), _for_blas(b)
    axis = max(range(len(batch)), key=batch.__getitem__)
    length = batch[axis]
    y = np.empty((*batch, m, n), np.result_type(a, b))
    if length < 2 or flops >= LARGE_PRODUCT:
        return np.matmul(a, b, out=y)  # a few large products: the BLAS's own threads
    at = (slice(None),) * axis
    a, b = np.broadcast_to(a, (*batch, m, k)), np.broadcast_to(b, (*batch, k, n))

    def block(start: int, stop: int) -> None:
        part = (*at, slice(start, stop))
        np.matmul(a[part], b[part], out=y[part])

    single_enter()
    try:
        parallel(block, length, max(1, 4_000_000 * length // max(total, 1)))
    finally:
        single_exit()
    return y


def matmul_arrays(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a @ b` for ndim >= 2 (or a row times a matrix), broadcasting; a product with one right-hand matrix is one large product."""
    if b.ndim == 2:
        if a.ndim == 2:
            return product(a, b)
        if a.flags.c_contiguous or a.ndim == 1:
            y = product(_rows(a), b)
            return y.reshape(*a.shape[:-1], b.shape[-1])
    return batched_product(a, b)


def _sum_to(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum of `x` over the dims that broadcasting added to `shape`."""
    if x.shape == shape:
        return x
    extra = x.ndim - len(shape)
    axes = (*range(extra), *(i + extra for i, n in enumerate(shape) if n == 1 and x.shape[i + extra] != 1))
    return x.sum(axes, keepdims=True, dtype=x.dtype).reshape(shape)


def column_sum(x: np.ndarray) -> np.ndarray:
    """Sum over the rows of a matrix: a product with ones, which the BLAS does faster than a strided reduction."""
    if x.dtype.kind != "f" or x.shape[0] < 16:
        return x.sum(0, dtype=x.dtype)
    return product(np.ones((1, x.shape[0]), x.dtype), x)[0]


def _rows(x: Array) -> Array:
    """`x` as a matrix, all dims but the last merged; an array or a Tensor (-1 would fail on zero sizes)."""
    return x if len(x.shape) == 2 else x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


def _conj(x: Array) -> Array:
    return x.conj() if getattr(x, "is_complex", bool)() else x


# ----------------------------------------------------------------------------------------------------- the ops


@op
class matmul:
    """y = a @ b over the last two dims; batch dims in front broadcast.

    ga = g b^H and gb = a^H g, summed over the batch dims that were broadcast.
    """

    def cpu(a: Array, b: Array) -> Array:
        return matmul_arrays(a, b)

    def gpu(a: Array, b: Array) -> Array:
        return gemm(a, b)

    def grad(g, a, b, needs):
        ga = gb = None
        if needs[0]:
            ga = matmul(g, _conj(b).mT)
            ga = ga if ga.shape == a.shape else ga.sum_to_size(a.shape)
        if needs[1]:
            a = _conj(a)
            if b.dim() == 2 and a.dim() > 2:  # one product over all rows, not one per batch
                gb = matmul(_rows(a).mT, _rows(g))
            else:
                gb = matmul(a.mT, g)
                gb = gb if gb.shape == b.shape else gb.sum_to_size(b.shape)
        return ga, gb

    def cpu_grad(g, a, b, needs):
        ga = gb = None
        if a.ndim == 2 == b.ndim and a.dtype.kind == "f":
            return product(g, b.T) if needs[0] else None, product(a.T, g) if needs[1] else None
        if needs[0]:
            other = b.conj() if b.dtype.kind == "c" else b
            ga = _sum_to(matmul_arrays(g, other.mT), a.shape)
        if needs[1]:
            a = a.conj() if a.dtype.kind == "c" else a
            if b.ndim == 2 and a.ndim > 2:
                gb = product(_rows(a).T, _rows(g))
            else:
                gb = _sum_to(matmul_arrays(a.mT, g), b.shape)
        return ga, gb

    def samples(rng):
        for a, b in [
            ((3, 4), (4, 5)),
            ((2, 17, 5), (2, 5, 3)),
            ((2, 3, 4), (4, 2)),
            ((3, 1, 2, 3), (2, 3, 4)),
        ]:
            yield (rng.normal(size=a), rng.normal(size=b)), ()

    def cost(a, b):
        batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
        y = int(np.prod(batch)) * a.shape[-2] * b.shape[-1]
        return a.nbytes + b.nbytes + y * a.itemsize, 2 * y * a.shape[-1]


@op
class linear:
    """y = x w^T + b over any leading dims; w is (out, in) as nn.Linear keeps it.

    gx = g w, gw = g^T x, gb = the sum of g over the leading dims.
    """

    def cpu(x: Array, w: Array, b: Array | None) -> Array:
        y = matmul_arrays(x, w.T)
        if b is not None:
            np.add(y, b, out=y)
        return y

    def gpu(x: Array, w: Array, b: Array | None) -> Array:
        return gemm(x, w.T, b) if x.ndim > 1 else gemm(x.reshape((1, -1)), w.T, b).reshape((-1,))

    def grad(g, x, w, b_shape, needs):
        rows = _rows(g)
        return (
            matmul(g if g.dim() > 1 else rows, _conj(w)).reshape(x.shape) if needs[0] else None,
            matmul(rows.mT, _rows(_conj(x))) if needs[1] else None,
            rows.sum(0) if needs[2] else None,
        )

    def cpu_grad(g, x, w, b_shape, needs):
        rows = _rows(g)
        if g.dtype.kind == "c":
            x, w = x.conj(), w.conj()
        return (
            matmul_arrays(g, w) if needs[0] else None,
            product(rows.T, _rows(x)) if needs[1] else None,
            column_sum(rows) if needs[2] else None,
        )

    def samples(rng):
        yield (rng.normal(size=(5, 3)), rng.normal(size=(4, 3)), rng.normal(size=4)), ()
        yield (rng.normal(size=(2, 9, 6)), rng.normal(size=(3, 6)), rng.normal(size=3)), ()
        yield (rng.normal(size=(7, 2)), rng.normal(size=(17, 2)), None), ()
        yield (rng.normal(size=6), rng.normal(size=(3, 6)), rng.normal(size=3)), ()

    def cost(x, w, b):
        y = x.size // max(x.shape[-1], 1) * w.shape[0]
        return x.nbytes + w.nbytes + y * x.itemsize, 2 * y * x.shape[-1]
