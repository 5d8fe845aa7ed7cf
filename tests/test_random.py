"""Random numbers without PyTorch: known values of its generator, states, generators, the properties of the rest."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tritorch as torch
from tritorch import random


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_known_numbers():
    """PyTorch 2.13 on the CPU after manual_seed(0)."""
    assert torch.rand(3).tolist() == [0.49625658988952637, 0.7682217955589294, 0.08847743272781372]
    torch.manual_seed(0)
    assert torch.randn(2).tolist() == [1.5409960746765137, -0.293428897857666]
    torch.manual_seed(0)
    assert torch.randn(16).tolist()[:2] == [-1.1258398294448853, -1.152360200881958]
    torch.manual_seed(0)
    assert torch.randint(0, 10, (8,)).tolist() == [4, 9, 3, 0, 3, 9, 7, 3]
    torch.manual_seed(0)
    assert torch.randperm(8).tolist() == [4, 0, 7, 3, 2, 5, 1, 6]


def test_state_gives_the_numbers_again():
    torch.randn(3)  # leaves the second half of a pair behind
    state = torch.get_rng_state()
    assert state.shape == (5056,) and state.dtype is torch.uint8
    first = torch.randn(5), torch.rand(1000)
    torch.set_rng_state(state)
    for a, b in zip(first, (torch.randn(5), torch.rand(1000))):
        assert torch.equal(a, b)


def test_fork_rng():
    before = torch.get_rng_state()
    with torch.random.fork_rng():
        torch.rand(5)
        assert not torch.equal(before, torch.get_rng_state())
    assert torch.equal(before, torch.get_rng_state())
    with torch.random.fork_rng(enabled=False):
        torch.rand(5)
    assert not torch.equal(before, torch.get_rng_state())
    with pytest.raises(RuntimeError, match="no module of"), torch.random.fork_rng(device_type="tpu"):
        pass


def test_fork_rng_after_an_exception():
    before = torch.get_rng_state()
    with pytest.raises(KeyError), torch.random.fork_rng():
        torch.rand(5)
        raise KeyError
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g)), lambda g: g.clone_state()])
def test_generators_can_be_copied(twin):
    g = torch.Generator().manual_seed(4)
    torch.randn(3, generator=g)
    other = twin(g)
    assert torch.equal(torch.randn(20, generator=g), torch.randn(20, generator=other))
    assert other.initial_seed() == 4


def test_seed_is_new_each_time():
    seeds = {torch.seed() for _ in range(4)}
    assert len(seeds) == 4
    assert torch.initial_seed() in seeds


def test_generators_are_independent():
    a, b = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    first = torch.rand(4, generator=a)
    torch.rand(100)
    assert torch.equal(first, torch.rand(4, generator=b))


def test_generator_of_the_wrong_device():
    with pytest.raises(RuntimeError, match="Expected a 'cpu' device type for generator but found 'cuda'"):
        torch.rand(2, generator=torch.Generator("cuda:0"))


def test_wrong_states():
    with pytest.raises(RuntimeError, match="5056"):
        torch.set_rng_state(torch.zeros(8, dtype=torch.uint8))
    with pytest.raises(TypeError, match="ByteTensor"):
        torch.set_rng_state(torch.zeros(5056))


@pytest.mark.parametrize("n", [2, 50, 200, 201, 999, 4000])
def test_randperm_is_the_swaps(n):
    """The closed form against the swaps one by one."""
    g = torch.Generator().manual_seed(n)
    w = g.clone_state().words(n - 1).tolist()
    r = list(range(n))
    for k, x in enumerate(w):
        t = k + x % (n - k)
        r[k], r[t] = r[t], r[k]
    assert torch.randperm(n, generator=g).tolist() == r


def test_huge_randperm_scheme():
    """The scheme for huge n, which no test can afford at its real size, on a small one."""
    from tritorch.kernels.random import _randperm_big

    g = torch.Generator().manual_seed(1)
    w = g.clone_state().words64(300).tolist()
    r = list(range(300))
    for i, x in enumerate(w):
        z = x % (i + 1)
        r[i], r[z] = r[z], i
    assert _randperm_big(300, g).tolist() == r
    assert sorted(r) == list(range(300))


def test_threads_give_the_same_bits():
    n, results = (1 << 18) + 5, []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            torch.manual_seed(0)
            results.append(torch.randn(n))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_moments():
    """Mean and variance within 5 standard errors."""
    n = 200_000
    for sample, mean, variance in (
        (torch.rand(n), 1 / 2, 1 / 12),
        (torch.randn(n), 0, 1),
        (torch.zeros(n).exponential_(2.0), 1 / 2, 1 / 4),
        (torch.zeros(n).bernoulli_(0.3), 0.3, 0.21),
        (torch.zeros(n).geometric_(0.5), 2, 2),
    ):
        x = sample.numpy().astype(np.float64)
        assert abs(x.mean() - mean) < 5 * (variance / n) ** 0.5
        assert abs(x.var() / variance - 1) < 0.05


def test_in_place_methods_count_versions_and_give_the_old_values_no_gradient():
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    z = y * y
    y.normal_()
    assert torch.autograd.grad(y.sum(), x)[0].tolist() == [0.0] * 3
    with pytest.raises(RuntimeError, match="modified by an inplace operation|version"):
        z.sum().backward()
    with pytest.raises(RuntimeError, match="leaf Variable"):
        x.uniform_()
    with torch.no_grad():
        x.uniform_()
    assert (x >= 0).all()


@pytest.mark.parametrize("name", ["rand", "randn", "randint", "randperm"])
def test_cuda_numbers_depend_on_seed_and_offset_only(name):
    """The emulated device: the same numbers after the same seed, others at the next call."""
    call = {
        "rand": lambda: torch.rand(50, device="cuda"),
        "randn": lambda: torch.randn(50, device="cuda"),
        "randint": lambda: torch.randint(0, 1000, (50,), device="cuda"),
        "randperm": lambda: torch.randperm(50, device="cuda"),
    }[name]
    torch.manual_seed(3)
    first, second = call().cpu(), call().cpu()
    torch.manual_seed(3)
    again = call().cpu()
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    if name == "randperm":
        assert sorted(first.tolist()) == list(range(50))


def test_cuda_state():
    g = torch.Generator("cuda:0").manual_seed(5)
    torch.rand(10, device="cuda", generator=g)
    state = g.get_state()
    assert state.shape == (16,) and g.get_offset() == 3
    a = torch.rand(10, device="cuda", generator=g)
    g.set_state(state)
    assert torch.equal(a.cpu(), torch.rand(10, device="cuda", generator=g).cpu())


def test_cuda_distributions():
    """In-place methods and functions of tensors on the emulated device."""
    x = torch.zeros(3000, device="cuda")
    assert 0.45 < x.uniform_().cpu().mean().item() < 0.55
    assert -0.1 < x.normal_().cpu().mean().item() < 0.1
    assert 0.25 < x.bernoulli_(0.3).cpu().mean().item() < 0.35
    assert 0.9 < x.exponential_().cpu().mean().item() < 1.1
    p = torch.full((3000,), 0.8, device="cuda")
    assert 0.75 < torch.bernoulli(p).cpu().mean().item() < 0.85
    assert torch.normal(torch.full((4,), 7.0, device="cuda"), torch.zeros(4, device="cuda")).cpu().tolist() == [7.0] * 4
    assert x.random_(10).cpu().max().item() == 9


def test_cuda_multinomial():
    p = torch.tensor([[0.0, 1.0, 0.0], [0.2, 0.0, 0.8]], device="cuda")
    drawn = torch.multinomial(p, 40, replacement=True).cpu()
    assert drawn.shape == (2, 40) and (drawn[0] == 1).all() and set(drawn[1].tolist()) == {0, 2}
    assert sorted(torch.multinomial(p[1], 2).cpu().tolist()) == [0, 2]


def test_cuda_draws_until_accepted():
    rate = torch.tensor([[0.0], [2.0], [30.0]], device="cuda").expand(3, 2000)
    assert torch.allclose(torch.poisson(rate).cpu().mean(1), torch.tensor([0.0, 2.0, 30.0]), atol=0.5)
    count = torch.tensor([[6.0], [90.0]], device="cuda").expand(2, 2000)
    drawn = torch.binomial(count, torch.full((2, 1), 0.75, device="cuda")).cpu()
    assert torch.allclose(drawn.mean(1), torch.tensor([4.5, 67.5]), atol=0.5) and (drawn <= count.cpu()).all()


def test_public_names():
    for name in random.__all__:
        assert hasattr(torch.random, name)
