"""Gamma, Poisson and binomial numbers on cuda: draws until one is accepted, each element by itself.

Attempt j of element i takes the four words of Philox at the counter `offset + j n + i` (see `philox.py`); 64 attempts are
set aside, of which the worst parameters fail less than once in 10^40 elements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..random import Generator
from ._fold import contiguous
from ._launch import empty, kernel, launch
from ._math import _floor, _sqrt
from ._math_special import _lgamma
from ._op import Array
from .philox import signed, stream, uniform32_of

if TYPE_CHECKING:
    import triton.language as tl

BLOCK = 128
ATTEMPTS = 64


@kernel(do_not_specialize=("seed", "offset"))
def _gamma(x_ptr, a_ptr, n, seed, offset, BLOCK: tl.constexpr):
    """x_ptr: n contiguous gamma numbers of the shapes a_ptr and scale 1, NaN for shapes that are not above 0.

    G. Marsaglia, W. W. Tsang: A simple method for generating gamma variables, ACM TOMS 26(3), 2000. float64 throughout:
    small shapes give numbers far below float32's. One program per BLOCK elements, a power of two.
    """
    seed, offset = stream(seed, offset)
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    a = tl.load(a_ptr + i, mask=i < n, other=1).to(tl.float64)
    low = a < 1
    d = tl.where(low, a + 1, a) - 0.3333333333333333
    d = tl.where(a > 0, d, 1.0)
    c = 1 / _sqrt(9 * d)
    x = d
    tried = tl.program_id(0) * 0
    boost = tl.full((BLOCK,), 1, tl.float64)
    waiting = (i < n) & (a > 0)
    while tl.max(waiting.to(tl.int32)) > 0:
        w0, w1, w2, w3 = tl.randint4x(seed, i + offset + tried.to(tl.int64) * n)
        normal, _ = tl.pair_uniform_to_normal(uniform32_of(w0), uniform32_of(w1))
        v = 1 + c * normal.to(tl.float64)
        positive = v > 0
        v = tl.where(positive, v, 1.0)
        v = v * v * v
        u = 1 - uniform32_of(w2).to(tl.float64)
        square = normal.to(tl.float64) * normal.to(tl.float64)
        accept = positive & (tl.log(u) < 0.5 * square + d * (1 - v + tl.log(v)))
        tried += 1
        accept = waiting & (accept | (tried == 64))
        x = tl.where(accept, d * v, x)
        boost = tl.where(accept, 1 - uniform32_of(w3).to(tl.float64), boost)
        waiting = waiting & (accept == 0)
    x = x * tl.where(low, tl.exp(tl.log(boost) / tl.where(a > 0, a, 1.0)), 1.0)
    x = tl.where(a > 0, x, float("nan"))
    tl.store(x_ptr + i, x.to(x_ptr.dtype.element_ty), mask=i < n)


@kernel(do_not_specialize=("seed", "offset"))
def _poisson(x_ptr, rate_ptr, n, seed, offset, BLOCK: tl.constexpr):
    """x_ptr: n contiguous Poisson numbers of the rates rate_ptr.

    Below a rate of 10 the place of a uniform number in the running sum of probabilities, from there on transformed
    rejection (W. Hörmann, Insurance: Mathematics and Economics 12, 1993). One program per BLOCK elements.
    """
    seed, offset = stream(seed, offset)
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    rate = tl.load(rate_ptr + i, mask=i < n, other=0).to(tl.float64)
    w0, w1, w2, w3 = tl.randint4x(seed, i + offset)
    u = uniform32_of(w0).to(tl.float64)
    small = tl.where(rate < 10, rate, 0.0)
    p = tl.exp(small * -1.0)
    total = p
    count = u * 0
    searching = (rate < 10) & (u >= total)
    while tl.max(searching.to(tl.int32)) > 0:
        count = tl.where(searching, count + 1, count)
        p = tl.where(searching, p * (small / tl.where(count > 0, count, 1.0)), p)
        total = tl.where(searching, total + p, total)
        searching = searching & (u >= total) & (count < 200)
    large = (rate >= 10) & (rate < float("inf"))
    m = tl.where(large, rate, 10.0)
    log_rate = tl.log(m)
    b = 0.931 + 2.53 * _sqrt(m)
    a = -0.059 + 0.02483 * b
    log_alpha = tl.log(1.1239 + 1.1328 / (b - 3.4))
    limit = 0.9277 - 3.6224 / (b - 2)
    waiting = large & (i < n)
    tried = tl.program_id(0) * 0
    while tl.max(waiting.to(tl.int32)) > 0:
        w0, w1, w2, w3 = tl.randint4x(seed, i + offset + tried.to(tl.int64) * n)
        x = uniform32_of(w0).to(tl.float64) - 0.5
        v = 1 - uniform32_of(w1).to(tl.float64)
        us = 0.5 - tl.abs(x)
        us = tl.where(us > 0, us, 1e-12)
        inverse = 1 / us
        k = _floor((2 * a * inverse + b) * x + m + 0.43)
        quick = (us >= 0.07) & (v <= limit)
        wrong = (k < 0) | ((us < 0.013) & (v > us))
        safe = tl.where(k >= 0, k, 0.0)
        slow = tl.log(v) + log_alpha - tl.log(a * inverse * inverse + b) <= safe * log_rate - m - _lgamma(safe + 1)
        tried += 1
        accept = waiting & (quick | ((wrong == 0) & slow) | (tried == 64))
        count = tl.where(accept, safe, count)
        waiting = waiting & (accept == 0)
    count = tl.where(rate == rate, count, rate)
    tl.store(x_ptr + i, count.to(x_ptr.dtype.element_ty), mask=i < n)


@kernel(do_not_specialize=("seed", "offset"))
def _binomial(x_ptr, n_ptr, p_ptr, n, seed, offset, BLOCK: tl.constexpr):
    """x_ptr: n contiguous numbers of successes in n_ptr trials of probability p_ptr.

    As `_poisson`: the running sum below 10 expected successes, from there on transformed rejection (W. Hörmann,
    J. Statistical Computation and Simulation 46, 1993); above 1/2 failures are counted. One program per BLOCK elements.
    """
    seed, offset = stream(seed, offset)
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    trials = tl.load(n_ptr + i, mask=i < n, other=0).to(tl.float64)
    prob = tl.load(p_ptr + i, mask=i < n, other=0).to(tl.float64)
    q = tl.where(prob > 0.5, 1 - prob, prob)
    able = (trials > 0) & (q > 0)
    w0, w1, w2, w3 = tl.randint4x(seed, i + offset)
    u = uniform32_of(w0).to(tl.float64)
    few = able & (trials * q < 10)
    t = tl.where(few, trials, 1.0)
    f = tl.where(few, q, 0.1)
    p = tl.exp(t * tl.log(1 - f))
    odds = f / (1 - f)
    total = p
    count = u * 0
    searching = few & (u >= total)
    while tl.max(searching.to(tl.int32)) > 0:
        count = tl.where(searching, count + 1, count)
        p = tl.where(searching, p * odds * ((t - count + 1) / tl.where(count > 0, count, 1.0)), p)
        total = tl.where(searching, total + p, total)
        searching = searching & (u >= total) & (count < t) & (count < 200)
    many = able & (trials * q >= 10)
    t = tl.where(many, trials, 40.0)
    f = tl.where(many, q, 0.4)
    spread = _sqrt(t * f * (1 - f))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * f
    c = t * f + 0.5
    limit = 0.92 - 4.2 / b
    log_odds = tl.log(f / (1 - f))
    mode = _floor((t + 1) * f)
    top = _lgamma(mode + 1) + _lgamma(t - mode + 1) - mode * log_odds - tl.log((2.83 + 5.1 / b) * spread)
    waiting = many & (i < n)
    tried = tl.program_id(0) * 0
    while tl.max(waiting.to(tl.int32)) > 0:
        w0, w1, w2, w3 = tl.randint4x(seed, i + offset + tried.to(tl.int64) * n)
        x = uniform32_of(w0).to(tl.float64) - 0.5
        v = 1 - uniform32_of(w1).to(tl.float64)
        us = 0.5 - tl.abs(x)
        us = tl.where(us > 0, us, 1e-12)
        inverse = 1 / us
        k = _floor((2 * a * inverse + b) * x + c)
        inside = (k >= 0) & (k <= t)
        safe = tl.where(inside, k, 0.0)
        quick = inside & (us >= 0.07) & (v <= limit)
        ratio = top + safe * log_odds - _lgamma(safe + 1) - _lgamma(t - safe + 1)
        slow = inside & (tl.log(v) - tl.log(a * inverse * inverse + b) <= ratio)
        tried += 1
        accept = waiting & (quick | slow | (tried == 64))
        count = tl.where(accept, safe, count)
        waiting = waiting & (accept == 0)
    trials = tl.load(n_ptr + i, mask=i < n, other=0).to(tl.float64)  # again: registers are scarce in the loops
    prob = tl.load(p_ptr + i, mask=i < n, other=0).to(tl.float64)
    count = tl.where(prob > 0.5, trials - count, count)
    count = tl.where(trials > 0, count, 0.0)
    count = tl.where((prob == prob) & (trials == trials), count, float("nan"))
    tl.store(x_ptr + i, count.to(x_ptr.dtype.element_ty), mask=i < n)


def standard_gamma(alpha: Array, generator: Generator) -> Array:
    """Gamma numbers of the shapes alpha (a device array) and scale 1, at least the dtype's least normal number."""
    return _drawn(_gamma, generator, alpha)


