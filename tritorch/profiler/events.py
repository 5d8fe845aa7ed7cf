"""What was recorded: single calls, sums of calls of one name, and lists of both."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from . import export
from .table import build_table, time_text


class DeviceType(enum.Enum):
    """Where an event ran."""

    CPU = 0
    CUDA = 1


class Interval(NamedTuple):
    """From `start` to `end`, in us since the profiler's start."""

    start: float
    end: float

    def elapsed_us(self) -> float:
        """The length, in us."""
        return self.end - self.start


def _text(name: str) -> property:
    """A time as text."""
    return property(lambda self: time_text(getattr(self, name)))


class _Times:
    """Times and sizes under all names that PyTorch has for them; `count` calls, of which there may be one."""

    count: int
    cpu_time_total: float
    self_cpu_time_total: float
    device_time_total: float
    self_device_time_total: float
    device_memory_usage: int
    self_device_memory_usage: int
    bytes: int | None
    flops: int

    cpu_time_str, cpu_time_total_str = _text("cpu_time"), _text("cpu_time_total")
    device_time_str, device_time_total_str = _text("device_time"), _text("device_time_total")
    self_cpu_time_total_str = _text("self_cpu_time_total")
    self_device_time_total_str = _text("self_device_time_total")

    @property
    def cpu_time(self) -> float:
        """Host's time per call, in us."""
        return self.cpu_time_total / self.count if self.count else 0.0

    @property
    def device_time(self) -> float:
        """The device's time per call, in us."""
        return self.device_time_total / self.count if self.count else 0.0

    @property
    def seconds(self) -> float:
        """What rates refer to: the device's time where there is one, else the host's."""
        return (self.device_time_total or self.cpu_time_total) * 1e-6

    @property
    def gb_per_s(self) -> float:
        """Bytes moved per second, in GB/s; 0 where it is not known."""
        return (self.bytes or 0) / self.seconds * 1e-9 if self.seconds else 0.0

    @property
    def gflop_per_s(self) -> float:
        """Arithmetic per second, in GFLOP/s; 0 where it is not known."""
        return self.flops / self.seconds * 1e-9 if self.seconds else 0.0

    @property
    def cuda_time(self) -> float:
        """`device_time`."""
        return self.device_time

    @property
    def cuda_time_total(self) -> float:
        """`device_time_total`."""
        return self.device_time_total

    @property
    def self_cuda_time_total(self) -> float:
        """`self_device_time_total`."""
        return self.self_device_time_total

    @property
    def cuda_memory_usage(self) -> int:
        """`device_memory_usage`."""
        return self.device_memory_usage

    @property
    def self_cuda_memory_usage(self) -> int:
        """`self_device_memory_usage`."""
        return self.self_device_memory_usage


