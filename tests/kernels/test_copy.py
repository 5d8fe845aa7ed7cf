"""Complex numbers on the device: they are moved, cast and conjugated; arithmetic names the dtypes that have kernels."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch as torch

Z = np.random.default_rng(0).normal(size=(2, 3, 4)).view(np.complex128)


def test_casts_to_and_from_complex(device):
    z = torch.tensor(Z).to(device)
    assert np.array_equal(z.mT.to(torch.complex64).cpu().numpy(), Z.swapaxes(1, 2).astype(np.complex64))
    assert np.array_equal(z.real.to(torch.complex128).cpu().numpy(), Z.real + 0j)
    assert np.array_equal(torch.tensor([1, 2]).to(device).to(torch.complex64).cpu().numpy(), np.complex64([1, 2]))
    assert z[:, :0].to(torch.complex64).shape == (2, 0, 2)


def test_conj_of_strided_numbers(device):
    z = torch.tensor(Z).to(device)
    assert np.array_equal(z.mT.conj().resolve_conj().cpu().numpy(), Z.swapaxes(1, 2).conj())


def test_complex_arithmetic_names_what_has_kernels():
    z = torch.tensor(Z).cuda()
    with pytest.raises(
        NotImplementedError, match="add: has no Triton kernel for complex tensors yet; got a: .*complex128, cuda"
    ):
        z + z
