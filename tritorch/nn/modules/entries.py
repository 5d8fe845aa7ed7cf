"""Entries of containers: positions of lists, pairs of dicts."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any


def position(owner: Any, idx: Any) -> int:
    """`idx` counted from the front; IndexError out of range."""
    i = operator.index(idx)
    if not -len(owner) <= i < len(owner):
        raise IndexError(f"{type(owner).__name__}: index {i} is out of range for {len(owner)} entries")
    return i % len(owner)


def pairs(name: str, entries: Any) -> list[tuple[str, Any]]:
    """The entries of a mapping or of an iterable of pairs."""
    if hasattr(entries, "items"):
        return list(entries.items())
    if not isinstance(entries, Iterable):
        raise TypeError(f"{name}: expected a mapping or an iterable of pairs; got {type(entries).__name__}")
    result = []
    for i, entry in enumerate(entries):
        if not isinstance(entry, Iterable):
            raise TypeError(f"{name}: element #{i} should be a pair (name, value); got {type(entry).__name__}")
        values = tuple(entry)
        if len(values) != 2:
            raise ValueError(f"{name}: element #{i} has length {len(values)}; 2 is required")
        result.append(values)
    return result
