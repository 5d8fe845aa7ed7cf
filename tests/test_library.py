"""A user's own kernel: registered, differentiated, checked; and the twin check that finds a wrong one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import tritorch as torch
from tritorch import nn
from tritorch.debug import TwinError, replay, twin
from tritorch.kernels._op import OPS
from tritorch.library import Array, check, empty_like, kernel, launch, op

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _cube(x_ptr, y_ptr, n, factor, BLOCK: tl.constexpr):
    """y = factor * x^3; x_ptr, y_ptr: (n,) contiguous; one program per BLOCK elements."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n, other=0)
    tl.store(y_ptr + i, x * x * x * factor, mask=i < n)


FACTOR = [1.0]


@op
class cube:
    """y = x^3, elementwise."""

    def cpu(x: Array) -> Array:
        return np.asarray(x * x * x)

    def gpu(x: Array) -> Array:
        y = empty_like(x)
        launch(_cube, (-(-x.size // 1024),), x, y, x.size, FACTOR[0], BLOCK=1024)
        return y

    def grad(g, x):
        return g * 3 * x * x

    def samples(rng):
        yield (rng.normal(size=(3, 5)),), ()
        yield (rng.normal(size=(2000,))[:40],), ()


@pytest.fixture(autouse=True, scope="module")
def remove_the_op():
    yield
    OPS.pop("cube", None)


def test_a_users_op_is_differentiable_on_both_devices() -> None:
    assert check(cube) == 2
    x = torch.tensor([1.0, 2.0], requires_grad=True, device="cuda")
    y = cube(x)
    y.sum().backward()
    assert y.tolist() == [1.0, 8.0] and x.grad.tolist() == [3.0, 12.0]


def test_check_finds_a_wrong_rule_and_a_wrong_kernel() -> None:
    rule = cube.grad
    cube.grad = lambda g, x: g * x
    cube.__dict__.pop("pull", None)
    cube.__dict__.pop("pull_tensors", None)
    cube.__dict__.pop("apply", None)
    try:
        with pytest.raises(RuntimeError, match="Jacobian mismatch"):
            check(cube)
    finally:
        cube.grad = rule
        for name in ("pull", "pull_tensors", "apply"):
            cube.__dict__.pop(name, None)
    FACTOR[0] = 1.5
    try:
        with pytest.raises(AssertionError, match="cube: kernel and NumPy differ"):
            check(cube)
    finally:
        FACTOR[0] = 1.0


def test_the_name_of_an_op_is_taken_once() -> None:
    with pytest.raises(ValueError, match="registered already"):

        @op
        class exp:
            def cpu(x: Array) -> Array:
                return x


def test_the_two_sides_must_have_one_signature() -> None:
    with pytest.raises(TypeError, match="the NumPy and the Triton side differ"):

        @op
        class lopsided:
            def cpu(x: Array, dim: int) -> Array:
                return x

            def gpu(x: Array) -> Array:
                return x


class Cube(nn.Module):
    def forward(self, x):
        return cube(x)


def test_twin_passes_over_a_sound_model() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), Cube(), nn.LayerNorm(3)).to("cuda")
    with twin(model) as seen:
        model(torch.ones(2, 4, device="cuda")).sum().backward()
    assert seen.checked >= 8


def test_twin_names_the_faulty_op_its_place_and_saves_its_inputs(tmp_path) -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU(), Cube())).to("cuda")
    nn.init.ones_(model[0].weight)  # so that nothing that reaches the op is 0, which the wrong factor would not change
    FACTOR[0] = 1.5
    try:
        with pytest.raises(TwinError, match=r"cube: the forward kernel .*\(in model\.1\.1\).*largest error") as error:
            with twin(model, folder=str(tmp_path)):
                model(torch.ones(2, 4, device="cuda"))
        assert replay(error.value.path) > 0
    finally:
        FACTOR[0] = 1.0
    assert replay(error.value.path) == 0
    assert not torch.autograd.apply.WATCH
