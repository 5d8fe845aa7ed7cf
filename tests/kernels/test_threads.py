from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from tritorch.kernels import _threads
from tritorch.kernels._threads import get_num_threads, parallel, product, set_num_threads


@pytest.fixture
def four_threads():
    before = get_num_threads()
    set_num_threads(4)
    yield
    set_num_threads(before)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 7, 100, 101])
def test_blocks_cover_the_range_once(four_threads, n):
    seen = np.zeros(n, int)

    def work(start, stop):
        seen[start:stop] += 1

    parallel(work, n)
    assert (seen == 1).all()


def test_a_range_shorter_than_two_grains_stays_on_the_calling_thread(four_threads):
    calls = []
    parallel(lambda start, stop: calls.append((start, stop, threading.get_ident())), 19, grain=10)
    assert calls == [(0, 19, threading.get_ident())]
    calls.clear()
    parallel(lambda start, stop: calls.append((start, stop)), 20, grain=10)
    assert sorted(calls) == [(0, 10), (10, 20)]


def test_one_thread_runs_inline(four_threads):
    set_num_threads(1)
    calls = []
    parallel(lambda start, stop: calls.append((start, stop)), 1000)
    assert calls == [(0, 1000)]


def test_nested_calls_run_inline_and_the_caller_may_go_on_in_parallel(four_threads):
    inner = []

    def work(start, stop):
        parallel(lambda a, b: inner.append((a, b)), 8)

    parallel(work, 4)
    assert inner == [(0, 8)] * 4
    calls = []
    parallel(lambda a, b: calls.append((a, b)), 4)
    assert len(calls) == 4


@pytest.mark.parametrize("bad", [0, 3])
def test_an_exception_arrives_after_all_blocks_have_ended(four_threads, bad):
    done = []

    def work(start, stop):
        if start == bad:
            raise KeyError("from a block")
        done.append(start)

    with pytest.raises(KeyError, match="from a block"):
        parallel(work, 4)
    assert len(done) == 3
    parallel(lambda a, b: done.append(a), 4)  # the pool lives on
    assert len(done) == 7


def test_blocks_see_the_callers_error_state(four_threads):
    def work(start, stop):
        np.ones(2) / np.zeros(2)

    with np.errstate(divide="ignore"):
        parallel(work, 4)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        parallel(work, 4)


def test_several_python_threads_share_the_pool(four_threads):
    out = np.zeros((6, 1000))

    def use(i):
        for _ in range(20):
            parallel(lambda a, b: np.add(out[i, a:b], 1, out=out[i, a:b]), 1000)

    users = [threading.Thread(target=use, args=(i,)) for i in range(6)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert (out == 20).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_gets_a_pool_of_its_own(four_threads):
    parallel(lambda a, b: None, 4)
    code = (
        "import os, warnings; warnings.simplefilter('ignore')\n"
        "from tritorch.kernels._threads import parallel, set_num_threads\n"
        "set_num_threads(3); seen = []\n"
        "parallel(lambda a, b: seen.append(a), 3)\n"
        "pid = os.fork()\n"
        "parallel(lambda a, b: seen.append(a), 3)\n"
        "if pid == 0: os._exit(0 if len(seen) == 6 else 1)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_set_num_threads_refuses_what_is_no_positive_int():
    with pytest.raises(TypeError, match="num must be an int; got 2.0"):
        set_num_threads(2.0)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="positive number; got 0"):
        set_num_threads(0)


def test_product_is_matmul():
    rng = np.random.default_rng(0)
    for m, k, n in [(3, 4, 5), (300, 200, 100), (500, 400, 300)]:
        a, b = rng.normal(size=(m, k)), rng.normal(size=(k, n))
        np.testing.assert_array_equal(product(a, b), a @ b)


def test_what_no_thread_has_begun_the_caller_does(four_threads, monkeypatch):
    pool = _threads._Pool()
    pool.size = 3  # as if all of them were still asleep
    monkeypatch.setattr(_threads, "_pool", pool)
    calls = []
    parallel(lambda start, stop: calls.append((start, stop, threading.get_ident())), 8)
    assert sorted(calls) == [(i, i + 2, threading.get_ident()) for i in range(0, 8, 2)]

    def fail(start, stop):
        if start == 4:
            raise ArithmeticError("in a block that was taken back")

    with pytest.raises(ArithmeticError):
        parallel(fail, 8)


def test_jobs_of_others_stay_in_the_queue(four_threads, monkeypatch):
    pool = _threads._Pool()
    monkeypatch.setattr(_threads, "_pool", pool)
    theirs = (None, None, 0, 1, object())
    pool.jobs.put(theirs)
    assert _threads._taken_back(_threads.queue.SimpleQueue()) is None
    assert pool.jobs.get_nowait() is theirs
