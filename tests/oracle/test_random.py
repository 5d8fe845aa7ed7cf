"""The same numbers as PyTorch on the CPU for the same seed: every function, dtype, size and layout."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch as tt  # noqa: E402

FLOATS = ["float16", "bfloat16", "float32", "float64"]
INTS = ["uint8", "int8", "int16", "int32", "int64"]
COMPLEX = ["complex64", "complex128"]
SIZES = [(), (0,), (1,), (5,), (15,), (16,), (17,), (31,), (32,), (100,), (3, 4, 5), (70, 71)]
_CPU = Path("/proc/cpuinfo")
INTEL = _CPU.exists() and "GenuineIntel" in _CPU.read_text()
VECTORS = torch.backends.cpu.get_cpu_capability().startswith("AVX")  # elsewhere PyTorch's logarithm is another one
not_intel = pytest.mark.skipif(INTEL, reason="on Intel processors PyTorch draws these from MKL's generator")


def numbers(t) -> np.ndarray:
    """Elements of either library's tensor as an array that compares exactly."""
    if isinstance(t, torch.Tensor):
        return t.float().numpy() if t.dtype is torch.bfloat16 else t.numpy()
    return t._a.astype(np.float32) if t.dtype is tt.bfloat16 else t.numpy()


def same(call, seed: int = 3) -> None:
    """`call(lib)` gives equal numbers in both libraries, and leaves both generators at the same place."""
    got, want = [], []
    for lib, into in ((tt, got), (torch, want)):
        lib.manual_seed(seed)
        result = call(lib)
        into.append(result)
        into.append(lib.randn(3))  # the next normal numbers: the position in the stream, and the second half of a pair
        into.append(lib.rand(2))
    for g, w in zip(got, want, strict=True):
        assert str(g.dtype) == str(w.dtype)
        assert tuple(g.shape) == tuple(w.shape)
        a, b = numbers(g), numbers(w)
        if VECTORS or a.dtype.kind not in "fc":
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert got[0].stride() == want[0].stride()


def dtype(lib, name: str):
    return getattr(lib, name)


@pytest.mark.parametrize("name", FLOATS + COMPLEX)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_rand_and_randn(name, size):
    same(lambda t: t.rand(size, dtype=dtype(t, name)))
    same(lambda t: t.randn(size, dtype=dtype(t, name)))


@pytest.mark.parametrize("seed", [0, 1, 42, 2**31, 2**32 - 1, 2**32 + 5, 2**63, -1, -5])
def test_seeds(seed):
    same(lambda t: t.randn(40), seed)
    tt.manual_seed(seed)
    torch.manual_seed(seed)
    assert tt.initial_seed() == torch.initial_seed()


def test_large():
    """Over several blocks of words, of pairs, and over threads."""
    n = (1 << 18) + 7
    threads = tt.get_num_threads()
    try:
        for count in (1, 2):
            tt.set_num_threads(count)
            same(lambda t: t.randn(n))
            same(lambda t: t.rand(n))
    finally:
        tt.set_num_threads(threads)


@pytest.mark.parametrize("threads", [1, 3])
def test_in_blocks(threads):
    before = tt.get_num_threads()
    tt.set_num_threads(threads)
    try:
        for n in (1 << 16, 150_001):
            same(lambda t, n=n: t.randn(n))
            same(lambda t, n=n: t.empty(n, dtype=t.float16).normal_(1, 2))
            same(lambda t, n=n: t.rand(n, dtype=t.float64))
            same(lambda t, n=n: t.empty(n).uniform_(-1, 2.5))
            same(lambda t, n=n: t.randint(-7, 100, (n,)))
            same(lambda t, n=n: t.randint(-(2**40), 2**61, (n,)))
            same(lambda t, n=n: t.randint(0, 1000, (n,), dtype=t.float32))
            same(lambda t, n=n: t.randint(0, 200, (n,), dtype=t.bfloat16))
            same(lambda t, n=n: t.randint(0, 2, (n,), dtype=t.bool))
    finally:
        tt.set_num_threads(before)


