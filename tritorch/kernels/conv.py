"""Convolution (cross-correlation) over 1 to 3 spatial dims with stride, padding, dilation and groups.

y[n, k, p] = b[k] + sum over c, r of w[k, c, r] x[n, c, p stride + r dilation - padding], c over the group's channels.

Three ops that are each other's derivatives, since y is linear in x and in w: `conv`, `conv_input_grad` (the transposed
convolution) and `conv_weight_grad`. Second derivatives follow without another line.
"""

from __future__ import annotations

import math

import numpy as np

from . import _implicit_gemm as on_gpu
from ._blas import single_enter, single_exit
from ._columns import correlate, forward_plan, input_plan, output_size, weight_gradient
from ._depthwise import depthwise_weight_gradient
from ._op import Array, op
from ._threads import parallel
from ._winograd import correlate_rows, suits, weight_gradient_rows

Ints = tuple[int, ...]


def _is_pointwise(kernel: Ints, stride: Ints, padding: Ints) -> bool:
    return all(k == 1 for k in kernel) and all(s == 1 for s in stride) and not any(padding)


def _pixelwise(a: np.ndarray, x: np.ndarray, size: Ints, b: np.ndarray | None, groups: int) -> np.ndarray:
    """y[n] = a x[n] + b for matrices `a` (groups, out, in) over the channels: the 1x1 convolution."""
    n, pixels = x.shape[0], math.prod(size)
    x = np.ascontiguousarray(x).reshape(n, groups, -1, pixels)
    y = np.empty((n, groups, a.shape[1], pixels), x.dtype)
    shifted = None if b is None else b.reshape(groups, -1, 1)

    def block(start: int, stop: int) -> None:
        for i in range(start, stop):
            np.matmul(a, x[i], out=y[i])
            if shifted is not None:
                np.add(y[i], shifted, out=y[i])

    single_enter()
    try:
        parallel(block, n, max(1, 2_000_000 * n // max(2 * y.size * a.shape[2], 1)))
    finally:
        single_exit()
    return y.reshape(n, -1, *size)


def _pixelwise_weight_grad(g: np.ndarray, x: np.ndarray, groups: int) -> np.ndarray:
    n = g.shape[0]
    pixels = math.prod(g.shape[2:])
    g = np.ascontiguousarray(g).reshape(n, groups, -1, pixels)
    x = np.ascontiguousarray(x).reshape(n, groups, -1, pixels)
    partial: dict[int, np.ndarray] = {}

    def block(start: int, stop: int) -> None:
        total = np.matmul(g[start], x[start].mT)
        room = np.empty_like(total)
        for i in range(start + 1, stop):
            np.matmul(g[i], x[i].mT, out=room)
            total += room
        partial[start] = total

    single_enter()
    try:
        parallel(block, n, max(1, 2_000_000 * n // max(2 * g.size * x.shape[2], 1)))
    finally:
        single_exit()
    total = partial.pop(0)
    for start in sorted(partial):  # in a fixed order: equal bits in each run
        total += partial[start]
    return total.reshape(-1, x.shape[2])


def _turned(w: np.ndarray, groups: int) -> np.ndarray:
    """w (K, C / groups, *kernel) as (groups, C / groups, K / groups, *kernel), copied in strips that stay in cache."""
    kernel = w.shape[2:]
    kg, cg = w.shape[0] // groups, w.shape[1]
    w = w.reshape(groups, kg, cg, *kernel)
    turned = np.empty((groups, cg, kg, *kernel), w.dtype)

    def strips(start: int, stop: int) -> None:
        for i in range(start * 8, min(stop * 8, kg), 8):
            turned[:, :, i : i + 8] = w[:, i : i + 8].swapaxes(1, 2)

    parallel(strips, -(-kg // 8), max(1, 100_000 * kg // (8 * max(w.size, 1))))
    return turned


def _channel_sum(g: np.ndarray) -> np.ndarray:
    """Sum of g (N, K, ...) over all dims but the channels: a product with ones, then a short sum."""
    rows = g.reshape(g.shape[0] * g.shape[1], math.prod(g.shape[2:]))
    sums = rows @ np.ones(rows.shape[1], g.dtype) if g.dtype.kind == "f" else rows.sum(1, dtype=g.dtype)
    return sums.reshape(g.shape[:2]).sum(0, dtype=g.dtype)


def _cut(y: Array, g: Array) -> Array:
    """`y` without the outputs that `g` lacks: a transposed convolution may be asked for pixels beyond them."""
    if y.shape == g.shape:
        return y
    return y[(slice(None), slice(None), *(slice(0, n) for n in g.shape[2:]))]


def _flops(g_size: int, w: np.ndarray) -> int:
    return 2 * g_size * math.prod(w.shape[1:])


def _geometries():
    """x shape, w shape, bias or not, (stride, padding, dilation, groups) for the samples."""
    yield (2, 3, 7), (4, 3, 3), True, ((2,), (1,), (1,), 1)
    yield (3, 2, 6, 5), (3, 2, 3, 2), True, ((1, 1), (1, 0), (1, 1), 1)
    yield (2, 4, 7, 8), (6, 2, 3, 3), False, ((2, 3), (2, 1), (2, 1), 2)
    yield (2, 3, 5, 6), (3, 1, 3, 3), True, ((1, 1), (1, 1), (1, 1), 3)
    yield (2, 3, 4, 4), (5, 3, 1, 1), True, ((1, 1), (0, 0), (1, 1), 1)
    yield (1, 2, 4, 5, 3), (2, 2, 2, 3, 2), True, ((1, 2, 1), (0, 1, 1), (1, 1, 1), 1)


@op
class conv:
    """y = w * x + b, the cross-correlation of x (N, C, *size) with w (K, C / groups, *kernel)."""

    holomorphic = True

    def cpu(x: Array, w: Array, b: Array | None, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Array:
        size, kernel = x.shape[2:], w.shape[2:]
        k = w.shape[0]
        if _is_pointwise(kernel, stride, padding) and x.size:
            return _pixelwise(w.reshape(groups, k // groups, -1), x, size, b, groups)
        if x.size and suits(x.dtype, x.shape[1], k, kernel, stride, padding, dilation, groups, size):
            return correlate_rows(x, w, padding, b)
        plan = forward_plan(size, kernel, stride, padding, dilation)
        y = np.empty((x.shape[0], k, *plan.classes[0].counts), x.dtype)
        if not x.size or not w.size:
            y[...] = 0 if b is None else b.reshape(-1, *(1,) * len(size))
        elif y.size:
            correlate(x, [w.reshape(groups, k // groups, -1)], plan, y, b, groups)
        return y

    def gpu(x: Array, w: Array, b: Array | None, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Array:
        out = output_size(x.shape[2:], w.shape[2:], stride, padding, dilation)
        return on_gpu.conv_forward(x, w, b, out, stride, padding, dilation, groups)

    def grad(g, x, w, b_shape, stride, padding, dilation, groups, needs):
        return (
            conv_input_grad(g, w, tuple(x.shape[2:]), stride, padding, dilation, groups) if needs[0] else None,
            conv_weight_grad(g, x, tuple(w.shape[2:]), stride, padding, dilation, groups) if needs[1] else None,
            g.sum((0, *range(2, g.dim()))) if needs[2] else None,
        )

    def cpu_grad(g, x, w, b_shape, stride, padding, dilation, groups, needs):
        return (
            conv_input_grad.cpu(g, w, x.shape[2:], stride, padding, dilation, groups) if needs[0] else None,
            conv_weight_grad.cpu(g, x, w.shape[2:], stride, padding, dilation, groups) if needs[1] else None,
            _channel_sum(g) if needs[2] else None,
        )

    def samples(rng):
        for x, w, bias, params in _geometries():
            b = rng.normal(size=w[0]) if bias else None
            yield (rng.normal(size=x), rng.normal(size=w), b), params

    def cost(x, w, b, stride, padding, dilation, groups):
        y = x.shape[0] * w.shape[0] * math.prod(output_size(x.shape[2:], w.shape[2:], stride, padding, dilation))
        return x.nbytes + w.nbytes + y * x.itemsize, _flops(y, w)


@op
class conv_input_grad:
    """gx of `conv` from g (N, K, *out): each g[n, k, p] goes to the pixels p stride + r dilation - padding.

    With w (K, C / groups, *kernel) it is the transposed convolution from K to C channels; `size` is the spatial size
    of the result.
    """

    holomorphic = True

    def cpu(g: Array, w: Array, size: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Array:
        kernel, k, cg = w.shape[2:], w.shape[0], w.shape[1]
        kg = k // groups
        shape = (g.shape[0], cg * groups, *size)
        if not g.size or not w.size or not math.prod(shape):
            return np.zeros(shape, g.dtype)
        if _is_pointwise(kernel, stride, padding) and tuple(size) == g.shape[2:]:
            return _pixelwise(w.reshape(groups, kg, cg).mT, g, size, None, groups)
        around = tuple(n - 1 - p for n, p in zip(kernel, padding))
        whole = output_size(g.shape[2:], kernel, stride, around, dilation) == tuple(size)
        if whole and suits(g.dtype, k, cg, kernel, stride, around, dilation, groups, g.shape[2:]):
            return correlate_rows(g, _turned(w, 1)[0][:, :, ::-1, ::-1], around, None)
        plan = input_plan(tuple(size), g.shape[2:], kernel, stride, padding, dilation)
        turned = _turned(w, groups)
        weights = []
        for outputs in plan.classes:
            part = turned
            if len(outputs.taps) != math.prod(kernel):
                part = turned[(..., *np.array(outputs.taps, int).reshape(-1, len(kernel)).T)]
            weights.append(part.reshape(groups, cg, -1))
        gx = np.empty(shape, g.dtype)
        correlate(g, weights, plan, gx, None, groups)
        return gx

    def gpu(g: Array, w: Array, size: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Array:
        return on_gpu.conv_input_gradient(g, w, tuple(size), stride, padding, dilation, groups)

    def grad(u, g, w, size, stride, padding, dilation, groups, needs):
        return (
            _cut(conv(u, w, None, stride, padding, dilation, groups), g) if needs[0] else None,
            conv_weight_grad(g, u, tuple(w.shape[2:]), stride, padding, dilation, groups) if needs[1] else None,
        )

    def cpu_grad(u, g, w, size, stride, padding, dilation, groups, needs):
        return (
            _cut(conv.cpu(u, w, None, stride, padding, dilation, groups), g) if needs[0] else None,
            conv_weight_grad.cpu(g, u, w.shape[2:], stride, padding, dilation, groups) if needs[1] else None,
        )

    def samples(rng):
        for x, w, _, params in _geometries():
            stride, padding, dilation, _ = params
            out = output_size(x[2:], w[2:], stride, padding, dilation)
            yield (rng.normal(size=(x[0], w[0], *out)), rng.normal(size=w)), (x[2:], *params)

    def cost(g, w, size, stride, padding, dilation, groups):
        x = g.shape[0] * w.shape[1] * groups * math.prod(size)
        return g.nbytes + w.nbytes + x * g.itemsize, _flops(g.size, w)


@op
class conv_weight_grad:
    """gw of `conv`, (K, C / groups, *kernel), from g (N, K, *out) and x (N, C, *size)."""

    holomorphic = True

    def cpu(g: Array, x: Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Array:
        k, cg = g.shape[1], x.shape[1] // groups
        if not g.size or not x.size:
            return np.zeros((k, cg, *kernel), g.dtype)
        if _is_pointwise(kernel, stride, padding) and g.shape[2:] == x.shape[2:]:
            return _pixelwise_weight_grad(g, x, groups).reshape(k, cg, *kernel)
        if suits(x.dtype, x.shape[1], k, tuple(kernel), stride, padding, dilation, groups, x.shape[2:]):
            return weight_gradient_rows(g, x, tuple(kernel), padding)
        plan = forward_plan(x.shape[2:], tuple(kernel), stride, padding, dilation)
        if cg == 1 and groups > 1:
            return depthwise_weight_gradient(g, x, tuple(kernel), plan)
        return weight_gradient(g, x, kernel, plan, groups)

    def gpu(g: Array, x: Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Array:
        return on_gpu.conv_weight_gradient(g, x, tuple(kernel), stride, padding, dilation, groups)

    def grad(u, g, x, kernel, stride, padding, dilation, groups, needs):
        return (
            _cut(conv(x, u, None, stride, padding, dilation, groups), g) if needs[0] else None,
            conv_input_grad(g, u, tuple(x.shape[2:]), stride, padding, dilation, groups) if needs[1] else None,
        )

    def cpu_grad(u, g, x, kernel, stride, padding, dilation, groups, needs):
        return (
            _cut(conv.cpu(x, u, None, stride, padding, dilation, groups), g) if needs[0] else None,
            conv_input_grad.cpu(g, u, x.shape[2:], stride, padding, dilation, groups) if needs[1] else None,
        )

    def samples(rng):
        for x, w, _, params in _geometries():
            stride, padding, dilation, _ = params
            out = output_size(x[2:], w[2:], stride, padding, dilation)
            yield (rng.normal(size=(x[0], w[0], *out)), rng.normal(size=x)), (w[2:], *params)

    def cost(g, x, kernel, stride, padding, dilation, groups):
        w = g.shape[1] * x.shape[1] // groups * math.prod(kernel)
        return g.nbytes + x.nbytes + w * g.itemsize, 2 * g.size * x.shape[1] // groups * math.prod(kernel)
