"""Turns an op of the registry into a differentiable function on Tensors: the generic path.

Hot ops (elementwise, views, matmul, sum) have forward functions of their own that write the same record; `pull` and
`pull_tensors` are shared by all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..device import CPU, on_device
from ..device import empty as device_empty
from ..dtypes import FROM_NP
from ..errors import describe
from ..kernels import _library
from ..kernels._op import Op
from ..kernels._replay import call
from .engine import changed, check_versions, freed
from .graph import Node, Version, make_node, make_port, make_view, versions_of
from .modes import STATE

_new = object.__new__
_F32 = np.dtype(np.float32)


WATCH: list[Any] = []
"""What looks at each op that runs on a device, forward and fused backward; `tritorch.debug.twin` puts itself here."""


def saved_output(tensor: Any) -> tuple[Any, Version, int]:
    """What a node keeps of its output: array, version counter and number (not the Tensor, which owns the node)."""
    v = tensor._vc
    if v is None:
        v = tensor._vc = Version()
    return tensor._a, v, v.n


def stale(saved: tuple[Any, Version, int]) -> bool:
    """Whether a saved output was changed in place since."""
    return saved[1].n != saved[2]


def output_array(node: Node, saved: tuple[Any, Version, int]) -> Any:
    """The array of a saved output; RuntimeError when it was changed in place since."""
    array, version, n = saved
    if stale(saved):
        raise changed(node, array.shape, array.dtype, version.n, n)
    return array


def bind(op: Op, Tensor: type) -> None:
    """Give `op` its `apply`, `pull` and `pull_tensors`."""
    op.apply = _view_function(op, Tensor) if op.view else _function(op, Tensor)
    bind_rules(op, Tensor)


def bind_rules(op: Op, Tensor: type) -> None:
    op.pull, op.pull_tensors = _pulls(op, Tensor)


def zeros(shape: Any, np_dtype: Any, device: Any) -> Any:
    """A raw array of zeros on any device."""
    return filled(shape, np_dtype, device, 0)


def filled(shape: Any, np_dtype: Any, device: Any, value: int) -> Any:
    """A raw array of one number on any device."""
    if device is CPU:
        return np.full(shape, value, np_dtype) if value else np.zeros(shape, np_dtype)
    with on_device(device.index):
        a = device_empty(shape, np_dtype)
        if a.size:
            from ..kernels._pointwise import fill

            fill(a, value)
    return a


def no_kernel(op: str, device: Any) -> NotImplementedError:
    return NotImplementedError(
        f"{op}: has no Triton kernel yet, so it does not run on {device}; move its inputs to cpu"
    )


def run_kernel(op: Op, device: Any, arrays: Any, params: Any) -> Any:
    """Run the device side of `op` with `device` current."""
    if op.gpu is None:
        raise no_kernel(op.name, device)
    if op.gpu is op.cpu:
        with on_device(device.index):
            result = _library.run(op, *arrays, *params)
    else:
        result = call(op.gpu, device.index, (*arrays, *params))
    if WATCH:
        WATCH[0].forward(op, arrays, params, result)
    return result


def mixed_devices(op: str, names: Any, tensors: Any) -> RuntimeError:
    came = ", ".join(
        f"{n}: {describe(t)} on {t.device}"
        for n, t in zip(names, tensors, strict=False)
        if t is not None and hasattr(t, "device")
    )
    return RuntimeError(f"{op}: Expected all tensors to be on the same device; got {came}")


def _half(op: Op, arrays: list, params: tuple) -> Any:
    """Compute in float32, round the differentiable outputs to the half type that came in."""
    half = next(a.dtype for a in arrays if a is not None and a.dtype.itemsize == 2 and a.dtype.kind in "fV")
    wide = [a.astype(_F32) if a is not None and a.dtype == half else a for a in arrays]
    y = op.cpu(wide, *params) if op.variadic else op.cpu(*wide, *params)
    if y.__class__ is tuple:
        k = op.differentiable
        return tuple(v.astype(half) if i < k and v.dtype == _F32 else v for i, v in enumerate(y))
    return y.astype(half) if y.dtype == _F32 else y


def _function(op: Op, Tensor: type) -> Callable[..., Any]:
    n_inputs, variadic, name = len(op.inputs), op.variadic, op.name
    cpu, upcast, has_rule, k = op.cpu, op.upcast, op.grad is not None, op.differentiable
    many = (
        op.n_outputs > 1
        or "list[" in str(op.cpu.__annotations__.get("return", ""))
        or ("..." in str(op.cpu.__annotations__.get("return", "")))
    )
    saves_input = any(kind == "input" for kind, _ in op.saved)
    saves_output = any(kind == "output" for kind, _ in op.saved)

    def wrap(a: Any, device: Any) -> Any:
        t = _new(Tensor)
        t._a = a
        t.dtype = FROM_NP[a.dtype]
        t.device = device
        t._node = t._vc = t._view = None
        return t

    def apply(*args: Any) -> Any:
        tensors = args[0] if variadic else args[:n_inputs]
        params = args[1:] if variadic else args[n_inputs:]
        device = CPU
        arrays = []
        edges: tuple | None = None
        half = False
        first = None
        for t in tensors:
            if t is None:
                arrays.append(None)
                continue
            if first is None:
                first = t
                device = t.device
            elif t.device is not device:
                named = [f"tensors[{i}]" for i in range(len(tensors))] if variadic else op.inputs
                raise mixed_devices(name, named, tensors)
            arrays.append(t._a)
            if t.dtype.is_half:
                half = True
            if t._node is not None:
                edges = ()
        if device is CPU:
            if half and upcast:
                y = _half(op, arrays, params)
            else:
                y = cpu(arrays, *params) if variadic else cpu(*arrays, *params)
        else:
            y = run_kernel(op, device, (arrays,) if variadic else arrays, params)
        record = edges is not None and has_rule and STATE.grad
        if not many:
            out = wrap(y, device)
            if record and out.dtype.category >= 2:  # an integer or bool result carries no gradient
                edges = tuple([None if t is None else t._node for t in tensors])
                versions = versions_of(tensors) if saves_input else None
                out._node = make_node(op, edges, keep(tensors, params, (out,)), device, versions)
            return out
        outs = tuple([wrap(a, device) for a in y])
        if record:
            edges = tuple([None if t is None else t._node for t in tensors])
            versions = versions_of(tensors) if saves_input else None
            saved = keep(tensors, params, outs)
            count = k if op.n_outputs > 1 else len(outs)
            if count == 1 and op.n_outputs > 1:
                outs[0]._node = make_node(op, edges, saved, device, versions)
            else:
                several = _Several(op, [(o._a.shape, o._a.dtype) for o in outs[:count]])
                node = make_node(several, edges, saved, device, versions)
                for i in range(count):
                    if outs[i].dtype.category >= 2:
                        outs[i]._node = make_port(node, i)
        return outs

    def keep(tensors: Any, params: Any, outs: Any) -> tuple:
        saved = []
        for kind, i in op.saved:
            if kind == "input":
                saved.append(tuple(tensors) if variadic else tensors[i])
            elif kind == "param":
                saved.append(params[i])
            elif kind == "shape":
                if variadic:
                    saved.append(tuple(t._a.shape for t in tensors))
                else:
                    saved.append(None if tensors[i] is None else tensors[i]._a.shape)
            elif kind == "dtype":
                saved.append(tensors[i].dtype)
            elif kind == "output":
                saved.append(saved_output(outs[i]))
            else:
                saved.append(None)
        return tuple(saved) or _NOTHING

    if not saves_output and not saves_input and not op.saved:

        def keep(tensors: Any, params: Any, outs: Any) -> tuple:  # noqa: F811
            return _NOTHING

    return apply


_NOTHING: tuple = ()


class _Several:
    """An op's node with several differentiable outputs: the gradients come as a list with None for unused outputs."""

    __slots__ = ("op", "metas", "name", "differentiable", "holds")

    def __init__(self, op: Op, metas: list):
        self.op, self.metas, self.name, self.differentiable, self.holds = op, metas, op.name, len(metas), op.holds

    def pull(self, node: Node, gs: Any) -> Any:
        full = [zeros(s, d, node.device) if g is None else g for g, (s, d) in zip(gs, self.metas, strict=True)]
        return self.op.pull(node, full)  # type: ignore[attr-defined]

    def pull_tensors(self, node: Node, gs: Any) -> Any:
        like = next(g for g in gs if g is not None)
        full = [like.new_zeros(s) if g is None else g for g, (s, _) in zip(gs, self.metas, strict=True)]
        return self.op.pull_tensors(node, full)  # type: ignore[attr-defined]


