from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.raw_checks import check_cpu_grad, check_gpu
from tritorch.kernels.grid_sample import grid_sample

CASES = [
    (mode, padding, align, dims)
    for mode in ("nearest", "bilinear", "bicubic")
    for padding in ("zeros", "border", "reflection")
    for align in (False, True)
    for dims in (2, 3)
    if dims == 2 or mode != "bicubic"
]


def test_backward_is_the_derivative():
    assert check_cpu_grad(grid_sample) == 8


def test_the_kernel_is_the_definition():
    check_gpu(grid_sample)


@pytest.mark.parametrize(("mode", "padding", "align", "dims"), CASES)
def test_every_mode_of_the_kernel_is_the_definition(mode, padding, align, dims):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 9, *(3, 5, 4)[-dims:]))
    grid = rng.uniform(-2.5, 2.5, (2, *(2, 3, 5)[-dims:], dims))
    grid[0].reshape(-1)[:4] = -1, 1, 0, 3
    expected = grid_sample.cpu(x, grid, mode, padding, align)
    assert np.allclose(grid_sample.gpu(x, grid, mode, padding, align), expected, atol=1e-12)


def test_one_pixel_is_everywhere():
    x = np.full((1, 1, 1, 1), 3.0)
    grid = np.linspace(-4, 4, 8).reshape(1, 2, 2, 2)
    for align in (False, True):
        for padding in ("border", "reflection"):
            assert (grid_sample.cpu(x, grid, "bilinear", padding, align) == 3).all()
            assert (grid_sample.gpu(x, grid, "bilinear", padding, align) == 3).all()


def test_what_is_outside_does_not_count_even_when_the_border_is_infinite():
    x = np.array([[[[1.0, np.inf], [1.0, np.inf]]]])
    grid = np.array([[[[9.0, 0.0], [-0.5, 0.0]]]])
    y = grid_sample.cpu(x, grid, "bilinear", "zeros", True)
    assert y[0, 0, 0, 0] == 0 and y[0, 0, 0, 1] == np.inf
    gx, ggrid = grid_sample.cpu_grad(np.ones(y.shape), x, grid, "bilinear", "zeros", True, (True, True))
    assert np.isfinite(gx).all() and (ggrid[0, 0, 0] == 0).all()


def test_blocks_of_points_and_threads_make_the_same():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3, 5, 40, 30)).astype(np.float32)
    grid = rng.uniform(-1.1, 1.1, (3, 400, 300, 2)).astype(np.float32)
    g = rng.normal(size=(3, 5, 400, 300)).astype(np.float32)
    y = grid_sample.cpu(x, grid, "bilinear", "zeros", False)
    gx, ggrid = grid_sample.cpu_grad(g, x, grid, "bilinear", "zeros", False, (True, True))
    part = grid[1:2, 7:9]
    assert np.array_equal(grid_sample.cpu(x[1:2], part, "bilinear", "zeros", False), y[1:2, :, 7:9])
    some = grid_sample.cpu_grad(g[1:2, :, 7:9], x[1:2], part, "bilinear", "zeros", False, (False, True))
    assert some[0] is None and np.allclose(some[1], ggrid[1:2, 7:9], rtol=1e-5, atol=1e-3)
    one = grid_sample.cpu_grad(g[2:], x[2:], grid[2:], "bilinear", "zeros", False, (True, False))
    assert one[1] is None and np.array_equal(one[0], gx[2:])
