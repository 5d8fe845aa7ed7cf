"""torch.profiler's `profile`, with schedules and what to do with their traces."""

from __future__ import annotations

import enum
import json
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from ..cuda import is_available
from .collection import Collection, record_function
from .events import EventList

__all__ = [
    "ProfilerAction", "ProfilerActivity", "profile", "schedule", "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip


class ProfilerAction(enum.Enum):
    """What a profiler does in a step.

    NONE: nothing. WARMUP: recording is on, what it gives is dropped. RECORD: recording. RECORD_AND_SAVE: the last
    recorded step of a cycle, after which the trace is handed out.
    """

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


class ProfilerActivity(enum.Enum):
    """What is recorded: the host's calls, and on cuda their time on the device."""

    CPU = 0
    CUDA = 1


def supported_activities() -> set[ProfilerActivity]:
    """CPU, and CUDA where there is a device, real or emulated.

    >>> ProfilerActivity.CPU in supported_activities()
    True
    """
    return {ProfilerActivity.CPU, ProfilerActivity.CUDA} if is_available() else {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """What to do in each step: after `skip_first` steps, cycles of `wait` steps off, `warmup` and `active` steps.

    Arguments:
        wait, warmup, active: numbers of steps; `active` at least 1.
        repeat: number of cycles, 0 for no end.
        skip_first: steps before the first cycle.
        skip_first_wait: if not 0, the first cycle has no `wait`.

    Raises:
        ValueError: a number is negative, or `active` 0.

    >>> what = schedule(wait=1, warmup=1, active=2, repeat=1)
    >>> [what(step).name for step in range(5)]
    ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    given = {"wait": wait, "warmup": warmup, "active": active, "repeat": repeat, "skip_first": skip_first}
    for name, value in given.items():
        if value < (name == "active"):
            raise ValueError(f"schedule: {name} must be at least {int(name == 'active')}; got {value}")
    if warmup == 0:
        warnings.warn("Profiler won't be using a warmup, this can skew profiler results", stacklevel=2)
    length = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise ValueError(f"schedule: step must not be negative; got {step}")
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait:
            step += wait
        cycle, place = divmod(step, length)
        if repeat and cycle >= repeat or place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < length - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False, use_python_export: bool = False
) -> Callable[[profile], None]:
    """For `on_trace_ready`: writes each trace to `dir_name`, under a name that TensorBoard's plug-in and Perfetto know.

    Arguments:
        dir_name: a folder, made if it is missing.
        worker_name: first part of the names; default: host and process.
        use_gzip: compress.
        use_python_export: accepted; there is no other way.
    """

    def handler(prof: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        name = f"{worker}.{time.time_ns()}.pt.trace.json{'.gz' if use_gzip else ''}"
        prof.export_chrome_trace(os.path.join(dir_name, name))

    return handler


_RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


class profile:  # noqa: N801 - PyTorch's name
    """Records which ops run, how often and how long; a context manager, or `start()` and `stop()`.

    Ops are named as in PyTorch (`aten::mm`), backward nodes as their `grad_fn` (`MmBackward0`), optimizer steps,
    batches of a DataLoader and ranges of `record_function` beside them. All threads are recorded. While no profiler
    runs, nothing is paid for it.

    Arguments:
        activities: of `ProfilerActivity`; default: `supported_activities()`. With CUDA, ops on cuda are timed by events
            of the device around each of them; on an idle device that includes waiting for the launch.
        schedule: step -> `ProfilerAction`, see `schedule`; the script then calls `step()` after each step. Default:
            everything is recorded.
        on_trace_ready: called with the profiler whenever a trace is complete.
        record_shapes: keep the sizes of arguments.
        profile_memory: count the memory of results that are no views; on cuda, the change of the memory in use. On the
            host, memory that an op only uses in between and memory that is freed are not counted.
        with_stack: keep where in the user's code each op was called.
        with_flops: keep bytes moved and flops, for the columns GFLOP/s and GB/s.
        with_modules: record calls of `nn.Module`, too.
        acc_events: keep the events of all cycles of a schedule, not of the last one only.
        use_cuda: deprecated, the same as CUDA among `activities`.
        experimental_config, execution_trace_observer: must be None.

    Raises:
        RuntimeError: at the start, when another profiler runs.

    >>> import tritorch as torch
    >>> with torch.profiler.profile() as prof:
    ...     y = torch.ones(2, 2) @ torch.ones(2, 2)
    >>> [event.name for event in prof.events()]
    ['aten::ones', 'aten::ones', 'aten::matmul']
    """

    def __init__(
        self, *, activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None, on_trace_ready: Callable[..., Any] | None = None,
        record_shapes: bool = False, profile_memory: bool = False, with_stack: bool = False, with_flops: bool = False,
        with_modules: bool = False, experimental_config: None = None, execution_trace_observer: None = None,
        acc_events: bool = False, use_cuda: bool | None = None,
    ):  # fmt: skip
        for name, value in (
            ("experimental_config", experimental_config),
            ("execution_trace_observer", execution_trace_observer),
        ):
            if value is not None:
                raise NotImplementedError(f"profile: {name} is not there; got {value!r}")
        kinds = set(activities) if activities is not None else supported_activities()
        if use_cuda is not None:
            kinds = kinds | {ProfilerActivity.CUDA} if use_cuda else kinds - {ProfilerActivity.CUDA}
        if not kinds or not all(isinstance(kind, ProfilerActivity) for kind in kinds):
            raise ValueError(f"profile: activities must be some of ProfilerActivity; got {activities!r}")
        self.activities = kinds
        self.on_trace_ready, self.acc_events = on_trace_ready, acc_events
        self.schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self.record_steps = schedule is not None
        self.step_num = 0
        self.current_action = self.schedule(0)
        self.collection = Collection(
            shapes=record_shapes, memory=profile_memory, stacks=with_stack, flops=with_flops, modules=with_modules,
            cuda=ProfilerActivity.CUDA in kinds,
        )  # fmt: skip
        self._range: record_function | None = None

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.stop()

    def start(self) -> None:
        """Begin, with what the schedule says for the current step."""
        self._turn(ProfilerAction.NONE, self.current_action)
        self._open_step()

    def stop(self) -> None:
        """End; a trace that is being recorded is complete."""
        self._close_step()
        self._turn(self.current_action, ProfilerAction.NONE, last=True)

    def step(self) -> None:
        """Say that a step of the script is over, and go on as the schedule says."""
        self._close_step()
        before = self.current_action
        self.step_num += 1
        self.current_action = self.schedule(self.step_num)
        self._turn(before, self.current_action)
        self._open_step()

    def _open_step(self) -> None:
        if self.record_steps:
            self._range = record_function(f"ProfilerStep#{self.step_num}")
            self._range.__enter__()

    def _close_step(self) -> None:
        if self._range is not None:
            self._range.__exit__(None, None, None)
            self._range = None

    def _turn(self, before: ProfilerAction, after: ProfilerAction, last: bool = False) -> None:
        """Go from what one step does to what the next one does."""
        if before is ProfilerAction.RECORD and after in (ProfilerAction.NONE, ProfilerAction.WARMUP) and not last:
            warnings.warn(f"Incorrect schedule: RECORD followed by {after.name}", stacklevel=3)
        saves = before is ProfilerAction.RECORD_AND_SAVE or last and before is ProfilerAction.RECORD
        goes_on = before is ProfilerAction.RECORD and after in _RECORDING
        if self.collection.running and not goes_on:
            self.collection.stop(keep=before in _RECORDING, add=self.acc_events)
            if saves and self.on_trace_ready is not None:
                self.on_trace_ready(self)
        if after is not ProfilerAction.NONE and not self.collection.running:
            self.collection.start()

    # ---- what was recorded

    def events(self) -> EventList:
        """All events of the last complete trace, in the order in which they began; RuntimeError before there is one."""
        return self.collection.recorded("events")

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:
        """One sum per name; see `EventList.key_averages` and, for printing, `EventList.table`."""
        return self.events().key_averages(group_by_input_shape, group_by_stack_n, group_by_overload_name)

    def export_chrome_trace(self, path: Any) -> None:
        """Write the trace as JSON for chrome://tracing or Perfetto, compressed if `path` ends in ".gz".

        The file appears when it is complete.
        """
        self.events().export_chrome_trace(path)

    def export_stacks(self, path: Any, metric: str = "self_cpu_time_total") -> None:
        """Write a line per stack, for programs that draw flame graphs: frames, outermost first, and a time in us.

        Arguments:
            metric: self_cpu_time_total, self_cuda_time_total, cpu_time_total or cuda_time_total.

        Raises:
            RuntimeError: `with_stack` was not set. ValueError: another metric.
        """
        if not self.collection.options["stacks"]:
            raise RuntimeError("export_stacks: needs the stacks of with_stack=True")
        self.events().export_stacks(path, metric)

    def export_memory_timeline(self, path: Any, device: Any = None) -> None:
        """NotImplementedError: memory that is freed is not recorded, so that there is no timeline of it."""
        raise NotImplementedError(
            "export_memory_timeline: memory that is freed is not recorded; the columns of profile_memory=True say what "
            "each op has made"
        )

    def add_metadata(self, key: str, value: str) -> None:
        """Add a text to the trace, under `key`."""
        self.collection.metadata[key] = value

    def add_metadata_json(self, key: str, value: str) -> None:
        """Add a value, given as JSON, to the trace, under `key`."""
        self.collection.metadata[key] = json.loads(value)

    preset_metadata_json = add_metadata_json
