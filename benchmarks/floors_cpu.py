"""The least that NumPy needs for some of the workloads of ops_cpu.py: nothing but its calls, on arrays made before.

Two threads take a half each; no output is allocated, nothing is checked or recorded. What an op adds to its floor is
Python and memory that it takes anew; what the floor itself needs beyond torch is passes over memory that a compiled
kernel does at once. `ops_cpu.py` measures these beside both libraries.
"""

from __future__ import annotations

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
    return halves(lambda r: np.matmul(x[r], ones, out=y[r]), 8192)


def _largest() -> Callable[[], object]:
    x = _randn(1 << 23)
    return halves(lambda r: np.maximum.reduce(x[r]), x.size)


def _softmax(backward: bool, log: bool) -> Callable[[], object]:
    x, g, y, gx = (_randn(1024, 1024) for _ in range(4))
    ones = np.ones(1024, np.float32)

    def fwd(r: slice) -> None:
        np.maximum.reduce(x[r].reshape(-1))
        np.exp(x[r], out=y[r])
        total = y[r] @ ones
        if log:
            np.subtract(x[r], np.log(total)[:, None], out=y[r])
        else:
            np.multiply(y[r], (1 / total)[:, None], out=y[r])

    def bwd(r: slice) -> None:
        if log:
            np.exp(y[r], out=gx[r])
            np.multiply(gx[r], (g[r] @ ones)[:, None], out=gx[r])
            np.subtract(g[r], gx[r], out=gx[r])
        else:
            np.subtract(g[r], np.vecdot(g[r], y[r])[:, None], out=gx[r])
            np.multiply(gx[r], y[r], out=gx[r])

    return _both(fwd, bwd, backward, 1024)


def _both(fwd: Callable, bwd: Callable, backward: bool, n: int) -> Callable[[], object]:
    first, second = halves(fwd, n), halves(bwd, n)
    return (lambda: (first(), second())) if backward else first


def _normalised(x: np.ndarray, y: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """y = x normalised along its rows, and 1 / deviation."""
    np.subtract(x, (x @ mean)[:, None], out=y)
    rstd = 1 / np.sqrt(np.vecdot(y, y) / x.shape[1] + 1e-5)
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
        ones[r] @ g[r]
        np.multiply(g[r], y[r], out=room[r])
        ones[r] @ room[r]
        np.multiply(y[r], (room[r] @ mean)[:, None], out=y[r])
        np.copyto(gx[r], g[r])
        affine(np.multiply, gx[r], r)
        np.subtract(gx[r], y[r], out=gx[r])
        np.subtract(gx[r], (g[r] @ mean)[:, None], out=gx[r])
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


_GPT = [(128, 128)] * 16 + [(512, 128)] * 4 + [(128, 512)] * 4 + [(384, 128)] * 4 + [(128,)] * 40
_64 = (32 * 4, 64, 192, 544)  # 32 images of 64 channels, four products for two rows, three taps of a row at once

FLOORS: dict[str, Callable[[], Callable[[], object]]] = {
    "sum rows 8192x1024, fwd": _sum_rows,
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
    "pad reflect 32x64x32x32, fwd": _pad,
    "SGD momentum, one of 16 M": partial(_sgd, [(4096, 4096)]),
    "SGD momentum, GPT 4 x 128": partial(_sgd, _GPT),
}


def make(name: str) -> Callable[[], object]:
    """The floor of the workload `name`, nothing to do where none is written."""
    return FLOORS[name]() if name in FLOORS else lambda: None
