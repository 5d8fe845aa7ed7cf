"""Elementwise losses with their reduction, in one pass: l(x, t) summed, averaged or kept, without temporaries.

With d = x - t and a parameter c:

    mse_loss         d^2
    l1_loss          |d|
    smooth_l1_loss   d^2 / (2 c) where |d| < c, else |d| - c / 2
    huber_loss       d^2 / 2 where |d| < c, else c (|d| - c / 2)
    binary_cross_entropy              -(t log x + (1 - t) log(1 - x)), logarithms not below -100
    binary_cross_entropy_with_logits  x (1 - t) - min(x, 0) + log(1 + exp(-|x|))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._fold import row_sums
from ._op import Array, Op, register
from ._pointwise import pointwise
from ._rows import BLOCK, block_rows, over_blocks
from ._special import sigmoid, sign
from .reduce import reduce_gpu

LOG_FLOOR = -100.0


def _mse(x: Array, t: Array, c: float) -> Array:
    d = x - t
    d *= d
    return d


def _mse_slope(x: Array, t: Array, c: float) -> Array:
    d = x - t
    d *= 2
    return d


def _l1(x: Array, t: Array, c: float) -> Array:
    d = x - t
    return np.abs(d, out=d)


def _l1_slope(x: Array, t: Array, c: float) -> Array:
    return sign(x - t)


def _huber(x: Array, t: Array, c: float) -> Array:
    """m (|d| - m / 2) with m = min(|d|, c): no choice per element."""
    d = np.asarray(_l1(x, t, c))
    m = d.clip(0, c, out=np.empty_like(d))
    d -= m / 2
    d *= m
    return d


def _smooth_l1(x: Array, t: Array, c: float) -> Array:
    y = _huber(x, t, c)
    if c != 1:
        y /= c
    return y


def _smooth_l1_slope(x: Array, t: Array, c: float) -> Array:
    d = x - t
    if c != 1:
        d /= c
    return d.clip(-1, 1, out=d)


def _huber_slope(x: Array, t: Array, c: float) -> Array:
    d = x - t
    return d.clip(-c, c, out=d)


def _bce(x: Array, t: Array, c: float) -> Array:
    a = np.clip(np.log1p(-x), LOG_FLOOR, np.inf)
    a *= t - 1
    b = np.clip(np.log(x), LOG_FLOOR, np.inf)
    b *= t
    a -= b
    return a


def _bce_slope(x: Array, t: Array, c: float) -> Array:
    d = x - t
    scale = x * (1 - x)
    d /= scale.clip(1e-12, np.inf, out=scale)
    return d


def _bce_slope_t(x: Array, t: Array, c: float) -> Array:
    return np.clip(np.log1p(-x), LOG_FLOOR, np.inf) - np.clip(np.log(x), LOG_FLOOR, np.inf)


def _bce_logits(x: Array, t: Array, c: float) -> Array:
    y = np.abs(x)
    np.negative(y, out=y)
    np.exp(y, out=y)
    np.log1p(y, out=y)
    y -= x.clip(-np.inf, 0)
    y += x * (1 - t)
    return y


def _bce_logits_slope(x: Array, t: Array, c: float) -> Array:
    s = np.asarray(sigmoid(x))
    s -= t
    return s


def _bce_logits_slope_t(x: Array, t: Array, c: float) -> Array:
    return -x


# ------------------------------------------------------------------- the same slopes on Tensors: (towards x, towards t)


def _of_difference(slope: Callable) -> Callable:
    def slopes(x, t, c):
        s = slope(x - t, c)
        return s, -s

    return slopes


def _bce_slopes(x, t, c):
    return (x - t) / (x * (1 - x)).clamp(1e-12), (-x).log1p().clamp(LOG_FLOOR) - x.log().clamp(LOG_FLOOR)


def _bce_logits_slopes(x, t, c):
    return x.sigmoid() - t, -x


# ------------------------------------------- and as expressions of kernels: value, slope towards x, slope towards t

_LOG_X, _LOG_1X = "maximum(log(x), -100.0)", "maximum(log1p(-x), -100.0)"
EXPRESSIONS = {
    "mse_loss": ("(x - t) * (x - t)", "2 * (x - t)", "2 * (t - x)"),
    "l1_loss": ("abs(x - t)", "sign(x - t)", "sign(t - x)"),
    "smooth_l1_loss": (
        "where(abs(x - t) < c, (x - t) * (x - t) * (0.5 / c), abs(x - t) - 0.5 * c)",
        "where(abs(x - t) >= c, sign(x - t), (x - t) / c)", "where(abs(x - t) >= c, sign(t - x), (t - x) / c)",
    ),
    "huber_loss": (
        "where(abs(x - t) < c, (x - t) * (x - t) * 0.5, c * (abs(x - t) - 0.5 * c))",
        "where(abs(x - t) >= c, c * sign(x - t), x - t)", "where(abs(x - t) >= c, c * sign(t - x), t - x)",
    ),
    "binary_cross_entropy": (
        f"(t - 1) * {_LOG_1X} - t * {_LOG_X}", "(x - t) / maximum(x * (1 - x), 1e-12)", f"{_LOG_1X} - {_LOG_X}",
    ),
    "binary_cross_entropy_with_logits": (
        "x * (1 - t) - minimum(x, 0) + log1p(exp(-abs(x)))", "sigmoid(x) - t", "-x",
    ),
}  # fmt: skip


def _loss(name: str, value: Callable, slope: Callable, slopes: Callable, sample: Callable, slope_t: Any = None) -> Op:
    """Register one loss; inputs x and t of one shape and dtype, result 0-dim or, for reduction 'none', of their
    shape."""
    on_gpu, towards_x, towards_t = EXPRESSIONS[name]

    def cpu(x: Array, t: Array, c: float, reduction: str) -> Array:
        if not x.ndim:  # of which NumPy's functions make numbers that have no memory
            return cpu(x.reshape(1), t.reshape(1), c, reduction).reshape(())
        n = x.size
        none = reduction == "none"
        if n <= BLOCK:
            with np.errstate(all="ignore"):
                y = value(x, t, c)
            if none:
                return np.asarray(y)
            total = y.sum()
        else:
            x1, t1 = x.reshape(n), t.reshape(n)
            y = np.empty(x.shape, x.dtype) if none else None
            y1 = None if y is None else y.reshape(n)
            step = block_rows(n, 1)
            parts = np.empty(-(-n // step))

            def block(start: int, stop: int) -> None:
                v = value(x1[start:stop], t1[start:stop], c)
                if y1 is None:
                    parts[start // step] = row_sums(v.reshape(1, -1))[0]
                else:
                    y1[start:stop] = v

            over_blocks(block, n, 1, step)
            if y is not None:
                return y
            total = parts.sum()
        if reduction == "mean":
            total = total / n if n else np.nan
        return np.asarray(total, x.dtype)

    def gpu(x: Array, t: Array, c: float, reduction: str) -> Array:
        wide = x.dtype if reduction == "none" or x.dtype.itemsize == 8 else np.dtype(np.float32)
        y = pointwise(name, (on_gpu,), ("x", "t"), (x, t), (wide,), {"c": float(c)})[0]
        if reduction == "none":
            return y
        dims = tuple(range(x.ndim))
        return reduce_gpu(y, dims, False, "sum", x.dtype, post="mean" if reduction == "mean" else "")

    def gpu_grad(g, x, t, c, reduction, needs):
        share = 1.0 / max(x.size, 1) if reduction == "mean" else 1.0
        exprs = tuple(f"g * ({e}) * share" for e, need in zip((towards_x, towards_t), needs, strict=True) if need)
        scalars = {"c": float(c), "share": share}
        found = list(pointwise(name, exprs, ("x", "t", "g"), (x, t, g), (x.dtype,) * len(exprs), scalars))
        return tuple(found.pop(0) if need else None for need in needs)

    def grad(g, x, t, c, reduction, needs):
        sx, st = slopes(x, t, c)
        if reduction == "mean":
            g = g / max(x.numel(), 1)
        return g * sx if needs[0] else None, g * st if needs[1] else None

    def cpu_grad(g, x, t, c, reduction, needs):
        if not x.ndim:
            made = cpu_grad(g, x.reshape(1), t.reshape(1), c, reduction, needs)
            return tuple([None if v is None else v.reshape(()) for v in made])
        n = x.size
        if reduction == "mean":
            g = g / np.asarray(max(n, 1), x.dtype)
        whole = reduction != "none"

        def filled(of: Callable) -> Array:
            if n <= BLOCK:
                with np.errstate(all="ignore"):
                    return np.asarray(of(x, t, c) * g)
            out = np.empty(x.shape, x.dtype)
            out1, x1, t1 = out.reshape(n), x.reshape(n), t.reshape(n)
            g1 = g if whole else g.reshape(n)

            def block(start: int, stop: int) -> None:
                np.multiply(
                    of(x1[start:stop], t1[start:stop], c), g1 if whole else g1[start:stop], out=out1[start:stop]
                )

            over_blocks(block, n, 1)
            return out

        gx = filled(slope) if needs[0] or (needs[1] and slope_t is None) else None
        if not needs[1]:
            return gx, None
        return gx if needs[0] else None, -gx if slope_t is None else filled(slope_t)  # type: ignore[operator]

    def samples(rng):
        for reduction in ("mean", "none", "sum"):
            x, t, c = sample(rng)
            yield (x, t), (c, reduction)

    def cost(x, t, c, reduction):
        return x.nbytes + t.nbytes, 4 * x.size

    return register(
        Op(
            name,
            cpu,
            gpu=gpu,
            grad=grad,
            cpu_grad=cpu_grad,
            gpu_grad=gpu_grad,
            samples=samples,
            cost=cost,
            doc=f"{name}: {on_gpu}",
        )
    )


def _pair(c: float) -> Callable:
    def sample(rng):
        x = rng.normal(size=(3, 5)) * 2
        d = rng.uniform(0.1, 0.9, (3, 5)) * np.where(rng.random((3, 5)) < 0.5, 3 * max(c, 1), -0.9 * max(c, 0.5))
        return x, x - np.where(np.abs(np.abs(d) - c) < 0.05, d * 1.2, d), c

    return sample


def _probabilities(rng):
    return rng.uniform(0.05, 0.95, (3, 5)), rng.uniform(0, 1, (3, 5)), 0.0


def _logits(rng):
    return rng.normal(size=(3, 5)) * 3, rng.uniform(0, 1, (3, 5)), 0.0


mse_loss = _loss("mse_loss", _mse, _mse_slope, _of_difference(lambda d, c: 2 * d), _pair(0.0))
l1_loss = _loss("l1_loss", _l1, _l1_slope, _of_difference(lambda d, c: d.sign()), _pair(0.0))
smooth_l1_loss = _loss(
    "smooth_l1_loss", _smooth_l1, _smooth_l1_slope, _of_difference(lambda d, c: (d / c).clamp(-1.0, 1.0)), _pair(0.7)
)
huber_loss = _loss("huber_loss", _huber, _huber_slope, _of_difference(lambda d, c: d.clamp(-c, c)), _pair(1.5))
binary_cross_entropy = _loss("binary_cross_entropy", _bce, _bce_slope, _bce_slopes, _probabilities, _bce_slope_t)
binary_cross_entropy_with_logits = _loss(
    "binary_cross_entropy_with_logits", _bce_logits, _bce_logits_slope, _bce_logits_slopes, _logits, _bce_logits_slope_t
)


AOT = [
    (f"{name} fp32 4096 x 1024", lambda array, f=f: f.gpu(array((4096, 1024)), array((4096, 1024)), 1.0, "mean"))
    for name, f in (
        ("mse_loss", mse_loss), ("smooth_l1_loss", smooth_l1_loss), ("bce", binary_cross_entropy),
        ("bce with logits", binary_cross_entropy_with_logits),
    )
]  # fmt: skip
