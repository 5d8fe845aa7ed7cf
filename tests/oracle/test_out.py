"""`out=`: the result is written there, the tensor is resized with PyTorch's warning, dtypes and gradients are checked."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

X = np.arange(12.0).reshape(3, 4) / 7 - 0.6
S = X[:, :3] + 3 * np.eye(3)


def _lu(t, x):
    return t.linalg.lu_factor(x)


# name: (call, array); the call takes the namespace, the tensor and the keyword out
CALLS = {
    "alias_copy": (lambda t, x, **o: t.alias_copy(x, **o), X),
    "as_strided_copy": (lambda t, x, **o: t.as_strided_copy(x, (2, 2), (1, 2), 1, **o), X),
    "avg_pool2d": (lambda t, x, **o: t.nn.functional.avg_pool2d(x.reshape(1, 3, 4), 2, **o), X),
    "avg_pool3d": (lambda t, x, **o: t.nn.functional.avg_pool3d(x.reshape(1, 1, 3, 4), (1, 2, 2), **o), X),
    "argsort": (lambda t, x, **o: t.argsort(x, stable=True, **o), X),
    "bucketize": (lambda t, x, **o: t.bucketize(x, t.arange(3, device=x.device), **o), X),
    "column_stack": (lambda t, x, **o: t.column_stack((x, x), **o), X),
    "conj_physical": (lambda t, x, **o: t.conj_physical(x, **o), X),
    "conj_physical complex": (lambda t, x, **o: t.conj_physical(x, **o), X + 1j),
    "cumsum": (lambda t, x, **o: t.cumsum(x, 1, **o), X),
    "detach_copy": (lambda t, x, **o: t.detach_copy(x, **o), X),
    "diag": (lambda t, x, **o: t.diag(x, 1, **o), X),
    "diag of a vector": (lambda t, x, **o: t.diag(x[0], **o), X),
    "diagonal_copy": (lambda t, x, **o: t.diagonal_copy(x, 1, **o), X),
    "dstack": (lambda t, x, **o: t.dstack((x, x), **o), X),
    "expand_copy": (lambda t, x, **o: t.expand_copy(x, (2, 3, 4), **o), X),
    "frobenius_norm": (lambda t, x, **o: t.frobenius_norm(x, [0, 1], **o), X),
    "gelu": (lambda t, x, **o: t.nn.functional.gelu(x, approximate="tanh", **o), X),
    "geqrf": (lambda t, x, **o: t.geqrf(x, **o), S),
    "hardshrink": (lambda t, x, **o: t.nn.functional.hardshrink(x, 0.2, **o), X),
    "hstack": (lambda t, x, **o: t.hstack((x, x), **o), X),
    "index_reduce": (
        lambda t, x, **o: t.index_reduce(x, 0, t.tensor([1, 1, 2], device=x.device), x, "prod", **o),
        X,
    ),
    "isin": (lambda t, x, **o: t.isin(x, x[1], **o), X),
    "linear": (lambda t, x, **o: t.nn.functional.linear(x, x, **o), X),
    "logsigmoid": (lambda t, x, **o: t.nn.functional.logsigmoid(x, **o), X),
    "lstsq": (lambda t, x, **o: t.linalg.lstsq(x, x, **o), S),
    "lu_unpack": (lambda t, x, **o: t.lu_unpack(*_lu(t, x), **o), S),
    "narrow_copy": (lambda t, x, **o: t.narrow_copy(x, 1, 1, 2, **o), X),
    "nonzero": (lambda t, x, **o: t.nonzero(x > 0, **o), X),
    "nuclear_norm": (lambda t, x, **o: t.nuclear_norm(x, **o), X),
    "permute_copy": (lambda t, x, **o: t.permute_copy(x, (1, 0), **o), X),
    "row_stack": (lambda t, x, **o: t.row_stack((x, x), **o), X),
    "searchsorted": (lambda t, x, **o: t.searchsorted(x, x + 0.1, **o), X),
    "select_copy": (lambda t, x, **o: t.select_copy(x, 1, 2, **o), X),
    "slice_copy": (lambda t, x, **o: t.slice_copy(x, 1, 1, 4, 2, **o), X),
    "slice_scatter": (lambda t, x, **o: t.slice_scatter(x, x[:, :2], 1, 0, 4, 2, **o), X),
    "softplus": (lambda t, x, **o: t.nn.functional.softplus(x, 2.0, **o), X),
    "softshrink": (lambda t, x, **o: t.nn.functional.softshrink(x, 0.2, **o), X),
    "squeeze_copy": (lambda t, x, **o: t.squeeze_copy(x[:, None], 1, **o), X),
    "sum": (lambda t, x, **o: t.sum(x, 0, **o), X),
    "t_copy": (lambda t, x, **o: t.t_copy(x, **o), X),
    "transpose_copy": (lambda t, x, **o: t.transpose_copy(x, 0, 1, **o), X),
    "unfold_copy": (lambda t, x, **o: t.unfold_copy(x, 1, 2, 1, **o), X),
    "unsqueeze_copy": (lambda t, x, **o: t.unsqueeze_copy(x, 1, **o), X),
    "view_as_complex_copy": (lambda t, x, **o: t.view_as_complex_copy(x.reshape(6, 2), **o), X),
    "view_as_real_copy": (lambda t, x, **o: t.view_as_real_copy(x, **o), X + 1j),
    "view_copy": (lambda t, x, **o: t.view_copy(x, (4, 3), **o), X),
    "vstack": (lambda t, x, **o: t.vstack((x, x), **o), X),
}
ONE = [name for name in CALLS if name not in ("geqrf", "lstsq", "lu_unpack")]


def _want(name):
    """torch's result, without its words on functions that are deprecated or in beta."""
    call, a = CALLS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(torch, torch.from_numpy(a))


