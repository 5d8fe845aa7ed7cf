"""Convolution against its definition, tap by tap, in all directions, on NumPy and on the emulated device."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tritorch.device import EMULATED
from tritorch.kernels import _columns, _threads
from tritorch.kernels.conv import conv, conv_input_grad, conv_weight_grad, output_size
from tritorch.kernels.im2col import col2im, im2col


def taps(x_size, out, kernel, stride, padding, dilation):
    """(tap, output place, input place) of every product."""
    for tap in itertools.product(*map(range, kernel)):
        for p in itertools.product(*map(range, out)):
            h = tuple(a * s + r * d - q for a, s, r, d, q in zip(p, stride, tap, dilation, padding, strict=True))
            if all(0 <= i < n for i, n in zip(h, x_size, strict=True)):
                yield tap, p, h


def defined(x, w, b, g, stride, padding, dilation, groups):
    """y, gx, gw by the definition."""
    size, kernel = x.shape[2:], w.shape[2:]
    out = output_size(size, kernel, stride, padding, dilation)
    n, k, cg = x.shape[0], w.shape[0], w.shape[1]
    y = np.zeros((n, k, *out)) + b.reshape(-1, *(1,) * len(size))
    gx, gw = np.zeros_like(x), np.zeros_like(w)
    for tap, p, h in taps(size, out, kernel, stride, padding, dilation):
        for i in range(groups):
            ks, cs = slice(i * k // groups, (i + 1) * k // groups), slice(i * cg, (i + 1) * cg)
            matrix = w[(ks, slice(None), *tap)]
            y[(slice(None), ks, *p)] += x[(slice(None), cs, *h)] @ matrix.T
            gx[(slice(None), cs, *h)] += g[(slice(None), ks, *p)] @ matrix
            gw[(ks, slice(None), *tap)] += g[(slice(None), ks, *p)].T @ x[(slice(None), cs, *h)]
    return y, gx, gw


def geometry(n, seed):
    rng = np.random.default_rng([n, seed])
    groups, images = int(rng.choice([1, 1, 2])), int(rng.integers(1, 4))
    cg, kg = int(rng.choice([1, 2, 17])), int(rng.choice([1, 3, 18]))
    draw = lambda a, b: tuple(int(v) for v in rng.integers(a, b, n))  # noqa: E731
    kernel, stride, padding, dilation, size = draw(1, 4), draw(1, 4), draw(0, 3), draw(1, 3), draw(5, 8)
    x, w = rng.normal(size=(images, groups * cg, *size)), rng.normal(size=(groups * kg, cg, *kernel))
    b = rng.normal(size=groups * kg)
    g = rng.normal(size=(images, groups * kg, *output_size(size, kernel, stride, padding, dilation)))
    return x, w, b, g, (stride, padding, dilation, groups)


@pytest.fixture(params=["one piece", "several pieces", "a part for each thread"])
def column_bytes(request, monkeypatch):
    """Also with so little room that images are cut into pieces and come one at a time, and cut for the threads."""
    if request.param == "several pieces":
        monkeypatch.setattr(_columns, "COLUMN_BYTES", 1)
        monkeypatch.setattr(_columns, "MIN_COLUMNS", 7)
    elif request.param == "a part for each thread":
        monkeypatch.setattr(_columns, "THREAD_FLOPS", 1)
        monkeypatch.setattr(_columns, "CUT_FLOPS", 1)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("n, seed", [(n, s) for n in (1, 2, 3) for s in range(6)])
def test_numpy_side(n, seed, threads, column_bytes):
    x, w, b, g, params = geometry(n, seed)
    y, gx, gw = defined(x, w, b, g, *params)
    before = _threads.get_num_threads()
    _threads.set_num_threads(threads)
    try:
        close(conv.cpu(x, w, b, *params), y)
        close(conv_input_grad.cpu(g, w, x.shape[2:], *params), gx)
        close(conv_weight_grad.cpu(g, x, w.shape[2:], *params), gw)
    finally:
        _threads.set_num_threads(before)


def close(got, wanted):
    assert got.flags.c_contiguous
    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.skipif(not EMULATED, reason="calls kernels on NumPy memory")
@pytest.mark.parametrize("n, seed", [(n, s) for n in (1, 2, 3) for s in range(4)])
def test_emulated_side(n, seed):
    pytest.importorskip("triton", reason="the emulated device runs Triton's interpreter")
    x, w, b, g, params = geometry(n, seed)
    close(conv.gpu(x, w, b, *params), conv.cpu(x, w, b, *params))
    close(conv_input_grad.gpu(g, w, x.shape[2:], *params), conv_input_grad.cpu(g, w, x.shape[2:], *params))
    close(conv_weight_grad.gpu(g, x, w.shape[2:], *params), conv_weight_grad.cpu(g, x, w.shape[2:], *params))


def test_the_three_ops_are_adjoint():
    """<conv(x, w), g> = <x, input_grad(g, w)> = <w, weight_grad(g, x)>."""
    for seed in range(4):
        x, w, b, g, params = geometry(2, seed)
        value = (conv.cpu(x, w, None, *params) * g).sum()
        assert np.isclose((conv_input_grad.cpu(g, w, x.shape[2:], *params) * x).sum(), value)
        assert np.isclose((conv_weight_grad.cpu(g, x, w.shape[2:], *params) * w).sum(), value)


def test_im2col_and_col2im_are_adjoint():
    rng = np.random.default_rng(0)
    x, window = rng.normal(size=(2, 3, 8, 7)), ((3, 2), (2, 1), (1, 0), (1, 2))
    y = im2col.cpu(x, *window)
    u = rng.normal(size=y.shape)
    assert np.isclose((y * u).sum(), (x * col2im.cpu(u, (8, 7), *window)).sum())


def test_two_runs_give_equal_bits():
    x, w, b, g, params = geometry(2, 3)
    for run in (
        lambda: conv.cpu(x, w, b, *params),
        lambda: conv_weight_grad.cpu(g, x, w.shape[2:], *params),
    ):
        np.testing.assert_array_equal(run(), run())


def test_thin_products_in_pieces():
    """Few products a column: the columns of many images are multiplied in pieces; results are those of each image."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(48, 1, 28, 28)), rng.normal(size=(6, 1, 5, 5))
    params = (1, 1), (2, 2), (1, 1), 1
    assert _columns.UNPACKED // w.size < 16 * 28 * 32  # more columns than a piece has
    y, g = conv.cpu(x, w, None, *params), rng.normal(size=(48, 6, 28, 28))
    np.testing.assert_allclose(
        y, np.concatenate([conv.cpu(x[i : i + 1], w, None, *params) for i in range(48)]), rtol=1e-12
    )
    each = [conv_weight_grad.cpu(g[i : i + 1], x[i : i + 1], (5, 5), *params) for i in range(48)]
    np.testing.assert_allclose(conv_weight_grad.cpu(g, x, (5, 5), *params), sum(each), rtol=1e-9, atol=1e-9)