def test_sequences():
    """Calls one after the other share the stream and the kept second normal number."""

    def draw(t):
        parts = [t.randn(n, dtype=t.float64) for n in (1, 3, 20, 2, 5, 33, 1)]
        parts += [t.rand(4).double(), t.randint(0, 9, (3,)).double(), t.randperm(6).double(), t.randn(7).double()]
        return t.cat(parts)

    same(draw)


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("size", [(7,), (16,), (50,), (4, 5, 6)], ids=str)
@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("uniform_", ()), ("uniform_", (-0.37, 1.9)), ("uniform_", (2.0, 2.0)), ("normal_", ()),
        ("normal_", (0.3, 1.7)), ("normal_", (5.0, 0.0)), ("log_normal_", ()), ("log_normal_", (0.5, 0.25)),
        ("cauchy_", ()), ("cauchy_", (1.0, 3.0)), ("geometric_", (0.2,)), ("geometric_", (0.999,)),
    ],
)  # fmt: skip
def test_methods(name, size, method, args):
    same(lambda t: getattr(t.zeros(size, dtype=dtype(t, name)), method)(*args))


@not_intel
@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("args", [(), (0.5,), (3.0,)])
def test_exponential(name, args):
    same(lambda t: t.zeros(200, dtype=dtype(t, name)).exponential_(*args))


@not_intel
@pytest.mark.parametrize("name", FLOATS + INTS + ["bool"])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_bernoulli_scalar(name, p):
    same(lambda t: t.zeros(100, dtype=dtype(t, name)).bernoulli_(p))
    if name in FLOATS:
        same(lambda t: t.bernoulli(t.zeros(100, dtype=dtype(t, name)), p))


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("kind", FLOATS + ["int64", "bool"])
def test_bernoulli_tensor(name, kind):
    p = np.random.default_rng(0).random((8, 9))
    make = lambda t: t.tensor(p.tolist(), dtype=dtype(t, name))
    same(lambda t: t.bernoulli(make(t)))
    same(lambda t: t.bernoulli(make(t).t()))
    same(lambda t: t.zeros(8, 9, dtype=dtype(t, kind)).bernoulli_(make(t)))
    same(lambda t: t.zeros(3, 8, 9, dtype=dtype(t, kind)).bernoulli_(make(t)))
    same(lambda t: t.zeros(9, 8, dtype=dtype(t, kind)).t().bernoulli_(make(t)))


@pytest.mark.parametrize("name", FLOATS)
def test_memory_order(name):
    """Tensors that are not contiguous are filled in the order of memory, the normal ones by single pairs."""
    views = [
        lambda x: x.t(), lambda x: x[::2, 1::3], lambda x: x.reshape(5, 8, 6).permute(2, 0, 1),
        lambda x: x.reshape(5, 8, 6).transpose(0, 1)[:, 1:], lambda x: x[:, :1], lambda x: x[3:9],
    ]  # fmt: skip
    for view in views:
        for method, args in (("normal_", (1.0, 2.0)), ("uniform_", ()), ("random_", (100,)), ("cauchy_", ())):

            def draw(t, view=view, method=method, args=args):
                whole = t.zeros(20, 12, dtype=dtype(t, name))
                getattr(view(whole), method)(*args)
                return whole

            same(draw)


@pytest.mark.parametrize("name", INTS + FLOATS)
@pytest.mark.parametrize("bounds", [(0, 2), (-3, 100), (5, 6), (0, 127)])
def test_randint(name, bounds):
    if name == "uint8":
        bounds = (abs(bounds[0]), bounds[1])
    same(lambda t: t.randint(*bounds, (50,), dtype=dtype(t, name)))
    same(lambda t: t.zeros(50, dtype=dtype(t, name)).random_(*bounds))


@pytest.mark.parametrize(
    "bounds",
    [
        (0, 2**28 - 1),
        (0, 2**28),
        (-(2**27), 2**27),
        (0, 2**31),
        (0, 2**32),
        (0, 2**40),
        (-(2**62), 2**62),
        (-(2**63), 2**63 - 1),
    ],
)
def test_wide_ranges(bounds):
    same(lambda t: t.randint(*bounds, (50,)))


