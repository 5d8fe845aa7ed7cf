"""Optimizer steps on raw arrays: blocks, threads and layouts against the plain formulas."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tritorch.kernels import _threads
from tritorch.kernels import optimizer_step as step


def _constants(**more):
    return {"rate1": 0.1, "beta2": 0.9, "rate2": 0.1, "eps": 1e-3, "step": 0.2, "decay": 0.1} | more


def _adam(p, g, m, v, top, decay, decoupled, maximize):
    """The formula in float64, written plainly."""
    p, g, m, v = (a.astype(np.float64) for a in (p, g, m, v))
    g = -g if maximize else g
    if decay:
        p, g = (p * 0.1, g) if decoupled else (p, g + 0.1 * p)
    m = m + 0.1 * (g - m)
    v = 0.9 * v + 0.1 * g * g
    bound = v if top is None else np.maximum(top.astype(np.float64), v)
    return p - 0.2 * m / (np.sqrt(bound) + 1e-3), m, v, bound


def _arrays(shape, dtype, layout, rng):
    made = [rng.normal(size=shape).astype(dtype) for _ in range(2)] + [
        rng.random(shape).astype(dtype) for _ in range(3)
    ]
    if layout == "transposed":
        return [np.ascontiguousarray(a.T).T for a in made]
    if layout == "strided":
        return [np.repeat(a, 2, axis=-1)[..., ::2] for a in made]
    if layout == "mixed":
        return [made[0], np.ascontiguousarray(made[1].T).T, *made[2:]]
    return made


@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided", "mixed"])
@pytest.mark.parametrize("shape", [(5, 3), (1, 1), (0, 4), (700, 300)])
@pytest.mark.parametrize("options", [(False, False, False), (True, False, True), (True, True, False)])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam(shape, layout, options, amsgrad):
    p, g, m, v, top = _arrays(shape, np.float32, layout, np.random.default_rng(0))
    top = top if amsgrad else None
    expected = _adam(p, g, m, v, top, *options)
    kept = g.copy()
    step.adam([(p, g, m, v) if top is None else (p, g, m, v, top)], _constants(), *options)
    for found, e in zip((p, m, v, top), expected, strict=True):
        if found is not None:
            np.testing.assert_allclose(found, e, rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(g, kept)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_dtypes(dtype):
    arrays = _arrays((40, 3), dtype, "contiguous", np.random.default_rng(1))
    expected = _adam(*arrays[:4], None, False, False, False)
    p, g, m, v, _ = arrays
    step.adam([(p, g, m, v)], _constants(), False, False, False)
    tolerance = {np.float16: 2e-3, ml_dtypes.bfloat16: 2e-2, np.float64: 1e-12}[dtype]
    np.testing.assert_allclose(p.astype(float), expected[0], rtol=tolerance, atol=tolerance)


def test_complex_numbers_count_as_pairs():
    rng = np.random.default_rng(2)
    z = [(rng.random((4, 3)) + 1j * rng.random((4, 3))).astype(np.complex64) for _ in range(4)]
    pairs = [step.real_pairs(a).copy() for a in z]
    for p, g, m, v in (z, pairs):
        step.adam([(p, g, m, v)], _constants(), False, False, False)
    np.testing.assert_array_equal(step.real_pairs(z[0]), pairs[0])


@pytest.mark.parametrize("size", [10, 3 * step.BLOCK + 5])
def test_sweep_and_threads_agree_with_one_thread(size):
    rng = np.random.default_rng(3)
    p, g, s = (rng.normal(size=size).astype(np.float32) for _ in range(3))
    rule = lambda p, g, s: (p - 0.1 * g * s, s + g)
    expected = rule(p, g, s)
    before = _threads.get_num_threads()
    results = []
    try:
        for n in (1, 3):
            _threads.set_num_threads(n)
            q, t = p.copy(), s.copy()
            step.sweep(rule, q, g, [t])
            results.append((q, t))
    finally:
        _threads.set_num_threads(before)
    for found in results:
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_no_temporary_larger_than_a_block():
    import tracemalloc

    n = 40 * step.BLOCK
    p, g, m, v = (np.ones(n, np.float32) for _ in range(4))
    step.adam([(p, g, m, v)], _constants(), False, False, False)  # makes the scratch
    tracemalloc.start()
    try:
        step.adam([(p, g, m, v)], _constants(), False, False, False)
        step.sweep(lambda p, g, m: (p - g * m, m + g), p, g, [m])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 * step.BLOCK * 4  # a few blocks per thread; a whole array would be 40


@pytest.mark.parametrize("options", [(False, False, False), (True, False, True), (True, True, False)])
def test_sgd(options):
    decay, nesterov, maximize = options
    rng = np.random.default_rng(4)
    p, g, b = (rng.normal(size=(300, 500)).astype(np.float32) for _ in range(3))
    for first in (True, False):
        e = g * (-1 if maximize else 1) + (0.1 * p if decay else 0)
        buffer = e if first else 0.9 * b + 0.7 * e
        expected = p - 0.1 * (e + 0.9 * buffer if nesterov else buffer)
        c = {"lr": 0.1, "momentum": 0.9, "undamped": 0.7, "decay": 0.1}
        step.sgd([(p, g, b)], c, first, decay, nesterov, maximize)
        np.testing.assert_allclose(p, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(b, buffer, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided", "mixed"])
def test_many_parameters_as_each_alone(layout):
    """Small ones are worked on together, large ones in blocks, over threads: the bits are those of each alone."""
    rng = np.random.default_rng(5)
    shapes = [(7,), (), (3, 5), (300, 300), (0, 2), (64, 64), (1,)] * 30
    dtypes = [np.float32, np.float64, ml_dtypes.bfloat16, np.float32]
    rows = []
    for i, shape in enumerate(shapes):
        flat = layout != "contiguous" and len(shape) < 2
        rows.append(_arrays(shape, dtypes[i % 4], "contiguous" if flat else layout, rng)[:4])
    alone = [[a.copy(order="K") for a in row] for row in rows]
    step.adam(rows, _constants(), True, False, True)
    for row in alone:
        step.adam([row], _constants(), True, False, True)
    for row, expected in zip(rows, alone, strict=True):
        for a, e in zip(row, expected, strict=True):
            np.testing.assert_array_equal(a, e)
