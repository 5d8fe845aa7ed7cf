"""Large elementwise work in blocks gives the same bits as one call, whatever the threads."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch import get_num_threads, set_num_threads
from tritorch.kernels._blocks import LARGE, large

RNG = np.random.default_rng(0)
SHAPE = (901, 7, 91)
X = RNG.normal(size=SHAPE).astype(np.float32)
assert X.size >= LARGE


@pytest.fixture(params=[1, 3])
def threads(request):
    before = get_num_threads()
    set_num_threads(request.param)
    yield
    set_num_threads(before)


@pytest.mark.parametrize(
    "shape",
    [SHAPE, (7, 91), (91,), (1, 7, 91), (901, 7, 1), (901, 1, 91), (7, 1), (1,), (1, 1, 1, 1), (), (2, *SHAPE)],
)
@pytest.mark.usefixtures("threads")
def test_operands_that_broadcast(shape):
    w = RNG.normal(size=shape).astype(np.float32)
    for fn in (np.add, np.less, lambda a, b: a * np.tanh(b) + 1):
        got, want = large(fn, X, w), fn(X, w)
        assert got.dtype == want.dtype
        assert np.array_equal(got, want)


@pytest.mark.usefixtures("threads")
def test_several_operands_numbers_and_none():
    rows, columns = RNG.normal(size=(7, 91)).astype(np.float32), RNG.normal(size=(901, 7, 1)).astype(np.float32)

    def fn(a, b, nothing, c, number):
        return a * b + c * number

    for b, c in ((rows, X), (columns, X), (rows, columns), (rows[0], columns), (rows, 2.0)):
        assert np.array_equal(large(fn, X, b, None, c, 0.5), fn(X, b, None, c, 0.5))


@pytest.mark.usefixtures("threads")
def test_other_layouts_are_one_call():
    for x in (X.transpose(2, 0, 1), X[:, ::2], np.repeat(X, 2, 0)[::2]):
        assert np.array_equal(large(np.add, x, x), x + x)


@pytest.mark.usefixtures("threads")
def test_errors_come_through():
    with pytest.raises(ValueError, match="broadcast"):
        large(np.add, X, np.ones(5, np.float32))

    def fn(x):
        if x[-1] == X.reshape(-1)[-1]:
            raise ArithmeticError("in the last block")
        return x

    with pytest.raises(ArithmeticError):
        large(fn, X)


@pytest.mark.usefixtures("threads")
def test_transposed_operands_keep_their_layout():
    x, w = X.transpose(2, 0, 1), (X * 2).transpose(2, 0, 1)
    got = large(np.add, x, w)
    assert np.array_equal(got, x + w)
    assert got.strides == x.strides
    assert np.array_equal(large(lambda a, b, c: a * b + c, x, w, 0.5), x * w + 0.5)


@pytest.mark.usefixtures("threads")
def test_slices_of_larger_arrays():
    x = np.concatenate([X, X], 2)[..., :91]
    w = np.concatenate([X, X], 1)[:, 7:]
    assert not x.flags.c_contiguous
    got = large(lambda a, b: a - np.exp(b), x, w)
    assert np.array_equal(got, x - np.exp(w))
    assert got.flags.c_contiguous


@pytest.mark.usefixtures("threads")
def test_the_largest_operand_need_not_be_the_first():
    w = RNG.normal(size=91).astype(np.float32)
    assert np.array_equal(large(np.subtract, w, X), w - X)
    assert np.array_equal(large(np.subtract, 2.0, X), 2.0 - X)
    assert np.array_equal(large(np.power, w[:1], X[:, :, :1] * np.ones_like(X)), w[:1] ** X[:, :, :1] * np.ones_like(X))


@pytest.mark.usefixtures("threads")
def test_functions_that_write_their_result():
    seen = []

    def fn(x, scale, *, out=None):
        seen.append(out is not None)
        return np.multiply(x, scale, out=out)

    assert np.array_equal(large(fn, X, 3.0), X * 3)
    assert seen[0] is False  # once, for the dtype
    assert all(seen[1:])

    def other(x, *, out=None):
        return np.negative(x)  # which takes no notice of out

    assert np.array_equal(large(other, X), -X)


@pytest.mark.usefixtures("threads")
def test_the_result_may_replace_an_operand():
    for w in (X, RNG.normal(size=91).astype(np.float32), 2.5):
        x = X.copy()
        assert large(np.multiply, x, w, out=x) is x
        assert np.array_equal(x, X * w)
    wide = np.concatenate([X, X], 2)
    view = wide[..., :91]
    large(np.add, view, X, out=view)
    assert np.array_equal(view, X + X)
    assert np.array_equal(wide[..., 91:], X)
    with pytest.raises(ValueError, match="broadcast"):
        large(np.add, X[0].copy(), X, out=X[0].copy())
