"""safetensors files: round trips, shards, damage."""

from __future__ import annotations

import json
import os
import stat
import sys

import numpy as np
import pytest

import tritorch as torch
from tritorch.serialization import DamagedFileError

st = pytest.importorskip("safetensors.numpy", reason="the package that reads and writes; install tritorch[safetensors]")

TENSORS = lambda: {
    "a": torch.arange(6.0).reshape(2, 3),
    "b": torch.ones(3, dtype=torch.bfloat16),
    "c": torch.tensor(True),
}


def test_round_trip_and_layouts(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = TENSORS() | {"t": torch.arange(6).reshape(2, 3).t(), "e": torch.zeros(0, 2)}
    torch.save_file(tensors, path, metadata={"format": "pt"})
    got = torch.load_file(path)
    assert {k: (v.dtype, v.tolist()) for k, v in got.items()} == {k: (v.dtype, v.tolist()) for k, v in tensors.items()}
    assert os.listdir(tmp_path) == ["a.safetensors"]
    torch.save_file({}, path)
    assert torch.load_file(path) == {}


def test_shards(tmp_path):
    tensors = TENSORS()
    torch.save_file({"a": tensors["a"]}, tmp_path / "model-1.safetensors")
    torch.save_file({"b": tensors["b"], "c": tensors["c"]}, tmp_path / "model-2.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    shards = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    index.write_text(json.dumps({"metadata": {"total_size": 30}, "weight_map": shards}))
    got = torch.load_file(index)
    assert list(got) == ["a", "b"] and got["a"].tolist() == tensors["a"].tolist()
    for weight_map, words in (
        ({"a": "../model-1.safetensors"}, "outside"),
        ({"x": "model-1.safetensors"}, "does not hold x"), ([1], "no index"),
        ({"a": 3}, "outside|no index"),
    ):  # fmt: skip
        index.write_text(json.dumps({"weight_map": weight_map}))
        with pytest.raises(DamagedFileError, match=words):
            torch.load_file(index)


def test_the_package_reads_what_is_written_and_back(tmp_path):
    path = tmp_path / "a.safetensors"
    torch.save_file(TENSORS(), path, metadata={"format": "pt"})
    with st.safe_open(path, framework="np") as f:
        assert f.metadata() == {"format": "pt"} and sorted(f.keys()) == ["a", "b", "c"]
        assert f.get_slice("b").get_dtype() == "BF16" and f.get_tensor("a").tolist() == TENSORS()["a"].tolist()
    st.save_file({"x": np.arange(3.0), "y": np.ones((2, 1), torch.bfloat16.np)}, path)
    got = torch.load_file(path)
    assert got["x"].dtype is torch.float64 and got["y"].dtype is torch.bfloat16 and got["y"].tolist() == [[1.0], [1.0]]
    got["x"][0] = 7.0  # the tensors own their memory
    assert torch.load_file(path)["x"][0].item() == 0.0


def test_onto_a_device(tmp_path, device):
    path = tmp_path / "a.safetensors"
    torch.save_file({name: t.to(device) for name, t in TENSORS().items()}, path)
    got = torch.load_file(path, device=device)
    assert {str(t.device).partition(":")[0] for t in got.values()} == {device}
    assert {k: v.tolist() for k, v in got.items()} == {k: v.tolist() for k, v in TENSORS().items()}


def test_without_the_package(tmp_path, monkeypatch):
    for name in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in (lambda: torch.save_file({}, tmp_path / "a"), lambda: torch.load_file(tmp_path / "a")):
        with pytest.raises(ModuleNotFoundError, match=r"_file: needs .* pip install 'tritorch\[safetensors\]'"):
            call()
    assert os.listdir(tmp_path) == []


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    torch.save_file({"old": torch.ones(3)}, path)
    path.chmod(0o640)

    def fails(arrays, filename, metadata=None):
        with open(filename, "wb") as f:
            f.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(st, "save_file", fails)
    with pytest.raises(OSError, match="No space"):
        torch.save_file({"new": torch.zeros(3)}, path)
    assert list(torch.load_file(path)) == ["old"] and os.listdir(tmp_path) == ["a.safetensors"]
    monkeypatch.undo()
    torch.save_file({"new": torch.zeros(3)}, path)
    assert list(torch.load_file(path)) == ["new"] and stat.S_IMODE(path.stat().st_mode) == 0o640
    torch.save_file({"new": torch.zeros(3)}, "/dev/null")
    with pytest.raises(RuntimeError, match="Parent directory"):
        torch.save_file({}, tmp_path / "no" / "a")


def test_unsupported_dtypes_are_named(tmp_path):
    st.save_file({"x": np.ones(2, np.uint16)}, tmp_path / "a.safetensors")
    with pytest.raises(RuntimeError, match="tensor 'x' is of dtype U16"):
        torch.load_file(tmp_path / "a.safetensors")


def test_errors(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(ValueError, match="complex128"):
        torch.save_file({"x": torch.zeros(1, dtype=torch.complex128)}, path)
    with pytest.raises(ValueError, match="tensors"):
        torch.save_file({"x": [1]}, path)
    x = torch.ones(4)
    with pytest.raises(RuntimeError, match="share memory"):
        torch.save_file({"x": x, "y": x[1:]}, path)
    with pytest.raises(TypeError, match="metadata"):
        torch.save_file({"x": x}, path, metadata={"a": 1})
    assert not path.exists()


def test_mutated_headers_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    torch.save_file(TENSORS(), path)
    data = path.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    expected = {k: v.tolist() for k, v in TENSORS().items()}
    rng = np.random.default_rng(0)
    refused = 0
    for i in range(600):
        b = bytearray(data)
        if i % 3 == 0:
            del b[int(rng.integers(len(b))) :]
        else:
            b[int(rng.integers(header))] = int(rng.integers(256))
        path.write_bytes(b)
        try:
            got = torch.load_file(path)
        except DamagedFileError:
            refused += 1
        else:  # a changed name or space; the data are the file's own
            assert sorted(str(v.tolist()) for v in got.values()) and len(got) <= len(expected)
    assert refused > 300
