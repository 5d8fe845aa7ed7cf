"""Storages, set_, resize_, shared memory and the typed constructors."""

from __future__ import annotations

import os

import pytest

import tritorch as torch


def test_storages_share_the_whole_memory() -> None:
    x = torch.arange(6).reshape(2, 3)
    s = x[1].storage()
    assert s.tolist() == list(range(6)) and len(s) == 6 and s.dtype is torch.int64
    s[5] = 50
    assert x[1, 2].item() == 50 and s[5] == 50 and s[1:3].tolist() == [1, 2]
    assert x.t().untyped_storage().nbytes() == 48 and torch.is_storage(s) and not torch.is_storage(x)
    assert torch.FloatStorage([1.0, 2.0]).tolist() == [1.0, 2.0] and x.storage_type() is torch.LongStorage
    assert "LongStorage" not in repr(s) or repr(s)


def test_set_lets_a_tensor_lie_over_other_memory() -> None:
    a, b = torch.zeros(2), torch.arange(6.0)
    assert a.set_(b) is a and a.is_set_to(b) and a.data_ptr() == b.data_ptr()
    a[0] = 9
    assert b[0].item() == 9
    a.set_(b.storage(), 1, (2, 2), (2, 1))
    assert a.tolist() == [[1.0, 2.0], [3.0, 4.0]] and not a.is_set_to(b)
    assert a.set_().numel() == 0
    with pytest.raises(RuntimeError, match="needs 7 elements"):
        a.set_(b.storage(), 0, (7,))
    with pytest.raises(RuntimeError, match="dtype"):
        a.set_(torch.arange(3))


def test_resize_keeps_the_elements_in_order() -> None:
    x = torch.arange(4.0)
    assert x.resize_(2, 1).tolist() == [[0.0], [1.0]]
    assert x.resize_(2, 2).tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert x.resize_(2, 3).shape == (2, 3) and x.flatten()[:4].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert x.resize_as_(torch.ones(3)).tolist() == [0.0, 1.0, 2.0]
    assert torch.resize_as_(x, torch.ones(1, 2)).shape == (1, 2)


def test_as_strided_in_place() -> None:
    x = torch.arange(6)
    assert x.as_strided_((2, 2), (3, 1), 1) is x and x.tolist() == [[1, 2], [4, 5]]


def test_typed_constructors() -> None:
    x = torch.FloatTensor([1, 2])
    assert x.dtype is torch.float32 and isinstance(x, torch.FloatTensor) and not isinstance(x, torch.LongTensor)
    assert torch.LongTensor(2, 3).shape == (2, 3) and torch.ByteTensor(x.shape).shape == (2,)
    assert torch.ones(2).type(torch.DoubleTensor).dtype is torch.float64
    assert x.new(2, 2).dtype is torch.float32 and torch.ones(1).long().new([3, 4]).tolist() == [3, 4]
    with pytest.raises(TypeError):
        torch.FloatTensor(torch.ones(2).double())
    before = torch.get_default_dtype()
    try:
        torch.set_default_tensor_type(torch.DoubleTensor)
        assert torch.ones(1).dtype is torch.float64
        torch.set_default_tensor_type("torch.FloatTensor")
        assert torch.ones(1).dtype is torch.float32
        with pytest.raises(TypeError):
            torch.set_default_tensor_type(torch.LongTensor)
    finally:
        torch.set_default_dtype(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="shared memory is shared with forked processes")
def test_shared_memory_is_shared_with_forked_processes() -> None:
    x = torch.zeros(3).share_memory_()
    assert x.is_shared() and x.share_memory_() is x
    pid = os.fork()
    if pid == 0:
        x[1] = 5
        os._exit(0)
    os.waitpid(pid, 0)
    assert x.tolist() == [0.0, 5.0, 0.0]


def test_questions_to_a_tensor() -> None:
    x = torch.ones(2, 3)
    assert torch.is_same_size(x, x) and not torch.is_neg(x) and torch.is_signed(x) and torch.get_device(x) == -1
    assert x.t().dim_order() == (1, 0) and x.dense_dim() == 2 and x.sparse_dim() == 0 and x.to_dense() is x
    z = torch.tensor([1 + 2j])
    assert z.resolve_conj().tolist() == [1 + 2j] and torch.conj_physical(z).tolist() == [1 - 2j]
