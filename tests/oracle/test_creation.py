"""Creation functions against PyTorch: values, dtypes, shapes, strides, and the types of exceptions."""

from __future__ import annotations

import array
import math
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch as tt  # noqa: E402


def plain(x):
    """A result in a form that both libraries share."""
    if isinstance(x, (list, tuple)) and not isinstance(x, (tt.Size, torch.Size)):
        return [plain(v) for v in x]
    if isinstance(x, (tt.Tensor, torch.Tensor)):
        kind = str(x.dtype)
        values = x.detach().float() if kind == "torch.bfloat16" else x.detach()
        shape = tuple(x.shape)
        strides = tuple(x.stride()) if 0 not in shape else None
        return kind, shape, strides, x.requires_grad, values.numpy().tobytes()
    return repr(x)


def check(call) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert plain(call(tt)) == plain(call(torch))


F = [
    lambda t: t.tensor(1),
    lambda t: t.tensor(1.5),
    lambda t: t.tensor(True),
    lambda t: t.tensor(1j),
    lambda t: t.tensor([]),
    lambda t: t.tensor([[]]),
    lambda t: t.tensor([[], []]),
    lambda t: t.tensor([[], [1]]),
    lambda t: t.tensor(()),
    lambda t: t.tensor([1, 2.5, True]),
    lambda t: t.tensor([1, True]),
    lambda t: t.tensor([1, 2j]),
    lambda t: t.tensor([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]),
    lambda t: t.tensor(range(3)),
    lambda t: t.tensor([range(3), (4, 5, 6)]),
    lambda t: t.tensor(np.float64(1.5)),
    lambda t: t.tensor([np.float64(1.5)]),
    lambda t: t.tensor([np.float32(1.5), 2]),
    lambda t: t.tensor([np.float16(1.5), np.int8(2)]),
    lambda t: t.tensor([np.int8(1), np.int16(2)]),
    lambda t: t.tensor([np.int8(1), 2]),
    lambda t: t.tensor([np.bool_(True)]),
    lambda t: t.tensor(np.int8(3)),
    lambda t: t.tensor(np.bool_(True)),
    lambda t: t.tensor([np.float16(1), 2.5]),
    lambda t: t.tensor([np.complex64(1j), 2.5]),
    lambda t: t.tensor([t.tensor(1), t.tensor(2.5)]),
    lambda t: t.tensor([t.tensor(1.5, dtype=t.float64), 2]),
    lambda t: t.tensor([t.tensor([1]), t.tensor([2])]),
    lambda t: t.tensor([t.tensor([[1.0]])]),
    lambda t: t.tensor([np.ones(2), np.ones(2)]),
    lambda t: t.tensor([np.ones(2), [1, 2]]),
    lambda t: t.tensor(np.arange(6.0).reshape(2, 3).T),
    lambda t: t.tensor(np.arange(12)[::3]),
    lambda t: t.tensor(t.ones(2)),
    lambda t: t.tensor(t.ones(2), dtype=t.int32),
    lambda t: t.tensor(-(2**63)),
    lambda t: t.tensor(2**63 - 1),
    lambda t: t.tensor(-1, dtype=t.uint8),
    lambda t: t.tensor([-1], dtype=t.uint8),
    lambda t: t.tensor(1.5, dtype=t.int64),
    lambda t: t.tensor([1.5, -2.7], dtype=t.int64),
    lambda t: t.tensor(1e40),
    lambda t: t.tensor([1e6], dtype=t.float16),
    lambda t: t.tensor(5, dtype=t.bool),
    lambda t: t.tensor([0.5, math.nan, 0], dtype=t.bool),
    lambda t: t.tensor(1, dtype=float),
    lambda t: t.tensor(1, dtype=int),
    lambda t: t.tensor(1, dtype=bool),
    lambda t: t.tensor(1.0, requires_grad=True),
    lambda t: t.tensor(array.array("i", [1, 2])),
    lambda t: t.tensor(memoryview(b"ab")),
    lambda t: t.tensor(bytearray(b"ab")),
    lambda t: t.tensor(t.Size([1, 2])),
    lambda t: t.tensor([1, 2], dtype=t.complex64),
    lambda t: t.tensor([0.1, 3.3], dtype=t.bfloat16),
    lambda t: t.tensor(0.1, dtype=t.float64),
    lambda t: t.tensor([[1], [2]], dtype=t.float16),
    lambda t: t.as_tensor([1, 2]),
    lambda t: t.as_tensor(np.ones(2)),
    lambda t: t.as_tensor(5),
    lambda t: t.as_tensor(np.float32(5)),
    lambda t: t.as_tensor(np.ones(2), dtype=t.int32),
    lambda t: t.as_tensor(t.ones(2), dtype=t.float64),
    lambda t: t.from_numpy(np.array(1.0)),
    lambda t: t.from_numpy(np.arange(6).reshape(2, 3)[:, ::2]),
    lambda t: t.from_numpy(np.ones((2, 3), np.complex64).T),
    lambda t: t.asarray([1, 2]),
    lambda t: t.asarray(np.ones(2), copy=False),
    lambda t: t.asarray(1.5),
    lambda t: t.asarray(np.ones(2), dtype=t.float32),
    lambda t: t.asarray(bytearray(b"abcd"), dtype=t.int16),
    lambda t: t.asarray(np.float32(2)),
    lambda t: t.asarray([1.0], requires_grad=True),
    lambda t: t.asarray(t.ones(2), copy=True),
    lambda t: t.frombuffer(bytearray(range(8)), dtype=t.int32),
    lambda t: t.frombuffer(bytearray(range(8)), dtype=t.int16, count=2, offset=2),
    lambda t: t.frombuffer(bytearray(8), dtype=t.int32, count=-2),
    lambda t: t.from_dlpack(np.arange(3.0)),
    lambda t: t.scalar_tensor(3),
    lambda t: t.scalar_tensor(3.5, dtype=t.int32),
    lambda t: t.zeros(2, 3),
    lambda t: t.zeros((2, 3)),
    lambda t: t.zeros([2, 3]),
    lambda t: t.zeros(()),
    lambda t: t.zeros(np.int32(2)),
    lambda t: t.zeros(t.tensor(2)),
    lambda t: t.zeros((t.tensor(2), np.int64(3))),
    lambda t: t.zeros(size=(2,)),
    lambda t: t.zeros(2, out=t.ones(2, dtype=t.int32)),
    lambda t: t.zeros(0, 3),
    lambda t: t.zeros(2, device="cpu", layout=t.strided, pin_memory=False),
    lambda t: t.zeros(2, dtype=t.bfloat16),
    lambda t: t.ones(2, 2, dtype=t.complex64),
    lambda t: t.ones(3, dtype=t.bool),
    lambda t: t.ones(2, requires_grad=True),
    lambda t: t.full((2,), 1),
    lambda t: t.full((2,), 1.5),
    lambda t: t.full((2,), True),
    lambda t: t.full((2,), 1j),
    lambda t: t.full((2,), t.tensor(3)),
    lambda t: t.full((2,), t.tensor(3.5, dtype=t.float64)),
    lambda t: t.full((2,), 1.5, dtype=t.int64),
    lambda t: t.full(size=(2,), fill_value=2),
    lambda t: t.full((), 7),
    lambda t: t.full((2,), 2, out=t.ones(2)),
    lambda t: t.full((2,), math.nan),
    lambda t: t.full((2,), 0.1, dtype=t.bfloat16),
    lambda t: t.full((2, 2), math.inf, dtype=t.float16),
    lambda t: t.full((2,), -1, dtype=t.uint8),
    lambda t: t.empty(2, 3).shape,
    lambda t: t.empty((2, 3), dtype=t.int8).dtype,
    lambda t: t.eye(2),
    lambda t: t.eye(2, 3),
    lambda t: t.eye(3, 2, dtype=t.bool),
    lambda t: t.eye(0),
    lambda t: t.arange(5),
    lambda t: t.arange(5.0),
    lambda t: t.arange(1, 5),
    lambda t: t.arange(1, 5, 2),
    lambda t: t.arange(1, 5, 0.5),
    lambda t: t.arange(5, 1, -1),
    lambda t: t.arange(0),
    lambda t: t.arange(True),
    lambda t: t.arange(0, 1, 0.1),
    lambda t: t.arange(-3.3, 7.7, 0.37),
    lambda t: t.arange(0, 1, 0.1, dtype=t.float64),
    lambda t: t.arange(t.tensor(3)),
    lambda t: t.arange(t.tensor(3.0)),
    lambda t: t.arange(np.int64(3)),
    lambda t: t.arange(np.float32(3)),
    lambda t: t.arange(start=1, end=4),
    lambda t: t.arange(end=4),
    lambda t: t.arange(1, end=4),
    lambda t: t.arange(2, dtype=t.float16),
    lambda t: t.arange(1, 4, step=2),
    lambda t: t.arange(3, out=t.empty(0, dtype=t.int64)),
    lambda t: t.arange(1, 4, out=t.empty(3)),
    lambda t: t.arange(2**62, 2**62 + 3),
    lambda t: t.arange(0, 40, 1.3, dtype=t.int32),
    lambda t: t.arange(0, 40, 1.3, dtype=t.int64),
    lambda t: t.arange(300, dtype=t.float16),
    lambda t: t.arange(3.0, requires_grad=True),
    lambda t: t.range(1, 4),
    lambda t: t.range(0, 1, 0.25),
    lambda t: t.linspace(0, 1, 5),
    lambda t: t.linspace(0, 1, 1),
    lambda t: t.linspace(0, 1, 0),
    lambda t: t.linspace(0, 10, 4, dtype=t.int64),
    lambda t: t.linspace(-5, 7, 6, dtype=t.int32),
    lambda t: t.linspace(0.9, 7.9, 6, dtype=t.int32),
    lambda t: t.linspace(0, 1, 3, dtype=t.float16),
    lambda t: t.linspace(1j, 2, 3),
    lambda t: t.linspace(t.tensor(0.0), t.tensor(1.0), 3),
    lambda t: t.linspace(3, -2, 7),
    lambda t: t.linspace(0, 1, 5, requires_grad=True),
    lambda t: t.logspace(0, 2, 3),
    lambda t: t.logspace(0, 2, 3, base=2),
    lambda t: t.logspace(0, 2, 3, dtype=t.int64),
    lambda t: t.logspace(0, 1, 1),
    lambda t: t.logspace(0, 1, 0),
    lambda t: t.zeros_like(t.ones(2, 3).t()),
    lambda t: t.zeros_like(t.ones(1, 3).expand(2, 3)),
    lambda t: t.ones_like(t.ones(2), dtype=t.int32),
    lambda t: t.full_like(t.ones(2), 3),
    lambda t: t.full_like(t.ones(2, dtype=t.int64), 3.7),
    lambda t: t.full_like(t.ones(2, dtype=t.int64), 3, dtype=t.float32),
    lambda t: t.empty_like(t.ones(2, 3, 4).permute(2, 0, 1)).stride(),
    lambda t: t.zeros_like(t.ones(2), requires_grad=True),
    lambda t: t.zeros_like(t.ones(2, requires_grad=True)),
    lambda t: t.ones(2).new_tensor([1, 2]),
    lambda t: t.ones(2, dtype=t.int32).new_zeros(2, 2),
    lambda t: t.ones(2, dtype=t.int32).new_full((2,), 3.5),
    lambda t: t.ones(2).new_full((2,), 3),
    lambda t: t.ones(2).new_ones((2,), dtype=t.bool),
    lambda t: t.ones(2).new_empty(2).shape,
    lambda t: t.ones(2).new_empty_strided((2, 2), (1, 2)).stride(),
    lambda t: t.ones(2).new_zeros((2,), requires_grad=True),
    lambda t: t.empty_strided((2, 3), (1, 2)).stride(),
    lambda t: t.empty_strided((2, 3), (0, 1)).stride(),
    lambda t: t.empty_strided((2, 0), (1, 2)).shape,
    lambda t: t.empty_permuted((2, 3, 4), (2, 0, 1)).stride(),
    lambda t: t.complex(t.arange(3.0), t.ones(3)),
    lambda t: t.complex(t.ones(2, 1), t.zeros(3)),
    lambda t: t.complex(t.full((2,), math.inf, dtype=t.float64), t.full((2,), math.nan, dtype=t.float64)),
    lambda t: t.complex(t.ones(2, requires_grad=True), t.zeros(2)).requires_grad,
    lambda t: t.tril_indices(3, 3),
    lambda t: t.tril_indices(3, 4, -1),
    lambda t: t.triu_indices(3, 2, 1),
    lambda t: t.triu_indices(3, 3, -1, dtype=t.int32),
    lambda t: t.tril_indices(0, 3),
    lambda t: t.meshgrid(t.arange(2), t.arange(3)),
    lambda t: t.meshgrid(t.arange(2), t.arange(3), indexing="xy"),
    lambda t: t.meshgrid([t.arange(2), t.arange(3), t.arange(4)], indexing="xy"),
    lambda t: t.meshgrid(t.arange(2), indexing="xy"),
    lambda t: t.meshgrid(t.tensor(1), t.arange(2), indexing="ij"),
    lambda t: t.vander(t.tensor([1, 2, 3])),
    lambda t: t.vander(t.tensor([1, 2, 3]), N=2),
    lambda t: t.vander(t.tensor([1.5, 2, 3]), increasing=True),
    lambda t: t.vander(t.ones(2), N=0),
    lambda t: t.vander(t.tensor([True, False])),
    lambda t: t.cartesian_prod(t.tensor([1, 2]), t.tensor([4, 5])),
    lambda t: t.cartesian_prod(t.tensor([1, 2])),
    lambda t: t.cartesian_prod(t.arange(2), t.arange(3), t.arange(2)),
    lambda t: t.combinations(t.tensor([1, 2, 3])),
    lambda t: t.combinations(t.tensor([1, 2, 3]), 3),
    lambda t: t.combinations(t.tensor([1, 2, 3]), 2, True),
    lambda t: t.combinations(t.tensor([1, 2, 3]), 0),
    lambda t: t.combinations(t.tensor([1, 2]), 3),
]


