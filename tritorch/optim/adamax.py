"""Adamax: Adam by the infinity norm."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import ParamsT
from .rule import Rule, RuleOptimizer, check, decayed, number

__all__ = ["Adamax"]


class Adamax(RuleOptimizer):
    """Adam by the infinity norm.

    m = beta1 m + (1 - beta1) g;  u = max(beta2 u, |g| + eps);  p = p - lr / (1 - beta1^t) m / u.

    Args:
        params: tensors, named tensors or groups.
        lr: step size; default 2e-3.
        betas: default (0.9, 0.999).
        eps: keeps the division finite; default 1e-8.
        weight_decay: L2 penalty; default 0.
        capturable: count the steps on the device, so that a CUDA graph can hold the step; default False.
        foreach: accepted; a step is always fused.
        maximize: follow the gradient upwards; default False.
        differentiable: record the step itself; default False.

    Raises:
        ValueError: a negative number, or a beta outside of [0, 1).

    Source: Kingma and Ba, arXiv 1412.6980, section 7.1.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(1))
    >>> w.grad = torch.ones(1)
    >>> torch.optim.Adamax([w], lr=0.1).step(); w.data
    tensor([0.9000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        check(lr=lr, eps=eps, betas=betas, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "exp_avg", "exp_inf"

    def _rule(self, group: dict[str, Any], state: dict[str, Any], step: Any) -> Rule:
        beta1, beta2 = group["betas"]
        rate = number(group, group["lr"]) / (1 - beta1**step)

        def rule(xp: Any, p: Any, g: Any, m: Any, u: Any) -> tuple[Any, ...]:
            p, g = decayed(group, p, g)
            m = m + (1 - beta1) * (g - m)
            u = xp.maximum(beta2 * u, xp.abs(g) + group["eps"])
            return p - rate * m / u, m, u

        return rule
