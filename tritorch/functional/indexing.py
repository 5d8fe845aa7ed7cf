"""The public functions that read and write by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import inplace as _inplace
from ..autograd.apply import mixed_devices
from ..autograd.autocast import ACTIVE
from ..autograd.autocast import cast as autocast
from ..autograd.modes import STATE
from ..binding import given, method, overlap
from ..device import CPU, on_device
from ..dtypes import bool_, int32, int64, uint8
from ..errors import check_dim, message
from ..kernels import index as _index
from ..kernels._index_range import out_of_range
from ..kernels._shapes import broadcast_shapes
from ..kernels.copy import cast
from ..kernels.nonzero import nonzero as _nonzero
from ..kernels.scatter_reduce import scatter_extremum, scatter_prod
from ..tensor import TENSORS, Tensor, wrap
from .shape import broadcast_tensors
from .subscript import _check_put, _full, _of_mask, _parse, _put_in_place

__all__ = [
    "gather", "index_add", "index_copy", "index_fill", "index_put", "index_reduce", "index_select", "masked_fill",
    "masked_scatter", "masked_select", "nonzero", "put", "scatter", "scatter_add", "scatter_reduce", "select_scatter",
    "slice_scatter", "diagonal_scatter", "take", "take_along_dim",
]  # fmt: skip


def _indices(op: str, input: Tensor, index: Any, name: str = "index") -> Any:
    """The raw array of an index tensor, which has to be where `input` is."""
    if not isinstance(index, Tensor) or index.dtype is not int64 and index.dtype is not int32:
        raise RuntimeError(message(op, f"{name} must be an int64 (or int32) tensor", **{name: index}))
    if index.device is not input.device:
        raise mixed_devices(op, ("input", name), (input, index))
    return index._a


_INDEX_ERROR = ("index_select", "index_add", "index_copy", "index_fill", "index_reduce", "take", "put")


def _in_range(op: str, i: Any, size: int, dim: int, x: Tensor, low: int = 0) -> None:
    bad = out_of_range(i, size, low)
    if bad is not None:
        kind = IndexError if x.device is not CPU or op in _INDEX_ERROR else RuntimeError
        raise kind(f"{op}: index {bad} is out of bounds for dimension {dim} with size {size}")


@method(out=True)
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of `dim` at `index` (1-dim integers), copied."""
    d = check_dim("index_select", dim, input._a.ndim)
    i = _indices("index_select", input, index)
    if i.ndim > 1:
        raise IndexError(message("index_select", "Index is supposed to be a vector", index=index))
    i = i.reshape(-1)
    if input._a.ndim == 0:
        _in_range("index_select", i, 1, 0, input)
        return input.clone()
    _in_range("index_select", i, input._a.shape[d], d, input)
    return _index.index(input, (slice(None),) * d + (i,))


def _checked(op: str, input: Tensor, dim: int, index: Tensor, src: Tensor | None = None) -> tuple[int, np.ndarray]:
    """The dim and indices of gather and scatter after PyTorch's checks of shapes and range."""
    d = check_dim(op, dim, input._a.ndim)
    if isinstance(index, Tensor) and not index._a.size and index.dtype.category < 2:
        index = index.to(int64)  # of no indices PyTorch does not ask the dtype
    i = _indices(op, input, index)
    if not i.size:
        return d, i
    shape, ndim = input._a.shape or (1,), i.ndim or 1
    if ndim != len(shape):
        raise RuntimeError(
            f"{op}: Index tensor must have the same number of dimensions as input tensor; got {i.ndim} and {len(shape)}"
        )
    source = None if src is None else src._a.shape or (1,)
    if source is not None and len(source) != ndim:
        raise RuntimeError(
            f"{op}: Index tensor must have the same number of dimensions as src tensor; got {i.ndim} and {len(source)}"
        )
    for k, s in enumerate(i.shape):
        if k != d and s > shape[k]:
            raise RuntimeError(
                f"{op}: Size does not match at dimension {k} expected index {list(i.shape)} to be no larger than self "
                f"{list(shape)} apart from dimension {d}"
            )
        if source is not None and s > source[k]:
            raise RuntimeError(
                f"{op}: Size does not match at dimension {k} expected index {list(i.shape)} to be no larger than src {list(source)}"
            )
    _in_range(op, i, shape[d], d, input)
    return d, i


