"""Sequences of unequal length: padded tensors, packed tensors, and the ways between them.

A packed sequence holds, one after the other, the elements of all sequences at step 0, at step 1, ..., the sequences in
order of falling length; `batch_sizes[t]` of them reach step t.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ...errors import message
from ...functional import as_tensor, cat, empty_like, from_numpy, full, sort, stack
from ...tensor import Tensor

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
    "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """Sequences of unequal length in one tensor without padding; made by `pack_sequence` and `pack_padded_sequence`.

    Attributes:
        data: `(sum of lengths, *)`.
        batch_sizes: int64 on the CPU, how many sequences reach each step.
        sorted_indices: the order by falling length in which the sequences stand, None for the order given.
        unsorted_indices: the way back.

    >>> import tritorch as torch
    >>> from tritorch.nn.utils.rnn import pack_sequence
    >>> pack_sequence([torch.tensor([1, 2, 3]), torch.tensor([4, 5])]).data
    tensor([1, 4, 2, 5, 3])
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            data, batch_sizes = data
        if batch_sizes.device.type != "cpu":  # type: ignore[union-attr]
            raise ValueError(message("PackedSequence", "batch_sizes should always be on CPU", batch_sizes=batch_sizes))
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)  # type: ignore[arg-type]

    def _moved(self, move: Callable[[Tensor], Tensor]) -> PackedSequence:
        data = move(self.data)
        if data is self.data:
            return self
        places = [None if t is None else t.to(data.device) for t in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *places)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """`data.to(...)`, the indices on the same device; itself when nothing changes."""
        return self._moved(lambda t: t.to(*args, **kwargs))

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """A copy on a cuda device."""
        return self._moved(lambda t: t.cuda(*args, **kwargs))

    def cpu(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """A copy on the CPU."""
        return self._moved(lambda t: t.cpu(*args, **kwargs))

    def double(self) -> PackedSequence:
        """`data` as float64."""
        return self._moved(lambda t: t.double())

    def float(self) -> PackedSequence:
        """`data` as float32."""
        return self._moved(lambda t: t.float())

    def half(self) -> PackedSequence:
        """`data` as float16."""
        return self._moved(lambda t: t.half())

    def long(self) -> PackedSequence:
        """`data` as int64."""
        return self._moved(lambda t: t.long())

    def int(self) -> PackedSequence:
        """`data` as int32."""
        return self._moved(lambda t: t.int())

    def short(self) -> PackedSequence:
        """`data` as int16."""
        return self._moved(lambda t: t.short())

    def char(self) -> PackedSequence:
        """`data` as int8."""
        return self._moved(lambda t: t.char())

    def byte(self) -> PackedSequence:
        """`data` as uint8."""
        return self._moved(lambda t: t.byte())

    @property
    def is_cuda(self) -> bool:
        """Is `data` on a cuda device."""
        return self.data.is_cuda

    def is_pinned(self) -> bool:
        """Is `data` in pinned memory."""
        return self.data.is_pinned()

    def pin_memory(self) -> PackedSequence:
        """A copy in pinned memory."""
        return self._moved(lambda t: t.pin_memory())


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes this one; None for None.

    >>> import tritorch as torch
    >>> torch.nn.utils.rnn.invert_permutation(torch.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    order = permutation.detach().cpu().numpy()
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    return empty_like(permutation).copy_(from_numpy(inverse))


def _rows(batch_sizes: np.ndarray, batch: int) -> np.ndarray:
    """Where the packed rows stand in a time-major padded tensor `(time, batch)`, flattened."""
    return np.concatenate([t * batch + np.arange(n) for t, n in enumerate(batch_sizes)])


def _index(rows: np.ndarray, like: Tensor) -> Tensor:
    return from_numpy(np.ascontiguousarray(rows, np.int64)).to(like.device)


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a padded batch.

    Args:
        input: `(T, N, *)`, with `batch_first` `(N, T, *)`.
        lengths: `(N)`, a list or a tensor on the CPU, each from 1 to T.
        batch_first: the layout of `input`. Default: False.
        enforce_sorted: `lengths` must fall; with False the batch is sorted here. Default: True.

    Raises:
        RuntimeError: lengths not falling with `enforce_sorted`, not positive, longer than T, or not N of them.

    >>> import tritorch as torch
    >>> x = torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    >>> torch.nn.utils.rnn.pack_padded_sequence(x, [2, 1, 3], batch_first=True, enforce_sorted=False).data
    tensor([4, 1, 3, 5, 2, 6])
    """
    op = "pack_padded_sequence"
    lengths = lengths if isinstance(lengths, Tensor) else as_tensor(lengths)
    if lengths.device.type != "cpu":
        raise RuntimeError(message(op, "'lengths' argument should be a 1D CPU int64 tensor", lengths=lengths))
    lens = lengths.detach().numpy().astype(np.int64)
    x = input.transpose(0, 1) if batch_first else input
    steps, batch = x.shape[:2]
    if lens.shape != (batch,):
        raise RuntimeError(message(op, f"Expected `len(lengths)` to be equal to batch_size {batch}", lengths=lengths))
    if (lens <= 0).any():
        raise RuntimeError(f"{op}: Length of all samples has to be greater than 0; got lengths: {lens.tolist()}")
    order = None
    if not enforce_sorted:
        descending, order = sort(from_numpy(lens), descending=True)
        lens = descending.numpy()
        order = order.to(input.device)
        x = x.index_select(1, order)
    elif (lens[1:] > lens[:-1]).any():
        raise RuntimeError(
            f"{op}: `lengths` array must be sorted in decreasing order when `enforce_sorted` is True; "
            f"pass enforce_sorted=False to have it sorted; got {lens.tolist()}"
        )
    if lens[0] > steps:
        raise RuntimeError(f"{op}: Expected lengths up to {steps}, the input's; got {lens.tolist()}")
    sizes = (lens[None, :] > np.arange(lens[0])[:, None]).sum(1)
    flat = x.reshape((steps * batch, *x.shape[2:]))
    data = flat.index_select(0, _index(_rows(sizes, batch), flat))
    return PackedSequence(data, from_numpy(sizes.astype(np.int64)), order, None)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The padded batch and the lengths of a packed one, in the order in which the sequences were given.

    Args:
        sequence: the packed batch.
        batch_first: give `(N, T, *)` instead of `(T, N, *)`. Default: False.
        padding_value: default 0.
        total_length: T. Default: the longest length.

    Raises:
        ValueError: `total_length` is shorter than the longest sequence.

    >>> import tritorch as torch
    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])])
    >>> torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2],
            [3, 0]]), tensor([2, 1]))
    """
    sizes = sequence.batch_sizes.numpy()
    steps, batch = len(sizes), int(sizes[0])
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                "pad_packed_sequence: Expected total_length to be at least the length of the longest sequence in "
                f"input, but got total_length={total_length} and max sequence length being {steps}"
            )
        steps = total_length
    data = sequence.data
    rest = tuple(data.shape[1:])
    out = full((steps * batch, *rest), padding_value, dtype=data.dtype, device=data.device)
    out = out.index_copy(0, _index(_rows(sizes, batch), data), data).reshape((steps, batch, *rest))
    lengths = from_numpy((sizes[:, None] > np.arange(batch)[None, :]).sum(0).astype(np.int64))
    back = sequence.unsorted_indices
    if back is not None:
        out, lengths = out.index_select(1, back), lengths[back.cpu()]
    return out.transpose(0, 1) if batch_first else out, lengths


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Tensors `(L_i, *)` of unequal length as one, `(T, N, *)` or with `batch_first` `(N, T, *)`.

    Args:
        sequences: a list of tensors.
        batch_first: default False.
        padding_value: default 0.
        padding_side: "right" or "left". Default: "right".

    Raises:
        RuntimeError: nothing to pad, dims after the first that differ, or an unknown side.

    >>> import tritorch as torch
    >>> torch.nn.utils.rnn.pad_sequence([torch.tensor([1, 2]), torch.tensor([3])], batch_first=True)
    tensor([[1, 2],
            [3, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence: Expected iterable for input sequences; got {type(sequences).__name__}")
    if padding_side not in ("right", "left"):
        raise RuntimeError(f"pad_sequence: Expected padding_side to be one of left or right, but got {padding_side}.")
    tensors = list(sequences)
    if not tensors:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    rest = tuple(tensors[0].shape[1:])
    for i, t in enumerate(tensors):
        if tuple(t.shape[1:]) != rest:
            raise RuntimeError(
                message(
                    "pad_sequence", f"dims after the first must agree in all sequences, {rest}", **{f"sequence {i}": t}
                )
            )
    longest = max(t.shape[0] for t in tensors)
    rows = []
    for t in tensors:
        gap = longest - t.shape[0]
        if gap:
            filler = full((gap, *rest), padding_value, dtype=t.dtype, device=t.device)
            t = cat([t, filler] if padding_side == "right" else [filler, t], 0)
        rows.append(t)
    return stack(rows, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The tensors of unequal length that `pad_sequence` joined.

    >>> import tritorch as torch
    >>> torch.nn.utils.rnn.unpad_sequence(torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    x = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [x[i][: int(n)] for i, n in enumerate(lengths.tolist())]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack tensors `(L_i, *)`; with `enforce_sorted` (default True) their lengths must fall.

    >>> import tritorch as torch
    >>> torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]).batch_sizes
    tensor([2, 1])
    """
    lengths = [t.shape[0] for t in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The tensors of unequal length that `pack_sequence` packed.

    >>> import tritorch as torch
    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])])
    >>> torch.nn.utils.rnn.unpack_sequence(packed)
    [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
