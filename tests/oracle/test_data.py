"""Datasets, samplers and loaders against PyTorch: the same indices for the same seed, the same batches."""

from __future__ import annotations

import random
from collections import namedtuple

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")
import torch.utils.data as theirs  # noqa: E402

import tritorch  # noqa: E402
import tritorch.utils.data as ours  # noqa: E402

BOTH = [(torch, theirs), (tritorch, ours)]
Point = namedtuple("Point", ["x", "y"])


def plain(data):
    """Nested Python values, so that both sides compare; dtypes by name."""
    if isinstance(data, (torch.Tensor, tritorch.Tensor)):
        return str(data.dtype), tuple(data.shape), data.tolist()
    if isinstance(data, dict):
        return type(data), {k: plain(v) for k, v in data.items()}
    if isinstance(data, (list, tuple)):
        return type(data), [plain(v) for v in data]
    return data


def assert_same(run):
    """`run(library, its utils.data)` gives the same on both sides, from the same seed."""
    expected, got = ((lib.manual_seed(11), plain(run(lib, data)))[1] for lib, data in BOTH)
    assert got == expected


SAMPLERS = {
    "random": lambda lib, data: data.RandomSampler(range(37)),
    "more than there are": lambda lib, data: data.RandomSampler(range(5), num_samples=12),
    "fewer": lambda lib, data: data.RandomSampler(range(50), num_samples=12),
    "replacement": lambda lib, data: data.RandomSampler(range(9), replacement=True, num_samples=70),
    "generator": lambda lib, data: data.RandomSampler(range(9), generator=lib.Generator().manual_seed(2)),
    "subset": lambda lib, data: data.SubsetRandomSampler([4, 8, 15, 16, 23, 42]),
    "weighted": lambda lib, data: data.WeightedRandomSampler([0.1, 2.0, 0.0, 1.0], 50),
    "weighted, without replacement": lambda lib, data: data.WeightedRandomSampler(
        [0.1, 2.0, 0.5, 1.0], 3, replacement=False
    ),
    "batches": lambda lib, data: data.BatchSampler(data.RandomSampler(range(10)), 4, True),
    "distributed": lambda lib, data: data.DistributedSampler(range(11), 3, 1, seed=5),
    "distributed, tail dropped": lambda lib, data: data.DistributedSampler(range(11), 3, 2, drop_last=True),
    "distributed, few": lambda lib, data: data.DistributedSampler(range(2), 7, 6, shuffle=False),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers(name):
    def two_epochs(lib, data):
        sampler = SAMPLERS[name](lib, data)
        return [list(sampler), list(sampler), len(sampler), lib.rand(3)]  # and the generator is at the same place

    assert_same(two_epochs)


@pytest.mark.parametrize("lengths", [[3, 7], [0.3, 0.3, 0.4], [10]])
def test_random_split(lengths):
    assert_same(lambda lib, data: [part.indices for part in data.random_split(range(10), lengths)])
    assert_same(
        lambda lib, data: [
            part.indices for part in data.random_split(range(10), lengths, generator=lib.Generator().manual_seed(42))
        ]
    )


BATCHES = {
    "ints": lambda lib: [1, 2],
    "floats": lambda lib: [0.5, 1.5],
    "bools": lambda lib: [True, False],
    "text": lambda lib: ["a", "b"],
    "tuples": lambda lib: [(1, 0.5, "a"), (2, 1.5, "b")],
    "lists": lambda lib: [[1, 2], [3, 4]],
    "dicts": lambda lib: [{"a": 1, "b": [1.0]}, {"a": 2, "b": [2.0]}],
    "named tuples": lambda lib: [Point(1, 2), Point(3, 4)],
    "tensors": lambda lib: [lib.arange(3), lib.ones(3).long()],
    "half": lambda lib: [lib.ones(2, dtype=lib.bfloat16), lib.zeros(2, dtype=lib.bfloat16)],
    "mixed dtypes": lambda lib: [lib.ones(2), lib.ones(2, dtype=lib.float64)],
    "arrays": lambda lib: [np.arange(3, dtype=np.int16), np.ones(3, np.int16)],
    "numpy scalars": lambda lib: [np.float32(1), np.float32(2)],
    "0-dim": lambda lib: [lib.tensor(1), lib.tensor(2)],
}


@pytest.mark.parametrize("name", BATCHES)
def test_default_collate_and_convert(name):
    assert_same(lambda lib, data: data.default_collate(BATCHES[name](lib)))
    assert_same(lambda lib, data: data.default_convert(BATCHES[name](lib)))


@pytest.mark.parametrize(
    "make",
    [
        lambda lib: [lib.zeros(2), lib.zeros(3)],
        lambda lib: [object(), object()],
        lambda lib: [[1], [1, 2]],
        lambda lib: [np.array(["a"])],
    ],
)
def test_default_collate_refuses_with_the_same_type(make):
    kinds = []
    for lib, data in BOTH:
        with pytest.raises(Exception) as caught:
            data.default_collate(make(lib))
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]


