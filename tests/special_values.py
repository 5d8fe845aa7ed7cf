"""Values at which rules go wrong: NaN, infinities, -0.0, huge and subnormal numbers, for two tests over the registry.

`tests/test_special_values.py` compares the emulated cuda device with the CPU, `tests/oracle/test_special_values.py` the
CPU with torch. NaN must be at the same places and infinities the same ones; other values agree to a tolerance. An element
counts where the reference gives the same kind of value (NaN, inf, -inf, finite) in float32 and in float64: elsewhere
float32 has overflowed, or lost all digits, on the way to the result, and the order of the operations decides about it.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import tritorch as torch
from tritorch.kernels.elementwise import Elementwise
from tritorch.tensor import host, wrap

NAN, INF, HUGE, TINY = float("nan"), float("inf"), 3e38, 1e-45
VALUES = [NAN, INF, -INF, -0.0, 0.0, HUGE, -HUGE, TINY, -TINY, 0.5, 1.0, -1.0, 2.0, -3.0, 3.0, 6.0]
FEW = [NAN, INF, -INF, -0.0, HUGE, TINY, 0.5, -1.0]
GRADIENTS = [1.0, NAN, INF, -INF, 0.0, HUGE, TINY]

PARAMETERS: dict[str, list[tuple[float, ...]]] = {
    "pow_scalar": [(c,) for c in (3, 2, 1, 0, 0.5, -1, -0.5, -2, 4, 2.5, -3)],
    "logit": [(-1.0,), (0.1,), (0.0,)],
    "rdiv": [(1.5,), (0.0,)],
    "leaky_relu": [(0.1,), (0.0,), (1.5,), (-0.2,)],
    "elu": [(1.2, 1.1, 0.9), (1.0, 1.0, 1.0)],
    "celu": [(1.3,), (1.0,)],
    "softplus": [(1.5, 20.0), (1.0, 20.0)],
    "polygamma": [(1,), (2,), (0,)],
    "threshold": [(0.3, -1.0), (0.0, 0.0)],
}
"""More than one choice of the plain parameters; the others take those of the op's first sample."""

OPERANDS: dict[str, list[list[float]]] = {
    name: [VALUES, [0.0, 1.0, 2.0, 3.0, 7.0, -1.0, -0.0]]
    for name in (
        *(f"{s}chebyshev_polynomial_{k}" for s in ("", "shifted_") for k in "tuvw"),
        *("hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p"),
    )  # a degree counts steps: 3e38 of them would not end, and as an integer NaN is another number on each device
} | {
    # a sum of as many terms as the argument is large; torch looks at the operands in another order on each device
    # where the order is NaN or infinite
    "igamma": [[0.5, 1.0, 2.0, 6.0], [NAN, INF, -0.0, 0.0, 0.5, 1.0, 6.0]],
    "igammac": [[0.5, 1.0, 2.0, 6.0], [NAN, INF, -0.0, 0.0, 0.5, 1.0, 6.0]],
    # the same sum in torch gives inf * 0 for an infinite order and for two huge operands
    "zeta": [[v for v in VALUES if v == v and abs(v) < HUGE], [v for v in VALUES if abs(v) != HUGE]],
}
"""The values of each operand, where not all of VALUES (FEW with three operands) make sense."""


def operands(op: Elementwise) -> list[np.ndarray]:
    """Every combination of the operands' values and the gradient's, the gradient last; a multiple of 64 elements, so that
    torch's vectors have no rest (in which its rules for NaN are others)."""
    n = len(op.inputs)
    values = OPERANDS.get(op.name) or [VALUES if n < 3 else FEW] * n
    table = np.array(list(itertools.product(*values, GRADIENTS if n < 3 else GRADIENTS[:4])), np.float32)
    table = np.concatenate([table, table[:1].repeat(-len(table) % 64, 0)])
    return [np.ascontiguousarray(column) for column in table.T]


def parameters(op: Elementwise) -> list[tuple]:
    return PARAMETERS.get(op.name) or [next(iter(op.samples(np.random.default_rng(0))))[1]]


def asked(op: Elementwise) -> list[bool]:
    """Which operands get gradients: all, but for those by which there is no derivative where there is one by another."""
    return [r is not None or not op.has_rule for r in op.rules]


def pointwise(op: Elementwise, arrays: list[np.ndarray], params: tuple, device: str) -> list[np.ndarray | None]:
    """[result, gradient of each operand that asks for one]; the last array is the gradient of the result."""
    *xs, g = arrays
    tensors = [wrap(a.copy()).to(device).requires_grad_(need) for a, need in zip(xs, asked(op), strict=True)]
    y = op.apply(*tensors, *params)
    found = [host(y.detach())]
    if y.requires_grad:
        wanted = [t for t in tensors if t.requires_grad]
        grads = torch.autograd.grad(y, wanted, wrap(g.copy()).to(device), allow_unused=True)
        found += [None if v is None else host(v) for v in grads]
    return found


def widened(arrays: list[np.ndarray]) -> list[np.ndarray]:
    return [a.astype(np.float64) for a in arrays]


def kinds(a: np.ndarray) -> np.ndarray:
    """3 for NaN, 1 and -1 for the infinities, 0 for other numbers."""
    return np.where(np.isnan(a), 3, np.where(np.isinf(a), np.sign(a), 0))


def same(
    got: Any, want: Any, wide: Any, what: str, inputs: list[np.ndarray], rtol: float = 1e-4, left_out: Any = None
) -> None:
    """Assert that `got` is `want` by the rules of this file.

    Args:
        got, want: a result, or None where there is no gradient.
        wide: the reference in float64.
        what: says in the message which result it is.
        inputs: what the op was given, for the message.
        left_out: bool array of elements that are not compared.
    """
    assert (got is None) == (want is None), f"{what}: {got} against {want}"
    if got is None:
        return
    a, b = np.broadcast_to(got, want.shape).astype(np.float64), want.astype(np.float64)
    with np.errstate(all="ignore"):
        counts = kinds(b) == kinds(wide.astype(np.float32))
        if left_out is not None:
            counts &= ~left_out
        wrong = counts & (kinds(a) != kinds(b))
        # a subnormal number times a huge one: of the first, rounding leaves nothing or all
        atol = 1e-5 * np.where(np.abs(b) > 1e20, np.abs(b) * 1e5 * rtol, 1)
        wrong |= counts & (kinds(a) == 0) & (kinds(b) == 0) & (np.abs(a - b) > rtol * np.abs(b) + atol)
    if wrong.any():
        i = tuple(np.argwhere(wrong)[0])
        came = [v[i].item() for v in inputs if v.shape == wrong.shape]
        raise AssertionError(
            f"{what}: {wrong.sum()} of {wrong.size} elements differ; of {came}: {a[i]}, expected {b[i]}"
        )
