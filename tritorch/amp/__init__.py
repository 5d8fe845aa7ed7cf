"""torch.amp: mixed precision. `autocast` chooses dtypes per function, `GradScaler` keeps float16 gradients in range.

Source: Micikevicius et al., Mixed precision training, arXiv 1710.03740.
"""

from __future__ import annotations

from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
