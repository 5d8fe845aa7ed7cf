"""Threads for the NumPy side: a small pool for row blocks and images, and products that take the right share of it.

NumPy releases the interpreter lock inside ufuncs, copies and BLAS, so plain Python threads scale. How many threads the
BLAS itself takes, and when, is `_blas.py`'s matter.
"""

from __future__ import annotations

import contextvars
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _blas, _malloc  # noqa: F401 - importing _malloc keeps freed memory in the process
from ._blas import LARGE_PRODUCT, TINY_PRODUCT, TINY_VECTOR_PRODUCT, single_enter, single_exit


def _default_threads() -> int:
    text = os.environ.get("OMP_NUM_THREADS", "")
    if text.isdigit() and int(text) > 0:
        return int(text)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


_n_threads = _default_threads()


def get_num_threads() -> int:
    """The number of CPU threads that one op may use; all cores at start, or OMP_NUM_THREADS.

    >>> get_num_threads() >= 1
    True
    """
    return _n_threads


def set_num_threads(num: int) -> None:
    """Set the number of CPU threads that one op may use.

    Args:
        num: at least 1; 1 runs every op on the calling thread.

    Raises:
        TypeError: `num` is no int.
        RuntimeError: `num` is not positive.
    """
    global _n_threads
    if isinstance(num, bool) or not isinstance(num, (int, np.integer)):
        raise TypeError(f"set_num_threads: num must be an int; got {num!r}")
    if num < 1:
        raise RuntimeError(f"set_num_threads: num must be a positive number; got {num}")
    _n_threads = int(num)


# ------------------------------------------------------------------------------------------------------- the pool


class _Pool:
    """Daemon threads that take (context, function, start, stop, answers) from one queue; grows, never shrinks."""

    def __init__(self):
        self.jobs: queue.SimpleQueue[tuple] = queue.SimpleQueue()
        self.size = 0
        self.lock = threading.Lock()

    def grow(self, size: int) -> None:
        with self.lock:
            while self.size < size:
                self.size += 1
                threading.Thread(target=self._work, name=f"tritorch-{self.size}", daemon=True).start()

    def _work(self) -> None:
        _local.inside = True  # what a job calls runs inline
        while True:
            context, fn, start, stop, answers = self.jobs.get()
            try:
                context.run(fn, start, stop)
            except BaseException as error:  # noqa: BLE001 - handed to the caller
                answers.put(error)
            else:
                answers.put(None)
            del context, fn, answers  # an idle worker keeps nobody's arrays alive


class _Local(threading.local):
    inside = False


_local = _Local()
_pool = _Pool()


