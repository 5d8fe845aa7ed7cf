"""The step of an optimizer whose formula is elementwise: `RuleOptimizer` gives each parameter to the formula.

The formula is written once, on anything that has operators and a namespace `xp` of functions: on the CPU it runs on
cache-sized blocks of arrays (kernels/optimizer_step.py), on cuda and with `differentiable=True` on tensors.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.modes import no_grad
from ..device import CPU
from ..kernels.optimizer_step import sweep
from ..tensor import Tensor, bump, wrap
from .optimizer import Optimizer, counts_there, no_device, scalar

Rule = Callable[..., Sequence[Any]]


class RuleOptimizer(Optimizer):
    """An optimizer that names its states and gives the formula of one step."""

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Names of the states that the formula reads and renews, in its order."""
        raise NotImplementedError

    def _start(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        """The state before the first step: a counter, and zeros for each of `_slots`."""
        return {"step": counter(group, p)} | {name: like(p) for name in self._slots(group)}

    def _rule(self, group: dict[str, Any], state: dict[str, Any], step: Any) -> Rule:
        """`rule(xp, p, g, *states)`, which returns the new p and states.

        Args:
            step: counts from 1; of a capturable group a 0-dim float64 tensor on the device.
        """
        raise NotImplementedError

    def _takes_found_inf(self) -> bool:
        return all(counts_there(group, p) for group in self.param_groups for p in group["params"])

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; see `Optimizer.step`."""
        loss = self._loss_of(closure)
        self._check_capture()
        for group in self.param_groups:
            slots = self._slots(group)
            for p, g in self._with_gradients(group):
                state = self.state[p]
                if not state:
                    self._check_begin(group, p)
                    state.update(self._start(group, p))
                rule = self._rule(group, state, count(group, p, state, self.found_inf))
                apply(rule, p, g, state, slots, group["differentiable"], self.found_inf)
        return loss


def counter(group: dict[str, Any], p: Tensor, value: float = 0) -> Tensor:
    """A state of one number: on the host, where `counts_there` says so on the parameter's device."""
    return scalar(value, p.device if counts_there(group, p) else CPU)


def count(group: dict[str, Any], p: Tensor, state: dict[str, Any], found: Tensor | None = None) -> Any:
    """Count one more step in `state["step"]` and return its number.

    Where `counts_there` says so the number is a float64 tensor on the device, and where `found` is not 0 nothing is counted.

    Raises:
        AssertionError: a capturable group's parameter or counter is not on cuda.
    """
    step = state["step"]
    if counts_there(group, p):
        if "capturable" not in group and step.device is CPU:  # the parameter has moved since
            step = state["step"] = step.to(p.device)
        counted_there(p, step)
        with no_grad():
            step.add_(1 if found is None else (found.to(p.device) == 0).reshape(()).to(step.dtype))
            return step.double()
    if step.device is not CPU:  # the group was capturable before
        step = state["step"] = step.cpu()
    a = step._a
    a += 1
    return int(a)


def counted_there(p: Tensor, step: Tensor) -> None:
    """AssertionError unless parameter and counter of a capturable group are on one cuda device."""
    if p.device is CPU or step.device is not p.device:
        raise no_device(p, step)


def like(p: Tensor, value: complex = 0.0) -> Tensor:
    """A state of the parameter's shape, layout, dtype and device, filled with `value`."""
    if p.device is CPU:
        # full_like keeps the layout, so that parameter and state are walked through alike
        return wrap(np.zeros_like(p._a) if value == 0 else np.full_like(p._a, value))
    torch = importlib.import_module("tritorch")
    return torch.full(tuple(p.shape), value, dtype=p.dtype, device=p.device)


def number(group: dict[str, Any], value: Any) -> Any:
    """A hyper-parameter that may be a tensor: a float, unless a gradient should flow into it or a replay look at it."""
    if not isinstance(value, Tensor) or group["differentiable"]:
        return value
    there = group.get("capturable", group.get("fused"))
    return value.reshape(()) if there and value.device is not CPU else float(value)


def apply(
    rule: Rule, p: Tensor, g: Tensor, state: dict[str, Any], slots: Sequence[str], differentiable: bool,
    found: Tensor | None = None,
) -> None:  # fmt: skip
    """Give a parameter and its states their new values.

    Args:
        rule: the formula.
        p, g: parameter and gradient.
        state: the parameter's state; `slots` are its entries that the rule renews.
        differentiable: the step itself is recorded; new states take the place of the old ones.
        found: one element on cuda, not 0 to leave all as it is; or None.
    """
    states = [state[name] for name in slots]
    if differentiable:
        _on_tensors(rule, p, g, state, slots)
    elif p.device is CPU:
        sweep(lambda *arrays: rule(np, *arrays), p._a, g._a, [s._a for s in states])
        bump(p)
    else:
        torch = importlib.import_module("tritorch")
        with no_grad():
            new = rule(torch, *map(_real, (p, g, *states)))
            skip = None if found is None else (found.to(p.device) != 0).reshape(())
            for old, value in zip(map(_real, (p, *states)), new, strict=True):
                old.copy_(value if skip is None else torch.where(skip, old, value))


def _real(t: Tensor) -> Any:
    return importlib.import_module("tritorch").view_as_real(t) if t.is_complex() else t


def _on_tensors(rule: Rule, p: Tensor, g: Tensor, state: dict[str, Any], slots: Sequence[str]) -> None:
    torch = importlib.import_module("tritorch")
    pairs = p.is_complex()
    new = rule(torch, *map(_real, (p, g, *(state[name] for name in slots))))
    new = [torch.view_as_complex(value) for value in new] if pairs else list(new)
    p.copy_(new[0])
    for name, value in zip(slots, new[1:], strict=True):
        state[name] = value


def decayed(group: dict[str, Any], p: Any, g: Any, lr: Any = None) -> tuple[Any, Any]:
    """Parameter and gradient after `maximize` and weight decay (decoupled from the gradient where `lr` is given)."""
    if group["maximize"]:
        g = -g
    decay = group["weight_decay"]
    if decay != 0:
        if lr is not None:
            p = p * (1 - lr * decay)
        else:
            g = g + decay * p
    return p, g


def check(**values: Any) -> None:
    """ValueError for a hyper-parameter that is negative (or, for betas, outside of [0, 1)).

    Args:
        values: `lr`, `eps`, `weight_decay`, `betas` and others that must not be negative.
    """
    for name, value in values.items():
        if name in ("betas", "etas"):
            for i, beta in enumerate(value):
                if not 0.0 <= float(beta) < 1.0:
                    raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        elif not 0.0 <= float(value):
            words = {"lr": "learning rate", "eps": "epsilon value"}.get(name, f"{name} value")
            raise ValueError(f"Invalid {words}: {value}")
