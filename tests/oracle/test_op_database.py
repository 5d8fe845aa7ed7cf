"""Every op of PyTorch's own database, on its samples: values, dtypes, gradients, methods, in-place methods and `out=`.

What differs, and why, is in DIFFERS; what tritorch does not have, in ABSENT.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import tritorch

from .op_database import (
    KINDS,
    OPS,
    NotHere,
    difference,
    function,
    nearer,
    ours,
    samples,
    tensors,
    torch,
    widened,
)

pytestmark = pytest.mark.filterwarnings("ignore")

SPARSE = "sparse layouts"
INNER = "an inner step of PyTorch's own code"
MASKED = "torch.masked, a prototype"
ABSENT = {
    **dict.fromkeys(("sparse.sampled_addmm", "sparse.mm.reduce", "to_sparse"), SPARSE),
    **dict.fromkeys(
        (
            "_softmax_backward_data", "native_batch_norm", "_native_batch_norm_legit", "_batch_norm_with_update",
            "torch.ops.aten._efficient_attention_forward", "torch.ops.aten._safe_softmax.default",
            "torch.ops.aten._flash_attention_forward", "_upsample_bilinear2d_aa", "slice", "_unsafe_masked_index",
            "_unsafe_masked_index_put_accumulate", "_chunk_cat", "native_dropout_backward", "hash_tensor",
            "_segment_reduce.lengths", "_segment_reduce.offsets", "max_pool2d_with_indices_backward",
        ),
        INNER,
    ),
    **{name: MASKED for name in OPS if name.startswith("masked.")},
    **{name: "compiles CUDA C++ from a string" for name in OPS if name.startswith("jiterator")},
    **dict.fromkeys(("torch._scaled_mm_v2", "torch._scaled_mm"), "float8"),
    **dict.fromkeys(("linalg.ldl_factor", "linalg.ldl_factor_ex", "linalg.ldl_solve"), "LDL, of which LAPACK's is not in NumPy"),
    "chalf": "complex numbers of 32 bits",
}  # fmt: skip
ANY = "values of no meaning"
SIGNS = "the sign or phase of a vector is free"
TIES = "which of equal values is first is not defined"
NONE = "torch hands on gradients of zero through numbers that do not depend on the input"
SPARSE_GRADIENT = "gradients in a sparse layout"
DIFFERS: dict[str, dict[str, str]] = {
    **{name: {"": ANY} for name in ("empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided")},
    **{name: {"": SIGNS} for name in ("svd", "linalg.svd", "linalg.eig", "linalg.eigh")},
    **{name: {"call": TIES} for name in ("sort", "argsort", "topk", "kthvalue", "median", "nanmedian", "mode")},
    **{name: {"call": SIGNS, "gradient": SIGNS} for name in ("svd_lowrank", "pca_lowrank")},
    **{name: {"gradient": NONE} for name in ("bernoulli", "normal", "normal.number_mean", "nextafter")},
    **{name: {"call": SPARSE_GRADIENT} for name in ("nn.functional.embedding", "nn.functional.embedding_bag")},
    **{
        f"special.{name}": {"call, float64": "torch's series are good to 1e-7 near zeros, ours to 1e-13"}
        for name in ("airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1")
    },
    **{name: {"out": "torch leaves some of `out` as it was"} for name in ("fft.ihfft2", "fft.ihfftn")},
    **{
        f"nn.functional.interpolate.{mode}": {"call, uint8": "torch computes bytes in fixed point, a unit off"}
        for mode in ("bilinear", "bicubic")
    },
    **{
        name: {"second gradient": "torch's rule takes both triangles of a triangular matrix"}
        for name in ("cholesky_inverse", "cholesky_solve")
    },
    "addbmm": {"call, bfloat16": "torch adds up in another order"},
    "nn.functional.ctc_loss": {"gradient": "torch adds exp(log_probs), which log_softmax takes away again"},
    "as_strided_scatter": {"gradient": "torch hands the gradient of overwritten elements on"},
    "istft": {"gradient, complex128": "torch leaves the gradient of a window out that is shorter than n_fft"},
    "matrix_exp": {
        "call, float32": "exact to 6e-4, where torch is to 2e-3", "call, bfloat16": "NaN in torch, where exponentials are large"
    },
    "einsum": {"call, uint8": "torch widens bytes where its order of contraction sums a dim alone"},
    "linalg.norm.subgradients_at_zero": {"second gradient": "NaN in torch, of a kink"},
}  # fmt: skip

GRADIENTS = (torch.float64, torch.complex128)


def theirs(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The result in torch, None where it refuses the sample."""
    torch.manual_seed(0)
    try:
        return call(*args, **options)
    except Exception:  # noqa: BLE001 - a sample that torch does not take is none
        return None


def detached(value: Any) -> Any:
    """The same without gradients; tensors share their memory."""
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {k: detached(v) for k, v in value.items()}
    return type(value)(detached(v) for v in value) if type(value) in (list, tuple) else value


