"""Pooling against its definition, window by window, on NumPy and on the emulated device."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tritorch.device import EMULATED
from tritorch.kernels import pool
from tritorch.kernels.adaptive_pool import adaptive_max_pool_indices, adaptive_windows, fractional_starts
from tritorch.kernels.pool import avg_pool, avg_pool_grad, max_pool, max_pool_indices, pooled_size

emulated = pytest.mark.skipif(not EMULATED, reason="calls kernels on NumPy memory")


def geometry(n, seed):
    rng = np.random.default_rng([n, seed])
    draw = lambda a, b: tuple(int(v) for v in rng.integers(a, b, n))  # noqa: E731
    kernel, stride, dilation, size = draw(1, 4), draw(1, 4), draw(1, 3), draw(6, 9)
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    out = pooled_size(size, kernel, stride, padding, dilation, bool(seed % 2))
    x = rng.integers(0, 5, (2, 3, *size)).astype(float) if seed % 3 else rng.normal(size=(2, 3, *size))
    if seed == 4:
        x[rng.random(x.shape) < 0.1] = np.nan
    return x, (kernel, stride, padding, dilation, out), rng.normal(size=(2, 3, *out))


def windows(size, kernel, stride, padding, dilation, out):
    """(output place, input places within the image in order) of each window."""
    for p in itertools.product(*map(range, out)):
        places = [
            tuple(a * s - q + r * d for a, s, q, r, d in zip(p, stride, padding, tap, dilation, strict=True))
            for tap in itertools.product(*map(range, kernel))
        ]
        yield p, [h for h in places if all(0 <= i < n for i, n in zip(h, size, strict=True))]


@pytest.mark.parametrize("block", [1 << 17, 1])
@pytest.mark.parametrize("n, seed", [(n, s) for n in (1, 2, 3) for s in range(6)])
def test_max_pool(n, seed, block, monkeypatch):
    monkeypatch.setattr(pool, "_BLOCK", block)
    x, params, g = geometry(n, seed)
    size = x.shape[2:]
    y, index, gx = np.zeros(g.shape), np.zeros(g.shape, np.int64), np.zeros(x.shape)
    for p, places in windows(size, *params):
        for i, c in itertools.product(range(2), range(3)):
            values = np.array([x[(i, c, *h)] for h in places])
            nan = np.flatnonzero(np.isnan(values))
            best = nan[-1] if nan.size else values.argmax()
            y[(i, c, *p)], index[(i, c, *p)] = values[best], np.ravel_multi_index(places[best], size)
            gx[(i, c, *places[best])] += g[(i, c, *p)]
    np.testing.assert_array_equal(max_pool.cpu(x, *params), y)
    np.testing.assert_array_equal(max_pool_indices.cpu(x, *params), index)
    np.testing.assert_allclose(max_pool.cpu_grad(g, x, y, *params), gx, atol=1e-12)


def test_an_infinite_gradient_stays_in_its_place():
    x = np.arange(8.0).reshape(1, 1, 8)
    params = ((2,), (2,), (0,), (1,), (4,))
    g = np.array([[[np.inf, 1.0, np.nan, 2.0]]])
    got = max_pool.cpu_grad(g, x, max_pool.cpu(x, *params), *params)
    np.testing.assert_array_equal(got[0, 0], [0, np.inf, 0, 1, 0, np.nan, 0, 2])


@pytest.mark.parametrize("include_pad, divisor", [(True, 0), (False, 0), (True, 5)])
@pytest.mark.parametrize("n, seed", [(n, s) for n in (1, 2, 3) for s in (0, 1, 3)])
def test_avg_pool(n, seed, include_pad, divisor):
    x, (kernel, stride, padding, _, _), _ = geometry(n, seed)
    size, ones = x.shape[2:], (1,) * n
    out = pooled_size(size, kernel, stride, padding, ones, bool(seed % 2))
    g = np.random.default_rng(seed).normal(size=(2, 3, *out))
    y, gx = np.zeros(g.shape), np.zeros(x.shape)
    for p, places in windows(size, kernel, stride, padding, ones, out):
        n_in_padding = np.prod([
            min(a * s - q + k, m + q) - (a * s - q) for a, s, q, k, m in zip(p, stride, padding, kernel, size, strict=True)
        ])  # fmt: skip
        by = divisor or (n_in_padding if include_pad else len(places))
        for h in places:
            y[(slice(None), slice(None), *p)] += x[(slice(None), slice(None), *h)] / by
            gx[(slice(None), slice(None), *h)] += g[(slice(None), slice(None), *p)] / by
    np.testing.assert_allclose(avg_pool.cpu(x, kernel, stride, padding, out, include_pad, divisor), y, atol=1e-12)
    got = avg_pool_grad.cpu(g, size, kernel, stride, padding, include_pad, divisor)
    np.testing.assert_allclose(got, gx, atol=1e-12)


@emulated
@pytest.mark.parametrize("n, seed", [(n, s) for n in (1, 2, 3) for s in range(6)])
def test_emulated_side(n, seed):
    pytest.importorskip("triton", reason="the emulated device runs Triton's interpreter")
    x, params, g = geometry(n, seed)
    y = max_pool.cpu(x, *params)
    np.testing.assert_array_equal(max_pool.gpu(x, *params), y)
    np.testing.assert_array_equal(max_pool_indices.gpu(x, *params), max_pool_indices.cpu(x, *params))
    np.testing.assert_allclose(max_pool.gpu_grad(g, x, y, *params), max_pool.cpu_grad(g, x, y, *params), atol=1e-12)
    kernel, stride, padding, _, _ = params
    out = pooled_size(x.shape[2:], kernel, stride, padding, (1,) * n, bool(seed % 2))
    for include_pad, divisor in [(True, 0), (False, 0), (True, 5)]:
        more = (include_pad, divisor)
        np.testing.assert_allclose(
            avg_pool.gpu(x, kernel, stride, padding, out, *more), avg_pool.cpu(x, kernel, stride, padding, out, *more)
        )
        u = np.random.default_rng(seed).normal(size=(2, 3, *out))
        np.testing.assert_allclose(
            avg_pool_grad.gpu(u, x.shape[2:], kernel, stride, padding, *more),
            avg_pool_grad.cpu(u, x.shape[2:], kernel, stride, padding, *more), atol=1e-12,
        )  # fmt: skip
    small = (3, 2, 5)[:n]
    np.testing.assert_array_equal(adaptive_max_pool_indices.gpu(x, small), adaptive_max_pool_indices.cpu(x, small))


def test_windows_cover_the_image():
    for n, m in [(7, 3), (5, 8), (6, 2), (1, 4)]:
        start, end = adaptive_windows(n, m)
        assert start[0] == 0 and end[-1] == n and (end > start).all() and (start[1:] <= end[:-1]).all()
    starts = fractional_starts(np.array([0.0, 0.4, 0.99]), 20, 7, 3)
    assert (starts >= 0).all() and (starts <= 17).all() and (np.diff(starts) >= 1).all() and (starts[:, -1] == 17).all()
