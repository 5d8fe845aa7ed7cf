"""Stochastic gradient descent, with momentum and Nesterov's momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..device import CPU, empty
from ..kernels import optimizer_step
from ..tensor import Tensor, bump, wrap
from . import on_device
from .optimizer import Optimizer, ParamsT, check_fused
from .rule import apply, check, decayed, number

__all__ = ["SGD"]

Job = tuple[Tensor, Tensor, Tensor | None, bool]


class SGD(Optimizer):
    """Stochastic gradient descent.

    g = grad + weight_decay * p;  b = momentum * b + (1 - dampening) * g  (b = g at the first step);
    p = p - lr * b, with nesterov p - lr * (g + momentum * b), without momentum p - lr * g.

    Args:
        params: tensors, named tensors or groups.
        lr: step size, a float or a 1-element tensor; default 1e-3. A tensor on cuda is read there, at each step anew, also
            by the replays of a CUDA graph.
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

    def _takes_found_inf(self) -> bool:
        """Unless a momentum buffer is to be made, by a step that might be left out."""
        return all(
            p.device is not CPU and (group["momentum"] == 0 or self.state[p].get("momentum_buffer") is not None)
            for group in self.param_groups
            for p, _ in self._with_gradients(group)
        ) and not any(group["differentiable"] for group in self.param_groups)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; see `Optimizer.step`."""
        loss = self._loss_of(closure)
        for group in self.param_groups:
            jobs = self._started(group)
            if group["differentiable"]:
                self._on_tensors(group, [(p, g, first) for p, g, _, first in jobs])
            else:
                self._fused(group, jobs)
        return loss

    def _started(self, group: dict[str, Any]) -> list[Job]:
        """Parameters with their gradients and momentum buffers, which the first step makes."""
        jobs: list[Job] = []
        for p, g in self._with_gradients(group):
            first, buffer = False, None
            if group["momentum"] != 0:
                state = self.state[p]
                buffer = state.get("momentum_buffer")
                if buffer is None:
                    self._check_begin(group, p)
                    first = True
                    buffer = state["momentum_buffer"] = _empty_like(p)
            jobs.append((p, g, buffer, first))
        return jobs

    def _fused(self, group: dict[str, Any], jobs: list[Job]) -> None:
        maximize, nesterov = group["maximize"], group["nesterov"]
        decay = float(group["weight_decay"])
        c = {
            "lr": group["lr"],
            "momentum": group["momentum"],
            "undamped": 1 - group["dampening"],
            "decay": decay,
        }
        for first in (False, True):
            rows = [
                (p._a, g._a) if b is None else (p._a, g._a, b._a)
                for p, g, b, its_first in jobs
                if p.device is CPU and its_first is first
            ]
            if rows:
                optimizer_step.sgd(rows, c | {"lr": float(c["lr"])}, first, decay != 0, nesterov, maximize)
            on_cuda = [job for job in jobs if job[0].device is not CPU and job[3] is first]
            if on_cuda:
                from ..kernels import optimizer_gpu

                rows = [job[:3] for job in on_cuda]
                flags = {"first": first, "nesterov": nesterov, "maximize": maximize}
                rest = on_device.run(optimizer_gpu.sgd, rows, c, self.found_inf, **flags)
                self._on_tensors(group, [(on_cuda[i][0], on_cuda[i][1], first) for i in rest])
        for job in jobs:
            bump(job[0])

    def _on_tensors(self, group: dict[str, Any], jobs: list[tuple[Tensor, Tensor, bool]]) -> None:
        """The step by tensor operations, recorded where the group is differentiable."""
        momentum, lr = group["momentum"], group["lr"]
        if not isinstance(lr, Tensor) or lr.device is CPU:
            lr = number(group, lr)
        slots = ("momentum_buffer",) if momentum != 0 else ()

        for p, g, first in jobs:

            def rule(xp: Any, p: Any, g: Any, *buffers: Any, first: bool = first) -> tuple[Any, ...]:
                p, g = decayed(group, p, g)
                if momentum == 0:
                    return (p - lr * g,)
                b = g if first else momentum * buffers[0] + (1 - group["dampening"]) * g
                return p - lr * (g + momentum * b if group["nesterov"] else b), b

            apply(rule, p, g, self.state[p], slots, group["differentiable"], self.found_inf)


def _empty_like(p: Tensor) -> Tensor:
    a = p._a
    return wrap(np.empty_like(a) if p.device is CPU else empty(a.shape, a.dtype, p.device), p.device)
