"""Parameters on cuda: gathered by dtype and device for one launch each; what the kernels can't take runs on tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..tensor import Tensor

Row = tuple[Tensor | None, ...]


def gather(rows: Iterable[Row]) -> tuple[dict[tuple[Any, ...], list[tuple[Any, ...]]], list[int]]:
    """Rows of tensors as raw arrays, by (dtype, device); and the positions of the rows that the kernels can't take.

    Args:
        rows: (parameter, gradient, states or None ...); a gradient of another layout is made contiguous.
    """
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    rest: list[int] = []
    for i, (p, g, *states) in enumerate(rows):
        assert p is not None and g is not None
        plain = p.is_contiguous() and all(s is None or s.is_contiguous() and s.dtype is p.dtype for s in states)
        if not plain or p.is_complex():
            rest.append(i)
            continue
        arrays = (p._a, g.contiguous()._a, *(None if s is None else s._a for s in states))
        groups.setdefault((p.dtype, p.device), []).append(arrays)
    return groups, rest


def run(kernel: Callable[..., None], rows: list[Row], c: dict[str, float], **options: Any) -> list[int]:
    """Launch `kernel` for each dtype and device among `rows`; returns the positions of the rows left over."""
    groups, rest = gather(rows)
    for (_, device), arrays in groups.items():
        kernel(arrays, c, device.index or 0, **options)
    return rest
