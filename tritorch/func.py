"""torch.func: derivatives and batches of functions, as functions; a module as a function of its parameters.

Everything runs eagerly on the recorded graph: `vmap` calls the function once per example and stacks the results,
`jacfwd` and `jvp` go through two backward passes. Derivatives nest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from .autograd.backward import grad as _grad
from .autograd.graph import Leaf
from .autograd.modes import enable_grad
from .functional.joining import stack as _stack
from .nn.utils.stateless import functional_call
from .tensor import Tensor

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "replace_all_batch_norm_modules_", "stack_module_state", "vjp", "vmap",
]  # fmt: skip

Function = Callable[..., Any]


# ---- nested structures: tuples, lists and dicts of tensors


def _flatten(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """(leaves, the function that puts other leaves in their places)."""
    if isinstance(tree, dict):
        parts = [_flatten(v) for v in tree.values()]
        keys = list(tree)
        return _joined(parts, lambda vs: type(tree)(zip(keys, vs, strict=True)))
    if isinstance(tree, (tuple, list)):
        parts = [_flatten(v) for v in tree]
        kind = type(tree)
        return _joined(parts, lambda vs: kind(*vs) if hasattr(kind, "_fields") else kind(vs))
    return [tree], lambda leaves: leaves[0]


def _joined(parts: list, build: Callable[[list], Any]) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    sizes = [len(leaves) for leaves, _ in parts]

    def unflatten(leaves: list[Any]) -> Any:
        values, start = [], 0
        for n, (_, inner) in zip(sizes, parts, strict=True):
            values.append(inner(leaves[start : start + n]))
            start += n
        return build(values)

    return [leaf for leaves, _ in parts for leaf in leaves], unflatten


def _map(f: Callable[[Any], Any], tree: Any) -> Any:
    leaves, build = _flatten(tree)
    return build([f(v) for v in leaves])


def _tracked(t: Any, op: str) -> Any:
    """The tensor as an input to differentiate by, still part of the graph it came from."""
    if not isinstance(t, Tensor):
        raise RuntimeError(f"{op}: expected all differentiated arguments to be tensors; got {type(t).__name__}")
    return t.view_as(t) if t.requires_grad else t.detach().requires_grad_()  # type: ignore[attr-defined]


def _derivatives(outs: Sequence[Tensor], ins: list, weights: Sequence[Any] | None, again: bool) -> list:
    """Gradients, zeros where the outputs do not depend on an input."""
    active = [i for i, o in enumerate(outs) if o.requires_grad]
    if not active:
        return [t.new_zeros(t.shape) for t in ins]
    found = _grad(
        [outs[i] for i in active], ins, None if weights is None else [weights[i] for i in active],
        retain_graph=True, create_graph=again, allow_unused=True,
    )  # fmt: skip
    return [t.new_zeros(t.shape) if g is None else g for g, t in zip(found, ins, strict=True)]


def _nested(args: Any, kwargs: Any = None) -> bool:
    """Do the arguments belong to a graph: then the result has to as well."""
    return any(isinstance(v, Tensor) and v.requires_grad for v in _flatten((args, kwargs or {}))[0])


def _captures(outs: Sequence[Any], ins: list) -> bool:
    """Do the outputs depend on a leaf other than the inputs: a parameter that the function refers to."""
    seen = {id(t._node) for t in ins}
    stack = [o._node for o in outs if isinstance(o, Tensor) and o._node is not None]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.__class__ is Leaf:
            return True
        stack += [n for n in node.next if n is not None]
    return False


class _Depth:
    level = 0


def _again(nested: bool, outs: Sequence[Any], ins: list) -> bool:
    """Has the derivative to be differentiable: it is taken within another, or belongs to the graph of something else."""
    return nested or _Depth.level > 1 or _captures(outs, ins)


class _deeper:  # noqa: N801 - used like a function
    """Inside, derivatives are being taken: one taken within another has to be differentiable."""

    def __enter__(self) -> None:
        _Depth.level += 1

    def __exit__(self, *exc: Any) -> None:
        _Depth.level -= 1


def _positions(argnums: int | Sequence[int], n: int, op: str) -> tuple[tuple[int, ...], bool]:
    single = isinstance(argnums, int)
    nums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for i in nums:
        if not -n <= i < n:
            raise RuntimeError(f"{op}: got argnum={i}, but only {n} positional inputs")
    return tuple(i % n for i in nums), single


# ---- gradients


def grad_and_value(func: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The function that gives (gradient, value) of a scalar-valued `func`; see `grad`.

    Arguments:
        func: of tensors, gives one number. argnums: by which arguments; default 0.
        has_aux: `func` gives (value, anything); default False.

    >>> import tritorch as torch
    >>> torch.func.grad_and_value(lambda x: x * x)(torch.tensor(3.0))
    (tensor(6.), tensor(9.))
    """

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        nums, single = _positions(argnums, len(args), "grad")
        nested = _nested(args, kwargs)
        with _deeper(), enable_grad():
            full = list(args)
            flat, builders = [], []
            for i in nums:
                leaves, build = _flatten(args[i])
                made = [_tracked(t, "grad") for t in leaves]
                full[i] = build(made)
                flat += made
                builders.append((len(made), build))
            out = func(*full, **kwargs)
            aux = None
            if has_aux:
                out, aux = out
            if not isinstance(out, Tensor) or out.dim() != 0:
                got = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
                raise RuntimeError(f"grad: expected the function to return a scalar tensor; got {got}")
            again = _again(nested, [out], flat)
            found = _derivatives([out], flat, None, again)
        grads, start = [], 0
        for n, build in builders:
            grads.append(build(found[start : start + n]))
            start += n
        value = out if again else out.detach()
        g = grads[0] if single else tuple(grads)
        return (g, (value, aux)) if has_aux else (g, value)

    return call


