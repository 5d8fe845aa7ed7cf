"""Adafactor: second moments of a matrix kept as one row and one column."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from ..autograd.modes import no_grad
from ..device import CPU
from ..dtypes import finfo
from ..tensor import Tensor
from .optimizer import Optimizer, ParamsT, scalar
from .rule import check, count

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adafactor: v[i, j] = row[i] col[j] / mean(row), the memory of a matrix's second moments in its two margins.

    rate = 1 - t^beta2_decay of the running means;  u = g / sqrt(max(v, eps1^2));
    p = p - max(eps2, RMS(p)) min(lr, 1 / sqrt(t)) * u / max(1, RMS(u) / d). Vectors keep all of v. On cuda the steps are
    counted there and no number comes to the host, so that a CUDA graph can hold a step.

    Args:
        params: tensors, named tensors or groups.
        lr: largest relative step; default 1e-2.
        beta2_decay: power of t in the running means' rate; default -0.8.
        eps: (floor of sqrt(v), by default the dtype's eps; floor of RMS(p)); default (None, 1e-3).
        d: clipping threshold of the update's RMS; default 1.0.
        weight_decay: decoupled; default 0.
        foreach: accepted.
        maximize: follow the gradient upwards; default False.

    Raises:
        ValueError: a negative number, beta2_decay above 0, d below 1.

    Source: Shazeer and Stern, arXiv 1804.04235.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(2, 2))
    >>> w.grad = torch.ones(2, 2)
    >>> torch.optim.Adafactor([w]).step(); w[0, 0].item()
    0.9900000095367432
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= float(lr):
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not 0.0 <= eps[0]:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not 0.0 <= eps[1]:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not 1.0 <= d:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        check(weight_decay=weight_decay)
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; see `Optimizer.step`."""
        loss = self._loss_of(closure)
        with no_grad():
            for group in self.param_groups:
                for p, g in self._with_gradients(group):
                    if p.is_complex():
                        raise RuntimeError("Adafactor does not support complex parameters")
                    state = self.state[p]
                    if not state:
                        self._check_begin(group, p)
                        self._start(state, g)
                    step = count(group, p, state) if p.device is CPU else _counted_there(p, state)
                    _update(group, step, p, -g if group["maximize"] else g, state)
        return loss

    @staticmethod
    def _start(state: dict[str, Any], g: Tensor) -> None:
        torch = importlib.import_module("tritorch")
        state["step"] = scalar(0, g.device)
        if g.dim() > 1:
            shape = list(g.shape)
            state["row_var"] = torch.zeros([*shape[:-1], 1], dtype=g.dtype, device=g.device)
            state["col_var"] = torch.zeros([*shape[:-2], 1, shape[-1]], dtype=g.dtype, device=g.device)
        else:
            state["variance"] = torch.zeros_like(g)


def _counted_there(p: Tensor, state: dict[str, Any]) -> Tensor:
    """The number of the step, a float64 tensor on the parameter's device."""
    if state["step"].device is not p.device:  # from a checkpoint
        state["step"] = state["step"].to(p.device)
    return state["step"].add_(1).double()


def _update(group: dict[str, Any], step: Any, p: Tensor, g: Tensor, state: dict[str, Any]) -> None:
    """One step; `step` and what is made of it are numbers on the CPU, 0-dim float64 tensors on cuda."""
    there = p.device is not CPU
    lr = group["lr"]
    lr = lr.double().reshape(()) if there and isinstance(lr, Tensor) and lr.device is p.device else float(lr)
    floor = finfo(p.dtype).eps if group["eps"][0] is None else group["eps"][0]
    rate = step ** group["beta2_decay"]
    if there:
        rate = rate.to(g.dtype)
        alpha = _rms(p).clamp(min=group["eps"][1]) * (step**-0.5).clamp(max=lr)
    else:
        alpha = max(group["eps"][1], _rms(p).item()) * min(lr, 1 / step**0.5)
    if group["weight_decay"] != 0:
        p.mul_(1 - lr * group["weight_decay"])
    squares = g * g
    if g.dim() > 1:
        row, col = state["row_var"], state["col_var"]
        row.lerp_(squares.mean(-1, keepdim=True), rate)
        col.lerp_(squares.mean(-2, keepdim=True), rate)
        v = row * col / row.mean(-2, keepdim=True).clamp(min=floor)
    else:
        v = state["variance"].lerp_(squares, rate)
    u = g * v.clamp(min=floor * floor).rsqrt()
    if there:
        p.sub_(u * (alpha / (_rms(u) / group["d"]).clamp(min=1.0)).to(u.dtype))
    else:
        p.add_(u, alpha=-alpha / max(1.0, _rms(u).item() / group["d"]))


def _rms(x: Tensor) -> Tensor:
    x = x.float() if x.dtype.is_half else x
    return (x * x).mean().double().sqrt()
