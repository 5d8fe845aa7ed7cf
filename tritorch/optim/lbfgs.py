"""L-BFGS: quasi-Newton steps from the last changes of parameters and gradients."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from ..autograd.modes import enable_grad, no_grad
from ..tensor import Tensor
from .line_search import strong_wolfe
from .optimizer import Optimizer, ParamsT

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """L-BFGS: steps along d = -H g, with H from the last `history_size` pairs of changes (two-loop recursion).

    One `step` runs up to `max_iter` iterations and calls the closure at least once for each. Parameters must be on one
    device; there is one group.

    Args:
        params: tensors.
        lr: step length (first guess of the line search); default 1.
        max_iter: iterations per step; default 20.
        max_eval: calls of the closure per step; default max_iter * 1.25.
        tolerance_grad: stop when the largest gradient is below; default 1e-7.
        tolerance_change: stop when loss or parameters change by less; default 1e-9.
        history_size: pairs kept; default 100.
        line_search_fn: None (default) or "strong_wolfe".

    Raises:
        ValueError: more than one group, a negative lr.
        RuntimeError: another line_search_fn.

    Source: Nocedal and Wright, "Numerical Optimization", 2nd edition, algorithms 7.4, 7.5 and 3.5.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    >>> optimizer = torch.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure(): optimizer.zero_grad(); loss = (w * w).sum(); loss.backward(); return loss
    >>> optimizer.step(closure); w.abs().max().item() < 1e-3
    tensor(13., grad_fn=<SumBackward0>)
    True
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= float(lr):
            raise ValueError(f"Invalid learning rate: {lr}")
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._params = self.param_groups[0]["params"]

    # ---- the parameters as one vector

    def _flat_gradient(self) -> Tensor:
        torch = importlib.import_module("tritorch")
        parts = []
        for p in self._params:
            g = p.grad if p.grad is not None else torch.zeros_like(p)
            parts.append((torch.view_as_real(g) if g.is_complex() else g).reshape(-1))
        return torch.cat(parts)

    def _move(self, t: float, d: Tensor) -> None:
        torch = importlib.import_module("tritorch")
        at = 0
        for p in self._params:
            target = torch.view_as_real(p) if p.is_complex() else p
            n = target.numel()
            target.add_(d[at : at + n].reshape(target.shape), alpha=t)
            at += n

    def _values(self) -> list[Tensor]:
        return [p.detach().clone() for p in self._params]

    def _set(self, values: list[Tensor]) -> None:
        for p, value in zip(self._params, values, strict=True):
            p.copy_(value)

    @no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Run up to `max_iter` iterations.

        Args:
            closure: clears the gradients, computes the loss and its gradients, and returns the loss.

        Returns:
            The loss before the step.
        """
        group = self.param_groups[0]
        line_search = group["line_search_fn"]
        if line_search not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        evaluate = enable_grad()(closure)
        # one state for all, kept under the first parameter
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        first_loss = evaluate()
        loss = float(first_loss)
        evals = 1
        state["func_evals"] += 1
        g = self._flat_gradient()
        if float(g.abs().max()) <= group["tolerance_grad"]:
            return first_loss

        memory = _History(state, group["history_size"])
        d, t = state.get("d"), state.get("t")
        previous_g, previous_loss = state.get("prev_flat_grad"), state.get("prev_loss")
        iterations = 0
        while iterations < group["max_iter"]:
            iterations += 1
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                memory.clear()
                d = -g
            else:
                memory.add(g - previous_g, d * t)
                d = memory.direction(g)
            previous_g, previous_loss = g.clone(), loss

            lr = float(group["lr"])
            t = min(1.0, 1.0 / float(g.abs().sum())) * lr if state["n_iter"] == 1 else lr
            slope = float(g.dot(d))
            if slope > -group["tolerance_change"]:
                break
            calls = 0
            if line_search is not None:
                start = self._values()
                loss, g, t, calls = strong_wolfe(
                    self._along(evaluate, start), t, d, loss, g, slope, max_evaluations=group["max_eval"] - evals
                )
                self._move(t, d)
                flat = float(g.abs().max()) <= group["tolerance_grad"]
            else:
                self._move(t, d)
                flat = False
                if iterations != group["max_iter"]:
                    loss = float(evaluate())
                    g = self._flat_gradient()
                    flat = float(g.abs().max()) <= group["tolerance_grad"]
                    calls = 1
            evals += calls
            state["func_evals"] += calls
            small = float((d * t).abs().max()) <= group["tolerance_change"]
            settled = abs(loss - previous_loss) < group["tolerance_change"]
            if iterations == group["max_iter"] or evals >= group["max_eval"] or flat or small or settled:
                break

        state.update(d=d, t=t, prev_flat_grad=previous_g, prev_loss=previous_loss)
        memory.store(state)
        return first_loss

    def _along(
        self, evaluate: Callable[[], Any], start: list[Tensor]
    ) -> Callable[[float, Tensor], tuple[float, Tensor]]:
        def at(t: float, d: Tensor) -> tuple[float, Tensor]:
            self._move(t, d)
            loss = float(evaluate())
            g = self._flat_gradient()
            self._set(start)
            return loss, g

        return at


class _History:
    """The last pairs of changes, and the product of the inverse Hessian that they describe with a vector."""

    def __init__(self, state: dict[str, Any], size: int):
        self.size = size
        self.dirs: list[Tensor] = state.get("old_dirs", [])  # changes of the gradient
        self.steps: list[Tensor] = state.get("old_stps", [])  # changes of the parameters
        self.ro: list[Any] = state.get("ro", [])
        self.diagonal: Any = state.get("H_diag", 1)
        self.al: list[Any] = state.get("al", [None] * size)

    def clear(self) -> None:
        self.dirs, self.steps, self.ro, self.diagonal = [], [], [], 1

    def add(self, y: Tensor, s: Tensor) -> None:
        """Remember a pair, unless its curvature is not positive."""
        ys = y.dot(s)
        if float(ys) <= 1e-10:
            return
        if len(self.dirs) == self.size:
            for kept in (self.dirs, self.steps, self.ro):
                kept.pop(0)
        self.dirs.append(y)
        self.steps.append(s)
        self.ro.append(1.0 / ys)
        self.diagonal = ys / y.dot(y)

    def direction(self, g: Tensor) -> Tensor:
        """-H g by the two-loop recursion."""
        n = len(self.dirs)
        q = -g
        al: list[Any] = [None] * self.size
        for i in range(n - 1, -1, -1):
            al[i] = self.steps[i].dot(q) * self.ro[i]
            q = q - al[i] * self.dirs[i]
        r = q * self.diagonal
        for i in range(n):
            r = r + self.steps[i] * (al[i] - self.dirs[i].dot(r) * self.ro[i])
        self.al = al
        return r

    def store(self, state: dict[str, Any]) -> None:
        state.update(old_dirs=self.dirs, old_stps=self.steps, ro=self.ro, H_diag=self.diagonal, al=self.al)