@pytest.mark.parametrize("name", INTS + FLOATS + ["bool"])
def test_random_without_bounds(name):
    same(lambda t: t.zeros(60, dtype=dtype(t, name)).random_())
    if name != "bool":
        same(lambda t: t.zeros(60, dtype=dtype(t, name)).random_(7, None))


def test_random_full_range():
    same(lambda t: t.zeros(20, dtype=t.int64).random_(-(2**63), None))


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize(
    "bounds", [(0, 60000), (-60000, 60000), (3000, 5001), (-(2**25) - 3, 2**25 + 3), (-4099, -4001)]
)
def test_bounds_that_round(name, bounds):
    """Float tensors: bounds move inwards to numbers that the dtype holds."""
    if name == "float16" and max(map(abs, bounds)) > 65504:
        bounds = (0, 65504)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(lambda t: t.zeros(200, dtype=dtype(t, name)).random_(*bounds))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 200, 201, 1000, 5000, 60000])
def test_randperm(n):
    same(lambda t: t.randperm(n))


@pytest.mark.parametrize("name", INTS + FLOATS)
def test_randperm_dtypes(name):
    same(lambda t: t.randperm(120, dtype=dtype(t, name)))


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("shape", [(30,), (4, 30)])
def test_multinomial_with_replacement(name, shape):
    p = np.random.default_rng(1).random(shape)
    p[..., 3] = 0
    for n in (2, 50):
        same(lambda t, n=n: t.multinomial(t.tensor(p.tolist(), dtype=dtype(t, name)), n, replacement=True))


@not_intel
@pytest.mark.parametrize("name", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(30,), (4, 30)])
def test_multinomial_without_replacement(name, shape):
    p = np.random.default_rng(1).random(shape) + 0.01
    for n in (1, 7, 30):
        same(lambda t, n=n: t.multinomial(t.tensor(p.tolist(), dtype=dtype(t, name)), n))
    same(lambda t: t.multinomial(t.tensor(p.tolist(), dtype=dtype(t, name)), 1, True))


@not_intel
@pytest.mark.parametrize("shape", [(63, 5), (64, 64), (100, 65), (2, 1000)])
def test_multinomial_of_many_rows(shape):
    p = np.random.default_rng(0).random(shape).astype(np.float32)
    p[:, :2] = 0
    same(lambda t: t.multinomial(t.tensor(p), 40, True))
    same(lambda t: t.multinomial(t.tensor(p), 3))


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("rates", [(0.0, 9.9), (10.0, 50.0), (0.0, 1000.0)])
def test_poisson(name, rates):
    lam = np.random.default_rng(2).uniform(*rates, 300)
    same(lambda t: t.poisson(t.tensor(lam.tolist(), dtype=dtype(t, name))))


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_gamma_and_binomial(name):
    rng = np.random.default_rng(2)
    alpha, count, p = rng.gamma(1, 3, 300) + 0.01, rng.integers(0, 80, 300), rng.random(300)
    tensor = lambda t, a: t.tensor(a.tolist(), dtype=dtype(t, name))
    gamma = {tt: tt.functional.distributions._standard_gamma, torch: torch._standard_gamma}
    same(lambda t: gamma[t](tensor(t, alpha)))
    same(lambda t: t.binomial(tensor(t, count), tensor(t, p)))


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_normal_of_tensors(name):
    mean = lambda t: t.arange(20, dtype=dtype(t, name)).reshape(4, 5)
    std = lambda t: t.arange(5, dtype=dtype(t, name)) / 3
    same(lambda t: t.normal(mean(t), std(t)))
    same(lambda t: t.normal(mean(t), 2.5))
    same(lambda t: t.normal(1.5, std(t)))
    same(lambda t: t.normal(1.5, 2.5, (4, 20), dtype=dtype(t, name)))
    same(lambda t: t.normal(mean(t), std(t), out=t.zeros(4, 5, dtype=dtype(t, name))))


def test_out():
    same(lambda t: t.rand(5, out=t.zeros(5, dtype=t.float64)))
    same(lambda t: t.randn(4, 5, out=t.zeros(5, 4).t()))
    same(lambda t: t.randint(9, (3,), out=t.zeros(3)))
    same(lambda t: t.randperm(4, out=t.zeros(4, dtype=t.int32)))
    same(lambda t: t.bernoulli(t.full((3,), 0.5), out=t.zeros(3)))


