"""Datasets: by index (`Dataset`) or as a stream (`IterableDataset`), and ways to combine and split them."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from tritorch.device import CPU
from tritorch.functional.random import randperm
from tritorch.tensor import Tensor, wrap

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """A map from index to sample: a subclass defines `__getitem__`, and `__len__` for the default samplers.

    A subclass may also define `__getitems__(indices)`, which returns the list of samples of a whole batch.
    `a + b` is `ConcatDataset([a, b])`.

    >>> class Squares(Dataset):
    ...     def __getitem__(self, i): return i * i
    ...     def __len__(self): return 4
    >>> (Squares() + Squares())[5]
    1
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__}: a subclass of Dataset must define __getitem__")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co], Iterable[T_co]):
    """A stream of samples: a subclass defines `__iter__`.

    With worker processes each one iterates over its own copy, so `__iter__` (or `worker_init_fn`) must split the work
    by `get_worker_info()`, or every sample comes once per worker. `a + b` is `ChainDataset([a, b])`.

    >>> class Count(IterableDataset):
    ...     def __iter__(self): return iter(range(3))
    >>> list(Count() + Count())
    [0, 1, 2, 0, 1, 2]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__}: a subclass of IterableDataset must define __iter__")

    def __add__(self, other: Dataset) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Samples are tuples of rows: `dataset[i] == (tensors[0][i], tensors[1][i], ...)`.

    Args:
        *tensors: tensors with the same size in dim 0.

    Raises:
        AssertionError: sizes in dim 0 differ.

    >>> import tritorch as torch
    >>> TensorDataset(torch.arange(4), torch.arange(4) * 10)[2]
    (tensor(2), tensor(20))
    """

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Tensor):
        sizes = [len(t) for t in tensors]
        if len(set(sizes)) > 1:
            raise AssertionError(f"TensorDataset: Size mismatch between tensors: sizes in dim 0 are {sizes}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple([t[index] for t in self.tensors])

    def __len__(self) -> int:
        return len(self.tensors[0])

    def _gather(self, indices: Sequence[int]) -> list[Tensor] | None:
        """`default_collate([self[i] for i in indices])` with one copy per tensor; None where that is not the same."""
        if type(self).__getitem__ is not TensorDataset.__getitem__:
            return None
        rows = np.asarray(indices)
        if rows.dtype.kind != "i":
            return None
        for t in self.tensors:
            if t._node is not None or t.device is not CPU or t.__class__ is not Tensor:
                return None
        return [wrap(t._a.take(rows, 0)) for t in self.tensors]


class StackDataset(Dataset):
    """Several datasets side by side: a sample is the tuple (or, with keywords, the dict) of their samples.

    Args:
        *args: datasets of equal length, for tuples; or
        **kwargs: datasets of equal length, for dicts.

    Raises:
        ValueError: both forms, none, or lengths that differ.

    >>> StackDataset(x=[1, 2], y=["a", "b"])[1]
    {'x': 2, 'y': 'b'}
    """

    datasets: tuple | dict

    def __init__(self, *args: Any, **kwargs: Any):
        if args and kwargs:
            raise ValueError("StackDataset: give datasets as arguments (tuples) or as keywords (dicts), not both")
        if not args and not kwargs:
            raise ValueError("StackDataset: At least one dataset should be passed")
        self.datasets = args or kwargs
        sizes = [len(d) for d in self._parts()]
        if len(set(sizes)) > 1:
            raise ValueError(f"StackDataset: Size mismatch between datasets: lengths are {sizes}")
        self._length = sizes[0]

    def _parts(self) -> list[Any]:
        return list(self.datasets.values() if isinstance(self.datasets, dict) else self.datasets)

    def __getitem__(self, index: Any) -> tuple | dict:
        if isinstance(self.datasets, dict):
            return {k: d[index] for k, d in self.datasets.items()}
        return tuple([d[index] for d in self.datasets])

    def __getitems__(self, indices: list) -> list:
        columns = [_items(d, indices) for d in self._parts()]
        for d, column in zip(self._parts(), columns, strict=True):
            if len(column) != len(indices):
                raise ValueError(
                    f"StackDataset: Nested dataset's output size mismatch: {type(d).__name__}.__getitems__ gave "
                    f"{len(column)} samples for {len(indices)} indices"
                )
        rows = zip(*columns, strict=True)
        if isinstance(self.datasets, dict):
            return [dict(zip(self.datasets, row, strict=True)) for row in rows]
        return list(rows)

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T_co]):
    """Datasets one after the other.

    Args:
        datasets: map-style datasets, at least one.

    >>> ConcatDataset([[1, 2], [3, 4, 5]])[-1]
    5
    """

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset: datasets should not be an empty iterable")
        for d in self.datasets:
            if isinstance(d, IterableDataset):
                raise AssertionError("ConcatDataset does not support IterableDataset; use ChainDataset")
        self.cumulative_sizes: list[int] = list(itertools.accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T_co:
        if index < 0:
            if -index > len(self):
                raise ValueError(
                    "ConcatDataset: absolute value of index should not exceed dataset length; "
                    f"got index: {index}, length: {len(self)}"
                )
            index += len(self)
        part = bisect.bisect_right(self.cumulative_sizes, index)
        if part == len(self.datasets):
            raise IndexError(f"ConcatDataset: index {index} is out of range for length {len(self)}")
        return self.datasets[part][index - (self.cumulative_sizes[part - 1] if part else 0)]


class ChainDataset(IterableDataset):
    """Streams one after the other.

    Args:
        datasets: iterable of `IterableDataset`s; it may itself be made on the fly.
    """

    def __init__(self, datasets: Iterable[Dataset]):
        self.datasets = datasets

    def _streams(self) -> Iterator[IterableDataset]:
        for d in self.datasets:
            if not isinstance(d, IterableDataset):
                raise AssertionError(f"ChainDataset only supports IterableDataset; got {type(d).__name__}")
            yield d

    def __iter__(self) -> Iterator:
        for d in self._streams():
            yield from d

    def __len__(self) -> int:
        return sum(len(d) for d in self._streams())  # type: ignore[arg-type]


class Subset(Dataset[T_co]):
    """The samples of `dataset` at `indices`.

    A subclass that overrides `__getitem__` must override `__getitems__` as well, as in PyTorch.

    >>> list(Subset("abcdef", [5, 0]))
    ['f', 'a']
    """

    def __init__(self, dataset: Any, indices: Sequence[int]):
        cls = type(self)
        if cls.__getitem__ is not Subset.__getitem__ and cls.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{cls.__name__} overrides __getitem__ but not __getitems__, which DataLoader calls: define\n"
                "def __getitems__(self, indices):\n    return [self[i] for i in indices]"
            )
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[T_co]:
        return _items(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)

    def _gather(self, indices: Sequence[int]) -> list[Tensor] | None:
        gather = getattr(self.dataset, "_gather", None)
        if gather is None or type(self).__getitems__ is not Subset.__getitems__:
            return None
        return gather([self.indices[i] for i in indices])