class Check:
    """One sample of one entry; `found` collects (form, what differs)."""

    def __init__(self, op: Any, call: Callable[..., Any], sample: Any, kind: Any):
        self.op, self.call, self.sample, self.kind = op, call, sample, kind
        self.args, self.options = (sample.input, *sample.args), sample.kwargs
        self.found: list[tuple[str, str]] = []

    def attempt(self, form: str, expected: Any, run: Callable[[], Any], scale: float = 1.0) -> Any:
        tritorch.manual_seed(0)
        try:
            got = run()
        except NotHere:
            return None
        except Exception as error:  # noqa: BLE001 - any is a finding
            what = f"{type(error).__name__}: {error}"
        else:
            what = difference(expected, got, scale)
            if what is None or self.kind is torch.bfloat16 and self.as_near(expected, got):
                return got
        self.found.append((form, f"{what} [{str(self.kind)[6:]}: {self._text((self.args, self.options))}]"))
        return None

    def as_near(self, expected: Any, got: Any) -> bool:
        exact = theirs(self.op.op, *widened(self.args), **widened(self.options))
        return exact is not None and nearer(exact, expected, got)

    def _text(self, value: Any) -> str:
        if isinstance(value, torch.Tensor):
            return f"{str(value.dtype)[6:]}{list(value.shape)}"
        if isinstance(value, dict):
            return ", ".join(f"{k}={self._text(v)}" for k, v in value.items())
        return f"({', '.join(self._text(v) for v in value)})" if isinstance(value, (list, tuple)) else str(value)

    def run(self) -> list[tuple[str, str]]:
        expected = theirs(self.op.op, *self.args, **self.options)
        if expected is None:
            return []
        try:
            args, options = ours((self.args, self.options))
        except NotHere:
            return []
        got = self.attempt("call", expected, lambda: self.call(*args, **options))
        if got is None:
            return self.found
        if self.kind in GRADIENTS and self.op.supports_autograd:
            pairs = zip(tensors((self.args, self.options)), tensors((args, options)), strict=True)
            inputs = [(a, b) for a, b in pairs if getattr(a, "requires_grad", False)]
            second = self.kind is torch.float64 and self.op.supports_gradgrad
            self.gradients(("gradient", "second gradient")[: 1 + second], tensors(expected), tensors(got), inputs)
        self.method()
        self.in_place()
        self.out(expected)
        return self.found

    def gradients(self, forms: tuple[str, ...], expected: list, got: list, inputs: list[tuple[Any, Any]]) -> None:
        """The first of `forms`, of outputs by pairs of inputs; then the others, each of the one before."""
        outputs = [(a, b) for a, b in zip(expected, got, strict=True) if getattr(a, "requires_grad", False)]
        if not outputs or not inputs:
            return
        torch.manual_seed(1)
        heads = [torch.randn_like(a) for a, _ in outputs]
        deeper = len(forms) > 1
        sides = [a for a, _ in outputs], [a for a, _ in inputs], heads
        wanted = theirs(torch.autograd.grad, *sides, allow_unused=True, create_graph=deeper)
        if wanted is None:
            return
        if not all(b.requires_grad for _, b in outputs):
            if forms[0] == "gradient":  # of zero gradients torch makes graphs, too
                self.found.append((forms[0], f"no gradient [{self._text((self.args, self.options))}]"))
            return
        wanted = [torch.zeros_like(a) if w is None else w for w, (a, _) in zip(wanted, inputs, strict=True)]

        def run() -> Any:
            sides = [b for _, b in outputs], [b for _, b in inputs], ours(heads)
            found = tritorch.autograd.grad(*sides, allow_unused=True, create_graph=deeper)
            return [tritorch.zeros_like(b) if f is None else f for f, (_, b) in zip(found, inputs, strict=True)]

        found = self.attempt(forms[0], wanted, run, 100 if forms[0] == "second gradient" else 10)
        if found is not None and deeper:
            known = [(w, f) for w, f in zip(wanted, found, strict=True) if f.requires_grad]
            self.gradients(forms[1:], [w for w, _ in known], [f for _, f in known], inputs)

    def method(self) -> None:
        method = self.op.method_variant
        name = getattr(method, "__name__", "<lambda>")
        if method is None or name == "<lambda>" or not isinstance(self.sample.input, torch.Tensor):
            return
        first, *rest = detached(self.args)
        expected = theirs(method, first, *rest, **detached(self.options))
        if expected is not None:
            self.attempt(
                "method", expected, lambda: getattr(ours(first), name)(*ours(rest), **ours(self.options, False))
            )

    def in_place(self) -> None:
        method = self.op.inplace_variant
        name = getattr(method, "__name__", "<lambda>")
        if method is None or name == "<lambda>" or self.sample.broadcasts_input:
            return
        first, *rest = detached(self.args)
        changed = first.clone()
        mine = ours(changed)
        if theirs(method, changed, *rest, **detached(self.options)) is None:
            return

        def run() -> Any:
            found = getattr(mine, name)(*ours(rest), **ours(self.options, False))
            assert found is mine
            return mine

        self.attempt("in place", changed, run)

    def out(self, expected: Any) -> None:
        if not self.op.supports_out or "out" in self.options:
            return
        rooms = [torch.empty_like(t.detach()) for t in tensors(expected) if isinstance(t, torch.Tensor)]
        one = isinstance(expected, torch.Tensor)
        args, options = detached(self.args), detached(self.options)
        if theirs(self.op.op, *args, **options, out=rooms[0] if one else tuple(rooms)) is None:
            return

        def run() -> Any:
            mine = [tritorch.empty_like(ours(t)) for t in rooms]
            self.call(*ours(args), **ours(options), out=mine[0] if one else tuple(mine))
            return mine

        self.attempt("out", rooms, run)


@pytest.mark.parametrize("name", OPS)
def test_as_in_torch(name):
    op = OPS[name]
    if name in ABSENT:
        pytest.skip(ABSENT[name])
    call = function(op)
    seen: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind in KINDS:
            if kind not in op.dtypes:
                continue
            grad = kind in GRADIENTS and op.supports_autograd
            for sample in samples(op, kind, grad):
                for form, what in Check(op, call, sample, kind).run():
                    seen.setdefault(f"{form}, {str(kind)[6:]}", what)
    known = DIFFERS.get(name, {})
    unexpected = {form: what for form, what in seen.items() if not any(form.startswith(start) for start in known)}
    assert not unexpected, "\n".join(f"{form}: {what}" for form, what in unexpected.items())
