"""Device objects, and raw arrays on the emulated device."""

from __future__ import annotations

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest

import tritorch
from tritorch.device import EMULATED, as_strided, empty, emulate, index_of, resolve, to_device, to_host
from tritorch.device import copy as device_copy

device = tritorch.device
emulated = pytest.mark.skipif(not EMULATED, reason="emulated devices; TRITON_INTERPRET=0 asks for real ones")


def test_devices_are_interned():
    assert device("cuda", 1) is device("cuda:1") is device(1) is device(device("cuda:1"))
    assert device("cpu") is device() and device("cuda") is not device("cuda:0")
    d = device("cuda:3")
    assert copy.copy(d) is d and copy.deepcopy(d) is d and pickle.loads(pickle.dumps(d)) is d


@pytest.mark.parametrize("text, error", [("gpu", RuntimeError), ("cuda:x", RuntimeError), (1.5, TypeError)])
def test_what_is_no_device(text, error):
    with pytest.raises(error, match="device:"):
        device(text)


@emulated
def test_the_current_device_fills_in_the_number():
    emulate(2)
    try:
        with tritorch.cuda.device(1):
            assert resolve(device("cuda")) is device("cuda:1") and index_of(None) == 1
        assert resolve(device("cpu")) is device("cpu")
        with pytest.raises(RuntimeError, match="invalid device ordinal: cuda:5"):
            resolve(device("cuda:5"))
    finally:
        emulate(1)


@emulated
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.int64, np.bool_, np.complex64])
def test_arrays_go_to_the_device_and_back(dtype):
    x = np.arange(12).reshape(3, 4).astype(dtype)
    on_device = to_device(x.T)
    assert on_device.flags.c_contiguous and not np.shares_memory(on_device, x)
    back = to_host(on_device[1:, ::-1])
    assert back.flags.c_contiguous and back.dtype == x.dtype and np.array_equal(back, x.T[1:, ::-1])
    other = device_copy(on_device)
    assert np.array_equal(other, on_device) and not np.shares_memory(other, on_device)


@emulated
def test_fresh_memory_holds_nothing_useful():
    assert (
        np.isnan(empty((3,), np.float32)).all() and np.isnan(empty((3,), ml_dtypes.bfloat16).astype(np.float32)).all()
    )
    assert (empty((3,), np.int32) != 0).all() and empty((0, 4), np.float32).shape == (0, 4)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_as_strided_views_any_memory(dtype):
    x = np.arange(24).astype(dtype)
    size = x.itemsize
    view = as_strided(x, (3, 4), (2 * size, 5 * size), offset=size)
    expected = [[float(1 + 2 * i + 5 * j) for j in range(4)] for i in range(3)]
    assert view.dtype == x.dtype and view.astype(float).tolist() == expected and np.shares_memory(view, x)
    view[0, 0] = 99
    assert x[1] == 99
    backwards = as_strided(x[::-1], (4,), (-size,))
    assert backwards.astype(float).tolist() == [23.0, 22.0, 21.0, 20.0]
    bits = as_strided(x, (24,), (size,), dtype=np.dtype(f"u{size}"))
    assert bits.dtype.kind == "u" and np.shares_memory(bits, x)


def test_emulation_is_for_emulated_processes():
    if EMULATED:
        with pytest.raises(ValueError, match="devices must be at least 1"):
            emulate(0)
    else:
        with pytest.raises(RuntimeError, match="not emulated"):
            emulate(2)
