"""What is recorded, and under which name: PyTorch's own, since the public functions have its names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import Any, Literal, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from .. import fft, functional, linalg, special
from ..autograd import engine
from ..autograd.function import _Caller
from ..autograd.inplace import _Scatter
from ..functional.transfer import _ToDevice
from ..kernels._op import OPS, Op
from ..kernels.elementwise import Elementwise
from ..nn import functional as nn_functional
from ..nn import native
from ..nn.modules.module import Module
from ..nn.modules.rnn import RNNBase
from ..optim import Optimizer
from ..tensor import Tensor
from ..utils.data import dataloader

Name: TypeAlias = str | Callable[[tuple[Any, ...]], str]
"""A name, or what makes it from the arguments of the call."""


class Target(NamedTuple):
    """A function that is recorded.

    Attributes:
        function: a Python function.
        name: under which.
        kind: "op"; "node": the backward of one, of (..., node, gradient); "range": what others run in, which PyTorch
            marks in Python; "engine": a part of the engine's work.
        op: the op of the registry that tells what a call costs.
        place: gives the device from the arguments; None: that of the tensors among them.
    """

    function: Any
    name: Name
    kind: Literal["op", "node", "range", "engine"] = "op"
    op: Op | None = None
    place: Callable[[tuple[Any, ...]], Any] | None = None


_AREAS = [area for area in functional.AREAS if area not in ("queries", "storage")]

# public functions that compute nothing, or that PyTorch writes in Python out of others: those are seen themselves
_NOT_RECORDED = frozenset("""
    adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices affine_grid
    apply_ as_subclass as_tensor asarray backward broadcast_shapes can_cast cartesian_prod const_data_ptr cpu cuda
    data_ptr dense_dim dim dim_order dropout1d dropout2d dropout3d element_size fold
    fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices from_dlpack from_numpy frombuffer
    gaussian_nll_loss get_device get_rng_state grid_sample gumbel_softmax initial_seed interpolate is_tensor
    linear_cross_entropy local_response_norm lp_pool1d lp_pool2d lp_pool3d lu manual_seed map2_ map_ max_unpool1d
    message multi_head_attention_forward multilabel_soft_margin_loss ndimension nelement new new_tensor normalize
    numel numpy pca_lowrank register_hook register_post_accumulate_grad_hook requires_grad_ result_type retain_grad
    seed set_rng_state share_memory_ size softmin softsign sparse_dim storage storage_offset storage_type stride
    svd_lowrank tanhshrink tensor to_dense tolist triplet_margin_with_distance_loss type unique untyped_storage
    upsample upsample_bilinear upsample_nearest