def grad(func: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The function that gives the gradient of a scalar-valued `func`.

    Arguments:
        argnums: the positions of the arguments to differentiate by (tensors, or nested tuples, lists, dicts of them).
        has_aux: func returns (value, other); the result then is (gradient, other).

    >>> import tritorch as torch
    >>> torch.func.grad(torch.func.grad(torch.sin))(torch.tensor(0.5))
    tensor(-0.4794)
    """
    both = grad_and_value(func, argnums, has_aux)

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        g, value = both(*args, **kwargs)
        return (g, value[1]) if has_aux else g

    return call


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> Any:
    """(func(*primals), f, and aux with `has_aux`): f maps weights of the outputs to the gradients of the inputs.

    >>> import tritorch as torch
    >>> y, f = torch.func.vjp(torch.sin, torch.zeros(2))
    >>> f(torch.ones(2))
    (tensor([1., 1.]),)
    """
    nested = _nested(primals)
    with _deeper(), enable_grad():
        leaves, build = _flatten(primals)
        ins = [_tracked(t, "vjp") for t in leaves]
        out = func(*build(ins))
        aux = None
        if has_aux:
            out, aux = out
        outs, rebuild = _flatten(out)
        again = _again(nested, outs, ins)

    def pull(*cotangents: Any) -> Any:
        weights, _ = _flatten(cotangents[0] if len(cotangents) == 1 and not isinstance(out, tuple) else
                              cotangents[0] if len(cotangents) == 1 and isinstance(cotangents[0], tuple) else cotangents)  # fmt: skip
        if len(weights) != len(outs):
            raise RuntimeError(f"vjp: expected {len(outs)} cotangents, one per output; got {len(weights)}")
        with enable_grad():
            return build(_derivatives(outs, ins, weights, again or _nested(weights)))

    value = rebuild([o if again else o.detach() for o in outs])
    return (value, pull, aux) if has_aux else (value, pull)


def jvp(func: Function, primals: tuple, tangents: tuple, *, strict: bool = False, has_aux: bool = False) -> Any:
    """(func(*primals), the change of its value along `tangents`, and aux with `has_aux`).

    >>> import tritorch as torch
    >>> torch.func.jvp(torch.sin, (torch.zeros(2),), (torch.ones(2),))[1]
    tensor([1., 1.])
    """
    nested = _nested((primals, tangents))
    with _deeper(), enable_grad():
        leaves, build = _flatten(primals)
        directions, _ = _flatten(tangents)
        if len(leaves) != len(directions):
            raise RuntimeError(f"jvp: expected {len(leaves)} tangents, one per primal; got {len(directions)}")
        ins = [_tracked(t, "jvp") for t in leaves]
        out = func(*build(ins))
        aux = None
        if has_aux:
            out, aux = out
        outs, rebuild = _flatten(out)
        again = _again(nested, outs, ins)
        weights = [o.new_zeros(o.shape).requires_grad_() for o in outs]
        rows = _derivatives(outs, ins, weights, True)  # linear in the weights: its derivative by them is the product
        changes = _derivatives(rows, weights, directions, again)
    free = (lambda t: t) if again else (lambda t: t.detach())
    result = rebuild([free(o) for o in outs]), rebuild([free(c) for c in changes])
    return (*result, aux) if has_aux else result


def linearize(func: Function, *primals: Any) -> tuple[Any, Function]:
    """(func(*primals), f): f maps tangents to the change of the value.

    Arguments:
        func: of tensors. primals: where.

    >>> import tritorch as torch
    >>> value, f = torch.func.linearize(torch.sin, torch.zeros(1))
    >>> f(torch.tensor([2.0]))
    tensor([2.])
    """
    return func(*primals), lambda *tangents: jvp(func, primals, tangents)[1]


# ---- jacobians


def _jacobian(func: Function, argnums: Any, has_aux: bool, forward: bool) -> Function:
    op = "jacfwd" if forward else "jacrev"

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        nums, single = _positions(argnums, len(args), op)
        nested = _nested(args, kwargs)
        with _deeper(), enable_grad():
            full = list(args)
            leaves, build = _flatten(tuple(args[i] for i in nums))
            for v in leaves:
                if not isinstance(v, Tensor):
                    raise ValueError(f"{op}: arguments that are differentiated must be Tensors; got {type(v).__name__}")
            ins = [_tracked(v, op) for v in leaves]
            for i, value in zip(nums, build(ins), strict=True):
                full[i] = value
            out = func(*full, **kwargs)
            aux = None
            if has_aux:
                out, aux = out
            outs, rebuild = _flatten(out)
            again = _again(nested, outs, ins)
            tables = []
            for o in outs:
                flat = o.reshape((-1,))
                rows = [_derivatives([flat[k]], ins, None, again) for k in range(flat.shape[0])]
                found = [
                    _stack([r[j] for r in rows]).reshape((*o.shape, *t.shape))
                    if rows
                    else o.new_zeros((*o.shape, *t.shape))
                    for j, t in enumerate(ins)
                ]
                table = build(found)
                tables.append(table[0] if single else table)
        result = rebuild(tables)
        return (result, aux) if has_aux else result

    return call


def jacrev(
    func: Function, argnums: int | Sequence[int] = 0, *, has_aux: bool = False, chunk_size: int | None = None
) -> Function:
    """The function that gives the jacobian of `func`, one backward pass per element of the output.

    Of an argument that is a dict, a list or a tuple of tensors, each tensor of the output has one of that structure.

    >>> import tritorch as torch
    >>> torch.func.jacrev(torch.square)(torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    return _jacobian(func, argnums, has_aux, False)


def jacfwd(
    func: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Function:
    """The function that gives the jacobian of `func`; the same numbers as `jacrev`, and by the same passes.

    Arguments:
        func, argnums, has_aux: as `jacrev`. randomness: accepted.

    >>> import tritorch as torch
    >>> torch.func.jacfwd(torch.sin)(torch.zeros(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return _jacobian(func, argnums, has_aux, True)


def hessian(func: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that gives the second derivatives of a scalar-valued `func`.

    >>> import tritorch as torch
    >>> torch.func.hessian(lambda x: (x**3).sum())(torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


# ---- batches


def vmap(
    func: Function, in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None
) -> Function:
    """`func` of one example as a function of a batch: called once per example, the results stacked.

    Arguments:
        in_dims: the batch dim of the arguments, an int, None (not batched), or nested as the arguments are.
        out_dims: where the results' batch dim goes.
        randomness: "same" draws the same numbers for each example; else each draws its own.

    >>> import tritorch as torch
    >>> torch.vmap(torch.dot)(torch.ones(2, 3), torch.ones(2, 3))
    tensor([3., 3.])
    """

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        leaves, build = _flatten(args)
        dims = _spread(in_dims, args)
        named, build_named = _flatten(kwargs)
        dims_named = [0 if isinstance(v, Tensor) else None for v in named]
        every = [*zip(leaves, dims, strict=True), *zip(named, dims_named, strict=True)]
        sizes = {v.shape[d] for v, d in every if d is not None}
        if len(sizes) != 1:
            found = "no dim to map over" if not sizes else f"different sizes {sorted(sizes)}"
            raise ValueError(f"vmap: expected one batch size over all mapped arguments; got {found}")
        n = sizes.pop()
        state = None
        if randomness == "same":
            from .functional.random import get_rng_state

            state = get_rng_state()
        results = []
        for i in range(n):
            if state is not None:
                from .functional.random import set_rng_state

                set_rng_state(state)
            one = [v if d is None else v.select(d, i) for v, d in zip(leaves, dims, strict=True)]
            more = [v if d is None else v.select(d, i) for v, d in zip(named, dims_named, strict=True)]
            results.append(func(*build(one), **build_named(more)))
        if not results:
            raise RuntimeError("vmap: a batch of size 0 gives no results to stack")
        first, rebuild = _flatten(results[0])
        if not all(isinstance(v, Tensor) for v in first):
            raise ValueError(f"vmap: the function must return tensors; got {[type(v).__name__ for v in first]}")
        columns = zip(*[_flatten(r)[0] for r in results], strict=True)
        places = _spread(out_dims, results[0])
        joined = []
        for column, d in zip(columns, places, strict=True):
            joined.append(column[0] if d is None else _stack(list(column), d if d >= 0 else d + column[0].dim() + 1))
        return rebuild(joined)

    return call


def _spread(dims: Any, tree: Any) -> list[int | None]:
    """One batch dim per leaf; an int stands for all tensors below it."""
    if dims is None or isinstance(dims, int):
        return [dims if isinstance(v, Tensor) else None for v in _flatten(tree)[0]]
    if isinstance(tree, dict):
        return [d for k in tree for d in _spread(dims[k], tree[k])]
    if isinstance(tree, (tuple, list)):
        if len(dims) != len(tree):
            raise ValueError(f"vmap: dims and values differ in structure: {dims} for {len(tree)} values")
        return [d for inner, part in zip(dims, tree, strict=True) for d in _spread(inner, part)]
    if isinstance(dims, (tuple, list)) and len(dims) == 1:
        return _spread(dims[0], tree)
    raise ValueError(f"vmap: got dims {dims} for a {type(tree).__name__}")


# ---- modules


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(parameters, buffers) of several modules of one class, each stacked in a new first dim.

    Arguments:
        models: Modules of one class.

    >>> import tritorch as torch
    >>> parameters, buffers = torch.func.stack_module_state([torch.nn.Linear(3, 2) for _ in range(4)])
    >>> parameters["weight"].shape
    torch.Size([4, 2, 3])
    """
    if not models:
        raise RuntimeError("stack_module_state: expected at least one model, got 0")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: expected all models to be of the same class")
    parameters: dict[str, Tensor] = {}
    for name, first in models[0].named_parameters():
        joined: Any = _stack([dict(m.named_parameters())[name].detach() for m in models])
        parameters[name] = joined.requires_grad_(first.requires_grad)
    buffers = {
        name: _stack([dict(m.named_buffers())[name].detach() for m in models]) for name, _ in models[0].named_buffers()
    }
    return parameters, buffers


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Let every batch norm below `root` use its batch's statistics and keep none; returns root.

    Arguments:
        root: a Module.

    >>> import tritorch as torch
    >>> torch.func.replace_all_batch_norm_modules_(torch.nn.BatchNorm1d(2)).track_running_stats
    False
    """
    from .nn.modules.batchnorm import BatchNormBase

    for m in root.modules():
        if isinstance(m, BatchNormBase):
            m.running_mean = m.running_var = m.num_batches_tracked = None  # type: ignore[assignment]
            m.track_running_stats = False
    return root
