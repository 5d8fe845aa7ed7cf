"""Tensor: an array, its dtype and device, the node that made it.

Only what every tensor is stands here: attributes, autograd, conversion, Python's protocols. Operators and methods are
bound from `tritorch.functional` by `binding.method`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload
from weakref import ref

import numpy as np

from .autograd import bridge as _bridge
from .autograd import inplace as _inplace
from .autograd.apply import bind
from .autograd.backward import backward as _backward
from .autograd.elementwise import bind as bind_elementwise
from .autograd.graph import Leaf, RemovableHandle, Version, add_hook
from .device import CPU, device, device_count, pin, to_host
from .device import as_strided as strided_view
from .device import copy as device_copy
from .dtypes import FROM_NP, dtype, from_numpy_dtype
from .errors import message
from .kernels._op import BIND, Op
from .kernels.elementwise import Elementwise

_new = object.__new__
F = TypeVar("F", bound=Callable[..., Any])

TENSORS: set[type] = set()
"""Tensor and its subclasses: `x.__class__ in TENSORS` is the cheap isinstance of the hot path."""


class Size(tuple):
    """A shape; a tuple that prints as PyTorch's and counts its elements.

    >>> Size((2, 3)).numel(), Size((2, 3))
    (6, torch.Size([2, 3]))
    """

    __slots__ = ()

    def numel(self) -> int:
        n = 1
        for s in self:
            n *= s
        return n

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    def __getitem__(self, key: Any) -> Any:
        got = tuple.__getitem__(self, key)
        return Size(got) if key.__class__ is slice else got

    def __add__(self, other: Any) -> Size:  # type: ignore[override]
        return Size(tuple.__add__(self, tuple(other)))

    def __reduce__(self):
        return Size, (tuple(self),)


class Tensor:
    """A multi-dimensional array of one dtype on one device that can record how it was computed.

    Arguments:
        data: sizes (`Tensor(2, 3)`: uninitialised), or values (`Tensor([1, 2])`); float32 as `torch.Tensor`.

    >>> import tritorch as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ("_a", "dtype", "device", "_node", "_vc", "_view", "__dict__", "__weakref__")
    _a: Any
    dtype: dtype
    device: device
    _node: Any
    _vc: Version | None
    _view: Any
    __array_priority__ = 1000  # NumPy leaves `array * tensor` to us

    def __new__(cls, *data: Any, device: Any = None) -> Any:
        if len(data) == 1 and not isinstance(data[0], int):
            value = data[0]
            if isinstance(value, Tensor):
                made = value.detach()
            elif isinstance(value, Size):
                made = wrap(np.empty(tuple(value), np.float32))
            else:
                made = wrap(np.array(value, np.float32))
        else:
            made = wrap(np.empty(data if data else (0,), np.float32))
        if device is not None:
            made = made.to(device)
        return made if cls is Tensor else made.as_subclass(cls)

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        TENSORS.add(cls)

    if TYPE_CHECKING:  # the operators are bound from the tables of ops

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

    # ---- what it is

    @property
    def shape(self) -> Size:
        return Size(self._a.shape)

    @overload
    def size(self) -> Size: ...
    @overload
    def size(self, dim: int) -> int: ...
    def size(self, dim: int | None = None) -> Size | int:
        """The shape, or the size of one dim."""
        if dim is None:
            return Size(self._a.shape)
        try:
            return self._a.shape[dim]
        except IndexError:
            n = self._a.ndim
            raise IndexError(
                f"size: Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})"
            ) from None

    @property
    def ndim(self) -> int:
        return self._a.ndim

    def dim(self) -> int:
        """Number of dims."""
        return self._a.ndim

    ndimension = dim

    def numel(self) -> int:
        """Number of elements."""
        return self._a.size

    nelement = numel

    def element_size(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self._a.size * self.dtype.itemsize

    @overload
    def stride(self) -> tuple[int, ...]: ...
    @overload
    def stride(self, dim: int) -> int: ...
    def stride(self, dim: int | None = None) -> tuple[int, ...] | int:
        """Steps between neighbours along each dim, in elements."""
        item = self.dtype.itemsize
        a = self._a
        if a.flags.c_contiguous:  # NumPy's strides of dims of size 1 are arbitrary, PyTorch's are canonical
            strides, step = [], 1
            for s in reversed(a.shape):
                strides.append(step)
                step *= max(s, 1)
            found = tuple(reversed(strides))
        else:
            found = tuple([s // item for s in a.strides])
        return found if dim is None else found[dim]

    def storage_offset(self) -> int:
        """Elements between the start of the memory and the first element."""
        base = _inplace.root_of(self)._a
        if base is self._a:
            return 0
        return (address(self._a) - address(base)) // self.dtype.itemsize

    def data_ptr(self) -> int:
        """Address of the first element."""
        return address(self._a)

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Are the elements in C order without gaps."""
        return self._a.flags.c_contiguous

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        return self.dtype.is_complex

    def is_signed(self) -> bool:
        return self.dtype.is_signed

    def get_device(self) -> int:
        """Index of the cuda device, -1 for the CPU."""
        return -1 if self.device is CPU else self.device.index or 0

    @property
    def is_cuda(self) -> bool:
        return self.device is not CPU

    @property
    def is_cpu(self) -> bool:
        return self.device is CPU

    is_sparse = is_quantized = is_mps = is_meta = is_mkldnn = is_xpu = is_nested = False
    names: Any = property(lambda self: (None,) * self._a.ndim)

    @property
    def layout(self) -> Any:
        from . import strided

        return strided

    def is_shared(self) -> bool:
        return self.device is not CPU or bool(self.__dict__.get("_shared"))

    def is_pinned(self) -> bool:
        """Whether the memory is page-locked."""
        return bool(_inplace.root_of(self).__dict__.get("_pinned"))

    def pin_memory(self) -> Tensor:
        """A copy in page-locked memory, which `to("cuda", non_blocking=True)` reads while the host goes on.

        Itself where it is pinned already, and where there is no device.

        Raises:
            RuntimeError: for a tensor on cuda.
        """
        if self.device is not CPU:
            raise RuntimeError(message("pin_memory", "only dense CPU tensors can be pinned", input=self))
        if self.is_pinned() or not device_count():
            return self
        t = wrap(pin(self._a))
        t.__dict__["_pinned"] = True
        return t

    def is_inference(self) -> bool:
        return False

    # ---- autograd

    @property
    def requires_grad(self) -> bool:
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        self.requires_grad_(flag)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Record operations on this tensor from now on (or no more); returns self.

        Raises:
            RuntimeError: for integer tensors, and for False on a tensor that was computed.
        """
        node = self._node
        if not requires_grad:
            if node is not None:
                if node.__class__ is not Leaf:
                    raise RuntimeError(
                        "you can only change requires_grad flags of leaf variables. If you want to use a computed "
                        "variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
                    )
                if node.grad is not None:
                    self.__dict__["_grad"] = node.grad
                self._node = None
        elif node is None:
            if self.dtype.category < 2:
                raise RuntimeError(
                    f"only Tensors of floating point and complex dtype can require gradients; got {self.dtype}"
                )
            leaf = self._node = Leaf(self._a.shape, self.dtype, self.device)
            if "_grad" in self.__dict__:
                leaf.grad = self.__dict__.pop("_grad")
        return self

    @property
    def grad(self) -> Tensor | None:
        node = self._node
        if node.__class__ is Leaf:
            return node.grad
        return self.__dict__.get("_grad")

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"assigned grad expected to be a Tensor or None but got {type(value).__name__}")
            if value._a.shape != self._a.shape or value.device is not self.device:
                raise RuntimeError(message("grad", "must have the tensor's shape and device", grad=value, tensor=self))
            if value.dtype is not self.dtype:
                raise RuntimeError(message("grad", "must have the tensor's dtype", grad=value, tensor=self))
        node = self._node
        if node.__class__ is Leaf:
            node.grad = value
        else:
            self.__dict__["_grad"] = value

    @grad.deleter
    def grad(self) -> None:
        self.grad = None

    @property
    def grad_fn(self) -> Any:
        node = self._node
        return None if node.__class__ is Leaf else node

    @property
    def is_leaf(self) -> bool:
        return self._node is None or self._node.__class__ is Leaf

    @property
    def output_nr(self) -> int:
        from .autograd.graph import Port

        return self._node.saved if self._node.__class__ is Port else 0

    @property
    def _version(self) -> int:
        return 0 if self._vc is None else self._vc.n

    @property
    def _base(self) -> Tensor | None:
        return None if self._view is None else _inplace.root_of(self)

    def _is_view(self) -> bool:
        return self._view is not None

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Tensor | Sequence[Tensor] | None = None,
    ) -> None:
        """Accumulate d(self)/d(leaf) into the `.grad` of every leaf of the graph.

        Arguments:
            gradient: d(something)/d(self), of self's shape; may be left out for one element.
            retain_graph: keep saved values for a further backward; default: `create_graph`.
            create_graph: record the backward itself, for higher derivatives.
            inputs: accumulate only into these.
        """
        _backward(self, gradient, retain_graph, create_graph, inputs)

    def detach(self) -> Tensor:
        """The same memory without history."""
        t = _new(Tensor)
        t._a = self._a
        t.dtype = self.dtype
        t.device = self.device
        t._node = t._view = None
        v = self._vc
        if v is None:
            v = self._vc = Version()
        t._vc = v
        return t

    def detach_(self) -> Tensor:
        """Forget the history; returns self."""
        if self._view is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._node = None
        return self

    @property
    def data(self) -> Tensor:
        t = wrap(self._a, self.device)
        return t

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data: expected a Tensor; got {type(value).__name__}")
        if value.dtype is not self.dtype and self._node is not None and value.dtype.category < 2:
            raise RuntimeError(
                message("data", "a tensor that requires grad needs a float or complex dtype", data=value)
            )
        self._a, self.dtype, self.device = value._a, value.dtype, value.device
        _inplace.bump(self)
        node: Any = self._node
        if node.__class__ is Leaf:
            node.shape, node.dtype, node.device = self._a.shape, self.dtype, self.device

    def retain_grad(self) -> None:
        """Keep the gradient of this computed tensor in `.grad`."""
        node = self._node
        if node is None:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if node.__class__ is Leaf or self.__dict__.get("_retains"):
            return
        self.__dict__["_retains"] = True
        owner = ref(self)

        def keep(g: Tensor) -> None:
            t = owner()
            if t is not None:
                old = t.__dict__.get("_grad")
                t.__dict__["_grad"] = g if old is None else old + g

        add_hook(node, keep)

    @property
    def retains_grad(self) -> bool:
        return bool(self.__dict__.get("_retains")) and self._node.__class__ is not Leaf

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook(grad)` when this tensor's gradient is known; what it returns replaces the gradient."""
        if self._node is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return add_hook(self._node, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `hook(self)` after a gradient was added into this leaf's `.grad`."""
        leaf = self._node
        if leaf.__class__ is not Leaf:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        if leaf.post_hooks is None:
            leaf.post_hooks = {}
        leaf.owner = ref(self)
        handle = RemovableHandle(leaf.post_hooks)
        leaf.post_hooks[handle.id] = hook
        return handle

    # ---- to Python and NumPy

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
        return wrap(np.asarray(array))

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

    def __len__(self) -> int:
        if self._a.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._a.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self._a.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, element: Any) -> bool:
        if isinstance(element, (Tensor, bool, int, float, complex)):
            found: Any = self == element
            return bool(found.any().item())
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")

    def __reversed__(self) -> Tensor:
        return self.flip(tuple(range(self._a.ndim))) if self._a.ndim else self

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

    # ---- copies

    def __copy__(self) -> Tensor:
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
        root = _inplace.root_of(self)._a
        if root is not self._a and self.device is CPU:
            key = ("tritorch.memory", id(root))
            if key not in memo:
                memo[key] = root.copy(order="K")
                memo[id(memo)] = [*memo.get(id(memo), []), root]
            copied = memo[key]
            offset = address(self._a) - address(root)
            if root.flags.c_contiguous:
                made = wrap(strided_view(copied, self._a.shape, self._a.strides, offset), self.device)
            else:
                made = wrap(self._a.copy(order="K"), self.device)
        elif self.device is CPU:
            made = wrap(self._a.copy(order="K"), self.device)
        else:
            made = wrap(device_copy(self._a, self.device), self.device)
        if self.__class__ is not Tensor:
            made = made.as_subclass(self.__class__)
        memo[id(self)] = made
        if self._node is not None:
            made.requires_grad_()
        if self.grad is not None:
            made.grad = self.grad.__deepcopy__(memo)
        for key, value in self.__dict__.items():
            if key != "_grad":
                import copy

                made.__dict__[key] = copy.deepcopy(value, memo)
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        if not self.is_leaf:
            raise RuntimeError("pickle: only leaf tensors can be pickled; call .detach() first")
        extra = {k: v for k, v in self.__dict__.items() if k != "_grad"}
        array = np.ascontiguousarray(host(self)).reshape(self._a.shape)
        raw = array.view(np.uint16) if self.dtype.name == "bfloat16" else array
        return _unpickle, (self.__class__, raw, self.dtype, str(self.device), self.requires_grad, extra)

    def as_subclass(self, cls: type) -> Any:
        """The same tensor seen as an instance of `cls`, a subclass of Tensor."""
        t = _new(cls)
        for name in ("_a", "dtype", "device", "_node", "_vc", "_view"):
            setattr(t, name, getattr(self, name))
        return t

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


TENSORS.add(Tensor)


class Parameter(Tensor):
    """A tensor that a Module lists among its parameters; it requires grad unless told otherwise.

    Arguments:
        data: the values, shared. requires_grad: default True.
    """

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Any:
        if data is None:
            data = wrap(np.empty(0, np.float32))
        t = data.detach().as_subclass(cls)
        t._vc = None
        if requires_grad:
            t.requires_grad_()
        return t

    def __init__(self, data: Any = None, requires_grad: bool = True):
        pass

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return "Parameter containing:\n" + Tensor.__repr__(self)


def _unpickle(cls: type, array: np.ndarray, kind: dtype, place: str, requires_grad: bool, extra: dict) -> Tensor:
    a = array.view(kind.np) if array.dtype != kind.np else array.astype(kind.np, copy=False)
    t = wrap(a)
    if place != "cpu":
        t = t.to(place)
    if cls is not Tensor:
        t = t.as_subclass(cls)
    if requires_grad:
        t.requires_grad_()
    t.__dict__.update(extra)
    return t


def wrap(a: Any, place: device = CPU) -> Tensor:
    """A Tensor over a raw array (shared, of a supported dtype)."""
    t = _new(Tensor)
    t._a = a
    found = FROM_NP.get(a.dtype)
    if found is None:
        found = from_numpy_dtype(a.dtype)
    t.dtype = found
    t.device = place
    t._node = t._vc = t._view = None
    return t


def host(t: Tensor) -> np.ndarray:
    """The elements as a NumPy array, copied only when they are on a GPU."""
    return t._a if t.device is CPU else to_host(t._a)


def address(a: Any) -> int:
    """Address of a raw array's first element."""
    return a.__array_interface__["data"][0] if a.__class__ is np.ndarray else a.data.ptr


bump = _inplace.bump
_bridge.Tensor, _bridge.classes, _bridge.wrap, _bridge.host = Tensor, TENSORS, wrap, host


def _bind(op: Op) -> None:
    if isinstance(op, Elementwise):
        bind_elementwise(op, Tensor, TENSORS)
    else:
        bind(op, Tensor)


BIND.append(_bind)
