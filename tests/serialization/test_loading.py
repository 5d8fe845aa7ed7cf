"""Loading: whole files equal, damaged ones refused in words."""

from __future__ import annotations

import io
import os
import pickle

import numpy as np
import pytest

import tritorch as torch
from tritorch.serialization import DamagedFileError

STATE = lambda: {
    "w": torch.arange(12.0).reshape(3, 4), "b": torch.ones(3, dtype=torch.bfloat16), "n": {"epoch": 3, "loss": 0.25},
    "p": torch.nn.Parameter(torch.zeros(2)), "t": ("a", None, [1, 2]), "i": torch.tensor(5),
}  # fmt: skip


def _plain(value):
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), tuple(value.shape), value.tolist(), type(value).__name__)
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value


def _saved() -> bytes:
    f = io.BytesIO()
    torch.save(STATE(), f)
    return f.getvalue()


def test_two_thousand_mutated_files(tmp_path):
    data, expected = _saved(), _plain(STATE())
    rng = np.random.default_rng(0)
    path = tmp_path / "m.pth"
    outcomes = {"equal": 0, "refused": 0}
    for i in range(2000):
        b = bytearray(data)
        kind = i % 5
        if kind == 0:
            for _ in range(rng.integers(1, 4)):
                b[int(rng.integers(len(b)))] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            b[int(rng.integers(len(b)))] = int(rng.integers(256))
        elif kind == 2:
            del b[int(rng.integers(1, len(b))) :]
        elif kind == 3:
            at, n = int(rng.integers(len(b))), int(rng.integers(1, 40))
            b[at : at + n] = rng.bytes(int(rng.integers(0, 40)))
        else:
            at, to, n = (int(v) for v in rng.integers(0, len(b), 3))
            b[to : to + n % 200] = b[at : at + n % 200]
        if i % 4 == 0:
            path.write_bytes(b)
            source = path
        else:
            source = io.BytesIO(bytes(b))
        try:
            got = torch.load(source)
        except (RuntimeError, pickle.UnpicklingError) as e:
            assert str(e).startswith("load: "), e
            outcomes["refused"] += 1
        else:
            assert _plain(got) == expected, i
            outcomes["equal"] += 1
    assert outcomes["refused"] > 1000 and outcomes["equal"] > 50


def test_words_for_what_is_wrong(tmp_path):
    data = _saved()
    path = tmp_path / "model.pth"
    for content, error, words in (
        (b"", EOFError, "model.pth' is empty"),
        (data[:-100], DamagedFileError, "model.pth' is damaged: its end, the zip directory, is missing"),
        (b"hello world", DamagedFileError, "is no checkpoint"),
        (data.replace(b"archive/data/0", b"archive/data/x"), DamagedFileError, "record 'data/0' is missing"),
        (data.replace(b"little", b"bitten"), DamagedFileError, "'archive/byteorder' do not match their checksum"),
    ):
        path.write_bytes(content)
        with pytest.raises(error, match=words):
            torch.load(path)
        if content:
            with pytest.raises(DamagedFileError):
                torch.load(path, weights_only=False)
    with pytest.raises(FileNotFoundError):
        torch.load(tmp_path / "none.pth")
    with pytest.raises(AttributeError, match="read and seek"):
        torch.load(3)
    with pytest.raises(ValueError, match="file path"):
        torch.load(io.BytesIO(data), mmap=True)
    read, write = os.pipe()
    os.close(write)
    with os.fdopen(read, "rb") as pipe, pytest.raises(io.UnsupportedOperation, match="BytesIO"):
        torch.load(pipe)


def test_mmap_is_lazy_and_private(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(STATE(), path)
    before = path.read_bytes()
    got = torch.load(path, mmap=True)
    assert _plain(got) == _plain(STATE())
    got["w"] += 1
    assert path.read_bytes() == before
    torch.save([1], path)  # the mapping keeps the old file
    assert got["w"].sum().item() == 78.0


def test_a_large_list_of_numbers():
    f = io.BytesIO()
    values = [float(i) / 3 for i in range(50_000)]
    torch.save(values, f)
    f.seek(0)
    assert torch.load(f) == values
