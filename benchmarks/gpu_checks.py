"""The first things to see on a real GPU: driver, launch cost, shared memory, streams, graphs, ops, errors, timing.

`python benchmarks/gpu_checks.py`; each point runs in a process of its own and tells what was seen; points that take no
times run beside each other, the ops in many parts, since nearly all of their time goes into compiling. What was seen
until `--seconds` are over is written in any case. With `--dry-run` the points that the emulated device can show run
there; the others say that they need a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _children

from tritorch.kernels._launch import kernel

if TYPE_CHECKING:
    import triton.language as tl

Seen = dict[str, Any]
HERE = Path(__file__).resolve().parent


@kernel
def _far(x_ptr, y_ptr, distance):
    """y = what lies `distance` elements behind x."""
    tl.store(y_ptr, tl.load(x_ptr + distance))


def environment() -> Seen:
    """What is installed, and what Triton's launch helper needs to be built."""
    import tritorch as torch

    seen: Seen = {"python": platform.python_version()}
    for name in ("numpy", "ml_dtypes", "triton", "cupy"):
        try:
            seen[name] = __import__(name).__version__
        except ImportError as error:
            seen[name] = str(error)
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    seen |= {"compiler": os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc"), "header": header.exists()}
    backend = sys.modules["tritorch.device"].backend()
    seen |= {"device": torch.cuda.get_device_name(), "driver": getattr(backend, "driver_version", None)}
    seen |= {"capability": torch.cuda.get_device_capability(), "memory_mib": backend.total_memory(0) >> 20}
    return seen


def driver() -> Seen:
    """One kernel in three dtypes through our driver; torch stays out of the process."""
    import tritorch as torch

    x = torch.arange(5000).float().cuda()
    seen: Seen = {}
    for name in ("float32", "float16", "bfloat16"):
        kind = getattr(torch, name)
        y = (x / 5000).to(kind) * 2 + 1
        expected = (x.cpu() / 5000).to(kind) * 2 + 1
        seen[name] = float((y.cpu().float() - expected.float()).abs().max())
        assert seen[name] <= 2e-2, seen
    seen["torch_loaded"] = "torch" in sys.modules
    assert not seen["torch_loaded"]
    return seen


def launch_cost() -> Seen:
    """Microseconds of host time: Triton's call, ours, CuPy's launcher and eager ops, without waiting for the device."""
    if not DRY:
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            command = [sys.executable, str(HERE / "launch_overhead.py"), "--out", out.name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-600:]
            return json.loads(Path(out.name).read_text())["us"]
    import tritorch as torch

    x = torch.ones(1000, device="cuda")
    x * x
    start = time.perf_counter()
    for _ in range(5):
        x * x
    return {"x * x": round((time.perf_counter() - start) / 5 * 1e6, 2)}


def large_shared_memory() -> Seen:
    """A half-precision product, whose tiles take more than 48 KB of shared memory, against float64."""
    import tritorch as torch

    n = 48 if DRY else 1024
    a, b = torch.randn(n, n), torch.randn(n, n)
    y = (a.bfloat16().cuda() @ b.bfloat16().cuda()).cpu().float()
    expected = a.bfloat16().double() @ b.bfloat16().double()
    error = float((y - expected).abs().max() / expected.abs().max())
    assert error < 1e-2, error
    return {"n": n, "relative_error": error}


def descriptors() -> Seen:
    """A product through tensor descriptors, which need scratch memory for each launch; also from a second thread."""
    import threading

    import tritorch as torch
    from tritorch.kernels._gemm_persistent import has_engine, use_descriptors

    n = 256
    a, b = torch.randn(n, n).bfloat16().cuda(), torch.randn(n, n).bfloat16().cuda()
    plain = (a @ b).float()
    use_descriptors(True)
    found: list[Any] = []
    for _ in range(3):
        found.append((a @ b).float())
    thread = threading.Thread(target=lambda: found.append((a @ b).float()))
    thread.start()
    thread.join()
    worst = max(float((y - plain).abs().max().item()) for y in found)
    assert len(found) == 4 and worst <= 0.02 * float(plain.abs().max().item()), worst
    return {"engine": has_engine(), "largest_difference": worst}


def streams_and_threads() -> Seen:
    """A kernel on a second stream, and one from a second thread."""
    import threading

    import tritorch as torch

    x = torch.arange(3000).float().cuda()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        y = x * 3
    torch.cuda.current_stream().wait_stream(stream)
    found: list[float] = []
    thread = threading.Thread(target=lambda: found.append(float((x * 5).sum().item())))
    thread.start()
    thread.join()
    total = 3000 * 2999 / 2
    assert float(y.sum().item()) == 3 * total and found == [5 * total], (y.sum().item(), found)
    return {"second_stream": True, "second_thread": True}


def graph_replay() -> Seen:
    """A captured forward and backward against the eager one, 100 replays; the pool keeps its size."""
    import tritorch as torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8)).cuda()
    x = torch.randn(16, 64).cuda()

    def step() -> Any:
        out = model(x)
        return out, torch.autograd.grad(out.pow(2).sum(), list(model.parameters()))

    for _ in range(3):
        step()
    g = torch.cuda.CUDAGraph()
    with torch.cuda.graph(g):
        out, grads = step()
    worst, replays, before = 0.0, 3 if DRY else 100, 0
    for i in range(replays):
        x.copy_(torch.randn(16, 64))
        g.replay()
        if i == 1:
            before = torch.cuda.memory_reserved()
        if i % 10 == 0:
            eager, eager_grads = step()
            pairs = [(out, eager), *zip(grads, eager_grads, strict=True)]
            worst = max(worst, *(float((a - b).abs().max().item()) for a, b in pairs))
    grown = torch.cuda.memory_reserved() - before
    assert worst == 0.0 and (DRY or grown <= 0), (worst, grown)
    return {"replays": replays, "largest_difference": worst, "pool_grew": grown}


