"""The recorded graph: nodes, leaves, ports, version counters, views.

A Tensor points to the node that made it (`_node`), or to its `Leaf` when it was made by the user with
`requires_grad=True`, or to None. A node receives exactly one gradient, that of its output; an op with several
differentiable outputs gives each of them a `Port` that hands its gradient on. `seq` rises with creation, so that
descending order of `seq` is a valid order of the backward.
"""

from __future__ import annotations

import importlib
import itertools
import os
import traceback
from collections import OrderedDict
from typing import TYPE_CHECKING, Any
from weakref import ref

from ..device import CPU
from . import bridge
from .modes import NO_GRAD, STATE, WATCHED

if TYPE_CHECKING:
    from ..device import device

next_seq = itertools.count(1).__next__
_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_new = object.__new__


class Node:
    """One recorded call.

    Attributes:
        seq: creation number.
        op: what ran; has `pull(node, g)` on raw arrays and `pull_tensors(node, g)` on Tensors.
        next: per input, the node of its tensor, or None.
        saved: what the op keeps for its rule; None once freed.
        versions: (counter, number) of the saved tensors that have a counter, or None.
        device: where the output lives.
        hooks: functions called with the gradient, in order, or None.
        trace: where the forward call was made (anomaly mode), or None.
    """

    __slots__ = ("seq", "op", "next", "saved", "versions", "device", "hooks", "trace", "__weakref__")
    seq: int
    op: Any
    next: tuple[Any, ...]
    saved: Any
    versions: Any
    device: device
    hooks: Any
    trace: Any

    def name(self) -> str:
        """PyTorch's style of name, for instance MulBackward0."""
        return getattr(self.op, "grad_name", None) or grad_name(self.op.name)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return tuple((n, n.saved if n.__class__ is Port else 0) for n in self.next)

    @property
    def metadata(self) -> dict:
        return {}

    def register_hook(self, hook: Any) -> RemovableHandle:
        """Call `hook(grad_inputs, grad_outputs)` after this node's backward ran."""
        return add_hook(self, NodeHook(hook))

    def register_prehook(self, hook: Any) -> RemovableHandle:
        """Call `hook(grad_outputs)` before this node's backward runs."""
        return add_hook(self, lambda g: _first(hook((g,))))

    def __repr__(self) -> str:
        return f"<{self.name()} object>"


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


# where PyTorch's name of a node is not our op's name
_NAMES = {
    "cast": "ToCopy", "pow_scalar": "Pow", "rdiv": "Div", "slice": "Slice", "diagonal": "Diagonal", "unfold_dim": "Unfold",
    "mm": "Mm", "bmm": "Bmm", "linear": "Addmm", "conv": "Convolution", "pad_constant": "ConstantPadNd", "cat": "Cat",
    "attention": "ScaledDotProductAttention", "batch_norm_train": "NativeBatchNorm", "batch_norm_eval": "NativeBatchNorm",
    "layer_norm": "NativeLayerNorm", "group_norm": "NativeGroupNorm", "gelu_tanh": "Gelu", "max_pool": "MaxPool2DWithIndices",
    "avg_pool": "AvgPool2D", "cross_entropy": "NllLoss", "unbind": "Unbind", "vector_norm": "LinalgVectorNorm",
    "log_sigmoid": "LogSigmoid", "sum_to_shape": "Sum", "rms_norm": "FusedRmsNorm",
}  # fmt: skip


def grad_name(op_name: str) -> str:
    if op_name in _NAMES:
        return f"{_NAMES[op_name]}Backward0"
    return "".join(part[:1].upper() + part[1:] for part in op_name.strip("_").split("_")) + "Backward0"


class NodeHook:
    """Marks a hook of the node itself, which runs after the rule and sees the inputs' gradients."""

    __slots__ = ("function",)

    def __init__(self, function: Any):
        self.function = function


class Leaf(Node):
    """Where gradients end: holds the `.grad` of a tensor made by the user (and no reference to the tensor).

    `owner` is a weak reference to the tensor, set when a post-accumulate hook needs it.
    """

    __slots__ = ("grad", "shape", "dtype", "owner", "post_hooks")

    def __init__(self, shape: tuple[int, ...], dtype: Any, device: device):
        self.seq, self.op, self.next, self.saved, self.versions = next_seq(), None, (), (), None
        self.device, self.hooks, self.trace = device, None, None
        self.grad, self.shape, self.dtype, self.owner, self.post_hooks = None, shape, dtype, None, None

    def name(self) -> str:
        return "AccumulateGrad"

    @property
    def variable(self) -> Any:
        return self.owner() if self.owner is not None else None


class Port(Node):
    """Stands between one output of a node with several outputs (`saved` is its number) and that node."""

    __slots__ = ()

    def name(self) -> str:
        return self.next[0].name()


class Version:
    """Counts in-place changes of a piece of memory; shared by a tensor, its views and detached aliases.

    `views` holds weak references to the views of tensors in a graph, whose history is renewed after an in-place change.
    """

    n = 0  # defaults of the class: a counter that never counts is made without running any code
    views: Any = None

    def prune(self) -> None:
        """Drop the references to dead views: every 64 views, but only when the list has doubled since the last time."""
        n = len(self.views)
        if n & (n - 1) == 0:
            self.views = [r for r in self.views if r() is not None]


