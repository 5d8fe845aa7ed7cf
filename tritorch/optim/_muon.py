"""Muon: momentum whose matrix is made orthogonal by a Newton-Schulz iteration."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from ..autograd.modes import no_grad
from ..device import CPU
from ..tensor import Tensor
from .optimizer import Optimizer, ParamsT
from .rule import check, like

__all__ = ["Muon"]


class Muon(Optimizer):
    """Muon for the weight matrices of hidden layers: the momentum's nearest (semi-)orthogonal matrix is the step.

    b = momentum b + (1 - momentum) g;  u = newton_schulz(g + momentum (b - g));
    p = p (1 - lr weight_decay) - ratio lr u.

    The iteration X = a X + (b X X^T + c (X X^T)^2) X runs in float32 on the CPU and in bfloat16 on cuda.

    Args:
        params: 2-dim tensors, named tensors or groups.
        lr: step size; default 1e-3.
        weight_decay: decoupled; default 0.1.
        momentum: default 0.95.
        nesterov: default True.
        ns_coefficients: (a, b, c); default (3.4445, -4.775, 2.0315).
        eps: keeps the first division finite; default 1e-7.
        ns_steps: number of iterations, below 100; default 5.
        adjust_lr_fn: "original" (default): ratio = sqrt(max(1, rows / columns)); "match_rms_adamw":
            0.2 sqrt(max(rows, columns)).

    Raises:
        ValueError: a parameter that is no matrix, a negative number, an unknown adjust_lr_fn.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024;
        Liu et al., arXiv 2502.16982.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(2, 2))
    >>> w.grad = torch.eye(2)
    >>> torch.optim.Muon([w], lr=0.1).step(); w[0, 1].item() > w[0, 0].item()
    True
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        for name, value in (("Learning rate", lr), ("momentum", momentum), ("weight decay", weight_decay)):
            if not 0.0 <= float(value):
                raise ValueError(f"{name} should be >= 0 but is: {value}")
        check(eps=eps)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        if ns_steps >= 100:
            raise ValueError("Number of steps must be less than 100 for computational efficiency")
        if len(ns_coefficients) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.dim() != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.shape}"
                    )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; see `Optimizer.step`."""
        loss = self._loss_of(closure)
        with no_grad():
            for group in self.param_groups:
                lr, momentum = float(group["lr"]), group["momentum"]
                for p, g in self._with_gradients(group):
                    if p.is_complex():
                        raise RuntimeError("Muon does not support complex parameters")
                    state = self.state[p]
                    if not state:
                        state["momentum_buffer"] = like(g)
                    b = state["momentum_buffer"].lerp_(g, 1 - momentum)
                    u = _orthogonal(g.lerp(b, momentum) if group["nesterov"] else b, group)
                    rows, columns = p.shape
                    if group["adjust_lr_fn"] == "match_rms_adamw":
                        ratio = 0.2 * max(rows, columns) ** 0.5
                    else:
                        ratio = max(1, rows / columns) ** 0.5
                    p.mul_(1 - lr * group["weight_decay"])
                    p.add_(u.to(p.dtype), alpha=-lr * ratio)
        return loss


def _orthogonal(x: Tensor, group: dict[str, Any]) -> Tensor:
    """The matrix with x's singular vectors and singular values near 1."""
    torch = importlib.import_module("tritorch")
    a, b, c = group["ns_coefficients"]
    x = x.to(torch.float32 if x.device is CPU else torch.bfloat16)
    tall = x.shape[0] > x.shape[1]
    x = x.mT if tall else x
    x = x / (x * x).sum().sqrt().clamp(min=group["eps"])
    for _ in range(group["ns_steps"]):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.mT if tall else x