def graph_step() -> Seen:
    """A whole training step as one graph, with dropout, clipping, AdamW and a GradScaler, against the same steps eager."""
    import tritorch as torch
    from tritorch import nn

    def train(graphed: bool) -> tuple[list[float], list[Any]]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 96), nn.GELU(), nn.Dropout(0.2), nn.LayerNorm(96), nn.Linear(96, 10)).cuda()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, capturable=True)
        scaler = torch.amp.GradScaler("cuda", init_scale=2.0**10, growth_interval=4)
        x, t = torch.randn(32, 64).cuda(), torch.randint(0, 10, (32,)).cuda()

        def step() -> Any:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), t)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            return loss

        losses = [float(step().item()) for _ in range(2)]
        if graphed:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                static = step()
        for i in range(3 if DRY else 30):
            x.copy_(torch.randn(32, 64))
            if i == 1:
                x.fill_(float("inf"))  # this step is left out, and the scale halved
            if graphed:
                graph.replay()
            losses.append(float((static if graphed else step()).item()))
        return [*losses, scaler.get_scale()], [p.detach().cpu() for p in model.parameters()]

    (eager, weights), (replayed, others) = train(False), train(True)
    difference = max(float((a - b).abs().max().item()) for a, b in zip(weights, others, strict=True))
    assert difference == 0.0 and str(eager) == str(replayed), (difference, eager, replayed)
    return {
        "steps": len(eager) - 1,
        "largest_difference": difference,
        "losses": [eager[0], eager[-2]],
        "scale": eager[-1],
    }


