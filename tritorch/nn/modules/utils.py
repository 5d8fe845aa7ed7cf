"""PyTorch's names for sizes given as one number or one per dim; ours are in sizes.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .sizes import ntuple


def _ntuple(n: int) -> Callable[[Any], tuple[Any, ...]]:
    return partial(ntuple, n=n)


_single, _pair, _triple, _quadruple = (_ntuple(n) for n in (1, 2, 3, 4))
