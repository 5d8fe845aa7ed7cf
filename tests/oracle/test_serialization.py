"""Files that go between tritorch and PyTorch, both ways."""

from __future__ import annotations

import copy
import importlib
import io
import pickle
from collections import Counter, OrderedDict, defaultdict, deque

import numpy as np
import pytest

import tritorch as ours
from tritorch.device import EMULATED, emulate

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

DTYPES = [
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
    "complex128",
]  # fmt: skip


def _array(t):
    return t.detach().float().numpy() if str(t.dtype).endswith("bfloat16") else t.detach().numpy()


def _same(a, b):
    """Equal structure, types, dtypes, shapes, strides and values of ours and theirs."""
    if isinstance(a, (ours.Tensor, torch.Tensor)):
        assert str(a.dtype) == str(b.dtype) and tuple(a.shape) == tuple(b.shape)
        assert tuple(a.stride()) == tuple(b.stride())
        assert a.requires_grad == b.requires_grad
        assert type(a).__name__ == type(b).__name__
        np.testing.assert_array_equal(_array(a), _array(b))
    elif isinstance(a, dict):
        assert type(a) is type(b) and list(a) == list(b)
        for k in a:
            _same(a[k], b[k])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b) and type(a).__name__ == type(b).__name__
        for x, y in zip(a, b, strict=True):
            _same(x, y)
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    else:
        assert type(a).__name__ == type(b).__name__ and str(a) == str(b)


def _objects(lib):
    base = lib.tensor(np.arange(24.0, dtype=np.float32).reshape(4, 6))
    shared = [1, 2]
    return {
        "dtypes": {d: lib.tensor([[0, 1], [2, 3]]).to(getattr(lib, d)) for d in DTYPES},
        "views": OrderedDict(
            base=base,
            t=base.t(),
            row=base[1],
            column=base[:, 2],
            strided=base[::2, 1::3],
            expanded=base[:1].expand(3, 6),
        ),
        "shapes": [lib.zeros(()), lib.zeros(0), lib.zeros(3, 0, 2), lib.ones(1, 1, 3), lib.ones(2, 3).t()],
        "parameter": lib.nn.Parameter(lib.ones(2, 3)),
        "frozen": lib.nn.Parameter(lib.ones(2), requires_grad=False),
        "leaf": lib.ones(2, requires_grad=True),
        "plain": (1, -(10**30), 2.5, None, True, "text \u00e9\u4e2d", b"bytes", {1, 2}, frozenset([3]), complex(1, 2)),
        "nested": {"a": {"b": [(), {}, [[]], {"c": (1, (2, (3,)))}]}, 3: "int key", (1, 2): "tuple key"},
        "twice": [shared, shared],
        "kinds": [lib.float32, lib.bfloat16, lib.Size([2, 3]), lib.device("cpu"), lib.device("cuda:1")],
        "collections": [OrderedDict([("z", 1), ("a", 2)]), Counter("aab")],
        "bytearray": bytearray(b"xyz"),
    }


@pytest.mark.parametrize("key", list(_objects(ours)))
def test_torch_reads_ours_safely(key):
    f = io.BytesIO()
    ours.save(_objects(ours)[key], f)
    f.seek(0)
    _same(_objects(ours)[key], torch.load(f, weights_only=key not in ("plain",)))


@pytest.mark.parametrize("key", list(_objects(ours)))
def test_ours_reads_torch_safely(key):
    f = io.BytesIO()
    torch.save(_objects(torch)[key], f)
    f.seek(0)
    _same(ours.load(f), _objects(torch)[key])


@pytest.mark.parametrize("key", list(_objects(ours)))
def test_ours_reads_ours(key):
    f = io.BytesIO()
    ours.save(_objects(ours)[key], f)
    f.seek(0)
    _same(ours.load(f), _objects(torch)[key])


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_pickle_protocols(protocol):
    objects = {k: v for k, v in _objects(torch).items() if protocol >= 2 or k in ("dtypes", "views", "nested", "twice")}
    f = io.BytesIO()
    torch.save(objects, f, pickle_protocol=protocol)
    f.seek(0)
    _same(ours.load(f), objects)
    mine = {k: v for k, v in _objects(ours).items() if k in objects}
    f = io.BytesIO()
    ours.save(mine, f, pickle_protocol=protocol)
    f.seek(0)
    _same(mine, torch.load(f, weights_only=False))


def test_sharing_survives():
    for saver, loader, lib in ((torch, ours, torch), (ours, torch, ours)):
        base = lib.zeros(4, 4)
        f = io.BytesIO()
        saver.save({"base": base, "view": base[1], "again": base}, f)
        f.seek(0)
        got = loader.load(f)
        got["base"][1] = 7.0
        assert got["view"].tolist() == [7.0] * 4 and got["again"] is got["base"]


