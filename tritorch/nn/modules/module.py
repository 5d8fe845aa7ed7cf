"""Module: a tree of layers that owns parameters and buffers.

Four parts, each a file: registration, calls and traversal here; hooks in `hooks.py`; `state_dict` in `state.py`;
moving and casting in `conversion.py`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ...tensor import Parameter, Tensor
from ..parameter import Buffer
from . import hooks as _hooks
from .conversion import Conversion
from .hooks import (
    Hooks,
    RemovableHandle,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from .state import State

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "Module", "RemovableHandle", "register_module_buffer_registration_hook", "register_module_forward_hook",
    "register_module_forward_pre_hook", "register_module_full_backward_hook", "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook", "register_module_parameter_registration_hook",
]  # fmt: skip


class Module(Hooks, State, Conversion):
    """The base class of layers and models: define `__init__` (call `super().__init__()` first) and `forward`.

    Parameters, buffers and submodules become known by assigning them to attributes.

    Attributes:
        training: True after `train()` (and at the start), False after `eval()`.

    >>> import tritorch as torch
    >>> class Twice(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x + x
    >>> Twice()(torch.ones(2))
    tensor([2., 2.])
    """

    training: bool
    call_super_init: bool = False
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and (args or kwargs):
            given = [*map(repr, args), *(f"{k}={v!r}" for k, v in kwargs.items())]
            raise TypeError(f"{type(self).__name__}.__init__: takes no arguments; got {', '.join(given)}")
        # Written to __dict__ directly: __setattr__ looks into these very dicts.
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _non_persistent_buffers_set=set(),
            _modules={},
            _is_full_backward_hook=None,
            _backward_pre_hooks=OrderedDict(),
            _backward_hooks=OrderedDict(),
            _forward_hooks=OrderedDict(),
            _forward_hooks_with_kwargs=OrderedDict(),
            _forward_hooks_always_called=OrderedDict(),
            _forward_pre_hooks=OrderedDict(),
            _forward_pre_hooks_with_kwargs=OrderedDict(),
            _state_dict_hooks=OrderedDict(),
            _state_dict_pre_hooks=OrderedDict(),
            _load_state_dict_pre_hooks=OrderedDict(),
            _load_state_dict_post_hooks=OrderedDict(),
        )
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    # Calling

    if TYPE_CHECKING:
        forward: Callable[..., Any]
    else:

        def forward(self, *args: Any) -> Any:
            """Compute the output; every subclass defines it."""
            raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """`forward`, with the hooks around it."""
        try:
            if self._hooked:
                return _hooks.call_hooked(self, args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            _locate(error, self)
            raise

    # Registration

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter (or the place of one, with None) under `name`.

        Raises:
            TypeError: `name` is no str, or `param` no Parameter.
            KeyError: `name` is empty, holds a dot or is taken.
            ValueError: `param` is the result of an op.
        """
        self._check_name("parameter", name, self._parameters_or_raise("parameter"))
        if param is None:
            self._parameters[name] = None
            return
        if not isinstance(param, Parameter):
            raise TypeError(
                f"register_parameter: {name!r} must be a Parameter or None; got {_kind(param)} "
                "(torch.nn.Parameter or None required)"
            )
        if param.grad_fn is not None:
            raise ValueError(
                f"register_parameter: Cannot assign non-leaf Tensor to parameter {name!r}; a parameter is a leaf. "
                "Compute it in forward if it depends on another tensor"
            )
        for hook in _hooks.parameter_registration_hooks.values():
            replaced = hook(self, name, param)
            if replaced is not None:
                param = replaced
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is no parameter (running statistics, masks); it moves with the module.

        Args:
            tensor: the buffer, or None to keep the place.
            persistent: part of `state_dict`. Default: True.

        Raises:
            TypeError: `name` is no str, or `tensor` no Tensor.
            KeyError: `name` is empty, holds a dot or is taken.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{_kind(tensor)}' as buffer '{name}' (torch.Tensor or None expected)")
        for hook in _hooks.buffer_registration_hooks.values():
            replaced = hook(self, name, tensor)
            if replaced is not None:
                tensor = replaced
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under `name`.

        Raises:
            TypeError: `name` is no str, or `module` no Module.
            KeyError: `name` is empty, holds a dot or is taken.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module: {_kind(module)} is not a Module subclass")
        self._check_name("module", name, self._modules)
        for hook in _hooks.module_registration_hooks.values():
            replaced = hook(self, name, module)
            if replaced is not None:
                module = replaced
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    def _check_name(self, kind: str, name: Any, own: dict[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string; got {_kind(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."; got {name!r}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if name not in own and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    def _parameters_or_raise(self, kind: str) -> dict[str, Any]:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        return self._parameters

    # Attributes

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if "_parameters" in own:
            parameters = own["_parameters"]
            if name in parameters:
                return parameters[name]
            modules = own["_modules"]
            if name in modules:
                return modules[name]
            buffers = own["_buffers"]
            if name in buffers:
                return buffers[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Parameter):
            self._parameters_or_raise("parameters")
            self._forget(name, "__dict__", "_buffers", "_modules")
            self.register_parameter(name, value)
            return
        parameters = own.get("_parameters")
        if parameters is None:
            if isinstance(value, Module):
                raise AttributeError("cannot assign module before Module.__init__() call")
            if isinstance(value, Buffer):
                raise AttributeError("cannot assign buffer before Module.__init__() call")
            object.__setattr__(self, name, value)
            return
        if name in parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_kind(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)"
                )
            parameters[name] = None
            return
        modules = own["_modules"]
        if isinstance(value, Module):
            self._forget(name, "__dict__", "_parameters", "_buffers")
            for hook in _hooks.module_registration_hooks.values():
                replaced = hook(self, name, value)
                if replaced is not None:
                    value = replaced
            modules[name] = value
        elif name in modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_kind(value)}' as child module '{name}' (torch.nn.Module or None expected)"
                )
            modules[name] = None
        elif isinstance(value, Buffer):
            self._forget(name, "__dict__", "_parameters", "_modules")
            self.register_buffer(name, value, value.persistent)
        elif name in own["_buffers"]:
            self.register_buffer(name, value, name not in own["_non_persistent_buffers_set"])
        else:
            object.__setattr__(self, name, value)

    def _forget(self, name: str, *places: str) -> None:
        """Remove `name` from the named dicts, since it is about to be entered in another one."""
        for place in places:
            (self.__dict__ if place == "__dict__" else self.__dict__[place]).pop(name, None)
            if place == "_buffers":
                self._non_persistent_buffers_set.discard(name)

    def __delattr__(self, name: str) -> None:
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers}
        return sorted(n for n in names if n[:1].isidentifier())

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # Parts by name

    def get_submodule(self, target: str) -> Module:
        """The submodule with the dotted name `target`; "" is the module itself.

        Raises:
            AttributeError: a part of the name leads nowhere, or to something that is no Module.

        >>> import tritorch as torch
        >>> torch.nn.Sequential(torch.nn.Sequential(torch.nn.ReLU())).get_submodule("0.0")
        ReLU()
        """
        module: Any = self
        for part in target.split(".") if target else ():
            if not hasattr(module, part):
                raise AttributeError(f"{type(module).__name__} has no attribute `{part}`")
            module = getattr(module, part)
            if not isinstance(module, Module):
                raise AttributeError(f"`{part}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put `module` in the place of the submodule with the dotted name `target`.

        Args:
            strict: the place must exist already. Default: False.

        Raises:
            ValueError: `target` is empty, or `module` no Module.
            AttributeError: the way to the place leads nowhere.
        """
        if not target:
            raise ValueError("set_submodule: target must not be empty")
        if not isinstance(module, Module):
            raise ValueError(f"set_submodule: module must be a Module; got {_kind(module)}")
        parent_name, _, name = target.rpartition(".")
        parent = self.get_submodule(parent_name)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{type(parent).__name__} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with the dotted name `target`; AttributeError when there is none."""
        module, name = self._owner(target)
        found = getattr(module, name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with the dotted name `target`; AttributeError when there is none."""
        module, name = self._owner(target)
        found = getattr(module, name)
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return found

    def _owner(self, target: str) -> tuple[Module, str]:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        return module, name

    # Traversal

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their dotted names, parents first, each module once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules with their names, each once."""
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def _named_members(
        self, members_of: Callable[[Module], Any], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in members_of(module):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names; a shared one comes once, under its first name.

        >>> import tritorch as torch
        >>> [name for name, _ in torch.nn.Linear(3, 2).named_parameters(prefix="head")]
        ['head.weight', 'head.bias']
        """
        yield from self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once; what an optimizer takes."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their dotted names."""
        yield from self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` with every submodule, children first, then with the module itself."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # Modes

    def train(self, mode: bool = True) -> Self:
        """Set the training mode here and in all submodules; dropout and batch norm depend on it.

        Raises:
            ValueError: `mode` is no bool.
        """
        if not isinstance(mode, bool):
            raise ValueError(f"train: training mode is expected to be boolean; got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """`train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad` of all parameters: False freezes the module."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros with `set_to_none=False`."""
        for param in self.parameters():
            grad = param.grad
            if grad is None:
                continue
            if set_to_none:
                param.grad = None
            else:
                if grad.grad_fn is not None:
                    grad.detach_()
                else:
                    grad.requires_grad_(False)
                grad.zero_()

    # Printing

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses of `repr`; override it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {_indented(repr(module))}" for name, module in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({lines[0]})"
        if not lines and not children:
            return f"{self._get_name()}()"
        body = "\n  ".join(lines + children)
        return f"{self._get_name()}(\n  {body}\n)"

    def _replicate_for_data_parallel(self) -> Module:
        """A shallow copy with empty parameter dicts of its own, to be filled by `nn.parallel.replicate`."""
        replica = self.__new__(type(self))
        replica.__dict__ = self.__dict__.copy()
        replica.__dict__.update(
            _parameters={}, _buffers=self._buffers.copy(), _modules=self._modules.copy(), _is_replica=True
        )
        return replica


def _kind(value: Any) -> str:
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else kind.__qualname__


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _locate(error: Exception, module: Module) -> None:
    """Note on the error in which module of the tree it happened; rewritten at each level on the way up.

    `Net.blocks.0.attn (MultiheadAttention)`: the error's text itself stays as it is.
    """
    trail: Any = getattr(error, "_module_trail", None)
    notes: list[str] = [n for n in getattr(error, "__notes__", []) if trail is None or n != trail[2]]
    kind = path = ""
    if trail is None:
        kind = type(module).__name__
    else:
        kind, below = trail[1], trail[0]
        name = next((n for n, m in module.named_modules() if m is below[0]), None)
        if name is None:  # a module that is no part of this one
            name = type(below[0]).__name__
        path = ".".join(p for p in (name, below[1]) if p)
    where = f"in {type(module).__name__}.{path} ({kind})" if path else f"in {type(module).__name__}"
    try:
        error.__dict__.update(_module_trail=((module, path), kind, where), __notes__=[*notes, where])
    except AttributeError:
        return  # an exception type without a __dict__ carries no note
