"""The text of tensors, without PyTorch: one case for each rule."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch import dtypes
from tritorch.device import device
from tritorch.tensor_repr import get_printoptions, printoptions, set_printoptions, tensor_repr


@pytest.fixture(autouse=True)
def _default_options():
    yield
    set_printoptions(profile="default")


def text(values, kind=dtypes.float32, **more) -> str:
    return tensor_repr(np.array(values, kind.np), kind, **more)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1.0, 2.5, -3.0], dtypes.float32, "tensor([ 1.0000,  2.5000, -3.0000])"),
        ([1.0, 20.0], dtypes.float32, "tensor([ 1., 20.])"),
        ([1.0, float("nan"), float("inf")], dtypes.float32, "tensor([1., nan, inf])"),
        ([0.0, -0.0], dtypes.float32, "tensor([0., -0.])"),
        ([1e-5, 1.0], dtypes.float32, "tensor([1.0000e-05, 1.0000e+00])"),
        ([1, -20], dtypes.int64, "tensor([  1, -20])"),
        ([1], dtypes.int32, "tensor([1], dtype=torch.int32)"),
        ([True, False], dtypes.bool_, "tensor([ True, False])"),
        ([0.5], dtypes.float64, "tensor([0.5000], dtype=torch.float64)"),
        ([0.5], dtypes.bfloat16, "tensor([0.5000], dtype=torch.bfloat16)"),
        ([1 + 2j, 0.5 - 1j], dtypes.complex64, "tensor([1.0000+2.j, 0.5000-1.j])"),
        (3.0, dtypes.float32, "tensor(3.)"),
        ([], dtypes.float32, "tensor([])"),
        ([], dtypes.int64, "tensor([], dtype=torch.int64)"),
        ([[], []], dtypes.float32, "tensor([], size=(2, 0))"),
        ([[1.0, 2.0], [3.0, 4.0]], dtypes.float32, "tensor([[1., 2.],\n        [3., 4.]])"),
    ],
)
def test_rules(values, kind, expected):
    assert text(values, kind) == expected


def test_suffixes():
    """device=, grad_fn=, requires_grad=; a new line when the current one is full."""
    assert text([1.0], device=device("cuda:0")) == "tensor([1.], device='cuda:0')"
    assert text([1.0], requires_grad=True) == "tensor([1.], requires_grad=True)"
    assert text([1.0], grad_fn_name="MulBackward0") == "tensor([1.], grad_fn=<MulBackward0>)"
    long = text([0.5] * 8, dtypes.float64, requires_grad=True)
    assert long.endswith(",\n       dtype=torch.float64, requires_grad=True)")


def test_summary():
    a = np.arange(2000, dtype=np.float32)
    assert tensor_repr(a, dtypes.float32) == (
        "tensor([0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 1.9970e+03, 1.9980e+03,\n        1.9990e+03])"
    )
    b = tensor_repr(a.reshape(1000, 2) * 0, dtypes.float32)
    assert b == (
        "tensor([[0., 0.],\n        [0., 0.],\n        [0., 0.],\n        ...,\n        [0., 0.],\n        [0., 0.],\n"
        "        [0., 0.]])"
    )


def test_printoptions():
    """Options hold within the block and come back after it."""
    before = get_printoptions()
    with printoptions(precision=1, sci_mode=False):
        assert text([1e-5, 0.25]) == "tensor([0.0, 0.2])"
    assert get_printoptions() == before
    with pytest.raises(ValueError, match="profile must be one of"):
        set_printoptions(profile="long")
