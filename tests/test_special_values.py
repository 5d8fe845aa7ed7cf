"""The emulated cuda device against the CPU where values are NaN, infinite, -0.0, huge or subnormal: every op of the registry
that has a kernel and takes floating-point operands, forward and backward; see `special_values.py` for what is compared."""

from __future__ import annotations

import numpy as np
import pytest

from tests.special_values import HUGE, operands, parameters, pointwise, same, widened
from tests.test_ops import ON_CUDA
from tritorch.kernels._op import OPS
from tritorch.kernels.elementwise import Elementwise

POINTWISE = [n for n in ON_CUDA if isinstance(OPS[n], Elementwise) and not n.startswith(("bitwise_", "gcd", "lcm"))]

NO_DIGITS = dict.fromkeys(
    ("bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "airy_ai", "i0e", "i1e"),
    "a wave whose place in its period float64 has no digits for, or the difference of two nearly equal numbers",
)
"""Ops whose value at a huge operand is noise: there the CPU and cuda may differ by anything."""


@pytest.mark.parametrize("name", POINTWISE)
def test_pointwise(name: str) -> None:
    op = OPS[name]
    arrays = operands(op)
    noise = np.abs(arrays[0]) == np.float32(HUGE) if name in NO_DIGITS else None
    for params in parameters(op):
        want, wide = pointwise(op, arrays, params, "cpu"), pointwise(op, widened(arrays), params, "cpu")
        got = pointwise(op, arrays, params, "cuda")
        for i, (a, b, w) in enumerate(zip(got, want, wide, strict=True)):
            same(a, b, w, f"{name}{params}: {f'gradient {i - 1}' if i else 'result'}", arrays, 1e-4, noise)
