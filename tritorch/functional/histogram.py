"""How often values come: bincount, histc, histogram, histogramdd."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import return_types
from ..binding import given, method
from ..device import CPU
from ..dtypes import float32, float64, int64
from ..errors import message
from ..kernels.nonzero import searchsorted
from ..tensor import TENSORS, Tensor, wrap
from ._arguments import tensor
from .ranges import linspace

__all__ = ["bincount", "histc", "histogram", "histogramdd"]


def _counts(bins: Any, weights: Any, n: int) -> Any:
    """Per number in [0, n) how often it is in `bins`, or the sum of its weights."""
    if bins.device is CPU:
        w = None if weights is None else weights.detach()._a
        return wrap(np.bincount(bins._a, w, n))
    zeros = bins.new_zeros((n,), dtype=int64 if weights is None else weights.dtype)
    ones = bins.new_ones(bins.shape, dtype=zeros.dtype) if weights is None else weights.detach()
    return zeros.index_add(0, bins, ones)


@method
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number 0, 1, ..., max(input) comes, or the sum of its weights; no gradient.

    Arguments:
        input: 1-D, non-negative integers.
        weights: of input's size. minlength: at least so many numbers are counted.

    Returns:
        int64; with weights float32 for float32 ones, else float64.

    >>> import tritorch as torch
    >>> torch.bincount(torch.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    x: Any = tensor("bincount", input)
    if x.dtype.category != 1:
        raise NotImplementedError(message("bincount", "input must have an integer dtype", input=x))
    if x.dim() != 1 or x.numel() and int(x.min()) < 0:
        raise RuntimeError(message("bincount", "only supports 1-d non-negative integral inputs", input=x))
    if minlength < 0:
        raise RuntimeError(f"bincount: minlength should be >= 0; got {minlength}")
    if weights is not None:
        if weights.shape != x.shape:
            raise RuntimeError(message("bincount", "weights must have the shape of input", input=x, weights=weights))
        weights = weights if weights.dtype is float32 else weights.to(float64)  # type: ignore[attr-defined]
    n = max(minlength, int(x.max()) + 1 if x.numel() else 0)
    y = _counts(x.to(int64), weights, n)
    return y if weights is None else y.to(weights.dtype)


def _range(op: str, x: Any, given: Any, margin: float = 0.5) -> tuple[float, float]:
    """The bounds: the given ones, else the data's, (0, 1) without data; `margin` around them where they are equal."""
    if given is not None:
        low, high = map(float, given)
    else:
        low, high = (x.min().item(), x.max().item()) if x.numel() else (0.0, 1.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{op}: range of [{low}, {high}] is not finite")
    if low == high:
        low, high = low - margin, high + margin
    if low > high:
        raise RuntimeError(f"{op}: max must be larger than min; got min: {low}, max: {high}")
    return low, high


@method(out=True)
def histc(input: Tensor, bins: int = 100, min: Any = 0, max: Any = 0) -> Tensor:
    """How many elements lie in each of `bins` intervals of equal width between min and max; no gradient.

    Arguments:
        input: floating point. min, max: the ends; the data's when they are equal. What lies outside is not counted.

    Returns:
        input's dtype; the counting is in int64, so that counts in half precision are the nearest ones.

    >>> import tritorch as torch
    >>> torch.histc(torch.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    x: Any = tensor("histc", input).detach()
    if not x.dtype.is_floating_point:
        raise NotImplementedError(message("histc", "input must have a floating point dtype", input=x))
    if bins <= 0:
        raise RuntimeError(f"histc: bins must be > 0; got {bins}")
    kind = x.dtype
    x = x.reshape((-1,)).to(float32 if kind.is_half else kind)
    low, high = _range("histc", x, None if min == max else (min, max), 1.0)
    if min != max:  # else the range is that of the data
        x = x[(x >= low) & (x <= high)]
    place = ((x - low) * (bins / (high - low))).to(int64).clamp(max=bins - 1)
    return _counts(place, None, bins).to(kind)


def _edges(op: str, x: Any, bins: Any, given: Any) -> Any:
    if bins.__class__ in TENSORS:
        if bins._a.ndim != 1 or bins.dtype is not x.dtype:
            raise RuntimeError(message(op, "the edges must be a 1-D tensor of input's dtype", bins=bins, input=x))
        return bins.detach()
    if bins < 1:
        raise RuntimeError(f"{op}: bins must be > 0; got {bins}")
    low, high = _range(op, x, given)
    return linspace(low, high, bins + 1, dtype=x.dtype, device=x.device)


def _place(x: Any, edges: Any) -> tuple[Any, Any]:
    """(number of the interval, is it inside) of each element; the last interval holds its end."""
    n = edges.numel() - 1
    place_t: Any = searchsorted(edges, x.contiguous(), True) - 1
    last = x == edges[n]
    place_t = place_t - last.to(int64) * (place_t - (n - 1))
    return place_t, (x >= edges[0]) & (x <= edges[n])


def _histogram(op: str, x: Any, edges: list[Any], weight: Any, density: bool) -> Any:
    """The counts of the rows of x (n, d) in the cells of the edges."""
    sizes = [e.numel() - 1 for e in edges]
    cell, inside = None, None
    for d, e in enumerate(edges):
        place, ok = _place(x[:, d], e)
        cell = place if cell is None else cell * sizes[d] + place
        inside = ok if inside is None else inside & ok
    assert cell is not None
    w = None if weight is None else weight.detach().reshape((-1,))[inside]
    total = int(np.prod(sizes))
    y = _counts(cell[inside], w, total).to(x.dtype).reshape(sizes)
    if density:
        volume = y.new_ones(())
        for e in edges:
            volume = volume.unsqueeze(-1) * e.diff()
        y = y / (y.sum() * volume)
    return y


@method
def histogram(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None, weight: Tensor | None = None,
    density: bool = False, out: Any = None,
) -> Any:  # fmt: skip
    """(hist, bin_edges): how many elements, or how much of their weight, lie in each interval; no gradient.

    Arguments:
        input: float32 or float64.
        bins: a number of intervals of equal width over `range` (default: the data's, (0, 1) without data), or the increasing edges.
        weight: of input's shape. density: divide by the total and by the widths.

    >>> import tritorch as torch
    >>> torch.histogram(torch.tensor([1.0, 2.0, 1.0]), bins=4, range=(0.0, 3.0)).hist
    tensor([0., 2., 1., 0.])
    """
    x: Any = tensor("histogram", input).detach()
    _check(x, weight, "histogram")
    edges = _edges("histogram", x, bins, range)
    y = _histogram("histogram", x.reshape((-1, 1)), [edges], weight, density)
    return given("histogram", return_types.histogram(y, edges), out)  # type: ignore[attr-defined]


def _check(x: Any, weight: Any, op: str, shape: Any = None) -> None:
    if x.dtype not in (float32, float64):
        raise NotImplementedError(message(op, "not implemented for this dtype; float32 and float64 are", input=x))
    if weight is not None and (
        tuple(weight.shape) != tuple(x.shape if shape is None else shape) or weight.dtype is not x.dtype
    ):
        raise RuntimeError(message(op, "weight must have input's shape and dtype", input=x, weight=weight))


def histogramdd(
    input: Tensor,
    bins: Any,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """(hist, bin_edges): `histogram` in several dims.

    Arguments:
        input: (*, d), points. bins: a number for all dims, d numbers, or d tensors of edges.
        range: 2 d numbers, the low and high end of each dim.
    """
    x: Any = tensor("histogramdd", input).detach()
    if x.dim() < 2:
        raise RuntimeError(message("histogramdd", "input must have at least 2 dimensions", input=input))
    _check(x, weight, "histogramdd", x.shape[:-1])
    d = x.shape[-1]
    x = x.reshape((-1, d))
    each = [bins] * d if isinstance(bins, int) else list(bins)
    if len(each) != d:
        raise RuntimeError(f"histogramdd: bins must have one entry per dim, {d}; got {len(each)}")
    edges = []
    for i, b in enumerate(each):
        edges.append(_edges("histogramdd", x[:, i], b, None if range is None else range[2 * i : 2 * i + 2]))
    return return_types.histogramdd(_histogram("histogramdd", x, edges, weight, density), tuple(edges))  # type: ignore[attr-defined]
