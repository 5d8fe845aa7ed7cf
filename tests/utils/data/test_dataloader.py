from __future__ import annotations

import pickle

import numpy as np
import pytest

import tritorch as torch
from tritorch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    TensorDataset,
    get_worker_info,
)

WORKERS = [0, 2]


class Rows(Dataset):
    """Sample i is a row of i, with its number."""

    def __init__(self, n: int = 20):
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int):
        return torch.full((3,), float(i)), i


class Stream(IterableDataset):
    """`n` numbers from each worker, which start at 100 times its id."""

    def __init__(self, n: int, uneven: int = 0):
        self.n, self.uneven = n, uneven

    def __iter__(self):
        info = get_worker_info()
        worker = info.id if info else 0
        return iter(range(100 * worker, 100 * worker + self.n + self.uneven * worker))


class Sized(Stream):
    def __len__(self) -> int:
        return self.n


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_in_order(workers, drop_last):
    loader = DataLoader(Rows(10), batch_size=4, num_workers=workers, drop_last=drop_last)
    sizes = [4, 4] if drop_last else [4, 4, 2]
    assert len(loader) == len(sizes)
    for _ in range(2):
        batches = list(loader)
        assert [len(n) for _, n in batches] == sizes
        assert [i for _, n in batches for i in n.tolist()] == list(range(sum(sizes)))
        assert all(x.tolist() == [[i] * 3 for i in n.tolist()] for x, n in batches)


@pytest.mark.parametrize("workers", WORKERS)
def test_shuffle_visits_each_sample_once_and_follows_the_seed(workers):
    def epoch():
        return [i for _, n in DataLoader(Rows(), batch_size=3, shuffle=True, num_workers=workers) for i in n.tolist()]

    torch.manual_seed(1)
    first, second = epoch(), epoch()
    torch.manual_seed(1)
    assert epoch() == first != second and sorted(first) == list(range(20))


def test_the_number_of_workers_does_not_change_the_order():
    def epochs(**options):
        torch.manual_seed(4)
        loader = DataLoader(Rows(), batch_size=3, shuffle=True, **options)
        return [n.tolist() for _ in range(2) for _, n in loader]

    assert epochs() == epochs(num_workers=1) == epochs(num_workers=3, prefetch_factor=1)


@pytest.mark.parametrize("workers", WORKERS)
def test_a_batch_held_on_to_is_not_overwritten(workers):
    data = TensorDataset(torch.arange(40_000.0).reshape(40, 1000))
    held = list(DataLoader(data, batch_size=8, num_workers=workers))
    assert torch.cat([x for (x,) in held]).tolist() == data.tensors[0].tolist()


@pytest.mark.parametrize("workers", WORKERS)
def test_batch_size_none_gives_samples(workers):
    samples = list(DataLoader(Rows(4), batch_size=None, num_workers=workers))
    assert [i for _, i in samples] == [0, 1, 2, 3] and tuple(samples[0][0].shape) == (3,)


@pytest.mark.parametrize("workers", WORKERS)
def test_batch_sampler_and_collate_fn(workers):
    loader = DataLoader(
        Rows(), batch_sampler=[[1, 2], [5]], collate_fn=lambda b: [i for _, i in b], num_workers=workers
    )
    assert list(loader) == [[1, 2], [5]] and len(loader) == 2
    assert loader.batch_size is None


def test_a_sampler_of_ones_own():
    loader = DataLoader(Rows(), batch_size=2, sampler=[9, 8, 7])
    assert [n.tolist() for _, n in loader] == [[9, 8], [7]]
    assert isinstance(DataLoader(Rows()).sampler, SequentialSampler)
    assert isinstance(DataLoader(Rows()).batch_sampler, BatchSampler)


@pytest.mark.parametrize("workers", WORKERS)
def test_getitems_is_used(workers):
    class Whole(Rows):
        def __getitems__(self, indices):
            return [i * 10 for i in indices]

    assert [b.tolist() for b in DataLoader(Whole(4), batch_size=2, num_workers=workers)] == [[0, 10], [20, 30]]


