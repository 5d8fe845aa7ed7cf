"""torch.cuda's names: devices, streams, events and memory of cuda, real or emulated.

On a machine without a GPU, `TRITON_INTERPRET=1` gives an emulated cuda on NumPy memory; `get_device_name()` says so.
Streams of the emulated device run in program order; its events measure the host's clock.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from .. import random as _random
from ..device import (
    CPU,
    EMULATED,
    backend,
    current_device,
    device_count,
    index_of,
    on_device,
    set_device,
    synchronize,
)
from ..device import device as _device
from ..errors import OutOfMemoryError
from .streams import Event, Stream, StreamContext, current_stream, default_stream, set_stream, stream

__all__ = [
    "Event", "OutOfMemoryError", "Stream", "StreamContext", "can_device_access_peer", "current_device",
    "current_stream", "default_stream", "device", "device_count", "device_of", "empty_cache", "get_arch_list",
    "get_device_capability", "get_device_name", "get_device_properties", "get_rng_state", "get_rng_state_all",
    "init", "initial_seed", "is_available", "is_bf16_supported", "is_initialized", "ipc_collect", "manual_seed",
    "manual_seed_all", "max_memory_allocated", "max_memory_reserved", "mem_get_info", "memory_allocated",
    "memory_reserved", "memory_stats", "memory_summary", "reset_max_memory_allocated", "reset_peak_memory_stats",
    "seed", "seed_all", "set_device", "set_per_process_memory_fraction", "set_rng_state", "set_rng_state_all",
    "set_stream", "stream", "synchronize",
]  # fmt: skip

_MIB = 1 << 20
_GRAPHS = ("CUDAGraph", "graph", "graph_pool_handle", "is_current_stream_capturing", "make_graphed_callables")


def _index(dev: Any, op: str) -> int:
    """The number of a device given as None, int, str or device."""
    if isinstance(dev, str):
        dev = _device(dev)
    if isinstance(dev, _device):
        if dev is CPU or dev.type != "cuda":
            raise ValueError(f"{op}: expected a cuda device; got {dev}")
    elif dev is not None and not isinstance(dev, int):
        raise TypeError(f"{op}: device must be an int, a str, a device or None; got {dev!r}")
    return index_of(dev)


# ---- devices -------------------------------------------------------------------------------------------------------


def is_available() -> bool:
    """Whether there is a cuda device, real or emulated.

    >>> import tritorch as torch
    >>> isinstance(torch.cuda.is_available(), bool)
    True
    """
    return device_count() > 0


def init() -> None:
    """Make cuda ready now; RuntimeError that says what is missing when it can't be had."""
    backend()


def is_initialized() -> bool:
    """Whether cuda has been used in this process."""
    return importlib.import_module("tritorch.device")._backend is not None


class device(on_device):  # noqa: N801 - PyTorch's name
    """Context in which a cuda device is the current one: `with device(1): ...` (None or a negative number: no change).

    Args:
        device: an int, a str ("cuda:1") or a device.
    """

    __slots__ = ()

    def __init__(self, device: Any):
        if isinstance(device, int) and device < 0 or device is None:
            super().__init__(None)
        else:
            super().__init__(_index(device, "cuda.device"))


class device_of(on_device):  # noqa: N801 - PyTorch's name
    """Context in which a tensor's device is the current one (no change for a tensor on the CPU)."""

    __slots__ = ()

    def __init__(self, obj: Any):
        super().__init__(obj.device.index if obj.device.type == "cuda" else None)


def get_device_name(device: Any = None) -> str:
    """The device's name; the emulated device says that it is one."""
    return backend().name(_index(device, "get_device_name"))


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """(major, minor) of the device's architecture; the emulated device counts as (9, 0)."""
    return backend().capability(_index(device, "get_device_capability"))


class DeviceProperties:
    """What `get_device_properties` returns.

    Attributes:
        name, major, minor: the device and its architecture.
        total_memory: bytes.
        multi_processor_count: number of streaming multiprocessors.
    """

    def __init__(self, index: int):
        b = backend()
        self.name = b.name(index)
        self.major, self.minor = b.capability(index)
        self.total_memory = b.total_memory(index)
        self.multi_processor_count = b.multiprocessors(index)

    def __repr__(self) -> str:
        return (
            f"_CudaDeviceProperties(name={self.name!r}, major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory // _MIB}MB, multi_processor_count={self.multi_processor_count})"
        )


def get_device_properties(device: Any = None) -> DeviceProperties:
    """Name, architecture, memory and multiprocessors of a device."""
    return DeviceProperties(_index(device, "get_device_properties"))


