"""torch.cpu's names: one device that is always there, works in program order, and has no streams of its own."""

from __future__ import annotations

from typing import Any

from . import amp as amp

__all__ = ["amp", "current_device", "device_count", "is_available", "synchronize"]


def is_available() -> bool:
    """True."""
    return True


def device_count() -> int:
    """1."""
    return 1


def current_device() -> str:
    """The one device's name."""
    return "cpu"


def synchronize(device: Any = None) -> None:
    """Work on the CPU is done when its function returns: nothing to wait for."""
