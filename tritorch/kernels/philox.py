"""Distributions on cuda: counters instead of a state, so that every element can be drawn by itself.

Element i of a tensor comes from lane i mod 4 of Philox-4x32-10 at the counter `offset + i // 4` under the key `seed`
(64-bit numbers: lanes 0 and 1, or 2 and 3, at `offset + i // 2`). So the numbers do not depend on the size of blocks,
and they are those of `tl.randint4x`, `tl.rand4x`, `tl.randn4x`. `reference` is the NumPy twin, which gives the bits of
the kernels wherever no logarithm, sine or cosine is in between (and there too on the emulated device).

`Generator.philox` gives a kernel seed and offset as numbers, or, while a CUDA graph is recorded, an array of the device
with both, which each replay writes (`put_state`), and what to add to its offset: `stream` takes either.

J. Salmon, M. Moraes, R. Dror, D. Shaw: Parallel random numbers: as easy as 1, 2, 3. SC 2011.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..device import cuda_index, on_device
from ..random import Generator
from ._launch import empty, kernel, launch
from ._op import Array

if TYPE_CHECKING:
    import triton.language as tl

UNIFORM, NORMAL, LOG_NORMAL, EXPONENTIAL, CAUCHY, GEOMETRIC, BERNOULLI, INTEGER = range(8)

_BLOCK = 1024  # elements per program
_SCALE = np.float32(4.6566127342e-10)  # Triton's: a little under 2^-31, so that the largest number stays below 1


@kernel
def stream(seed, offset):
    """(seed, offset) of a launch; seed: a number, or int64 (2,) with the seed and the offset to which `offset` is added."""
    if seed.dtype.is_ptr():
        offset = offset + tl.load(seed + 1)
        seed = tl.load(seed)
    return seed, offset


@kernel(do_not_specialize=("seed", "offset"))
def _put_state(state_ptr, seed, offset):
    """state: int64 (2,), becomes (seed, offset)."""
    tl.store(state_ptr, seed)
    tl.store(state_ptr + 1, offset)


@kernel
def uniform32_of(x):
    """uint32 -> float32 in [0, 1): the 31 bits under the sign."""
    x = x.to(tl.int32, bitcast=True)
    return tl.where(x < 0, -x - 1, x) * 4.6566127342e-10


@kernel
def _transform(u, a, b, KIND: tl.constexpr):
    """Uniform numbers of [0, 1) to the distribution KIND (UNIFORM to BERNOULLI, without the normal ones)."""
    if KIND == 0:
        x = u * (b - a) + a
        x = tl.where(x >= b, a, x)
    elif KIND == 3:
        x = -tl.log(1.0 - u) / a
    elif KIND == 4:
        t = 3.141592653589793 * (u - 0.5)
        x = a + b * (tl.sin(t) / tl.cos(t))
    elif KIND == 5:
        x = tl.ceil(tl.log(1.0 - u) / a)
        x = tl.where(x < 1.0, 1.0, x)
    else:
        x = u < a
    return x


@kernel(do_not_specialize=("seed", "offset"))
def _fill32(out_ptr, n, seed, offset, a, b, KIND: tl.constexpr, BLOCK: tl.constexpr):
    """out: n contiguous elements; BLOCK elements (a multiple of 4) per program; a, b: the distribution's numbers."""
    seed, offset = stream(seed, offset)
    first = tl.program_id(0).to(tl.int64) * BLOCK
    c = first // 4 + tl.arange(0, BLOCK // 4) + offset
    i0, i1, i2, i3 = tl.randint4x(seed, c)
    if KIND == 1 or KIND == 2:
        x0, x1 = tl.pair_uniform_to_normal(uniform32_of(i0), uniform32_of(i1))
        x2, x3 = tl.pair_uniform_to_normal(uniform32_of(i2), uniform32_of(i3))
        x = tl.reshape(tl.join(tl.join(x0, x2), tl.join(x1, x3)), (BLOCK,)) * b + a
        if KIND == 2:
            x = tl.exp(x)
    else:
        v = tl.reshape(tl.join(tl.join(i0, i2), tl.join(i1, i3)), (BLOCK,))
        x = _transform(uniform32_of(v), a, b, KIND)
    i = first + tl.arange(0, BLOCK)
    tl.store(out_ptr + i, x.to(out_ptr.dtype.element_ty), mask=i < n)


