"""RAdam: Adam whose adaptive step waits until its variance is known well enough."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import ParamsT
from .rule import Rule, RuleOptimizer, check, decayed, number

__all__ = ["RAdam"]


class RAdam(RuleOptimizer):
    """Adam with a rectified adaptive rate: plain momentum while rho_t <= 5, then Adam's step times r_t.

    rho_inf = 2 / (1 - beta2) - 1;  rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t);
    r_t = sqrt((rho_t - 4)(rho_t - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho_t)).

    Args:
        params: tensors, named tensors or groups.
        lr: step size; default 1e-3.
        betas: rates of the running means of the gradient and its square; default (0.9, 0.999).
        eps: keeps the division finite; default 1e-8.
        weight_decay: L2 penalty; default 0.
        decoupled_weight_decay: decay the parameter instead of its gradient; default False.
        capturable: count the steps on the device, so that a CUDA graph can hold the step; default False.
        foreach: accepted; a step is always fused.
        maximize: follow the gradient upwards; default False.
        differentiable: record the step itself; default False.

    Raises:
        ValueError: a negative number, or a beta outside of [0, 1).

    Source: Liu et al., arXiv 1908.03265.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(1))
    >>> w.grad = torch.ones(1)
    >>> torch.optim.RAdam([w], lr=0.1).step(); w.data
    tensor([0.9000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        check(lr=lr, eps=eps, betas=betas, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "exp_avg", "exp_avg_sq"

    def _rule(self, group: dict[str, Any], state: dict[str, Any], step: Any) -> Rule:
        beta1, beta2 = group["betas"]
        lr, eps = number(group, group["lr"]), group["eps"]
        correction1, correction2 = 1 - beta1**step, 1 - beta2**step
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * step * beta2**step / correction2
        factor = None
        if group["capturable"]:
            factor = (_rectified(rho.clamp(min=5), rho_inf) * correction2) ** 0.5
        elif rho > 5:
            factor = _rectified(rho, rho_inf) ** 0.5 * correction2**0.5

        def rule(xp: Any, p: Any, g: Any, m: Any, v: Any) -> tuple[Any, ...]:
            p, g = decayed(group, p, g, lr if group["decoupled_weight_decay"] else None)
            m = m + (1 - beta1) * (g - m)
            v = beta2 * v + (1 - beta2) * g * g
            change = m * (lr / correction1)
            if factor is None:
                return p - change, m, v
            adapted = change * (factor / (xp.sqrt(v) + eps))
            return p - (xp.where(rho > 5, adapted, change) if group["capturable"] else adapted), m, v

        return rule


def _rectified(rho: Any, rho_inf: float) -> Any:
    """r_t^2, for rho_t > 4."""
    return (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
