"""The backward pass: descending `seq` by a heap, iterative, gradients as raw arrays unless a graph is wanted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any

import numpy as np

from ..device import CPU, EMULATED, backend, cuda_index, on_device
from ..device import device as Device
from ..kernels._op import OPS
from ..kernels._strides import dense
from . import bridge
from .autocast import ACTIVE, restore, suspend
from .graph import Leaf, Node, NodeHook, Port
from .modes import STATE, set_grad

getrefcount = sys.getrefcount
ndarray = np.ndarray


class Task:
    """One backward: where it started; `passed` and `capture` of `run` where it does not go everywhere."""

    __slots__ = ("roots", "passed", "capture", "reached", "__weakref__")

    def __init__(self, roots: Sequence[Node], passed: set[int] | None, capture: Any):
        self.roots, self.passed, self.capture, self.reached = roots, passed, capture, None

    def runs(self, node: Node) -> bool:
        """Will `node` get a gradient."""
        if self.reached is None:
            self.reached = {n.seq for n in reached(self.roots)}
        seq = node.seq
        return seq in self.reached and (self.passed is None or seq in self.passed or seq in self.capture)


def reached(roots: Sequence[Node], lowest: int = 0) -> list[Node]:
    """The nodes that a backward from `roots` can come to, of those made since `lowest`."""
    found: dict[int, Node] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.seq >= lowest and node.seq not in found:
            found[node.seq] = node
            stack += [n for n in node.next if n is not None]
    return list(found.values())


def leading_to(roots: Sequence[Node], targets: dict[int, Any]) -> set[int]:
    """The nodes, by `seq`, that must run for the gradients at `targets`: those on the ways from `roots` to them."""
    passed: set[int] = set()
    for node in sorted(reached(roots, min(targets)), key=_seq):
        for n in node.next:
            if n is not None and (n.seq in passed or n.seq in targets):
                passed.add(node.seq)
                break
    return passed


_seq = attrgetter("seq")


def run(
    roots: Sequence[Node],
    gradients: Sequence[Any],
    *,
    retain: bool,
    create_graph: bool,
    capture: dict[int, Any] | None = None,
    accumulate: bool = True,
) -> None:
    """Push `gradients` (raw arrays; Tensors with `create_graph`) from `roots` down to the leaves.

    Arguments:
        retain: keep what nodes saved, for a further backward.
        capture: seq -> None for nodes whose incoming gradient is wanted; filled in.
        accumulate: add into the `.grad` of leaves.
    """
    pending: dict[int, list] = {}  # seq -> [node, gradient, is the buffer ours]
    heap: list[int] = []
    top = 0  # a pending seq above all in the heap, or 0: chains never touch the heap
    for node, g in zip(roots, gradients, strict=True):
        entry = pending.get(node.seq)
        if entry is None:
            pending[node.seq] = [node, g, False]
            heappush(heap, -node.seq)
        else:
            entry[1] = entry[1] + g
    passed = leading_to(roots, capture) if capture and not accumulate else None  # what captures alone runs
    plain = not create_graph and not STATE.anomaly
    before = STATE.grad, STATE.task
    STATE.task = Task(roots, passed, capture)
    switches = suspend() if ACTIVE else None
    set_grad(create_graph)
    try:
        while pending:
            if top:
                seq, top = top, 0
            else:
                seq = -heappop(heap)
            node, g, _ = pending.pop(seq)
            if node.hooks or capture is not None:
                if passed is not None and seq not in passed and seq not in capture:  # type: ignore[operator]
                    continue
                if node.hooks:
                    g = _call_hooks(node, g, create_graph)
                if capture is not None and seq in capture:
                    capture[seq] = g
                if passed is not None and seq not in passed:
                    continue
            if node.__class__ is not Node:
                if isinstance(node, Leaf):
                    if accumulate:
                        _accumulate(node, g, create_graph)
                    continue
                if node.__class__ is Port:
                    target = node.next[0]
                    entry = pending.get(target.seq)
                    if entry is None:
                        entry = pending[target.seq] = [target, [None] * target.op.differentiable, False]
                        if top:
                            heappush(heap, -top)
                            top = 0
                        heappush(heap, -target.seq)
                    i = node.saved
                    entry[1][i] = g if entry[1][i] is None else plus(entry[1][i], g)
                    continue
            op = node.op
            if plain:
                grads = op.pull(node, g)
            elif create_graph:
                grads = op.pull_tensors(node, g)
            else:
                grads = _watched(node, g)
            if node.hooks:
                grads = _call_node_hooks(node, grads, g, create_graph)
            if not retain and op.holds:
                node.saved = None
            del g
            for target, gx in zip(node.next, grads):
                if target is None or gx is None:
                    continue
                seq = target.seq
                entry = pending.get(seq)
                if entry is None:
                    pending[seq] = [target, gx, False]
                    if top:
                        if seq > top:
                            seq, top = top, seq
                        heappush(heap, -seq)
                    elif not heap or seq > -heap[0]:
                        top = seq
                    else:
                        heappush(heap, -seq)
                elif create_graph or entry[1].__class__ is not ndarray or EMULATED and cuda_index(entry[1]) is not None:
                    entry[1] = plus(entry[1], gx)
                elif entry[2]:
                    entry[1] += gx
                else:
                    total = entry[1] + gx
                    entry[1] = total if total.__class__ is ndarray else np.asarray(total)
                    entry[2] = True
            grads = gx = entry = target = None  # nothing here may keep a buffer that a leaf could take
    finally:
        set_grad(before[0])
        STATE.task = before[1]
        if switches is not None:
            restore(switches)


def plus(a: Any, b: Any) -> Any:
    """a + b of Tensors or raw arrays; arrays of a real device by our kernel: CuPy's own would ask for its compiler."""
    if a.__class__ is np.ndarray and not EMULATED or isinstance(a, bridge.Tensor):
        return a + b
    index = cuda_index(a)
    if index is None:
        return a + b
    place = Device("cuda", index)
    return (bridge.wrap(a, place) + bridge.wrap(b, place))._a


