from __future__ import annotations

import pytest

import tritorch as torch
from tritorch.utils.data import (
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)


class Count(IterableDataset):
    def __init__(self, start: int, stop: int):
        self.start, self.stop = start, stop

    def __iter__(self):
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop - self.start


def test_a_subclass_without_getitem_says_what_is_missing():
    class Empty(Dataset):
        pass

    with pytest.raises(NotImplementedError, match="Empty: a subclass of Dataset must define __getitem__"):
        Empty()[0]


def test_an_iterable_subclass_without_iter_says_what_is_missing():
    class Empty(IterableDataset):
        pass

    with pytest.raises(NotImplementedError, match="Empty: a subclass of IterableDataset must define __iter__"):
        iter(Empty())


def test_tensor_dataset():
    x, y = torch.arange(6).reshape(3, 2), torch.tensor([7, 8, 9])
    data = TensorDataset(x, y)
    assert len(data) == 3
    row, label = data[1]
    assert row.tolist() == [2, 3] and label.item() == 8
    assert [t.tolist() for t in data[1:]] == [[[2, 3], [4, 5]], [8, 9]]


def test_tensor_dataset_refuses_sizes_that_differ():
    with pytest.raises(AssertionError, match=r"Size mismatch between tensors: sizes in dim 0 are \[3, 4\]"):
        TensorDataset(torch.zeros(3), torch.zeros(4))


def test_stack_dataset_of_tuples_and_dicts():
    assert StackDataset([1, 2], "ab")[1] == (2, "b")
    named = StackDataset(n=[1, 2], c="ab")
    assert named[0] == {"n": 1, "c": "a"} and len(named) == 2
    assert named.__getitems__([1, 0]) == [{"n": 2, "c": "b"}, {"n": 1, "c": "a"}]
    assert StackDataset([1, 2], "ab").__getitems__([1, 1]) == [(2, "b"), (2, "b")]


def test_stack_dataset_uses_the_parts_own_getitems():
    class Batched(Dataset):
        def __len__(self):
            return 3

        def __getitems__(self, indices):
            return [i * 10 for i in indices]

    assert StackDataset(Batched(), [5, 6, 7]).__getitems__([2, 0]) == [(20, 7), (0, 5)]

    class Short(Batched):
        def __getitems__(self, indices):
            return [0]

    with pytest.raises(ValueError, match="Short.__getitems__ gave 1 samples for 2 indices"):
        StackDataset(Short(), [5, 6, 7]).__getitems__([2, 0])


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "At least one dataset"),
        (([1],), {"a": [1]}, "not both"),
        (([1], [1, 2]), {}, r"Size mismatch between datasets: lengths are \[1, 2\]"),
    ],
)
def test_stack_dataset_refuses(args, kwargs, text):
    with pytest.raises(ValueError, match=text):
        StackDataset(*args, **kwargs)


def test_concat_dataset():
    both = ConcatDataset([[0, 1], [], [2, 3, 4]])
    assert len(both) == 5
    assert [both[i] for i in range(5)] == [0, 1, 2, 3, 4]
    assert both[-5] == 0
    with pytest.raises(ValueError, match="index: -6, length: 5"):
        both[-6]
    with pytest.raises(IndexError, match="index 5 is out of range for length 5"):
        both[5]
    with pytest.raises(AssertionError, match="empty iterable"):
        ConcatDataset([])
    with pytest.raises(AssertionError, match="does not support IterableDataset"):
        ConcatDataset([Count(0, 1)])


def test_plus_concatenates():
    x = TensorDataset(torch.arange(2))
    assert isinstance(x + x, ConcatDataset) and len(x + x) == 4
    chain = Count(0, 2) + Count(5, 6)
    assert isinstance(chain, ChainDataset) and list(chain) == [0, 1, 5] and len(chain) == 3


def test_chain_dataset_refuses_maps():
    with pytest.raises(AssertionError, match="only supports IterableDataset; got TensorDataset"):
        list(ChainDataset([TensorDataset(torch.arange(2))]))


def test_subset():
    part = Subset("abcdef", [4, 0, 2])
    assert len(part) == 3 and part[1] == "a"
    assert part.__getitems__([2, 0]) == ["c", "e"]
    nested = Subset(part, [0, 2])
    assert list(nested) == ["e", "c"]


def test_a_subset_that_overrides_getitem_alone_is_refused():
    class Loud(Subset):
        def __getitem__(self, index):
            return super().__getitem__(index).upper()

    with pytest.raises(NotImplementedError, match="Loud overrides __getitem__ but not __getitems__"):
        Loud("ab", [0])


def test_a_batch_of_rows_is_gathered_as_if_sample_by_sample():
    x = torch.arange(24.0).reshape(6, 2, 2)
    y = torch.arange(6)
    data = Subset(Subset(TensorDataset(x, y), [5, 3, 1, 0]), [2, 0, 3])
    ((bx, by),) = list(DataLoader(data, batch_size=3))
    assert by.tolist() == [1, 5, 0]
    assert bx.tolist() == x[[1, 5, 0]].tolist()
    bx.zero_()
    assert x.sum().item() == 276  # a copy


def test_gathered_rows_with_a_graph_keep_it():
    x = torch.ones(4, 2, requires_grad=True)
    ((batch,),) = list(DataLoader(TensorDataset(x), batch_size=4))
    batch.sum().backward()
    assert x.grad.tolist() == [[1.0, 1.0]] * 4


def test_a_subclass_of_tensor_dataset_is_asked_sample_by_sample():
    class Negative(TensorDataset):
        def __getitem__(self, index):
            return -self.tensors[0][index]

    (batch,) = list(DataLoader(Negative(torch.arange(3)), batch_size=3))
    assert batch.tolist() == [0, -1, -2]


def test_random_split_lengths():
    parts = random_split(range(10), [3, 7], generator=torch.Generator().manual_seed(1))
    assert [len(p) for p in parts] == [3, 7]
    assert sorted([*parts[0], *parts[1]]) == list(range(10))
    assert [len(p) for p in random_split(range(11), [0.5, 0.25, 0.25])] == [6, 3, 2]
    assert [len(p) for p in random_split(range(3), [3, 0])] == [3, 0]


def test_random_split_refuses():
    with pytest.raises(ValueError, match="Sum of input lengths does not equal .* sum to 9, the dataset has 10"):
        random_split(range(10), [4, 5])
    with pytest.raises(ValueError, match="Fraction at index 0 is not between 0 and 1; got 1.5"):
        random_split(range(10), [1.5, -0.5])
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        random_split(range(1), [0.5, 0.5])
