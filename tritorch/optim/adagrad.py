"""Adagrad: steps scaled by the sum of all squared gradients."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .optimizer import ParamsT, check_fused
from .rule import Rule, RuleOptimizer, check, counter, decayed, like, number

__all__ = ["Adagrad"]


class Adagrad(RuleOptimizer):
    """Adagrad: s = s + g^2;  p = p - lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps).

    Args:
        params: tensors, named tensors or groups.
        lr: step size; default 1e-2.
        lr_decay: default 0.
        weight_decay: L2 penalty; default 0.
        initial_accumulator_value: where s begins; default 0.
        eps: keeps the division finite; default 1e-10.
        foreach: accepted; a step is always fused.
        fused: count the steps on the device, as PyTorch does then, so that a CUDA graph can hold the step; default False.
        maximize: follow the gradient upwards; default False.
        differentiable: record the step itself; default False.

    Raises:
        ValueError: a negative number.

    Source: Duchi, Hazan and Singer, "Adaptive Subgradient Methods", JMLR 12, 2011.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(1))
    >>> w.grad = torch.ones(1)
    >>> torch.optim.Adagrad([w], lr=0.1).step(); w.data
    tensor([0.9000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        check(
            lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps,
            initial_accumulator_value=initial_accumulator_value,
        )  # fmt: skip
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            check_fused(group)
            for p in group["params"]:
                self.state[p] = self._start(group, p)

    def share_memory(self) -> None:
        """Move the states to shared memory."""
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["sum"].share_memory_()

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    def _start(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        value = group["initial_accumulator_value"]
        return {"step": counter(group, p), "sum": like(p, complex(value, value) if p.is_complex() else value)}

    def _rule(self, group: dict[str, Any], state: dict[str, Any], step: Any) -> Rule:
        rate = number(group, group["lr"])
        if group["lr_decay"]:
            rate = rate / (1 + (step - 1) * group["lr_decay"])

        def rule(xp: Any, p: Any, g: Any, s: Any) -> tuple[Any, ...]:
            p, g = decayed(group, p, g)
            s = s + g * g
            return p - rate * g / (xp.sqrt(s) + group["eps"]), s

        return rule
