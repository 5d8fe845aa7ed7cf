# ruff: noqa: E501 - a table of one line per case
"""torch.distributions against torch: every distribution with several shapes of parameters, divergences, transforms."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402


def cpu_is_intel() -> bool:
    with open("/proc/cpuinfo") as f:
        return "GenuineIntel" in f.read()


MKL = (
    {"Exponential", "Weibull", "Pareto"} if cpu_is_intel() else set()
)  # PyTorch draws exponential numbers by MKL there


class Side:
    """One library, and tensors from lists in one dtype."""

    def __init__(self, lib: Any, dtype: str = "float64"):
        self.lib, self.D, self.dtype = lib, lib.distributions, getattr(lib, dtype)

    def __call__(self, values: Any) -> Any:
        return self.lib.tensor(values, dtype=self.dtype)

    def whole(self, values: Any) -> Any:
        return self.lib.tensor(values)

    def from_numpy(self, a: np.ndarray) -> Any:
        return self.lib.tensor(a.tolist(), dtype=getattr(self.lib, str(a.dtype))).reshape(a.shape)


# name -> makers of a distribution, given a Side `t`
COV = [[2.0, 0.5, 0.1], [0.5, 1.5, -0.3], [0.1, -0.3, 1.0]]
TRIL = [[1.2, 0.0, 0.0], [0.4, 0.9, 0.0], [-0.3, 0.2, 1.1]]
P3 = [[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]]
W32 = [[0.5, -0.2], [0.3, 0.8], [-0.4, 0.1]]
TABLE: dict[str, list[Callable[[Side], Any]]] = {
    "Normal": [lambda t: t.D.Normal(0.5, 2.0), lambda t: t.D.Normal(t([0.1, -1.0]), t([1.5, 0.3])), lambda t: t.D.Normal(t([[0.0], [2.0]]), t([1.0, 0.5, 3.0]))],
    "LogNormal": [lambda t: t.D.LogNormal(0.2, 0.5), lambda t: t.D.LogNormal(t([0.1, -1.0]), t([0.5, 0.3]))],
    "HalfNormal": [lambda t: t.D.HalfNormal(2.0), lambda t: t.D.HalfNormal(t([0.5, 3.0]))],
    "Cauchy": [lambda t: t.D.Cauchy(0.5, 2.0), lambda t: t.D.Cauchy(t([0.1, -1.0]), t([1.5, 0.3]))],
    "HalfCauchy": [lambda t: t.D.HalfCauchy(2.0), lambda t: t.D.HalfCauchy(t([0.5, 3.0]))],
    "Uniform": [lambda t: t.D.Uniform(-1.0, 2.0), lambda t: t.D.Uniform(t([0.0, 1.0]), t([0.5, 4.0]))],
    "Exponential": [lambda t: t.D.Exponential(2.0), lambda t: t.D.Exponential(t([[0.5], [3.0]]))],
    "Laplace": [lambda t: t.D.Laplace(0.5, 2.0), lambda t: t.D.Laplace(t([0.1, -1.0]), t([1.5, 0.3]))],
    "Gamma": [lambda t: t.D.Gamma(2.0, 0.5), lambda t: t.D.Gamma(t([0.3, 1.0, 7.0]), t([1.0, 2.0, 0.4]))],
    "Chi2": [lambda t: t.D.Chi2(3.0), lambda t: t.D.Chi2(t([0.5, 4.0]))],
    "InverseGamma": [lambda t: t.D.InverseGamma(3.0, 2.0), lambda t: t.D.InverseGamma(t([0.7, 1.5, 4.0]), t([1.0, 2.0, 3.0]))],
    "Beta": [lambda t: t.D.Beta(2.0, 0.5), lambda t: t.D.Beta(t([0.3, 2.0, 3.0]), t([0.6, 5.0, 1.2]))],
    "Dirichlet": [lambda t: t.D.Dirichlet(t([0.5, 2.0, 3.0])), lambda t: t.D.Dirichlet(t([[0.5, 0.2], [3.0, 0.5]]))],
    "StudentT": [lambda t: t.D.StudentT(3.0), lambda t: t.D.StudentT(t([0.8, 1.5, 5.0]), 0.5, t([1.0, 2.0, 0.5]))],
    "FisherSnedecor": [lambda t: t.D.FisherSnedecor(3.0, 5.0), lambda t: t.D.FisherSnedecor(t([1.0, 4.0]), t([1.5, 9.0]))],
    "Gumbel": [lambda t: t.D.Gumbel(0.5, 2.0), lambda t: t.D.Gumbel(t([0.1, -1.0]), t([1.5, 0.3]))],
    "Weibull": [lambda t: t.D.Weibull(1.0, 2.0), lambda t: t.D.Weibull(t([0.5, 2.0]), t([1.5, 3.0]))],
    "Pareto": [lambda t: t.D.Pareto(1.0, 3.0), lambda t: t.D.Pareto(t([0.5, 2.0, 1.0]), t([0.9, 1.5, 4.0]))],
    "Kumaraswamy": [lambda t: t.D.Kumaraswamy(2.0, 3.0), lambda t: t.D.Kumaraswamy(t([0.7, 2.0]), t([1.0, 0.5]))],
    "LogisticNormal": [lambda t: t.D.LogisticNormal(t([0.0, 0.5]), t([1.0, 0.3])), lambda t: t.D.LogisticNormal(t([[0.0], [1.0]]), t([[1.0], [0.3]]))],
    "GeneralizedPareto": [lambda t: t.D.GeneralizedPareto(0.5, 2.0, 0.2), lambda t: t.D.GeneralizedPareto(t([0.0, 1.0, 0.0]), 1.5, t([0.0, -0.5, 0.3]))],
    "VonMises": [lambda t: t.D.VonMises(t(0.5), t(2.0)), lambda t: t.D.VonMises(t([0.1, -1.0]), t([0.5, 9.0]))],
    "Bernoulli": [lambda t: t.D.Bernoulli(0.3), lambda t: t.D.Bernoulli(t([0.0, 0.5, 1.0])), lambda t: t.D.Bernoulli(logits=t([[0.2], [-3.0]]))],
    "Geometric": [lambda t: t.D.Geometric(0.3), lambda t: t.D.Geometric(t([0.9, 0.5])), lambda t: t.D.Geometric(logits=t([0.2, -1.0]))],
    "Binomial": [lambda t: t.D.Binomial(5, t(0.3)), lambda t: t.D.Binomial(40, t([0.9, 0.5])), lambda t: t.D.Binomial(t([4.0, 7.0]), logits=t([0.2, -1.0]))],
    "NegativeBinomial": [lambda t: t.D.NegativeBinomial(5.0, t(0.3)), lambda t: t.D.NegativeBinomial(t([3.0, 2.5]), logits=t([0.2, -1.0]))],
    "Poisson": [lambda t: t.D.Poisson(3.0), lambda t: t.D.Poisson(t([0.2, 40.0]))],
    "ContinuousBernoulli": [lambda t: t.D.ContinuousBernoulli(t(0.3)), lambda t: t.D.ContinuousBernoulli(t([0.1, 0.4995, 0.5, 0.9])), lambda t: t.D.ContinuousBernoulli(logits=t([0.2, -1.0]))],
    "Categorical": [lambda t: t.D.Categorical(t([1.0, 2.0, 1.0])), lambda t: t.D.Categorical(t(P3)), lambda t: t.D.Categorical(logits=t(P3))],
    "OneHotCategorical": [lambda t: t.D.OneHotCategorical(t([1.0, 2.0, 1.0])), lambda t: t.D.OneHotCategorical(logits=t(P3))],
    "OneHotCategoricalStraightThrough": [lambda t: t.D.OneHotCategoricalStraightThrough(t(P3))],
    "Multinomial": [lambda t: t.D.Multinomial(5, t([1.0, 2.0, 1.0])), lambda t: t.D.Multinomial(3, logits=t(P3))],
    "RelaxedBernoulli": [lambda t: t.D.RelaxedBernoulli(t(0.7), t(0.3)), lambda t: t.D.RelaxedBernoulli(t(1.5), logits=t([0.2, -1.0]))],
    "RelaxedOneHotCategorical": [lambda t: t.D.RelaxedOneHotCategorical(t(0.7), t([1.0, 2.0, 1.0])), lambda t: t.D.RelaxedOneHotCategorical(t(1.5), logits=t(P3))],
    "MultivariateNormal": [
        lambda t: t.D.MultivariateNormal(t([0.0, 1.0, -1.0]), t(COV)),
        lambda t: t.D.MultivariateNormal(t([[0.0, 1.0, -1.0], [2.0, 0.0, 0.0]]), precision_matrix=t(COV)),
        lambda t: t.D.MultivariateNormal(t([0.0, 1.0, -1.0]), scale_tril=t([TRIL, np.eye(3).tolist()])),
    ],
    "LowRankMultivariateNormal": [
        lambda t: t.D.LowRankMultivariateNormal(t([0.0, 1.0, -1.0]), t(W32), t([0.5, 1.0, 0.2])),
        lambda t: t.D.LowRankMultivariateNormal(t([[0.0, 1.0, -1.0], [2.0, 0.0, 0.0]]), t(W32), t([0.5, 1.0, 0.2])),
    ],
    "Wishart": [lambda t: t.D.Wishart(t(4.0), t(COV)), lambda t: t.D.Wishart(t([3.5, 6.0]), scale_tril=t(TRIL)), lambda t: t.D.Wishart(5, precision_matrix=t(COV))],
    "LKJCholesky": [lambda t: t.D.LKJCholesky(3, t(1.5)), lambda t: t.D.LKJCholesky(2, t([0.5, 2.0]))],
    "MixtureSameFamily": [
        lambda t: t.D.MixtureSameFamily(t.D.Categorical(t([1.0, 3.0])), t.D.Normal(t([-1.0, 1.0]), t([0.5, 1.0]))),
        lambda t: t.D.MixtureSameFamily(t.D.Categorical(t(P3)), t.D.Independent(t.D.Normal(t(np.arange(12.0).reshape(2, 3, 2).tolist()), 1.0), 1)),
    ],
    "Independent": [lambda t: t.D.Independent(t.D.Normal(t(P3), 1.0), 1), lambda t: t.D.Independent(t.D.Bernoulli(t(P3)), 2), lambda t: t.D.Independent(t.D.Normal(t(P3), 1.0), 0)],
    "TransformedDistribution": [
        lambda t: t.D.TransformedDistribution(t.D.Normal(t([0.0, 1.0]), 1.0), [t.D.AffineTransform(1.0, -2.0), t.D.SigmoidTransform()]),
        lambda t: t.D.TransformedDistribution(t.D.Normal(t([0.0, 1.0]), 1.0), t.D.StickBreakingTransform()),
        lambda t: t.D.TransformedDistribution(t.D.Normal(0.0, 1.0), []),
    ],
}  # fmt: skip
CASES = [(name, i) for name, makers in TABLE.items() for i in range(len(makers))]
OURS_IS_RIGHT = {("Kumaraswamy", "mode")}  # torch takes log1p(-b) there: NaN
ROUGH = {
    "VonMises": 1e-6,
    "Multinomial": 1e-7,
}  # torch has polynomials of single precision, and a float32 number, there
FLOAT32 = {"GeneralizedPareto"}  # torch's compares with a float32 zero: it raises for float64
BROKEN = AttributeError  # what torch raises by accident, and not in a check


def make(name: str, i: int) -> tuple[Any, Any]:
    dtype = kind(name)
    return TABLE[name][i](Side(tritorch, dtype)), TABLE[name][i](Side(torch, dtype))


def kind(name: str) -> str:
    return "float32" if name in FLOAT32 else "float64"


def same(a: Any, b: Any, what: str, tol: float = 1e-9) -> None:
    assert tuple(a.shape) == tuple(b.shape), f"{what}: shape {tuple(a.shape)} against {tuple(b.shape)}"
    assert str(a.dtype) == str(b.dtype), f"{what}: {a.dtype} against {b.dtype}"
    tol = max(tol, 2e-5) if str(b.dtype) == "torch.float32" else tol  # of numbers as parameters
    x, y = np.array(a.detach().tolist()), np.array(b.detach().tolist())
    np.testing.assert_allclose(x, y, rtol=tol, atol=tol, err_msg=what)


def outcome(f: Callable[[], Any]) -> tuple[Any, type | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return f(), None
        except Exception as error:  # noqa: BLE001 - the kind is what is compared
            return None, type(error)


def both(ours: Callable[[], Any], theirs: Callable[[], Any], what: str, tol: float = 1e-9) -> None:
    """Equal tensors, or errors that the other's handler catches."""
    (a, error), (b, expected) = outcome(ours), outcome(theirs)
    if expected is None:
        assert error is None, f"{what}: raises {error}, torch gives {b}"
        same(a, b, what, tol)
    elif expected is not BROKEN:
        assert error is not None and issubclass(error, expected), f"{what}: {error} {a}, torch raises {expected}"


