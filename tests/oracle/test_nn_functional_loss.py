from __future__ import annotations

import numpy as np
import pytest

from tests.oracle.compare import both, errors, integers, normal, uniform, warned

X, Y = normal(5, 4), normal(5, 4, seed=1)
REDUCTIONS = ("none", "mean", "sum")
SIGNS = np.sign(normal(5, seed=3))
P = uniform(5, 4, low=0.05, high=0.95)


def fn(name, **options):
    return lambda t, *args: getattr(t.nn.functional, name)(*args, **options)


ELEMENTWISE = {
    "mse_loss": (fn("mse_loss"), (X, Y)),
    "l1_loss": (fn("l1_loss"), (X, Y)),
    "smooth_l1_loss": (fn("smooth_l1_loss", beta=0.7), (X, Y)),
    "smooth_l1_loss beta 0": (fn("smooth_l1_loss", beta=0.0), (X, Y)),
    "huber_loss": (fn("huber_loss", delta=0.6), (X, Y)),
    "binary_cross_entropy": (fn("binary_cross_entropy"), (P, uniform(5, 4, seed=1))),
    "binary_cross_entropy_with_logits": (fn("binary_cross_entropy_with_logits"), (X * 4, uniform(5, 4, seed=1))),
    "kl_div": (fn("kl_div"), (np.log(P), uniform(5, 4, seed=1))),
    "kl_div zeros": (lambda t, a, b, **o: t.nn.functional.kl_div(a, t.nn.functional.relu(b), **o), (np.log(P), X)),
    "poisson_nll_loss": (fn("poisson_nll_loss"), (X, uniform(5, 4, high=5))),
    "hinge_embedding_loss": (fn("hinge_embedding_loss", margin=0.8), (X, np.sign(Y))),
    "cosine_embedding_loss": (fn("cosine_embedding_loss", margin=0.2), (X, Y, SIGNS)),
    "margin_ranking_loss": (fn("margin_ranking_loss", margin=0.3), (X[:, 0], Y[:, 0], SIGNS)),
    "soft_margin_loss": (fn("soft_margin_loss"), (X * 3, np.sign(Y) > 0)),
    "multilabel_soft_margin_loss": (fn("multilabel_soft_margin_loss"), (X, (Y > 0) * 1.0)),
    "triplet_margin_loss": (fn("triplet_margin_loss"), (X, Y, normal(5, 4, seed=2))),
    "triplet_margin_loss swap": (fn("triplet_margin_loss", swap=True, p=1.5), (X, Y, normal(5, 4, seed=2))),
    "triplet_margin_with_distance_loss": (fn("triplet_margin_with_distance_loss"), (X, Y, normal(5, 4, seed=2))),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_loss(name, reduction):
    call, args = ELEMENTWISE[name]
    if name == "soft_margin_loss":  # torch has no gradient for its target
        both(
            lambda t, x, y: t.nn.functional.soft_margin_loss(x, y * 2 - 1, reduction=reduction),
            X * 3,
            (Y > 0).astype(np.int64),
        )
    elif name == "kl_div zeros":
        both(lambda t, a, b: call(t, a, b, reduction=reduction), *args)
    else:
        both(lambda t, *a: getattr(t.nn.functional, name.split()[0])(*a, reduction=reduction, **_options(name)), *args)


def _options(name):
    return {
        "smooth_l1_loss": {"beta": 0.7}, "smooth_l1_loss beta 0": {"beta": 0.0}, "huber_loss": {"delta": 0.6},
        "hinge_embedding_loss": {"margin": 0.8}, "cosine_embedding_loss": {"margin": 0.2},
        "margin_ranking_loss": {"margin": 0.3},
        "triplet_margin_loss swap": {"swap": True, "p": 1.5},
    }.get(name, {})  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_weighted_regression(reduction):
    w = uniform(5, 4, seed=4)
    for name in ("mse_loss", "l1_loss", "huber_loss"):
        both(lambda t, x, y, v, name=name: getattr(t.nn.functional, name)(x, y, reduction=reduction, weight=v), X, Y, w)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(6, 5), (5,), (3, 5, 4), (2, 5, 3, 2)])
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_cross_entropy(reduction, smoothing, weighted, shape, kind):
    n = (shape[0], *shape[2:]) if len(shape) > 1 else ()
    t = np.asarray(integers(5, *n))
    if n:
        t.flat[1] = 4
    w = uniform(5, low=0.5, high=2.0) if weighted else None

    def call(side, x, target):
        v = None if w is None else side.tensor(w.tolist(), dtype=x.dtype)
        return side.nn.functional.cross_entropy(
            x, target, v, reduction=reduction, label_smoothing=smoothing, ignore_index=4
        )

    if not n and int(t) == 4:
        t = np.asarray(1)
    both(call, normal(*shape, scale=3), t, kind=kind)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(6, 5), (5,), (3, 5, 4)])
