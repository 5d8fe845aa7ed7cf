"""Variable: the class of PyTorch before 0.4, as old code calls it."""

from __future__ import annotations

import pytest

import tritorch
from tritorch.autograd import Variable


def test_it_is_a_leaf_on_the_same_memory() -> None:
    x = tritorch.ones(2, requires_grad=True) * 2
    y = Variable(x, requires_grad=True)
    assert y.is_leaf and y.requires_grad and y.data_ptr() == x.data_ptr()
    assert not Variable(x).requires_grad and Variable().shape == (0,)
    assert type(y) is tritorch.Tensor and tritorch.autograd.variable.Variable is Variable


def test_every_tensor_is_one() -> None:
    assert isinstance(tritorch.ones(1), Variable) and isinstance(tritorch.nn.Parameter(tritorch.ones(1)), Variable)
    assert not isinstance(1.0, Variable)


def test_what_it_refuses() -> None:
    with pytest.raises(TypeError, match="Variable: data has to be a tensor, but got list"):
        Variable([1.0])
    with pytest.raises(RuntimeError, match="floating"):
        Variable(tritorch.ones(2, dtype=tritorch.int64), requires_grad=True)
    with pytest.warns(UserWarning, match="volatile was removed"):
        Variable(tritorch.ones(2), volatile=True)
