"""safetensors files: a JSON header with names, dtypes, shapes and places, then the tensors' bytes.

Source: the format's description at github.com/huggingface/safetensors. Sharded checkpoints are read straight from
their index file (`model.safetensors.index.json`), as the Hub stores them.
"""

from __future__ import annotations

import json
import math
import os
from typing import Any

import numpy as np

from .. import dtypes
from ..device import device as to_device_object
from .archive import DamagedFileError
from .saving import _replace
from .storages import LoadedStorage, address, owner_of

_NAMES = {
    dtypes.float64: "F64", dtypes.float32: "F32", dtypes.float16: "F16", dtypes.bfloat16: "BF16", dtypes.int64: "I64",
    dtypes.int32: "I32", dtypes.int16: "I16", dtypes.int8: "I8", dtypes.uint8: "U8", dtypes.bool_: "BOOL",
    dtypes.complex64: "C64",
}  # fmt: skip
_DTYPES = {name: kind for kind, name in _NAMES.items()}
_LARGEST_HEADER = 100_000_000  # bytes; the reference implementation's limit


def save_file(tensors: dict[str, Any], filename: str | os.PathLike, metadata: dict[str, str] | None = None) -> None:
    """Write tensors to a safetensors file; the file is replaced in one step, as `save` does.

    Args:
        tensors: name -> tensor, any shape and layout (written contiguous).
        filename: the path.
        metadata: text to text, kept in the header; default none.

    Raises:
        ValueError: a value is no tensor, or of a dtype that the format does not know.
        RuntimeError: two tensors share memory, which the format can't express.

    >>> import os, tempfile, tritorch as torch
    >>> path = os.path.join(tempfile.mkdtemp(), "w.safetensors")
    >>> torch.save_file({"w": torch.ones(2)}, path)
    >>> torch.load_file(path)
    {'w': tensor([1., 1.])}
    """
    from ..tensor import Tensor

    owners: dict[tuple[int, int], str] = {}
    for name, t in tensors.items():
        if not isinstance(name, str) or not isinstance(t, Tensor) or t.dtype not in _NAMES:
            raise ValueError(
                f"save_file: tensors must map str to tensors of the dtypes {', '.join(map(str, _NAMES))}; "
                f"got {name!r}: {t.dtype if isinstance(t, Tensor) else type(t).__name__}"
            )
        owner = owner_of(t._a)
        first = owners.setdefault((address(owner), owner.nbytes), name)
        if first != name and owner.nbytes:
            raise RuntimeError(f"save_file: {first!r} and {name!r} share memory, which the format loses; save copies")
    for key, value in (metadata or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"save_file: metadata must map str to str; got {key!r}: {value!r}")
    # wide dtypes first, so that every tensor is aligned
    order = sorted(tensors, key=lambda n: (-tensors[n].dtype.itemsize, n))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for name in order:
        t = tensors[name]
        size = t.dtype.itemsize * math.prod(t.shape)
        header[name] = {"dtype": _NAMES[t.dtype], "shape": list(t.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)

    def fill(write: Any) -> None:
        write(len(text).to_bytes(8, "little") + text)
        for name in order:
            array = tensors[name].detach().cpu().contiguous()._a
            if array.size:
                write(array.reshape(-1).view(np.uint8))

    _replace(os.fspath(filename), fill, at)


def load_file(filename: str | os.PathLike, device: Any = "cpu") -> dict[str, Any]:
    """Read a safetensors file, or all files that a sharded checkpoint's index names.

    Args:
        filename: a `.safetensors` file, or a `.safetensors.index.json` beside its shards.
        device: where the tensors go; default "cpu".

    Returns:
        name -> tensor.

    Raises:
        tritorch.serialization.DamagedFileError: the file is truncated, altered, or not of the format.
    """
    path = os.fspath(filename)
    if path.endswith(".json"):
        return _load_shards(path, device)
    return _load_one(path, device, None)


def _damaged(path: str, what: str) -> DamagedFileError:
    return DamagedFileError(f"load_file: {path!r} is damaged: {what}")


def _load_shards(path: str, device: Any) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as f:
            index = json.load(f)
        wanted: dict[str, set[str]] = {}
        for name, shard in index["weight_map"].items():
            wanted.setdefault(shard, set()).add(name)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise _damaged(path, f"it is no index with a weight_map ({type(e).__name__}: {e})") from None
    found: dict[str, Any] = {}
    for shard, names in wanted.items():
        if not isinstance(shard, str) or os.path.basename(shard) != shard or shard in ("", ".", ".."):
            raise _damaged(path, f"the shard {shard!r} lies outside of its folder")
        part = _load_one(os.path.join(os.path.dirname(path), shard), device, names)
        missing = names - part.keys()
        if missing:
            raise _damaged(path, f"{shard} does not hold {', '.join(sorted(missing)[:5])}")
        found.update(part)
    return {name: found[name] for name in index["weight_map"]}


def _load_one(path: str, device: Any, names: set[str] | None) -> dict[str, Any]:
    from ..tensor import wrap

    target = to_device_object(device)
    loaded: dict[str, Any] = {}
    with open(path, "rb", buffering=0) as f:
        size = os.fstat(f.fileno()).st_size
        entries, start = _header(f, size, path)
        for name, (kind, shape, begin, end) in entries.items():
            if names is not None and name not in names:
                continue
            content = np.empty(end - begin, np.uint8)
            view, done = memoryview(content.data), 0
            f.seek(start + begin)
            while done < len(view):
                got = f.readinto(view[done:])
                if not got:
                    raise _damaged(path, f"it ends inside of tensor {name!r}")
                done += got
            storage = LoadedStorage(content).to(target)
            loaded[name] = wrap(storage.content.view(kind.np).reshape(shape), storage.device)
    return loaded


def _header(f: Any, size: int, path: str) -> tuple[dict[str, tuple[dtypes.dtype, tuple[int, ...], int, int]], int]:
    """The entries (dtype, shape, first and last byte) by name, and where the data begin."""
    head = f.read(8)
    length = int.from_bytes(head, "little")
    if len(head) < 8 or length > min(size - 8, _LARGEST_HEADER):
        raise _damaged(path, f"its header of {length} bytes does not fit into {size} bytes")
    try:
        header = json.loads(f.read(length).decode("utf-8"))
        header.pop("__metadata__", None)
        entries = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            entries[name] = (_DTYPES[entry["dtype"]], tuple(entry["shape"]), begin, end)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise _damaged(path, f"its header can't be read ({type(e).__name__}: {e})") from None
    at = 0
    for name, (kind, shape, begin, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        numbers = (*shape, begin, end)
        right = all(type(n) is int and n >= 0 for n in numbers)
        if not right or begin != at or end - begin != kind.itemsize * math.prod(shape):
            raise _damaged(path, f"tensor {name!r} of shape {shape} does not lie at bytes {begin} to {end}")
        at = end
    if 8 + length + at != size:
        raise _damaged(path, f"it should have {8 + length + at} bytes and has {size}")
    return entries, 8 + length
