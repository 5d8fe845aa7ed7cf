"""torch.multiprocessing: the standard module's names, spawn and its failures."""

from __future__ import annotations

import os

import pytest

import tritorch as torch
from tritorch import multiprocessing as mp


def work(rank, folder, fail):
    if fail == "raise" and rank == 1:
        raise ValueError("rank one is out of order")
    if fail == "exit" and rank == 1:
        os._exit(3)
    with open(os.path.join(folder, str(rank)), "w") as f:
        f.write(str(torch.arange(rank + 1).sum().item()))


@pytest.mark.parametrize("method", ["fork"])
def test_spawn(tmp_path, method):
    mp.start_processes(work, (str(tmp_path), ""), nprocs=2, start_method=method)
    assert sorted(p.read_text() for p in tmp_path.iterdir()) == ["0", "1"]


def test_failures_carry_rank_and_cause(tmp_path):
    with pytest.raises(mp.ProcessRaisedException, match="rank one is out of order") as caught:
        mp.start_processes(work, (str(tmp_path), "raise"), nprocs=2, start_method="fork")
    assert caught.value.error_index == 1
    with pytest.raises(mp.ProcessExitedException, match="exit code 3") as ended:
        mp.start_processes(work, (str(tmp_path), "exit"), nprocs=2, start_method="fork")
    assert ended.value.exit_code == 3


def test_names():
    assert mp.get_context("fork").Process and mp.cpu_count() >= 1 and mp.Queue
    assert mp.get_sharing_strategy() in mp.get_all_sharing_strategies()
    with pytest.raises(AssertionError, match="must be one of"):
        mp.set_sharing_strategy("telepathy")
    mp.set_sharing_strategy("file_system")
