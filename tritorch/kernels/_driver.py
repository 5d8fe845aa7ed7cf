"""The real device: Triton's compiler with our driver object, on CuPy memory, without torch.

Triton would look for torch to learn device and stream; `_install` puts a driver in its place that asks
`tritorch.device`. `Compiled.start` keeps, per kernel, what a launch needs beyond addresses and numbers, keyed by
dtypes, alignment and kinds of integers, so that a repeated launch skips Triton's Python (3 us instead of 12).

Environment: `TRITORCH_SYNC=1` waits after each launch and names the kernel that faulted; `TRITORCH_PLANS=0` sends every
launch through Triton's own path, which profilers can hook.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from .._requirements import check_compiler, check_triton, install
from ._launch import check_grid, scalar_error

try:
    import triton
    import triton.language  # noqa: F401 - `_launch` puts it into the kernels' modules
    from triton.runtime.jit import JITFunction
except ImportError as error:
    raise RuntimeError(f"device cuda: Triton cannot be imported ({error}); {install()}") from error

_device = sys.modules["tritorch.device"]

SYNC = os.environ.get("TRITORCH_SYNC", "0") == "1"
PLANS = os.environ.get("TRITORCH_PLANS", "1") != "0"
PLANS_KEPT = 4096

NAMES = {
    "bool": "i1", "int8": "i8", "uint8": "u8", "int16": "i16", "uint16": "u16", "int32": "i32", "uint32": "u32",
    "int64": "i64", "uint64": "u64", "float16": "fp16", "bfloat16": "bf16", "float32": "fp32", "float64": "fp64",
}  # fmt: skip


class TypeName(str):
    """Triton's name of a dtype; a string, because Triton caches by the hash alone."""

    itemsize: int
    is_floating_point: bool


_type_names: dict[Any, TypeName] = {}


def type_name(dtype: Any) -> TypeName:
    """Triton's name for a NumPy dtype; TypeError for one that kernels don't take."""
    found = _type_names.get(dtype)
    if found is None:
        if dtype.name not in NAMES:
            raise TypeError(f"kernels take {', '.join(NAMES)}; got {dtype.name}")
        found = _type_names[dtype] = TypeName(NAMES[dtype.name])
        found.itemsize, found.is_floating_point = dtype.itemsize, "f" in found
    return found


class Pointer:
    """An address with a type: what Triton's own launch path takes for an array."""

    __slots__ = ("dtype", "address", "base")

    def __init__(self, dtype: str, address: int, base: Any = None):
        self.dtype, self.address, self.base = dtype, address, base

    def data_ptr(self) -> int:
        return self.address

    def ptr_range(self) -> int:
        """Bytes from the address on, which AMD's backend asks for; unknown ones count as many."""
        return 1 << 62 if self.base is None else self.base.nbytes


class Compiled(JITFunction):
    """A kernel, or a device function, compiled by Triton for the current device."""

    def __init__(self, fn: Any, do_not_specialize: tuple[str, ...] = ()):
        super().__init__(fn, do_not_specialize=list(do_not_specialize))
        self.plans: dict[Any, tuple[Any, ...]] = {}

    def start(self, grid: tuple[int, ...], args: tuple[Any, ...], consts: dict[str, Any]) -> None:
        if "reach" in consts:
            del consts["reach"]
        if 0 in grid:
            return
        key, values = self._key(args, consts)
        plan = self.plans.get(key)
        if plan is None:
            self._first(key, grid, args, dict(consts))
        else:
            n = len(grid)
            plan[0](
                grid[0],
                grid[1] if n > 1 else 1,
                grid[2] if n > 2 else 1,
                _stream(_current.index),
                *plan[1],
                *values,
                *plan[2],
            )
        if SYNC:
            self._wait(grid, args)

    def again(self, grid: tuple[int, ...], args: tuple[Any, ...], varying: int, consts: dict[str, Any]) -> Any:
        """What makes a launch again on the same device: `run(*grid, stream, *between, *addresses, *fixed)`.

        Args:
            varying: that many arguments, the pointers, come anew each time: addresses, None where it was None, a multiple
                of 16 where it was one. The others stay.

        Returns (run, grid, between, fixed), None when there is no plan for the launch.
        """
        key, values = self._key(args, {k: v for k, v in consts.items() if k != "reach"})
        plan = self.plans.get(key)
        if plan is None:
            return None
        run, between, tail = plan
        return run, check_grid(self.__name__, grid), between, (*values[varying:], *tail)

    def _key(self, args: tuple[Any, ...], consts: dict[str, Any]) -> tuple[tuple[Any, ...], list[Any]]:
        """What Triton compiles apart, and the arguments as the driver takes them."""
        key: list[Any] = [_current.index, *consts, *consts.values()]
        values: list[Any] = []
        low = 0
        for a in args:
            cls = a.__class__
            if cls is int:
                # 1, multiples of 16, numbers beyond 32 bits
                key.append(1 if a == 1 else 2 + (a & 15 == 0) + (0 if -(2**31) <= a < 2**31 else 2 if a < 2**63 else 4))
                values.append(a)
            elif cls is float:
                key.append(0.5)
                values.append(a)
            elif a is None:
                key.append(None)
                values.append(None)
            else:
                try:
                    address = a.data.ptr
                    key.append(a.dtype.num)
                except AttributeError:
                    raise scalar_error(self.__name__, a) from None
                low |= address
                values.append(address)
        if low & 15:
            key.append(tuple([a.data.ptr & 15 == 0 for a in args if hasattr(a, "data")]))
        return tuple(key), values

    def _first(self, key: Any, grid: tuple[int, ...], args: tuple[Any, ...], consts: dict[str, Any]) -> None:
        """Launch through Triton, which compiles, and keep the plan."""
        _install()
        _use_allocator()
        check_grid(self.__name__, grid)
        consts.setdefault("enable_fp_fusion", True)  # Triton's default changes in 3.10
        wrapped = [Pointer(type_name(a.dtype), a.data.ptr, a) if hasattr(a, "data") else a for a in args]
        with relaxed():
            k = self[grid](*wrapped, **consts)
        if not PLANS or k is None:
            return
        if len(self.plans) >= PLANS_KEPT:
            self.plans.clear()
        defaults = {n: p.default for n, p in self.signature.parameters.items()}
        tail = tuple(consts.get(n, defaults[n]) for n in self.arg_names[len(args) :])
        self.plans[key] = (*_launcher(k, len(args) + len(tail)), tail)

    def _wait(self, grid: tuple[int, ...], args: tuple[Any, ...]) -> None:
        try:
            _device.synchronize()
        except Exception as error:
            shapes = [a.shape if hasattr(a, "data") else a for a in args]
            raise RuntimeError(f"kernel {self.__name__} faulted: grid {grid}, arguments {shapes}: {error}") from error


