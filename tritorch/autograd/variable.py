"""`Variable`, as code from before PyTorch 0.4 calls it: a tensor that shares the data of another one, as a new leaf."""

from __future__ import annotations

import warnings
from typing import Any

from ..tensor import Tensor

__all__ = ["Variable"]


class _Meta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_Meta):
    """A leaf that shares the memory of `data`; every Tensor is an instance.

    Args:
        data: a Tensor; default: an empty one.
        requires_grad: default False.
        volatile: without effect, with a warning.

    Raises:
        TypeError: data is not a Tensor.

    >>> import tritorch as torch
    >>> torch.autograd.Variable(torch.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = False, volatile: bool | None = None) -> Tensor:
        if volatile:
            text = "volatile was removed and now has no effect. Use `with torch.no_grad():` instead."
            warnings.warn(text, stacklevel=2)
        if data is None:
            data = Tensor()
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable: data has to be a tensor, but got {type(data).__name__}")
        return data.detach().requires_grad_(requires_grad)
