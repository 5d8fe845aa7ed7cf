"""Public functions and methods that change shape, layout, dtype or device: views, copies, joins, cuts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import device as devices
from ..autograd.apply import view_saves
from ..autograd.graph import Version, make_view
from ..autograd.inplace import MULTI
from ..autograd.modes import STATE
from ..device import CPU, device
from ..dtypes import NAMES, dtype, promote_types
from ..errors import check_dim, message
from ..kernels import copy as _copy
from ..kernels import view as _view
from ..kernels.copy import cast, clone as _clone
from ..tensor import TENSORS, Parameter, Tensor, address, host, method, overwrite, wrap
from ..autograd import inplace as _inplace

__all__ = [
    "adjoint", "argwhere", "as_strided", "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes",
    "broadcast_tensors", "broadcast_to", "cat", "chunk", "clone", "column_stack", "concat", "concatenate", "detach",
    "diag", "diag_embed", "diagflat", "diagonal", "dsplit", "dstack", "expand_copy", "flatten", "flip", "fliplr",
    "flipud", "hsplit", "hstack", "imag", "is_conj", "moveaxis", "movedim", "narrow", "numel", "permute", "ravel",
    "real", "repeat_interleave", "reshape", "roll", "rot90", "row_stack", "select", "split", "split_with_sizes",
    "squeeze", "stack", "swapaxes", "swapdims", "t", "tensor_split", "tile", "trace", "transpose", "tril", "triu",
    "unbind", "unflatten", "unsqueeze", "view_as_complex", "view_as_real", "vsplit", "vstack",
]  # fmt: skip

_view_op, _permute_op = _view.view, _view.permute


def _made(op: Any, x: Tensor, a: Any, params: tuple) -> Tensor:
    """A view of x over the raw array `a`."""
    return make_view(op, x, a, params, view_saves(op, x, params))


def _sizes(shape: tuple) -> tuple[int, ...]:
    """(2, 3) of `f(2, 3)` as of `f((2, 3))`; sizes may be 0-dim tensors."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    return tuple([s if s.__class__ is int else s.__index__() for s in shape])


