"""safetensors files, by the `safetensors` package: a JSON header with names, dtypes and shapes, then the bytes.

Sharded checkpoints are read straight from their index file (`model.safetensors.index.json`), as the Hub stores them.
Source: github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import os
from typing import Any

from .. import dtypes
from ..device import device as to_device_object
from .archive import DamagedFileError
from .replacing import replace_by_path
from .storages import LoadedStorage, address, owner_of

_NAMES = {
    dtypes.float64: "F64", dtypes.float32: "F32", dtypes.float16: "F16", dtypes.bfloat16: "BF16", dtypes.int64: "I64",
    dtypes.int32: "I32", dtypes.int16: "I16", dtypes.int8: "I8", dtypes.uint8: "U8", dtypes.bool_: "BOOL",
    dtypes.complex64: "C64",
}  # fmt: skip
_DTYPES = {name: kind for kind, name in _NAMES.items()}


def _package(function: str) -> Any:
    """The module `safetensors`, with its part for NumPy loaded."""
    try:
        import safetensors.numpy
    except ModuleNotFoundError as e:
        if e.name is None or e.name.partition(".")[0] != "safetensors":
            raise
        raise ModuleNotFoundError(
            f"{function}: needs the package safetensors; install it with pip install 'tritorch[safetensors]'",
            name=e.name,
        ) from None
    return safetensors


def save_file(tensors: dict[str, Any], filename: str | os.PathLike, metadata: dict[str, str] | None = None) -> None:
    """Write tensors to a safetensors file; the file is replaced in one step, as `save` does.

    Args:
        tensors: name -> tensor, any shape and layout (written contiguous).
        filename: the path.
        metadata: text to text, kept in the header; default none.

    Raises:
        ModuleNotFoundError: the package safetensors is not installed.
        ValueError: a value is no tensor, or of a dtype that the format does not know.
        RuntimeError: two tensors share memory, which the format can't express.

    >>> import os, tempfile, tritorch as torch
    >>> path = os.path.join(tempfile.mkdtemp(), "w.safetensors")
    >>> torch.save_file({"w": torch.ones(2)}, path)
    >>> torch.load_file(path)
    {'w': tensor([1., 1.])}
    """
    package = _package("save_file")
    _check(tensors, metadata)
    arrays = {name: t.detach().cpu().contiguous()._a for name, t in tensors.items()}
    try:
        replace_by_path(
            os.fspath(filename),
            lambda path: package.numpy.save_file(arrays, path, metadata),
            lambda: package.numpy.save(arrays, metadata),
        )
    except package.SafetensorError as e:
        raise RuntimeError(f"save_file: {os.fspath(filename)!r}: {e}") from e


def _check(tensors: dict[str, Any], metadata: dict[str, str] | None) -> None:
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


def load_file(filename: str | os.PathLike, device: Any = "cpu") -> dict[str, Any]:
    """Read a safetensors file, or all files that a sharded checkpoint's index names.

    Args:
        filename: a `.safetensors` file, or a `.safetensors.index.json` beside its shards.
        device: where the tensors go; default "cpu".

    Returns:
        name -> tensor.

    Raises:
        ModuleNotFoundError: the package safetensors is not installed.
        tritorch.serialization.DamagedFileError: the file is truncated, altered, or not of the format.
        RuntimeError: a tensor is of a dtype that is not supported here.
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
        wanted: dict[str, list[str]] = {}
        for name, shard in index["weight_map"].items():
            wanted.setdefault(shard, []).append(name)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise _damaged(path, f"it is no index with a weight_map ({type(e).__name__}: {e})") from None
    found: dict[str, Any] = {}
    for shard, names in wanted.items():
        if not isinstance(shard, str) or os.path.basename(shard) != shard or shard in ("", ".", ".."):
            raise _damaged(path, f"the shard {shard!r} lies outside of its folder")
        found.update(_load_one(os.path.join(os.path.dirname(path), shard), device, names))
    return {name: found[name] for name in index["weight_map"]}


def _load_one(path: str, device: Any, names: list[str] | None) -> dict[str, Any]:
    """All tensors of one file, or those called `names`."""
    from ..tensor import wrap

    package = _package("load_file")
    target = to_device_object(device)
    loaded: dict[str, Any] = {}
    try:
        with package.safe_open(path, framework="np") as f:
            held = f.keys()
            missing = [] if names is None else sorted(set(names).difference(held))
            if missing:
                raise _damaged(path, f"it does not hold {', '.join(missing[:5])}, which the index looks for there")
            for name in held if names is None else names:
                kind = f.get_slice(name).get_dtype()
                if kind not in _DTYPES:
                    raise RuntimeError(
                        f"load_file: {path!r}: tensor {name!r} is of dtype {kind}, which is not supported"
                    )
                array = f.get_tensor(name)
                storage = LoadedStorage(array.reshape(-1).view("u1")).to(target)
                loaded[name] = wrap(storage.content.view(_DTYPES[kind].np).reshape(array.shape), storage.device)
    except package.SafetensorError as e:
        raise _damaged(path, str(e)) from None
    return loaded
