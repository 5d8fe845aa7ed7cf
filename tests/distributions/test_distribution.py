"""What holds for every distribution: shapes, moments, densities that integrate to 1, quantiles, gradients, checks."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import tritorch as torch
from tests.distributions.cases import ALL, CONTINUOUS, DISCRETE, MATRICES, VECTORS, t
from tritorch import distributions as D
from tritorch.kernels._implicit import dirichlet_grad, standard_gamma_grad

ABSTRACT = {"Distribution", "ExponentialFamily"}


def known(d: Any, what: str) -> Any:
    """A property, or what a method without arguments gives; None where it is not implemented."""
    try:
        found = getattr(d, what)
        return found() if callable(found) else found
    except NotImplementedError:
        return None


def test_the_table_has_every_class() -> None:
    classes = {n for n in D.__all__ if isinstance(getattr(D, n), type) and issubclass(getattr(D, n), D.Distribution)}
    assert classes - ABSTRACT == set(ALL)


# ---- shapes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_shapes(name: str, device: str) -> None:
    torch.manual_seed(0)
    d = ALL[name](device)
    assert d.batch_shape == (2,)
    for shape in ((), (3,), (2, 1)):
        x = d.sample(shape)
        assert x.shape == (*shape, 2, *d.event_shape) and x.dtype is torch.float64 or name == "Categorical"
        assert x.device.type == device and not x.requires_grad
        assert d.support.check(x).all()
        lp = d.log_prob(x)
        assert lp.shape == (*shape, 2) and lp.device.type == device and lp.isfinite().all()
    if d.has_rsample:
        assert d.rsample((3,)).shape == (3, 2, *d.event_shape)
    for what in ("mean", "mode", "variance", "stddev"):
        value = known(d, what)
        assert value is None or value.shape == (2, *d.event_shape), what
    entropy = known(d, "entropy")
    assert entropy is None or entropy.shape == (2,)


@pytest.mark.parametrize("name", ALL)
def test_expand(name: str) -> None:
    d = ALL[name]("cpu")
    wide = d.expand((3, 2))
    assert type(wide) is type(d) and wide.batch_shape == (3, 2) and wide.event_shape == d.event_shape
    x = wide.sample((4,))
    assert x.shape == (4, 3, 2, *d.event_shape)
    torch.testing.assert_close(wide.log_prob(x), d.log_prob(x))
    for what in ("mean", "variance", "entropy"):
        a, b = known(wide, what), known(d, what)
        if b is not None:
            torch.testing.assert_close(a, b.expand(a.shape), equal_nan=True)
    assert wide.expand((5, 3, 2)).sample().shape == (5, 3, 2, *d.event_shape)


@pytest.mark.parametrize("name", [n for n in ALL if ALL[n]("cpu").has_enumerate_support])
def test_enumerate_support(name: str) -> None:
    d = ALL[name]("cpu")
    every, one = d.enumerate_support(), d.enumerate_support(expand=False)
    assert every.shape == (one.shape[0], 2, *d.event_shape) and one.shape[1] == 1
    torch.testing.assert_close(every, one.expand(every.shape))
    torch.testing.assert_close(d.log_prob(every).exp().sum(0), t([1.0, 1.0]))
    p = d.log_prob(every)
    entropy = known(d, "entropy")
    if entropy is not None:
        torch.testing.assert_close(entropy, -(p.exp() * p).sum(0))
        torch.testing.assert_close(d.perplexity(), entropy.exp())


@pytest.mark.parametrize("name", ALL)
def test_copies(name: str) -> None:
    d = ALL[name]("cpu")
    x, shown = d.sample(), repr(d)
    for other in (copy.deepcopy(d), pickle.loads(pickle.dumps(d))):
        assert repr(other) == shown
        torch.testing.assert_close(other.log_prob(x), d.log_prob(x))


# ---- densities ---------------------------------------------------------------------------------------------------------


def grid(d: Any) -> Any:
    """Numbers from end to end of what matters of the distribution, of shape (n, 2)."""
    torch.manual_seed(1)
    x = d.sample((2000,))
    low, high = x.min(0)[0], x.max(0)[0]
    span = high - low
    support = d.support
    low = torch.maximum(low - span, _bound(support, "lower_bound", -math.inf))
    high = torch.minimum(high + span, _bound(support, "upper_bound", math.inf))
    steps = t(np.linspace(1e-9, 1 - 1e-9, 20_001).tolist())[:, None]
    return low + (high - low) * steps


def _bound(support: Any, name: str, missing: float) -> Any:
    found = getattr(support, name, missing)
    return found if isinstance(found, torch.Tensor) else t([found, found])


HEAVY = {"Cauchy", "HalfCauchy", "FisherSnedecor"}  # much beyond the grid


@pytest.mark.parametrize("name", [n for n in CONTINUOUS if n not in HEAVY])
def test_density_integrates_to_one_and_its_moments_are_right(name: str) -> None:
    d = CONTINUOUS[name]("cpu")
    x = grid(d) if name != "VonMises" else t(np.linspace(-math.pi, math.pi, 20_001).tolist())[:, None].expand(-1, 2)
    p = d.log_prob(x).exp()
    width = x[1:] - x[:-1]

    def integral(y: Any) -> Any:
        return ((y[1:] + y[:-1]) / 2 * width).sum(0)

    torch.testing.assert_close(integral(p), t([1.0, 1.0]), rtol=2e-3, atol=2e-3)
    if name == "VonMises":
        torch.testing.assert_close(integral(p * (x - d.loc).cos()), 1 - d.variance, rtol=1e-6, atol=1e-6)
        return
    for what, value in (("mean", x * p), ("entropy", -torch.xlogy(p, p))):
        expected = known(d, what)
        if expected is not None:
            torch.testing.assert_close(integral(value), expected, rtol=2e-2, atol=5e-3)
    if known(d, "variance") is not None:
        torch.testing.assert_close(integral((x - d.mean) ** 2 * p), d.variance, rtol=5e-2, atol=5e-3)
    mode = known(d, "mode")
    if mode is not None and not mode.isnan().any():
        inside = torch.maximum(mode, _bound(d.support, "lower_bound", -math.inf) + 1e-12)
        assert (d.log_prob(inside) >= d.log_prob(x).max(0)[0] - 1e-3).all()


@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities_sum_to_one_and_give_the_moments(name: str) -> None:
    d = DISCRETE[name]("cpu")
    x = (
        d.enumerate_support()
        if d.has_enumerate_support
        else torch.arange(200.0, dtype=torch.float64)[:, None].expand(-1, 2)
    )
    p = d.log_prob(x).exp()
    torch.testing.assert_close(p.sum(0), t([1.0, 1.0]))
    if name == "Categorical":
        return
    torch.testing.assert_close((x * p).sum(0), d.mean)
    torch.testing.assert_close(((x - d.mean) ** 2 * p).sum(0), d.variance)
    mode = d.mode
    assert (d.log_prob(mode) >= d.log_prob(x).max(0)[0] - 1e-12).all()


def test_multinomial_probabilities_sum_to_one() -> None:
    d = VECTORS["Multinomial"]("cpu")
    counts = [[i, j, 4 - i - j] for i in range(5) for j in range(5 - i)]
    x = t(counts)[:, None].expand(-1, 2, -1)
    p = d.log_prob(x)
    torch.testing.assert_close(p.exp().sum(0), t([1.0, 1.0]))
    torch.testing.assert_close(-(p.exp() * p).sum(0), d.entropy())
    torch.testing.assert_close((x * p.exp()[..., None]).sum(0), d.mean)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_quantiles(name: str) -> None:
    d = CONTINUOUS[name]("cpu")
    u = t(np.linspace(0.02, 0.98, 24).tolist())[:, None].expand(-1, 2)
    try:
        x = d.icdf(u)
    except NotImplementedError:
        return
    assert (x[1:] > x[:-1]).all() and d.support.check(x).all()
    torch.testing.assert_close(d.cdf(x), u)
    leaf = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(d.cdf(leaf).sum(), leaf)
    torch.testing.assert_close(slope, d.log_prob(x).exp())


@pytest.mark.parametrize(
    "name", [n for n in (CONTINUOUS | DISCRETE) if n not in ("Cauchy", "HalfCauchy", "VonMises", "Categorical")]
)
def test_samples_follow_the_distribution(name: str) -> None:
    torch.manual_seed(4)
    d = ALL[name]("cpu")
    n = 4000
    x = d.sample((n,))
    error = known(d, "stddev")
    if error is not None:
        assert ((x.mean(0) - d.mean).abs() < 5 * error / math.sqrt(n)).all()
        torch.testing.assert_close(x.var(0), d.variance, rtol=0.25, atol=0.0)
    entropy = known(d, "entropy")
    if entropy is not None:
        lp = d.log_prob(x)
        assert ((-lp.mean(0) - entropy).abs() < 5 * lp.std(0) / math.sqrt(n) + 1e-9).all()
    try:
        u = d.cdf(x).sort(0)[0]
    except NotImplementedError:
        return
    steps = (torch.arange(n, dtype=torch.float64) / n)[:, None]
    assert ((u - steps).abs().max(0)[0] < 1.9 / math.sqrt(n)).all()  # Kolmogorov and Smirnov, at 0.15 %


@pytest.mark.parametrize("name", {**VECTORS, **MATRICES})
def test_samples_of_vectors_follow_the_distribution(name: str) -> None:
    torch.manual_seed(5)
    d = ALL[name]("cpu")
    n = 3000
    x = d.sample((n,))
    mean, variance = known(d, "mean"), known(d, "variance")
    if mean is not None:
        assert ((x.mean(0) - mean).abs() < 5 * variance.sqrt() / math.sqrt(n) + 1e-12).all()
        torch.testing.assert_close(x.var(0), variance, rtol=0.3, atol=1e-3)
    entropy = known(d, "entropy")
    if entropy is not None:
        lp = d.log_prob(x)
        assert ((-lp.mean(0) - entropy).abs() < 5 * lp.std(0) / math.sqrt(n) + 1e-9).all()


# ---- gradients ---------------------------------------------------------------------------------------------------------

BY_TWO: dict[str, Any] = {
    "Bernoulli": lambda a, b: D.Bernoulli(logits=a - b), "Beta": D.Beta, "Binomial": lambda a, b: D.Binomial(5, logits=a - b),
    "Categorical": lambda a, b: D.Categorical(logits=a - b), "Cauchy": D.Cauchy, "Chi2": lambda a, b: D.Chi2(a + b),
    "ContinuousBernoulli": lambda a, b: D.ContinuousBernoulli(logits=a - b), "Dirichlet": lambda a, b: D.Dirichlet(a * b),
    "Exponential": lambda a, b: D.Exponential(a * b), "FisherSnedecor": D.FisherSnedecor, "Gamma": D.Gamma,
    "GeneralizedPareto": lambda a, b: D.GeneralizedPareto(a, b, a * 0.2), "Geometric": lambda a, b: D.Geometric(logits=a - b),
    "Gumbel": D.Gumbel, "HalfCauchy": lambda a, b: D.HalfCauchy(a * b), "HalfNormal": lambda a, b: D.HalfNormal(a * b),
    "InverseGamma": D.InverseGamma, "Kumaraswamy": D.Kumaraswamy, "LKJCholesky": lambda a, b: D.LKJCholesky(3, a * b),
    "Laplace": D.Laplace, "LogNormal": D.LogNormal, "LogisticNormal": D.LogisticNormal, "Normal": D.Normal, "Pareto": D.Pareto,
    "LowRankMultivariateNormal": lambda a, b: D.LowRankMultivariateNormal(a, b[:, None], a),
    "Multinomial": lambda a, b: D.Multinomial(4, logits=a - b), "NegativeBinomial": lambda a, b: D.NegativeBinomial(a, logits=b),
    "MultivariateNormal": lambda a, b: D.MultivariateNormal(a, (b[:, None] * b) + b.diag()), "Poisson": lambda a, b: D.Poisson(a * b),
    "OneHotCategorical": lambda a, b: D.OneHotCategorical(logits=a - b), "RelaxedBernoulli": lambda a, b: D.RelaxedBernoulli(a, logits=b),
    "RelaxedOneHotCategorical": lambda a, b: D.RelaxedOneHotCategorical(a[0], logits=b), "StudentT": lambda a, b: D.StudentT(a, b, b),
    "Uniform": lambda a, b: D.Uniform(a - b, a + b), "VonMises": D.VonMises, "Weibull": D.Weibull,
    "Wishart": lambda a, b: D.Wishart(a.sum() + 1, b[:, None] * b + b.diag()),
}  # fmt: skip


def leaves() -> tuple[Any, Any]:
    return t([0.7, 1.8]).requires_grad_(), t([1.5, 0.6]).requires_grad_()


@pytest.mark.parametrize("name", BY_TWO)
def test_gradcheck_of_log_prob(name: str) -> None:
    torch.manual_seed(2)
    x = BY_TWO[name](*leaves()).sample((2,))

    def f(a: Any, b: Any) -> Any:
        d = BY_TWO[name](a, b)
        d._validate_args = False  # x stays while the parameters move
        return d.log_prob(x)

    assert torch.autograd.gradcheck(f, leaves())


def test_gradcheck_of_gamma_cdf() -> None:
    def f(a: Any, b: Any, x: Any) -> Any:
        return D.Gamma(a, b).cdf(x), D.InverseGamma(a, b).cdf(x)

    assert torch.autograd.gradcheck(f, (*leaves(), t([[0.3, 1.0], [2.0, 4.0]]).requires_grad_()))


def test_gradients_at_certainty() -> None:
    p = t([1.0, 1.0, 0.5]).requires_grad_()
    (g,) = torch.autograd.grad(D.Geometric(p).log_prob(t([0.0, 0.0, 2.0])).sum(), p)
    torch.testing.assert_close(g, t([1.0, 1.0, -2.0]))
    (g,) = torch.autograd.grad(D.Binomial(3, p).log_prob(t([3.0, 3.0, 0.0])).sum(), p)
    assert g.isfinite().all()


IMPLICIT = {"Gamma", "Beta", "Chi2", "Dirichlet", "StudentT", "FisherSnedecor", "InverseGamma", "Wishart"}


@pytest.mark.parametrize("name", [n for n in BY_TWO if BY_TWO[n](*leaves()).has_rsample and n not in IMPLICIT])
def test_gradcheck_of_rsample(name: str) -> None:
    def f(a: Any, b: Any) -> Any:
        torch.manual_seed(3)
        return BY_TWO[name](a, b).rsample((3,))

    assert torch.autograd.gradcheck(f, leaves())


@pytest.mark.parametrize("name", sorted(IMPLICIT - {"Wishart"}))
def test_implicit_gradients_are_those_of_expectations(name: str) -> None:
    """d/da E x, by the mean of the paths' derivatives, against the derivative of the mean."""
    torch.manual_seed(6)
    scale = {"StudentT": 6.0, "FisherSnedecor": 9.0, "InverseGamma": 6.0}.get(name, 1.0)
    a, b = (t([0.7 * scale, 1.8 * scale]).requires_grad_(), t([1.5 * scale, 0.6 * scale]).requires_grad_())
    d = BY_TWO[name](a, b)
    n = 4000
    weights = t([1.0, -0.5])
    paths = torch.autograd.grad((d.rsample((n,)) * weights).sum() / n, (a, b), retain_graph=True)
    wanted = torch.autograd.grad((d.mean * weights).sum(), (a, b), allow_unused=True)
    for p, w in zip(paths, wanted, strict=True):
        torch.testing.assert_close(p, torch.zeros_like(p) if w is None else w, rtol=0.15, atol=0.1)