def dataset(lib, data):
    return data.TensorDataset(lib.arange(40).reshape(20, 2), lib.arange(20))


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 3, "shuffle": True},
        {"batch_size": 3, "shuffle": True, "drop_last": True},
        {"batch_size": 3, "shuffle": True, "num_workers": 2},
        {"batch_size": 3, "shuffle": True, "num_workers": 2, "persistent_workers": True},
        {"batch_size": None, "shuffle": True},
        {"batch_sampler": [[1, 2], [3]]},
    ],
)
def test_two_epochs_and_the_generator_after_them(options):
    def run(lib, data):
        loader = data.DataLoader(dataset(lib, data), **options)
        return [len(loader), list(loader), list(loader), lib.rand(3)]

    assert_same(run)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_generator_of_ones_own(workers):
    def run(lib, data):
        g = lib.Generator().manual_seed(77)
        loader = data.DataLoader(dataset(lib, data), batch_size=4, shuffle=True, generator=g, num_workers=workers)
        return [list(loader), list(loader), lib.rand(2), lib.rand(2, generator=g)]

    assert_same(run)


class Draws:
    """Each sample is what the worker's three generators give."""

    def __init__(self, lib):
        self.lib = lib

    def __len__(self) -> int:
        return 8

    def __getitem__(self, i: int):
        return i, random.random(), float(np.random.rand()), self.lib.rand(1).item()


def test_workers_draw_the_same_numbers():
    assert_same(lambda lib, data: list(data.DataLoader(Draws(lib), batch_size=2, num_workers=2)))


def make_stream(data):
    class Stream(data.IterableDataset):
        def __iter__(self):
            info = data.get_worker_info()
            worker = info.id if info else 0
            return iter(range(100 * worker, 100 * worker + 3 + 4 * worker))

    return Stream()


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("batch", [{"batch_size": 2}, {"batch_size": 2, "drop_last": True}, {"batch_size": None}])
def test_streams(workers, batch):
    assert_same(lambda lib, data: list(data.DataLoader(make_stream(data), num_workers=workers, **batch)))


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": -1},
        {"timeout": -1},
        {"prefetch_factor": 2},
        {"persistent_workers": True},
        {"sampler": [0], "shuffle": True},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_size": None, "drop_last": True},
        {"batch_size": 0},
        {"multiprocessing_context": "fork"},
        {"num_workers": 1, "multiprocessing_context": "x"},
        {"num_workers": 1, "multiprocessing_context": 1},
    ],
)
def test_options_are_refused_with_the_same_type(options):
    kinds = []
    for lib, data in BOTH:
        with pytest.raises(Exception) as caught:
            data.DataLoader(dataset(lib, data), **options)
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]


def test_public_names():
    missing = {n for n in theirs.__all__ if "Pipe" not in n} - set(ours.__all__)
    known = {
        "DataChunk", "_DatasetKind", "argument_validation", "functional_datapipe", "guaranteed_datapipes_determinism",
        "non_deterministic", "runtime_validation", "runtime_validation_disabled",
    }  # fmt: skip
    assert missing <= known