def ops_against_numpy() -> Seen:
    """The kernels of every op on its samples, forward and backward, against the NumPy definitions."""
    import numpy as np

    from tritorch.kernels._op import OPS
    from tritorch.kernels.coverage import own_ops

    seen: Seen = {"ops": 0, "far": {}, "failed": {}}
    names = ["add", "softmax", "matmul", "sum"] if DRY else sorted(own_ops())
    for name in names[SHARD[0] :: SHARD[1]]:
        op = OPS[name]
        if op.samples is None:
            continue
        try:
            for args, params in op.samples(np.random.default_rng(0)):
                sides = [_outputs_and_gradients(op, args, params, device) for device in ("cuda", "cpu")]
                for x, y in zip(*sides, strict=True):
                    bad = ~np.isclose(x, y, rtol=2e-3, atol=2e-3, equal_nan=True)
                    if bad.any():
                        seen["far"][name] = float(np.nanmax(np.abs(x - y)))
            seen["ops"] += 1
        except Exception as error:
            text = f"{type(error).__name__}: {error}"[:200]
            seen["failed"][name] = text
            if "illegal" in text.lower():
                break  # the context is dead
        _children.say(seen)
    return seen


def _outputs_and_gradients(op: Any, args: Any, params: Any, device: str) -> list[Any]:
    """Floating-point results and gradients of one sample in float32, as float64 arrays."""
    import numpy as np

    import tritorch as torch
    from tritorch.tensor import wrap

    def put(a: Any) -> Any:
        if not isinstance(a, (np.ndarray, np.generic)):
            return a
        t = wrap(np.asarray(a).astype(np.float32) if a.dtype == np.float64 else np.asarray(a)).to(device)
        return t.requires_grad_() if t.dtype.is_floating_point and op.name not in NO_GRADIENT else t

    operands = [[put(v) for v in a] if isinstance(a, list) else put(a) for a in args]
    made = op(*operands, *params)
    outs = [v for v in (made if isinstance(made, (tuple, list)) else (made,)) if v is not None]
    carrying = [v for v in outs if v.requires_grad and v.dtype.is_floating_point]
    if carrying:
        torch.autograd.backward(carrying, [torch.ones_like(v) for v in carrying])
    flat = [t for o in operands for t in (o if isinstance(o, list) else [o]) if isinstance(t, torch.Tensor)]
    wanted = [*outs, *[t.grad for t in flat if t.grad is not None]]
    return [t.detach().cpu().double().numpy() for t in wanted if t.dtype.is_floating_point]


NO_GRADIENT = frozenset(("linalg_eig", "linalg_svd", "linalg_eigh", "linalg_qr"))  # signs and phases are free


def illegal_address() -> Seen:
    """A kernel that reads outside its memory, in this process alone: the error names the kernel (TRITORCH_SYNC=1)."""
    os.environ["TRITORCH_SYNC"] = "1"
    import tritorch as torch
    from tritorch.kernels._launch import launch

    x = torch.ones(2048, device="cuda")
    try:
        launch(_far, (1,), x._a, x._a, 1 << 44)
    except Exception as error:
        text = str(error)
        assert "_far" in text, text
        return {"error": f"{type(error).__name__}: {text[:200]}"}
    raise AssertionError("no error was raised")


def timing() -> Seen:
    """Triton's do_bench against CuPy's events, on one large copy."""
    import triton.testing

    import tritorch as torch

    x = torch.ones(1 << 26, device="cuda")
    bench = triton.testing.do_bench(lambda: x.clone(), warmup=20, rep=100)
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    x.clone()
    start.record()
    for _ in range(50):
        x.clone()
    end.record()
    end.synchronize()
    return {"do_bench_ms": float(bench), "events_ms": start.elapsed_time(end) / 50}


def profiler() -> Seen:
    """The profiler's time of a product on the device against events around many, and the ranges of NVIDIA's tools."""
    import tritorch as torch

    n = 32 if DRY else 4096
    a = torch.ones(n, n, device="cuda")
    a @ a
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(10):
        a @ a
    end.record()
    end.synchronize()
    with torch.profiler.profile(with_flops=True, profile_memory=True) as prof:
        for _ in range(10):
            with torch.cuda.nvtx.range("product {}", n):
                a @ a
    (row,) = [e for e in prof.key_averages() if e.key == "aten::matmul"]
    with torch.cuda.profiler.profile(), torch.autograd.profiler.emit_nvtx():
        a @ a
    assert row.count == 10 and row.flops == 20 * n**3, (row.count, row.flops)
    assert row.device_memory_usage >= 4 * n * n, row.device_memory_usage
    ours, plain = row.device_time * 1e-3, start.elapsed_time(end) / 10
    assert DRY or abs(ours - plain) <= 0.2 * plain, (ours, plain)
    return {"profiler_ms": ours, "events_ms": plain, "gflop_per_s": row.gflop_per_s}


