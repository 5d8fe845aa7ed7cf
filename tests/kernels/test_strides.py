"""Copies between layouts: whatever the strides of target and source, y[...] = x."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tritorch.kernels import _strides

SHAPES = [
    (160, 130),
    (1, 20_000),
    (20_000, 3),
    (2, 9000),
    (8, 2, 1200),
    (6, 40, 7, 20),
    (4, 1024, 24),
    (9, 64, 64),
    (3, 2, 2, 20, 80),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["f4", "f8", "?", "i2", "c16"])
def test_any_order_of_dims(shape, kind, monkeypatch):
    monkeypatch.setattr(_strides, "FEW", 64)
    x = (np.random.default_rng(0).normal(size=shape) * 9).astype(kind)
    for dims in list(itertools.permutations(range(x.ndim)))[:24]:
        want = x.transpose(dims)
        y = _strides.dense(want)
        assert y.flags.c_contiguous
        np.testing.assert_array_equal(y, want)
        y = np.empty(want.shape, kind)
        _strides.assign(y, want, 1 << 12)  # on threads, too
        np.testing.assert_array_equal(y, want)


def test_gaps_steps_backwards_and_repeats(monkeypatch):
    monkeypatch.setattr(_strides, "FEW", 64)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 4, 90)).astype(np.float32)
    for view in (
        x[::-1],
        x[:, ::-1, ::-1].swapaxes(0, 2),
        x[..., ::3],
        x[:, :3, :2],
        x[:, :1].swapaxes(0, 1),
        np.broadcast_to(x[:, :1], x.shape),
        np.broadcast_to(x[..., :1], x.shape).transpose(2, 0, 1),
        np.broadcast_to(x[:1], x.shape).swapaxes(0, 2),
        np.broadcast_to(x[0, 0, :1], (200, 200)),
        np.rot90(x, 1, (0, 2)),
    ):
        np.testing.assert_array_equal(_strides.dense(view), view)


def test_into_a_view_of_another_dtype(monkeypatch):
    monkeypatch.setattr(_strides, "FEW", 64)
    x = np.random.default_rng(2).normal(size=(200, 150))
    for place in (np.s_[:200, :150], np.s_[::2, 1:151], np.s_[::-2, 150:0:-1]):
        y = np.zeros((400 if place != np.s_[:200, :150] else 250, 160), np.float32)
        _strides.assign(y[place], x)
        want = np.zeros_like(y)
        want[place] = x
        np.testing.assert_array_equal(y, want)


def test_nothing_and_one_element():
    for x in (np.zeros((0, 3)), np.zeros((3, 0)).T, np.array(2.0)):
        np.testing.assert_array_equal(_strides.dense(x), x)