def test_cross_entropy_of_probabilities(reduction, weighted, shape):
    w = uniform(5, low=0.5, high=2.0) if weighted else None

    def call(side, x, target):
        v = None if w is None else side.tensor(w.tolist(), dtype=x.dtype)
        return side.nn.functional.cross_entropy(x, target, v, reduction=reduction, label_smoothing=0.2)

    both(call, normal(*shape), uniform(*shape))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(6, 5), (5,), (3, 5, 4)])
def test_nll_loss(reduction, weighted, shape):
    n = (shape[0], *shape[2:]) if len(shape) > 1 else ()
    t = np.asarray(integers(4, *n))
    w = uniform(5, low=0.5, high=2.0) if weighted else None

    def call(side, x, target):
        v = None if w is None else side.tensor(w.tolist(), dtype=x.dtype)
        return side.nn.functional.nll_loss(x, target, v, reduction=reduction, ignore_index=2 if n else -100)

    both(call, normal(*shape), t)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_multi_margin_losses(reduction):
    labels = np.array([[1, 0, -1, 2], [3, -1, 0, 0], [0, 1, 2, 3], [-1, 1, 1, 1], [2, 3, 1, -1]])
    both(lambda t, x, y: t.nn.functional.multilabel_margin_loss(x, y, reduction=reduction), X, labels)
    both(lambda t, x, y: t.nn.functional.multilabel_margin_loss(x, y, reduction=reduction), X[0], labels[0])
    classes = integers(4, 5)
    for p in (1, 2):
        both(
            lambda t, x, y, p=p: t.nn.functional.multi_margin_loss(x, y, p=p, margin=0.7, reduction=reduction),
            X,
            classes,
        )
    w = uniform(4, seed=9).tolist()
    call = lambda t, x, y: t.nn.functional.multi_margin_loss(
        x, y, weight=t.tensor(w, dtype=x.dtype), reduction=reduction
    )
    both(call, X, classes)
    both(lambda t, x, y: t.nn.functional.multi_margin_loss(x, y, reduction=reduction), X[0], np.asarray(2))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_weights_of_binary_losses(reduction):
    w, pw, t01 = uniform(4, seed=2), uniform(4, seed=3), uniform(5, 4, seed=1)
    f = "binary_cross_entropy"
    both(lambda t, x, y, v: getattr(t.nn.functional, f)(x, y, v.detach(), reduction=reduction), P, t01, w)
    f2 = f + "_with_logits"
    both(lambda t, x, y, v: getattr(t.nn.functional, f2)(x, y, v.detach(), reduction=reduction), X, t01, w)
    both(lambda t, x, y, v: getattr(t.nn.functional, f2)(x, y, pos_weight=v.detach(), reduction=reduction), X, t01, pw)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_likelihoods(reduction):
    var = uniform(5, 4, low=0.3, high=2)
    both(lambda t, x, y, v: t.nn.functional.gaussian_nll_loss(x, y, v, full=True, reduction=reduction), X, Y, var)
    both(lambda t, x, y, v: t.nn.functional.gaussian_nll_loss(x, y, v, reduction=reduction), X, Y, var[:, :1])
    both(lambda t, x, y, v: t.nn.functional.gaussian_nll_loss(x, y, v, reduction=reduction), X, Y, var[:, 0])
    counts = uniform(5, 4, high=6)
    both(lambda t, x, y: t.nn.functional.poisson_nll_loss(x, y, full=True, reduction=reduction), X, counts)
    both(lambda t, x, y: t.nn.functional.poisson_nll_loss(x, y, log_input=False, reduction=reduction), P, counts)


def test_linear_cross_entropy():
    call = lambda t, x, w, b, y: t.nn.functional.linear_cross_entropy(x, w, y, linear_bias=b, label_smoothing=0.1)
    both(call, X, normal(3, 4), normal(3), integers(3, 5))


def test_kl_div_options():
    both(lambda t, x, y: t.nn.functional.kl_div(x, y, reduction="batchmean"), np.log(P), P[::-1].copy())
    both(lambda t, x, y: t.nn.functional.kl_div(x, y, reduction="sum", log_target=True), np.log(P), np.log(P[::-1]))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("flat", [False, True])
def test_ctc_loss(reduction, flat):
    lengths = [3, 2, 1]
    targets = integers(4, 3, 3, low=1)
    given = np.concatenate([targets[i, :n] for i, n in enumerate(lengths)]) if flat else targets

    def call(t, x, y):
        log_p = t.nn.functional.log_softmax(x, 2)
        return t.nn.functional.ctc_loss(log_p, y, t.tensor([8, 7, 6]), t.tensor(lengths), reduction=reduction)

    both(call, normal(8, 3, 5), given)


