"""Hooks of modules: what is called around `forward`, around its backward, and how a hook is taken off again.

A module without hooks pays one falsy test per call: `_hooked` is False on the class; registering a hook sets it on
the module (or, for the hooks of all modules, on the class).
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...autograd import Function
from ...autograd.graph import RemovableHandle
from ...tensor import Tensor

if TYPE_CHECKING:
    from .module import Module

# Hooks of all modules, in the order in which they were registered.
forward_pre_hooks: dict[int, Callable[..., Any]] = OrderedDict()
forward_hooks: dict[int, Callable[..., Any]] = OrderedDict()
forward_hooks_with_kwargs: dict[int, bool] = OrderedDict()
forward_hooks_always_called: dict[int, bool] = OrderedDict()
backward_pre_hooks: dict[int, Callable[..., Any]] = OrderedDict()
backward_hooks: dict[int, Callable[..., Any]] = OrderedDict()
parameter_registration_hooks: dict[int, Callable[..., Any]] = OrderedDict()
buffer_registration_hooks: dict[int, Callable[..., Any]] = OrderedDict()
module_registration_hooks: dict[int, Callable[..., Any]] = OrderedDict()


def add(
    hooks: dict[int, Any],
    hook: Any,
    *flags: dict[int, bool] | None,
    prepend: bool = False,
    kind: type[RemovableHandle] = RemovableHandle,
) -> RemovableHandle:
    """Enter `hook` into `hooks`, and its id into each dict of `flags` that is not None."""
    wanted = [f for f in flags if f is not None]
    handle = kind(hooks, extra_dict=wanted)
    hooks[handle.id] = hook
    for flag in wanted:
        flag[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)  # type: ignore[attr-defined]
    return handle


def _unpacked(tensors: list[Tensor]) -> Any:
    return tuple(tensors) if len(tensors) > 1 else tensors[0]


class _OutputTap(Function):
    """Identity on a module's outputs; its backward is where the gradients of the outputs are seen."""

    @staticmethod
    def forward(ctx: Any, hook: BackwardHooks, *outputs: Tensor) -> Any:
        ctx.hook = hook
        ctx.set_materialize_grads(False)
        return _unpacked([t.view_as(t) for t in outputs])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (None, *ctx.hook.on_outputs(grads))


class _InputTap(Function):
    """Identity on a module's inputs; its backward is where the gradients of the inputs are seen."""

    @staticmethod
    def forward(ctx: Any, hook: BackwardHooks, *inputs: Tensor) -> Any:
        ctx.hook = hook
        ctx.set_materialize_grads(False)
        return _unpacked([t.view_as(t) for t in inputs])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (None, *ctx.hook.on_inputs(grads))


