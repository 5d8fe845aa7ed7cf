"""torch.utils.hooks: the handle that registering a hook gives."""

from __future__ import annotations

from ..autograd.graph import RemovableHandle

__all__ = ["RemovableHandle"]
