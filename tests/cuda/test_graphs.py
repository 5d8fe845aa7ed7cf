"""CUDA graphs on the emulated device: an error that says so. The logic is tested in tests/kernels/test_driver.py."""

from __future__ import annotations

import pytest

import tritorch as torch
from tritorch.device import EMULATED

pytestmark = pytest.mark.skipif(not EMULATED, reason="a real device captures graphs")


@pytest.mark.parametrize(
    "act",
    [
        lambda: torch.cuda.CUDAGraph().capture_begin(),
        lambda: torch.cuda.graph(torch.cuda.CUDAGraph()),
        lambda: torch.cuda.make_graphed_callables(torch.nn.Linear(2, 2), (torch.ones(1, 2),)),
        lambda: torch.cuda.graph_pool_handle(),
    ],
)
def test_says_that_the_device_is_emulated(act):
    with pytest.raises(RuntimeError, match="emulates cuda"):
        act()
    assert not torch.cuda.is_current_stream_capturing()


def test_pinned_memory_is_a_copy():
    x = torch.arange(6).reshape(2, 3)
    p = x.t().pin_memory()
    assert p.is_pinned() and p.is_contiguous() and p.tolist() == x.t().tolist()
    x[0, 0] = 9
    assert p[0, 0] == 0 and p.cuda(non_blocking=True).tolist() == p.tolist()
    loader = torch.utils.data.DataLoader([x.float(), x.float()], batch_size=2, pin_memory=True)
    assert all(batch.is_pinned() for batch in loader)
