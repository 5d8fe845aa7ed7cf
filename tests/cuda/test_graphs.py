"""CUDA graphs on the emulated device, which captures as a real one does; the calls to CuPy are in tests/kernels/test_driver.py."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import tritorch as torch
from tritorch import nn
from tritorch.device import EMULATED, emulate, to_device, to_host
from tritorch.kernels import LIBRARY_OPS, coverage
from tritorch.kernels.elementwise import Elementwise
from tritorch.nn import functional as F
from tritorch.tensor import wrap

pytestmark = pytest.mark.skipif(not EMULATED, reason="looks at how the emulated device captures")


def captured(act, pool=None):
    """(graph, what `act` gave)."""
    g = torch.cuda.CUDAGraph()
    with torch.cuda.graph(g, pool=pool):
        out = act()
    return g, out


def test_nothing_runs_before_the_replay():
    x = torch.arange(4.0, device="cuda")
    g, y = captured(lambda: x * 2 + 1)
    assert not torch.cuda.is_current_stream_capturing() and y.isnan().all()
    g.replay()
    assert y.tolist() == [1, 3, 5, 7]
    x.copy_(torch.ones(4))
    g.replay()
    assert y.tolist() == [3] * 4
    with torch.cuda.stream(torch.cuda.Stream()):
        g.replay()


def test_in_place_work_and_memory_that_was_there():
    x = torch.ones(3, device="cuda")
    g, _ = captured(lambda: x.add_(1))
    for _ in range(3):
        g.replay()
    assert x.tolist() == [4.0] * 3


X = torch.arange(20.0).reshape(4, 5)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda x: x.sum().item(), "Tensor.item: reading values on the host"),
        (lambda x: float(x.sum()), "Tensor.__float__: reading values"),
        (lambda x: bool((x > 0).any()), "Tensor.__bool__: reading values"),
        (lambda x: x.tolist(), "Tensor.tolist: reading values"),
        (lambda x: x.cpu(), "to: reading values"),
        (lambda x: repr(x), "Tensor.__repr__: reading values"),
        (lambda x: torch.equal(x, x), "equal: reading values"),
        (lambda x: x.nonzero(), "nonzero: reading values"),
        (lambda x: x[x > 3], "getitem: reading values"),
        (lambda x: torch.unique(x), "unique: reading values"),
        (lambda x: X.cuda(), "to: a copy from the CPU"),
        (lambda x: x.copy_(X), "copy_: a copy from the CPU"),
        (lambda x: torch.tensor([1.0, 2.0], device="cuda"), "tensor: a copy from the CPU"),
        (lambda x: x[torch.tensor([0, 1])], "getitem: an index on the CPU"),
        (lambda x: X.cuda(non_blocking=True), "to: a copy from the CPU"),
        (lambda x: torch.linalg.inv(x[:, :4]), "inv: the numerical library's linalg_inv"),
        (lambda x: torch.cuda.synchronize(), "synchronize: waiting for the device"),
        (lambda x: torch.cuda.current_stream().synchronize(), "Stream.synchronize: waiting for a stream"),
        (lambda x: torch.cuda.current_stream().record_event().synchronize(), "Event.synchronize: waiting for an event"),
        (lambda x: torch.manual_seed(1), "manual_seed: a new seed"),
        (lambda x: torch.cuda.manual_seed(1), "manual_seed: a new seed"),
        (lambda x: torch.cuda.CUDAGraph().capture_begin(), "another graph is being recorded"),
        (
            lambda x: np.copyto(torch.empty(3, device="cuda")._a, 1),
            "written while the graph was recorded, but not by a",
        ),
    ],
)
def test_what_a_device_forbids_raises_and_names_the_call(act, words):
    x, sure = X.cuda(), torch.ones(1, device="cuda")
    with pytest.raises(RuntimeError) as raised:
        captured(lambda: act(x))
    assert words in str(raised.value)
    assert not torch.cuda.is_current_stream_capturing() and gc.isenabled()
    g, y = captured(lambda: sure + 1)  # the failed capture left nothing behind
    g.replay()
    assert y.item() == 2


def test_numbers_of_the_host_are_kept_by_the_graph():
    """Ranges, lists of indices and the like are copied anew by each replay, also where the code writes over them."""
    x = X.cuda()

    def use():
        place = torch.arange(5, device="cuda").mul_(2)
        return x[[3, 0]] + place, x.repeat_interleave(2, dim=0).tril().masked_fill(x.repeat(2, 1) > 17, -1.0)

    eager = [v.tolist() for v in use()]
    g, outs = captured(use)
    for _ in range(2):
        g.replay()
        assert [v.tolist() for v in outs] == eager


def test_copies_from_pinned_memory_are_made_by_each_replay():
    pinned = torch.arange(3.0).pin_memory()
    g, y = captured(lambda: pinned.to("cuda", non_blocking=True) * 2)
    g.replay()
    assert y.tolist() == [0.0, 2.0, 4.0]
    pinned += 1
    g.replay()
    assert y.tolist() == [2.0, 4.0, 6.0]


def test_memory_that_was_freed_is_found_at_the_replay():
    kept = [torch.ones(3, device="cuda")]
    g, y = captured(lambda: kept[0] * 2)
    g.replay()
    kept.clear()
    with pytest.raises(RuntimeError, match="kernel .* reaches memory of shape .* freed since"):
        g.replay()


def test_what_the_graph_made_lives_as_long_as_it_does():
    x = torch.ones(3, device="cuda")
    before = torch.cuda.memory_allocated()
    g, y = captured(lambda: (x * 2).exp() - 1)
    assert torch.cuda.memory_allocated() > before
    del y
    g.replay()
    g.reset()
    assert torch.cuda.memory_allocated() == before
    with pytest.raises(RuntimeError, match="before the graph was captured"):
        g.replay()


def test_side_streams_join():
    x, side = torch.ones(3, device="cuda"), torch.cuda.Stream()

    def forked(join):
        main = torch.cuda.current_stream()
        side.wait_stream(main)
        with torch.cuda.stream(side):
            y = x * 3
        if join:
            main.wait_stream(side)
        return y

    g, y = captured(lambda: forked(True))
    g.replay()
    assert y.tolist() == [3.0] * 3
    with pytest.raises(RuntimeError, match="Unjoined"):
        captured(lambda: forked(False))
    with torch.cuda.stream(side):
        assert (x + 1).tolist() == [2.0] * 3  # the stream is free again


def test_two_graphs_share_a_pool():
    x, pool = torch.ones(3, device="cuda"), torch.cuda.graph_pool_handle()
    first, y = captured(lambda: x + 1, pool)
    second, z = captured(lambda: y * 2, first.pool())
    assert first.pool() is pool is second.pool()
    first.replay()
    second.replay()
    assert z.tolist() == [4.0] * 3


def test_the_default_stream_is_not_captured():
    with pytest.raises(RuntimeError, match="non-default stream"):
        torch.cuda.CUDAGraph().capture_begin()
    with pytest.raises(RuntimeError, match="not being recorded"):
        torch.cuda.CUDAGraph().capture_end()


def test_an_error_inside_comes_out_as_it_is():
    with pytest.raises(ZeroDivisionError):
        captured(lambda: 1 / 0)
    assert not torch.cuda.is_current_stream_capturing()


# ---- random numbers


def test_each_replay_draws_what_eager_code_would_have_drawn():
    def draw():
        return torch.rand(5, device="cuda"), torch.randn(6, device="cuda"), torch.randint(0, 9, (3,), device="cuda")

    torch.manual_seed(3)
    eager = [[t.tolist() for t in draw()] for _ in range(3)]
    after = torch.rand(2, device="cuda").tolist()
    torch.manual_seed(3)
    g, outs = captured(draw)
    seen = []
    for _ in range(3):
        g.replay()
        seen.append([t.tolist() for t in outs])
    assert seen == eager and torch.rand(2, device="cuda").tolist() == after
    torch.manual_seed(3)  # a seed set between replays counts
    g.replay()
    assert [t.tolist() for t in outs] == eager[0]


def test_slopes_of_rrelu_are_drawn_anew():
    x = torch.linspace(-1.0, 1.0, 40).cuda().requires_grad_()
    torch.manual_seed(6)
    eager = [F.rrelu(x, 0.1, 0.5, True).tolist() for _ in range(3)]
    torch.manual_seed(6)

    def act():
        y = F.rrelu(x, 0.1, 0.5, True)
        return y, torch.autograd.grad(y.sum(), x)[0]

    g, (y, gx) = captured(act)
    for wanted in eager:
        g.replay()
        assert y.tolist() == wanted
        slopes = np.array(gx.tolist())
        assert (slopes[20:] == 1).all() and (slopes[:20] >= 0.1).all() and (slopes[:20] < 0.5).all()
        assert len(set(slopes[:20])) == 20
        np.testing.assert_allclose(y.tolist(), slopes * np.array(x.tolist()), rtol=1e-6)
    assert eager[0] != eager[1] != eager[2]
    torch.manual_seed(6)
    z = x.detach().clone()
    g, _ = captured(lambda: F.rrelu_(z, 0.1, 0.5, True))
    g.replay()
    assert z.tolist() == eager[0]


def test_eager_numbers_between_replays_are_not_repeated():
    torch.manual_seed(4)
    g, y = captured(lambda: torch.rand(4, device="cuda"))
    seen = []
    for _ in range(3):
        g.replay()
        seen += y.tolist() + torch.rand(4, device="cuda").tolist()
    torch.manual_seed(4)
    assert seen == torch.rand(24, device="cuda").tolist()


def test_a_generator_of_its_own_and_states_within_a_capture():
    g = torch.Generator("cuda").manual_seed(8)
    x = torch.ones(400, device="cuda")

    def twice():
        state = torch.cuda.get_rng_state()
        first = F.dropout(x, 0.5)
        torch.cuda.set_rng_state(state)
        return first, F.dropout(x, 0.5), torch.rand(3, device="cuda", generator=g), g.get_offset()

    torch.manual_seed(0)
    graph, (first, again, mine, offset) = captured(twice)
    assert offset == 1 and g.get_offset() == 0
    graph.replay()
    assert first.tolist() == again.tolist() and g.get_offset() == 1
    before = first.tolist(), mine.tolist()
    graph.replay()
    assert first.tolist() == again.tolist() != before[0] and mine.tolist() != before[1]


# ---- callables


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_graphed_callables(p):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Dropout(p), nn.Linear(32, 4)).cuda()
    x = torch.randn(3, 6).cuda().requires_grad_()
    weights = list(model.parameters())

    def steps():
        torch.manual_seed(7)
        found = []
        for _ in range(3):
            out = model(x)
            grads = torch.autograd.grad(out.pow(2).sum(), [x, *weights])
            found.append([out.detach().clone(), *[v.clone() for v in grads]])
        return found

    eager = steps()
    assert torch.cuda.make_graphed_callables(model, (torch.zeros(3, 6, device="cuda", requires_grad=True),)) is model
    graphed = steps()
    for row, other in zip(eager, graphed, strict=True):
        for a, b in zip(row, other, strict=True):
            np.testing.assert_array_equal(a.tolist(), b.tolist())
    if p:
        assert eager[0][0].tolist() != eager[1][0].tolist()
    model.eval()
    np.testing.assert_array_equal(model(x).tolist(), model(x).tolist())


def test_graphed_functions():
    sample = torch.ones(3, device="cuda")
    f, g = torch.cuda.make_graphed_callables((lambda a: a * 2, lambda a: (a + 1, a - 1)), ((sample,), (sample,)))
    up, down = g(f(torch.full((3,), 5.0, device="cuda")))
    assert up.tolist() == [11.0] * 3 and down.tolist() == [9.0] * 3


def test_pinned_memory_is_a_copy():
    x = torch.arange(6).reshape(2, 3)
    p = x.t().pin_memory()
    assert p.is_pinned() and p.is_contiguous() and p.tolist() == x.t().tolist()
    x[0, 0] = 9
    assert p[0, 0] == 0 and p.cuda(non_blocking=True).tolist() == p.tolist()
    loader = torch.utils.data.DataLoader([x.float(), x.float()], batch_size=2, pin_memory=True)
    assert all(batch.is_pinned() for batch in loader)


# ---- all ops


WAITS = {"nonzero"}  # how many there are decides over the result's shape


@pytest.mark.parametrize("name", sorted(n for n in coverage.own_ops() if n not in LIBRARY_OPS))
def test_every_op_can_be_captured(name):
    """Forward and backward of each op with a kernel, on its first sample: the replay gives the bits of the eager call."""
    op = coverage.own_ops()[name]
    if op.samples is None or not isinstance(op, Elementwise) and op.gpu is None:
        return
    args, params = next(iter(op.samples(np.random.default_rng(0))))

    def up(a):
        if isinstance(a, list):
            return [up(v) for v in a]
        if not isinstance(a, np.ndarray):
            return a
        t = wrap(a.astype(np.float32) if a.dtype == np.float64 else a).cuda()
        return t.requires_grad_() if t.dtype.is_floating_point else t

    args = [up(a) for a in args]
    flat = [t for a in args for t in (a if isinstance(a, list) else [a]) if isinstance(t, torch.Tensor)]
    leaves = [t for t in flat if t.requires_grad]

    params = [to_device(p) if isinstance(p, np.ndarray) else p for p in params]

    def run():
        y = op(*args, *params)
        outs = [v for v in (y if isinstance(y, (tuple, list)) else (y,)) if v is not None]
        carrying = [v for v in outs if v.requires_grad and not v.is_complex()]
        grads = (
            torch.autograd.grad(carrying, leaves, [torch.ones_like(v) for v in carrying], allow_unused=True)
            if carrying
            else ()
        )
        return [v for v in (*outs, *grads) if v is not None]

    eager = [to_host(v._a).tobytes() for v in run()]
    if name in WAITS:
        with pytest.raises(RuntimeError, match="reading values on the host"):
            captured(run)
        return
    g, outs = captured(run)
    g.replay()
    assert [to_host(v._a).tobytes() for v in outs] == eager


def test_graphs_after_the_emulated_machine_changed():
    x = torch.ones(2, device="cuda")
    captured(lambda: x + 1)
    emulate(devices=2)
    try:
        with torch.cuda.device(1):
            y = torch.ones(2, device="cuda:1")
            g, z = captured(lambda: y * 3)
            g.replay()
            assert z.tolist() == [3.0, 3.0] and z.device.index == 1
        g, z = captured(lambda: x + 1)
        g.replay()
        assert z.tolist() == [2.0, 2.0]
    finally:
        emulate()