def _infer(op: str, shape: tuple[int, ...], n: int, x: Tensor) -> tuple[int, ...]:
    """Replace the one -1; RuntimeError when `shape` does not hold the n elements."""
    known, unknown = 1, -1
    for i, s in enumerate(shape):
        if s >= 0:
            known *= s
        elif s == -1 and unknown < 0:
            unknown = i
        else:
            what = "only one dimension can be inferred" if s == -1 else f"invalid shape dimension {s}"
            raise RuntimeError(f"{op}: {what}; got shape {shape}")
    if unknown >= 0:
        if known == 0:
            raise RuntimeError(
                f"{op}: cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size "
                "-1 can be any value and is ambiguous"
            )
        if n % known:
            raise RuntimeError(f"{op}: shape '{list(shape)}' is invalid for input of size {n}")
        return (*shape[:unknown], n // known, *shape[unknown + 1 :])
    if known != n:
        raise RuntimeError(f"{op}: shape '{list(shape)}' is invalid for input of size {n}")
    return shape


def _reshape_view(x: Any, shape: tuple[int, ...]) -> Any:
    """A raw view of another shape, or None when the layout does not allow one."""
    if x.flags.c_contiguous:
        return x.reshape(shape)
    if x.__class__ is np.ndarray:
        try:
            return np.reshape(x, shape, copy=False)
        except ValueError:
            return None
    made = x.reshape(shape)
    return made if address(made) == address(x) else None


@method
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in order under another shape, a view when the layout allows; one size may be -1.

    Raises:
        RuntimeError: when the sizes do not fit.
    """
    x = input._a
    try:
        y = x.reshape(*shape)
    except (ValueError, TypeError):
        y = x.reshape(_infer("reshape", _sizes(shape), x.size, input))
    base = y.base
    if base is not x and (base is None or base is not x.base) and y.size and _reshape_view(x, y.shape) is None:
        return _view_op(_clone(input), y.shape)
    return make_view(_view_op, input, y, (y.shape,), (x.shape,))


def _view_method(self: Tensor, *shape: Any) -> Tensor:
    """The same memory under another shape (one size may be -1), or seen as another dtype.

    Raises:
        RuntimeError: when the sizes do not fit, or the layout allows no view (use `reshape`).
    """
    x = self._a
    if x.flags.c_contiguous:
        try:
            y = x.reshape(*shape)
            return make_view(_view_op, self, y, (y.shape,), (x.shape,))
        except (ValueError, TypeError):
            pass
    if len(shape) == 1 and isinstance(shape[0], dtype):
        return _view_dtype(self, shape[0])
    sizes = _infer("view", _sizes(shape), x.size, self)
    y = _reshape_view(x, sizes)
    if y is None:
        raise RuntimeError(
            "view: view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            f"contiguous subspaces): shape {tuple(x.shape)}, stride {self.stride()} as {sizes}. Use .reshape(...) instead."
        )
    return _made(_view_op, self, y, (sizes,))


Tensor.view = _view_method  # type: ignore[attr-defined]
Tensor.view_as = lambda self, other: _view_method(self, *other._a.shape)  # type: ignore[attr-defined]
Tensor.reshape_as = lambda self, other: reshape(self, *other._a.shape)  # type: ignore[attr-defined]


def _view_dtype(x: Tensor, kind: dtype) -> Tensor:
    if kind.itemsize != x.dtype.itemsize and not (x._a.ndim and x._a.flags.c_contiguous):
        raise RuntimeError(message("view", "self must be contiguous to view it as a dtype of another size", self=x))
    try:
        out = wrap(x._a.view(kind.np), x.device)
    except ValueError:
        raise RuntimeError(
            message("view", f"self.size(-1) must be divisible to view {x.dtype} as {kind}", self=x)
        ) from None
    x._vc = out._vc = x._vc or Version()
    return out


@method
def permute(input: Tensor, *dims: Any) -> Tensor:
    """Dim i of the result is dim dims[i] of the input; a view."""
    order = _sizes(dims)
    n = input._a.ndim
    if len(order) != n:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering "
            f"of dimensions i.e. input.dim() = {n} is not equal to len(dims) = {len(order)}"
        )
    order = tuple([check_dim("permute", d, n) for d in order])
    if len(set(order)) != n:
        raise RuntimeError(f"permute: duplicate dims are not allowed; got {order}")
    return _made(_permute_op, input, input._a.transpose(order), (order,))


@method
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Dims dim0 and dim1 exchanged; a view."""
    n = input._a.ndim
    i, j = check_dim("transpose", dim0, n, "dim0"), check_dim("transpose", dim1, n, "dim1")
    order = list(range(n))
    if n:
        order[i], order[j] = j, i
    dims = tuple(order)
    return _made(_permute_op, input, input._a.transpose(dims), (dims,))


swapaxes = method(transpose, name="swapaxes")
swapdims = method(transpose, name="swapdims")


@method
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; tensors of fewer dims as they are."""
    if input._a.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input._a.ndim}D")
    return permute(input, *range(input._a.ndim)[::-1])


@method
def adjoint(input: Tensor) -> Tensor:
    """The conjugate transpose of the last two dims."""
    return transpose(input, -2, -1).conj()


def _reverse(self: Tensor) -> Tensor:
    return permute(self, *range(self._a.ndim)[::-1])


Tensor.T = property(_reverse)  # type: ignore[attr-defined]
Tensor.mT = property(lambda self: transpose(self, -2, -1))  # type: ignore[attr-defined]
Tensor.H = property(lambda self: adjoint(self))  # type: ignore[attr-defined]
Tensor.mH = property(lambda self: adjoint(self))  # type: ignore[attr-defined]


@method
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dims `source` moved to `destination`, the others in order; a view."""
    n = input._a.ndim
    one = lambda v: (v,) if isinstance(v, int) else tuple(v)  # noqa: E731
    src = [check_dim("movedim", d, n, "source") for d in one(source)]
    dst = [check_dim("movedim", d, n, "destination") for d in one(destination)]
    if len(src) != len(dst):
        raise RuntimeError(f"movedim: Invalid source or destination dims: got {len(src)} source and {len(dst)} destination dims")
    if len(set(src)) != len(src) or len(set(dst)) != len(dst):
        raise RuntimeError(f"movedim: repeated dim in source {source} or destination {destination}")
    order = [d for d in range(n) if d not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return permute(input, *order)


moveaxis = method(movedim, name="moveaxis")


@method
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dims start_dim to end_dim (inclusive) as one."""
    n = input._a.ndim
    i, j = check_dim("flatten", start_dim, n, "start_dim"), check_dim("flatten", end_dim, n, "end_dim")
    if i > j:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    shape = input._a.shape
    if n == 0:
        return reshape(input, 1)
    if i == j:
        return input
    size = 1
    for s in shape[i : j + 1]:
        size *= s
    return reshape(input, (*shape[:i], size, *shape[j + 1 :]))


@method
def ravel(input: Tensor) -> Tensor:
    """All elements as one dim."""
    return reshape(input, -1) if input._a.size else reshape(input, 0)


@method
def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """Dim `dim` split into `sizes`, one of which may be -1."""
    d = check_dim("unflatten", dim, input._a.ndim)
    shape = input._a.shape
    new = _infer("unflatten", _sizes((tuple(sizes),)), shape[d], input)
    return reshape(input, (*shape[:d], *new, *shape[d + 1 :]))


@method(inplace=False)
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A dim of size 1 inserted at `dim`; a view."""
    d = check_dim("unsqueeze", dim, input._a.ndim + 1)
    shape = input._a.shape
    return _made(_view_op, input, np.expand_dims(input._a, d) if input.device is CPU else _expand_dims(input._a, d),
                 ((*shape[:d], 1, *shape[d:]),))  # fmt: skip


def _expand_dims(a: Any, d: int) -> Any:
    return a[(slice(None),) * d + (None,)]


@method
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Dims of size 1 removed: all of them, or those in `dim`; a view."""
    shape = input._a.shape
    n = len(shape)
    if dim is None:
        drop = {i for i, s in enumerate(shape) if s == 1}
    else:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        drop = {d for d in (check_dim("squeeze", v, n) for v in dims) if n and shape[d] == 1}
    kept = tuple([s for i, s in enumerate(shape) if i not in drop])
    key = tuple([0 if i in drop else slice(None) for i in range(n)])
    return _made(_view_op, input, input._a[(*key, ...)], (kept,))


for _name in ("unsqueeze", "squeeze", "transpose", "t", "swapaxes", "swapdims"):

    def _in(self: Tensor, *args: Any, _f: Any = globals()[_name], **more: Any) -> Tensor:
        made = _f(self, *args, **more)
        self._a, self._node = made._a, made._node
        return self

    _in.__name__ = _name + "_"
    setattr(Tensor, _name + "_", _in)


@method
def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Dims of size 1 repeated without copying, new dims in front; -1 keeps a size."""
    shape = _sizes(sizes)
    have = input._a.shape
    n = len(shape) - len(have)
    if n < 0:
        raise RuntimeError(
            f"expand(shape {tuple(have)}, size={list(shape)}): the number of sizes provided ({len(shape)}) must be greater or "
            f"equal to the number of dimensions in the tensor ({len(have)})"
        )
    full = list(shape)
    for i, s in enumerate(shape):
        if i < n:
            if s < 0:
                raise RuntimeError(f"expand: the size {s} isn't allowed in a leading, non-existing dimension {i}")
        elif s == -1:
            full[i] = have[i - n]
        elif have[i - n] not in (1, s):
            raise RuntimeError(
                f"expand: The expanded size of the tensor ({s}) must match the existing size ({have[i - n]}) at "
                f"non-singleton dimension {i}.  Target sizes: {list(shape)}.  Tensor sizes: {list(have)}"
            )
    return _view.expand(input, tuple(full))


Tensor.expand_as = lambda self, other: expand(self, *other._a.shape)  # type: ignore[attr-defined]


def broadcast_to(input: Tensor, *size: Any) -> Tensor:
    """`input` expanded to `size`."""
    return expand(input, *size)


Tensor.broadcast_to = broadcast_to  # type: ignore[attr-defined]


def expand_copy(input: Tensor, size: Any) -> Tensor:
    """A contiguous copy of `input` expanded to `size`."""
    return _clone(expand(input, *size))


def broadcast_shapes(*shapes: Any) -> Any:
    """The shape that all `shapes` broadcast to; RuntimeError when there is none."""
    from ..tensor import Size

    tuples = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    try:
        return Size(np.broadcast_shapes(*tuples))
    except ValueError:
        raise RuntimeError(
            f"broadcast_shapes: Shape mismatch: objects cannot be broadcast to a single shape; got {tuples}"
        ) from None


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to their common shape."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    shape = broadcast_shapes(*[x._a.shape for x in tensors])
    return tuple(expand(x, *shape) for x in tensors)


Tensor.sum_to_size = lambda self, *size: _sum_to_size(self, _sizes(size))  # type: ignore[attr-defined]


def _sum_to_size(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    try:
        fits = np.broadcast_shapes(x._a.shape, shape) == x._a.shape
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(x._a.shape)}}}.")
    return x if x._a.shape == shape else _copy.sum_to_shape(x, shape)


