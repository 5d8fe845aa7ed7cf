"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ...functional import cat
from ...tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def _on_one_device(parameters: Iterable[Tensor]) -> list[Tensor]:
    items = list(parameters)
    devices = {p.device for p in items}
    if len(devices) > 1:
        raise TypeError(
            "Found two parameters on different devices, this is currently not supported; "
            f"got {sorted(map(str, devices))}"
        )
    return items


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters, one after the other; TypeError when they are on several devices.

    >>> import tritorch as torch
    >>> torch.nn.utils.parameters_to_vector([torch.ones(1, 2), torch.zeros(1)])
    tensor([1., 1., 0.])
    """
    return cat([p.reshape(-1) for p in _on_one_device(parameters)])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Let each parameter's data be its part of `vec` (a view); TypeError when `vec` is no Tensor.

    Args:
        vec: (n,), n the sum of the parameters' elements.
        parameters: in the order of `parameters_to_vector`.

    >>> import tritorch as torch
    >>> w = torch.nn.Parameter(torch.zeros(2))
    >>> torch.nn.utils.vector_to_parameters(torch.ones(2), [w])
    >>> w.data
    tensor([1., 1.])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec).__name__}")
    start = 0
    for p in _on_one_device(parameters):
        n = p.numel()
        p.data = vec[start : start + n].view(p.shape).data
        start += n
