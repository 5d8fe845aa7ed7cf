"""Indexing on both devices: masks, indices where they are, what is out of range, tensors on two devices."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import tritorch as torch
from tritorch.kernels import _index_range
from tritorch.kernels._gather import fold_runs, places
from tritorch.kernels.index import gather, index, index_put
from tritorch.kernels.nonzero import nonzero

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)


def on(device, a):
    return torch.tensor(a).to(device)


def test_masks_select_and_write_where_they_are(device):
    x, m = on(device, X), on(device, X > 0)
    assert np.array_equal(x[m].cpu().numpy(), X[X > 0])
    assert np.array_equal(x[m[:, :, 0]].cpu().numpy(), X[X[:, :, 0] > 0])
    assert np.array_equal(x[:, m[0, :, 0]].cpu().numpy(), X[:, X[0, :, 0] > 0])
    assert np.array_equal(torch.masked_select(x, m).cpu().numpy(), X[X > 0])
    y = x.clone()
    y[m] = 0
    assert np.array_equal(y.cpu().numpy(), np.where(X > 0, 0, X))
    y = x.masked_scatter(m, on(device, np.arange(60, dtype=np.float32)))
    expected = X.copy()
    expected[X > 0] = np.arange((X > 0).sum())
    assert np.array_equal(y.cpu().numpy(), expected)
    assert x[on(device, True)].shape == (1, 4, 5, 3) and x[on(device, False)].shape == (0, 4, 5, 3)


@pytest.mark.parametrize(
    "dtype", [np.bool_, np.uint8, np.int64, np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
)
def test_nonzero_of_every_dtype_beyond_one_block(device, dtype):
    a = (np.random.default_rng(1).random((60, 7, 9)) > 0.8).astype(np.float32)
    a[3, 2, 1] = np.nan if np.dtype(dtype).kind in "fV" else 1
    x = torch.tensor(a).to(device).to({np.bool_: torch.bool, np.uint8: torch.uint8, np.int64: torch.int64,
                                       np.float16: torch.float16, ml_dtypes.bfloat16: torch.bfloat16,
                                       np.float32: torch.float32, np.float64: torch.float64}[dtype])  # fmt: skip
    got = x.nonzero()
    assert got.device is x.device and got.dtype is torch.int64
    assert np.array_equal(got.cpu().numpy(), np.stack(a.nonzero(), 1))
    assert [p.tolist() for p in x.nonzero(as_tuple=True)] == [p.tolist() for p in a.nonzero()]
    assert x.mT.nonzero().tolist() == np.stack(a.swapaxes(1, 2).nonzero(), 1).tolist()
    assert torch.zeros(3, 0, device=device).nonzero().shape == (0, 2)
    assert torch.tensor(3, device=device).nonzero().shape == (1, 0)


def test_complex_elements_are_moved_whole(device):
    z = (X + 1j * X[::-1]).astype(np.complex128)
    i = on(device, np.array([2, 0, -1]))
    assert np.array_equal(on(device, z)[i].cpu().numpy(), z[[2, 0, -1]])
    y = on(device, z)
    y[i] = torch.tensor(0j, dtype=torch.complex128).to(device)
    assert not np.any(y.cpu().numpy()[[2, 0, 3]]) and np.array_equal(y.cpu().numpy()[1], z[1])


OUT_OF_RANGE = {
    "index": lambda x, i: x[:, i],
    "index_select": lambda x, i: x.index_select(1, i),
    "gather": lambda x, i: x.gather(1, i.reshape(1, -1, 1)),
    "scatter": lambda x, i: x.scatter(1, i.reshape(1, -1, 1), 0.0),
    "index_add": lambda x, i: x.index_add(1, i, x[:, : i.numel()]),
    "index_fill": lambda x, i: x.index_fill(1, i, 0.0),
    "take_along_dim": lambda x, i: x.take_along_dim(i.reshape(1, -1, 1), 1),
    "embedding": lambda x, i: torch.nn.functional.embedding(i, x[0]),
    "cross_entropy": lambda x, i: torch.nn.functional.cross_entropy(x[: i.numel(), :, 0], i),
    "nll_loss": lambda x, i: torch.nn.functional.nll_loss(x[: i.numel(), :, 0], i),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_an_index_out_of_range_is_named_with_its_limit(device, name):
    x = on(device, X)
    error = IndexError if device == "cuda" or name not in ("gather", "scatter", "take_along_dim") else RuntimeError
    with pytest.raises(error, match=r"\b7\b.*\b5\b|\b5\b.*\b7\b") as caught:
        OUT_OF_RANGE[name](x, on(device, np.array([0, 7])))
    assert name == "index" or name in str(caught.value)
    OUT_OF_RANGE[name](x, on(device, np.array([0, 4])))


def test_device_indices_are_looked_at_when_waiting_is_asked_for(monkeypatch):
    class Device(np.ndarray):
        """Stands for an array on a GPU, which is no np.ndarray by class."""

    i = np.array([0, 9]).view(Device)
    assert _index_range.out_of_range(i, 5) is None
    monkeypatch.setattr(_index_range, "SYNC", True)
    monkeypatch.setattr(_index_range, "to_host", np.asarray)
    assert _index_range.out_of_range(i, 5) == 9
    assert _index_range.out_of_range(i, 10) is None
    assert _index_range.out_of_range(np.array([-6, 1]).view(Device), 5, -5) == -6


def test_kernels_stay_within_their_memory_without_the_check():
    bad = np.array([1, 99, -6, -1])
    y = index.gpu(X, (bad,))
    assert np.isnan(y[1:3]).all() and np.array_equal(y[[0, 3]], X[[1, 3]])
    assert index.gpu(np.arange(4), (bad,)).tolist() == [1, -1, -1, 3]
    assert np.isnan(index.gpu(X, (np.array([0, 99]), np.array([77, 77]), np.array([2, -9])))).all()
    y = gather.gpu(X, 0, np.array([[[0]], [[9]]]))
    assert np.array_equal(y[0], X[0, :1, :1]) and np.isnan(y[1]).all()
    z = index_put.gpu(X, np.zeros((), np.float32), (bad,), False)
    assert not z[[1, 3]].any() and np.array_equal(z[[0, 2]], X[[0, 2]])
    total = np.zeros(4, np.float32)
    at, m, _ = places((4,), (bad,))
    fold_runs(total, at, np.ones(4, np.float32), m)
    assert total.tolist() == [0, 1, 0, 1]


def test_tensors_on_two_devices_are_both_named():
    x, i = torch.tensor(X).cuda(), torch.tensor([0, 1])
    for call in (lambda: x.index_select(0, i), lambda: torch.masked_select(x, torch.tensor(X > 0)),
                 lambda: torch.searchsorted(x[0, 0], torch.tensor([0.0])), lambda: x.take(i)):  # fmt: skip
        with pytest.raises(RuntimeError, match="same device.*cuda:0.*cpu"):
            call()
    with pytest.raises(RuntimeError, match=r"cat.*tensors\[0\].*cuda:0.*tensors\[1\].*cpu"):
        torch.cat([x, x.cpu()])
    with pytest.raises(RuntimeError, match="where.*condition.*cuda:0.*tensor.*cpu"):
        torch.where(x > 0, x.cpu(), x)
    with pytest.raises(RuntimeError, match="indices should be either on cpu or on the same device.*cpu.*cuda:0"):
        x.cpu()[i.cuda()]
    assert np.array_equal(x[i].cpu().numpy(), X[:2])  # indices on the CPU are taken along, as in PyTorch


def test_searchsorted_and_isin(device):
    rng = np.random.default_rng(4)
    rows, v = np.sort(rng.integers(0, 20, (3, 11))), rng.integers(-1, 22, (3, 40))
    for side in ("left", "right"):
        got = torch.searchsorted(on(device, rows), on(device, v), side=side)
        assert got.tolist() == [np.searchsorted(r, w, side).tolist() for r, w in zip(rows, v)]
        flat = torch.searchsorted(on(device, rows[0]), on(device, v), side=side, out_int32=True)
        assert flat.dtype is torch.int32 and flat.tolist() == np.searchsorted(rows[0], v, side).tolist()
    some = np.array([0.0, 1.5, np.nan, np.inf], np.float32)
    for side in ("left", "right"):
        asked = np.array([np.nan, -1, 0, 1.5, np.inf], np.float32)
        got = torch.searchsorted(on(device, np.sort(some)), on(device, asked), side=side)
        assert got.tolist() == np.searchsorted(np.sort(some), asked, side).tolist()
    assert torch.searchsorted(on(device, np.array([1, 2, 3])), 2.5).item() == 2
    a = on(device, v)
    assert torch.isin(a, on(device, rows)).tolist() == np.isin(v, rows).tolist()
    assert torch.isin(a, on(device, rows), invert=True).tolist() == (~np.isin(v, rows)).tolist()
    assert not torch.isin(a, a[:0]).any()
    assert nonzero.gpu(np.zeros((0,), bool)).shape == (0, 1)


def test_a_tensor_written_into_itself():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(300, 400)).astype(np.float32)
    columns, rows = rng.permutation(400), rng.permutation(300)
    for key in ((slice(None), columns), (rows,), (rows[:, None], columns)):
        x, y = torch.tensor(a), a.copy()
        x[key] = x
        y[key] = a
        assert np.array_equal(x.numpy(), y)


@pytest.mark.parametrize("n", [10, 1000])
def test_values_with_dims_of_size_one(n):
    x = torch.zeros(n, 3)
    at = torch.tensor([1, 4])
    x[at] = torch.ones(1, 2, 3)
    x[at, at * 0] = torch.full((1, 2), 5.0)
    assert x[[1, 4]].tolist() == [[5, 1, 1], [5, 1, 1]] and float(x.sum()) == 14
