"""NumPy's scalars and arrays in a checkpoint: plain data, as long as no object dtype is among it.

A loss kept as `np.float32` or a random state kept as an array is rebuilt from its bytes; object arrays, structured
dtypes and subclasses are refused.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

_KINDS = "biufcSU"
_MODULES = frozenset(
    ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
)


def _refused(what: str) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(f"load: weights_only=True refuses {what}; only plain numeric NumPy data is allowed")


def _dtype(code: Any, align: Any = False, copy: Any = True) -> np.dtype:
    if not isinstance(code, str) or len(code) > 12 or code[:1] not in tuple(_KINDS):
        raise _refused(f"the NumPy dtype {code!r}")
    return np.dtype(code)


def _scalar(kind: Any, data: Any = b"") -> Any:
    if isinstance(data, str):
        data = data.encode("latin-1")
    if not isinstance(kind, np.dtype) or not isinstance(data, bytes) or len(data) != kind.itemsize:
        raise _refused("a NumPy scalar of another kind than a number")
    return np.frombuffer(data, kind)[0]


def _reconstruct(cls: Any, shape: Any, code: Any) -> np.ndarray:
    if cls is not _ndarray:
        raise _refused("a subclass of numpy.ndarray")
    return np.empty(0, np.int8)


def _ndarray(*args: Any) -> Any:
    raise _refused("a call of numpy.ndarray")


def _frombuffer(data: Any, kind: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
    if not isinstance(kind, np.dtype) or not isinstance(data, (bytes, bytearray)) or axes is not None:
        raise _refused("a NumPy array of objects")
    return np.frombuffer(bytearray(data), kind).reshape(shape, order=order)


_FOUND = {
    "_frombuffer": _frombuffer,
    "dtype": _dtype,
    "scalar": _scalar,
    "_reconstruct": _reconstruct,
    "ndarray": _ndarray,
}


def find(module: str, name: str) -> Any:
    """The stand-in for NumPy's `module.name`, None when it has none."""
    return _FOUND.get(name) if module in _MODULES else None


def build(instance: Any, state: Any) -> Any:
    """Give a dtype or an array made above its state; what is not plain data is refused."""
    if isinstance(instance, np.dtype):
        order, structure = state[1], state[2:5]
        if structure != (None, None, None) or order not in ("<", "|", "="):
            raise _refused("a structured or big-endian NumPy dtype")
        return instance
    version, shape, kind, fortran, data = state
    if isinstance(data, str):
        data = data.encode("latin-1")
    if not isinstance(kind, np.dtype) or kind.kind not in _KINDS or not isinstance(data, bytes):
        raise _refused("a NumPy array of objects")
    instance.__setstate__((1, tuple(shape), kind, bool(fortran), data))
    return instance
