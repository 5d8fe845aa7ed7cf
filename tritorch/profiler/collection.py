"""What both of PyTorch's profilers stand on: recording, switched on and off, and named ranges."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from . import switch
from .events import EventList, Recording
from .recorder import Recorder

F = TypeVar("F", bound=Callable[..., Any])


class Collection:
    """Recordings with the same options, one after another.

    Attributes:
        options: for `Recorder`.
        metadata: for traces.
        running: is one on now.
    """

    def __init__(self, **options: bool):
        self.options = options
        self.metadata: dict[str, Any] = {}
        self._recorder: Recorder | None = None
        self._events: EventList | None = None
        self._zero = self._epoch = 0  # when the events' times begin: the host's clock, and the time of day

    @property
    def running(self) -> bool:
        return self._recorder is not None

    def start(self) -> None:
        """Switch recording on."""
        recorder = Recorder(**self.options)
        recorder.start()
        self._recorder = recorder

    def stop(self, keep: bool = True, add: bool = False) -> None:
        """Switch recording off.

        Args:
            keep: the events are the recorded ones; else they are dropped.
            add: to those of earlier recordings, whose times go on.
        """
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        earlier = self._events if add else None
        if earlier is None:
            self._zero, self._epoch = recorder.began, recorder.epoch
        recorder.stop(self._zero)
        if keep:
            o = self.options
            info = Recording(
                o["shapes"], o["memory"], o["stacks"], o["flops"], o["cuda"], self._epoch, recorder.ended - self._zero,
                self.metadata,
            )  # fmt: skip
            self._events = EventList([*(earlier or ()), *recorder.events], info)

    def recorded(self, what: str) -> EventList:
        """The events; RuntimeError before there are any."""
        if self._events is None:
            raise RuntimeError(
                f"{what}: the profiler has recorded nothing yet; it hands events out when it has stopped"
            )
        return self._events


class record_function:  # noqa: N801 - PyTorch's name
    """A named range, as a context manager or decorator: what runs inside is within it in tables and traces.

    Without a profiler it does nothing.

    Arguments:
        name: as it appears. args: a text that PyTorch keeps beside the name; accepted.

    >>> import tritorch as torch
    >>> with torch.profiler.profile() as prof:
    ...     with torch.profiler.record_function("twice"):
    ...         y = torch.ones(2) + torch.ones(2)
    >>> [event.name for event in prof.events() if event.cpu_parent is None]
    ['twice']
    """

    def __init__(self, name: str, args: str | None = None):
        self.name, self.args = name, args
        self._open: list[tuple[switch.Sink, Any]] = []

    def __enter__(self) -> record_function:
        sink = switch.ACTIVE[0] if switch.ACTIVE else None
        if sink is not None:
            self._open.append((sink, sink.open(self.name)))
        return self

    def __exit__(self, *exc: Any) -> None:
        if self._open:
            sink, opened = self._open.pop()
            sink.close(opened)

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]
