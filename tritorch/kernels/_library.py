"""Ops that a numerical library computes on both sides: factorisations and Fourier transforms.

Nobody writes a kernel for an SVD that is better than the library's. For the ops of `LIBRARY_OPS`, and only for them,
the NumPy definition is the device side too: it is written against NumPy's interface, asks `namespace` whose arrays it
got, and runs with CuPy (cuSOLVER, cuFFT) on a GPU and with NumPy on the emulated device. CuPy compiles its own small
kernels for this, so these ops need NVRTC, which CuPy brings as `cupy-cuda13x[ctk]`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import backend
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


def each(batch: tuple[int, ...]) -> Any:
    """The indices of the matrices of a batch."""
    return np.ndindex(*batch)
