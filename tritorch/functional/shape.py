"""Public functions and methods that change a tensor's shape: reshape, permute, expand and their kin; views where they can."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from ..autograd.apply import view_saves
from ..autograd.graph import Node, Version, make_view, next_seq, watch
from ..autograd.modes import NO_GRAD, STATE, WATCHED
from ..binding import method, with_out
from ..dtypes import dtype
from ..errors import check_dim, message
from ..kernels import view as _view
from ..kernels.copy import clone as _clone
from ..tensor import Size, Tensor, wrap

__all__ = [
    "adjoint", "broadcast_shapes", "broadcast_tensors", "broadcast_to", "expand_copy", "flatten", "moveaxis", "movedim",
    "permute", "ravel", "reshape", "squeeze", "swapaxes", "swapdims", "t", "transpose", "unflatten", "unsqueeze",
]  # fmt: skip

_new = object.__new__
_view_op, _permute_op = _view.view, _view.permute


def made(op: Any, x: Tensor, a: Any, params: tuple) -> Tensor:
    """A view of x over the raw array `a`."""
    return make_view(op, x, a, params, () if x._node is None else view_saves(op, x, params))


def sizes_of(shape: tuple) -> tuple[int, ...]:
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
    y = x.view()
    try:
        y.shape = shape
        return y
    except AttributeError:
        return None


@method
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in order under another shape, a view when the layout allows; one size may be -1.

    Raises:
        RuntimeError: when the sizes do not fit.
    """
    x = input._a
    if (x.size > 4096 or x.__class__ is not np.ndarray) and not x.flags.c_contiguous:
        # NumPy would copy, and not in the fastest way; CuPy would compile a kernel of its own for it
        sizes = _infer("reshape", sizes_of(shape), x.size, input)
        y = _reshape_view(x, sizes)
        return _view_op(_clone(input), sizes) if y is None else made(_view_op, input, y, (sizes,))
    try:
        y = x.reshape(*shape)
    except (ValueError, TypeError):
        shape = (_infer("reshape", sizes_of(shape), x.size, input),)
        y = x.reshape(*shape)
    base = y.base
    if base is not x and (base is None or base is not x.base) and y.size and _reshape_view(x, y.shape) is None:
        return _view_op(_clone(input), y.shape)
    # as make_view, inline: a reshape is one of the most frequent calls
    out = _new(Tensor)
    out._a = y
    out.dtype = input.dtype
    device = out.device = input.device
    v = input._vc
    if v is None:
        v = input._vc = Version()
    out._vc = v
    out._view = (input, _view_op, (y.shape,))
    xn = input._node
    if xn is None:
        out._node = None
        return out
    views = v.views
    if views is None:
        v.views = [ref(out)]
    else:
        views.append(ref(out))
        if len(views) & 63 == 0:
            v.prune()
    if NO_GRAD[0] and not STATE.grad:
        out._node = None
        return out
    n = out._node = Node()
    n.seq = next_seq()
    n.op = _view_op
    n.next = (xn,)
    n.saved = (x.shape,)
    n.device = device
    n.versions = n.hooks = n.trace = None
    if WATCHED[0]:
        watch(n)
    return out


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
    sizes = _infer("view", sizes_of(shape), x.size, self)
    y = _reshape_view(x, sizes)
    if y is None:
        raise RuntimeError(
            "view: view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            f"contiguous subspaces): shape {tuple(x.shape)}, stride {self.stride()} as {sizes}. Use .reshape(...) instead."
        )
    return made(_view_op, self, y, (sizes,))


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
    order = sizes_of(dims)
    n = input._a.ndim
    if len(order) != n:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering "
            f"of dimensions i.e. input.dim() = {n} is not equal to len(dims) = {len(order)}"
        )
    order = tuple([check_dim("permute", d, n) for d in order])
    if len(set(order)) != n:
        raise RuntimeError(f"permute: duplicate dims are not allowed; got {order}")
    return made(_permute_op, input, input._a.transpose(order), (order,))


@method
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Dims dim0 and dim1 exchanged; a view."""
    n = input._a.ndim
    i, j = check_dim("transpose", dim0, n, "dim0"), check_dim("transpose", dim1, n, "dim1")
    order = list(range(n))
    if n:
        order[i], order[j] = j, i
    dims = tuple(order)
    return made(_permute_op, input, input._a.transpose(dims), (dims,))


swapaxes = method(transpose, name="swapaxes")
swapdims = method(transpose, name="swapdims")


@method
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; tensors of fewer dims as they are."""
    if input._a.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input._a.ndim}D")
    return _reverse(input)


@method
def adjoint(input: Tensor) -> Tensor:
    """The conjugate transpose of the last two dims."""
    return transpose(input, -2, -1).conj()


def _reverse(self: Tensor) -> Tensor:
    order = tuple(range(self._a.ndim))[::-1]
    return made(_permute_op, self, self._a.transpose(order), (order,))


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
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: got {len(src)} source and {len(dst)} destination dims"
        )
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
    new = _infer("unflatten", sizes_of((tuple(sizes),)), shape[d], input)
    return reshape(input, (*shape[:d], *new, *shape[d + 1 :]))


@method(inplace=False)
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A dim of size 1 inserted at `dim`; a view."""
    d = check_dim("unsqueeze", dim, input._a.ndim + 1)
    shape = input._a.shape
    view = input._a[(slice(None),) * d + (None, ...)]
    return made(_view_op, input, view, ((*shape[:d], 1, *shape[d:]),))


@method
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Dims of size 1 removed: all of them, or those in `dim`; a view."""
    shape = input._a.shape
    n = len(shape)
    if dim.__class__ is int:
        d = check_dim("squeeze", dim, n)
        if n and shape[d] == 1:
            view = input._a[(slice(None),) * d + (0, ...)]
            return made(_view_op, input, view, ((*shape[:d], *shape[d + 1 :]),))
        return made(_view_op, input, input._a[...], (shape,))
    if dim is None:
        drop = {i for i, s in enumerate(shape) if s == 1}
    else:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        drop = {d for d in (check_dim("squeeze", v, n) for v in dims) if n and shape[d] == 1}
    kept = tuple([s for i, s in enumerate(shape) if i not in drop])
    key = tuple([0 if i in drop else slice(None) for i in range(n)])
    return made(_view_op, input, input._a[(*key, ...)], (kept,))


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
    shape = sizes_of(sizes)
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


@with_out
def expand_copy(input: Tensor, size: Any) -> Tensor:
    """A contiguous copy of `input` expanded to `size`."""
    return _clone(expand(input, *size))


def broadcast_shapes(*shapes: Any) -> Any:
    """The shape that all `shapes` broadcast to; RuntimeError when there is none."""
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


Tensor.sum_to_size = lambda self, *size: _sum_to_size(self, sizes_of(size))  # type: ignore[attr-defined]


def _sum_to_size(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    try:
        fits = np.broadcast_shapes(x._a.shape, shape) == x._a.shape
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(x._a.shape)}}}.")
    if not shape:
        return x.sum()  # type: ignore[attr-defined]
    return x if x._a.shape == shape else _view.sum_to(x, shape)
