"""The least that NumPy needs for some of the workloads of the CPU tables: its calls alone, on arrays made before.

Two threads take a half each; no output is allocated, nothing is checked or recorded. What an op adds to its floor is
Python and memory that it takes anew; what the floor itself needs beyond torch is passes over memory that a compiled
kernel does at once. `ops_cpu.py` and `training_cpu.py` measure these beside both libraries.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

THREADS = 2
_pool = ThreadPoolExecutor(THREADS - 1)
_rng = np.random.default_rng(0)


def manual_seed(seed: int) -> None:
    """What a library of the benchmarks has: the numbers drawn from here on."""
    global _rng
    _rng = np.random.default_rng(seed)


def _randn(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape, np.float32)


def halves(fn: Callable[[slice], object], n: int) -> Callable[[], object]:
    """Call `fn` for both halves of range(n), on two threads. Rows of 512 and more are not buffered by NumPy."""

    def part(rows: slice) -> None:
        with np.errstate(all="ignore"):
            np.setbufsize(512)
            fn(rows)

    def run() -> None:
        other = _pool.submit(part, slice(n // 2, n))
        part(slice(0, n // 2))
        other.result()

    return run


def _sum_rows() -> Callable[[], object]:
    x, ones, y = _randn(8192, 1024), np.ones(1024, np.float32), np.empty(8192, np.float32)
    return halves(lambda r: np.dot(x[r], ones, out=y[r]), 8192)


def _largest() -> Callable[[], object]:
    x = _randn(1 << 23)
    return halves(lambda r: np.maximum.reduce(x[r]), x.size)


def _softmax(backward: bool, log: bool) -> Callable[[], object]:
    x, g, y, gx = (_randn(1024, 1024) for _ in range(4))
    ones = np.ones(1024, np.float32)

    def fwd(r: slice) -> None:
        np.maximum.reduce(x[r].reshape(-1))
        np.exp(x[r], out=y[r])
        total = y[r].dot(ones)
        if log:
            np.subtract(x[r], np.log(total)[:, None], out=y[r])
        else:
            np.multiply(y[r], (1 / total)[:, None], out=y[r])

    def bwd(r: slice) -> None:
        if log:
            np.exp(y[r], out=gx[r])
            np.multiply(gx[r], g[r].dot(ones)[:, None], out=gx[r])
            np.subtract(g[r], gx[r], out=gx[r])
        else:
            np.subtract(g[r], np.vecdot(g[r], y[r])[:, None], out=gx[r])
            np.multiply(gx[r], y[r], out=gx[r])

    return _both(fwd, bwd, backward, 1024)


def _both(fwd: Callable, bwd: Callable, backward: bool, n: int) -> Callable[[], object]:
    first, second = halves(fwd, n), halves(bwd, n)
    return (lambda: (first(), second())) if backward else first


def _dots(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Dot products of rows; in pieces, since with 500 results or fewer np.vecdot keeps the interpreter's lock."""
    pieces = 8 if len(x) <= 500 else 1
    return np.vecdot(x.reshape(len(x), pieces, -1), y.reshape(len(x), pieces, -1)).sum(1)


