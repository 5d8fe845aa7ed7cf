"""Batch norm: y = (x - mean) / sqrt(var + eps) * w + b of x (N, C, ...), w and b per channel.

The statistics are taken over batch and space of each channel (batch_norm_train) or given (batch_norm_eval).

x is seen as planes (N, C, L). One pass gives each plane's mean and centred squares, which are merged exactly (Chan,
Golub, LeVeque 1979); a second one scales and shifts. On the GPU the positions of a channel are split over programs, so
that few channels keep the machine busy too.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ..device import EMULATED
from ..device import _current as _thread
from ._fold import contiguous
from ._launch import empty, kernel, launch
from ._op import Array, op
from ._pointwise import cast, pointwise
from ._replay import call
from ._rows import BLOCK, FEW, LONG_RUN, NEAR, averaging, over_blocks, vecdot, wide
from .reduce import reduce_gpu

if TYPE_CHECKING:
    import triton.language as tl

# ------------------------------------------------------------------------------------------------------ the kernels


@kernel
def _channel_stats(
    x_ptr, g_ptr, centre_ptr, a_ptr, b_ptr, channels, length, positions, part,
    DOTS: tl.constexpr, SPREAD: tl.constexpr, F64: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """Two numbers a (splits, channels) and b (splits, channels) for each channel of x and g (n, channels, length).

    DOTS: sum of g, sum of g * (x - centre), with centre[channel // SPREAD]; else mean and centred squares (Welford).
    Program (i, split) takes BLOCK_C channels and the positions split * part ... of the n * length.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    c = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    c_ok = (c < channels)[:, None]
    split = tl.program_id(1).to(tl.int64)
    start = split * part
    count = tl.minimum(positions - start, part).to(tl.int32)
    rows = tl.arange(0, BLOCK_M)
    a = tl.zeros((BLOCK_C, BLOCK_M), ACC)
    b = tl.zeros((BLOCK_C, BLOCK_M), ACC)
    k = tl.zeros((BLOCK_C, BLOCK_M), ACC)
    if DOTS:
        centre = tl.load(centre_ptr + c // SPREAD, mask=c < channels, other=0).to(ACC)[:, None]
    for i in range(0, count, BLOCK_M):
        m = start + i + rows
        mask = c_ok & (i + rows < count)[None, :]
        at = (m // length * channels * length + m % length)[None, :] + c.to(tl.int64)[:, None] * length
        x = tl.load(x_ptr + at, mask=mask, other=0).to(ACC)
        if DOTS:
            g = tl.load(g_ptr + at, mask=mask, other=0).to(ACC)
            a += g
            b += g * (x - centre)
        else:
            k += mask.to(ACC)
            delta = tl.where(mask, x - a, 0)
            a += delta / tl.where(k == 0, 1, k)
            b += delta * tl.where(mask, x - a, 0)
    if DOTS:
        first = tl.sum(a, 1)
        second = tl.sum(b, 1)
    else:
        first = tl.sum(a * k, 1) / count
        off = a - first[:, None]
        second = tl.sum(b + off * off * k, 1)
    out = split * channels + c
    tl.store(a_ptr + out, first, mask=c < channels)
    tl.store(b_ptr + out, second, mask=c < channels)


@kernel
def _merge_stats(
    mean_ptr, square_ptr, out_mean_ptr, out_var_ptr, channels, splits, positions, part,
    F64: tl.constexpr, BLOCK_S: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Mean and biased variance (channels,) of the splits' means and centred squares (splits, channels).

    Split s has min(part, positions - s * part) positions. One program takes BLOCK_C channels; BLOCK_S >= splits.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    c = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    s = tl.arange(0, BLOCK_S)
    mask = (s < splits)[:, None] & (c < channels)[None, :]
    at = s[:, None] * channels + c[None, :]
    left = positions - s.to(tl.int64) * part
    count = tl.where(s < splits, tl.minimum(left, part), 0).to(ACC)[:, None]
    mean = tl.load(mean_ptr + at, mask=mask, other=0)
    square = tl.load(square_ptr + at, mask=mask, other=0)
    joint = tl.sum(mean * count, 0) / positions
    off = mean - joint[None, :]
    var = tl.sum(tl.where(mask, square + off * off * count, 0), 0) / positions
    tl.store(out_mean_ptr + c, joint, mask=c < channels)
    tl.store(out_var_ptr + c, var, mask=c < channels)


def dense(x: Array) -> Array:
    return contiguous(x)


def wide_type(x: Array):
    return np.dtype(np.float64 if x.dtype.itemsize == 8 else np.float32)


def stats_gpu(x3: Array, g3: Array | None = None, centre: Array | None = None, spread: int = 1) -> tuple[Array, Array]:
    """(mean, biased variance) of each channel of x3 (N, C, L), or with g3 (sum g, sum g * (x - centre)); all (C,)."""
    n, c, length = x3.shape
    kind, positions = wide_type(x3), n * length
    block_c = 1 if length >= 64 else min(32, 1 << max(c - 1, 0).bit_length())
    block_m = min((1024 if EMULATED else 2048) // block_c, 1 << max(positions - 1, 0).bit_length())
    programs = -(-c // block_c)
    splits = max(1, min((8 if EMULATED else 528) // programs, positions // (2 * block_m)))
    part = -(-positions // (splits * block_m)) * block_m
    splits = -(-positions // part)
    a, b = empty((splits, c), kind), empty((splits, c), kind)
    launch(
        _channel_stats, (programs, splits), x3, g3, centre, a, b, c, length, positions, part, DOTS=g3 is not None,
        SPREAD=spread, F64=kind.itemsize == 8, BLOCK_C=block_c, BLOCK_M=block_m, num_warps=4,
    )  # fmt: skip
    if g3 is not None:
        if splits == 1:
            return a.reshape((c,)), b.reshape((c,))
        return reduce_gpu(a, (0,), False, "sum"), reduce_gpu(b, (0,), False, "sum")
    mean, var = empty((c,), kind), empty((c,), kind)
    launch(
        _merge_stats, (-(-c // 16),), a, b, mean, var, c, splits, positions, part, F64=kind.itemsize == 8,
        BLOCK_S=1 << max(splits - 1, 0).bit_length(), BLOCK_C=16, num_warps=4,
    )  # fmt: skip
    return mean, var


def small(name: str, expr: str, result, **arrays) -> Array:
    """An elementwise expression; Python numbers among the operands are scalars."""
    scalars = {k: v for k, v in arrays.items() if isinstance(v, (int, float))}
    operands = {k: v for k, v in arrays.items() if k not in scalars}
    return pointwise(name, (expr,), tuple(operands), tuple(operands.values()), (np.dtype(result),), scalars)[0]


def affine_gpu(x: Array, mean: Array, var: Array, w: Array | None, b: Array | None, eps: float) -> Array:
    """(x - mean) / sqrt(var + eps) * w + b with operands that broadcast to x."""
    expr = "(x - mean) * rsqrt(var + eps)" + (" * w" if w is not None else "") + (" + b" if b is not None else "")
    more = {k: v for k, v in (("w", w), ("b", b)) if v is not None}
    return small("batch_norm", expr, x.dtype, x=x, mean=mean, var=var, eps=float(eps), **more)


def _column(v: Array | None) -> Array | None:
    return None if v is None else v.reshape((1, v.size, 1))


# ----------------------------------------------------------------------------------------------- the CPU and the ops


def planes_of(x: Array) -> Array:
    """x as (N, C, L)."""
    return x.reshape(x.shape[0], x.shape[1], prod(x.shape[2:]))


def _channel_rows(c: int, length: int) -> int:
    """How many channels of one sample make a row: operations on rows should run long without a new start."""
    divisors = [k for k in range(1, c + 1) if c % k == 0]
    fits = [k for k in divisors if k * length <= BLOCK] or [1]
    short = fits[-1] * length < BLOCK // 8 and fits[-1] < c
    return divisors[divisors.index(fits[-1]) + short]


def _by_channel(fn: Callable[..., None], arrays: list[Array], coefficients: list[Array], planes: list[Array]) -> None:
    """Call `fn` on blocks: parts of each (N, C, L), of each coefficient (C,) such that it broadcasts to them, and of
    each (N * C,), one entry per plane."""
    n, c, length = arrays[0].shape
    kind = arrays[0].dtype
    if n * c * length <= FEW:
        fn(*arrays, *[v.astype(kind)[:, None] for v in coefficients], *planes)
        return
    k = 1 if length >= LONG_RUN else _channel_rows(c, length)
    per_sample = c // k
    arrays = [a.reshape(n * per_sample, k * length) for a in arrays]
    if length >= LONG_RUN:
        coefficients = [np.tile(v.astype(kind), n)[:, None] for v in coefficients]
    else:
        coefficients = [np.repeat(v.astype(kind), length).reshape(per_sample, k * length) for v in coefficients]

    def block(start: int, stop: int) -> None:
        if length >= LONG_RUN or per_sample == 1:
            some = slice(start, stop) if length >= LONG_RUN else 0
            mine = slice(start * k, stop * k)
            fn(*[a[start:stop] for a in arrays], *[v[some] for v in coefficients], *[p[mine] for p in planes])
            return
        for row in range(start, stop):
            at, mine = row % per_sample, slice(row * k, (row + 1) * k)
            fn(*[a[row] for a in arrays], *[v[at] for v in coefficients], *[p[mine] for p in planes])

    over_blocks(block, n * per_sample, k * length, run=length)


def _plane_moments(x3: Array) -> tuple[Array, Array]:
    """Mean and sum of centred squares of each plane, both (N, C), in float64 so that merging them costs no accuracy.

    Both come from one pass over x, or, where a mean is far from 0, over x less the first sample's mean of that channel,
    which is near enough to the common mean for E[d^2] - E[d]^2 not to cancel.
    """
    n, c, length = x3.shape
    if length == 1:
        mean = x3[:, :, 0].astype(np.float64)
        return mean, np.zeros_like(mean)
    mean_of = averaging(length, x3.dtype.char)

    def moments(x3: Array, centre: Array | None) -> tuple[Array, Array]:
        mean, square = np.empty(x3.shape[:2], x3.dtype), np.empty(x3.shape[:2], x3.dtype)

        def block(x: Array, *rest: Array) -> None:
            d = (x if centre is None else x - rest[0]).reshape(-1, length)
            np.dot(d, mean_of, out=rest[-2])
            vecdot(d, d, rest[-1])

        _by_channel(block, [x3], [] if centre is None else [centre], [mean.reshape(-1), square.reshape(-1)])
        mean, square = mean.astype(np.float64), square.astype(np.float64)
        square -= length * mean * mean
        return mean, np.maximum(square, 0, out=square)

    def near(mean: Array, square: Array) -> bool:
        return bool((length * mean * mean <= NEAR * NEAR * square).all())

    if near(*moments(x3[:1], None)):
        mean, square = moments(x3, None)
        if near(mean, square):
            return mean, square
    centre = x3[0] @ mean_of
    centre[~np.isfinite(centre)] = 0
    mean, square = moments(x3, centre)
    return mean + centre, square


def _merge(mean: Array, square: Array, length: int, axis: int) -> tuple[Array, Array]:
    """Mean and biased variance of equally long planes together, along one axis of the plane statistics."""
    planes = mean.shape[axis]
    joint = np.add.reduce(mean, axis, keepdims=True)
    joint /= planes
    spread = mean - joint
    spread *= spread
    spread *= length
    spread += square
    var = np.add.reduce(spread, axis)
    var /= planes * length
    return joint.reshape(var.shape), var


def _per_plane(v: Array, x3: Array) -> Array:
    """v per channel (C,) or per plane (N, C) as a column for the planes of x3, (N C, 1), in its dtype."""
    n, c, _ = x3.shape
    column = np.empty((n, c), x3.dtype)
    column[...] = v
    return column.reshape(n * c, 1)


def _scale_shift(x3: Array, scale: Array, shift: Array) -> Array:
    """x3 * scale + shift, with scale and shift per channel (C,)."""
    if x3.size <= FEW:
        y = x3 * scale.astype(x3.dtype)[:, None]
        y += shift.astype(x3.dtype)[:, None]
        return y
    y = np.empty(x3.shape, x3.dtype)

    def block(x: Array, out: Array, a: Array, b: Array) -> None:
        np.multiply(x, a, out=out)
        out += b

    _by_channel(block, [x3, y], [scale, shift], [])
    return y


def _plane_dots(g3: Array, x3: Array, mean: Array, rstd: Array) -> tuple[Array, Array]:
    """Per plane: sum of g and of g * (x - mean), both (N, C) in float64; mean and rstd are (C,)."""
    n, c, length = x3.shape
    sum_g, dot = np.empty(n * c, x3.dtype), np.empty(n * c, x3.dtype)
    ones = np.ones(length, x3.dtype)
    centred = bool((np.abs(mean) * rstd > NEAR).any())

    def block(g: Array, x: Array, mid: Array, total: Array, product: Array) -> None:
        g = g.reshape(-1, length)
        np.dot(g, ones, out=total)
        vecdot(g, (x - mid if centred else x).reshape(-1, length), product)

    _by_channel(block, [g3, x3], [mean], [sum_g, dot])
    sum_g, dot = sum_g.astype(np.float64).reshape(n, c), dot.astype(np.float64).reshape(n, c)
    return sum_g, dot if centred else dot - mean * sum_g


def _combine(g3: Array, x3: Array, a: Array, k: Array, d: Array) -> Array:
    """a * g + k * x + d, coefficients per channel (C,)."""
    y = np.empty(x3.shape, x3.dtype)

    def block(g: Array, x: Array, out: Array, a: Array, k: Array, d: Array) -> None:
        np.multiply(x, k, out=out)
        out += d
        out += g * a

    _by_channel(block, [g3, x3, y], [a, k, d], [])
    return y


def per_channel(v, x):
    """A (C,) Tensor shaped to stand against x (N, C, ...)."""
    return v.reshape((1, v.shape[0]) + (1,) * (len(x.shape) - 2))


def channel_dims(x) -> tuple[int, ...]:
    return (0, *range(2, len(x.shape)))


@op
class batch_norm_train:
    """Batch norm by the batch's own statistics; also gives mean and biased variance, (C,), for the running ones.

    arXiv 1502.03167. x: (N, C, ...); w, b: (C,) or None. Statistics keep float32 for half-precision x.
    """

    differentiable = 1
    upcast = False

    def cpu(x: Array, w: Array | None, b: Array | None, eps: float) -> tuple[Array, Array, Array]:
        x3 = planes_of(wide(x))
        if x3.size == 0:
            nothing = np.zeros(x.shape[1], x3.dtype)
            return np.empty(x.shape, x.dtype), nothing, nothing.copy()
        if x3.size <= FEW:
            x64 = x3.astype(np.float64)
            mean = np.add.reduce(x64, (0, 2)) / (x3.size // x3.shape[1])
            x64 -= mean[:, None]
            var = np.add.reduce(np.square(x64, out=x64), (0, 2)) / (x3.size // x3.shape[1])
        else:
            mean, var = _merge(*_plane_moments(x3), x3.shape[2], 0)
        scale = 1 / np.sqrt(var + eps)
        if w is not None:
            scale = scale * w
        shift = -mean * scale
        if b is not None:
            shift = shift + b
        y = _scale_shift(x3, scale, shift).reshape(x.shape).astype(x.dtype, copy=False)
        return y, mean.astype(x3.dtype), var.astype(x3.dtype)

    def gpu(x: Array, w: Array | None, b: Array | None, eps: float) -> tuple[Array, Array, Array]:
        x3 = planes_of(dense(x))
        if x3.size == 0:
            return empty(x.shape, x.dtype), *(empty((x.shape[1],), wide_type(x)) for _ in range(2))
        mean, var = stats_gpu(x3)
        y = affine_gpu(x3, _column(mean), _column(var), _column(w), _column(b), eps)
        return y.reshape(x.shape), mean, var

    def grad(g, x, w, eps, y1, y2, needs):
        dims = channel_dims(x)
        xc = x - x.mean(dims, True)
        rstd = ((xc * xc).mean(dims, True) + eps).rsqrt()
        xhat = xc * rstd
        gx = None
        if needs[0]:
            h = g if w is None else g * per_channel(w, x)
            gx = rstd * (h - h.mean(dims, True) - xhat * (h * xhat).mean(dims, True))
        return gx, (g * xhat).sum(dims) if needs[1] else None, g.sum(dims) if needs[2] else None

    def cpu_grad(g, x, w, eps, y1, y2, needs):
        x3, g3 = planes_of(wide(x)), planes_of(wide(g))
        if x3.size == 0:
            zero = np.zeros(x.shape[1], x.dtype)
            return np.empty(x.shape, x.dtype), zero if needs[1] else None, zero.copy() if needs[2] else None
        count = x3.shape[0] * x3.shape[2]
        mean = y1.astype(np.float64)
        rstd = 1 / np.sqrt(y2.astype(np.float64) + eps)
        sum_g, dot = (v.sum(0) for v in _plane_dots(g3, x3, mean, rstd))
        gx = None
        if needs[0]:
            a = rstd if w is None else rstd * w
            k = -a * rstd * rstd * dot / count
            gx = _combine(g3, x3, a, k, -a * sum_g / count - k * mean).reshape(x.shape).astype(x.dtype, copy=False)
        kind = x.dtype if w is None else w.dtype
        return gx, (dot * rstd).astype(kind) if needs[1] else None, sum_g.astype(kind) if needs[2] else None

    def gpu_grad(g, x, w, eps, y1, y2, needs):
        x3, g3 = planes_of(dense(x)), planes_of(dense(g))
        n, c, length = x3.shape
        sum_g, dot = stats_gpu(x3, g3, y1)
        gx = None
        if needs[0]:
            arrays = {
                "g": g3,
                "x": x3,
                "mean": _column(y1),
                "var": _column(y2),
                "sg": _column(sum_g),
                "dot": _column(dot),
            }
            scale = "rsqrt(var + eps)"
            if w is not None:
                arrays["w"] = _column(w)
                scale += " * w"
            expr = f"{scale} * (g - sg * rn - (x - mean) * dot * rn / (var + eps))"
            gx = small("batch_norm_grad", expr, x.dtype, **arrays, eps=float(eps), rn=1.0 / (n * length)).reshape(
                x.shape
            )
        kind = x.dtype if w is None else w.dtype
        gw = (
            small("batch_norm_grad", "dot * rsqrt(var + eps)", kind, dot=dot, var=y2, eps=float(eps))
            if needs[1]
            else None
        )
        return gx, gw, cast(sum_g, kind) if needs[2] else None

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
        x3 = planes_of(wide(x))
        if x3.size == 0:
            return np.empty(x.shape, x.dtype)
        scale = 1 / np.sqrt(var.astype(np.float64) + eps)
        if w is not None:
            scale = scale * w
        shift = -mean.astype(np.float64) * scale
        if b is not None:
            shift = shift + b
        return _scale_shift(x3, scale, shift).reshape(x.shape).astype(x.dtype, copy=False)

    def gpu(x: Array, mean: Array, var: Array, w: Array | None, b: Array | None, eps: float) -> Array:
        if x.size == 0:
            return empty(x.shape, x.dtype)
        return affine_gpu(planes_of(dense(x)), *(_column(v) for v in (mean, var, w, b)), eps).reshape(x.shape)

    def grad(g, x, mean, var, w, eps, needs):
        dims = channel_dims(x)
        rstd = (var + eps).rsqrt()
        scale = rstd if w is None else rstd * w
        gx = g * per_channel(scale, x) if needs[0] else None
        g_sum = g.sum(dims) if needs[1] or needs[4] else None
        dot = None
        if needs[2] or needs[3]:
            dot = (g * (x - per_channel(mean, x))).sum(dims)
        return (
            gx,
            -g_sum * scale if needs[1] else None,
            dot * scale * rstd * rstd * -0.5 if needs[2] else None,
            dot * rstd if needs[3] else None,
            g_sum if needs[4] else None,
        )

    def cpu_grad(g, x, mean, var, w, eps, needs):
        x3, g3 = planes_of(wide(x)), planes_of(wide(g))
        rstd = 1 / np.sqrt(var.astype(np.float64) + eps)
        scale = rstd if w is None else rstd * w
        gx = gm = gv = gw = gb = None
        if needs[0]:
            gx = _scale_shift(g3, scale, np.zeros_like(scale)).reshape(x.shape).astype(x.dtype, copy=False)
        if any(needs[1:]):
            sum_g, dot = (v.sum(0) for v in _plane_dots(g3, x3, mean.astype(np.float64), rstd))
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


_ALL = (True, True, True)


def move_statistics(running: list[Array], new: list[Array], kept: float, shares: tuple[float, ...]) -> None:
    """running = kept * running + share * new for device arrays of one size, all in one launch, in place."""
    call(
        _move_statistics,
        _thread.index,
        (running, [a.reshape(r.shape) for a, r in zip(new, running, strict=True)], kept, shares),
    )


def _move_statistics(running: list[Array], new: list[Array], kept: float, shares: tuple[float, ...]) -> None:
    numbers = {"kept": kept, **{f"s{i}": s for i, s in enumerate(shares)}}
    names = tuple(f"{which}{i}" for which in "rn" for i in range(len(running)))
    exprs = tuple(f"r{i} * kept + n{i} * s{i}" for i in range(len(running)))
    pointwise(
        "move_statistics", exprs, names, (*running, *new), tuple(r.dtype for r in running), numbers, tuple(running)
    )


AOT = [
    (
        "batch_norm bf16 64 x 256 x 56 x 56",
        lambda array: batch_norm_train.gpu(array((64, 256, 56, 56), "bf16"), array((256,)), array((256,)), 1e-5),
    ),
    ("batch_norm fp32 8192 x 512", lambda array: batch_norm_train.gpu(array((8192, 512)), array((512,)), None, 1e-5)),
    (
        "batch_norm backward bf16 64 x 256 x 56 x 56",
        lambda array: batch_norm_train.gpu_grad(
            array((64, 256, 56, 56), "bf16"), array((64, 256, 56, 56), "bf16"), array((256,)), 1e-5, array((256,)),
            array((256,)), _ALL,
        ),
    ),
]  # fmt: skip
