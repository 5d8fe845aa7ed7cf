"""Parameter, Buffer, uninitialized ones outside modules."""

from __future__ import annotations

import copy
import pickle

import pytest

import tritorch as torch
from tritorch import nn


def test_parameter():
    values = torch.ones(2)
    w = nn.Parameter(values)
    assert w.requires_grad
    assert not nn.Parameter(values, requires_grad=False).requires_grad
    assert w.data_ptr() == values.data_ptr()
    assert repr(w) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    assert type(w * 2) is torch.Tensor
    for twin in (copy.deepcopy(w), pickle.loads(pickle.dumps(w))):
        assert type(twin) is nn.Parameter
        assert twin.requires_grad
        assert torch.equal(twin, w)


def test_buffer():
    b = nn.Buffer(torch.ones(2), persistent=False)
    assert isinstance(b, torch.Tensor)
    assert not b.requires_grad
    assert not b.persistent
    assert nn.Buffer().numel() == 0
    assert type(b + 1) is torch.Tensor
    assert not copy.deepcopy(b).persistent


@pytest.mark.parametrize("kind", [nn.UninitializedParameter, nn.UninitializedBuffer])
def test_materialize(kind):
    made = kind(dtype=torch.float64)
    made.materialize((2, 3))
    assert type(made) is kind.cls_to_become
    assert made.shape == (2, 3)
    assert made.dtype is torch.float64
    made.data.fill_(1)
    assert made.sum().item() == 6
    again = kind()
    again.materialize((1,), dtype=torch.float16)
    assert again.dtype is torch.float16


def test_materialized_parameter_collects_gradients():
    w = nn.UninitializedParameter()
    w.materialize((3,))
    (w * 2).sum().backward()
    assert w.grad.tolist() == [2, 2, 2]
