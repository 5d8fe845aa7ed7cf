"""Where the time goes: which ops run, how often, how long, and at which part of the machine's speed.

from tritorch.profiler import profile, record_function

with profile(record_shapes=True, with_flops=True) as prof:
    with record_function("forward"):
        loss = model(x).sum()
    loss.backward()
print(prof.key_averages().table(sort_by="cpu_time_total", row_limit=10))
prof.export_chrome_trace("trace.json")
"""

from __future__ import annotations

from .collection import record_function
from .events import DeviceType
from .profiler import (
    ProfilerAction,
    ProfilerActivity,
    profile,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)

__all__ = [
    "DeviceType", "ProfilerAction", "ProfilerActivity", "kineto_available", "profile", "record_function", "schedule",
    "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip


def kineto_available() -> bool:
    """False: PyTorch's library of that name is not needed here."""
    return False