@kernel
def pairs64(seed, c):
    """Two uint64 numbers for each counter."""
    i0, i1, i2, i3 = tl.randint4x(seed, c)
    x0 = (i0.to(tl.uint32, bitcast=True).to(tl.uint64) << 32) | i1.to(tl.uint32, bitcast=True).to(tl.uint64)
    x1 = (i2.to(tl.uint32, bitcast=True).to(tl.uint64) << 32) | i3.to(tl.uint32, bitcast=True).to(tl.uint64)
    return x0, x1


@kernel(do_not_specialize=("seed", "offset"))
def _fill64(
    out_ptr, n, seed, offset, a: tl.float64, b: tl.float64, KIND: tl.constexpr, BLOCK: tl.constexpr
):  # float64 elements, two to a counter
    """out: n contiguous float64 elements; BLOCK elements (a multiple of 2) per program."""
    seed, offset = stream(seed, offset)
    first = tl.program_id(0).to(tl.int64) * BLOCK
    c = first // 2 + tl.arange(0, BLOCK // 2) + offset
    w0, w1 = pairs64(seed, c)
    u0 = (w0 >> 11).to(tl.float64) * 1.1102230246251565e-16
    u1 = (w1 >> 11).to(tl.float64) * 1.1102230246251565e-16
    if KIND == 1 or KIND == 2:
        r = tl.sqrt(-2.0 * tl.log(1.0 - u0))
        t = 6.283185307179586 * u1
        x = tl.reshape(tl.join(r * tl.cos(t), r * tl.sin(t)), (BLOCK,)) * b + a
        if KIND == 2:
            x = tl.exp(x)
    else:
        x = _transform(tl.reshape(tl.join(u0, u1), (BLOCK,)), a, b, KIND)
    i = first + tl.arange(0, BLOCK)
    tl.store(out_ptr + i, x.to(out_ptr.dtype.element_ty), mask=i < n)


@kernel(do_not_specialize=("seed", "offset", "low", "span"))
def _fill_integers(out_ptr, n, seed, offset, low, span, WIDE: tl.constexpr, BLOCK: tl.constexpr):
    """out: n contiguous elements of low + (32 or, WIDE, 64 bits) mod span; span 0 stands for 2^64."""
    seed, offset = stream(seed, offset)
    first = tl.program_id(0).to(tl.int64) * BLOCK
    i = first + tl.arange(0, BLOCK)
    if WIDE:
        c = first // 2 + tl.arange(0, BLOCK // 2) + offset
        w0, w1 = pairs64(seed, c)
        w = tl.reshape(tl.join(w0, w1), (BLOCK,))
        s = span.to(tl.uint64)
        w = tl.where(s == 0, w, w % tl.where(s == 0, s + 1, s))
    else:
        c = first // 4 + tl.arange(0, BLOCK // 4) + offset
        i0, i1, i2, i3 = tl.randint4x(seed, c)
        v = tl.reshape(tl.join(tl.join(i0, i2), tl.join(i1, i3)), (BLOCK,))
        w = (v.to(tl.uint32, bitcast=True) % span.to(tl.uint32)).to(tl.uint64)
    x = w.to(tl.int64, bitcast=True) + low
    if out_ptr.dtype.element_ty == tl.int1:
        x = x != 0
    elif out_ptr.dtype.element_ty.is_floating():
        x = x.to(tl.float32)
    tl.store(out_ptr + i, x.to(out_ptr.dtype.element_ty), mask=i < n)


@kernel(do_not_specialize=("seed", "offset"))
def _bernoulli_by_tensor(out_ptr, p_ptr, n, seed, offset, BLOCK: tl.constexpr):
    """out: n contiguous elements, 1 where a uniform number is below p's element (contiguous, float)."""
    seed, offset = stream(seed, offset)
    first = tl.program_id(0).to(tl.int64) * BLOCK
    c = first // 4 + tl.arange(0, BLOCK // 4) + offset
    i0, i1, i2, i3 = tl.randint4x(seed, c)
    v = tl.reshape(tl.join(tl.join(i0, i2), tl.join(i1, i3)), (BLOCK,))
    i = first + tl.arange(0, BLOCK)
    p = tl.load(p_ptr + i, mask=i < n, other=0.0)
    x = uniform32_of(v) < p.to(tl.float32)
    tl.store(out_ptr + i, x.to(out_ptr.dtype.element_ty), mask=i < n)


def signed(x: Any) -> Any:
    """64 bits as the int64 with the same bits: what a kernel's integer argument can hold; an array stays as it is."""
    return x - (1 << 64) if x.__class__ is int and x >= 1 << 63 else x


def put_state(state: Array, seed: int, offset: int) -> None:
    """Write seed and offset into a graph's int64 (2,) array, for its next replay."""
    with on_device(cuda_index(state)):
        launch(_put_state, (1,), state, signed(seed), signed(offset), num_warps=1)