@method
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """Elements start .. start + length - 1 of `dim`; a view."""
    d = check_dim("narrow", dim, input._a.ndim)
    n = input._a.shape[d] if input._a.ndim else 0
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


@method
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
    if input._a.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input._a.ndim}")
    return _view.diagonal(input, 0, 0, 1).sum()


@method
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the memory with the given sizes, strides and offset (in elements, from the start of the memory)."""
    shape, strides = _sizes((tuple(size),)), _sizes((tuple(stride),))
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
    return _view.as_strided(input, shape, strides, first - start)


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


# ---- copies, dtype and device


@method
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with its own memory, differentiable."""
    return _clone(input)


def _contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself when its elements are in C order, a copy otherwise."""
    return self if self._a.flags.c_contiguous else _clone(self)


Tensor.contiguous = _contiguous  # type: ignore[attr-defined]


def detach(input: Tensor) -> Tensor:
    """The same memory without history."""
    return input.detach()


def _copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Overwrite with `src`, broadcast and cast; differentiable by `src`."""
    if src.__class__ not in TENSORS:
        src = wrap(np.asarray(src))
    _inplace.check(self, "copy_")
    try:
        fits = np.broadcast_shapes(src._a.shape, self._a.shape) == self._a.shape
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(message("copy_", "src must broadcast to self's shape", src=src, self=self))
    if STATE.grad and src._node is not None:
        value = src if src.device is self.device else src.to(self.device)
        value = value if value.dtype is self.dtype else cast(value, self.dtype)
        value = value if value._a.shape == self._a.shape else expand(value, *self._a.shape)
        return overwrite(self, value, "copy_")
    from ..tensor import write

    write(self, src)
    if STATE.grad and self._node is not None:
        _inplace.rebase(self, None)
    return self


