"""repeat_interleave on both devices: what it repeats, what it reads, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch as torch
from tritorch.functional import arrangement


@pytest.mark.parametrize("repeats", [0, 1, 3, [2], [1, 0, 2], [0, 0, 0]])
@pytest.mark.parametrize("dim", [0, 1, -1, None])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_against_numpy(device, repeats, dim, as_tensor):
    x = np.arange(9.0, dtype=np.float32).reshape(3, 3)
    if isinstance(repeats, list) and len(repeats) == 3 and dim is None:
        repeats = repeats * 3
    given = torch.tensor(repeats, device=device) if as_tensor else repeats
    y = torch.repeat_interleave(torch.tensor(x, device=device), given, dim)
    np.testing.assert_array_equal(y.cpu().numpy(), np.repeat(x, repeats, dim))
    assert y.is_contiguous() and y.device.type == device


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_the_numbers_alone(device, dtype):
    counts = torch.tensor([0, 2, 0, 3, 1], dtype=dtype, device=device)
    y = torch.repeat_interleave(counts)
    assert y.tolist() == [1, 1, 3, 3, 3, 4] and y.dtype is torch.int64
    assert torch.repeat_interleave(torch.zeros(0, dtype=dtype, device=device)).tolist() == []
    big = torch.tensor(np.random.default_rng(0).integers(0, 5, 3000), device=device)
    expected = np.repeat(np.arange(3000), big.cpu().numpy())
    np.testing.assert_array_equal(torch.repeat_interleave(big).cpu().numpy(), expected)


def test_the_result_has_memory_of_its_own(device):
    x = torch.ones(1, 4, device=device)
    for y in (x.repeat_interleave(1, 0), x.repeat_interleave(5, 0), x.repeat_interleave(2)):
        y += 1
        assert (y == 2).all()
    assert (x == 1).all()


def test_gradients(device):
    x = torch.tensor([[1.0, 2, 3]], device=device).requires_grad_()
    w = torch.arange(6.0, device=device)
    (x.repeat_interleave(2, 1) * w).sum().backward()
    assert x.grad.tolist() == [[1, 5, 9]]
    x.grad = None
    (x.repeat_interleave(torch.tensor([3, 0, 2], device=device), 1) * w[:5]).sum().backward()
    assert x.grad.tolist() == [[3, 0, 7]]


def test_a_given_size_needs_no_look_at_the_numbers(monkeypatch):
    def read(*args):
        raise AssertionError("looked at the numbers")

    counts, x = torch.tensor([1, 2]).cuda(), torch.tensor([5.0, 6]).cuda()
    monkeypatch.setattr(arrangement, "stack", read)
    monkeypatch.setattr(torch.Tensor, "item", read)
    y = torch.repeat_interleave(x, counts, output_size=3)
    one = torch.repeat_interleave(x, counts[:1], output_size=2)
    monkeypatch.undo()
    assert y.tolist() == [5, 6, 6] and one.tolist() == [5, 6]
    with pytest.raises(RuntimeError, match="allocated size does not match"):
        torch.repeat_interleave(x.cpu(), counts.cpu(), output_size=4)
    with pytest.raises(RuntimeError, match="allocated size does not match"):
        torch.repeat_interleave(x, 2, output_size=3)


def test_what_is_refused(device):
    x = torch.ones(3, device=device)
    for repeats, words in (
        (-1, "can not be negative"), (torch.tensor([1, -1, 0], device=device), "can not be negative"),
        (torch.tensor([1.0, 1, 1], device=device), "Long or Int"), (torch.tensor([1, 2], device=device), "same size as input"),
        (torch.ones(3, 1, dtype=torch.int64, device=device), "0-dim or 1-dim"),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=words):
            x.repeat_interleave(repeats)
    other = "cpu" if device == "cuda" else "cuda"
    with pytest.raises(RuntimeError, match="same device"):
        x.repeat_interleave(torch.tensor([1, 1, 1], device=other))
    with pytest.raises(IndexError):
        x.repeat_interleave(2, 1)
