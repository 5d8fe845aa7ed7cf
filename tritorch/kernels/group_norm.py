"""Group norm: y = (x - mean) / sqrt(var + eps) * w + b of x (N, C, ...), statistics of each group of channels of a sample.

On the CPU a row is one sample's group, scaled and shifted plane by plane. On the GPU the statistics are batch norm's, of
x seen as (1, N G, C / G L).
"""

from __future__ import annotations

from math import prod

import numpy as np

from ._launch import empty
from ._op import Array, op
from ._rows import FEW, averaging, by_column, moments, over_blocks, vecdot, wide
from .batch_norm import affine_gpu, channel_dims, dense, per_channel, planes_of, small, stats_gpu, wide_type
from .norm import few
from .reduce import reduce_gpu


@op
class group_norm:
    """Layer norm over each of `groups` groups of channels, scaled and shifted per channel (arXiv 1803.08494)."""

    upcast = False

    def cpu(x: Array, w: Array | None, b: Array | None, groups: int, eps: float) -> Array:
        x3 = planes_of(wide(x))
        if x3.size == 0:
            return np.empty(x.shape, x.dtype)
        if x3.size <= FEW:
            y = few(x3, len(x3) * groups, x3.size // (len(x3) * groups), None, None, eps, True)
            for v, combine in ((w, np.multiply), (b, np.add)):
                if v is not None:
                    combine(y, v[:, None], out=y)
            return y.reshape(x.shape).astype(x.dtype, copy=False)
        (_, spread, length), rows = _group_rows(x3, groups, w is None is b)
        y = np.empty(rows.shape, rows.dtype)
        mean_of = averaging(rows.shape[1], rows.dtype.char)
        ws, bs = _of_groups(w, groups, spread, 1, rows), _of_groups(b, groups, spread, 0, rows)

        def block(start: int, stop: int) -> None:
            part, mean, var = moments(rows[start:stop], mean_of)
            scale = _rstd(var, eps)[:, None] * ws[start:stop]
            shift = bs[start:stop] - mean[:, None] * scale
            out = y[start:stop].reshape(-1, length)
            by_column(np.multiply, part.reshape(-1, length), scale.reshape(-1), out)
            by_column(np.add, out, shift.reshape(-1), out)

        over_blocks(block, *rows.shape, run=length)
        return y.reshape(x.shape).astype(x.dtype, copy=False)

    def gpu(x: Array, w: Array | None, b: Array | None, groups: int, eps: float) -> Array:
        if x.size == 0:
            return empty(x.shape, x.dtype)
        x4 = _grouped(dense(x), groups)
        mean, var = (v.reshape((x4.shape[0], groups, 1, 1)) for v in _group_stats_gpu(x4))
        w, b = (None if v is None else v.reshape((1, groups, x4.shape[2], 1)) for v in (w, b))
        return affine_gpu(x4, mean, var, w, b, eps).reshape(x.shape)

    def grad(g, x, w, groups, eps, needs):
        n, c = x.shape[:2]
        grouped = (n, groups, prod(x.shape[1:]) // groups)
        xg = x.reshape(grouped)
        xc = xg - xg.mean(2, True)
        rstd = ((xc * xc).mean(2, True) + eps).rsqrt()
        xhat = xc * rstd
        gx = None
        if needs[0]:
            h = (g if w is None else g * per_channel(w, x)).reshape(grouped)
            gx = (rstd * (h - h.mean(2, True) - xhat * (h * xhat).mean(2, True))).reshape(x.shape)
        dims = channel_dims(x)
        gw = (g * xhat.reshape(x.shape)).sum(dims) if needs[1] else None
        return gx, gw, g.sum(dims) if needs[2] else None

    def cpu_grad(g, x, w, groups, eps, needs):
        x3, g3 = planes_of(wide(x)), planes_of(wide(g))
        kind = x.dtype if w is None else w.dtype
        n, c, length = x3.shape
        if x3.size == 0:
            zero = np.zeros(c, kind)
            return np.empty(x.shape, x.dtype), zero if needs[1] else None, zero.copy() if needs[2] else None
        (_, spread, length), rows = _group_rows(x3, groups)
        g2 = g3.reshape(rows.shape)
        gx = np.empty(rows.shape, rows.dtype) if needs[0] else None
        sums, dots = np.empty((n * groups, spread), rows.dtype), np.empty((n * groups, spread), rows.dtype)
        count = spread * length
        mean_of, ones = averaging(count, rows.dtype.char), np.ones(length, rows.dtype)
        ws = _of_groups(w, groups, spread, 1, rows)

        def block(start: int, stop: int) -> None:
            part, mean, var = moments(rows[start:stop], mean_of)
            rstd = _rstd(var, eps)
            planes, gy = part.reshape(-1, length), g2[start:stop].reshape(-1, length)
            total, dot = sums[start:stop], dots[start:stop]
            np.dot(gy, ones, out=total.reshape(-1))
            vecdot(gy, planes, dot.reshape(-1))
            dot -= mean[:, None] * total
            dot *= rstd[:, None]  # sum of g xhat over the plane
            if gx is None:
                return
            weight = ws[start:stop]
            mean_h, slope = (np.add.reduce(v * weight, 1) / count for v in (total, dot))
            slope *= rstd
            shift = slope * mean - mean_h  # gx = rstd (g w - slope x + shift)
            out = gx[start:stop]
            by_column(np.multiply, part, -slope * rstd, out)
            by_column(np.add, out, shift * rstd, out)
            room = np.empty_like(planes)
            by_column(np.multiply, gy, (rstd[:, None] * weight).reshape(-1), room)
            out += room.reshape(out.shape)

        over_blocks(block, *rows.shape, run=length)
        sum_g, dot = (v.reshape(n, c).sum(0, dtype=np.float64).astype(kind) for v in (sums, dots))
        gx = None if gx is None else gx.reshape(x.shape).astype(x.dtype, copy=False)
        return gx, dot if needs[1] else None, sum_g if needs[2] else None

    def gpu_grad(g, x, w, groups, eps, needs):
        x4, g4 = _grouped(dense(x), groups), _grouped(dense(g), groups)
        n, _, spread, length = x4.shape
        mean, var = _group_stats_gpu(x4)
        planes = (1, n * groups * spread, length)
        sum_g, dot = (
            v.reshape((n, groups, spread, 1)) for v in stats_gpu(x4.reshape(planes), g4.reshape(planes), mean, spread)
        )
        mean, var = mean.reshape((n, groups, 1, 1)), var.reshape((n, groups, 1, 1))
        kind, wide_kind = x.dtype if w is None else w.dtype, wide_type(x)
        weight = {} if w is None else {"w": w.reshape((1, groups, spread, 1))}
        times = " * w" if weight else ""
        gx = gw = gb = None
        if needs[0]:
            mean_h, mean_hx = (
                reduce_gpu(small("group_norm_grad", "v" + times, wide_kind, v=v, **weight), (2,), True, "sum")
                for v in (sum_g, dot)
            )
            expr = f"rsqrt(var + eps) * (g{times} - mh * rn - (x - mean) * mhx * rn / (var + eps))"
            arrays = {"g": g4, "x": x4, "mean": mean, "var": var, "mh": mean_h, "mhx": mean_hx, **weight}
            gx = small("group_norm_grad", expr, x.dtype, **arrays, eps=float(eps), rn=1.0 / (spread * length)).reshape(
                x.shape
            )
        if needs[1]:
            each = small("group_norm_grad", "dot * rsqrt(var + eps)", wide_kind, dot=dot, var=var, eps=float(eps))
            gw = reduce_gpu(each, (0,), False, "sum", kind).reshape((groups * spread,))
        if needs[2]:
            gb = reduce_gpu(sum_g, (0,), False, "sum", kind).reshape((groups * spread,))
        return gx, gw, gb

    def samples(rng):
        x = rng.normal(size=(2, 6, 5))
        yield (x, rng.normal(size=6), rng.normal(size=6)), (3, 1e-5)
        yield (rng.normal(size=(3, 4, 2, 3)), None, None), (1, 1e-3)
        yield (x, rng.normal(size=6), None), (6, 1e-5)

    def cost(x, w, b, groups, eps):
        return 3 * x.nbytes, 8 * x.size


def _group_rows(x3: Array, groups: int, plain: bool = False) -> tuple[tuple[int, int, int], Array]:
    """((N G, C / G, L), x as a matrix of one row per sample and group); `plain`: a row is a single plane."""
    n, c, length = x3.shape
    spread = c // groups
    shape = (n * groups, 1, spread * length) if plain else (n * groups, spread, length)
    return shape, x3.reshape(n * groups, spread * length)


def _of_groups(v: Array | None, groups: int, spread: int, default: float, rows: Array) -> Array:
    """The entries of v (C,) for the rows of `_group_rows`, (N G, C / G), in their dtype."""
    entries = np.empty((len(rows) // groups, groups, spread), rows.dtype)
    entries[...] = default if v is None else v.reshape(groups, spread)
    return entries.reshape(len(rows), spread)


def _rstd(var: Array, eps: float) -> Array:
    return 1 / np.sqrt(var + eps)


def _grouped(x: Array, groups: int) -> Array:
    """x as (N, G, C / G, L)."""
    n, c = x.shape[:2]
    return x.reshape((n, groups, c // groups, prod(x.shape[2:])))


def _group_stats_gpu(x4: Array) -> tuple[Array, Array]:
    """Mean and biased variance of each group, (N * G,)."""
    n, groups, spread, length = x4.shape
    return stats_gpu(x4.reshape((1, n * groups, spread * length)))


_ALL = (True, True, True)
AOT = [
    (
        "group_norm fp32 32 x 128 x 32 x 32",
        lambda array: group_norm.gpu(array((32, 128, 32, 32)), array((128,)), array((128,)), 32, 1e-5),
    ),
    (
        "group_norm backward fp32 32 x 128 x 32 x 32",
        lambda array: group_norm.gpu_grad(
            array((32, 128, 32, 32)), array((32, 128, 32, 32)), array((128,)), 32, 1e-5, _ALL
        ),
    ),
]  # fmt: skip