""".split())  # fmt: skip
# where PyTorch's name is not the public function's
_RENAMED = {
    "cross_entropy": "cross_entropy_loss", "logsigmoid": "log_sigmoid", "__getitem__": "slice", "__setitem__": "copy_",
    "__pow__": "pow", "__rsub__": "rsub",
} | dict.fromkeys(
    ("float", "double", "half", "bfloat16", "int", "long", "short", "char", "byte", "bool", "cfloat", "cdouble"), "to"
)  # fmt: skip
# ops whose name is not that of a public function
_OPS = {
    "attention": "scaled_dot_product_attention", "batch_norm_eval": "native_batch_norm",
    "batch_norm_train": "native_batch_norm", "cast": "_to_copy", "col2im": "col2im", "conv": "convolution",
    "cross_entropy": "cross_entropy_loss", "dirichlet_grad": "_dirichlet_grad", "fft_c2c": "_fft_c2c",
    "fft_c2r": "_fft_c2r", "fft_r2c": "_fft_r2c", "frexp": "frexp", "gelu_tanh": "gelu", "im2col": "im2col",
    "index": "index", "pad_constant": "constant_pad_nd", "pow_scalar": "pow", "rdiv": "div",
    "standard_gamma_grad": "_standard_gamma_grad", "sum_to_shape": "sum", "unfold_dim": "unfold",
    "vector_norm": "linalg_vector_norm",
}  # fmt: skip
_PROPERTIES = {"T": "aten::numpy_T", "mT": "aten::mT", "H": "aten::matrix_H", "mH": "aten::mH"}
INLINE = ("matmul", "linear", "sum", "mean")
"""Public functions that do the work of the op of their name themselves where little is to be done."""
WITHIN = {"aten::matmul": "aten::mm"}
"""A function that is only the second half of another one, which has checked its arguments."""


@cache
def _public() -> tuple[list[Target], dict[str, str]]:
    """The public functions, each under the first of its names, and name -> what it is recorded as."""
    found: list[Target] = []
    labels: dict[str, str] = {}
    seen: set[int] = set()

    def add(prefix: str, name: str, space: dict[str, Any]) -> None:
        f = space[name]
        if f.__class__ is not FunctionType or name in _NOT_RECORDED or name.startswith("is_"):
            return
        if space.get(f.__name__) is f and not f.__name__.startswith("_"):
            name = f.__name__  # of its aliases the one that it was written under
        label = f"aten::{prefix}{_RENAMED.get(name, name)}"
        labels.setdefault(prefix + name, label)
        labels.setdefault(name, label)
        if id(f) in seen:
            return
        seen.add(id(f))
        op = OPS.get(name.rstrip("_"))
        known = isinstance(op, Elementwise) or name in INLINE
        found.append(Target(f, _SUBSCRIPTS.get(name, label), op=op if known else None))

    for area in _AREAS:
        module = import_module(f"{functional.__name__}.{area}")
        for name in module.__all__:
            add("", name, vars(module))
    packages = {nn_functional: "", native: "", linalg: "linalg_", fft: "fft_", special: "special_"}
    for module, prefix in packages.items():
        for name, f in vars(module).items():
            if not name.startswith("_") and getattr(f, "__module__", "").startswith("tritorch."):
                add(prefix, name, vars(module))
    queries = set(import_module(f"{functional.__name__}.queries").__all__)
    methods = {name: f for kind in reversed(Tensor.__mro__[:-1]) for name, f in vars(kind).items()}
    for name, f in methods.items():
        if name in _RENAMED or not name.startswith("_") and name not in queries:
            add("", name, methods)
        elif name.startswith("__i") and f.__class__ is FunctionType and not f.__name__.startswith("_"):  # x += y
            add("", f.__name__, {f.__name__: f})
    return found, labels


def of_op(op: Op) -> Iterator[Target]:
    """The functions on Tensors of an op of the registry, forward and backward."""
    name = _product if op.name == "matmul" else _op_name(op.name)
    yield Target(op.apply, name, op=op)
    if hasattr(op.apply, "general"):
        yield Target(op.apply.general, name, op=op)
    yield from _rules(op)


def _op_name(name: str) -> str:
    public = _public()[1]
    label = f"aten::{_OPS.get(name, name)}"
    return label if name in _OPS or label in public.values() else public.get(name, f"tritorch::{name}")


def _rules(of: Any) -> Iterator[Target]:
    for rule in (of.pull, of.pull_tensors):
        yield Target(rule, lambda args: args[-2].name(), "node", place=lambda args: args[-2].device)


def targets(modules: bool) -> Iterator[Target]:
    """All that is recorded; calls of Modules are if asked for."""
    yield from _public()[0]
    for op in list(OPS.values()):
        yield from of_op(op)
    for caller in (_ToDevice, _Scatter, _Caller):
        yield from _rules(caller)
    for name, label in _PROPERTIES.items():
        yield Target(getattr(Tensor, name).fget, label)
    yield Target(RNNBase._forward, lambda args: f"aten::{args[0].mode.lower()}")
    yield Target(engine._accumulate, "torch::autograd::AccumulateGrad", "engine", place=lambda args: args[0].device)
    yield Target(Optimizer.zero_grad, lambda args: f"Optimizer.zero_grad#{type(args[0]).__name__}.zero_grad", "range")
    for kind in _subclasses(Optimizer):
        yield Target(
            kind.step, lambda args: f"Optimizer.step#{type(args[0]).__name__}.step", "range", place=_of_parameters
        )
    yield Target(dataloader._Iterator.__next__, _next_batch, "range")
    if modules:
        yield Target(Module.__call__, _module, "range", place=lambda args: None)


def _subclasses(kind: type) -> Iterator[Any]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _subclasses(sub)


def _of_parameters(args: tuple[Any, ...]) -> Any:
    return args[0].param_groups[0]["params"][0].device


def _product(args: tuple[Any, ...]) -> str:
    return "aten::mm" if args[0]._a.ndim == args[1]._a.ndim == 2 else "aten::bmm"


def _next_batch(args: tuple[Any, ...]) -> str:
    kind = "MultiProcessing" if isinstance(args[0], dataloader._WorkerIterator) else "SingleProcess"
    return f"enumerate(DataLoader)#_{kind}DataLoaderIter.__next__"


def _module(args: tuple[Any, ...]) -> str:
    """Each module by its class and a number, in the order in which they are first called."""
    found = _modules.get(args[0])
    if found is None:
        kind = type(args[0]).__name__
        found = _modules[args[0]] = f"nn.Module: {kind}_{_counts[kind]}"
        _counts[kind] += 1
    return found


_modules: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_counts: Counter[str] = Counter()


def _items(key: Any) -> tuple[Any, ...]:
    return key if key.__class__ is tuple else (key,)


def _is_view(key: Any) -> bool:
    return all(isinstance(k, (int, slice, type(None), type(...))) for k in _items(key))


def _read(args: tuple[Any, ...]) -> str:
    key = args[1]
    if key.__class__ is int or key is None:
        return "aten::unsqueeze" if key is None else "aten::select"
    return "aten::slice" if _is_view(key) else "aten::index"


def _written(args: tuple[Any, ...]) -> str:
    return "aten::copy_" if _is_view(args[1]) else "aten::index_put_"


_SUBSCRIPTS: dict[str, Name] = {"__getitem__": _read, "__setitem__": _written}
