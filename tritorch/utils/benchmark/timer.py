"""`Timer`: runs a statement often enough to say how long it takes; waits for cuda where cuda is used."""

from __future__ import annotations

import importlib
import sys
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from textwrap import dedent
from typing import Any

import numpy as np

from ...device import synchronize
from ...kernels._threads import get_num_threads, set_num_threads
from .measurement import Measurement, TaskSpec


class Language(Enum):
    """Of the statement; Python alone."""

    PYTHON = 0
    CPP = 1


def timer() -> float:
    """Seconds, after waiting for what was given to cuda; where cuda was not used there is nothing to wait for."""
    if sys.modules[synchronize.__module__]._backend is not None:
        synchronize()
    return timeit.default_timer()


@contextmanager
def set_torch_threads(n: int) -> Iterator[None]:
    """Inside, ops on the CPU run on n threads."""
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


class Timer:
    """Times a statement; `timeit.Timer` with warm-up, repeated measurements, a fixed number of threads, and cuda.

    Arguments:
        stmt: Python code. setup: code that runs once before each measurement; default nothing.
        timer: gives seconds; by default waits for cuda first.
        globals: names for the code; `torch` is tritorch unless given.
        label, sub_label, description, env: of the result, for `Compare`.
        num_threads: of ops on the CPU; default 1.

    Raises:
        ValueError: `stmt` is no str; global_setup is given; an unknown language.
        NotImplementedError: C++ code.

    >>> from tritorch.utils.benchmark import Timer
    >>> Timer("x + 1", setup="x = torch.ones(4)").timeit(10).num_threads
    1
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Language | str = Language.PYTHON,
    ):
        if not isinstance(stmt, str):
            raise ValueError(f"Timer: Currently only a `str` stmt is supported; got {type(stmt).__name__}")
        if language in (Language.CPP, "cpp", "c++"):
            raise NotImplementedError("Timer: nothing is compiled here, so C++ code can't be timed")
        if language not in (Language.PYTHON, "py", "python"):
            raise ValueError(f"Timer: Invalid language `{language}`; expected 'python'")
        if global_setup:
            raise ValueError(f"Timer: global_setup is for C++ alone, got `{global_setup}`; use setup")
        names = dict(globals or {})  # a copy: running code adds names
        names.setdefault("torch", importlib.import_module(__name__.partition(".")[0]))
        stmt, setup = _block(stmt), _block(setup)
        self._timer = timeit.Timer(stmt, setup, timer, names)
        self._task_spec = TaskSpec(stmt, setup, global_setup, label, sub_label, description, env, num_threads)

    def timeit(self, number: int = 1000000) -> Measurement:
        """One measurement of `number` runs, after a hundredth of them for warming up."""
        with set_torch_threads(self._task_spec.num_threads):
            self._timed(max(number // 100, 2))
            return self._result(number, [self._timed(number)])

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """As many measurements as fit into `min_run_time` seconds, each of so many runs that reading the clock is nothing.

        Arguments:
            callback: called with (runs, seconds) after each measurement.
        """
        return self._repeated(min_run_time, min_run_time, _EVER, lambda m: True, callback)

    def adaptive_autorange(
        self,
        threshold: float = 0.1,
        *,
        min_run_time: float = 0.01,
        max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:
        """Measurements, four at least, until the distance of their quartiles is below `threshold` times the median.

        Arguments:
            min_run_time, max_run_time: seconds that it takes at least and, about, at most.
            callback: called with (runs, seconds) after each measurement.
        """

        def settled(m: Measurement) -> bool:
            return len(m.raw_times) > 3 and m.meets_confidence(threshold)

        return self._repeated(0.05, min_run_time, max_run_time, settled, callback)

    def _timed(self, number: int) -> float:
        return max(self._timer.timeit(number), 1e-9)  # the clock's step: no division by zero afterwards

    def _result(self, number: int, times: list[float]) -> Measurement:
        return Measurement(number, times, self._task_spec)

    def _repeated(self, block: float, least: float, most: float, enough: Any, callback: Any) -> Measurement:
        with set_torch_threads(self._task_spec.num_threads):
            m = self._result(self._block_size(block), [])
            total = 0.0
            while total <= most:
                seconds = self._timed(m.number_per_run)
                m.raw_times.append(seconds)
                total += seconds
                if callback is not None:
                    callback(m.number_per_run, seconds)
                if total >= least and enough(m):
                    break
        return m

    def _block_size(self, min_run_time: float) -> int:
        """So many runs, a power of ten, that the clock is 1e-4 of them and a thousand fit into the time; a warm-up, too."""
        overhead = float(np.median([self._timed(0) for _ in range(5)]))
        number = 1
        while number < 10**9:
            seconds = self._timed(number)
            if seconds > min_run_time or overhead <= 1e-4 * seconds and seconds >= min_run_time / 1000:
                break
            number *= 10
        return number


_EVER = float("inf")


def _block(code: str) -> str:
    """Code out of an indented string."""
    return dedent(code).removeprefix("\n").rstrip()
