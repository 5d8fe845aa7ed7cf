from __future__ import annotations

import pytest

from tests.oracle.compare import both, errors, integers, normal, uniform

W, B = uniform(6, low=0.5, high=2), normal(6)
SHAPES = [(4, 6), (4, 6, 5), (3, 6, 4, 5), (2, 6, 2, 3, 4)]


@pytest.mark.parametrize("kind", ["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_training(shape, kind):
    def call(t, x, w, b):
        mean, var = t.zeros(6, dtype=x.dtype), t.ones(6, dtype=x.dtype)
        y = t.nn.functional.batch_norm(x, mean, var, w, b, training=True, momentum=0.3)
        return y, mean, var

    both(call, normal(*shape, shift=3), W, B, kind=kind)
    both(lambda t, x: t.nn.functional.batch_norm(x, None, None, training=True), normal(*shape), kind=kind)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_evaluation(shape):
    def call(t, x, mean, var, w, b):
        return t.nn.functional.batch_norm(x, mean.detach(), var.detach(), w, b)

    both(call, normal(*shape), normal(6, seed=2), uniform(6, low=0.5, high=3), W, B)


@pytest.mark.parametrize("shape", [(4, 6), (3, 5, 6), (2, 3, 2, 6)])
@pytest.mark.parametrize("kind", ["float64", "float32", "bfloat16"])
def test_layer_and_rms_norm(shape, kind):
    tol = 6e-2 if kind == "bfloat16" else None
    grads = kind != "bfloat16"
    both(
        lambda t, x, w, b: t.nn.functional.layer_norm(x, (6,), w, b),
        normal(*shape),
        W,
        B,
        kind=kind,
        tol=tol,
        grads=grads,
    )
    both(lambda t, x, w: t.nn.functional.rms_norm(x, (6,), w), normal(*shape), W, kind=kind, tol=tol, grads=grads)
    both(lambda t, x, w: t.nn.functional.rms_norm(x, [6], w, 0.1), normal(*shape), W, kind=kind, tol=tol, grads=grads)
    both(
        lambda t, x: t.nn.functional.layer_norm(x, x.shape[1:], eps=0.01),
        normal(*shape),
        kind=kind,
        tol=tol,
        grads=grads,
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_group_norm(shape, groups):
    if len(shape) == 2 and groups == 6:
        return
    both(lambda t, x, w, b: t.nn.functional.group_norm(x, groups, w, b), normal(*shape), W, B)
    both(lambda t, x: t.nn.functional.group_norm(x, groups), normal(*shape))


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_instance_norm(shape):
    both(lambda t, x, w, b: t.nn.functional.instance_norm(x, weight=w, bias=b), normal(*shape), W, B)

    def running(t, x, w, b):
        mean, var = t.zeros(6, dtype=x.dtype), t.ones(6, dtype=x.dtype)
        y = t.nn.functional.instance_norm(x, mean, var, w, b, momentum=0.4)
        z = t.nn.functional.instance_norm(x, mean, var, w, b, use_input_stats=False)
        return y, z, mean, var

    both(running, normal(*shape), W, B)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_local_response_norm(size):
    both(lambda t, x: t.nn.functional.local_response_norm(x, size, 0.3, 0.6, 1.2), normal(2, 6, 3))
    both(lambda t, x: t.nn.functional.local_response_norm(x, size), normal(2, 4, 3, 2))


MIXED = {
    "layer": lambda t, x, w, b: t.nn.functional.layer_norm(x, (6,), w, b),
    "batch": lambda t, x, w, b: t.nn.functional.batch_norm(x.transpose(1, 2), None, None, w, b, True),
    "group": lambda t, x, w, b: t.nn.functional.group_norm(x.transpose(1, 2), 2, w, b),
}


@pytest.mark.parametrize("name", MIXED)
def test_float32_weights_beside_a_half_precision_input(name):
    def call(t, x, w, b):
        y = MIXED[name](t, x.bfloat16(), w, b)
        assert y.dtype is t.bfloat16
        return y.float()

    both(call, normal(3, 4, 6), W, B, kind="float32", tol=2e-2)


def test_second_derivative_of_layer_norm():
    def call(t, x, w, b):
        y = t.nn.functional.layer_norm(x, (6,), w, b)
        (g,) = t.autograd.grad((y * y * y).sum(), x, create_graph=True)
        return g

    both(call, normal(3, 6), W, B)


@pytest.mark.parametrize("training", [True, False])
def test_second_derivative_of_batch_norm(training):
    def call(t, x, w, b):
        mean, var = t.zeros(6, dtype=x.dtype), t.ones(6, dtype=x.dtype)
        y = t.nn.functional.batch_norm(x, mean, var, w, b, training)
        (g,) = t.autograd.grad((y * y * y).sum(), x, create_graph=True)
        return g

    both(call, normal(3, 6, 4), W, B)


ERRORS = {
    "one value": lambda t: t.nn.functional.batch_norm(t.zeros(1, 3), None, None, training=True),
    "no stats": lambda t: t.nn.functional.batch_norm(t.zeros(2, 3), None, None),
    "stats size": lambda t: t.nn.functional.batch_norm(t.zeros(2, 3), t.zeros(4), t.ones(3)),
    "weight size": lambda t: t.nn.functional.batch_norm(t.zeros(2, 3), t.zeros(3), t.ones(3), t.ones(2)),
    "layer shape": lambda t: t.nn.functional.layer_norm(t.zeros(2, 3), (4,)),
    "layer weight": lambda t: t.nn.functional.layer_norm(t.zeros(2, 3), (3,), t.zeros(2)),
    "layer empty": lambda t: t.nn.functional.layer_norm(t.zeros(2, 3), ()),
    "layer int": lambda t: t.nn.functional.layer_norm(t.tensor([[1, 2]]), (2,)),
    "rms shape": lambda t: t.nn.functional.rms_norm(t.zeros(2, 3), (2,)),
    "group count": lambda t: t.nn.functional.group_norm(t.zeros(2, 4, 3), 3),
    "group weight": lambda t: t.nn.functional.group_norm(t.zeros(2, 4, 3), 2, t.zeros(3)),
    "instance": lambda t: t.nn.functional.instance_norm(t.zeros(2, 4, 1)),
    "lrn dims": lambda t: t.nn.functional.local_response_norm(t.zeros(2, 4), 2),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_types(name):
    errors(ERRORS[name])


# ------------------------------------------------------------------------------------------------- dropout


def seeded(call):
    def run(t, *args):
        t.manual_seed(11)
        return call(t, *args)

    return run


@pytest.mark.parametrize("kind", ["float64", "float32"])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_dropout_draws_the_same_mask(p, kind):
    x = normal(7, 9)
    both(seeded(lambda t, x: t.nn.functional.dropout(x, p)), x, kind=kind)
    both(seeded(lambda t, x: t.nn.functional.dropout(x, p, training=False)), x, kind=kind)
    both(seeded(lambda t, x: t.nn.functional.dropout(x * 1, p, inplace=True)), x, kind=kind)
    both(seeded(lambda t, x: t.nn.functional.alpha_dropout(x, p, training=True)), x, kind=kind)
    both(seeded(lambda t, x: t.nn.functional.alpha_dropout(x * 1, p, True, True)), x, kind=kind)


def test_dropout_of_channels():
    both(seeded(lambda t, x: t.nn.functional.dropout1d(x, 0.4)), normal(3, 5, 4))
    both(seeded(lambda t, x: t.nn.functional.dropout1d(x, 0.4)), normal(5, 4))
    both(seeded(lambda t, x: t.nn.functional.dropout2d(x, 0.4)), normal(3, 5, 4, 2))
    both(seeded(lambda t, x: t.nn.functional.dropout2d(x, 0.4)), normal(3, 5, 4))
    both(seeded(lambda t, x: t.nn.functional.dropout3d(x, 0.4)), normal(3, 5, 4, 2, 2))
    both(seeded(lambda t, x: t.nn.functional.dropout3d(x, 0.4)), normal(5, 4, 2, 2))
    both(seeded(lambda t, x: t.nn.functional.feature_alpha_dropout(x, 0.4, True)), normal(3, 5, 4))
    both(seeded(lambda t, x: t.nn.functional.dropout1d(x * 1, 0.4, inplace=True)), normal(5, 4))
    for x in (normal(3, 4), normal(3, 4, 2), normal(3, 4, 2, 2, 2, 2)):
        both(seeded(lambda t, x: t.nn.functional.dropout3d(x, 0.4)), x)
        both(seeded(lambda t, x: t.nn.functional.dropout3d(x * 1, 0.4, inplace=True)), x)


def test_dropout_in_evaluation_is_the_tensor_itself():
    from tests.oracle.compare import tritorch

    x = tritorch.zeros(3)
    assert tritorch.nn.functional.dropout(x, training=False) is x


DROPOUT_ERRORS = {
    name: lambda t, name=name: getattr(t.nn.functional, name)(t.zeros(2, 3, 4), 1.5)
    for name in ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
}
DROPOUT_ERRORS["dropout1d dims"] = lambda t: t.nn.functional.dropout1d(t.zeros(2, 3, 4, 5))
DROPOUT_ERRORS["feature_alpha_dropout dims"] = lambda t: t.nn.functional.feature_alpha_dropout(t.ones(2), 0.5, True)
DROPOUT_ERRORS["integers"] = lambda t: t.nn.functional.dropout(t.ones(2, dtype=t.int64))
DROPOUT_ERRORS["integers in place"] = lambda t: t.nn.functional.alpha_dropout(t.ones(2, dtype=t.int64), 0.5, True, True)


@pytest.mark.parametrize("name", DROPOUT_ERRORS)
def test_dropout_error_types(name):
    errors(DROPOUT_ERRORS[name])


# ------------------------------------------------------------------------------------------------- embedding


@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}, {"padding_idx": -1}, {"scale_grad_by_freq": True}])
def test_embedding(options):
    both(lambda t, i, w: t.nn.functional.embedding(i, w, **options), integers(7, 3, 4), normal(7, 5))


def test_embedding_max_norm_changes_the_table():
    def call(t, i, w):
        w = w.detach().clone()
        return t.nn.functional.embedding(i, w, max_norm=1.5), w

    both(call, integers(7, 3), normal(7, 5), grads=False, tol=1e-6)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bag(mode):
    w = normal(9, 4)
    both(lambda t, i, w: t.nn.functional.embedding_bag(i, w, mode=mode), integers(9, 3, 5), w)
    flat = integers(9, 11)
    both(lambda t, i, w: t.nn.functional.embedding_bag(i, w, t.tensor([0, 3, 3, 8]), mode=mode), flat, w)
    both(
        lambda t, i, w: t.nn.functional.embedding_bag(
            i, w, t.tensor([0, 3, 8, 11]), mode=mode, include_last_offset=True
        ),
        flat,
        w,
    )
    both(lambda t, i, w: t.nn.functional.embedding_bag(i, w, mode=mode, padding_idx=3), integers(9, 3, 5), w)


def test_embedding_bag_with_factors():
    call = lambda t, i, w, s: t.nn.functional.embedding_bag(i, w, mode="sum", per_sample_weights=s)
    both(call, integers(9, 3, 5), normal(9, 4), normal(3, 5))


def test_one_hot():
    both(lambda t, i: t.nn.functional.one_hot(i), integers(5, 2, 3))
    both(lambda t, i: t.nn.functional.one_hot(i, 9), integers(5, 2, 3))


EMBEDDING_ERRORS = {
    "index": lambda t: t.nn.functional.embedding(t.tensor([5]), t.zeros(5, 2)),
    "negative": lambda t: t.nn.functional.embedding(t.tensor([-1]), t.zeros(5, 2)),
    "dtype": lambda t: t.nn.functional.embedding(t.tensor([1.0]), t.zeros(5, 2)),
    "padding": lambda t: t.nn.functional.embedding(t.tensor([1]), t.zeros(5, 2), padding_idx=5),
    "bag mode": lambda t: t.nn.functional.embedding_bag(t.tensor([[1]]), t.zeros(5, 2), mode="x"),
    "bag offsets": lambda t: t.nn.functional.embedding_bag(t.tensor([1]), t.zeros(5, 2)),
    "bag factors": lambda t: t.nn.functional.embedding_bag(
        t.tensor([[1]]), t.zeros(5, 2), per_sample_weights=t.ones(1, 1)
    ),
    "one_hot dtype": lambda t: t.nn.functional.one_hot(t.tensor([1.0])),
    "one_hot range": lambda t: t.nn.functional.one_hot(t.tensor([3]), 3),
    "one_hot negative": lambda t: t.nn.functional.one_hot(t.tensor([-3]), 3),
}


@pytest.mark.parametrize("name", EMBEDDING_ERRORS)
def test_embedding_error_types(name):
    errors(EMBEDDING_ERRORS[name])