def _contiguous(out: Array) -> Array:
    return out if out.flags.c_contiguous else empty(out.shape, out.dtype)


def _back(target: Array, out: Array) -> None:
    if target is not out:
        from ._pointwise import copy_into

        copy_into(out, target)


def _grid(n: int) -> tuple[int]:
    return (-(-n // _BLOCK),)


def fill(out: Array, kind: int, a: float, b: float, generator: Generator) -> None:
    """Fill a device array with numbers of a distribution.

    Args:
        out: of a float or integer dtype, bool included.
        kind: UNIFORM (low a, high b), NORMAL and LOG_NORMAL (mean a, std b), EXPONENTIAL (rate a), CAUCHY (median a,
            sigma b), GEOMETRIC and BERNOULLI (probability a).
    """
    if out.dtype.kind == "c":
        if kind == NORMAL:
            b /= math.sqrt(2)
        return fill(out[..., None].view(out.real.dtype), kind, a, b, generator)
    n = out.size
    if n == 0:
        return
    if kind == GEOMETRIC:
        a = math.log1p(-a)
    wide = out.dtype == np.float64
    seed, offset = generator.philox(2 * n if wide else n)
    target = _contiguous(out)
    launch(
        _fill64 if wide else _fill32, _grid(n), target, n, signed(seed), offset, float(a), float(b),
        KIND=kind, BLOCK=_BLOCK, num_warps=8 if wide else 4,
    )  # fmt: skip
    _back(target, out)


def integers(out: Array, low: int, span: int, generator: Generator) -> None:
    """Fill a device array with integers of [low, low + span), span up to 2^64."""
    n = out.size
    if n == 0:
        return
    wide = span >= 1 << 28
    seed, offset = generator.philox(2 * n if wide else n)
    target = _contiguous(out)
    launch(
        _fill_integers,
        _grid(n),
        target,
        n,
        signed(seed),
        offset,
        low,
        signed(span % (1 << 64)),
        WIDE=wide,
        BLOCK=_BLOCK,
    )
    _back(target, out)


def bernoulli_tensor(out: Array, p: Array, generator: Generator) -> None:
    """Fill a device array with 1 by the probabilities p (contiguous, of out's shape), else 0."""
    n = out.size
    if n == 0:
        return
    seed, offset = generator.philox(n)
    target = _contiguous(out)
    launch(_bernoulli_by_tensor, _grid(n), target, p, n, signed(seed), offset, BLOCK=_BLOCK)
    _back(target, out)


# ------------------------------------------------------------------------------------------------- the twin in NumPy


def words(seed: int, offset: int, n: int) -> np.ndarray:
    """n words of 32 bits (uint32), four for each counter from `offset` on; `tl.randint4x` with the lanes in a row."""
    count = (n + 3) // 4
    c = np.uint64(offset) + np.arange(count, dtype=np.uint64)
    low32, s32 = np.uint64(0xFFFFFFFF), np.uint64(32)
    c0, c1 = c & low32, c >> s32
    c2 = np.zeros(count, np.uint64)
    c3 = np.zeros(count, np.uint64)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF
    for _ in range(10):
        product0 = c0 * np.uint64(0xD2511F53)
        product1 = c2 * np.uint64(0xCD9E8D57)
        c0 = (product1 >> s32) ^ c1 ^ np.uint64(k0)
        c1 = product1 & low32
        c2 = (product0 >> s32) ^ c3 ^ np.uint64(k1)
        c3 = product0 & low32
        k0 = (k0 + 0x9E3779B9) & 0xFFFFFFFF
        k1 = (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32).reshape(-1)[:n]


def uniform32(seed: int, offset: int, n: int) -> np.ndarray:
    """n float32 numbers of [0, 1): `tl.rand4x` with the lanes in a row."""
    x = words(seed, offset, n).view(np.int32)
    return np.where(x < 0, ~x, x).astype(np.float32) * _SCALE


def _words64(seed: int, offset: int, n: int) -> np.ndarray:
    w = words(seed, offset, 2 * n).astype(np.uint64)
    return w[0::2] << np.uint64(32) | w[1::2]


def reference(kind: int, n: int, np_dtype: Any, a: float, b: float, seed: int, offset: int) -> np.ndarray:
    """What `fill` (or, for INTEGER, `integers` with low a and span b) writes into n elements."""
    if kind == INTEGER:
        wide = b >= 1 << 28
        w = _words64(seed, offset, n) if wide else words(seed, offset, n).astype(np.uint64)
        if b < 1 << 64:
            w %= np.uint64(b)
        return (w.view(np.int64) + np.int64(a)).astype(np_dtype)
    wide = np.dtype(np_dtype) == np.float64
    if kind in (NORMAL, LOG_NORMAL):
        x = _normal64(seed, offset, n) if wide else _normal32(seed, offset, n)
        x = x * x.dtype.type(b) + x.dtype.type(a)
        return (np.exp(x) if kind == LOG_NORMAL else x).astype(np_dtype)
    if wide:
        u = (_words64(seed, offset, n) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    else:
        u = uniform32(seed, offset, n)
    p, q = u.dtype.type(math.log1p(-a) if kind == GEOMETRIC else a), u.dtype.type(b)
    if kind == UNIFORM:
        x = u * (q - p) + p
        x[x >= q] = p
    elif kind == EXPONENTIAL:
        x = -np.log(1 - u) / p
    elif kind == CAUCHY:
        t = u.dtype.type(math.pi) * (u - u.dtype.type(0.5))
        x = p + q * (np.sin(t) / np.cos(t))
    elif kind == GEOMETRIC:
        x = np.maximum(np.ceil(np.log(1 - u) / p), 1)
    else:
        x = u < p
    return x.astype(np_dtype)


def _normal32(seed: int, offset: int, n: int) -> np.ndarray:
    u = uniform32(seed, offset, (n + 3) // 4 * 4).reshape(-1, 2)
    r = np.sqrt(np.float32(-2) * np.log(np.maximum(np.float32(1e-7), u[:, 0])))
    t = np.float32(6.283185307179586) * u[:, 1]
    return np.stack([r * np.cos(t), r * np.sin(t)], axis=1).reshape(-1)[:n]


def _normal64(seed: int, offset: int, n: int) -> np.ndarray:
    u = (_words64(seed, offset, (n + 1) // 2 * 2) >> np.uint64(11)).astype(np.float64).reshape(-1, 2) * 2.0**-53
    r = np.sqrt(-2 * np.log(1 - u[:, 0]))
    t = 6.283185307179586 * u[:, 1]
    return np.stack([r * np.cos(t), r * np.sin(t)], axis=1).reshape(-1)[:n]


# ------------------------------------------------------------------------------------- what `report.py` compiles ahead


class InGraph(Generator):
    """A generator as launches find it while a graph is recorded; `array` as for `AOT`."""

    __slots__ = ("state",)

    def __init__(self, array: Any):
        super().__init__("cuda:0")
        self.state = array((2,), "i64")

    def philox(self, n: int) -> tuple[Any, int]:
        """The state's array, and no further offset."""
        return self.state, 0


def _aot() -> list[tuple[str, Any]]:
    def stream() -> Generator:
        return Generator("cuda:0")

    cases: list[tuple[str, Any]] = []
    for name, kind, a, b in (
        ("uniform", UNIFORM, 0.0, 1.0), ("normal", NORMAL, 0.0, 1.0), ("log_normal", LOG_NORMAL, 1.0, 2.0),
        ("exponential", EXPONENTIAL, 1.0, 0.0), ("cauchy", CAUCHY, 0.0, 1.0), ("geometric", GEOMETRIC, 0.5, 0.0),
        ("bernoulli", BERNOULLI, 0.5, 0.0),
    ):  # fmt: skip
        for short in ("fp32", "bf16", "fp64"):
            run = lambda array, kind=kind, a=a, b=b, short=short: fill(array((1 << 20,), short), kind, a, b, stream())
            cases.append((f"{name} {short}", run))
    for name, kind, short in (("uniform", UNIFORM, "fp32"), ("normal", NORMAL, "fp64")):
        run = lambda array, kind=kind, short=short: fill(array((1 << 20,), short), kind, 0.0, 1.0, InGraph(array))
        cases.append((f"{name} {short} in a graph", run))
    cases.append(
        ("state of a graph", lambda array: launch(_put_state, (1,), array((2,), "i64"), 1 << 40, 7, num_warps=1))
    )
    for short, span in (("i64", 1000), ("i64", 1 << 40), ("u8", 256), ("i1", 2), ("fp16", 100)):
        run = lambda array, short=short, span=span: integers(array((1 << 20,), short), 0, span, stream())
        cases.append((f"integers {short} below {span}", run))
    cases.append(
        (
            "bernoulli by tensor fp32",
            lambda array: bernoulli_tensor(array((1 << 20,), "fp32"), array((1 << 20,), "fp32"), stream()),
        )
    )
    return cases


AOT = _aot
