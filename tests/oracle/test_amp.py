"""autocast on the CPU against torch: which dtype each function gives, its values and gradients; GradScaler's arithmetic."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

M, V = (3, 4), (4,)
SQUARE, BATCH, IMAGE, VOLUME = (4, 4), (2, 3, 4), (1, 2, 6, 6), (1, 2, 4, 4, 4)
F = lambda ns: ns.nn.functional  # noqa: E731
labels = lambda ns: ns.tensor([0, 2, 1])  # noqa: E731
signs = lambda ns: ns.tensor([1.0, -1.0, 1.0])  # noqa: E731

TABLE = {
    "matmul": (lambda ns, a, b: ns.matmul(a, b), M, SQUARE),
    "operator": (lambda ns, a, b: a @ b, M, SQUARE),
    "mm": (lambda ns, a, b: ns.mm(a, b), M, SQUARE),
    "bmm": (lambda ns, a, b: a.bmm(b), BATCH, (2, 4, 3)),
    "mv": (lambda ns, a, b: ns.mv(a, b), M, V),
    "dot": (lambda ns, a, b: ns.dot(a, b), V, V),
    "outer": (lambda ns, a, b: ns.outer(a, b), V, V),
    "inner": (lambda ns, a, b: ns.inner(a, b), M, V),
    "addmm": (lambda ns, a, b, c: ns.addmm(a, b, c), M, (3, 2), (2, 4)),
    "addmv": (lambda ns, a, b, c: ns.addmv(a, b, c), (3,), M, V),
    "addr": (lambda ns, a, b, c: ns.addr(a, b, c), M, (3,), V),
    "baddbmm": (lambda ns, a, b, c: ns.baddbmm(a, b, c), (2, 3, 3), BATCH, (2, 4, 3)),
    "addbmm": (lambda ns, a, b, c: ns.addbmm(a, b, c), (3, 3), BATCH, (2, 4, 3)),
    "einsum": (lambda ns, a, b: ns.einsum("ij,jk->ik", a, b), M, SQUARE),
    "einsum without a sum": (lambda ns, a, b: ns.einsum("ij,j->ij", a, b), M, V),
    "tensordot": (lambda ns, a, b: ns.tensordot(a, b, 1), M, SQUARE),
    "multi_dot": (lambda ns, a, b, c: ns.linalg.multi_dot([a, b, c]), M, SQUARE, SQUARE),
    "linear": (lambda ns, a, w, b: F(ns).linear(a, w, b), M, (5, 4), (5,)),
    "bilinear": (lambda ns, a, b, w: F(ns).bilinear(a, b, w), M, M, (2, 4, 4)),
    "conv1d": (lambda ns, a, w: F(ns).conv1d(a, w), (2, 3, 8), (2, 3, 3)),
    "conv2d": (lambda ns, a, w, b: F(ns).conv2d(a, w, b), IMAGE, (3, 2, 3, 3), (3,)),
    "conv_transpose2d": (lambda ns, a, w: F(ns).conv_transpose2d(a, w), IMAGE, (2, 3, 2, 2)),
    "attention": (lambda ns, q, k, v: F(ns).scaled_dot_product_attention(q, k, v), BATCH, BATCH, BATCH),
    "prelu": (lambda ns, a, w: F(ns).prelu(a, w), M, (1,)),
    "relu": (lambda ns, a: F(ns).relu(a), M),
    "gelu": (lambda ns, a: F(ns).gelu(a), M),
    "exp": (lambda ns, a: a.exp(), M),
    "pow": (lambda ns, a: a**2.5, M),
    "sum": (lambda ns, a: a.sum(), M),
    "mean": (lambda ns, a: a.mean(0), M),
    "prod": (lambda ns, a: a.prod(), V),
    "cumsum": (lambda ns, a: a.cumsum(0), M),
    "trace": (lambda ns, a: ns.trace(a), SQUARE),
    "norm": (lambda ns, a: a.norm(), M),
    "softmax": (lambda ns, a: F(ns).softmax(a, 1), M),
    "log_softmax": (lambda ns, a: a.log_softmax(1), M),
    "softmax in float32": (lambda ns, a: a.softmax(1, dtype=ns.float32), M),
    "layer_norm": (lambda ns, a: F(ns).layer_norm(a, (4,)), M),
    "batch_norm": (lambda ns, a: F(ns).batch_norm(a, None, None, training=True), M),
    "cat": (lambda ns, a, b: ns.cat([a, b.float()]), M, M),
    "add": (lambda ns, a, b: a + b.float(), M, M),
    "mse_loss": (lambda ns, a, b: F(ns).mse_loss(a, b), M, M),
    "l1_loss": (lambda ns, a, b: F(ns).l1_loss(a, b), M, M),
    "smooth_l1_loss": (lambda ns, a, b: F(ns).smooth_l1_loss(a, b), M, M),
    "huber_loss": (lambda ns, a, b: F(ns).huber_loss(a, b), M, M),
    "cross_entropy": (lambda ns, a: F(ns).cross_entropy(a, labels(ns)), M),
    "nll_loss": (lambda ns, a: F(ns).nll_loss(a, labels(ns)), M),
    "binary_cross_entropy": (lambda ns, a, b: F(ns).binary_cross_entropy(a, b.detach()), M, M),
    "with_logits": (lambda ns, a, b: F(ns).binary_cross_entropy_with_logits(a, b.detach()), M, M),
    "kl_div": (lambda ns, a, b: F(ns).kl_div(a, b.detach(), reduction="sum"), M, M),
    "poisson_nll_loss": (lambda ns, a, b: F(ns).poisson_nll_loss(a, b.detach()), M, M),
    "hinge_embedding_loss": (lambda ns, a: F(ns).hinge_embedding_loss(a, signs(ns)), (3,)),
    "cosine_embedding_loss": (lambda ns, a, b: F(ns).cosine_embedding_loss(a, b, signs(ns)), M, M),
    "margin_ranking_loss": (lambda ns, a, b: F(ns).margin_ranking_loss(a, b, signs(ns)), (3,), (3,)),
    "soft_margin_loss": (lambda ns, a: F(ns).soft_margin_loss(a, signs(ns)), (3,)),
    "multi_margin_loss": (lambda ns, a: F(ns).multi_margin_loss(a, labels(ns)), M),
    "triplet_margin_loss": (lambda ns, a, b, c: F(ns).triplet_margin_loss(a, b, c), M, M, M),
    "cdist": (lambda ns, a, b: ns.cdist(a, b), M, M),
    "cosine_similarity": (lambda ns, a, b: F(ns).cosine_similarity(a, b), M, M),
    "grid_sample": (lambda ns, a, g: F(ns).grid_sample(a, g, align_corners=False), IMAGE, (1, 2, 2, 2)),
    "avg_pool2d": (lambda ns, a: F(ns).avg_pool2d(a, 2), IMAGE),
    "avg_pool3d": (lambda ns, a: F(ns).avg_pool3d(a, 2), VOLUME),
    "max_pool3d": (lambda ns, a: F(ns).max_pool3d(a, 2), VOLUME),
    "reflect": (lambda ns, a: F(ns).pad(a, (1, 1), mode="reflect"), M),
    "interpolate": (lambda ns, a: F(ns).interpolate(a, scale_factor=2), IMAGE),
    "quantile": (lambda ns, a: ns.quantile(a, 0.3), V),
    "rfft": (lambda ns, a: ns.fft.rfft(a).abs(), V),
    "svdvals": (lambda ns, a: ns.linalg.svdvals(a), SQUARE),
    "checkpoint": (lambda ns, a, w: _checkpoint(ns, a, w), M, SQUARE),
}


def _checkpoint(ns, a, w):
    module = __import__(f"{ns.__name__}.utils.checkpoint", fromlist=["checkpoint"])
    return module.checkpoint(lambda x, y: (x @ y).relu() @ y, a, w, use_reentrant=False)


def run(ns, f, arrays, half):
    leaves = [ns.tensor(a.tolist()).requires_grad_() for a in arrays]
    given = [v.to(ns.bfloat16) for v in leaves] if half else leaves
    with ns.autocast("cpu", dtype=ns.bfloat16):
        y = f(ns, *given)
    assert not ns.is_autocast_enabled("cpu")
    weights = np.random.default_rng(2).normal(size=tuple(y.shape))
    (y.float() * ns.tensor(weights.tolist())).sum().backward()
    found = [None if v.grad is None else v.grad.double().numpy() for v in leaves]
    return str(y.dtype), y.detach().double().numpy(), found


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", TABLE)
def test_function(name, half):
    f, *shapes = TABLE[name]
    rng = np.random.default_rng(5)
    arrays = [rng.uniform(0.1, 0.9, s).astype(np.float32) for s in shapes]
    (theirs_type, theirs, theirs_grad), (ours_type, ours, ours_grad) = (
        run(ns, f, arrays, half) for ns in (torch, tritorch)
    )
    assert ours_type == theirs_type
    low = (
        half or "bfloat16" in theirs_type or name in ("multi_dot", "bilinear")
    )  # in torch, bilinear's inner products are low
    tol = 3e-2 if low else 1e-5
    np.testing.assert_allclose(ours, theirs, rtol=tol, atol=tol)
    for mine, torchs in zip(ours_grad, theirs_grad, strict=True):
        assert (mine is None) == (torchs is None)
        if mine is not None:
            tol = max(3e-2, 2e-2 * np.abs(torchs).max()) if low or name == "checkpoint" else 1e-4
            np.testing.assert_allclose(mine, torchs, rtol=tol, atol=tol)


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell", "MultiheadAttention"])
def test_module(kind, half):
    found = []
    for ns in (torch, tritorch):
        ns.manual_seed(0)
        sizes = (4, 2) if kind == "MultiheadAttention" else (4, 6)
        module = getattr(ns.nn, kind)(*sizes)
        x = ns.tensor(np.random.default_rng(1).normal(size=(3, 4) if "Cell" in kind else (5, 3, 4)).tolist())
        x = x.to(ns.bfloat16) if half else x
        with ns.autocast("cpu", ns.bfloat16):
            y = module(x, x, x) if kind == "MultiheadAttention" else module(x)
        y = y[0] if isinstance(y, tuple) else y
        y.float().sum().backward()
        grads = [p.grad for p in module.parameters()]
        assert all(g.dtype is ns.float32 for g in grads)
        found.append((str(y.dtype), y.detach().double().numpy(), [g.numpy() for g in grads]))
    (their_type, theirs, their_grads), (our_type, ours, our_grads) = found
    assert our_type == their_type
    np.testing.assert_allclose(ours, theirs, atol=3e-2)
    for a, b in zip(our_grads, their_grads, strict=True):
        np.testing.assert_allclose(a, b, atol=0.05 * max(1, np.abs(b).max()))


@pytest.mark.parametrize("enabled", [True, False])
def test_scaler_follows_torch(enabled):
    """The same losses, one of them infinite: the same scales, steps and parameters."""
    found = []
    for ns in (torch, tritorch):
        w = ns.nn.Parameter(ns.tensor([1.0, 2.0]))
        optimizer = ns.optim.SGD([w], lr=0.1)
        scaler = ns.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2, enabled=enabled)
        seen = []
        for i in range(7):
            optimizer.zero_grad()
            factor = float("inf") if i == 3 and enabled else 1.0 + i
            scaler.scale((w * w).sum() * factor).backward()
            if i % 2:
                scaler.unscale_(optimizer)
                ns.nn.utils.clip_grad_norm_([w], 1.0)
            scaler.step(optimizer)
            scaler.update()
            seen += [scaler.get_scale(), *w.detach().tolist()]
        seen += [scaler.state_dict()]
        found.append(seen)
    theirs, ours = found
    assert ours[-1] == theirs[-1]
    np.testing.assert_allclose(ours[:-1], theirs[:-1], rtol=1e-6, atol=1e-7)


ERRORS = {
    "unscale_ twice": lambda ns, s, o: (s.unscale_(o), s.unscale_(o)),
    "unscale_ after step": lambda ns, s, o: (s.step(o), s.unscale_(o)),
    "step twice": lambda ns, s, o: (s.step(o), s.step(o)),
    "closure": lambda ns, s, o: s.step(o, closure=lambda: 0),
    "update first": lambda ns, s, o: s.update(),
    "growth": lambda ns, s, o: ns.amp.GradScaler("cpu", growth_factor=1.0),
    "backoff": lambda ns, s, o: ns.amp.GradScaler("cpu", backoff_factor=1.0),
    "empty state": lambda ns, s, o: s.load_state_dict({}),
    "device": lambda ns, s, o: ns.autocast("tpu"),
    "not a device": lambda ns, s, o: ns.autocast(3),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    kinds = []
    for ns in (torch, tritorch):
        w = ns.nn.Parameter(ns.ones(2))
        optimizer, scaler = ns.optim.SGD([w], lr=0.1), ns.amp.GradScaler("cpu")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scaler.scale(w.sum()).backward()
            with pytest.raises(Exception) as caught:
                ERRORS[name](ns, scaler, optimizer)
        kinds.append(type(caught.value))
    assert issubclass(kinds[1], kinds[0]), kinds