@pytest.mark.parametrize("persistent", [False, True])
def test_streams_come_from_the_workers_in_turn(persistent):
    loader = DataLoader(Stream(3, uneven=2), batch_size=2, num_workers=2, persistent_workers=persistent)
    for _ in range(2):
        assert [b.tolist() for b in loader] == [[0, 1], [100, 101], [2], [102, 103], [104]]


@pytest.mark.parametrize("workers", WORKERS)
def test_streams_one_by_one_and_drop_last(workers):
    assert sorted(DataLoader(Stream(3), batch_size=None, num_workers=workers)) == sorted(
        [*range(3), *range(100, 103)] if workers else range(3)
    )
    kept = [b.tolist() for b in DataLoader(Stream(3), batch_size=2, num_workers=workers, drop_last=True)]
    assert kept == ([[0, 1], [100, 101]] if workers else [[0, 1]])


def test_a_stream_longer_than_it_says_is_warned_of():
    loader = DataLoader(Sized(4), batch_size=1, num_workers=2)
    assert len(loader) == 4
    with pytest.warns(UserWarning, match="Length of IterableDataset Sized was reported to be 4.*but 5 samples"):
        assert len(list(zip(range(5), loader, strict=False))) == 5
    assert len(DataLoader(Sized(5), batch_size=2)) == 3 and len(DataLoader(Sized(5), batch_size=2, drop_last=True)) == 2
    assert len(DataLoader(Sized(5), batch_size=None)) == 5


def test_out_of_order_gives_every_batch():
    loader = DataLoader(Rows(), batch_size=3, num_workers=2, in_order=False)
    assert sorted(i for _, n in loader for i in n.tolist()) == list(range(20))


def test_persistent_workers_stay_and_start_anew_after_a_break():
    loader = DataLoader(Rows(), batch_size=2, num_workers=2, persistent_workers=True)
    it = iter(loader)
    pids = it._pool.pids
    next(it)  # three batches are on their way, and must not show up in the next epoch
    assert [i for _, n in loader for i in n.tolist()] == list(range(20))
    assert iter(loader) is it and it._pool.pids == pids


@pytest.mark.parametrize("prefetch", [0, 1, 7])
def test_prefetch_factor(prefetch):
    loader = DataLoader(Rows(), batch_size=3, num_workers=2, prefetch_factor=prefetch)
    assert [i for _, n in loader for i in n.tolist()] == list(range(20))


def test_an_empty_dataset():
    assert list(DataLoader(Rows(0), num_workers=2)) == list(DataLoader(Rows(0))) == []


