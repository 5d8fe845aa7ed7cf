"""torch.xpu: Intel's GPUs are not supported."""

from __future__ import annotations

__all__ = ["device_count", "is_available"]


def is_available() -> bool:
    """False: there are no kernels for Intel's GPUs."""
    return False


def device_count() -> int:
    """0: there are no kernels for Intel's GPUs."""
    return 0
