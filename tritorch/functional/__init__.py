"""PyTorch's public functions, one file per area; importing this package also binds the Tensor methods."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .arrangement import *
    from .comparison import *
    from .conversion import *
    from .creation import *
    from .distributions import *
    from .extremum import *
    from .gamma import *
    from .grid import *
    from .indexing import *
    from .joining import *
    from .linear_algebra import *
    from .matmul import *
    from .ordering import *
    from .pointwise import *
    from .products import *
    from .random import *
    from .random_methods import *
    from .ranges import *
    from .reduction import *
    from .scan import *
    from .searching import *
    from .shape import *
    from .spectrum import *
    from .statistics import *
    from .transfer import *
    from .views import *
    from .window import *

    def __getattr__(name: str) -> Any: ...  # the functions made from tables


AREAS = (
    "comparison", "pointwise", "shape", "views", "transfer", "joining", "arrangement", "subscript", "indexing", "searching",
    "matmul", "products", "reduction", "extremum", "scan", "statistics", "ordering", "linear_algebra",
    "gamma", "window", "spectrum", "histogram", "differences", "covariance",
    "conversion", "creation", "ranges", "grid", "random", "distributions", "random_methods",
    "storage", "queries", "in_place", "view_copies",
)  # fmt: skip

__all__: list[str] = []


def _export() -> None:
    for area in AREAS:
        module: ModuleType = import_module(f"{__name__}.{area}")
        for name in module.__all__:
            globals()[name] = getattr(module, name)
        __all__.extend(module.__all__)


_export()
