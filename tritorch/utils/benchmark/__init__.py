"""torch.utils.benchmark: how long a statement takes, and tables of that.

>>> import tritorch as torch
>>> from tritorch.utils.benchmark import Compare, Timer
>>> x = torch.ones(8, 8)
>>> one = Timer("x @ x", globals={"x": x}, label="product", description="here").timeit(10)
>>> one.number_per_run, one.median > 0
(10, True)
"""

from __future__ import annotations

from .compare import Colorize, Compare
from .measurement import Measurement, TaskSpec, ordered_unique, select_unit, trim_sigfig, unit_to_english
from .timer import Language, Timer, set_torch_threads, timer

__all__ = [
    "Colorize", "Compare", "Language", "Measurement", "TaskSpec", "Timer", "ordered_unique", "select_unit",
    "set_torch_threads", "timer", "trim_sigfig", "unit_to_english",
]  # fmt: skip
