"""The allow-list against hostile pickles: nothing they name is imported, called or changed."""

from __future__ import annotations

import collections
import io
import os
import pickle
import pickletools
import struct
import sys

import numpy as np
import pytest

import tritorch as torch
from tritorch import serialization
from tritorch.serialization import DamagedFileError
from tritorch.serialization.archive import Writer

REFUSALS = (pickle.UnpicklingError, DamagedFileError)


def archive(pickled: bytes) -> io.BytesIO:
    f = io.BytesIO()
    w = Writer(f.write)
    w.add("data.pkl", pickled)
    w.add("byteorder", sys.byteorder.encode())
    w.add("data/0", bytes(16))
    w.add("version", b"3\n")
    w.close()
    f.seek(0)
    return f


class Reduces:
    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


called: list[object] = []


def trap(*args):
    called.append(args)


class Trap:
    def __init__(self, *args):
        called.append(args)

    def __setstate__(self, state):
        called.append(state)


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        called.append("init")
        self.linear = torch.nn.Linear(2, 3)

    def forward(self, x):
        return self.linear(x)


class LayerWithState(Layer):
    def __setstate__(self, state):
        called.append(state)


class LayerWithNew(Layer):
    def __new__(cls):
        called.append("new")
        return object.__new__(cls)


GLOBAL = lambda module, name: b"c" + module.encode() + b"\n" + name.encode() + b"\n"
TEXT = lambda s: b"X" + struct.pack("<I", len(s.encode())) + s.encode()

