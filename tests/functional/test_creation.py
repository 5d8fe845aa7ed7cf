"""Creation functions without PyTorch: what the errors say, sharing of memory, cuda, derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch as torch


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: torch.tensor([[1, 2], [3]]), ValueError, "expected sequence of length 2 at dim 1 .got 1."),
        (lambda: torch.tensor([[1, 2], 3]), TypeError, "not a sequence"),
        (lambda: torch.tensor(["a"]), ValueError, "too many dimensions 'str'"),
        (lambda: torch.tensor(None), RuntimeError, "Could not infer dtype of NoneType"),
        (lambda: torch.tensor(300, dtype=torch.uint8), RuntimeError, "uint8 without overflow: 300"),
        (lambda: torch.tensor(2**63), ValueError, "Overflow when unpacking long long"),
        (lambda: torch.tensor(1j, dtype=torch.float32), TypeError, "must be real number, not complex"),
        (lambda: torch.tensor([torch.ones(2)]), ValueError, "only one element tensors"),
        (lambda: torch.from_numpy(np.ones(3)[::-1]), ValueError, r"from_numpy: .*stride.*negative .strides \(-8,\)"),
        (lambda: torch.from_numpy(np.ones(3, ">f4")), ValueError, "byte order"),
        (lambda: torch.from_numpy(np.array(["a"])), TypeError, "numpy.str_"),
        (lambda: torch.zeros(2, -1), RuntimeError, r"zeros: .*negative dimension -1: \[2, -1\]"),
        (lambda: torch.zeros(2.0), TypeError, r"zeros\(\): argument 'size' .* must be tuple of ints, not float"),
        (lambda: torch.ones(2, colour=1), TypeError, r"ones\(\) got an unexpected keyword argument 'colour'"),
        (lambda: torch.full(2, 1), TypeError, r"full\(\): argument 'size'"),
        (lambda: torch.full((2,), "a"), TypeError, "must be Number, not str"),
        (lambda: torch.arange(5, 1), RuntimeError, "start 5, end 1, step 1"),
        (lambda: torch.arange(1, 5, 0), RuntimeError, "step must be nonzero"),
        (lambda: torch.linspace(0, 1, -1), RuntimeError, "must be non-negative; got -1"),
        (lambda: torch.eye(-1), RuntimeError, "n must be greater or equal to 0, got -1"),
        (lambda: torch.empty_strided((2, 3), (1,)), RuntimeError, r"sizes .2. must match .* strides .1."),
        (lambda: torch.frombuffer(bytearray(6), dtype=torch.int32), ValueError, "multiple of element size .4."),
        (lambda: torch.meshgrid(torch.ones(2, 2), indexing="ij"), RuntimeError, r"0D or 1D .*\(2, 2\)"),
        (lambda: torch.combinations(torch.ones(2, 2)), RuntimeError, r"1D vector, but got shape \[2, 2\]"),
    ],
)  # fmt: skip
def test_messages(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        for t in (torch.tensor(1.5), torch.zeros(2), torch.arange(2.0), torch.rand(2), torch.full((1,), 2.0)):
            assert t.dtype is torch.float64
        assert torch.tensor(1j).dtype is torch.complex128
    finally:
        torch.set_default_dtype(torch.float32)


def test_views_of_arrays_and_copies():
    a = np.arange(6.0).reshape(2, 3)
    shared, copied = torch.from_numpy(a.T), torch.tensor(a.T)
    a[0, 1] = 50
    assert shared[1, 0].item() == 50 and copied[1, 0].item() == 1
    assert shared.stride() == (1, 3)
    t = torch.from_numpy(a)
    t.mul_(2)
    assert a[0, 1] == 100


def test_read_only_arrays_stay_read_only():
    a = np.ones(3)
    a.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        t = torch.from_numpy(a)
    with pytest.raises(RuntimeError):
        t.add_(1)
    assert (t + 1).tolist() == [2, 2, 2]


def test_dlpack_both_ways():
    a = np.arange(4, dtype=np.int32)
    t = torch.from_dlpack(a)
    assert np.shares_memory(np.from_dlpack(t), a)
    with pytest.raises(TypeError, match="__dlpack__"):
        torch.from_dlpack([1])


@pytest.mark.parametrize(
    "make",
    [
        lambda d: torch.zeros(2, 3, device=d), lambda d: torch.ones(2, dtype=torch.int64, device=d),
        lambda d: torch.full((2, 2), 1.5, device=d), lambda d: torch.full((2,), True, device=d),
        lambda d: torch.ones(3, dtype=torch.complex64, device=d), lambda d: torch.arange(5, device=d),
        lambda d: torch.linspace(0, 1, 4, device=d), lambda d: torch.eye(3, device=d),
        lambda d: torch.tensor([[1.0, 2.0]], device=d), lambda d: torch.tril_indices(3, 3, device=d),
        lambda d: torch.zeros_like(torch.ones(2, 3, device=d)), lambda d: torch.ones(2, device=d).new_full((2,), 4),
        lambda d: torch.as_tensor(np.ones(3), device=d), lambda d: torch.zeros(2, dtype=torch.bfloat16, device=d),
    ],
)  # fmt: skip
def test_cuda_equals_cpu(make):
    there, here = make("cuda"), make("cpu")
    assert there.device.type == "cuda" and there.dtype is here.dtype
    assert there.cpu().tolist() == here.tolist() and there.shape == here.shape


def test_out_and_requires_grad():
    out = torch.zeros(3)
    assert torch.arange(3, out=out) is out and out.tolist() == [0, 1, 2]
    assert torch.zeros(2, requires_grad=True).requires_grad
    with pytest.raises(RuntimeError, match="require gradients"):
        torch.zeros(2, dtype=torch.int64, requires_grad=True)


def test_derivatives_of_compositions():
    """complex, polar, meshgrid, cartesian_prod, combinations and vander carry gradients."""
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0.5, 0.1, 0.2], dtype=torch.float64, requires_grad=True)
    check = torch.autograd.gradcheck
    assert check(lambda a, b: torch.view_as_real(torch.complex(a, b)), (x, y))
    assert check(lambda a, b: torch.view_as_real(torch.polar(a, b)), (x, y))
    assert check(lambda a, b: torch.meshgrid(a, b, indexing="ij"), (x, y))
    assert check(lambda a, b: torch.cartesian_prod(a, b), (x, y))
    assert check(lambda a: torch.combinations(a, 2), (x,))
    assert check(lambda a: torch.vander(a, 4), (x,))
