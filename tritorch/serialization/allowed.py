"""The allow-list of a safe load: which names a pickle may use, and what it may do with each.

Three rights are kept apart: to be named (a value), to be called, to be made without calling `__init__` and given its
state. A name that is not listed is never looked up by importing; classes of modules are found only where the process
has defined them already.
"""

from __future__ import annotations

import builtins
import collections
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import names, numpy_values

_NEVER = frozenset(
    ("sys", "os", "posix", "nt", "subprocess", "shutil", "importlib", "runpy", "ctypes", "pty", "socket")
)
_PLAIN = (list, tuple, dict, set, frozenset, str, bytes, bytearray, int, float, complex, bool, type(None))
_KEY_PARTS = 10_000  # the hash of nested tuples visits every path: a small pickle could keep it busy for ever

_safe: list[Any] = []


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Let `load(weights_only=True)` use these classes and functions too.

    Args:
        safe_globals: classes or functions, or pairs (object, "module.name") for one that the file calls otherwise.

    >>> from tritorch import serialization
    >>> class Settings: pass
    >>> serialization.add_safe_globals([Settings])
    >>> serialization.get_safe_globals() == [Settings], serialization.clear_safe_globals()
    (True, None)
    """
    for entry in safe_globals:
        _entry(entry)
    for entry in safe_globals:
        if entry not in _safe:
            _safe.append(entry)


def get_safe_globals() -> list[Any]:
    """What `add_safe_globals` has added."""
    return list(_safe)


def clear_safe_globals() -> None:
    """Forget what `add_safe_globals` has added."""
    _safe.clear()


@contextmanager
def safe_globals(entries: list[Any]) -> Iterator[None]:
    """`add_safe_globals` for the duration of a `with` block."""
    before = list(_safe)
    add_safe_globals(entries)
    try:
        yield
    finally:
        _safe[:] = before


def _entry(entry: Any) -> tuple[str, Any]:
    if isinstance(entry, tuple):
        if len(entry) != 2:
            raise ValueError(f"add_safe_globals: a pair is (object, 'module.name'); got a tuple of {len(entry)}")
        found, path = entry
        if not isinstance(path, str):
            raise TypeError(f"add_safe_globals: the second of a pair must be a str; got {type(path).__name__}")
        return path, found
    return f"{entry.__module__}.{entry.__qualname__}", entry


def refused(what: str, name: str | None = None) -> pickle.UnpicklingError:
    """The error of a safe load, with the ways out."""
    allow = f" tritorch.serialization.add_safe_globals([{name.rpartition('.')[2]}]) allows it," if name else ""
    return pickle.UnpicklingError(
        f"load: weights_only=True refuses {what}. If you trust the file:{allow} load(..., weights_only=False) runs "
        "whatever code the file names"
    )


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise refused(f"_codecs.encode with the encoding {encoding!r}")
    return text.encode("latin-1")


def _plain_only(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` on lists, tuples, dicts, strings and numbers: nothing that could be endless or asks for memory."""

    def call(*args: Any) -> Any:
        for a in args:
            if type(a) not in _PLAIN or (function in (bytes, bytearray) and isinstance(a, int)):
                raise refused(f"{function.__name__} of a {type(a).__name__}")
            if isinstance(a, (list, tuple, set, frozenset)):
                for item in a:
                    check_key(item)
        return function(*args)

    return call


def _defaultdict(factory: Any = None, *items: Any) -> collections.defaultdict:
    if factory is not None and not any(factory is kind for kind in _FACTORIES):
        raise refused("a collections.defaultdict with another factory than a plain type")
    return collections.defaultdict(factory, *items)


_TORCHS_FUNCTIONS = object()  # where PyTorch keeps torch.relu and its like, which it pickles as an attribute of it


def _function_of_torch(owner: Any, name: Any) -> Any:
    if owner is not _TORCHS_FUNCTIONS or type(name) is not str:
        raise refused("a call of getattr")
    found = names.our_object("torch", name)
    if not names.is_plain_function(found):
        raise refused(f"the global 'torch.{name}'")
    return found


_FACTORIES = (list, dict, set, int, float, str, bool, tuple, collections.OrderedDict)
_BUILTINS = ("set", "frozenset", "bytearray", "complex", "slice", "range", "bytes")
_CALLS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _plain_only(collections.OrderedDict),
    ("collections", "Counter"): _plain_only(collections.Counter),
    ("collections", "deque"): _plain_only(collections.deque),
    ("collections", "defaultdict"): _defaultdict,
    ("_codecs", "encode"): _encode,
    ("builtins", "getattr"): _function_of_torch,
    **{("builtins", n): _plain_only(getattr(builtins, n)) for n in _BUILTINS},
}
_VALUES = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "Counter"): collections.Counter,
    ("collections", "defaultdict"): collections.defaultdict,
    ("collections", "deque"): collections.deque,
    **{("builtins", kind.__name__): kind for kind in _FACTORIES + (frozenset, bytearray, complex, slice, range, bytes)
       if kind.__module__ == "builtins"},
}  # fmt: skip


def check_key(key: Any) -> Any:
    """`key`, unless hashing it could take for ever; TypeError for what can't be hashed."""
    if type(key) in (tuple, frozenset):
        left = _KEY_PARTS
        todo = [key]
        while todo:
            part = todo.pop()
            if type(part) in (tuple, frozenset):
                left -= len(part)
                if left < 0:
                    raise refused(f"a key of more than {_KEY_PARTS} parts")
                todo.extend(part)
    return key


class Global:
    """A name that the pickle may call (and, for a type, hold as a value)."""

    __slots__ = ("path", "call", "value")

    def __init__(self, path: str, call: Callable[..., Any] | None, value: Any = None):
        self.path, self.call, self.value = path, call, value


