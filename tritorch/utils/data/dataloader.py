"""`DataLoader`: batches of a dataset, made in this process or in worker processes ahead of time."""

from __future__ import annotations

import itertools
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from tritorch.device import device_count
from tritorch.tensor import Tensor

from ._channel import Unreadable
from ._pool import WorkerPool, check_platform, start_context
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .fetch import make_fetcher
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, draw_seed
from .worker import NEXT_EPOCH, Failure, Job, StreamEnded, get_worker_info

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

T_co = TypeVar("T_co", covariant=True)

_FIXED = frozenset(("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"))


class _Endless(Sampler):
    """The sampler of a stream: there is nothing to choose, and the stream itself says when it ends."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


class DataLoader(Generic[T_co]):
    """An iterable over the batches of a dataset.

    Args:
        dataset: map-style (`__getitem__`, `__len__`) or an `IterableDataset`.
        batch_size: samples in a batch, default 1; None hands out samples one by one.
        shuffle: a new random order in each epoch, default False. The order is PyTorch's for the same seed.
        sampler: iterable of indices, instead of `shuffle`.
        batch_sampler: iterable of lists of indices, instead of batch_size, shuffle, sampler and drop_last.
        num_workers: processes that make batches ahead; 0 (default) makes them here. More than 0 needs Linux.
        collate_fn: list of samples -> batch, default `default_collate` (`default_convert` for batch_size=None).
        pin_memory: put tensors into page-locked memory, for faster copies to cuda; default False.
        drop_last: leave out a last batch that is not full, default False.
        timeout: seconds to wait for a batch from workers; 0 (default) waits as long as they live.
        worker_init_fn: called with the worker's number in each worker, after seeding.
        multiprocessing_context: 'fork', 'spawn', 'forkserver' or a context. Default: the process's start method if one
            was set, else fork.
        generator: source of the shuffle and of the workers' seeds; the default generator for None.
        prefetch_factor: batches that each worker makes ahead, default 2.
        persistent_workers: keep workers from epoch to epoch, default False.
        pin_memory_device: accepted as in PyTorch, without effect.
        in_order: hand out batches in the sampler's order (default), or as they come.

    Raises:
        ValueError: options that exclude each other or are out of range.
        RuntimeError: a worker was killed or is silent for longer than `timeout`.

    An exception in a worker is raised here with the same type; its message holds the worker's traceback, which names
    the sample's index. Tensors come from workers through shared memory, without a copy.

    >>> import tritorch as torch
    >>> from tritorch.utils.data import TensorDataset
    >>> for x, y in DataLoader(TensorDataset(torch.arange(5), torch.arange(5) * 2), batch_size=3):
    ...     print(x.tolist(), y.tolist())
    [0, 1, 2] [0, 2, 4]
    [3, 4] [6, 8]
    """

    _frozen = False

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler | Iterable | None = None,
        batch_sampler: Sampler[list] | Iterable[list] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ):
        self._check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self._is_stream = isinstance(dataset, IterableDataset)
        if self._is_stream:
            for name, value in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
                if value is not None:
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}"
                    )
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "DataLoader: batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and "
                    "drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "DataLoader: batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
            )
        if sampler is None:
            if self._is_stream:
                sampler = _Endless()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)

        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers > 0 and prefetch_factor is None else prefetch_factor
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self._iterator: _WorkerIterator | None = None
        self._length_said: int | None = None  # what len() answered for a stream, to be compared with what comes
        self._frozen = True

    @staticmethod
    def _check_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent: bool) -> None:
        if num_workers < 0:
            raise ValueError(
                "DataLoader: num_workers option should be non-negative, 0 to disable multiprocessing; "
                f"got {num_workers}"
            )
        if timeout < 0:
            raise ValueError(f"DataLoader: timeout option should be non-negative; got {timeout}")
        if num_workers == 0:
            if prefetch_factor is not None:
                raise ValueError(
                    "DataLoader: prefetch_factor option could only be specified in multiprocessing (num_workers > 0); "
                    f"got prefetch_factor={prefetch_factor}"
                )
            if persistent:
                raise ValueError("DataLoader: persistent_workers option needs num_workers > 0")
            return
        if prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError(f"DataLoader: prefetch_factor option should be non-negative; got {prefetch_factor}")
        check_platform()

    @property
    def multiprocessing_context(self) -> Any:
        """The context that starts workers, or None for the default."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None:
            if self.num_workers == 0:
                raise ValueError("DataLoader: multiprocessing_context can only be used with num_workers > 0; got 0")
            context = start_context(context)
        self._context = context

    def __setattr__(self, name: str, value: Any) -> None:
        if self._frozen and name in _FIXED:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def _index_sampler(self) -> Any:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers == 0:
            return _Iterator(self)
        if not self.persistent_workers:
            return _WorkerIterator(self)
        if self._iterator is None or self._iterator.closed:
            self._iterator = _WorkerIterator(self)
        else:
            self._iterator.restart(self)
        return self._iterator

    def __len__(self) -> int:
        if not self._is_stream:
            return len(self._index_sampler)
        n = self._length_said = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


