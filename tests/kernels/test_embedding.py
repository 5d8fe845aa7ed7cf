from __future__ import annotations

import numpy as np

from tests.kernels.raw_checks import check_cpu_grad
from tritorch.kernels.embedding import embedding, embedding_grad


def test_backward_is_the_derivative():
    assert check_cpu_grad(embedding) == 2


def test_duplicates_are_summed_and_unused_rows_are_zero():
    rng = np.random.default_rng(0)
    idx, g = rng.integers(0, 7, (4, 5)), rng.normal(size=(4, 5, 3))
    expected = np.zeros((9, 3))
    np.add.at(expected, idx, g)
    assert np.allclose(embedding_grad.cpu(g, idx, 9, -1, False), expected)
    expected[2] = 0
    assert np.allclose(embedding_grad.cpu(g, idx, 9, 2, False), expected)
    count = np.bincount(idx.ravel(), minlength=9)
    scaled = embedding_grad.cpu(g, idx, 9, 2, True)
    assert np.allclose(scaled * np.maximum(count, 1)[:, None], expected)


def test_half_precision_sums_are_kept_in_float32():
    g = np.ones((5000, 1), np.float16)
    gw, _ = embedding.cpu_grad(g, (1, 1), np.zeros(5000, np.int64), -1, False, (True, False))
    assert gw.dtype == np.float16 and gw[0, 0] == 5000


def test_no_index_at_all():
    assert not embedding_grad.cpu(np.zeros((0, 3)), np.zeros(0, np.int64), 4, -1, False).any()
