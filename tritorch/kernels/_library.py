"""Ops that a numerical library computes on both sides: factorisations and Fourier transforms.

Nobody writes a kernel for an SVD that is better than the library's. For the ops of `LIBRARY_OPS`, and only for them,
the NumPy definition is the device side too: it is written against NumPy's interface, asks `namespace` whose arrays it
got, and runs with CuPy (cuSOLVER, cuFFT) on a GPU and with NumPy on the emulated device. CuPy compiles its own small
kernels for this, so these ops need NVRTC, which CuPy brings as `cupy-cuda13x[ctk]`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from .._capture import CAPTURES, refuse
from ..device import EMULATED, backend, to_device
from ._op import Array, Op, op
from ._threads import parallel, single_enter, single_exit

LIBRARY_OPS = frozenset((
    "fft_c2c", "fft_c2r", "fft_r2c", "linalg_cholesky", "linalg_cholesky_solve", "linalg_det", "linalg_eig", "linalg_eigh",
    "linalg_eigvalsh", "linalg_geqrf", "linalg_inv", "linalg_lstsq", "linalg_lu_factor", "linalg_matrix_exp", "linalg_permutation",
    "linalg_pinv", "linalg_qr", "linalg_slogdet", "linalg_solve", "linalg_solve_triangular", "linalg_svd", "linalg_svdvals",
))  # fmt: skip
"""The ops without a Triton kernel of their own that run on cuda nevertheless."""


def namespace(a: Array) -> Any:
    """The library of an array: NumPy, or CuPy on a GPU."""
    return np if isinstance(a, np.ndarray) else backend().cupy


_SMALL, _LARGE = 32, 1024
"""Rows or columns between which a factorisation would start several BLAS threads without a gain. These wait for each other
by spinning: where another process has one of two cores, the inverse of 256 x 256 takes 160 ms with them, 2 ms with one."""


def alone(f: Callable[..., Any], *arrays: Array) -> Any:
    """`f(*arrays)`, for NumPy arrays with one BLAS thread unless the matrices are large, or too small for several."""
    if not isinstance(arrays[0], np.ndarray) or not _SMALL < max(arrays[0].shape[-2:]) < _LARGE:
        return f(*arrays)
    single_enter()
    try:
        return f(*arrays)
    finally:
        single_exit()


def stacked(f: Callable[..., Any], *arrays: Array) -> Any:
    """`f(*arrays)` for stacks of matrices with the same dims in front; NumPy's are shared out among threads.

    Args:
        f: treats every matrix by itself; its results, an array or a tuple of them, have the dims in front as well.
        arrays: at least two dims each.
    """
    batch = arrays[0].shape[:-2]
    count = prod(batch)
    if count < 2 or not isinstance(arrays[0], np.ndarray):
        return alone(f, *arrays)
    flat = [a.reshape((count, *a.shape[-2:])) for a in arrays]
    parts: dict[int, Any] = {}

    def block(start: int, stop: int) -> None:
        parts[start] = f(*[a[start:stop] for a in flat])

    single_enter()
    try:
        parallel(block, count, 1 + 100_000 // (2000 + prod(arrays[0].shape[-2:]) * min(arrays[0].shape[-2:])))
    finally:
        single_exit()
    results = [parts[start] for start in sorted(parts)]

    def joined(pieces: list[Array]) -> Array:
        y = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return y.reshape((*batch, *y.shape[1:]))

    if isinstance(results[0], tuple):
        return tuple([joined(list(pieces)) for pieces in zip(*results, strict=True)])
    return joined(results)


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
