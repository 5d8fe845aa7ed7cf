"""Rprop: step sizes per element that follow the signs of the gradient alone."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import ParamsT
from .rule import Rule, RuleOptimizer, check, counter, like

__all__ = ["Rprop"]


class Rprop(RuleOptimizer):
    """Resilient backpropagation: an element's step grows while its gradient keeps its sign and shrinks when it turns.

    s = clamp(s * (eta_plus where g * g_prev > 0, eta_minus where < 0, else 1));  g = 0 where it turned;
    p = p - sign(g) s.

    Args:
        params: tensors, named tensors or groups.
        lr: the first step of each element; default 1e-2.
        etas: (eta_minus, eta_plus); default (0.5, 1.2).
        step_sizes: smallest and largest step; default (1e-6, 50).
        capturable: count the steps on the device, so that a CUDA graph can hold the step; default False.
        foreach: accepted; a step is always fused.
        maximize: follow the gradient upwards; default False.
        differentiable: record the step itself; default False.

    Raises:
        ValueError: a negative lr, or etas that are not 0 < eta_minus < 1 < eta_plus.

    Source: Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning", ICNN 1993.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(1))
    >>> w.grad = torch.ones(1)
    >>> torch.optim.Rprop([w], lr=0.1).step(); w.data
    tensor([0.9000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        check(lr=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "prev", "step_size"

    def _start(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        lr = float(group["lr"])
        return {
            "step": counter(group, p),
            "prev": like(p),
            "step_size": like(p, complex(lr, lr) if p.is_complex() else lr),
        }

    def _rule(self, group: dict[str, Any], state: dict[str, Any], step: Any) -> Rule:
        minus, plus = group["etas"]
        smallest, largest = group["step_sizes"]

        def rule(xp: Any, p: Any, g: Any, prev: Any, size: Any) -> tuple[Any, ...]:
            if group["maximize"]:
                g = -g
            agree = g * prev
            size = xp.where(agree > 0, size * plus, xp.where(agree < 0, size * minus, size))
            size = xp.clip(size, smallest, largest)
            g = xp.where(agree < 0, xp.zeros_like(g), g)
            return p - xp.sign(g) * size, g, size

        return rule