def test_numpy_values():
    state = {"loss": np.float32(0.5), "best": np.float64(2), "n": np.int64(3), "array": np.arange(6).reshape(2, 3)}
    state |= {"f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "u": np.array(["a", "bc"]), "same": None}
    state["same"] = state["array"]
    for protocol in (2, 4, 5):
        f = io.BytesIO()
        torch.save(state, f, pickle_protocol=protocol)
        f.seek(0)
        got = ours.load(f)
        _same(got, state)
        assert got["same"] is got["array"]


def test_legacy_format():
    base = torch.arange(12.0).reshape(3, 4)
    state = OrderedDict(
        w=torch.nn.Parameter(base), v=base.t()[1:], b=torch.ones(3, dtype=torch.bfloat16), n={"a": [1, "x"]}
    )
    f = io.BytesIO()
    torch.save(state, f, _use_new_zipfile_serialization=False)
    f.seek(0)
    got = ours.load(f)
    _same(got, state)
    with ours.no_grad():
        got["w"][0, 1] = 100.0
    assert got["v"][0, 0] == 100.0
    assert not f.read()
    f.seek(0)
    _same(ours.load(f, weights_only=False), state)
    for cut in range(1, len(f.getvalue()), 7):
        with pytest.raises((RuntimeError, pickle.UnpicklingError)):
            ours.load(io.BytesIO(f.getvalue()[:cut]))


def test_paths_mmap_and_map_location(tmp_path):
    path = tmp_path / "model.pth"
    state = {"w": torch.arange(10.0), "b": torch.ones(3, dtype=torch.int64)}
    torch.save(state, path)
    for mmap in (False, True):
        for target in (None, "cpu", ours.device("cpu"), {"cpu": "cpu"}, lambda storage, place: storage,
                       lambda storage, place: None):  # fmt: skip
            _same(ours.load(path, map_location=target, mmap=mmap), state)
    mapped = ours.load(str(path), mmap=True)
    mapped["w"][0] = 5.0  # private: the file keeps its bytes
    _same(ours.load(path), state)
    ours.save({"w": ours.ones(3)}, path)
    _same({"w": ours.ones(3)}, torch.load(path, mmap=True))


@pytest.mark.skipif(ours.cuda.device_count() == 0, reason="no cuda device, real or emulated")
def test_cuda_tensors():
    f = io.BytesIO()
    x = ours.arange(6.0).reshape(2, 3).to("cuda")
    ours.save({"x": x, "t": x.t(), "h": x.to(ours.bfloat16)}, f)
    f.seek(0)
    theirs = torch.load(f, map_location="cpu")
    assert theirs["t"].stride() == (1, 3) and theirs["t"].tolist() == [[0, 3], [1, 4], [2, 5]]
    f.seek(0)
    back = ours.load(f)
    assert str(back["x"].device) == "cuda:0" and back["t"].cpu().tolist() == theirs["t"].tolist()
    for target in ("cpu", {"cuda:0": "cpu"}, lambda storage, place: storage.cpu(), lambda storage, place: storage):
        f.seek(0)
        got = ours.load(f, map_location=target)
        assert str(got["x"].device) == "cpu" and got["h"].tolist() == x.cpu().tolist()
    f = io.BytesIO()
    torch.save({"x": torch.ones(2)}, f)
    f.seek(0)
    assert ours.load(f, map_location="cuda")["x"].is_cuda


@pytest.mark.parametrize("mmap", [False, True])
def test_large_storages_both_ways(tmp_path, mmap):
    """Records that carry a second check and whose checksums a thread computes are the same to PyTorch."""
    rng = np.random.default_rng(0)
    arrays = {f"w{i}": rng.normal(size=(n, 1000)).astype(np.float32) for i, n in enumerate((2500, 1, 20, 700, 333))}
    path = tmp_path / "large.pth"
    ours.save({k: ours.tensor(v) for k, v in arrays.items()}, path)
    for lib in (torch, ours):
        got = lib.load(path, mmap=mmap)
        assert all(np.array_equal(got[k].numpy(), v) for k, v in arrays.items())
    torch.save({k: torch.tensor(v) for k, v in arrays.items()}, path)
    got = ours.load(path, mmap=mmap)
    assert all(np.array_equal(got[k].numpy(), v) for k, v in arrays.items())


@pytest.mark.skipif(not EMULATED, reason="two emulated devices")
def test_map_location_between_devices():
    emulate(2)
    try:
        f = io.BytesIO()
        x = ours.arange(6.0)
        ours.save({"a": x.to("cuda:0"), "b": x.to("cuda:1"), "c": x}, f)
        for target, wanted in (
            (None, ("cuda:0", "cuda:1", "cpu")),
            ("cuda:1", ("cuda:1",) * 3),
            (ours.device("cpu"), ("cpu",) * 3),
            ({"cuda:0": "cuda:1"}, ("cuda:1", "cuda:1", "cpu")),
            ({"cuda:1": ours.device("cpu"), "cpu": "cuda:0"}, ("cuda:0", "cpu", "cuda:0")),
            (lambda storage, place: storage.cuda(1) if place == "cpu" else None, ("cuda:0", "cuda:1", "cuda:1")),
            (lambda storage, place: storage.cpu(), ("cpu",) * 3),
        ):
            f.seek(0)
            got = ours.load(f, map_location=target)
            assert tuple(str(t.device) for t in got.values()) == wanted
            assert all(t.tolist() == x.tolist() for t in got.values())
    finally:
        emulate(1)


def test_missing_device_is_an_error():
    f = io.BytesIO()
    torch.save(torch.ones(2), f)
    data = f.getvalue()
    f = io.BytesIO()
    ours.save(ours.ones(2), f)
    with pytest.raises(RuntimeError, match="cuda:7"):
        ours.load(io.BytesIO(data), map_location="cuda:7")
    with pytest.raises(TypeError, match="map_location"):
        ours.load(io.BytesIO(data), map_location=lambda storage, place: 3)


def test_big_endian_is_refused():
    f = io.BytesIO()
    torch.save(torch.ones(2), f)
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(f.getvalue())) as z, zipfile.ZipFile(out, "w") as o:
        for info in z.infolist():
            o.writestr(info.filename, b"big" if info.filename.endswith("byteorder") else z.read(info))
    with pytest.raises(RuntimeError, match="big-endian"):
        ours.load(io.BytesIO(out.getvalue()))


