"""Ranges of numbers: arange, range, linspace, logspace, with the roundings of PyTorch's vector code."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from .. import dtypes
from ..kernels._threads import parallel
from ..kernels.rounding import fma64
from ..tensor import Tensor
from .creation import check_ignored, deliver, kind_for

__all__ = ["arange", "linspace", "logspace", "range"]


def _bound(op: str, name: str, value: Any) -> Any:
    if isinstance(value, Tensor):
        if value.ndim and op != "arange":
            raise RuntimeError(f"{op} only supports 0-dimensional {name} tensors; got shape {tuple(value.shape)}")
        return value.item()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (bool, int, float, complex)):
        return value
    raise TypeError(f"{op}(): argument '{name}' must be Number, not {type(value).__name__}")


def arange(
    *bounds: Any,
    out: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **more: Any,
) -> Tensor:
    """`start + i * step` for all i up to `end`, which is left out.

    Arguments:
        start, end, step: `arange(end)`, `arange(start, end)` or `arange(start, end, step)`; start 0, step 1 by default.
        dtype: default: int64 when all are ints, else the default float.

    Raises:
        RuntimeError: step 0, step of the wrong sign, infinite or NaN bounds.

    >>> import tritorch as torch
    >>> torch.arange(1, 2, 0.5)
    tensor([1.0000, 1.5000])
    """
    if len(bounds) == 1 and not more and dtype is None and device is None and out is None and not requires_grad:
        n = bounds[0]
        if n.__class__ is int and n >= 0:  # by far the most frequent call
            a = np.arange(n, dtype=np.int64) if n <= 2 * _PIECE else _counted(n)
            return deliver("arange", a, None, False, None)
    alone = len(bounds) == 1 and "end" not in more
    given: dict[str, Any] = dict(zip(("end",) if alone else ("start", "end", "step"), bounds))
    for name in ("start", "end", "step"):
        if name in more:
            given[name] = more.pop(name)
    if more:
        check_ignored("arange", more)
    if "end" not in given or len(bounds) > 3:
        raise TypeError(
            f"arange() received an invalid combination of arguments - got {bounds}; expected end, or start, end, step"
        )
    start, end, step = (_bound("arange", n, given.get(n, d)) for n, d in (("start", 0), ("end", 0), ("step", 1)))
    if dtype is not None or out is not None:
        kind = kind_for("arange", dtype, out)
    else:
        whole = all(isinstance(v, int) for v in (start, end, step))
        kind = dtypes.int64 if whole else dtypes.get_default_dtype()
    return deliver("arange", _arange(start, end, step, kind), device, requires_grad, out, warn=True)


def _counted(n: int, kind: Any = np.int64) -> np.ndarray:
    """0 ... n - 1; of a large array a piece is written and the others are that piece plus a number."""
    if n <= 2 * _PIECE:
        return np.arange(n, dtype=kind)
    a = np.empty(n, kind)
    a[:_PIECE] = np.arange(_PIECE, dtype=kind)
    for i in builtins.range(_PIECE, n, _PIECE):
        np.add(a[: min(_PIECE, n - i)], a.dtype.type(i), out=a[i : i + _PIECE])
    return a


_PIECE = 1 << 15
_LONG = 1 << 17  # where threads share the pieces, which in shorter ones would wait for the interpreter's lock


def _arange(start: Any, end: Any, step: Any, kind: dtypes.dtype) -> np.ndarray:
    for v in (start, end, step):
        if isinstance(v, complex):
            raise RuntimeError(f"arange: value cannot be converted to type double without overflow: {v}")
    if kind.category in (dtypes.BOOL, dtypes.COMPLEX):
        raise NotImplementedError(f'"arange_cpu" not implemented for {kind}')
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if kind is dtypes.int64 and step and not int(step):
        raise ValueError(f"arange: step must be nonzero; {step} as int64 is 0")
    if not step:
        raise RuntimeError("arange: step must be nonzero")
    if (end - start) * (1 if step > 0 else -1) < 0:
        raise RuntimeError(
            f"arange: upper bound and lower bound inconsistent with step sign: start {start}, end {end}, step {step}"
        )
    if kind is dtypes.int64:
        start, end, step = int(start), int(end), int(step)
        return _counted(end) if start == 0 and step == 1 else np.arange(start, end, step, dtype=np.int64)
    n = math.ceil((end - start) / step)
    if kind.category == dtypes.INT:
        return (int(start) + int(step) * np.arange(n)).astype(kind.np)
    return _float_range(float(start), float(step), n, kind)


def _two_roundings(x: np.ndarray, scale: float, shift: Any) -> np.ndarray:
    return x * scale + shift


_LANES = {2: 16, 4: 8, 8: 4}  # numbers that PyTorch computes at once, by the dtype's size


def _float_range(start: float, step: float, n: int, kind: dtypes.dtype) -> np.ndarray:
    """start + i step, rounded as PyTorch's vector code does: within a vector the steps count from its first number."""
    if kind.is_half:
        start, step = float(np.float32(start)), float(np.float32(step))
    elif start == 0 and step == 1 and n < 1 << 24:  # all of them exact
        return _counted(n, kind.np)
    single = np.float32 if kind.is_half else kind.np  # half precision is rounded through float32
    # One rounding of start + i step matters where the result is float64; below, float64 has bits to spare.
    fused = fma64 if kind.itemsize == 8 else _two_roundings
    lanes = _LANES[kind.itemsize]
    whole = n // (2 * lanes) * (2 * lanes)
    a = np.empty(n, single)
    a[whole:] = fused(np.arange(whole, n, dtype=np.float64), step, start)
    if not whole:
        return a.astype(kind.np, copy=False)
    base = (
        fused(np.arange(0, whole, lanes, dtype=np.float64), step, start)
        .astype(single)
        .astype(kind.np)
        .astype(np.float64)
    )
    for k in builtins.range(lanes):
        a[k:whole:lanes] = fused(np.full(base.size if kind.itemsize == 8 else 1, float(k)), step, base)
    return a.astype(kind.np, copy=False)