@pytest.mark.parametrize("name", FLOATS)
def test_like(name):
    same(lambda t: t.rand_like(t.zeros(4, 9, dtype=dtype(t, name))))
    same(lambda t: t.randn_like(t.zeros(4, 9, dtype=dtype(t, name)).t()))
    same(lambda t: t.randint_like(t.zeros(4, 9, dtype=dtype(t, name)), 3, 8))
    same(lambda t: t.randint_like(t.zeros(4, 9, dtype=dtype(t, name)), 8))


@not_intel
@pytest.mark.parametrize(
    "turn",
    [lambda x: x.transpose(0, 1), lambda x: x.permute(2, 0, 1)[:, 1:], lambda x: x[:, :, ::2], lambda x: x[:1].expand(4, 5, 6)],
)  # fmt: skip
def test_dropout_and_draws_of_an_input_that_is_not_contiguous(turn) -> None:
    """Masks follow the order of memory, as after an attention that gives a transposed result."""
    make = lambda t: turn(t.arange(1.0, 121.0).reshape(4, 5, 6))
    for p in (0.1, 0.5):
        same(lambda t, p=p: t.nn.functional.dropout(make(t), p))
    same(lambda t: t.nn.functional.dropout(make(t) * 1, 0.5, inplace=True))
    same(lambda t: t.native_dropout(make(t), 0.5, True)[1].float())
    same(lambda t: t.nn.functional.dropout2d(make(t)[..., None], 0.5).contiguous())
    same(lambda t: t.nn.functional.gumbel_softmax(make(t), hard=True))
    same(lambda t: t.multinomial(make(t)[0], 1))
    same(lambda t: t.multinomial(make(t)[0].t(), 2))


def test_state_is_exchanged_with_pytorch():
    """The 5056 bytes of the state are PyTorch's, in both directions, at each stage of the stream."""
    ours, theirs = tt.Generator().manual_seed(9), torch.Generator().manual_seed(9)
    for step in range(12):
        assert bytes(ours.get_state().numpy()) == bytes(theirs.get_state().numpy()), step
        n = (1, 3, 620, 1, 16, 7)[step % 6]
        np.testing.assert_array_equal(tt.randn(n, generator=ours).numpy(), torch.randn(n, generator=theirs).numpy())
    other = torch.Generator()
    other.set_state(torch.from_numpy(ours.get_state().numpy()))
    back = tt.Generator()
    back.set_state(tt.from_numpy(other.get_state().numpy()))
    for g, lib in ((other, torch), (back, tt)):
        np.testing.assert_array_equal(
            lib.randn(5, generator=g).numpy(), tt.randn(5, generator=ours.clone_state()).numpy()
        )


def test_own_generators():
    for lib in (tt, torch):
        lib.manual_seed(0)
    a = tt.rand(4, generator=tt.Generator().manual_seed(5)).numpy()
    b = torch.rand(4, generator=torch.Generator().manual_seed(5)).numpy()
    np.testing.assert_array_equal(a, b)
    assert tt.Generator().initial_seed() == torch.Generator().initial_seed()