def _normalised(x: np.ndarray, y: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """y = x normalised along its rows, and 1 / deviation."""
    np.subtract(x, x.dot(mean)[:, None], out=y)
    rstd = 1 / np.sqrt(_dots(y, y) / x.shape[1] + 1e-5)
    np.multiply(y, rstd[:, None], out=y)
    return rstd


def _norm(rows: int, n: int, per_row: int, backward: bool) -> Callable[[], object]:
    """Layer norm (per_row 1: weights along the row) or group norm (so many planes in a row, a weight for each)."""
    x, g, y, gx, room = (_randn(rows, n) for _ in range(5))
    mean, ones = np.full(n, 1 / n, np.float32), np.ones(rows, np.float32)
    line = np.tile(_randn(n), (8, 1)).reshape(-1)
    plane = _randn(rows * per_row)[:, None]

    def affine(ufunc: np.ufunc, a: np.ndarray, r: slice) -> None:
        if per_row == 1:
            flat = a.reshape(-1, line.size)
            ufunc(flat, line, out=flat)
        else:
            flat = a.reshape(-1, n // per_row)
            ufunc(flat, plane[r.start * per_row : r.stop * per_row], out=flat)

    def fwd(r: slice) -> None:
        _normalised(x[r], y[r], mean)
        affine(np.multiply, y[r], r)
        affine(np.add, y[r], r)

    def bwd(r: slice) -> None:
        rstd = _normalised(x[r], y[r], mean)
        ones[r].dot(g[r])
        np.multiply(g[r], y[r], out=room[r])
        ones[r].dot(room[r])
        np.multiply(y[r], room[r].dot(mean)[:, None], out=y[r])
        np.copyto(gx[r], g[r])
        affine(np.multiply, gx[r], r)
        np.subtract(gx[r], y[r], out=gx[r])
        np.subtract(gx[r], g[r].dot(mean)[:, None], out=gx[r])
        np.multiply(gx[r], rstd[:, None], out=gx[r])

    return _both(fwd, bwd, backward, rows)


def _products(*shapes: tuple[int, int, int, int]) -> Callable[[], object]:
    """Of each (count, m, k, n) a stack of products: what a convolution needs when its columns cost nothing."""
    stacks = [(c, _randn(m, k), _randn(k, n), np.empty((c, m, n), np.float32)) for c, m, k, n in shapes]

    def part(r: slice) -> None:
        for c, a, b, y in stacks:
            for i in range(r.start * c // 64, r.stop * c // 64):
                np.matmul(a, b, out=y[i])

    return halves(part, 64)


def _pad() -> Callable[[], object]:
    x, y = _randn(2048, 32, 32), _randn(2048, 36, 36)

    def part(r: slice) -> None:
        y[r, 2:-2, 2:-2] = x[r]
        for to, source in ((0, 2), (1, 1), (-1, -2), (-2, -3)):
            y[r, 2:-2, to] = x[r, :, source]
        for to, source in ((0, 4), (1, 3), (-1, -4), (-2, -5)):
            y[r, to] = y[r, source]

    return halves(part, 2048)


def _sgd(shapes: list[tuple[int, ...]]) -> Callable[[], object]:
    sets = [tuple(_randn(*s).reshape(-1) for _ in range(4)) for s in shapes]
    step = 1 << 16

    def update(p: np.ndarray, g: np.ndarray, b: np.ndarray, t: np.ndarray) -> None:
        np.multiply(b, 0.9, out=b)
        np.add(b, g, out=b)
        np.multiply(b, 1e-4, out=t)
        np.subtract(p, t, out=p)

    def part(r: slice) -> None:
        for p, g, b, t in sets:
            n = p.size
            for i in range(r.start * n // 64, r.stop * n // 64, step):
                j = min(i + step, r.stop * n // 64)
                update(p[i:j], g[i:j], b[i:j], t[: j - i])

    return halves(part, 64)


def _adam(shapes: list[tuple[int, ...]]) -> Callable[[], object]:
    n = sum(int(np.prod(shape)) for shape in shapes)  # as if all parameters were one
    p, g, m, v, t = (_randn(n) for _ in range(5))
    np.abs(v, out=v)

    def part(r: slice) -> None:
        step = 1 << 16
        for i in range(r.start, r.stop, step):
            a = slice(i, min(i + step, r.stop))
            np.subtract(g[a], m[a], out=t[a])
            np.multiply(t[a], 0.1, out=t[a])
            np.add(m[a], t[a], out=m[a])
            np.multiply(v[a], 0.999, out=v[a])
            np.multiply(g[a], g[a], out=t[a])
            np.multiply(t[a], 0.001, out=t[a])
            np.add(v[a], t[a], out=v[a])
            np.sqrt(v[a], out=t[a])
            np.add(t[a], 1e-8, out=t[a])
            np.divide(m[a], t[a], out=t[a])
            np.multiply(t[a], 1e-4, out=t[a])
            np.subtract(p[a], t[a], out=p[a])

    return halves(part, n)


def _batch_norm() -> Callable[[], object]:
    planes, length = 2048, 1024
    x, g, y, t = (_randn(planes, length) for _ in range(4))
    ones, a = np.ones(length, np.float32), _randn(planes)[:, None]

    def fwd(r: slice) -> None:
        x[r].dot(ones)
        np.vecdot(x[r], x[r])

    def scale(r: slice) -> None:
        np.multiply(x[r], a[r], out=y[r])
        np.add(y[r], a[r], out=y[r])

    def sums(r: slice) -> None:
        g[r].dot(ones)
        np.vecdot(g[r], x[r])

    def bwd(r: slice) -> None:
        scale(r)
        np.multiply(g[r], a[r], out=t[r])
        np.add(y[r], t[r], out=y[r])

    passes = [halves(fn, planes) for fn in (fwd, scale, sums, bwd)]  # each needs the sums of the one before
    return lambda: [run() for run in passes]


def _depthwise() -> Callable[[], object]:
    x, y, t = _randn(2048, 30 * 30 + 2), np.empty((2048, 28 * 30), np.float32), np.empty((2048, 28 * 30), np.float32)
    w, out = _randn(9, 2048, 1), np.empty((2048, 28, 28), np.float32)

    def part(r: slice) -> None:
        np.multiply(x[r, : 28 * 30], w[0, r], out=y[r])
        for i, j in itertools.product(range(3), range(3)):
            if i or j:
                at = 30 * i + j
                np.multiply(x[r, at : at + 28 * 30], w[3 * i + j, r], out=t[r])
                np.add(y[r], t[r], out=y[r])
        out[r] = y[r].reshape(-1, 28, 30)[..., :28]

    return halves(part, 2048)


class _Convolution:
    """The calls for a convolution of 64 images over flat frames: columns, products, crops; memory is there before."""

    def __init__(self, c: int, size: int, k: int, pad: int):
        out = size + 2 * pad - 4
        width = max(out, size + pad)
        self.columns = np.empty((64, c, 5, 5, out * width), np.float32)
        self.frame = _randn(64, c, (size + 2 * pad) * width + 8)
        self.size, self.width, self.out = size, width, out
        self.x, self.g, self.gw = (
            _randn(64, c, size, size),
            _randn(64, k, out, out),
            np.empty((64, c * 25, k), np.float32),
        )
        self.w, self.y = _randn(k, c * 25), np.empty((64, k, out * width), np.float32)
        self.rows = self.w.reshape(k, c, 5, 5).transpose(1, 3, 0, 2).reshape(c * 5, k * 5).copy()
        self.back = _randn(64, k, 5, size * width)
        self.sums, self.gx = np.empty((64, c, 5, size * width), np.float32), np.empty((64, c, size, size), np.float32)

    def windows(self, r: slice) -> None:
        n, c, length = len(self.x[r]), self.x.shape[1], self.out * self.width
        step = self.frame.strides
        taps = (self.width * 4, 4, 4)
        self.frame[r, :, : self.size * self.width].reshape(n, c, self.size, -1)[..., : self.size] = self.x[r]
        shape = (n, c, 5, 5, length)
        self.columns[r] = np.ndarray(shape, np.float32, self.frame, r.start * step[0], (*step[:2], *taps))

    def forward(self, r: slice) -> None:
        self.windows(r)
        np.matmul(self.w, self.columns[r].reshape(-1, self.w.shape[1], self.out * self.width), out=self.y[r])
        self.g[r] = self.y[r].reshape(-1, len(self.w), self.out, self.width)[..., : self.out]

    def weight(self, r: slice) -> None:
        self.windows(r)
        self.y[r].reshape(-1, len(self.w), self.out, self.width)[..., : self.out] = self.g[r]
        columns = self.columns[r].reshape(-1, self.w.shape[1], self.out * self.width)
        np.matmul(columns, self.y[r].mT, out=self.gw[r])
        np.add.reduce(self.gw[r], 0)

    def input(self, r: slice) -> None:
        n, k = len(self.x[r]), len(self.w)
        for tap in range(5):
            self.back[r, :, tap, : self.out * self.width] = self.y[r]
        np.matmul(self.rows, self.back[r].reshape(n, k * 5, -1), out=self.sums[r].reshape(n, len(self.rows), -1))
        y = self.sums[r]
        for tap in range(1, 5):
            np.add(y[:, :, 0, :-4], y[:, :, tap, tap : y.shape[3] - 4 + tap], out=y[:, :, 0, :-4])
        self.gx[r] = y[:, :, 0].reshape(n, -1, self.size, self.width)[..., : self.size]


def _lenet() -> Callable[[], object]:
    """The convolutions, poolings, relus and products of LeNet's step; no loss, no optimizer, no sums of biases."""
    first, second = _Convolution(1, 28, 6, 2), _Convolution(6, 14, 16, 0)
    layers = [(_randn(64, n), _randn(m, n), _randn(64, m)) for n, m in ((400, 120), (120, 84), (84, 10))]

    def pool(conv: _Convolution) -> tuple[Callable[[slice], None], Callable[[slice], None]]:
        y = conv.g
        n, k, size = y.shape[0], y.shape[1], y.shape[2] // 2
        high, best, mask = (
            _randn(n, k, size, 2 * size),
            _randn(n, k, size, size),
            np.empty((n, k, size, size), np.int32),
        )

        def fwd(r: slice) -> None:
            np.maximum(y[r], 0, out=y[r])
            np.maximum(y[r, :, ::2], y[r, :, 1::2], out=high[r])
            np.maximum(high[r, :, :, ::2], high[r, :, :, 1::2], out=best[r])

        def bwd(r: slice) -> None:
            for i, j in itertools.product((0, 1), (0, 1)):
                here = np.equal(y[r, :, i::2, j::2], best[r]).view(np.int8)
                mask[r] = np.negative(here, out=here)
                np.bitwise_and(mask[r], best[r].view(np.int32), out=mask[r])
                y[r, :, i::2, j::2] = mask[r].view(np.float32)
            np.bitwise_and(y[r].view(np.int32), np.negative((y[r] > 0).view(np.int8)).astype(np.int32))

        return fwd, bwd

    one, two = pool(first), pool(second)
    steps = (first.forward, one[0], second.forward, two[0], two[1], second.weight, second.input, one[1], first.weight)
    runs = [halves(fn, 64) for fn in steps]

    def linear() -> None:
        for x, w, g in layers:
            np.dot(x, w.T)
            np.dot(g.T, x)
            np.dot(g, w)

    return lambda: [*(run() for run in runs), linear()]


_GPT = [(128, 128)] * 16 + [(512, 128)] * 4 + [(128, 512)] * 4 + [(384, 128)] * 4 + [(128,)] * 40
_64 = (32 * 4, 64, 192, 544)  # 32 images of 64 channels, four products for two rows, three taps of a row at once

FLOORS: dict[str, Callable[[], Callable[[], object]]] = {
    "sum rows 8192x1024, fwd": _sum_rows,
    "sum 8 M, fwd": _sum_rows,
    "max 8 M, fwd": _largest,
    "softmax 1024x1024, fwd": partial(_softmax, False, False),
    "softmax 1024x1024, fwd+bwd": partial(_softmax, True, False),
    "log_softmax 1024x1024, fwd": partial(_softmax, False, True),
    "log_softmax 1024x1024, fwd+bwd": partial(_softmax, True, True),
    "layer norm 4096x768, fwd": partial(_norm, 4096, 768, 1, False),
    "layer norm 4096x768, fwd+bwd": partial(_norm, 4096, 768, 1, True),
    "group norm 32x64x32x32, fwd": partial(_norm, 256, 8192, 8, False),
    "group norm 32x64x32x32, fwd+bwd": partial(_norm, 256, 8192, 8, True),
    "conv 3->64 3x3, 32 of 32x32, fwd": partial(_products, (32, 64, 27, 1088)),
    "conv 64->64 3x3, 32 of 32x32, fwd": partial(_products, _64),
    "conv 64->64 3x3, 32 of 32x32, fwd+bwd": partial(_products, _64, _64, (32 * 4, 192, 544, 64)),
    "conv 64->128 stride 2, 8 of 56x56, fwd": partial(_products, (64, 128, 576, 102)),
    "conv 64->128 stride 2, 8 of 56x56, fwd+bwd": partial(
        _products, (64, 128, 576, 102), (64, 576, 128, 102), (64, 128, 102, 576)
    ),
    "conv depthwise 128, 16 of 28x28, fwd": _depthwise,
    "batch norm 32x64x32x32, fwd+bwd": _batch_norm,
    "pad reflect 32x64x32x32, fwd": _pad,
    "SGD momentum, one of 16 M": partial(_sgd, [(4096, 4096)]),
    "SGD momentum, GPT 4 x 128": partial(_sgd, _GPT),
    "Adam, GPT 4 x 128": partial(_adam, _GPT),
    "LeNet": _lenet,
}


def make(name: str) -> Callable[[], object]:
    """The floor of the workload `name`, nothing to do where none is written."""
    return FLOORS[name]() if name in FLOORS else lambda: None
