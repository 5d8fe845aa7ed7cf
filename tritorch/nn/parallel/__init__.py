"""One module on several devices."""

from __future__ import annotations

from .apply import parallel_apply
from .data_parallel import DataParallel, data_parallel
from .replicate import replicate
from .scatter_gather import gather, scatter, scatter_kwargs

__all__ = ["DataParallel", "data_parallel", "gather", "parallel_apply", "replicate", "scatter", "scatter_kwargs"]
