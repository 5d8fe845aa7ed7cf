"""Stochastic gradient descent, with momentum and Nesterov's momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..device import CPU, empty
from ..kernels import optimizer_step
from ..tensor import Tensor, bump, wrap
from .optimizer import Optimizer, ParamsT, check_fused
from .rule import apply, check, decayed, number

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent.

    g = grad + weight_decay * p;  b = momentum * b + (1 - dampening) * g  (b = g at the first step);
    p = p - lr * b, with nesterov p - lr * (g + momentum * b), without momentum p - lr * g.

    Args:
        params: tensors, named tensors or groups.
        lr: step size, a float or a 1-element tensor; default 1e-3.
        momentum: default 0.
        dampening: how much of the gradient the buffer leaves out; default 0.
        weight_decay: L2 penalty; default 0.
        nesterov: default False; needs momentum > 0 and dampening 0.
        maximize: follow the gradient upwards; default False.
        foreach, fused: accepted; a step is always fused.
        differentiable: record the step itself; default False.

    Raises:
        ValueError: a negative lr, momentum or weight_decay; nesterov without momentum or with dampening.

    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> w.grad = torch.tensor([1.0, 2.0])
    >>> torch.optim.SGD([w], lr=0.5).step(); w.data
    tensor([0.5000, 0.0000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        check(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            check_fused(group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; see `Optimizer.step`."""
        loss = self._loss_of(closure)
        for group in self.param_groups:
            if group["differentiable"]:
                self._recorded(group)
            else:
                self._fused(group)
        return loss

    def _fused(self, group: dict[str, Any]) -> None:
        momentum, maximize, nesterov = group["momentum"], group["maximize"], group["nesterov"]
        decay = float(group["weight_decay"])
        c = optimizer_step.Constants(
            lr=float(group["lr"]), momentum=momentum, undamped=1 - group["dampening"], decay=decay
        )
        jobs = []
        for p, g in self._with_gradients(group):
            first, buffer = False, None
            if momentum != 0:
                state = self.state[p]
                buffer = state.get("momentum_buffer")
                if buffer is None:
                    first = True
                    buffer = state["momentum_buffer"] = wrap(_empty_like(p), p.device)
            jobs.append((p, g, buffer, first))
        on_cuda = [job for job in jobs if job[0].device is not CPU]
        for p, g, buffer, first in jobs:
            if p.device is CPU:
                b = None if buffer is None else buffer._a
                optimizer_step.sgd(p._a, g._a, b, c.of(p._a.dtype), first, decay != 0, nesterov, maximize)
        if on_cuda:
            from ..kernels import optimizer_gpu

            optimizer_gpu.sgd(on_cuda, c.values, nesterov, maximize)
        for job in jobs:
            bump(job[0])

    def _recorded(self, group: dict[str, Any]) -> None:
        momentum = group["momentum"]
        lr = number(group["lr"], True)
        for p, g in self._with_gradients(group):
            state = self.state[p]
            buffer = state.get("momentum_buffer")

            def rule(xp: Any, p: Any, g: Any, *buffers: Any) -> tuple[Any, ...]:
                p, g = decayed(group, p, g)
                if momentum == 0:
                    return (p - lr * g,)
                b = momentum * buffers[0] + (1 - group["dampening"]) * g if buffers[0] is not None else g
                return p - lr * (g + momentum * b if group["nesterov"] else b), b

            if momentum != 0 and buffer is None:
                first = lambda xp, p, g, _: rule(xp, p, g, None)  # noqa: B023 - called at once
                state["momentum_buffer"] = g.detach()
                apply(first, p, g, state, ("momentum_buffer",), True)
            else:
                apply(rule, p, g, state, ("momentum_buffer",) if momentum != 0 else (), True)


def _empty_like(p: Tensor) -> Any:
    if p.device is CPU:
        return np.empty_like(p._a)
    return empty(p._a.shape, p._a.dtype, p.device)
