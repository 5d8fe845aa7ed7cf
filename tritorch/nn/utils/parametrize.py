"""Parametrizations: a parameter that is computed from another one whenever it is read.

`register_parametrization(module, "weight", p)` puts the parameter's values into `module.parametrizations.weight` and a
property in the place of `module.weight` that calls p. For that the module gets a class of its own.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...autograd import no_grad
from ...tensor import Parameter, Tensor
from ..modules.container import ModuleDict, ModuleList
from ..modules.module import Module

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]  # fmt: skip


class _Cache(threading.local):
    depth = 0

    def __init__(self) -> None:
        self.values: dict[tuple[int, str], Tensor] = {}


_cache = _Cache()


@contextmanager
def cached() -> Iterator[None]:
    """Inside, each parametrized tensor is computed once and kept: for weights that are read many times in one pass.

    >>> import tritorch as torch
    >>> from tritorch.nn.utils import parametrize
    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 2))
    >>> with parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    _cache.depth += 1
    try:
        yield
    finally:
        _cache.depth -= 1
        if not _cache.depth:
            _cache.values.clear()


def _register(module: Module, name: str, value: Any) -> None:
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


def _set(target: Tensor, value: Tensor) -> None:
    """Let `target` hold `value`, also of another shape, and stay the same object."""
    target.data = value.detach()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, and what they start from: `original`, or `original0`, `original1`, ...

    Args:
        modules: the parametrizations, in order.
        original: the tensor as it was; it is put through their `right_inverse`, last first.
        unsafe: do not check that dtype and shape stay. Default: False.

    Raises:
        ValueError: no module, or a result of the wrong kind, dtype or shape.
    """

    unsafe: bool

    def __init__(self, modules: Sequence[Module], original: Any, unsafe: bool = False):
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, kind, device = tuple(original.shape), original.dtype, original.device
        with no_grad():
            new = original
            for module in reversed(list(self)):
                inverse = getattr(module, "right_inverse", None)
                if inverse is not None:
                    try:
                        new = inverse(new)
                    except NotImplementedError:
                        continue  # it cannot be inverted: the original itself is the start
        if not isinstance(new, (Tensor, Sequence)):
            raise ValueError(f"'right_inverse' must return a Tensor or a Sequence of tensors; got {type(new).__name__}")
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if isinstance(new, Tensor) else len(new)
        if isinstance(new, Tensor):
            if new.dtype != kind or new.device != device:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype or device; "
                    f"got {new.dtype}, {new.device} for {kind}, {device}"
                )
            if new is not original:
                _set(original, new)
            _register(self, "original", original)
        else:
            for i, part in enumerate(new):
                if not isinstance(part, Tensor):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors; "
                        f"element {i} is of type {type(part).__name__}"
                    )
                if isinstance(original, Parameter):
                    part = Parameter(part, original.requires_grad)
                part.requires_grad_(original.requires_grad)
                _register(self, f"original{i}", part)
        if not unsafe:
            _check("Registering a parametrization", self(), shape, kind)

    def right_inverse(self, value: Any) -> None:
        """Set the originals so that the parametrized tensor becomes `value`; called by assigning to it.

        Raises:
            RuntimeError: a parametrization without `right_inverse`.
            ValueError: its result has another number of tensors or dtype.
        """
        with no_grad():
            for module in reversed(list(self)):
                inverse = getattr(module, "right_inverse", None)
                if inverse is None:
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                value = inverse(value)
            values = (value,) if self.is_tensor else value
            if not isinstance(values, Sequence) or len(values) != self.ntensors:
                raise ValueError(f"'right_inverse' must return {self.ntensors} tensors; got {type(value).__name__}")
            names = ("original",) if self.is_tensor else tuple(f"original{i}" for i in range(self.ntensors))
            for name, new in zip(names, values, strict=True):
                old = getattr(self, name)
                if not isinstance(new, Tensor) or new.dtype != old.dtype:
                    raise ValueError(
                        f"'right_inverse' must return a tensor of dtype {old.dtype} for {name}; "
                        f"got {getattr(new, 'dtype', type(new).__name__)}"
                    )
                _set(old, new)

    def forward(self) -> Tensor:
        """The parametrized tensor."""
        first, *others = self._modules.values()
        if self.is_tensor:
            x = first(self.original)  # type: ignore[misc]
        else:
            x = first(*(getattr(self, f"original{i}") for i in range(self.ntensors)))  # type: ignore[misc]
        for module in others:
            x = module(x)  # type: ignore[misc]
        return x


def _check(what: str, result: Any, shape: tuple[int, ...], kind: Any) -> None:
    if not isinstance(result, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
    if result.dtype != kind:
        raise ValueError(
            f"{what} may not change the dtype of the tensor, unless `unsafe` flag is enabled; "
            f"got {result.dtype} for {kind}"
        )
    if tuple(result.shape) != shape:
        raise ValueError(
            f"{what} may not change the shape of the tensor, unless `unsafe` flag is enabled; "
            f"got {tuple(result.shape)} for {shape}"
        )


def _deepcopy(self: Any, memo: dict[int, Any]) -> Any:
    if id(self) not in memo:
        memo[id(self)] = replica = self.__new__(type(self))
        replica.__dict__ = copy.deepcopy(self.__dict__, memo)
    return memo[id(self)]


def _no_pickle(self: Any) -> Any:
    raise RuntimeError(
        f"Serialization of parametrized modules is only supported through state_dict(); got a {type(self).__name__}"
    )


def _make_class(module: Module) -> None:
    """Give `module` a class of its own, so that properties can be put on it."""
    cls = type(module)
    members: dict[str, Any] = {"__getstate__": _no_pickle, "__module__": cls.__module__}
    if not hasattr(cls, "__deepcopy__"):
        members["__deepcopy__"] = _deepcopy
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), members)


def _make_property(module: Module, name: str) -> None:
    def get(self: Any) -> Tensor:
        compute = self.parametrizations[name]
        if not _cache.depth:
            return compute()
        key = id(self), name
        if key not in _cache.values:
            _cache.values[key] = compute()
        return _cache.values[key]

    def put(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(get, put))


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Compute `module.<tensor_name>` by `parametrization` from now on; several are applied one after the other.

    Args:
        module: its parameter or buffer
        tensor_name: becomes `module.parametrizations.<tensor_name>.original`.
        parametrization: a Module of one tensor; with a method `right_inverse`, the tensor can also be assigned to, and
            the values of now are kept.
        unsafe: it may change dtype and shape. Default: False.

    Raises:
        ValueError: no such tensor, or a result of another dtype or shape.

    >>> import tritorch as torch
    >>> class Symmetric(torch.nn.Module):
    ...     def forward(self, x): return x.triu() + x.triu(1).mT
    >>> layer = torch.nn.utils.parametrize.register_parametrization(torch.nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.T).all())
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        parts: Any = module.parametrizations[tensor_name]  # type: ignore[index]
        if not unsafe:
            now = getattr(module, tensor_name)
            result = parametrization(now)
            _check("Registering a parametrization", result, tuple(now.shape), now.dtype)
            inverse = getattr(parametrization, "right_inverse", None)
            if inverse is not None:
                try:
                    back = inverse(result)
                except NotImplementedError:
                    back = now
                _check("parametrization.right_inverse", back, tuple(now.shape), now.dtype)
        parts.append(parametrization)
        parts.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        made = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _make_class(module)
            module.parametrizations = ModuleDict()
        _make_property(module, tensor_name)
        module.parametrizations[tensor_name] = made  # type: ignore[index]
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Is `tensor_name`, or with None any tensor of the module itself, parametrized."""
    parts = module.__dict__.get("_modules", {}).get("parametrizations")
    if not isinstance(parts, ModuleDict):
        return False
    return len(parts) > 0 if tensor_name is None else tensor_name in parts


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make `tensor_name` an ordinary parameter or buffer again.

    Args:
        leave_parametrized: keep the computed values; False goes back to `original`. Default: True.

    Raises:
        ValueError: it is not parametrized, or is made of several tensors and `leave_parametrized` is False.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    everything: Any = module.parametrizations
    parts = everything[tensor_name]
    if parts.is_tensor:
        original = parts.original
        if leave_parametrized:
            with no_grad():
                _set(original, getattr(module, tensor_name))
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        original = Parameter(value.detach()) if value.requires_grad else value
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors."
        )
    delattr(type(module), tensor_name)
    del everything[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The module's class without the one that parametrization put before it."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Register the parametrizations of one module on another and share their originals.

    Args:
        tensor_name: of one tensor alone. Default: all.
    """
    if not is_parametrized(from_module):
        return to_module
    source: Any = from_module.parametrizations
    for name in list(source) if tensor_name is None else [tensor_name]:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach()))
        for part in source[name]:
            register_parametrization(to_module, name, part)
        target: Any = to_module.parametrizations[name]  # type: ignore[index]
        for key in [k for k in (*source[name]._parameters, *source[name]._buffers) if k.startswith("original")]:
            setattr(target, key, getattr(source[name], key))
    return to_module
