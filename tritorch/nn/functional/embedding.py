"""Embedding tables: rows by index, sums over bags of rows, one-hot vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import functional
from ...autograd.apply import mixed_devices
from ...autograd.modes import no_grad
from ...device import CPU
from ...dtypes import int32, int64
from ...errors import message
from ...kernels import embedding as kernels
from ...kernels._index_range import out_of_range
from ...tensor import Tensor, wrap

__all__ = ["embedding", "embedding_bag", "one_hot"]


def _indices(op: str, input: Tensor, weight: Tensor) -> Tensor:
    """input as int64, checked."""
    if input.dtype is not int64 and input.dtype is not int32:
        raise RuntimeError(
            message(op, "Expected tensor for argument 'indices' to have one of the scalar types Long, Int", input=input)
        )
    if weight._a.ndim != 2:
        raise RuntimeError(message(op, "'weight' must be 2-D", weight=weight))
    if input.device is not weight.device:
        raise mixed_devices(op, ("input", "weight"), (input, weight))
    rows = weight._a.shape[0]
    bad = out_of_range(input._a, rows)
    if bad is not None:
        kind = RuntimeError if op == "embedding_bag" else IndexError
        raise kind(f"{op}: index out of range: weight has {rows} rows; got index {bad}")
    return input if input.dtype is int64 else input.long()


def _padding(op: str, padding_idx: int | None, rows: int) -> int:
    if padding_idx is None:
        return -1
    if not -rows <= padding_idx < rows:
        kind = RuntimeError if op == "embedding_bag" else AssertionError
        raise kind(f"{op}: padding_idx must be within num_embeddings {rows}; got {padding_idx}")
    return padding_idx % rows


def _renorm_(weight: Tensor, index: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale the rows in use down to max_norm, in place and without history."""
    with no_grad():
        used = functional.unique(index.reshape((-1,)))
        rows = weight.detach().index_select(0, used)
        norms = rows.norm(norm_type, 1, keepdim=True)
        scale = functional.where(norms > max_norm, max_norm / (norms + 1e-7), functional.ones_like(norms))
        weight.index_copy_(0, used, rows * scale)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[input]: a row of the table for each index.

    Args:
        input: any shape, int64 or int32.
        weight: (V, D).
        padding_idx: this row gets no gradient; default None.
        max_norm: rows in use are scaled down in place to this norm; default None.
        norm_type: exponent of that norm; default 2.
        scale_grad_by_freq: divide a row's gradient by how often it was used; default False.
        sparse: only False; gradients are dense.

    Raises:
        IndexError: an index is no row (on a GPU under TRITORCH_SYNC=1; else the row is NaN).
        RuntimeError: input is not of an index dtype, weight is no matrix.
        NotImplementedError: sparse.

    >>> import tritorch as torch
    >>> torch.nn.functional.embedding(torch.tensor([1, 0]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    if sparse:
        raise NotImplementedError("embedding: sparse gradients are not supported; use sparse=False")
    index = _indices("embedding", input, weight)
    padding = _padding("embedding", padding_idx, weight._a.shape[0])
    if max_norm is not None:
        _renorm_(weight, index, max_norm, norm_type)
    return kernels.embedding(weight, index, padding, scale_grad_by_freq)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sum, mean or maximum of the rows of each bag of indices; an empty bag gives zeros.

    Args:
        input: (B, L): each row a bag, or (N,) cut into bags by offsets; int64 or int32.
        weight: (V, D).
        offsets: (B,) starts of the bags, for 1-dim input.
        max_norm, norm_type, scale_grad_by_freq, sparse: as `embedding`.
        mode: "sum", "mean" (default) or "max".
        per_sample_weights: factors of input's shape, for mode "sum".
        include_last_offset: offsets end with N; default False.
        padding_idx: entries that are left out of their bag; default None.

    Raises:
        ValueError: unknown mode; sizes do not fit.
        RuntimeError: an index, `padding_idx` or the ends of `offsets` out of range.
        NotImplementedError: per_sample_weights with another mode than "sum"; sparse.

    >>> import tritorch as torch
    >>> torch.nn.functional.embedding_bag(torch.tensor([[0, 1]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 3.]])
    """
    op = "embedding_bag"
    if mode not in ("sum", "mean", "max"):
        raise ValueError(message(op, "mode has to be one of sum, mean or max", mode=mode))
    if sparse:
        raise NotImplementedError(f"{op}: sparse gradients are not supported; use sparse=False")
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(
                f"{op}: per_sample_weights was not None, but it is only supported for mode='sum'; got mode={mode!r}"
            )
        if per_sample_weights.shape != input.shape:
            raise ValueError(
                message(
                    op,
                    "per_sample_weights must have the shape of input",
                    per_sample_weights=per_sample_weights,
                    input=input,
                )
            )
    if mode == "max" and scale_grad_by_freq:
        raise RuntimeError(f"{op}: max mode does not support scaling the gradient by the frequency")
    index = _indices(op, input, weight)
    padding = _padding(op, padding_idx, weight.shape[0])
    if index.ndim == 2:
        if offsets is not None:
            raise ValueError(
                f"{op}: if input is 2D, then offsets has to be None, as input is treated as a mini-batch of bags"
            )
        bags, length = index.shape
        bag = functional.arange(bags, device=index.device).repeat_interleave(length)
        index = index.reshape((-1,))
        factors = None if per_sample_weights is None else per_sample_weights.reshape((-1,))
    elif index.ndim == 1:
        bags, bag = _bags(op, index, offsets, include_last_offset)
        factors = per_sample_weights
    else:
        raise ValueError(message(op, "input has to be 1D or 2D Tensor", input=input))
    if max_norm is not None:
        _renorm_(weight, index, max_norm, norm_type)
    if padding >= 0:
        kept = (index != padding).nonzero().reshape((-1,))
        index, bag = index.index_select(0, kept), bag.index_select(0, kept)
        factors = None if factors is None else factors.index_select(0, kept)
    rows = kernels.embedding(weight, index, -1, scale_grad_by_freq)
    if mode == "max":
        return _largest(rows, bag, bags)
    if factors is not None:  # the products of half precision are summed as float32
        rows, factors = (t.float() if t.dtype.is_half else t for t in (rows, factors))
        rows = rows * factors.unsqueeze(1)
    total = kernels.embedding_grad(rows, bag, bags, -1, False).to(weight.dtype)
    if mode == "sum":
        return total
    count = _count(bag, bags).clamp_min(1).to(total.dtype)
    return total / count.unsqueeze(1)


def _bags(op: str, index: Tensor, offsets: Tensor | None, include_last_offset: bool) -> tuple[int, Tensor]:
    """How many bags there are, and the bag of each entry."""
    if offsets is None:
        raise ValueError(f"{op}: offsets has to be a 1D Tensor but got None")
    if offsets.ndim != 1:
        raise ValueError(message(op, "offsets has to be a 1D Tensor", offsets=offsets))
    n = index.shape[0]
    if offsets.device.type == "cpu" and offsets.shape[0]:  # of those on a device nobody waits for a look
        first, last = int(offsets[0]), int(offsets[-1])
        if first != 0:
            raise RuntimeError(
                f"{op}: offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0; "
                f"got {first}"
            )
        if last > n:
            raise RuntimeError(f"{op}: offsets[-1] can not be greater than input's length {n}; got {last}")
    ends = offsets[1:]
    if not include_last_offset:
        ends = functional.cat([ends, offsets.new_full((min(1, offsets.shape[0]),), n)])
    bags = ends.shape[0]
    lengths = (ends - offsets[:bags]).to(index.device)
    return bags, functional.repeat_interleave(lengths, output_size=None if lengths.device.type == "cpu" else n)


def _count(bag: Tensor, bags: int) -> Tensor:
    """How many entries each bag has."""
    return functional.zeros(bags, dtype=bag.dtype, device=bag.device).scatter_add(0, bag, functional.ones_like(bag))


def _largest(rows: Tensor, bag: Tensor, bags: int) -> Tensor:
    """Maximum over the entries of each bag: entries are laid out (B, longest), short bags filled with -inf."""
    count = _count(bag, bags)
    longest = int(count.max()) if bags else 0
    if longest == 0:
        return rows.new_zeros((bags, rows.shape[1]))
    first = count.cumsum(0) - count
    place = functional.arange(bag.shape[0], device=bag.device) - first.index_select(0, bag)
    slot = functional.zeros((bags, longest), dtype=bag.dtype, device=bag.device)
    slot[bag, place] = functional.arange(bag.shape[0], device=bag.device)
    filled = functional.arange(longest, device=bag.device).unsqueeze(0) < count.unsqueeze(1)
    spread = kernels.embedding(rows, slot, -1, False).masked_fill(~filled.unsqueeze(2), float("-inf"))
    top = spread.max(1)[0]
    return top.masked_fill((count == 0).unsqueeze(1), 0.0)


def one_hot(tensor: Tensor, num_classes: Any = -1) -> Tensor:
    """int64 vectors with a 1 at the index and 0 elsewhere: (...) -> (..., num_classes).

    Args:
        tensor: any shape, int64, not negative.
        num_classes: -1 (default) for the largest index + 1.

    Raises:
        RuntimeError: another dtype; an index is negative or not below num_classes; no classes are known.

    >>> import tritorch as torch
    >>> torch.nn.functional.one_hot(torch.tensor([1, 0]), 3)
    tensor([[0, 1, 0],
            [1, 0, 0]])
    """
    if tensor.dtype is not int64:
        raise RuntimeError(
            message("one_hot", "one_hot is only applicable to index tensor of type LongTensor", tensor=tensor)
        )
    if not tensor._a.size:
        if num_classes <= 0:
            raise RuntimeError("one_hot: Can not infer total number of classes from empty tensor.")
        return functional.zeros((*tensor.shape, num_classes), dtype=tensor.dtype, device=tensor.device)
    if num_classes == -1:
        if int(tensor.min()) < 0:
            raise RuntimeError("one_hot: Class values must be non-negative.")
        num_classes = int(tensor.max()) + 1
    elif num_classes < 1:
        raise RuntimeError(f"one_hot: num_classes should be positive; got {num_classes}")
    else:
        wrong = out_of_range(tensor._a, num_classes)
        if wrong is not None and wrong < 0:
            raise RuntimeError("one_hot: Class values must be non-negative.")
        if wrong is not None:
            raise RuntimeError(f"one_hot: Class values must be smaller than num_classes {num_classes}; got {wrong}")
    if tensor.device is CPU:
        y = np.zeros((*tensor._a.shape, num_classes), np.int64)
        ones = np.arange(0, y.size, num_classes)
        ones += tensor._a.reshape(-1)
        y.reshape(-1)[ones] = 1
        return wrap(y)
    classes = functional.arange(num_classes, device=tensor.device)
    return (tensor.unsqueeze(-1) == classes).long()
