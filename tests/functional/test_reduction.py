"""Public reductions on both devices: forms of dim, dtypes, errors, the short way for small tensors, gradients."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tritorch as torch


def x34(device: str = "cpu", **more) -> torch.Tensor:
    return torch.arange(12.0).reshape(3, 4).to(device).requires_grad_(more.get("grad", False))


ERRORS = [
    (lambda x: x.sum(2), IndexError, r"sum: Dimension out of range: dim must be in \[-2, 1\] for 2 dims; got 2"),
    (lambda x: x.sum((0, 0)), RuntimeError, "sum: .*multiple times"),
    (lambda x: x.sum("a"), TypeError, "sum: dim must be an int; got dim: 'a'"),
    (lambda x: x.mean(-3), IndexError, "mean: Dimension out of range"),
    (lambda x: x.long().mean(), RuntimeError, "mean: could not infer output dtype.*int64"),
    (lambda x: torch.sum(3), TypeError, r"sum\(\): argument 'input' \(position 1\) must be Tensor, not int"),
    (lambda x: x.sum(0, dtype="float"), TypeError, "must be torch.dtype"),
    (lambda x: x.softmax(2), IndexError, "softmax: Dimension out of range"),
    (lambda x: x.long().softmax(0), NotImplementedError, "softmax: needs a floating point dtype.*int64"),
    (lambda x: x.softmax(None), TypeError, "must be int, not NoneType"),
    (lambda x: x.prod(2), IndexError, "prod: Dimension out of range"),
    (lambda x: x.amax(2), IndexError, "amax: Dimension out of range"),
    (lambda x: x[:0].amax(0), IndexError, "Expected reduction dim 0 to have non-zero size"),
    (lambda x: x[:0].max(), RuntimeError, "Expected reduction dim to be specified"),
    (lambda x: x[:0].max(0), IndexError, "Expected reduction dim 0 to have non-zero size"),
    (lambda x: x[:0].argmax(), IndexError, "Expected reduction dim to be specified"),
    (lambda x: (x > 0).argmax(), NotImplementedError, "argmax: does not support bool"),
    (lambda x: x.argmax(5), IndexError, "argmax: Dimension out of range"),
    (lambda x: x.long().var(), RuntimeError, "var: only supports floating point"),
    (lambda x: x.var(0, True, correction=1), TypeError, "unbiased or correction, not both"),
    (lambda x: x.long().norm(), RuntimeError, "Expected a floating point or complex"),
    (lambda x: x[:0].norm(float("inf")), RuntimeError, "inf norm on an empty tensor"),
    (lambda x: x.norm("abc"), ValueError, "p must be a number"),
    (lambda x: x.cumsum(2), IndexError, "cumsum: Dimension out of range"),
    (lambda x: x.long().logcumsumexp(0), NotImplementedError, "needs a floating point or complex dtype"),
    (lambda x: x.sort(2), IndexError, "sort: Dimension out of range"),
    (lambda x: x.topk(5), RuntimeError, r"k out of range: must be in \[0, 4\]; got 5"),
    (lambda x: x.kthvalue(0), RuntimeError, r"k out of range for dimension 1: must be in \[1, 4\]; got 0"),
    (lambda x: x[:0].median(0), IndexError, "median.*non-zero size"),
    (lambda x: (x > 1).median(), NotImplementedError, "median: not implemented for bool"),
    (lambda x: x.quantile(1.5), RuntimeError, r"range \[0, 1\] but got 1.5"),
    (lambda x: x.half().quantile(0.5), RuntimeError, "either float or double"),
    (lambda x: x.quantile(torch.tensor([0.5], dtype=torch.float64)), RuntimeError, "same dtype"),
    (lambda x: x.quantile(0.5, interpolation="cubic"), RuntimeError, "interpolation must be one of"),
    (lambda x: torch.unique(x.sum(), dim=0), IndexError, "no dimensions"),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors_say_what_is_wrong(case, device):
    call, kind, text = ERRORS[case]
    with pytest.raises(kind, match=text):
        call(x34(device))


def test_forms_of_dim(device):
    x = x34(device)
    assert x.sum().item() == x.sum(None).item() == x.sum(()).item() == x.sum((0, 1)).item() == 66
    assert (
        x.sum(0).tolist() == x.sum(-2).tolist() == x.sum(dim=[0]).tolist() == x.sum(axis=0).tolist() == [12, 15, 18, 21]
    )
    assert x.sum(1, True).shape == x.sum(axis=1, keepdims=True).shape == (3, 1)
    assert x.mean((0, 1), keepdim=True).tolist() == [[5.5]]
    assert x.amax().item() == 11 and x.amin((0,)).tolist() == [0, 1, 2, 3]


def test_result_dtypes(device):
    for kind in (torch.int8, torch.uint8, torch.int32, torch.bool):
        x = torch.ones(3, dtype=kind).to(device)
        assert x.sum().dtype is x.prod().dtype is x.cumsum(0).dtype is torch.int64
        assert x.max().dtype is kind
        assert x.any().dtype is (torch.uint8 if kind is torch.uint8 else torch.bool)
    x = torch.ones(3, dtype=torch.float16).to(device)
    assert x.sum().dtype is torch.float16 and x.sum(dtype=torch.float32).dtype is torch.float32


def test_half_precision_is_summed_in_float32(device):
    x = torch.full((5000,), 0.1, dtype=torch.float16).to(device)
    assert abs(x.sum().item() - 500) < 0.5
    assert abs(x.mean().item() - 0.1) < 1e-3


@pytest.mark.parametrize(
    "call", [lambda x: x.sum(), lambda x: x.mean(1), lambda x: x.sum(-1, True), lambda x: x.mean()]
)
def test_the_short_way_records_as_the_op_does(call):
    small, large = x34(grad=True), torch.arange(12.0).reshape(3, 4).repeat(1, 2000).requires_grad_()
    for x in (small, large):
        y = call(x)
        assert y.grad_fn is not None and y.grad_fn.name() in ("SumBackward0", "MeanBackward0")
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        assert g.shape == x.shape and bool((g == g.reshape(-1)[0]).all())
        with torch.no_grad():
            assert not call(x).requires_grad
    with torch.autograd.set_detect_anomaly(True):
        assert call(small).requires_grad
    assert not call(small.detach()).requires_grad


def test_sum_of_a_view_and_of_an_expanded_tensor():
    x = torch.arange(6.0).reshape(2, 3)
    assert x.t().sum(0).tolist() == [3, 12]
    assert x[:, ::2].sum().item() == 0 + 2 + 3 + 5
    assert torch.tensor([2.0]).expand(100, 200).sum().item() == 40000
    assert torch.tensor([[1.0], [2.0]]).expand(2, 9000).sum(1).tolist() == [9000, 18000]


def test_results_own_their_memory():
    x = torch.arange(9000.0).reshape(9000, 1)
    for call in (
        lambda t: t.sum(1),
        lambda t: t.amax(1),
        lambda t: t.logsumexp(1),
        lambda t: t.prod(1),
        lambda t: t.norm(2, 1),
    ):
        y = call(x)
        y.add_(1)
        assert x[5, 0].item() == 5


def test_gradients_of_ties_are_shared(device):
    for call, want in (
        (lambda x: x.max(), [0, 0.5, 0.5]),
        (lambda x: x.amax(0), [0, 0.5, 0.5]),
        (lambda x: x.max(0).values, [0, 1, 0]),
        (lambda x: x.min(), [1, 0, 0]),
    ):
        x = torch.tensor([1.0, 3.0, 3.0]).to(device).requires_grad_()
        call(x).backward()
        assert x.grad.tolist() == want


def test_second_derivative_of_products_through_zeros():
    x = torch.tensor([0.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    for call in (lambda t: t.prod(), lambda t: t.prod(0), lambda t: t.cumprod(0)[-1]):
        (g,) = torch.autograd.grad(call(x), x, create_graph=True)
        assert g.tolist() == [6, 0, 0]
        assert torch.autograd.grad(g[0], x, retain_graph=True)[0].tolist() == [0, 3, 2]
        assert torch.autograd.grad(g[1], x)[0].tolist() == [3, 0, 0]


def test_std_has_no_gradient_where_it_is_zero():
    x = torch.ones(4, requires_grad=True)
    x.std().backward()
    assert x.grad.tolist() == [0, 0, 0, 0]
    x = torch.zeros(3, requires_grad=True)
    x.norm().backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_degrees_of_freedom_warning():
    with pytest.warns(UserWarning, match=r"var\(\): degrees of freedom is <= 0"):
        assert np.isnan(torch.ones(1).var().item())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert torch.ones(1).var(correction=0).item() == 0


def test_softmax_gradient_on_both_sizes(device):
    for n in (5, 3000):
        x = torch.linspace(-2, 2, 2 * n, dtype=torch.float64).reshape(2, n).to(device).requires_grad_()
        w = torch.cos(torch.arange(2.0 * n, dtype=torch.float64)).reshape(2, n).to(device)
        (x.softmax(1) * w).sum().backward()
        y = x.detach().softmax(1)
        want = y * (w - (w * y).sum(1, True))
        assert torch.allclose(x.grad.cpu(), want.cpu(), atol=1e-12)
        x.grad = None
        (x.log_softmax(1) * w).sum().backward()
        want = w - y * w.sum(1, True)
        assert torch.allclose(x.grad.cpu(), want.cpu(), atol=1e-10)


def test_expanded_gradient_is_written_out_in_the_leaf():
    x = torch.zeros(100, 100, requires_grad=True)
    x.sum().backward()
    x.grad.add_(1)
    assert x.grad.sum().item() == 20000
    x.mean(0).sum().backward()
    assert abs(x.grad.sum().item() - 20100) < 1e-2