def make_view(op: Any, x: Any, a: Any, params: tuple, saved: tuple) -> Any:
    """A tensor of x's class of memory over the raw array `a`, a view of x; `saved` is what the op's rule asks for.

    The one way views come into being, and hot: everything is inline.
    """
    out = _new(bridge.Tensor)
    out._a = a
    out.dtype = x.dtype
    device = out.device = x.device
    v = x._vc
    if v is None:
        v = x._vc = Version()
    out._vc = v
    out._view = (x, op, params)
    xn = x._node
    if xn is None:  # not registered: should the base join a graph later, `inplace.rebase` finds its views otherwise
        out._node = None
        return out
    views = v.views
    if views is None:
        v.views = [ref(out)]
    else:
        views.append(ref(out))
        if len(views) & 63 == 0:
            v.prune()
    if NO_GRAD[0] and not STATE.grad:
        out._node = None
        return out
    n = out._node = Node()
    n.seq = next_seq()
    n.op = op
    n.next = (xn,)
    n.saved = saved
    n.device = device
    n.versions = n.hooks = n.trace = None
    if WATCHED[0]:
        watch(n)
    return out


def __getattr__(name: str) -> Any:
    """The rest of PyTorch's module of this name, which stands on the engine."""
    for file, names in _ABOVE.items():
        if name in names:
            return getattr(importlib.import_module(f"{__package__}.{file}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_ABOVE = {
    "saved_tensors": ("saved_tensors_hooks", "save_on_cpu", "disable_saved_tensors_hooks"),
    "edges": ("GradientEdge", "get_gradient_edge", "increment_version", "register_multi_grad_hook"),
}


class RemovableHandle:
    """Returned when a hook is registered; `remove()` takes the hook away again; also a context manager.

    Arguments:
        hooks_dict: where the hook is (or comes), under `id`. An OrderedDict is referred to weakly, so that a handle does
            not keep a module alive.
        extra_dict: a dict, or several, that hold something under the same id, to be removed with it.

    >>> from collections import OrderedDict
    >>> import tritorch as torch
    >>> hooks = OrderedDict()
    >>> handle = torch.utils.hooks.RemovableHandle(hooks)
    >>> hooks[handle.id] = print
    >>> handle.remove()
    >>> len(hooks)
    0
    """

    _next_id = itertools.count()

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None):
        extra = () if extra_dict is None else extra_dict if isinstance(extra_dict, (list, tuple)) else (extra_dict,)
        self.id = next(self._next_id)
        self.hooks_dict_ref, self.extra_dict_ref = _reference(hooks_dict), tuple(map(_reference, extra))

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        for place in (self.hooks_dict_ref, *self.extra_dict_ref):
            hooks = place()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.id, self.hooks_dict_ref(), tuple([place() for place in self.extra_dict_ref])

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        # A dict that did not survive is replaced by an empty one, which has nothing to remove.
        self.id, hooks, extra = state
        self.hooks_dict_ref = _reference(OrderedDict() if hooks is None else hooks)
        self.extra_dict_ref = tuple([_reference(OrderedDict() if d is None else d) for d in extra])

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.remove()


def _reference(hooks: Any) -> Any:
    return (lambda: hooks) if hooks.__class__ is dict else ref(hooks)  # a plain dict takes no weak reference


def add_hook(node: Node, hook: Any) -> RemovableHandle:
    if node.hooks is None:
        node.hooks = {}
    handle = RemovableHandle(node.hooks)
    node.hooks[handle.id] = hook
    return handle


def make_node(op: Any, edges: tuple, saved: Any, device: Any = CPU, versions: Any = None) -> Node:
    """Record a call (the hot paths write the same lines inline)."""
    n = _new(Node)
    n.seq = next_seq()
    n.op = op
    n.next = edges
    n.saved = saved
    n.versions = versions
    n.device = device
    n.hooks = n.trace = None
    if WATCHED[0]:
        watch(n)
    return n


def watch(node: Node) -> None:
    """A node was made while some thread is in anomaly mode or has hooks on saved tensors."""
    if STATE.anomaly:
        stack = traceback.extract_stack()
        last = max((i for i, f in enumerate(stack) if not f.filename.startswith(_PACKAGE)), default=len(stack) - 1)
        node.trace = traceback.format_list(stack[: last + 1])  # up to the user's own line
    if STATE.hooks is not None:
        STATE.hooks.pack(node)


def make_port(node: Node, index: int) -> Port:
    p = _new(Port)
    p.seq = next_seq()
    p.op = node.op
    p.next = (node,)
    p.saved = index
    p.versions = p.hooks = p.trace = None
    p.device = node.device
    return p


def versions_of(tensors: Any) -> Any:
    """((tensor's counter, its number), ...) of the tensors that have a counter; None when none has."""
    found = [(v, v.n) for t in tensors if (v := getattr(t, "_vc", None)) is not None]
    return tuple(found) or None
