"""Layer norm and RMS norm: rows of x, its last `ndim` dims, normalised together.

    layer_norm: y = (x - mean) * rstd * w + b, rstd = 1 / sqrt(var + eps)
    rms_norm:   y = x / sqrt(mean(x^2) + eps) * w

With h = g * w and xhat the normalised row, gx = rstd * (h - mean(h) - xhat * mean(h * xhat)), without the first mean
for rms_norm; gw and gb are column sums of g * xhat and g. The backward makes the statistics again: the row is there.

On the CPU blocks of rows stay in cache, and row sums are products with a vector of ones (three times as fast as a
reduction). On the GPU a row that fits is read once; the column sums are kept in registers by few long-lived programs,
each of which writes one partial row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..device import EMULATED
from ._fold import contiguous
from ._launch import empty, empty_like, kernel, launch
from ._op import Array, op
from ._pointwise import pointwise
from ._rows import FEW, averaging, block_rows, by_column, by_row, over_blocks, sizes, tiled, vecdot, wide
from .reduce import reduce_gpu
from .softmax import row_tiles

if TYPE_CHECKING:
    import triton.language as tl

# ------------------------------------------------------------------------------------------------------ the kernels


@kernel
def _row_norm_fwd(
    x_ptr, w_ptr, b_ptr, y_ptr, n_rows, n, EPS: tl.constexpr, CENTRED: tl.constexpr, HAS_W: tl.constexpr,
    HAS_B: tl.constexpr, F64: tl.constexpr, ONE_TILE: tl.constexpr, BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """Rows of x and y (n_rows, n), contiguous, with w and b (n,); one program normalises BLOCK_J rows.

    ONE_TILE: BLOCK_R >= n; else each lane keeps mean and centred squares (Welford), and the row is read twice.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    j_ok = (j < n_rows)[:, None]
    base = (j * n)[:, None]
    cols = tl.arange(0, BLOCK_R)[None, :]
    if ONE_TILE:
        mask = j_ok & (cols < n)
        x = tl.load(x_ptr + base + cols, mask=mask, other=0).to(ACC)
        if CENTRED:
            x = tl.where(mask, x - (tl.sum(x, 1) / n)[:, None], 0)
        y = x * (1 / tl.sqrt(tl.sum(x * x, 1) / n + EPS))[:, None]
        if HAS_W:
            y = y * tl.load(w_ptr + cols, mask=cols < n, other=0).to(ACC)
        if HAS_B:
            y = y + tl.load(b_ptr + cols, mask=cols < n, other=0).to(ACC)
        tl.store(y_ptr + base + cols, y.to(y_ptr.dtype.element_ty), mask=mask)
    else:
        mean = tl.zeros((BLOCK_J, BLOCK_R), ACC)
        square = tl.zeros((BLOCK_J, BLOCK_R), ACC)
        count = tl.zeros((BLOCK_J, BLOCK_R), ACC)
        for i in range(0, n, BLOCK_R):
            mask = j_ok & (i + cols < n)
            x = tl.load(x_ptr + base + (i + cols), mask=mask, other=0).to(ACC)
            if CENTRED:
                count += mask.to(ACC)
                delta = tl.where(mask, x - mean, 0)
                mean += delta / tl.where(count == 0, 1, count)
                square += delta * tl.where(mask, x - mean, 0)
            else:
                square += x * x
        centre = tl.sum(mean * count, 1) / n
        if CENTRED:
            off = mean - centre[:, None]
            square += off * off * count
        rstd = 1 / tl.sqrt(tl.sum(square, 1) / n + EPS)
        for i in range(0, n, BLOCK_R):
            here = i + cols < n
            mask = j_ok & here
            y = tl.load(x_ptr + base + (i + cols), mask=mask, other=0).to(ACC)
            y = (y - centre[:, None]) * rstd[:, None]
            if HAS_W:
                y = y * tl.load(w_ptr + i + cols, mask=here, other=0).to(ACC)
            if HAS_B:
                y = y + tl.load(b_ptr + i + cols, mask=here, other=0).to(ACC)
            tl.store(y_ptr + base + (i + cols), y.to(y_ptr.dtype.element_ty), mask=mask)


