"""Convolution of two rows at a time against the plain sum over columns."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tritorch.kernels import _threads, _winograd, conv

GEOMETRIES = [
    (n, h, w, taps, ph, pw)
    for n, h, w, taps, ph, pw in itertools.product((1, 3, 33), (2, 3, 8, 20), (1, 9), (1, 2, 3, 5), (0, 1, 2), (0, 1))
    if h + 2 * ph >= 4 and w + 2 * pw >= taps
]


def _all(x, w, b, g, padding):
    params = (1, 1), padding, (1, 1), 1
    y = conv.conv.cpu(x, w, b, *params)
    g = g[: y.size].reshape(y.shape)
    gx = conv.conv_input_grad.cpu(g, w, x.shape[2:], *params)
    return y, gx, conv.conv_weight_grad.cpu(g, x, w.shape[2:], *params)


@pytest.mark.parametrize("n", [1, 3, 33])
def test_against_columns(n, monkeypatch):
    """All of: odd and even heights, few and many images together, every padding, kernels of any width."""
    rng = np.random.default_rng(n)
    for count, h, w, taps, ph, pw in GEOMETRIES:
        if count != n:
            continue
        x, b = rng.normal(size=(n, 16, h, w)), rng.normal(size=17)
        kernel = rng.normal(size=(17, 16, 3, taps))
        g = rng.normal(size=n * 17 * (h + 4) * (w + 4))
        found = _all(x, kernel, b, g, (ph, pw))
        with monkeypatch.context() as patch:
            patch.setattr(conv, "suits", lambda *_: False)
            expected = _all(x, kernel, b, g, (ph, pw))
        for f, e in zip(found, expected, strict=True):
            assert f.shape == e.shape and f.flags.c_contiguous
            np.testing.assert_allclose(f, e, rtol=1e-9, atol=1e-9)


def test_tall_images_are_cut(monkeypatch):
    """Images whose columns do not fit the cache go through in pieces of their rows."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 16, 31, 12)), rng.normal(size=(16, 16, 3, 3))
    g = rng.normal(size=2 * 16 * 31 * 12)
    whole = _all(x, w, None, g, (1, 1))
    monkeypatch.setattr(_winograd, "COLUMN_BYTES", 1 << 17)
    monkeypatch.setattr(_winograd, "MIN_COLUMNS", 16)
    assert _winograd._tiling(x.shape, (3, 3), (1, 1), 8).rows < 8
    for f, e in zip(_all(x, w, None, g, (1, 1)), whole, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-9, atol=1e-9)


def test_float32_loses_no_more_than_a_sum_does(monkeypatch):
    """Largest errors against float64, next to those of the plain sum in float32."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 64, 16, 16)), rng.normal(size=(64, 64, 3, 3))
    g = rng.normal(size=4 * 64 * 16 * 16)
    exact = _all(x, w, None, g, (1, 1))
    single = [a.astype(np.float32) for a in (x, w, g)]
    found = _all(single[0], single[1], None, single[2], (1, 1))
    monkeypatch.setattr(conv, "suits", lambda *_: False)
    plain = _all(single[0], single[1], None, single[2], (1, 1))
    for f, p, e in zip(found, plain, exact, strict=True):
        assert f.dtype == np.float32
        assert np.abs(f - e).max() < 3 * np.abs(p - e).max()


def test_infinities_stay_where_they_are_visible():
    """An infinite pixel makes its neighbourhood infinite or NaN, and nothing else."""
    x = np.ones((1, 16, 12, 12), np.float32)
    x[0, 3, 5, 5] = np.inf
    y = conv.conv.cpu(x, np.ones((16, 16, 3, 3), np.float32), None, (1, 1), (1, 1), (1, 1), 1)
    touched = ~np.isfinite(y[0, 0])
    assert touched[4:7, 4:7].all()
    rows, columns = np.nonzero(touched)
    assert 4 <= rows.min() and rows.max() <= 7 and 4 <= columns.min() and columns.max() <= 6


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_two_runs_give_equal_bits(threads):
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(5, 16, 20, 20)).astype("f"), rng.normal(size=(32, 16, 3, 3)).astype("f")
    g = rng.normal(size=5 * 32 * 20 * 20).astype("f")
    before = _threads.get_num_threads()
    try:
        _threads.set_num_threads(threads)
        first, second = _all(x, w, None, g, (1, 1)), _all(x, w, None, g, (1, 1))
    finally:
        _threads.set_num_threads(before)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_lone_image_is_shared_between_threads():
    rng = np.random.default_rng(2)
    x, w, g = rng.normal(size=(1, 16, 40, 24)), rng.normal(size=(16, 16, 3, 3)), rng.normal(size=16 * 40 * 24)
    whole = _all(x, w, None, g, (1, 1))
    before = _threads.get_num_threads()
    try:
        _threads.set_num_threads(3)
        assert len(_winograd._tiling(x.shape, (3, 3), (1, 1), 8).units(1)) == 3
        shared = _all(x, w, None, g, (1, 1))
    finally:
        _threads.set_num_threads(before)
    for a, b in zip(shared, whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
