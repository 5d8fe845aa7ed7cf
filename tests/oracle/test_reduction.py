"""Reductions, extrema, scans, statistics, sorting: values, dtypes, shapes, gradients, errors as torch's."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tritorch

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

NAN, INF = float("nan"), float("inf")
RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(5, 7)).astype(np.float32)
CUBE = RNG.normal(size=(3, 4, 5)).astype(np.float32)
INPUTS: dict[str, np.ndarray] = {
    "matrix": MATRIX,
    "cube": CUBE,
    "double": CUBE.astype(np.float64),
    "long rows": RNG.normal(size=(4, 3000)).astype(np.float32),
    "long columns": RNG.normal(size=(3000, 3)).astype(np.float32),
    "vector": RNG.normal(size=40).astype(np.float32),
    "scalar": np.array(1.5, np.float32),
    "one": np.ones((1, 1), np.float32),
    "nan": np.where(RNG.random((5, 7)) < 0.2, np.float32(NAN), MATRIX),
    "infinite": np.array([[INF, 1, -INF], [-INF, -INF, -INF], [INF, INF, 2], [3, 2, 1]], np.float32),
    "ties": RNG.integers(0, 3, (6, 8)).astype(np.float32),
    "zeros": np.array([[0, 1, 2], [0, 0, 3], [4, 5, 6]], np.float32),
    "ints": RNG.integers(-5, 5, (4, 6)),
    "int8": RNG.integers(-100, 100, (4, 60)).astype(np.int8),
    "uint8": RNG.integers(0, 255, (4, 60)).astype(np.uint8),
    "bools": RNG.random((4, 6)) < 0.7,
    "none": np.zeros((0,), np.float32),
    "no rows": np.zeros((0, 3), np.float32),
    "no columns": np.zeros((3, 0), np.float32),
}
FLOATS = [n for n, a in INPUTS.items() if a.dtype.kind == "f"]
WITHOUT_TIES = ("matrix", "cube", "double", "long rows", "vector", "scalar", "infinite")

CALLS: dict[str, Any] = {
    "sum": lambda T, x: T.sum(x),
    "sum 0": lambda T, x: x.sum(0),
    "sum -1 keep": lambda T, x: x.sum(-1, True),
    "sum dims": lambda T, x: x.sum((0, -1)),
    "sum list keep": lambda T, x: x.sum([0, 1], keepdim=True),
    "sum ()": lambda T, x: x.sum(()),
    "sum axis": lambda T, x: x.sum(axis=0, keepdims=True),
    "sum dtype": lambda T, x: T.sum(x, dtype=T.float64),
    "sum dim dtype": lambda T, x: T.sum(x, 0, dtype=T.int32),
    "sum middle": lambda T, x: x.sum(1),
    "sum of transposed": lambda T, x: x.transpose(0, -1).sum(0),
    "mean": lambda T, x: T.mean(x),
    "mean 0": lambda T, x: x.mean(0),
    "mean dims": lambda T, x: x.mean((-1, 0), keepdim=True),
    "mean dtype": lambda T, x: x.mean(dtype=T.float64),
    "nansum": lambda T, x: T.nansum(x, 0),
    "nanmean": lambda T, x: T.nanmean(x, 0),
    "prod": lambda T, x: T.prod(x),
    "prod 0": lambda T, x: x.prod(0),
    "prod -1 keep": lambda T, x: x.prod(-1, True),
    "prod dims": lambda T, x: x.prod((0, 1)),
    "any": lambda T, x: T.any(x),
    "any 0": lambda T, x: x.any(0),
    "any dims": lambda T, x: T.any(x, (0, 1), True),
    "any ()": lambda T, x: T.any(x, ()),
    "all": lambda T, x: T.all(x),
    "all -1": lambda T, x: x.all(-1),
    "count_nonzero": lambda T, x: T.count_nonzero(x),
    "count_nonzero 0": lambda T, x: T.count_nonzero(x, dim=0),
    "amax": lambda T, x: T.amax(x),
    "amax 0": lambda T, x: x.amax(0),
    "amin dims": lambda T, x: x.amin((0, 1), True),
    "aminmax": lambda T, x: T.aminmax(x),
    "aminmax 0": lambda T, x: x.aminmax(dim=0),
    "max": lambda T, x: T.max(x),
    "max 0": lambda T, x: x.max(0),
    "max -1 keep": lambda T, x: T.max(x, dim=-1, keepdim=True),
    "max other": lambda T, x: T.max(x, x * 0),
    "min": lambda T, x: x.min(),
    "min 0": lambda T, x: x.min(0),
    "min -1": lambda T, x: x.min(-1),
    "argmax": lambda T, x: T.argmax(x),
    "argmax keep": lambda T, x: T.argmax(x, keepdim=True),
    "argmax 0": lambda T, x: x.argmax(0),
    "argmin -1 keep": lambda T, x: x.argmin(-1, True),
    "argmin 5": lambda T, x: x.argmin(5),
    "var": lambda T, x: T.var(x),
    "var 0": lambda T, x: x.var(0),
    "var 0 biased": lambda T, x: x.var(0, False),
    "var biased": lambda T, x: x.var(unbiased=False),
    "var correction": lambda T, x: x.var(-1, correction=2, keepdim=True),
    "std": lambda T, x: T.std(x),
    "std dims": lambda T, x: x.std((0, 1)),
    "var_mean": lambda T, x: T.var_mean(x, 0),
    "std_mean": lambda T, x: T.std_mean(x, dim=0, correction=0),
    "norm": lambda T, x: T.norm(x),
    "norm 1": lambda T, x: x.norm(1),
    "norm 3 0": lambda T, x: x.norm(3, 0),
    "norm inf -1": lambda T, x: x.norm(INF, -1, True),
    "norm -inf": lambda T, x: x.norm(-INF),
    "norm 0": lambda T, x: x.norm(0, 0),
    "norm fro": lambda T, x: T.norm(x, p="fro", dim=0),
    "norm half": lambda T, x: x.norm(0.5),
    "softmax": lambda T, x: T.softmax(x, 0),
    "softmax -1": lambda T, x: x.softmax(dim=-1),
    "softmax dtype": lambda T, x: x.softmax(-1, dtype=T.float64),
    "log_softmax": lambda T, x: T.log_softmax(x, -1),
    "log_softmax 0": lambda T, x: x.log_softmax(0),
    "logsumexp": lambda T, x: T.logsumexp(x, 0),
    "logsumexp dims": lambda T, x: x.logsumexp((0, 1), True),
    "cumsum": lambda T, x: T.cumsum(x, 0),
    "cumsum -1": lambda T, x: x.cumsum(-1),
    "cumsum dtype": lambda T, x: x.cumsum(0, dtype=T.float64),
    "cumprod": lambda T, x: T.cumprod(x, 0),
    "cumprod -1": lambda T, x: x.cumprod(-1),
    "cummax": lambda T, x: T.cummax(x, 0),
    "cummax -1": lambda T, x: x.cummax(-1),
    "cummin": lambda T, x: T.cummin(x, -1),
    "logcumsumexp": lambda T, x: T.logcumsumexp(x, 0),
    "logcumsumexp -1": lambda T, x: x.logcumsumexp(-1),
    "median": lambda T, x: T.median(x),
    "median -1": lambda T, x: x.median(-1).values,
    "nanmedian": lambda T, x: T.nanmedian(x),
    "nanmedian 0": lambda T, x: x.nanmedian(0, True).values,
    "mode": lambda T, x: T.mode(x),
    "mode 0": lambda T, x: x.mode(0, True),
    "quantile": lambda T, x: T.quantile(x, 0.3),
    "quantile 0": lambda T, x: x.quantile(T.tensor([0.0, 0.25, 1.0], dtype=x.dtype), 0),
    "quantile keep": lambda T, x: x.quantile(T.tensor([0.1, 0.6], dtype=x.dtype), -1, keepdim=True),
    "quantile lower": lambda T, x: x.quantile(0.4, interpolation="lower"),
    "quantile higher": lambda T, x: x.quantile(0.4, -1, interpolation="higher"),
    "quantile nearest": lambda T, x: x.quantile(0.4, 0, interpolation="nearest"),
    "quantile midpoint": lambda T, x: x.quantile(0.4, 0, interpolation="midpoint"),
    "nanquantile": lambda T, x: T.nanquantile(x, 0.6, -1),
    "sort": lambda T, x: T.sort(x, stable=True),
    "sort 0 falling": lambda T, x: x.sort(0, True)[0],
    "sort falling": lambda T, x: T.sort(x, descending=True, stable=True),
    "argsort": lambda T, x: T.argsort(x, dim=0, stable=True),
    "msort": lambda T, x: T.msort(x),
    "topk": lambda T, x: T.topk(x, 2).values,
    "topk smallest": lambda T, x: x.topk(1, 0, largest=False).values,
    "kthvalue": lambda T, x: T.kthvalue(x, 2).values,
    "kthvalue 0": lambda T, x: x.kthvalue(1, 0, True).values,
    "unique": lambda T, x: T.unique(x, return_inverse=True, return_counts=True),
    "unique 0": lambda T, x: T.unique(x, dim=0, return_inverse=True, return_counts=True),
    "unique_consecutive": lambda T, x: T.unique_consecutive(x, return_inverse=True, return_counts=True),
    "unique_consecutive 0": lambda T, x: x.unique_consecutive(dim=0),
}

# what torch leaves open: which of several equal elements a mode is, the order of NaNs, what becomes of inf - inf
UNDEFINED = {"mode": ("int8", "uint8"), "unique": ("nan",), "var_mean": ("infinite",), "std_mean": ("infinite",)}


def outcome(T: Any, call: Any, array: np.ndarray, grad: bool) -> Any:
    """(results, gradient) of a call, or the exception."""
    x = T.tensor(array.tolist(), dtype=getattr(T, str(array.dtype))).reshape(array.shape)
    if grad:
        x.requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            got = call(T, x)
        except Exception as error:  # noqa: BLE001 - compared below
            return error
        outs = list(got) if isinstance(got, tuple) else [got]
        g = None
        if grad and outs[0].requires_grad:
            weights = np.cos(np.arange(outs[0].numel())).reshape(tuple(outs[0].shape))
            (outs[0] * T.tensor(weights.tolist(), dtype=outs[0].dtype).reshape(weights.shape)).sum().backward()
            g = x.grad
    return outs, g


def compare(got: Any, want: Any, what: str, scale: float = 1.0) -> None:
    assert str(got.dtype) == str(want.dtype), f"{what}: {got.dtype}, torch gives {want.dtype}"
    assert tuple(got.shape) == tuple(want.shape), f"{what}: {got.shape}, torch gives {want.shape}"
    a, b = got.detach().numpy(), want.detach().numpy()
    np.testing.assert_allclose(a, b, rtol=3e-5 * scale, atol=2e-5 * scale, err_msg=what)


@pytest.mark.parametrize("name", CALLS)
def test_same_as_torch(name: str) -> None:
    call = CALLS[name]
    for label, array in INPUTS.items():
        if label in UNDEFINED.get(name, ()):
            continue
        what = f"{name} of {label}"
        got, want = outcome(tritorch, call, array, False), outcome(torch, call, array, False)
        if isinstance(want, Exception):
            assert isinstance(got, Exception), f"{what}: torch raises {want!r}, we give {got}"
            assert isinstance(got, type(want)) or isinstance(want, type(got)), f"{what}: {got!r}, torch: {want!r}"
            continue
        assert not isinstance(got, Exception), f"{what}: {got!r}, torch gives {want}"
        assert len(got[0]) == len(want[0]), what
        for a, b in zip(got[0], want[0], strict=True):
            compare(a, b, what)


@pytest.mark.parametrize("name", [n for n in CALLS if "unique" not in n and n != "max other"])
def test_gradients_as_torch(name: str) -> None:
    call = CALLS[name]
    for label in ("matrix", "cube", "double", "long rows", "vector", "scalar", "zeros", "no rows"):
        if label == "zeros" and ("mode" in name or "topk" in name or "kth" in name):
            continue
        got, want = outcome(tritorch, call, INPUTS[label], True), outcome(torch, call, INPUTS[label], True)
        if isinstance(want, Exception) or want[1] is None:
            continue
        what = f"gradient of {name} of {label}"
        assert not isinstance(got, Exception), f"{what}: {got!r}"
        assert got[1] is not None, f"{what}: no gradient"
        compare(got[1], want[1], what, 10)


@pytest.mark.parametrize(
    "name", ["sum", "mean 0", "amax", "max 0", "var", "norm", "softmax", "cumsum -1", "sort", "logsumexp"]
)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(name: str, dtype: str) -> None:
    results = []
    for T in (tritorch, torch):
        x = T.tensor(MATRIX.tolist(), dtype=getattr(T, dtype))
        got = CALLS[name](T, x)
        got = got[0] if isinstance(got, tuple) else got
        assert str(got.dtype) == f"torch.{dtype}"
        results.append(got.float().numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-2 if dtype == "bfloat16" else 2e-3)


def test_named_results_print_and_behave_as_in_torch() -> None:
    a, b = (T.max(T.tensor([[1.0, 5.0], [3.0, 2.0]]), 1) for T in (tritorch, torch))
    assert repr(a) == repr(b)
    assert isinstance(a, tuple) and type(a).__name__ == "max"
    values, indices = a
    assert a.values is values is a[0] and a.indices is indices
    assert str(type(a)) == str(type(b)).replace("torch.", "tritorch.")


def test_float32_sums_are_as_exact_as_torch() -> None:
    for shape, dim in (((1 << 20,), 0), ((3, 200_000), 1), ((200_000, 3), 0), ((4, 50_000, 2), 1)):
        a = RNG.random(shape).astype(np.float32)
        exact = a.astype(np.float64).sum(dim)
        ours = np.abs(tritorch.from_numpy(a).sum(dim).numpy() / exact - 1).max()
        theirs = np.abs(torch.from_numpy(a).sum(dim).numpy() / exact - 1).max()
        assert ours <= max(2 * theirs, 5e-7), f"{shape}: relative error {ours:.1e}, torch {theirs:.1e}"


def test_out() -> None:
    for T in (tritorch, torch):
        x = T.tensor([[3.0, 1.0], [2.0, 4.0]])
        out = T.empty(2)
        assert T.sum(x, 0, out=out) is out and out.tolist() == [5.0, 5.0]
        values, indices = T.empty(2), T.empty(2, dtype=T.int64)
        got = T.max(x, 1, out=(values, indices))
        assert got[0] is values and values.tolist() == [3.0, 4.0] and indices.tolist() == [0, 1]
