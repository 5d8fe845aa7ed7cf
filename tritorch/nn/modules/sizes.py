"""Sizes given as one number or one per dim."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

Size: TypeAlias = int | tuple[int, ...]


def ntuple(value: Any, n: int) -> tuple[Any, ...]:
    """`value` n times, or as a tuple when it is iterable.

    >>> ntuple(3, 2), ntuple([1, 2], 2)
    ((3, 3), (1, 2))
    """
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,) * n
