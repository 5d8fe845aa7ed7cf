"""torch.backends and torch.accelerator: the settings reach the kernels, the facts are the machine's."""

from __future__ import annotations

import pytest

import tritorch as torch
from tritorch import backends
from tritorch.kernels import _gemm


@pytest.fixture(autouse=True)
def ieee_afterwards():
    yield
    _gemm.set_float32_precision("ieee")


def test_precision_reaches_the_kernels():
    assert not backends.cuda.matmul.allow_tf32 and torch.get_float32_matmul_precision() == "highest"
    backends.cuda.matmul.allow_tf32 = True
    assert _gemm.get_float32_precision() == "tf32" and torch.get_float32_matmul_precision() == "high"
    assert backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("medium")
    assert torch.get_float32_matmul_precision() == "medium" and backends.cuda.matmul.fp32_precision == "tf32"
    backends.cudnn.allow_tf32 = False
    assert _gemm.get_float32_precision() == "ieee" and torch.get_float32_matmul_precision() == "highest"
    _gemm.set_float32_precision("tf32x3")
    assert backends.cuda.matmul.precision == "high"
    with pytest.raises(RuntimeError, match="one of highest, high, medium"):
        torch.set_float32_matmul_precision("low")


def test_what_cannot_be_had_says_so():
    with pytest.raises(RuntimeError, match="always float32"):
        backends.cuda.matmul.allow_bf16_reduced_precision_reduction = True
    backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    with pytest.raises(AttributeError, match="allow_tf23"):
        backends.cuda.matmul.allow_tf23 = True


def test_cudnn_flags():
    backends.cudnn.benchmark = True
    with backends.cudnn.flags(enabled=False, benchmark=False, deterministic=True, allow_tf32=True):
        assert not backends.cudnn.enabled and not backends.cudnn.benchmark and _gemm.get_float32_precision() == "tf32"
    assert backends.cudnn.enabled and backends.cudnn.benchmark and _gemm.get_float32_precision() == "ieee"
    backends.cudnn.benchmark = False
    assert backends.cudnn.version() is None


def test_facts():
    assert not backends.mps.is_available() and not backends.mkldnn.is_available() and backends.cuda.is_built()
    assert backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "NO AVX", "DEFAULT")


def test_accelerator():
    a = torch.accelerator
    assert a.is_available() and a.device_count() == torch.cuda.device_count()
    assert a.current_accelerator() == torch.device("cuda") and a.current_device_index() == 0
    x = torch.ones(3, device=a.current_accelerator())
    a.synchronize()
    assert a.memory_allocated() >= x.nbytes
    stream = torch.cuda.Stream()
    before = a.current_stream()
    a.set_stream(stream)
    assert a.current_stream() == stream
    a.set_stream(before)
    with a.device_index(0):
        a.set_device_index("cuda:0")