def get_arch_list() -> list[str]:
    """The architectures that kernels are checked for ahead of time; others are compiled for when met."""
    return ["sm_80", "sm_90", "sm_100", "gfx942"]


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the current device multiplies bfloat16 in hardware; with `including_emulation`, every device does."""
    return is_available() and (including_emulation or EMULATED or get_device_capability()[0] >= 8)


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """Whether one device reads another's memory directly."""
    a, b = _index(device, "can_device_access_peer"), _index(peer_device, "can_device_access_peer")
    if a == b or EMULATED:
        return a != b
    return bool(backend().runtime.deviceCanAccessPeer(a, b))


# ---- memory --------------------------------------------------------------------------------------------------------


def memory_allocated(device: Any = None) -> int:
    """Bytes that tensors occupy on a device."""
    return backend().memory(_index(device, "memory_allocated"))[0]


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that tensors have occupied since the start or `reset_peak_memory_stats`."""
    return backend().memory(_index(device, "max_memory_allocated"))[1]


def memory_reserved(device: Any = None) -> int:
    """Bytes that the pool holds from the system, for tensors and for reuse."""
    return backend().memory(_index(device, "memory_reserved"))[2]


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that tensors have occupied, or the bytes held now (the pool keeps no record of its peak)."""
    return max(backend().memory(_index(device, "max_memory_reserved"))[1:])


def reset_peak_memory_stats(device: Any = None) -> None:
    """Start `max_memory_allocated` anew from what is in use."""
    backend().reset_peak(_index(device, "reset_peak_memory_stats"))


reset_max_memory_allocated = reset_peak_memory_stats


def memory_stats(device: Any = None) -> dict[str, int]:
    """Bytes in use, their peak and bytes held, under PyTorch's keys."""
    used, peak, held = backend().memory(_index(device, "memory_stats"))
    return {
        "allocated_bytes.all.current": used, "allocated_bytes.all.peak": peak, "reserved_bytes.all.current": held,
    }  # fmt: skip


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """One line: MiB in use, at most, held and free."""
    index = _index(device, "memory_summary")
    used, peak, held = backend().memory(index)
    free, total = mem_get_info(index)
    return (
        f"cuda:{index} {get_device_name(index)}: {used / _MIB:.1f} MiB in use, {peak / _MIB:.1f} MiB at most, "
        f"{held / _MIB:.1f} MiB held, {free / _MIB:.1f} of {total / _MIB:.1f} MiB free"
    )


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes of a device, as the driver sees it."""
    index = _index(device, "mem_get_info")
    return backend().free_memory(index), backend().total_memory(index)


def empty_cache() -> None:
    """Give memory that the pool holds for reuse back to the system."""
    backend().release()


def ipc_collect() -> None:
    """Nothing: memory is not shared between processes."""


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Let this process use at most that part of a device's memory; more is an OutOfMemoryError.

    Args:
        fraction: in (0, 1].
        device: the device, by default the current one.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"set_per_process_memory_fraction: fraction must be in (0, 1]; got {fraction}")
    index = _index(device, "set_per_process_memory_fraction")
    backend().set_limit(index, int(fraction * backend().total_memory(index)))


# ---- random numbers ------------------------------------------------------------------------------------------------


def _generator(dev: Any, op: str) -> Any:
    return _random.cuda_generator(_index(dev, op))


def manual_seed(seed: int) -> None:
    """Seed the current device's generator; without a device nothing happens but that the number is checked."""
    _random.manual_seed_cuda(seed, current_device())


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all devices."""
    _random.manual_seed_cuda(seed)


def seed() -> None:
    """Seed the current device's generator from the system."""
    _generator(None, "seed").seed()


def seed_all() -> None:
    """Seed the generators of all devices with one number from the system."""
    manual_seed_all(_generator(None, "seed_all").seed())


def initial_seed() -> int:
    """The seed of the current device's generator."""
    return _generator(None, "initial_seed").initial_seed()


def get_rng_state(device: Any = "cuda") -> Any:
    """The state of a device's generator, a uint8 tensor on the CPU."""
    return _generator(device, "get_rng_state").get_state()


def get_rng_state_all() -> list[Any]:
    """The states of all devices' generators."""
    return [get_rng_state(i) for i in range(device_count())]


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Set the state of a device's generator."""
    _generator(device, "set_rng_state").set_state(new_state)


def set_rng_state_all(new_states: Iterable[Any]) -> None:
    """Set the states of all devices' generators."""
    for i, state in enumerate(new_states):
        set_rng_state(state, i)


def __getattr__(name: str) -> Any:
    if name in ("amp", "graphs", "nvtx", "profiler"):
        return importlib.import_module(f"tritorch.cuda.{name}")
    if name in _GRAPHS:
        return getattr(importlib.import_module("tritorch.cuda.graphs"), name)
    raise AttributeError(f"module 'tritorch.cuda' has no attribute {name!r}")
