"""Tensors as Python objects: pickles, and the names that they carry."""

from __future__ import annotations

import copy
import pickle

import tritorch as torch
from tritorch.tensor import Parameter


def test_pickles_name_the_modules_they_always_named():
    """A pickle written by an earlier version, in protocol 0, is read: its names are still where it looks for them."""
    written = (
        b"(ctritorch.tensor\nSize\n((I2\nI3\nttR"
        b"ctritorch.tensor\n_unpickle\n(ctritorch.tensor\nParameter\n"
        b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntc_codecs\nencode\n(Vb\nVlatin1\ntRtR"
        b"(I1\n(I1\ntcnumpy\ndtype\n(Vf4\nI00\nI01\ntR(I3\nV<\nNNNI-1\nI-1\nI0\ntbI00\n"
        b"c_codecs\nencode\n(V\\u0000\\u0000\x80?\nVlatin1\ntRtb"
        b"ctritorch.dtypes\n_by_name\n(Vfloat32\ntRVcpu\nI01\n(dtRt."
    )
    size, p = pickle.loads(written)
    assert isinstance(size, torch.Size) and size == (2, 3)
    assert isinstance(p, Parameter) and p.requires_grad and p.tolist() == [1.0]


def test_round_trips():
    p = Parameter(torch.tensor([[1.0, 2.0]]))
    for made in (pickle.loads(pickle.dumps(p)), copy.deepcopy(p), copy.copy(p)):
        assert type(made) is Parameter and made.requires_grad and torch.equal(made, p)
    assert b"tritorch.tensor\n_unpickle" in pickle.dumps(p, 0)
