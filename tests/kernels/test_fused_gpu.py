"""The Triton side of norms, losses, dropout, embedding, resampling and attention against the NumPy side."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch.nn.functional  # noqa: F401 - registers the ops
from tests.kernels.raw_checks import check_gpu
from tritorch.kernels import batch_norm
from tritorch.kernels._op import OPS

NAMES = (
    "layer_norm", "rms_norm", "batch_norm_train", "batch_norm_eval", "group_norm", "cross_entropy", "attention",
    "dropout",
    "embedding", "resample", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "ctc_loss", "embedding_grad",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_samples(name):
    check_gpu(OPS[name], kinds=("float64", "float32", "float16"))


class Larger:
    """An op with other samples: several tiles per axis and a ragged rest."""

    def __init__(self, name, samples):
        self.op, self.samples = OPS[name], lambda rng: samples(rng)

    def __getattr__(self, name):
        return getattr(self.op, name)


def wide_rows(rng):
    x = rng.normal(size=(9, 5000)) + 3
    yield (x, rng.normal(size=5000), rng.normal(size=5000)), (1, 1e-5)
    yield (rng.normal(size=(70, 130)), rng.normal(size=130), rng.normal(size=130)), (1, 1e-5)


def planes(rng):
    yield (rng.normal(size=(6, 3, 40, 41)) + 5, rng.normal(size=3), rng.normal(size=3)), (1e-5,)
    yield (rng.normal(size=(500, 37)) + 5, rng.normal(size=37), rng.normal(size=37)), (1e-5,)


def groups(rng):
    yield (rng.normal(size=(3, 6, 33, 70)) + 5, rng.normal(size=6), rng.normal(size=6)), (2, 1e-5)


def logits(rng):
    x, t = rng.normal(size=(5, 2500)), rng.integers(0, 2500, 5)
    t[1] = -100
    yield (x, t, rng.uniform(0.5, 2, 2500)), (-100, "mean", 0.1)
    yield (rng.normal(size=(200, 9)), rng.integers(0, 9, 200), None), (3, "none", 0.0)


def heads(rng):
    q, k, v = rng.normal(size=(2, 2, 40, 20)), rng.normal(size=(2, 1, 45, 20)), rng.normal(size=(2, 1, 45, 33))
    yield (q, k, v, None), (0.2, True)
    mask = rng.random((2, 1, 40, 45)) < 0.5
    mask[1, 0, 33] = False
    yield (q, k, v, mask), (0.2, False)
    yield (q, k, v, rng.normal(size=(1, 2, 1, 45))), (0.2, False)


@pytest.mark.parametrize(
    ("name", "samples"),
    [
        ("layer_norm", wide_rows),
        ("batch_norm_train", planes),
        ("group_norm", groups),
        ("cross_entropy", logits),
        ("attention", heads),
    ],
)
def test_several_tiles(name, samples):
    check_gpu(Larger(name, samples), kinds=("float64", "float32"))


def test_rms_norm_of_long_rows():
    def rows(rng):
        yield (rng.normal(size=(3, 4500)), rng.normal(size=4500)), (1, 1e-6)

    check_gpu(Larger("rms_norm", rows), kinds=("float64",))


def test_cancellation_free_variance():
    x = (np.random.default_rng(0).normal(size=(16, 2, 300)) + 3000).astype(np.float32)
    mean, var = batch_norm.stats_gpu(tritorch_array(x))
    assert np.allclose(var, x.astype(np.float64).var((0, 2)), rtol=1e-4)


def tritorch_array(x):
    import sys

    return sys.modules["tritorch.device"].to_device(x)
