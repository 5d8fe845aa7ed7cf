"""Streams and events: order and time on a cuda device."""

from __future__ import annotations

from typing import Any

from ..device import backend, current_device, index_of, on_device
from ..device import device as _device


def _index(dev: Any) -> int:
    return index_of(_device(dev) if isinstance(dev, str) else dev)


class Stream:
    """A queue of work on a device; works of different streams may overlap.

    An array that a second stream uses must be kept alive until that stream is done with it: memory that is freed goes
    back to the stream it was made on at once.

    Args:
        device: where, by default the current device.
        priority: -1 for a stream that goes before others, 0 otherwise.
    """

    __slots__ = ("device", "priority", "handle", "_before")

    def __init__(self, device: Any = None, priority: int = 0, *, handle: Any = None):
        index = _index(device)
        self.device = _device("cuda", index)
        self.priority = priority
        self.handle = backend().new_stream(index, priority) if handle is None else handle

    @property
    def cuda_stream(self) -> int:
        """The driver's handle; 0 is the default stream."""
        return self.handle.ptr

    def query(self) -> bool:
        """Whether all work given so far is done."""
        return backend().stream_done(self.handle)

    def synchronize(self) -> None:
        """Wait until all work given so far is done."""
        backend().synchronize_stream(self.handle)

    def record_event(self, event: Event | None = None) -> Event:
        """Record an event (a new one by default) after the work given so far."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Let later work of this stream wait for an event."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """Let later work of this stream wait for the work given to another one so far."""
        self.wait_event(stream.record_event())

    def __enter__(self) -> Stream:
        self._before = StreamContext(self)
        self._before.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._before.__exit__(*exc)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self.device, self.cuda_stream) == (other.device, other.cuda_stream)

    def __hash__(self) -> int:
        return hash((self.device, self.cuda_stream))

    def __repr__(self) -> str:
        return f"<tritorch.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


class Event:
    """A point in a stream's work: for order between streams, and for time.

    Args:
        enable_timing: whether `elapsed_time` can be asked.
        blocking: accepted for PyTorch's sake; waiting always blocks.
    """

    __slots__ = ("enable_timing", "_event")

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False):
        if interprocess:
            raise NotImplementedError("Event: interprocess events are not there; use one process per event")
        self.enable_timing = enable_timing
        self._event: Any = None

    def record(self, stream: Stream | None = None) -> None:
        """Mark the end of the work given to a stream (the current one by default) so far."""
        stream = current_stream() if stream is None else stream
        with on_device(stream.device.index):
            if self._event is None:
                self._event = backend().new_event(self.enable_timing)
            self._event.record(stream.handle)

    def wait(self, stream: Stream | None = None) -> None:
        """Let later work of a stream (the current one by default) wait for this event."""
        if self._event is not None:
            self._event.wait((current_stream() if stream is None else stream).handle)

    def query(self) -> bool:
        """Whether the work before the event is done; an event that was not recorded is."""
        return self._event is None or self._event.done()

    def synchronize(self) -> None:
        """Wait until the work before the event is done."""
        if self._event is not None:
            self._event.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to `end_event`.

        Raises:
            RuntimeError: unless both were made with `enable_timing=True`, recorded, and have happened.
        """
        if not (self.enable_timing and end_event.enable_timing):
            raise RuntimeError("Event.elapsed_time: both events must be made with enable_timing=True")
        if self._event is None or end_event._event is None:
            raise RuntimeError("Event.elapsed_time: both events must be recorded before")
        if not (self.query() and end_event.query()):
            raise RuntimeError("Event.elapsed_time: an event has not happened yet; call synchronize() first")
        return self._event.elapsed(end_event._event)


class StreamContext:
    """Context in which a stream (and its device) is the current one; nothing changes for None."""

    __slots__ = ("stream", "_device", "_before")

    def __init__(self, stream: Stream | None):
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is not None:
            index = self.stream.device.index
            self._device = on_device(index)
            self._device.__enter__()
            self._before = backend().stream_of(index)
            backend().use_stream(self.stream.handle, index)

    def __exit__(self, *exc: Any) -> None:
        if self.stream is not None:
            backend().use_stream(self._before, self.stream.device.index)
            self._device.__exit__(*exc)


def stream(stream: Stream | None) -> StreamContext:
    """Context in which a stream is the current one."""
    return StreamContext(stream)


def current_stream(device: Any = None) -> Stream:
    """The stream that launches on a device go to."""
    index = current_device() if device is None else _index(device)
    return Stream(index, handle=backend().stream_of(index))


def default_stream(device: Any = None) -> Stream:
    """The stream that is current on a device unless another one is chosen."""
    index = current_device() if device is None else _index(device)
    return Stream(index, handle=backend().default_stream(index))


def set_stream(stream: Stream) -> None:
    """Make a stream the current one of its device; prefer the context `stream(s)`."""
    backend().use_stream(stream.handle, stream.device.index)
