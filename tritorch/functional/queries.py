"""Small questions to a tensor, and elementwise work by Python functions (apply_, map_)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import return_types
from ..binding import method
from ..device import CPU
from ..dtypes import int64
from ..errors import message
from ..kernels.frexp import frexp as _frexp
from ..tensor import Tensor, bump
from ._arguments import tensor
from .arrangement import repeat_interleave
from .joining import stack

__all__ = [
    "frexp", "get_device", "is_distributed", "is_inference", "is_neg", "is_nonzero", "is_same_size", "is_signed",
    "nonzero_static", "resolve_conj", "resolve_neg", "segment_reduce", "unravel_index",
]  # fmt: skip


@method
def is_nonzero(input: Tensor) -> bool:
    """Is the one element not zero; RuntimeError unless there is exactly one.

    >>> import tritorch as torch
    >>> torch.is_nonzero(torch.tensor([0.0]))
    False
    """
    return bool(tensor("is_nonzero", input))


@method
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Have both the same shape."""
    return input._a.shape == other._a.shape


def is_signed(input: Tensor) -> bool:
    """Has the dtype negative numbers."""
    return input.dtype.is_signed


def is_inference(input: Tensor) -> bool:
    """False: tensors made in inference mode are ordinary ones."""
    return False


@method
def is_neg(input: Tensor) -> bool:
    """False: no tensor has a negation that is still to be done."""
    return False


@method
def is_distributed(input: Tensor) -> bool:
    """False: a tensor lies on one device."""
    return False


def get_device(input: Tensor) -> int:
    """Index of the cuda device, -1 for the CPU."""
    return input.get_device()


def resolve_conj(input: Tensor) -> Tensor:
    """The tensor: conjugates are computed at once."""
    return input


def resolve_neg(input: Tensor) -> Tensor:
    """The tensor: negations are computed at once."""
    return input


@method
def dim_order(input: Tensor) -> tuple[int, ...]:
    """The dims from the outermost to the innermost in memory."""
    strides = input.stride()
    return tuple(sorted(range(input._a.ndim), key=lambda d: -strides[d]))


@method
def to_dense(input: Tensor, dtype: Any = None, *, masked_grad: bool = True) -> Tensor:
    """The tensor, in another dtype when asked for: all tensors are dense."""
    return input if dtype is None else input.to(dtype)  # type: ignore[attr-defined]


@method
def dense_dim(input: Tensor) -> int:
    """The number of dims: all are dense."""
    return input._a.ndim


@method
def sparse_dim(input: Tensor) -> int:
    """0: no dim is sparse."""
    return 0


Tensor.const_data_ptr = Tensor.data_ptr  # type: ignore[attr-defined]
Tensor.is_sparse_csr = False  # type: ignore[attr-defined]
for _name in ("is_ipu", "is_maia", "is_mtia", "is_vulkan", "is_xla"):
    setattr(Tensor, _name, False)


# ---- elementwise by Python


def _cpu_only(op: str, *tensors: Tensor) -> None:
    for t in tensors:
        if t.device is not CPU:
            raise TypeError(message(op, "is only implemented on CPU tensors", input=t))
        if t._node is not None:
            raise RuntimeError(message(op, "can't be called on a tensor that requires grad", input=t))