def values(theirs: Any) -> np.ndarray:
    """Values in the support, by torch: of shape (5, *batch, *event)."""
    torch.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return theirs.sample((5,)).numpy()


@pytest.mark.parametrize(("name", "i"), CASES)
def test_properties(name: str, i: int) -> None:
    ours, theirs = make(name, i)
    assert repr(ours) == repr(theirs).replace("torch.float64", "torch.float64")
    assert (ours.batch_shape, ours.event_shape) == (tuple(theirs.batch_shape), tuple(theirs.event_shape))
    assert (ours.has_rsample, ours.has_enumerate_support) == (theirs.has_rsample, theirs.has_enumerate_support)
    assert repr(ours.support) == repr(theirs.support)
    tol = ROUGH.get(name, 1e-9)
    for what in ("mean", "mode", "variance", "stddev"):
        if (name, what) not in OURS_IS_RIGHT:
            both(lambda w=what: getattr(ours, w), lambda w=what: getattr(theirs, w), f"{name} {what}", tol)
    for what in ("entropy", "perplexity", "enumerate_support"):
        both(lambda w=what: getattr(ours, w)(), lambda w=what: getattr(theirs, w)(), f"{name} {what}", tol)
    both(lambda: ours.enumerate_support(False), lambda: theirs.enumerate_support(False), f"{name} enumerate_support")


