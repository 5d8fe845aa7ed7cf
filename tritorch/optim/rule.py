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
from .optimizer import Optimizer

Rule = Callable[..., Sequence[Any]]


class RuleOptimizer(Optimizer):
    """An optimizer that names its states, starts them, and gives the formula of one step."""

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Names of the states that the formula reads and renews, in its order."""
        raise NotImplementedError

    def _start(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        """The state before the first step."""
        raise NotImplementedError

    def _rule(self, group: dict[str, Any], state: dict[str, Any], step: int) -> Rule:
        """`rule(xp, p, g, *states)`, which returns the new p and states; `step` counts from 1."""
        raise NotImplementedError

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; see `Optimizer.step`."""
        loss = self._loss_of(closure)
        for group in self.param_groups:
            slots = self._slots(group)
            for p, g in self._with_gradients(group):
                state = self.state[p]
                if not state:
                    state.update(self._start(group, p))
                apply(self._rule(group, state, count(state)), p, g, state, slots, group["differentiable"])
        return loss


def count(state: dict[str, Any]) -> int:
    """Count one more step in `state["step"]` and return its number."""
    a = state["step"]._a
    a += 1
    return int(a)


def like(p: Tensor, value: complex = 0.0) -> Tensor:
    """A state of the parameter's shape, layout, dtype and device, filled with `value`."""
    if p.device is CPU:
        # full_like keeps the layout, so that parameter and state are walked through alike
        return wrap(np.zeros_like(p._a) if value == 0 else np.full_like(p._a, value))
    torch = importlib.import_module("tritorch")
    return torch.full(tuple(p.shape), value, dtype=p.dtype, device=p.device)


def number(value: Any, differentiable: bool = False) -> Any:
    """A hyper-parameter that may be a tensor, as a float unless a gradient should flow into it."""
    return float(value) if isinstance(value, Tensor) and not differentiable else value


def apply(rule: Rule, p: Tensor, g: Tensor, state: dict[str, Any], slots: Sequence[str], differentiable: bool) -> None:
    """Give a parameter and its states their new values.

    Args:
        rule: the formula.
        p, g: parameter and gradient.
        state: the parameter's state; `slots` are its entries that the rule renews.
        differentiable: the step itself is recorded; new states take the place of the old ones.
    """
    states = [state[name] for name in slots]
    if differentiable:
        _on_tensors(rule, p, g, state, slots)
    elif p.device is CPU:
        sweep(lambda *arrays: rule(np, *arrays), p._a, g._a, [s._a for s in states])
        bump(p)
    else:
        with no_grad():
            new = rule(importlib.import_module("tritorch"), *map(_real, (p, g, *states)))
            for old, value in zip((p, *states), new, strict=True):
                _real(old).copy_(value)


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
