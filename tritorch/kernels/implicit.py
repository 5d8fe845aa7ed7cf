"""The ops of implicit derivatives of random numbers; `_implicit.py` has the formulas and the NumPy definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import _implicit
from ._fold import contiguous
from ._launch import empty, kernel, launch
from ._math import _log1p, _sqrt
from ._math_special import _digamma
from ._op import Array, op

if TYPE_CHECKING:
    import triton.language as tl

BLOCK = 128  # float64 and many steps: one element per thread


@kernel
def _gamma_below(a, x, active):
    """As `_implicit._gamma_below`; tiles where `active`, elsewhere no matter what."""
    term = tl.where(active, 1.0, 0.0).to(tl.float64)
    total = term
    slope = a * 0
    slopes = a * 0
    k = a * 0
    while tl.max((term > total * 1e-17).to(tl.int32)) > 0:
        k += 1
        inverse = 1 / (a + k)
        term = term * (x * inverse)
        slope = slope - inverse
        total += term
        slopes += term * slope
    return (x / a) * (total * (_digamma(a + 1) - tl.log(x)) - slopes)


@kernel
def _gamma_above(a, x, active):
    """As `_implicit._gamma_above`."""
    b = x + 1 - a
    b = tl.where(active, b, 1.0)
    c = a * 0 + 1e300
    dc = a * 0
    d = 1 / b
    dd = d * d
    h = d
    dh = d
    k = a * 0
    while tl.max(active.to(tl.int32)) > 0:
        k += 1
        n = k * (a - k)
        b = b + 2
        below = n * d + b
        below = tl.where(below == 0, 1e-300, below)
        inverse = 1 / below
        dd = (1 - k * d - n * dd) * inverse * inverse
        d = inverse
        dc = (k - n * dc / c) / c - 1
        c = b + n / c
        c = tl.where(c == 0, 1e-300, c)
        change = d * c
        step = dd / d + dc / c
        h = tl.where(active, h * change, h)
        dh = tl.where(active, dh + step, dh)
        moving = (tl.abs(change - 1) > 4e-16) | (tl.abs(step) > 4e-16 * (1 + tl.abs(dh)))
        active = active & moving & (k < 100000)
    return x * h * (tl.log(x) - _digamma(a) + dh)


@kernel
def _gamma_large(a, x):
    """As `_implicit._gamma_large`."""
    inverse = 1 / a
    l = x * inverse
    m = (x - a) * inverse
    near = tl.abs(m) < 0.01
    t = tl.where(near, m, 0.0)
    w = tl.where(near, 1.0, m)
    root = _sqrt(2 * (w - _log1p(tl.where(w > -1, w, -0.5))))
    far = tl.where(m < 0, root * -1.0, root)
    series = t * (
        1 - t * (0.3333333333333333 - t * (0.19444444444444445 - t * (0.13518518518518519 - t * 0.10270061728395062)))
    )
    f_near = 1 - series * (0.3333333333333333 - series * (0.08333333333333333 - series * 0.021296296296296296))
    r_near = -0.3333333333333333 + series * (
        0.027777777777777776 + series * (0.0006172839506172839 - series * 0.0010802469135802469)
    )
    s_near = 0.027777777777777776 + series * (0.0012345679012345679 - series * 0.0032407407407407406)
    eta = tl.where(near, series, far)
    f = tl.where(near, f_near, far / w)
    r_far = tl.log(far / w) / far
    s_far = (1 / far - l * far / (w * w) - r_far) / far
    ratio = tl.where(near, r_near, r_far)
    slope = tl.where(near, s_near, s_far)
    eta0 = eta - ratio * inverse
    return l * (1 - f * (eta0 * 0.5 * (1 + slope * inverse) + ratio * inverse))


@kernel
def _standard_gamma_grad(a_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    """y_ptr: dx/da of n contiguous gamma numbers x of shapes a. One program per BLOCK elements, a power of two."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    a = tl.load(a_ptr + i, mask=i < n, other=1).to(tl.float64)
    x = tl.load(x_ptr + i, mask=i < n, other=1).to(tl.float64)
    inside = (a > 0) & (x > 0) & (a < float("inf")) & (x < float("inf"))
    large = inside & (a > 1e4)
    u = tl.where(inside, a, 1.0)
    v = tl.where(inside, x, 1.0)
    u_small = tl.where(large, 1.0, u)
    v_small = tl.where(large, 1.0, v)
    lower = v_small < u_small + 1
    below = _gamma_below(u_small, v_small, lower)
    above = _gamma_above(u_small, v_small, v_small >= u_small + 1)
    y = tl.where(lower, below, above)
    u = tl.where(large, u, 1e5)
    v = tl.where(large, v, 1e5)
    y = tl.where(large, _gamma_large(u, v), y)
    y = tl.where(inside, y, tl.where((x == 0) & (a > 0), 0.0, float("nan")))
    tl.store(y_ptr + i, y.to(y_ptr.dtype.element_ty), mask=i < n)