class _Iterator:
    """One pass over a loader, with batches made in this process."""

    def __init__(self, loader: DataLoader):
        self._index_sampler = loader._index_sampler
        self._indices = iter(self._index_sampler)
        # Drawn with 0 workers as well: the generator must end up where PyTorch's does.
        self._base_seed = draw_seed(loader.generator)
        self._pin = _pinning(loader.pin_memory)
        self._is_stream = loader._is_stream
        self._name = type(loader.dataset).__name__
        self._length_said = loader._length_said
        self._yielded = 0
        self._open(loader)

    def _open(self, loader: DataLoader) -> None:
        if loader.timeout:
            raise ValueError(f"DataLoader: timeout needs num_workers > 0; got timeout={loader.timeout}")
        self._fetch = make_fetcher(
            loader.dataset, loader.batch_sampler is not None, loader.collate_fn, loader.drop_last
        )

    def __iter__(self) -> _Iterator:
        return self

    def __len__(self) -> int:
        return len(self._index_sampler)

    def __reduce__(self):
        raise NotImplementedError("DataLoader: an iterator cannot be pickled; pickle the DataLoader")

    def _next(self) -> Any:
        return self._fetch(next(self._indices))

    def __next__(self) -> Any:
        batch = self._next()
        if self._pin:
            batch = pin(batch)
        if self._is_stream:
            self._yielded += 1
            if self._length_said is not None and self._yielded > self._length_said:
                warnings.warn(
                    f"Length of IterableDataset {self._name} was reported to be {self._length_said} (when accessing "
                    f"len(dataloader)), but {self._yielded} samples have been fetched. With num_workers > 0 each "
                    "worker iterates over a copy of the dataset, which must split the work by get_worker_info()",
                    UserWarning,
                    stacklevel=2,
                )
        return batch


