"""The text of a tensor against PyTorch's, over thousands of arrays."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

from tritorch import dtypes, tensor_repr  # noqa: E402

NAMES = [d.name for d in dtypes.ALL]
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-5, 1e8, 1e9, 99999999.0, 0.00011, 1234.5, 0.5, 1e-40, 3e38]


@pytest.fixture(autouse=True)
def _default_options():
    yield
    tensor_repr.set_printoptions(profile="default")
    torch.set_printoptions(profile="default")


def values(rng: np.random.Generator, shape: tuple[int, ...], mode: int) -> np.ndarray:
    if mode == 0:
        return rng.normal(size=shape)
    if mode == 1:
        return np.round(rng.normal(size=shape) * 10)
    if mode == 2:
        return rng.normal(size=shape) * 10.0 ** rng.integers(-12, 12)
    if mode == 3:
        return rng.normal(size=shape) * 10.0 ** rng.integers(-6, 6, size=shape)
    if mode == 4:
        return rng.choice(np.array(SPECIAL), size=shape)
    if mode == 5:
        return np.where(
            rng.random(shape) < 0.2, rng.choice(np.array([np.nan, np.inf, -np.inf, 0.0]), shape), rng.random(shape)
        )
    return np.zeros(shape) + rng.choice(np.array(SPECIAL))


def check(a: np.ndarray, name: str) -> None:
    """Both texts of the array converted to the dtype."""
    a = np.asarray(a)
    kind = dtypes.NAMES[name]
    with np.errstate(all="ignore"):
        if name.startswith("complex"):
            a = np.asarray(a + 1j * np.roll(a, 1)).astype(kind.np)
            theirs = torch.from_numpy(np.array(a, copy=True))
        elif kind.is_floating_point:
            theirs = torch.tensor(a.astype(np.float64)).to(getattr(torch, name))
            a = theirs.float().numpy().astype(kind.np) if name == "bfloat16" else theirs.numpy()
        else:
            a = np.asarray(np.nan_to_num(np.clip(a, -1e5, 1e5))).astype(np.int64).astype(kind.np)
            theirs = torch.from_numpy(np.array(a, copy=True))
    assert tensor_repr.tensor_repr(a, kind) == repr(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_random(name):
    """Shapes up to four dims, all ranges of values."""
    rng = np.random.default_rng(1)
    for case in range(300):
        shape = tuple(int(rng.integers(0 if case % 10 == 0 else 1, 7)) for _ in range(rng.integers(0, 5)))
        check(values(rng, shape, case % 7), name)


@pytest.mark.parametrize("name", NAMES)
def test_summaries(name):
    """More than 1000 elements: edges only, and the style of the edges alone."""
    rng = np.random.default_rng(2)
    for case, shape in enumerate(
        [(1001,), (1000,), (40, 30), (5, 7, 40), (1, 1100), (1100, 1), (3, 2, 5, 60), (6, 200), (7, 200)]
    ):
        check(values(rng, shape, case % 7), name)
        check(values(rng, shape, 0), name)


@pytest.mark.parametrize(
    "options",
    [
        {"precision": 2}, {"precision": 0}, {"precision": 8}, {"threshold": 5}, {"threshold": 5, "edgeitems": 1},
        {"edgeitems": 0, "threshold": 3}, {"linewidth": 40}, {"linewidth": 5}, {"linewidth": 200}, {"profile": "short"},
        {"profile": "full"}, {"sci_mode": True},
        {"sci_mode": False}, {"sci_mode": True, "precision": 1, "linewidth": 30},
    ],
    ids=str,
)  # fmt: skip
def test_options(options):
    """Each option of set_printoptions, alone and together."""
    tensor_repr.set_printoptions(**options)
    torch.set_printoptions(**options)
    rng = np.random.default_rng(3)
    for case in range(60):
        shape = tuple(int(rng.integers(1, 6)) for _ in range(rng.integers(0, 4)))
        for name in ("float32", "float64", "int64", "bool", "complex64", "float16"):
            check(values(rng, shape, case % 7), name)
    if "full" not in str(options):
        check(values(rng, (30, 50), 0), "float32")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 3), ()], ids=str)
def test_empty_and_zero_dim(name, shape):
    check(np.full(shape, 2.0), name)


def test_grad_suffixes():
    """requires_grad=, grad_fn= and their place on the line."""
    for n in range(1, 40):
        a = np.arange(n, dtype=np.float64) / 7
        for np_type, kind in ((np.float32, dtypes.float32), (np.float64, dtypes.float64)):
            x = torch.tensor(a.astype(np_type), requires_grad=True)
            assert tensor_repr.tensor_repr(a.astype(np_type), kind, requires_grad=True) == repr(x)
            y = x * 1
            assert tensor_repr.tensor_repr(a.astype(np_type), kind, grad_fn_name="MulBackward0") == repr(y)


def test_default_dtype_is_not_named():
    """Under another default dtype, float32 is named and float64 is not."""
    dtypes.set_default_dtype(dtypes.float64)
    torch.set_default_dtype(torch.float64)
    try:
        for name in ("float32", "float64", "complex64", "complex128", "int32"):
            check(np.ones(3), name)
            check(np.ones(0), name)
    finally:
        dtypes.set_default_dtype(dtypes.float32)
        torch.set_default_dtype(torch.float32)


def test_options_can_be_read():
    assert tensor_repr.get_printoptions().keys() == torch._tensor_str.get_printoptions().keys()
