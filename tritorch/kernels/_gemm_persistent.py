"""The large half-precision product through tensor descriptors: copies of whole tiles by the memory engine of sm_90.

One program per multiprocessor walks over tiles of c, so that the loads of the next tile overlap the end of this one. The
addresses and masks of `_gemm` are gone: a descriptor knows the matrix, what lies outside of it reads as 0 and is not
written. It asks for a dense dim, rows that start at multiples of 16 bytes, and one matrix; `_gemm` does the rest.

It is taken where the device has the engine and `use_descriptors(True)` or TRITORCH_DESCRIPTORS=1 says so: until it has
been measured against `_gemm` on such a device, `_gemm` is the default.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..device import EMULATED, address, backend, current_device
from ._launch import kernel, launch
from ._op import Array
from ._replay import forget

if TYPE_CHECKING:
    import triton.language as tl

_wanted = os.environ.get("TRITORCH_DESCRIPTORS", "0") == "1"


def use_descriptors(wanted: bool) -> None:
    """Large half-precision products on sm_90 and later through tensor descriptors (True) or through pointers."""
    global _wanted
    _wanted = wanted
    forget()


@kernel
def _gemm_persistent(
    a_ptr, b_ptr, bias_ptr, c_ptr, m, n, k, stride_a, stride_b,
    TURNED_A: tl.constexpr, TURNED_B: tl.constexpr, HAS_BIAS: tl.constexpr, GROUP_M: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, HALVES: tl.constexpr,
):  # fmt: skip
    """c (m, n), contiguous, from a (m, k), b (k, n) and bias (n,); 16-bit, float32 sums.

    a lies in rows of stride_a elements, of k of them, or TURNED_A in rows of m; b in rows of n, or TURNED_B of k. The
    programs share out the tiles of c, in grouped order. HALVES (1 or 2): parts in which a tile is written.
    """
    if TURNED_A:
        a = tl.make_tensor_descriptor(a_ptr, shape=[k, m], strides=[stride_a, 1], block_shape=[BLOCK_K, BLOCK_M])
    else:
        a = tl.make_tensor_descriptor(a_ptr, shape=[m, k], strides=[stride_a, 1], block_shape=[BLOCK_M, BLOCK_K])
    if TURNED_B:
        b = tl.make_tensor_descriptor(b_ptr, shape=[n, k], strides=[stride_b, 1], block_shape=[BLOCK_N, BLOCK_K])
    else:
        b = tl.make_tensor_descriptor(b_ptr, shape=[k, n], strides=[stride_b, 1], block_shape=[BLOCK_K, BLOCK_N])
    c = tl.make_tensor_descriptor(c_ptr, shape=[m, n], strides=[n, 1], block_shape=[BLOCK_M, BLOCK_N // HALVES])
    tiles_m = (m + BLOCK_M - 1) // BLOCK_M
    tiles_n = (n + BLOCK_N - 1) // BLOCK_N
    width = GROUP_M * tiles_n
    for t in tl.range(tl.program_id(0), tiles_m * tiles_n, tl.num_programs(0), flatten=True):
        group = t // width
        rows = tl.minimum(tiles_m - group * GROUP_M, GROUP_M)
        at_m = (group * GROUP_M + (t - group * width) % rows) * BLOCK_M
        at_n = (t - group * width) // rows * BLOCK_N
        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
        for i in range(0, k, BLOCK_K):
            if TURNED_A:
                left = a.load([i, at_m]).T
            else:
                left = a.load([at_m, i])
            if TURNED_B:
                right = b.load([at_n, i]).T
            else:
                right = b.load([i, at_n])
            acc = tl.dot(left, right, acc)
        if HAS_BIAS:
            rn = at_n + tl.arange(0, BLOCK_N)
            acc += tl.load(bias_ptr + rn, mask=rn < n, other=0).to(tl.float32)[None, :]
        if HALVES == 2:
            first, second = acc.reshape((BLOCK_M, 2, BLOCK_N // 2)).permute((0, 2, 1)).split()
            c.store([at_m, at_n], first.to(c_ptr.dtype.element_ty))
            c.store([at_m, at_n + BLOCK_N // 2], second.to(c_ptr.dtype.element_ty))
        else:
            c.store([at_m, at_n], acc.to(c_ptr.dtype.element_ty))


def _rows(x: Array) -> tuple[bool, int] | None:
    """(is the first dim the dense one, elements from row to row) of a matrix that a descriptor can describe, or None."""
    item = x.dtype.itemsize
    for turned in (False, True):
        outer, inner = x.strides[::-1] if turned else x.strides
        if inner == item and outer >= x.shape[0 if turned else 1] * item and outer % 16 == 0:
            return turned, outer // item
    return None


def _aligned(x: Array) -> bool:
    return address(x) % 16 == 0


def has_engine() -> bool:
    """Has the current device the engine that copies tiles."""
    return not backend().hip and tuple(backend().capability(current_device())) in ((9, 0), (10, 0), (10, 3), (12, 0))


def fits(a: Array, b: Array, c: Array) -> bool:
    """Is a (m, k) times b (k, n) into contiguous c one for this kernel: large, half precision, described by descriptors."""
    m, k = a.shape
    n = b.shape[1]
    if not _wanted or a.dtype.itemsize != 2 or a.dtype.kind not in "fV" or min(m, n) < 256 or k < 64 or n % 8:
        return False
    return _rows(a) is not None and _rows(b) is not None and _aligned(a) and _aligned(b) and has_engine()


def gemm_persistent(
    a: Array, b: Array, bias: Array | None, c: Array, tile: tuple[int, int, int] = (128, 256, 64), programs: int = 0
) -> None:
    """c = a b (+ bias), for what `fits` says is so.

    Args:
        tile: (BLOCK_M, BLOCK_N, BLOCK_K).
        programs: how many; by default one per multiprocessor.
    """
    (m, k), n = a.shape, b.shape[1]
    (turned_a, stride_a), (turned_b, stride_b) = _rows(a), _rows(b)  # type: ignore[misc]
    block_m, block_n, block_k = tile
    tiles = -(-m // block_m) * -(-n // block_n)
    programs = programs or (4 if EMULATED else backend().multiprocessors(current_device()))
    launch(
        _gemm_persistent, (min(tiles, programs),), a, b, bias, c, m, n, k, stride_a, stride_b,
        TURNED_A=turned_a, TURNED_B=turned_b, HAS_BIAS=bias is not None, GROUP_M=8,
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, HALVES=2 if block_n >= 256 else 1,
        num_warps=8, num_stages=3,
    )  # fmt: skip


def AOT() -> list[Any]:  # noqa: N802 - the name that the report looks for
    """All layouts at the shipped tile; on targets without the engine the report sees `_gemm`."""
    from ._gemm import gemm

    def case(dtype: str, layout: str, bias: bool = False) -> Any:
        def run(array: Any) -> None:
            a = array((4096, 4096), dtype) if layout[0] == "n" else array((4096, 4096), dtype).T
            b = array((4096, 4096), dtype) if layout[1] == "n" else array((4096, 4096), dtype).T
            before = _wanted
            use_descriptors(True)
            try:
                gemm(a, b, array((4096,), dtype) if bias else None)
            finally:
                use_descriptors(before)

        return f"{dtype} 4096x4096x4096 {layout}{' + bias' if bias else ''}", run, "matrix"

    return [*(case("bf16", layout) for layout in ("nn", "nt", "tn", "tt")), case("fp16", "nt", True)]
