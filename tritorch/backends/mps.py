"""torch.backends.mps: Apple's GPUs are not supported."""

from __future__ import annotations

__all__ = ["is_available", "is_built", "is_macos13_or_newer", "is_macos_or_newer"]


def is_built() -> bool:
    """False: there are no Metal kernels."""
    return False


def is_available() -> bool:
    """False: there are no Metal kernels."""
    return False


def is_macos_or_newer(major: int, minor: int) -> bool:
    """False: asked by scripts that would use Metal."""
    return False


def is_macos13_or_newer(minor: int = 0) -> bool:
    """False: asked by scripts that would use Metal."""
    return False