def _items(dataset: Any, indices: list) -> list:
    """The samples at `indices`, by the dataset's own `__getitems__` where it has one."""
    getitems = getattr(dataset, "__getitems__", None)
    return [dataset[i] for i in indices] if getitems is None else getitems(indices)


def random_split(dataset: Any, lengths: Sequence[int | float], generator: Any = None) -> list[Subset]:
    """Split into subsets of the given lengths at random, without overlap.

    Args:
        dataset: map-style dataset of length n.
        lengths: ints that sum to n, or fractions that sum to 1: each part gets floor(n * fraction), and what is left
            goes to the parts in turn, one each.
        generator: `Generator` of the permutation; the default one for None.

    Raises:
        ValueError: the lengths do not sum to n, or a fraction is outside [0, 1].

    >>> import tritorch as torch
    >>> a, b = random_split(range(10), [0.7, 0.3], generator=torch.Generator().manual_seed(0))
    >>> a.indices, b.indices
    ([4, 1, 7, 5, 3, 9, 0], [8, 6, 2])
    """
    n = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        for i, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"random_split: Fraction at index {i} is not between 0 and 1; got {fraction}")
        parts = [math.floor(n * fraction) for fraction in lengths]
        for i in range(n - sum(parts)):
            parts[i % len(parts)] += 1
        for i, part in enumerate(parts):
            if part == 0:
                warnings.warn(
                    f"random_split: Length of split at index {i} is 0: an empty dataset", UserWarning, stacklevel=2
                )
    else:
        parts = list(lengths)
    if sum(parts) != n:
        raise ValueError(
            "random_split: Sum of input lengths does not equal the length of the input dataset: "
            f"lengths {list(lengths)} sum to {sum(parts)}, the dataset has {n}"
        )
    order = randperm(n, generator=generator).tolist()
    ends = itertools.accumulate(int(part) for part in parts)
    return [Subset(dataset, order[end - int(part) : end]) for end, part in zip(ends, parts, strict=True)]
