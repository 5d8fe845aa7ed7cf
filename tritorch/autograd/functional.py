"""Derivatives of functions: jacobian, hessian and their products with vectors (torch.autograd.functional)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..kernels._op import OPS
from . import bridge
from .backward import grad
from .modes import enable_grad

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _tuple(x: Any, what: str, op: str) -> tuple:
    xs = tuple(x) if isinstance(x, (tuple, list)) else (x,)
    for i, t in enumerate(xs):
        if not isinstance(t, bridge.Tensor):
            raise TypeError(f"{op}: The {what} must be a Tensor or a tuple of Tensors; got {type(t).__name__} at {i}")
    return xs


def _fresh(xs: tuple, create_graph: bool) -> tuple:
    """Inputs to differentiate by: with `create_graph` linked to what they came from, otherwise leaves of their own."""
    if create_graph:
        return tuple(x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in xs)  # type: ignore[attr-defined]
    return tuple(x.detach().requires_grad_() for x in xs)


def _run(func: Callable[..., Any], inputs: Any, create_graph: bool, op: str) -> tuple[tuple, tuple, bool, bool]:
    with enable_grad():
        xs = _fresh(_tuple(inputs, "inputs", op), create_graph)
        out = func(*xs)
    return (
        xs,
        _tuple(out, "outputs of the function", op),
        isinstance(inputs, (tuple, list)),
        isinstance(out, (tuple, list)),
    )


def _pick(values: tuple, many: bool) -> Any:
    return values if many else values[0]


def _zeros(g: Any, x: Tensor, strict: bool, op: str) -> Tensor:
    if g is None:
        if strict:
            raise RuntimeError(f"{op}: an output is independent of an input. This is not allowed in strict mode.")
        return x.new_zeros(x.shape)  # type: ignore[attr-defined]
    return g


def _detached(values: tuple, create_graph: bool) -> tuple:
    return values if create_graph else tuple(v.detach() for v in values)


def vjp(func: Any, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), v^T J): the product of a vector and the Jacobian; v may be left out for a scalar output.

    >>> import tritorch as torch
    >>> torch.autograd.functional.vjp(lambda x: (x * x).sum(), torch.tensor([1.0, 2.0]))[1]
    tensor([2., 4.])
    """
    xs, outs, many, _ = _run(func, inputs, create_graph, "vjp")
    if v is None:
        if len(outs) != 1 or outs[0].numel() != 1:
            raise RuntimeError(
                "The vector v can only be None if the user-provided function returns a single Tensor with a single element."
            )
        vs: tuple = (None,)
    else:
        vs = _tuple(v, "vector v", "vjp")
    live = [(o, g) for o, g in zip(outs, vs, strict=True) if o.requires_grad]
    with enable_grad():
        gs: tuple = (None,) * len(xs)
        if live:
            gs = grad([o for o, _ in live], xs, [g for _, g in live], create_graph=create_graph, allow_unused=True)
    found = tuple(_zeros(g, x, strict, "vjp") for g, x in zip(gs, xs, strict=True))
    return _pick(_detached(outs, create_graph), len(outs) > 1), _pick(_detached(found, create_graph), many)


