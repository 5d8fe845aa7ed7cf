"""Scaled dot-product attention: y = softmax(q k^T * scale + mask) v, without keeping the matrix of scores.

q is (B, H, L, E), k (B, G, S, E), v (B, G, S, D); H is a multiple of G and the H / G query heads of a group share a
key head (grouped queries, arXiv 2305.13245). On the CPU the scores of one key head are made in blocks of query rows
that stay in cache; the backward makes them again (arXiv 2205.14135).

A row whose keys are all masked gives 0 and sends no gradient.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..device import EMULATED
from ._fold import contiguous, ones
from ._gemm import is_amd
from ._launch import empty, kernel, launch
from ._op import Array, op
from ._pointwise import cast, fill
from ._rows import long_runs
from ._threads import parallel
from .reduce import reduce_gpu

if TYPE_CHECKING:
    import triton.language as tl

# ------------------------------------------------------------------------------------------------------ the kernels


@kernel
def _scores(
    q, k, mask_ptr, rows, keys, b, h, n_rows, n_keys, mask_b, mask_h, mask_l, mask_s,
    SCALE: tl.constexpr, CAUSAL: tl.constexpr, MASK: tl.constexpr, F64: tl.constexpr,
):  # fmt: skip
    """Masked scores of a tile: q (M, E) of `rows` against k (E, N) of `keys`, -inf where a pair does not take part."""
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    s = tl.dot(q, k, input_precision="ieee", out_dtype=ACC) * SCALE
    seen = (rows < n_rows)[:, None] & (keys < n_keys)[None, :]
    if MASK != "":
        at = b * mask_b + h * mask_h + rows[:, None].to(tl.int64) * mask_l + keys[None, :] * mask_s
        m = tl.load(mask_ptr + at, mask=seen, other=0)
        if MASK == "bool":
            seen = seen & (m != 0)
        else:
            s = s + m.to(ACC)
    if CAUSAL:
        seen = seen & (keys[None, :] <= rows[:, None])
    return tl.where(seen, s, float("-inf"))


@kernel
def _attention_fwd(
    q_ptr, k_ptr, v_ptr, mask_ptr, y_ptr, lse_ptr, heads, group, n_rows, n_keys, width, depth, mask_b, mask_h, mask_l,
    mask_s,
    SCALE: tl.constexpr, CAUSAL: tl.constexpr, MASK: tl.constexpr, F64: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """y (B, H, L, D) and lse (B, H, L) of q (B, H, L, E), k (B, H / group, S, E), v (B, H / group, S, D), contiguous.

    mask: any strides (0 where it broadcasts), MASK "bool" (stored as bytes) or "add". One program makes BLOCK_M rows
    of one head and walks the keys BLOCK_N at a time with a running maximum (arXiv 2205.14135).
    BLOCK_E >= E, BLOCK_D >= D, both at least 16.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    first = tl.program_id(0) * BLOCK_M
    head = tl.program_id(1).to(tl.int64)
    b = head // heads
    h = head % heads
    kv = b * (heads // group) + h // group
    rows = first + tl.arange(0, BLOCK_M)
    e = tl.arange(0, BLOCK_E)
    d = tl.arange(0, BLOCK_D)
    cols = tl.arange(0, BLOCK_N)
    q_at = (head * n_rows + rows[:, None]) * width + e[None, :]
    q = tl.load(q_ptr + q_at, mask=(rows < n_rows)[:, None] & (e < width)[None, :], other=0)
    top = tl.full((BLOCK_M,), float("-inf"), ACC)
    total = tl.zeros((BLOCK_M,), ACC)
    acc = tl.zeros((BLOCK_M, BLOCK_D), ACC)
    end = n_keys
    if CAUSAL:
        end = tl.minimum(n_keys, first + BLOCK_M)
    for start in range(0, end, BLOCK_N):
        keys = start + cols
        k_at = (kv * n_keys + keys[None, :]) * width + e[:, None]
        k = tl.load(k_ptr + k_at, mask=(keys < n_keys)[None, :] & (e < width)[:, None], other=0)
        s = _scores(
            q, k, mask_ptr, rows, keys, b, h, n_rows, n_keys, mask_b, mask_h, mask_l, mask_s, SCALE, CAUSAL, MASK, F64
        )
        high = tl.max(s, 1)
        high = tl.where(high > top, high, top)
        safe = tl.where(high == float("-inf"), 0.0, high)
        p = tl.exp(s - safe[:, None])
        shrink = tl.exp(top - safe)
        total = total * shrink + tl.sum(p, 1)
        v_at = (kv * n_keys + keys[:, None]) * depth + d[None, :]
        v = tl.load(v_ptr + v_at, mask=(keys < n_keys)[:, None] & (d < depth)[None, :], other=0)
        acc = acc * shrink[:, None] + tl.dot(p.to(v.dtype), v, input_precision="ieee", out_dtype=ACC)
        top = high
    none = total == 0  # all keys masked: y is 0, and exp(s - lse) will be
    y = acc / tl.where(none, 1, total)[:, None]
    y_at = (head * n_rows + rows[:, None]) * depth + d[None, :]
    tl.store(y_ptr + y_at, y.to(y_ptr.dtype.element_ty), mask=(rows < n_rows)[:, None] & (d < depth)[None, :])
    lse = tl.where(none, float("inf"), top + tl.log(tl.where(none, 1, total)))
    tl.store(lse_ptr + head * n_rows + rows, lse, mask=rows < n_rows)


@kernel
def _attention_bwd_q(
    q_ptr, k_ptr, v_ptr, mask_ptr, lse_ptr, g_ptr, y_ptr, gq_ptr, gs_ptr, heads, group, n_rows, n_keys, width, depth,
    mask_b, mask_h, mask_l, mask_s, SCALE: tl.constexpr, CAUSAL: tl.constexpr, MASK: tl.constexpr, STORE: tl.constexpr,
    F64: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """gq of q, from g and y (B, H, L, D); layouts as in `_attention_fwd`. STORE: also the scores' gradient gs (B, H,
    L, S).

    With p = exp(s - lse): gs = p (g v^T - sum(g y)), gq = scale gs k. One program makes BLOCK_M rows of one head.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    first = tl.program_id(0) * BLOCK_M
    head = tl.program_id(1).to(tl.int64)
    b = head // heads
    h = head % heads
    kv = b * (heads // group) + h // group
    rows = first + tl.arange(0, BLOCK_M)
    e = tl.arange(0, BLOCK_E)
    d = tl.arange(0, BLOCK_D)
    q_at = (head * n_rows + rows[:, None]) * width + e[None, :]
    q_ok = (rows < n_rows)[:, None] & (e < width)[None, :]
    q = tl.load(q_ptr + q_at, mask=q_ok, other=0)
    y_at = (head * n_rows + rows[:, None]) * depth + d[None, :]
    y_ok = (rows < n_rows)[:, None] & (d < depth)[None, :]
    g = tl.load(g_ptr + y_at, mask=y_ok, other=0)
    dot = tl.sum(g.to(ACC) * tl.load(y_ptr + y_at, mask=y_ok, other=0).to(ACC), 1)
    lse = tl.load(lse_ptr + head * n_rows + rows, mask=rows < n_rows, other=float("inf")).to(ACC)
    acc = tl.zeros((BLOCK_M, BLOCK_E), ACC)
    end = n_keys
    if CAUSAL:
        end = tl.minimum(n_keys, first + BLOCK_M)
    for start in range(0, end, BLOCK_N):
        keys = start + tl.arange(0, BLOCK_N)
        k_ok = (keys < n_keys)[:, None] & (e < width)[None, :]
        k = tl.load(k_ptr + (kv * n_keys + keys[:, None]) * width + e[None, :], mask=k_ok, other=0)
        s = _scores(
            q, tl.trans(k), mask_ptr, rows, keys, b, h, n_rows, n_keys, mask_b, mask_h, mask_l, mask_s, SCALE, CAUSAL,
            MASK, F64,
        )  # fmt: skip
        v_ok = (keys < n_keys)[None, :] & (d < depth)[:, None]
        v = tl.load(v_ptr + (kv * n_keys + keys[None, :]) * depth + d[:, None], mask=v_ok, other=0)
        gs = tl.exp(s - lse[:, None]) * (tl.dot(g, v, input_precision="ieee", out_dtype=ACC) - dot[:, None])
        acc += tl.dot(gs.to(k.dtype), k, input_precision="ieee", out_dtype=ACC)
        if STORE:
            inside = (rows < n_rows)[:, None] & (keys < n_keys)[None, :]
            tl.store(gs_ptr + (head * n_rows + rows[:, None]) * n_keys + keys[None, :], gs, mask=inside)
    tl.store(gq_ptr + q_at, (acc * SCALE).to(gq_ptr.dtype.element_ty), mask=q_ok)


@kernel
def _attention_bwd_kv(
    q_ptr, k_ptr, v_ptr, mask_ptr, lse_ptr, g_ptr, y_ptr, gk_ptr, gv_ptr, heads, group, n_rows, n_keys, width, depth,
    mask_b, mask_h, mask_l, mask_s, SCALE: tl.constexpr, CAUSAL: tl.constexpr, MASK: tl.constexpr,
    F64: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """gk and gv of k and v: gv = p^T g, gk = scale gs^T q, see `_attention_bwd_q`.

    One program makes BLOCK_N keys of one key head and walks the query rows of its group, so nothing is added
    atomically.
    """
    ACC: tl.constexpr = tl.float64 if F64 else tl.float32
    first = tl.program_id(0) * BLOCK_N
    kv = tl.program_id(1).to(tl.int64)
    groups = heads // group
    b = kv // groups
    keys = first + tl.arange(0, BLOCK_N)
    e = tl.arange(0, BLOCK_E)
    d = tl.arange(0, BLOCK_D)
    k_at = (kv * n_keys + keys[:, None]) * width + e[None, :]
    k_ok = (keys < n_keys)[:, None] & (e < width)[None, :]
    k = tl.load(k_ptr + k_at, mask=k_ok, other=0)
    v_at = (kv * n_keys + keys[:, None]) * depth + d[None, :]
    v_ok = (keys < n_keys)[:, None] & (d < depth)[None, :]
    v = tl.load(v_ptr + v_at, mask=v_ok, other=0)
    acc_k = tl.zeros((BLOCK_N, BLOCK_E), ACC)
    acc_v = tl.zeros((BLOCK_N, BLOCK_D), ACC)
    begin = 0
    if CAUSAL:
        begin = first // BLOCK_M * BLOCK_M
    for member in range(0, group):
        h = kv % groups * group + member
        head = b * heads + h
        for start in range(begin, n_rows, BLOCK_M):
            rows = start + tl.arange(0, BLOCK_M)
            q_ok = (rows < n_rows)[:, None] & (e < width)[None, :]
            q = tl.load(q_ptr + (head * n_rows + rows[:, None]) * width + e[None, :], mask=q_ok, other=0)
            y_at = (head * n_rows + rows[:, None]) * depth + d[None, :]
            y_ok = (rows < n_rows)[:, None] & (d < depth)[None, :]
            g = tl.load(g_ptr + y_at, mask=y_ok, other=0)
            dot = tl.sum(g.to(ACC) * tl.load(y_ptr + y_at, mask=y_ok, other=0).to(ACC), 1)
            lse = tl.load(lse_ptr + head * n_rows + rows, mask=rows < n_rows, other=float("inf")).to(ACC)
            s = _scores(
                q, tl.trans(k), mask_ptr, rows, keys, b, h, n_rows, n_keys, mask_b, mask_h, mask_l, mask_s, SCALE,
                CAUSAL, MASK, F64,
            )  # fmt: skip
            p = tl.exp(s - lse[:, None])
            acc_v += tl.dot(tl.trans(p.to(g.dtype)), g, input_precision="ieee", out_dtype=ACC)
            gs = p * (tl.dot(g, tl.trans(v), input_precision="ieee", out_dtype=ACC) - dot[:, None])
            acc_k += tl.dot(tl.trans(gs.to(q.dtype)), q, input_precision="ieee", out_dtype=ACC)
    tl.store(gk_ptr + k_at, (acc_k * SCALE).to(gk_ptr.dtype.element_ty), mask=k_ok)
    tl.store(gv_ptr + v_at, acc_v.to(gv_ptr.dtype.element_ty), mask=v_ok)


def _mask_strides(mask: Array | None) -> tuple[tuple[int, ...], str]:
    """Strides in elements, 0 where the mask broadcasts, and the kernels' MASK."""
    if mask is None:
        return (0, 0, 0, 0), ""
    strides = tuple(0 if n == 1 else s // mask.dtype.itemsize for n, s in zip(mask.shape, mask.strides, strict=True))
    return strides, "bool" if mask.dtype.kind == "b" else "add"


def _attention_gpu_grad(g, q, k, v, mask, y, lse, scale: float, causal: bool, needs):
    b, heads, n_rows, width = q.shape
    n_keys, depth = k.shape[2], v.shape[3]
    g, q, k, v, y = (_dense(a) for a in (g, q, k, v, y))
    gq, gk, gv = empty(q.shape, q.dtype), empty(k.shape, k.dtype), empty(v.shape, v.dtype)
    wide = np.float64 if q.dtype.itemsize == 8 else np.float32
    gs = None
    if needs[3]:
        gs = empty((b, heads, n_rows, n_keys), wide)
        if gs.size:
            fill(gs, 0)
    strides, kind = _mask_strides(mask)
    block_m, block_n, warps, stages = _tiles(width, depth, q.dtype.itemsize, True)
    common: dict = {
        "SCALE": scale, "CAUSAL": causal, "MASK": kind, "F64": wide is np.float64, "BLOCK_M": block_m,
        "BLOCK_N": block_n, "BLOCK_E": _pow2(width), "BLOCK_D": _pow2(depth), "num_warps": warps, "num_stages": stages,
    }  # fmt: skip
    sizes = (heads, heads // max(k.shape[1], 1), n_rows, n_keys, width, depth, *strides)
    if needs[0] or needs[3]:
        grid = (-(-n_rows // block_m), b * heads)
        launch(_attention_bwd_q, grid, q, k, v, mask, lse, g, y, gq, gs, *sizes, STORE=gs is not None, **common)
    if needs[1] or needs[2]:
        launch(
            _attention_bwd_kv, (-(-n_keys // block_n), b * k.shape[1]), q, k, v, mask, lse, g, y, gk, gv, *sizes,
            **common,
        )  # fmt: skip
    gm = None
    if gs is not None:
        dims = tuple(i for i in range(4) if mask.shape[i] == 1 and gs.shape[i] != 1)
        gm = (
            reduce_gpu(gs, dims, True, "sum", mask.dtype)
            if dims
            else gs
            if gs.dtype == mask.dtype
            else cast(gs, mask.dtype)
        )
    return gq, gk, gv, gm


def _dense(x: Array) -> Array:
    return contiguous(x)


def _pow2(n: int) -> int:
    return max(16, 1 << max(n - 1, 0).bit_length())


def _tiles(width: int, depth: int, itemsize: int, backward: bool) -> tuple[int, int, int, int]:
    """(BLOCK_M, BLOCK_N, warps, stages); float32 products do not run on tensor cores and need many registers."""
    wide = max(width, depth)
    if EMULATED:
        return 32, 32, 4, 1
    if itemsize >= 4 or wide > 256:
        if wide > 64:
            return 16, 16, 8, 1
        return (32, 16, 4, 1) if backward else (32, 32, 8, 1)
    if backward:
        return (64, 64, 8, 2) if wide <= 64 and not is_amd() else (64, 32, 8, 1) if wide <= 128 else (32, 16, 8, 1)
    return (128, 64, 8, 2 if is_amd() else 3) if wide <= 128 else (64, 32, 8, 2)


# ----------------------------------------------------------------------------------------------- the CPU and the op

SCORES = 1 << 16  # elements of one block of scores: 256 KiB in float32


class _Walk:
    """The blocks of one call: arrays as (B, G, h, rows, width), h = H / G query heads on each of G key heads.

    A task is a pair of slices over B and G whose scores, for as many query rows as fit, fill about `SCORES` elements;
    `rows` are the spans of query rows within a task, each with the number of keys that it can see.
    """

    def __init__(self, q: Array, k: Array, mask: Array | None, scale: float, causal: bool, less: Array | None = None):
        b, heads, n_rows, width = q.shape
        g, n_keys = k.shape[1], k.shape[2]
        h = heads // g
        self.width, self.q, self.k = width, (q * scale).reshape(b, g, h, n_rows, width), k
        if less is not None:
            self.q, self.k = _minus(self.q, less.reshape(b, g, h, n_rows)), _and_one(k)
        self.mask = None
        if mask is not None:
            self.mask = np.broadcast_to(mask, (b, heads, n_rows, n_keys)).reshape(b, g, h, n_rows, n_keys)
        self.tasks, self.rows, self.grain = _plan(b, g, h, n_rows, n_keys, causal)
        self.hidden = [_hidden(span.start, span.stop, n, q.dtype.char) if causal else None for span, n in self.rows]
        self.run_length = n_keys

    def run(self, block) -> None:
        """`block(bs, gs, i, rows, n)` for each task and its i-th span of rows, tasks over threads."""

        def tasks(first: int, last: int) -> None:
            for bs, gs in self.tasks[first:last]:
                for i, (rows, n) in enumerate(self.rows):
                    block(bs, gs, i, rows, n)

        with long_runs(self.run_length):
            parallel(tasks, len(self.tasks), self.grain)

    def scores(self, bs: slice, gs: slice, i: int) -> tuple[Array, Array]:
        """(scaled query rows (b, g, h * l, E), their masked scores, less what is to be subtracted, (b, g, h, l, n))."""
        rows, n = self.rows[i]
        q = self.q[bs, gs, :, rows]
        b, g, h, length, width = q.shape
        q = q.reshape(b, g, h * length, width)
        s = (q @ self.k[bs, gs, :n].swapaxes(2, 3)).reshape(b, g, h, length, n)
        if self.mask is not None:
            m = self.mask[bs, gs, :, rows, :n]
            if m.dtype == np.bool_:
                np.copyto(s, -np.inf, where=~m)
            else:
                s += m
        if self.hidden[i] is not None:
            s += self.hidden[i]
        return q[..., : self.width], s


@lru_cache(maxsize=256)
def _plan(b: int, g: int, h: int, n_rows: int, n_keys: int, causal: bool) -> tuple[list, list, int]:
    """The tasks, the rows, and how many tasks are worth a thread."""
    step = max(1, min(n_rows, SCORES // (n_keys * h)))
    several = max(1, SCORES // (h * n_rows * n_keys))  # whole heads in one task
    group = min(several, g)
    batch = min(b, max(1, several // g))
    tasks = [
        (slice(i, min(i + batch, b)), slice(j, min(j + group, g)))
        for i in range(0, b, batch)
        for j in range(0, g, group)
    ]
    spans = [slice(i, min(i + step, n_rows)) for i in range(0, n_rows, step)]
    rows = [(span, min(n_keys, span.stop) if causal else n_keys) for span in spans]
    return tasks, rows, max(1, (1 << 18) // max(1, batch * group * h * n_rows * n_keys))


@lru_cache(maxsize=8)
def _hidden(start: int, stop: int, n: int, kind: str) -> Array | None:
    """What is added to the scores of the rows start ... stop with n keys: -inf for the keys after a row's own."""
    if n <= start + 1:
        return None
    later = np.where(np.arange(n) > np.arange(start, stop)[:, None], -np.inf, 0).astype(kind)
    later.flags.writeable = False
    return later


def _minus(rows: Array, less: Array) -> Array:
    """The rows with one more entry, -less: times `_and_one`, the difference comes out of the product itself."""
    return np.concatenate([rows, -less[..., None]], -1)


def _and_one(rows: Array) -> Array:
    return np.concatenate([rows, np.ones((*rows.shape[:-1], 1), rows.dtype)], -1)


@op
class attention:
    """y (B, H, L, D) of q, k, v and a mask that broadcasts to (B, H, L, S): bool (True takes part) or added to scores.

    causal: row i sees the keys 0..i. Also gives lse (B, H, L), float32 or wider, for the backward.
    """

    differentiable = 1

    def cpu(q: Array, k: Array, v: Array, mask: Array | None, scale: float, causal: bool) -> tuple[Array, Array]:
        if 0 in q.shape[:3] or not v.size:
            return np.zeros((*q.shape[:3], v.shape[3]), q.dtype), np.full(q.shape[:3], np.inf, q.dtype)
        y = np.empty((*q.shape[:3], v.shape[3]), q.dtype)
        lse = np.empty(q.shape[:3], q.dtype)
        walk = _Walk(q, k, mask, scale, causal)
        y5, lse4 = y.reshape((*walk.q.shape[:4], v.shape[3])), lse.reshape(walk.q.shape[:4])

        def block(bs: slice, gs: slice, i: int, rows: slice, n: int) -> None:
            _, s = walk.scores(bs, gs, i)
            b, g, h, length, _ = s.shape
            one = ones(n, s.dtype.char)
            top = total = None
            if np.maximum.reduce(s, axis=None) <= 60:  # exp cannot overflow: no need for each row's maximum
                np.exp(s, out=s)
                total = s @ one
                if not np.minimum.reduce(total, axis=None) >= 1e-10:  # digits lost, or a row without any key
                    total = None
                    _, s = walk.scores(bs, gs, i)
            if total is None:
                top = s.max(axis=-1)
                dead = top == -np.inf
                top[dead] = 0
                s -= top[..., None]
                np.exp(s, out=s)
                total = s @ one
                total[dead] = np.inf  # makes y 0 here, and exp(s - lse) 0 in the backward
            out = (s.reshape(b, g, h * length, n) @ v[bs, gs, :n]).reshape(b, g, h, length, -1)
            out *= (1 / total)[..., None]
            y5[bs, gs, :, rows] = out
            np.log(total, out=total)
            if top is not None:
                total += top
            lse4[bs, gs, :, rows] = total

        walk.run(block)
        return y, lse

    def gpu(q: Array, k: Array, v: Array, mask: Array | None, scale: float, causal: bool) -> tuple[Array, Array]:
        b, heads, n_rows, width = q.shape
        n_keys, depth = k.shape[2], v.shape[3]
        y = empty((b, heads, n_rows, depth), q.dtype)
        lse = empty((b, heads, n_rows), np.float64 if q.dtype.itemsize == 8 else np.float32)
        if not y.size:
            return y, lse
        q, k, v = _dense(q), _dense(k), _dense(v)
        strides, kind = _mask_strides(mask)
        block_m, block_n, warps, stages = _tiles(width, depth, q.dtype.itemsize, False)
        launch(
            _attention_fwd, (-(-n_rows // block_m), b * heads), q, k, v, mask, y, lse, heads, heads // k.shape[1],
            n_rows, n_keys,
            width, depth, *strides, SCALE=scale, CAUSAL=causal, MASK=kind, F64=q.dtype.itemsize == 8, BLOCK_M=block_m,
            BLOCK_N=block_n, BLOCK_E=_pow2(width), BLOCK_D=_pow2(depth), num_warps=warps, num_stages=stages,
        )  # fmt: skip
        return y, lse

    def grad(g, q, k, v, mask, y0, y1, scale, causal, needs):
        b, h, length, width = q.shape
        groups = k.shape[1]
        split = (b, groups, h // groups, length)
        qs = q.reshape((*split, width))
        gs = g.reshape((*split, v.shape[3]))
        ks, vs = k.unsqueeze(2), v.unsqueeze(2)
        s = ((qs @ ks.mT) * scale).reshape((b, h, length, k.shape[2]))
        if mask is not None:
            s = s + (mask if mask.dtype.is_floating_point else s.new_zeros(mask.shape).masked_fill(~mask, -np.inf))
        if causal:
            s = s + s.new_full((length, k.shape[2]), -np.inf).triu(1)
        dead = (s == -np.inf).all(-1, True)
        p = s.masked_fill(dead, 0.0).softmax(-1).masked_fill(dead, 0.0)
        ps = p.reshape((*split, k.shape[2]))
        gp = gs @ vs.mT
        ds = ps * (gp - (gp * ps).sum(-1, True))
        gq = ((ds @ ks) * scale).reshape(q.shape) if needs[0] else None
        gk = ((ds.mT @ qs) * scale).sum(2) if needs[1] else None
        gv = (ps.mT @ gs).sum(2) if needs[2] else None
        gm = None
        if needs[3]:
            gm = ds.reshape((b, h, length, k.shape[2]))
            dims = tuple(i for i in range(4) if mask.shape[i] == 1 and gm.shape[i] != 1)
            gm = gm.sum(dims, True) if dims else gm
        return gq, gk, gv, gm

    def gpu_grad(g, q, k, v, mask, y0, y1, scale, causal, needs):
        return _attention_gpu_grad(g, q, k, v, mask, y0, y1, scale, causal, needs)

    def cpu_grad(g, q, k, v, mask, y0, y1, scale, causal, needs):
        gq = np.zeros(q.shape, q.dtype)
        gk, gv = np.zeros(k.shape, k.dtype), np.zeros(v.shape, v.dtype)
        gm = np.zeros((*q.shape[:3], k.shape[2]), q.dtype) if needs[3] else None
        if g.size and k.shape[2]:
            walk = _Walk(q, k, mask, scale, causal, y1)
            lead = walk.q.shape[:4]
            g5, gq5 = g.reshape((*lead, v.shape[3])), gq.reshape((*lead, q.shape[3]))
            g5_less, v_one = _minus(g5, np.vecdot(g, y0).reshape(lead)), _and_one(v)
            gm5 = None if gm is None else gm.reshape((*lead, k.shape[2]))

            def block(bs: slice, gs: slice, i: int, rows: slice, n: int) -> None:
                qs, p = walk.scores(bs, gs, i)
                shape = p.shape
                flat = (shape[0], shape[1], shape[2] * shape[3], -1)
                np.exp(p, out=p)
                p, gy = p.reshape(flat), g5[bs, gs, :, rows].reshape(flat)
                gv[bs, gs, :n] += p.swapaxes(2, 3) @ gy
                ds = g5_less[bs, gs, :, rows].reshape(flat) @ v_one[bs, gs, :n].swapaxes(2, 3)
                ds *= p
                if gm5 is not None:
                    gm5[bs, gs, :, rows, :n] = ds.reshape(shape)
                gk[bs, gs, :n] += ds.swapaxes(2, 3) @ qs
                out = ds @ k[bs, gs, :n]
                out *= scale
                gq5[bs, gs, :, rows] = out.reshape((*shape[:4], -1))

            walk.run(block)
        return gq, gk, gv, None if gm is None else _sum_to(gm, mask.shape)

    def samples(rng):
        q, k, v = rng.normal(size=(2, 4, 5, 3)), rng.normal(size=(2, 4, 7, 3)), rng.normal(size=(2, 4, 7, 2))
        yield (q, k, v, None), (0.5, False)
        yield (q, k[:, :2].copy(), v[:, :2].copy(), rng.normal(size=(1, 4, 5, 7))), (0.5, False)
        mask = rng.random((2, 1, 5, 7)) < 0.6
        mask[0, 0, 2] = False
        yield (q, k, v, mask), (0.3, False)
        yield (q, k, v, None), (0.5, True)

    def cost(q, k, v, mask, scale, causal):
        pairs = q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] // (2 if causal else 1)
        return q.nbytes * 2 + k.nbytes + v.nbytes, 2 * pairs * (q.shape[3] + v.shape[3])


def _sum_to(a: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the dims that `shape` broadcasts."""
    dims = tuple(i for i, n in enumerate(shape) if n == 1 and a.shape[i] != 1)
    return a.sum(axis=dims, keepdims=True) if dims else a


def _aot() -> list:
    def tensors(array, kind, width, groups=16):
        q = (4, 16, 2048, width)
        return array(q, kind), array((4, groups, 2048, width), kind), array((4, groups, 2048, width), kind)

    def forward(kind, width, causal, groups=16):
        return lambda array: attention.gpu(*tensors(array, kind, width, groups), None, 0.125, causal)

    def backward(kind, width, causal):
        def run(array):
            q, k, v = tensors(array, kind, width)
            lse = array((4, 16, 2048))
            return attention.gpu_grad(q, q, k, v, None, q, lse, 0.125, causal, (True, True, True, False))

        return run

    return [
        ("attention bf16 64 wide causal", forward("bf16", 64, True), "matrix"),
        ("attention fp16 128 wide", forward("fp16", 128, False), "matrix"),
        ("attention bf16 128 wide, grouped", forward("bf16", 128, True, 4), "matrix"),
        ("attention fp32 64 wide", forward("fp32", 64, True)),
        ("attention backward bf16 64 wide causal", backward("bf16", 64, True), "matrix"),
        ("attention backward bf16 128 wide", backward("bf16", 128, False), "matrix"),
        ("attention backward fp32 64 wide", backward("fp32", 64, True)),
        ("attention bf16 256 wide", forward("bf16", 256, False), "matrix"),
        ("attention backward bf16 256 wide", backward("bf16", 256, False), "matrix"),
        ("attention fp32 128 wide", forward("fp32", 128, False)),
        ("attention backward fp32 128 wide", backward("fp32", 128, False)),
    ]


AOT = _aot
