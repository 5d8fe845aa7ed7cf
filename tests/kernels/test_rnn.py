"""The recurrent ops on arrays against the recurrences written out, sequence by sequence."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch.kernels.rnn import gru_layer, lstm_layer, rnn_layer

SIZES = [(3, 3, 3), (4, 2, 1, 1), (1,)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(x, h, c, w, r):
    i, f, g, o = np.split(x + w @ h, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return (h if r is None else r @ h), c


def gru_step(x, h, w, b):
    (xr, xz, xn), (sr, sz, sn) = np.split(x, 3), np.split(w @ h + b, 3)
    r, z = sigmoid(xr + sr), sigmoid(xz + sz)
    return (1 - z) * np.tanh(xn + r * sn) + z * h


def walk(sizes, reverse):
    """(sequence, rows of its steps in order) of a packed batch."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    for n in range(sizes[0]):
        rows = [s + n for s, size in zip(starts, sizes, strict=True) if size > n]
        yield n, rows[::-1] if reverse else rows


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("project", [False, True])
def test_lstm(sizes, reverse, project):
    rng, k = np.random.default_rng(0), 5
    out = 3 if project else k
    r = rng.normal(size=(out, k)) if project else None
    gx, w = rng.normal(size=(sum(sizes), 4 * k)), rng.normal(size=(4 * k, out))
    h0, c0 = rng.normal(size=(sizes[0], out)), rng.normal(size=(sizes[0], k))
    y, h_n, c_n, _, cells = lstm_layer.cpu(gx, h0, c0, w, r, sizes, reverse)
    for n, rows in walk(sizes, reverse):
        h, c = h0[n], c0[n]
        for row in rows:
            h, c = lstm_step(gx[row], h, c, w, r)
            np.testing.assert_allclose(y[row], h, rtol=1e-12)
            np.testing.assert_allclose(cells[row], c, rtol=1e-12)
        np.testing.assert_allclose(h_n[n], h, rtol=1e-12)
        np.testing.assert_allclose(c_n[n], c, rtol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_gru(sizes, reverse):
    rng, k = np.random.default_rng(0), 5
    gx, w, b = rng.normal(size=(sum(sizes), 3 * k)), rng.normal(size=(3 * k, k)), rng.normal(size=3 * k)
    h0 = rng.normal(size=(sizes[0], k))
    y, h_n, *_ = gru_layer.cpu(gx, h0, w, b, sizes, reverse)
    for n, rows in walk(sizes, reverse):
        h = h0[n]
        for row in rows:
            h = gru_step(gx[row], h, w, b)
            np.testing.assert_allclose(y[row], h, rtol=1e-12)
        np.testing.assert_allclose(h_n[n], h, rtol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("relu", [False, True])
def test_rnn(sizes, reverse, relu):
    rng, k = np.random.default_rng(0), 5
    gx, w, h0 = rng.normal(size=(sum(sizes), k)), rng.normal(size=(k, k)), rng.normal(size=(sizes[0], k))
    y, h_n = rnn_layer.cpu(gx, h0, w, sizes, reverse, relu)
    for n, rows in walk(sizes, reverse):
        h = h0[n]
        for row in rows:
            h = gx[row] + w @ h
            h = np.maximum(h, 0) if relu else np.tanh(h)
            np.testing.assert_allclose(y[row], h, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(h_n[n], h, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("op", [lstm_layer, gru_layer, rnn_layer])
def test_inputs_are_left_as_they_are(op):
    args, params = next(op.samples(np.random.default_rng(0)))
    before = [None if a is None else a.copy() for a in args]
    outs = op.cpu(*args, *params)
    grads = [np.ones_like(o) for o in outs[: op.differentiable]]
    saved = {"input": args, "param": params, "output": outs, "needs": [(True,) * len(args)]}
    kept = [g.copy() for g in grads]
    op.cpu_grad(grads, *(saved[kind][i] for kind, i in op.saved))
    for a, b in zip([*args, *grads], [*before, *kept], strict=True):
        assert a is None or np.array_equal(a, b)


def test_large_gates_do_not_overflow():
    x = np.float32([[1e4, -1e4, 1e4, -1e4]])
    with np.errstate(all="raise", under="ignore"):
        zero, one, w = np.zeros((1, 1), "f4"), np.ones((1, 1), "f4"), np.zeros((4, 1), "f4")
        y, _, c, *_ = lstm_layer.cpu(x, zero, one, w, None, (1,), False)
    assert y.item() == 0
    assert c.item() == 1
