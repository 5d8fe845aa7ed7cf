"""PyTorch's own database of ops (its `OpInfo`s), as calls of tritorch on the same samples.

Each entry has a callable, sample inputs per dtype, a method, an in-place method, and says whether there is `out=`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")
pytest.importorskip("expecttest", reason="torch's op database needs it; install the oracle extra")

from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402

torch.backends.flags_frozen.__globals__["__allow_nonbracketed_mutation_flag"] = True  # which the import denies programs

import tritorch  # noqa: E402

OPS = {op.name + (f".{op.variant_test_name}" if op.variant_test_name else ""): op for op in op_db}
KINDS = [
    torch.float32, torch.float64, torch.complex128, torch.bfloat16, torch.int64, torch.uint8, torch.bool,
]  # fmt: skip
TOLERANCE = {"float32": 3e-5, "complex64": 3e-5, "float64": 1e-9, "complex128": 1e-9, "float16": 4e-3, "bfloat16": 3e-2}


class NotHere(Exception):
    """An argument that tritorch does not have: a sparse layout, a dtype of eight bits ..."""


def ours(value: Any, grad: bool = True) -> Any:
    """Tensors, dtypes and all that hold them in the types of tritorch; strides and offsets are kept."""
    if isinstance(value, torch.Tensor):
        return _tensor(value, grad and value.requires_grad)
    if isinstance(value, (torch.dtype, torch.device, torch.layout, torch.memory_format)):
        name = str(value).removeprefix("torch.")
        if isinstance(value, torch.device):
            return tritorch.device(name)
        if not hasattr(tritorch, name):
            raise NotHere(name)
        return getattr(tritorch, name)
    if isinstance(value, torch.Generator):
        raise NotHere("a generator of torch")
    if isinstance(value, dict):
        return {k: ours(v, grad) for k, v in value.items()}
    if isinstance(value, slice):
        return slice(*(ours(v, grad) for v in (value.start, value.stop, value.step)))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(ours(v, grad) for v in value))
    if isinstance(value, (list, tuple)):
        kind = tritorch.Size if isinstance(value, torch.Size) else type(value)
        return kind(ours(v, grad) for v in value)
    if getattr(type(value), "__module__", "").startswith("torch"):
        raise NotHere(repr(value))
    return value


def _tensor(t: Any, requires_grad: bool) -> Any:
    if t.layout is not torch.strided:
        raise NotHere(str(t.layout))
    kind = ours(t.dtype)
    plain = t.detach().resolve_conj().resolve_neg()
    memory = plain.untyped_storage()
    if plain.is_contiguous() and memory.nbytes() == plain.nbytes:
        made = _flat(plain.reshape(-1), kind).reshape(tuple(plain.shape))
    else:
        flat = torch.empty(0, dtype=t.dtype).set_(memory, 0, (memory.nbytes() // t.element_size(),), (1,))
        made = _flat(flat, kind).as_strided(tuple(plain.shape), plain.stride(), plain.storage_offset())
    return made.requires_grad_() if requires_grad else made


def _flat(t: Any, kind: Any) -> Any:
    if t.dtype is torch.bfloat16:
        return tritorch.from_numpy(t.view(torch.int16).numpy().copy()).view(kind)
    return tritorch.from_numpy(t.numpy().copy())


def numbers(t: Any) -> np.ndarray:
    """The elements of a tensor of either library."""
    t = t.detach()
    if isinstance(t, torch.Tensor):
        t = torch.zeros(t.shape, dtype=t.dtype) if t._is_zerotensor() else t.resolve_conj().resolve_neg()
    return (t.float() if str(t.dtype) == "torch.bfloat16" else t).numpy()


def tensors(value: Any) -> list[Any]:
    """The tensors and numbers in a nest of tuples, lists and dicts, in order."""
    if isinstance(value, (torch.Tensor, tritorch.Tensor, bool, int, float, complex)):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for v in value for t in tensors(v)] if isinstance(value, (list, tuple)) else []


def difference(theirs: Any, found: Any, scale: float = 1.0) -> str | None:
    """What differs between a result of torch and one of tritorch, None where nothing does."""
    a, b = tensors(theirs), tensors(found)
    if len(a) != len(b):
        return f"{len(b)} results, {len(a)} expected"
    for x, y in zip(a, b, strict=True):
        if isinstance(x, torch.Tensor) != isinstance(y, tritorch.Tensor):
            return f"a {type(y).__name__}, a {type(x).__name__} expected"
        if not isinstance(x, torch.Tensor):
            if not np.isclose(x, y, rtol=1e-5, atol=1e-6, equal_nan=True):
                return f"{y!r}, {x!r} expected"
            continue
        if tuple(x.shape) != tuple(y.shape) or str(x.dtype) != str(y.dtype):
            return f"{y.dtype} of shape {tuple(y.shape)}, {x.dtype} of {tuple(x.shape)} expected"
        tolerance = scale * TOLERANCE.get(str(x.dtype).removeprefix("torch."), 0)
        p, q = numbers(x), numbers(y)
        with np.errstate(all="ignore"):
            wrong = ~np.isclose(p, q, rtol=tolerance, atol=tolerance, equal_nan=True)
        if wrong.any():
            return f"{q[wrong][:3]}, {p[wrong][:3]} expected ({wrong.sum()} of {wrong.size}, {x.dtype})"
    return None


def _path(root: Any, name: str) -> Any:
    for part in name.split("."):
        root = getattr(root, part)
    return root


def function(op: Any) -> Callable[..., Any]:
    """What the entry calls, of tritorch.

    Where the database wraps a function of torch in one of its own, that one is made anew with tritorch in torch's place.

    Raises:
        NotHere: tritorch has no such name.
    """
    if isinstance(op.op, types.FunctionType) and op.op.__module__.startswith("torch.testing."):
        return _with_tritorch(op.op)
    for root in (tritorch, tritorch.Tensor):
        try:
            found = _path(root, op.name)
        except AttributeError:
            continue
        if callable(found) and not isinstance(found, tritorch.dtype):
            return found
    raise NotHere(op.name)


def _with_tritorch(f: types.FunctionType) -> Callable[..., Any]:
    names = dict(f.__globals__, torch=tritorch, wrapper_set_seed=_seeded)
    return types.FunctionType(f.__code__, names, f.__name__, f.__defaults__, f.__closure__)


def _seeded(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    tritorch.manual_seed(42)
    return call(*args, **options)


def samples(op: Any, kind: Any, grad: bool, most: int = 16) -> Iterator[Any]:
    """The entry's sample inputs of a dtype; of many, `most` all over them."""
    torch.manual_seed(0)
    found = list(op.sample_inputs("cpu", kind, requires_grad=grad))
    yield from found[:: -(-len(found) // most) or 1]


def widened(value: Any) -> Any:
    """Half precision tensors, and the dtype as an argument, as float64."""
    halves = (torch.float16, torch.bfloat16)
    if isinstance(value, torch.Tensor):
        return value.detach().double() if value.dtype in halves else value.detach()
    if isinstance(value, dict):
        return {k: widened(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(widened(v) for v in value)
    return torch.float64 if isinstance(value, torch.dtype) and value in halves else value


def nearer(exact: Any, theirs: Any, found: Any) -> bool:
    """Whether tritorch's results in half precision are as near to the exact ones as torch's are."""
    triples = list(zip(tensors(exact), tensors(theirs), tensors(found)))
    if len({len(tensors(v)) for v in (exact, theirs, found)}) > 1 or any(x.shape != y.shape for x, y, _ in triples):
        return False
    for x, y, z in triples:
        if tuple(y.shape) != tuple(z.shape) or str(y.dtype) != str(z.dtype):
            return False
        x, y, z = (numbers(t).astype(np.complex128) for t in (x, y, z))
        with np.errstate(all="ignore"):
            near = np.nanmax(np.abs(z - x), initial=0) <= np.nanmax(np.abs(y - x), initial=0)
        if not near or (np.isnan(z) & ~np.isnan(x)).any():
            return False
    return True
