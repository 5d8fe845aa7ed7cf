"""Lazy kernels and the emulated device: what Triton's interpreter does after our repairs."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest

from tritorch.device import EMULATED
from tritorch.kernels._launch import Kernel, empty, empty_like, kernel, launch
from tritorch.kernels._math import _tanh

pytest.importorskip("triton", reason="the emulated device needs Triton; install tritorch[triton]")
pytestmark = pytest.mark.skipif(
    not EMULATED, reason="about the emulated device; TRITON_INTERPRET=0 asks for a real one"
)

if TYPE_CHECKING:
    import triton.language as tl

BF16 = np.dtype(ml_dtypes.bfloat16)


# ---- laziness ------------------------------------------------------------------------------------------------------


def test_declaring_kernels_imports_neither_triton_nor_cupy():
    code = """
        import sys, pkgutil, importlib
        import tritorch.kernels as k
        for m in pkgutil.iter_modules(k.__path__):
            if m.name not in ("_interpreter", "_driver"):
                importlib.import_module(f"tritorch.kernels.{m.name}")
        print(sorted({n.partition(".")[0] for n in sys.modules} & {"triton", "cupy", "torch"}))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_interpreter_imports_no_torch():
    code = """
        import sys
        from tritorch.kernels._pointwise import pointwise
        import numpy as np
        x = np.ones(5, np.float32)
        pointwise("add", ("a + a",), ("a",), (x,), (x.dtype,))
        print("triton" in sys.modules, "torch" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


@kernel
def _twice(x):
    return x * 2


@kernel
def _affine(x_ptr, y_ptr, n, alpha, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n, other=0).to(tl.float32)
    tl.store(y_ptr + i, (_twice(x) * alpha + 1).to(y_ptr.dtype.element_ty), mask=i < n)


early = [_affine]  # not a name of the module, so preparing the module leaves it as it is


@pytest.mark.parametrize("dtype", [np.float32, np.float16, BF16, np.float64, np.int32, np.int64, np.uint8])
def test_kernels_call_each_other_and_run_on_numpy_memory(dtype):
    x = np.arange(100).astype(dtype)
    y = empty_like(x)
    launch(_affine, (4,), x, y, 100, 1.5, BLOCK=32, num_warps=2)
    assert np.array_equal(y, (x.astype(np.float32) * 3 + 1).astype(dtype))


def test_a_reference_kept_before_the_first_launch_goes_on_working():
    x, y = np.ones(8, np.float32), empty((8,), np.float32)
    launch(early[0], (1,), x, y, 8, 1.0, BLOCK=8)
    assert isinstance(early[0], Kernel) and y.tolist() == [3.0] * 8
    with pytest.raises(RuntimeError, match=r"start it by launch\(kernel"):
        early[0](x)


def test_kernels_of_another_file_can_be_called():
    x = np.linspace(-2, 2, 16).astype(np.float32)
    y = empty_like(x)
    launch(_uses_tanh, (1,), x, y, N=16)
    np.testing.assert_allclose(y, np.tanh(x), rtol=1e-6)


@kernel
def _uses_tanh(x_ptr, y_ptr, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y_ptr + i, _tanh(tl.load(x_ptr + i)))


def test_a_function_of_tritons_own_decorator_is_launched_as_well(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "import triton\nimport triton.language as tl\n\n"
        "@triton.jit\ndef half(x):\n    return x * 0.5\n\n"
        "@triton.jit\ndef halve(x_ptr, n, BLOCK: tl.constexpr):\n    i = tl.arange(0, BLOCK)\n"
        "    tl.store(x_ptr + i, half(tl.load(x_ptr + i, mask=i < n, other=0)), mask=i < n)\n"
    )
    import importlib.util

    spec = importlib.util.spec_from_file_location("own", path)
    own = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(own)
    x = np.ones(6, np.float32)
    for _ in range(2):
        launch(own.halve, (1,), x, 5, BLOCK=8)
    assert x.tolist() == [0.25] * 5 + [1.0]
    with pytest.raises(TypeError, match="expected a kernel made by"):
        launch(len, (1,), x)


# ---- arguments -----------------------------------------------------------------------------------------------------


@kernel
def _kinds(y_ptr, n, alpha, beta: tl.float64, offset_ptr, FLAG: tl.constexpr = True):
    tl.store(y_ptr, alpha + 0.0)
    tl.store(y_ptr + 1, beta)
    tl.store(y_ptr + 2, n + 0.0)
    if offset_ptr is not None:
        tl.store(y_ptr + 3, 1.0)
    if FLAG:
        tl.store(y_ptr + 4, 1.0)


def test_floats_are_float32_unless_annotated_and_none_is_a_constant():
    y = np.zeros(5)
    launch(_kinds, (1,), y, 3, 0.1, 0.1, None)
    assert y.tolist() == [float(np.float32(0.1)), 0.1, 3.0, 0.0, 1.0]
    launch(_kinds, (1,), y, 2**40, 0.1, 0.1, y, FLAG=False)
    assert y[2] == 2.0**40 and y[3] == 1.0


@kernel
def _needs_a_tensor(y_ptr, n):
    tl.store(y_ptr, n.to(tl.float32))


def test_an_argument_of_one_is_a_constant_as_on_a_gpu():
    y = np.zeros(1, np.float32)
    launch(_needs_a_tensor, (1,), y, 2)
    assert y[0] == 2
    with pytest.raises(AttributeError, match="'int' object has no attribute 'to'"):
        launch(_needs_a_tensor, (1,), y, 1)


@pytest.mark.parametrize(
    "bad, words", [(np.float32(1), "convert it by"), (True, "constexpr"), ("x", "str"), ([1], "list")]
)
def test_arguments_that_no_kernel_takes(bad, words):
    x = np.zeros(8, np.float32)
    with pytest.raises(TypeError, match=f"kernel _affine: arguments are arrays.*{words}"):
        launch(_affine, (1,), x, x, 8, bad, BLOCK=8)


def test_wrong_numbers_of_arguments_and_dtypes():
    x = np.zeros(8, np.float32)
    with pytest.raises(TypeError, match=r"kernel _affine: expected 4 arguments \['x_ptr', 'y_ptr', 'n', 'alpha'\]"):
        launch(_affine, (1,), x, x, BLOCK=8)
    with pytest.raises(TypeError, match="BLOK"):
        launch(_affine, (1,), x, x, 8, 1.0, BLOK=8)
    with pytest.raises(TypeError, match="x_ptr has dtype complex64"):
        launch(_affine, (1,), x.astype(np.complex64), x, 8, 1.0, BLOCK=8)


@pytest.mark.parametrize("grid", [(1, 65536), (1, 1, 65536), (2**31,), (1, 1, 1, 1), (-1,)])
def test_grids_that_no_gpu_takes(grid):
    x = np.zeros(8, np.float32)
    with pytest.raises(ValueError, match=r"kernel _affine: a grid has 1 to 3 sizes"):
        launch(_affine, grid, x, x, 8, 1.0, BLOCK=8)


def test_an_empty_grid_runs_nothing():
    x = np.zeros(8, np.float32)
    launch(_affine, (0,), x, x, 8, 1.0, BLOCK=8)
    assert not x.any()


@kernel
def _which(y_ptr, n_x, n_y):
    x, y, z = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    tl.store(y_ptr + (z * n_y + y) * n_x + x, tl.num_programs(0) * 100 + x + 10 * y + z * 50)


def test_programs_are_numbered():
    y = empty((2, 3, 4), np.int32)
    launch(_which, (4, 3, 2), y, 4, 3)
    assert y.tolist() == [[[400 + x + 10 * k + z * 50 for x in range(4)] for k in range(3)] for z in range(2)]


# ---- bounds --------------------------------------------------------------------------------------------------------


@kernel
def _unmasked(x_ptr, y_ptr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.load(x_ptr + i))


def test_an_access_outside_of_all_arrays_is_reported_and_memory_stays_whole():
    around = np.zeros(64, np.float32)
    x, y = np.ones(64, np.float32), around[8:28]
    with pytest.raises(IndexError, match=r"tl\.store: 12 of 32 lanes are outside of every array") as caught:
        launch(_unmasked, (1,), x, y, BLOCK=32)
    assert "in kernel _unmasked, program (0, 0, 0) of (1, 1, 1)" in caught.value.__notes__
    assert not around.any()
    with pytest.raises(IndexError, match=r"tl\.load: 16 of 16 lanes") as caught:
        launch(_unmasked, (5,), x, np.zeros(80, np.float32), BLOCK=16)
    assert "program (4, 0, 0)" in caught.value.__notes__[0]


@kernel
def _by_table(table_ptr, N: tl.constexpr):
    i = tl.arange(0, N)
    for k in range(2):
        p = tl.load(table_ptr + k).to(tl.pointer_type(tl.float32))
        tl.store(p + i, tl.load(p + i) + 1)


def test_arrays_behind_stored_addresses_are_named_by_reach():
    a, b = np.zeros(8, np.float32), np.ones(8, np.float32)
    table = np.array([v.ctypes.data for v in (a, b)], np.int64)
    launch(_by_table, (1,), table, N=8, reach=[a, b])
    assert a.tolist() == [1.0] * 8 and b.tolist() == [2.0] * 8
    with pytest.raises(IndexError, match="outside of every array"):
        launch(_by_table, (1,), table, N=8)


@kernel
def _careless(x_ptr, y_ptr, n, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y_ptr + i, tl.load(x_ptr + i, mask=i < n))


def test_masked_lanes_without_other_hold_no_zeros():
    for dtype in (np.float32, np.float16, BF16):
        y = np.zeros(8, dtype)
        launch(_careless, (1,), np.ones(8, dtype), y, 5, N=8)
        assert (y[:5] == 1).all() and np.isnan(y[5:].astype(np.float32)).all()
    y = np.zeros(8, np.int32)
    launch(_careless, (1,), np.ones(8, np.int32), y, 5, N=8)
    assert (y[5:] > 1000).all()


@kernel
def _one_lane(x_ptr, y_ptr, N: tl.constexpr):
    i = tl.arange(0, N)
    here = tl.program_id(0) > 0
    tl.store(y_ptr + tl.program_id(0) * N + i, tl.load(x_ptr + i, mask=(i >= 0) & here, other=0))
    tl.store(y_ptr + 2 * N + tl.program_id(0), tl.load(x_ptr, mask=here, other=0))


def test_a_masked_lane_alone_takes_its_other():
    for n in (1, 2):
        y = empty((2 * n + 2,), np.float32)
        launch(_one_lane, (2,), np.ones(n, np.float32), y, N=n)
        assert y.tolist() == [0.0] * n + [1.0] * n + [0.0, 1.0]


# ---- the interpreter's repairs -------------------------------------------------------------------------------------


@kernel
def _to_bf16_and_back(x_ptr, y_ptr, z_ptr, N: tl.constexpr):
    i = tl.arange(0, N)
    y = tl.load(x_ptr + i).to(tl.bfloat16)
    tl.store(y_ptr + i, y)
    tl.store(z_ptr + i, y.to(z_ptr.dtype.element_ty))


def test_bfloat16_rounds_to_nearest_even():
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.normal(size=4090) * 10.0 ** rng.uniform(-44, 38, 4090), [0, -0.0, np.inf, -np.inf, np.nan, 3.4e38]]
    )
    for dtype in (np.float32, np.float64, np.float16):
        with np.errstate(all="ignore"):
            v = x.astype(dtype)
        y, z = empty(v.shape, BF16), empty(v.shape, np.float32)
        launch(_to_bf16_and_back, (1,), v, y, z, N=4096)
        with np.errstate(all="ignore"):
            expected = v.astype(np.float32).astype(BF16)
        same = y.view(np.uint16) == expected.view(np.uint16)
        assert (same | np.isnan(v)).all() and np.isnan(y.astype(np.float32)[np.isnan(v)]).all()
        np.testing.assert_array_equal(z, expected.astype(np.float32))


@kernel
def _product(a_ptr, b_ptr, c_ptr, N: tl.constexpr):
    i, j = tl.arange(0, N)[:, None], tl.arange(0, N)[None, :]
    c = tl.dot(tl.load(a_ptr + i * N + j), tl.load(b_ptr + i * N + j))
    tl.store(c_ptr + i * N + j, c)


def test_dot_of_bfloat16():
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=(16, 16)).astype(BF16) for _ in range(2))
    c = empty((16, 16), np.float32)
    launch(_product, (1,), a, b, c, N=16)
    np.testing.assert_allclose(c, a.astype(np.float32) @ b.astype(np.float32), rtol=1e-6)


@kernel
def _plus(a, b):
    return a + b


@kernel
def _adds_bf16(x_ptr, OP: tl.constexpr, N: tl.constexpr):
    x = tl.load(x_ptr + tl.arange(0, N))
    if OP == "add":
        x = x + x
    else:
        x = tl.reduce(x, 0, _plus)


@pytest.mark.parametrize("op", ["add", "sum"])
def test_arithmetic_on_bfloat16_is_refused(op):
    with pytest.raises(TypeError, match="cast to tl.float32 after tl.load"):
        launch(_adds_bf16, (1,), np.ones(8, BF16), OP=op, N=8)


@kernel
def _nan_rules(a_ptr, b_ptr, y_ptr, N: tl.constexpr):
    i = tl.arange(0, N)
    a, b = tl.load(a_ptr + i), tl.load(b_ptr + i)
    tl.store(y_ptr + i, tl.maximum(a, b))
    tl.store(y_ptr + N + i, tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL))
    tl.store(y_ptr + 2 * N, tl.max(a))
    tl.store(y_ptr + 2 * N + 1, tl.min(a))


def test_maxima_drop_nan_unless_told_otherwise():
    a, b = np.float32([1, np.nan, 3, np.nan]), np.float32([2, 5, np.nan, np.nan])
    y = empty((10,), np.float32)
    launch(_nan_rules, (1,), a, b, y, N=4)
    np.testing.assert_array_equal(y, np.float32([2, 5, 3, np.nan, 2, np.nan, np.nan, np.nan, 3, 1]))


@kernel
def _fused(x_ptr, y_ptr, z_ptr, out_ptr, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out_ptr + i, tl.fma(tl.load(x_ptr + i), tl.load(y_ptr + i), tl.load(z_ptr + i)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
def test_fma_rounds_once(dtype):
    from fractions import Fraction

    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 64)).astype(dtype)
    for z in (-(x * y), rng.normal(size=64).astype(dtype)):
        out = empty((64,), dtype)
        launch(_fused, (1,), x, y, z, out, N=64)
        for a, b, c, d in zip(x, y, z, out):
            exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
            assert abs(Fraction(float(d)) - exact) <= Fraction(float(np.spacing(np.abs(d)))) * Fraction(51, 100)


@kernel
def _larger(a, i, b, j):
    left = (a > b) | ((a == b) & (i < j))
    return tl.where(left, a, b), tl.where(left, i, j)


@kernel
def _decayed(a, x, b, y):
    return a * b, x * b + y


@kernel
def _custom(x_ptr, v_ptr, i_ptr, s_ptr, t_ptr, ROWS: tl.constexpr, N: tl.constexpr):
    r, c = tl.arange(0, ROWS)[:, None], tl.arange(0, N)[None, :]
    x = tl.load(x_ptr + r * N + c)
    v, i = tl.reduce((x, tl.broadcast_to(c, (ROWS, N))), 1, _larger)
    tl.store(v_ptr + tl.arange(0, ROWS), v)
    tl.store(i_ptr + tl.arange(0, ROWS), i)
    _, s = tl.associative_scan((x * 0 + 0.5, x), 1, _decayed)
    tl.store(s_ptr + r * N + c, s)
    tl.store(t_ptr + r * N + c, tl.cumsum(x, 1, reverse=True))


def test_custom_reductions_and_scans():
    x = np.random.default_rng(3).integers(-9, 9, (8, 64)).astype(np.float32)
    v, i, s, t = empty((8,), np.float32), empty((8,), np.int32), empty_like(x), empty_like(x)
    launch(_custom, (1,), x, v, i, s, t, ROWS=8, N=64)
    assert np.array_equal(v, x.max(1)) and np.array_equal(i, x.argmax(1))
    expected = np.zeros(8, np.float32)
    for k in range(64):
        expected = 0.5 * expected + x[:, k]
        np.testing.assert_allclose(s[:, k], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(t, x[:, ::-1].cumsum(1)[:, ::-1])


@kernel
def _standard(x_ptr, y_ptr, i_ptr, N: tl.constexpr):
    x = tl.load(x_ptr + tl.arange(0, N))
    tl.store(y_ptr, tl.sum(x))
    tl.store(y_ptr + 1, tl.sum(x, keep_dims=True).reshape(1).sum())
    tl.store(i_ptr, tl.argmax(x, 0))
    tl.store(i_ptr + 1, tl.argmin(x, 0))
    big = tl.max(x, 0, return_indices=True)
    tl.store(y_ptr + 2, big[0])
    tl.store(i_ptr + 2, big[1])
    n = 0
    for k in range(0, tl.argmax(x, 0)):
        n += k
    tl.store(i_ptr + 3, n)


def test_standard_reductions_and_loops_over_computed_bounds():
    x = np.float32([3, 1, 4, 1, 5, 9, 2, 6])
    y, i = empty((3,), np.float32), empty((4,), np.int32)
    launch(_standard, (1,), x, y, i, N=8)
    assert y.tolist() == [31, 31, 9] and i.tolist() == [5, 1, 5, 10]


@kernel
def _logic(a_ptr, b_ptr, y_ptr, n, LIMIT: tl.constexpr, N: tl.constexpr):
    i = tl.arange(0, N)
    a, b = tl.load(a_ptr + i), tl.load(b_ptr + i)
    y = tl.where(a > 0 and b > 0, 1, 0)
    y += tl.where(not (a > 0 or b > 0), 10, 0)
    if LIMIT is not None and LIMIT > 2:
        y += 100
    if n > 3 and n < 8:
        y += 1000
    tl.store(y_ptr + i, y)


def test_and_or_not_go_by_elements_on_tiles():
    a, b = np.float32([1, 1, -1, -1]), np.float32([1, -1, 1, -1])
    y = empty((4,), np.int32)
    launch(_logic, (1,), a, b, y, 5, LIMIT=None, N=4)
    assert y.tolist() == [1001, 1000, 1000, 1010]
    launch(_logic, (1,), a, b, y, 9, LIMIT=3, N=4)
    assert y.tolist() == [101, 100, 100, 110]


@kernel
def _overflow(x_ptr, y_ptr, N: tl.constexpr):
    i = tl.arange(0, N)
    x = tl.load(x_ptr + i)
    tl.store(y_ptr + i, tl.log(x) / x + tl.exp(x * 1000))


def test_values_that_numpy_would_warn_of_are_plain_results():
    y = empty((4,), np.float32)
    launch(_overflow, (1,), np.float32([0, -1, 1, 2]), y, N=4)
    assert np.isnan(y[1]) and np.isposinf(y[2:]).all()


def test_the_interpreters_names_stay_out_of_the_kernels_module():
    launch(_affine, (1,), np.ones(8, np.float32), np.ones(8, np.float32), 8, 1.0, BLOCK=8)
    added = {n for n in globals() if n in ("TensorHandle", "InterpreterBuilder", "GridExecutor", "_patch_lang")}
    assert not added and "tl" in globals()


def test_kernel_files_do_not_import_triton_or_cupy_at_run_time():
    import ast

    folder = Path(sys.modules["tritorch.kernels"].__file__).parent
    for path in folder.glob("*.py"):
        if path.name in ("_interpreter.py", "_driver.py"):
            continue
        for node in ast.parse(path.read_text()).body:  # what runs at import; TYPE_CHECKING blocks do not
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [a.name for a in node.names] + [getattr(node, "module", "") or ""]
                assert not any(n.split(".")[0] in ("triton", "cupy", "torch") for n in names), path.name