@pytest.mark.parametrize("i", range(len(F)))
def test_equals_pytorch(i):
    check(F[i])


def test_polar():
    for lib in (tt, torch):
        z = lib.polar(lib.tensor([1.0, 2.0], dtype=lib.float64), lib.tensor([0.5, -2.0], dtype=lib.float64))
        np.testing.assert_allclose(z.numpy(), [np.exp(0.5j), 2 * np.exp(-2j)], rtol=1e-15)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_ranges_bit_for_bit(name):
    """arange and linspace over random bounds."""
    rng = np.random.default_rng(4)
    for _ in range(100):
        start, step, n = float(rng.normal() * 10), float(rng.normal()), int(rng.integers(1, 120))
        check(lambda t, a=(start, start + step * n, step): t.arange(*a, dtype=getattr(t, name)))
        if name in ("float32", "float64"):
            check(lambda t, a=(start, step * 9, n): t.linspace(*a, dtype=getattr(t, name)))


ERRORS = [
    lambda t: t.tensor([[1, 2], [3]]),
    lambda t: t.tensor([[1, 2], 3]),
    lambda t: t.tensor([1, [2, 3]]),
    lambda t: t.tensor(["a"]),
    lambda t: t.tensor("a"),
    lambda t: t.tensor(None),
    lambda t: t.tensor([None]),
    lambda t: t.tensor({}),
    lambda t: t.tensor([{}]),
    lambda t: t.tensor({1, 2}),
    lambda t: t.tensor([[1], []]),
    lambda t: t.tensor([t.ones(2), t.ones(2)]),
    lambda t: t.tensor(np.ones((2, 2))[::-1]),
    lambda t: t.tensor(np.array([1], dtype=">i4")),
    lambda t: t.tensor(np.array(["a"])),
    lambda t: t.tensor(np.array([None])),
    lambda t: t.tensor(2**63),
    lambda t: t.tensor([2**63]),
    lambda t: t.tensor(2**64),
    lambda t: t.tensor(300, dtype=t.uint8),
    lambda t: t.tensor([256], dtype=t.uint8),
    lambda t: t.tensor(128, dtype=t.int8),
    lambda t: t.tensor(math.nan, dtype=t.int64),
    lambda t: t.tensor(1e20, dtype=t.int64),
    lambda t: t.tensor(1 + 2j, dtype=t.float32),
    lambda t: t.tensor([2j], dtype=t.int64),
    lambda t: t.tensor(1, dtype="float32"),
    lambda t: t.tensor(1, dtype=np.float32),
    lambda t: t.tensor(1, requires_grad=True),
    lambda t: t.tensor(b"ab"),
    lambda t: t.tensor(x for x in [1]),
    lambda t: t.tensor(),
    lambda t: t.tensor(1, 2),
    lambda t: t.as_tensor(np.ones(3)[::-1]),
    lambda t: t.from_numpy([1]),
    lambda t: t.from_numpy(np.float32(1)),
    lambda t: t.from_numpy(np.ones(3)[::-1]),
    lambda t: t.from_numpy(np.array([1], dtype=">i4")),
    lambda t: t.from_numpy(np.array(["a"])),
    lambda t: t.asarray([1], copy=False),
    lambda t: t.asarray(np.ones(2), dtype=t.float32, copy=False),
    lambda t: t.asarray(None),
    lambda t: t.asarray("ab"),
    lambda t: t.frombuffer(bytearray(8), dtype=t.int32, count=3),
    lambda t: t.frombuffer(bytearray(8), dtype=t.int32, offset=9),
    lambda t: t.frombuffer(bytearray(8), dtype=t.int32, offset=3),
    lambda t: t.frombuffer(bytearray(8), dtype=t.int32, count=0),
    lambda t: t.frombuffer(bytearray(0), dtype=t.int32),
    lambda t: t.frombuffer([1], dtype=t.int32),
    lambda t: t.frombuffer(bytearray(8)),
    lambda t: t.zeros(),
    lambda t: t.zeros(-1),
    lambda t: t.zeros(2.0),
    lambda t: t.zeros("a"),
    lambda t: t.zeros((2,), 3),
    lambda t: t.zeros(True),
    lambda t: t.zeros(None),
    lambda t: t.zeros(2, dtype=t.int64, requires_grad=True),
    lambda t: t.zeros(2, out=t.ones(2), dtype=t.int64),
    lambda t: t.zeros(2, device="foo"),
    lambda t: t.zeros(2, foo=1),
    lambda t: t.full((2,), t.tensor([3])),
    lambda t: t.full(2, 1),
    lambda t: t.full((2,), "a"),
    lambda t: t.full((2,), 300, dtype=t.uint8),
    lambda t: t.full((2,), 1j, dtype=t.float32),
    lambda t: t.eye(-1),
    lambda t: t.eye(2, -1),
    lambda t: t.eye(2.5),
    lambda t: t.arange(5, 1),
    lambda t: t.arange(1, 5, -1),
    lambda t: t.arange(1, 5, 0),
    lambda t: t.arange(math.nan),
    lambda t: t.arange(math.inf),
    lambda t: t.arange(0, 3, 0.5, dtype=t.int64),
    lambda t: t.arange("a"),
    lambda t: t.arange(3, dtype=t.bool),
    lambda t: t.arange(3, dtype=t.complex64),
    lambda t: t.arange(1j),
    lambda t: t.arange(),
    lambda t: t.arange(3, requires_grad=True),
    lambda t: t.linspace(0, 1, -1),
    lambda t: t.linspace(0, 1),
    lambda t: t.linspace(t.tensor([0.0, 1.0]), t.tensor(1.0), 3),
    lambda t: t.linspace("a", 1, 3),
    lambda t: t.linspace(0, 1, 2.5),
    lambda t: t.linspace(0, 1, 5, dtype=t.bool),
    lambda t: t.zeros_like([1]),
    lambda t: t.empty_strided((2, 3), (1,)),
    lambda t: t.empty_strided((2, 3), (1, -1)),
    lambda t: t.complex(t.ones(2), t.zeros(2, dtype=t.float64)),
    lambda t: t.complex(t.ones(2, dtype=t.int64), t.zeros(2, dtype=t.int64)),
    lambda t: t.tril_indices(-1, 3),
    lambda t: t.tril_indices(3, 3, dtype=t.float32),
    lambda t: t.meshgrid(t.arange(2), t.ones(3), indexing="ij"),
    lambda t: t.meshgrid(t.ones(2, 2), indexing="ij"),
    lambda t: t.meshgrid(t.arange(2), indexing="zz"),
    lambda t: t.meshgrid(indexing="ij"),
    lambda t: t.vander(t.ones(2, 2)),
    lambda t: t.vander(t.ones(2), N=-1),
    lambda t: t.cartesian_prod(t.ones(2, 2)),
    lambda t: t.combinations(t.ones(2, 2)),
    lambda t: t.combinations(t.ones(2), -1),
]