def copied(a: Any) -> Any:
    """A contiguous copy of a raw array on any device."""
    index = cuda_index(a)
    return dense(a) if index is None else OPS["clone"](bridge.wrap(a, Device("cuda", index)))._a


def clear(a: Any) -> None:
    """Zero in all elements of a raw array or view on any device."""
    index = cuda_index(a)
    if index is None:
        a[...] = 0
    elif a.size:
        from ..kernels._pointwise import fill

        with on_device(index):
            fill(a, 0)


def freed(node: Node) -> RuntimeError:
    return RuntimeError(
        f"{node.name()}: Trying to backward through the graph a second time (or directly access saved tensors after "
        "they have already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
        "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if you "
        "need to access saved tensors after calling backward."
    )


def check_versions(node: Node, tensors: Any) -> None:
    """RuntimeError when a saved tensor was changed in place after it was saved."""
    expected = {id(v): n for v, n in node.versions} if node.versions else {}
    for t in tensors:
        v = getattr(t, "_vc", None)
        if v is not None and v.n != expected.get(id(v), 0):
            raise changed(node, t.shape, t.dtype, v.n, expected.get(id(v), 0))


def changed(node: Node, shape: Any, dtype: Any, found: int, expected: int) -> RuntimeError:
    hint = (
        ""
        if node.trace is not None
        else " Hint: enable anomaly detection with torch.autograd.set_detect_anomaly(True)."
    )
    where = f" The forward call was:\n{''.join(node.trace)}" if node.trace else ""
    return RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"a tensor of shape {tuple(shape)}, {dtype}, saved by {node.op.name} ({node.name()}), is at version {found}; "
        f"expected version {expected} instead.{hint}{where}"
    )


def _reshaped(g: np.ndarray) -> bool:
    """Whether `g`, a view, is all of an array that nobody else holds."""
    base: Any = g.base
    if base.__class__ is not np.ndarray or base.base is not None or base.size != g.size:
        return False
    return g.flags.c_contiguous and getrefcount(base) == 3  # held by g, this frame, the call's argument


