"""SparseAdam on dense gradients: only the rows that have a gradient move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..device import CPU
from ..tensor import Tensor, bump
from .optimizer import Optimizer, ParamsT
from .rule import check, like

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam for embeddings: rows whose gradient is zero throughout keep their values and moments.

    A gradient here is a dense tensor; its rows along dim 0 with any non-zero element are the ones that a sparse
    gradient would hold, and for them the step is Adam's; the moments of all others do not decay.

    Args:
        params: tensors, named tensors or groups.
        lr: step size; default 1e-3.
        betas: rates of the two running means; default (0.9, 0.999).
        eps: keeps the division finite; default 1e-8.
        maximize: follow the gradient upwards; default False.

    Raises:
        ValueError: lr or eps that is not positive, a beta outside of [0, 1).

    Source: Kingma and Ba, arXiv 1412.6980.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(2, 1))
    >>> w.grad = torch.tensor([[0.0], [1.0]])
    >>> torch.optim.SparseAdam([w], lr=0.1).step(); w.data
    tensor([[1.0000],
            [0.9000]])
    """

    _counts_in_tensors = False

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ):
        if not float(lr) > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check(betas=betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the rows that have a gradient; see `Optimizer.step`."""
        loss = self._loss_of(closure)
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p, g in self._with_gradients(group):
                if p.device is not CPU:
                    raise RuntimeError(f"SparseAdam: parameters must be on the cpu; got one on {p.device}")
                state = self.state[p]
                if not state:
                    state.update(step=0, exp_avg=like(p), exp_avg_sq=like(p))
                state["step"] += 1
                step = state["step"]
                a, ga, ma, va = p._a, g._a, state["exp_avg"]._a, state["exp_avg_sq"]._a
                rows = ga.reshape(len(ga), -1).any(axis=1).nonzero()[0] if a.ndim else (...,)
                part = -ga[rows] if group["maximize"] else ga[rows]
                m = ma[rows] + (1 - beta1) * (part - ma[rows])
                v = beta2 * va[rows] + (1 - beta2) * part * part
                rate = float(group["lr"]) * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
                a[rows] -= (rate * m / (v**0.5 + group["eps"])).astype(a.dtype)
                ma[rows], va[rows] = m, v
                bump(p)
        return loss