def _view_function(op: Op, Tensor: type) -> Callable[..., Any]:
    cpu = op.cpu

    def apply(x: Any, *params: Any) -> Any:
        a = cpu(x._a, *params)
        out = make_view(op, x, a, params, () if x._node is None else view_saves(op, x, params))
        if a.dtype != x._a.dtype:  # real and complex views
            out.dtype = FROM_NP[a.dtype]
        return out

    return apply


def view_saves(op: Op, x: Any, params: tuple) -> tuple:
    """What the rule of a view asks for: parameters and the base's shape."""
    return tuple([params[i] if kind == "param" else x._a.shape if kind == "shape" else None for kind, i in op.saved])


def record_view(op: Op, x: Any, params: tuple, out: Any) -> None:
    """Record an existing view anew, after its base was changed in place."""
    out._node = make_node(op, (x._node,), view_saves(op, x, params), x.device)


def _pulls(op: Op, Tensor: type) -> tuple[Callable[..., Any], Callable[..., Any]]:
    plan, rule, cpu_grad, gpu_grad = op.saved, op.grad, op.cpu_grad, op.gpu_grad
    if op.holomorphic:
        rule, cpu_grad = _conjugated(rule), _conjugated(cpu_grad)
    several = len(op.inputs) > 1 or op.variadic
    upcast = op.upcast
    tensor_kinds = any(kind in ("input", "output") for kind, _ in plan)
    wants_needs = any(kind == "needs" for kind, _ in plan)

    def wrap(a: Any, device: Any) -> Any:
        t = _new(Tensor)
        t._a = a
        t.dtype = FROM_NP[a.dtype]
        t.device = device
        t._node = t._vc = t._view = None
        return t

    def arrays_of(node: Node) -> list:
        saved = node.saved
        if saved is None:
            raise freed(node)
        if not plan:
            return []
        args = list(saved)
        if not tensor_kinds:
            if wants_needs:
                for i, (kind, _) in enumerate(plan):
                    if kind == "needs":
                        args[i] = tuple([n is not None for n in node.next])
            return args
        for i, (kind, _) in enumerate(plan):
            if kind == "input":
                t = args[i]
                if t is None:
                    continue
                if t.__class__ is tuple:
                    check_versions(node, t)
                    args[i] = [v._a for v in t]
                elif hasattr(t, "_a"):
                    v = t._vc
                    if v is not None and (v.n or node.versions):
                        check_versions(node, (t,))
                    args[i] = t._a
            elif kind == "output":
                again = op.remake and stale(args[i])
                args[i] = remade(node, plan[i][1])._a if again else output_array(node, args[i])
            elif kind == "needs":
                args[i] = tuple([n is not None for n in node.next])
        return args

    def remade(node: Node, i: int) -> Any:
        """The i-th output once more, from what the node keeps."""
        kept = dict(zip(plan, node.saved, strict=True))  # type: ignore[arg-type]
        inputs = [kept["input", j] for j in range(len(op.inputs))]
        out = op.apply(*inputs, *[kept["param", j] for j in range(len(op.params))])
        return out if op.n_outputs == 1 else out[i]

    def pull(node: Node, g: Any) -> Any:
        fast = cpu_grad if node.device is CPU else gpu_grad
        if fast is None:
            return slow(node, g)
        args = arrays_of(node)
        if node.device is not CPU:
            grads = call(fast, node.device.index or 0, (g, *args))
            if WATCH:
                WATCH[0].backward(op, g, args, grads)
            return grads if several else (grads,)
        first = g[0] if g.__class__ is list else g
        if upcast and first.dtype.itemsize == 2 and first.dtype.kind in "fV":
            half = first.dtype
            up = lambda a: a.astype(_F32) if isinstance(a, np.ndarray) and a.dtype == half else a  # noqa: E731
            grads = fast([up(v) for v in g] if g.__class__ is list else up(g), *map(up, args))
            down = lambda a: a.astype(half) if a is not None and a.dtype == _F32 else a  # noqa: E731
            return tuple(map(down, grads)) if several else (down(grads),)
        grads = fast(g, *args)
        return grads if several else (grads,)

    def slow(node: Node, g: Any) -> Any:
        """The rule on Tensors with recording off."""
        if node.device is CPU:
            return composed(CPU, g, *arrays_of(node))
        index = node.device.index or 0
        function = on_cuda.get(index)
        if function is None:
            function = on_cuda[index] = partial(composed, node.device)
            function.__module__ = rule.__module__
        return call(function, index, (g, *arrays_of(node)))

    def composed(device: Any, g: Any, *args: Any) -> Any:
        def lift(kind: str, a: Any) -> Any:
            if kind == "input" and a.__class__ is list:
                return [wrap(v, device) for v in a]
            return wrap(a, device) if kind in ("input", "output") and hasattr(a, "strides") else a

        seen = [wrap(v, device) for v in g] if g.__class__ is list else wrap(g, device)
        grads = rule(seen, *[lift(kind, a) for (kind, _), a in zip(plan, args, strict=True)])  # type: ignore[misc]
        if not several:
            return (grads._a,)
        return tuple([None if r is None else r._a for r in grads])

    on_cuda: dict[int, Any] = {}

    def pull_tensors(node: Node, g: Any) -> Any:
        arrays_of(node)  # freed and version checks
        saved: Any = node.saved
        args = []
        for (kind, i), value in zip(plan, saved, strict=True):
            if kind == "output" and op.remake and stale(value):
                value = remade(node, i)
            elif kind == "output":
                y = wrap(value[0], node.device)
                y._vc = value[1]
                y._node = _output_edge(node, i, op)
                value = y
            elif kind == "needs":
                value = tuple([n is not None for n in node.next])
            args.append(value)
        grads = rule(g, *args)  # type: ignore[misc]
        return grads if several else (grads,)

    return pull, pull_tensors


def _conjugated(rule: Any) -> Any:
    """The rule of a holomorphic op, on Tensors or on arrays; real gradients are their own conjugates."""
    if rule is None:
        return None

    def conjugated(g: Any, *saved: Any) -> Any:
        grads = rule(g.conj(), *saved)
        if grads.__class__ is tuple:
            return tuple([None if gx is None else gx.conj() for gx in grads])
        return grads.conj()

    conjugated.__module__ = rule.__module__
    return conjugated


def _output_edge(node: Node, i: int, op: Op) -> Any:
    """Where a saved output hangs in the graph when its rule runs on Tensors."""
    if op.differentiable <= i or (node.op.__class__ is not _Several and i > 0):
        return None
    return make_port(node, i) if node.op.__class__ is _Several else node
