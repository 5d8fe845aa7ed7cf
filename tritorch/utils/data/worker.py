"""What a DataLoader's worker process does, and what it knows about itself."""

from __future__ import annotations

import os
import random
import select
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tritorch.kernels._blas import single_enter
from tritorch.kernels._threads import set_num_threads
from tritorch.random import manual_seed

from ._channel import Channel, WorkerGone
from .fetch import make_fetcher

if TYPE_CHECKING:
    import socket

_PARENT_CHECK = 2000  # ms between two looks whether the parent is still there
NEXT_EPOCH = -1  # the tag of a message that starts a stream again


@dataclass(frozen=True)
class WorkerInfo:
    """What `get_worker_info` returns: `id` in [0, num_workers), `num_workers`, `seed` of this worker, its `dataset`."""

    id: int
    num_workers: int
    seed: int
    dataset: Any
    worker_method: str = "multiprocessing"


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a DataLoader's worker process, what it is; None in the main process.

    >>> get_worker_info() is None
    True
    """
    return _info


@dataclass(frozen=True)
class Job:
    """All that a worker is given at its start."""

    dataset: Any
    batched: bool
    collate_fn: Callable[[Any], Any]
    drop_last: bool
    base_seed: int
    init_fn: Callable[[int], Any] | None
    num_workers: int
    keep: int


class StreamEnded:
    """Sent instead of a batch: this worker's stream has no more samples."""


class _KeyErrorText(str):
    """KeyError prints the repr of its argument; this one's is the text itself, with its line breaks."""

    def __repr__(self) -> str:
        return str(self)


class Failure:
    """An exception on its way from a worker: its type, and its traceback as text."""

    def __init__(self, error: BaseException, worker_id: int):
        self.kind = type(error)
        self.text = f"Caught {self.kind.__name__} in DataLoader worker process {worker_id}.\nOriginal " + "".join(
            traceback.format_exception(error)
        )

    def error(self) -> BaseException:
        """An exception of the same type, with the worker's traceback in its message."""
        text = _KeyErrorText(self.text) if issubclass(self.kind, KeyError) else self.text
        try:
            return self.kind(text)
        except Exception:  # a type whose constructor wants something else
            return RuntimeError(text)


def numpy_seed(base_seed: int, worker_id: int) -> list[int]:
    """PyTorch's seed for `numpy.random` in a worker."""
    words = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    return np.random.SeedSequence(words).generate_state(4).tolist()


def worker_main(sock: socket.socket, others: list[socket.socket], job: Job, worker_id: int) -> None:
    """Body of a worker process: batches for indices until the channel is closed or the parent is gone.

    Args:
        sock: this worker's end of its channel.
        others: the parent's ends that a fork has copied; left open here, they would hide the parent's end.
        job: what to do.
        worker_id: from 0.
    """
    for other in others:
        other.close()
    # Ctrl-C reaches the whole process group, and the parent handles it; its own handlers are not meant for here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked since before the process began
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)

    set_num_threads(1)
    single_enter()  # for good: what the dataset multiplies must not start a BLAS pool in each worker
    seed = job.base_seed + worker_id
    random.seed(seed)
    manual_seed(seed)
    np.random.seed(numpy_seed(job.base_seed, worker_id))
    global _info
    _info = WorkerInfo(worker_id, job.num_workers, seed, job.dataset)

    channel = Channel(sock, job.keep)
    waiting = _Waiting(sock)
    fetch = None
    try:
        if job.init_fn is not None:
            job.init_fn(worker_id)
        fetch, failure = _start(job, worker_id)
    except Exception as error:
        failure = Failure(error, worker_id)
    try:
        while waiting():
            task, index = channel.receive()
            if task == NEXT_EPOCH:
                fetch, failure = _start(job, worker_id)
                continue
            result: Any = failure
            if fetch is not None:
                try:
                    result = fetch(index)
                except StopIteration:
                    result = StreamEnded()
                except Exception as error:
                    result = Failure(error, worker_id)
            _send(channel, task, result, worker_id)
            del result, index  # not to be kept while waiting
    except WorkerGone:
        pass
    finally:
        channel.close()


def _start(job: Job, worker_id: int) -> tuple[Any, Failure | None]:
    """The fetcher of a new epoch, or why there is none."""
    try:
        return make_fetcher(job.dataset, job.batched, job.collate_fn, job.drop_last), None
    except Exception as error:
        return None, Failure(error, worker_id)


def _send(channel: Channel, task: int, result: Any, worker_id: int) -> None:
    try:
        channel.send(task, result)
    except WorkerGone:
        raise
    except Exception as error:  # the batch, or the type of an exception, cannot be pickled
        if isinstance(result, Failure):
            result.kind = RuntimeError
            channel.send(task, result)
        else:
            channel.send(task, Failure(error, worker_id))


class _Waiting:
    """Waits for a message (or for the end of the channel); False when the parent is gone."""

    def __init__(self, sock: socket.socket):
        from multiprocessing import parent_process

        self.poller = select.poll()
        self.poller.register(sock, select.POLLIN)
        self.parent, self.started_by = parent_process(), os.getppid()

    def __call__(self) -> bool:
        while not self.poller.poll(_PARENT_CHECK):
            if os.getppid() != self.started_by or (self.parent is not None and not self.parent.is_alive()):
                return False
        return True