def test_recompressed_files_load():
    import zipfile

    f = io.BytesIO()
    torch.save({"x": torch.arange(1000)}, f)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(f.getvalue())) as z, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as o:
        for info in z.infolist():
            o.writestr(info.filename, z.read(info))
    assert ours.load(io.BytesIO(out.getvalue()))["x"].tolist() == list(range(1000))


def test_unsupported_tensors_are_named():
    for value, word in (
        (torch.ones(2).to_sparse(), "sparse"), (torch.ones(2, dtype=torch.uint16), "uint16"),
        (torch.ones(2).to(torch.float8_e4m3fn), "float8"),
    ):  # fmt: skip
        f = io.BytesIO()
        torch.save(value, f)
        with pytest.raises((RuntimeError, pickle.UnpicklingError), match=word):
            ours.load(io.BytesIO(f.getvalue()))


# ---- models and optimizers


def _model(lib):
    return lib.nn.Sequential(
        lib.nn.Conv2d(1, 3, 3), lib.nn.BatchNorm2d(3), lib.nn.ReLU(), lib.nn.Flatten(), lib.nn.Linear(3 * 36, 4)
    )


def test_state_dicts_and_checkpoints(tmp_path):
    x = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    mine, theirs = _model(ours), _model(torch)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        theirs(torch.tensor(x)).square().sum().backward()
        optimizer.step()
    checkpoint = {"epoch": 3, "model": theirs.state_dict(), "optimizer": optimizer.state_dict(), "loss": 0.5}
    torch.save(checkpoint, tmp_path / "a.pth")
    got = ours.load(tmp_path / "a.pth")
    assert got["model"]._metadata == theirs.state_dict()._metadata
    mine.load_state_dict(got["model"])
    mine_optimizer = ours.optim.Adam(mine.parameters())
    mine_optimizer.load_state_dict(got["optimizer"])
    theirs.eval(), mine.eval()
    np.testing.assert_allclose(
        mine(ours.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), atol=1e-6
    )
    # and back
    theirs.train(), mine.train()
    mine_optimizer.zero_grad()
    mine(ours.tensor(x)).square().sum().backward()
    mine_optimizer.step()
    ours.save({"model": mine.state_dict(), "optimizer": mine_optimizer.state_dict()}, tmp_path / "b.pth")
    back = torch.load(tmp_path / "b.pth")
    theirs.load_state_dict(back["model"])
    optimizer.load_state_dict(back["optimizer"])
    assert optimizer.param_groups[0]["lr"] == 0.01
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())
        np.testing.assert_array_equal(mine_optimizer.state[p]["exp_avg"].numpy(), optimizer.state[q]["exp_avg"].numpy())