@pytest.mark.parametrize("i", range(len(ERRORS)))
def test_errors(i):
    """The type of the exception is PyTorch's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as theirs:  # noqa: PT011
            ERRORS[i](torch)
        with pytest.raises(type(theirs.value)):
            ERRORS[i](tt)


WARNINGS = [
    lambda t: t.tensor(t.ones(2)),
    lambda t: t.meshgrid(t.arange(2), t.arange(3)),
    lambda t: t.from_numpy(np.broadcast_to(np.ones(1), (3,))),
    lambda t: t.frombuffer(b"12345678", dtype=t.int32),
]


@pytest.mark.parametrize("i", range(len(WARNINGS)))
def test_warnings(i):
    with pytest.warns(UserWarning):
        WARNINGS[i](tt)


def test_memory_is_shared():
    a = np.zeros(3)
    for make in (tt.from_numpy, tt.as_tensor, tt.asarray, tt.from_dlpack):
        t = make(a)
        a[0] += 1
        assert t[0].item() == a[0]
        t[1] = 5
        assert a[1] == 5
    assert tt.tensor(a).data_ptr() != tt.from_numpy(a).data_ptr()
    b = bytearray(8)
    tt.frombuffer(b, dtype=tt.int32)[1] = 1
    assert b[4] == 1
    t = tt.ones(3)
    assert torch.from_dlpack(t).sum() == 3 and tt.from_dlpack(torch.ones(3)).sum().item() == 3
    assert tt.as_tensor(t) is t