class BackwardHooks:
    """The backward hooks of one call of one module."""

    def __init__(self, module: Module, hooks: list[Any], pre_hooks: list[Any]):
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.grad_output: tuple[Any, ...] | None = None
        self.n_inputs = 0
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self.n_outputs = 0

    def tap_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The positional arguments, with those that need a gradient led through the tap."""
        self.n_inputs = len(args)
        positions = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        if not any(args[i].requires_grad for i in positions):
            return args
        self.inputs = positions
        tapped = _InputTap.apply(self, *(args[i] for i in positions))
        return _replaced(args, positions, tapped)

    def tap_outputs(self, result: Any) -> Any:
        """The result (a Tensor or a tuple that holds some) led through the tap."""
        single = not isinstance(result, tuple)
        parts = (result,) if single else result
        self.n_outputs = len(parts)
        self.outputs = [i for i, p in enumerate(parts) if isinstance(p, Tensor)]
        if not any(parts[i].requires_grad for i in self.outputs):
            return result
        tapped = _replaced(parts, self.outputs, _OutputTap.apply(self, *(parts[i] for i in self.outputs)))
        if single:
            return tapped[0]
        return type(result)(*tapped) if hasattr(result, "_fields") else type(result)(tapped)

    def on_outputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        """Backward reached the outputs: run the pre-hooks; without inputs to wait for, run the hooks as well."""
        full: tuple[Any, ...] = _spread(grads, self.outputs, self.n_outputs)
        for hook in self.pre_hooks:
            new = hook(self.module, full)
            if new is not None:
                full = _checked("full_backward_pre_hook", new, full)
        self.grad_output = full
        if not self.inputs:
            nothing = (None,) * self.n_inputs
            for hook in self.hooks:
                new = hook(self.module, nothing, full)
                if new is not None and any(g is not None for g in (new if isinstance(new, tuple) else (new,))):
                    raise RuntimeError(
                        f"{type(self.module).__name__}: a full backward hook may return gradients only where an input "
                        f"requires grad; got {new!r}"
                    )
        return tuple(full[i] for i in self.outputs)

    def on_inputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        """Backward reached the inputs: run the hooks, which may replace the gradients."""
        if self.grad_output is None:
            raise RuntimeError(
                f"{type(self.module).__name__}: backward reached the module's inputs but not its outputs; a full "
                "backward hook needs a graph that leads through the outputs"
            )
        full = _spread(grads, self.inputs, self.n_inputs)
        for hook in self.hooks:
            new = hook(self.module, full, self.grad_output)
            if new is not None:
                full = _checked("full_backward_hook", new, full)
        self.grad_output = None
        return tuple(full[i] for i in self.inputs)


def _replaced(values: tuple[Any, ...], positions: list[int], new: Any) -> tuple[Any, ...]:
    parts = list(values)
    for i, value in zip(positions, new if isinstance(new, tuple) else (new,), strict=True):
        parts[i] = value
    return tuple(parts)


def _spread(values: tuple[Any, ...], positions: list[int], n: int) -> tuple[Any, ...]:
    full: list[Any] = [None] * n
    for i, value in zip(positions, values, strict=True):
        full[i] = value
    return tuple(full)


def _checked(name: str, new: Any, old: tuple[Any, ...]) -> tuple[Any, ...]:
    new = new if isinstance(new, tuple) else (new,)
    if len(new) != len(old):
        raise RuntimeError(f"{name}: a hook must return as many gradients as it gets; got {len(new)} for {len(old)}")
    return new


def _first_tensor(result: Any) -> Tensor | None:
    while not isinstance(result, Tensor):
        values = list(result.values()) if isinstance(result, dict) else result
        if not isinstance(values, (list, tuple)) or not values:
            return None
        result = values[0]
    return result


def call_hooked(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`module.forward` with all hooks around it."""
    called: set[int] = set()
    result = None
    own = module._forward_hooks
    try:
        for key, hook in (*forward_pre_hooks.items(), *module._forward_pre_hooks.items()):
            if key in module._forward_pre_hooks_with_kwargs:
                new = hook(module, args, kwargs)
                if new is not None:
                    if not (isinstance(new, tuple) and len(new) == 2):
                        raise RuntimeError(
                            f"forward pre-hook with kwargs: must return None or a tuple (args, kwargs); got {new!r}"
                        )
                    args, kwargs = new
            else:
                new = hook(module, args)
                if new is not None:
                    args = new if isinstance(new, tuple) else (new,)

        tap = None
        legacy: list[Any] = []
        if module._backward_hooks or module._backward_pre_hooks or backward_hooks or backward_pre_hooks:
            hooks = [*backward_hooks.values()]
            if module._is_full_backward_hook is False:
                legacy = [*module._backward_hooks.values()]
            else:
                hooks += module._backward_hooks.values()
            pre = [*backward_pre_hooks.values(), *module._backward_pre_hooks.values()]
            if hooks or pre:
                tap = BackwardHooks(module, hooks, pre)
                args = tap.tap_inputs(args)

        result = module.forward(*args, **kwargs)

        for key, hook in (*forward_hooks.items(), *own.items()):
            called.add(key)
            if key in module._forward_hooks_with_kwargs or key in forward_hooks_with_kwargs:
                new = hook(module, args, kwargs, result)
            else:
                new = hook(module, args, result)
            if new is not None:
                result = new

        if tap is not None:
            if not isinstance(result, (Tensor, tuple)):
                warnings.warn(
                    f"{type(module).__name__}: backward hooks are called only for an output that is a Tensor or a "
                    f"tuple of Tensors; got {type(result).__name__}",
                    stacklevel=3,
                )
            result = tap.tap_outputs(result)
        if legacy:
            first = _first_tensor(result)
            node = None if first is None else first.grad_fn
            if node is not None:
                for hook in legacy:
                    node.register_hook(lambda gi, go, hook=hook: hook(module, gi, go))
        return result
    except Exception:
        always = module._forward_hooks_always_called
        for key, hook in (*forward_hooks.items(), *own.items()):
            if key in called or not (key in always or key in forward_hooks_always_called):
                continue
            try:
                if key in module._forward_hooks_with_kwargs or key in forward_hooks_with_kwargs:
                    hook(module, args, kwargs, result)
                else:
                    hook(module, args, result)
            except Exception as error:
                warnings.warn(
                    f"{type(module).__name__}: a forward hook with always_call=True failed too, after the error in "
                    f"forward: {error}",
                    stacklevel=3,
                )
        raise