def test_whole_models():
    x = np.random.default_rng(1).normal(size=(2, 1, 8, 8)).astype(np.float32)
    theirs = _model(torch).eval()
    f = io.BytesIO()
    torch.save(theirs, f)
    f.seek(0)
    mine = ours.load(f)
    assert type(mine) is ours.nn.Sequential
    expected = theirs(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(mine(ours.tensor(x)).detach().numpy(), expected, atol=1e-6)
    f = io.BytesIO()
    ours.save(mine, f)
    f.seek(0)
    back = torch.load(f, weights_only=False)
    assert type(back) is torch.nn.Sequential
    np.testing.assert_allclose(back(torch.tensor(x)).detach().numpy(), expected, atol=1e-6)


def test_every_layer_has_torchs_name():
    """What a saved model calls its layers must be importable there."""
    from tritorch.serialization.names import torch_name

    public = [getattr(ours.nn, n) for n in dir(ours.nn)]
    layers = [c for c in public if isinstance(c, type) and issubclass(c, ours.nn.Module)]
    assert len(layers) > 20
    for layer in layers:
        if not hasattr(torch.nn, layer.__name__):
            continue
        module, name = torch_name(layer.__module__, layer.__qualname__)
        assert getattr(importlib.import_module(module), name) is getattr(torch.nn, name), (module, name)


def test_optimizers_and_schedules_pickle_by_torchs_name():
    from tritorch.serialization.names import our_object, torch_name

    for n in ours.optim.__all__ + ours.optim.lr_scheduler.__all__:
        cls = getattr(ours.optim, n, None) or getattr(ours.optim.lr_scheduler, n)
        if isinstance(cls, type):
            module, name = torch_name(cls.__module__, cls.__qualname__)
            assert isinstance(getattr(importlib.import_module(module), name), type)
            assert our_object(module, name) is cls


def test_functions_of_tensors():
    """What a model may hold as its activation."""
    for n in ("relu", "tanh", "exp"):
        for saver, loader in ((torch, ours), (ours, torch), (ours, ours)):
            f = io.BytesIO()
            saver.save({"f": getattr(saver, n), "g": saver.nn.functional.gelu}, f)
            for safe in (True, False)[loader is torch :]:
                f.seek(0)
                got = loader.load(f, weights_only=safe)
                assert got["g"] is loader.nn.functional.gelu
                x = [0.5, 1.0]
                assert got["f"](loader.tensor(x)).tolist() == getattr(loader, n)(loader.tensor(x)).tolist()


def test_hung_attributes():
    for saver, loader in ((torch, ours), (ours, torch)):
        p, t = saver.nn.Parameter(saver.ones(2)), saver.ones(3)
        p.tag, t.note = "head", [1, 2]
        f = io.BytesIO()
        saver.save({"p": p, "t": t}, f)
        f.seek(0)
        got = loader.load(f, weights_only=False)
        assert got["p"].tag == "head" and got["t"].note == [1, 2]
        f.seek(0)
        if loader is ours:
            assert ours.load(f)["t"].note == [1, 2]


def test_different_dtypes_over_one_memory():
    x = ours.arange(4.0)
    f = io.BytesIO()
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        ours.save([x, x.view(ours.int32)], f)


def test_deepcopy_of_what_was_loaded():
    f = io.BytesIO()
    torch.save({"w": torch.ones(2), "v": torch.arange(6).reshape(2, 3).t()}, f)
    f.seek(0)
    got = ours.load(f)
    _same(copy.deepcopy(got), got)


def test_defaultdict_and_unsafe_loading():
    f = io.BytesIO()
    torch.save({"d": defaultdict(list, a=[1]), "q": deque([1, 2], 5), "r": range(3), "s": slice(1, 2)}, f)
    for safe in (True, False):
        f.seek(0)
        got = ours.load(f, weights_only=safe)
        assert got["q"] == deque([1, 2]) and got["q"].maxlen == 5
        assert got["d"]["new"] == [] and got["d"]["a"] == [1] and got["r"] == range(3) and got["s"] == slice(1, 2)


# ---- safetensors


def test_safetensors_both_ways(tmp_path):
    st = pytest.importorskip("safetensors.torch", reason="the reference implementation; install the oracle extra")
    tensors = {d: torch.tensor([[0, 1], [2, 3]]).to(getattr(torch, d)) for d in DTYPES if d != "complex128"}
    tensors |= {"empty": torch.zeros(0, 3), "scalar": torch.tensor(2.5)}
    st.save_file(tensors, tmp_path / "a.safetensors", metadata={"format": "pt"})
    got = ours.load_file(tmp_path / "a.safetensors")
    assert got.keys() == tensors.keys()
    for k in got:
        _same(got[k], tensors[k])
    ours.save_file(got, tmp_path / "b.safetensors", metadata={"format": "pt"})
    back = st.load_file(tmp_path / "b.safetensors")
    for k in got:
        _same(got[k], back[k])