class Describe(Dataset):
    """Samples that tell about the worker they come from."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int):
        info = get_worker_info()
        assert info is not None and info.dataset.__class__.__name__ == "Describe"
        return info.id, info.num_workers, info.seed, torch.rand(1).item(), np.random.rand(), torch.get_num_threads()


def test_worker_info_and_seeds():
    def epoch(generator=None):
        return list(DataLoader(Describe(), batch_size=None, num_workers=2, generator=generator))

    torch.manual_seed(3)
    first = epoch()
    assert [r[0] for r in first] == [0, 1, 0, 1] and {r[1] for r in first} == {2} and {r[5] for r in first} == {1}
    assert first[1][2] == first[0][2] + 1
    assert len({r[3] for r in first}) == len({r[4] for r in first}) == 4
    torch.manual_seed(3)
    assert epoch() == first
    assert epoch() != first
    g = torch.Generator().manual_seed(8)
    own = epoch(g)
    assert epoch(g.manual_seed(8)) == own
    assert get_worker_info() is None


def test_worker_init_fn():
    def init(worker: int):
        get_worker_info().dataset.n = 100 + worker

    class Told(Rows):
        def __getitem__(self, i):
            return self.n

    assert list(DataLoader(Told(4), batch_size=None, num_workers=2, worker_init_fn=init)) == [100, 101, 100, 101]


def test_pin_memory_without_a_gpu_warns(monkeypatch):
    monkeypatch.setattr("tritorch.utils.data.dataloader.device_count", lambda: 0)
    with pytest.warns(UserWarning, match="'pin_memory' argument is set as true but no accelerator is found"):
        assert len(list(DataLoader(Rows(4), batch_size=2, pin_memory=True))) == 2


@pytest.mark.parametrize("workers", WORKERS)
def test_pin_memory_reaches_into_containers(workers):
    class Named(Rows):
        def __getitem__(self, i):
            return {"x": torch.ones(2), "name": "n", "pair": (i, torch.zeros(1))}

    (batch,) = DataLoader(Named(2), batch_size=2, pin_memory=True, num_workers=workers)
    assert (
        batch["x"].tolist() == [[1.0, 1.0]] * 2 and batch["name"] == ["n", "n"] and batch["pair"][0].tolist() == [0, 1]
    )


@pytest.mark.parametrize(
    ("error", "options", "text"),
    [
        (ValueError, {"num_workers": -1}, "num_workers option should be non-negative.*got -1"),
        (ValueError, {"timeout": -1}, "timeout option should be non-negative; got -1"),
        (ValueError, {"prefetch_factor": 2}, "prefetch_factor option could only be specified in multiprocessing"),
        (ValueError, {"num_workers": 1, "prefetch_factor": -1}, "prefetch_factor option should be non-negative"),
        (ValueError, {"persistent_workers": True}, "persistent_workers option needs num_workers > 0"),
        (ValueError, {"sampler": [0], "shuffle": True}, "sampler option is mutually exclusive with shuffle"),
        (ValueError, {"batch_sampler": [[0]], "batch_size": 2}, "batch_sampler option is mutually exclusive"),
        (ValueError, {"batch_sampler": [[0]], "drop_last": True}, "batch_sampler option is mutually exclusive"),
        (ValueError, {"batch_size": None, "drop_last": True}, "batch_size=None option disables auto-batching"),
        (ValueError, {"batch_size": 0}, "batch_size should be a positive integer value"),
        (ValueError, {"multiprocessing_context": "fork"}, "can only be used with num_workers > 0"),
        (ValueError, {"num_workers": 1, "multiprocessing_context": "thread"}, "valid start method.*got 'thread'"),
        (TypeError, {"num_workers": 1, "multiprocessing_context": 3}, "a context object or the name of a start method"),
    ],
)
def test_options_that_are_refused(error, options, text):
    with pytest.raises(error, match=text):
        DataLoader(Rows(), **options)


@pytest.mark.parametrize("options", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}])
def test_streams_take_no_samplers(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"DataLoader with IterableDataset: expected unspecified {name} option"):
        DataLoader(Stream(3), **options)


@pytest.mark.parametrize(
    "name", ["batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"]
)
def test_attributes_that_stay(name):
    loader = DataLoader(Rows())
    with pytest.raises(ValueError, match=f"{name} attribute should not be set after DataLoader is initialized"):
        setattr(loader, name, None)


def test_a_loader_pickles_and_an_iterator_does_not():
    assert len(list(pickle.loads(pickle.dumps(DataLoader(Rows(4), batch_size=2))))) == 2
    with pytest.raises(NotImplementedError, match="iterator cannot be pickled"):
        pickle.dumps(iter(DataLoader(Rows(4))))


def test_the_error_names_the_sample():
    class Bad(Rows):
        def __getitem__(self, i):
            if i == 5:
                raise ValueError("broken file")
            return i

    with pytest.raises(ValueError, match="broken file") as caught:
        list(DataLoader(Bad(), batch_size=4))
    assert caught.value.__notes__ == ["while fetching sample 5 of Bad"]


def test_an_index_out_of_range_is_named_for_gathered_rows_too():
    with pytest.raises(IndexError) as caught:
        list(DataLoader(TensorDataset(torch.zeros(3)), batch_size=2, sampler=[0, 7]))
    assert "sample 7" in caught.value.__notes__[0]


def test_stop_iteration_in_a_dataset_does_not_end_the_epoch_silently():
    class Stops(Rows):
        def __getitem__(self, i):
            return next(iter(()))

    with pytest.raises(RuntimeError, match=r"Stops\[0\] raised StopIteration"):
        list(DataLoader(Stops(), batch_size=2))
