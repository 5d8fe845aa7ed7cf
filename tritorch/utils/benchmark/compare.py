"""`Compare`: measurements as a table, per label, with a row per sub-label and a column per description."""

from __future__ import annotations

import math
from enum import Enum

from .measurement import Measurement, ordered_unique, select_unit, trim_sigfig, unit_to_english

_GAP = "  |  "
_BOLD, _GREEN, _FAINT_GREEN, _RED, _ORANGE, _END = (f"\033[{c}m" for c in ("1", "92", "34", "31", "2m\033[91", "0"))


class Colorize(Enum):
    """What a time is compared with for its colour."""

    NONE = "none"
    COLUMNWISE = "columnwise"
    ROWWISE = "rowwise"


class Compare:
    """A table of measurements: one block per label, in it a row per sub-label (or statement), a column per description.

    Measurements of equal `task_spec` are one entry; times are medians, in the unit of the block's smallest.

    Arguments:
        results: a list of Measurement.

    >>> from tritorch.utils.benchmark import Compare, Measurement, TaskSpec
    >>> task = TaskSpec("f()", "pass", label="f", sub_label="small", description="ours")
    >>> Compare([Measurement(1, [2e-6], task)]).print()
    [------- f --------]
                 |  ours
    1 threads: ---------
          small  |  2.0
    <BLANKLINE>
    Times are in microseconds (us).
    <BLANKLINE>
    """

    def __init__(self, results: list[Measurement]):
        self._results: list[Measurement] = []
        self.extend_results(results)
        self._colorize = Colorize.NONE
        self._trim = self._warnings = False

    def extend_results(self, results: list[Measurement]) -> None:
        """Add measurements.

        Raises:
            ValueError: an entry is something else.
        """
        for m in results:
            if not isinstance(m, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(m)} instead.")
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Show the digits that `Measurement.significant_figures` believes in, no others."""
        self._trim = True

    def highlight_warnings(self) -> None:
        """Mark times whose quartiles are far apart."""
        self._warnings = True

    def colorize(self, rowwise: bool = False) -> None:
        """Colour each time by how it compares with the best of its column, or of its row."""
        self._colorize = Colorize.ROWWISE if rowwise else Colorize.COLUMNWISE

    def print(self) -> None:
        """Print the table."""
        print(self)

    def __str__(self) -> str:
        merged = Measurement.merge(self._results)
        labels = ordered_unique(m.task_spec.label for m in merged)
        return "\n".join([self._block([m for m in merged if m.task_spec.label == label]) for label in labels])

    def _block(self, results: list[Measurement]) -> str:
        """The table of one label."""
        unit, scale = select_unit(min(m.median for m in results))
        columns = ordered_unique(m.task_spec.description for m in results)
        rows = sorted(ordered_unique(map(_row, results)), key=lambda key: key[:2])  # by threads and env; else as given
        at = {(_row(m), m.task_spec.description): m for m in results}
        table = [[at.get((row, column)) for row in rows] for column in columns]
        cells = [self._column(entries, scale) for entries in table]
        names = ["", *_names(rows)]
        widths = [
            max(len(s) for s in part) for part in [names, *([c or "", *v] for c, v in zip(columns, cells, strict=True))]
        ]
        lines = [_GAP.join([s.center(w) for s, w in zip(["", *(c or "" for c in columns)], widths, strict=True)])]
        width = len(lines[0])
        threads = None
        for i, row in enumerate(rows):
            if row[0] != threads:
                threads = row[0]
                lines.append(f"{threads} threads: ".ljust(width, "-"))
            group = [j for j, other in enumerate(rows) if other[0] == threads]
            line = [names[i + 1].ljust(widths[0])]
            for entries, strings, w in zip(table, cells, widths[1:], strict=True):
                compared = (
                    [part[i] for part in table] if self._colorize is Colorize.ROWWISE else [entries[j] for j in group]
                )
                line.append(self._coloured(strings[i].center(w), entries[i], compared))
            lines.append(_GAP.join(line))
        title = f" {results[0].task_spec.label or ''} ".center(width - 2, "-")
        end = f"\nTimes are in {unit_to_english(unit)}s ({unit}).\n"
        if self._warnings and any(m.has_warnings for m in results):
            end += "(! XX%) Measurement has high variance, where XX is the IQR / median * 100.\n"
        return "\n".join([f"[{title}]", *lines, end])

    def _column(self, entries: list[Measurement | None], scale: float) -> list[str]:
        """The times of a column as strings of one width, the points below each other."""
        present = [m for m in entries if m is not None]
        digits = [math.ceil(math.log10(m.median / scale)) for m in present]
        places = 1
        if self._trim:
            places = min(max(m.significant_figures - d, 0) for m, d in zip(present, digits, strict=True))
        width = max(digits) + places + (places > 0)
        marks = 7 if self._warnings and any(m.has_warnings for m in present) else 0

        def cell(m: Measurement | None) -> str:
            if m is None:
                return " " * (max(width, places + 1 + (places > 0)) + marks)
            value = m.median / scale
            if self._trim:
                value = trim_sigfig(value, m.significant_figures)
            mark = f" (! {m.iqr / m.median * 100:.0f}%)" if marks and m.has_warnings else ""
            return f"{value:>{max(width, 0)}.{places}f}{mark:>{marks}}"

        return [cell(m) for m in entries]

    def _coloured(self, text: str, m: Measurement | None, compared: list[Measurement | None]) -> str:
        if self._colorize is Colorize.NONE or m is None:
            return text
        best = min(other.median for other in compared if other is not None)
        t = m.median
        if t <= best * 1.01 or t <= best + 100e-9:
            return f"{_GREEN}{_BOLD}{text}{_END}{_END}"
        if t <= best * 1.1:
            return f"{_FAINT_GREEN}{_BOLD}{text}{_END}{_END}"
        if t >= best * 5:
            return f"{_RED}{_BOLD}{text}{_END}{_END}"
        return f"{_ORANGE}{text}{_END}{_END}" if t >= best * 2 else text


def _row(m: Measurement) -> tuple[int, str, str]:
    return m.task_spec.num_threads, m.task_spec.env or "", m.as_row_name


def _names(rows: list[tuple[int, str, str]]) -> list[str]:
    """The rows' names; in front the place, where there is more than one, at its first row."""
    envs = {env for _, env, _ in rows}
    room = max(map(len, envs)) if len(envs) > 1 else 0
    names, before = [], None
    for threads, env, name in rows:
        shown = f"({env})" if len(envs) > 1 and (threads, env) != before else ""
        before = threads, env
        names.append(f"  {shown.ljust(room + 4)}{name}")
    return names
