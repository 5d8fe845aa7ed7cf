"""Divergences: against the mean of samples, zero against oneself, which rule is taken."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

import tritorch as torch
from tests.distributions.cases import ALL, t
from tritorch import distributions as D
from tritorch.distributions.kl import _RULES, kl_divergence, register_kl

SECOND: dict[str, Any] = {
    "Bernoulli": lambda: D.Bernoulli(t([0.4, 0.5])), "Beta": lambda: D.Beta(t([2.0, 1.0]), t([1.5, 3.5])),
    "Binomial": lambda: D.Binomial(5, t([0.4, 0.5])), "Categorical": lambda: D.Categorical(t([[1.0, 1.0, 1.0]] * 2)),
    "Cauchy": lambda: D.Cauchy(t([0.0, 0.0]), t([1.0, 1.0])), "ContinuousBernoulli": lambda: D.ContinuousBernoulli(t([0.7, 0.3])),
    "Dirichlet": lambda: D.Dirichlet(t([[1.0, 1.0, 2.0]] * 2)), "Exponential": lambda: D.Exponential(t([1.0, 1.5])),
    "Gamma": lambda: D.Gamma(t([2.0, 2.0]), t([1.5, 0.7])), "Geometric": lambda: D.Geometric(t([0.5, 0.5])),
    "Gumbel": lambda: D.Gumbel(t([0.0, -1.1]), t([1.4, 0.4])), "HalfNormal": lambda: D.HalfNormal(t([0.7, 1.5])),
    "Laplace": lambda: D.Laplace(t([0.0, 0.0]), t([1.0, 1.0])), "Normal": lambda: D.Normal(t([0.5, -0.9]), t([1.2, 0.4])),
    "LowRankMultivariateNormal": lambda: D.LowRankMultivariateNormal(t([0.5, 0.5]), t([[1.0], [0.2]]), t([0.8, 0.8])),
    "MultivariateNormal": lambda: D.MultivariateNormal(t([0.5, 0.5]), t([[1.5, -0.2], [-0.2, 1.2]])),
    "OneHotCategorical": lambda: D.OneHotCategorical(t([[1.0, 1.0, 1.0]] * 2)), "Poisson": lambda: D.Poisson(t([1.0, 11.0])),
    "Pareto": lambda: D.Pareto(t([0.4, 1.5]), t([5.0, 7.0])), "Uniform": lambda: D.Uniform(t([-2.0, 1.0]), t([1.0, 6.0])),
    "Wishart": lambda: D.Wishart(t([5.0, 5.0]), t([[1.5, -0.2], [-0.2, 1.2]])),
}  # fmt: skip
CROSS = [(p.__name__, q.__name__) for p, q in _RULES if p is not q and p.__name__ in SECOND and q.__name__ in SECOND]
PAIRS = [(name, name) for name in SECOND] + CROSS


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_mean_of_samples(p: str, q: str) -> None:
    torch.manual_seed(1)
    first = ALL[p]("cpu")
    second = SECOND[q]()
    divergence = kl_divergence(first, second)
    assert divergence.shape == (2,) and (divergence >= 0).all()
    n = 3000
    x = first.sample((n,))
    D.Distribution.set_default_validate_args(False)  # x may be outside of the second one's support
    try:
        terms = first.log_prob(x) - second.log_prob(x)
    finally:
        D.Distribution.set_default_validate_args(True)
    error = 5 * terms.std(0) / math.sqrt(n)
    assert ((terms.mean(0) - divergence).abs() <= error + 1e-6)[divergence.isfinite()].all()


@pytest.mark.parametrize("p", SECOND)
def test_zero_against_itself(p: str) -> None:
    d = ALL[p]("cpu")
    torch.testing.assert_close(kl_divergence(d, d), t([0.0, 0.0]), atol=1e-12, rtol=0.0)


@pytest.mark.parametrize("p", ["Bernoulli", "Beta", "Dirichlet", "Gamma", "Normal", "Exponential", "Poisson"])
def test_bregman_divergences_agree(p: str) -> None:
    from tritorch.distributions.kl_families import _exponential_family

    a, b = ALL[p]("cpu"), SECOND[p]()
    torch.testing.assert_close(_exponential_family(a, b), kl_divergence(a, b))
    if p not in ("Beta", "Dirichlet", "Poisson"):
        torch.testing.assert_close(D.ExponentialFamily.entropy(a), a.entropy())


def test_infinite() -> None:
    assert kl_divergence(D.Normal(0.0, 1.0), D.Uniform(0.0, 1.0)) == math.inf
    assert kl_divergence(D.Uniform(0.0, 2.0), D.Uniform(0.5, 1.0)) == math.inf
    assert kl_divergence(D.Categorical(torch.tensor([0.5, 0.5])), D.Categorical(torch.tensor([0.0, 1.0]))) == math.inf
    assert kl_divergence(D.Bernoulli(1.0), D.Bernoulli(0.0)) == math.inf
    assert kl_divergence(D.Bernoulli(1.0), D.Bernoulli(1.0)) == 0


def test_the_most_specific_rule_is_taken() -> None:
    class A(D.Normal):
        pass

    class B(A):
        pass

    def constant(c: float) -> Any:
        return lambda p, q: torch.tensor(c)

    try:
        register_kl(A, D.Normal)(constant(1.0))
        assert kl_divergence(B(0.0, 1.0), B(0.0, 1.0)) == 1
        register_kl(A, A)(constant(2.0))
        assert kl_divergence(B(0.0, 1.0), B(0.0, 1.0)) == 2
        register_kl(D.Normal, B)(constant(3.0))
        with pytest.warns(RuntimeWarning, match=r"Ambiguous kl_divergence\(B, B\)"):
            kl_divergence(B(0.0, 1.0), B(0.0, 1.0))
        register_kl(B, B)(constant(4.0))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert kl_divergence(B(0.0, 1.0), B(0.0, 1.0)) == 4
    finally:
        for pair in ((A, D.Normal), (A, A), (D.Normal, B), (B, B)):
            _RULES.pop(pair, None)


def test_errors() -> None:
    with pytest.raises(NotImplementedError, match="for p type VonMises and q type Normal"):
        kl_divergence(D.VonMises(0.0, 1.0), D.Normal(0.0, 1.0))
    with pytest.raises(NotImplementedError, match="different exponential families .* got Normal and Poisson"):
        kl_divergence(D.Normal(0.0, 1.0), D.Poisson(1.0))
    with pytest.raises(TypeError, match="Expected type_p to be a Distribution subclass but got 3"):
        register_kl(3, D.Normal)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="total_count"):
        kl_divergence(D.Binomial(3, torch.tensor(0.5)), D.Binomial(4, torch.tensor(0.5)))
    with pytest.raises(ValueError, match="different event shapes"):
        kl_divergence(
            D.MultivariateNormal(torch.zeros(2), torch.eye(2)), D.MultivariateNormal(torch.zeros(3), torch.eye(3))
        )


def test_gradients() -> None:
    def f(a: Any, b: Any) -> Any:
        return kl_divergence(D.Gamma(a, b), D.Gamma(b, a)), kl_divergence(D.Normal(a, b), D.Normal(b, a))

    assert torch.autograd.gradcheck(f, (t([0.7, 1.8]).requires_grad_(), t([1.5, 0.6]).requires_grad_()))
