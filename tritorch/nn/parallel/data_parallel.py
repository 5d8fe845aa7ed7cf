"""DataParallel: one process, a replica of the module on each device, the batch split between them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from ...device import device as Device
from ...tensor import Tensor
from ..modules.module import Module
from .apply import parallel_apply
from .replicate import replicate
from .scatter_gather import gather, scatter_kwargs

__all__ = ["DataParallel", "data_parallel"]


def all_devices() -> list[int]:
    """The numbers of all cuda devices, none without a GPU (or the emulated one)."""
    from ... import cuda

    return list(range(cuda.device_count())) if cuda.is_available() else []


def number(device: Any) -> int:
    """The number of a cuda device given as int, str or device; ValueError for another kind."""
    if isinstance(device, int):
        return device
    made = Device(device)
    if made.type != "cuda":
        raise ValueError(f"DataParallel: expected a cuda device; got {device!r}")
    return made.index or 0


class DataParallel(Module):
    """Calls `module` on parts of the batch, one part per device, and joins the results; gradients add up in `module`.

    On one device, or none, it calls `module` itself.

    Args:
        module: its parameters and buffers must be on `device_ids[0]`.
        device_ids: cuda devices. Default: all.
        output_device: where the result goes. Default: `device_ids[0]`.
        dim: the dim along which inputs are split and outputs joined. Default: 0.

    Attributes:
        module: the wrapped module; names in `state_dict` begin with `module.`.

    >>> import tritorch as torch
    >>> model = torch.nn.DataParallel(torch.nn.Linear(3, 2), device_ids=[])
    >>> model(torch.zeros(4, 3)).shape
    torch.Size([4, 2])
    """

    def __init__(
        self, module: Module, device_ids: Sequence[Any] | None = None, output_device: Any = None, dim: int = 0
    ):
        super().__init__()
        devices = all_devices() if device_ids is None else [number(d) for d in device_ids]
        self.module, self.dim, self.device_ids = module, dim, devices
        if not devices:
            return
        self.output_device = devices[0] if output_device is None else number(output_device)
        self.src_device_obj = Device("cuda", devices[0])
        if len(devices) == 1:
            self.module.to(self.src_device_obj)

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The module's output for the whole batch.

        Raises:
            RuntimeError: a parameter or buffer is not on `device_ids[0]`.
        """
        if not self.device_ids:
            return self.module(*inputs, **kwargs)
        _check_place(self.module, self.src_device_obj)
        parts, part_kwargs = scatter_kwargs(inputs, kwargs, self.device_ids, self.dim)
        if not parts:
            parts, part_kwargs = ((),), ({},)
        if len(self.device_ids) == 1:
            return self.module(*parts[0], **part_kwargs[0])
        replicas = self.replicate(self.module, self.device_ids[: len(parts)])
        return self.gather(self.parallel_apply(replicas, parts, part_kwargs), self.output_device)

    def replicate(self, module: Module, device_ids: Sequence[Any]) -> list[Module]:
        """A copy of `module` on each device, whose parameters lead their gradients back."""
        return replicate(module, device_ids)

    def scatter(self, inputs: tuple[Any, ...], kwargs: dict[str, Any], device_ids: Sequence[Any]) -> Any:
        """The inputs and keyword arguments of each replica."""
        return scatter_kwargs(inputs, kwargs, device_ids, self.dim)

    def parallel_apply(self, replicas: Sequence[Module], inputs: Sequence[Any], kwargs: Any) -> list[Any]:
        """The output of each replica."""
        return parallel_apply(replicas, inputs, kwargs, self.device_ids[: len(replicas)])

    def gather(self, outputs: Any, output_device: Any) -> Any:
        """The outputs joined on one device."""
        return gather(outputs, output_device, self.dim)


def _check_place(module: Module, place: Any) -> None:
    for t in chain(module.parameters(), module.buffers()):
        at = t.device
        if at.type != place.type or (at.index or 0) != place.index:
            raise RuntimeError(
                f"module must have its parameters and buffers on device {place} (device_ids[0]) "
                f"but found one of them on device: {at}"
            )


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Tensor:
    """`DataParallel` for one call: `module(*inputs, **module_kwargs)` on several devices; arguments as there."""
    args = inputs if isinstance(inputs, tuple) else () if inputs is None else (inputs,)
    wrapped = DataParallel(module, device_ids, output_device, dim)
    return wrapped(*args, **(module_kwargs or {}))
