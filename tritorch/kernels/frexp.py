"""x = mantissa 2^exponent with 0.5 <= |mantissa| < 1, by the bits of the number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._fold import contiguous
from ._launch import empty, kernel, launch
from ._op import OPS, Array, op

if TYPE_CHECKING:
    import triton.language as tl

BLOCK = 1024


@kernel
def _frexp(x_ptr, y_ptr, e_ptr, n, F64: tl.constexpr, BLOCK: tl.constexpr):
    """y_ptr: the mantissas in x's dtype, e_ptr: the exponents (int32), of n contiguous x; 0, infinity and NaN stay as
    they are, with exponent 0. Subnormal numbers are scaled first. One program per BLOCK elements, a power of two."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n, other=0)
    if F64:
        small = tl.abs(x) < 2.2250738585072014e-308
        bits = tl.where(small, x * 18014398509481984.0, x).to(tl.int64, bitcast=True)
        e = ((bits >> 52) & 2047).to(tl.int32) - 1022 - tl.where(small, 54, 0)
        y = ((bits & -9218868437227405313) | 4602678819172646912).to(tl.float64, bitcast=True)
    else:
        x = x.to(tl.float32)
        small = tl.abs(x) < 1.1754943508222875e-38
        bits = tl.where(small, x * 33554432.0, x).to(tl.int32, bitcast=True)
        e = ((bits >> 23) & 255) - 126 - tl.where(small, 25, 0)
        y = ((bits & -2139095041) | 1056964608).to(tl.float32, bitcast=True)
    plain = (x == 0) | (x != x) | (tl.abs(x) == float("inf"))
    tl.store(y_ptr + i, tl.where(plain, x, y).to(y_ptr.dtype.element_ty), mask=i < n)
    tl.store(e_ptr + i, tl.where(plain, 0, e), mask=i < n)


@op
class frexp:
    """(mantissa, exponent) of each element; the gradient goes through the mantissa."""

    differentiable = 1

    def cpu(x: Array) -> tuple[Array, Array]:
        mantissa, exponent = np.frexp(x)
        return np.asarray(mantissa), np.asarray(exponent, np.int32)

    def gpu(x: Array) -> tuple[Array, Array]:
        x = contiguous(x)
        y, e = empty(x.shape, x.dtype), empty(x.shape, np.int32)
        launch(_frexp, (-(-x.size // BLOCK),), x, y, e, x.size, F64=x.dtype.itemsize == 8, BLOCK=BLOCK)
        return y, e

    def grad(g, y1):
        return OPS["ldexp"](g, -y1.to(g.dtype))

    def samples(rng):
        yield (rng.uniform(1.1, 1.9, (3, 5)) * 2.0 ** rng.integers(-9, 9, (3, 5)),), ()
        yield (np.array([[0.75, -3.0], [-0.6, 100.0]]),), ()

    def cost(x):
        return 2 * x.nbytes + 4 * x.size, 0


AOT = [
    ("frexp fp32 of 2^24", lambda array: frexp.gpu(array((1 << 24,)))),
    ("frexp fp64 of 2^20", lambda array: frexp.gpu(array((1 << 20,), "fp64"))),
    ("frexp bf16 of 2^24", lambda array: frexp.gpu(array((1 << 24,), "bf16"))),
]
