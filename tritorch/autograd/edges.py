"""Places of the graph by name, and hooks on several of them: `GradientEdge`, `register_multi_grad_hook`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from . import bridge
from .graph import Node, RemovableHandle, add_hook
from .inplace import bump
from .modes import STATE


class Place(NamedTuple):
    """What a backward must know of the tensor at an edge."""

    shape: tuple[int, ...]
    dtype: Any
    device: Any


class GradientEdge(NamedTuple):
    """An output of a node; `autograd.grad` and `autograd.backward` take it in the place of the tensor.

    It keeps the graph, not the tensor's memory.

    Attributes:
        node: what made the tensor (`grad_fn`), or where the gradient of a leaf ends.
        output_nr: which of the node's outputs.
        ownership_token: what `get_gradient_edge` notes of the tensor: shape, dtype and device. Without it, a backward
            from the edge needs its gradient given.
    """

    node: Node
    output_nr: int
    ownership_token: Place | None = None


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """The edge of a tensor that requires grad.

    Raises:
        RuntimeError: the tensor does not require grad.

    >>> import tritorch as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> edge = torch.autograd.graph.get_gradient_edge(y)
    >>> torch.autograd.grad((y * 2), edge)
    (tensor(2.),)
    """
    if tensor._node is None:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require gradients; got a tensor of "
            f"shape {tuple(tensor.shape)}"
        )
    return GradientEdge(tensor._node, tensor.output_nr, Place(tensor._a.shape, tensor.dtype, tensor.device))


def increment_version(tensor: Any) -> None:
    """Count a change in place that was made behind autograd's back, in one tensor or in several.

    >>> import tritorch as torch
    >>> x = torch.zeros(2)
    >>> torch.autograd.graph.increment_version(x)
    >>> x._version
    1
    """
    tensors = [tensor] if isinstance(tensor, bridge.Tensor) else tensor
    tensors = list(tensors) if isinstance(tensors, Iterable) else [tensors]
    for t in tensors:
        if not isinstance(t, bridge.Tensor):
            raise RuntimeError(f"increment_version expect a Iterable[Tensor] as input; got {type(t).__name__}")
    for t in tensors:
        bump(t)


class _Handles(RemovableHandle):
    """Several handles as one."""

    def __init__(self, handles: Sequence[RemovableHandle]):
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(
    tensors: Sequence[Any], fn: Callable[[Any], None], *, mode: Literal["all", "any"] = "all"
) -> RemovableHandle:
    """Call `fn` when the gradients of several tensors are known.

    Arguments:
        tensors: tensors that require grad.
        fn: "all": called once per backward that comes to any of them, with the list of their gradients, after the last
            of those that this backward computes; the others are None. "any": called with the first gradient. What it
            returns is not used.
        mode: "all" (default) or "any".

    Raises:
        ValueError: another mode. RuntimeError: a tensor does not require grad.

    >>> import tritorch as torch
    >>> a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    >>> handle = torch.autograd.graph.register_multi_grad_hook([a, b], lambda grads: print(len(grads)))
    >>> (a * b).sum().backward()
    2
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    for i, t in enumerate(tensors):
        if t._node is None:
            raise RuntimeError(
                f"register_multi_grad_hook: tensor {i}, of shape {tuple(t.shape)}, does not require grad"
            )
    nodes = [t._node for t in tensors]
    lock = threading.Lock()
    tasks: Any = WeakKeyDictionary()  # backward -> [gradients to come, gradients], or None where "any" was called

    def arrived(i: int, g: Any) -> None:
        task = STATE.task
        with lock:
            if mode == "any":
                if task in tasks:
                    return
                tasks[task] = None
                grads = g
            else:
                entry = tasks.get(task)
                if entry is None:
                    entry = tasks[task] = [sum(map(task.runs, nodes)), [None] * len(nodes)]
                entry[0] -= 1
                entry[1][i] = g
                if entry[0]:
                    return
                grads = tasks.pop(task)[1]
        fn(grads)

    def hook(i: int) -> Callable[[Any], None]:
        return lambda g: arrived(i, g)

    return _Handles([add_hook(node, hook(i)) for i, node in enumerate(nodes)])
