# ruff: noqa: E501 - tables of one line per case
"""Histograms, differences, covariances, distances and other dense functions against torch: values, gradients, errors."""

from __future__ import annotations

import numpy as np
import pytest

from .compare import both, errors, integers, normal, torch, tritorch, uniform, warned

CASES = {
    "bincount": (lambda t, x: t.bincount(x), integers(7, 20)),
    "bincount weights": (lambda t, x, w: t.bincount(x, w, 12), integers(7, 20), uniform(20)),
    "bincount minlength": (lambda t, x: x.bincount(minlength=10), integers(7, 0)),
    "histc": (lambda t, x: t.histc(x, 5), normal(4, 5)),
    "histc range": (lambda t, x: x.histc(bins=4, min=-1, max=1), normal(4, 5)),
    "histc constant": (lambda t: t.histc(t.ones(3), 4)),
    "histogram": (lambda t, x: t.histogram(x, 5), normal(40)),
    "histogram range": (lambda t, x: x.histogram(4, range=(-1.0, 1.0)), normal(40)),
    "histogram density": (lambda t, x, w: t.histogram(x, 4, weight=w, density=True), normal(40), uniform(40)),
    "histogram edges": (lambda t, x: t.histogram(x, t.tensor([-2.0, -0.5, 0.1, 1.0], dtype=x.dtype)), normal(40)),
    "histogramdd": (lambda t, x: t.histogramdd(x, [3, 4])[0], normal(40, 2)),
    "histogramdd range": (lambda t, x, w: t.histogramdd(x, 3, range=[-1.0, 1.0, -2.0, 2.0], weight=w, density=True)[0], normal(40, 2), uniform(40)),
    "histogram of nothing": (lambda t: (*t.histogram(t.zeros(2, 0), 3), *t.histogramdd(t.zeros(0, 1), [2]).bin_edges)),
    "histogram range of one point": (lambda t, x: t.histogram(x, 2, range=(0.5, 0.5)), normal(40)),
    "diff": (lambda t, x: t.diff(x), normal(3, 5)),
    "diff of order 0": (lambda t, x, a: t.diff(x, 0, 0, a, a), normal(3, 2), normal(1, 2)),
    "diff n": (lambda t, x: x.diff(n=2, dim=0), normal(4, 3)),
    "diff too many": (lambda t, x: t.diff(x, n=5), normal(3)),
    "diff joined": (lambda t, x, a, b: t.diff(x, dim=0, prepend=a, append=b), normal(3, 2), normal(1, 2), normal(2, 2)),
    "diff bool": (lambda t, x: t.diff(x > 2), integers(5, 6)),
    "gradient": (lambda t, x: t.gradient(x), normal(4, 5)),
    "gradient of nothing given": (lambda t, x: t.gradient(x, spacing=None, dim=None, edge_order=2), normal(4, 5)),
    "gradient spacing": (lambda t, x: t.gradient(x, spacing=0.5, dim=1), normal(4, 5)),
    "gradient two": (lambda t, x: t.gradient(x, spacing=[2.0, 0.5], edge_order=2), normal(4, 5)),
    "gradient points": (lambda t, x: t.gradient(x, spacing=(t.tensor([0.0, 1.0, 3.0, 3.5], dtype=x.dtype),), dim=0), normal(4, 5)),
    "gradient points 2": (lambda t, x: t.gradient(x, spacing=[t.tensor([0.0, 1.0, 3.0, 3.5], dtype=x.dtype)], dim=0, edge_order=2), normal(4, 5)),
    "trapezoid": (lambda t, y: t.trapezoid(y), normal(3, 5)),
    "trapezoid x": (lambda t, y, x: t.trapezoid(y, x), normal(3, 5), normal(5)),
    "trapezoid X": (lambda t, y, x: t.trapezoid(y, x, dim=0), normal(3, 5), normal(3, 5)),
    "trapz dx": (lambda t, y: t.trapz(y, dx=0.3, dim=0), normal(3, 5)),
    "cumulative": (lambda t, y, x: t.cumulative_trapezoid(y, x), normal(3, 5), normal(5)),
    "cumulative dx": (lambda t, y: t.cumulative_trapezoid(y, dx=2), normal(3, 5)),
    "cov": (lambda t, x: t.cov(x), normal(3, 8)),
    "cov vector": (lambda t, x: x.cov(correction=0), normal(8)),
    "cov weights": (lambda t, x, f, a: t.cov(x, fweights=f, aweights=a), normal(3, 8), integers(4, 8, low=1), uniform(8, low=0.5)),
    "cov aweights": (lambda t, x, a: t.cov(x, aweights=a), normal(3, 8), uniform(8, low=0.5)),
    "cov of one row": (lambda t, x: (t.cov(x), t.cov(x.long() + t.arange(8)), t.corrcoef(x)), normal(1, 8)),
    "cov float32 aweights": (lambda t, x, f, a: t.cov(x, fweights=f, aweights=a.float().detach()), normal(3, 8), integers(4, 8, low=1), uniform(8, low=0.5)),
    "corrcoef": (lambda t, x: t.corrcoef(x), normal(3, 8)),
    "corrcoef vector": (lambda t, x: x.corrcoef(), normal(8)),
    "dist": (lambda t, a, b: t.dist(a, b), normal(3, 4), normal(4, seed=1)),
    "dist 3": (lambda t, a, b: a.dist(b, 3), normal(3, 4), normal(3, 4, seed=1)),
    "renorm": (lambda t, x: t.renorm(x, 2, 0, 1.5), normal(4, 5)),
    "renorm 1": (lambda t, x: x.renorm(1, -1, 2.0), normal(2, 4, 5)),
    "norms": (lambda t, x: (t.nuclear_norm(x), t.frobenius_norm(x, 1, False), t.norm_except_dim(x, 2, 0)), normal(4, 5)),
    "frexp": (lambda t, x: t.frexp(x), normal(4, 5)),
    "nonzero_static": (lambda t, x: t.nonzero_static(x, size=9, fill_value=-7), integers(3, 3, 4)),
    "nonzero_static short": (lambda t, x: x.nonzero_static(size=2), integers(3, 3, 4)),
    "nonzero_static of nothing": (lambda t, x: x.nonzero_static(size=0), integers(3, 3, 4)),
    "unravel_index of bytes": (lambda t, x: t.unravel_index(x.to(t.uint8), (3, 500, 4)), integers(200, 5)),
    "unravel_index": (lambda t, x: t.unravel_index(x, (2, 3, 4)), integers(24, 5)),
    "segment_reduce": (lambda t, x: [t.segment_reduce(x, r, lengths=t.tensor([2, 0, 3])) for r in ("sum", "max", "min")], normal(5, 2)),
    "segment_reduce initial": (lambda t, x: t.segment_reduce(x, "sum", lengths=t.tensor([2, 0, 3]), initial=1.0), normal(5)),
    "fill": (lambda t, x: t.fill(x, 2.5) + 0 * x, normal(3)),
    "as_strided_scatter": (lambda t, x, y: t.as_strided_scatter(x, y, (2, 2), (3, 1), 1), normal(3, 3), normal(2, 2)),
    "copies": (lambda t, x: (t.select_copy(x, 0, 1), t.slice_copy(x, 1, 1, 4, 2), t.diagonal_copy(x), t.t_copy(x), t.unsqueeze_copy(x, 0),
                             t.permute_copy(x, (1, 0)), t.narrow_copy(x, 0, 1, 2), t.view_copy(x, (5, 4)), t.unfold_copy(x, 1, 2, 2)), normal(4, 5)),
    "split copies": (lambda t, x: (*t.split_copy(x, 2), *t.unbind_copy(x, 1), *t.unsafe_chunk(x, 2), *t.unsafe_split(x, 3)), normal(4, 5)),
    "in place names": (lambda t, x: [f(x.clone()) for f in (t.acos_, t.expm1_, t.reciprocal_, t.round_, t.erf_, t.frac_, t.log1p_)], uniform(3, 4, low=0.1)),
    "mvlgamma": (lambda t, x: x.mvlgamma(2), uniform(5, low=2, high=4)),
    "prelu": (lambda t, x, w: x.prelu(w), normal(2, 3), uniform(3)),
    "hardshrink": (lambda t, x: x.hardshrink(0.3), normal(2, 3)),
    "cond": (lambda t, x: t.cond(t.tensor(True), t.sin, t.cos, (x,)), normal(3)),
}  # fmt: skip
NO_GRADIENT = (
    "bincount",
    "histc",
    "histogram",
    "renorm 1",
    "as_strided_scatter",
)  # the last: torch keeps the written places


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str) -> None:
    case = CASES[name]
    f, *arrays = case if isinstance(case, tuple) else (case,)
    both(
        f,
        *arrays,
        grads=not name.startswith(NO_GRADIENT),
        tol=1e-7 if "renorm" in name else 1e-6 if "float32" in name else None,
    )


