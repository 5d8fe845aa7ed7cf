"""From a list of samples to one batch: `default_collate`, `default_convert` and the table that extends them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from tritorch.device import CPU
from tritorch.dtypes import float64
from tritorch.functional.conversion import as_tensor, tensor
from tritorch.functional.joining import stack
from tritorch.tensor import Tensor, wrap

CollateTable = dict[Any, Callable[..., Any]]


def collate(batch: Sequence[Any], *, collate_fn_map: CollateTable | None = None) -> Any:
    """Collate by the table, and containers (mappings, named tuples, sequences) by their elements.

    Args:
        batch: the samples, all of the type of the first.
        collate_fn_map: type or tuple of types -> `fn(batch, *, collate_fn_map)`; the exact type is looked up first,
            then each entry in order by `isinstance`.

    Raises:
        RuntimeError: sequences of different lengths, tensors of different shapes.
        TypeError: a type that neither the table nor the rules for containers know.
    """
    first = batch[0]
    cls = first.__class__
    if collate_fn_map is not None:
        known = collate_fn_map.get(cls)
        if known is None:
            known = next((fn for kind, fn in collate_fn_map.items() if isinstance(first, kind)), None)
        if known is not None:
            return known(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        columns = {k: collate([d[k] for d in batch], collate_fn_map=collate_fn_map) for k in first}
        return _mapping_like(first, columns)
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return cls(*(collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        size = len(first)
        if any(len(sample) != size for sample in batch):
            raise RuntimeError(
                "default_collate: each element in list of batch should be of equal size; "
                f"got sizes {sorted({len(sample) for sample in batch})}"
            )
        columns = [collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch, strict=True)]
        return columns if isinstance(first, tuple) else _sequence_like(first, columns)
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {cls}; pass a collate_fn that handles it"
    )


def _mapping_like(first: Mapping, columns: dict) -> Any:
    """`columns` in a mapping of the type of `first`, which may carry more than its items; a dict where that fails."""
    if first.__class__ is dict:
        return columns
    try:
        if isinstance(first, MutableMapping):
            clone = copy.copy(first)
            clone.update(columns)
            return clone
        return first.__class__(columns)  # type: ignore[call-arg]
    except TypeError:
        return columns


def _sequence_like(first: Sequence, columns: list) -> Any:
    """`columns` in a sequence of the type of `first`; a list where that fails."""
    if first.__class__ is list:
        return columns
    try:
        if isinstance(first, MutableSequence):
            clone = copy.copy(first)
            for i, column in enumerate(columns):
                clone[i] = column
            return clone
        return first.__class__(columns)  # type: ignore[call-arg]
    except TypeError:
        return columns


def _stack_arrays(arrays: list[np.ndarray]) -> np.ndarray | None:
    """`np.stack`, at a fraction of its cost per array; None unless shapes and dtypes are all the same."""
    first = arrays[0]
    shape, dtype = first.shape, first.dtype
    for a in arrays:
        if a.shape != shape or a.dtype is not dtype:
            return None
    if not shape:
        return np.array([a.item() for a in arrays], dtype)
    out = np.empty((len(arrays) * shape[0], *shape[1:]), dtype)
    np.concatenate(arrays, out=out)
    return out.reshape(len(arrays), *shape)


def collate_tensors(batch: Sequence[Tensor], *, collate_fn_map: CollateTable | None = None) -> Tensor:
    """`stack(batch)`."""
    arrays = [t._a for t in batch if t._node is None and t.device is CPU]
    if len(arrays) == len(batch):
        stacked = _stack_arrays(arrays)
        if stacked is not None:
            return wrap(stacked)
    return stack(list(batch))


def collate_arrays(batch: Sequence[np.ndarray], *, collate_fn_map: CollateTable | None = None) -> Any:
    """NumPy arrays become one tensor; TypeError for arrays of strings or objects."""
    if batch[0].dtype.kind in "OSU":
        raise TypeError(f"default_collate: batch must contain numeric arrays; found dtype {batch[0].dtype}")
    return collate([as_tensor(a) for a in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalars(batch: Sequence[Any], *, collate_fn_map: CollateTable | None = None) -> Tensor:
    """NumPy scalars become a tensor of their own type."""
    return as_tensor(np.asarray(batch))


def collate_floats(batch: Sequence[float], *, collate_fn_map: CollateTable | None = None) -> Tensor:
    """Python floats become float64, as in PyTorch."""
    return tensor(batch, dtype=float64)


def collate_ints(batch: Sequence[int], *, collate_fn_map: CollateTable | None = None) -> Tensor:
    """Python ints become int64, bools bool."""
    return tensor(batch)


def collate_text(batch: Sequence[Any], *, collate_fn_map: CollateTable | None = None) -> Sequence[Any]:
    """Strings and bytes stay a list."""
    return batch


default_collate_fn_map: CollateTable = {
    Tensor: collate_tensors,
    np.ndarray: collate_arrays,
    (np.bool_, np.number, np.object_): collate_numpy_scalars,
    float: collate_floats,
    int: collate_ints,
    str: collate_text,
    bytes: collate_text,
}


def default_collate(batch: Sequence[Any]) -> Any:
    """Put samples together into a batch with a new first dim.

    Tensors and NumPy arrays are stacked; floats become a float64 tensor, ints int64; strings and bytes stay a list;
    mappings, named tuples and sequences are collated element by element (a plain tuple gives a list).
    `default_collate_fn_map` may be extended with further types.

    Args:
        batch: list of samples of one type.

    Raises:
        RuntimeError: shapes or lengths differ within the batch.
        TypeError: a type that cannot be collated.

    >>> default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ('a', 'b')]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def default_convert(data: Any) -> Any:
    """NumPy arrays and scalars within `data` become tensors, containers keep their type; the rest stays as it is.

    >>> import numpy as np
    >>> default_convert({"x": np.zeros(2), "y": "text"})
    {'x': tensor([0., 0.], dtype=torch.float64), 'y': 'text'}
    """
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        if data.dtype.kind in "OSU":
            return data
        return as_tensor(data)
    if isinstance(data, Mapping):
        return _mapping_like(data, {k: default_convert(data[k]) for k in data})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return data.__class__(*(default_convert(d) for d in data))
    if isinstance(data, tuple):
        return [default_convert(d) for d in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _sequence_like(data, [default_convert(d) for d in data])
    return data
