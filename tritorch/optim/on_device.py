"""Parameters on cuda: gathered by dtype and device for one launch each; what the kernels can't take runs on tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..tensor import Tensor

Row = tuple[Tensor | None, ...]


def gather(rows: Iterable[Row]) -> tuple[dict[tuple[Any, ...], list[tuple[int, tuple[Any, ...]]]], list[int]]:
    """(position, raw arrays) of rows of tensors, by (dtype, device); and the positions of the rows left over.

    Args:
        rows: (parameter, gradient, states or None ...); a gradient of another layout is made contiguous. Left over are
            those that the kernels can't take.
    """
    groups: dict[tuple[Any, ...], list[tuple[int, tuple[Any, ...]]]] = {}
    rest: list[int] = []
    for i, (p, g, *states) in enumerate(rows):
        assert p is not None and g is not None
        plain = p.is_contiguous() and all(s is None or s.is_contiguous() and s.dtype is p.dtype for s in states)
        if not plain or p.is_complex():
            rest.append(i)
            continue
        arrays = (p._a, g.contiguous()._a, *(None if s is None else s._a for s in states))
        groups.setdefault((p.dtype, p.device), []).append((i, arrays))
    return groups, rest


def rate(lr: Any, device: Any) -> Any:
    """A learning rate for kernels on a device: the memory of a tensor that is there, else a number."""
    return lr._a if isinstance(lr, Tensor) and lr.device is device else float(lr)


def run(
    kernel: Callable[..., None],
    rows: list[Row],
    c: dict[str, Any],
    found: Tensor | None = None,
    numbers: Callable[[Sequence[int], Any, Any], Any] | None = None,
    **options: Any,
) -> list[int]:
    """Launch `kernel` for each dtype and device among `rows`; returns the positions of the rows left over.

    Args:
        c: numbers for the kernel; `lr` may be a tensor.
        found: one element, not 0 for a step that changes nothing.
        numbers: gives the kernel's `numbers` for the rows at some positions, a device and `found` there.
    """
    groups, rest = gather(rows)
    for (_, device), members in groups.items():
        skip = None if found is None else found.to(device)._a
        more = options if numbers is None else {**options, "numbers": numbers([i for i, _ in members], device, skip)}
        numbered = {**c, "lr": rate(c["lr"], device)} if "lr" in c else c
        kernel([arrays for _, arrays in members], numbered, device.index or 0, found=skip, **more)
    return rest