def _accumulate(leaf: Leaf, g: Any, create_graph: bool) -> None:
    """Add `g` into leaf.grad: in place, or by taking the buffer when nobody else holds it."""
    old = leaf.grad
    if create_graph:
        leaf.grad = g if old is None else old + g
    elif old is None:
        if g.__class__ is np.ndarray:
            # run(), this frame, the call's argument: more means that another node or the user holds it too
            if getrefcount(g) > _ALONE or not g.flags.writeable or g.base is not None and not _reshaped(g):
                g = copied(g)
        elif leaf.device is CPU:  # a number of NumPy's, of 0-dim arithmetic
            g = np.asarray(g)
        elif getrefcount(g) > _ALONE or not backend().sole(g):
            g = copied(g)
        leaf.grad = bridge.wrap(g, leaf.device)
    elif old._node is None:
        _add_into(old, g)
    else:
        leaf.grad = bridge.wrap(plus(old._a, g), leaf.device)
    if leaf.post_hooks and leaf.owner is not None:
        owner = leaf.owner()
        if owner is not None:
            for hook in list(leaf.post_hooks.values()):
                hook(owner)


def _add_into(grad: Any, g: Any) -> None:
    if grad._a.__class__ is np.ndarray and g.__class__ is np.ndarray and grad.device.type == "cpu":
        if g.size > 1 << 14 and not g.flags.c_contiguous:
            g = dense(g)  # a copy that knows how to walk is faster than a sum that does not
        np.add(grad._a, g, out=grad._a, casting="unsafe")
        if grad._vc is not None:
            grad._vc.n += 1
    else:
        grad.add_(bridge.wrap(g, grad.device))


def _probe() -> int:
    """The reference count that `_accumulate` sees of an array that only the running backward holds."""
    seen = []

    def inner(leaf: Any, g: Any, create_graph: bool) -> None:
        old = None
        if create_graph:
            pass
        elif old is None:
            seen.append(getrefcount(g))

    def outer() -> None:
        pending = {0: [None, np.empty(1), False]}
        node, g, _ = pending.pop(0)
        inner(node, g, False)

    outer()
    return seen[0]


_ALONE = _probe()


def _call_hooks(node: Node, g: Any, create_graph: bool) -> Any:
    """Tensor hooks: each sees the gradient as a Tensor and may replace it."""
    for hook in list(node.hooks.values()):
        if hook.__class__ is NodeHook:
            continue
        seen = g if create_graph else bridge.wrap(g, node.device)
        result = hook(seen)
        if result is not None:
            if result.shape != seen.shape:
                raise RuntimeError(
                    f"a gradient hook of {node.name()} must return a gradient of shape {tuple(seen.shape)}; "
                    f"got shape {tuple(result.shape)}"
                )
            g = result if create_graph else result._a
    return g


def _call_node_hooks(node: Node, grads: Any, g: Any, create_graph: bool) -> Any:
    for hook in list(node.hooks.values()):
        if hook.__class__ is NodeHook:
            if create_graph:
                ins, outs = tuple(grads), (g,)
            else:
                ins = tuple(None if x is None else bridge.wrap(x, node.device) for x in grads)
                outs = (bridge.wrap(g, node.device),) if not isinstance(g, list) else tuple(g)
            result = hook.function(ins, outs)
            if result is not None:
                result = result if isinstance(result, tuple) else (result,)
                grads = result if create_graph else tuple(None if r is None else r._a for r in result)
    return grads


def _watched(node: Node, g: Any) -> Any:
    """Anomaly mode: run the rule; a failure or a NaN is reported with the place of the forward call."""
    try:
        grads = node.op.pull(node, g)
    except Exception as error:
        if node.trace:
            error.add_note(f"{node.name()}: the forward call was:\n{''.join(node.trace)}")
        raise
    if STATE.check_nan:
        for i, gx in enumerate(grads):
            if gx is not None and gx.dtype.kind in "fc" and bool((gx != gx).any()):
                where = f"\nThe forward call was:\n{''.join(node.trace)}" if node.trace else ""
                raise RuntimeError(f"Function '{node.name()}' returned nan values in its {i}th output.{where}")
    return grads