class Allowed:
    """The policy of one safe load.

    Args:
        rebuild: PyTorch's rebuild functions by name, bound to the storages of this load.
    """

    def __init__(self, rebuild: dict[str, Callable[..., Any]]):
        self._rebuild = rebuild
        self._mine = dict(_entry(e) for e in _safe)
        self._calls: dict[int, Callable[..., Any]] = {}
        self._keep: list[Any] = []  # an id is a key only as long as its object lives

    def _callable(self, value: Any, call: Callable[..., Any]) -> Any:
        self._calls[id(value)] = call
        self._keep.append(value)
        return value

    def find(self, module: str, name: str) -> Any:
        """The object that the pickle names `module` `name`."""
        if module == "__builtin__":  # what protocols before 3 call builtins
            module, name = "builtins", {"xrange": "range", "unicode": "str", "long": "int"}.get(name, name)
        path = f"{module}.{name}"
        if path in self._mine:
            if module in _NEVER:
                raise refused(f"the global {path!r}: nothing of module {module} is ever safe")
            value = self._mine[path]
            return self._callable(value, value) if callable(value) else value
        call = _CALLS.get((module, name))
        if call is not None:
            value = _VALUES.get((module, name), call)
            return self._callable(value, call)
        if (module, name) in _VALUES:
            return _VALUES[module, name]
        if module == "torch" or module.startswith("torch."):
            return self._torch(module, name, path)
        if module.startswith("numpy"):
            value = numpy_values.find(module, name)
            if value is not None:
                return self._callable(value, value)
        return self._module_class(module, name, path)

    def _torch(self, module: str, name: str, path: str) -> Any:
        if path == "torch._C._VariableFunctionsClass":
            return _TORCHS_FUNCTIONS
        if module in ("torch._utils", "torch.serialization", "torch._tensor") and name in self._rebuild:
            return self._callable(self._rebuild[name], self._rebuild[name])
        found = names.our_object(module, name)
        if found is None:
            raise refused(f"the global {path!r}, which has no counterpart here", path)
        if found is names.device or name == "Size":
            return self._callable(found, _plain_only(found))
        if isinstance(found, (names.dtypes.dtype, names.StorageType)):
            return found
        if isinstance(found, type) and (_is_module(found) or name in ("Tensor", "Parameter", "Buffer")):
            return found
        if names.is_plain_function(found):
            return found
        raise refused(f"the global {path!r}", path)

    @staticmethod
    def _module_class(module: str, name: str, path: str) -> Any:
        """A class that this process has defined: found without importing, and without a module's own look-up hook."""
        home = sys.modules.get(module)
        found: Any = vars(home).get(name.partition(".")[0]) if home is not None else None
        for part in name.split(".")[1:]:
            found = vars(found).get(part) if isinstance(found, type) else None
        if isinstance(found, type) and _is_module(found):
            return found
        if found is None and home is None:
            raise refused(f"the global {path!r} (its module is not imported in this process)", path)
        raise refused(f"the global {path!r}", path)

    def call(self, function: Any, args: tuple) -> Any:
        """The result of a call that the pickle asks for."""
        known = self._calls.get(id(function))
        if known is None:
            raise refused(f"to call {_describe(function)}")
        return known(*args)

    def new(self, cls: Any, args: tuple, kwargs: dict) -> Any:
        """A new instance without `__init__`, as the pickle asks for."""
        if isinstance(cls, type) and any(cls is mine for mine in self._mine.values()):
            return cls.__new__(cls, *args, **kwargs)
        if isinstance(cls, type) and _is_module(cls):
            if args or kwargs or not _ours(cls, "__new__"):
                raise refused(f"to make {_describe(cls)} through its own __new__")
            return object.__new__(cls)
        if any(cls is kind for kind in (collections.OrderedDict, set, frozenset, complex, slice, range)):
            return self.call(cls, args)
        raise refused(f"to make {_describe(cls)}")

    def build(self, instance: Any, state: Any) -> Any:
        """`instance` with its state."""
        kind = type(instance)
        if kind is collections.OrderedDict:
            if type(state) is dict:
                instance.__dict__.update(state)
                return instance
        elif kind is np.ndarray or isinstance(instance, np.dtype):
            return numpy_values.build(instance, state)
        elif any(kind is mine for mine in self._mine.values()):
            return _set_state(instance, state)
        elif _is_module(kind):
            if not _ours(kind, "__setstate__"):
                raise refused(f"to run {_describe(kind)}.__setstate__")
            return _set_state(instance, state)
        raise refused(f"to set the state of a {kind.__module__}.{kind.__qualname__}")


def _is_module(cls: type) -> bool:
    home = sys.modules.get("tritorch.nn")
    return home is not None and issubclass(cls, home.Module)


def _ours(cls: type, method: str) -> bool:
    """Whether the class leaves `method` to object or to a class of this package: no code of the user's is run."""
    for base in cls.__mro__:
        if method in vars(base):
            return base is object or base.__module__.partition(".")[0] == "tritorch"
    return True


def _set_state(instance: Any, state: Any) -> Any:
    setter = getattr(instance, "__setstate__", None)
    if setter is not None:
        setter(state)
        return instance
    if type(state) is tuple and len(state) == 2:
        state, slots = state
        for name, value in (slots or {}).items():
            object.__setattr__(instance, name, value)
    if state:
        if type(state) is not dict:
            raise refused(f"a state of type {type(state).__name__}")
        instance.__dict__.update(state)
    return instance


def _describe(value: Any) -> str:
    if isinstance(value, type) or callable(value):
        return f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    return f"a {type(value).__module__}.{type(value).__qualname__}"
