"""torch.backends.cudnn: switches that scripts set. cuDNN is not used; convolutions are the package's own kernels.

Attributes:
    enabled, benchmark: accepted; kept, without effect.
    deterministic: accepted; every op is deterministic.
    allow_tf32: what `torch.backends.cuda.matmul.allow_tf32` is: products and convolutions share one setting here.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["flags", "is_acceptable", "is_available", "version"]

enabled, benchmark, deterministic, benchmark_limit = True, False, False, 10


def is_available() -> bool:
    """False: cuDNN is not used."""
    return False


def version() -> None:
    """None: cuDNN is not used."""
    return None


def is_acceptable(tensor: Any) -> bool:
    """False: cuDNN is not used."""
    return False


@contextmanager
def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
) -> Iterator[None]:
    """Context with these switches set."""
    module = sys.modules[__name__]
    wanted = {"enabled": enabled, "benchmark": benchmark, "benchmark_limit": benchmark_limit,
              "deterministic": deterministic, "allow_tf32": allow_tf32}  # fmt: skip
    before = {name: getattr(module, name) for name in wanted}
    for name, value in wanted.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


class _Module(types.ModuleType):
    @property
    def allow_tf32(self) -> bool:
        from .cuda import matmul

        return matmul.allow_tf32

    @allow_tf32.setter
    def allow_tf32(self, value: bool) -> None:
        from .cuda import matmul

        matmul.allow_tf32 = value


sys.modules[__name__].__class__ = _Module