ERRORS = [
    lambda t: t.rand(-1), lambda t: t.rand(2, dtype=t.int32), lambda t: t.randn(2, dtype=t.int32),
    lambda t: t.rand(2.5), lambda t: t.rand("a"), lambda t: t.rand(), lambda t: t.rand((2,), (2,)),
    lambda t: t.rand(3, generator=5),
    lambda t: t.rand(3, foo=1), lambda t: t.randint(5, 5, (2,)), lambda t: t.randint(5, (2,), dtype=t.bool),
    lambda t: t.randint(0, 300, (2,), dtype=t.uint8), lambda t: t.randint(5), lambda t: t.randint(1.5, (2,)),
    lambda t: t.randint(0, 5), lambda t: t.randperm(-1), lambda t: t.randperm(300, dtype=t.uint8),
    lambda t: t.randperm(5000, dtype=t.float16), lambda t: t.randperm(4, dtype=t.bool),
    lambda t: t.normal(0.0, -1.0, (2,)), lambda t: t.normal(0.0, 1.0),
    lambda t: t.normal(t.zeros(2), t.tensor([1.0, -1.0])), lambda t: t.normal(t.zeros(2), t.zeros(3)),
    lambda t: t.normal(t.zeros(2, dtype=t.int64), 1.0), lambda t: t.zeros(2).normal_(0, -1),
    lambda t: t.zeros(2, dtype=t.int32).normal_(), lambda t: t.zeros(2).uniform_(1, 0),
    lambda t: t.zeros(2, dtype=t.int32).uniform_(), lambda t: t.zeros(2, dtype=t.float16).uniform_(0, 1e6),
    lambda t: t.zeros(2, dtype=t.int32).exponential_(), lambda t: t.zeros(2).exponential_(0),
    lambda t: t.zeros(2).geometric_(0), lambda t: t.zeros(2).geometric_(1), lambda t: t.zeros(2).cauchy_(0, -1),
    lambda t: t.zeros(2).log_normal_(0, 0), lambda t: t.zeros(2, dtype=t.int32).cauchy_(),
    lambda t: t.zeros(2, dtype=t.int32).log_normal_(), lambda t: t.zeros(2, dtype=t.bool).geometric_(0.5),
    lambda t: t.bernoulli(t.tensor([2.0])), lambda t: t.bernoulli(t.tensor([math.nan])),
    lambda t: t.bernoulli(t.tensor([1])), lambda t: t.bernoulli(t.zeros(2), 1.5), lambda t: t.zeros(2).bernoulli_(2),
    lambda t: t.zeros(2).bernoulli_(t.tensor([1, 0])), lambda t: t.multinomial(t.zeros(3), 2),
    lambda t: t.multinomial(t.tensor([1.0, -1]), 1), lambda t: t.multinomial(t.tensor([1.0, 2]), 3),
    lambda t: t.multinomial(t.zeros(2, 2, 2), 1), lambda t: t.multinomial(t.tensor([1, 2]), 1),
    lambda t: t.multinomial(t.tensor([1.0, 2]), 0), lambda t: t.multinomial(t.tensor([1.0, math.inf]), 1),
    lambda t: t.multinomial(t.zeros(3), 2, True), lambda t: t.multinomial(t.zeros(0), 1),
    lambda t: t.poisson(t.tensor([-1.0])), lambda t: t.poisson(t.tensor([1])), lambda t: t.zeros(3).random_(5, 5),
    lambda t: t.zeros(3, dtype=t.int8).random_(0, 129), lambda t: t.zeros(3, dtype=t.int8).random_(-200),
    lambda t: t.zeros(3, dtype=t.float16).random_(0, 70000), lambda t: t.zeros(3, dtype=t.complex64).random_(),
    lambda t: t.zeros(2, dtype=t.bool).random_(0, 3), lambda t: t.zeros(3, 1).expand(3, 2).uniform_(),
    lambda t: t.zeros(2, requires_grad=True).uniform_(), lambda t: t.rand_like(t.zeros(2, dtype=t.int64)),
    lambda t: t.rand_like([1]), lambda t: t.Generator().manual_seed(2**64), lambda t: t.Generator().manual_seed(1.5),
    lambda t: t.Generator().set_state(t.zeros(10, dtype=t.uint8)), lambda t: t.Generator().set_state(t.zeros(5056)),
    lambda t: t.Generator().set_state([1]), lambda t: t.Generator().set_state(t.zeros(5056, dtype=t.uint8)),
    lambda t: t.Generator().get_offset(), lambda t: t.Generator("foo"),
]  # fmt: skip


@pytest.mark.parametrize("call", ERRORS, ids=lambda c: str(c.__code__.co_firstlineno) + "-" + str(ERRORS.index(c)))
def test_errors(call):
    """The type of the exception is PyTorch's, and nothing is drawn."""
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        call(torch)
    before = bytes(tt.get_rng_state().numpy())
    with pytest.raises(type(theirs.value)):
        call(tt)
    assert bytes(tt.get_rng_state().numpy()) == before