@kernel
def _row_norm_bwd(
    g_ptr, x_ptr, w_ptr, gx_ptr, gw_ptr, gb_ptr, n_rows, n, steps, EPS: tl.constexpr, CENTRED: tl.constexpr,
    HAS_W: tl.constexpr, NEED_X: tl.constexpr, NEED_W: tl.constexpr, NEED_B: tl.constexpr, F64: tl.constexpr,
    BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """gx (n_rows, n), and partial column sums gw, gb (programs, n), of g and x (n_rows, n); all contiguous.

    Each program walks `steps` tiles of BLOCK_J rows, a stride of all programs apart. BLOCK_R >= n, a power of two.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    pid = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK_R)[None, :]
    here = cols < n
    part_w = tl.zeros((BLOCK_J, BLOCK_R), ACC)
    part_b = tl.zeros((BLOCK_J, BLOCK_R), ACC)
    if HAS_W:
        w = tl.load(w_ptr + cols, mask=here, other=0).to(ACC)
    for step in range(0, steps):
        j = (pid + step * tl.num_programs(0).to(tl.int64)) * BLOCK_J + tl.arange(0, BLOCK_J)
        mask = (j < n_rows)[:, None] & here
        at = (j * n)[:, None] + cols
        x = tl.load(x_ptr + at, mask=mask, other=0).to(ACC)
        g = tl.load(g_ptr + at, mask=mask, other=0).to(ACC)
        if CENTRED:
            x = tl.where(mask, x - (tl.sum(x, 1) / n)[:, None], 0)
        rstd = (1 / tl.sqrt(tl.sum(x * x, 1) / n + EPS))[:, None]
        x = x * rstd
        if NEED_W:
            part_w += g * x
        if NEED_B:
            part_b += g
        if NEED_X:
            if HAS_W:
                g = g * w
            gx = g - x * (tl.sum(g * x, 1) / n)[:, None]
            if CENTRED:
                gx = gx - (tl.sum(g, 1) / n)[:, None]
            tl.store(gx_ptr + at, (gx * rstd).to(gx_ptr.dtype.element_ty), mask=mask)
    row = pid * n + tl.arange(0, BLOCK_R)
    ok = tl.arange(0, BLOCK_R) < n
    if NEED_W:
        tl.store(gw_ptr + row, tl.sum(part_w, 0), mask=ok)
    if NEED_B:
        tl.store(gb_ptr + row, tl.sum(part_b, 0), mask=ok)


@kernel
def _row_stats(
    g_ptr, x_ptr, w_ptr, mean_ptr, rstd_ptr, g_mean_ptr, dot_ptr, n_rows, n, EPS: tl.constexpr, CENTRED: tl.constexpr,
    HAS_W: tl.constexpr, F64: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """For rows too long for a tile: mean, rstd, mean of h = g w and of h xhat, each (n_rows,); one row per program."""
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK_R)
    mean = tl.zeros((BLOCK_R,), ACC)
    square = tl.zeros((BLOCK_R,), ACC)
    count = tl.zeros((BLOCK_R,), ACC)
    for i in range(0, n, BLOCK_R):
        mask = i + cols < n
        x = tl.load(x_ptr + row * n + (i + cols), mask=mask, other=0).to(ACC)
        if CENTRED:
            count += mask.to(ACC)
            delta = tl.where(mask, x - mean, 0)
            mean += delta / tl.where(count == 0, 1, count)
            square += delta * tl.where(mask, x - mean, 0)
        else:
            square += x * x
    centre = tl.sum(mean * count, 0) / n
    if CENTRED:
        square += (mean - centre) * (mean - centre) * count
    rstd = 1 / tl.sqrt(tl.sum(square, 0) / n + EPS)
    total = tl.zeros((BLOCK_R,), ACC)
    dot = tl.zeros((BLOCK_R,), ACC)
    for i in range(0, n, BLOCK_R):
        mask = i + cols < n
        x = tl.load(x_ptr + row * n + (i + cols), mask=mask, other=0).to(ACC)
        h = tl.load(g_ptr + row * n + (i + cols), mask=mask, other=0).to(ACC)
        if HAS_W:
            h = h * tl.load(w_ptr + (i + cols), mask=mask, other=0).to(ACC)
        total += h
        dot += h * (x - centre)
    tl.store(mean_ptr + row, centre)
    tl.store(rstd_ptr + row, rstd)
    tl.store(g_mean_ptr + row, tl.sum(total, 0) / n)
    tl.store(dot_ptr + row, tl.sum(dot, 0) * rstd / n)


def _dense(x: Array | None) -> Array | None:
    return None if x is None else contiguous(x)


def _norm_gpu(x: Array, w: Array | None, b: Array | None, ndim: int, eps: float, centred: bool) -> Array:
    n_rows, n = sizes(x.shape, ndim)
    x, w, b = _dense(x), _dense(w), _dense(b)
    y = empty_like(x)
    if y.size:
        block_j, block_r, one, warps = row_tiles(n_rows, n, 1)
        launch(
            _row_norm_fwd, (-(-n_rows // block_j),), x, w, b, y, n_rows, n, EPS=eps, CENTRED=centred,
            HAS_W=w is not None,
            HAS_B=b is not None, F64=x.dtype.itemsize == 8, ONE_TILE=one, BLOCK_J=block_j, BLOCK_R=block_r,
            num_warps=warps,
        )  # fmt: skip
    return y


def _norm_gpu_grad(g: Array, x: Array, w: Array | None, ndim: int, eps: float, needs, centred: bool):
    n_rows, n = sizes(x.shape, ndim)
    tail = x.shape[x.ndim - ndim :]
    g, x, w = _dense(g), _dense(x), _dense(w)
    kind = x.dtype if w is None else w.dtype
    sums = np.dtype(np.float64 if x.dtype.itemsize == 8 else np.float32)
    block_j, block_r, one, warps = row_tiles(n_rows, n, 1)
    need_w, need_b = needs[1], needs[2]
    if not one or not x.size:
        return _long_grad(g, x, w, n_rows, n, tail, eps, needs, centred, kind, sums)
    gx = empty_like(x) if needs[0] else None
    tiles = -(-n_rows // block_j)
    programs = min(tiles, 4 if EMULATED else 264)  # two for each of an H100's multiprocessors
    part_w = empty((programs, n), sums) if need_w else None
    part_b = empty((programs, n), sums) if need_b else None
    launch(
        _row_norm_bwd, (programs,), g, x, w, gx, part_w, part_b, n_rows, n, -(-tiles // programs), EPS=eps,
        CENTRED=centred,
        HAS_W=w is not None, NEED_X=needs[0], NEED_W=need_w, NEED_B=need_b, F64=sums.itemsize == 8,
        BLOCK_J=block_j, BLOCK_R=block_r, num_warps=warps,
    )  # fmt: skip
    gw = None if part_w is None else reduce_gpu(part_w, (0,), False, "sum", kind).reshape(tail)
    gb = None if part_b is None else reduce_gpu(part_b, (0,), False, "sum", kind).reshape(tail)
    return gx, gw, gb


def _long_grad(g, x, w, n_rows, n, tail, eps, needs, centred, kind, sums):
    """The gradients of rows longer than a tile: statistics of each row first, then elementwise and column sums."""
    stats = [empty((n_rows, 1), sums) for _ in range(4)]
    if x.size:
        launch(
            _row_stats, (n_rows,), g, x, w, *stats, n_rows, n, EPS=eps, CENTRED=centred, HAS_W=w is not None,
            F64=sums.itemsize == 8, BLOCK_R=1024 if EMULATED else 4096, num_warps=8,
        )  # fmt: skip
    x2, g2 = x.reshape((n_rows, n)), g.reshape((n_rows, n))
    gx = gw = gb = None
    if needs[0]:
        h, extra = ("g * w", (w.reshape((1, n)),)) if w is not None else ("g", ())
        names = ("g", "x", "mean", "rstd", "gm", "dot", "w")[: 6 + len(extra)]
        minus = " - gm" if centred else ""
        expr = f"rstd * ({h}{minus} - (x - mean) * rstd * dot)"
        gx = pointwise("row_norm_grad", (expr,), names, (g2, x2, *stats, *extra), (x.dtype,))[0].reshape(x.shape)
    if needs[1]:
        arrays = (g2, x2, stats[0], stats[1])
        each = pointwise("row_norm_grad", ("g * (x - mean) * rstd",), ("g", "x", "mean", "rstd"), arrays, (sums,))[0]
        gw = reduce_gpu(each, (0,), False, "sum", kind).reshape(tail)
    if needs[2]:
        gb = reduce_gpu(g2, (0,), False, "sum", kind).reshape(tail)
    return gx, gw, gb


# ----------------------------------------------------------------------------------------------- the CPU and the ops


def _tiled(w: Array | None, n_rows: int, n: int) -> Array | None:
    return None if w is None else tiled(wide(w).reshape(n), n_rows)


def _rstd(rows: Array, n: int, eps: float) -> Array:
    """1 / sqrt(mean(row^2) + eps) of each row."""
    y = vecdot(rows, rows)
    y /= n
    y += eps
    np.sqrt(y, out=y)
    return np.reciprocal(y, out=y)


def few(x: Array, n_rows: int, n: int, w: Array | None, b: Array | None, eps: float, centred: bool) -> Array:
    """Either norm of so few numbers that each call counts."""
    y = x.reshape(n_rows, n)
    if centred:
        y = y - y.dot(averaging(n, y.dtype.char))[:, None]
    y = y * _rstd(y, n, eps)[:, None]
    if w is not None:
        y *= w.reshape(n)
    if b is not None:
        y += b.reshape(n)
    return y.reshape(x.shape)


def _last_dims(x, ndim: int) -> tuple[int, ...]:
    return tuple(range(len(x.shape) - ndim, len(x.shape)))


def _affine_grads(g, xhat, ndim: int, needs_w: bool, needs_b: bool):
    """Gradients of weight and bias, both of the shape of the last `ndim` dims (on Tensors)."""
    lead = tuple(range(len(g.shape) - ndim))
    if not lead:
        return g * xhat if needs_w else None, g if needs_b else None
    return (g * xhat).sum(lead) if needs_w else None, g.sum(lead) if needs_b else None


@op
class layer_norm:
    """y = (x - mean) * rstd * w + b over the last `ndim` dims, rstd = 1 / sqrt(var + eps), var biased."""

    upcast = False  # the gradients of float32 weights beside a half-precision x stay float32

    def cpu(x: Array, w: Array | None, b: Array | None, ndim: int, eps: float) -> Array:
        n_rows, n = sizes(x.shape, ndim)
        kind, x = x.dtype, wide(x)
        if 0 < x.size <= FEW:
            return few(x, n_rows, n, w, b, eps, True).astype(kind, copy=False)
        y = np.empty(x.shape, x.dtype)
        if y.size == 0:
            return y.astype(kind, copy=False)
        x2, y2, w, b = x.reshape(n_rows, n), y.reshape(n_rows, n), _tiled(w, n_rows, n), _tiled(b, n_rows, n)
        mean_of = averaging(n, x.dtype.char)

        def block(start: int, stop: int) -> None:
            rows, out = x2[start:stop], y2[start:stop]
            by_column(np.subtract, rows, rows.dot(mean_of), out)
            by_column(np.multiply, out, _rstd(out, n, eps), out)
            if w is not None:
                by_row(np.multiply, out, w, out)
            if b is not None:
                by_row(np.add, out, b, out)

        over_blocks(block, n_rows, n)
        return y.astype(kind, copy=False)

    def gpu(x: Array, w: Array | None, b: Array | None, ndim: int, eps: float) -> Array:
        return _norm_gpu(x, w, b, ndim, eps, True)

    def grad(g, x, w, ndim, eps, needs):
        dims = _last_dims(x, ndim)
        xc = x - x.mean(dims, True)
        rstd = ((xc * xc).mean(dims, True) + eps).rsqrt()
        xhat = xc * rstd
        gx = None
        if needs[0]:
            h = g if w is None else g * w
            gx = rstd * (h - h.mean(dims, True) - xhat * (h * xhat).mean(dims, True))
        return (gx, *_affine_grads(g, xhat, ndim, needs[1], needs[2]))

    def cpu_grad(g, x, w, ndim, eps, needs):
        return _row_norm_grad(g, x, w, ndim, eps, needs, True)

    def gpu_grad(g, x, w, ndim, eps, needs):
        return _norm_gpu_grad(g, x, w, ndim, eps, needs, True)

    def samples(rng):
        x = rng.normal(size=(3, 5, 7))
        yield (x, rng.normal(size=7), rng.normal(size=7)), (1, 1e-5)
        yield (x, rng.normal(size=(5, 7)), rng.normal(size=(5, 7))), (2, 1e-3)
        yield (x, None, None), (1, 1e-5)

    def cost(x, w, b, ndim, eps):
        return 2 * x.nbytes, 8 * x.size


@op
class rms_norm:
    """y = x / sqrt(mean(x^2) + eps) * w over the last `ndim` dims (arXiv 1910.07467)."""

    holomorphic = True
    upcast = False

    def cpu(x: Array, w: Array | None, ndim: int, eps: float) -> Array:
        n_rows, n = sizes(x.shape, ndim)
        kind, x = x.dtype, wide(x)
        if 0 < x.size <= FEW:
            return few(x, n_rows, n, w, None, eps, False).astype(kind, copy=False)
        y = np.empty(x.shape, x.dtype)
        if y.size == 0:
            return y.astype(kind, copy=False)
        x2, y2, w = x.reshape(n_rows, n), y.reshape(n_rows, n), _tiled(w, n_rows, n)

        def block(start: int, stop: int) -> None:
            rows, out = x2[start:stop], y2[start:stop]
            by_column(np.multiply, rows, _rstd(rows, n, eps), out)
            if w is not None:
                by_row(np.multiply, out, w, out)

        over_blocks(block, n_rows, n)
        return y.astype(kind, copy=False)

    def gpu(x: Array, w: Array | None, ndim: int, eps: float) -> Array:
        return _norm_gpu(x, w, None, ndim, eps, False)

    def grad(g, x, w, ndim, eps, needs):
        dims = _last_dims(x, ndim)
        rstd = ((x * x).mean(dims, True) + eps).rsqrt()
        xhat = x * rstd
        gx = None
        if needs[0]:
            h = g if w is None else g * w
            gx = rstd * (h - xhat * (h * xhat).mean(dims, True))
        return gx, _affine_grads(g, xhat, ndim, needs[1], False)[0]

    def cpu_grad(g, x, w, ndim, eps, needs):
        return _row_norm_grad(g, x, w, ndim, eps, (needs[0], needs[1], False), False)[:2]

    def gpu_grad(g, x, w, ndim, eps, needs):
        return _norm_gpu_grad(g, x, w, ndim, eps, (needs[0], needs[1], False), False)[:2]

    def samples(rng):
        x = rng.normal(size=(3, 5, 7))
        yield (x, rng.normal(size=7)), (1, 1e-6)
        yield (x, None), (2, 1e-3)

    def cost(x, w, ndim, eps):
        return 2 * x.nbytes, 5 * x.size


def _row_norm_grad(g: Array, x: Array, w: Array | None, ndim: int, eps: float, needs, centred: bool):
    """(gx, gw, gb) of layer_norm, or of rms_norm when not `centred`; the statistics are made again in cache."""
    n_rows, n = sizes(x.shape, ndim)
    tail = x.shape[x.ndim - ndim :]
    kind, kind_w = x.dtype, x.dtype if w is None else w.dtype
    x, g = wide(x), wide(g)
    gx = np.empty(x.shape, x.dtype) if needs[0] else None
    if x.size == 0:
        zero = np.zeros(tail, x.dtype)
        gx = None if gx is None else gx.astype(kind)
        return gx, zero.astype(kind_w) if needs[1] else None, zero.astype(kind_w) if needs[2] else None
    x2, g2, w1 = x.reshape(n_rows, n), g.reshape(n_rows, n), None if w is None else wide(w).reshape(n)
    gx2 = None if gx is None else gx.reshape(n_rows, n)
    step = block_rows(n_rows, n)
    blocks = -(-n_rows // step)
    part_w = np.empty((blocks, n), x.dtype) if needs[1] else None
    part_b = np.empty((blocks, n), x.dtype) if needs[2] else None
    mean_of = averaging(n, x.dtype.char)
    mean_w = mean_of if w1 is None else w1 / n
    scale = None if w1 is None else tiled(w1, n_rows)

    def block(start: int, stop: int) -> None:
        rows, gy, i = x2[start:stop], g2[start:stop], start // step
        xc = rows
        if centred:
            xc = np.empty_like(rows)
            by_column(np.subtract, rows, rows.dot(mean_of), xc)
        rstd = _rstd(xc, n, eps)
        if part_b is not None:
            np.dot(np.ones(stop - start, x.dtype), gy, out=part_b[i])
        product = gy * xc  # xhat = rstd * xc is never written: rstd goes into the sums
        if part_w is not None:
            np.dot(rstd, product, out=part_w[i])
        if gx2 is None:
            return
        slope = product.dot(mean_w)  # mean of h * xc, h = g * w
        slope *= rstd * rstd
        by_column(np.multiply, xc, slope, product)
        out = gx2[start:stop]
        if scale is None:
            np.subtract(gy, product, out=out)
        else:
            by_row(np.multiply, gy, scale, out)
            out -= product
        if centred:
            by_column(np.subtract, out, gy.dot(mean_w), out)
        by_column(np.multiply, out, rstd, out)

    over_blocks(block, n_rows, n, step)
    gw = None if part_w is None else part_w.sum(0).reshape(tail).astype(kind_w, copy=False)
    gb = None if part_b is None else part_b.sum(0).reshape(tail).astype(kind_w, copy=False)
    return None if gx is None else gx.astype(kind, copy=False), gw, gb


_ALL = (True, True, True)
AOT = [
    (
        "layer_norm bf16 8192 x 4096",
        lambda array: layer_norm.gpu(array((8192, 4096), "bf16"), array((4096,)), array((4096,)), 1, 1e-5),
    ),
    (
        "layer_norm fp32 65536 x 128",
        lambda array: layer_norm.gpu(array((65536, 128)), array((128,)), array((128,)), 1, 1e-5),
    ),
    (
        "layer_norm bf16 512 x 50257",
        lambda array: layer_norm.gpu(array((512, 50257), "bf16"), array((50257,)), array((50257,)), 1, 1e-5),
    ),
    (
        "rms_norm bf16 8192 x 4096",
        lambda array: rms_norm.gpu(array((8192, 4096), "bf16"), array((4096,), "bf16"), 1, 1e-5),
    ),
    (
        "layer_norm backward bf16 8192 x 4096",
        lambda array: layer_norm.gpu_grad(
            array((8192, 4096), "bf16"), array((8192, 4096), "bf16"), array((4096,)), 1, 1e-5, _ALL
        ),
    ),
    (
        "layer_norm backward fp32 65536 x 128",
        lambda array: layer_norm.gpu_grad(array((65536, 128)), array((65536, 128)), array((128,)), 1, 1e-5, _ALL),
    ),
    (
        "rms_norm backward bf16 8192 x 4096",
        lambda array: rms_norm.gpu_grad(
            array((8192, 4096), "bf16"), array((8192, 4096), "bf16"), array((4096,), "bf16"), 1, 1e-5, _ALL[:2]
        ),
    ),
    (
        "layer_norm backward fp32 512 x 50257",
        lambda array: layer_norm.gpu_grad(array((512, 50257)), array((512, 50257)), array((50257,)), 1, 1e-5, _ALL),
    ),
]
