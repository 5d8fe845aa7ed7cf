"""The format before PyTorch 1.6, from bytes written here after its description."""

from __future__ import annotations

import io
import pickle
import struct

import numpy as np
import pytest

import tritorch as torch
from tritorch.serialization import DamagedFileError

text = lambda s: b"X" + struct.pack("<I", len(s)) + s.encode()
name = lambda module, n: f"c{module}\n{n}\n".encode()


def legacy(little: bool = True, magic: int = 0x1950A86A20F9469CFC6C, version: int = 1001) -> bytes:
    values = np.arange(6, dtype=np.float32)
    storage = b"(" + text("storage") + name("torch", "FloatStorage") + text("77") + text("cpu") + b"K\x06NtQ"
    tensor = name("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + b"K\0K\x02K\x03\x86K\x03K\x01\x86\x89"
    tensor += name("collections", "OrderedDict") + b")RtR"
    obj = b"\x80\x02}" + text("w") + tensor + b"s."
    head = pickle.dumps(magic, 2) + pickle.dumps(version, 2) + pickle.dumps({"little_endian": little}, 2)
    return head + obj + pickle.dumps(["77"], 2) + struct.pack("<q", 6) + values.tobytes()


def test_reads():
    for safe in (True, False):
        got = torch.load(io.BytesIO(legacy()), weights_only=safe)
        assert got["w"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_two_objects_in_one_file():
    f = io.BytesIO(legacy() + legacy())
    assert [torch.load(f)["w"].shape for _ in range(2)] == [(2, 3)] * 2


def test_refusals(tmp_path):
    data = legacy()
    for broken in (
        data[:-1],
        data[:-24],
        legacy(magic=3),
        legacy(version=7),
        data.replace(b"FloatStorage", b"Fl0atStorage"),
    ):
        with pytest.raises((DamagedFileError, pickle.UnpicklingError)):
            torch.load(io.BytesIO(broken))
    with pytest.raises(RuntimeError, match="big-endian"):
        torch.load(io.BytesIO(legacy(little=False)))
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(RuntimeError, match="zip format"):
        torch.load(tmp_path / "a", mmap=True)
