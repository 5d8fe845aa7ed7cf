from __future__ import annotations

import numpy as np
import pytest

from tritorch.kernels._select import redo, where

rng = np.random.default_rng(0)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45])


def values(shape, dtype):
    a = rng.normal(size=shape) * 9
    if np.dtype(dtype).kind == "c":
        a = a + 1j * rng.normal(size=shape)
    a = a.astype(dtype)
    if np.dtype(dtype).kind == "f" and a.size > 6:
        a.reshape(-1)[:6] = SPECIAL
    return a


def same(mask, x, z):
    got, wanted = where(mask, x, z), np.where(mask, x, z)
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    np.testing.assert_array_equal(got, wanted)
    if got.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(got), np.signbit(wanted))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u4", "c8", "f2", "i2", "c16"])
@pytest.mark.parametrize("shape", [(3,), (5000,), (40, 150), (3, 40_000)])
def test_it_is_numpys_where(dtype, shape):
    mask, x, z = rng.random(shape) < 0.5, values(shape, dtype), values(shape, dtype)
    same(mask, x, z)
    same(mask, x, 0)
    same(mask, 0, x)
    same(mask, x, np.zeros((), dtype))
    if np.dtype(dtype).kind == "f":
        same(mask, x, -0.0)
        same(mask, 0.0, x)
        same(mask, x, 2.5)
        same(mask, -1.5, x)
        same(mask, x, np.array(np.nan, dtype))
    else:
        same(mask, x, 0.5)


def test_strides_and_broadcasting():
    mask, x, z = rng.random((40, 150)) < 0.5, values((40, 150), "f4"), values((40, 150), "f4")
    same(mask.T, x.T, z.T)
    same(mask[:, ::2], x[:, ::2], z[:, 1::2])
    same(mask, x.reshape(150, 40).T, z)
    same(mask, x[:1], z)
    same(mask, x[:, :1], 0)
    same(mask, np.broadcast_to(x[:1], x.shape), 0)
    same(mask[:1], x, z)
    same(mask, x, z.astype("f8"))


def test_the_mask_is_left_as_it_is():
    mask = rng.random(5000) < 0.5
    before = mask.copy()
    where(mask, np.ones(5000), 0)
    where(mask, 0, np.ones(5000))
    np.testing.assert_array_equal(mask, before)


def test_two_numbers_and_bools():
    mask = rng.random(9000) < 0.5
    same(mask, np.array(1.5, "f4"), np.array(-0.0, "f4"))
    same(mask, np.array(7), np.array(-1))
    same(mask, ~mask, mask)


@pytest.mark.parametrize("size", [10, 9000])
def test_the_result_may_go_to_an_operand(size):
    mask, x, z = rng.random(size) < 0.5, values(size, "f4"), values(size, "f4")
    for a, b in ((x, z), (x, 2.5), (0, z)):
        want = np.where(mask, a, b)
        for i, v in enumerate((a, b)):
            if v.__class__ is np.ndarray:
                out = v.copy()
                got = where(mask, *((out, b), (a, out))[i], out=out)
                assert got is out
                np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.6])
def test_redo_makes_the_chosen_elements_only(share):
    mask, x = rng.random((30, 400)) < share, values((30, 400), "f8")
    row = values(400, "f8")
    y = x.copy()
    assert redo(y, mask, lambda a, b, c: a * b + c, x, row, 2.0) is y
    np.testing.assert_array_equal(y, np.where(mask, x * row + 2.0, x))


def test_redo_takes_masks_that_broadcast():
    y = np.ones((3, 4))
    redo(y, np.array([True, False, True, False]), lambda v: v + 1, np.zeros((3, 1)))
    assert y.tolist() == [[1, 1, 1, 1]] * 3
    redo(y, True, lambda v: v, 5.0)
    assert (y == 5).all()
    scalar = redo(np.array(1.0), np.bool_(True), np.negative, np.array(3.0))
    assert scalar.shape == () and scalar == -3