def _launcher(k: Any, n_args: int) -> tuple[Any, tuple[Any, ...]]:
    """What starts a compiled kernel: a function of (x, y, z, stream, *between, *arguments), and what stands between.

    Triton's `run` is Python around a function in C whose arguments are ordered differently in each version. A copy of
    `run` shows them: called with marks for its arguments, it hands them to `look` instead of launching. Kernels that
    need scratch memory for each launch go through `run` itself.
    """
    between = (k.function, k.packed_metadata, None, None, None)
    if getattr(k.metadata, "global_scratch_size", 0) or getattr(k.metadata, "profile_scratch_size", 0):

        def with_scratch(*args: Any) -> None:
            _use_allocator()
            k.run(*args)

        return with_scratch, between
    seen: list[tuple[Any, ...]] = []
    probe, stream, marks = copy.copy(k.run), object(), tuple([object() for _ in range(n_args)])
    if not hasattr(probe, "launch"):
        return k.run, between
    probe.launch = lambda *args: seen.append(args)
    probe(1, 2, 3, stream, *between, *marks)
    args = seen[0] if len(seen) == 1 else ()
    if args[:4] == (1, 2, 3, stream):
        launch: Any = k.run.launch
        if args[len(args) - n_args :] == marks:
            return launch, args[4 : len(args) - n_args]
        if args[-1] == marks:  # from 3.7 on they are one tuple
            n = len(args) - 1
            return lambda *args: launch(*args[:n], args[n:]), args[4:n]
    return k.run, between


# ---- the driver ----------------------------------------------------------------------------------------------------

_current: Any = _device._current
_installed = False
_lock = threading.Lock()
_thread = threading.local()


def _stream(index: int) -> int:
    return _device.backend().stream_pointer(index)


def _use_allocator() -> None:
    """Scratch memory for kernels that ask for it; Triton keeps the allocator per thread."""
    if not getattr(_thread, "ready", False):
        triton.set_allocator(_scratch)
        _thread.ready = True


def _scratch(size: int, align: int, stream: Any) -> Pointer:
    """Memory of the current device's pool; its blocks are aligned to 512 bytes."""
    block = _device.empty((size,), "u1")
    return Pointer(type_name(block.dtype), block.data.ptr, block)


class _NoTorch:
    """Makes `import torch` fail while Triton's C code tries it."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name == "torch":
            raise ModuleNotFoundError("torch is not used here", name="torch")


def _prime() -> None:
    """Triton up to 3.7 imports torch, where installed, at the first specialisation of an argument."""
    from triton.runtime.jit import mangle_type

    sys.meta_path.insert(0, _NoTorch)  # type: ignore[arg-type]
    try:
        mangle_type(0)
    finally:
        sys.meta_path.remove(_NoTorch)  # type: ignore[arg-type]


def _install() -> None:
    """Make our driver Triton's, once."""
    global _installed
    if _installed:
        return
    with _lock:
        if _installed:
            return
        from triton.runtime import driver as config

        backend = _device.backend()
        check_triton(emulated=False, driver=backend.driver_version)
        if "torch" not in sys.modules:
            _prime()
        made = _hip_driver(backend) if backend.hip else _cuda_driver(backend)
        config._default = made  # so that a reset does not build the one that looks for torch
        config.set_active(made)
        _installed = True


