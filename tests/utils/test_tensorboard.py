"""SummaryWriter: tensors go into event files as the numbers they hold."""

from __future__ import annotations

import builtins
import importlib
import sys

import pytest

import tritorch as torch


def _events(folder):
    """Events of all files: each record is its length, a checksum, the message, a checksum."""
    from tensorboardX.proto import event_pb2

    for path in folder.rglob("events*"):
        raw, at = path.read_bytes(), 0
        while at < len(raw):
            size = int.from_bytes(raw[at : at + 8], "little")
            event = event_pb2.Event()
            event.ParseFromString(raw[at + 12 : at + 12 + size])
            yield event
            at += 16 + size


def test_tensors_are_written_as_their_numbers(tmp_path):
    from tritorch.utils.tensorboard import SummaryWriter

    w = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("loss", w.sum(), 3)
        writer.add_scalars("both", {"a": torch.tensor(1.0), "b": 2.0}, global_step=torch.tensor(4).item())
        writer.add_histogram("w", w, 5)
        writer.add_image("picture", torch.rand(3, 4, 5), 6)
        writer.add_text("note", "hello", 7)
    found = {v.tag: (v, e.step) for e in _events(tmp_path) for v in e.summary.value}
    value, step = found["loss"]
    assert (value.simple_value, step) == (7.0, 3)
    value, step = found["w"]
    assert (value.histo.min, value.histo.max, value.histo.sum, step) == (1.0, 4.0, 7.0, 5)
    assert found["picture"][0].image.height == 4 and found["picture"][0].image.width == 5


def test_no_graphs(tmp_path):
    from tritorch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer, pytest.raises(NotImplementedError, match="TorchScript"):
        writer.add_graph(torch.nn.Linear(1, 1))


def test_without_the_package(monkeypatch):
    find = builtins.__import__

    def absent(name, *args, **kwargs):
        if name == "tensorboardX":
            raise ImportError(name)
        return find(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "tritorch.utils.tensorboard", raising=False)
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r"tritorch\[tensorboard\]"):
        importlib.import_module("tritorch.utils.tensorboard")
