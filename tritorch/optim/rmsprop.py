"""RMSprop: steps scaled by a running mean of squared gradients."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import ParamsT
from .rule import Rule, RuleOptimizer, check, decayed, number

__all__ = ["RMSprop"]


class RMSprop(RuleOptimizer):
    """RMSprop: steps scaled by a running mean of squares.

    v = alpha v + (1 - alpha) g^2;  d = g / (sqrt(v) + eps);  p = p - lr d, or b = momentum b + d;  p = p - lr b.

    Args:
        params: tensors, named tensors or groups.
        lr: step size; default 1e-2.
        alpha: rate of the running mean; default 0.99.
        eps: keeps the division finite; default 1e-8.
        weight_decay: L2 penalty; default 0.
        momentum: default 0.
        centered: subtract the square of the gradient's running mean from v; default False.
        capturable: count the steps on the device, so that a CUDA graph can hold the step; default False.
        foreach: accepted; a step is always fused.
        maximize: follow the gradient upwards; default False.
        differentiable: record the step itself; default False.

    Raises:
        ValueError: a negative number.

    Source: Hinton, lecture 6e of "Neural Networks for Machine Learning"; centered: Graves, arXiv 1308.0850.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(1))
    >>> w.grad = torch.ones(1)
    >>> torch.optim.RMSprop([w], lr=0.01).step(); w.data
    tensor([0.9000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        check(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        names = ["square_avg"]
        if group["momentum"] > 0:
            names.append("momentum_buffer")
        if group["centered"]:
            names.append("grad_avg")
        return tuple(names)

    def _rule(self, group: dict[str, Any], state: dict[str, Any], step: Any) -> Rule:
        alpha, momentum, centered = group["alpha"], group["momentum"], group["centered"]
        lr = number(group, group["lr"])

        def rule(xp: Any, p: Any, g: Any, v: Any, *more: Any) -> tuple[Any, ...]:
            p, g = decayed(group, p, g)
            v = alpha * v + (1 - alpha) * g * g
            if centered:
                mean = more[-1]
                mean = mean + (1 - alpha) * (g - mean)
                d = g / (xp.sqrt(v - mean * mean) + group["eps"])
                means = (mean,)
            else:
                d = g / (xp.sqrt(v) + group["eps"])
                means = ()
            if momentum > 0:
                b = momentum * more[0] + d
                return p - lr * b, v, b, *means
            return p - lr * d, v, *means

        return rule
