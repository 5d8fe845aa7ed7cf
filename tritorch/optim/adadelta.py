"""Adadelta: steps in the units of the parameter, from running means of squares."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import ParamsT
from .rule import Rule, RuleOptimizer, check, decayed, number

__all__ = ["Adadelta"]


class Adadelta(RuleOptimizer):
    """Adadelta: steps in the units of the parameter.

    v = rho v + (1 - rho) g^2;  d = sqrt(u + eps) / sqrt(v + eps) * g;  u = rho u + (1 - rho) d^2;  p = p - lr d.

    Args:
        params: tensors, named tensors or groups.
        lr: factor of the step; default 1.0.
        rho: rate of the running means; default 0.9.
        eps: keeps the roots away from 0; default 1e-6.
        weight_decay: L2 penalty; default 0.
        capturable: count the steps on the device, so that a CUDA graph can hold the step; default False.
        foreach: accepted; a step is always fused.
        maximize: follow the gradient upwards; default False.
        differentiable: record the step itself; default False.

    Raises:
        ValueError: a negative number, or rho outside of [0, 1].

    Source: Zeiler, arXiv 1212.5701.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(1))
    >>> w.grad = torch.ones(1)
    >>> torch.optim.Adadelta([w]).step(); w.item() < 1
    True
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check(lr=lr, eps=eps, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "square_avg", "acc_delta"

    def _rule(self, group: dict[str, Any], state: dict[str, Any], step: Any) -> Rule:
        rho, eps = group["rho"], group["eps"]
        lr = number(group, group["lr"])

        def rule(xp: Any, p: Any, g: Any, v: Any, u: Any) -> tuple[Any, ...]:
            p, g = decayed(group, p, g)
            v = rho * v + (1 - rho) * g * g
            d = xp.sqrt(u + eps) / xp.sqrt(v + eps) * g
            return p - lr * d, v, rho * u + (1 - rho) * d * d

        return rule
