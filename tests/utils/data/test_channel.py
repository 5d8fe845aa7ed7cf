from __future__ import annotations

import gc
import os

import numpy as np
import pytest

import tritorch as torch
from tritorch import nn
from tritorch.utils.data._channel import INLINE, Channel, Unreadable, WorkerGone, channel


@pytest.fixture
def ends():
    a, b = (Channel(s) for s in channel())
    yield a, b
    a.close()
    b.close()


def through(ends, obj):
    a, b = ends
    a.send(7, obj)
    tag, got = b.receive()
    assert tag == 7
    return got


@pytest.mark.parametrize("n", [1, 3, INLINE, 5 * INLINE])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.bool, torch.complex128])
def test_tensors_arrive(ends, n, dtype):
    x = (torch.arange(n) % 2).to(dtype)
    got = through(ends, {"x": x, "y": [x[:1], "text"]})
    assert got["x"].dtype is dtype and got["x"].tolist() == x.tolist()
    assert got["y"][0].tolist() == x[:1].tolist() and got["y"][1] == "text"
    got["x"].zero_()  # writable, and nobody else's
    assert x.tolist() == (torch.arange(n) % 2).to(dtype).tolist()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3, 4), (200, 300)])
def test_shapes_and_views_arrive(ends, shape):
    x = torch.ones(shape)
    assert tuple(through(ends, x).shape) == shape
    assert through(ends, x.flatten().expand(2, x.numel())).tolist() == x.flatten().expand(2, x.numel()).tolist()


def test_arrays_arrive(ends):
    big = np.arange(2.0 * INLINE).reshape(2, -1)
    got = through(ends, [big, big.T, np.zeros((0, 3)), np.array(["a", None], object)])
    assert all(np.array_equal(a, b) for a, b in zip(got, [big, big.T, np.zeros((0, 3))], strict=False))


def test_the_same_tensor_twice_stays_the_same(ends):
    x = torch.ones(3)
    a, b = through(ends, [x, x])
    assert a is b


def test_parameters_and_leaves_keep_requires_grad(ends):
    got = through(ends, [nn.Parameter(torch.ones(2)), torch.ones(2, requires_grad=True)])
    assert type(got[0]) is nn.Parameter and got[0].requires_grad and got[1].requires_grad and got[1].is_leaf


def test_non_leaves_are_refused(ends):
    x = torch.ones(2, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="non-leaf tensor which requires_grad.*detach"):
        ends[0].send(0, x)


def test_cuda_tensors_are_refused(ends):
    with pytest.raises(TypeError, match="only send CPU tensors; got one on cuda:0"):
        ends[0].send(0, torch.ones(2, device="cuda"))


def test_many_buffers_in_one_message(ends):
    got = through(ends, [torch.full((3,), float(i)) for i in range(5000)])
    assert [t[0].item() for t in got] == list(range(5000))


def test_a_block_is_used_again_once_its_arrays_are_gone(ends):
    a, b = ends
    x = torch.ones(INLINE)
    for i in range(20):
        a.send(i, x)
        _, got = b.receive()
        view = got.numpy()[5:]  # keeps the block
        del got
        assert view[0] == 1
        del view
        b.send(0, None)
        a.receive()
    assert len(a._out.free) + len(a._out.lent) == 1


def test_a_block_in_use_is_not_overwritten(ends):
    a, b = ends
    kept = []
    for i in range(10):
        a.send(i, torch.full((INLINE,), float(i)))
        kept.append(b.receive()[1])
        b.send(0, None)
        a.receive()
    assert [k[0].item() for k in kept] == [k[-1].item() for k in kept] == list(range(10))


def test_blocks_that_have_become_too_small_are_dropped(ends):
    a, b = ends
    a._out.keep = 2
    for i in range(12):
        a.send(i, torch.ones(INLINE * (i + 1)))
        b.receive()
        b.send(0, None)
        a.receive()
    assert len(a._out.free) + len(a._out.lent) <= 3
    assert len(b._in) <= 3


def test_no_descriptor_is_left(ends):
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    kept = [through(ends, torch.ones(INLINE)) for _ in range(30)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert sum(k.sum().item() for k in kept) == 30 * INLINE


def test_memory_outlives_the_channel(ends):
    got = through(ends, torch.full((INLINE,), 3.0))
    ends[1].close()
    ends[0].close()
    gc.collect()
    assert got.sum().item() == 3 * INLINE


def test_a_full_socket_does_not_block_a_send_that_does_not_wait(ends):
    a, b = ends
    for i in range(500):
        a.send(i, b"x" * 10_000, wait=False)
    assert a.pending
    for i in range(500):
        assert b.receive()[0] == i
        a.flush()
    assert not a.pending


class Broken:
    def __reduce__(self):
        return int, ("not a number",)


def test_what_cannot_be_rebuilt_is_told(ends):
    got = through(ends, Broken())
    assert isinstance(got, Unreadable) and isinstance(got.error, ValueError)


def test_the_other_end_gone(ends):
    a, b = ends
    b.close()
    with pytest.raises(WorkerGone):
        a.receive()
    with pytest.raises(WorkerGone):
        a.send(0, None)
