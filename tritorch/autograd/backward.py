"""`Tensor.backward`, `autograd.backward` and `autograd.grad`: checks around the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import message
from ..kernels._op import OPS
from . import bridge
from .apply import filled
from .edges import GradientEdge
from .engine import copied, run
from .graph import Leaf


def _root(t: Any, g: Any, create_graph: bool, op: str) -> tuple[Any, Any]:
    if t.__class__ is GradientEdge:
        node, place = t.node, t.ownership_token
        if place is None:
            if g is None:
                raise RuntimeError(
                    f"{op}: the gradient of {t} must be given: the edge does not know its tensor's shape"
                )
            return node, g if create_graph else g._a
        shape, dtype, device = place
    else:
        node, shape, dtype, device = t._node, t._a.shape, t.dtype, t.device
    if node is None:
        raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
    if g is None:
        if any(n != 1 for n in shape):
            raise RuntimeError(f"grad can be implicitly created only for scalar outputs; got shape {tuple(shape)}")
        if dtype.is_complex:
            raise RuntimeError(f"grad can be implicitly created only for real scalar outputs but got {dtype}")
        g = filled(shape, dtype.np, device, 1)
        return node, bridge.wrap(g, device) if create_graph else g
    if g._a.shape != shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[0] has a shape of {g.shape} and output[0] has a shape of "
            f"torch.Size({list(shape)})."
        )
    if g.dtype is not dtype:
        g = g.to(dtype)
    if g.device is not device:
        raise RuntimeError(message(op, f"the gradient must be on {device}", gradient=g))
    return node, g if create_graph else g._a


def _list(x: Any) -> list:
    return list(x) if isinstance(x, (tuple, list)) and x.__class__ is not GradientEdge else [x]


def _targets(inputs: list) -> list:
    """The nodes of `inputs`, tensors or edges."""
    nodes = [t.node if t.__class__ is GradientEdge else t._node for t in inputs]
    if any(node is None for node in nodes):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    return nodes


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate the gradients of `tensors` into the `.grad` of the leaves (or of `inputs` only).

    Arguments:
        tensors: a tensor (or `graph.GradientEdge`) or several.
        grad_tensors: their gradients, None for tensors of one element.
        retain_graph: keep saved values, default `create_graph`. create_graph: record the backward itself.

    >>> import tritorch as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> torch.autograd.backward(x * x)
    >>> x.grad
    tensor(6.)
    """
    outs = _list(tensors)
    gs = [None] * len(outs) if grad_tensors is None else _list(grad_tensors)
    if len(gs) != len(outs):
        raise RuntimeError(f"backward: got {len(outs)} tensors and {len(gs)} gradients")
    keep = create_graph if retain_graph is None else retain_graph
    roots, grads = [], []
    for t, g in zip(outs, gs, strict=True):
        node, seed = _root(t, g, create_graph, "backward")
        roots.append(node)
        grads.append(seed)
    if inputs is None:
        run(roots, grads, retain=keep, create_graph=create_graph)
        return
    wanted = _list(inputs)
    if not wanted:
        raise RuntimeError("backward: 'inputs' argument to backward() cannot be empty.")
    targets = _targets(wanted)
    capture: dict[int, Any] = {node.seq: None for node in targets}
    run(roots, grads, retain=keep, create_graph=create_graph, capture=capture, accumulate=False)
    for t, leaf in zip(wanted, targets, strict=True):
        g = capture[leaf.seq]
        if t.__class__ is GradientEdge:
            if leaf.__class__ is not Leaf:
                continue  # no tensor that could receive it
            t = leaf
        if g is None:
            continue
        made = g if create_graph else bridge.wrap(copied(g), t.device)
        old = t.grad
        t.grad = made if old is None else old + made
        if leaf.__class__ is Leaf and leaf.post_hooks:
            owner = leaf.owner() if t is leaf else t
            if owner is not None:
                for hook in list(leaf.post_hooks.values()):
                    hook(owner)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of the sum of `outputs` by `inputs`, without touching any `.grad`.

    Arguments:
        outputs, inputs: a tensor (or `graph.GradientEdge`) or several. grad_outputs: gradients of the outputs, None for single elements.
        retain_graph: keep saved values, default `create_graph`. create_graph: the result can be differentiated again.
        allow_unused: None for an input that the outputs do not depend on, instead of an error.
        is_grads_batched: `grad_outputs` carry a leading batch dim; one backward per entry.
        materialize_grads: zeros for unused inputs.

    >>> import tritorch as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> torch.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    outs, ins = _list(outputs), _list(inputs)
    gs = [None] * len(outs) if grad_outputs is None else _list(grad_outputs)
    if len(gs) != len(outs):
        raise RuntimeError(f"grad: got {len(outs)} outputs and {len(gs)} grad_outputs")
    keep = create_graph if retain_graph is None else retain_graph
    if is_grads_batched:
        return _batched(outs, ins, gs, keep, create_graph, allow_unused, materialize_grads)
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    roots, seeds = [], []
    for t, g in zip(outs, gs, strict=True):
        node, seed = _root(t, g, create_graph, "grad")
        roots.append(node)
        seeds.append(seed)
    targets = _targets(ins)
    capture: dict[int, Any] = {node.seq: None for node in targets}
    run(roots, seeds, retain=keep, create_graph=create_graph, capture=capture, accumulate=False)
    result = []
    for i, (t, node) in enumerate(zip(ins, targets, strict=True)):
        g = capture[node.seq]
        if g is None:
            if materialize_grads:
                if t.__class__ is GradientEdge:
                    raise RuntimeError("grad: materialize_grads cannot be used when the given input is a GradientEdge")
                g = t.new_zeros(t._a.shape)
                result.append(g)
                continue
            if not allow_unused:
                raise RuntimeError(
                    f"One of the differentiated Tensors appears to not have been used in the graph (input {i}, "
                    f"{t if t.__class__ is GradientEdge else f'shape {tuple(t.shape)}'}). Set allow_unused=True if this "
                    "is the desired behavior."
                )
            result.append(None)
        elif create_graph:
            result.append(g)
        else:
            result.append(bridge.wrap(g, node.device))
    return tuple(result)


def _batched(outs: list, ins: list, gs: list, keep: bool, create_graph: bool, unused: Any, zeros: bool) -> tuple:
    n = next(g.shape[0] for g in gs if g is not None)
    rows = [
        grad(outs, ins, [None if g is None else g[i] for g in gs], keep or i < n - 1, create_graph,
             allow_unused=unused, materialize_grads=zeros)
        for i in range(n)
    ]  # fmt: skip
    return tuple(None if row[0] is None else stack(row) for row in zip(*rows, strict=True))


def stack(rows: Sequence[Any]) -> Any:
    """Tensors of one shape along a new first dim."""
    return OPS["stack"](list(rows), 0)