class Hooks:
    """The part of `Module` that registers hooks."""

    _hooked = False
    _forward_hooks: OrderedDict[int, Any]
    _forward_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks_always_called: OrderedDict[int, bool]
    _forward_pre_hooks: OrderedDict[int, Any]
    _forward_pre_hooks_with_kwargs: OrderedDict[int, bool]
    _backward_hooks: OrderedDict[int, Any]
    _backward_pre_hooks: OrderedDict[int, Any]
    _is_full_backward_hook: bool | None

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before `forward`; what it returns (a value or a tuple) replaces the arguments.

        Args:
            hook: the function; with `with_kwargs` it gets `(module, args, kwargs)` and returns None or both.
            prepend: run it before the hooks that are there already. Default: False.
            with_kwargs: pass the keyword arguments too. Default: False.

        >>> import tritorch as torch
        >>> double = torch.nn.Identity()
        >>> handle = double.register_forward_pre_hook(lambda module, args: args[0] * 2)
        >>> double(torch.ones(2))
        tensor([2., 2.])
        """
        self.__dict__["_hooked"] = True
        flag = self._forward_pre_hooks_with_kwargs if with_kwargs else None
        return add(self._forward_pre_hooks, hook, flag, prepend=prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after `forward`; what it returns, unless None, replaces the output.

        Args:
            hook: the function; with `with_kwargs` it gets `(module, args, kwargs, output)`.
            prepend: run it before the hooks that are there already. Default: False.
            with_kwargs: pass the keyword arguments too. Default: False.
            always_call: run it even when `forward` has raised. Default: False.

        >>> import tritorch as torch
        >>> layer, seen = torch.nn.Linear(3, 2), []
        >>> handle = layer.register_forward_hook(lambda module, args, output: seen.append(output.shape))
        >>> _ = layer(torch.zeros(4, 3)); seen
        [torch.Size([4, 2])]
        """
        self.__dict__["_hooked"] = True
        flags = self._forward_hooks_with_kwargs if with_kwargs else None
        always = self._forward_hooks_always_called if always_call else None
        return add(self._forward_hooks, hook, flags, always, prepend=prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` before the module's backward; a returned tuple replaces `grad_output`."""
        self.__dict__["_hooked"] = True
        return add(self._backward_pre_hooks, hook, prepend=prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the module's inputs are known.

        `grad_input` has one entry per positional argument (None where there is no gradient); a tuple returned
        replaces it.

        Raises:
            RuntimeError: the module has a hook of `register_backward_hook`; the two kinds do not mix.

        >>> import tritorch as torch
        >>> layer, seen = torch.nn.Linear(3, 2), []
        >>> handle = layer.register_full_backward_hook(lambda module, gi, go: seen.append((gi[0].shape, go[0].shape)))
        >>> layer(torch.zeros(4, 3, requires_grad=True)).sum().backward(); seen
        [(torch.Size([4, 3]), torch.Size([4, 2]))]
        """
        self._set_backward_kind(True)
        return add(self._backward_hooks, hook, prepend=prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """PyTorch's older backward hook, on the last op of the module alone; prefer `register_full_backward_hook`."""
        self._set_backward_kind(False)
        return add(self._backward_hooks, hook)

    def _set_backward_kind(self, full: bool) -> None:
        if self._is_full_backward_hook is (not full) and self._backward_hooks:
            raise RuntimeError(
                f"{type(self).__name__}: cannot use both register_backward_hook and register_full_backward_hook on one "
                "module; use the full kind alone"
            )
        self.__dict__["_is_full_backward_hook"] = full
        self.__dict__["_hooked"] = True


class _HandleOfAll(RemovableHandle):
    """The handle of a hook on all modules; when the last one goes, calls are cheap again."""

    def remove(self) -> None:
        super().remove()
        Hooks._hooked = bool(forward_pre_hooks or forward_hooks or backward_hooks or backward_pre_hooks)


def _on_all(hooks: dict[int, Any], hook: Any, *flags: dict[int, bool] | None) -> RemovableHandle:
    Hooks._hooked = True
    return add(hooks, hook, *flags, kind=_HandleOfAll)


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_forward_pre_hook` for every module of the process."""
    return _on_all(forward_pre_hooks, hook)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """`Module.register_forward_hook` for every module of the process."""
    kwargs = forward_hooks_with_kwargs if with_kwargs else None
    return _on_all(forward_hooks, hook, kwargs, forward_hooks_always_called if always_call else None)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_full_backward_pre_hook` for every module of the process."""
    return _on_all(backward_pre_hooks, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_full_backward_hook` for every module of the process."""
    return _on_all(backward_hooks, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, parameter)` whenever a parameter is registered; a returned one takes its place."""
    return add(parameter_registration_hooks, hook)


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, buffer)` whenever a buffer is registered; a returned one takes its place."""
    return add(buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, submodule)` whenever a submodule is registered; a returned one takes its place."""
    return add(module_registration_hooks, hook)