def test_implicit_gradients_are_those_of_the_ops(device: str) -> None:
    torch.manual_seed(7)
    a = t([0.3, 2.0, 40.0], device).requires_grad_()
    x = D.Gamma(a, t(2.0, device)).rsample((5,))
    (g,) = torch.autograd.grad(x.sum(), a)
    wanted = standard_gamma_grad(np.broadcast_to([0.3, 2.0, 40.0], (5, 3)), 2 * x.detach().cpu().numpy()) / 2
    torch.testing.assert_close(g.cpu(), t(wanted.sum(0).tolist()))
    x = D.Dirichlet(a).rsample((5,))
    (g,) = torch.autograd.grad(x[..., 0].sum(), a)
    y = x.detach().cpu().numpy()
    slope = dirichlet_grad(y, np.broadcast_to([0.3, 2.0, 40.0], (5, 3)), np.full((5, 3), 42.3))
    torch.testing.assert_close(g.cpu(), t((slope * (np.eye(3)[0] - y[:, :1])).sum(0).tolist()))
    with pytest.raises(NotImplementedError, match="standard_gamma_grad: the second derivative"):
        (g,) = torch.autograd.grad(D.Gamma(a, t(1.0, device)).rsample().sum(), a, create_graph=True)
        torch.autograd.grad(g.sum(), a)


