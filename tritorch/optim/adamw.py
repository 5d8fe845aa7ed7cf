"""AdamW: Adam whose weight decay acts on the parameter itself."""

from __future__ import annotations

from ..tensor import Tensor
from .adam import Adam
from .optimizer import ParamsT

__all__ = ["AdamW"]


class AdamW(Adam):
    """Adam with decoupled weight decay: p = p * (1 - lr * weight_decay) before Adam's step.

    Args:
        params: tensors, named tensors or groups.
        lr: step size, a float or a 1-element tensor; default 1e-3.
        betas: rates of the two running means; default (0.9, 0.999).
        eps: keeps the division finite; default 1e-8.
        weight_decay: default 1e-2.
        amsgrad: use the largest second moment so far; default False.
        maximize: follow the gradient upwards; default False.
        capturable: count the steps on the device, so that a CUDA graph can hold the step; default False.
        foreach, fused: accepted; a step is always fused.
        differentiable: record the step itself; default False.

    Raises:
        ValueError: as Adam.

    Source: Loshchilov and Hutter, arXiv 1711.05101.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> w.grad = torch.zeros(2)
    >>> torch.optim.AdamW([w], lr=0.1, weight_decay=0.5).step(); w.data
    tensor([0.9500, 0.9500])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
