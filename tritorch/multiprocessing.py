"""torch.multiprocessing: Python's multiprocessing, and `spawn` of one function over several ranks.

Tensors that are sent through its queues are copied: they pickle as their bytes. `DataLoader` has a channel of its own
that shares memory.
"""

from __future__ import annotations

import multiprocessing as _mp
import traceback
from collections.abc import Callable
from multiprocessing import *  # noqa: F403
from multiprocessing.connection import wait as _wait
from typing import Any

__all__ = [name for name in _mp.__all__ if not name.startswith("_")] + [  # noqa: PLE0605
    "ProcessContext", "ProcessExitedException", "ProcessRaisedException", "get_all_sharing_strategies",
    "get_sharing_strategy", "set_sharing_strategy", "spawn", "start_processes",
]  # fmt: skip

_strategy = "file_system"


def get_all_sharing_strategies() -> set[str]:
    """The names that `set_sharing_strategy` takes."""
    return {"file_descriptor", "file_system"}


def get_sharing_strategy() -> str:
    """What `set_sharing_strategy` was given."""
    return _strategy


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepted for PyTorch's sake: tensors in queues are copied, so there is nothing to share by.

    Raises:
        AssertionError: the name is unknown.
    """
    global _strategy
    if new_strategy not in get_all_sharing_strategies():
        raise AssertionError(
            f"set_sharing_strategy: must be one of {sorted(get_all_sharing_strategies())}; got {new_strategy!r}"
        )
    _strategy = new_strategy


class ProcessRaisedException(Exception):
    """A process of `spawn` raised; the message holds its traceback."""

    def __init__(self, msg: str, error_index: int, error_pid: int | None):
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, error_pid


class ProcessExitedException(Exception):
    """A process of `spawn` ended by a signal, or with a code other than 0."""

    def __init__(self, msg: str, error_index: int, error_pid: int | None, exit_code: int):
        super().__init__(msg)
        self.msg, self.error_index, self.pid, self.exit_code = msg, error_index, error_pid, exit_code


def _run(fn: Callable[..., Any], rank: int, args: tuple[Any, ...], errors: Any) -> None:
    try:
        fn(rank, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        errors.send(traceback.format_exc())
        raise SystemExit(1) from None


class ProcessContext:
    """The processes that `spawn(join=False)` started."""

    def __init__(self, processes: list[Any], errors: list[Any]):
        self.processes, self._errors = processes, errors

    def pids(self) -> list[int]:
        """The processes' numbers, by rank."""
        return [p.pid for p in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait; the first process that fails ends the others.

        Args:
            timeout: seconds to wait for the next one that ends; default None, without limit.
            grace_period: seconds that the others get to end by themselves.

        Returns:
            whether all have ended.

        Raises:
            ProcessRaisedException, ProcessExitedException: one failed, with its rank.
        """
        running = {p.sentinel: i for i, p in enumerate(self.processes) if p.exitcode is None}
        if running:
            _wait(list(running), timeout)
        failed = next((i for i, p in enumerate(self.processes) if p.exitcode not in (None, 0)), None)
        if failed is None:
            return all(p.exitcode == 0 for p in self.processes)
        for p in self.processes:
            if p.is_alive() and grace_period:
                p.join(grace_period)
            if p.is_alive():
                p.terminate()
        for p in self.processes:
            p.join()
        process = self.processes[failed]
        try:
            cause = self._errors[failed].recv()
        except EOFError:  # it ended without a word
            cause = None
        if cause is not None:
            text = f"\n\n-- Process {failed} terminated with the following error:\n{cause}"
            raise ProcessRaisedException(text, failed, process.pid)
        how = f"signal {-process.exitcode}" if process.exitcode < 0 else f"exit code {process.exitcode}"
        raise ProcessExitedException(
            f"process {failed} terminated with {how}", failed, process.pid, exit_code=process.exitcode
        )


def start_processes(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """`fn(rank, *args)` in `nprocs` processes.

    Args:
        fn: a function of a module, so that a new process finds it.
        args: what follows the rank.
        nprocs: number of processes.
        join: wait for all (and return None); default True.
        daemon: they end with this process; default False.
        start_method: "spawn" (default), "fork" or "forkserver".
    """
    context = _mp.get_context(start_method)
    processes, errors = [], []
    for rank in range(nprocs):
        read, write = context.Pipe(duplex=False)
        p = context.Process(target=_run, args=(fn, rank, args, write), daemon=daemon)  # type: ignore[attr-defined]
        p.start()
        write.close()
        processes.append(p)
        errors.append(read)
    made = ProcessContext(processes, errors)
    if not join:
        return made
    while not made.join():
        pass
    return None


def spawn(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """`start_processes`, PyTorch's usual name."""
    return start_processes(fn, args, nprocs, join, daemon, start_method)
