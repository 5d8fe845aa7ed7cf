"""`autograd.Function`: a function with a backward of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from . import bridge
from .apply import output_array, saved_output
from .engine import check_versions, freed
from .graph import Leaf, Node, Version, make_node, make_port, versions_of
from .modes import STATE, no_grad
from .saved_tensors import unpack

if TYPE_CHECKING:
    from ..tensor import Tensor


class FunctionCtx:
    """What forward leaves for backward; attributes may be set freely.

    Attributes:
        needs_input_grad: per argument of forward, does its gradient matter.
    """

    needs_input_grad: tuple[bool, ...] = ()
    _to_save: tuple = ()
    _node: Any = None
    _edges: tuple = ()
    _dirty: tuple = ()
    _constant: tuple = ()
    _materialize = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for backward, where `ctx.saved_tensors` gives them back, version-checked."""
        self._to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Accepted; forward-mode derivatives are not computed."""

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Say which inputs forward changed in place."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say which outputs carry no gradient."""
        self._constant = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """False: gradients of unused outputs reach backward as None instead of zeros."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        node = self._node() if self._node is not None else None
        if node is None:
            return ()
        if node.saved is None:
            raise freed(node)
        saved = unpack(node.saved)
        check_versions(node, [v for v in saved if isinstance(v, bridge.Tensor)])
        result = []
        for value, edge in zip(saved, self._edges, strict=True):
            if edge is not None:
                version = value[1]
                value = bridge.wrap(output_array(node, value), node.device)
                value._vc, value._node = version, edge()
            result.append(value)
        return tuple(result)

    def _keep(self, outputs: list) -> tuple[tuple, list[int | None]]:
        """What was saved as what survives: inputs as they are, outputs as arrays (no cycle through the node).

        Beside it, for each of them, which output it is.
        """
        kept: list[Any] = []
        places: list[int | None] = []
        for t in self._to_save:
            if t is not None and not isinstance(t, bridge.Tensor):
                raise TypeError(f"save_for_backward can only save tensors, but argument is of type {type(t).__name__}")
            place = None if t is None else next((i for i, o in enumerate(outputs) if o is t), None)
            if t is not None and t._vc is None:
                t._vc = Version()
            kept.append(t if place is None else saved_output(t))
            places.append(place)
        self._to_save = ()
        return tuple(kept), places


class _Caller:
    """The op of a node that a Function made."""

    def __init__(self, function: type, ctx: Any, metas: list, places: list[int]):
        self.function, self.ctx, self.metas, self.places = function, ctx, metas, places
        self.name = function.__name__
        self.grad_name = f"{self.name}Backward"
        self.differentiable = len(metas)

    def _gradients(self, node: Node, gs: list) -> list:
        ctx = self.ctx
        full = []
        for g, (shape, kind) in zip(gs, self.metas, strict=True):
            if g is None and ctx._materialize:
                g = _zeros(shape, kind, node.device)
            full.append(g)
        result = self.function.backward(ctx, *full)  # type: ignore[attr-defined]
        result = result if isinstance(result, tuple) else (result,)
        if len(result) > self.count and all(r is None for r in result[self.count :]):
            result = result[: self.count]
        if len(result) != self.count:
            raise RuntimeError(
                f"function {self.name}Backward returned an incorrect number of gradients (expected {self.count}, got {len(result)})"
            )
        picked = []
        for slot, (place, shape) in enumerate(zip(self.places, self.shapes, strict=True)):
            g = result[place]
            if g is not None and node.next[slot] is not None:
                if not isinstance(g, bridge.Tensor):
                    raise TypeError(
                        f"{self.name}.backward: expected Tensor or None for input {place}; got {type(g).__name__}"
                    )
                if tuple(g.shape) != shape:
                    try:
                        g = g.sum_to_size(*shape)
                    except RuntimeError:
                        raise RuntimeError(
                            f"Function {self.name}Backward returned an invalid gradient at index {place} - got {list(g.shape)} but "
                            f"expected shape compatible with {list(shape)}"
                        ) from None
            picked.append(g)
        return picked

    def pull(self, node: Node, g: Any) -> Any:
        gs = [None if v is None else bridge.wrap(v, node.device) for v in (g if isinstance(g, list) else [g])]
        with no_grad():
            result = self._gradients(node, gs)
        return [None if r is None else r._a for r in result]

    def pull_tensors(self, node: Node, g: Any) -> Any:
        return self._gradients(node, g if isinstance(g, list) else [g])

    holds = unpacks = True  # what was saved stays packed until `ctx.saved_tensors` is read
    count = 0
    shapes: list[tuple[int, ...]] = []


def _zeros(shape: tuple[int, ...], kind: Any, device: Any) -> Tensor:
    from .apply import zeros

    return bridge.wrap(zeros(shape, kind.np, device), device)


class Function(FunctionCtx):
    """Subclass with static methods `forward(ctx, *args)` and `backward(ctx, *grads)`, call with `apply`.

    With `setup_context(ctx, inputs, output)` defined, forward has no ctx.

    >>> import tritorch as torch
    >>> class Square(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x): ctx.save_for_backward(x); return x * x
    ...     @staticmethod
    ...     def backward(ctx, g): return g * 2 * ctx.saved_tensors[0]
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        raise NotImplementedError("setup_context is not implemented.")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run forward without recording, then record backward as one node."""
        ctx = cls()
        tensors = [(i, a) for i, a in enumerate(args) if isinstance(a, bridge.Tensor)]
        edges = tuple(t._node for _, t in tensors)
        ctx.needs_input_grad = tuple(isinstance(a, bridge.Tensor) and a._node is not None for a in args)
        record = STATE.grad and any(e is not None for e in edges)
        with no_grad():
            if cls.setup_context is not Function.setup_context:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
            else:
                output = cls.forward(ctx, *args)
        if not record:
            ctx._to_save = ()
            return output
        outs = list(output) if isinstance(output, tuple) else [output]
        made = []
        given = {id(t) for _, t in tensors}
        dirty = {id(t) for t in ctx._dirty}
        for o in outs:
            if isinstance(o, bridge.Tensor) and id(o) in given and id(o) not in dirty:
                o = o.view_as(o)  # type: ignore[attr-defined]
                o._view = None
            made.append(o)
        constant = {id(t) for t in ctx._constant}
        carrying = [o for o in made if isinstance(o, bridge.Tensor) and id(o) not in constant and o.dtype.category >= 2]
        if any(t._node.__class__ is Leaf for t in ctx._dirty if isinstance(t, bridge.Tensor)):
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        caller = _Caller(cls, ctx, [(o._a.shape, o.dtype) for o in carrying], [i for i, _ in tensors])
        caller.count, caller.shapes = len(args), [t._a.shape for _, t in tensors]
        place = carrying[0].device if carrying else tensors[0][1].device
        saved, places = ctx._keep(carrying)
        node = make_node(caller, edges, saved, place, versions_of(saved))
        if len(carrying) == 1:
            ports = [node]
        else:
            ports = [make_port(node, i) for i in range(len(carrying))]
        ctx._node = ref(node)  # weak, as the edges: both lead back to this ctx
        ctx._edges = tuple([None if i is None else ref(ports[i]) for i in places])
        for o, port in zip(carrying, ports, strict=True):
            o._node = port
        return tuple(made) if isinstance(output, tuple) else made[0]

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        raise NotImplementedError("Function.vmap: vmap over custom Functions is not supported")


def once_differentiable(backward: Any) -> Any:
    """Decorator for a backward whose result cannot be differentiated again."""
    import functools

    @functools.wraps(backward)
    def call(ctx: Any, *gs: Any) -> Any:
        with no_grad():
            result = backward(ctx, *gs)
        if not STATE.grad or not any(isinstance(g, bridge.Tensor) and g._node is not None for g in gs):
            return result
        outs = result if isinstance(result, tuple) else (result,)
        marked = tuple(_Once.apply(o, *gs) if isinstance(o, bridge.Tensor) else o for o in outs)
        return marked if isinstance(result, tuple) else marked[0]

    return call


class _Once(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *gs: Any) -> Tensor:
        return x.clone()  # type: ignore[attr-defined]

    @staticmethod
    def backward(ctx: Any, *gs: Any) -> Any:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")
