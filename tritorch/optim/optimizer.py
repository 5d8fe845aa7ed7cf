"""Optimizer: parameter groups, their state, hooks, and state dicts that PyTorch's optimizers read and write."""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from .. import dtypes, functional
from .._capture import CAPTURES, refuse
from ..autograd.graph import RemovableHandle
from ..autograd.modes import enable_grad
from ..device import CPU
from ..tensor import Tensor, wrap

ParamsT: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
StateDict: TypeAlias = dict[str, Any]

__all__ = ["Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]


class _Required:
    """Stands for a default that each group must give itself."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()

_global_pre_hooks: dict[int, Callable] = OrderedDict()
_global_post_hooks: dict[int, Callable] = OrderedDict()


def _add(hooks: dict, hook: Callable, first: bool = False) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if first:
        hooks.move_to_end(handle.id, last=False)  # type: ignore[attr-defined]
    return handle


def register_optimizer_step_pre_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` before the step of every optimizer; it may return new (args, kwargs)."""
    return _add(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` after the step of every optimizer."""
    return _add(_global_post_hooks, hook)


def _hooked(step: Callable) -> Callable:
    """`step` with its hooks around it; of a step that calls the superclass's, only the outer one has them."""

    @functools.wraps(step)
    def call(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if self._stepping:
            return step(self, *args, **kwargs)
        self._stepping = True
        try:
            if self._optimizer_step_pre_hooks or _global_pre_hooks:
                args, kwargs = self._run_pre_hooks(args, kwargs)
            result = step(self, *args, **kwargs)
            if self._optimizer_step_post_hooks or _global_post_hooks:
                for hook in chain(self._optimizer_step_post_hooks.values(), _global_post_hooks.values()):
                    hook(self, (self, *args), kwargs)
        finally:
            self._stepping = False
        self._opt_called = True
        return result

    return call


class Optimizer:
    """The base of all optimizers.

    Args:
        params: tensors, or (name, tensor) pairs, or dicts with `params` and options of their own.
        defaults: option -> value for groups that do not say otherwise.

    Raises:
        TypeError: `params` is a tensor, a set, or holds anything but tensors.
        ValueError: no parameters; a tensor that is no leaf; one in two groups.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> optimizer = torch.optim.SGD([{"params": [w], "lr": 0.5}], lr=0.1)
    >>> optimizer.param_groups[0]["lr"], optimizer.defaults["lr"]
    (0.5, 0.1)
    """

    _stepping = False
    _opt_called = False

    found_inf: Tensor | None = None
    """Set by a GradScaler for the time of a step: one element on cuda, not 0 for a step that changes nothing."""

    def _takes_found_inf(self) -> bool:
        """Can the next step be left out by `found_inf`, so that nobody has to wait for its value."""
        return False

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "step" in cls.__dict__:
            cls.step = _hooked(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._optimizer_step_pre_hooks: dict[int, Callable] = OrderedDict()
        self._optimizer_step_post_hooks: dict[int, Callable] = OrderedDict()
        self._optimizer_state_dict_pre_hooks: OrderedDict[int, Callable] = OrderedDict()
        self._optimizer_state_dict_post_hooks: OrderedDict[int, Callable] = OrderedDict()
        self._optimizer_load_state_dict_pre_hooks: OrderedDict[int, Callable] = OrderedDict()
        self._optimizer_load_state_dict_post_hooks: OrderedDict[int, Callable] = OrderedDict()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"a Tensor of shape {tuple(params.shape)}"
            )
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    # ---- groups

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, for instance layers that are to be trained from now on.

        Args:
            param_group: `params`, and options that differ from the defaults.

        Raises:
            TypeError, ValueError: as the constructor.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        params = list(params)
        names = [item[0] for item in params if isinstance(item, tuple)]
        if names and len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        if names:
            params = [item[1] for item in params]
            param_group["param_names"] = names
        param_group["params"] = params
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not self.defaults.get("differentiable") and not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        ids = {id(p) for p in params}
        if len(ids) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=3,
            )
        named = "param_names" in param_group
        for group in self.param_groups:
            if not ids.isdisjoint(map(id, group["params"])):
                raise ValueError("some parameters appear in more than one parameter group")
            if named != ("param_names" in group):
                without = "with" if "param_names" in group else "without"
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param group with names: "
                    f"{named}; the groups so far are {without} names"
                )
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters.

        Args:
            set_to_none: True (default) sets `.grad` to None; False fills it with zeros in place.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    if p.grad.grad_fn is not None:
                        p.grad.detach_()
                    else:
                        p.grad.requires_grad_(False)
                    p.grad.zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once.

        Args:
            closure: computes the loss anew, with its gradients, and returns it; needed by LBFGS only.

        Returns:
            What the closure returned, None without one.
        """
        raise NotImplementedError

    @staticmethod
    def _loss_of(closure: Callable[[], Any] | None) -> Any:
        if closure is None:
            return None
        with enable_grad():
            return closure()

    def _with_gradients(self, group: dict[str, Any]) -> list[tuple[Any, Any]]:
        """The parameters of a group that have a gradient, with it."""
        return [(p, g) for p in group["params"] if (g := p.grad) is not None]

    def _check_capture(self) -> None:
        """RuntimeError where a CUDA graph is recorded and a replay would not count the steps."""
        if CAPTURES and not all(counts_there(group, p) for group in self.param_groups for p in group["params"]):
            why = "its steps are the host's, but for fused=True"
            if "capturable" in self.defaults:
                why = "param_groups' capturable is False"
            name = type(self).__name__
            raise RuntimeError(f"Attempting CUDA graph capture of step() for an instance of {name} but {why}.")

    def _check_begin(self, group: dict[str, Any], p: Tensor) -> None:
        """Errors before the state of a parameter is made."""
        if CAPTURES:
            refuse("the first step, which makes the state,", "take a step before the capture")
        if group.get("capturable") and p.device is CPU:
            raise no_device(p)

    # ---- hooks

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return new (args, kwargs)."""
        return _add(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return _add(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` before `state_dict` is made."""
        return _add(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` on what `state_dict` returns; it may return another."""
        return _add(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before it is loaded; it may return another."""
        return _add(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` after a state dict was loaded."""
        return _add(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    def _run_pre_hooks(self, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        whole = (self, *args)
        for hook in chain(_global_pre_hooks.values(), self._optimizer_step_pre_hooks.values()):
            result = hook(self, whole, kwargs)
            if result is not None:
                if not isinstance(result, tuple) or len(result) != 2:
                    raise RuntimeError(
                        f"{self.step} must return None or a tuple of (new_args, new_kwargs), but got {result}."
                    )
                whole, kwargs = result
        return tuple(whole[1:]), kwargs

    # ---- state

    def state_dict(self) -> StateDict:
        """Everything but the parameters themselves, in PyTorch's form.

        Returns:
            `state`: number of the parameter -> its state (the tensors themselves, no copies); `param_groups`: the
            groups, with numbers for parameters.
        """
        for before in self._optimizer_state_dict_pre_hooks.values():
            before(self)
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            packed = {k: v for k, v in group.items() if k != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {numbers.get(id(k), k) if isinstance(k, Tensor) else k: v for k, v in self.state.items()}
        made: StateDict = {"state": state, "param_groups": groups}
        for after in self._optimizer_state_dict_post_hooks.values():
            result = after(self, made)
            made = made if result is None else result
        return made

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Take over the state of another optimizer of the same kind, of ours or PyTorch's; its tensors are not shared
        where they change dtype or device.

        Raises:
            ValueError: groups or their sizes differ.
        """
        state_dict = state_dict.copy()
        for before in self._optimizer_load_state_dict_pre_hooks.values():
            result = before(self, state_dict)
            state_dict = state_dict if result is None else result
        saved = deepcopy(state_dict["param_groups"])
        groups = self.param_groups
        if len(groups) != len(saved):
            raise ValueError(
                f"loaded state dict has a different number of parameter groups: {len(saved)}, not {len(groups)}"
            )
        for i, (mine, other) in enumerate(zip(groups, saved, strict=True)):
            if len(mine["params"]) != len(other["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"group {i} has {len(other['params'])} parameters there, {len(mine['params'])} here"
                )
        theirs = chain.from_iterable(g["params"] for g in saved)
        params = dict(zip(theirs, chain.from_iterable(g["params"] for g in groups), strict=True))
        there = {key for g in saved for key in g["params"] if counts_there(g, params[key])}
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            p = params.get(key)
            if p is None:
                state[key] = value
            else:
                state[p] = _cast(p, value, p.device if key in there else CPU)
        for mine, other in zip(groups, saved, strict=True):
            other["params"] = mine["params"]
            if "param_names" in mine:
                other["param_names"] = mine["param_names"]
        self.__setstate__({"state": state, "param_groups": saved})
        for after in self._optimizer_load_state_dict_post_hooks.values():
            after(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in (
            "step_pre",
            "step_post",
            "state_dict_pre",
            "state_dict_post",
            "load_state_dict_pre",
            "load_state_dict_post",
        ):
            self.__dict__.setdefault(f"_optimizer_{name}_hooks", OrderedDict())
        # checkpoints of older versions lack newer options, and kept steps as numbers
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)
        there = {id(p) for group in self.param_groups for p in group["params"] if counts_there(group, p)}
        for p, entry in self.state.items():
            if isinstance(entry, dict) and self._counts_in_tensors and isinstance(entry.get("step"), (int, float)):
                entry["step"] = scalar(entry["step"], p.device if id(p) in there else CPU)

    _counts_in_tensors = True  # state["step"] is a 0-dim tensor

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += [""] * (i > 0) + [f"Parameter Group {i}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def counts_there(group: dict[str, Any], p: Tensor) -> bool:
    """Are a parameter's steps counted on its device: `capturable`, or `fused` on cuda for optimizers without that option."""
    if "capturable" in group:
        return bool(group["capturable"])
    return bool(group.get("fused")) and p.device is not CPU


def scalar(value: float, place: Any = CPU) -> Tensor:
    """A 0-dim tensor that counts, float32 as PyTorch's (float64 when that is the default dtype)."""
    kind = dtypes.float64 if dtypes.get_default_dtype() is dtypes.float64 else dtypes.float32
    if place is CPU:
        return wrap(np.array(value, kind.np))
    return functional.full((), value, dtype=kind, device=place)


def no_device(*tensors: Tensor) -> AssertionError:
    """The error for a capturable group whose tensors are not on cuda."""
    return AssertionError(
        f"If capturable=True, params and state_steps must be on supported devices: ['cuda']; got {tensors[-1].device}"
    )


def _cast(p: Tensor, value: Any, place: Any, key: str | None = None) -> Any:
    """A loaded value of a parameter's state in the parameter's dtype and on its device; counters go to `place`."""
    if isinstance(value, Tensor):
        if key == "step" or value.dim() == 0 and key in ("eta", "mu", "mu_product"):
            value = value.detach()
            return value.clone() if value.device is place else value.to(place)
        if p.is_floating_point():
            return value.detach().to(p.device, p.dtype)
        return value.detach().to(p.device)
    if isinstance(value, dict):
        return {k: _cast(p, v, place, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_cast(p, v, place) for v in value)
    return value


def check_fused(group: dict[str, Any]) -> None:
    """The combinations of implementation switches that PyTorch refuses."""
    if group.get("fused"):
        if group.get("differentiable"):
            raise RuntimeError("`fused` does not support `differentiable`")
        if group.get("foreach"):
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
