from __future__ import annotations

import pytest

from tritorch.utils.data import DistributedSampler


def shares(n: int, replicas: int, **options) -> list[list[int]]:
    return [list(DistributedSampler(range(n), replicas, rank, **options)) for rank in range(replicas)]


def test_shares_cover_the_data_and_are_equal():
    parts = shares(10, 3)
    assert [len(p) for p in parts] == [4, 4, 4]
    assert set().union(*parts) == set(range(10))


def test_drop_last_leaves_the_tail_out():
    parts = shares(10, 3, drop_last=True, shuffle=False)
    assert parts == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    assert len(DistributedSampler(range(10), 3, 0, drop_last=True)) == 3


def test_more_processes_than_samples():
    assert shares(2, 5, shuffle=False) == [[0], [1], [0], [1], [0]]
    assert shares(2, 5, shuffle=False, drop_last=True) == [[]] * 5


def test_the_epoch_changes_the_order():
    sampler = DistributedSampler(range(20), 2, 0)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first


def test_refuses():
    with pytest.raises(RuntimeError, match="give num_replicas and rank; got num_replicas=None, rank=None"):
        DistributedSampler(range(3))
    with pytest.raises(ValueError, match=r"Invalid rank 2, rank should be in the interval \[0, 1\]"):
        DistributedSampler(range(3), 2, 2)
