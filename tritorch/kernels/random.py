"""Distributions: how PyTorch's CPU generator turns words into numbers.

The functions fill a raw array from a `Generator` of its device; those of a cuda generator are in `philox.py`. On the
CPU they consume exactly the words that PyTorch consumes, so the numbers are PyTorch's for the same seed. `w` is a word
of 32 bits, `u24` = (w mod 2^24) 2^-24 in float32, `u53` = (two words mod 2^53) 2^-53 in float64. Found by experiment
against torch 2.13 on x86 with AVX2, and equal bit for bit where nothing else is said:

    uniform         float32, float16, bfloat16: fma(u24, high - low, low) in float32; float64: the same with u53;
                    a value that rounds to `high` becomes `low`
    normal          16 elements and more, contiguous: `box_muller_16` on u24 (float64: libm on u53); when the size is no
                    multiple of 16, the last 16 elements are drawn anew from 16 further numbers;
                    fewer elements, or not contiguous: pairs in float64 from u53, the second one kept in the generator
    random_         w or two words, modulo 2^digits + 1 (floats) or the largest value + 1; two words for 64-bit types
    randint         w mod range + low; two words from a range of 2^28 on
    bernoulli       tensor p: u24 < p (float64: u53 < p); scalar p: u53 < p
    exponential     -log1p(-u53) / rate
    cauchy          median + sigma tan(pi (u53 - 1/2));     log_normal: exp of the normal pairs in float64
    geometric       ceil(log u53 / log1p(-p))
    randperm        swap r[k] with r[k + w mod (n - k)], k = 0 ... n - 2; from n = 214,748,364 on another scheme
    multinomial     with replacement: u53 searched in the running sum; without, or one draw: the largest p / exponential

float64 results from log and log1p of more than 65,536 elements may be off by one unit in the last place. On Intel
processors PyTorch draws `bernoulli_(p)`, hence dropout, and `exponential_` from MKL's own generator; here and on
all other processors they come from this stream.

Elements are filled in the order of memory, not of indices, as PyTorch does (a transposed array from its base on).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..device import CPU
from ..random import Generator
from . import philox
from ._strides import dense
from .box_muller import box_muller_16
from .rounding import fma32, fma64
from .sort import order

_LIBM_LIMIT = 1 << 16
_BLOCK = 1 << 15  # numbers at a time, so that they stay in cache
_BIG_RANDPERM = (2**32 - 1) // 20


def in_memory_order(a: np.ndarray) -> np.ndarray:
    """A view of `a` whose C order is the order of memory."""
    if a.flags.c_contiguous:
        return a
    strides = a.strides
    return a.transpose(sorted(range(a.ndim), key=lambda d: -abs(strides[d])))


def _store(out: np.ndarray, values: np.ndarray) -> None:
    """Write values, given in the order of memory, into out with PyTorch's conversion."""
    target = in_memory_order(out)
    with np.errstate(over="ignore", invalid="ignore"):
        if out.dtype.itemsize == 2 and out.dtype.kind in "fV" and values.dtype.kind in "if":
            values = values.astype(np.float32, copy=False)  # PyTorch converts through float32, with two roundings
        np.copyto(target, values.reshape(target.shape), casting="unsafe")


def _parts(a: np.ndarray) -> np.ndarray:
    """Real and imaginary parts of a complex array as one more dim, sharing memory."""
    kind = a.real.dtype
    return a[..., None].view(kind)