def _several(r):
    return list(r) if isinstance(r, (tuple, list)) else [r]


def _same(ours, theirs) -> None:
    for a, b in zip(_several(ours), _several(theirs), strict=True):
        assert tuple(a.shape) == tuple(b.shape) and str(a.dtype).split(".")[1] == str(b.dtype).split(".")[1]
        np.testing.assert_allclose(a.cpu().numpy(), b.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CALLS)
def test_written_and_returned(name, device) -> None:
    """Into memory of the right shape, of strides of its own, and into an empty tensor, which is resized silently."""
    call, a = CALLS[name]
    want = _want(name)
    x = tritorch.from_numpy(a).to(device)
    for make in (
        lambda w: w.new_zeros(w.shape),
        lambda w: w.new_zeros((*w.shape, 2))[..., 0],
        lambda w: w.new_empty(0),
    ):
        outs = [make(w) for w in _several(call(tritorch, x))]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            got = call(tritorch, x, out=outs[0] if name in ONE else tuple(outs))
        assert all(g is o for g, o in zip(_several(got), outs, strict=True))
        assert hasattr(got, "_fields") == hasattr(call(tritorch, x), "_fields")
        _same(got, want)
        np.testing.assert_array_equal(x.cpu().numpy(), a)
        outs[0].zero_()  # the result is a copy
        np.testing.assert_array_equal(x.cpu().numpy(), a)


@pytest.mark.parametrize("name", ONE)
def test_wrong_shape_is_resized_with_the_warning(name) -> None:
    call, a = CALLS[name]
    want = _want(name)
    x = tritorch.from_numpy(a)
    out = call(tritorch, x).new_zeros((5, 7))
    with pytest.warns(UserWarning, match="An output with one or more elements was resized"):
        assert call(tritorch, x, out=out) is out
    _same(out, want)


