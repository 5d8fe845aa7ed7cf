"""The profiler without schedules; `torch.profiler` has the same and more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..cuda import nvtx
from ..profiler import switch
from ..profiler.collection import Collection, record_function
from ..profiler.events import EventList, FunctionEvent, FunctionEventAvg
from ..profiler.names import Target

__all__ = ["FunctionEvent", "emit_nvtx", "profile", "record_function"]


class profile:  # noqa: N801 - PyTorch's name
    """Records which ops run inside; a context manager. See `torch.profiler.profile`.

    Arguments:
        enabled: False makes it do nothing.
        use_cuda: time ops on cuda on the device, too; `use_device="cuda"` is the same.
        record_shapes, with_flops, profile_memory, with_stack, with_modules: as there.
        use_kineto, use_cpu: accepted; there is one way to record.

    >>> import tritorch as torch
    >>> with torch.autograd.profiler.profile() as prof:
    ...     y = torch.ones(3).exp()
    >>> prof.key_averages()[1].key, prof.total_average().count
    ('aten::exp', 2)
    """

    def __init__(
        self, enabled: bool = True, *, use_cuda: bool = False, use_device: str | None = None,
        record_shapes: bool = False, with_flops: bool = False, profile_memory: bool = False, with_stack: bool = False,
        with_modules: bool = False, use_kineto: bool = True, use_cpu: bool = True,
    ):  # fmt: skip
        if use_device not in (None, "cuda"):
            raise ValueError(f"profile: use_device must be None or 'cuda'; got {use_device!r}")
        self.enabled, self.entered = enabled, False
        self._collection = Collection(
            shapes=record_shapes, memory=profile_memory, stacks=with_stack, flops=with_flops, modules=with_modules,
            cuda=use_cuda or use_device == "cuda",
        )  # fmt: skip

    def __enter__(self) -> profile | None:
        if not self.enabled:
            return None
        if self.entered:
            raise RuntimeError("profile: Profiler context manager is not reentrant")
        self.entered = True
        self._collection.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        if self.enabled:
            self._collection.stop()

    @property
    def function_events(self) -> EventList:
        """All events, in the order in which they began; RuntimeError before the end."""
        return self._collection.recorded("function_events")

    @property
    def self_cpu_time_total(self) -> float:
        """The host's time in all events, in us."""
        return self.function_events.self_cpu_time_total

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:
        """One sum per name, see `EventList.key_averages`."""
        return self.function_events.key_averages(group_by_input_shape, group_by_stack_n, group_by_overload_name)

    def total_average(self) -> FunctionEventAvg:
        """The sum of all events."""
        return self.function_events.total_average()

    def table(self, *args: Any, **kwargs: Any) -> str:
        """All events as text, see `EventList.table`."""
        return self.function_events.table(*args, **kwargs)

    def export_chrome_trace(self, path: Any) -> None:
        """Write the events as JSON for chrome://tracing or Perfetto, compressed if `path` ends in ".gz"."""
        self.function_events.export_chrome_trace(path)

    def export_stacks(self, path: Any, metric: str = "self_cpu_time_total") -> None:
        """Write a line per stack for flame graphs; needs `with_stack`."""
        self.function_events.export_stacks(path, metric)

    def __str__(self) -> str:
        recorded = self.enabled and self.entered and not self._collection.running
        return str(self.function_events) if recorded else "<unfinished torch.autograd.profile>"


class emit_nvtx:  # noqa: N801 - PyTorch's name
    """Inside, every op and backward node is a range for NVIDIA's tools, under the names of `profile`.

    Arguments:
        enabled: False makes it do nothing.
        record_shapes: add the sizes of arguments to the names.

    Raises:
        RuntimeError: a profiler is running, or there is no cuda device.
    """

    modules = False

    def __init__(self, enabled: bool = True, record_shapes: bool = False):
        self.enabled, self.record_shapes = enabled, record_shapes

    def __enter__(self) -> emit_nvtx:
        if self.enabled:
            nvtx.mark("emit_nvtx")  # fails here, where there is no device
            switch.start(self)
        return self

    def __exit__(self, *exc: Any) -> None:
        if self.enabled:
            switch.stop()

    def hook(self, original: Callable[..., Any], target: Target) -> switch.Hook:
        """The function with a range around it."""
        named = target.name

        def call(*args: Any, **kwargs: Any) -> Any:
            label = named if isinstance(named, str) else named(args)
            shapes = [list(a.shape) for a in args if hasattr(a, "shape")] if self.record_shapes else []
            nvtx.range_push(f"{label}, sizes = {shapes}" if shapes else label)
            try:
                return original(*args, **kwargs)
            finally:
                nvtx.range_pop()

        return call

    def open(self, name: str) -> None:
        """Begin a range of `record_function`."""
        nvtx.range_push(name)

    def close(self, opened: None) -> None:
        """End it."""
        nvtx.range_pop()
