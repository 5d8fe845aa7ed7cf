"""Poisson, gamma and binomial numbers on the CPU: samplers that draw until a draw is accepted.

How many words an element takes is known only afterwards, so these run element by element in Python, on PyTorch's
stream and with its numbers: about 1 us for each uniform number drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..random import Generator
from .random import _store


class _Uniforms:
    """u53 numbers one at a time, drawn ahead in blocks; `close` gives back what was not used."""

    def __init__(self, generator: Generator, expected: int):
        self.generator = generator
        self.block = max(16, min(expected, 1 << 15))
        self.values: list[float] = []
        self.position = 0

    def __call__(self) -> float:
        if self.position == len(self.values):
            self.state = self.generator._state_bytes()
            self.values = self.generator.u53(self.block).tolist()
            self.position = 0
        self.position += 1
        return self.values[self.position - 1]

    def normal(self) -> float:
        """One of a Box-Muller pair in float64; the other waits in the generator."""
        g = self.generator
        if g.next_normal is not None:
            value, g.next_normal = g.next_normal, None
            return value
        u1, u2 = self(), self()
        r = math.sqrt(-2.0 * math.log1p(-u2))
        t = 2.0 * math.pi * u1
        g.next_normal = r * math.sin(t)
        return r * math.cos(t)

    def close(self) -> None:
        if self.position < len(self.values):
            waiting = self.generator.next_normal
            self.generator._load_bytes(self.state)
            self.generator.words(2 * self.position)
            self.generator.next_normal = waiting


def _elementwise(
    out: np.ndarray, inputs: list[np.ndarray], generator: Generator, draws: int, sample: Callable[..., float]
) -> None:
    """out[i] = sample(uniforms, *inputs[i]) in the order of indices; out is contiguous."""
    u = _Uniforms(generator, draws * out.size)
    columns = [np.asarray(a, np.float64).ravel().tolist() for a in inputs]
    values = [sample(u, *row) for row in zip(*columns, strict=True)]
    u.close()
    _store(out, np.array(values, np.float64))


def poisson(out: np.ndarray, rate: np.ndarray, generator: Generator) -> None:
    """Fill with Poisson numbers of the given rates (of out's shape, not negative).

    Below a rate of 10 by products of uniform numbers (Knuth), from there on by transformed rejection
    (W. Hörmann, Insurance: Mathematics and Economics 12, 1993).
    """
    _elementwise(out, [rate], generator, 4, _poisson)


def _poisson(u: _Uniforms, rate: float) -> float:
    if rate == 0:
        return 0
    if rate < 10:
        limit, product, k = math.exp(-rate), 1.0, -1
        while product > limit or k < 0:
            product *= u()
            k += 1
        return k
    root, log_rate = math.sqrt(rate), math.log(rate)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inv_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2)
    while True:
        x = u() - 0.5
        v = u()
        us = 0.5 - abs(x)
        k = math.floor((2 * a / us + b) * x + rate + 0.43) if us else -1
        if us >= 0.07 and v <= v_r:
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        left = (math.log(v) if v else -math.inf) + math.log(inv_alpha) - math.log(a / (us * us) + b)
        if left <= -rate + k * log_rate - math.lgamma(k + 1):
            return k


def standard_gamma(out: np.ndarray, alpha: np.ndarray, generator: Generator) -> None:
    """Fill with gamma numbers of the given shapes alpha (of out's shape) and scale 1.

    G. Marsaglia, W. W. Tsang: A simple method for generating gamma variables, ACM TOMS 26(3), 2000.
    """
    tiny = float(np.finfo(out.dtype).tiny)
    rounded = float if out.dtype == np.float64 else _single
    _elementwise(out, [alpha], generator, 4, lambda u, a: max(tiny, _gamma(u, a, rounded)))


def _single(x: float) -> float:
    return float(np.float32(x))


_0331 = _single(0.0331)
_THIRD = _single(1 / 3)


def _gamma(u: _Uniforms, alpha: float, rounded: Callable[[float], float]) -> float:
    """One gamma number; what depends on alpha alone is rounded to the type of alpha, as PyTorch does."""
    scale = 1.0
    if not alpha > 0:  # PyTorch's answer for 0 and NaN is the smallest normal number
        return 0.0
    if alpha < 1:
        scale = math.pow(1 - u(), rounded(1.0 / alpha))
        alpha = rounded(alpha + 1)
    d = rounded(alpha - _THIRD)
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        y = 0.0
        x = 0.0
        while y <= 0:
            x = u.normal()
            y = 1.0 + c * x
        v = y * y * y
        w = 1 - u()
        xx = x * x
        if w < 1.0 - _0331 * xx * xx or math.log(w) < 0.5 * xx + d * (1.0 - v + math.log(v)):
            return scale * d * v


def binomial(out: np.ndarray, count: np.ndarray, prob: np.ndarray, generator: Generator) -> None:
    """Fill with binomial numbers: successes in `count` trials of probability `prob` (both of out's shape).

    By inversion of waiting times below 10 expected successes, from there on by transformed rejection
    (W. Hörmann, J. Statistical Computation and Simulation 46, 1993).
    """
    _elementwise(out, [count, prob], generator, 4, _binomial)


def _binomial(u: _Uniforms, count: float, prob: float) -> float:
    if count <= 0 or prob <= 0:
        return 0
    if prob >= 1:
        return count
    if prob != prob:
        return math.nan
    q = min(prob, 1 - prob) if prob > 0.5 else prob
    k = _btrs(u, count, q) if count * q >= 10 else _waiting_times(u, count, q)
    return count - k if prob > 0.5 else k


def _waiting_times(u: _Uniforms, count: float, prob: float) -> float:
    log_q, total, k = math.log1p(-prob), 0.0, 0
    while True:
        x = u()
        total += math.ceil(math.log(x) / log_q) if x else math.inf
        if total > count:
            return k
        k += 1


_TAIL = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
    0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


def _stirling_tail(k: float) -> float:
    """log k! less Stirling's formula."""
    if k < len(_TAIL):
        return _TAIL[int(k)]
    s = (k + 1) * (k + 1)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / s) / s) / (k + 1)


def _btrs(u: _Uniforms, count: float, prob: float) -> float:
    spread = math.sqrt(count * prob * (1 - prob))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * prob
    c = count * prob + 0.5
    v_r = 0.92 - 4.2 / b
    r = prob / (1 - prob)
    alpha = (2.83 + 5.1 / b) * spread
    m = math.floor((count + 1) * prob)
    while True:
        x = u() - 0.5
        v = u()
        us = 0.5 - abs(x)
        k = math.floor((2 * a / us + b) * x + c) if us else -1
        if k < 0 or k > count:
            continue
        if us >= 0.07 and v <= v_r:
            return k
        v = math.log(v * alpha / (a / (us * us) + b)) if v else -math.inf
        bound = (
            (m + 0.5) * math.log((m + 1) / (r * (count - m + 1)))
            + (count + 1) * math.log((count - m + 1) / (count - k + 1))
            + (k + 0.5) * math.log(r * (count - k + 1) / (k + 1))
            + _stirling_tail(m)
            + _stirling_tail(count - m)
            - _stirling_tail(k)
            - _stirling_tail(count - k)
        )
        if v <= bound:
            return k