@pytest.mark.parametrize(("name", "i"), CASES)
def test_functions_of_values(name: str, i: int) -> None:
    ours, theirs = make(name, i)
    tol = ROUGH.get(name, 1e-9)
    v = values(theirs)
    a, b = Side(tritorch).from_numpy(v), torch.tensor(v)
    both(lambda: ours.log_prob(a), lambda: theirs.log_prob(b), f"{name} log_prob", tol)
    both(lambda: ours.log_prob(a[0]), lambda: theirs.log_prob(b[0]), f"{name} log_prob of a batch", tol)
    both(lambda: ours.cdf(a), lambda: theirs.cdf(b), f"{name} cdf", tol)
    u = np.random.default_rng(1).uniform(0.02, 0.98, v.shape).astype(kind(name))
    both(lambda: ours.icdf(Side(tritorch).from_numpy(u)), lambda: theirs.icdf(torch.tensor(u)), f"{name} icdf", 1e-8)


@pytest.mark.parametrize(("name", "i"), CASES)
def test_expand(name: str, i: int) -> None:
    ours, theirs = make(name, i)
    shape = (4, *theirs.batch_shape)
    if not theirs.batch_shape and name == "TransformedDistribution":
        shape = (4,)
    a, b = ours.expand(shape), theirs.expand(shape)
    assert repr(a) == repr(b)
    assert (a.batch_shape, a.event_shape, type(a).__name__) == (
        tuple(b.batch_shape),
        tuple(b.event_shape),
        type(b).__name__,
    )
    v = values(b)
    x, y = Side(tritorch).from_numpy(v), torch.tensor(v)
    both(lambda: a.log_prob(x), lambda: b.log_prob(y), f"{name} log_prob", ROUGH.get(name, 1e-9))
    for what in ("mean", "variance"):
        both(lambda w=what: getattr(a, w), lambda w=what: getattr(b, w), f"{name} {what}", 1e-6)
    both(a.entropy, b.entropy, f"{name} entropy", ROUGH.get(name, 1e-9))


