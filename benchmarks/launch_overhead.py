"""Host cost on cuda: Triton's own call, our launch, eager ops on Tensors, their backward; microseconds per call.

`python benchmarks/launch_overhead.py` on a machine with a GPU; `--stub` on any Linux machine with a C compiler takes the
driver library of the tests, which does nothing: all Python and C of the launch runs, the driver's own time is missing. The
stub's CuPy is in Python: "memory for a result" takes 1.3 us with CuPy 14.2's own pool, whatever this table says.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _compare import machine

HERE = Path(__file__).resolve().parent
STUB = HERE.parent / "tests" / "kernels" / "stub"


def best(run: Callable[[], object], calls: int = 200, batches: int = 60) -> float:
    """Microseconds per call, the least over batches."""
    run()
    times = []
    for _ in range(batches):
        start = time.perf_counter()
        for _ in range(calls):
            run()
        times.append((time.perf_counter() - start) / calls)
    return round(min(times) * 1e6, 2)


def measure() -> dict[str, Any]:
    """Microseconds per call of each way to launch."""
    import numpy as np
    import triton
    from kernels_to_launch import _scale

    import tritorch
    from tritorch.kernels._driver import Pointer, type_name
    from tritorch.kernels._launch import empty, launch, prepare
    from tritorch.kernels._pointwise import pointwise

    x, y = empty((65536,), "f4"), empty((65536,), "f4")
    f4 = np.dtype("f4")

    def ours() -> None:
        launch(_scale, (64,), x, y, 65536, 1.5, BLOCK=1024, num_warps=4)

    ours()
    jit = prepare(_scale)

    def triton_call() -> None:
        px, py = Pointer(type_name(f4), x.data.ptr), Pointer(type_name(f4), y.data.ptr)
        jit[(64,)](px, py, 65536, 1.5, BLOCK=1024, num_warps=4, enable_fp_fusion=True)

    def elementwise() -> None:
        pointwise("add", ("a + b",), ("a", "b"), (x, y), (f4,), None, (y,))

    torch = tritorch
    a, b = torch.ones(256, 256, device="cuda"), torch.ones(256, 256, device="cuda")
    g = torch.ones(256, 256, device="cuda", requires_grad=True)

    def backward() -> None:
        (g + b).backward(a)

    def step() -> None:
        (g @ b).sum().backward()

    out: dict[str, Any] = {}
    if hasattr(sys.modules["cupy"].cuda, "function"):  # the tests' stand-in has none
        try:
            out["CuPy's launcher"] = cupys_launcher(x, y)
        except Exception as error:  # a comparison only: the rest is to be seen in any case
            out["CuPy's launcher"] = f"{type(error).__name__}: {error}"[:200]
    out |= {
        "memory for a result": best(lambda: empty((256, 256), f4)),
        "kernel[grid](...)": best(triton_call),
        "launch(...)": best(ours),
        "pointwise(...) into a given array": best(elementwise),
        "a + b": best(lambda: a + b),
        "a + 1.5": best(lambda: a + 1.5),
        "a + row": best(lambda: a + b[0]),
        "a + b with a graph": best(lambda: g + b),
        "a.add_(b)": best(lambda: a.add_(b)),
        "gelu(a)": best(lambda: torch.nn.functional.gelu(a)),
        "a.sum()": best(lambda: a.sum()),
        "a @ b": best(lambda: a @ b),
        "softmax(a, 1)": best(lambda: a.softmax(1)),
        "(g + b).backward(a)": best(backward),
        "(g @ b).sum().backward()": best(step),
    }
    out["a + b without its memory"] = round(out["a + b"] - out["memory for a result"], 2)
    return {"triton": float(".".join(triton.__version__.split(".")[:2])), **out}


def cupys_launcher(x: Any, y: Any) -> float:
    """The same kernel from its binary by CuPy, which needs no C compiler."""
    import cupy
    import numpy as np
    from kernels_to_launch import _scale

    from tritorch.kernels._driver import Pointer, type_name
    from tritorch.kernels._launch import prepare

    px, py = Pointer(type_name(x.dtype), x.data.ptr), Pointer(type_name(y.dtype), y.data.ptr)
    compiled = prepare(_scale)[(64,)](px, py, 65536, 1.5, BLOCK=1024, num_warps=4, enable_fp_fusion=True)
    module = cupy.cuda.function.Module()
    module.load(compiled.asm["cubin"])
    f = module.get_function(compiled.metadata.name)
    numbers = np.int32(65536), np.float32(1.5)
    threads, shared = (32 * compiled.metadata.num_warps, 1, 1), compiled.metadata.shared
    return best(lambda: f((64, 1, 1), threads, (x, y, *numbers, None, None), shared_mem=shared))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stub", action="store_true", help="against the driver library that does nothing")
    parser.add_argument("--out", type=Path, help="default: results/launch_overhead.json, with --stub ..._stub.json")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure()))
        return 0
    paths = [str(HERE.parent), str(STUB)]
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, TRITON_INTERPRET="0")
        if options.stub:
            library = Path(folder) / "libcuda.so.1"
            compiler = os.environ.get("CC") or shutil.which("gcc") or "cc"
            subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-w", "-o", library, STUB / "libcuda.c"], check=True)
            environment |= {"TRITON_LIBCUDA_PATH": folder, "LD_LIBRARY_PATH": folder}
        else:  # the stand-in for CuPy must not be found
            shutil.copy(STUB / "kernels_to_launch.py", folder)
            paths[1] = folder
        before = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
        environment["PYTHONPATH"] = os.pathsep.join([*paths, *before])
        done = subprocess.run(
            [sys.executable, __file__, "--child"], env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
    us = json.loads(done.stdout.splitlines()[-1])
    for name, value in us.items():
        print(f"{name:36} {value}")
    about = {**machine(), "triton": us.pop("triton"), "driver": "stub" if options.stub else "real"}
    out = options.out or HERE / "results" / f"launch_overhead{'_stub' if options.stub else ''}.json"
    out.write_text(json.dumps({"about": about, "us": us}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