@pytest.mark.parametrize("name", ONE)
def test_refused(name) -> None:
    """A dtype of a lower kind, a list, gradients: as in PyTorch, with its words."""
    call, a = CALLS[name]
    x = tritorch.from_numpy(a)
    want = call(tritorch, x)
    if want.dtype.category and name not in ("sum", "cumsum"):
        with pytest.raises(RuntimeError, match="can't be cast to the desired output type Bool"):
            call(tritorch, x, out=want.new_zeros(want.shape, dtype=tritorch.bool))
    with pytest.raises(TypeError, match="out must be a Tensor; got list"):
        call(tritorch, x, out=[want])
    if want.dtype.category >= 2 and name != "detach_copy":
        x.requires_grad_()
        with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
            call(tritorch, x, out=want)
        with tritorch.no_grad():
            assert call(tritorch, x, out=want) is want


def test_dtype_of_out_is_the_dtype_of_the_sum() -> None:
    """sum, prod, cumsum, cumprod, mean without `dtype=` compute in the dtype of out."""
    for dtype in ("int64", "float64", "float16", "complex64", "bool"):
        for name in ("sum", "prod") if dtype == "bool" else ("sum", "prod", "cumsum", "cumprod"):
            found = []
            for t in (tritorch, torch):
                out = t.empty(0, dtype=getattr(t, dtype))
                x = t.tensor([[1.6, 2.7], [3.9, -4.2]], dtype=t.float32)
                found.append(getattr(t, name)(x, dim=0, out=out).tolist())
            assert np.allclose(found[0], found[1], rtol=2e-3 if dtype == "float16" else 1e-6), (name, dtype)


def test_dtypes_of_reductions_that_do_not_fit_out() -> None:
    for t in (tritorch, torch):
        x, double = t.ones(2), t.empty(0, dtype=t.float64)
        for call in (
            lambda: t.sum(x, 0, dtype=t.float32, out=double),  # noqa: B023
            lambda: t.cumsum(x, 0, dtype=t.float32, out=double),  # noqa: B023
            lambda: t.mean(x, 0, dtype=t.float32, out=double),  # noqa: B023
            lambda: t.mean(x, 0, out=t.empty(0, dtype=t.int64)),  # noqa: B023
            lambda: t.mean(x.long(), 0, out=double),  # noqa: B023
        ):
            with pytest.raises(RuntimeError, match="dtype|cast"):
                call()


def test_resized_views_write_into_their_memory() -> None:
    for t in (tritorch, torch):
        base = t.zeros(6)
        with pytest.warns(UserWarning, match="resized"):
            t.add(t.ones(4), 1, out=base[1:3])
        assert base.tolist() == [0, 2, 2, 2, 2, 0]


def test_overlapping_memory_and_wrong_tuples() -> None:
    for t in (tritorch, torch):
        with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
            t.add(t.ones(3), 1, out=t.zeros(1).expand(3))
        for out in (t.empty(0), (t.empty(0),)):
            with pytest.raises(TypeError):
                t.sort(t.ones(3), out=out)
        with pytest.raises(RuntimeError, match="nonzero"):
            t.nonzero(t.ones(2), as_tuple=True, out=t.empty(0, dtype=t.int64))
        for make in (t.zeros, t.empty, t.rand):
            with pytest.raises(TypeError, match="out"):
                make(2, out=[t.empty(2)])


def test_factories_resize_silently() -> None:
    for t in (tritorch, torch):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for call in (
                lambda out: t.ones(2, out=out),  # noqa: B023
                lambda out: t.full((2,), 3.0, out=out),  # noqa: B023
                lambda out: t.eye(2, out=out),  # noqa: B023
                lambda out: t.linspace(0, 1, 4, out=out),  # noqa: B023
                lambda out: t.randn(4, out=out),  # noqa: B023
            ):
                assert call(t.zeros(3)).numel() > 1
        with pytest.warns(UserWarning, match="resized"):
            t.arange(4, out=t.zeros(3))


def test_docstrings_mention_out() -> None:
    for f in (tritorch.sort, tritorch.vstack, tritorch.linalg.inv, tritorch.nn.functional.gelu, tritorch.nonzero):
        assert "`out=`" in f.__doc__