class _WorkerIterator(_Iterator):
    """One pass over a loader (or, with persistent workers, each pass), with batches made by worker processes.

    Tasks are numbered; task n goes to the workers in turn, and each worker has at most `prefetch_factor` of them.
    """

    def _open(self, loader: DataLoader) -> None:
        self._n = loader.num_workers
        self._prefetch = loader.prefetch_factor or 0
        self._timeout = loader.timeout
        self._in_order = loader.in_order
        self._persistent = loader.persistent_workers
        job = Job(
            dataset=loader.dataset,
            batched=loader.batch_sampler is not None,
            collate_fn=loader.collate_fn,
            drop_last=loader.drop_last,
            base_seed=self._base_seed,
            init_fn=loader.worker_init_fn,
            num_workers=self._n,
            keep=self._prefetch + 2,
        )
        self._pool = WorkerPool(start_context(loader.multiprocessing_context), job)
        self._close = weakref.finalize(self, self._pool.close)
        self._broken = False
        self._sent = 0
        self._begin()

    @property
    def closed(self) -> bool:
        return not self._close.alive

    def restart(self, loader: DataLoader) -> None:
        """Begin a new epoch with the same workers; what is still on its way from the last one is dropped."""
        self._indices = iter(self._index_sampler)
        self._length_said, self._yielded = loader._length_said, 0
        for worker in range(self._n):
            self._pool.send(worker, NEXT_EPOCH, None)
        self._begin()

    def _begin(self) -> None:
        self._first = self._wanted = self._sent  # number of the epoch's first task; of the next one to hand out
        self._tasks: dict[int, int] = {}  # task -> worker, for all that is sent and not handed out
        self._results: dict[int, Any] = {}
        self._load = [0] * self._n  # tasks that a worker has not answered
        self._active = set(range(self._n))
        self._turn = itertools.cycle(range(self._n))
        for _ in range(self._prefetch * self._n):
            self._send_task()

    def _send_task(self) -> None:
        """Send the next indices to the worker whose turn it is."""
        limit = self._prefetch or 1
        for _ in range(self._n):
            worker = next(self._turn)
            if worker in self._active and (self._in_order or self._load[worker] < limit):
                break
        else:
            return
        index = next(self._indices, _NOTHING)
        if index is _NOTHING:
            return
        self._tasks[self._sent] = worker
        self._load[worker] += 1
        self._sent += 1
        self._pool.send(worker, self._sent - 1, index)

    def _next(self) -> Any:
        if self.closed:
            if self._broken:
                raise RuntimeError("DataLoader: this iterator's workers were shut down after an error; make a new one")
            raise StopIteration
        try:
            if not self._prefetch and not self._tasks:
                self._send_task()
            while True:
                task = self._deliverable()
                if task is not None:
                    break
                if not self._tasks:
                    if not self._persistent:
                        self._close()
                    raise StopIteration
                for worker, number, result in self._pool.receive(self._timeout):
                    self._take(worker, number, result)
        except StopIteration:
            raise
        except BaseException:  # a dead worker, a timeout, Ctrl-C
            self._abandon()
            raise
        del self._tasks[task]
        result = self._results.pop(task)
        try:
            if self._prefetch:
                self._send_task()
        except BaseException:
            self._abandon()
            raise
        if result.__class__ is Failure:
            raise result.error()
        if result.__class__ is Unreadable:
            raise RuntimeError("DataLoader: the batch of a worker cannot be unpickled here") from result.error
        return result

    def _abandon(self) -> None:
        """Leave no process behind, and let no later call take the break for the end of the data."""
        self._broken = True
        self._pool.close(patience=0.2)
        self._close()

    def _deliverable(self) -> int | None:
        """The number of a task whose result can be handed out now."""
        if not self._in_order:
            return next(iter(self._results), None)
        while self._wanted < self._sent:
            if self._wanted in self._results:
                self._wanted += 1
                return self._wanted - 1
            if self._wanted in self._tasks:
                return None
            self._wanted += 1  # it went to a worker whose stream had ended
        return None

    def _take(self, worker: int, number: int, result: Any) -> None:
        """Note what a worker has sent."""
        if number < self._first:  # of an epoch that was left early
            return
        self._load[worker] -= 1
        if result.__class__ is not StreamEnded:
            self._results[number] = result
            return
        del self._tasks[number]
        if worker in self._active:
            self._active.discard(worker)
            if not self._persistent:
                # It answers what it already has (each a StreamEnded) before it goes: none of that is needed.
                for n in [n for n, w in self._tasks.items() if w == worker and n not in self._results]:
                    del self._tasks[n]
                self._pool.release(worker)
        self._send_task()


_NOTHING = object()


def _pinning(asked: bool) -> bool:
    """Whether batches are to be pinned; warns when there is no GPU to pin them for."""
    if not asked:
        return False
    if not device_count():
        warnings.warn(
            "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be "
            "used.",
            UserWarning,
            stacklevel=4,
        )
        return False
    return True


def pin(data: Any) -> Any:
    """Tensors within `data` (mappings, sequences, objects with a `pin_memory` method) in page-locked memory."""
    if isinstance(data, Tensor) or hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, (str, bytes)):
        return data
    if isinstance(data, Mapping):
        return type(data)({k: pin(v) for k, v in data.items()})  # type: ignore[call-arg]
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(pin(v) for v in data))
    if isinstance(data, Sequence):
        return type(data)([pin(v) for v in data])  # type: ignore[call-arg]
    return data
