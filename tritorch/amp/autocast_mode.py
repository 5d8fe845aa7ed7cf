"""autocast, the region of mixed precision, and its switches; the lists of functions are in `autograd/autocast.py`."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ..autograd.autocast import AUTOCAST, POLICY, check_type, restore, set_enabled, snapshot
from ..device import device_count
from ..dtypes import bfloat16, dtype, float16, float64
from ..tensor import Tensor

__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]


class autocast:  # noqa: N801 - PyTorch's name
    """Region in which listed functions choose their dtype; context manager and decorator, may be nested.

    Products and convolutions run in `dtype`, losses (on cuda also sums, norms, softmax, exponentials) in float32; all
    else follows its inputs. Weights stay float32. Use it around the forward and the loss, not around backward.

    Args:
        device_type: "cpu" or "cuda".
        dtype: bfloat16 or float16; default bfloat16 on the CPU, float16 on cuda, or what `set_autocast_dtype` said.
        enabled: False turns autocast off within an outer region. Default True.
        cache_enabled: cast each weight once per region. Default True.

    Raises:
        RuntimeError: unknown device_type.

    >>> import tritorch as torch
    >>> with torch.autocast("cpu"):
    ...     (torch.ones(2, 3) @ torch.ones(3, 2)).dtype
    torch.bfloat16
    """

    def __init__(
        self, device_type: str, dtype: dtype | None = None, enabled: bool = True, cache_enabled: bool | None = None
    ):
        self.device = check_type("autocast", device_type)
        self.fast_dtype = AUTOCAST.dtype[device_type] if dtype is None else dtype
        self._cache_enabled = AUTOCAST.cache_enabled if cache_enabled is None else cache_enabled
        if enabled and device_type == "cuda" and not device_count():
            warnings.warn(
                "User provided device_type of 'cuda', but CUDA is not available. Disabling", UserWarning, stacklevel=2
            )
            enabled = False
        if enabled and self.fast_dtype not in (float16, bfloat16):
            warnings.warn(
                f"In {device_type.upper()} autocast, but the target dtype {self.fast_dtype} is not supported. Disabling "
                "autocast. It takes torch.bfloat16 and torch.float16.",
                UserWarning,
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled
        self._before: list[Any] = []

    def __enter__(self) -> autocast:
        self._before.append(snapshot())
        AUTOCAST.dtype[self.device] = self.fast_dtype
        AUTOCAST.cache_enabled = self._cache_enabled
        AUTOCAST.depth += 1
        set_enabled(self.device, self._enabled)
        return self

    def __exit__(self, *exc: Any) -> None:
        restore(self._before.pop())
        AUTOCAST.depth -= 1
        if not AUTOCAST.depth:
            AUTOCAST.kept.clear()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with _made(self.device, self.fast_dtype, self._enabled, self._cache_enabled):
                return function(*args, **kwargs)

        return call

    def __reduce__(self) -> Any:
        return _made, (self.device, self.fast_dtype, self._enabled, self._cache_enabled)


def _made(device_type: str, dtype: dtype, enabled: bool, cache_enabled: bool) -> autocast:
    return autocast(device_type, dtype, enabled, cache_enabled)


def older_name(device_type: str, name: str) -> None:
    """Warn, at the caller's caller, that `torch.<device_type>.amp.<name>` is now `torch.amp.<name>`."""
    warnings.warn(
        f"`torch.{device_type}.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}('{device_type}', args...)` "
        "instead.",
        FutureWarning,
        stacklevel=3,
    )


# ---- switches ------------------------------------------------------------------------------------------------------


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast knows the device type: "cpu" and "cuda".

    >>> import tritorch as torch
    >>> torch.amp.is_autocast_available("cpu")
    True
    """
    return device_type in POLICY


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on in this thread for a device type."""
    return AUTOCAST.enabled[check_type("is_autocast_enabled", device_type)]


