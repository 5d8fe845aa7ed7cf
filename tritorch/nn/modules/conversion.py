"""The part of `Module` that moves and casts its tensors: `to`, `cuda`, `half` and friends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...autograd import no_grad
from ...device import device as Device
from ...dtypes import bfloat16, dtype, float16, float32, float64
from ...functional import empty_like
from ...tensor import Parameter, Tensor
from ..parameter import is_lazy

if TYPE_CHECKING:
    from typing import Self

    from .module import Module


class Conversion:
    """The part of `Module` that moves and casts its tensors."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace the data of each parameter, its gradient and each buffer by `fn` of it; Parameter objects stay."""
        if recurse:
            for module in self._modules.values():
                if module is not None:
                    module._apply(fn)
        for param in self._parameters.values():
            if param is None:
                continue
            grad = param.grad
            with no_grad():
                data = fn(param)
                new_grad = None if grad is None else fn(grad)
            if grad is not None and new_grad is not grad:
                param.grad = None  # the gradient must have the parameter's dtype and device at every moment
            if data is not param:
                param.data = data
            if grad is not None and new_grad is not grad:
                param.grad = new_grad
        for name, buffer in self._buffers.items():
            if is_lazy(buffer):  # it stays what it is, of the new dtype and device
                buffer.data = fn(buffer)  # type: ignore[union-attr, arg-type]
            elif buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move and/or cast the parameters and buffers, in place; returns the module.

        `to(device)`, `to(dtype)`, `to(device, dtype)`, `to(tensor)`; a dtype applies to floating-point and complex
        tensors alone.

        Raises:
            TypeError: the dtype is neither floating-point nor complex.

        >>> import tritorch as torch
        >>> torch.nn.Linear(3, 2).to(torch.float64).weight.dtype
        torch.float64
        """
        device, kind, non_blocking, memory_format = _parse_to(args, kwargs)
        if kind is not None and not (kind.is_floating_point or kind.is_complex):
            raise TypeError(f"{type(self).__name__}.to: dtype must be floating-point or complex; got {kind}")
        more: dict[str, Any] = {"non_blocking": non_blocking} if non_blocking else {}

        def convert(t: Tensor) -> Tensor:
            target = kind if t.dtype.is_floating_point or t.dtype.is_complex else None
            if memory_format is not None and t.ndim in (4, 5):
                return t.to(device or t.device, target or t.dtype, memory_format=memory_format, **more)
            if target is None and device is None:
                return t
            return t.to(device or t.device, target or t.dtype, **more)

        return self._apply(convert)

    def cuda(self, device: Any = None) -> Self:
        """Move all parameters and buffers to a cuda device (the current one by default), in place."""
        return self._apply(lambda t: t.cuda(device))

    def cpu(self) -> Self:
        """Move all parameters and buffers to the CPU, in place."""
        return self._apply(lambda t: t.cpu())

    def type(self, dst_type: Any) -> Self:
        """Cast all parameters and buffers to `dst_type`, in place."""
        return self._apply(lambda t: t.type(dst_type))

    def _float_to(self, kind: dtype) -> Self:
        return self._apply(lambda t: t.to(kind) if t.is_floating_point() else t)

    def float(self) -> Self:
        """Cast the floating-point parameters and buffers to float32, in place."""
        return self._float_to(float32)

    def double(self) -> Self:
        """Cast the floating-point parameters and buffers to float64, in place."""
        return self._float_to(float64)

    def half(self) -> Self:
        """Cast the floating-point parameters and buffers to float16, in place."""
        return self._float_to(float16)

    def bfloat16(self) -> Self:
        """Cast the floating-point parameters and buffers to bfloat16, in place."""
        return self._float_to(bfloat16)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Move to `device` without copying: the values are unspecified afterwards."""
        return self._apply(lambda t: empty_like(t, device=device), recurse=recurse)

    def share_memory(self) -> Self:
        """Move the CPU tensors to shared memory, so that other processes see their changes."""
        return self._apply(lambda t: t.share_memory_())


def _parse_to(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, bool, Any]:
    """The device, dtype, non_blocking and memory_format of a call of `to`."""
    unknown = kwargs.keys() - {"device", "dtype", "non_blocking", "memory_format", "tensor"}
    if unknown or len(args) > 3:
        raise TypeError(f"Module.to: takes (device, dtype, non_blocking) or a tensor; got {args} {kwargs}")
    device, kind = kwargs.get("device"), kwargs.get("dtype")
    non_blocking = kwargs.get("non_blocking", False)
    for value in (*args, *((kwargs["tensor"],) if "tensor" in kwargs else ())):
        if isinstance(value, Tensor):
            device, kind = value.device, value.dtype
        elif isinstance(value, dtype):
            kind = value
        elif isinstance(value, bool):
            non_blocking = value
        elif value is not None:
            device = value
    return None if device is None else Device(device), kind, non_blocking, kwargs.get("memory_format")
