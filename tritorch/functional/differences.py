"""Differences, derivatives and integrals of sampled functions: diff, gradient, trapezoid, cumulative_trapezoid."""

from __future__ import annotations

from typing import Any

from ..binding import method
from ..dtypes import bool_
from ..errors import check_dim, check_dims, message
from ..tensor import TENSORS, Tensor
from ._arguments import tensor
from .joining import cat

__all__ = ["cumulative_trapezoid", "diff", "gradient", "trapezoid", "trapz"]


@method(out=True)
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The n-th differences x_(i+1) - x_i along `dim` (of bools: whether they differ).

    Arguments:
        prepend, append: joined to input first; n = 0 gives a copy of the input alone.

    >>> import tritorch as torch
    >>> torch.diff(torch.tensor([1, 3, 2]))
    tensor([ 2, -1])
    """
    x: Any = tensor("diff", input)
    if x.dim() == 0:
        raise RuntimeError(message("diff", "expects input to be at least one-dimensional", input=input))
    if n < 0:
        raise RuntimeError(f"diff: order must be non-negative but got {n}")
    d = check_dim("diff", dim, x.dim())
    if n == 0:
        return x.clone()
    parts = [t for t in (prepend, x, append) if t is not None]
    if len(parts) > 1:
        if any(t.dim() != x.dim() for t in parts):
            rule = "expects prepend and append to have as many dims as input"
            raise RuntimeError(message("diff", rule, input=input, prepend=prepend, append=append))
        x = cat(parts, d)
    for _ in range(min(n, x.shape[d])):
        size = x.shape[d] - 1
        if size < 0:
            break
        high, low = x.narrow(d, 1, size), x.narrow(d, 0, size)
        x = high.logical_xor(low) if x.dtype is bool_ else high - low
    return x


def _spacings(op: str, x: Any, spacing: Any, dim: Any) -> tuple[tuple[int, ...], list[Any]]:
    given = spacing if isinstance(spacing, (tuple, list)) else None
    if dim is None:
        dims = tuple(range(x.dim()))
        if given is not None and len(given) != len(dims):
            raise RuntimeError(f"{op}: expected spacing to have {len(dims)} entries, one per dim; got {len(given)}")
    else:
        dims = check_dims(op, dim if isinstance(dim, (tuple, list)) else (dim,), x.dim())
    steps = list(given) if given is not None else [spacing] * len(dims)
    if len(steps) != len(dims):
        raise RuntimeError(f"{op}: expected spacing to have one entry per dim, {len(dims)}; got {len(steps)}")
    return dims, steps


def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> list[Tensor]:
    """The derivatives of a sampled function along each dim, by second-order central differences.

    Arguments:
        spacing: the distance of neighbouring samples, or per dim a distance or a 1-D tensor of coordinates.
        dim: the dims, default all. edge_order: 1 or 2, the order of the one-sided differences at the ends.

    >>> import tritorch as torch
    >>> torch.gradient(torch.tensor([1.0, 2.0, 4.0, 7.0]))
    [tensor([1.0000, 1.5000, 2.5000, 3.0000])]
    """
    x: Any = tensor("gradient", input)
    dims, steps = _spacings("gradient", x, 1 if spacing is None else spacing, dim)
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient: edge_order must be 1 or 2; got {edge_order}")
    result = []
    for d, step in zip(dims, steps, strict=True):
        n = x.shape[d]
        if n <= edge_order:
            raise RuntimeError(
                message("gradient", f"each dim's size must be at least edge_order+1 = {edge_order + 1}", input=input)
            )
        if x.dtype.category < 2:
            x = x.float()

        def at(start: int, stop: int, x: Any = x, d: int = d) -> Any:
            return x.narrow(d, start, stop - start)

        if step.__class__ in TENSORS and step._a.ndim == 1:
            shape = [-1 if i == d else 1 for i in range(x.dim())]
            h = step.diff().to(x.dtype)  # type: ignore[attr-defined]
            h1, h2 = h[:-1].reshape(shape), h[1:].reshape(shape)
            middle = at(0, n - 2) * (-h2 / (h1 * (h1 + h2))) + at(1, n - 1) * ((h2 - h1) / (h1 * h2))
            middle = middle + at(2, n) * (h1 / (h2 * (h1 + h2)))
            a, b, c, e = h[0], h[1] if n > 2 else h[0], h[-1], h[-2] if n > 2 else h[-1]
        else:
            h = float(step)
            middle = (at(2, n) - at(0, n - 2)) / (2 * h)
            a = b = c = e = h
        if edge_order == 1:
            first, last = (at(1, 2) - at(0, 1)) / a, (at(n - 1, n) - at(n - 2, n - 1)) / c
        else:
            first = (
                at(0, 1) * (-(2 * a + b) / (a * (a + b)))
                + at(1, 2) * ((a + b) / (a * b))
                - at(2, 3) * (a / (b * (a + b)))
            )
            last = at(n - 3, n - 2) * (c / (e * (c + e))) - at(n - 2, n - 1) * ((c + e) / (c * e))
            last = last + at(n - 1, n) * ((2 * c + e) / (c * (c + e)))
        result.append(cat([first, middle, last], d))
    return result


def _areas(op: str, y: Any, x: Any, dx: Any, dim: int) -> tuple[Any, int]:
    """The areas of the trapezoids along a dim."""
    y = tensor(op, y)
    if x is not None and dx is not None:
        raise TypeError(f"{op}(): takes x or dx, not both")
    d = check_dim(op, dim, y._a.ndim)
    if y._a.ndim == 0:
        raise IndexError(f"{op}: y must have at least one dim")
    n = y._a.shape[d]
    if y.dtype is bool_ or x is not None and x.dtype is bool_:
        raise RuntimeError(f"{op}: received a bool input; trapezoids of bools have no area")
    if n == 0:
        return y.new_zeros(y.shape), d  # type: ignore[attr-defined]
    pairs = y.narrow(d, 1, n - 1) + y.narrow(d, 0, n - 1)  # type: ignore[attr-defined]
    if x is None:
        return pairs * (0.5 * (1.0 if dx is None else dx)), d
    if x._a.ndim == 1:
        if x._a.shape[0] != n:
            raise RuntimeError(message(op, f"there must be one x value for each sample along dim {d}", x=x, y=y))
        widths = x.diff().reshape([-1 if i == d else 1 for i in range(y._a.ndim)])
    else:
        widths = x.diff(dim=d - y._a.ndim)
    return pairs * widths / 2, d


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral of a sampled function along `dim` by the trapezoidal rule.

    Arguments:
        y: the samples. x: their coordinates, 1-D or broadcastable. dx: or their distance, default 1.

    >>> import tritorch as torch
    >>> torch.trapezoid(torch.tensor([1.0, 5.0, 10.0]))
    tensor(10.5000)
    """
    areas, d = _areas("trapezoid", y, x, dx, dim)
    return areas.sum(d - y._a.ndim)


def trapz(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """As `trapezoid`."""
    return trapezoid(y, x, dx=dx, dim=dim)


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integrals from the first to each later sample, see `trapezoid`.

    >>> import tritorch as torch
    >>> torch.cumulative_trapezoid(torch.tensor([1.0, 5.0, 10.0]))
    tensor([ 3.0000, 10.5000])
    """
    areas, d = _areas("cumulative_trapezoid", y, x, dx, dim)
    return areas.cumsum(d - y._a.ndim)
