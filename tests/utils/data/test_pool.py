"""Faults in workers: each is an error within seconds, and no process is left behind."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import tritorch as torch
from tritorch.utils.data import DataLoader, Dataset

METHODS = ["fork", "spawn", "forkserver"]


class Rows(Dataset):
    def __len__(self) -> int:
        return 40

    def __getitem__(self, i: int):
        return torch.full((2,), float(i))


class Raises(Rows):
    def __getitem__(self, i):
        if i == 13:
            raise KeyError("boom")
        return super().__getitem__(i)


class Killed(Rows):
    def __getitem__(self, i):
        if i == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(i)


class Exits(Rows):
    def __getitem__(self, i):
        if i == 13:
            os._exit(3)
        return super().__getitem__(i)


class Hangs(Rows):
    def __getitem__(self, i):
        if i == 13:
            time.sleep(600)
        return super().__getitem__(i)


class Slow(Rows):
    def __getitem__(self, i):
        time.sleep(0.05)
        return super().__getitem__(i)


class Odd(Exception):
    def __init__(self, a: int, b: int):
        super().__init__(a, b)


class RaisesOdd(Rows):
    def __getitem__(self, i):
        raise Odd(1, 2)


class Unpicklable(Rows):
    def __getitem__(self, i):
        return lambda: i


def identity(batch):
    return batch


def loader(dataset, method="fork", **options):
    return DataLoader(dataset, batch_size=4, num_workers=2, multiprocessing_context=method, **options)


def gone(pids: list[int]) -> bool:
    """Whether none of these processes runs; they get a moment to end."""
    for _ in range(200):
        alive = [p for p in pids if Path(f"/proc/{p}").exists() and "Z" not in Path(f"/proc/{p}/stat").read_text()]
        if not alive:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("method", METHODS)
def test_batches_arrive(method):
    got = [x for b in loader(Rows(), method) for x in b[:, 0].tolist()]
    assert got == list(range(40))


@pytest.mark.parametrize("method", METHODS)
def test_an_exception_arrives_with_traceback_and_index_and_the_rest_follows(method):
    it = iter(loader(Raises(), method))
    pids = it._pool.pids
    for _ in range(3):
        next(it)
    with pytest.raises(KeyError) as caught:
        next(it)
    text = str(caught.value)
    assert "Caught KeyError in DataLoader worker process 1" in text
    assert "in __getitem__" in text and "KeyError: 'boom'" in text and "while fetching sample 13 of Raises" in text
    assert len(list(it)) == 6
    assert gone(pids)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("dataset", "end"), [(Killed, r"killed by SIGKILL; when memory runs out"), (Exits, "with exit code 3")]
)
def test_a_worker_that_dies_is_an_error(method, dataset, end):
    it = iter(loader(dataset(), method))
    pids = it._pool.pids
    with pytest.raises(RuntimeError, match=rf"DataLoader worker 1 \(pid {pids[1]}\) exited unexpectedly:? {end}"):
        list(it)
    assert gone(pids)
    with pytest.raises(RuntimeError, match="shut down after an error"):
        next(it)


def test_a_worker_killed_from_outside_is_an_error():
    it = iter(loader(Slow()))
    next(it)
    os.kill(it._pool.pids[0], signal.SIGTERM)
    with pytest.raises(RuntimeError, match="exited unexpectedly: killed by SIGTERM"):
        list(it)


def test_a_timeout_is_an_error():
    it = iter(loader(Hangs(), timeout=0.5))
    pids = it._pool.pids
    with pytest.raises(RuntimeError, match="DataLoader timed out after 0.5 seconds"):
        list(it)
    assert gone(pids)


def test_an_exception_with_its_own_constructor_becomes_a_runtime_error():
    with pytest.raises(RuntimeError, match="Caught Odd in DataLoader worker process 0"):
        next(iter(loader(RaisesOdd())))


def test_an_exception_that_cannot_be_pickled_becomes_a_runtime_error():
    class Local(Exception):
        pass

    class RaisesLocal(Rows):
        def __getitem__(self, i):
            raise Local("here")

    with pytest.raises(RuntimeError, match=r"(?s)Caught Local in DataLoader worker process 0.*here"):
        next(iter(loader(RaisesLocal())))


def test_a_batch_that_cannot_be_pickled_is_an_error():
    with pytest.raises((AttributeError, TypeError, RuntimeError), match="pickle"):
        next(iter(loader(Unpicklable(), collate_fn=identity)))


def test_an_error_in_worker_init_fn_arrives():
    def init(worker):
        raise ValueError("no such shard")

    with pytest.raises(ValueError, match="no such shard"):
        next(iter(loader(Rows(), worker_init_fn=init)))


@pytest.mark.parametrize("persistent", [False, True])
def test_a_break_leaves_no_process(persistent):
    data = loader(Slow(), persistent_workers=persistent)
    it = iter(data)
    pids = it._pool.pids
    next(it)
    del it, data
    gc.collect()
    assert gone(pids)


def test_an_exception_in_the_loop_leaves_no_process():
    pids = []

    def train():
        it = iter(loader(Slow()))
        pids.extend(it._pool.pids)
        for _ in it:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    gc.collect()
    assert len(pids) == 2 and gone(pids)


def test_an_interrupt_while_waiting_leaves_no_process():
    it = iter(loader(Hangs()))
    pids = it._pool.pids

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(KeyboardInterrupt):
            list(it)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert gone(pids)


SCRIPT = """
import os, sys, time
import tritorch as torch
from tritorch.utils.data import DataLoader, Dataset

