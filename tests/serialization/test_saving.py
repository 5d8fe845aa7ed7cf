"""Saving: whole files or none, wherever the process dies."""

from __future__ import annotations

import errno
import io
import os
import pickle
import signal
import stat
import time

import numpy as np
import pytest

import tritorch as torch
from tritorch.tensor import wrap


def test_killed_at_any_instant(tmp_path):
    """200 processes that save all the time are killed; the file is always a whole one, and nothing else is left."""
    path = tmp_path / "state.pth"
    state = lambda i: {"i": i, "w": torch.full((64, 64), float(i)), "v": [torch.full((7,), float(i))] * 3}
    torch.save(state(0), path)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        child = os.fork()
        if child == 0:
            try:
                i = int(time.time_ns() % 1000) + 1
                while True:
                    torch.save(state(i), path)
                    i += 1
            finally:
                os._exit(1)
        old, patience = os.stat(path).st_ino, time.monotonic() + 20
        while os.stat(path).st_ino == old and time.monotonic() < patience:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.004))
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        got = torch.load(path)
        seen.add(got["i"])
        assert (got["w"] == got["i"]).all() and (got["v"][2] == got["i"]).all()
    assert len(seen) > 100
    others = [p for p in tmp_path.iterdir() if p != path]
    # without a name until whole: at most the instant between naming and renaming leaves a file
    assert len(others) <= 20
    for p in others:
        assert torch.load(p)["i"] > 0


def test_a_large_save_killed_at_any_instant(tmp_path):
    """Files that are allocated, checked by a second thread and brought to the disk while they are written."""
    path = tmp_path / "state.pth"
    state = lambda i: {"i": i, "w": [torch.full((1_000_000,), float(i + k)) for k in range(3)]}
    torch.save(state(0), path)
    rng = np.random.default_rng(1)
    for i in range(1, 25):
        child = os.fork()
        if child == 0:
            try:
                while True:
                    torch.save(state(i), path)
                    i += 100
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0.005, 0.08))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        got = torch.load(path)
        assert all((w == got["i"] + k).all() for k, w in enumerate(got["w"]))
    assert got["i"] > 0


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "state.pth"
    torch.save({"old": torch.ones(3)}, path)

    class Stubborn:
        def __reduce__(self):
            raise ValueError("does not pickle")

    with pytest.raises(ValueError, match="does not pickle"):
        torch.save({"new": torch.zeros(3), "bad": Stubborn()}, path)
    from tritorch.serialization import saving

    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saving.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        torch.save({"new": torch.zeros(3)}, path)
    assert list(torch.load(path)) == ["old"] and os.listdir(tmp_path) == ["state.pth"]


def test_without_nameless_files(tmp_path, monkeypatch):
    from tritorch.serialization import saving

    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    torch.save([1], tmp_path / "a")
    assert torch.load(tmp_path / "a") == [1] and os.listdir(tmp_path) == ["a"]
    monkeypatch.undo()

    def refuse(*args, **kwargs):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(saving.os, "link", refuse)
    torch.save([2], tmp_path / "a")
    assert torch.load(tmp_path / "a") == [2] and os.listdir(tmp_path) == ["a"]


def test_the_space_of_a_replaced_file_is_given_back(tmp_path):
    """Also in a child that is forked before the thread has closed it."""
    from tritorch.serialization import replacing

    path = tmp_path / "a"
    torch.save({"x": torch.zeros(1_000_000)}, path)
    for i in range(3):
        torch.save({"x": torch.full((1_000_000,), i)}, path)
    child = os.fork()
    if child == 0:
        os._exit(len(replacing._held))
    assert os.waitpid(child, 0)[1] == 0
    patience = time.monotonic() + 20
    while any("(deleted)" in link for link in _open_files() if str(tmp_path) in link):
        assert time.monotonic() < patience
        time.sleep(0.01)
    assert torch.load(path)["x"][5].item() == 2 and os.listdir(tmp_path) == ["a"]


def _open_files():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass  # the folder's own
    return found


def test_links_and_modes_stay(tmp_path):
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "model.pth"
    torch.save(1, target)
    target.chmod(0o640)
    link = tmp_path / "link.pth"
    link.symlink_to(target)
    torch.save(2, link)
    assert link.is_symlink() and torch.load(target) == 2
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    before = os.umask(0o027)
    try:
        torch.save(3, tmp_path / "new.pth")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.pth").stat().st_mode) == 0o640
    torch.save(4, "/dev/null")


def test_errors(tmp_path):
    with pytest.raises(RuntimeError, match="Parent directory .* does not exist"):
        torch.save(1, tmp_path / "no" / "where.pth")
    with pytest.raises(IsADirectoryError):
        torch.save(1, tmp_path)
    with pytest.raises(TypeError, match="f must be a path"):
        torch.save(1, 3)
    with pytest.raises(ValueError, match="zip"):
        torch.save(1, io.BytesIO(), _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match="pickle_protocol"):
        torch.save(1, io.BytesIO(), pickle_protocol=0)


def test_files_that_take_bytes_in_pieces():
    class Slow(io.RawIOBase):
        def __init__(self):
            self.data = bytearray()

        def write(self, piece):
            n = min(len(piece), 100)
            self.data += bytes(piece[:n])
            return n

    f = Slow()
    torch.save({"x": torch.arange(1000)}, f)
    assert torch.load(io.BytesIO(bytes(f.data)))["x"].tolist() == list(range(1000))


def test_pickle_modules(tmp_path):
    class Module:
        __name__ = "mine"
        Pickler, Unpickler = pickle._Pickler, pickle.Unpickler

    torch.save({"x": torch.ones(2)}, tmp_path / "a", pickle_module=Module)
    assert torch.load(tmp_path / "a", pickle_module=Module, weights_only=False)["x"].tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="weights_only"):
        torch.load(tmp_path / "a", pickle_module=Module)

    class InC:
        Pickler = pickle.Pickler

    with pytest.raises(TypeError, match="written in Python"):
        torch.save(1, io.BytesIO(), pickle_module=InC)


def test_arrays_that_no_storage_describes():
    a = np.arange(10.0, dtype=np.float32)
    for x in (a[::-1], a[::2][::-1].reshape(5, 1), np.frombuffer(bytes(13), np.uint8)[1:9].view(np.float32)):
        f = io.BytesIO()
        torch.save(wrap(x), f)
        f.seek(0)
        assert torch.load(f).tolist() == x.tolist()


def test_one_copy_of_shared_memory():
    x = torch.zeros(1000)
    size = lambda obj: len((f := io.BytesIO(), torch.save(obj, f), f.getvalue())[2])
    assert size([x, x[:10], x.view(10, 100).t(), torch.nn.Parameter(x)]) < size(x) + 2000
