"""The recorder: what runs while a profiler is on, as ranges within ranges, one tree per thread."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

import numpy as np

from .._capture import CAPTURES
from ..autograd.graph import Leaf, Port
from ..cuda.streams import Event, current_stream
from ..device import CPU, backend, cuda_index, synchronize
from ..kernels._op import Op
from ..tensor import TENSORS
from . import cost, names, switch
from .events import FunctionEvent

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_FRAMES = 64  # of a stack that are kept
_clock = time.perf_counter_ns


class _Thread(threading.local):
    """A thread's number and its open ranges; the first, which stands for the thread, is never closed."""

    def __init__(self) -> None:
        self.number = threading.get_native_id()
        self.open = [FunctionEvent("", self.number)]


class Recorder:
    """Records calls of functions and named ranges from `start` to `stop`.

    Attributes:
        events: in the order in which they began.
        shapes, memory, stacks, flops, modules, cuda: what is recorded beside the host's time.
        began, ended: the host's clock, in ns; `epoch`: the time of day at the start.
    """

    def __init__(
        self, *, shapes: bool = False, memory: bool = False, stacks: bool = False, flops: bool = False,
        modules: bool = False, cuda: bool = False,
    ):  # fmt: skip
        self.shapes, self.memory, self.stacks = shapes, memory, stacks
        self.flops, self.modules, self.cuda = flops, modules, cuda
        self.events: list[FunctionEvent] = []
        self.began = self.ended = self.epoch = 0
        self._thread = _Thread()
        self._forward: dict[int, FunctionEvent] = {}  # the number of a node -> the call that made it
        self._base: dict[int, tuple[Event, int]] = {}  # device -> an event in a stream of it, and the host's clock then

    def start(self) -> None:
        """Switch recording in; RuntimeError when another profiler runs."""
        self.epoch, self.began = time.time_ns(), _clock()  # before other threads can come upon hooks
        switch.start(self)

    def stop(self, zero: int = 0) -> None:
        """Switch recording out, and read the device's clocks. Ranges that are still open end here.

        Args:
            zero: what the host's clock showed when the events' times begin; default: at the start.
        """
        switch.stop()
        self.ended = _clock()
        zero = zero or self.began
        for index in self._base:
            synchronize(index)
        # What another thread is about to begin, in a hook that it was in already, is left out.
        self.events = [event for event in self.events if self.began <= event.start <= self.ended]
        for event in self.events:
            event.start -= zero
            event.end = (event.end or self.ended) - zero
            if event.marks is not None:
                self._read(event, zero)

    # ---- ranges

    def open(self, name: str, kind: str = "range") -> FunctionEvent:
        """Begin a range in this thread."""
        event = self._begin(name, kind, self._thread.open)
        event.start = _clock()
        return event

    def _begin(self, name: str, kind: str, stack: list[FunctionEvent]) -> FunctionEvent:
        event = FunctionEvent(name, stack[0].thread, stack[-1], kind)
        if self.stacks:
            event.stack = _stack()
        self.events.append(event)
        stack.append(event)
        return event

    def close(self, opened: FunctionEvent) -> None:
        """End a range, and those within it that are still open."""
        self._end(opened, _clock(), self._thread.open)

    def _end(self, event: FunctionEvent, at: int, stack: list[FunctionEvent]) -> None:
        if self.ended:
            return  # `stop` has closed it
        event.end = at
        if stack[-1] is event:
            stack.pop()
        elif event in stack:  # not so in another thread
            del stack[stack.index(event) :]
        if self.flops:
            known = [child.bytes for child in event.cpu_children if child.bytes is not None]
            if known:
                event.bytes, event.flops = sum(known), sum([child.flops for child in event.cpu_children])
        if self.memory:
            event.cpu_memory_usage = sum([child.cpu_memory_usage for child in event.cpu_children])
            event.device_memory_usage = sum([child.device_memory_usage for child in event.cpu_children])

    # ---- functions

    def hook(self, original: Callable[..., Any], target: names.Target) -> switch.Hook:
        """What a recorded function calls instead of its code."""
        _, name, kind, op, place_of = target
        fixed = name if isinstance(name, str) else ""
        named: Any = name
        within, merges, thread = names.WITHIN.get(fixed), kind in ("op", "range"), self._thread
        prepares, computes = self.shapes or self.cuda, kind in ("op", "node")
        flops, memory = self.flops and computes, self.memory and computes
        is_op, begin, end = kind == "op", self._begin, self._end

        def call(*args: Any, **keywords: Any) -> Any:
            label = fixed or named(args)
            stack = thread.open
            parent = stack[-1]
            if merges and (parent.name == label or parent.name == within):  # the second half of the same
                result = original(*args, **keywords)
                if flops and parent.own_cost is None:
                    parent.own_cost = cost.of_call(label, op, args, keywords, result)
                return result
            event = begin(label, kind, stack)
            place = self._prepare(event, args, keywords, place_of) if prepares else None
            used = backend().memory(place)[0] if place is not None and self.memory else 0
            event.start = _clock()
            try:
                result = original(*args, **keywords)
            except BaseException:
                self.close(event)
                raise
            at = _clock()
            if self.ended:
                return result  # stopped meanwhile, by another thread
            if place is not None:
                self._mark(event, place)
            end(event, at, stack)
            if is_op:
                self._link(event, result)
            elif kind == "node":
                event.sequence_nr = args[-2].seq
            if place is not None and self.memory:
                event.device_memory_usage = backend().memory(place)[0] - used
            if flops and not event.bytes:  # nothing, or views alone, ran within
                event.bytes, event.flops = event.own_cost or self._cost(event, op, args, keywords, result)
            if memory:
                _remember(event, args, result)
            return result

        return call

    def _prepare(self, event: FunctionEvent, args: Any, keywords: dict[str, Any], place_of: Any) -> int | None:
        """What is noted before the call; returns the number of the cuda device where it will run, None for the CPU."""
        if self.shapes and event.kind in ("op", "node"):
            event.input_shapes = [_shape(a) for a in args]
        if not self.cuda or CAPTURES:
            return None
        place = place_of(args) if place_of is not None else cost.on_cuda(args, keywords)
        if place is None or place is CPU:
            return None
        index = place.index or 0
        self._mark(event, index)
        return index

    def _cost(self, event: FunctionEvent, op: Op | None, args: Any, keywords: dict[str, Any], result: Any) -> cost.Cost:
        if event.kind == "op":
            return cost.of_call(event.name, op, args, keywords, result)
        made = self._forward.get(event.sequence_nr)
        return cost.of_backward(args, result, made.flops if made else 0)

    def _link(self, event: FunctionEvent, result: Any) -> None:
        """Note which node a call has made, so that its backward finds it."""
        node = getattr(result[0] if result.__class__ is tuple and result else result, "_node", None)
        if node is not None and node.__class__ is not Leaf:
            event.sequence_nr = (node.next[0] if node.__class__ is Port else node).seq
            self._forward.setdefault(event.sequence_nr, event)

    def _mark(self, event: FunctionEvent, index: int) -> None:
        """Record an event in the stream where the call's kernels run."""
        mark = Event(enable_timing=True)
        mark.record(current_stream(index))
        if index not in self._base:
            self._base[index] = mark, _clock()
        if event.marks is None:
            event.device_index, event.marks = index, (mark,)
        else:
            event.marks = (*event.marks, mark)

    def _read(self, event: FunctionEvent, zero: int) -> None:
        if len(event.marks) == 2:  # not so for a call that failed
            base, at = self._base[event.device_index]
            first, last = event.marks
            event.device_start = at - zero + base.elapsed_time(first) * 1e6
            event.own_device_time = first.elapsed_time(last) * 1e3
        event.marks = None