Tensor.copy_ = _copy_  # type: ignore[attr-defined]


class _ToDevice:
    """The op between devices; its rule is the way back."""

    name, differentiable = "to_copy", 1

    @staticmethod
    def pull(node: Any, g: Any) -> Any:
        source = node.saved[0]
        return (_move(g, node.device, source),)

    @staticmethod
    def pull_tensors(node: Any, g: Any) -> Any:
        return (_to_device(g, node.saved[0]),)


def _move(a: Any, source: device, target: device) -> Any:
    if source is CPU:
        return devices.to_device(np.ascontiguousarray(a).reshape(a.shape), target)
    if target is CPU:
        return devices.to_host(a)
    return devices.copy(a, target)


def _to_device(x: Tensor, target: device) -> Tensor:
    from ..autograd.graph import make_node

    out = wrap(_move(x._a, x.device, target), target)
    out.dtype = x.dtype
    if x._node is not None and STATE.grad:
        out._node = make_node(_ToDevice, (x._node,), (x.device,), target)
    return out


def _to(self: Tensor, *args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False, copy: bool = False,
        memory_format: Any = None) -> Tensor:  # fmt: skip
    """The tensor in another dtype and/or on another device; itself when nothing changes (and not `copy`).

    Arguments: `to(dtype)`, `to(device)`, `to(device, dtype)`, `to(other_tensor)`, each with non_blocking and copy.
    """
    kind, place = dtype, device
    for i, a in enumerate(args):
        if a.__class__ is _dtype_class:
            kind = a
        elif isinstance(a, Tensor):
            kind, place = a.dtype, a.device
        elif isinstance(a, bool):
            if args[i - 1].__class__ is bool or (i and isinstance(args[i - 1], bool)):
                copy = a
            else:
                non_blocking = a
        elif a is not None:
            place = a
    out = self
    if place is not None:
        target = devices.resolve(_device_class(place)) if not isinstance(place, str) or place != "cpu" else CPU
        if target is not self.device:
            if kind is not None and kind is not self.dtype and self.device is CPU:
                out = cast(out, kind)
            out = _to_device(out, target)
    if kind is not None and kind is not out.dtype:
        if kind.__class__ is not _dtype_class:
            raise TypeError(f"to() received an invalid dtype: {kind!r}")
        out = cast(out, kind)
    return _clone(out) if copy and out is self else out


