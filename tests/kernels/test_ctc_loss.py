from __future__ import annotations

from itertools import product

import numpy as np

from tests.kernels.raw_checks import check_cpu_grad
from tritorch.kernels.ctc_loss import ctc_loss


def test_fused_backward_is_the_derivative():
    assert check_cpu_grad(ctc_loss) == 2


def collapsed(path, blank):
    kept = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
    return [c for c in kept if c != blank]


def test_loss_is_the_sum_over_all_alignments():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 2, 3))
    x -= np.log(np.exp(x).sum(-1, keepdims=True))
    targets, in_len, target_len = np.array([[1, 1], [2, 0]]), np.array([5, 4]), np.array([2, 1])
    loss, _ = ctc_loss.cpu(x, targets, in_len, target_len, 0)
    for n in range(2):
        total = 0.0
        for path in product(range(3), repeat=int(in_len[n])):
            if collapsed(path, 0) == targets[n, : target_len[n]].tolist():
                total += np.exp(sum(x[t, n, c] for t, c in enumerate(path)))
        assert np.isclose(loss[n], -np.log(total))


def test_a_target_that_does_not_fit_has_infinite_loss():
    x = np.full((2, 1, 3), -np.log(3))
    assert ctc_loss.cpu(x, np.array([[1, 1]]), np.array([2]), np.array([2]), 0)[0][0] == np.inf