def jvp(func: Any, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), J v), by differentiating the vector-Jacobian product by its vector.

    Arguments:
        func: of tensors, gives a tensor (or a tuple).
        inputs: a tensor or a tuple of them.
        v: of the shapes of the inputs; may be left out for one element.
        create_graph: the result can be differentiated again; default False.
        strict: raise where an output does not depend on an input; default False.

    >>> import tritorch as torch
    >>> torch.autograd.functional.jvp(lambda x: x * x, torch.tensor([1.0, 2.0]), torch.ones(2))[1]
    tensor([2., 4.])
    """
    with enable_grad():
        xs, outs, _, many_out = _run(func, inputs, True if create_graph else False, "jvp")
        if v is None:
            if len(xs) != 1 or xs[0].numel() != 1:
                raise RuntimeError(
                    "The vector v can only be None if the input to the user-provided function is a single Tensor with a single element."
                )
            v = xs[0].new_ones(xs[0].shape)  # type: ignore[attr-defined]
        vs = _tuple(v, "vector v", "jvp")
        us = tuple(o.new_zeros(o.shape).requires_grad_() for o in outs)  # type: ignore[attr-defined]
        live = [(o, u) for o, u in zip(outs, us, strict=True) if o.requires_grad]
        gs = grad([o for o, _ in live], xs, [u for _, u in live], create_graph=True, allow_unused=True) if live else ()
        pairs = [(g, w) for g, w in zip(gs, vs, strict=False) if g is not None and g.requires_grad]
        found: tuple = (None,) * len(outs)
        if pairs:
            found = grad([g for g, _ in pairs], us, [w for _, w in pairs], create_graph=create_graph, allow_unused=True)
    result = tuple(_zeros(g, o, strict, "jvp") for g, o in zip(found, outs, strict=True))
    return _pick(_detached(outs, create_graph), many_out), _pick(_detached(result, create_graph), many_out)


def jacobian(
    func: Any, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The Jacobian, of shape (*output, *input); tuples for several outputs and inputs.

    >>> import tritorch as torch
    >>> torch.autograd.functional.jacobian(lambda x: x * x, torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    with enable_grad():
        xs, outs, many, many_out = _run(func, inputs, create_graph, "jacobian")
        rows = []
        for o in outs:
            flat = o.reshape(-1)  # type: ignore[attr-defined]
            per_input: list[list] = [[] for _ in xs]
            for k in range(flat.numel()):
                gs: tuple = (None,) * len(xs)
                if flat.requires_grad:
                    gs = grad(flat[k], xs, retain_graph=True, create_graph=create_graph, allow_unused=True)
                for slot, g, x in zip(per_input, gs, xs, strict=True):
                    slot.append(_zeros(g, x, strict, "jacobian"))
            shaped = []
            for slot, x in zip(per_input, xs, strict=True):
                j = OPS["stack"](slot, 0) if slot else x.new_zeros((0, *x.shape))  # type: ignore[attr-defined]
                j = j.reshape(*o.shape, *x.shape) if o._a.ndim + x._a.ndim else j.reshape(())
                shaped.append(j if create_graph else j.detach())
            rows.append(_pick(tuple(shaped), many))
    return _pick(tuple(rows), many_out)


def hessian(
    func: Any, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The matrix of second derivatives of a scalar function, of shape (*input, *input).

    >>> import tritorch as torch
    >>> torch.autograd.functional.hessian(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    def gradient(*xs: Any) -> Any:
        out = func(*xs)
        if not isinstance(out, bridge.Tensor) or out.numel() != 1:
            raise RuntimeError(
                "hessian: The Tensor returned by the function given to hessian should contain a single element"
            )
        gs = grad(out, xs, create_graph=True, allow_unused=True) if out.requires_grad else (None,) * len(xs)
        found = tuple(_zeros(g, x, strict, "hessian") for g, x in zip(gs, xs, strict=True))
        return found if isinstance(inputs, (tuple, list)) else found[0]

    return jacobian(gradient, inputs, create_graph, strict)


def vhp(func: Any, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), v^T H) of a scalar function.

    Arguments:
        func: of tensors, gives a tensor (or a tuple).
        inputs: a tensor or a tuple of them.
        v: of the shapes of the inputs; may be left out for one element.
        create_graph: the result can be differentiated again; default False.
        strict: raise where an output does not depend on an input; default False.

    >>> import tritorch as torch
    >>> f = lambda x: (x**3).sum()
    >>> torch.autograd.functional.vhp(f, torch.tensor([1.0, 2.0]), torch.ones(2))[1]
    tensor([ 6., 12.])
    """
    with enable_grad():
        xs = _fresh(_tuple(inputs, "inputs", "vhp"), create_graph)
        out = func(*xs)
        gs = grad(out, xs, create_graph=True, allow_unused=True)
        vs = _tuple(v, "vector v", "vhp") if v is not None else (xs[0].new_ones(xs[0].shape),)  # type: ignore[attr-defined]
        pairs = [(g, w) for g, w in zip(gs, vs, strict=True) if g is not None and g.requires_grad]
        found: tuple = (None,) * len(xs)
        if pairs:
            found = grad([g for g, _ in pairs], xs, [w for _, w in pairs], create_graph=create_graph, allow_unused=True)
    result = tuple(_zeros(g, x, strict, "vhp") for g, x in zip(found, xs, strict=True))
    return _detached((out,), create_graph)[0], _pick(_detached(result, create_graph), isinstance(inputs, (tuple, list)))


def hvp(func: Any, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), H v) of a scalar function; H is symmetric, so this is `vhp`.

    Arguments:
        func: of tensors, gives a tensor (or a tuple).
        inputs: a tensor or a tuple of them.
        v: of the shapes of the inputs; may be left out for one element.
        create_graph: the result can be differentiated again; default False.
        strict: raise where an output does not depend on an input; default False.

    >>> import tritorch as torch
    >>> f = lambda x: (x**3).sum()
    >>> torch.autograd.functional.hvp(f, torch.tensor([1.0, 2.0]), torch.ones(2))[1]
    tensor([ 6., 12.])
    """
    return vhp(func, inputs, v, create_graph, strict)