Point = Callable[[], Seen]
BESIDE: list[tuple[Point, bool]] = [  # (point, does the emulated device show it)
    (environment, True), (driver, True), (large_shared_memory, True), (descriptors, True), (streams_and_threads, True),
    (graph_replay, True), (graph_step, True), (illegal_address, False),
]  # fmt: skip
ALONE: list[tuple[Point, bool]] = [(launch_cost, True), (timing, False), (profiler, True)]
DRY = "--dry-run" in sys.argv
PARTS = 2 if DRY else 10  # of the ops
SHARD = (0, 1)


def main() -> int:
    """Run all points and write what was seen; 1 when one failed."""
    global SHARD
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--out", default="")
    parser.add_argument("--seconds", type=float, default=110, help="for all points together")
    parser.add_argument("--point", default="", help=argparse.SUPPRESS)
    parser.add_argument("--shard", type=int, nargs=2, default=SHARD, help=argparse.SUPPRESS)
    options = parser.parse_args()
    SHARD = tuple(options.shard)
    points = {point.__name__: point for point, _ in (*BESIDE, *ALONE, (ops_against_numpy, True))}
    if options.point:
        _children.say(points[options.point]())
        return 0

    def job(name: str, *more: str) -> list[str]:
        return [__file__, "--point", name, *more, *["--dry-run"] * options.dry_run]

    report: dict[str, Any] = {}

    def write() -> None:
        if options.out:
            Path(options.out).write_text(json.dumps(report, indent=1))

    def note(name: str, answer: _children.Answer) -> None:
        seen = answer.found if not answer.trouble else {"trouble": answer.trouble, "until then": answer.found}
        report[name] = {"ok": not answer.trouble, "seen": seen, "seconds": round(answer.seconds, 1)}

    end = time.monotonic() + options.seconds
    here = {p.__name__ for p, emulated in (*BESIDE, *ALONE) if emulated or not options.dry_run}
    beside = {p.__name__: job(p.__name__) for p, _ in BESIDE if p.__name__ in here}
    ops = {f"ops {i}": job("ops_against_numpy", "--shard", str(i), str(PARTS)) for i in range(PARTS)}
    answers = _children.run({**beside, **ops}, options.seconds - 30, min(16, os.cpu_count() or 1))
    for name in beside:
        note(name, answers[name])
    report["ops_against_numpy"] = _joined([answers[name] for name in ops])
    write()
    for point, _ in ALONE:
        if point.__name__ in here:
            note(point.__name__, _children.run({"": job(point.__name__)}, max(end - time.monotonic(), 5))[""])
            write()
    report |= {p.__name__: {"ok": None, "seen": "needs a GPU"} for p, _ in (*BESIDE, *ALONE) if p.__name__ not in here}
    write()
    for name, row in report.items():
        trouble = row["seen"].get("trouble", "") if isinstance(row["seen"], dict) else ""
        print(f"{name:22} {row['ok']!s:6} {(trouble.strip().splitlines() or [str(row['seen'])])[-1][:400]}", flush=True)
    return int(any(r["ok"] is False for r in report.values()))


def _joined(answers: list[_children.Answer]) -> dict[str, Any]:
    """The parts of the ops as one point; a part that was stopped counts with what it had seen."""
    found = [a.found for a in answers if a.found]
    seen: Seen = {"ops": sum(f["ops"] for f in found)}
    for kind in ("far", "failed"):
        seen[kind] = {name: what for f in found for name, what in f[kind].items()}
    seen["stopped"] = [a.trouble for a in answers if a.trouble]
    return {"ok": not (seen["far"] or seen["failed"] or seen["stopped"]), "seen": seen}


if __name__ == "__main__":
    raise SystemExit(main())