@kernel
def _dirichlet_grad(x_ptr, a_ptr, s_ptr, y_ptr, n, BLOCK: tl.constexpr):
    """y_ptr: dx/da / (1 - x) of n contiguous beta numbers x with the parameters a, s - a, as `_implicit.dirichlet_grad`.
    One program per BLOCK elements, a power of two."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n, other=0.5).to(tl.float64)
    a = tl.load(a_ptr + i, mask=i < n, other=1).to(tl.float64)
    s = tl.load(s_ptr + i, mask=i < n, other=2).to(tl.float64)
    b = s - a
    inside = (a > 0) & (b > 0) & (x > 0) & (x < 1) & (s < float("inf"))
    first = tl.where(inside, a, 1.0)
    second = tl.where(inside, b, 1.0)
    z = tl.where(inside, x, 0.5)
    low = z < (first + 1) / (first + second + 2)
    # by the first parameter of I_x(p, q), or by the second of I_(1 - x)(q, p)
    p = tl.where(low, first, second)
    q = tl.where(low, second, first)
    w = tl.where(low, z, 1 - z)
    c = p * 0 + 1
    dc = p * 0
    d = p * 0
    dd = p * 0
    h = p * 0 + 1
    dh = p * 0
    m = p * 0
    active = inside
    while tl.max(active.to(tl.int32)) > 0:
        # an odd step and an even one
        at = p + 2 * m
        e = (p + m) * (p + q + m) * w / (at * (at + 1)) * -1.0
        de = e / (p + q + m)
        de = de + tl.where(low, e * (1 / (p + m) - 1 / at - 1 / (at + 1)), 0.0)
        inverse = 1 + e * d
        inverse = 1 / tl.where(inverse == 0, 1e-300, inverse)
        dd = (de * d + e * dd) * inverse * inverse * -1.0
        d = inverse
        dc = (de - e * dc / c) / c
        c = 1 + e / c
        c = tl.where(c == 0, 1e-300, c)
        change = d * c
        step = dd / d + dc / c
        m += 1
        at = p + 2 * m
        base = m * w / ((at - 1) * at)
        e = base * (q - m)
        de = tl.where(low, e * (1 / (at - 1) + 1 / at) * -1.0, base)
        inverse = 1 + e * d
        inverse = 1 / tl.where(inverse == 0, 1e-300, inverse)
        dd = (de * d + e * dd) * inverse * inverse * -1.0
        d = inverse
        dc = (de - e * dc / c) / c
        c = 1 + e / c
        c = tl.where(c == 0, 1e-300, c)
        change = change * (d * c)
        step = step + dd / d + dc / c
        h = tl.where(active, h / change, h)
        dh = tl.where(active, dh - step, dh)
        moving = (tl.abs(change - 1) > 4e-16) | (tl.abs(step) > 4e-16 * (1 + tl.abs(dh)))
        active = active & moving & (m < 10000)
    psi = _digamma(p + q)
    below = (tl.log(z) - _digamma(first + 1) + psi + dh) * -1.0
    above = tl.log(z) - _digamma(first) + psi + dh
    y = z / p * h * tl.where(low, below, above)
    y = tl.where(inside, y, tl.where((x == 0) & (a > 0) & (b > 0), 0.0, float("nan")))
    tl.store(y_ptr + i, y.to(y_ptr.dtype.element_ty), mask=i < n)


@op
class standard_gamma_grad:
    """dx/da of gamma numbers x of shapes a and scale 1, the two of one shape; without a derivative of its own."""

    def cpu(a: Array, x: Array) -> Array:
        return _implicit.standard_gamma_grad(a, x)

    def gpu(a: Array, x: Array) -> Array:
        a, x = contiguous(a), contiguous(x)
        y = empty(x.shape, x.dtype)
        launch(_standard_gamma_grad, (-(-x.size // BLOCK),), a, x, y, x.size, BLOCK=BLOCK)
        return y

    def samples(rng):
        a = rng.uniform(0.2, 6.0, (3, 5))
        yield (a, rng.gamma(a) + 0.01), ()
        a = np.array([0.05, 1.0, 300.0, 2e4, 5e4, 5e4])
        yield (a, a * np.array([0.1, 2.0, 0.99, 1.001, 0.9, 1.0])), ()
        yield (np.ones((0, 2)), np.ones((0, 2))), ()

    def cost(a, x):
        return a.nbytes + 2 * x.nbytes, 100 * x.size


@op
class dirichlet_grad:
    """dx/da / (1 - x) of beta numbers x with the parameters a, total - a, all of one shape; without a derivative."""

    def cpu(x: Array, a: Array, total: Array) -> Array:
        return _implicit.dirichlet_grad(x, a, total)

    def gpu(x: Array, a: Array, total: Array) -> Array:
        x, a, total = contiguous(x), contiguous(a), contiguous(total)
        y = empty(x.shape, x.dtype)
        launch(_dirichlet_grad, (-(-x.size // BLOCK),), x, a, total, y, x.size, BLOCK=BLOCK)
        return y

    def samples(rng):
        a, b = rng.uniform(0.2, 6.0, (2, 3, 5))
        yield (rng.beta(a, b).clip(0.01, 0.99), a, a + b), ()
        yield (
            (np.array([0.01, 0.5, 0.9, 0.3]), np.array([0.1, 50.0, 3.0, 400.0]), np.array([0.3, 101.0, 3.5, 1300.0])),
            (),
        )
        yield (np.ones((0, 2)), np.ones((0, 2)), np.ones((0, 2))), ()

    def cost(x, a, total):
        return 4 * x.nbytes, 200 * x.size


AOT = [
    (f"{name} {short}", lambda array, f=f, n=n, short=short: f.gpu(*[array((1 << 20,), short) for _ in range(n)]))
    for name, f, n in (("standard gamma grad", standard_gamma_grad, 2), ("dirichlet grad", dirichlet_grad, 3))
    for short in ("fp32", "fp64")
]
