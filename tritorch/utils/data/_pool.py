"""The worker processes behind a DataLoader's iterator: started, fed, watched, and always ended."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
import warnings
from typing import Any

from ._channel import Channel, WorkerGone, channel
from .worker import Job, worker_main

_LIFE_CHECK = 1.0  # s between two looks whether workers that keep silent are alive
_PATIENCE = 5.0  # s that workers get to finish what they are doing when they are told to stop


class WorkerPool:
    """Worker processes with a channel each. Every way out goes through `close`.

    Args:
        context: a multiprocessing context, which says how processes start.
        job: what the workers do.
    """

    def __init__(self, context: Any, job: Job):
        self._owner = os.getpid()
        self._method = context.get_start_method()
        self._channels: dict[int, Channel] = {}
        self._processes: dict[int, Any] = {}
        self._by_fd: dict[int, int] = {}
        self._poller = select.poll()
        try:
            for i in range(job.num_workers):
                self._start(context, job, i)
        except BaseException:
            self.close()
            raise

    def _start(self, context: Any, job: Job, i: int) -> None:
        ours, theirs = channel()
        self._channels[i] = Channel(ours, job.keep)
        self._by_fd[ours.fileno()] = i
        self._poller.register(ours, select.POLLIN)
        # A forked worker has copies of the parent's ends. While one is open, the others would not see the parent go.
        copies = [c.sock for c in self._channels.values()] if self._method == "fork" else []
        process = context.Process(target=worker_main, args=(theirs, copies, job, i), daemon=True)
        # A Ctrl-C must not find a worker that has not yet learnt to leave it to the parent.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with warnings.catch_warnings():
                # Python warns of forks with threads; ours and the BLAS's are made anew in the child.
                warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            theirs.close()
        self._processes[i] = process

    @property
    def pids(self) -> list[int]:
        """The process ids, by worker."""
        return [p.pid for p in self._processes.values()]

    def send(self, worker: int, tag: int, obj: Any) -> None:
        """Send without waiting; a worker that is gone is an error at the next `receive`."""
        try:
            self._channels[worker].send(tag, obj, wait=False)
        except WorkerGone:
            raise self._death(worker) from None
        self._watch(worker)

    def _watch(self, worker: int) -> None:
        channel = self._channels[worker]
        self._poller.modify(channel.sock, select.POLLIN | (select.POLLOUT if channel.pending else 0))

    def receive(self, timeout: float = 0) -> list[tuple[int, int, Any]]:
        """(worker, tag, object) of at least one message.

        Args:
            timeout: seconds to wait at most; 0 waits as long as the workers live.

        Raises:
            RuntimeError: a worker is gone, or nothing came in time.
        """
        deadline = time.monotonic() + timeout if timeout > 0 else None
        messages: list[tuple[int, int, Any]] = []
        while not messages:
            wait = _LIFE_CHECK if deadline is None else max(0.0, min(_LIFE_CHECK, deadline - time.monotonic()))
            events = self._poller.poll(wait * 1000)
            for fd, event in events:
                worker = self._by_fd[fd]
                channel = self._channels[worker]
                try:
                    if event & select.POLLOUT:
                        channel.flush()
                        self._watch(worker)
                    if event & ~select.POLLOUT:
                        messages.append((worker, *channel.receive()))
                except WorkerGone:
                    raise self._death(worker) from None
            if not events:
                for worker, process in self._processes.items():
                    if worker in self._channels and process.exitcode is not None:
                        raise self._death(worker)
                if deadline is not None and time.monotonic() >= deadline:
                    raise RuntimeError(
                        f"DataLoader timed out after {timeout} seconds: no batch from workers {self.pids}"
                    )
        return messages

    def release(self, worker: int) -> None:
        """Let one worker go: it has nothing more to do."""
        channel = self._channels.pop(worker, None)
        if channel is not None:
            self._poller.unregister(channel.sock)
            del self._by_fd[channel.sock.fileno()]
            channel.close()

    def _death(self, worker: int) -> RuntimeError:
        """The error for a worker that is gone: how it ended, and the usual cause."""
        process = self._processes[worker]
        process.join(1.0)
        code = process.exitcode
        text = f"DataLoader worker {worker} (pid {process.pid}) exited unexpectedly"
        if code is None:
            return RuntimeError(f"{text}: it closed its connection")
        if code < 0:
            name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
            text += f": killed by {name}"
            if -code in (signal.SIGKILL, signal.SIGBUS):
                text += "; when memory runs out, the system ends processes this way"
        else:
            text += f" with exit code {code}"
            if self._method != "fork" and code == 1:
                text += (
                    f"; its traceback is above. A process started by '{self._method}' imports what it runs: datasets "
                    "and functions must be defined in a module, not in a notebook or under "
                    "`if __name__ == '__main__'` (multiprocessing_context='fork' has no such limit)"
                )
        return RuntimeError(text)

    def close(self, patience: float = _PATIENCE) -> None:
        """End all workers: told to stop first, terminated when they do not, killed when that does not help.

        Args:
            patience: seconds that they get to finish the batch that they are making.
        """
        if os.getpid() != self._owner:  # the copy of this object in a forked process
            return
        for worker in list(self._channels):
            self.release(worker)
        processes, self._processes = self._processes, {}
        deadline = time.monotonic() + patience
        for end in (None, "terminate", "kill"):
            for process in processes.values():
                if end is not None and process.is_alive():
                    getattr(process, end)()
            for process in processes.values():
                process.join(max(0.0, deadline - time.monotonic()))
            if not any(process.is_alive() for process in processes.values()):
                break
            deadline = time.monotonic() + 1.0
        for process in processes.values():
            if process.exitcode is not None:
                process.close()


def start_context(context: Any) -> Any:
    """The multiprocessing context for what the user gave: None, the name of a start method, or a context.

    None is the start method that the user set for the process, else fork on Linux, whichever Python's own default is:
    functions of a notebook work with fork only.
    """
    import multiprocessing
    from multiprocessing.context import BaseContext

    if context is None:
        context = multiprocessing.get_start_method(allow_none=True) or "fork"
    if isinstance(context, str):
        valid = multiprocessing.get_all_start_methods()
        if context not in valid:
            raise ValueError(
                f"DataLoader: multiprocessing_context should specify a valid start method in {valid}; got {context!r}"
            )
        return multiprocessing.get_context(context)
    if not isinstance(context, BaseContext):
        raise TypeError(
            "DataLoader: multiprocessing_context should be a context object or the name of a start method; "
            f"got {context!r}"
        )
    return context


def check_platform() -> None:
    """RuntimeError where the channels of workers do not exist."""
    if not (hasattr(os, "memfd_create") and hasattr(socket, "SOCK_SEQPACKET")):
        raise RuntimeError(f"DataLoader: num_workers > 0 needs Linux; got {sys.platform}; use num_workers=0")