class Rows(Dataset):
    def __len__(self):
        return 1000
    def __getitem__(self, i):
        return torch.ones(100, 100)

if __name__ == "__main__":
    it = iter(DataLoader(Rows(), batch_size=2, num_workers=2, multiprocessing_context="{method}"))
    next(it)
    print(*it._pool.pids, flush=True)
    {end}
"""


def script(tmp_path, end: str, method: str = "fork") -> subprocess.Popen:
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT).format(end=end, method=method))
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_the_end_of_the_program_leaves_no_process_and_no_word(tmp_path, method):
    process = script(tmp_path, "pass", method)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and err == ""
    assert gone([int(p) for p in out.split()])


def test_ctrl_c_leaves_no_process_and_one_traceback(tmp_path):
    process = script(tmp_path, "time.sleep(60)")
    pids = [int(p) for p in process.stdout.readline().split()]
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert err.count("KeyboardInterrupt") == 1 and err.count("Traceback") == 1
    assert gone(pids)


def test_a_parent_that_is_killed_leaves_no_process(tmp_path):
    process = script(tmp_path, "time.sleep(60)")
    pids = [int(p) for p in process.stdout.readline().split()]
    process.kill()
    process.communicate(timeout=60)
    assert len(pids) == 2 and gone(pids)


def test_a_dataset_of_main_with_spawn_says_what_to_do(tmp_path):
    code = """
        import tritorch as torch
        from tritorch.utils.data import DataLoader, Dataset
        class Rows(Dataset):
            def __len__(self): return 4
            def __getitem__(self, i): return i
        try:
            list(DataLoader(Rows(), num_workers=1, multiprocessing_context="spawn"))
        except RuntimeError as error:
            print(error)
    """
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    run = subprocess.run(
        [sys.executable, "-"], input=textwrap.dedent(code), capture_output=True, text=True, env=env, timeout=60
    )
    assert "must be defined in a module, not in a notebook" in run.stdout


def test_functions_of_a_notebook_work_in_forked_workers():
    """A program that has no file, as a notebook's cells have none: dataset, collate_fn and worker_init_fn are its own."""
    code = """
        import tritorch as torch
        from tritorch.utils.data import DataLoader, Dataset, get_worker_info
        class Rows(Dataset):
            def __len__(self): return 6
            def __getitem__(self, i): return i * self.factor
        def prepare(worker): get_worker_info().dataset.factor = 10
        loader = DataLoader(Rows(), 2, num_workers=2, collate_fn=lambda b: sum(b), worker_init_fn=prepare)
        for _ in range(2):
            print(list(loader))
    """
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    run = subprocess.run(
        [sys.executable, "-"], input=textwrap.dedent(code), capture_output=True, text=True, env=env, timeout=60
    )
    assert run.stdout == "[10, 50, 90]\n" * 2, run.stderr


def test_large_messages_both_ways_do_not_wait_for_each_other():
    batches = [list(range(3000))] * 200
    texts = DataLoader(
        range(3000), batch_sampler=batches, num_workers=1, prefetch_factor=100, collate_fn=lambda b: [str(i) for i in b]
    )
    assert sum(len(b) for b in texts) == 600_000


def test_two_loaders_at_once():
    pairs = list(zip(loader(Rows()), loader(Rows(), "spawn"), strict=True))
    assert len(pairs) == 10 and all(a.tolist() == b.tolist() for a, b in pairs)


def test_workers_compute_after_the_parent_has_used_its_threads():
    code = """
        import numpy as np
        import tritorch as torch
        from tritorch.utils.data import DataLoader, Dataset

        torch.set_num_threads(2)
        a = torch.rand(700, 700)
        here = ((a @ a).sum() + torch.rand(1 << 20).exp().sum() * 0).item()  # starts the BLAS's threads and ours

        class Products(Dataset):
            def __len__(self): return 4
            def __getitem__(self, i):
                torch.set_num_threads(2)  # a pool of the worker's own
                there = (a @ a).sum() + torch.rand(1 << 20).exp().sum() * 0
                assert abs(np.dot(a.numpy(), a.numpy()).sum() / here - 1) < 1e-3
                return there.item()

        for _ in range(2):
            got = list(DataLoader(Products(), batch_size=None, num_workers=2, timeout=50))
            assert all(abs(g / here - 1) < 1e-3 for g in got), got
            (a @ a).sum()
        print("done")
    """
    env = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    env |= {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OPENBLAS_NUM_THREADS": "2"}
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env=env, timeout=120
    )
    assert run.stdout == "done\n", run.stderr


def test_epochs_leave_neither_descriptors_nor_memory_nor_children():
    def blocks() -> int:
        return Path("/proc/self/maps").read_text().count("tritorch-batch")

    data = loader(torch.utils.data.TensorDataset(torch.zeros(40, 5000)))
    list(data)  # what is opened once and for all is open now
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        batches = list(data)
        assert blocks() == len(batches) == 10
        del batches
    next(iter(data))  # left early
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before and blocks() == 0
    assert multiprocessing.active_children() == []
