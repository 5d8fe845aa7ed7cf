"""Public functions and methods that look at part of a tensor's memory, or at it otherwise: views all."""

from __future__ import annotations

from typing import Any

from ..autograd import inplace as _inplace
from ..autograd.autocast import ACTIVE, cast
from ..binding import method
from ..errors import check_dim, message
from ..kernels import view as _view
from ..kernels.copy import clone as _clone
from ..tensor import TENSORS, Tensor
from .shape import ravel, sizes_of

__all__ = [
    "as_strided", "diag", "diag_embed", "diagflat", "diagonal", "imag", "is_conj", "narrow", "real", "select", "trace",
    "view_as_complex", "view_as_real",
]  # fmt: skip


@method
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """Elements start .. start + length - 1 of `dim`; a view."""
    d = check_dim("narrow", dim, input._a.ndim)
    n = input._a.shape[d] if input._a.ndim else 0
    if start.__class__ in TENSORS and (start._a.ndim or start.dtype.category != 1):
        raise RuntimeError(message("narrow", "start must be a number or a 0-dim integral Tensor", start=start))
    first = int(start)
    if input._a.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if not -n <= first <= n:
        raise IndexError(f"narrow: start (={first}) must be in [{-n}, {n}] for dim {dim} of size {n}")
    first = first + n if first < 0 else first
    if length < 0 or first + length > n:
        raise RuntimeError(f"narrow: start ({first}) + length ({length}) exceeds dimension size ({n}).")
    key = ((slice(None),) * d + (slice(first, first + length), ...),)
    return _view.slice_(input, *key)


@method
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at `index` of `dim`, without that dim; a view."""
    d = check_dim("select", dim, input._a.ndim)
    if input._a.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    n = input._a.shape[d]
    i = int(index)
    if not -n <= i < n:
        raise IndexError(f"select(): index {i} out of range for tensor of size {list(input._a.shape)} at dimension {d}")
    return _view.slice_(input, (slice(None),) * d + (i, ...))


@method
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of dims (dim1, dim2) as the last dim; a view."""
    n = input._a.ndim
    i, j = check_dim("diagonal", dim1, n, "dim1"), check_dim("diagonal", dim2, n, "dim2")
    if i == j:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return _view.diagonal(input, offset, i, j)


@method(out=True)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    if input._a.ndim == 1:
        return diag_embed(input, diagonal)
    if input._a.ndim == 2:
        return _clone(_view.diagonal(input, diagonal, 0, 1))
    raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input._a.ndim}D")


@method
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the last dim of `input` on a diagonal, in dims (dim1, dim2) of the result."""
    n = input._a.ndim + 1
    i, j = check_dim("diag_embed", dim1, n, "dim1"), check_dim("diag_embed", dim2, n, "dim2")
    if i == j:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    size = input._a.shape[-1] + (offset if offset >= 0 else -offset)
    shape = list(input._a.shape[:-1])
    for d in sorted((i, j)):
        shape.insert(d, size)
    return _view.unview(input, tuple(shape), "diagonal", (offset, i, j))


@method
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with all elements on its diagonal."""
    return diag_embed(ravel(input), offset)


@method
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    if ACTIVE:
        (input,) = cast("trace", input)
    if input._a.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input._a.ndim}")
    return _view.diagonal(input, 0, 0, 1).sum()


@method
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the memory with the given sizes, strides and offset (in elements, from the start of the memory)."""
    shape, strides = sizes_of((tuple(size),)), sizes_of((tuple(stride),))
    if len(shape) != len(strides):
        raise RuntimeError(f"as_strided: mismatch in length of strides and shape; got {shape} and {strides}")
    start = input.storage_offset()
    first = start if storage_offset is None else storage_offset
    root = _inplace.root_of(input)._a
    last = first + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) if all(shape) else first
    if min(first, last) < 0 or (all(shape) and last >= max(root.size, 1)):
        raise RuntimeError(
            f"as_strided: sizes {shape}, strides {strides}, storage offset {first} reach outside of memory of "
            f"{root.size} elements"
        )
    inside = input._a.flags.c_contiguous and (
        not all(shape) or 0 <= min(first, last) - start <= max(first, last) - start < input._a.size
    )
    return _view.as_strided(input, shape, strides, first - start, None if inside else tuple(input.stride()))


def _unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` every `step` along `dimension`, as a new last dim; a view."""
    d = check_dim("unfold", dimension, self._a.ndim, "dimension")
    n = self._a.shape[d] if self._a.ndim else 1
    if size > n:
        raise RuntimeError(f"unfold: maximum size for tensor at dimension {d} is {n} but size is {size}")
    if step <= 0 or size < 0:
        raise RuntimeError(f"unfold: step must be > 0 and size >= 0; got step {step}, size {size}")
    return _view.unfold_dim(self, d, size, step)


Tensor.unfold = _unfold  # type: ignore[attr-defined]


def real(input: Tensor) -> Tensor:
    """The real part, a view; a real tensor itself."""
    return _view.real(input) if input.dtype.is_complex else input


def imag(input: Tensor) -> Tensor:
    """The imaginary part, a view; RuntimeError for real tensors."""
    if not input.dtype.is_complex:
        raise RuntimeError(f"imag is not implemented for tensors with non-complex dtypes; got {input.dtype}")
    return _view.imag(input)


Tensor.real, Tensor.imag = property(real), property(imag)  # type: ignore[attr-defined]


@method(name="is_conj")
def is_conj(input: Tensor) -> bool:
    """False: conjugation is never lazy here."""
    return False


def view_as_real(input: Tensor) -> Tensor:
    """A complex tensor as a real one with a last dim of 2; a view."""
    if not input.dtype.is_complex:
        raise RuntimeError(f"view_as_real is only supported for complex tensors; got {input.dtype}")
    return _view.view_as_real(input)


def view_as_complex(input: Tensor) -> Tensor:
    """A real tensor with a last dim of 2 as a complex one; a view."""
    if input.dtype.name not in ("float32", "float64") or not input._a.ndim or input._a.shape[-1] != 2:
        raise RuntimeError(message("view_as_complex", "needs float32 or float64 with a last dim of 2", input=input))
    return _view.view_as_complex(input)