@method(out=True)
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """Along `dim`, the elements of `input` that `index` names.

    >>> import tritorch as torch
    >>> torch.gather(torch.tensor([[1, 2], [3, 4]]), 1, torch.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    d, i = _checked("gather", input, dim, index)
    if not i.size:  # an empty index may have any number of dims
        return _index.index(input.reshape(-1), (i,))
    return _index.gather(input, d, i)


def _source(op: str, input: Tensor, src: Any, index: Tensor) -> Tensor:
    if src.__class__ not in TENSORS:
        return _full(input, np.full((), src, input._a.dtype), index._a.shape)
    if src.dtype is not input.dtype:
        raise RuntimeError(message(op, "Expected self.dtype to be equal to src.dtype", self=input, src=src))
    return src


@method(inplace=True, out=True)
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, reduce: str | None = None, value: Any = None
) -> Tensor:
    """`input` with `src` (a tensor or a number) written along `dim` at `index`; reduce: None, "add", "multiply"."""
    given = _source("scatter", input, value if src is None else src, index)
    if reduce == "add":
        return scatter_add(input, dim, index, given)
    if reduce is not None:
        if reduce != "multiply":
            raise RuntimeError(f"scatter: reduce argument must be either add or multiply; got {reduce!r}")
        return scatter_reduce(input, dim, index, given, "prod")
    d, i = _checked("scatter", input, dim, index, given)
    return _index.scatter(input, given, d, i)


@method(inplace=True, out=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`input` with `src` added along `dim` at `index`; duplicate indices accumulate."""
    if ACTIVE:
        input, src = autocast("scatter_add", input, src)
    given = _source("scatter_add", input, src, index)
    d, i = _checked("scatter_add", input, dim, index, given)
    return _index.scatter_add(input, given, d, i)