class FunctionEvent(_Times):
    """One call or range.

    Attributes:
        name, thread: what ran, and in which thread.
        cpu_parent, cpu_children: what it ran in, and what ran in it.
        input_shapes: with `record_shapes`, sizes per argument; [] for what is no tensor.
        stack: with `with_stack`, the user's frames, innermost first.
        bytes, flops: with `with_flops`, what was moved and computed; None and 0 where it is not known.
        cpu_memory_usage, device_memory_usage: with `profile_memory`, bytes.
        sequence_nr: number of the node that a call made, or whose backward it is; -1 for none.
        kind: "op", "node" (a backward), "range" or "engine".
        start, end: ns since the profiler's start.
    """

    count = 1
    is_async = is_remote = False
    # Most events need no more than their name and times: what they do not set is here.
    cpu_children: Sequence[FunctionEvent] = ()
    cpu_parent: FunctionEvent | None = None
    end = 0
    input_shapes: Sequence[Any] = ()
    stack: Sequence[str] = ()
    bytes: int | None = None
    flops = cpu_memory_usage = device_memory_usage = 0
    sequence_nr = device_index = -1
    own_cost: tuple[int, int] | None = None  # bytes and flops, known before the end
    made: Any = ()  # weak references to the arrays that count as this call's memory
    marks: Any = None  # events of the device, before and after
    device_start = 0.0  # ns, as `start`
    own_device_time: float | None = None  # us, of a call on cuda

    def __init__(self, name: str, thread: int, parent: FunctionEvent | None = None, kind: str = "range"):
        self.name, self.thread, self.kind = name, thread, kind
        self.start = 0
        if parent is None:
            return
        if parent.cpu_children:
            parent.cpu_children.append(self)  # type: ignore[attr-defined]
        else:
            parent.cpu_children = [self]
        if parent.name:  # not what stands for the thread
            self.cpu_parent = parent

    @property
    def key(self) -> str:
        """The name."""
        return self.name

    @property
    def is_user_annotation(self) -> bool:
        """A range, not an op."""
        return self.kind == "range"

    @property
    def time_range(self) -> Interval:
        """When it ran, in us since the profiler's start."""
        return Interval(self.start * 1e-3, self.end * 1e-3)

    @property
    def device_type(self) -> DeviceType:
        """The host: events of the device are times of these."""
        return DeviceType.CPU

    @property
    def cpu_time_total(self) -> float:
        """The host's time, in us."""
        return max(0, self.end - self.start) * 1e-3  # 0 where another thread began it just when the profiler stopped

    @property
    def self_cpu_time_total(self) -> float:
        """The host's time less that of the calls within, in us."""
        return self.cpu_time_total - sum([c.cpu_time_total for c in self.cpu_children])

    @property
    def device_time_total(self) -> float:
        """From the device's event before to that after the call, in us; of a range, the sum of the calls within."""
        if self.own_device_time is not None:
            return self.own_device_time
        return sum([c.device_time_total for c in self.cpu_children])

    @property
    def self_device_time_total(self) -> float:
        """The device's time less that of the calls within, in us."""
        return max(0.0, self.device_time_total - sum([c.device_time_total for c in self.cpu_children]))

    @property
    def self_cpu_memory_usage(self) -> int:
        """Bytes less those of the calls within."""
        return self.cpu_memory_usage - sum([c.cpu_memory_usage for c in self.cpu_children])

    @property
    def self_device_memory_usage(self) -> int:
        """Bytes on the device less those of the calls within."""
        return self.device_memory_usage - sum([c.device_memory_usage for c in self.cpu_children])

    def __repr__(self) -> str:
        return (
            f"<FunctionEvent name={self.name} thread={self.thread} cpu_time={self.cpu_time_total:.3f}us "
            f"device_time={self.device_time_total:.3f}us input_shapes={self.input_shapes}>"
        )


_SUMS = (
    "cpu_time_total", "self_cpu_time_total", "device_time_total", "self_device_time_total", "cpu_memory_usage",
    "self_cpu_memory_usage", "device_memory_usage", "self_device_memory_usage", "flops", "count",
)  # fmt: skip


class FunctionEventAvg(_Times):
    """The sum of the calls of one name (and shapes, and stack, if asked for); `cpu_time` and `device_time` are per call.

    Attributes: those of `FunctionEvent`, summed, `key` and `count`.
    """

    is_async = is_remote = False

    def __init__(self, key: str | None = None) -> None:
        self.key: Any = key
        self.count = self.flops = 0
        self.bytes: int | None = None
        self.cpu_time_total = self.self_cpu_time_total = self.device_time_total = self.self_device_time_total = 0.0
        self.cpu_memory_usage = self.self_cpu_memory_usage = 0
        self.device_memory_usage = self.self_device_memory_usage = 0
        self.input_shapes: Sequence[Any] = ()
        self.stack: Sequence[str] = ()
        self.cpu_parent: FunctionEvent | None = None
        self.cpu_children: list[FunctionEvent] = []
        self.is_user_annotation = False
        self.device_type = DeviceType.CPU

    def add(self, other: FunctionEvent | FunctionEventAvg) -> FunctionEventAvg:
        """Count another one in; returns self."""
        if self.key is None:
            self.key, self.is_user_annotation = other.key, other.is_user_annotation
            self.input_shapes, self.stack, self.cpu_parent = other.input_shapes, other.stack, other.cpu_parent
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.bytes is not None:
            self.bytes = (self.bytes or 0) + other.bytes
        self.cpu_children += other.cpu_children
        return self

    __iadd__ = add

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total:.3f}us "
            f"cpu_time={self.cpu_time:.3f}us self_device_time={self.self_device_time_total:.3f}us "
            f"device_time={self.device_time:.3f}us input_shapes={self.input_shapes} count={self.count}>"
        )