def range(
    start: Any = 0, end: Any = None, step: Any = 1, *, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """`arange` with `end` included, of the default float; PyTorch calls it deprecated."""
    check_ignored("range", more)
    if end is None:
        start, end = 0, start
    kind = kind_for("range", dtype, out)
    start, end, step = (_bound("range", n, v) for n, v in (("start", start), ("end", end), ("step", step)))
    if not step:
        raise RuntimeError("range: step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(f"range: upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    n = int((end - start) / step) + 1
    a = _float_range(float(start), float(step), n, kind) if kind.category == dtypes.FLOAT else None
    if a is None:
        a = (int(start) + int(step) * np.arange(n)).astype(kind.np)
    return deliver("range", a, device, requires_grad, out)


def linspace(
    start: Any, end: Any, steps: int, *, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """`steps` numbers from `start` to `end`, both included, evenly spaced.

    Arguments:
        start, end: numbers or 0-dim tensors. steps: at least 0.
        dtype: default: the default float, or complex when one of them is.

    >>> import tritorch as torch
    >>> torch.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    check_ignored("linspace", more)
    start, end = _bound("linspace", "start", start), _bound("linspace", "end", end)
    kind = _spaced_kind("linspace", start, end, steps, dtype, out)
    return deliver("linspace", _linspace(start, end, steps, kind), device, requires_grad, out)


def _spaced_kind(op: str, start: Any, end: Any, steps: Any, dtype: Any, out: Tensor | None) -> dtypes.dtype:
    if not isinstance(steps, (int, np.integer)) or isinstance(steps, bool):
        raise TypeError(f"{op}(): argument 'steps' (position 3) must be int, not {type(steps).__name__}")
    if steps < 0:
        raise RuntimeError(f"{op}: number of steps must be non-negative; got {steps}")
    kind = kind_for(op, dtype, out)
    if isinstance(start, complex) or isinstance(end, complex):
        if dtype is None and out is None:
            kind = kind.to_complex()
        elif not kind.is_complex:
            raise RuntimeError(f"{op}: inferred dtype {kind.to_complex()} can't be safely cast to passed dtype {kind}")
    if kind is dtypes.bool_:
        raise NotImplementedError(f'"{op}_cpu" not implemented for {kind}')
    return kind


def _linspace(start: Any, end: Any, steps: int, kind: dtypes.dtype) -> np.ndarray:
    """The first half counts from the start, the second from the end."""
    if steps == 0:
        return np.empty(0, kind.np)
    if kind.category == dtypes.INT:
        start, end = int(start), int(end)
    if steps == 1:
        return np.array([start]).astype(kind.np)
    half = steps // 2
    if kind.is_complex:
        i = np.arange(steps, dtype=np.float64)
        step = (end - start) / (steps - 1)
        return np.where(i < half, start + step * i, end - step * (steps - 1 - i)).astype(kind.np)
    single = np.float64 if kind.itemsize == 8 or kind.category == dtypes.INT else np.float32
    first, last = single(start), single(end)
    step = float((last - first) / single(steps - 1))
    a = np.empty(steps, single)
    fused = fma64 if single is np.float64 else _two_roundings
    first, last = float(first), float(last)

    def pieces(start: int, stop: int) -> None:  # that stay in cache
        for i in builtins.range(start * _LONG, min(stop * _LONG, steps), _LONG):
            at = np.arange(i, min(i + _LONG, steps), dtype=np.float64)
            left, part = max(half - i, 0), a[i : i + _LONG]
            if left:
                part[:left] = fused(at[:left], step, first)
            if left < at.size:
                part[left:] = fused(steps - 1 - at[left:], -step, last)

    parallel(pieces, -(-steps // _LONG), 2)
    return (np.trunc(a) if kind.category == dtypes.INT else a).astype(kind.np, copy=False)


def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, out: Tensor | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """`base` to the power of each number of `linspace(start, end, steps)`; the ends of an integer dtype are integers."""
    check_ignored("logspace", more)
    start, end = _bound("logspace", "start", start), _bound("logspace", "end", end)
    kind = _spaced_kind("logspace", start, end, steps, dtype, out)
    wide = dtypes.complex128 if kind.is_complex else dtypes.float64
    with np.errstate(all="ignore"):
        if kind.category == dtypes.INT:  # the ends lose their fractions, not the exponents between them
            start, end = int(start), int(end)
        exponents = _linspace(start, end, steps, wide)
        a = np.power(wide.np.type(base), exponents).astype(kind.np)
    return deliver("logspace", a, device, requires_grad, out)