_dtype_class, _device_class = dtype, device
Tensor.to = _to  # type: ignore[attr-defined]
Tensor.cpu = lambda self, memory_format=None: self if self.device is CPU else _to(self, CPU)  # type: ignore[attr-defined]
Tensor.cuda = lambda self, device=None, non_blocking=False, memory_format=None: _to(  # type: ignore[attr-defined]
    self, _device_class("cuda", device) if isinstance(device, int) else device or "cuda"
)
Tensor.type_as = lambda self, other: _to(self, other.dtype)  # type: ignore[attr-defined]
for _name, _kind in {
    "float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16", "int": "int32", "long": "int64",
    "short": "int16", "char": "int8", "byte": "uint8", "bool": "bool", "cfloat": "complex64", "cdouble": "complex128",
}.items():  # fmt: skip

    def _as(self: Tensor, memory_format: Any = None, *, _kind: Any = NAMES[_kind]) -> Tensor:
        return self if self.dtype is _kind else cast(self, _kind)

    _as.__name__ = _name
    setattr(Tensor, _name, _as)

_TYPE_NAMES = {"float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long",
               "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool",
               "complex64": "ComplexFloat", "complex128": "ComplexDouble"}  # fmt: skip


def _type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The type's name ('torch.FloatTensor'), or the tensor cast to `dtype` (a dtype or such a name)."""
    if dtype is None:
        return f"torch.{'' if self.device is CPU else 'cuda.'}{_TYPE_NAMES[self.dtype.name]}Tensor"
    if isinstance(dtype, str):
        short = dtype.rsplit(".", 1)[-1].removesuffix("Tensor")
        found = [k for k, v in _TYPE_NAMES.items() if v == short]
        if not found:
            raise ValueError(f"type: invalid type: {dtype!r}")
        return _to(self, NAMES[found[0]], device="cuda" if ".cuda." in dtype else None)
    return _to(self, getattr(dtype, "dtype", dtype))


Tensor.type = _type  # type: ignore[attr-defined]


