"""Automatic differentiation: the engine, grad modes, custom Functions, numerical checks, functional derivatives."""

from __future__ import annotations

import importlib
from typing import Any

from .backward import backward, grad
from .modes import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)

__all__ = [
    "Function", "Variable", "backward", "detect_anomaly", "enable_grad", "functional", "grad", "gradcheck", "gradgradcheck",
    "graph", "inference_mode", "is_grad_enabled", "no_grad", "profiler", "set_detect_anomaly", "set_grad_enabled",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "Function":
        from .function import Function

        return Function
    if name in ("gradcheck", "gradgradcheck"):
        checks = importlib.import_module(f"{__name__}.gradcheck")
        # Both at once: importing the submodule has put the module itself in the place of `gradcheck`.
        globals().update(gradcheck=checks.gradcheck, gradgradcheck=checks.gradgradcheck)
        return globals()[name]
    if name in ("functional", "function", "graph", "profiler", "profiler_util", "variable"):
        return importlib.import_module(f"{__name__}.{name}")
    if name == "Variable":
        from .variable import Variable

        return Variable
    raise AttributeError(f"module 'tritorch.autograd' has no attribute {name!r}")