def _shape(a: Any) -> list[Any]:
    """Sizes of a tensor, lists of them for a list of tensors, [] for anything else."""
    if a.__class__ in TENSORS:
        return list(a._a.shape)
    return [_shape(v) for v in a if v.__class__ in TENSORS] if isinstance(a, (list, tuple)) else []


def _stack() -> list[str]:
    """Where the user's code stands, innermost first."""
    frame: Any = sys._getframe(1)
    found = []
    while frame is not None and len(found) < _FRAMES:
        code = frame.f_code
        if not code.co_filename.startswith(_PACKAGE):
            found.append(f"{code.co_filename}({frame.f_lineno}): {code.co_name}")
        frame = frame.f_back
    return found


def _arrays(values: Any) -> Iterator[np.ndarray]:
    """The arrays in the host's memory among values, each as the one that owns its memory."""
    for v in values:
        if isinstance(v, (list, tuple)):
            yield from _arrays(v)
            continue
        a = v._a if v.__class__ in TENSORS else v
        if a.__class__ is np.ndarray and cuda_index(a) is None:
            yield cost.owner(a)


def _remember(event: FunctionEvent, args: Any, result: Any) -> None:
    """Add up the memory of a call's results: what is new, less what calls within it have made."""
    made = [r for child in event.cpu_children for r in child.made if r() is not None]
    seen = {id(r()) for r in made} | {id(a) for a in _arrays(args)}
    for a in _arrays((result,)):
        if id(a) not in seen:
            seen.add(id(a))
            made.append(ref(a))
            event.cpu_memory_usage += a.nbytes
    event.made = made
    for child in event.cpu_children:
        child.made = ()
