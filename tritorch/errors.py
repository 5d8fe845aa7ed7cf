"""The one place that words an error: which op, what it expects, what came.

Checks test first and call these functions only when they have failed, so that the hot path never builds a message.
The exception's type is the caller's choice and follows PyTorch: RuntimeError for shapes and dtypes that do not go
together, IndexError for dims and indices, TypeError for arguments of the wrong kind, ValueError for values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class OutOfMemoryError(RuntimeError):
    """Device memory is exhausted; the message gives what was asked for, used and present, in MiB."""


class LinAlgError(RuntimeError):
    """A matrix for which an algorithm of linear algebra has no answer: singular, not positive definite, no convergence."""


def describe(value: Any) -> str:
    """What came, in words: `shape (3, 4), float32, cuda:0` for tensors and arrays, the value itself otherwise.

    >>> import numpy as np
    >>> describe(np.zeros((3, 4), np.float32))
    'shape (3, 4), float32'
    """
    shape = getattr(value, "shape", None)
    if shape is None:
        text = repr(value)
        return text if len(text) <= 80 else f"{text[:77]}..."
    dtype = str(value.dtype).removeprefix("torch.")
    device = getattr(value, "device", None)
    place = f", {device}" if device is not None and str(device) != "cpu" else ""
    return f"shape {tuple(shape)}, {dtype}{place}"


def message(op: str, rule: str, **got: Any) -> str:
    """`op: rule; got x: shape (3, 4), float32, dim: 5`."""
    came = ", ".join(f"{name}: {describe(value)}" for name, value in got.items())
    return f"{op}: {rule}; got {came}" if came else f"{op}: {rule}"


def check_dim(op: str, dim: int, ndim: int, name: str = "dim") -> int:
    """`dim` counted from the front; IndexError outside [-ndim, ndim - 1] (a 0-dim tensor counts as 1-dim)."""
    limit = ndim if ndim > 0 else 1
    if dim.__class__ is not int:
        try:
            dim = dim.__index__()
        except AttributeError:
            raise TypeError(message(op, f"{name} must be an int", **{name: dim})) from None
    if -limit <= dim < limit:
        return dim if dim >= 0 else dim + limit
    raise IndexError(
        f"{op}: Dimension out of range: {name} must be in [{-limit}, {limit - 1}] for {ndim} dims; got {dim}"
    )


def check_dims(op: str, dim: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Each of `dim` counted from the front, all dims for None or (); RuntimeError when one comes twice."""
    if dim is None:
        return tuple(range(ndim))
    if not isinstance(dim, (tuple, list)):
        d = check_dim(op, dim, ndim)  # type: ignore[arg-type]
        return (d,) if ndim else ()
    dims = tuple(check_dim(op, d, ndim) for d in dim)
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"{op}: dim {tuple(dim)}: a dim appears multiple times in the list of dims")
    return dims if dims and ndim else tuple(range(ndim))


def shapes_differ(op: str, rule: str, **arrays: Any) -> RuntimeError:
    """The RuntimeError for shapes that do not go together."""
    return RuntimeError(message(op, rule, **arrays))
