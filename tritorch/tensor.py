"""Tensor: an array, its dtype and device, the node that made it.

What every tensor is stands here: attributes, autograd, pickles. What Python's own syntax and NumPy ask of it is its base
class in `tensor_protocols`; operators and methods are bound from `tritorch.functional` by `binding.method`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload
from weakref import ref

import numpy as np

from .autograd import bridge as _bridge
from .autograd import inplace as _inplace
from .autograd.apply import bind
from .autograd.backward import backward as _backward
from .autograd.elementwise import bind as bind_elementwise
from .autograd.graph import Leaf, RemovableHandle, Version, add_hook
from .device import CPU, address, device, device_count, pin
from .dtypes import FROM_NP, dtype, from_numpy_dtype
from .errors import message
from .kernels._op import BIND, Op
from .kernels.elementwise import Elementwise
from .size import Size
from .tensor_protocols import TensorBase, host

_new = object.__new__
F = TypeVar("F", bound=Callable[..., Any])

TENSORS: set[type] = set()
"""Tensor and its subclasses: `x.__class__ in TENSORS` is the cheap isinstance of the hot path."""


class Tensor(TensorBase):
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

    # ---- other classes, pickles

    def as_subclass(self, cls: type) -> Any:
        """The same tensor seen as an instance of `cls`, a subclass of Tensor."""
        t = _new(cls)
        for name in ("_a", "dtype", "device", "_node", "_vc", "_view"):
            setattr(t, name, getattr(self, name))
        return t

    def __reduce_ex__(self, protocol: Any) -> Any:
        if not self.is_leaf:
            raise RuntimeError("pickle: only leaf tensors can be pickled; call .detach() first")
        extra = {k: v for k, v in self.__dict__.items() if k != "_grad"}
        array = np.ascontiguousarray(host(self)).reshape(self._a.shape)
        raw = array.view(np.uint16) if self.dtype.name == "bfloat16" else array
        return _unpickle, (self.__class__, raw, self.dtype, str(self.device), self.requires_grad, extra)


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


bump = _inplace.bump
_bridge.Tensor, _bridge.classes, _bridge.wrap, _bridge.host = Tensor, TENSORS, wrap, host


def _bind(op: Op) -> None:
    if isinstance(op, Elementwise):
        bind_elementwise(op, Tensor, TENSORS)
    else:
        bind(op, Tensor)


BIND.append(_bind)
