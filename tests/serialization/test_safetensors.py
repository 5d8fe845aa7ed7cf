"""safetensors files: round trips, shards, damage."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import tritorch as torch
from tritorch.serialization import DamagedFileError

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