def parallel(fn: Callable[[int, int], Any], n: int, grain: int = 1) -> None:
    """Call `fn(start, stop)` over blocks of `range(n)`: on several threads when n >= 2 * grain, else inline.

    The caller's thread takes a block too, then those that no other thread has begun, and returns when all are done.
    Inside of `fn` the BLAS has one thread, NumPy's error state is the caller's, and further calls of `parallel` run
    inline. `fn` must write to disjoint places.

    Args:
        fn: the work; its result is ignored.
        n: number of items.
        grain: the fewest items worth a thread.

    Raises:
        BaseException: what the first failing block raised, after all blocks have ended.
    """
    blocks = min(_n_threads, n // grain if grain > 1 else n)
    if blocks < 2 or _local.inside:
        if n > 0:
            fn(0, n)
        return
    if _pool.size < blocks - 1:
        _pool.grow(blocks - 1)
    answers: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    step, rest = divmod(n, blocks)
    first = stop = step + (rest > 0)
    failed: BaseException | None = None
    single_enter()
    try:
        for i in range(1, blocks):
            start, stop = stop, stop + step + (i < rest)
            _pool.jobs.put((contextvars.copy_context(), fn, start, stop, answers))
        _local.inside = True
        waiting = blocks - 1
        try:
            failed = _attempt(fn, 0, first)
            while waiting and (taken := _taken_back(answers)):  # from threads that have not woken up by now
                waiting -= 1
                error = _attempt(fn, *taken)
                failed = failed or error
        finally:
            _local.inside = False
        _stay_awake(answers, waiting)
        for _ in range(waiting):  # also after a failure: the others still write to the caller's arrays
            error = answers.get()
            failed = failed or error
    finally:
        single_exit()
    if failed is not None:
        raise failed


_AWAKE = 100_000
"""Nanoseconds to wait for other threads without going to sleep: to be woken takes 25 us and more on a virtual machine,
about as long as the others are late. A call of 90 us took 60 with it, a training step of LeNet 3.5 ms instead of 3.7."""
_yield: Callable[[], Any] | None = getattr(os, "sched_yield", None)  # not on Windows


def _stay_awake(answers: queue.SimpleQueue, count: int) -> None:
    """Wait until there are `count` answers, or for as long as it pays to; others may have the core and the lock."""
    if _yield is not None and count:
        end = time.perf_counter_ns() + _AWAKE
        while answers.qsize() < count and time.perf_counter_ns() < end:
            _yield()


def _attempt(fn: Callable[[int, int], Any], start: int, stop: int) -> BaseException | None:
    """What `fn(start, stop)` raises."""
    try:
        fn(start, stop)
    except BaseException as error:  # noqa: BLE001 - raised by the caller, when the others have ended
        return error
    return None


def _taken_back(answers: queue.SimpleQueue) -> tuple[int, int] | None:
    """The range of a job that no thread has begun, out of the queue; None if there is none of this caller in front."""
    try:
        job = _pool.jobs.get_nowait()
    except queue.Empty:
        return None
    if job[4] is answers:
        return job[2:4]
    _pool.jobs.put(job)
    return None


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a @ b` of two matrices of one dtype, with the BLAS thread count that suits its size.

    The method `dot` takes 0.3 us for 4x4 where np.matmul takes 0.8, and copies what has no unit stride, where np.matmul
    falls back to a slow loop.
    """
    m, n = a.shape[0], b.shape[1]
    flops = 2 * m * a.shape[1] * n
    if flops <= (TINY_PRODUCT if m > 1 < n else TINY_VECTOR_PRODUCT) or _local.inside or not _blas.controlled():
        return a.dot(b)
    if flops >= LARGE_PRODUCT and _n_threads > 1:
        return _large_product(a, b, flops)
    single_enter()
    try:
        return a.dot(b)
    finally:
        single_exit()


def _large_product(a: np.ndarray, b: np.ndarray, flops: int) -> np.ndarray:
    """`a @ b` in pieces over the pool: strips of rows or columns, or, where `a` is the transpose of a tall matrix (the
    gradient of a weight), pieces of the sum, since strips of such an `a` cost the BLAS twice the work.

    The BLAS's own threads wait for each other by spinning: a product of 0.6 ms takes 0.3 ms with two of them, and 8 ms
    when another process has one of the cores. Ours take 0.4 and 0.6.
    """
    (m, k), n = a.shape, b.shape[1]
    grain = LARGE_PRODUCT // 2
    if not a.flags.c_contiguous and 2 * k >= m:
        parts: dict[int, np.ndarray] = {}

        def share(start: int, stop: int) -> None:
            parts[start] = a[:, start:stop].dot(b[start:stop])

        parallel(share, k, max(1, k * grain // flops))
        total = parts.pop(0)
        for start in sorted(parts):  # in a fixed order: equal bits in each run
            total += parts[start]
        return total
    y = np.empty((m, n), a.dtype)

    def rows(start: int, stop: int) -> None:
        np.dot(a[start:stop], b, out=y[start:stop])

    def columns(start: int, stop: int) -> None:
        y[:, start:stop] = a.dot(b[:, start:stop])

    length = m if 2 * m >= n else n
    parallel(rows if length == m else columns, length, max(1, length * grain // flops))
    return y


def _after_fork() -> None:
    """A child has none of the parent's threads: a new pool."""
    global _pool, _local
    _pool, _local = _Pool(), _Local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