def test_wishart_gradients_by_the_scale() -> None:
    def f(b: Any) -> Any:
        torch.manual_seed(3)
        return D.Wishart(t(4.0), scale_tril=b.tril()).rsample((2,))

    assert torch.autograd.gradcheck(f, (t([[1.0, 0.0], [0.3, 0.8]]).requires_grad_(),))


# ---- checks ------------------------------------------------------------------------------------------------------------


def test_errors_name_distribution_parameter_and_values() -> None:
    with pytest.raises(ValueError, match=r"parameter scale .*Normal.*GreaterThan\(lower_bound=0.0\).*\n-1"):
        D.Normal(0.0, -1.0)
    with pytest.raises(ValueError, match="must be a Tensor; got float"):
        D.Normal(0.0, 1.0).log_prob(1.0)
    with pytest.raises(ValueError, match=r"within the support \(Boolean\(\)\) of the distribution Bernoulli"):
        D.Bernoulli(0.3).log_prob(torch.tensor(0.5))
    with pytest.raises(ValueError, match="not broadcastable with batch_shape"):
        D.Normal(t([0.0, 1.0]), 1.0).log_prob(t([0.0, 1.0, 2.0]))
    with pytest.raises(ValueError, match="right-most size of value must match event_shape"):
        D.Dirichlet(t([1.0, 1.0])).log_prob(t([0.2, 0.3, 0.5]))
    with pytest.raises(ValueError, match=r"Normal: .*numbers or Tensors.*got loc: .0., scale: 1.0"):
        D.Normal("0", 1.0)
    with pytest.raises(ValueError, match="`probs` or `logits`"):
        D.Categorical()
    with pytest.raises(NotImplementedError, match="Poisson has no reparameterized samples"):
        D.Poisson(1.0).rsample()
    with pytest.raises(NotImplementedError, match="Normal does not implement enumerate_support"):
        D.Normal(0.0, 1.0).enumerate_support()


