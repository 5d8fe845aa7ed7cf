"""What a call costs: bytes moved and arithmetic, by the ops' own `cost`, and what the machine does at best."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from typing import Any

from ..device import CPU, EMULATED, synchronize
from ..kernels._op import Op
from ..kernels.elementwise import Elementwise
from ..tensor import TENSORS
from .names import INLINE

Cost = tuple[int, int]


def tensors(values: Any) -> Iterator[Any]:
    """The tensors among values, and in the lists and tuples among them."""
    for v in values:
        kind = v.__class__
        if kind in TENSORS:
            yield v
        elif kind is list or kind is tuple:
            yield from tensors(v)


def of_call(name: str, op: Op | None, args: tuple[Any, ...], keywords: dict[str, Any], result: Any) -> Cost:
    """Bytes moved and flops of a forward call.

    Args:
        name: what it is recorded as; of an in-place op it ends in "_".
        op: whose arguments these are; or the elementwise op, or the one of `names.INLINE`, that a public function stands
            for; or None: what reads its tensors and writes its result, as elementwise ops do, with a flop per element.
    """
    if op is not None and op.view:
        return 0, 0
    if op is not None and op.cost is not None:
        bytes, flops = op.cost(*_of_cost(op, args, keywords))
        return int(bytes), int(flops)
    if result is None:  # x[key] = v: of x, as much as there is of v
        return 2 * sum([t.nbytes for t in tensors(args[2:])]), 0
    outs = list(tensors((result,)))
    if not name.endswith("_") and any(t._view is not None or any(t is a for a in args) for t in outs):
        return 0, 0  # a view, or the tensor itself: nothing is moved
    moved = sum([t.nbytes for t in (*tensors(args), *outs)])
    return moved, sum([t._a.size for t in outs]) if isinstance(op, Elementwise) else 0


def _of_cost(op: Op, args: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments of `op.cost`: raw arrays, and the op's parameters where they are known."""
    n, m = len(op.inputs), len(op.params)
    if op.variadic:
        return [t._a for t in tensors(args[0])], *args[1:]
    if op.name not in INLINE:
        return *[getattr(a, "_a", None) for a in args[:n]], *args[n:]
    arrays = [t._a for t in tensors((*args, *keywords.values()))][:n]
    if op.name == "matmul":
        arrays = _as_matrices(*arrays)
    return *arrays, *[None] * (n - len(arrays) + m)


def _as_matrices(a: Any, b: Any) -> list[Any]:
    return [a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b]


def of_backward(args: tuple[Any, ...], grads: Any, flops: int) -> Cost:
    """Bytes moved and flops of a node: it reads the gradient and what was saved, and writes gradients, for each of two or
    more dims with the flops of the forward; so it is for products, where it matters. One that only hands its gradient on,
    or a view of it, does nothing."""
    node, g = args[-2], args[-1]
    given = [getattr(v, "_a", v) for v in (g if g.__class__ is list else (g,))]
    owners = {id(owner(a)) for a in given}
    results = [getattr(v, "_a", v) for v in grads if v is not None] if isinstance(grads, (tuple, list)) else []
    made = [a for a in results if id(owner(a)) not in owners]
    if not made:
        return 0, 0
    kept = [getattr(v, "_a", v[0] if v.__class__ is tuple and v else v) for v in node.saved or ()]
    moved = sum([v.nbytes for v in (*given, *kept, *made) if hasattr(v, "strides")])
    return moved, flops * max(1, sum([a.ndim > 1 for a in made]))


def owner(a: Any) -> Any:
    """The array whose memory a view shows."""
    while getattr(a, "base", None).__class__ is a.__class__:
        a = a.base
    return a


@cache
def peaks(kind: str) -> tuple[float, float] | None:
    """Bytes and flops a second at best, by a copy of 64 MiB and a float32 product of 1024 x 1024; None where it says
    nothing: the emulated device.

    Args:
        kind: "cpu" or "cuda".
    """
    if kind == "cuda" and EMULATED:
        return None
    from .. import functional as f

    x, a = f.ones(1 << 24, device=kind), f.ones(1024, 1024, device=kind)
    wait = synchronize if kind == "cuda" else lambda: None

    def best(call: Any) -> float:
        taken = []
        for _ in range(5):
            wait()
            before = time.perf_counter()
            call()
            wait()
            taken.append(time.perf_counter() - before)
        return min(taken)

    return 2 * x.nbytes / best(x.clone), 2 * 1024**3 / best(lambda: f.matmul(a, a))


def on_cuda(args: Any, keywords: Any = None) -> Any:
    """The first cuda device among the tensors of a call, or the one it names; None on the CPU."""
    for t in tensors(args):
        if t.device is not CPU:
            return t.device
    if keywords:
        from ..device import device as Device

        named = keywords.get("device")
        if isinstance(named, (str, Device)) and Device(named).type == "cuda":
            return Device(named)
        for t in tensors(keywords.values()):
            if t.device is not CPU:
                return t.device
    return None
