"""What an op is, and the registry of all ops.

An op is a class whose methods take and give raw arrays (NumPy on the CPU, device arrays on cuda), turned into one
`Op` object by the decorator:

    @op
    class square:
        "y = x * x, elementwise."

        def cpu(x: Array) -> Array:                # the NumPy definition: the meaning of the op
            return x * x

        def gpu(x: Array) -> Array:                # allocates outputs and launches the Triton kernel; same signature
            ...

        def grad(g, x):                            # backward rule on Tensors, by other ops; differentiable again
            return g * 2 * x

        def cpu_grad(g, x): ...                    # optional: fused backward on raw arrays, where it pays
        def gpu_grad(g, x): ...

        def samples(rng): yield (rng.normal((3, 4)),), {}       # inputs for tests, benchmarks, docs
        def cost(x): return 2 * x.nbytes, x.size                # bytes moved, flops

Conventions, read from the signatures when the op is registered:

- parameters of `cpu` annotated `Array` (or `Array | None`, or `list[Array]` as the only one) are the tensor inputs and
  come first; the rest are plain Python values, already normalised by the public function that calls the op;
- the return annotation `Array` or `tuple[Array, ...]` with one entry per output;
- a rule's first parameter is the gradient of the output(s), the others name what must be kept for it: an input (`x`),
  the output (`y`; `y0, y1, ...` with several outputs), any plain parameter, `x_shape` or `x_dtype` for that alone, and
  `needs`, a tuple of bools, one per input, that says which gradients are asked for;
- a rule returns the gradient of the one input, or a tuple with one entry (or None) per input;
- of complex numbers a gradient is dL/d(real part) + i dL/d(imaginary part): that of y = f(x) is g conj(f'(x)). An op with
  `holomorphic = True` writes the rule as for real numbers, linear in g, and gets the conjugates put around it; other ops
  that take complex numbers write them themselves;
- what `gpu` and the rules do on a device is fixed by dtypes, shapes, strides and plain parameters, since for equal ones
  the launches are repeated from a record (`_replay.py`, which knows the exceptions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Array: TypeAlias = Any  # numpy.ndarray, or a device array with the same interface

OPS: dict[str, Op] = {}
BIND: list[Callable[[Op], None]] = []
"""What gives an op its functions on Tensors: one entry, set by `tritorch.tensor`, since Tensors are above this layer."""


class Op:
    """One op of the registry; call it with Tensors (the differentiable function) or use its parts on raw arrays.

    Attributes:
        name: the registry's key.
        cpu, gpu: forward on raw arrays; `gpu` is None where no kernel is written yet (cuda then raises).
        grad: the backward rule on Tensors, None for an op without a derivative.
        cpu_grad, gpu_grad: fused backward on raw arrays, or None.
        inputs: names of the tensor inputs; `variadic` when the one input is a list of arrays.
        params: names of the plain parameters.
        n_outputs: number of outputs; `differentiable` of them, counted from the first, carry gradients.
        saved: per rule parameter after the gradient, what to keep for it.
        holds: that are arrays, which a backward without `retain_graph` lets go.
        holomorphic: for complex numbers the rules are conj(rule(conj(g))).
        view: the output shares the input's memory; `cpu` serves all devices.
        upcast: half-precision arrays are computed in float32 and rounded to the result's type.
        remake: the rule's `y` is computed once more if it was changed in place since, as after `nn.ReLU(inplace=True)`:
            for ops of which PyTorch keeps the inputs alone. The rule has all inputs and parameters, the inputs first.
    """

    name: str
    cpu: Callable[..., Any]
    gpu: Callable[..., Any] | None
    grad: Callable[..., Any] | None
    cpu_grad: Callable[..., Any] | None
    gpu_grad: Callable[..., Any] | None
    samples: Callable[..., Iterator[tuple[tuple, dict]]] | None
    cost: Callable[..., tuple[int, int]] | None
    holds: bool
    apply: Any  # made by BIND at the first use, see __getattr__
    pull: Any
    pull_tensors: Any

    def __init__(
        self,
        name: str,
        cpu: Callable[..., Any],
        *,
        gpu: Callable[..., Any] | None = None,
        grad: Callable[..., Any] | None = None,
        cpu_grad: Callable[..., Any] | None = None,
        gpu_grad: Callable[..., Any] | None = None,
        samples: Callable[..., Any] | None = None,
        cost: Callable[..., Any] | None = None,
        differentiable: int | None = None,
        grad_on_arrays: bool = False,
        holomorphic: bool = False,
        view: bool = False,
        upcast: bool = True,
        remake: bool = False,
        doc: str | None = None,
    ):
        self.name, self.__doc__ = name, doc
        self.__name__ = name
        self.cpu, self.gpu, self.grad = cpu, gpu, grad
        self.samples, self.cost = samples, cost
        self.holomorphic, self.view, self.upcast, self.remake = holomorphic, view, upcast and not view, remake
        code = cpu.__code__
        names = code.co_varnames[: code.co_argcount]
        kinds = cpu.__annotations__
        self.inputs = tuple(n for n in names if str(kinds.get(n, "")).replace("list[", "").startswith("Array"))
        self.variadic = any(str(kinds.get(n, "")).startswith("list[") for n in self.inputs)
        self.params = names[len(self.inputs) :]
        if names[: len(self.inputs)] != self.inputs or not self.inputs:
            raise TypeError(f"op {name}: tensor inputs come first and are annotated Array; got {names}")
        if view:
            self.gpu = cpu
        elif gpu is not None:
            _same_signature(name, cpu, gpu)
        result = str(kinds.get("return", "Array"))
        self.n_outputs = result.count("Array") if result.startswith("tuple[") else 1
        self.differentiable = self.n_outputs if differentiable is None else differentiable
        self.cpu_grad = grad if grad_on_arrays else cpu_grad
        self.gpu_grad = gpu_grad
        self.saved = self._saved(grad)
        for rule in (cpu_grad, gpu_grad):
            if rule is not None and self._saved(rule) != self.saved:
                raise TypeError(f"op {name}: grad and {rule.__name__} must have the same parameters")
        self.holds = any(
            kind in ("input", "output") or kind == "param" and not view and self.params[i] in _INDICES
            for kind, i in self.saved
        )

    def _saved(self, rule: Callable[..., Any] | None) -> tuple[tuple[str, int], ...]:
        """What each parameter of the rule asks for: ('input' | 'shape' | 'dtype' | 'output' | 'param', position) or ('needs', 0)."""
        if rule is None:
            return ()
        code = rule.__code__
        plan: list[tuple[str, int]] = []
        for n in code.co_varnames[1 : code.co_argcount]:
            if n in self.inputs:
                plan.append(("input", self.inputs.index(n)))
            elif n in self.params:
                plan.append(("param", self.params.index(n)))
            elif n.endswith("_shape") and n[:-6] in self.inputs:
                plan.append(("shape", self.inputs.index(n[:-6])))
            elif n.endswith("_dtype") and n[:-6] in self.inputs:
                plan.append(("dtype", self.inputs.index(n[:-6])))
            elif n == "needs":
                plan.append(("needs", 0))
            elif n == "y" or (n[0] == "y" and n[1:].isdigit()):
                plan.append(("output", int(n[1:] or 0)))
            else:
                raise TypeError(f"op {self.name}: the rule names {n!r}, neither input, parameter, output nor 'needs'")
        return tuple(plan)

    def __call__(self, *args: Any) -> Any:
        """The differentiable function on Tensors."""
        return self.apply(*args)

    def __getattr__(self, name: str) -> Any:
        """`apply`, `pull` and `pull_tensors` are made at the first use, by the layer above."""
        if name in ("apply", "pull", "pull_tensors") and BIND:
            BIND[0](self)
            return self.__dict__[name]
        raise AttributeError(f"op {self.name} has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join(self.inputs + self.params)})>"


def _same_signature(name: str, cpu: Callable[..., Any], gpu: Callable[..., Any]) -> None:
    a, b = cpu.__code__, gpu.__code__
    if a.co_varnames[: a.co_argcount] != b.co_varnames[: b.co_argcount] or cpu.__defaults__ != gpu.__defaults__:
        raise TypeError(
            f"op {name}: the NumPy and the Triton side differ: cpu{a.co_varnames[: a.co_argcount]} "
            f"against gpu{b.co_varnames[: b.co_argcount]}"
        )


def register(operator: Op) -> Op:
    """Enter an op into the registry; ValueError when the name is taken."""
    if operator.name in OPS:
        raise ValueError(f"op {operator.name} is registered already")
    OPS[operator.name] = operator
    return operator


_INDICES = frozenset(("i", "key", "mask"))  # plain parameters by these names carry arrays, except of views

_FIELDS = frozenset(
    (
        "cpu",
        "gpu",
        "grad",
        "cpu_grad",
        "gpu_grad",
        "samples",
        "cost",
        "differentiable",
        "grad_on_arrays",
        "holomorphic",
        "view",
        "upcast",
        "remake",
    )
)


def op(cls: type) -> Op:
    """Class decorator: turn the declaration into an `Op` and register it (see the module's docstring)."""
    fields = {k: v for k, v in vars(cls).items() if not k.startswith("__")}
    unknown = fields.keys() - _FIELDS
    if unknown:
        raise TypeError(f"op {cls.__name__}: unknown field {sorted(unknown)}; known are {sorted(_FIELDS)}")
    return register(Op(cls.__name__.rstrip("_"), doc=cls.__doc__, **fields))
