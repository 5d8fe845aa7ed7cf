"""Sorting, selection, unique and scans on both devices."""

from __future__ import annotations

import pytest

import tritorch as torch

NAN = float("nan")


def test_sort_and_its_kin(device):
    x = torch.tensor([[3.0, NAN, 1.0], [2.0, 5.0, 2.0]]).to(device)
    values, indices = x.sort(dim=1)
    assert str(values.tolist()) == "[[1.0, 3.0, nan], [2.0, 2.0, 5.0]]" and indices.tolist() == [[2, 0, 1], [0, 2, 1]]
    assert x.sort(1, True).indices.tolist() == [[1, 0, 2], [1, 0, 2]]
    assert x.argsort(0).tolist() == [[1, 1, 0], [0, 0, 1]]
    assert torch.msort(x[:, ::2]).tolist() == [[2, 1], [3, 2]]
    assert x.topk(1).indices.tolist() == [[1], [1]]
    assert x.topk(2, largest=False).values.tolist() == [[1, 3], [2, 2]]
    assert x.kthvalue(2, 0).values[0].item() == 3
    assert torch.tensor(3.0).to(device).sort().indices.item() == 0
    assert x.topk(0).values.shape == (2, 0)


def test_gradients_go_to_the_chosen_elements(device):
    for call, want in (
        (lambda x: x.sort().values[0], [0, 1, 0, 0]),
        (lambda x: x.topk(2).values.sum(), [1, 0, 1, 0]),
        (lambda x: x.kthvalue(2).values, [0, 0, 0, 1]),
        (lambda x: x.median(0).values, [0, 0, 0, 1]),
        (lambda x: x.median(), [0, 0, 0, 1]),
        (lambda x: x.cummax(0).values.sum(), [2, 0, 2, 0]),
        (lambda x: x.cummin(0).values.sum(), [1, 3, 0, 0]),
        (lambda x: x.min(0).values, [0, 1, 0, 0]),
    ):
        x = torch.tensor([3.0, 1.0, 4.0, 2.0]).to(device).requires_grad_()
        call(x).backward()
        assert x.grad.tolist() == want


def test_unique():
    x = torch.tensor([[3, 1, 3], [1, 1, 2]])
    values, inverse, counts = x.unique(return_inverse=True, return_counts=True)
    assert values.tolist() == [1, 2, 3] and counts.tolist() == [3, 1, 2]
    assert values[inverse].tolist() == x.tolist()
    rows = torch.tensor([[1, 2], [0, 9], [1, 2], [0, 3]])
    values, inverse, counts = rows.unique(dim=0, return_inverse=True, return_counts=True)
    assert (
        values.tolist() == [[0, 3], [0, 9], [1, 2]]
        and inverse.tolist() == [2, 1, 2, 0]
        and counts.tolist() == [1, 1, 2]
    )
    assert rows.unique(dim=1).tolist() == [[1, 2], [0, 9], [1, 2], [0, 3]]
    assert torch.tensor([NAN, NAN]).unique().numel() == 2
    assert torch.zeros(0).unique().shape == (0,)
    assert not torch.ones(2, requires_grad=True).unique().requires_grad


def test_unique_consecutive():
    x = torch.tensor([1, 1, 2, 2, 2, 1])
    values, inverse, counts = x.unique_consecutive(return_inverse=True, return_counts=True)
    assert values.tolist() == [1, 2, 1] and inverse.tolist() == [0, 0, 1, 1, 1, 2] and counts.tolist() == [2, 3, 1]
    rows = torch.tensor([[1, 2], [1, 2], [3, 4]])
    assert rows.unique_consecutive(dim=0).tolist() == [[1, 2], [3, 4]]


def test_quantiles():
    x = torch.tensor([[0.0, 10.0, 20.0, 30.0], [4.0, 3.0, 2.0, 1.0]], requires_grad=True)
    q = torch.tensor([0.0, 0.5, 1.0])
    assert x.quantile(q, 1).tolist() == [[0, 1], [15, 2.5], [30, 4]]
    assert x.quantile(0.5, dim=1, keepdim=True).tolist() == [[15], [2.5]]
    x.quantile(0.5, 1).sum().backward()
    assert x.grad.tolist() == [[0, 0.5, 0.5, 0], [0, 0.5, 0.5, 0]]
    y = torch.tensor([1.0, NAN, 3.0])
    assert y.quantile(0.5).isnan().item() and y.nanquantile(0.5).item() == 2
    assert torch.tensor([NAN, NAN]).nanquantile(0.5).isnan().item()


def test_scans_in_place_and_out(device):
    x = torch.tensor([1.0, 2.0, 3.0]).to(device)
    assert torch.cumsum(x, 0).tolist() == [1, 3, 6] and torch.cumprod(x, dim=0).tolist() == [1, 2, 6]
    y = x.clone()
    assert y.cumsum_(0) is y and y.tolist() == [1, 3, 6]
    out = torch.empty(3).to(device)
    assert torch.cumsum(x, 0, out=out) is out and out.tolist() == [1, 3, 6]


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"])
def test_gradients_of_scans_on_both_devices_agree(name):
    data = torch.tensor([[0.5, -1.0, 2.0, 0.25], [1.5, 0.0, -0.5, 3.0]], dtype=torch.float64)
    grads = []
    for device in ("cpu", "cuda"):
        x = data.clone().to(device).requires_grad_()
        y = getattr(x, name)(1)
        y = y[0] if isinstance(y, tuple) else y
        (y * y).sum().backward()
        grads.append(x.grad.cpu())
    assert torch.allclose(*grads, atol=1e-10)