def _behaviour(backend: Any) -> dict[str, Any]:
    """What our driver does by itself, for NVIDIA and AMD alike."""

    def get_active_torch_device(self: Any) -> Any:
        raise RuntimeError("tritorch's driver has no torch device")

    return {
        "is_active": staticmethod(lambda: True),
        "get_active_torch_device": get_active_torch_device,
        "get_device_interface": lambda self: _Interface,
        "get_empty_cache_for_benchmark": lambda self: _device.empty((256 << 20,), "u1"),
        "clear_cache": lambda self, cache: cache.data.memset_async(0, cache.nbytes),
        "allocate_default_profile_scratch": lambda self, size, align, stream: _scratch(size, align, stream),
    }


def _attach(driver: Any, backend: Any) -> None:
    driver.get_current_device = _device.current_device
    driver.set_current_device = _device.set_device
    driver.get_current_stream = backend.stream_pointer
    driver.get_device_capability = backend.capability


def _cuda_driver(backend: Any) -> Any:
    from triton.backends.nvidia import compiler
    from triton.backends.nvidia import driver as nvidia

    major, minor = backend.capability(_device.current_device())
    assembler = compiler.get_ptxas(10 * major + minor).version
    check_compiler(backend.driver_version, assembler, triton.__version__)

    def __init__(self: Any) -> None:  # the parent's would take torch's device and stream
        self.launcher_cls = lambda *of: _built(nvidia.CudaLauncher, *of)
        _attach(self, backend)

    def utils(self: Any) -> Any:
        return _built(nvidia.CudaUtils)

    made = type("Driver", (nvidia.CudaDriver,), {**_behaviour(backend), "__init__": __init__, "utils": _lazy(utils)})
    return made()


def _hip_driver(backend: Any) -> Any:
    from triton.backends.amd import compiler
    from triton.backends.amd import driver as amd

    def __init__(self: Any) -> None:
        self.launcher_cls = lambda *of: _built(amd.HIPLauncher, *of)
        _attach(self, backend)

    def utils(self: Any) -> Any:
        return _built(amd.HIPUtils)

    # the original asks torch for the size of each pointer's memory
    compiler.HIPBackend.is_within_2gb = staticmethod(lambda a: a.ptr_range() <= 2**31 - 1)
    made = type("Driver", (amd.HIPDriver,), {**_behaviour(backend), "__init__": __init__, "utils": _lazy(utils)})
    return made()


def _lazy(function: Any) -> Any:
    made = cached_property(function)
    made.__set_name__(None, "utils")  # type: ignore[arg-type]
    return made


def _built(make: Any, *of: Any) -> Any:
    """Triton's launch helper (up to 3.6 one per signature), which a C compiler builds at its first use on a machine."""
    try:
        return make(*of)
    except Exception as error:
        raise RuntimeError(
            "Triton could not build its launch helper: it needs a C compiler, the Python headers and the driver's "
            f"libcuda.so.1 (Debian: gcc python3-dev; or set CC); the cause: {error}"
        ) from error


# ---- loading while a graph is captured -----------------------------------------------------------------------------

_RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED, of HIP too
_exchange: Any = None


@contextlib.contextmanager
def relaxed() -> Iterator[None]:
    """Context in which this thread may load kernels and make memory while a stream is captured.

    The driver refuses both, and ends the capture, in a thread of another mode as soon as there is a capture that was not
    begun as relaxed: one of this thread, or any thread's global one, which may be another library's.
    """
    before = _exchanged(_RELAXED)
    try:
        yield
    finally:
        _exchanged(before)


def _exchanged(mode: int) -> int:
    """Give this thread another capture mode; the one that it had. CuPy has no name for the driver's function."""
    global _exchange
    if _exchange is None:
        library, name = ("libamdhip64.so", "hip") if _device.backend().hip else ("libcuda.so.1", "cu")
        _exchange = getattr(ctypes.CDLL(library), name + "ThreadExchangeStreamCaptureMode")
    found = ctypes.c_int(mode)
    code = _exchange(ctypes.byref(found))
    if code:
        raise RuntimeError(f"the driver refuses a thread's stream capture mode {mode}: error {code}")
    return found.value


class _Interface:
    """What `triton.testing.do_bench` asks of a device."""

    synchronize = staticmethod(lambda: _device.synchronize())

    class Event:
        def __init__(self, enable_timing: bool = True):
            self.event = _device.backend().new_event(enable_timing)

        def record(self) -> None:
            self.event.record(None)

        def elapsed_time(self, end: Any) -> float:
            return self.event.elapsed(end.event)
