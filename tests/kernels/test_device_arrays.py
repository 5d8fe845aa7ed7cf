"""Device arrays are memory for kernels: no host code computes with them.

On a GPU, NumPy can't, and CuPy would compile kernels of its own. The emulated device's arrays are NumPy's, which hides
both, so here they are of a class that refuses to compute; every op runs on them, forward and backward.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("triton", reason="the emulated device needs Triton; install tritorch[triton]")

import tritorch  # noqa: F401 - registers the ops
from tests.test_ops import ON_CUDA, call, leaves, samples
from tritorch._emulated import EmulatedBackend
from tritorch.autograd import grad
from tritorch.device import to_device
from tritorch.kernels import _interpreter, pad
from tritorch.kernels._library import LIBRARY_OPS
from tritorch.tensor import wrap

memory = sys.modules["tritorch.device"]


class DeviceArray(np.ndarray):
    """An array that has a shape, strides, basic views and nothing else."""

    def __array_ufunc__(self, ufunc, method, *args, **kwargs):
        raise AssertionError(f"NumPy's {ufunc.__name__} on a device array")

    def __array_function__(self, function, types, args, kwargs):
        raise AssertionError(f"NumPy's {function.__name__} on a device array")

    def __getitem__(self, key):
        parts = key if isinstance(key, tuple) else (key,)
        assert not any(isinstance(k, (np.ndarray, list)) for k in parts), "an index array on a device array"
        return np.ndarray.__getitem__(self, (*parts, ...) if Ellipsis not in parts else key)

    def reshape(self, *shape, **how):
        view = np.ndarray.reshape(self, *shape, **how)
        assert not self.size or np.shares_memory(view.view(np.ndarray), self.view(np.ndarray)), "reshape copies"
        return view


def _refused(name):
    def method(self, *args, **kwargs):
        raise AssertionError(f"method {name} of a device array")

    return method


for _name in ("copy astype sum prod max min any all nonzero fill mean tolist item argmax argmin cumsum take repeat sort "
              "argsort flatten ravel dot round clip conj var std __setitem__ __int__ __bool__ __float__ __index__").split():  # fmt: skip
    setattr(DeviceArray, _name, _refused(_name))


def plain(a):
    return a.view(np.ndarray) if isinstance(a, DeviceArray) else a


class Backend(EmulatedBackend):
    def empty(self, *args):
        return super().empty(*args).view(DeviceArray)

    def upload(self, a, index, non_blocking=False):
        out = self.empty(a.shape, a.dtype, index)
        plain(out)[...] = plain(a)
        return out

    def download(self, a):
        return np.array(plain(a), order="C")

    def as_strided(self, a, shape, strides, offset, dtype):
        return memory.as_strided(plain(a), shape, strides, offset, dtype).view(DeviceArray)


@pytest.fixture
def strict(monkeypatch):
    start = _interpreter.Interpreted.start

    def start_plain(self, grid, args, consts):
        if "reach" in consts:
            consts = {**consts, "reach": [plain(a) for a in consts["reach"]]}
        start(self, grid, tuple(map(plain, args)), consts)

    monkeypatch.setattr(_interpreter.Interpreted, "start", start_plain)
    monkeypatch.setattr(memory, "_backend", Backend())
    pad.taps.cache_clear()
    yield
    pad.taps.cache_clear()  # they keep arrays of this backend


NAMES = [n for n in ON_CUDA if n not in LIBRARY_OPS]


@pytest.mark.parametrize("name", NAMES)
def test_no_host_code_computes_with_device_arrays(strict, name):
    rng = np.random.default_rng(0)
    for arrays, params in samples(name)[:2]:
        if any(a is not None and a.dtype.kind == "c" for a in arrays):
            continue
        tensors = leaves(arrays, device="cuda", dtype="float32")
        assert all(t is None or isinstance(t._a, DeviceArray) for t in tensors)
        outs = [o for o in call(name, tensors, params) if o._node is not None and o.numel()]
        if not outs:
            continue
        given = [t for t in tensors if t is not None and t.requires_grad]
        weights = [wrap(to_device(rng.normal(size=tuple(o.shape)).astype(o.dtype.np)), o.device) for o in outs]
        grad(outs, given, weights, allow_unused=True)
