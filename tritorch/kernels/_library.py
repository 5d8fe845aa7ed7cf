"""Ops that a numerical library computes on both sides: factorisations and Fourier transforms.

Nobody writes a kernel for an SVD that is better than the library's. For the ops of `LIBRARY_OPS`, and only for them,
the NumPy definition is the device side too: it is written against NumPy's interface, asks `namespace` whose arrays it
got, and runs with CuPy (cuSOLVER, cuFFT) on a GPU and with NumPy on the emulated device. CuPy compiles its own small
kernels for this, so these ops need NVRTC, which CuPy brings as `cupy-cuda13x[ctk]`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._capture import CAPTURES, refuse
from ..device import EMULATED, backend, to_device
from ._op import Array, Op, op

LIBRARY_OPS = frozenset((
    "fft_c2c", "fft_c2r", "fft_r2c", "linalg_cholesky", "linalg_det", "linalg_eig", "linalg_eigh", "linalg_eigvalsh",
    "linalg_geqrf", "linalg_inv", "linalg_lstsq", "linalg_lu_factor", "linalg_matrix_exp", "linalg_permutation",
    "linalg_pinv", "linalg_qr", "linalg_slogdet", "linalg_solve", "linalg_solve_triangular", "linalg_svd", "linalg_svdvals",
))  # fmt: skip
"""The ops without a Triton kernel of their own that run on cuda nevertheless."""


def namespace(a: Array) -> Any:
    """The library of an array: NumPy, or CuPy on a GPU."""
    return np if isinstance(a, np.ndarray) else backend().cupy


def library(cls: type) -> Op:
    """`op` for a library op: `cpu` is the device side as well.

    Raises:
        TypeError: for an op that `LIBRARY_OPS` does not list.
    """
    if cls.__name__ not in LIBRARY_OPS:
        raise TypeError(f"op {cls.__name__}: is not in LIBRARY_OPS, so it needs a Triton kernel")
    cls.gpu = vars(cls)["cpu"]  # type: ignore[attr-defined]
    return op(cls)


def run(op: Op, *args: Any) -> Any:
    """A library op on device arrays.

    Raises:
        RuntimeError: while a CUDA graph is recorded: the libraries wait for the device and make memory.
    """
    if CAPTURES:
        refuse(f"the numerical library's {op.name}")
    y = op.gpu(*args)
    if not EMULATED:
        return y
    return tuple(map(_in_device_memory, y)) if isinstance(y, tuple) else _in_device_memory(y)


def _in_device_memory(a: Any) -> Any:
    """What NumPy made of the emulated device's arrays, as such an array."""
    return to_device(a) if isinstance(a, np.ndarray) else a


def each(batch: tuple[int, ...]) -> Any:
    """The indices of the matrices of a batch."""
    return np.ndindex(*batch)
