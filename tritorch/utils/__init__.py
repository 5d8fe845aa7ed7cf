"""`tritorch.utils.data` and, as in PyTorch, what else goes by that name."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("benchmark", "checkpoint", "data", "dlpack", "hooks", "tensorboard"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
