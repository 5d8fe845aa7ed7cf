"""torch's process-wide switches that are not about devices, dtypes or autograd modes; control flow and symbolic numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .autograd.modes import STATE, set_detect_anomaly
from .device import device as Device
from .functional.conversion import to_dtype
from .tensor import Tensor, wrap

_warn_always = False


def set_warn_always(b: bool) -> None:
    """Accepted: a warning follows Python's own filters, which show it once per place by default."""
    global _warn_always
    _warn_always = bool(b)


def is_warn_always_enabled() -> bool:
    """What `set_warn_always` was given."""
    return _warn_always


def set_flush_denormal(mode: bool) -> bool:
    """False: NumPy keeps denormal numbers, and there is no switch."""
    return False


def get_num_interop_threads() -> int:
    """1: ops do not run beside each other."""
    return 1


def set_num_interop_threads(num: int) -> None:
    """Accepted; ops do not run beside each other.

    Raises:
        RuntimeError: the number is not positive.
    """
    if num < 1:
        raise RuntimeError(f"set_num_interop_threads expects a positive number of threads; got {num}")


def is_anomaly_check_nan_enabled() -> bool:
    """Does anomaly mode look for NaN in gradients."""
    return STATE.check_nan


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Switch anomaly mode, see `torch.autograd.set_detect_anomaly`."""
    set_detect_anomaly(mode, check_nan)


def set_deterministic_debug_mode(debug_mode: Any) -> None:
    """Accepted: "default", "warn", "error" or 0, 1, 2; every op is deterministic."""
    if debug_mode not in ("default", "warn", "error", 0, 1, 2):
        raise RuntimeError(
            f"set_deterministic_debug_mode: got {debug_mode!r}; expected 'default', 'warn', 'error' or 0 to 2"
        )


def get_deterministic_debug_mode() -> int:
    """2: every op is deterministic, so nothing is left to warn about."""
    return 2


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """False: every op is deterministic."""
    return False


def get_device_module(device: Any = None) -> Any:
    """The module of a device type: torch.cuda, torch.cpu has none."""
    kind = "cuda" if device is None else Device(device).type
    if kind != "cuda":
        raise RuntimeError(f"get_device_module: device type {kind!r} has no module; 'cuda' has")
    from . import cuda

    return cuda


def from_file(
    filename: str, shared: bool | None = None, size: int = 0, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A CPU tensor over a file's bytes, mapped into memory.

    Arguments:
        shared: changes go to the file, which is made or lengthened as needed; else they stay in memory.
        size: number of elements.
    """
    kind = np.dtype(np.float32) if dtype is None else to_dtype("from_file", dtype).np
    if shared:
        with open(filename, "ab") as f:
            f.truncate(max(f.tell(), size * kind.itemsize))
    a = np.memmap(filename, kind, "r+" if shared else "c", shape=(size,))
    t = wrap(a.view(np.ndarray))
    t.__dict__["_mapping"] = a  # keeps the mapping open
    return t.requires_grad_() if requires_grad else t


# ---- symbolic numbers are plain numbers here


def sym_int(a: Any) -> int:
    """int(a), rounded towards 0."""
    return int(a)


def sym_float(a: Any) -> float:
    """float(a)."""
    return float(a)


def sym_not(a: Any) -> bool:
    """not a."""
    return not a


def sym_max(a: Any, b: Any) -> Any:
    """The larger number, a float when either is one."""
    return float(max(a, b)) if isinstance(a, float) or isinstance(b, float) else max(a, b)


def sym_min(a: Any, b: Any) -> Any:
    """The smaller number, a float when either is one."""
    return float(min(a, b)) if isinstance(a, float) or isinstance(b, float) else min(a, b)


def sym_sqrt(a: Any) -> float:
    """The square root."""
    return math.sqrt(a)


def sym_sum(args: Iterable[Any]) -> Any:
    """The sum of several numbers."""
    return sum(args)


def sym_ite(b: Any, t: Any, f: Any) -> Any:
    """t if b else f."""
    return t if b else f


def while_loop(cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: tuple) -> tuple:
    """Repeat carried = body_fn(*carried) while cond_fn(*carried) holds; the last carried values."""
    carried = tuple(carried_inputs)
    while bool(cond_fn(*carried)):
        new = body_fn(*carried)
        carried = tuple(new) if isinstance(new, (tuple, list)) else (new,)
    return carried


def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Any = ()) -> Any:
    """true_fn(*operands) if pred else false_fn(*operands)."""
    return true_fn(*operands) if bool(pred) else false_fn(*operands)


def compiled_with_cxx11_abi() -> bool:
    """True, as every current build of PyTorch answers; nothing here is compiled."""
    return True


has_lapack = has_spectral = True
has_mkl = has_openmp = False