class EventList(list):
    """Events, single or summed.

    Attributes:
        info: what was recorded, a `Recording`.
    """

    def __init__(self, events: Iterable[Any] = (), info: Recording | None = None):
        super().__init__(events)
        self.info = info or Recording()

    def key_averages(
        self, group_by_input_shapes: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:
        """One sum per name.

        Arguments:
            group_by_input_shapes: and per shapes of the arguments, which `record_shapes` has to have recorded.
            group_by_stack_n: and per innermost n frames, which `with_stack` has to have recorded; 0 for none.
            group_by_overload_name: accepted; functions here have no overloads.
        """
        sums: dict[Any, FunctionEventAvg] = {}
        for event in self:
            shapes = str(event.input_shapes) if group_by_input_shapes else ""
            key = event.key, event.is_user_annotation, shapes, *event.stack[:group_by_stack_n]
            found = sums.get(key)
            if found is None:
                found = sums[key] = FunctionEventAvg()
            found.add(event)
        for found in sums.values():
            found.stack = found.stack[:group_by_stack_n]
            if not group_by_input_shapes:
                found.input_shapes = ()
        return EventList(sums.values(), self.info)

    def total_average(self) -> FunctionEventAvg:
        """The sum of all events, under the key "Total"."""
        total = FunctionEventAvg("Total")
        for event in self:
            total.add(event)
        return total

    @property
    def self_cpu_time_total(self) -> float:
        """The host's time in all events, in us, each moment counted once per thread."""
        return sum([event.self_cpu_time_total for event in self])

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, max_src_column_width: int = 75,
        max_name_column_width: int = 55, max_shapes_column_width: int = 80, header: str | None = None,
        top_level_events_only: bool = False, time_unit: str | None = None,
    ) -> str:  # fmt: skip
        """The events as text.

        Arguments:
            sort_by: an attribute, largest first: cpu_time, cuda_time, cpu_time_total, cuda_time_total,
                self_cpu_time_total, self_cuda_time_total, cpu_memory_usage, cuda_memory_usage, self_cpu_memory_usage,
                self_cuda_memory_usage, count, flops, gb_per_s, gflop_per_s, name. Default: the order of the first calls.
            row_limit: rows at most; -1 for all.
            max_src_column_width, max_name_column_width, max_shapes_column_width: what is longer is cut.
            header: a line above.
            top_level_events_only: leave out what ran within others.
            time_unit: "s", "ms" or "us"; by default what suits each number.

        With `with_flops` there are columns of the bytes moved and the arithmetic done per second, and of the larger of
        both parts of what this machine does at best, in a copy of 64 MiB and in a float32 product of 1024 x 1024, which
        the first such table measures. Arrays that fit in a cache can be faster than that copy.

        Raises:
            AttributeError: events cannot be sorted by that.
        """
        return build_table(
            self, sort_by, row_limit, max_src_column_width, max_name_column_width, max_shapes_column_width, header,
            top_level_events_only, time_unit,
        )  # fmt: skip

    def export_chrome_trace(self, path: Any) -> None:
        """Write the events as JSON for chrome://tracing or Perfetto; see `profile.export_chrome_trace`."""
        export.write_trace(path, self, self.info)

    def supported_export_stacks_metrics(self) -> list[str]:
        """What `export_stacks` takes."""
        return list(export.STACK_METRICS)

    def export_stacks(self, path: Any, metric: str) -> None:
        """Write stacks and times for a flame graph; see `profile.export_stacks`."""
        export.write_stacks(path, self, metric)

    def __str__(self) -> str:
        return self.table()


class Recording(NamedTuple):
    """What a list of events comes from.

    Attributes:
        shapes, memory, stacks, flops, cuda: what was recorded.
        epoch: the time of day at the start, in ns. duration: in ns.
        metadata: key -> text, for the trace.
    """

    shapes: bool = False
    memory: bool = False
    stacks: bool = False
    flops: bool = False
    cuda: bool = False
    epoch: int = 0
    duration: int = 0
    metadata: dict[str, Any] = {}  # noqa: RUF012 - never changed