@pytest.mark.parametrize(("name", "i"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_samples_for_equal_seeds(name: str, i: int, dtype: str) -> None:
    if name in MKL:
        return
    found = []
    for lib in (tritorch, torch):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            d = TABLE[name][i](Side(lib, dtype))
            lib.manual_seed(11)
            if name == "Wishart":  # torch takes good samples for singular ones and draws again
                draws = [d.rsample(shape, max_try_correction=0) for shape in ((), (7,), (2, 3))]
            else:
                draws = [d.sample(), d.sample((7,)), d.sample((2, 3))]
                draws += [d.rsample((5,))] if d.has_rsample else []
            draws.append(lib.rand(2))  # as many numbers were taken
        found.append(draws)
    for a, b in zip(*found, strict=True):
        same(a, b, name, 2e-5 if dtype == "float32" else 1e-12)


EXACT = (
    "Normal",
    "Uniform",
    "Cauchy",
    "Bernoulli",
    "Binomial",
    "Poisson",
    "Categorical",
    "OneHotCategorical",
    "Multinomial",
    "HalfNormal",
    "Gamma",
    "Chi2",
    "Beta",
    "Dirichlet",
    "MixtureSameFamily",
)


@pytest.mark.parametrize("name", EXACT)
def test_samples_of_equal_bits(name: str) -> None:
    for make_one in TABLE[name]:
        found = []
        for lib in (tritorch, torch):
            lib.manual_seed(5)
            found.append(make_one(Side(lib, "float32")).sample((50,)).numpy())
        np.testing.assert_array_equal(*found)


EDGES: dict[str, tuple[Callable[[Any, Any], Any], list[float], list[float]]] = {  # by (D, parameter), parameters, values
    "Bernoulli": (lambda D, p: D.Bernoulli(p), [0.0, 0.0, 1.0, 1.0, 0.5], [0.0, 1.0, 0.0, 1.0, 1.0]),
    "Bernoulli by logits": (lambda D, p: D.Bernoulli(logits=p), [-200.0, 200.0, -800.0, 0.0], [1.0, 0.0, 0.0, 1.0]),
    "Geometric": (lambda D, p: D.Geometric(p), [1.0, 1.0, 0.3, 1e-9], [0.0, 2.0, 0.0, 5.0]),
    "Geometric by logits": (lambda D, p: D.Geometric(logits=p), [50.0, -50.0, 0.0], [0.0, 2.0, 5.0]),
    "Binomial": (lambda D, p: D.Binomial(4, p), [0.0, 0.0, 1.0, 1.0, 0.3], [0.0, 1.0, 4.0, 2.0, 4.0]),
    "Binomial by logits": (lambda D, p: D.Binomial(4, logits=p), [-40.0, 40.0, 0.0, 300.0], [0.0, 1.0, 4.0, 2.0]),
    "NegativeBinomial": (lambda D, p: D.NegativeBinomial(p * 0, p), [0.3, 0.3], [0.0, 2.0]),
    "Poisson": (lambda D, p: D.Poisson(p), [0.0, 0.0, 1e-9, 1e6], [0.0, 1.0, 1.0, 1e6]),
    "Uniform": (lambda D, p: D.Uniform(p * 0, p), [1.0, 1.0, 2.0], [0.0, 1.0, 2.0]),
    "Beta": (lambda D, p: D.Beta(p, p), [1.0, 0.5, 2.0, 1.0], [0.0, 0.5, 1.0, 1.0]),
    "Gamma": (lambda D, p: D.Gamma(p, p), [1.0, 0.5, 2.0, 1.0], [0.0, 0.0, 0.0, 1e9]),
    "Pareto": (lambda D, p: D.Pareto(p, p), [1.0, 0.5, 2.0], [1.0, 0.5, 9.0]),
    "ContinuousBernoulli": (lambda D, p: D.ContinuousBernoulli(p), [0.0, 1.0, 0.5, 0.4991, 0.499], [0.0, 1.0, 0.5, 0.2, 0.3]),
    "Weibull": (lambda D, p: D.Weibull(p, p), [1.0, 0.5, 2.0], [1e-300, 0.5, 1e10]),
    "Gumbel": (lambda D, p: D.Gumbel(p, p), [1.0, 0.5, 2.0], [-100.0, 0.5, 1e10]),
    "RelaxedBernoulli": (lambda D, p: D.RelaxedBernoulli(p * 0 + 0.1, logits=p), [-50.0, 4.0, 0.0], [1e-9, 0.5, 0.999999]),
}  # fmt: skip


@pytest.mark.parametrize("name", EDGES)
def test_edges_of_support_and_parameters(name: str) -> None:
    maker, parameters, at = EDGES[name]
    found = []
    for lib in (tritorch, torch):
        t = Side(lib)
        p, x = t(parameters).requires_grad_(), t(at).requires_grad_()
        d = maker(lib.distributions, p)
        lp = d.log_prob(x)
        gradients = lib.autograd.grad(lp.sum(), (p, x), allow_unused=True)
        found.append([lp, *[g for g in gradients if g is not None]])
        found[-1] += [] if name == "RelaxedBernoulli" else [d.mean, d.variance]
    for a, b in zip(*found, strict=True):
        same(a, b, name, 1e-7)


@pytest.mark.parametrize(("p", "q"), list(itertools.product(("full", "low rank"), repeat=2)))
def test_normal_vectors_of_any_batch(p: str, q: str) -> None:
    def vectors(t: Side, form: str, batch: tuple[int, ...], seed: int) -> Any:
        rng = np.random.default_rng(seed)
        loc, w, d = rng.normal(size=(*batch, 3)), rng.normal(size=(*batch, 3, 2)), rng.uniform(0.5, 2, (*batch, 3))
        if form == "low rank":
            return t.D.LowRankMultivariateNormal(t(loc.tolist()), t(w.tolist()), t(d.tolist()))
        cov = w @ w.swapaxes(-1, -2) + np.eye(3)
        return t.D.MultivariateNormal(t(loc.tolist()), t(cov.tolist()))

    for a, b in [((), (2,)), ((2,), ()), ((3, 1), (2,)), ((2,), (3, 2))]:
        found = [vectors(t, p, a, 1) for t in (Side(tritorch), Side(torch))]
        others = [vectors(t, q, b, 2) for t in (Side(tritorch), Side(torch))]
        same(*[t.D.kl_divergence(x, y) for t, x, y in zip((Side(tritorch), Side(torch)), found, others)], f"KL {a} {b}")
        for shape in ((3,), (2, 3), (4, 1, 1, 3)):
            v = np.random.default_rng(3).normal(size=shape).tolist()
            same(found[0].log_prob(Side(tritorch)(v)), found[1].log_prob(Side(torch)(v)), f"log_prob {a} {shape}")


# ---- gradients ---------------------------------------------------------------------------------------------------------

PATHS: dict[str, Callable[..., Any]] = {
    "Normal": lambda D, a, b: D.Normal(a, b), "LogNormal": lambda D, a, b: D.LogNormal(a, b), "Cauchy": lambda D, a, b: D.Cauchy(a, b),
    "Laplace": lambda D, a, b: D.Laplace(a, b), "Gumbel": lambda D, a, b: D.Gumbel(a, b), "Uniform": lambda D, a, b: D.Uniform(a, a + b),
    "Gamma": lambda D, a, b: D.Gamma(a, b), "Beta": lambda D, a, b: D.Beta(a, b), "StudentT": lambda D, a, b: D.StudentT(a, b, b),
    "Weibull": lambda D, a, b: D.Weibull(a, b), "Kumaraswamy": lambda D, a, b: D.Kumaraswamy(a, b), "InverseGamma": lambda D, a, b: D.InverseGamma(a, b),
    "FisherSnedecor": lambda D, a, b: D.FisherSnedecor(a, b), "Dirichlet": lambda D, a, b: D.Dirichlet(a * b), "Pareto": lambda D, a, b: D.Pareto(a, b),
    "RelaxedBernoulli": lambda D, a, b: D.RelaxedBernoulli(a, logits=b), "RelaxedOneHotCategorical": lambda D, a, b: D.RelaxedOneHotCategorical(a[0], logits=b),
    "ContinuousBernoulli": lambda D, a, b: D.ContinuousBernoulli(logits=a - b), "LogisticNormal": lambda D, a, b: D.LogisticNormal(a, b),
    "GeneralizedPareto": lambda D, a, b: D.GeneralizedPareto(a, b, a * 0.3), "HalfCauchy": lambda D, a, b: D.HalfCauchy(a * b),
    "OneHotCategoricalStraightThrough": lambda D, a, b: D.OneHotCategoricalStraightThrough(a * b),
    "MultivariateNormal": lambda D, a, b: D.MultivariateNormal(a, scale_tril=(b[:, None] * b).tril() * 0.2 + b.diag()),
    "LowRankMultivariateNormal": lambda D, a, b: D.LowRankMultivariateNormal(a, b[:, None], a),
    "Wishart": lambda D, a, b: D.Wishart(a.sum() + 1, scale_tril=(b[:, None] * b).tril() * 0.2 + b.diag()),
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in PATHS if n not in MKL])
def test_gradients_of_log_prob_and_rsample(name: str) -> None:
    found = []
    for lib in (tritorch, torch):
        t = Side(lib, kind(name))
        a, b = (t(v).requires_grad_() for v in ([0.7, 1.8, 2.6], [1.5, 0.6, 3.1]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            d = PATHS[name](lib.distributions, a, b)
            lib.manual_seed(2)
            x = d.rsample((4,), max_try_correction=0) if name == "Wishart" else d.rsample((4,))
            weights = t(np.random.default_rng(0).normal(size=tuple(x.shape)).tolist())
            ga, gb = lib.autograd.grad((x * weights).sum(), (a, b), allow_unused=True, retain_graph=True)
            la, lb = lib.autograd.grad(d.log_prob(x.detach()).sum(), (a, b), allow_unused=True)
        found.append([ga, gb, la, lb])
    tol = (
        2e-3
        if name in ("Gamma", "Beta", "Dirichlet", "StudentT", "InverseGamma", "FisherSnedecor", "Wishart")
        else 1e-7
    )  # torch's implicit derivatives are rough
    for x, y, what in zip(*found, ("rsample a", "rsample b", "log_prob a", "log_prob b"), strict=True):
        if y is not None and x is not None:
            same(x, y, f"{name} {what}", tol if what.startswith("rs") else 1e-7)
        else:
            assert (x is None or not x.any()) and (y is None or not y.any()), f"{name} {what}: {x} against {y}"


# ---- divergences -------------------------------------------------------------------------------------------------------


def pairs() -> list[tuple[str, str]]:
    return [(p.__name__, q.__name__) for p, q in torch.distributions.kl._KL_REGISTRY]


MORE = [("LogNormal", "LogNormal"), ("HalfCauchy", "HalfCauchy"), ("Chi2", "Chi2"), ("Chi2", "Gamma"), ("Wishart", "Wishart"), ("InverseGamma", "InverseGamma"),
        ("Weibull", "Weibull"), ("VonMises", "VonMises"), ("Normal", "Poisson"), ("OneHotCategoricalStraightThrough", "OneHotCategorical"), ("Multinomial", "Multinomial")]  # fmt: skip
SECOND: dict[str, Callable[[Side], Any]] = {  # another one of the same shape
    "Binomial": lambda t: t.D.Binomial(5, t(0.6)), "Wishart": lambda t: t.D.Wishart(t(6.0), t(np.diag([1.0, 2.0, 0.5]).tolist())),
    "MultivariateNormal": lambda t: t.D.MultivariateNormal(t([1.0, 0.0, 0.5]), t(np.diag([1.0, 2.0, 0.5]).tolist())),
    "LowRankMultivariateNormal": lambda t: t.D.LowRankMultivariateNormal(t([1.0, 0.0, 0.5]), t([[0.3], [0.1], [0.7]]), t([1.0, 2.0, 0.3])),
    "Categorical": lambda t: t.D.Categorical(t([0.0, 2.0, 1.0])), "Dirichlet": lambda t: t.D.Dirichlet(t([1.5, 0.4, 1.0])),
    "Uniform": lambda t: t.D.Uniform(t([-2.0, 0.2, 0.1]), t([3.0, 0.7, 0.9])), "Beta": lambda t: t.D.Beta(3.0, 1.5),
    "Independent": lambda t: t.D.Independent(t.D.Normal(t(P3), 2.0), 1),
    "TransformedDistribution": lambda t: t.D.TransformedDistribution(t.D.Normal(t([1.0, 1.0]), 2.0), [t.D.AffineTransform(1.0, -2.0), t.D.SigmoidTransform()]),
    "Pareto": lambda t: t.D.Pareto(t([0.5, 0.2]), t([2.5, 0.6])), "Normal": lambda t: t.D.Normal(t([1.0, -2.0]), 0.7),
    "Gamma": lambda t: t.D.Gamma(t([1.3, 4.0]), 0.7), "Poisson": lambda t: t.D.Poisson(t([1.3, 4.0])), "Bernoulli": lambda t: t.D.Bernoulli(t([0.2, 0.6])),
}  # fmt: skip
ABSTRACT = {"ExponentialFamily": "Gumbel"}


@pytest.mark.parametrize(("p", "q"), sorted({*pairs(), *MORE}))
def test_divergences(p: str, q: str) -> None:
    if "ExponentialFamily" in (p, q):
        p = q = "Wishart"
    for first, second in itertools.product(
        TABLE[p][:1] + ([SECOND[p]] if p in SECOND else []), TABLE[q][:1] + ([SECOND[q]] if q in SECOND else [])
    ):
        found = []
        for lib in (tritorch, torch):
            found.append(lambda lib=lib: in_float64(lib, lambda t: t.D.kl_divergence(first(t), second(t))))
        both(*found, f"KL({p} || {q})", 1e-8)


def in_float64(lib: Any, f: Callable[[Side], Any]) -> Any:
    """`f` with numbers as float64."""
    before = lib.get_default_dtype()
    lib.set_default_dtype(lib.float64)
    try:
        return f(Side(lib))
    finally:
        lib.set_default_dtype(before)


def test_every_divergence_of_torch_is_registered() -> None:
    from tritorch.distributions.kl import _RULES

    ours = {(p.__name__, q.__name__) for p, q in _RULES}
    assert set(pairs()) <= ours, sorted(set(pairs()) - ours)


# ---- transforms and constraints ----------------------------------------------------------------------------------------

TRANSFORMS: dict[str, tuple[Callable[[Side], Any], list]] = {
    "abs": (lambda t: t.D.AbsTransform(), [0.5, -1.0, 2.0]),
    "exp": (lambda t: t.D.ExpTransform(), [0.5, -1.0, 2.0]),
    "sigmoid": (lambda t: t.D.SigmoidTransform(), [0.5, -1.0, 2.0, 60.0]),
    "softplus": (lambda t: t.D.SoftplusTransform(), [0.5, -1.0, 2.0]),
    "tanh": (lambda t: t.D.TanhTransform(), [0.5, -1.0, 2.0]),
    "power": (lambda t: t.D.PowerTransform(t([2.0, -0.5, 3.0])), [0.5, 1.0, 2.0]),
    "affine": (lambda t: t.D.AffineTransform(t([1.0, 2.0, 3.0]), t([-1.0, 2.0, 0.5])), [0.5, -1.0, 2.0]),
    "affine of vectors": (lambda t: t.D.AffineTransform(1.0, -2.0, event_dim=1), [[0.5, -1.0, 2.0]]),
    "softmax": (lambda t: t.D.SoftmaxTransform(), [[0.5, -1.0, 2.0]]),
    "stick": (lambda t: t.D.StickBreakingTransform(), [[0.5, -1.0, 2.0], [0.0, 0.0, 0.0]]),
    "corr": (lambda t: t.D.CorrCholeskyTransform(), [[0.5, -1.0, 2.0], [0.1, 0.2, 0.3]]),
    "lower": (lambda t: t.D.LowerCholeskyTransform(), [[0.5, -1.0], [2.0, 0.3]]),
    "definite": (lambda t: t.D.PositiveDefiniteTransform(), [[0.5, -1.0], [2.0, 0.3]]),
    "compose": (lambda t: t.D.ComposeTransform([t.D.AffineTransform(1.0, 0.5), t.D.ExpTransform(), t.D.StickBreakingTransform()]), [[0.5, -1.0, 0.2]]),
    "identity": (lambda t: t.D.identity_transform, [0.5, -1.0]),
    "independent": (lambda t: t.D.IndependentTransform(t.D.ExpTransform(), 1), [[0.5, -1.0], [2.0, 0.3]]),
    "reshape": (lambda t: t.D.ReshapeTransform((4,), (2, 2)), [[0.5, -1.0, 2.0, 0.3]]),
    "cat": (lambda t: t.D.CatTransform([t.D.ExpTransform(), t.D.identity_transform], dim=-1, lengths=[1, 2]), [[0.5, -1.0, 2.0]]),
    "stack": (lambda t: t.D.StackTransform([t.D.ExpTransform(), t.D.identity_transform], dim=0), [[0.5, -1.0], [2.0, 0.3]]),
    "cdf": (lambda t: t.D.CumulativeDistributionTransform(t.D.Normal(0.5, 2.0)), [0.5, -1.0]),
    "inverse": (lambda t: t.D.ExpTransform().inv, [0.5, 1.0]),
    "to interval": (lambda t: t.D.biject_to(t.D.constraints.interval(-1.0, 3.0)), [0.5, -1.0]),
    "to greater": (lambda t: t.D.transform_to(t.D.constraints.greater_than(2.0)), [0.5, -1.0]),
    "to less": (lambda t: t.D.biject_to(t.D.constraints.less_than(2.0)), [0.5, -1.0]),
    "to simplex": (lambda t: t.D.transform_to(t.D.constraints.simplex), [0.5, -1.0]),
    "to vectors": (lambda t: t.D.biject_to(t.D.constraints.independent(t.D.constraints.positive, 1)), [0.5, -1.0]),
    "to stack": (lambda t: t.D.biject_to(t.D.constraints.stack([t.D.constraints.positive, t.D.constraints.real])), [0.5, -1.0]),
    "to cat": (lambda t: t.D.biject_to(t.D.constraints.cat([t.D.constraints.positive, t.D.constraints.real])), [0.5, -1.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("cache_size", [0, 1])
def test_transforms(name: str, cache_size: int) -> None:
    maker, values = TRANSFORMS[name]
    sides = Side(tritorch), Side(torch)
    ours, theirs = (maker(t) if cache_size == 0 else outcome(lambda t=t: maker(t).with_cache())[0] for t in sides)
    if theirs is None:
        return
    x, u = (t(values) for t in sides)
    y, v = ours(x), theirs(u)
    same(y, v, f"{name} forward")
    same(ours.inv(y), theirs.inv(v), f"{name} inverse", 1e-7)
    both(lambda: ours.log_abs_det_jacobian(x, y), lambda: theirs.log_abs_det_jacobian(u, v), f"{name} Jacobian")
    both(lambda: ours.inv.log_abs_det_jacobian(y, x), lambda: theirs.inv.log_abs_det_jacobian(v, u), f"{name} Jacobian")
    assert repr(ours) == repr(theirs)
    assert bool(ours.bijective) == bool(theirs.bijective)
    for what in ("domain", "codomain"):
        assert repr(getattr(ours, what)) == repr(getattr(theirs, what)), what
    assert tuple(ours.forward_shape(x.shape)) == tuple(theirs.forward_shape(u.shape))
    assert tuple(ours.inverse_shape(y.shape)) == tuple(theirs.inverse_shape(v.shape))
    assert ours == ours.with_cache(cache_size) and ours.inv.inv == ours


CONSTRAINTS: list[tuple[Callable[[Any], Any], Any]] = [
    (lambda c: c.boolean, [0.0, 1.0, 0.5, float("nan")]), (lambda c: c.one_hot, [[0.0, 1.0], [1.0, 1.0], [0.5, 0.5]]),
    (lambda c: c.nonnegative_integer, [0.0, 1.0, -1.0, 0.5]), (lambda c: c.positive_integer, [0.0, 1.0, 0.5]),
    (lambda c: c.integer_interval(0, 2), [0.0, 2.0, 3.0, 0.5]), (lambda c: c.real, [0.0, float("inf"), float("nan")]),
    (lambda c: c.positive, [0.0, 1.0, -1.0]), (lambda c: c.nonnegative, [0.0, 1.0, -1.0]), (lambda c: c.unit_interval, [0.0, 1.0, 1.1]),
    (lambda c: c.half_open_interval(0.0, 1.0), [0.0, 1.0, 0.5]), (lambda c: c.less_than(1.0), [0.0, 1.0]), (lambda c: c.greater_than_eq(1.0), [0.0, 1.0]),
    (lambda c: c.simplex, [[0.2, 0.8], [0.2, 0.9], [-0.5, 1.5]]), (lambda c: c.multinomial(3), [[1.0, 2.0], [3.0, 1.0], [-1.0, 1.0]]),
    (lambda c: c.real_vector, [[1.0, float("nan")], [1.0, 2.0]]), (lambda c: c.lower_triangular, [[[1.0, 0.0], [2.0, -1.0]], [[1.0, 1.0], [2.0, 1.0]]]),
    (lambda c: c.lower_cholesky, [[[1.0, 0.0], [2.0, -1.0]], [[1.0, 0.0], [2.0, 1.0]]]), (lambda c: c.corr_cholesky, [[[1.0, 0.0], [0.6, 0.8]], [[1.0, 0.0], [2.0, 1.0]]]),
    (lambda c: c.square, [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]), (lambda c: c.symmetric, [[[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.0], [2.0, 1.0]]]),
    (lambda c: c.positive_semidefinite, [[[1.0, 0.0], [0.0, 0.0]], [[1.0, 2.0], [2.0, 1.0]]]), (lambda c: c.positive_definite, [[[1.0, 0.5], [0.5, 2.0]], [[1.0, 2.0], [2.0, 1.0]]]),
    (lambda c: c.cat([c.positive, c.real], dim=-1, lengths=[2, 1]), [[1.0, -1.0, 2.0], [0.0, 1.0, -2.0]]), (lambda c: c.stack([c.positive, c.real], dim=0), [[1.0, -1.0], [0.0, 1.0]]),
    (lambda c: c.MixtureSameFamilyConstraint(c.independent(c.positive, 1)), [[1.0, 2.0], [-1.0, 2.0]]),
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(CONSTRAINTS)))
def test_constraints(i: int) -> None:
    maker, values = CONSTRAINTS[i]
    ours, theirs = maker(tritorch.distributions.constraints), maker(torch.distributions.constraints)
    assert repr(ours) == repr(theirs)
    assert (ours.is_discrete, ours.event_dim) == (theirs.is_discrete, theirs.event_dim)
    both(lambda: ours.check(Side(tritorch)(values)), lambda: theirs.check(Side(torch)(values)), repr(ours))


# ---- errors ------------------------------------------------------------------------------------------------------------

ERRORS: list[Callable[[Side], Any]] = [
    lambda t: t.D.Normal(0.0, -1.0), lambda t: t.D.Normal("a", 1.0), lambda t: t.D.Normal(0.0, 1.0).log_prob(1.0), lambda t: t.D.Normal(t([0.0, 1.0]), t([1.0, 1.0, 1.0])),
    lambda t: t.D.Normal(t([0.0, 1.0]), 1.0).log_prob(t([1.0, 2.0, 3.0])), lambda t: t.D.Normal(0.0, 1.0).enumerate_support(), lambda t: t.D.Normal(0.0, 1.0).sample(3),
    lambda t: t.D.Bernoulli(), lambda t: t.D.Bernoulli(0.2, 0.3), lambda t: t.D.Bernoulli(t(0.3)).log_prob(t(0.5)), lambda t: t.D.Bernoulli(1.3),
    lambda t: t.D.Categorical(t(1.0)), lambda t: t.D.Categorical(t([0.0, 0.0])), lambda t: t.D.Categorical(t([-1.0, 2.0])), lambda t: t.D.Categorical(t([1.0, 2.0])).log_prob(t(2.0)),
    lambda t: t.D.Poisson(1.0).rsample(), lambda t: t.D.Poisson(1.0).entropy(), lambda t: t.D.Poisson(t([1.0])).log_prob(t([-1.0])), lambda t: t.D.Uniform(1.0, 0.0),
    lambda t: t.D.Uniform(0.0, 1.0).log_prob(t(2.0)), lambda t: t.D.StudentT(1.0).cdf(t(1.0)), lambda t: t.D.Distribution.set_default_validate_args(3),
    lambda t: t.D.Independent(t.D.Normal(0.0, 1.0), 1), lambda t: t.D.MultivariateNormal(t([0.0, 1.0])), lambda t: t.D.MultivariateNormal(t(0.0), t([[1.0]])),
    lambda t: t.D.MultivariateNormal(t([0.0]), t([1.0])), lambda t: t.D.MultivariateNormal(t([0.0, 0.0]), t([[1.0, 2.0], [2.0, 1.0]])), lambda t: t.D.Dirichlet(t(1.0)),
    lambda t: t.D.transform_to(t.D.constraints.dependent), lambda t: t.D.transform_to.register(3, abs), lambda t: t.D.register_kl(3, 4),
    lambda t: t.D.Multinomial(t(3.0), t([1.0, 1.0])), lambda t: t.D.LKJCholesky(1), lambda t: t.D.Wishart(t(0.5), t([[1.0, 0.0], [0.0, 1.0]])),
    lambda t: t.D.MixtureSameFamily(t.D.Normal(0.0, 1.0), t.D.Normal(0.0, 1.0)), lambda t: t.D.MixtureSameFamily(t.D.Categorical(t([1.0, 1.0])), t.D.Normal(t([0.0, 1.0, 2.0]), 1.0)),
    lambda t: t.D.TransformedDistribution(t.D.Normal(0.0, 1.0), [3]), lambda t: t.D.TransformedDistribution(t.D.Normal(0.0, 1.0), 3),
    lambda t: t.D.TransformedDistribution(t.D.Normal(0.0, 1.0), t.D.StickBreakingTransform()), lambda t: t.D.AbsTransform().log_abs_det_jacobian(t([1.0]), t([1.0])),
    lambda t: t.D.ExpTransform(cache_size=2), lambda t: t.D.StickBreakingTransform().sign, lambda t: t.D.Binomial(-1, t(0.2)), lambda t: t.D.Geometric(0.0),
    lambda t: t.D.LowRankMultivariateNormal(t([0.0, 1.0]), t([1.0, 1.0]), t([1.0, 1.0])), lambda t: t.D.LowRankMultivariateNormal(t([0.0, 1.0]), t([[1.0]] * 3), t([1.0, 1.0])),
    lambda t: t.D.RelaxedBernoulli(t(1.0)), lambda t: t.D.VonMises(0.0, 1.0).rsample(), lambda t: t.D.VonMises(0.0, 1.0).entropy(), lambda t: t.D.ReshapeTransform((2,), (3,)),
    lambda t: t.D.kl_divergence(t.D.VonMises(0.0, 1.0), t.D.VonMises(0.0, 2.0)), lambda t: t.D.kl_divergence(t.D.Normal(0.0, 1.0), t.D.Poisson(1.0)),
    lambda t: t.D.kl_divergence(t.D.LogNormal(0.0, 1.0), t.D.Gumbel(0.0, 2.0)), lambda t: t.D.Distribution(validate_args=False).log_prob(t(0.0)),
    lambda t: t.D.Binomial(t([2.0, 3.0]), t(0.2)).enumerate_support(), lambda t: t.D.Binomial(t([2.0, 3.0]), t(0.2)).entropy(), lambda t: t.D.constraints.dependent.event_dim,
    lambda t: t.D.constraints.dependent.check(t(1.0)), lambda t: t.D.utils.tril_matrix_to_vec(t([[1.0]]), 3), lambda t: t.D.utils.vec_to_tril_matrix(t([1.0, 2.0])),
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(ERRORS)))
def test_errors(i: int) -> None:
    (_, ours), (_, theirs) = outcome(lambda: ERRORS[i](Side(tritorch))), outcome(lambda: ERRORS[i](Side(torch)))
    assert theirs is not None, "torch does not raise here"
    assert ours is not None and issubclass(ours, theirs), f"{ours} against {theirs}"


def test_names() -> None:
    assert set(torch.distributions.__all__) <= set(tritorch.distributions.__all__)
    for module in ("constraints", "transforms", "constraint_registry"):
        ours, theirs = getattr(tritorch.distributions, module), getattr(torch.distributions, module)
        assert set(theirs.__all__) <= set(ours.__all__), module
