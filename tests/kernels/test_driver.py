"""The real launch path without a GPU: Triton compiles and launches against a driver library that does nothing.

Each test runs its code in a child process, which sees the stub of libcuda.so.1 (built here by the C compiler) and a
small stand-in for CuPy. What reaches the driver - grid, stream, packed arguments - is read back from the stub.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "stub"
COMPILER = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
pytest.importorskip("triton", reason="launching needs Triton; install tritorch[triton]")
pytestmark = pytest.mark.skipif(not COMPILER, reason="a C compiler builds the stub driver; none was found")

START = """
import sys, threading
import numpy as np
from kernels_to_launch import *
from kernels_to_launch import _scale, _precise, _optional, _counted
from tritorch.kernels._launch import empty, empty_like, launch
from tritorch.device import on_device, set_device, to_device, to_host
import tritorch.device
D = sys.modules["tritorch.device"]
driver = Driver()
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("driver")
    subprocess.run(
        [COMPILER, "-shared", "-fPIC", "-O1", "-w", "-o", str(folder / "libcuda.so.1"), str(HERE / "libcuda.c")],
        check=True,
    )
    return folder


def child(stub: Path, code: str, **env: str) -> str:
    """What `code` prints in a process with the stub driver; the process must end well."""
    done = subprocess.run(
        [sys.executable, "-c", START + textwrap.dedent(code)], capture_output=True, text=True, check=False,
        env={
            "PATH": os.environ.get("PATH", ""), "HOME": str(stub), "TRITON_INTERPRET": "0", "CC": COMPILER,
            "TRITON_CACHE_DIR": str(stub / "cache"), "TRITON_LIBCUDA_PATH": str(stub), "LD_LIBRARY_PATH": str(stub),
            "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]), **env,
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_arguments_arrive_packed_and_later_launches_take_the_plan(stub):
    child(
        stub,
        """
        x, y = empty((1000,), "f4"), empty((1000,), "f4")
        driver.expect(4)
        launch(_scale, (4,), x, y, 1000, 1.5, BLOCK=256, num_warps=2)
        first = driver.last()
        assert (list(first.grid), list(first.block), first.stream) == ([4, 1, 1], [64, 1, 1], 0)
        assert (first.args[0], first.args[1]) == (x.data.ptr, y.data.ptr)
        assert as_int(first.args[2]) == 1000 and as_float(first.args[3]) == 1.5
        compiled = _module().plans
        assert len(compiled) == 1
        z = empty_like(x)
        launch(_scale, (3, 2), z, x, 1001, -0.0, BLOCK=256, num_warps=2)      # other numbers, the same plan
        second = driver.last()
        assert driver.count() == 2 and len(compiled) == 1 and second.function == first.function
        assert list(second.grid) == [3, 2, 1] and (second.args[0], second.args[1]) == (z.data.ptr, x.data.ptr)
        assert as_int(second.args[2]) == 1001 and str(as_float(second.args[3])) == "-0.0"
        launch(_scale, (1,), x, y, 1008, 1.5, BLOCK=256, num_warps=2)         # a multiple of 16
        launch(_scale, (1,), x, y, 1001, 1.5, BLOCK=256, NEGATE=True, num_warps=2)
        launch(_scale, (1,), x, y, 1001, 1.5, BLOCK=128, num_warps=2)
        assert len(compiled) == 4 and len({driver.lib.stub_launches()[i].function for i in range(5)}) == 4
        assert "torch" not in sys.modules
    """.replace("_module()", "sys.modules['kernels_to_launch']._scale"),
    )


def test_a_one_and_none_are_constants_and_do_not_reach_the_driver(stub):
    child(
        stub,
        """
        x, y = empty((64,), "f4"), empty((64,), "f4")
        driver.expect(3)
        launch(_scale, (1,), x, y, 1, 2.5, BLOCK=64)
        assert as_float(driver.last().args[2]) == 2.5
        launch(_scale, (1,), x, y, 1, 3.5, BLOCK=64)
        assert as_float(driver.last().args[2]) == 3.5
        launch(_optional, (1,), x, None, y, 64, BLOCK=64)
        assert driver.last().args[1] == y.data.ptr and as_int(driver.last().args[2]) == 64
        launch(_optional, (1,), x, None, y, 48, BLOCK=64)
        assert driver.last().args[1] == y.data.ptr and as_int(driver.last().args[2]) == 48
        driver.expect(4)
        launch(_optional, (1,), x, x, y, 64, BLOCK=64)
        assert driver.last().args[2] == y.data.ptr
    """,
    )


def test_integers_by_width_and_without_variants(stub):
    child(
        stub,
        """
        y = empty((16,), "i8")
        driver.expect(2)
        for n in (1, 16, 17):
            launch(_counted, (1,), y, n, BLOCK=16)
            assert as_int(driver.last().args[1]) == n
        small = driver.last().function
        launch(_counted, (1,), y, 2**40, BLOCK=16)
        assert driver.last().args[1] == 2**40 and driver.last().function != small
        functions = {driver.lib.stub_launches()[i].function for i in range(3)}
        assert len(functions) == 1
    """,
    )


def test_float64_numbers_keep_their_digits(stub):
    child(
        stub,
        """
        y = empty((16,), "f8")
        driver.expect(3)
        for value in (0.1, 1e300):
            launch(_precise, (1,), y, value, 16, BLOCK=16)
            assert as_double(driver.last().args[1]) == value
    """,
    )


def test_an_unaligned_view_gets_its_own_kernel(stub):
    child(
        stub,
        """
        x, y = empty((1000,), "f4"), empty((1000,), "f4")
        driver.expect(4)
        launch(_scale, (4,), x, y, 900, 1.5, BLOCK=256)
        aligned = driver.last().function
        for _ in range(2):
            launch(_scale, (4,), x[3:], y, 900, 1.5, BLOCK=256)
            assert driver.last().function != aligned and driver.last().args[0] == x.data.ptr + 12
        launch(_scale, (4,), x[4:], y, 900, 1.5, BLOCK=256)
        assert driver.last().function == aligned
    """,
    )


def test_dtypes_are_told_apart(stub):
    child(
        stub,
        """
        import ml_dtypes
        y = empty((64,), "f4")
        driver.expect(4)
        functions = set()
        for d in (np.float32, np.float16, ml_dtypes.bfloat16, np.float64, np.int8, np.bool_):
            for _ in range(2):
                launch(_scale, (1,), empty((64,), d), y, 64, 1.5, BLOCK=64)
                functions.add(driver.last().function)
        assert len(functions) == 6
        try:
            launch(_scale, (1,), empty((64,), np.complex64), y, 64, 1.5, BLOCK=64)
        except TypeError as error:
            assert "complex64" in str(error)
        else:
            raise AssertionError
    """,
    )


def test_streams_devices_and_threads(stub):
    child(
        stub,
        """
        import tritorch.cuda as cuda
        driver.expect(4)
        x, y = empty((64,), "f4"), empty((64,), "f4")
        def go():
            launch(_scale, (1,), x, y, 64, 1.5, BLOCK=64)
            return driver.last()
        assert go().stream == 0
        s = cuda.Stream()
        with cuda.stream(s):
            assert go().stream == s.cuda_stream != 0
        assert go().stream == 0
        first = go().function
        with on_device(1):
            assert go().function != first                    # a module of its own on each device
            assert go().function != first
        assert go().function == first
        seen = []
        thread = threading.Thread(target=lambda: seen.append(go().function))
        thread.start(); thread.join()
        assert seen == [first]
        event = s.record_event(cuda.Event(enable_timing=True))
        event.synchronize()
        assert event.elapsed_time(s.record_event(cuda.Event(enable_timing=True))) == 0.5 and s.query()
        s.synchronize(); cuda.current_stream().wait_stream(s)
        assert cuda.get_device_name() == "stub" and cuda.get_device_properties(1).multi_processor_count == 132
    """,
    )


def test_an_empty_grid_launches_nothing_and_wrong_arguments_are_refused(stub):
    child(
        stub,
        """
        x, y = empty((64,), "f4"), empty((64,), "f4")
        driver.expect(4)
        launch(_scale, (0,), x, y, 0, 1.5, BLOCK=64)
        launch(_scale, (3, 0), x, y, 0, 1.5, BLOCK=64)
        assert driver.count() == 0
        for bad, words in ((np.int32(3), "int32"), (np.zeros(3, "f4"), "on the CPU"), (True, "constexpr"), ("a", "str")):
            try:
                launch(_scale, (1,), x, y, bad, 1.5, BLOCK=64)
            except TypeError as error:
                assert "kernel _scale" in str(error) and words in str(error), error
            else:
                raise AssertionError(bad)
        try:
            launch(_scale, (1, 70000), x, y, 64, 1.5, BLOCK=64)
        except ValueError as error:
            assert "65535" in str(error)
        assert driver.count() == 0
    """,
    )


def test_elementwise_kernels_go_the_same_way(stub):
    child(
        stub,
        """
        from tritorch.kernels._pointwise import copy_into, fill, pointwise
        a, b = empty((300, 400), "f4"), empty((300, 400), "f4")
        driver.expect(4)
        for _ in range(2):
            (y,) = pointwise("add", ("a + b",), ("a", "b"), (a, b), (np.dtype("f4"),))
            last = driver.last()
            assert (last.args[0], last.args[1], last.args[2]) == (a.data.ptr, b.data.ptr, y.data.ptr)
            assert as_int(last.args[3]) == 120000 and last.grid[0] * 512 >= 120000
        (y,) = pointwise("scale", ("a * s",), ("a",), (a.T,), (np.dtype("f4"),), {"s": 2})
        assert y.shape == (400, 300) and as_float(driver.last().args[2]) == 2.0
        fill(b[:, :3], 0.5)
        assert as_float(driver.last().args[1]) == 0.5
        copy_into(b, to_device(np.zeros((400, 300), 'f4')).T)
        n = driver.count()
        pointwise("add", ("a + b",), ("a", "b"), (a[:0], b[:0]), (np.dtype("f4"),))
        assert driver.count() == n
    """,
    )


def test_memory_moves_between_host_and_devices(stub):
    child(
        stub,
        """
        import ml_dtypes
        import tritorch.cuda as cuda
        x = np.arange(24, dtype=np.float32).reshape(4, 6)
        for d in (np.float32, ml_dtypes.bfloat16, np.bool_):
            there = to_device(x.astype(d).T)
            assert there.shape == (6, 4) and np.array_equal(to_host(there), x.astype(d).T)
            assert np.array_equal(to_host(there[1:5:2, ::-1]), x.astype(d).T[1:5:2, ::-1])
        there = to_device(x)
        other = D.copy(there[::2, ::-1], 1)
        assert np.array_equal(to_host(other), x[::2, ::-1]) and cuda.memory_allocated(1) > 0
        assert to_host(to_device(np.zeros((0, 3)))).shape == (0, 3)
        assert cuda.max_memory_allocated() >= cuda.memory_allocated() > 0
        cuda.set_per_process_memory_fraction(0.001)
        try:
            empty((1 << 20,), "f4")
        except cuda.OutOfMemoryError as error:
            assert "tried to allocate 4.00 MiB on cuda:0" in str(error) and "of 1024.00 MiB" in str(error)
        else:
            raise AssertionError
    """,
    )


def test_a_fault_names_the_kernel(stub):
    out = child(
        stub,
        """
        import cupy
        x, y = empty((64,), "f4"), empty((64,), "f4")
        launch(_scale, (1,), x, y, 64, 1.5, BLOCK=64)
        cupy.FAIL_SYNCHRONIZE[0] = True
        try:
            launch(_scale, (1,), x, y, 64, 1.5, BLOCK=64)
        except RuntimeError as error:
            print(error)
    """,
        TRITORCH_SYNC="1",
    )
    assert "kernel _scale faulted: grid (1,)" in out and "illegal memory access" in out


def test_without_plans_every_launch_goes_through_triton(stub):
    child(
        stub,
        """
        from triton import knobs
        hooked = []
        knobs.runtime.launch_enter_hook.add(lambda *a: hooked.append(1))
        x, y = empty((64,), "f4"), empty((64,), "f4")
        for _ in range(3):
            launch(_scale, (1,), x, y, 64, 1.5, BLOCK=64)
        assert len(hooked) == 3
    """,
        TRITORCH_PLANS="0",
    )


def test_without_a_compiler_the_error_says_what_to_install(stub, tmp_path):
    out = child(
        stub,
        """
        try:
            launch(_scale, (1,), empty((64,), "f4"), empty((64,), "f4"), 64, 1.5, BLOCK=64)
        except RuntimeError as error:
            print(error)
    """,
        CC=str(tmp_path / "no-compiler"),
        TRITON_CACHE_DIR=str(tmp_path / "cache"),
    )
    assert "Triton could not build its launch helper" in out and "gcc python3-dev" in out


def test_a_triton_that_does_not_fit_is_named(stub):
    out = child(
        stub,
        """
        import triton
        from types import SimpleNamespace
        from triton.backends.nvidia import compiler
        x, y = empty((64,), "f4"), empty((64,), "f4")
        def refused():
            try:
                launch(_scale, (1,), x, y, 64, 1.5, BLOCK=64)
            except RuntimeError as error:
                print(error)
        found, triton.__version__ = triton.__version__, "3.2.0"
        refused()
        triton.__version__ = found
        original, compiler.get_ptxas = compiler.get_ptxas, lambda arch: SimpleNamespace(version=f"14.{arch}")
        refused()
        compiler.get_ptxas = original
        launch(_scale, (1,), x, y, 64, 1.5, BLOCK=64)
    """,
    )
    assert "tritorch needs Triton 3.6 or later; found 3.2.0; pip install 'tritorch[cuda13]'" in out
    assert "compiles for CUDA 14.90, but the driver supports CUDA 13.0 only" in out


def test_pinned_memory_and_copies_beside_other_work(stub):
    child(
        stub,
        """
        import cupy
        import tritorch as torch
        x = torch.arange(6.0).reshape(2, 3)
        p = x.pin_memory()
        assert p.is_pinned() and p[0].is_pinned() and not x.is_pinned() and p.tolist() == x.tolist() and p.pin_memory() is p
        assert cupy.PINNED == [24]
        y = p.to("cuda", non_blocking=True)
        assert len(D.backend().copies) == 1 and y.cpu().tolist() == x.tolist()
        z = p.cuda(non_blocking=True)                   # the first copy is done, its source is let go
        assert len(D.backend().copies) == 1
        x.to("cuda", None, False)
        assert len(D.backend().copies) == 1
        try:
            y.pin_memory()
        except RuntimeError as error:
            assert "CPU tensors" in str(error)
        else:
            raise AssertionError("cuda memory was pinned")
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=2, pin_memory=True)
        assert all(b.is_pinned() for (b,) in loader)
        """,
    )


def test_graphs(stub):
    child(
        stub,
        """
        import cupy
        import tritorch as torch
        x = torch.ones(4).cuda()
        y = x * 2                                                       # compiled before the capture
        g = torch.cuda.CUDAGraph()
        try:
            g.replay()
        except RuntimeError as error:
            assert "before the graph was captured" in str(error)
        else:
            raise AssertionError
        with torch.cuda.graph(g):
            assert torch.cuda.is_current_stream_capturing()
            stream = torch.cuda.current_stream().cuda_stream
            before = cupy.POOLED[0]
            y = x * 2
            assert stream and cupy.POOLED[0] > before                   # a stream and a pool of its own
            for forbidden in (lambda: torch.ones(2).cuda(), lambda: y.sum().item(), torch.cuda.synchronize):
                try:
                    forbidden()
                except RuntimeError as error:
                    assert "captured" in str(error)
                else:
                    raise AssertionError("captured what cannot be")
        assert not torch.cuda.is_current_stream_capturing() and torch.cuda.current_stream().cuda_stream == 0
        g.replay()
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            g.replay()
        assert [s for _, s in cupy.REPLAYED] == [0, side.cuda_stream]
        other = torch.cuda.CUDAGraph()
        with torch.cuda.graph(other, pool=g.pool()):
            y * 2
        assert other.pool() is g.pool()
        g.reset()
        try:
            torch.cuda.CUDAGraph().capture_begin()
        except RuntimeError as error:
            assert "non-default stream" in str(error)
        else:
            raise AssertionError
        """,
    )


def test_a_whole_step_in_a_graph(stub):
    """With dropout, GradScaler, clipping and AdamW: tables lie outside of the graph's pool and are filled after the capture,
    each replay first writes seed and offset, and the generator moves on."""
    child(
        stub,
        """
        import cupy
        import tritorch as torch
        from tritorch.kernels import _driver
        started = []
        _driver.Compiled.start = lambda self, grid, args, consts: started.append((self.__name__, args))
        nn = torch.nn
        model = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.5), nn.LayerNorm(16), nn.Linear(16, 4)).cuda()
        optimizer = torch.optim.AdamW(model.parameters(), lr=torch.tensor(1e-3).cuda(), capturable=True)
        scaler = torch.amp.GradScaler("cuda")
        x, t = torch.randn(3, 8).cuda(), torch.randint(0, 4, (3,)).cuda()
        def step():
            optimizer.zero_grad()
            scaler.scale(nn.functional.cross_entropy(model(x), t)).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
        torch.manual_seed(5)
        step()
        g = torch.cuda.CUDAGraph()
        before = torch.cuda.get_rng_state()
        with torch.cuda.graph(g):
            started.clear()
            step()
            names = [name for name, _ in started]
            tables = list(g._owned._tables.values())
            assert len(tables) >= 4 and all(not a.get().any() for a in tables)       # nothing is copied yet
        assert {"_drawn", "_by_bits", "_unscale", "_scaled", "_adam_numbers", "_adam", "_update"} <= set(names), names
        assert all(a.get().any() for a in tables) and torch.cuda.get_rng_state().tolist() == before.tolist()
        addresses = {p.grad.data_ptr() for p in model.parameters()}
        assert any(addresses <= set(a.get().reshape(-1).tolist()) for a in tables)
        drawn = next(args for name, args in started if name == "_drawn")
        (state,) = [d.state for d in g._owned.draws.values()]
        assert drawn[4] is state and drawn[5] == 0
        for i in (1, 2):
            started.clear()
            offset = torch.cuda.get_rng_state()[8:].tolist()
            g.replay()
            ((name, args),) = started
            assert name == "_put_state" and args[0] is state and args[1] == 5 and len(cupy.REPLAYED) == i
            assert torch.cuda.get_rng_state()[8:].tolist() != offset
        """,
    )


def test_a_first_capture_loads_its_kernels_in_the_relaxed_mode(stub):
    """Kernels that nothing has launched before, those of random numbers among them, whose seed lies in memory within a
    graph: they are loaded while the graph is captured, although another thread has begun a capture in the global mode."""
    child(
        stub,
        """
        import tritorch as torch
        x = torch.ones(64).cuda()
        w = torch.ones(64).cuda().requires_grad_()
        driver.expect(1)
        before = driver.lib.stub_loads()
        assert driver.lib.stub_mode() == 0
        g = torch.cuda.CUDAGraph()
        with torch.cuda.graph(g):
            assert driver.lib.stub_mode() == 2                          # memory may be made, too
            y = torch.nn.functional.dropout(x * w, 0.5) + torch.randn(64, device="cuda")
            y.sum().backward()
            torch.rand(7, device="cuda"), torch.randint(0, 9, (5,), device="cuda"), torch.randperm(6, device="cuda")
        assert driver.lib.stub_mode() == 0
        loaded = driver.lib.stub_loads_captured()
        assert loaded == driver.lib.stub_loads() - before >= 5, loaded
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            torch.randn(64, device="cuda")
            torch.nn.functional.dropout(x * w, 0.5)
        assert driver.lib.stub_loads_captured() == loaded               # once
        driver.lib.stub_capture(1)                                      # an eager launch beside another library's capture
        x.div_(3)
        assert driver.lib.stub_loads_captured() == loaded + 1 and driver.lib.stub_mode() == 0
        driver.lib.stub_capture(0)
        try:
            with torch.cuda.graph(torch.cuda.CUDAGraph()):
                raise KeyError("stop")
        except KeyError:
            assert driver.lib.stub_mode() == 0                          # given back after an error as well
        """,
    )


def test_graphed_callables(stub):
    child(
        stub,
        """
        import cupy
        import tritorch as torch
        model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4)).cuda()
        sample = torch.randn(3, 8).cuda()
        graphed = torch.cuda.make_graphed_callables(model, (sample,))
        assert graphed is model and not cupy.REPLAYED
        x = torch.randn(3, 8).cuda().requires_grad_()
        out = model(x)
        assert out.shape == (3, 4) and out.requires_grad and len(cupy.REPLAYED) == 1
        out.sum().backward()
        assert len(cupy.REPLAYED) == 2 and all(p.grad is not None and p.grad.shape == p.shape for p in model.parameters())
        assert x.grad is None                           # the sample asked for no gradient, so none was captured
        model.eval()
        model(x)                                        # another mode than at the capture: the module itself
        assert len(cupy.REPLAYED) == 2
        f, g = torch.cuda.make_graphed_callables((lambda a: a * 2, lambda a: (a + 1, a - 1)), ((sample,), (sample,)))
        assert isinstance(f(sample), torch.Tensor) and len(g(f(sample))) == 2
        """,
    )


def test_training_steps_hold_nothing_that_cannot_be_captured(stub):
    """Forward and backward of the models of benchmarks/gpu_training.py make no copy from or to the CPU, eager and captured,
    and no arithmetic on raw device arrays, which would ask for CuPy's own compiler. Launches are left out."""
    child(
        stub,
        """
        import tritorch as torch
        from tritorch.kernels import _driver
        _driver.Compiled.start = lambda self, grid, args, consts: None
        sys.path.insert(0, "benchmarks")
        import gpu_training
        models = gpu_training.models(torch, True)
        assert len(models) == 4
        for make in models.values():
            for graphed in (False, True):
                assert gpu_training.measure(torch, make, True, graphed)["s"] > 0
        """,
    )


def test_ops_do_no_arithmetic_on_raw_device_arrays(stub):
    """Every op's device side, forward and backward, on arrays that have shapes and addresses but no operators."""
    child(
        stub,
        """
        import tritorch as torch
        from tritorch.kernels import LIBRARY_OPS, _driver, coverage
        from tritorch.tensor import wrap
        _driver.Compiled.start = lambda self, grid, args, consts: None
        away = {"nonzero", "real", "imag", "view_as_complex"}       # read a count; views of complex numbers, CuPy's own
        def up(a):
            if isinstance(a, list):
                return [up(v) for v in a]
            if not isinstance(a, np.ndarray):
                return a
            t = wrap(a.astype(np.float32) if a.dtype == np.float64 else a).cuda()
            return t.requires_grad_() if t.dtype.is_floating_point else t
        seen = 0
        for name, op in coverage.own_ops().items():
            if op.samples is None or name in LIBRARY_OPS or name in away:
                continue
            for args, params in op.samples(np.random.default_rng(0)):
                y = op(*[up(a) for a in args], *(params.values() if isinstance(params, dict) else params))
                outs = [v for v in (y if isinstance(y, tuple) else (y,)) if v is not None and v.requires_grad]
                if outs:
                    torch.autograd.backward(outs, [torch.ones_like(v) for v in outs])
            seen += 1
        assert seen > 150, seen
        """,
    )


def test_repeated_calls_launch_what_the_first_ones_did(stub):
    """The same kernels with the addresses of new memory; unaligned arguments, streams and other devices are seen."""
    child(
        stub,
        """
        import cupy
        import tritorch as torch
        import tritorch.cuda as cuda
        from tritorch.kernels import _replay
        from tritorch.kernels._op import OPS
        driver.expect(4)
        def launches(run):
            n = driver.count()
            out = run()
            return out, [driver.lib.stub_launches()[i] for i in range(n, driver.count())]
        a, b = torch.ones(64, 512).cuda(), torch.ones(512, 64).cuda()
        runs = [launches(lambda: a @ b) for _ in range(5)]
        kept = list(_replay._records[OPS["matmul"].gpu].values())
        assert [type(r).__name__ for r in kept] == ["Record"]
        first, last = runs[0][1], runs[-1][1]
        assert len(first) == len(last) == 2                     # parts of k, and their sum
        for x, y in zip(first, last):
            assert (x.function, list(x.grid), list(x.block), x.shared) == (y.function, list(y.grid), list(y.block), y.shared)
        assert list(last[0].args[:2]) == [a.data_ptr(), b.data_ptr()] and last[0].args[2] == last[1].args[0] % 2**64
        assert [last[1].args[i] for i in (0, 1)] == [last[0].args[2], runs[-1][0].data_ptr()]
        c = torch.ones(64 * 512 + 1).cuda()[1:].view(64, 512)
        f = launches(lambda: c @ b)[1][0].function
        assert f != last[0].function                            # not aligned: a kernel of its own
        s = cuda.Stream()
        with cuda.stream(s):
            assert all(l.stream == s.cuda_stream for l in launches(lambda: a @ b)[1])
        p, q = a.to("cuda:1"), b.to("cuda:1")
        for _ in range(4):
            assert launches(lambda: p @ q)[1][0].function not in (f, last[0].function)
        assert len(kept) == 1 and len(_replay._records[OPS["matmul"].gpu]) == 2
        g = torch.ones(8).cuda().requires_grad_()
        for _ in range(5):
            y = torch.nn.functional.gelu(g)
            n = driver.count()
            y.backward(torch.ones_like(y))
            assert len(launches(lambda: None)[1]) == 0
        used = cuda.memory_allocated()
        cuda.reset_peak_memory_stats()
        cupy.LIMIT[0] = cupy._used[0] + 1000
        try:
            a @ b
        except cuda.OutOfMemoryError as error:
            assert "MiB on cuda:0" in str(error)
        else:
            raise AssertionError
        cupy.LIMIT[0] = 1 << 30
        assert cuda.memory_allocated() == used
        for _ in range(3):
            (a @ b).sum()
        assert cuda.max_memory_allocated() >= used + 64 * 64 * 4 * 2
        """,
    )


def test_repeated_calls_can_be_switched_off(stub):
    for name in ("TRITORCH_PLANS", "TRITORCH_SYNC"):
        child(
            stub,
            """
            import tritorch as torch
            from tritorch.kernels import _replay
            a = torch.ones(8, 8).cuda()
            for _ in range(4):
                a + a
            assert not _replay._records
            """,
            **{name: "0" if name.endswith("PLANS") else "1"},
        )


def test_a_gradient_that_nobody_else_holds_becomes_grad(stub):
    child(
        stub,
        """
        import tritorch as torch
        x = torch.ones(4, 8).cuda().requires_grad_()
        w = torch.ones(4, 8).cuda()
        for _ in range(3):
            x.grad = None
            y = x * w
            driver.expect(1)
            y.backward(torch.ones_like(y))
            assert driver.count() == 2                      # the ones and the product: no copy
        kept = []
        x.grad = None
        y = x * w
        y.register_hook(lambda g: None)
        x.register_hook(lambda g: kept.append(g))
        y.backward(torch.ones_like(y))
        assert x.grad.data_ptr() != kept[0].data_ptr()      # the user's own
        b = D.backend()
        a = empty((4, 8), "f4")
        assert b.sole(a) and not b.sole(a.T)
        view = a[1:]
        assert not b.sole(a) and not b.sole(view)
        del view
        assert b.sole(a)
        part = b.as_strided(a, (4,), (4,), 0, np.dtype("f4"))
        del a
        assert b.sole(part)
        seed = torch.ones_like(y)
        x.grad = None
        (x + w).backward(seed)                              # handed on: seed itself, which the caller holds
        assert x.grad.data_ptr() != seed.data_ptr()
        """,
    )


def test_numbers_without_dims_and_reshapes_that_copy(stub):
    """The stand-in for CuPy is as strict as CuPy: a copy has its source's shape, a reshape that copies is no launch of ours."""
    child(
        stub,
        """
        import tritorch as torch
        for x in (torch.tensor(3.0), torch.tensor(7), torch.ones(())):
            for y in (x.cuda(), x.pin_memory().to("cuda", non_blocking=True)):
                assert y.shape == () and y.cpu().tolist() == x.tolist()
        torch.nn.BatchNorm2d(3).cuda()
        x = torch.arange(24.0).reshape(2, 3, 4).cuda()
        driver.expect(1)
        for shape in ((-1,), (3, 8), (4, 6)):
            n = driver.count()
            y = x.transpose(0, 2).reshape(*shape)
            assert y.numel() == 24 and y.is_contiguous() and driver.count() == n + 1
        n = driver.count()
        assert x.transpose(0, 1).reshape(3, 2, 2, 2).data_ptr() == x.data_ptr() and x[:, :, :2].view(2, 3, 2, 1) is not None
        try:
            x.transpose(0, 2).view(-1)
        except RuntimeError as error:
            assert "not compatible" in str(error)
        else:
            raise AssertionError
        assert driver.count() == n
        """,
    )