@method
def apply_(input: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replace each element by callable(element), a Python number; returns self. Slow; no gradient.

    >>> import tritorch as torch
    >>> torch.tensor([1.0, 2.0]).apply_(lambda v: v * 10)
    tensor([10., 20.])
    """
    _cpu_only("apply_", input)
    a = input._a
    a[...] = np.array([callable(v) for v in input.reshape((-1,)).tolist()]).reshape(a.shape)  # type: ignore[attr-defined]
    bump(input)
    return input


@method
def map_(input: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replace each element by callable(element, the other's element); returns self. Slow; no gradient."""
    return _mapped("map_", input, (tensor,), callable)


@method
def map2_(input: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """As `map_` with two further tensors."""
    return _mapped("map2_", input, (x, y), callable)


def _mapped(op: str, input: Tensor, others: tuple[Any, ...], function: Callable[..., Any]) -> Tensor:
    _cpu_only(op, input, *others)
    rows = [input.reshape((-1,)).tolist()]  # type: ignore[attr-defined]
    rows += [t.expand(input._a.shape).reshape((-1,)).tolist() for t in others]
    input._a[...] = np.array([function(*v) for v in zip(*rows, strict=True)]).reshape(input._a.shape)
    bump(input)
    return input


# ---- others


@method(out=True)
def frexp(input: Tensor) -> Any:
    """(mantissa, exponent): x = mantissa 2^exponent, 0.5 <= |mantissa| < 1; the gradient goes through the mantissa.

    >>> import tritorch as torch
    >>> torch.frexp(torch.tensor([8.0])).exponent
    tensor([4], dtype=torch.int32)
    """
    x: Any = tensor("frexp", input)
    if not x.dtype.is_floating_point:
        raise RuntimeError(message("frexp", "only supports floating-point dtypes", input=x))
    return return_types.frexp(*_frexp(x))  # type: ignore[attr-defined]


@method(out=True)
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first `size` rows of `nonzero`, filled up with `fill_value`."""
    if size < 0:
        raise RuntimeError(f"nonzero_static: size must be non-negative; got {size}")
    found: Any = input.nonzero()  # type: ignore[attr-defined]
    y = found.new_full((size, found.shape[1]), fill_value)
    n = min(size, found.shape[0])
    y[:n] = found[:n]
    return y


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The coordinates, one tensor per dim, of flat indices into a tensor of `shape`.

    >>> import tritorch as torch
    >>> torch.unravel_index(torch.tensor(5), (2, 3))
    (tensor(1), tensor(2))
    """
    x: Any = tensor("unravel_index", indices, "indices")
    if x.dtype.category != 1:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {x.dtype}")
    x = x.to(int64)
    sizes = (shape,) if isinstance(shape, int) else tuple(int(s) for s in shape)
    if any(s < 0 for s in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    steps = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
    return tuple((x // step) % n for step, n in zip(steps, sizes, strict=True))


_SEGMENT = {"sum": "sum", "mean": "sum", "max": "amax", "min": "amin", "prod": "prod"}


def segment_reduce(
    data: Tensor, reduce: str, *, lengths: Tensor | None = None, indices: Tensor | None = None,
    offsets: Tensor | None = None, axis: int = 0, unsafe: bool = False, initial: float | None = None,
) -> Tensor:  # fmt: skip
    """Reduce consecutive pieces of `data` along its first dim.

    Arguments:
        reduce: "sum", "mean", "max", "min" or "prod".
        lengths: the pieces' sizes, 1-D, or offsets: their starts and the end of the last.
        unsafe: do not check that they add up, which on cuda means to read two numbers.
        initial: joins each reduction, and is the value of an empty piece.
    """
    if reduce not in _SEGMENT:
        raise RuntimeError(f"segment_reduce: reduce must be one of {', '.join(_SEGMENT)}; got {reduce!r}")
    if axis != 0 or indices is not None or (lengths is None) == (offsets is None):
        raise RuntimeError("segment_reduce: takes axis=0 and lengths or offsets")
    ends: Any = offsets.diff() if lengths is None else lengths  # type: ignore[union-attr]
    if ends.dim() != 1:
        raise NotImplementedError(message("segment_reduce", "lengths must be 1-D", lengths=ends))
    x: Any = data
    n, pieces, rest = x.shape[0], ends.shape[0], (1,) * (x.dim() - 1)
    if not unsafe:
        total, least = stack([ends.sum(), ends.amin()]).tolist() if pieces else (0, 0)
        if least < 0 or total != n:
            raise RuntimeError(
                message("segment_reduce", "lengths must add up to the size of dim 0", data=data, lengths=ends)
            )
    piece = repeat_interleave(ends, output_size=n).reshape((n, *rest)).expand(x.shape)  # type: ignore[attr-defined]
    start = {"sum": 0.0, "mean": 0.0, "max": -math.inf, "min": math.inf, "prod": 1.0}[reduce]
    made = x.new_full((pieces, *x.shape[1:]), start if initial is None else initial)
    if reduce != "mean":
        return made.scatter_reduce(0, piece, x, _SEGMENT[reduce])
    counts = ends.reshape((pieces, *rest))
    mean = made.scatter_add(0, piece, x) / counts.clamp_min(1).to(x.dtype)
    return mean.masked_fill(counts == 0, math.nan if initial is None else initial)


def _prelu(self: Tensor, weight: Tensor) -> Tensor:
    """As `torch.prelu`."""
    from .. import prelu  # type: ignore[attr-defined]

    return prelu(self, weight)


def _hardshrink(self: Tensor, lambd: float = 0.5) -> Tensor:
    """As `torch.nn.functional.hardshrink`."""
    from .. import hardshrink  # type: ignore[attr-defined]

    return hardshrink(self, lambd)


Tensor.prelu, Tensor.hardshrink = _prelu, _hardshrink  # type: ignore[attr-defined]
