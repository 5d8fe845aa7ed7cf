"""Broadcast parameters, probabilities and logits, triangles as vectors."""

from __future__ import annotations

import pytest

import tritorch as torch
from tests.distributions.cases import t
from tritorch.distributions import utils


def test_broadcast_all() -> None:
    a, b, c = utils.broadcast_all(1, t([1.0, 2.0]), torch.zeros(3, 1))
    assert a.shape == b.shape == c.shape == (3, 2) and a.dtype is torch.float64 and c.dtype is torch.float32
    assert utils.broadcast_all(2)[0].dtype is torch.float32
    with pytest.raises(ValueError, match="got list"):
        utils.broadcast_all([1.0])
    with pytest.raises(RuntimeError, match="broadcast|match"):
        utils.broadcast_all(torch.zeros(2), torch.zeros(3))


@pytest.mark.parametrize("is_binary", [False, True])
def test_probabilities_and_logits(is_binary: bool) -> None:
    p = t([0.2, 0.3, 0.5])
    torch.testing.assert_close(utils.logits_to_probs(utils.probs_to_logits(p, is_binary), is_binary), p)
    assert utils.probs_to_logits(t([0.0, 1.0]), is_binary).isfinite().all()


@pytest.mark.parametrize("diag", [-3, -2, -1, 0, 1, 2, 3])
def test_triangles(diag: int) -> None:
    mat = torch.arange(32.0).reshape(2, 4, 4) + 1
    vec = utils.tril_matrix_to_vec(mat, diag)
    torch.testing.assert_close(utils.vec_to_tril_matrix(vec, diag), mat.tril(diag))


def test_errors_of_triangles() -> None:
    with pytest.raises(ValueError, match=r"diag must be in \[-2, 1\]; got diag: 2"):
        utils.tril_matrix_to_vec(torch.zeros(2, 2), 2)
    with pytest.raises(ValueError, match="no lower triangle"):
        utils.vec_to_tril_matrix(torch.zeros(4))
