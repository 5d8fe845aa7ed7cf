"""PyTorch's path to the profiler's events."""

from __future__ import annotations

from ..profiler.events import DeviceType, EventList, FunctionEvent, FunctionEventAvg, Interval

__all__ = ["DeviceType", "EventList", "FunctionEvent", "FunctionEventAvg", "Interval"]
