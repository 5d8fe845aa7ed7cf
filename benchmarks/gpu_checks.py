"""The first things to see on a real GPU: driver, launch cost, large shared memory, streams, graphs, errors, timing.

`python benchmarks/gpu_checks.py`; each point runs in a process of its own and tells what was seen. With `--dry-run` the
points that the emulated device can show run there; the others say that they need a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

Seen = dict[str, Any]


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
    """Microseconds of host time of an eager op on a small tensor, without waiting for the device."""
    import tritorch as torch

    x = torch.ones(1000, device="cuda")
    calls = 5 if DRY else 2000
    x * x
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(calls):
        x * x
    host = (time.perf_counter() - start) / calls * 1e6
    torch.cuda.synchronize()
    return {"host_us_per_eager_op": round(host, 2)}


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
    before = torch.cuda.memory_reserved()
    worst, replays = 0.0, 3 if DRY else 100
    for i in range(replays):
        x.copy_(torch.randn(16, 64))
        g.replay()
        if i % 10 == 0:
            eager, eager_grads = step()
            pairs = [(out, eager), *zip(grads, eager_grads, strict=True)]
            worst = max(worst, *(float((a - b).abs().max().item()) for a, b in pairs))
    assert worst == 0.0, worst
    return {"replays": replays, "largest_difference": worst, "pool_grew": torch.cuda.memory_reserved() - before}


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
    """The kernels of every op on its samples, against the NumPy definitions."""
    import numpy as np

    import tritorch as torch
    from tritorch.kernels._op import OPS
    from tritorch.tensor import wrap

    seen: Seen = {"ops": 0, "far": {}, "failed": {}}
    for name, op in sorted(OPS.items()):
        if op.samples is None or (DRY and name not in ("add", "softmax", "matmul", "sum")):
            continue
        try:
            for args, params in op.samples(np.random.default_rng(0)):
                half = lambda a: a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype == np.float64 else a  # noqa: E731
                args = [[half(v) for v in a] if isinstance(a, list) else half(a) for a in args]
                up = lambda a: wrap(a).cuda() if isinstance(a, np.ndarray) else a  # noqa: E731
                here = lambda a: wrap(a) if isinstance(a, np.ndarray) else a  # noqa: E731
                each = lambda f, a: [f(v) for v in a] if isinstance(a, list) else f(a)  # noqa: E731
                plain = tuple(params.values()) if isinstance(params, dict) else tuple(params)
                got = op(*[each(up, a) for a in args], *plain)
                want = op(*[each(here, a) for a in args], *plain)
                for a, b in zip(*[v if isinstance(v, tuple) else (v,) for v in (got, want)], strict=True):
                    if a is None or not b.dtype.is_floating_point:
                        continue
                    x, y = a.cpu().double().numpy(), b.double().numpy()
                    bad = ~np.isclose(x, y, rtol=2e-3, atol=2e-3, equal_nan=True)
                    if bad.any():
                        seen["far"][name] = float(np.nanmax(np.abs(x - y)))
            seen["ops"] += 1
        except Exception as error:
            text = f"{type(error).__name__}: {error}"[:200]
            seen["failed"][name] = text
            if "CUDA" in text and "ILLEGAL" in text.upper():
                break  # the context is dead
    del torch
    return seen


def illegal_address() -> Seen:
    """A kernel that reads outside its memory, in this process alone: the error names the kernel (TRITORCH_SYNC=1)."""
    os.environ["TRITORCH_SYNC"] = "1"
    import tritorch as torch
    from tritorch.kernels import elementwise  # noqa: F401
    from tritorch.kernels._launch import launch
    from tritorch.kernels.unscale import _unscale

    x = torch.ones(2048, device="cuda")
    table = torch.tensor([[1 << 44, 2048]]).cuda()
    blocks = torch.tensor([[0, 0]]).cuda()
    try:
        launch(_unscale, (1,), table._a, blocks._a, x._a, x._a, x._a, FULL=True, ALIGNED=True, BLOCK=2048, num_warps=8)
        torch.cuda.synchronize()
    except Exception as error:
        text = str(error)
        return {"error": f"{type(error).__name__}: {text[:200]}", "names_the_kernel": "_unscale" in text}
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


POINTS: list[tuple[Callable[[], Seen], bool]] = [  # (point, does the emulated device show it)
    (driver, True), (launch_cost, True), (large_shared_memory, True), (streams_and_threads, True), (graph_replay, True),
    (graph_step, True), (ops_against_numpy, True), (illegal_address, False), (timing, False),
]  # fmt: skip
DRY = "--dry-run" in sys.argv


def main() -> int:
    """Run all points and write what was seen; 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--out", default="")
    parser.add_argument("--point", default="")
    options = parser.parse_args()
    names = {point.__name__: point for point, _ in POINTS}
    if options.point:
        print("SEEN " + json.dumps(names[options.point]()))
        return 0
    report: dict[str, Any] = {}
    for point, emulated in POINTS:
        name = point.__name__
        if options.dry_run and not emulated:
            report[name] = {"ok": None, "seen": "needs a GPU"}
        else:
            command = [sys.executable, __file__, "--point", name] + ["--dry-run"] * options.dry_run
            limit = 60 if name == "ops_against_numpy" else 40
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
                lines = [v[5:] for v in done.stdout.splitlines() if v.startswith("SEEN ")]
                report[name] = {"ok": done.returncode == 0 and bool(lines),
                                "seen": json.loads(lines[-1]) if lines else done.stderr[-600:]}  # fmt: skip
            except subprocess.TimeoutExpired:
                report[name] = {"ok": False, "seen": f"not done after {limit} s"}
        print(f"{name:22} {report[name]['ok']!s:6} {str(report[name]['seen'])[:300]}", flush=True)
    if options.out:
        with open(options.out, "w") as f:
            json.dump(report, f, indent=1)
    return int(any(r["ok"] is False for r in report.values()))


if __name__ == "__main__":
    raise SystemExit(main())