def _libm(name: str, x: np.ndarray, exact: bool) -> np.ndarray:
    """A function of one float64 array by the C library, whose last bit NumPy's vectorised code does not always hit."""
    if exact and x.size <= _LIBM_LIMIT:
        fn: Callable[[float], float] = getattr(math, name)
        try:
            return np.fromiter(map(fn, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)
        except (ValueError, OverflowError):  # log(0) and the like, which NumPy answers with an infinity
            pass
    with np.errstate(all="ignore"):
        return getattr(np, name)(x)


# ------------------------------------------------------------------------------------------------------- continuous


def uniform(out: np.ndarray, low: float, high: float, generator: Generator) -> None:
    """Fill with uniform numbers of [low, high)."""
    if generator.device is not CPU:
        return philox.fill(out, philox.UNIFORM, low, high, generator)
    if out.dtype.kind == "c":
        return uniform(_parts(out), low, high, generator)
    plain = low == 0.0 and high == 1.0
    if out.dtype == np.float64:
        x = generator.u53(out.size)
        if not plain:
            x = fma64(x, high - low, low)
    elif plain and out.dtype == np.float32 and out.flags.c_contiguous:
        return generator.u24_into(out.reshape(-1))
    else:
        x = generator.u24(out.size)
        if not plain:
            width = float(np.float32(high) - np.float32(low))
            for i in range(0, x.size, _BLOCK):
                x[i : i + _BLOCK] = fma32(x[i : i + _BLOCK], width, low)
    if x.dtype != out.dtype:
        x = x.astype(out.dtype)
    if not plain or x.dtype.itemsize == 2:
        x[np.flatnonzero(x == x.dtype.type(high))] = x.dtype.type(low)
    _store(out, x)


def normal(out: np.ndarray, mean: float, std: float, generator: Generator) -> None:
    """Fill with normal numbers; the real and the imaginary part of a complex one have the variance std^2 / 2."""
    if generator.device is not CPU:
        return philox.fill(out, philox.NORMAL, mean, std, generator)
    if out.dtype.kind == "c":
        return normal(_parts(out), mean, std / math.sqrt(2), generator)
    n = out.size
    if n < 16 or not out.flags.c_contiguous:
        return _store(out, _normal_pairs(n, mean, std, generator, out.dtype == np.float64))
    flat = out.reshape(-1)
    whole = n - n % 16
    if out.dtype == np.float64:
        flat[:] = generator.u53(n)
        flat[:whole] = _box_muller_64(flat[:whole], mean, std)
        if whole != n:
            flat[-16:] = _box_muller_64(generator.u53(16), mean, std)
    elif out.dtype == np.float32:
        box_muller_16(flat[:whole], mean, std, generator.u24_into)
        if whole != n:
            generator.words(n - whole)  # drawn, and replaced with the whole last block
            flat[-16:] = _tail(mean, std, generator)
    else:  # here the numbers of the incomplete block are never drawn
        x = np.empty(whole, np.float32)
        box_muller_16(x, mean, std, generator.u24_into)
        flat[:whole] = x
        if whole != n:
            flat[-16:] = _tail(mean, std, generator)


def _tail(mean: float, std: float, generator: Generator) -> np.ndarray:
    x = generator.u24(16)
    box_muller_16(x, mean, std)
    return x


def _box_muller_64(u: np.ndarray, mean: float, std: float) -> np.ndarray:
    """The transform in blocks of 16, in float64."""
    u = u.reshape(-1, 2, 8)
    r = np.sqrt(-2.0 * _libm("log", 1.0 - u[:, 0], True))
    t = (2.0 * math.pi) * u[:, 1]
    x = np.empty(u.shape)
    np.cos(t, out=x[:, 0])
    np.sin(t, out=x[:, 1])
    x *= r[:, None]
    return (x if mean == 0.0 and std == 1.0 else fma64(x, std, mean)).reshape(-1)


def _normal_pairs(n: int, mean: float, std: float, generator: Generator, exact: bool) -> np.ndarray:
    """n normal numbers one by one: r cos t now, r sin t for the next call, also across calls."""
    x = np.empty(n)
    if n == 0:
        return x
    if n <= 32:
        return _few_pairs(n, mean, std, generator)
    start = 0
    if generator.next_normal is not None:
        x[0], start = generator.next_normal, 1
        generator.next_normal = None
    pairs = (n - start + 1) // 2
    if pairs:
        u = generator.u53(2 * pairs).reshape(-1, 2)
        r = np.sqrt(-2.0 * _libm("log1p", -u[:, 1], exact))
        t = (2.0 * math.pi) * u[:, 0]
        both = np.empty((pairs, 2))
        np.multiply(r, np.cos(t), out=both[:, 0])
        np.multiply(r, np.sin(t), out=both[:, 1])
        x[start:] = both.reshape(-1)[: n - start]
        if (n - start) % 2:
            generator.next_normal = float(both[-1, 1])
    return x if mean == 0.0 and std == 1.0 else fma64(x, std, mean)


def _few_pairs(n: int, mean: float, std: float, generator: Generator) -> np.ndarray:
    """The same for so few numbers that Python is quicker than NumPy."""
    values = []
    if generator.next_normal is not None:
        values.append(generator.next_normal)
        generator.next_normal = None
    pairs = (n - len(values) + 1) // 2
    w = generator.words(4 * pairs).tolist()
    for i in range(0, 4 * pairs, 4):
        u1 = ((w[i] << 32 | w[i + 1]) & _MASK53) * 2.0**-53
        u2 = ((w[i + 2] << 32 | w[i + 3]) & _MASK53) * 2.0**-53
        r = math.sqrt(-2.0 * math.log1p(-u2))
        t = (2.0 * math.pi) * u1
        values.append(r * math.cos(t))
        values.append(r * math.sin(t))
    if len(values) > n:
        generator.next_normal = values.pop()
    x = np.array(values)
    return x if mean == 0.0 and std == 1.0 else fma64(x, std, mean)


_MASK53 = (1 << 53) - 1


def log_normal(out: np.ndarray, mean: float, std: float, generator: Generator) -> None:
    """Fill with exp of normal numbers."""
    if generator.device is not CPU:
        return philox.fill(out, philox.LOG_NORMAL, mean, std, generator)
    exact = out.dtype == np.float64
    _store(out, _libm("exp", _normal_pairs(out.size, mean, std, generator, exact), exact))


def exponential(out: np.ndarray, rate: float, generator: Generator) -> None:
    """Fill with exponential numbers of the given rate."""
    if generator.device is not CPU:
        return philox.fill(out, philox.EXPONENTIAL, rate, 0.0, generator)
    x = _libm("log1p", -generator.u53(out.size), out.dtype == np.float64)
    x *= -1.0 / rate
    _store(out, x)


def cauchy(out: np.ndarray, median: float, sigma: float, generator: Generator) -> None:
    """Fill with Cauchy numbers."""
    if generator.device is not CPU:
        return philox.fill(out, philox.CAUCHY, median, sigma, generator)
    x = generator.u53(out.size)
    x -= 0.5
    x *= math.pi
    x = _libm("tan", x, out.dtype == np.float64)
    _store(out, fma64(x, sigma, median))


# --------------------------------------------------------------------------------------------------------- discrete


def geometric(out: np.ndarray, p: float, generator: Generator) -> None:
    """Fill with the number of trials up to the first success of probability p."""
    if generator.device is not CPU:
        return philox.fill(out, philox.GEOMETRIC, p, 0.0, generator)
    x = _libm("log", generator.u53(out.size), True)
    x /= math.log1p(-p)
    _store(out, np.ceil(x, out=x))


def bernoulli_scalar(out: np.ndarray, p: float, generator: Generator) -> None:
    """Fill with 1 by the probability p, else 0; the mask of dropout."""
    if generator.device is not CPU:
        return philox.fill(out, philox.BERNOULLI, p, 0.0, generator)
    _store(out, generator.u53(out.size) < p)


def bernoulli_tensor(out: np.ndarray, p: np.ndarray, generator: Generator) -> None:
    """Fill with 1 by the probabilities p (of out's shape, float), else 0."""
    if generator.device is not CPU:
        return philox.bernoulli_tensor(out, p, generator)
    target = in_memory_order(out)
    if target is not out:
        p = p.transpose(sorted(range(out.ndim), key=lambda d: -abs(out.strides[d])))
    if p.dtype == np.float64:
        u = generator.u53(out.size)
    else:
        u = generator.u24(out.size)
        p = p.astype(np.float32)
    np.copyto(target, u.reshape(target.shape) < p, casting="unsafe")


def random_full(out: np.ndarray, generator: Generator) -> None:
    """Fill with integers from 0 up to the largest value (floats: up to 2^digits, included)."""
    kind = out.dtype
    if kind.kind == "b":
        limit = 2
    elif kind.kind in "iu":
        limit = int(np.iinfo(kind).max) + 1
    else:
        limit = (1 << _DIGITS[kind.name]) + 1
    if generator.device is not CPU:
        return philox.integers(out, 0, limit, generator)
    draw = generator.words64 if kind.itemsize == 8 else generator.words
    _store(out, (draw(out.size) % np.uint64(limit)).view(np.int64))


_DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


def randint(out: np.ndarray, low: int, span: int, generator: Generator) -> None:
    """Fill with integers of [low, low + span); span up to 2^64, which takes the two words as they are."""
    if generator.device is not CPU:
        return philox.integers(out, low, span, generator)
    direct = out.flags.c_contiguous and (out.dtype.kind in "iu" or out.dtype.itemsize > 2)
    values = out.reshape(-1) if direct else np.empty(out.size, np.int64)
    for i in range(0, out.size, _BLOCK):
        part = values[i : i + _BLOCK]
        if span >= 1 << 28:
            x = generator.words64(part.size)
        else:
            x = generator.words(part.size).astype(np.uint32)
        if span < 1 << 64:
            x -= x // span * span  # the division by a number is the fast one, not the remainder
            x = x.astype(np.uint64) + np.uint64(low & (1 << 64) - 1)
        np.copyto(part, x.view(np.int64), casting="unsafe")
    if not direct:
        _store(out, values)


def randperm(n: int, np_dtype: Any, generator: Generator) -> np.ndarray:
    """A random permutation of 0 ... n - 1.

    The swaps form a chain, but what they leave behind has a closed form: let t(k) = k + w mod (n - k) be the partner of
    step k. Position t holds, before step k, what was at position i when the latest step i < k with t(i) = t came, or t
    itself when there was none. Following `i` back to its own latest writer gives trees, whose roots are found by
    doubling; the latest earlier step with the same partner by sorting. So n log n in vectorised steps.
    """
    if n >= _BIG_RANDPERM:
        return _randperm_big(n, generator).astype(np_dtype)
    if n < 2:
        return np.arange(n).astype(np_dtype)
    steps = np.arange(n - 1, dtype=np.int64)
    w = generator.words(n - 1)
    w %= (n - steps).view(np.uint64)
    partner = w.view(np.int64)
    partner += steps
    if n <= 200:
        r = list(range(n))
        for k, t in enumerate(partner.tolist()):
            r[k], r[t] = r[t], r[k]
        return np.array(r, np_dtype)
    return _apply_swaps(n, steps, partner).astype(np_dtype)


def _apply_swaps(n: int, steps: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """The permutation left by swapping k with partner[k] >= k for k in `steps`, the numbers 0 ... n - 2 in order."""
    # source[k]: which value position k holds when step k comes. The latest step that wrote there is the last i with
    # partner[i] = k and i < k; NumPy keeps the last of repeated indices. A step with itself as partner writes nowhere.
    source = np.arange(n + 1, dtype=np.int32)  # half the memory to jump about in
    to = partner.copy()
    to[np.flatnonzero(partner == steps)] = n
    source[to] = steps
    source = source[:n]
    source = source.take(source)
    moving = np.flatnonzero(source != source.take(source))
    while moving.size:  # followed to the roots by doubling
        now = source[moving]
        further = source[now]
        source[moving] = further
        moving = moving[further != now]
    # The value that step k takes away from its partner: what the latest earlier step with the same partner left there.
    keys = partner << np.int64(32)
    keys |= steps
    keys.sort()
    step = keys & np.int64(0xFFFFFFFF)
    keys >>= np.int64(32)
    first = np.empty(n - 1, np.bool_)
    first[0] = True
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    taken = np.empty(n - 1, np.int32)
    taken[0] = 0
    taken[1:] = source.take(step[:-1], mode="wrap")
    first = np.flatnonzero(first)
    taken[first] = keys[first]
    r = np.empty(n, np.int32)
    # With itself as partner and no earlier step that had it, a position keeps its value: `keys` again.
    r[step] = taken
    r[n - 1] = source[n - 1]
    return r


def _randperm_big(n: int, generator: Generator) -> np.ndarray:
    """PyTorch's scheme for huge n: for i = 0 ... n - 1, r[i] = r[z], r[z] = i with z = (two words) mod (i + 1)."""
    r = np.arange(n, dtype=np.int64)
    block = 1 << 16
    for start in range(0, n, block):
        i = np.arange(start, min(start + block, n), dtype=np.uint64)
        z = generator.words64(i.size) % (i + np.uint64(1))
        for k, t in zip(i.tolist(), z.tolist(), strict=True):
            r[k] = r[t]
            r[t] = k
    return r


def multinomial(p: np.ndarray, n_samples: int, replacement: bool, generator: Generator) -> np.ndarray:
    """Indices drawn by the weights in the rows of p.

    Args:
        p: (rows, categories), float, not negative, each row with a positive sum.
        n_samples: draws per row; at most the number of categories without replacement.

    Returns:
        int64 of shape (rows, n_samples).
    """
    rows, categories = p.shape
    if not replacement or n_samples == 1:
        q = np.empty_like(p, order="C" if 0 in p.strides else "K")
        exponential(q, 1.0, generator)
        with np.errstate(divide="ignore", invalid="ignore"):
            score = (p.astype(np.float32) / q.astype(np.float32)).astype(p.dtype) if p.dtype.itemsize == 2 else p / q
        if score.dtype.itemsize == 2:
            score = score.astype(np.float32)
        if n_samples == 1:
            return score.argmax(axis=-1)[:, None]
        return np.ascontiguousarray(order(score, True)[:, :n_samples])
    kind = np.float64 if p.dtype == np.float64 else np.float32
    if rows >= 64:  # all rows at once: a sum that waits for the one before it is slow
        total = dense(p.T.astype(kind, copy=False))
        for before, now in itertools.pairwise(total):
            now += before
    else:
        total = np.cumsum(p, axis=-1, dtype=kind).T
    total /= total[-1]
    total[-1] = 1
    u = generator.u53(rows * n_samples).reshape(rows, n_samples)
    if rows <= 8:
        return np.stack([np.searchsorted(t.astype(np.float64), v) for t, v in zip(total.T, u, strict=True)])
    low = np.zeros(u.shape, np.int64)  # how many of the running sums are below u, bisected in all rows at once
    every = np.arange(rows)[:, None]
    step = 1 << (categories - 1).bit_length()
    while step:
        to = low + step
        below = to <= categories
        below &= total[np.minimum(to, categories) - 1, every] < u
        low += below * step
        step >>= 1
    return low
