"""Hooks on what the graph saves: `saved_tensors_hooks` and what is made of it.

While hooks are active, `graph.watch` hands each new node to the innermost of them. What the node saved goes through the
pack hook, and the node's op is replaced by one that calls the unpack hook for the time of the rule. A graph made without
hooks knows nothing of all this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import bridge
from .engine import freed
from .graph import Node, Version
from .modes import STATE, WATCHED, no_grad


class saved_tensors_hooks:  # noqa: N801 - PyTorch's name
    """Inside, each tensor that an op saves for its backward is replaced by `pack_hook(tensor)` until it is needed.

    `unpack_hook` then makes a tensor of the same values of what `pack_hook` gave. Of nested hooks the innermost alone
    are called; the setting is the thread's own, and the ops that ran inside keep the hooks. Saved values that go
    through hooks are not checked for changes in place.

    Arguments:
        pack_hook: called with the saved tensor, which it must not change; gives anything.
        unpack_hook: called, at each use, with what `pack_hook` gave; gives a tensor.

    Raises:
        RuntimeError: `disable_saved_tensors_hooks` is active; `pack_hook` changed its tensor in place.
        TypeError: in the backward, when `unpack_hook` gives something else than a tensor.

    >>> import tritorch as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.autograd.graph.saved_tensors_hooks(lambda t: t.numpy(force=True) * 2, torch.from_numpy):
    ...     y = x * x
    >>> torch.autograd.grad(y.sum(), x)
    (tensor([4., 4.]),)
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]):
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if STATE.no_hooks is not None:
            raise RuntimeError(STATE.no_hooks)
        self.before = STATE.hooks
        STATE.hooks = self
        WATCHED[0] += 1

    def __exit__(self, *exc: Any) -> None:
        STATE.hooks = self.before
        WATCHED[0] -= 1

    def pack(self, node: Node) -> None:
        """Put what `node` saved through the hooks; see `graph.watch`."""
        before = node.saved
        with no_grad():
            node.saved = self._packed(before, node)
        if node.saved is before:
            return
        node.versions = None
        if not getattr(node.op, "unpacks", False):
            node.op = _Unpacking(node.op)

    def _packed(self, value: Any, node: Node) -> Any:
        """`value` with its tensors, arrays and outputs packed; itself when it holds none."""
        if isinstance(value, bridge.Tensor):
            return _Packed(self, "tensor", value, value._node)
        if hasattr(value, "strides"):  # the index of a gather: a raw array among the parameters
            return _Packed(self, "array", bridge.wrap(value, node.device), None)
        if value.__class__ is not tuple:
            return value
        if len(value) == 3 and value[1].__class__ is Version:
            output = bridge.wrap(value[0], node.device)
            output._vc, output._node = value[1], node
            return _Packed(self, "output", output, None)
        made = tuple([self._packed(v, node) for v in value])
        return value if all(a is b for a, b in zip(made, value, strict=True)) else made


class _Packed:
    """One saved value in the hands of hooks."""

    __slots__ = ("hooks", "kind", "value", "node")

    def __init__(self, hooks: saved_tensors_hooks, kind: str, tensor: Any, node: Any):
        self.hooks, self.kind, self.node = hooks, kind, node
        version = tensor._version
        self.value = hooks.pack_hook(tensor)
        if tensor._version != version:
            raise RuntimeError(
                f"saved_tensors_hooks: A saved tensor pack hook is modifying its input in place (shape "
                f"{tuple(tensor.shape)}, version {version} before, {tensor._version} after); expected that it leaves "
                "the tensor as it is: clone() it first."
            )

    def unpacked(self) -> Any:
        """What the node saved: a Tensor on its place in the graph, a raw array, or the record of an output."""
        t = self.hooks.unpack_hook(self.value)
        if not isinstance(t, bridge.Tensor):
            raise TypeError(
                f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(t).__name__}"
            )
        if self.kind == "array":
            return t._a
        if self.kind == "output":
            return t._a, Version(), 0
        made = bridge.wrap(t._a, t.device)
        made._node = self.node
        return made


def unpack(value: Any) -> Any:
    """What a node saved, as its op knows it."""
    if value.__class__ is _Packed:
        return value.unpacked()
    return tuple([unpack(v) for v in value]) if value.__class__ is tuple else value


class _Unpacking:
    """Stands for the op of a node whose saved values are packed."""

    __slots__ = ("op", "name", "grad_name", "differentiable")
    holds = True

    def __init__(self, op: Any):
        self.op, self.name = op, op.name
        self.grad_name, self.differentiable = getattr(op, "grad_name", None), op.differentiable

    def pull(self, node: Node, g: Any) -> Any:
        return self._run(node, g, self.op.pull)

    def pull_tensors(self, node: Node, g: Any) -> Any:
        return self._run(node, g, self.op.pull_tensors)

    def _run(self, node: Node, g: Any, rule: Callable[..., Any]) -> Any:
        packed = node.saved
        if packed is None:
            raise freed(node)
        node.op, node.saved = self.op, unpack(packed)
        try:
            return rule(node, g)
        finally:
            node.op, node.saved = self, packed


class save_on_cpu(saved_tensors_hooks):  # noqa: N801 - PyTorch's name
    """Inside, what ops on cuda save for their backward waits in the host's memory, and comes back when it is needed.

    Arguments:
        pin_memory: keep it in page-locked memory, so that the way back does not wait; default False.
        device_type: the device that pinned memory is for; "cuda".

    >>> import tritorch as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.autograd.graph.save_on_cpu():
    ...     y = (x * x).sum()
    >>> y.backward()
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda"):
        if device_type != "cuda":
            raise ValueError(f"save_on_cpu: device_type must be 'cuda', the device that is here; got {device_type!r}")

        def pack(t: Any) -> tuple[Any, Any]:
            kept = t.detach().cpu()
            return t.device, kept.pin_memory() if pin_memory else kept

        def unpack(packed: tuple[Any, Any]) -> Any:
            device, kept = packed
            return kept.to(device, non_blocking=pin_memory)

        super().__init__(pack, unpack)


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Inside, entering `saved_tensors_hooks` raises RuntimeError with this message; so does entering this within them.

    >>> import tritorch as torch
    >>> with torch.autograd.graph.disable_saved_tensors_hooks("not here"):
    ...     y = torch.ones(2, requires_grad=True).exp()
    """
    if STATE.hooks is not None:
        raise RuntimeError(error_message)
    before, STATE.no_hooks = STATE.no_hooks, error_message
    try:
        yield
    finally:
        STATE.no_hooks = before
