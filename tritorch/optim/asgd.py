"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Tensor
from .optimizer import ParamsT
from .rule import Rule, RuleOptimizer, check, counter, decayed, like, number

__all__ = ["ASGD"]


class ASGD(RuleOptimizer):
    """Averaged SGD: p = p (1 - lambd eta) - eta g;  ax = ax + mu (p - ax), the average to use in the end.

    eta = lr / (1 + lambd lr t)^alpha;  mu = 1 / max(1, t - t0).

    Args:
        params: tensors, named tensors or groups.
        lr: step size; default 1e-2.
        lambd: decay term; default 1e-4.
        alpha: power of eta's decay; default 0.75.
        t0: the step at which averaging begins; default 1e6.
        weight_decay: L2 penalty; default 0.
        capturable: count the steps on the device, so that a CUDA graph can hold the step; default False.
        foreach: accepted; a step is always fused.
        maximize: follow the gradient upwards; default False.
        differentiable: record the step itself; default False.

    Raises:
        ValueError: a negative lr or weight_decay.

    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control 30, 1992.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(1))
    >>> w.grad = torch.ones(1)
    >>> torch.optim.ASGD([w], lr=0.1, lambd=0).step(); w.data
    tensor([0.9000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        check(lr=lr, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("ax", "eta", "mu") if group["capturable"] else ("ax",)

    def _start(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        numbers = {"step": 0.0, "eta": float(group["lr"]), "mu": 1.0}
        return {name: counter(group, p, value) for name, value in numbers.items()} | {"ax": like(p)}

    def _rule(self, group: dict[str, Any], state: dict[str, Any], step: Any) -> Rule:
        lambd = group["lambd"]
        lr = number(group, group["lr"]) if group["capturable"] else float(group["lr"])
        next_eta = lr / (1 + lambd * lr * step) ** group["alpha"]
        if group["capturable"]:
            next_mu = 1 / (step - group["t0"]).clamp(min=1)

            def rule(xp: Any, p: Any, g: Any, ax: Any, eta: Any, mu: Any) -> tuple[Any, ...]:
                p, g = decayed(group, p, g)
                p = p * (1 - lambd * eta) - eta * g
                return p, ax + mu * (p - ax), next_eta, next_mu

            return rule
        eta, mu = float(state["eta"]._a), float(state["mu"]._a)
        np.copyto(state["eta"]._a, next_eta)
        np.copyto(state["mu"]._a, 1 / max(1, step - group["t0"]))

        def rule(xp: Any, p: Any, g: Any, ax: Any) -> tuple[Any, ...]:
            p, g = decayed(group, p, g)
            p = p * (1 - lambd * eta) - eta * g
            return p, p if mu == 1 else ax + mu * (p - ax)

        return rule
