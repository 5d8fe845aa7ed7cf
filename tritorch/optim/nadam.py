"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import ParamsT
from .rule import Rule, RuleOptimizer, check, counter, decayed, like, number

__all__ = ["NAdam"]


class NAdam(RuleOptimizer):
    """Adam with Nesterov's momentum, whose rate mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2) rises slowly.

    p = p - lr * ((1 - mu_t) / (1 - prod mu) * g + mu_{t+1} / (1 - prod mu * mu_{t+1}) * m)
    / (sqrt(v / (1 - beta2^t)) + eps).

    Args:
        params: tensors, named tensors or groups.
        lr: step size; default 2e-3.
        betas: rates of the running means of the gradient and its square; default (0.9, 0.999).
        eps: keeps the division finite; default 1e-8.
        weight_decay: L2 penalty; default 0.
        momentum_decay: default 4e-3.
        decoupled_weight_decay: decay the parameter instead of its gradient; default False.
        capturable: count the steps on the device, so that a CUDA graph can hold the step; default False.
        foreach: accepted; a step is always fused.
        maximize: follow the gradient upwards; default False.
        differentiable: record the step itself; default False.

    Raises:
        ValueError: a negative number, or a beta outside of [0, 1).

    Source: Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(1))
    >>> w.grad = torch.ones(1)
    >>> torch.optim.NAdam([w], lr=0.1).step(); w.item() < 1
    True
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        check(lr=lr, eps=eps, betas=betas, weight_decay=weight_decay, momentum_decay=momentum_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "mu_product") if group["capturable"] else ("exp_avg", "exp_avg_sq")

    def _start(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {
            "step": counter(group, p), "mu_product": counter(group, p, 1), "exp_avg": like(p), "exp_avg_sq": like(p),
        }  # fmt: skip

    def _rule(self, group: dict[str, Any], state: dict[str, Any], step: Any) -> Rule:
        beta1, beta2 = group["betas"]
        lr, eps = number(group, group["lr"]), group["eps"]
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1))
        if group["capturable"]:  # the product is a state like the others
            product = state["mu_product"].double() * mu
        else:
            a = state["mu_product"]._a
            a *= mu
            product = float(a)
        from_g, from_m = (1 - mu) / (1 - product), mu_next / (1 - product * mu_next)
        root = (1 - beta2**step) ** 0.5

        def rule(xp: Any, p: Any, g: Any, m: Any, v: Any, *products: Any) -> tuple[Any, ...]:
            p, g = decayed(group, p, g, lr if group["decoupled_weight_decay"] else None)
            m = m + (1 - beta1) * (g - m)
            v = beta2 * v + (1 - beta2) * g * g
            p = p - lr * (from_g * g + from_m * m) / (xp.sqrt(v) / root + eps)
            return (p, m, v, product) if products else (p, m, v)

        return rule
