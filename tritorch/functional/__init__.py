"""PyTorch's public functions, one file per area; importing this package also binds the Tensor methods."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

AREAS = (
    "pointwise", "shape", "views", "transfer", "joining", "arrangement", "indexing", "matmul",
    "reduction", "extremum", "scan", "statistics", "ordering",
    "conversion", "creation", "ranges", "grid", "random", "distributions", "random_methods",
)  # fmt: skip

__all__: list[str] = []


def _export() -> None:
    for area in AREAS:
        module: ModuleType = import_module(f"{__name__}.{area}")
        for name in module.__all__:
            globals()[name] = getattr(module, name)
        __all__.extend(module.__all__)


_export()
