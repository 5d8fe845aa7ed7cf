"""Events as files: a trace for chrome://tracing and Perfetto, and stacks for a flame graph."""

from __future__ import annotations

import gzip
import json
import os
import socket
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .events import FunctionEvent, Recording

STACK_METRICS = (
    "self_cpu_time_total", "self_cuda_time_total", "cpu_time_total", "cuda_time_total", "self_device_time_total",
    "device_time_total",
)  # fmt: skip


def write_whole(path: Any, text: str) -> None:
    """Write a file under a temporary name first, so that nobody finds half of it; gzip for a name that ends in .gz."""
    path = os.fspath(path)
    partial = f"{path}.{os.getpid()}.partial"
    try:
        if path.endswith(".gz"):
            with gzip.open(partial, "wt", encoding="utf-8") as f:
                f.write(text)
        else:
            with open(partial, "w", encoding="utf-8") as f:
                f.write(text)
        os.replace(partial, path)
    except BaseException:
        if os.path.exists(partial):
            os.remove(partial)
        raise


def write_trace(path: Any, events: Iterable[FunctionEvent], info: Recording) -> None:
    """Write events in the trace event format."""
    trace = {
        "schemaVersion": 1, "deviceProperties": [], "host_name": socket.gethostname(), "displayTimeUnit": "ms",
        "baseTimeNanoseconds": info.epoch, "record_shapes": int(info.shapes), "profile_memory": int(info.memory),
        "with_stack": int(info.stacks), "with_flops": int(info.flops), **info.metadata,
        "traceEvents": list(_trace_events(list(events), info)), "traceName": os.fspath(path),
    }  # fmt: skip
    write_whole(path, json.dumps(trace))


def _trace_events(events: list[FunctionEvent], info: Recording) -> Iterator[dict[str, Any]]:
    pid = os.getpid()
    forward: dict[int, tuple[int, FunctionEvent]] = {}

    def named(what: str, pid: Any, tid: int, name: str) -> dict[str, Any]:
        return {"ph": "M", "name": what, "pid": pid, "tid": tid, "ts": 0, "args": {"name": name}}

    yield named("process_name", pid, 0, "python")
    for tid in dict.fromkeys(e.thread for e in events):
        yield named("thread_name", pid, tid, f"thread {tid} (python)")
    for index in sorted({e.device_index for e in events if e.own_device_time is not None}):
        yield named("process_name", index, 0, f"cuda:{index}")
    yield {
        "ph": "X", "cat": "Trace", "name": "PyTorch Profiler (0)", "pid": "Spans", "tid": "PyTorch Profiler", "ts": 0,
        "dur": info.duration * 1e-3, "args": {"Op count": len(events)},
    }  # fmt: skip
    for i, e in enumerate(events):
        category = "user_annotation" if e.is_user_annotation else "cpu_op"
        args: dict[str, Any] = {"External id": i + 1}
        if e.input_shapes:
            args["Input Dims"] = e.input_shapes
        if e.sequence_nr >= 0:
            args["Sequence number"] = e.sequence_nr
        if e.stack:
            args["Call stack"] = ";".join(reversed(e.stack))
        if e.bytes is not None:
            args |= {"Bytes moved": e.bytes, "FLOPs": e.flops}
        at = {"pid": pid, "tid": e.thread, "ts": e.start * 1e-3}
        yield {"ph": "X", "cat": category, "name": e.name, **at, "dur": e.cpu_time_total, "args": args}
        if e.own_device_time is not None:
            yield {
                "ph": "X", "cat": "kernel", "name": e.name, "pid": e.device_index, "tid": 0,
                "ts": e.device_start * 1e-3, "dur": e.own_device_time, "args": {"External id": i + 1},
            }  # fmt: skip
        if e.sequence_nr >= 0:  # an arrow from the call to its backward
            link = {"name": "fwdbwd", "cat": "fwdbwd", "id": e.sequence_nr, **at}
            if e.sequence_nr not in forward:
                forward[e.sequence_nr] = i, e
            elif e.kind == "node":
                _, made = forward[e.sequence_nr]
                yield link | {"ph": "s", "tid": made.thread, "ts": made.start * 1e-3}
                yield link | {"ph": "f", "bp": "e"}


def write_stacks(path: Any, events: Iterable[FunctionEvent], metric: str) -> None:
    """Write a line per stack: its frames, outermost first, and the sum of a time over its events in whole us."""
    if metric not in STACK_METRICS:
        raise ValueError(f"export_stacks: metric must be one of {', '.join(STACK_METRICS)}; got {metric!r}")
    sums: dict[str, float] = {}
    for e in events:
        if e.stack:
            line = ";".join([frame.translate(_NO_SEPARATORS) for frame in reversed(e.stack)])
            sums[line] = sums.get(line, 0.0) + getattr(e, metric)
    write_whole(path, "".join([f"{line} {int(us)}\n" for line, us in sums.items() if int(us) > 0]))


_NO_SEPARATORS = str.maketrans(" ;\t\n", "____")
