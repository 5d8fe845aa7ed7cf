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
