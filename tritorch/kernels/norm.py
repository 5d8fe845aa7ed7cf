"""Normalisation: y = (x - mean) / sqrt(var + eps) * w + b, with the statistics taken over

- layer_norm: the last `ndim` dims of each row; rms_norm: the same without the mean, x / sqrt(mean(x^2) + eps) * w;
- batch_norm_train: each channel (dim 1) over batch and space; batch_norm_eval: statistics given;
- group_norm: each group of channels of one sample.

On the CPU the last three see x as planes (N, C, L): one pass gives each plane's mean and centred squares, which are
merged exactly (Chan, Golub, LeVeque 1979), a second one scales and shifts. Row sums are products with a vector of
ones: a matrix-vector product runs three times as fast as a reduction over the last axis.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ._op import Array, op
from ._rows import n_blocks, over_blocks, sizes, wide

# ---------------------------------------------------------------------------------------------- rows


def _flat(w: Array | None, n: int) -> Array | None:
    return None if w is None else w.reshape(n)


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

    def cpu(x: Array, w: Array | None, b: Array | None, ndim: int, eps: float) -> Array:
        n_rows, n = sizes(x.shape, ndim)
        y = np.empty(x.shape, x.dtype)
        if y.size == 0:
            return y
        x2, y2, w, b = x.reshape(n_rows, n), y.reshape(n_rows, n), _flat(w, n), _flat(b, n)
        mean_of = np.full(n, 1 / n, x.dtype)

        def block(i: int, start: int, stop: int) -> None:
            rows, out = x2[start:stop], y2[start:stop]
            np.subtract(rows, (rows @ mean_of)[:, None], out=out)
            rstd = 1 / np.sqrt(np.vecdot(out, out) / n + eps)
            out *= rstd[:, None]
            if w is not None:
                out *= w
            if b is not None:
                out += b

        over_blocks(block, n_rows, n)
        return y

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

    def cpu(x: Array, w: Array | None, ndim: int, eps: float) -> Array:
        n_rows, n = sizes(x.shape, ndim)
        y = np.empty(x.shape, x.dtype)
        if y.size == 0:
            return y
        x2, y2, w = x.reshape(n_rows, n), y.reshape(n_rows, n), _flat(w, n)

        def block(i: int, start: int, stop: int) -> None:
            rows, out = x2[start:stop], y2[start:stop]
            rstd = 1 / np.sqrt(np.vecdot(rows, rows) / n + eps)
            np.multiply(rows, rstd[:, None], out=out)
            if w is not None:
                out *= w

        over_blocks(block, n_rows, n)
        return y

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
    gx = np.empty(x.shape, x.dtype) if needs[0] else None
    if x.size == 0:
        zero = np.zeros(tail, x.dtype)
        return gx, zero if needs[1] else None, zero.copy() if needs[2] else None
    x2, g2, w1 = x.reshape(n_rows, n), g.reshape(n_rows, n), _flat(w, n)
    gx2 = None if gx is None else gx.reshape(n_rows, n)
    mean_of = np.full(n, 1 / n, x.dtype)
    blocks = n_blocks(n_rows, n)
    part_w = np.empty((blocks, n), x.dtype) if needs[1] else None
    part_b = np.empty((blocks, n), x.dtype) if needs[2] else None

    def block(i: int, start: int, stop: int) -> None:
        rows, gy = x2[start:stop], g2[start:stop]
        if centred:
            xhat = np.subtract(rows, (rows @ mean_of)[:, None])
            rstd = 1 / np.sqrt(np.vecdot(xhat, xhat) / n + eps)
            xhat *= rstd[:, None]
        else:
            rstd = 1 / np.sqrt(np.vecdot(rows, rows) / n + eps)
            xhat = rows * rstd[:, None]
        buf = None
        if part_b is not None:
            np.matmul(np.ones(stop - start, x.dtype), gy, out=part_b[i])
        if part_w is not None:
            buf = gy * xhat
            np.matmul(np.ones(stop - start, x.dtype), buf, out=part_w[i])
        if gx2 is None:
            return
        out = gx2[start:stop]
        if w1 is None:
            h, dot = gy, np.vecdot(gy, xhat)
        else:
            h = np.multiply(gy, w1, out=buf)
            dot = np.vecdot(h, xhat)
        dot *= rstd / n
        xhat *= dot[:, None]
        np.multiply(h, rstd[:, None], out=out)
        out -= xhat
        if centred:
            out -= ((h @ mean_of) * rstd)[:, None]

    over_blocks(block, n_rows, n)
    gw = None if part_w is None else part_w.sum(0).reshape(tail)
    gb = None if part_b is None else part_b.sum(0).reshape(tail)
    return gx, gw, gb


# -------------------------------------------------------------------------------------------- planes


def _planes(x: Array) -> Array:
    """x as (N, C, L)."""
    return x.reshape(x.shape[0], x.shape[1], prod(x.shape[2:]))


def _plane_moments(x3: Array) -> tuple[Array, Array]:
    """Mean and sum of centred squares of each plane, both (N, C), in float64 so that merging them costs no accuracy."""
    n, c, length = x3.shape
    if length == 1:
        mean = x3[:, :, 0].astype(np.float64)
        return mean, np.zeros_like(mean)
    rows = x3.reshape(n * c, length)
    mean = np.empty(n * c, x3.dtype)
    square = np.empty(n * c, x3.dtype)
    mean_of = np.full(length, 1 / length, x3.dtype)

    def block(i: int, start: int, stop: int) -> None:
        r = rows[start:stop]
        m = np.matmul(r, mean_of, out=mean[start:stop])
        centred = r - m[:, None]
        np.vecdot(centred, centred, out=square[start:stop])

    over_blocks(block, n * c, length)
    return mean.astype(np.float64).reshape(n, c), square.astype(np.float64).reshape(n, c)


def _merge(mean: Array, square: Array, length: int, axis: int) -> tuple[Array, Array]:
    """Mean and biased variance of equally long planes together, along one axis of the plane statistics."""
    joint = mean.mean(axis)
    spread = mean - np.expand_dims(joint, axis)
    n = mean.shape[axis] * length
    return joint, (square.sum(axis) + length * (spread * spread).sum(axis)) / n


def _scale_shift(x3: Array, scale: Array, shift: Array) -> Array:
    """x3 * scale + shift, with scale and shift per channel (C,) or per plane (N, C)."""
    n, c, length = x3.shape
    y = np.empty(x3.shape, x3.dtype)
    scale, shift = scale.astype(x3.dtype), shift.astype(x3.dtype)
    if scale.ndim == 1 and length < 256:  # short planes: one long row per sample keeps NumPy's inner loop long
        rows, out = x3.reshape(n, c * length), y.reshape(n, c * length)
        a, b = np.repeat(scale, length), np.repeat(shift, length)
        by_plane = False
    else:
        rows, out = x3.reshape(n * c, length), y.reshape(n * c, length)
        a = np.broadcast_to(scale, (n, c)).reshape(n * c, 1)
        b = np.broadcast_to(shift, (n, c)).reshape(n * c, 1)
        by_plane = True

    def block(i: int, start: int, stop: int) -> None:
        o = out[start:stop]
        np.multiply(rows[start:stop], a[start:stop] if by_plane else a, out=o)
        o += b[start:stop] if by_plane else b

    over_blocks(block, *rows.shape)
    return y


def _plane_dots(g3: Array, x3: Array, centre: Array) -> tuple[Array, Array]:
    """Per plane: sum of g and of g * (x - centre), both (N, C) in float64; centre is (C,) or (N, C)."""
    n, c, length = x3.shape
    sum_g, dot = np.empty(n * c, x3.dtype), np.empty(n * c, x3.dtype)
    g2, x2 = g3.reshape(n * c, length), x3.reshape(n * c, length)
    mid = np.broadcast_to(centre.astype(x3.dtype), (n, c)).reshape(n * c, 1)
    ones = np.ones(length, x3.dtype)

    def block(i: int, start: int, stop: int) -> None:
        np.matmul(g2[start:stop], ones, out=sum_g[start:stop])
        np.vecdot(g2[start:stop], x2[start:stop] - mid[start:stop], out=dot[start:stop])

    over_blocks(block, n * c, length)
    return sum_g.astype(np.float64).reshape(n, c), dot.astype(np.float64).reshape(n, c)


def _combine(g3: Array, x3: Array, a: Array, k: Array, d: Array) -> Array:
    """a * g + k * x + d, coefficients per channel (C,) or per plane (N, C)."""
    n, c, length = x3.shape
    out = np.empty(x3.shape, x3.dtype)
    if a.ndim == 1 and length < 256:
        shape, reps = (n, c * length), length
        a, k, d = (np.repeat(v.astype(x3.dtype), reps) for v in (a, k, d))
        by_plane = False
    else:
        shape = (n * c, length)
        a, k, d = (np.broadcast_to(v.astype(x3.dtype), (n, c)).reshape(n * c, 1) for v in (a, k, d))
        by_plane = True
    g2, x2, out2 = g3.reshape(shape), x3.reshape(shape), out.reshape(shape)

    def block(i: int, start: int, stop: int) -> None:
        s = slice(start, stop)
        o = out2[s]
        np.multiply(x2[s], k[s] if by_plane else k, out=o)
        o += d[s] if by_plane else d
        o += g2[s] * (a[s] if by_plane else a)

    over_blocks(block, *shape)
    return out


def _per_channel(v, x):
    """A (C,) Tensor shaped to stand against x (N, C, ...)."""
    return v.reshape((1, v.shape[0]) + (1,) * (len(x.shape) - 2))


def _channel_dims(x) -> tuple[int, ...]:
    return (0, *range(2, len(x.shape)))


@op
class batch_norm_train:
    """Batch norm by the batch's own statistics; also gives mean and biased variance, (C,), for the running ones.

    arXiv 1502.03167. x: (N, C, ...); w, b: (C,) or None. Statistics keep float32 for half-precision x.
    """

    differentiable = 1
    upcast = False

    def cpu(x: Array, w: Array | None, b: Array | None, eps: float) -> tuple[Array, Array, Array]:
        x3 = _planes(wide(x))
        if x3.size == 0:
            nothing = np.zeros(x.shape[1], x3.dtype)
            return np.empty(x.shape, x.dtype), nothing, nothing.copy()
        mean, var = _merge(*_plane_moments(x3), x3.shape[2], 0)
        scale = 1 / np.sqrt(var + eps)
        if w is not None:
            scale = scale * w
        shift = -mean * scale
        if b is not None:
            shift = shift + b
        y = _scale_shift(x3, scale, shift).reshape(x.shape).astype(x.dtype, copy=False)
        return y, mean.astype(x3.dtype), var.astype(x3.dtype)

    def grad(g, x, w, eps, y1, y2, needs):
        dims = _channel_dims(x)
        xc = x - x.mean(dims, True)
        rstd = ((xc * xc).mean(dims, True) + eps).rsqrt()
        xhat = xc * rstd
        gx = None
        if needs[0]:
            h = g if w is None else g * _per_channel(w, x)
            gx = rstd * (h - h.mean(dims, True) - xhat * (h * xhat).mean(dims, True))
        return gx, (g * xhat).sum(dims) if needs[1] else None, g.sum(dims) if needs[2] else None

    def cpu_grad(g, x, w, eps, y1, y2, needs):
        x3, g3 = _planes(wide(x)), _planes(wide(g))
        if x3.size == 0:
            zero = np.zeros(x.shape[1], x.dtype)
            return np.empty(x.shape, x.dtype), zero if needs[1] else None, zero.copy() if needs[2] else None
        count = x3.shape[0] * x3.shape[2]
        mean = y1.astype(np.float64)
        rstd = 1 / np.sqrt(y2.astype(np.float64) + eps)
        sum_g, dot = (v.sum(0) for v in _plane_dots(g3, x3, mean))
        gx = None
        if needs[0]:
            a = rstd if w is None else rstd * w
            k = -a * rstd * rstd * dot / count
            gx = _combine(g3, x3, a, k, -a * sum_g / count - k * mean).reshape(x.shape).astype(x.dtype, copy=False)
        kind = x.dtype if w is None else w.dtype
        return gx, (dot * rstd).astype(kind) if needs[1] else None, sum_g.astype(kind) if needs[2] else None

    def samples(rng):
        x = rng.normal(size=(3, 4, 5))
        yield (x, rng.normal(size=4), rng.normal(size=4)), (1e-5,)
        yield (rng.normal(size=(6, 3)), None, None), (1e-3,)
        yield (rng.normal(size=(2, 3, 4, 2)), rng.normal(size=3), None), (1e-5,)

    def cost(x, w, b, eps):
        return 3 * x.nbytes, 8 * x.size


@op
class batch_norm_eval:
    """Batch norm by given statistics: y = (x - mean) / sqrt(var + eps) * w + b, all of (C,) against x (N, C, ...)."""

    upcast = False

    def cpu(x: Array, mean: Array, var: Array, w: Array | None, b: Array | None, eps: float) -> Array:
        x3 = _planes(wide(x))
        if x3.size == 0:
            return np.empty(x.shape, x.dtype)
        scale = 1 / np.sqrt(var.astype(np.float64) + eps)
        if w is not None:
            scale = scale * w
        shift = -mean.astype(np.float64) * scale
        if b is not None:
            shift = shift + b
        return _scale_shift(x3, scale, shift).reshape(x.shape).astype(x.dtype, copy=False)

    def grad(g, x, mean, var, w, eps, needs):
        dims = _channel_dims(x)
        rstd = (var + eps).rsqrt()
        scale = rstd if w is None else rstd * w
        gx = g * _per_channel(scale, x) if needs[0] else None
        g_sum = g.sum(dims) if needs[1] or needs[4] else None
        dot = None
        if needs[2] or needs[3]:
            dot = (g * (x - _per_channel(mean, x))).sum(dims)
        return (
            gx,
            -g_sum * scale if needs[1] else None,
            dot * scale * rstd * rstd * -0.5 if needs[2] else None,
            dot * rstd if needs[3] else None,
            g_sum if needs[4] else None,
        )

    def cpu_grad(g, x, mean, var, w, eps, needs):
        x3, g3 = _planes(wide(x)), _planes(wide(g))
        rstd = 1 / np.sqrt(var.astype(np.float64) + eps)
        scale = rstd if w is None else rstd * w
        gx = gm = gv = gw = gb = None
        if needs[0]:
            gx = _scale_shift(g3, scale, np.zeros_like(scale)).reshape(x.shape).astype(x.dtype, copy=False)
        if any(needs[1:]):
            sum_g, dot = (v.sum(0) for v in _plane_dots(g3, x3, mean))
            gm = (-sum_g * scale).astype(mean.dtype) if needs[1] else None
            gv = (-0.5 * dot * scale * rstd * rstd).astype(var.dtype) if needs[2] else None
            kind = x.dtype if w is None else w.dtype
            gw = (dot * rstd).astype(kind) if needs[3] else None
            gb = sum_g.astype(kind) if needs[4] else None
        return gx, gm, gv, gw, gb

    def samples(rng):
        x = rng.normal(size=(3, 4, 5))
        stats = rng.normal(size=4), rng.uniform(0.5, 2, size=4)
        yield (x, *stats, rng.normal(size=4), rng.normal(size=4)), (1e-5,)
        yield (rng.normal(size=(6, 4)), *stats, None, None), (1e-3,)

    def cost(x, mean, var, w, b, eps):
        return 2 * x.nbytes, 2 * x.size


@op
class group_norm:
    """Layer norm over each of `groups` groups of channels, scaled and shifted per channel (arXiv 1803.08494)."""

    def cpu(x: Array, w: Array | None, b: Array | None, groups: int, eps: float) -> Array:
        x3 = _planes(x)
        if x3.size == 0:
            return np.empty(x.shape, x.dtype)
        scale, shift = _group_affine(x3, w, groups, eps)
        if b is not None:
            shift = shift + b
        return _scale_shift(x3, scale, shift).reshape(x.shape)

    def grad(g, x, w, groups, eps, needs):
        n, c = x.shape[:2]
        grouped = (n, groups, -1)
        xg = x.reshape(grouped)
        xc = xg - xg.mean(2, True)
        rstd = ((xc * xc).mean(2, True) + eps).rsqrt()
        xhat = xc * rstd
        gx = None
        if needs[0]:
            h = (g if w is None else g * _per_channel(w, x)).reshape(grouped)
            gx = (rstd * (h - h.mean(2, True) - xhat * (h * xhat).mean(2, True))).reshape(x.shape)
        dims = _channel_dims(x)
        gw = (g * xhat.reshape(x.shape)).sum(dims) if needs[1] else None
        return gx, gw, g.sum(dims) if needs[2] else None

    def cpu_grad(g, x, w, groups, eps, needs):
        x3, g3 = _planes(x), _planes(g)
        n, c, length = x3.shape
        if x3.size == 0:
            zero = np.zeros(c, x.dtype)
            return np.empty(x.shape, x.dtype), zero if needs[1] else None, zero.copy() if needs[2] else None
        mean, rstd = _group_stats(x3, groups, eps)  # (N, G)
        spread = c // groups
        mean, rstd = np.repeat(mean, spread, 1), np.repeat(rstd, spread, 1)  # (N, C)
        sum_g, dot = _plane_dots(g3, x3, mean)
        gx = None
        if needs[0]:
            wc = np.ones(c) if w is None else w.astype(np.float64)
            count = spread * length
            mean_h = _group_sum(sum_g * wc, groups) / count
            mean_hx = _group_sum(dot * wc * rstd, groups) / count
            k = -rstd * rstd * mean_hx
            gx = _combine(g3, x3, rstd * wc, k, -rstd * mean_h - k * mean).reshape(x.shape)
        gw = (dot * rstd).sum(0).astype(x.dtype) if needs[1] else None
        return gx, gw, sum_g.sum(0).astype(x.dtype) if needs[2] else None

    def samples(rng):
        x = rng.normal(size=(2, 6, 5))
        yield (x, rng.normal(size=6), rng.normal(size=6)), (3, 1e-5)
        yield (rng.normal(size=(3, 4, 2, 3)), None, None), (1, 1e-3)
        yield (x, rng.normal(size=6), None), (6, 1e-5)

    def cost(x, w, b, groups, eps):
        return 3 * x.nbytes, 8 * x.size


def _group_stats(x3: Array, groups: int, eps: float) -> tuple[Array, Array]:
    """Mean and rstd of each group, both (N, G) in float64."""
    n, c, length = x3.shape
    mean, square = (v.reshape(n, groups, c // groups) for v in _plane_moments(x3))
    mean, var = _merge(mean, square, length, 2)
    return mean, 1 / np.sqrt(var + eps)


def _group_affine(x3: Array, w: Array | None, groups: int, eps: float) -> tuple[Array, Array]:
    spread = x3.shape[1] // groups
    mean, rstd = (np.repeat(v, spread, 1) for v in _group_stats(x3, groups, eps))
    scale = rstd if w is None else rstd * w
    return scale, -mean * scale


def _group_sum(v: Array, groups: int) -> Array:
    """Sum over the channels of each group, spread over them again: (N, C) -> (N, C)."""
    n, c = v.shape
    return np.repeat(v.reshape(n, groups, c // groups).sum(2), c // groups, 1)