def set_autocast_enabled(device_type: str | bool, enabled: bool | None = None) -> None:
    """Turn autocast on or off in this thread: `(device_type, enabled)`, or `(enabled)` for cuda; prefer `autocast`."""
    if enabled is None:
        device_type, enabled = "cuda", bool(device_type)
    set_enabled(check_type("set_autocast_enabled", device_type), enabled)


def get_autocast_dtype(device_type: str) -> dtype:
    """The dtype of products under autocast on a device type."""
    return AUTOCAST.dtype[check_type("get_autocast_dtype", device_type)]


def set_autocast_dtype(device_type: str, dtype: dtype) -> None:
    """Set the dtype that `autocast(device_type)` takes by default in this thread."""
    AUTOCAST.dtype[check_type("set_autocast_dtype", device_type)] = dtype


def is_autocast_cpu_enabled() -> bool:
    """`is_autocast_enabled("cpu")`, the older name."""
    return AUTOCAST.enabled["cpu"]


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """`set_autocast_enabled("cpu", enabled)`, the older name."""
    set_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> dtype:
    """`get_autocast_dtype("cpu")`, the older name."""
    return AUTOCAST.dtype["cpu"]


def set_autocast_cpu_dtype(dtype: dtype) -> None:
    """`set_autocast_dtype("cpu", dtype)`, the older name."""
    AUTOCAST.dtype["cpu"] = dtype


def get_autocast_gpu_dtype() -> dtype:
    """`get_autocast_dtype("cuda")`, the older name."""
    return AUTOCAST.dtype["cuda"]


def set_autocast_gpu_dtype(dtype: dtype) -> None:
    """`set_autocast_dtype("cuda", dtype)`, the older name."""
    AUTOCAST.dtype["cuda"] = dtype


def is_autocast_cache_enabled() -> bool:
    """Whether casts of weights are kept within a region."""
    return AUTOCAST.cache_enabled


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Keep casts of weights within a region, or not."""
    AUTOCAST.cache_enabled = enabled


def clear_autocast_cache() -> None:
    """Forget the casts of weights that this thread's region has kept."""
    AUTOCAST.kept.clear()


# ---- autograd.Function ---------------------------------------------------------------------------------------------


def _cast(value: Any, device_type: str, to: dtype) -> Any:
    """Floating tensors of a device within `value` in another dtype; float64 stays."""
    if isinstance(value, Tensor):
        fits = value.dtype.is_floating_point and value.dtype is not float64 and value.device.type == device_type
        return value.to(to) if fits else value  # type: ignore[attr-defined]
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, Mapping):
        return {_cast(k, device_type, to): _cast(v, device_type, to) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        made = [_cast(v, device_type, to) for v in value]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    return value


def custom_fwd(
    fwd: Callable[..., Any] | None = None, *, device_type: str, cast_inputs: dtype | None = None
) -> Callable[..., Any]:
    """Decorator of the `forward` of an `autograd.Function` that is used under autocast.

    Args:
        fwd: the static method.
        device_type: "cpu" or "cuda".
        cast_inputs: inside a region, floating inputs on the device are cast to this dtype and forward runs with autocast
            off. Default None: forward runs under autocast as it is.
    """
    check_type("custom_fwd", device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def call(*args: Any, **kwargs: Any) -> Any:
        on = AUTOCAST.enabled[device_type]
        ctx = args[0]
        ctx._dtype = AUTOCAST.dtype[device_type]
        ctx._fwd_used_autocast = on and cast_inputs is None
        if cast_inputs is None or not on:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(*_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs))

    return call


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Callable[..., Any]:
    """Decorator of the `backward` beside a `custom_fwd`: it runs under the autocast that forward ran under."""
    check_type("custom_bwd", device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def call(*args: Any, **kwargs: Any) -> Any:
        ctx = args[0]
        with autocast(device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(*args, **kwargs)

    return call
