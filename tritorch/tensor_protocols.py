"""What Python and NumPy ask of a tensor: operators, conversion, iteration, printing, copies."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .autograd import bridge
from .autograd.graph import Leaf
from .autograd.inplace import root_of
from .device import CPU, address, to_host
from .device import as_strided as strided_view
from .device import copy as device_copy

if TYPE_CHECKING:
    from .device import device
    from .dtypes import dtype
    from .tensor import Tensor

_new = object.__new__


def host(t: TensorBase) -> np.ndarray:
    """The elements as a NumPy array, copied only when they are on a GPU."""
    return t._a if t.device is CPU else to_host(t._a)


class TensorBase:
    """The part of Tensor that Python's syntax and NumPy call; the attributes it reads are those of Tensor."""

    __slots__ = ()
    __array_priority__ = 1000  # NumPy leaves `array * tensor` to us

    if TYPE_CHECKING:  # the operators are bound from the tables of ops
        _a: Any
        _node: Any
        dtype: dtype
        device: device

        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __iadd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __isub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __imul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __itruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __rfloordiv__(self, other: Any) -> Tensor: ...
        def __ifloordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __rmod__(self, other: Any) -> Tensor: ...
        def __imod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __ipow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __imatmul__(self, other: Any) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __rand__(self, other: Any) -> Tensor: ...
        def __iand__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __ror__(self, other: Any) -> Tensor: ...
        def __ior__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __rxor__(self, other: Any) -> Tensor: ...
        def __ixor__(self, other: Any) -> Tensor: ...
        def __lshift__(self, other: Any) -> Tensor: ...
        def __rlshift__(self, other: Any) -> Tensor: ...
        def __ilshift__(self, other: Any) -> Tensor: ...
        def __rshift__(self, other: Any) -> Tensor: ...
        def __rrshift__(self, other: Any) -> Tensor: ...
        def __irshift__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __neg__(self) -> Tensor: ...
        def __pos__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...

    # ---- NumPy and other libraries

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The NumPy array that shares this tensor's memory.

        Raises:
            TypeError: for a tensor on cuda. RuntimeError: for one that requires grad (unless `force`).
        """
        if force:
            return self.detach().cpu()._a
        if self.device is not CPU:
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
                "memory first."
            )
        if self._node is not None:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return self._a

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        a = self.numpy()
        if dtype is not None and a.dtype != dtype:
            return a.astype(dtype)
        return a.copy() if copy else a

    def __array_wrap__(self, array: np.ndarray, context: Any = None, return_scalar: bool = False) -> Tensor:
        return bridge.wrap(np.asarray(array))

    def __dlpack__(self, *, stream: Any = None, **more: Any) -> Any:
        if self._node is not None:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return self._a.__dlpack__(stream=stream, **more) if stream is not None else self._a.__dlpack__(**more)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0) if self._a.__class__ is np.ndarray else self._a.__dlpack_device__()

    @property
    def __array_interface__(self) -> dict:
        return self.numpy().__array_interface__

    @property
    def __cuda_array_interface__(self) -> dict:
        if self.device is CPU or self._a.__class__ is np.ndarray:
            raise AttributeError("Can't get __cuda_array_interface__ on a tensor that is not in GPU memory")
        return self._a.__cuda_array_interface__

    # ---- Python numbers and lists

    def item(self) -> Any:
        """The one element as a Python number; RuntimeError unless there is exactly one."""
        a = self._a
        if a.size != 1:
            raise RuntimeError(f"a Tensor with {a.size} elements cannot be converted to Scalar")
        if self.device is not CPU:
            a = to_host(a)
        return a.item() if self.dtype.name != "bfloat16" else float(a.reshape(-1)[0])

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        a = host(self)
        return a.astype(np.float32).tolist() if self.dtype.name == "bfloat16" else a.tolist()

    def __bool__(self) -> bool:
        if self._a.size != 1:
            kind = "no values" if self._a.size == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {kind} is ambiguous")
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self.dtype.category > 1 or self._a.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    # ---- a container of its first dim

    def __len__(self) -> int:
        if self._a.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._a.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self._a.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, element: Any) -> bool:
        if isinstance(element, (bridge.Tensor, bool, int, float, complex)):
            found: Any = self == element
            return bool(found.any().item())
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")

    def __reversed__(self) -> Self:
        return self.flip(tuple(range(self._a.ndim))) if self._a.ndim else self

    # ---- an object that prints

    __hash__ = object.__hash__

    def __format__(self, spec: str) -> str:
        if self._a.ndim == 0 and self._node is None or self._a.ndim == 0 and spec:
            return self.item().__format__(spec)
        return object.__format__(self, spec)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        from .tensor_repr import tensor_repr

        node = self._node
        leaf = node.__class__ is Leaf
        name = None if node is None or leaf else node.name()
        return tensor_repr(host(self), self.dtype, self.device, leaf, name)

    def __dir__(self) -> list[str]:
        return sorted(set(dir(type(self))) | set(self.__dict__))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    # ---- copies

    def __copy__(self) -> Self:
        t = _new(self.__class__)
        for name in ("_a", "dtype", "device", "_node", "_vc", "_view"):
            setattr(t, name, getattr(self, name))
        t.__dict__.update(self.__dict__)
        return t

    def __deepcopy__(self, memo: dict) -> Tensor:
        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment. "
                "If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage."
            )
        root = root_of(self)._a
        if root is not self._a and self.device is CPU:
            key = ("tritorch.memory", id(root))
            if key not in memo:
                memo[key] = root.copy(order="K")
                memo[id(memo)] = [*memo.get(id(memo), []), root]
            copied = memo[key]
            offset = address(self._a) - address(root)
            if root.flags.c_contiguous:
                made = bridge.wrap(strided_view(copied, self._a.shape, self._a.strides, offset), self.device)
            else:
                made = bridge.wrap(self._a.copy(order="K"), self.device)
        elif self.device is CPU:
            made = bridge.wrap(self._a.copy(order="K"), self.device)
        else:
            made = bridge.wrap(device_copy(self._a, self.device), self.device)
        if self.__class__ is not bridge.Tensor:
            made = made.as_subclass(self.__class__)
        memo[id(self)] = made
        if self._node is not None:
            made.requires_grad_()
        if self.grad is not None:
            made.grad = self.grad.__deepcopy__(memo)
        for key, value in self.__dict__.items():
            if key != "_grad":
                made.__dict__[key] = copy.deepcopy(value, memo)
        return made
