"""DLPack capsules: shared memory, read once."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch as torch
from tritorch.utils import dlpack


def test_a_capsule_shares_memory_and_is_read_once() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    capsule = dlpack.to_dlpack(x[:, 1:])
    y = dlpack.from_dlpack(capsule)
    y[0, 0] = 7
    assert x.tolist() == [[0.0, 7.0, 2.0], [3.0, 4.0, 5.0]]
    with pytest.raises(RuntimeError, match="read once"):
        dlpack.from_dlpack(capsule)


def test_what_it_takes() -> None:
    a = np.arange(3)
    assert np.shares_memory(dlpack.from_dlpack(a).numpy(), a)
    assert dlpack.from_dlpack(dlpack.to_dlpack(torch.ones(1, requires_grad=True))).tolist() == [1.0]
    assert dlpack.from_dlpack(a, copy=True).tolist() == [0, 1, 2]
    assert torch.to_dlpack is dlpack.to_dlpack
    with pytest.raises(TypeError, match="__dlpack__"):
        dlpack.from_dlpack([1])
    assert dlpack.DLDeviceType.kDLCUDA == 2
