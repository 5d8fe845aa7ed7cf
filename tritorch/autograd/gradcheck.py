"""Numerical checks of derivatives: the Jacobian by central differences against the one by backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import bridge
from .backward import grad

if TYPE_CHECKING:
    from ..tensor import Tensor


class GradcheckError(RuntimeError):
    """Numerical and analytical derivatives differ; the message names input, output and both Jacobians."""


def _tuple(x: Any) -> tuple:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _outputs(func: Callable[..., Any], inputs: tuple) -> tuple:
    return tuple(o for o in _tuple(func(*inputs)) if isinstance(o, bridge.Tensor))


def _numerical(func: Callable[..., Any], inputs: tuple, i: int, eps: float) -> list[np.ndarray]:
    """Per output the Jacobian (input elements, output elements) by central differences; inputs change in place and back."""
    x = inputs[i]
    flat = bridge.host(x).reshape(-1) if x._a.flags.c_contiguous else None
    if flat is None:
        raise ValueError(f"gradcheck: input {i} must be contiguous, since it is varied in place")
    columns: list[list[np.ndarray]] = []
    steps = [eps] if x.dtype.category == 2 else [eps, 1j * eps]
    for k in range(flat.size):
        start = flat[k].copy()
        parts = []
        for step in steps:
            flat[k] = start + step
            plus = [np.array(bridge.host(o.detach())) for o in _outputs(func, inputs)]
            flat[k] = start - step
            minus = [np.array(bridge.host(o.detach())) for o in _outputs(func, inputs)]
            flat[k] = start
            parts.append([(p - m).reshape(-1) / (2 * eps) for p, m in zip(plus, minus, strict=True)])
        columns.append(parts[0] if len(parts) == 1 else [(a - 1j * b) / 2 for a, b in zip(*parts, strict=True)])
    if not columns:
        return [np.zeros((0, o.numel())) for o in _outputs(func, inputs)]
    return [np.stack([c[j] for c in columns]) for j in range(len(columns[0]))]


def _analytical(output: Tensor, x: Tensor) -> np.ndarray:
    """The Jacobian (input elements, output elements) by one backward per output element."""
    rows = []
    for k in range(output.numel()):
        seed = np.zeros(output._a.shape, output._a.dtype)
        seed.reshape(-1)[k] = 1
        (g,) = grad(output, x, bridge.wrap(seed).to(output.device), retain_graph=True, allow_unused=True)  # type: ignore[attr-defined]
        rows.append(np.zeros(x.numel(), x._a.dtype) if g is None else np.array(bridge.host(g)).reshape(-1))
    return np.stack(rows, 1) if rows else np.zeros((x.numel(), 0))


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    fast_mode: bool = False,
    **ignored: Any,
) -> bool:
    """Compare the derivatives of `func` by backward with central differences.

    Arguments:
        func: takes the inputs, gives a tensor or several.
        inputs: a tensor or several; those with requires_grad are checked, float64 is what the defaults suit.
        eps: step of the differences. atol, rtol: allowed error. raise_exception: raise instead of False.
        nondet_tol: allowed difference between two backward runs. fast_mode: one random direction per pair.

    Raises:
        GradcheckError: naming input and output. ValueError: when no input requires grad.

    >>> import tritorch as torch
    >>> torch.autograd.gradcheck(torch.sin, torch.ones(3, dtype=torch.float64, requires_grad=True))
    True
    """
    ins = _tuple(inputs)
    checked = [i for i, x in enumerate(ins) if isinstance(x, bridge.Tensor) and x.requires_grad]
    if not checked:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True."
        )
    try:
        return _check(func, ins, checked, eps, atol, rtol, nondet_tol, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False


def _check(
    func: Any, ins: tuple, checked: list[int], eps: float, atol: float, rtol: float, nondet: float, fast: bool
) -> bool:
    outs = _outputs(func, ins)
    for i in checked:
        numerical = _numerical(func, ins, i, eps)
        for j, o in enumerate(outs):
            if not o.requires_grad:
                if np.abs(numerical[j]).max(initial=0) > atol:
                    raise GradcheckError(f"gradcheck: output {j} varies with input {i} but does not require grad")
                continue
            analytical = _analytical(o, ins[i])
            again = _analytical(o, ins[i])
            if np.abs(analytical - again).max(initial=0) > nondet:
                raise GradcheckError(f"gradcheck: Backward is not reentrant: two runs differ for output {j}, input {i}")
            a, n = analytical, numerical[j]
            if o.dtype.is_complex or ins[i].dtype.is_complex:
                a, n = np.real(a), np.real(n)
            if fast:
                u = np.random.default_rng(0).normal(size=a.shape[0])
                a, n = u @ a, u @ n
            if not np.allclose(a, n, rtol, atol):
                raise GradcheckError(
                    f"Jacobian mismatch for output {j} with respect to input {i},\nnumerical:{n}\nanalytical:{a}\n"
                    f"largest difference: {np.abs(a - n).max():g}"
                )
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    **ignored: Any,
) -> bool:
    """As `gradcheck`, for the second derivatives: checks the backward itself as a function of inputs and gradients.

    >>> import tritorch as torch
    >>> torch.autograd.gradgradcheck(torch.sin, torch.ones(3, dtype=torch.float64, requires_grad=True))
    True
    """
    ins = _tuple(inputs)
    outs = [o for o in _outputs(func, ins) if o.requires_grad]
    rng = np.random.default_rng(0)
    if grad_outputs is None:
        seeds = tuple(
            bridge.wrap(rng.normal(size=tuple(o.shape)).astype(o._a.dtype)).to(o.device).requires_grad_() for o in outs
        )  # type: ignore[attr-defined]
    else:
        seeds = _tuple(grad_outputs)
    count = len(ins)

    def first(*args: Any) -> tuple:
        xs, gs = args[:count], args[count:]
        results = [o for o in _outputs(func, xs) if o.requires_grad]
        wanted = [x for x in xs if isinstance(x, bridge.Tensor) and x.requires_grad]
        found = grad(results, wanted, list(gs), create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None and g.requires_grad)

    return gradcheck(
        first, (*ins, *seeds), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, nondet_tol=nondet_tol
    )
