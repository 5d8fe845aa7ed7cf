"""Checks that the functions of linalg share."""

from __future__ import annotations

from typing import Any

from ..autograd.apply import mixed_devices
from ..autograd.autocast import ACTIVE, cast
from ..errors import LinAlgError, message
from ..kernels._shapes import broadcast_shapes
from ..tensor import TENSORS, Tensor


def tensor(op: str, x: Any, name: str = "A") -> Tensor:
    """`x` when it is a Tensor of a dtype that LAPACK has: float32, float64, complex64, complex128."""
    if ACTIVE:
        (x,) = cast("linalg", x)
    if x.__class__ not in TENSORS:
        raise TypeError(f"{op}(): argument '{name}' must be Tensor, not {type(x).__name__}")
    if x.dtype.category < 2:
        raise NotImplementedError(message(op, f"{name} must be floating point or complex", **{name: x}))
    if x.dtype.is_half:
        raise NotImplementedError(message(op, f"{name}: low precision dtypes are not supported", **{name: x}))
    return x


def matrices(op: str, x: Any, name: str = "A", square: bool = False) -> Tensor:
    """`x` when it is a batch of matrices (square ones)."""
    x = tensor(op, x, name)
    shape = x._a.shape
    if len(shape) < 2:
        raise RuntimeError(message(op, f"{name} must have at least 2 dimensions", **{name: x}))
    if square and shape[-1] != shape[-2]:
        raise RuntimeError(message(op, f"{name} must be batches of square matrices", **{name: x}))
    return x


def together(op: str, a: Tensor, b: Tensor) -> None:
    """RuntimeError unless both have one dtype and lie on one device."""
    if a.device is not b.device:
        raise mixed_devices(op, ("A", "B"), (a, b))
    if a.dtype is not b.dtype:
        raise RuntimeError(message(op, "expected A and B to have the same dtype", A=a, B=b))


def joint_batch(op: str, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both expanded to their joint batch dims."""
    x, y = a._a.shape, b._a.shape
    if x[:-2] == y[:-2]:
        return a, b
    try:
        batch = broadcast_shapes(x[:-2], y[:-2])
    except ValueError:
        raise RuntimeError(message(op, "the batch dims of A and B do not broadcast", A=a, B=b)) from None
    return a.expand((*batch, *x[-2:])), b.expand((*batch, *y[-2:]))  # type: ignore[attr-defined]


def check_info(op: str, info: Tensor, meaning: str) -> None:
    """LinAlgError when a matrix failed; `meaning` says at which number what was missing."""
    if info._a.size and bool((info != 0).any()):  # type: ignore[attr-defined]
        flat = info.reshape((-1,)).tolist()  # type: ignore[attr-defined]
        i = next(k for k, v in enumerate(flat) if v)
        where = f"(Batch element {i}): " if info._a.ndim else ""
        raise LinAlgError(f"{op}: {where}{meaning.format(flat[i])}")
