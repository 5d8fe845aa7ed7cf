"""Copies of a module on several devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..modules.module import Module
from .scatter_gather import place

__all__ = ["replicate"]


def replicate(network: Module, devices: Sequence[Any], detach: bool = False) -> list[Module]:
    """A copy of `network` on each device.

    The copies' parameters are results of copying, so that their gradients add up in the parameters of `network`.

    Args:
        devices: ints, strs or devices.
        detach: without gradients. Default: False.
    """
    return [_copied(network, place(d), detach) for d in devices]


def _copied(network: Module, target: Any, detach: bool) -> Module:
    copies: dict[int, Module] = {}
    values: dict[int, Any] = {}

    def moved(t: Any) -> Any:
        if id(t) not in values:
            values[id(t)] = (t.detach() if detach else t).to(target)
        return values[id(t)]

    for module in network.modules():
        copies[id(module)] = module._replicate_for_data_parallel()
    for module in network.modules():
        copy = copies[id(module)]
        for name, child in module._modules.items():
            copy._modules[name] = None if child is None else copies[id(child)]
        for name, param in module._parameters.items():
            if param is None:
                copy._parameters[name] = None
            else:  # a result of copying is no Parameter, so it lives among the plain attributes
                copy.__dict__[name] = moved(param)
        copy.__dict__["_former_parameters"] = {
            name: copy.__dict__[name] for name, param in module._parameters.items() if param is not None
        }
        for name, buffer in module._buffers.items():
            copy._buffers[name] = None if buffer is None else moved(buffer)
    return copies[id(network)]