def test_checks_can_be_turned_off() -> None:
    d = D.Normal(0.0, -1.0, validate_args=False)
    assert d.log_prob(torch.tensor(1.0)).isnan()
    try:
        D.Distribution.set_default_validate_args(False)
        D.Normal(0.0, -1.0)
        with pytest.raises(ValueError, match="scale"):
            D.Normal(0.0, -1.0, validate_args=True)
    finally:
        D.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="needs True or False"):
        D.Distribution.set_default_validate_args(3)  # type: ignore[arg-type]


def test_a_class_of_ones_own() -> None:
    class Triangular(D.Distribution):
        arg_constraints = {"top": D.constraints.positive}
        support = D.constraints.unit_interval
        has_rsample = True

        def __init__(self, top: Any, validate_args: bool | None = None):
            (self.top,) = D.utils.broadcast_all(top)
            super().__init__(self.top.shape, validate_args=validate_args)

        def rsample(self, sample_shape: Any = ()) -> Any:
            return torch.rand(self._extended_shape(sample_shape)).sqrt()

    d = Triangular(torch.ones(3))
    assert repr(d) == "Triangular(top: torch.Size([3]))"
    assert d.expand((2, 3)).sample((4,)).shape == (4, 2, 3)
    with pytest.raises(ValueError, match="top"):
        Triangular(-1.0)
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        D.Distribution()
        d.sample_n(2)
    assert [w.category for w in log] == [UserWarning, FutureWarning]


def test_numbers_make_default_floats() -> None:
    assert D.Normal(1, 2).loc.dtype is torch.float32
    assert D.Normal(t([1.0]), 2).scale.dtype is torch.float64
    assert D.Normal(0.0, 1.0).sample().shape == ()


def test_lazy_parameters_keep_their_history() -> None:
    p = t([0.2, 0.8]).requires_grad_()
    d = D.Categorical(probs=p)
    with torch.no_grad():
        d.logits  # noqa: B018
    assert d.logits.requires_grad and repr(d) == "Categorical(probs: torch.Size([2]), logits: torch.Size([2]))"


def test_a_policy_gradient_step() -> None:
    torch.manual_seed(0)
    logits = torch.zeros(3, requires_grad=True)
    for _ in range(60):
        d = D.Categorical(logits=logits)
        action = d.sample((32,))
        loss = -(d.log_prob(action) * (action == 2)).mean() - 0.01 * d.entropy()
        (g,) = torch.autograd.grad(loss, logits)
        with torch.no_grad():
            logits -= 0.5 * g
    assert logits.argmax() == 2 and logits.softmax(-1)[2] > 0.8
