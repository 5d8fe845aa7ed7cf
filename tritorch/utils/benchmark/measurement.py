"""What a Timer gives: times of one statement, and numbers about them that a few slow runs do not spoil."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from textwrap import indent
from typing import Any

import numpy as np

_WARN, _GROSS = 0.1, 0.25  # quartile distance over median: worth a word, and worth a stronger one
_RESOLUTION = 25e-9  # seconds; no confidence interval is believed to be smaller
_UNITS = {"s": (1.0, "second"), "ms": (1e-3, "millisecond"), "us": (1e-6, "microsecond"), "ns": (1e-9, "nanosecond")}


@dataclass(frozen=True)
class TaskSpec:
    """What was timed. Results of equal specs are of one thing: `Measurement.merge` puts them together.

    Attributes:
        stmt, setup, global_setup: the code.
        label, sub_label, description: title, row and column in a `Compare`.
        env: where it ran, for results of several installations.
        num_threads: of ops on the CPU.
    """

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The labels, or else the statement."""
        if self.label is None and "\n" in self.stmt:
            return f"stmt:{f' ({self.sub_label})' if self.sub_label else ''}\n{indent(self.stmt, '  ')}"
        name = self.stmt if self.label is None else self.label
        return f"{name}: {self.sub_label}" if self.sub_label else name

    def setup_str(self) -> str:
        """The setup as it is shown."""
        if self.setup in ("", "pass"):
            return ""
        return f"setup:\n{indent(self.setup, '  ')}" if "\n" in self.setup else f"setup: {self.setup}"

    def summarize(self) -> str:
        """Title, description and setup, for a repr."""
        parts = [p for p in (self.title, self.description, self.setup_str()) if p]
        return "\n".join([f"{p}\n" if "\n" in p else p for p in parts])


@dataclass(repr=False)
class Measurement:
    """Times of one statement.

    Attributes:
        number_per_run: how often the statement ran per time.
        raw_times: seconds, each of `number_per_run` runs; `times` are those of one run.
        task_spec: what ran; its attributes (`stmt`, `label`, `num_threads`, ...) can be asked here, too.
        metadata: the user's own.

    >>> from tritorch.utils.benchmark import Measurement, TaskSpec
    >>> m = Measurement(10, [1e-3, 2e-3, 3e-3], TaskSpec("f()", "pass"))
    >>> m.median, round(m.iqr, 9)
    (0.0002, 0.0001)
    """

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[Any, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name in _OF_THE_TASK:
            return getattr(self.task_spec, name)
        raise AttributeError(f"Measurement has no attribute {name!r}")

    @property
    def times(self) -> list[float]:
        """Seconds of one run, per measurement."""
        return [t / self.number_per_run for t in self.raw_times]

    def _quantiles(self) -> tuple[float, float, float]:
        if not self.raw_times:
            raise ValueError("Measurement: there are no times")
        return tuple(np.quantile(self.times, (0.25, 0.5, 0.75)).tolist())  # type: ignore[return-value]

    @property
    def median(self) -> float:
        return self._quantiles()[1]

    @property
    def mean(self) -> float:
        return float(np.mean(self.times))

    @property
    def iqr(self) -> float:
        """The distance of the quartiles."""
        low, _, high = self._quantiles()
        return high - low

    @property
    def significant_figures(self) -> int:
        """How many digits the spread of the inner half of the times leaves to believe in, 1 to 4."""
        times = sorted(self.times)
        n = len(times)
        inner = times[n // 4 : math.ceil(3 * n / 4)]
        interval = max(1.645 * float(np.std(inner)) / math.sqrt(len(inner)), _RESOLUTION)  # 90 %, were they normal
        return min(max(math.floor(math.log10(self.median / interval)), 1), 4)

    @property
    def has_warnings(self) -> bool:
        """Do the times spread so much that something else was going on."""
        return not self.meets_confidence()

    def meets_confidence(self, threshold: float = _WARN) -> bool:
        """Is the distance of the quartiles below this part of the median."""
        return self.iqr / self.median < threshold

    @property
    def title(self) -> str:
        return self.task_spec.title

    @property
    def as_row_name(self) -> str:
        """What a row of `Compare` is called."""
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    def __repr__(self) -> str:
        n, (low, median, high) = len(self.raw_times), self._quantiles()
        unit, scale = select_unit(median)
        lines = [f"<{type(self).__module__}.Measurement object at {id(self):#x}>", self.task_spec.summarize()]
        lines.append(f"  {'Median: ' if n > 1 else ''}{median / scale:.2f} {unit}")
        if n > 3:
            lines.append(f"  IQR:    {(high - low) / scale:.2f} {unit} ({low / scale:.2f} to {high / scale:.2f})")
        runs = f"{self.number_per_run} runs {'per measurement' if n > 1 else ''}"
        threads = self.task_spec.num_threads
        lines.append(f"  {n} measurement{'s' * (n > 1)}, {runs}, {threads} thread{'s' * (threads > 1)}")
        if self.has_warnings:
            lines.append(
                f"  WARNING: Interquartile range is {(high - low) / median * 100:.1f}% of the median measurement."
            )
            gross = high - low > _GROSS * median
            cause = "suggests significant environmental influence" if gross else "could indicate system fluctuation"
            lines.append(f"           This {cause}.")
        return "\n".join(lines)

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """One Measurement per equal `task_spec`, of the times of one run; without metadata."""
        groups: dict[TaskSpec, list[float]] = {}
        for m in measurements:
            groups.setdefault(m.task_spec, []).extend(m.times)
        return [Measurement(1, times, task) for task, times in groups.items()]


_OF_THE_TASK = frozenset(f.name for f in fields(TaskSpec))


def select_unit(t: float) -> tuple[str, float]:
    """The unit that leaves one to three digits before the point of `t` seconds: its name and its seconds.

    Arguments:
        t: seconds.

    >>> import tritorch as torch
    >>> torch.utils.benchmark.select_unit(0.002)
    ('ms', 0.001)
    """
    step = math.floor(math.log10(t) / 3) if t > 0 else -3
    unit = {-3: "ns", -2: "us", -1: "ms"}.get(step, "s")
    return unit, _UNITS[unit][0]


def unit_to_english(u: str) -> str:
    """The unit's word.

    Arguments:
        u: "ns", "us", "ms" or "s".

    >>> import tritorch as torch
    >>> torch.utils.benchmark.unit_to_english("us")
    'microsecond'
    """
    return _UNITS[u][1]


def trim_sigfig(x: float, n: int) -> float:
    """`x` rounded to n digits that count.

    >>> import tritorch as torch
    >>> torch.utils.benchmark.trim_sigfig(1234.5, 2)
    1200.0
    """
    scale = 10.0 ** (math.ceil(math.log10(abs(x))) - n)
    return round(x / scale) * scale


def ordered_unique(elements: Iterable[Any]) -> list[Any]:
    """Each element once, in the order of its first place.

    Arguments:
        elements: hashable.

    >>> import tritorch as torch
    >>> torch.utils.benchmark.ordered_unique([2, 1, 2])
    [2, 1]
    """
    return list(dict.fromkeys(elements))
