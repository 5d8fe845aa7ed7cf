"""PyTorch's rebuild functions: how a pickle's tensors become ours, on the storages of one load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes
from .archive import DamagedFileError
from .names import StorageType
from .storages import LoadedStorage


class TypedStorage:
    """A storage with the dtype that its persistent id names."""

    __slots__ = ("storage", "dtype")

    def __init__(self, storage: LoadedStorage, dtype: dtypes.dtype | None):
        self.storage, self.dtype = storage, dtype


def storage_parts(saved: Any, n: int) -> tuple[StorageType, str, str, int]:
    """Type, key, location and number of elements of a persistent id with `n` entries.

    Raises:
        DamagedFileError: it is no storage's id.
    """
    if type(saved) is not tuple or len(saved) != n:
        raise DamagedFileError(f"load: the persistent id {saved!r:.200} is not a storage's")
    parts: list[Any] = [part.decode("ascii", "replace") if isinstance(part, bytes) else part for part in saved[:5]]
    kind, storage_type, key, location, count = parts
    right = kind == "storage" and type(storage_type) is StorageType and type(location) is str and type(count) is int
    if not right or type(key) is not str or count < 0:
        raise DamagedFileError(f"load: the persistent id {saved!r:.200} is not a storage's")
    return storage_type, key, location, count


def _tensor(typed: Any, offset: Any, size: Any, stride: Any, dtype: dtypes.dtype | None) -> Any:
    from ..tensor import wrap

    if type(typed) is not TypedStorage or type(size) is dict or type(stride) is dict:
        raise DamagedFileError("load: a tensor without a storage")
    kind = dtype or typed.dtype
    if kind is None or not isinstance(kind, dtypes.dtype):
        raise DamagedFileError("load: a tensor without a dtype")
    array = typed.storage.view(kind, offset, tuple(size), tuple(stride))
    return wrap(array, typed.storage.device)


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Any:
    return _tensor(storage, offset, size, stride, None)


def _rebuild_tensor_v2(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, metadata: Any = None
) -> Any:
    made = _tensor(storage, offset, size, stride, None)
    return made.requires_grad_() if requires_grad else made


def _rebuild_tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, dtype: Any, metadata: Any = None
) -> Any:
    made = _tensor(storage, offset, size, stride, dtype)
    return made.requires_grad_() if requires_grad else made


def _checked(data: Any) -> Any:
    from ..tensor import Tensor

    if not isinstance(data, Tensor):
        raise DamagedFileError(f"load: a parameter made of a {type(data).__name__}")
    return data


def _rebuild_parameter(data: Any, requires_grad: Any, hooks: Any) -> Any:
    from ..tensor import Parameter

    return Parameter(_checked(data), bool(requires_grad))


def _rebuild_parameter_with_state(data: Any, requires_grad: Any, hooks: Any, state: Any) -> Any:
    made = _rebuild_parameter(data, requires_grad, hooks)
    return _with_attributes(made, state)


def _with_attributes(made: Any, state: Any) -> Any:
    """`made` with the attributes that a user had hung on it; none that a class defines is touched."""
    if type(state) is not dict or not all(type(n) is str and not n.startswith("_") for n in state):
        raise DamagedFileError("load: the attributes of a tensor are not a dict of public names")
    for name in state:
        if hasattr(type(made), name):
            raise DamagedFileError(f"load: a tensor has an attribute {name!r} that would hide a method")
    made.__dict__.update(state)
    return made


def _rebuild_from_type_v2(function: Any, kind: Any, args: Any, state: Any) -> Any:
    from ..tensor import Tensor

    if not any(function is known for known in FUNCTIONS.values()) or kind is not Tensor:
        raise DamagedFileError("load: a tensor of a class that is not supported here")
    return _with_attributes(function(*args), state)


def _get_layout(name: Any) -> str:
    if name != "torch.strided":
        raise DamagedFileError(f"load: tensors of layout {name!r} are not supported")
    return name


def _unsupported(name: str) -> Callable[..., Any]:
    def refuse(*args: Any) -> Any:
        raise DamagedFileError(f"load: the file holds a tensor of a kind that is not supported here ({name})")

    return refuse


FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        _rebuild_tensor, _rebuild_tensor_v2, _rebuild_tensor_v3, _rebuild_parameter, _rebuild_parameter_with_state,
        _rebuild_from_type_v2, _get_layout,
    )
}  # fmt: skip
FUNCTIONS |= {
    name: _unsupported(name)
    for name in (
        "_rebuild_qtensor", "_rebuild_sparse_tensor", "_rebuild_nested_tensor", "_rebuild_meta_tensor_no_storage",
        "_rebuild_wrapper_subclass",
    )
}  # fmt: skip
