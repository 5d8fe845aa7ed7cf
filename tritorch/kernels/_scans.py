"""Scans of device arrays along one dim: sums, products, logarithms of sums, extrema and linear recurrences.

The dims are merged to (m, r, k), of which r is scanned. A program walks along its rows tile by tile, with a carry. A few
long rows are cut into parts, so that they keep the whole machine busy:

    1. a program per part computes the part's total and stores nothing else
    2. the totals, (m, parts, k), are scanned
    3. a program per part scans it, starting from the scanned total of the part before

Nothing is added in an order that depends on when programs run, so two runs give equal bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._configs import SMALL, next_power_of_2
from ._fold import contiguous
from ._launch import empty, empty_like, kernel, launch
from ._op import Array
from .reduce import kind

if TYPE_CHECKING:
    import triton.language as tl

PROGRAMS = 4 if SMALL else 528
"""As many programs as parts are made for: four on each of an H100's 132 multiprocessors."""
TILES = 4
"""Tiles of a part at least, so that the carry between parts costs little."""


@kernel
def _add(a, b):
    return a + b


@kernel
def _times(a, b):
    return a * b


@kernel
def _log_add(a, b):
    top = tl.where(a > b, a, b)
    top = tl.where(tl.abs(top) == float("inf"), 0.0, top)
    return top + tl.log(tl.exp(a - top) + tl.exp(b - top))


@kernel
def _later_max(a, a_at, b, b_at):
    later = (b >= a) | (b != b)
    return tl.where(later, b, a), tl.where(later, b_at, a_at)


@kernel
def _later_min(a, a_at, b, b_at):
    later = (b <= a) | (b != b)
    return tl.where(later, b, a), tl.where(later, b_at, a_at)


@kernel
def _then(a1, b1, a2, b2):
    """First h -> a1 h + b1, then h -> a2 h + b2; a long product may overflow where b1 is 0."""
    return a1 * a2, tl.where(b1 == 0, b2, a2 * b1 + b2)


