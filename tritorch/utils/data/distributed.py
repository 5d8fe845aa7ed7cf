"""The sampler of data-parallel training: each process sees its own share of the dataset."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized

from tritorch.functional.random import randperm
from tritorch.random import Generator

from .sampler import Sampler


class DistributedSampler(Sampler[int]):
    """The share of process `rank`: every `num_replicas`-th index of an order that all processes agree on.

    Args:
        dataset: anything with a length n.
        num_replicas: number of processes.
        rank: this process, in [0, num_replicas - 1].
        shuffle: permute by `seed + epoch` (`set_epoch`), default True.
        seed: the same in all processes, default 0.
        drop_last: leave out the tail so that shares are equal, instead of repeating the first samples; default False.

    Raises:
        RuntimeError: `num_replicas` or `rank` is not given.
        ValueError: `rank` is outside its range.

    >>> [list(DistributedSampler(range(5), num_replicas=2, rank=r, shuffle=False)) for r in (0, 1)]
    [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ):
        if num_replicas is None or rank is None:
            raise RuntimeError(
                "DistributedSampler: Requires distributed package to be available for a default: give num_replicas and "
                f"rank; got num_replicas={num_replicas}, rank={rank}"
            )
        if not 0 <= rank < num_replicas:
            raise ValueError(
                f"DistributedSampler: Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]"
            )
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        self.epoch = 0
        n = len(dataset)
        self.num_samples = n // num_replicas if drop_last else math.ceil(n / num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        n = len(self.dataset)
        if self.shuffle:
            generator = Generator()
            generator.manual_seed(self.seed + self.epoch)
            order = randperm(n, generator=generator).tolist()
        else:
            order = list(range(n))
        if self.total_size > n:
            order = (order * math.ceil(self.total_size / n))[: self.total_size] if n else order
        return iter(order[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch's permutation; call it before each epoch, with the same number in all processes."""
        self.epoch = epoch