@method(inplace=True, out=True)
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`input` with the values of `src` that fall on one place reduced: sum, prod, mean, amax or amin."""
    reduce = _SAME.get(reduce, reduce)
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        rule = "reduce argument must be either sum, prod, mean, amax or amin"
        raise RuntimeError(message("scatter_reduce", rule, reduce=reduce))
    if src.__class__ not in TENSORS:
        raise TypeError(message("scatter_reduce", "src must be a Tensor", src=src))
    src = _source("scatter_reduce", input, src, index)
    d, i = _checked("scatter_reduce", input, dim, index, src)
    return _reduced("scatter_reduce", input, d, i, src, reduce, include_self)


_SAME = {"max": "amax", "min": "amin"}


def _reduced(op: str, input: Tensor, d: int, i: Any, src: Tensor, reduce: str, include_self: bool) -> Tensor:
    """`scatter_reduce` after its checks."""
    if input.dtype is bool_:
        if reduce == "mean":
            raise NotImplementedError(message(op, "bools have no mean", self=input, src=src))
        reduce = {"sum": "amax", "prod": "amin"}.get(reduce, reduce)
        return _reduced(op, input.to(uint8), d, i, src.to(uint8), reduce, include_self).to(bool_)
    x = input
    if not include_self:
        start = {"sum": 0, "mean": 0, "prod": 1, "amax": _lowest(input), "amin": _highest(input)}[reduce]
        x = _index.scatter(input, wrap(np.full(i.shape, start, input._a.dtype)).to(input.device), d, i)
    if reduce in ("sum", "mean"):
        total = _index.scatter_add(x, src, d, i)
        if reduce == "sum":
            return total
        count = (
            input.new_ones(input._a.shape, dtype=int64)
            if include_self
            else input.new_zeros(input._a.shape, dtype=int64)
        )
        count = _index.scatter_add(count, count.new_ones(i.shape), d, i).clamp(min=1)
        if total.dtype.category >= 2:
            return total / count.to(total.dtype)
        return total.div(count, rounding_mode="floor").to(total.dtype)
    if reduce == "prod":
        return scatter_prod(x, src, d, i)
    if input.dtype.is_complex:
        raise NotImplementedError(message(op, f"complex numbers have no {reduce}", input=input))
    return scatter_extremum(x, src, d, i, reduce == "amax")


def _lowest(x: Tensor) -> Any:
    return -np.inf if x.dtype.category == 2 else np.iinfo(x._a.dtype).min


def _highest(x: Tensor) -> Any:
    return np.inf if x.dtype.category == 2 else np.iinfo(x._a.dtype).max


@method(inplace=True, out=True)
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """`input` with alpha * source added to the slices of `dim` at `index`; duplicates accumulate."""
    d, i = _slices("index_add", input, dim, index, source)
    if source.dtype is not input.dtype:
        raise RuntimeError(message("index_add", "self and source must have the same dtype", self=input, source=source))
    return _put_slices(input, source if alpha == 1 else source * alpha, d, i, True)


@method(inplace=True, out=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """`input` with the slices of `dim` at `index` replaced by those of `source`."""
    d, i = _slices("index_copy", input, dim, index, source)
    if source.dtype is not input.dtype:
        raise RuntimeError(message("index_copy", "self and source must have the same dtype", self=input, source=source))
    return _put_slices(input, source, d, i, False)


def _put_slices(input: Tensor, source: Tensor, d: int, i: Any, accumulate: bool) -> Tensor:
    """`source` written to (or added to) the slices i of dim d; a tensor without dims is its one slice."""
    if not input._a.ndim:
        return _index.index_put(input.reshape(1), source.reshape(-1), (i,), accumulate).reshape(())
    return _index.index_put(input, source, (slice(None),) * d + (i,), accumulate)


@method(inplace=True)
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """`input` with the slices of `dim` at `index` set to `value` (a number or a 0-dim tensor)."""
    d, i = _slices("index_fill", input, dim, index, None)
    if value.__class__ in TENSORS and value._a.ndim:
        raise RuntimeError(message("index_fill", "only supports a 0-dimensional value tensor", value=value))
    if value.__class__ is complex and not input.dtype.is_complex:
        raise RuntimeError(f"index_fill: a complex value does not fit into {input.dtype}; got {value}")
    v = value if value.__class__ in TENSORS else _full(input, value)
    v = v if v.dtype is input.dtype else cast(v, input.dtype)
    if v._node is None:
        return _put_slices(input, v, d, i, False)
    rows = input.new_zeros(input._a.shape[d : d + 1] or 1, dtype=bool_)  # an index that comes twice fills only once
    rows = _put_slices(rows, rows.new_ones(()), 0, i, False).reshape([-1] + [1] * (input._a.ndim - d - 1))
    return _index.masked_fill(input, v, (rows if input._a.ndim else rows.reshape(()))._a)


def _slices(op: str, input: Tensor, dim: int, index: Tensor, source: Tensor | None) -> tuple[int, Any]:
    """The dim and the raw indices of its slices, (n,), after the checks."""
    d = check_dim(op, dim, input._a.ndim)
    i = _indices(op, input, index)
    if i.ndim > 1:
        raise IndexError(message(op, "Index is supposed to be a vector", index=index))
    i = i.reshape(-1)
    size = input._a.shape[d] if input._a.ndim else 1
    _in_range(op, i, size, d, input, -size if op == "index_fill" else 0)
    if source is None:
        return d, i + size * (i < 0)
    have, want = tuple(source._a.shape), tuple(input._a.shape)
    if want:
        want = want[:d] + (i.size,) + want[d + 1 :]
        fits = have == want
    else:
        fits = not have and i.size == 1 or op == "index_copy" and have == (i.size,)
    if not fits:
        kind = IndexError if not have or op == "index_copy" and have[d : d + 1] != (i.size,) else RuntimeError
        raise kind(message(op, f"source must have shape {want}", source=source, self=input, index=index))
    return d, i


@method(inplace=True, out=True)
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`input` with the slices of `source` that fall on one index reduced: prod, mean, amax or amin."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        rule = "Expected reduce to be one of prod, mean, amax or amin"
        raise RuntimeError(message("index_reduce", rule, reduce=reduce))
    d, _ = _slices("index_reduce", input, dim, index, source)
    _source("index_reduce", input, source, index)
    shape = [-1 if k == d else 1 for k in range(source._a.ndim)]
    wide = index.reshape(shape).expand(source._a.shape)
    return _reduced("index_reduce", input, d, wide._a, source, reduce, include_self)


def _keys(op: str, input: Tensor, indices: Any) -> tuple:
    _, advanced = _parse(input, tuple(slice(None) if k is None else k for k in indices))
    if advanced is None:
        raise IndexError(f"{op}: at least one of the indices must be a tensor")
    return advanced


@method
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of `input` with input[indices] set to (or increased by) `values`."""
    if ACTIVE:
        input, values = autocast("index_put", input, values)
    key = _keys("index_put", input, indices)
    if values.dtype is not input.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {input.dtype} for the destination and "
            f"{values.dtype} for the source."
        )
    _check_put(input, key, values, "index_put")
    return _index.index_put(input, values, key, accumulate)


