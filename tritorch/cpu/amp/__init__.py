"""torch.cpu.amp: the older names of `torch.amp`, for the CPU; each says which one to use now."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ...amp import GradScaler as _GradScaler
from ...amp import autocast as _autocast
from ...dtypes import bfloat16, dtype

__all__ = ["GradScaler", "autocast"]


def _old(name: str) -> None:
    warnings.warn(
        f"`torch.cpu.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}('cpu', args...)` instead.",
        FutureWarning,
        stacklevel=3,
    )


class autocast(_autocast):  # noqa: N801 - PyTorch's name
    """`torch.amp.autocast("cpu", ...)`."""

    def __init__(self, enabled: bool = True, dtype: dtype = bfloat16, cache_enabled: bool = True):
        _old("autocast")
        super().__init__("cpu", dtype, enabled, cache_enabled)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return _autocast(self.device, self.fast_dtype, self._enabled, self._cache_enabled)(function)


class GradScaler(_GradScaler):
    """`torch.amp.GradScaler("cpu", ...)`."""

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        _old("GradScaler")
        super().__init__("cpu", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