def poisson(rate: Array, generator: Generator) -> Array:
    """Poisson numbers of the given rates, a device array."""
    return _drawn(_poisson, generator, rate)


def binomial(count: Array, prob: Array, generator: Generator) -> Array:
    """Binomial numbers: successes in `count` trials of probability `prob`, device arrays of one shape and dtype."""
    return _drawn(_binomial, generator, count, prob)


def _drawn(kernel_: Array, generator: Generator, *parameters: Array) -> Array:
    parameters = tuple(contiguous(p) for p in parameters)
    out = empty(parameters[0].shape, parameters[0].dtype)
    if out.size:
        seed, offset = generator.philox(4 * ATTEMPTS * out.size)
        grid = (-(-out.size // BLOCK),)
        launch(kernel_, grid, out, *parameters, out.size, signed(seed), offset, BLOCK=BLOCK)
    return out


def _aot() -> list:
    cases = []
    for name, f, count in (("gamma", standard_gamma, 1), ("poisson", poisson, 1), ("binomial", binomial, 2)):
        for short in ("fp32", "fp64"):
            run = lambda array, f=f, count=count, short=short: f(
                *[array((1 << 20,), short) for _ in range(count)], Generator("cuda:0")
            )
            cases.append((f"{name} numbers {short}", run))
    return cases


AOT = _aot