def test_float32_and_integers() -> None:
    for name in ("histc", "cov", "diff", "trapezoid", "dist", "frexp"):
        f, *arrays = CASES[name]
        both(f, *arrays, kind="float32", grads=False)
    both(lambda t, x: (t.diff(x), t.cov(x.view(2, 5)), t.trapezoid(x)), integers(9, 10), grads=False, tol=1e-6)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision(kind: str) -> None:
    both(lambda t, x, a: t.cov(x, aweights=a.float()), normal(3, 8), uniform(8, low=0.5), kind=kind, grads=False)
    x = tritorch.from_numpy(normal(3000)).to(getattr(tritorch, kind))
    counts = tritorch.histc(x, 3, -1, 2)  # counted exactly, where torch stops at 2048 and at 256
    assert counts.dtype is x.dtype
    assert tritorch.equal(counts, tritorch.histc(x.float(), 3, -1, 2).to(x.dtype))


def test_in_place_methods() -> None:
    both(lambda t, x: x.clone().logit_(0.1), uniform(5))
    both(lambda t, x: x.clone().renorm_(2, 0, 1.0), normal(3, 4), grads=False)
    both(lambda t, x: x.clone().float_power_(2), uniform(5))
    both(lambda t, x: x.clone().polygamma_(1) + x.clone().igamma_(x) * 0, uniform(5, low=0.5), grads=False)
    both(lambda t, x: x.clone().apply_(lambda v: v * 2 + 1), normal(3, 4), grads=False)
    both(lambda t, x, y: x.clone().map_(y, lambda a, b: a * b), normal(3, 4), normal(4), grads=False)
    both(lambda t, x: t.complex(x, x).conj_physical_().imag, normal(3), grads=False)


