from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.raw_checks import check_cpu_grad, check_gpu
from tritorch.kernels.pad import pad_around

NUMPY = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
WIDTHS = [
    ((0, 0), (0, 0), (2, 3)),
    ((0, 0), (1, 0), (0, 5)),
    ((0, 0), (0, 2), (0, 0)),
    ((2, 1), (2, 3), (4, 4)),
]


def test_backward_is_the_derivative():
    assert check_cpu_grad(pad_around) == 4


def test_the_kernel_is_the_definition():
    check_gpu(pad_around)


@pytest.mark.parametrize("shape", [(3, 4, 6), (40, 9, 25)])
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("mode", NUMPY)
def test_copies_are_those_of_numpy(mode, widths, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = np.pad(x, widths, NUMPY[mode])
    assert np.array_equal(pad_around.cpu(x, widths, mode), expected)
    assert np.array_equal(pad_around.cpu(x.transpose(2, 0, 1).copy().transpose(1, 2, 0), widths, mode), expected)
    if x.size < 100:
        assert np.array_equal(pad_around.gpu(x, widths, mode), expected)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("mode", NUMPY)
def test_gradients_go_where_values_came_from(mode, wide):
    shape = (700, 20, 30) if wide else (2, 20, 30)
    widths = ((0, 0), (3, 2), (10, 12))
    rng = np.random.default_rng(1)
    g = rng.integers(-9, 9, (shape[0], 25, 52)).astype(np.float32)  # whose sums are exact in any order
    places = np.pad(np.arange(np.prod(shape)).reshape(shape), widths, NUMPY[mode])
    expected = np.bincount(places.reshape(-1), g.reshape(-1)).reshape(shape).astype(np.float32)
    assert np.array_equal(pad_around.cpu_grad(g, shape, widths, mode), expected)
    half = pad_around.cpu_grad(g.astype(np.float16), shape, widths, mode)
    assert half.dtype == np.float16 and np.array_equal(half, expected)


def test_negative_widths_crop_after_they_were_read():
    x = np.arange(6.0).reshape(1, 6)
    assert pad_around.cpu(x, ((0, 0), (-2, 3)), "reflect").tolist() == [[2.0, 3.0, 4.0, 5.0, 4.0, 3.0, 2.0]]
    assert pad_around.cpu(x, ((0, 0), (-2, 3)), "circular").tolist() == [[2.0, 3.0, 4.0, 5.0, 2.0, 3.0, 4.0]]
    for mode in NUMPY:
        assert np.array_equal(pad_around.gpu(x, ((0, 0), (-2, 3)), mode), pad_around.cpu(x, ((0, 0), (-2, 3)), mode))


def test_complex_numbers_on_the_device():
    x = np.arange(4.0).reshape(1, 4) * (1 + 2j)
    widths = ((0, 0), (2, 1))
    assert np.array_equal(pad_around.gpu(x, widths, "replicate"), pad_around.cpu(x, widths, "replicate"))
