"""torch.special and the gamma family against torch: values, special values, gradients, dtypes, errors."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

INF, NAN = float("inf"), float("nan")
LINE = [*np.linspace(-12, 12, 97).tolist(), 1e-6, 1e-3, 50.0, -50.0, INF, -INF, NAN, -0.0]
UNARY = """airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 digamma entr erf erfc erfcx exp2 expit expm1 gammaln i0 i0e i1
i1e log1p log_ndtr modified_bessel_i0 modified_bessel_i1 modified_bessel_k0 modified_bessel_k1 ndtr psi
scaled_modified_bessel_k0 scaled_modified_bessel_k1 sinc spherical_bessel_j0 round logit""".split()
COARSE = {"airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1"}  # torch itself is off by 1e-6 and more
AT_INFINITY = {  # torch gives NaN where the function has a limit
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "i0", "i1", "modified_bessel_i0", "modified_bessel_i1",
    "modified_bessel_k0", "modified_bessel_k1", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "i0e", "i1e",
    "spherical_bessel_j0", "sinc", "erfcx",
}  # fmt: skip
POLYNOMIALS = [
    f"{s}chebyshev_polynomial_{k}" for s in ("", "shifted_") for k in "tuvw"
] + ["hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p"]  # fmt: skip


def same(ours, theirs, tol: float, what: str) -> None:
    assert repr(ours.dtype) == repr(theirs.dtype), what
    assert tuple(ours.shape) == tuple(theirs.shape), what
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=tol, atol=tol, err_msg=what)


@pytest.mark.parametrize("name", UNARY)
def test_values(name: str) -> None:
    values = [v for v in LINE if np.isfinite(v)] if name in AT_INFINITY else LINE
    for dtype, tol in (("float64", 1e-12), ("float32", 1e-4)):
        tol = 1e-5 if name in COARSE else tol
        a = tritorch.tensor(values, dtype=getattr(tritorch, dtype))
        b = torch.tensor(values, dtype=getattr(torch, dtype))
        ours, theirs = getattr(tritorch.special, name)(a), getattr(torch.special, name)(b)
        if name == "ndtr" or name == "airy_ai":  # torch loses the left tail
            theirs = torch.where(theirs.abs() < 1e-14, torch.tensor(0.0, dtype=theirs.dtype), theirs)
            ours = tritorch.where(ours.abs() < 1e-14, tritorch.tensor(0.0, dtype=ours.dtype), ours)
        if dtype == "float32":
            keep = (theirs.abs() < 1e30) | ~theirs.isfinite()
            if name in ("gammaln", "digamma", "psi"):  # poles between neighbouring float32 numbers
                keep &= b > 0
            ours, theirs = ours[tritorch.tensor(keep.tolist())], theirs[keep]
        same(ours, theirs, tol, name)
    if name not in ("round",):
        same(
            getattr(tritorch.special, name)(tritorch.tensor([1, 2])),
            getattr(torch.special, name)(torch.tensor([1, 2])),
            1e-5,
            name,
        )


def test_bessel_functions_satisfy_their_identities() -> None:
    s = tritorch.special
    x = tritorch.linspace(0.1, 60, 500, dtype=tritorch.float64)
    wronskian = s.bessel_j1(x) * s.bessel_y0(x) - s.bessel_j0(x) * s.bessel_y1(x)
    np.testing.assert_allclose((wronskian * x).numpy(), 2 / np.pi, rtol=2e-13)
    product = s.i0e(x) * s.scaled_modified_bessel_k1(x) + s.i1e(x) * s.scaled_modified_bessel_k0(x)
    np.testing.assert_allclose((product * x).numpy(), 1.0, rtol=2e-14)
    near = tritorch.linspace(-3, 3, 100, dtype=tritorch.float64)
    np.testing.assert_allclose(s.erfcx(near).numpy(), (near * near).exp().numpy() * s.erfc(near).numpy(), rtol=1e-13)


@pytest.mark.parametrize("name", [n for n in UNARY if n not in ("airy_ai", "logit")] + ["ndtri", "erfinv", "logit"])
def test_gradients(name: str) -> None:
    values = np.random.default_rng(0).uniform(0.1, 0.9, 12)
    if name not in ("ndtri", "erfinv", "logit", "entr"):
        values = np.concatenate([values, values * 10 + 1.1])
    x = tritorch.tensor(values, requires_grad=True)
    y = getattr(tritorch.special, name)(x)
    (g,) = tritorch.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = tritorch.autograd.grad(g.sum(), x) if g.requires_grad else (tritorch.zeros_like(g),)
    z = torch.tensor(values, requires_grad=True)
    w = getattr(torch.special, name)(z)
    try:
        (k,) = torch.autograd.grad(w.sum(), z, create_graph=True)
    except (RuntimeError, NotImplementedError):  # torch has no derivative of it: by differences of the function
        eps = 1e-6
        f = getattr(tritorch.special, name)
        by = (f(x.detach() + eps) - f(x.detach() - eps)) / (2 * eps)
        np.testing.assert_allclose(g.detach().numpy(), by.numpy(), rtol=1e-6, atol=1e-8)
        return
    same(g, k, 1e-9, name)
    if k.requires_grad:
        try:
            same(h, torch.autograd.grad(k.sum(), z)[0], 1e-8, f"{name}, second derivative")
        except (RuntimeError, NotImplementedError) as error:
            assert "not implemented" in str(error) or "not differentiable" in str(error)


def both(f, *arrays, tol: float = 1e-11) -> None:
    ours = f(tritorch, *[tritorch.tensor(a) for a in arrays])
    theirs = f(torch, *[torch.tensor(a) for a in arrays])
    same(ours, theirs, tol, "")


def test_ndtri_and_erfinv() -> None:
    p = np.concatenate([np.linspace(0, 1, 101), 10.0 ** -np.arange(2, 300, 20), [NAN, -0.5, 1.5]])
    both(lambda t, x: t.special.ndtri(x), p)
    both(lambda t, x: t.special.erfinv(x), np.linspace(-1, 1, 101), tol=1e-10)


def test_incomplete_gamma() -> None:
    a, x = np.meshgrid([0.0, 0.1, 1, 2.5, 20, 150, INF], [0.0, 0.01, 0.5, 2, 19, 100, 160, INF, -1])
    both(lambda t, a, x: t.special.gammainc(a, x), a, x, tol=1e-9)
    both(lambda t, a, x: t.special.gammaincc(a, x), a, x, tol=1e-9)
    both(lambda t, a, x: t.igamma(a, x) + a.igammac(x) * 0, a[:6, :6], x[:6, :6], tol=1e-9)
    both(lambda t, a: t.special.gammainc(a, a * NAN) + t.special.gammaincc(a * NAN, a), a[:, :6])
    got = []
    for lib in (tritorch, torch):
        v = lib.tensor([0.5, 2.0, 7.0], dtype=lib.float64, requires_grad=True)
        (g,) = lib.autograd.grad(
            lib.igamma(lib.tensor([1.0, 3.0, 5.0], dtype=lib.float64), v).sum(), v, create_graph=True
        )
        got.append((g, *lib.autograd.grad(g.sum(), v)))
    for ours, theirs in zip(*got, strict=True):
        same(ours, theirs, 1e-10, "igamma")
    with pytest.raises(NotImplementedError):
        tritorch.igamma(tritorch.ones(1, requires_grad=True), tritorch.ones(1))


def test_polygamma_zeta_mvlgamma() -> None:
    x = np.concatenate([np.linspace(-4.77, 20.3, 63), [0.0, 100.0, INF, NAN]])
    for n in range(5):
        keep = x[~np.isinf(x)] if n else x
        both(lambda t, v, n=n: t.polygamma(n, v), keep, tol=1e-9)
        both(lambda t, v, n=n: v.polygamma(n) + t.special.polygamma(n, v), keep, tol=1e-9)
    both(lambda t, v: t.polygamma(2, v.float()), np.linspace(0.5, 5, 20), tol=1e-4)
    s, q = np.meshgrid([1.0, 1.5, 2, 3, 7.5, 30], [0.1, 1, 2.5, 40, -0.5, -3.5, 0, -2])
    both(lambda t, a, b: t.special.zeta(a, b), s, q)
    both(lambda t, b: t.special.zeta(2.0, b), q)
    both(lambda t, a: t.special.zeta(a, 1.5), s)
    for p in (1, 2, 5):
        both(lambda t, v, p=p: t.mvlgamma(v, p) + v.mvlgamma(p) + t.special.multigammaln(v, p), np.linspace(2.1, 9, 20))
    got = []
    for lib in (tritorch, torch):
        v = lib.tensor([0.5, 2.0, 7.0], dtype=lib.float64, requires_grad=True)
        y = lib.polygamma(1, v) + lib.mvlgamma(v + 2, 3) + lib.special.zeta(lib.tensor(2.5), v)
        got.append(lib.autograd.grad(y.sum(), v)[0])
    same(*got, 1e-9, "gradients")
    for call in (lambda t: t.polygamma(-1, t.ones(2)), lambda t: t.mvlgamma(t.ones(2), 0)):
        with pytest.raises(RuntimeError):
            call(torch)
        with pytest.raises(RuntimeError):
            call(tritorch)


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomials(name: str) -> None:
    x, n = np.meshgrid(np.linspace(-1.5, 1.5, 13), np.arange(-1.0, 11))
    both(lambda t, a, b: getattr(t.special, name)(a, b), x, n, tol=1e-10)
    both(lambda t, a: getattr(t.special, name)(a, 4), x, tol=1e-10)
    ours = getattr(tritorch.special, name)(tritorch.tensor(x), tritorch.tensor([3] * 13))
    assert ours.dtype is tritorch.float64
    with pytest.raises(NotImplementedError):
        getattr(tritorch.special, name)(tritorch.ones(2, requires_grad=True), 2)


def test_the_rest() -> None:
    a, b = np.meshgrid([-1.0, 0, 0.5, NAN, INF], [-1.5, -1, 0, 2.0, INF, NAN])
    for name in ("xlog1py", "xlogy"):
        both(lambda t, u, v, name=name: getattr(t.special, name)(u, v), a, b)
        both(lambda t, v, name=name: getattr(t.special, name)(0.0, v), b)
        both(lambda t, u, name=name: getattr(t.special, name)(u, 2.0), a)
    both(
        lambda t, x: t.special.logsumexp(x, 1) + t.special.softmax(x, 1).sum(1) + t.special.log_softmax(x, 1).sum(1),
        a[:3, :3],
    )
    assert {n for n in dir(torch.special) if not n.startswith("_")} - set(dir(tritorch.special)) <= {
        "Tensor", "common_args", "multi_dim_common", "torch",
    }  # fmt: skip


def test_out_and_errors() -> None:
    y = tritorch.empty(2)
    assert tritorch.special.entr(tritorch.ones(2), out=y) is y and y.tolist() == [0.0, 0.0]
    for lib, call in itertools.product(
        (torch, tritorch), (lambda t: t.special.i0([1.0]), lambda t: t.special.zeta(1.0, 2.0))
    ):
        with warnings.catch_warnings(), pytest.raises(TypeError):
            warnings.simplefilter("ignore")
            call(lib)