def numel(input: Tensor) -> int:
    """Number of elements."""
    return input._a.size


# ---- joins


def _joined(op: str, tensors: Any) -> list[Tensor]:
    xs = list(tensors)
    if not xs:
        raise ValueError(f"{op}: expected a non-empty list of Tensors")
    for i, x in enumerate(xs):
        if x.__class__ not in TENSORS:
            raise TypeError(f"{op}: expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
    kind = xs[0].dtype
    for x in xs[1:]:
        if x.dtype is not kind:
            kind = promote_types(kind, x.dtype)
    return [x if x.dtype is kind else cast(x, kind) for x in xs]


def cat(tensors: Any, dim: int = 0, *, out: Tensor | None = None, axis: int | None = None) -> Tensor:
    """Tensors joined along `dim`; shapes are equal but for that dim (and empty 1-dim tensors are passed over).

    Raises:
        RuntimeError: for shapes that do not fit. IndexError: for `dim` out of range.
    """
    xs = _joined("cat", tensors)
    given = dim if axis is None else axis
    full = [x for x in xs if not (x._a.ndim == 1 and x._a.shape[0] == 0)]
    if not full:
        full = xs[:1]
    n = full[0]._a.ndim
    if n == 0:
        raise RuntimeError("cat: zero-dimensional tensor (at position 0) cannot be concatenated")
    d = check_dim("cat", given, n)
    first = full[0]._a.shape
    for i, x in enumerate(full[1:], 1):
        s = x._a.shape
        if len(s) != n:
            raise RuntimeError(f"cat: Tensors must have same number of dimensions: got {n} and {len(s)}")
        if s[:d] != first[:d] or s[d + 1 :] != first[d + 1 :]:
            raise RuntimeError(
                f"cat: Sizes of tensors must match except in dimension {d}. Expected shape {tuple(first)} but got "
                f"{tuple(s)} for tensor number {i} in the list."
            )
    result = _copy.cat(full, d) if len(full) > 1 else _clone(full[0])
    if out is not None:
        from ..tensor import write_out

        write_out("cat", result, out)
        return out
    return result


concat = concatenate = cat


def stack(tensors: Any, dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """Tensors of one shape joined along a new dim."""
    xs = _joined("stack", tensors)
    shape = xs[0]._a.shape
    d = check_dim("stack", dim, len(shape) + 1)
    for i, x in enumerate(xs):
        if x._a.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(x._a.shape)} at entry {i}"
            )
    result = _copy.stack(xs, d)
    if out is not None:
        from ..tensor import write_out

        write_out("stack", result, out)
        return out
    return result


def atleast_1d(*tensors: Any) -> Any:
    """Each tensor with at least 1 dim."""
    return _atleast(tensors, lambda x: reshape(x, 1) if x._a.ndim == 0 else x)


def atleast_2d(*tensors: Any) -> Any:
    """Each tensor with at least 2 dims."""
    return _atleast(tensors, lambda x: reshape(x, 1, -1) if x._a.ndim < 2 else x)


def atleast_3d(*tensors: Any) -> Any:
    """Each tensor with at least 3 dims."""

    def one(x: Tensor) -> Tensor:
        n = x._a.ndim
        return reshape(x, 1, -1, 1) if n < 2 else unsqueeze(x, -1) if n == 2 else x

    return _atleast(tensors, one)


def _atleast(tensors: tuple, f: Any) -> Any:
    if len(tensors) == 1:
        return tuple(map(f, tensors[0])) if isinstance(tensors[0], (tuple, list)) else f(tensors[0])
    return tuple(map(f, tensors))


def hstack(tensors: Any) -> Tensor:
    """Joined along dim 1 (dim 0 for vectors)."""
    xs = atleast_1d(tuple(tensors))
    return cat(xs, 0 if xs[0]._a.ndim == 1 else 1)


def vstack(tensors: Any) -> Tensor:
    """Joined along dim 0, vectors as rows."""
    return cat(atleast_2d(tuple(tensors)), 0)