HOSTILE = {
    "os.system": pickle.dumps(Reduces(os.system, ("touch /tmp/never",)), 2),
    "eval": pickle.dumps(Reduces(eval, ("1+1",)), 2),
    "exec in a dict": pickle.dumps({"a": [Reduces(exec, ("import os",))]}, 4),
    "getattr": pickle.dumps(Reduces(getattr, ({}, "keys")), 2),
    "own function": pickle.dumps(Reduces(trap, (1,)), 2),
    "own class": pickle.dumps(Reduces(Trap, (1,)), 2),
    "instance": b"\x80\x02" + GLOBAL(__name__, "Trap") + b")\x81}b.",
    "import": b"\x80\x02" + GLOBAL("antigravity", "x") + b".",
    "a function of torch": b"\x80\x02" + GLOBAL("torch", "load") + TEXT("/etc/passwd") + b"\x85R.",
    "a function of nn.functional called": b"\x80\x02" + GLOBAL("torch.nn.functional", "relu") + b")R.",
    "torch.hub": b"\x80\x02" + GLOBAL("torch.hub", "load") + b")R.",
    "dotted name": b"\x80\x04" + TEXT("collections") + TEXT("OrderedDict.fromkeys") + b"\x93.",
    "dotted name of torch": b"\x80\x04" + TEXT("torch") + TEXT("Tensor.__init__") + b"\x93.",
    "private name": b"\x80\x02" + GLOBAL("torch.nn.modules.module", "_global_forward_hooks") + b".",
    "call of a layer": b"\x80\x02" + GLOBAL(__name__, "Layer") + b")R.",
    "call of nn.Linear": b"\x80\x02" + GLOBAL("torch.nn.modules.linear", "Linear") + b"K\x02K\x03\x86R.",
    "own __setstate__": b"\x80\x02" + GLOBAL(__name__, "LayerWithState") + b")\x81}b.",
    "own __new__": b"\x80\x02" + GLOBAL(__name__, "LayerWithNew") + b")\x81}b.",
    "state of a class": b"\x80\x02" + GLOBAL(__name__, "Layer") + b"N}" + TEXT("x") + b"K\x01s\x86b.",
    "state of a function": b"\x80\x02" + GLOBAL("torch._utils", "_rebuild_tensor_v2") + b"}" + TEXT("x") + b"K\x01sb.",
    "state of OrderedDict": b"\x80\x02" + GLOBAL("collections", "OrderedDict") + b"}" + TEXT("x") + b"K\x01sb.",
    "slots of an OrderedDict": b"\x80\x02"
    + GLOBAL("collections", "OrderedDict")
    + b")RN}"
    + TEXT("x")
    + b"K\x01s\x86b.",
    "extension code": b"\x80\x02\x82\x01.",
    "INST": b"(i" + b"os\nsystem\n.",
    "OBJ": b"(" + GLOBAL("os", "system") + b"o.",
    "out-of-band buffer": b"\x80\x05\x97.",
    "persistent id of another kind": b"\x80\x02" + TEXT("module") + b"Q.",
    "text persistent id": b"Pabc\n.",
    "bytearray of a size": b"\x80\x02" + GLOBAL("builtins", "bytearray") + b"J\xff\xff\xff\x7f\x85R.",
    "an endless set": b"\x80\x02"
    + GLOBAL("builtins", "set")
    + GLOBAL("builtins", "range")
    + b"J\xff\xff\xff\x7f\x85R\x85R.",
    "a foreign codec": b"\x80\x02" + GLOBAL("_codecs", "encode") + TEXT("x") + TEXT("rot13") + b"\x86R.",
    "a default factory that is called": b"\x80\x02"
    + GLOBAL("collections", "defaultdict")
    + GLOBAL(__name__, "Layer")
    + b"\x85R.",
    "long string": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b".",
    "long long": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b".",
    "negative length": b"\x80\x02T" + struct.pack("<i", -5) + b".",
    "far memo": b"\x80\x02j\xff\xff\xff\x7f.",
    "empty stack": b"\x80\x02R.",
    "no stop": b"\x80\x02K\x01",
    "mark as a value": b"\x80\x02((\x86.",
    "protocol 9": b"\x80\x09N.",
    "unhashable key": b"\x80\x02}]K\x01s.",
    "numpy objects": pickle.dumps(np.array([{}], object), 2),
    "numpy subclass": pickle.dumps(np.ma.array([1]), 2),
    "numpy file": b"\x80\x02" + GLOBAL("numpy", "load") + TEXT("x") + b"\x85R.",
    "numpy structured": pickle.dumps(np.zeros(2, [("a", "f4")]), 2),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_refused(name):
    before = dict(sys.modules)
    called.clear()
    with pytest.raises(REFUSALS) as e:
        torch.load(archive(HOSTILE[name]))
    assert not called
    assert set(sys.modules) - set(before) <= {m for m in sys.modules if m.startswith(("tritorch", "numpy"))}
    assert str(e.value).startswith("load: ")


def test_deep_keys_and_structures_end_in_time():
    nested = b"\x80\x02}" + b")" + b"2\x86" * 60 + b"K\x01s."  # a key whose hash visits 2**60 paths
    with pytest.raises(REFUSALS, match="parts"):
        torch.load(archive(nested))
    deep = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    assert isinstance(torch.load(archive(deep)), list)


STORAGE = b"(" + TEXT("storage") + GLOBAL("torch", "FloatStorage") + TEXT("0") + TEXT("cpu") + b"K\x04tQ"


def _tensor(offset: bytes, size: bytes, stride: bytes) -> bytes:
    head = b"\x80\x02" + GLOBAL("torch._utils", "_rebuild_tensor_v2") + b"(" + STORAGE
    return head + offset + size + stride + b"\x89" + GLOBAL("collections", "OrderedDict") + b")RtR."


def test_tensors_stay_within_their_storage():
    assert torch.load(archive(_tensor(b"K\0", b"K\x04\x85", b"K\x01\x85"))).tolist() == [0.0] * 4
    for offset, size, stride in (
        (b"K\x01", b"K\x04\x85", b"K\x01\x85"), (b"K\0", b"K\x05\x85", b"K\x01\x85"),
        (b"K\0", b"K\x02\x85", b"K\x04\x85"),
        (b"J\xff\xff\xff\xff", b"K\x01\x85", b"K\x01\x85"), (b"K\0", b"K\x02\x85", b"J\xff\xff\xff\xff\x85"),
        (b"K\0", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", b"K\x01K\x01\x86"), (b"K\0", b"K\x02\x85", b")"),
        (b"K\0", TEXT("ab"), b"K\x01\x85"),
        (b"N", b"K\x02\x85", b"K\x01\x85"), (b"K\0", b"G\x40\0\0\0\0\0\0\0\x85", b"K\x01\x85"),
    ):  # fmt: skip
        with pytest.raises(REFUSALS):
            torch.load(archive(_tensor(offset, size, stride)))


def test_whole_model_without_running_its_code(tmp_path):
    model = Layer()
    torch.save(model, tmp_path / "model.pth")
    called.clear()
    got = torch.load(tmp_path / "model.pth")
    assert type(got) is Layer and not called
    x = torch.ones(1, 2)
    assert got(x).tolist() == model(x).tolist()
    del sys.modules[__name__].__dict__["Layer"]
    try:
        with pytest.raises(pickle.UnpicklingError, match=r"Layer.*add_safe_globals.*weights_only=False"):
            torch.load(tmp_path / "model.pth")
    finally:
        sys.modules[__name__].__dict__["Layer"] = type(model)


def test_activation_functions_are_values():
    layer = torch.nn.TransformerEncoderLayer(4, 2, 8)
    f = io.BytesIO()
    torch.save(layer, f)
    f.seek(0)
    assert torch.load(f).activation is torch.nn.functional.relu


class Settings:
    def __init__(self, lr):
        self.lr = lr

    def __eq__(self, other):
        return self.__dict__ == other.__dict__


Point = collections.namedtuple("Point", "x y")


def test_safe_globals():
    f = io.BytesIO()
    torch.save({"s": Settings(0.1), "p": Point(1, 2)}, f)
    load = lambda: torch.load(io.BytesIO(f.getvalue()))
    with pytest.raises(pickle.UnpicklingError, match="Settings"):
        load()
    with serialization.safe_globals([Settings]):
        with pytest.raises(pickle.UnpicklingError, match="Point"):
            load()
        with serialization.safe_globals([Point]):
            assert load() == {"s": Settings(0.1), "p": Point(1, 2)}
    assert serialization.get_safe_globals() == []
    serialization.add_safe_globals([Settings, (Point, f"{__name__}.Point")])
    try:
        assert load()["p"] == Point(1, 2)
    finally:
        serialization.clear_safe_globals()
    with pytest.raises(pickle.UnpicklingError):
        load()
    assert torch.load(io.BytesIO(f.getvalue()), weights_only=False)["s"] == Settings(0.1)
    with pytest.raises(ValueError, match="pair"):
        serialization.add_safe_globals([(Settings, "a", "b")])
    with pytest.raises(TypeError, match="str"):
        serialization.add_safe_globals([(Settings, 3)])
    with serialization.safe_globals([os.system]), pytest.raises(pickle.UnpicklingError):
        torch.load(archive(HOSTILE["os.system"]))


def test_mutated_pickles_never_escape():
    """The pickle's bytes changed under a checksum that fits: refused, or data; never another error."""
    f = io.BytesIO()
    torch.save({"w": torch.ones(2, 2), "s": {1, 2}, "n": [1.5, "x", None, (1, 2)], "a": np.arange(3)}, f)
    import zipfile

    pickled = zipfile.ZipFile(io.BytesIO(f.getvalue())).read("archive/data.pkl")
    assert b"FloatStorage" in pickled and sum(1 for _ in pickletools.genops(pickled)) > 40
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(2000):
        data = bytearray(pickled)
        for _ in range(rng.integers(1, 4)):
            kind, at = rng.integers(3), int(rng.integers(len(data)))
            if kind == 0:
                data[at] = int(rng.integers(256))
            elif kind == 1:
                del data[at]
            else:
                data.insert(at, int(rng.integers(256)))
        try:
            torch.load(archive(bytes(data)))
        except (pickle.UnpicklingError, RuntimeError):
            refused += 1
    assert refused > 500