@kernel
def _scan(
    x_ptr, y_ptr, carry_ptr, n_out, r, k, part,
    KIND: tl.constexpr, OP: tl.constexpr, IDENTITY: tl.constexpr, REVERSE: tl.constexpr, TOTALS: tl.constexpr,
    BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """Scan x and y (m, r, k), contiguous, along the middle dim by OP: sum, prod or logaddexp.

    Program (i, p) does rows i * BLOCK_J ... of the n_out = m * k, the elements p * part ... of each, counted from the
    end with REVERSE. carry (m, parts, k) holds the scanned totals of the parts, None where there is one part. TOTALS:
    only the part's total is stored, y is (m, parts, k). Both blocks are powers of two; IDENTITY leaves OP unchanged.
    """
    ACC: tl.constexpr = tl.float64 if KIND == "f64" else (tl.int64 if KIND == "i64" else tl.float32)
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    p = tl.program_id(1).to(tl.int64)
    j_ok = j < n_out
    m = j // k
    own = (m * tl.num_programs(1) + p) * k + (j - m * k)  # the part's place among the totals
    start = p * part
    count = tl.minimum(r - start, part).to(tl.int32)
    cols = tl.arange(0, BLOCK_R)[None, :]
    if carry_ptr is not None:
        carry = tl.load(carry_ptr + own - k, mask=j_ok & (p > 0), other=IDENTITY).to(ACC)
    else:
        carry = tl.full((BLOCK_J,), IDENTITY, ACC)
    for i in range(0, count, BLOCK_R):
        mask = (i + cols < count) & j_ok[:, None]
        place = start + i + cols
        if REVERSE:
            place = r - 1 - place
        at = (m * r * k + (j - m * k))[:, None] + place * k
        v = tl.load(x_ptr + at, mask=mask, other=0).to(ACC)
        v = tl.where(mask, v, IDENTITY).to(ACC)
        if TOTALS:
            if OP == "sum":
                carry += tl.sum(v, 1)
            elif OP == "prod":
                carry *= tl.reduce(v, 1, _times)
            else:
                carry = _log_add(carry, tl.reduce(v, 1, _log_add))
        else:
            if OP == "sum":
                v = tl.associative_scan(v, 1, _add) + carry[:, None]
            elif OP == "prod":
                v = tl.associative_scan(v, 1, _times) * carry[:, None]
            else:
                v = _log_add(tl.associative_scan(v, 1, _log_add), carry[:, None])
            carry = tl.sum(tl.where(cols == BLOCK_R - 1, v, 0), 1).to(ACC)
            tl.store(y_ptr + at, v.to(y_ptr.dtype.element_ty), mask=mask)
    if TOTALS:
        tl.store(y_ptr + own, carry, mask=j_ok)


@kernel
def _scan_extremum(
    x_ptr, from_ptr, y_ptr, at_ptr, carry_ptr, carry_at_ptr, n_out, r, k, part,
    KIND: tl.constexpr, MAX: tl.constexpr, WORST: tl.constexpr, TOTALS: tl.constexpr,
    BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """Running maximum (minimum) y of x (m, r, k) along the middle dim and its last index `at` (int64), contiguous.

    Programs, parts, carry and TOTALS as in `_scan`; from (m, r, k), int64: the indices to give for x's elements, None
    for their own. WORST loses against every element.
    """
    ACC: tl.constexpr = tl.float64 if KIND == "f64" else (tl.int64 if KIND == "i64" else tl.float32)
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    p = tl.program_id(1).to(tl.int64)
    j_ok = j < n_out
    m = j // k
    own = (m * tl.num_programs(1) + p) * k + (j - m * k)
    start = p * part
    count = tl.minimum(r - start, part).to(tl.int32)
    cols = tl.arange(0, BLOCK_R)[None, :]
    if carry_ptr is not None:
        carry = tl.load(carry_ptr + own - k, mask=j_ok & (p > 0), other=WORST).to(ACC)
        carry_at = tl.load(carry_at_ptr + own - k, mask=j_ok & (p > 0), other=0)
    else:
        carry = tl.full((BLOCK_J,), WORST, ACC)
        carry_at = tl.zeros((BLOCK_J,), tl.int64)
    for i in range(0, count, BLOCK_R):
        mask = (i + cols < count) & j_ok[:, None]
        place = start + i + cols
        to = (m * r * k + (j - m * k))[:, None] + place * k
        v = tl.load(x_ptr + to, mask=mask, other=WORST).to(ACC)
        if from_ptr is not None:
            at = tl.load(from_ptr + to, mask=mask, other=0)
        else:
            at = tl.where(mask, place, 0)
        if MAX:
            v, at = tl.associative_scan((v, at), 1, _later_max)
            later = (v >= carry[:, None]) | (v != v)
        else:
            v, at = tl.associative_scan((v, at), 1, _later_min)
            later = (v <= carry[:, None]) | (v != v)
        v = tl.where(later, v, carry[:, None])
        at = tl.where(later, at, carry_at[:, None])
        last = cols == tl.minimum(count - i, BLOCK_R) - 1
        carry = tl.sum(tl.where(last, v, 0), 1).to(ACC)
        carry_at = tl.sum(tl.where(last, at, 0), 1)
        if not TOTALS:
            tl.store(y_ptr + to, v.to(y_ptr.dtype.element_ty), mask=mask)
            tl.store(at_ptr + to, at, mask=mask)
    if TOTALS:
        tl.store(y_ptr + own, carry.to(y_ptr.dtype.element_ty), mask=j_ok)
        tl.store(at_ptr + own, carry_at, mask=j_ok)


@kernel
def _scan_linear(
    a_ptr, b_ptr, h_ptr, factor_ptr, carry_ptr, n_out, r, k, part,
    F64: tl.constexpr, REVERSE: tl.constexpr, TOTALS: tl.constexpr, BLOCK_J: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """h_t = a_t h_{t-1} + b_t along the middle dim of a, b, h (m, r, k), contiguous; REVERSE from the end.

    Programs, parts and carry as in `_scan`. TOTALS: h (m, parts, k) is where a part ends that starts at 0, factor
    (m, parts, k) what it multiplies its start by.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    j = tl.program_id(0).to(tl.int64) * BLOCK_J + tl.arange(0, BLOCK_J)
    p = tl.program_id(1).to(tl.int64)
    j_ok = j < n_out
    m = j // k
    own = (m * tl.num_programs(1) + p) * k + (j - m * k)
    start = p * part
    count = tl.minimum(r - start, part).to(tl.int32)
    cols = tl.arange(0, BLOCK_R)[None, :]
    factor = tl.full((BLOCK_J,), 1, ACC)
    if carry_ptr is not None:
        carry = tl.load(carry_ptr + own - k, mask=j_ok & (p > 0), other=0).to(ACC)
    else:
        carry = tl.zeros((BLOCK_J,), ACC)
    for i in range(0, count, BLOCK_R):
        mask = (i + cols < count) & j_ok[:, None]
        place = start + i + cols
        if REVERSE:
            place = r - 1 - place
        at = (m * r * k + (j - m * k))[:, None] + place * k
        a = tl.load(a_ptr + at, mask=mask, other=1).to(ACC)
        b = tl.load(b_ptr + at, mask=mask, other=0).to(ACC)
        a, b = tl.associative_scan((a, b), 1, _then)
        h = tl.where(carry[:, None] == 0, b, a * carry[:, None] + b)
        carry = tl.sum(tl.where(cols == BLOCK_R - 1, h, 0), 1)
        if TOTALS:
            factor *= tl.sum(tl.where(cols == BLOCK_R - 1, a, 0), 1)
        else:
            tl.store(h_ptr + at, h.to(h_ptr.dtype.element_ty), mask=mask)
    if TOTALS:
        tl.store(h_ptr + own, carry, mask=j_ok)
        tl.store(factor_ptr + own, factor, mask=j_ok)


# ---- the launches --------------------------------------------------------------------------------------------------


def tiles(n_out: int, r: int, k: int) -> tuple[int, int, int]:
    """(BLOCK_J, BLOCK_R, warps) of a scan over `n_out` rows of `r` elements, `k` apart."""
    block_r = min(next_power_of_2(r), 1024 if k == 1 else 64)
    block_j = min(next_power_of_2(n_out), max(1, (4096 if SMALL else 1024) // block_r))
    return block_j, block_r, 4


def parts(programs: int, r: int, block_r: int) -> tuple[int, int]:
    """(how many parts a row of `r` elements is cut into, elements of each) when `programs` programs do the rows."""
    n = max(1, min(PROGRAMS // programs, r // (TILES * block_r)))
    part = -(-r // (n * block_r)) * block_r
    return -(-r // part), part


def folded(x: Array, dim: int) -> tuple[Array, int, int, int]:
    """`x`, contiguous, and its sizes before `dim`, of it and after it."""
    x = contiguous(x)
    m = r = k = 1
    for i, n in enumerate(x.shape):
        m, r, k = (m * n, r, k) if i < dim else (m, n, k) if i == dim else (m, r, k * n)
    return x, m, r, k


def scan_gpu(x: Array, dim: int, reverse: bool, operation: str, result: Any = None) -> Array:
    """x scanned along `dim` by sum, prod or logaddexp; `result` is the NumPy dtype, x's own by default."""
    x, m, r, k = folded(x, dim)
    y = empty_like(x, result)
    if x.size == 0:
        return y
    name, wide = kind(x.dtype)
    block_j, block_r, warps = tiles(m * k, r, k)
    programs = -(-m * k // block_j)
    n, part = parts(programs, r, block_r)

    def run(y: Array, carry: Array | None, totals: bool) -> None:
        launch(
            _scan, (programs, n), x, y, carry, m * k, r, k, part,
            KIND=name, OP=operation, IDENTITY={"sum": 0, "prod": 1}.get(operation, float("-inf")), REVERSE=reverse,
            TOTALS=totals, BLOCK_J=block_j, BLOCK_R=block_r, num_warps=warps,
        )  # fmt: skip

    carry = None
    if n > 1:
        totals = empty((m, n, k), wide)
        run(totals, None, True)
        carry = scan_gpu(totals, 1, False, operation)
    run(y, carry, False)
    return y


def extremum_gpu(x: Array, dim: int, largest: bool, given: Array | None = None) -> tuple[Array, Array]:
    """Running maximum or minimum along `dim` and the index of its last occurrence, or what `given` says for it."""
    x, m, r, k = folded(x, dim)
    y, at = empty_like(x), empty_like(x, np.int64)
    if x.size == 0:
        return y, at
    name, _ = kind(x.dtype)
    info = np.iinfo(x.dtype) if x.dtype.kind in "iu" else None
    worst: Any = float("-inf") if largest else float("inf")
    if name == "i64":
        worst = int(not largest) if info is None else int(info.min if largest else info.max)
    block_j, block_r, warps = tiles(m * k, r, k)
    programs = -(-m * k // block_j)
    n, part = parts(programs, r, block_r)

    def run(y: Array, at: Array, carry: tuple[Array | None, Array | None], totals: bool) -> None:
        launch(
            _scan_extremum, (programs, n), x, given, y, at, *carry, m * k, r, k, part,
            KIND=name, MAX=largest, WORST=worst, TOTALS=totals, BLOCK_J=block_j, BLOCK_R=block_r, num_warps=warps,
        )  # fmt: skip

    carry: tuple[Array | None, Array | None] = (None, None)
    if n > 1:
        best, best_at = empty((m, n, k), x.dtype), empty((m, n, k), np.int64)
        run(best, best_at, carry, True)
        carry = extremum_gpu(best, 1, largest, best_at)
    run(y, at, carry, False)
    return y, at


def linear_gpu(a: Array, b: Array, dim: int, reverse: bool) -> Array:
    """h_t = a_t h_{t-1} + b_t along `dim`, from the end with `reverse`."""
    a, m, r, k = folded(a, dim)
    b = folded(b, dim)[0]
    h = empty_like(b)
    if h.size == 0:
        return h
    wide = kind(b.dtype)[1]
    block_j, block_r, warps = tiles(m * k, r, k)
    programs = -(-m * k // block_j)
    n, part = parts(programs, r, block_r)

    def run(h: Array, factor: Array | None, carry: Array | None) -> None:
        launch(
            _scan_linear, (programs, n), a, b, h, factor, carry, m * k, r, k, part,
            F64=wide.itemsize == 8, REVERSE=reverse, TOTALS=factor is not None,
            BLOCK_J=block_j, BLOCK_R=block_r, num_warps=warps,
        )  # fmt: skip

    carry = None
    if n > 1:
        end, factor = empty((m, n, k), wide), empty((m, n, k), wide)
        run(end, factor, None)
        carry = linear_gpu(factor, end, 1, False)
    run(h, None, carry)
    return h


AOT = [
    ("sum fp32 of 2^26 in parts", lambda array: scan_gpu(array((1 << 26,)), 0, True, "sum")),
    ("prod bf16 of 2^24 in parts", lambda array: scan_gpu(array((1 << 24,), "bf16"), 0, False, "prod")),
    ("logaddexp fp32 of 2^24 in parts", lambda array: scan_gpu(array((1 << 24,)), 0, False, "logaddexp")),
    ("cummax fp32 of 2^24 in parts", lambda array: extremum_gpu(array((1 << 24,)), 0, True)),
    ("cummin i64 2^20 x 8 in parts", lambda array: extremum_gpu(array((1 << 20, 8), "i64"), 0, False)),
    ("linear fp32 of 2^24 in parts", lambda array: linear_gpu(array((1 << 24,)), array((1 << 24,)), 0, True)),
]
