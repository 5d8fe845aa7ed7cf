"""The Triton matrix product: c[z] = a[z] b[z] (+ bias) over batches of matrices with any strides.

Tiles of c in grouped order (neighbouring programs share rows of a and columns of b in the second-level cache), a loop
over k, float32 accumulation for the half types. Transposed operands are read through their strides: the unit stride
must be a constant of the compiled kernel and k a multiple of 16 for loads of full width, both of which the launch sees
to by itself. Where the tiles are fewer than the multiprocessors, k is split, partial sums go to a workspace in
float32 and are added in a fixed order. Large products of the half types may take tensor descriptors instead of
pointers (`_gemm_persistent.py`).

float32 products are exact IEEE products by default, as in PyTorch; `set_float32_precision("tf32")` allows the tensor
cores.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..device import backend, current_device
from . import _gemm_persistent
from ._configs import SMALL, next_power_of_2
from ._launch import empty, kernel, launch
from ._op import Array
from ._replay import forget
from ._shapes import broadcast_shapes

if TYPE_CHECKING:
    import triton.language as tl

_PRECISIONS = ("ieee", "tf32", "tf32x3")
_precision = "ieee"


def set_float32_precision(precision: str) -> None:
    """How float32 products are computed on a GPU: 'ieee', 'tf32' (10 bits of mantissa) or 'tf32x3' (three of them)."""
    global _precision
    if precision not in _PRECISIONS:
        raise ValueError(f"set_float32_precision: precision must be one of {_PRECISIONS}; got {precision!r}")
    _precision = precision
    forget()


def get_float32_precision() -> str:
    """What `set_float32_precision` last said; 'ieee' at start."""
    return _precision


# ------------------------------------------------------------------------------------------------------ the kernels


@kernel
def _gemm(
    a_ptr, b_ptr, bias_ptr, c_ptr, m, n, k, part, batch, inner,
    stride_a0, stride_a1, stride_am, stride_ak, stride_b0, stride_b1, stride_bk, stride_bn,
    KIND: tl.constexpr, PRECISION: tl.constexpr, HAS_BIAS: tl.constexpr, EVEN_K: tl.constexpr,
    GROUP_M: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """c (splits, batch, m, n), contiguous, from a (batch, m, k), b (batch, k, n) and bias (n,).

    Matrix z of a starts at a_ptr + z // inner * stride_a0 + z % inner * stride_a1, its element (i, j) lies at
    i * stride_am + j * stride_ak; b likewise. Program (t, s) computes one tile BLOCK_M x BLOCK_N over the k of split s,
    s * part ... (s + 1) * part; t counts tiles within a matrix, then matrices. All blocks are powers of two, at least
    16. EVEN_K: every split is a multiple of BLOCK_K. KIND: "dot16", "f32", "f64", or
    "int" and "f64 sum" (AMD, where Triton's float64 dot does not compile): products of whole tiles, summed.
    """
    tiles_m = (m + BLOCK_M - 1) // BLOCK_M
    tiles_n = (n + BLOCK_N - 1) // BLOCK_N
    t = tl.program_id(0)
    z = t // (tiles_m * tiles_n)
    t = t - z * (tiles_m * tiles_n)
    width = GROUP_M * tiles_n
    group = t // width
    rows = tl.minimum(tiles_m - group * GROUP_M, GROUP_M)
    pm = group * GROUP_M + (t - group * width) % rows
    pn = (t - group * width) // rows
    split = tl.program_id(1)
    start = split.to(tl.int64) * part
    count = tl.minimum(k - start, part).to(tl.int32)

    rm = pm * BLOCK_M + tl.arange(0, BLOCK_M)
    rn = pn * BLOCK_N + tl.arange(0, BLOCK_N)
    rk = tl.arange(0, BLOCK_K)
    in_m = rm < m
    in_n = rn < n
    z0 = (z // inner).to(tl.int64)
    z1 = (z % inner).to(tl.int64)
    a_base = a_ptr + z0 * stride_a0 + z1 * stride_a1 + start * stride_ak
    b_base = b_ptr + z0 * stride_b0 + z1 * stride_b1 + start * stride_bk
    a_ptrs = a_base + rm.to(tl.int64)[:, None] * stride_am + rk.to(tl.int64)[None, :] * stride_ak
    b_ptrs = b_base + rk.to(tl.int64)[:, None] * stride_bk + rn.to(tl.int64)[None, :] * stride_bn
    step = tl.full((), BLOCK_K, tl.int64)

    if KIND == "f64" or KIND == "f64 sum":
        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float64)
    elif KIND == "int":
        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.int64)
    else:
        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for i in range(0, count, BLOCK_K):
        if EVEN_K:
            a = tl.load(a_ptrs, mask=in_m[:, None], other=0)
            b = tl.load(b_ptrs, mask=in_n[None, :], other=0)
        else:
            a = tl.load(a_ptrs, mask=in_m[:, None] & (rk < count - i)[None, :], other=0)
            b = tl.load(b_ptrs, mask=in_n[None, :] & (rk < count - i)[:, None], other=0)
        if KIND == "int":
            acc += tl.sum(a.to(tl.int64)[:, :, None] * b.to(tl.int64)[None, :, :], 1)
        elif KIND == "f64 sum":
            acc += tl.sum(a[:, :, None] * b[None, :, :], 1)
        elif KIND == "f64":
            acc = tl.dot(a, b, acc, out_dtype=tl.float64)
        else:
            acc = tl.dot(a, b, acc, input_precision=PRECISION)
        a_ptrs += step * stride_ak
        b_ptrs += step * stride_bk
    if HAS_BIAS:
        acc += tl.load(bias_ptr + rn, mask=in_n, other=0).to(acc.dtype)[None, :]
    place = (split.to(tl.int64) * batch + z) * m * n
    c_ptrs = c_ptr + place + rm.to(tl.int64)[:, None] * n + rn[None, :]
    tl.store(c_ptrs, acc.to(c_ptr.dtype.element_ty), mask=in_m[:, None] & in_n[None, :])


@kernel
def _add_splits(w_ptr, bias_ptr, c_ptr, total, n, splits, HAS_BIAS: tl.constexpr, BLOCK: tl.constexpr):
    """c (total,) = sum over s of w (splits, total), in order, + bias[i % n]; one program makes BLOCK elements."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < total
    acc = tl.load(w_ptr + i, mask=inside, other=0)
    for s in range(1, splits):
        acc += tl.load(w_ptr + tl.full((), 1, tl.int64) * total * s + i, mask=inside, other=0)
    if HAS_BIAS:
        acc += tl.load(bias_ptr + i % n, mask=inside, other=0).to(acc.dtype)
    tl.store(c_ptr + i, acc.to(c_ptr.dtype.element_ty), mask=inside)


# ------------------------------------------------------------------------------------------------- the tile sizes


_SHARED = {(8, 0): 163, (8, 7): 163, (8, 6): 99, (8, 9): 99, (12, 0): 99, (12, 1): 99}


def shared_memory() -> int:
    """Bytes of shared memory that one program may take on the current device."""
    capability = tuple(backend().capability(current_device()))
    return (64 if is_amd() else _SHARED.get(capability, 227 if capability >= (9, 0) else 64)) << 10


def is_amd() -> bool:
    """Is the current device AMD's (gfx942 calls itself (9, 4))."""
    return backend().hip or tuple(backend().capability(current_device())) == (9, 4)


def fitting_stages(stages: int, block_m: int, block_n: int, block_k: int, itemsize: int) -> int:
    """At most `stages`, as many as have room for their tiles of both operands."""
    return max(1, min(stages, shared_memory() // ((block_m + block_n) * block_k * itemsize)))


def gemm_kind(dtype: np.dtype) -> str:
    """The KIND of `_gemm` for operands of `dtype`."""
    if dtype.kind in "iu":
        return "int"
    if dtype.kind == "c" or dtype.kind == "b":
        known = "integers, float16, bfloat16, float32 and float64"
        raise NotImplementedError(f"matmul: has no Triton kernel for {dtype}, only for {known}; move its inputs to cpu")
    if dtype.itemsize == 8:
        return "f64 sum" if is_amd() else "f64"
    return "dot16" if dtype.itemsize == 2 else "f32"


def gemm_tile(kind: str, m: int, n: int, k: int, batch: int, precision: str) -> tuple[int, int, int, int, int]:
    """(BLOCK_M, BLOCK_N, BLOCK_K, num_warps, num_stages) of `_gemm`.

    Large tiles reuse what they load, but must leave work for all 132 multiprocessors of an H100; exact float32 and
    float64 run without tensor cores and take small tiles. The sizes are those of kernels that compile without spills.
    """
    if kind in ("int", "f64 sum"):
        return (16, 16, 16, 4, 2)
    if SMALL:
        return tuple(min(max(next_power_of_2(s), 16), 64) for s in (m, n, k)) + (4, 2)  # type: ignore[return-value]
    if kind == "f64":
        return (32, 32, 16, 4, 2)
    tensor_cores = kind == "dot16" or precision == "tf32"
    if not tensor_cores:
        sizes = ((64, 64, 16, 4, 3), (32, 32, 32, 4, 3))
    elif kind == "dot16":
        sizes = ((128, 128, 64, 8, 3), (64, 64, 64, 4, 4))
        if shared_memory() >= 227 << 10:  # Hopper's instructions keep the operands out of the registers
            sizes = ((128, 256, 64, 8, 3), *sizes)
    else:
        sizes = ((128, 128, 32, 8, 3), (64, 64, 32, 4, 3))
    filling = [
        size for size in sizes
        if -(-m // size[0]) * -(-n // size[1]) * batch >= 132 and m > size[0] // 2 and n > size[1] // 2
    ]  # fmt: skip
    block_m, block_n, block_k, warps, stages = filling[0] if filling else sizes[-1]
    # a few rows or columns: the operands' bandwidth counts, and empty rows of a tile are wasted
    block_m, block_n = max(16, min(block_m, next_power_of_2(m))), max(16, min(block_n, next_power_of_2(n)))
    return (
        block_m,
        block_n,
        block_k,
        warps,
        fitting_stages(stages, block_m, block_n, block_k, 2 if kind == "dot16" else 4),
    )


def gemm_splits(tiles: int, k: int, block_k: int) -> int:
    """Into how many parts k is split so that small products fill the machine; at least 4 steps of block_k each."""
    if SMALL or tiles >= 100:
        return 1
    return max(1, min(132 // tiles, k // (4 * block_k), 32))


# ------------------------------------------------------------------------------------------------------ the launch


def _batch_strides(x: Array, batch: tuple[int, ...]) -> list[int]:
    """Strides in elements over the batch dims, 0 where x broadcasts."""
    lead = x.shape[:-2]
    skip = len(batch) - len(lead)
    item = x.dtype.itemsize
    return [0] * skip + [0 if n == 1 else s // item for n, s in zip(lead, x.strides[:-2], strict=True)]


def _collapsed(batch: tuple[int, ...], a: list[int], b: list[int]) -> tuple[list[int], list[int], list[int]]:
    """Neighbouring batch dims merged where both operands step through them evenly."""
    sizes: list[int] = []
    sa: list[int] = []
    sb: list[int] = []
    for n, i, j in zip(batch, a, b, strict=True):
        if n == 1:
            continue
        if sizes and sa[-1] == i * n and sb[-1] == j * n:
            sizes[-1] *= n
            sa[-1], sb[-1] = i, j
        else:
            sizes.append(n)
            sa.append(i)
            sb.append(j)
    return sizes, sa, sb


def _copied(x: Array) -> Array:
    from ._pointwise import copy_into

    y = empty(x.shape, x.dtype)
    copy_into(y, x)
    return y


def gemm(a: Array, b: Array, bias: Array | None = None, tile: tuple[int, ...] | None = None, splits: int = 0) -> Array:
    """a (..., m, k) times b (..., k, n), batch dims broadcasting, + bias (n,); a new contiguous array.

    Args:
        a, b: device arrays of one dtype, with any strides.
        bias: (n,) or None.
        tile: (BLOCK_M, BLOCK_N, BLOCK_K), for tests; default `gemm_tile`'s.
        splits: parts of k, for tests; default `gemm_splits`'s.
    """
    kind = gemm_kind(a.dtype)
    lead = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    m, k = a.shape[-2:]
    n = b.shape[-1]
    c = empty((*lead, m, n), a.dtype)
    if not c.size:
        return c
    if b.ndim == 2 and a.ndim > 2 and a.flags.c_contiguous:  # one large product instead of a batch
        a = a.reshape((-1, k)) if a.size else empty((math.prod(a.shape[:-1]), k), a.dtype)
        m, lead = a.shape[0], ()
    sizes, sa, sb = _collapsed(lead, _batch_strides(a, lead), _batch_strides(b, lead))
    if len(sizes) > 2:
        a, b = _copied(_broadcast(a, lead)), _copied(_broadcast(b, lead))
        sizes, sa, sb = [math.prod(lead)], [m * k], [k * n]
    batch = math.prod(sizes)
    if a.ndim == b.ndim == 2 and tile is None and not splits and _gemm_persistent.fits(a, b, c):
        _gemm_persistent.gemm_persistent(a, b, bias, c)
        return c
    sizes, sa, sb = [1] * (2 - len(sizes)) + sizes, [0] * (2 - len(sa)) + sa, [0] * (2 - len(sb)) + sb
    item = a.dtype.itemsize
    strides = (
        sa[0], sa[1], a.strides[-2] // item, a.strides[-1] // item,
        sb[0], sb[1], b.strides[-2] // item, b.strides[-1] // item,
    )  # fmt: skip
    block_m, block_n, block_k, warps, stages = gemm_tile(kind, m, n, k, batch, _precision)
    if k % 16:  # element by element loads, which take registers
        block_k = min(block_k, 32)
    if tile is not None:
        block_m, block_n, block_k = tile
    tiles = -(-m // block_m) * -(-n // block_n) * batch
    splits = splits or gemm_splits(tiles, k, block_k)
    part = -(-k // (splits * block_k)) * block_k if splits > 1 else max(k, 1)
    splits = -(-k // part) if splits > 1 else 1
    if splits > 1:
        work = a.dtype if kind.startswith("f64") else np.dtype(np.int64 if kind == "int" else np.float32)
        target = empty((splits, batch * m * n), work)
    else:
        target = c
    launch(
        _gemm, (tiles, splits), a, b, bias if splits == 1 else None, target, m, n, k, part, batch, sizes[1], *strides,
        KIND=kind, PRECISION=_precision if kind == "f32" else "ieee", HAS_BIAS=bias is not None and splits == 1,
        EVEN_K=k % block_k == 0, GROUP_M=8, BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k,
        num_warps=warps, num_stages=stages,
    )  # fmt: skip
    if splits > 1:
        total = batch * m * n
        block = 16384 if SMALL else 1024
        launch(
            _add_splits,
            (-(-total // block),),
            target,
            bias,
            c,
            total,
            n,
            splits,
            HAS_BIAS=bias is not None,
            BLOCK=block,
        )
    return c


def _broadcast(x: Array, lead: tuple[int, ...]) -> Array:
    from ..device import as_strided

    item = x.dtype.itemsize
    strides = [s * item for s in _batch_strides(x, lead)]
    return as_strided(x, (*lead, *x.shape[-2:]), (*strides, *x.strides[-2:]))


def AOT() -> list:  # noqa: N802 - the name that the report looks for
    """The shipped tiles, in all layouts, for `tritorch.kernels.report`."""

    def case(dtype, m, n, k, layout="nn", bias=False, precision="ieee", split=False):
        def run(array):
            a = array((m, k), dtype) if layout[0] == "n" else array((k, m), dtype).T
            b = array((k, n), dtype) if layout[1] == "n" else array((n, k), dtype).T
            before = _precision
            set_float32_precision(precision)
            try:
                gemm(a, b, array((n,), dtype) if bias else None)
            finally:
                set_float32_precision(before)

        flags = ("matrix",) if (dtype in ("bf16", "fp16") or precision != "ieee") and not split else ()
        return (f"{dtype} {precision} {m}x{n}x{k} {layout}{' + bias' if bias else ''}", run, *flags)

    layouts = ("nn", "nt", "tn")
    return [
        *(case("bf16", 4096, 4096, 4096, layout) for layout in layouts),
        *(case("bf16", 1024, 2048, 1024, layout) for layout in layouts),
        case("fp16", 512, 512, 4096, bias=True, split=True),
        case("bf16", 16, 4096, 4096, "nt", split=True),
        case("bf16", 1000, 1000, 999),
        *(case("fp32", 2048, 2048, 2048, layout) for layout in layouts),
        case("fp32", 64, 256, 784, "nt", bias=True),
        *(case("fp32", 4096, 4096, 4096, layout, precision="tf32") for layout in layouts),
        case("fp64", 1024, 1024, 1024),
        case("i64", 256, 256, 256),
    ]