ERRORS = {
    "bincount negative": lambda t: t.bincount(t.tensor([-1, 2])),
    "bincount floats": lambda t: t.bincount(t.ones(2)),
    "bincount matrix": lambda t: t.bincount(t.ones(2, 2, dtype=t.int64)),
    "histc bins": lambda t: t.histc(t.ones(3), 0),
    "histc order": lambda t: t.histc(t.ones(3), 2, min=3, max=1),
    "histc nan": lambda t: t.histc(t.tensor([1.0, float("nan")])),
    "histc ints": lambda t: t.histc(t.tensor([1, 2])),
    "diff": lambda t: t.diff(t.tensor(1.0)),
    "diff n": lambda t: t.diff(t.ones(3), n=-1),
    "gradient short": lambda t: t.gradient(t.ones(1)),
    "gradient order": lambda t: t.gradient(t.ones(4), edge_order=3),
    "cov": lambda t: t.cov(t.ones(2, 2, 2)),
    "cov weights": lambda t: t.cov(t.ones(2, 3), fweights=t.ones(3)),
    "renorm": lambda t: t.renorm(t.ones(3), 2, 0, 1.0),
    "renorm max": lambda t: t.renorm(t.ones(3, 3), 2, 0, -1.0),
    "frexp": lambda t: t.frexp(t.tensor([1, 2])),
    "apply": lambda t: t.ones(2, requires_grad=True).apply_(abs),
    "resize": lambda t: t.ones(2, requires_grad=True).resize_(3),
    "is_nonzero": lambda t: t.is_nonzero(t.ones(2)),
    "unravel": lambda t: t.unravel_index(t.ones(2), (2, 2)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    errors(ERRORS[name])


def test_cov_warns_without_degrees_of_freedom() -> None:
    ours, theirs = warned(lambda t: t.cov(t.ones(2, 1)))
    assert len(ours) == len(theirs) == 1


def test_edges_of_histogramdd() -> None:
    for bins in (2, [2, 3]):
        ours, theirs = (t.histogramdd(t.arange(6.0).reshape(3, 2) * 0 + 1, bins)[1] for t in (tritorch, torch))
        for a, b in zip(ours, theirs, strict=True):
            assert np.allclose(a.numpy(), b.numpy())


def test_gradient_of_as_strided_scatter() -> None:
    x = tritorch.randn(3, 3, dtype=tritorch.float64, requires_grad=True)
    y = tritorch.randn(2, 2, dtype=tritorch.float64, requires_grad=True)
    f = lambda a, b: tritorch.as_strided_scatter(a, b, (2, 2), (3, 1), 1)  # noqa: E731
    assert tritorch.autograd.gradcheck(f, (x, y))
