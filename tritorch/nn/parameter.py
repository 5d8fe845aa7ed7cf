"""Parameter, Buffer, and the two that wait for their shape: UninitializedParameter, UninitializedBuffer."""

from __future__ import annotations

from typing import Any

from ..functional import empty
from ..tensor import Parameter, Tensor, wrap

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]


class Buffer(Tensor):
    """A tensor that becomes a buffer of the module to which it is assigned.

    Args:
        data: the values, shared. Default: no elements.
        persistent: part of `state_dict`. Default: True.

    >>> import tritorch as torch
    >>> module = torch.nn.Module()
    >>> module.mean = torch.nn.Buffer(torch.zeros(2))
    >>> list(module.state_dict())
    ['mean']
    """

    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        source = empty(0) if data is None else data
        made = source.detach().as_subclass(cls)
        if source.requires_grad:
            made.requires_grad_()
        made.persistent = persistent
        return made


class UninitializedTensorMixin:
    """What waits for its shape: dtype and device are known, any use of the elements is an error.

    The elements' slot `_a` is hidden behind a property, so that every op that reaches for it says what is wrong.
    """

    __slots__ = ()
    cls_to_become: type
    dtype: Any
    device: Any
    requires_grad: bool

    @property
    def _a(self) -> Any:
        raise ValueError(
            f"Attempted to use an uninitialized parameter: {type(self).__name__} has no elements before the lazy "
            "module has seen its first input; call forward once, or load a state_dict"
        )

    @_a.setter
    def _a(self, array: Any) -> None:
        Tensor._a.__set__(self, array)  # type: ignore[attr-defined]

    @property
    def shape(self) -> Any:
        """Not known yet: RuntimeError."""
        raise RuntimeError(
            f"Can't access the shape of an uninitialized parameter or buffer ({type(self).__name__}). Call "
            "`forward` to initialize the parameters before accessing their attributes; a state_dict with uninitialized "
            "parameters does not load into an initialized module"
        )

    @property
    def data(self) -> Tensor:
        """An empty tensor of the dtype and device."""
        return wrap(Tensor._a.__get__(self), self.device)  # type: ignore[attr-defined]

    @data.setter
    def data(self, value: Tensor) -> None:
        self._a, self.dtype, self.device = value._a, value.dtype, value.device

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Become an ordinary Parameter or Tensor of this shape, with unspecified values."""
        values = empty(tuple(shape), device=device or self.device, dtype=dtype or self.dtype)
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        self.data = values

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """An empty tensor with the dtype and device that `Tensor.to` would give."""
        return self.data.to(*args, **kwargs)

    def cuda(self, *args: Any, **kwargs: Any) -> Tensor:
        """An empty tensor on a cuda device."""
        return self.data.cuda(*args, **kwargs)

    def cpu(self) -> Tensor:
        """An empty tensor on the CPU."""
        return self.data.cpu()

    def share_memory_(self) -> Tensor:
        """There is nothing to share yet: RuntimeError."""
        raise RuntimeError(f"Can't share memory of {type(self).__name__}: call `forward` first to initialize it")

    def detach(self) -> Any:
        """Itself: it has no graph."""
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.device, self.dtype)  # type: ignore[call-arg]
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.requires_grad, self.device, self.dtype)


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is not known yet.

    Args:
        requires_grad: default True.
        device, dtype: of the parameter. Default: CPU, the default dtype.

    >>> import tritorch as torch
    >>> weight = torch.nn.UninitializedParameter()
    >>> weight.materialize((2, 3)); weight.shape
    torch.Size([2, 3])
    """

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        made = Parameter(empty(0, device=device, dtype=dtype), requires_grad)
        made.__class__ = cls
        return made

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None):
        pass


class UninitializedBuffer(UninitializedTensorMixin, Buffer):
    """A buffer whose shape is not known yet; arguments as for UninitializedParameter, and `persistent`."""

    cls_to_become = Tensor

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> Any:
        made = Buffer(empty(0, device=device, dtype=dtype), persistent=persistent)
        if requires_grad:
            made.requires_grad_()
        made.__class__ = cls
        return made

    def __init__(self, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True):
        pass


def is_lazy(param: Any) -> bool:
    """Does `param` still wait for its shape."""
    return isinstance(param, UninitializedTensorMixin)
