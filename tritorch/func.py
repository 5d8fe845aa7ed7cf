"""torch.func: a module as a function of its parameters."""

from __future__ import annotations

from .nn.utils.stateless import functional_call

__all__ = ["functional_call"]