def _index_put_(self: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """self[indices] = values, or += with `accumulate`."""
    return _put_in_place(self, _keys("index_put_", self, indices), values, accumulate, "index_put_")


Tensor.index_put_ = _index_put_  # type: ignore[attr-defined]


@method(inplace=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`input` with `value` (a number or a 0-dim tensor) where `mask`, broadcast, is True."""
    if not isinstance(mask, Tensor) or mask.dtype.name != "bool":
        raise RuntimeError(message("masked_fill", "only supports boolean masks", mask=mask))
    if value.__class__ in TENSORS:
        if value._a.ndim:
            raise RuntimeError(
                f"masked_fill: only supports a 0-dimensional value tensor, but got tensor with {value._a.ndim} dimension(s)."
            )
        v = value
    else:
        if (
            isinstance(value, complex)
            and not input.dtype.is_complex
            or isinstance(value, float)
            and input.dtype.category < 2
            and value != int(value)
        ):
            raise RuntimeError(
                f"masked_fill: value cannot be converted to type {input.dtype} without overflow; got {value}"
            )
        v = _full(input, value)
    if v.dtype.category > input.dtype.category:
        raise RuntimeError(
            f"masked_fill: expected self and value to have the same kind of dtype; got {input.dtype} and {v.dtype}"
        )
    if v.device is not input.device:
        v = v.to(input.device)
    if mask.device is not input.device:
        raise RuntimeError(message("masked_fill", f"expected mask to be on {input.device}", mask=mask, input=input))
    try:
        broadcast_shapes(input._a.shape, mask._a.shape)
    except ValueError:
        raise RuntimeError(
            message("masked_fill", "mask and input do not broadcast together", mask=mask, input=input)
        ) from None
    return _index.masked_fill(input, v, mask._a)


@method(out=True)
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where `mask`, broadcast, is True, as a vector."""
    if mask.dtype.name != "bool":
        raise RuntimeError(message("masked_select", "expected BoolTensor for mask", mask=mask))
    if mask.device is not input.device:
        raise mixed_devices("masked_select", ("input", "mask"), (input, mask))
    x, m = broadcast_tensors(input, mask)
    return _index.index(x, _of_mask(m, m._a)) if m._a.ndim else x.reshape(1)[: int(bool(m))].clone()


@method(inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`input` with the elements where `mask` is True taken from `source`, in order."""
    if mask.dtype is not bool_:
        raise RuntimeError(message("masked_scatter", "only supports boolean masks", mask=mask))
    if mask.device is not input.device:
        raise mixed_devices("masked_scatter", ("input", "mask"), (input, mask))
    x, m = broadcast_tensors(input, mask)
    if not m._a.ndim:
        return masked_scatter(x.reshape(1), m.reshape(1), source).reshape(())
    key = _of_mask(m, m._a)
    n = key[0].size
    if source._a.size < n:
        raise RuntimeError(f"masked_scatter: expected source to have at least {n} elements; got {source._a.size}")
    return _index.index_put(x, source.reshape(-1)[:n], key, False)


@method
def nonzero(input: Tensor, *, as_tuple: bool = False, out: Tensor | None = None) -> Any:
    """The indices of nonzero elements: one row each (n, ndim), or a tuple of one vector per dim.

    `out=`, an int64 tensor, receives the rows and is returned; RuntimeError with `as_tuple`.
    """
    if not as_tuple:
        return given("nonzero", _nonzero(input), out)
    if out is not None:
        raise RuntimeError("nonzero: does not support the out kwarg when as_tuple is True")
    return (input if input._a.ndim else input.reshape(1)).nonzero().unbind(1)


@method(out=True)
def take(input: Tensor, index: Tensor) -> Tensor:
    """input.flatten()[index], in the shape of `index`."""
    i = _indices("take", input, index)
    _in_range("take", i, input._a.size, 0, input, -input._a.size)
    return _index.index(input.reshape(-1), (i,))


@method(inplace=True)
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with its flattened elements at `index` set to (or increased by) those of `source`."""
    i = _indices("put", input, index)
    _in_range("put", i, input._a.size, 0, input, -input._a.size)
    if source._a.size != i.size:
        raise IndexError(
            message("put", "index and source must have the same number of elements", index=index, source=source)
        )
    return _index.index_put(input.reshape(-1), source.reshape(-1), (index.reshape(-1)._a,), accumulate).reshape(
        input._a.shape
    )


@method(out=True)
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Along `dim` (None: flattened), the elements that `indices` names; the other dims broadcast."""
    if dim is None:
        return take(input, indices.reshape(-1))
    d = check_dim("take_along_dim", dim, input._a.ndim)
    i = _indices("take_along_dim", input, indices, "indices")
    if i.ndim != input._a.ndim:
        raise RuntimeError(
            message(
                "take_along_dim",
                "input and indices must have the same number of dimensions",
                input=input,
                indices=indices,
            )
        )
    full = broadcast_shapes(
        tuple(1 if k == d else s for k, s in enumerate(input._a.shape)),
        tuple(1 if k == d else s for k, s in enumerate(i.shape)),
    )
    shape = [*full]
    shape[d] = i.shape[d]
    wide = [*full]
    wide[d] = input._a.shape[d]
    _in_range("take_along_dim", i, input._a.shape[d], d, input, -input._a.shape[d])
    return _index.gather(input.expand(*wide), d, indices.expand(*shape).contiguous()._a)


@method
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with its slice at `index` of `dim` replaced by `src`."""
    made = input.clone()
    made.select(dim, index).copy_(src)
    return made


@method(out=True)
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of `input` with the slice start:end:step of `dim` replaced by `src`."""
    made = input.clone()
    d = check_dim("slice_scatter", dim, input._a.ndim)
    made[(slice(None),) * d + (slice(start, end, step),)] = src
    return made


@method
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with a diagonal replaced by `src`."""
    made = input.clone()
    made.diagonal(offset, dim1, dim2).copy_(src)
    return made


def _fill(self: Tensor, value: Any) -> Tensor:
    """Every element set to `value` (a number or a 0-dim tensor); returns self."""
    if value.__class__ in TENSORS:
        if value._a.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value._a.ndim} dimensions."
            )
        return self.copy_(value)
    _inplace.check(self, "fill_")
    if self.device is CPU:
        try:
            self._a[...] = value if self.dtype.category >= 2 else np.asarray(value).astype(self._a.dtype)
        except ValueError:
            raise overlap(self) from None
        _inplace.bump(self)
    else:
        from ..kernels._pointwise import fill

        with on_device(self.device.index):
            if self._a.size:
                fill(self._a, value)
        _inplace.bump(self)
    if STATE.grad and (self._node is not None or self._view is not None):
        _inplace.rebase(self, None)
    return self


Tensor.fill_ = _fill  # type: ignore[attr-defined]
Tensor.zero_ = lambda self: _fill(self, 0)  # type: ignore[attr-defined]


def _fill_diagonal(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """The main diagonal set to `fill_value`; returns self."""
    a = self._a
    if a.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    n = min(a.shape)
    if wrap and a.ndim == 2:
        self.view(-1)[:: a.shape[1] + 1] = fill_value
    else:
        self[(np.arange(n),) * a.ndim] = fill_value
    return self


Tensor.fill_diagonal_ = _fill_diagonal  # type: ignore[attr-defined]
