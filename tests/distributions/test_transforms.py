"""Transforms: inverses, Jacobians against autograd's, caches, shapes, errors."""

from __future__ import annotations

import gc
from typing import Any

import pytest

import tritorch as torch
from tests.distributions.cases import t
from tritorch import distributions as D

BIJECTIVE: dict[str, tuple[Any, list]] = {
    "exp": (D.ExpTransform(), [0.5, -1.0]),
    "sigmoid": (D.SigmoidTransform(), [0.5, -1.0]),
    "softplus": (D.SoftplusTransform(), [0.5, -1.0]),
    "tanh": (D.TanhTransform(), [0.5, -1.0]),
    "power": (D.PowerTransform(t(-1.5)), [0.5, 2.0]),
    "affine": (D.AffineTransform(t([1.0, 2.0]), t([-3.0, 0.5])), [0.5, -1.0]),
    "cdf": (D.CumulativeDistributionTransform(D.Normal(t(0.5), t(2.0))), [0.5, -1.0]),
    "stick": (D.StickBreakingTransform(), [0.5, -1.0, 0.2]),
    "corr": (D.CorrCholeskyTransform(), [0.5, -1.0, 0.2]),
    "reshape": (D.ReshapeTransform((4,), (2, 2)), [0.5, -1.0, 0.2, 0.1]),
    "independent": (D.IndependentTransform(D.ExpTransform(), 1), [0.5, -1.0]),
    "compose": (D.ComposeTransform([D.ExpTransform(), D.AffineTransform(1.0, -2.0)]), [0.5, -1.0]),
    "to simplex": (D.ComposeTransform([D.AffineTransform(0.0, 2.0), D.StickBreakingTransform()]), [0.5, -1.0]),
    "cat": (D.CatTransform([D.ExpTransform(), D.identity_transform], -1, [1, 2]), [0.5, -1.0, 0.2]),
    "stack": (D.StackTransform([D.ExpTransform(), D.TanhTransform()], -1), [0.5, -1.0]),
    "identity": (D.identity_transform, [0.5, -1.0]),
    "inverse": (D.ExpTransform().inv, [0.5, 2.0]),
}  # fmt: skip
ON_SIMPLEX = {"stick", "to simplex"}


@pytest.mark.parametrize("name", BIJECTIVE)
def test_inverse_and_jacobian(name: str, device: str) -> None:
    transform, values = BIJECTIVE[name]
    if device == "cuda" and name in ("power", "affine", "cdf"):  # their parameters are on the CPU
        device = "cpu"
    x = t([values, values[::-1]], device)
    y = transform(x)
    torch.testing.assert_close(transform.inv(y), x)
    assert tuple(transform.forward_shape(x.shape)) == y.shape and tuple(transform.inverse_shape(y.shape)) == x.shape
    found = transform.log_abs_det_jacobian(x, y)
    assert found.shape == (x.shape if name == "stack" else x.shape[: 2 - transform.domain.event_dim])
    torch.testing.assert_close(transform.inv.log_abs_det_jacobian(y, x), -found)

    def flat(v: Any) -> Any:
        y = transform(v)
        if name in ON_SIMPLEX:
            y = y[..., :-1]
        elif name == "corr":
            y = y[torch.tril_indices(3, 3, -1).unbind(0)]
        return y.reshape(-1)

    for i in range(2):
        jacobian = torch.autograd.functional.jacobian(flat, x[i].to("cpu"))
        total = found[i].sum().to("cpu")
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], total)


@pytest.mark.parametrize("name", BIJECTIVE)
def test_caches(name: str) -> None:
    transform, values = BIJECTIVE[name]
    if name == "identity":
        return
    cached = transform.with_cache(1)
    assert cached.with_cache(1) is cached
    x = t([values])
    y = cached(x)
    if name not in ("compose", "to simplex"):
        assert cached(x) is y
    assert cached.inv(y) is x or name == "reshape"
    assert cached(x.clone()) is not y


def test_inverses_are_kept_while_they_are_used() -> None:
    e = D.ExpTransform()
    inverse = e.inv
    assert e.inv is inverse and inverse.inv is e
    del inverse
    gc.collect()
    assert e.inv.inv is e
    both = D.ComposeTransform([e, D.TanhTransform()])
    assert both.inv.inv is both or both.inv.inv == both


def test_equality() -> None:
    assert D.ExpTransform() == D.ExpTransform() != D.TanhTransform()
    assert D.AffineTransform(1.0, 2.0) == D.AffineTransform(1.0, 2.0) != D.AffineTransform(1.0, 3.0)
    assert D.PowerTransform(2.0) == D.PowerTransform(t(2.0)) != D.PowerTransform(3.0)
    assert D.ExpTransform().inv == D.ExpTransform().inv != D.ExpTransform()
    assert D.ComposeTransform([D.ExpTransform()]) == D.ComposeTransform([D.ExpTransform()]) != D.identity_transform


def test_signs() -> None:
    assert D.ExpTransform().sign == 1 and D.AffineTransform(0.0, -2.0).sign == -1
    assert D.PowerTransform(t(-2.0)).sign == -1
    assert D.ComposeTransform([D.AffineTransform(0.0, -1.0), D.AffineTransform(0.0, -1.0)]).sign == 1
    with pytest.raises(NotImplementedError, match="StickBreakingTransform has no sign"):
        D.StickBreakingTransform().sign  # noqa: B018


def test_matrices() -> None:
    x = t([[0.3, -1.2], [0.5, 0.1]])
    for transform in (D.LowerCholeskyTransform(), D.PositiveDefiniteTransform()):
        y = transform(x)
        assert transform.codomain.check(y)
        torch.testing.assert_close(transform(transform.inv(y)), y)
        with pytest.raises(NotImplementedError, match="no Jacobian determinant"):
            transform.log_abs_det_jacobian(x, y)


def test_gradients() -> None:
    def f(x: Any) -> Any:
        y = D.CorrCholeskyTransform()(x)
        return D.CorrCholeskyTransform().log_abs_det_jacobian(x, y), y

    assert torch.autograd.gradcheck(f, (t([0.5, -1.0, 0.2]).requires_grad_(),))


def test_errors() -> None:
    with pytest.raises(ValueError, match="cache_size must be 0 or 1; got cache_size: 2"):
        D.ExpTransform(cache_size=2)
    with pytest.raises(ValueError, match="different numbers of elements"):
        D.ReshapeTransform((2,), (3,))
    with pytest.raises(ValueError, match=r"ends with \(2,\); got shape: \(3,\)"):
        D.ReshapeTransform((2,), (2, 1)).forward_shape((3,))
    with pytest.raises(ValueError, match=r"not n \(n - 1\) / 2"):
        D.CorrCholeskyTransform().forward_shape((4,))
    with pytest.raises(AssertionError, match="needs size 3 in dim 0"):
        D.CatTransform([D.ExpTransform()], lengths=[3])(torch.zeros(2))
    with pytest.raises(AssertionError, match="must be Transforms"):
        D.StackTransform([3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="use .domain.event_dim or .codomain.event_dim"):
        D.ReshapeTransform((2,), (2, 1)).event_dim  # noqa: B018
    with pytest.raises(ValueError, match="needs at least 1 dim"):
        D.StickBreakingTransform().forward_shape(())
