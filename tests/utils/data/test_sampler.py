from __future__ import annotations

import pytest

import tritorch as torch
from tritorch.utils.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def test_sequential():
    assert list(SequentialSampler("abc")) == [0, 1, 2] and len(SequentialSampler("abc")) == 3


def test_random_is_a_permutation_and_follows_the_seed():
    torch.manual_seed(5)
    first, second = list(RandomSampler(range(50))), list(RandomSampler(range(50)))
    assert sorted(first) == list(range(50)) and first != second
    torch.manual_seed(5)
    assert list(RandomSampler(range(50))) == first


def test_random_with_more_samples_than_data():
    order = list(RandomSampler(range(4), num_samples=10))
    assert len(order) == 10
    assert sorted(order[:4]) == sorted(order[4:8]) == [0, 1, 2, 3] and len(set(order[8:])) == 2


def test_random_with_replacement():
    order = list(RandomSampler(range(3), replacement=True, num_samples=100))
    assert len(order) == 100 and set(order) == {0, 1, 2}


def test_random_with_a_generator_goes_on_with_it():
    g = torch.Generator().manual_seed(3)
    sampler = RandomSampler(range(20), generator=g)
    first, second = list(sampler), list(sampler)
    g.manual_seed(3)
    assert list(sampler) == first != second


def test_random_refuses():
    with pytest.raises(TypeError, match="replacement should be a boolean value; got replacement=1"):
        RandomSampler([1], replacement=1)
    with pytest.raises(ValueError, match="num_samples should be a positive integer value; got num_samples=0"):
        RandomSampler([])


def test_subset_random():
    assert sorted(SubsetRandomSampler([3, 5, 9])) == [3, 5, 9] and len(SubsetRandomSampler([3, 5])) == 2


def test_weighted():
    torch.manual_seed(0)
    drawn = list(WeightedRandomSampler([0.0, 3.0, 1.0], 4000))
    assert drawn.count(0) == 0 and 0.7 < drawn.count(1) / 4000 < 0.8
    assert sorted(WeightedRandomSampler([0.2, 0.5, 0.3], 3, replacement=False)) == [0, 1, 2]


def test_weighted_refuses():
    with pytest.raises(ValueError, match="num_samples should be a positive integer value; got num_samples=True"):
        WeightedRandomSampler([1.0], True)
    with pytest.raises(ValueError, match="replacement should be a boolean value; got replacement=None"):
        WeightedRandomSampler([1.0], 1, replacement=None)
    with pytest.raises(ValueError, match=r"weights should be a 1d sequence; got weights of shape \(1, 2\)"):
        WeightedRandomSampler([[1.0, 2.0]], 1)


def test_batches():
    assert list(BatchSampler(range(7), 3, False)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(BatchSampler(iter(range(7)), 3, True)) == [[0, 1, 2], [3, 4, 5]]
    assert len(BatchSampler(range(7), 3, False)) == 3 and len(BatchSampler(range(7), 3, True)) == 2


@pytest.mark.parametrize("size", [0, -1, 1.5, True, None])
def test_batches_refuse(size):
    with pytest.raises(ValueError, match="batch_size should be a positive integer value"):
        BatchSampler(range(3), size, False)
    with pytest.raises(ValueError, match="drop_last should be a boolean value; got drop_last=0"):
        BatchSampler(range(3), 1, 0)


def test_a_sampler_without_iter_says_so():
    with pytest.raises(NotImplementedError, match="Sampler: a subclass of Sampler must define __iter__"):
        iter(Sampler())
