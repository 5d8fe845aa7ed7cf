"""torch.backends.openmp: OpenMP is not used; threads are Python's."""

from __future__ import annotations

__all__ = ["is_available"]


def is_available() -> bool:
    """False: OpenMP is not used; threads are Python's."""
    return False