row_stack = vstack


def dstack(tensors: Any) -> Tensor:
    """Joined along dim 2."""
    return cat(atleast_3d(tuple(tensors)), 2)


def column_stack(tensors: Any) -> Tensor:
    """Vectors as columns, matrices side by side."""
    return hstack([reshape(x, -1, 1) if x._a.ndim < 2 else x for x in tensors])


def block_diag(*tensors: Any) -> Tensor:
    """The block-diagonal matrix of matrices (vectors as rows)."""
    blocks = [atleast_2d(x) for x in tensors]
    width = sum(b._a.shape[1] for b in blocks)
    rows, start = [], 0
    for b in blocks:
        rows.append(_copy.pad_constant(b, ((0, 0), (start, width - start - b._a.shape[1])), 0.0))
        start += b._a.shape[1]
    return cat(rows, 0)


# ---- cuts


def _multi(op: Any, x: Tensor, params: tuple) -> tuple[Tensor, ...]:
    outs = op(x, *params)
    if x._vc is None:
        x._vc = Version()
    for o in outs:
        o._vc, o._view = x._vc, (x, MULTI, ())
    return outs


@method
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of the given size (the last may be smaller), or of the given list of sizes; views."""
    d = check_dim("split", dim, tensor._a.ndim)
    if tensor._a.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    n = tensor._a.shape[d]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and n):
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
        sizes = [size] * (n // size) + ([n % size] if n % size or n == 0 else []) if size else [0]
    else:
        sizes = list(split_size_or_sections)
        if sum(sizes) != n or any(s < 0 for s in sizes):
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {d}), but got "
                f"split_sizes={sizes}"
            )
    return _multi(_copy.split, tensor, (tuple(sizes), d))


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of the given sizes; views."""
    return split(input, list(split_sizes), dim)


Tensor.split_with_sizes = split_with_sizes  # type: ignore[attr-defined]


