"""The table of events: which columns there are, and how numbers are written."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import cost

if TYPE_CHECKING:
    from .events import EventList

_SORT_KEYS = (
    "name", "key", "count", "cpu_time", "cpu_time_total", "self_cpu_time_total", "device_time", "device_time_total",
    "self_device_time_total", "cpu_memory_usage", "self_cpu_memory_usage", "device_memory_usage",
    "self_device_memory_usage", "flops", "gb_per_s", "gflop_per_s",
)  # fmt: skip


def time_text(us: float, unit: str | None = None) -> str:
    """A time in s, ms or us.

    >>> time_text(1234.5), time_text(1234.5, "us")
    ('1.234ms', '1234.500us')
    """
    unit = unit or ("s" if us >= 1e6 else "ms" if us >= 1e3 else "us")
    return f"{us / {'s': 1e6, 'ms': 1e3, 'us': 1}[unit]:.3f}{unit}"


def memory_text(n: int) -> str:
    """A number of bytes.

    >>> memory_text(100), memory_text(2048), memory_text(-3 << 20)
    ('100 B', '2.00 KB', '-3.00 MB')
    """
    for power, unit in ((30, "GB"), (20, "MB"), (10, "KB")):
        if abs(n) >= 1 << power:
            return f"{n / (1 << power):.2f} {unit}"
    return f"{n} B"


def share(part: float, whole: float) -> str:
    """A part in percent."""
    return f"{100 * part / whole:.2f}%" if whole else "NaN"


def _scale(most: float) -> tuple[float, str]:
    """The unit in which a number has one to three digits in front of its point."""
    return next(
        ((10.0**power, prefix) for power, prefix in ((9, "G"), (6, "M"), (3, "K")) if most >= 10**power), (1, "")
    )


def _rate(value: float) -> str:
    return f"{value:.3g}" if value else "--"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


Column = tuple[str, Callable[[Any], str]]


def build_table(
    events: EventList, sort_by: str | None, row_limit: int, source_width: int, name_width: int, shapes_width: int,
    header: str | None, top_level_only: bool, unit: str | None,
) -> str:  # fmt: skip
    """See `EventList.table`."""
    info, rows = events.info, list(events)
    if sort_by is not None:
        key = sort_by.replace("cuda", "device")
        if key not in _SORT_KEYS:
            raise AttributeError(f"table: cannot sort by {sort_by!r}; known are {', '.join(_SORT_KEYS)}")
        rows.sort(
            key=lambda e: e.key if key in ("name", "key") else getattr(e, key), reverse=key not in ("name", "key")
        )
    cpu = sum([e.self_cpu_time_total for e in rows])
    device = sum([e.self_device_time_total for e in rows])
    if top_level_only:
        rows = [e for e in rows if e.cpu_parent is None]
    if row_limit >= 0:
        rows = rows[:row_limit]

    def times(label: str, total: float, of: str) -> list[Column]:
        mine, all_ = f"self_{of}_time_total", f"{of}_time_total"
        return [
            (f"Self {label} %", lambda e: share(getattr(e, mine), total)),
            (f"Self {label}", lambda e: time_text(getattr(e, mine), unit)),
            (f"{label} total %", lambda e: share(getattr(e, all_), total)),
            (f"{label} total", lambda e: time_text(getattr(e, all_), unit)),
            (f"{label} time avg", lambda e: time_text(getattr(e, f"{of}_time"), unit)),
        ]

    columns: list[Column] = [("Name", lambda e: _cut(e.key, name_width)), *times("CPU", cpu, "cpu")]
    if info.cuda:
        self_percent, self_time, _, total, average = times("CUDA", device, "device")
        columns += [self_time, self_percent, total, average]
    if info.memory:
        for label, of in (("CPU", "cpu"), ("CUDA", "device"))[: 1 + info.cuda]:
            columns += [
                (f"{label} Mem", lambda e, of=of: memory_text(getattr(e, f"{of}_memory_usage"))),
                (f"Self {label} Mem", lambda e, of=of: memory_text(getattr(e, f"self_{of}_memory_usage"))),
            ]
    columns.append(("# of Calls", lambda e: str(e.count)))
    if any(e.input_shapes for e in rows):
        columns.append(("Input Shapes", lambda e: _cut(str(e.input_shapes) if e.input_shapes else "[]", shapes_width)))
    if any(e.stack for e in rows):
        columns.append(("Source Location", lambda e: "\n".join([_cut(frame, source_width) for frame in e.stack])))
    peaks = None
    if info.flops:
        peaks = cost.peaks("cuda" if device else "cpu")
        scale, prefix = _scale(max([e.flops for e in rows], default=0))
        columns += [
            (f"Total {prefix}FLOPs", lambda e: _rate(e.flops / scale)),
            ("GFLOP/s", lambda e: _rate(e.gflop_per_s)),
            ("GB/s", lambda e: _rate(e.gb_per_s)),
        ]
        if peaks:
            columns.append(("% of machine", lambda e: _of_machine(e, *peaks)))
    lines = _lines(columns, rows, header)
    lines.append(f"Self CPU time total: {time_text(cpu, unit)}")
    if info.cuda:
        lines.append(f"Self CUDA time total: {time_text(device, unit)}")
    if peaks:
        lines.append(
            f"This machine at best: copy {peaks[0] * 1e-9:.3g} GB/s, float32 product {peaks[1] * 1e-9:.3g} GFLOP/s"
        )
    return "\n".join(lines) + "\n"


def _of_machine(event: Any, bytes_per_s: float, flop_per_s: float) -> str:
    part = max(event.gb_per_s * 1e9 / bytes_per_s, event.gflop_per_s * 1e9 / flop_per_s)
    return f"{100 * part:.1f}%" if part else "--"


def _lines(columns: list[Column], rows: list[Any], header: str | None) -> list[str]:
    cells = [[title for title, _ in columns]]
    for e in rows:
        parts = [text(e).split("\n") for _, text in columns]  # a stack takes several lines
        cells += [list(line) for line in itertools.zip_longest(*parts, fillvalue="")]
    widths = [max(12, *map(len, column)) for column in zip(*cells, strict=True)]
    rule = "  ".join(["-" * n for n in widths])
    body = ["  ".join([text.rjust(n) for text, n in zip(row, widths, strict=True)]) for row in cells]
    above = ["=" * len(rule), header] if header is not None else []
    return [*above, rule, body[0], rule, *body[1:], rule]
