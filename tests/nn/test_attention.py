"""The choice of an attention kernel: accepted where something here fits it, refused by the call where nothing does."""

from __future__ import annotations

import pytest

import tritorch as torch
from tritorch.nn.attention import SDPBackend, sdpa_kernel

NAMES = ["MATH", "FLASH_ATTENTION", "EFFICIENT_ATTENTION"]


def attend(device: str = "cpu") -> list:
    torch.manual_seed(0)
    q = torch.randn(1, 2, 4, 8).to(device)
    return torch.nn.functional.scaled_dot_product_attention(q, q, q).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_a_choice_that_is_here_changes_nothing(name: str, device: str) -> None:
    with sdpa_kernel(SDPBackend[name]):
        found = attend(device)
    assert found == attend(device)


def test_a_choice_that_is_not_here_is_refused_by_the_call() -> None:
    for choice in (SDPBackend.CUDNN_ATTENTION, [SDPBackend.OVERRIDEABLE, SDPBackend.CUDNN_ATTENTION], []):
        with sdpa_kernel(choice):
            with pytest.raises(RuntimeError, match="No viable backend for scaled_dot_product_attention"):
                attend()
            with sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.MATH], set_priority=True):
                attend()  # the innermost counts
    attend()
    with pytest.raises(AssertionError, match="got str"):
        sdpa_kernel("math").__enter__()


def test_as_a_decorator() -> None:
    decorated = sdpa_kernel(SDPBackend.CUDNN_ATTENTION)(attend)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="No viable backend"):
            decorated()


def test_the_older_form() -> None:
    with pytest.warns(FutureWarning, match="sdpa_kernel"):
        with torch.backends.cuda.sdp_kernel(enable_flash=False, enable_math=False):
            attend()
    with pytest.warns(FutureWarning), torch.backends.cuda.sdp_kernel(False, False, False, True):
        with pytest.raises(RuntimeError, match="No viable backend"):
            attend()