def test_ctc_loss_without_an_alignment():
    def call(t, x, y, zero=True):
        log_p = t.nn.functional.log_softmax(x, 2)
        return t.nn.functional.ctc_loss(log_p, y, [3, 8], [4, 2], reduction="sum", zero_infinity=zero)

    both(call, normal(8, 2, 5), integers(5, 2, 4, low=1))


def test_ctc_loss_of_one_sample():
    def call(t, x, y):
        log_p = t.nn.functional.log_softmax(x, 1)
        return t.nn.functional.ctc_loss(log_p, y, t.tensor(8), t.tensor(3), blank=1)

    both(call, normal(8, 5), np.array([2, 0, 2]))


def test_legacy_arguments():
    for options in ({"size_average": False}, {"reduce": False}, {"size_average": True}, {"reduce": True}):
        both(lambda t, x, y, o=options: t.nn.functional.mse_loss(x, y, **o), X, Y)
        ours, theirs = warned(lambda t, o=options: t.nn.functional.mse_loss(t.zeros(2), t.zeros(2), **o))
        assert len(ours) == len(theirs) == 1 and theirs[0] in ours[0]


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_silent_broadcasting_warns_with_the_shapes(name):
    ours, theirs = warned(lambda t: getattr(t.nn.functional, name)(t.zeros(3, 1), t.zeros(3)))
    assert len(ours) == 1 and "torch.Size([3, 1])" in ours[0] and "torch.Size([3])" in ours[0]
    assert ours == theirs[:1]
    both(lambda t, x, y: getattr(t.nn.functional, name)(x, y), normal(3, 1), normal(3))


ERRORS = {
    "reduction": lambda t: t.nn.functional.mse_loss(t.zeros(2), t.zeros(2), reduction="x"),
    "ce batch": lambda t: t.nn.functional.cross_entropy(t.zeros(3, 4), t.tensor([1, 2])),
    "ce float target": lambda t: t.nn.functional.cross_entropy(t.zeros(3, 4), t.zeros(3)),
    "ce bounds": lambda t: t.nn.functional.cross_entropy(t.zeros(1, 4), t.tensor([4])),
    "nll bounds": lambda t: t.nn.functional.nll_loss(t.zeros(1, 4), t.tensor([4])),
    "ce weight": lambda t: t.nn.functional.cross_entropy(t.zeros(1, 4), t.tensor([0]), t.zeros(3)),
    "ce smoothing": lambda t: t.nn.functional.cross_entropy(t.zeros(1, 4), t.tensor([0]), label_smoothing=1.5),
    "ce spatial": lambda t: t.nn.functional.cross_entropy(t.zeros(1, 4, 3), t.tensor([[0, 1]])),
    "bce size": lambda t: t.nn.functional.binary_cross_entropy(t.zeros(3), t.zeros(2)),
    "bce range": lambda t: t.nn.functional.binary_cross_entropy(t.tensor([1.5]), t.zeros(1)),
    "bce logits size": lambda t: t.nn.functional.binary_cross_entropy_with_logits(t.zeros(3), t.zeros(3, 1)),
    "smooth beta": lambda t: t.nn.functional.smooth_l1_loss(t.zeros(3), t.zeros(3), beta=-1.0),
    "huber delta": lambda t: t.nn.functional.huber_loss(t.zeros(3), t.zeros(3), delta=0.0),
    "cosine dims": lambda t: t.nn.functional.cosine_embedding_loss(t.zeros(3), t.zeros(3), t.zeros(3)),
    "ranking dims": lambda t: t.nn.functional.margin_ranking_loss(t.zeros(3), t.zeros(3, 1), t.zeros(3)),
    "multi margin p": lambda t: t.nn.functional.multi_margin_loss(t.zeros(3, 4), t.tensor([1, 2, 3]), p=3),
    "multilabel size": lambda t: t.nn.functional.multilabel_margin_loss(t.zeros(3, 4), t.tensor([1, 2, 3])),
    "gaussian var": lambda t: t.nn.functional.gaussian_nll_loss(t.zeros(3), t.zeros(3), t.tensor([-1.0, 1, 1])),
    "gaussian size": lambda t: t.nn.functional.gaussian_nll_loss(t.zeros(3, 4), t.zeros(3, 4), t.ones(2)),
    "triplet margin": lambda t: t.nn.functional.triplet_margin_loss(
        t.zeros(3, 4), t.zeros(3, 4), t.zeros(3, 4), margin=-1.0
    ),
    "triplet dims": lambda t: t.nn.functional.triplet_margin_loss(t.zeros(3, 4), t.zeros(4), t.zeros(3, 4)),
    "ctc blank": lambda t: t.nn.functional.ctc_loss(
        t.zeros(3, 1, 4), t.tensor([[1]]), t.tensor([3]), t.tensor([1]), blank=9
    ),
    "ctc length": lambda t: t.nn.functional.ctc_loss(t.zeros(3, 1, 4), t.tensor([[1]]), t.tensor([5]), t.tensor([1])),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_types(name):
    errors(ERRORS[name])
