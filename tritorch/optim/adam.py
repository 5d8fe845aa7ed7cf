"""Adam and, as its options, AdamW's weight decay and AMSGrad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..device import CPU
from ..kernels import optimizer_step
from ..tensor import Tensor, bump
from . import on_device
from .optimizer import Optimizer, ParamsT, check_fused
from .rule import apply, check, count, counted_there, counter, decayed, like, number

__all__ = ["Adam"]

Job = tuple[Tensor, Tensor, dict[str, Any]]


class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and its square.

    m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2;
    p = p - lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps), with amsgrad the largest v so far.

    Args:
        params: tensors, named tensors or groups.
        lr: step size, a float or a 1-element tensor; default 1e-3. A tensor on cuda is read there, at each step anew, also
            by the replays of a CUDA graph.
        betas: rates of the two running means; default (0.9, 0.999).
        eps: keeps the division finite; default 1e-8.
        weight_decay: L2 penalty added to the gradient; default 0.
        amsgrad: default False.
        capturable: count the steps on the device, so that a CUDA graph can hold the step; default False.
        foreach, fused: accepted; a step is always fused.
        maximize: follow the gradient upwards; default False.
        differentiable: record the step itself; default False.
        decoupled_weight_decay: decay the parameter instead of its gradient (AdamW); default False.

    Raises:
        ValueError: a negative lr, eps or weight_decay; a beta outside of [0, 1).

    Source: Kingma and Ba, arXiv 1412.6980; AMSGrad: Reddi et al., arXiv 1904.09237.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> w.grad = torch.tensor([1.0, -2.0])
    >>> torch.optim.Adam([w], lr=0.1).step(); w.data
    tensor([0.9000, 1.1000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ):
        if isinstance(lr, Tensor):
            if foreach and not capturable:
                raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
            if lr.numel() != 1:
                raise ValueError("Tensor lr must be 1-element")
        check(lr=lr, eps=eps, betas=betas, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
            "fused": fused, "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            check_fused(group)

    def _takes_found_inf(self) -> bool:
        return all(group["capturable"] for group in self.param_groups)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; see `Optimizer.step`."""
        loss = self._loss_of(closure)
        self._check_capture()
        for group in self.param_groups:
            capturable = group["capturable"]
            jobs: dict[int | None, list[Job]] = {}
            for p, g in self._with_gradients(group):
                state = self.state[p]
                if not state:
                    self._check_begin(group, p)
                    state["step"] = counter(group, p)
                    state["exp_avg"], state["exp_avg_sq"] = like(p), like(p)
                    if group["amsgrad"]:
                        state["max_exp_avg_sq"] = like(p)
                if capturable:
                    counted_there(p, state["step"])
                jobs.setdefault(None if capturable else count(group, p, state), []).append((p, g, state))
            run = self._on_tensors if group["differentiable"] else self._fused
            for step, todo in jobs.items():
                run(group, step, todo)
        return loss

    def _fused(self, group: dict[str, Any], step: int | None, jobs: list[Job]) -> None:
        """One step of parameters that are at the same one, or (None) whose steps are counted on the device."""
        beta1, beta2 = (float(beta) for beta in group["betas"])
        lr, decay, decoupled = group["lr"], group["weight_decay"], group["decoupled_weight_decay"]
        amsgrad, decays, maximize = group["amsgrad"], decay != 0, group["maximize"]
        slots = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if amsgrad else ("exp_avg", "exp_avg_sq")
        on_cpu, on_cuda = [], []
        for job in jobs:
            p, g, state = job
            if p.device is CPU:
                on_cpu.append((p._a, g._a, *[state[name]._a for name in slots]))
            else:
                on_cuda.append(job)
        c = {"rate1": 1 - beta1, "beta2": beta2, "rate2": 1 - beta2, "eps": 0.0, "step": 0.0, "decay": 0.0}
        by_device = step is None or not on_cpu and isinstance(lr, Tensor) and lr.device is not CPU
        if step is not None and not by_device:
            root, rate = (1 - beta2**step) ** 0.5, float(lr)
            c["eps"], c["step"] = group["eps"] * root, rate / (1 - beta1**step) * root
            c["decay"] = 1 - rate * decay if decoupled else decay
        if on_cpu:
            optimizer_step.adam(on_cpu, c, decays, decoupled, maximize)
        if on_cuda:
            from ..kernels import optimizer_gpu

            def numbers(places: Sequence[int], device: Any, found: Any) -> Any:
                return optimizer_gpu.adam_numbers(
                    len(places), on_device.rate(lr, device), (beta1, beta2), group["eps"], decay, device.index or 0,
                    decoupled=decoupled, counters=[on_cuda[i][2]["step"]._a for i in places] if step is None else None,
                    step=step or 0, found=found,
                )  # fmt: skip

            rows = [(p, g, s["exp_avg"], s["exp_avg_sq"], s.get("max_exp_avg_sq")) for p, g, s in on_cuda]
            flags = {"amsgrad": amsgrad, "decay": decays, "decoupled": decoupled, "maximize": maximize}
            rest = on_device.run(
                optimizer_gpu.adam, rows, c, self.found_inf, numbers if by_device else None, **flags
            )  # fmt: skip
            self._on_tensors(group, step, [on_cuda[i] for i in rest])
        for p, _, _ in jobs:
            bump(p)

    def _on_tensors(self, group: dict[str, Any], step: int | None, jobs: list[Job]) -> None:
        beta1, beta2 = group["betas"]
        lr = number(group, group["lr"])
        slots = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")
        for p, g, state in jobs:
            t = count(group, p, state, self.found_inf) if step is None else step

            def rule(xp: Any, p: Any, g: Any, m: Any, v: Any, *top: Any, t: Any = t) -> tuple[Any, ...]:
                p, g = decayed(group, p, g, lr if group["decoupled_weight_decay"] else None)
                m = m + (1 - beta1) * (g - m)
                v = beta2 * v + (1 - beta2) * g * g
                top = tuple(xp.maximum(w, v) for w in top)
                bound = xp.sqrt(top[0] if top else v) / (1 - beta2**t) ** 0.5 + group["eps"]
                return p - lr / (1 - beta1**t) * m / bound, m, v, *top

            apply(rule, p, g, state, slots, group["differentiable"], self.found_inf)