@method
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size, the last may be smaller; views."""
    if chunks < 1:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    d = check_dim("chunk", dim, input._a.ndim)
    if input._a.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    n = input._a.shape[d]
    size = -(-n // chunks)
    return split(input, size, d) if size else split(input, [0] * chunks, d)


@method
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces cut at the given indices, or the given number of pieces of nearly equal size; views."""
    d = check_dim("tensor_split", dim, input._a.ndim)
    n = input._a.shape[d]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        k = indices_or_sections
        if k < 1:
            raise RuntimeError(f"number of sections must be larger than 0, got {k}")
        cuts = [0, *np.cumsum([n // k + (i < n % k) for i in range(k)]).tolist()]
        return tuple([narrow(input, d, a, b - a) for a, b in zip(cuts, cuts[1:], strict=False)])
    cuts = [0, *indices_or_sections, n]
    pieces = []
    for a, b in zip(cuts, cuts[1:], strict=False):
        a, b, _ = slice(a, b).indices(n)
        pieces.append(narrow(input, d, a, max(0, b - a)))
    return tuple(pieces)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dim 1 (dim 0 for vectors)."""
    return tensor_split(input, indices_or_sections, 0 if input._a.ndim == 1 else 1)


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dim 0."""
    return tensor_split(input, indices_or_sections, 0)


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dim 2."""
    return tensor_split(input, indices_or_sections, 2)


for _f in (hsplit, vsplit, dsplit):
    setattr(Tensor, _f.__name__, _f)


@method
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along `dim`, without that dim; views."""
    d = check_dim("unbind", dim, input._a.ndim)
    if input._a.ndim == 0:
        raise RuntimeError("unbind: Dimension specified as 0 but tensor has no dimensions")
    return _multi(_copy.unbind, input, (d,))


# ---- repetition and order


@method
def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """The tensor tiled `repeats` times along each dim; more repeats than dims add dims in front."""
    times = _sizes(repeats)
    if len(times) < input._a.ndim:
        raise RuntimeError(
            f"repeat: Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor; got {times} "
            f"for shape {tuple(input._a.shape)}"
        )
    if any(t < 0 for t in times):
        raise RuntimeError(f"repeat: Trying to create tensor with negative dimension; got repeats {times}")
    return _copy.repeat(input, times)


@method
def tile(input: Tensor, *dims: Any) -> Tensor:
    """As `repeat`, with ones put in front of too few dims."""
    times = _sizes(dims)
    return repeat(input, *((1,) * (input._a.ndim - len(times)) + times))


@method
def repeat_interleave(input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
    """Each element repeated `repeats` times (a number, or one per element) along `dim` (None: flattened)."""
    if repeats is None:
        counts = host(input)
        return wrap(np.repeat(np.arange(counts.size), counts)).to(input.device)
    x = ravel(input) if dim is None else input
    d = 0 if dim is None else check_dim("repeat_interleave", dim, x._a.ndim)
    counts = host(repeats) if isinstance(repeats, Tensor) else np.asarray(repeats)
    if counts.size not in (1, x._a.shape[d]):
        raise RuntimeError(
            f"repeat_interleave: repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} "
            f"and input.size({d}) = {x._a.shape[d]}"
        )
    if (counts < 0).any():
        raise RuntimeError("repeat_interleave: repeats can not be negative")
    index = np.repeat(np.arange(x._a.shape[d]), counts.reshape(-1) if counts.size > 1 else int(counts.reshape(-1)[0]) if counts.size else 0)
    return x.index_select(d, wrap(index).to(x.device))


@method
def flip(input: Tensor, *dims: Any) -> Tensor:
    """A copy with the order along `dims` reversed."""
    n = input._a.ndim
    ds = tuple([check_dim("flip", d, n) for d in _sizes(dims)])
    if len(set(ds)) != len(ds):
        raise RuntimeError(f"flip: a dim appears multiple times in dims {dims}")
    return _copy.flip(input, ds if n else ())


@method
def fliplr(input: Tensor) -> Tensor:
    """Columns in reverse order."""
    return flip(input, 1)


@method
def flipud(input: Tensor) -> Tensor:
    """Rows in reverse order."""
    return flip(input, 0)


@method
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Shifted cyclically by `shifts` along `dims` (None: flattened)."""
    one = lambda v: (v,) if isinstance(v, int) else tuple(v)  # noqa: E731
    if dims is None or dims == ():
        if len(one(shifts)) != 1:
            raise RuntimeError(f"roll: shifts and dims must align; got {shifts} and {dims}")
        return reshape(_copy.roll(ravel(input), one(shifts), (0,)), input._a.shape)
    ds = tuple([check_dim("roll", d, input._a.ndim) for d in one(dims)])
    if len(one(shifts)) != len(ds):
        raise RuntimeError(f"roll: shifts and dims must align; got {shifts} and {dims}")
    return _copy.roll(input, one(shifts), ds)


@method
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Rotated k times by 90 degrees in the plane of `dims`."""
    a, b = (check_dim("rot90", d, input._a.ndim) for d in dims)
    k %= 4
    if k == 1:
        return transpose(flip(input, b), a, b)
    if k == 2:
        return flip(input, a, b)
    return flip(transpose(input, a, b), b) if k == 3 else _clone(input)


@method(inplace=True, out=True)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two dims; elements above `diagonal` are 0."""
    return _copy.tril(_matrix("tril", input), diagonal)


@method(inplace=True, out=True)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two dims; elements below `diagonal` are 0."""
    return _copy.triu(_matrix("triu", input), diagonal)


def _matrix(op: str, x: Tensor) -> Tensor:
    if x._a.ndim < 2:
        raise RuntimeError(message(op, "input tensor must have at least 2 dimensions", input=x))
    return x


@method
def argwhere(input: Tensor) -> Tensor:
    """The indices of nonzero elements, one row each."""
    return input.nonzero()


_ = Parameter
