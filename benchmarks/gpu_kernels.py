"""Every kernel family on a GPU: time, GB/s or TFLOP/s, share of the measured copy bandwidth or matmul peak, against torch.

`python benchmarks/gpu_kernels.py` on a machine with a GPU. torch, where it is there, runs in a process of its own (eager, and
torch.compile unless `--no-compile`), with the same shapes. `--dry-run`: tiny shapes on the emulated device, no torch; it
shows that the script runs, its times mean nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any


def cases(ns: Any, dry: bool) -> dict[str, tuple[Callable[[], Any], float, float]]:
    """name -> (call, bytes moved, flops), the same for tritorch and torch."""
    F = ns.nn.functional
    big, rows, cols = (4096, 8, 64) if dry else (1 << 25, 16384, 2048)
    square = 32 if dry else 8192
    bf16, made = ns.bfloat16, {}
    ns.manual_seed(0)

    def new(*shape: int, dtype: Any = None) -> Any:
        return ns.randn(*shape, device="cuda").to(dtype or ns.float32)

    def backward(f: Callable[..., Any], *leaves: Any) -> Callable[[], Any]:
        leaves = tuple(v.requires_grad_() for v in leaves)
        y = f(*leaves)
        g = ns.ones_like(y)
        return lambda: ns.autograd.grad(y, leaves, g, retain_graph=True)

    x, y = new(big), new(big)
    m, w, b = new(rows, cols), new(cols), new(cols)
    size = rows * cols * 4
    made["copy fp32"] = (lambda: x.clone(), 8 * big, 0)
    made["add fp32"] = (lambda: x + y, 12 * big, big)
    made["gelu bf16"] = ((h := x.to(bf16)) is not None and (lambda: F.gelu(h)), 4 * big, big)
    made["cast fp32 to bf16"] = (lambda: x.to(bf16), 6 * big, 0)
    made["transpose fp32"] = (lambda: m.t().contiguous(), 2 * size, 0)
    made["sum rows fp32"] = (lambda: m.sum(1), size, rows * cols)
    made["sum columns fp32"] = (lambda: m.sum(0), size, rows * cols)
    made["cumsum fp32"] = (lambda: m.cumsum(1), 2 * size, rows * cols)
    made["softmax fp32"] = (lambda: F.softmax(m, 1), 2 * size, 5 * rows * cols)
    made["softmax backward fp32"] = (backward(lambda v: F.softmax(v, 1), m.clone()), 3 * size, 0)
    made["layer_norm fp32"] = (lambda: F.layer_norm(m, (cols,), w, b), 2 * size, 8 * rows * cols)
    made["layer_norm backward fp32"] = (
        backward(lambda v, p, q: F.layer_norm(v, (cols,), p, q), m.clone(), w.clone(), b.clone()), 3 * size, 0,
    )  # fmt: skip
    labels = ns.zeros(rows, dtype=ns.int64, device="cuda")
    made["cross_entropy fp32"] = (lambda: F.cross_entropy(m, labels), size, 5 * rows * cols)
    made["sort fp32"] = (lambda: m[: max(4, rows // 16)].sort(1), size / 4, 0)
    made["dropout fp32"] = (lambda: F.dropout(m, 0.5), 2 * size, 0)
    table = new(1000, cols)
    made["embedding fp32"] = (lambda: F.embedding(labels, table), 2 * size, 0)
    made["embedding backward fp32"] = (backward(lambda t: F.embedding(labels, t), table.clone()), size, 0)
    a16, b16 = new(square, square, dtype=bf16), new(square, square, dtype=bf16)
    made["matmul bf16"] = (lambda: a16 @ b16, 6 * square**2, 2 * square**3)
    half = square // 2
    a32, b32 = new(half, half), new(half, half)
    made["matmul fp32 ieee"] = (lambda: a32 @ b32, 12 * half**2, 2 * half**3)
    heads, length, width = (1, 32, 16) if dry else (64, 4096, 128)
    q, k, v = (new(1, heads, length, width, dtype=bf16) for _ in range(3))
    flops = 4 * heads * length * length * width / 2
    attend = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)  # noqa: E731
    made["attention causal bf16"] = (lambda: attend(q, k, v), 8 * q.numel(), flops)
    made["attention causal backward bf16"] = (
        backward(attend, q.clone(), k.clone(), v.clone()), 16 * q.numel(), 2.5 * flops,
    )  # fmt: skip
    n, c, s = (1, 16, 8) if dry else (64, 256, 56)
    image, kernel = new(n, c, s, s, dtype=bf16), new(c, c, 3, 3, dtype=bf16)
    conv = 2.0 * n * c * c * 9 * s * s
    made["conv2d 3x3 bf16"] = (lambda: F.conv2d(image, kernel, padding=1), 4 * image.numel(), conv)
    made["conv2d 3x3 backward bf16"] = (
        backward(lambda i, f: F.conv2d(i, f, padding=1), image.clone(), kernel.clone()), 8 * image.numel(), 2 * conv,
    )  # fmt: skip
    made["max_pool2d bf16"] = (lambda: F.max_pool2d(image, 2), 2.5 * image.numel(), 0)
    stat = ns.zeros(c, device="cuda"), ns.ones(c, device="cuda")
    made["batch_norm bf16"] = (lambda: F.batch_norm(image, *stat, training=True), 6 * image.numel(), 0)
    p = ns.nn.Parameter(x.clone())
    p.grad = y
    adam = ns.optim.AdamW([p], lr=1e-3, fused=True)
    made["AdamW fp32"] = (lambda: adam.step(), 28 * big, 0)
    return made


def timed(ns: Any, call: Callable[[], Any], dry: bool) -> tuple[float, float]:
    """(seconds on the device per call by events, seconds of host time per call)."""
    call()
    ns.cuda.synchronize()
    begin = time.perf_counter()
    call()
    ns.cuda.synchronize()
    number = 1 if dry else max(3, min(200, int(0.05 / max(time.perf_counter() - begin, 1e-6))))
    best, host = float("inf"), float("inf")
    for _ in range(1 if dry else 5):
        start, end = ns.cuda.Event(enable_timing=True), ns.cuda.Event(enable_timing=True)
        start.record()
        begin = time.perf_counter()
        for _ in range(number):
            call()
        host = min(host, (time.perf_counter() - begin) / number)
        end.record()
        end.synchronize()
        best = min(best, start.elapsed_time(end) / number / 1e3)
    return best, host


def side(module: str, dry: bool, compiled: bool) -> dict[str, Any]:
    """All cases of one library, in this process."""
    ns = importlib.import_module(module)
    found: dict[str, Any] = {}
    for name, (call, moved, flops) in cases(ns, dry).items():
        try:
            device, host = timed(ns, call, dry)
            found[name] = {"s": device, "host_us": host * 1e6, "bytes": moved, "flops": flops}
            if compiled and "backward" not in name and "AdamW" not in name:
                found[name]["compiled_s"] = timed(ns, ns.compile(call), dry)[0]
        except Exception as error:
            found.setdefault(name, {})["failed"] = f"{type(error).__name__}: {error}"[:300]
    found["device"] = ns.cuda.get_device_name()
    return found


def child(module: str, options: Any, limit: int) -> dict[str, Any] | None:
    command = [sys.executable, __file__, "--side", module]
    command += ["--dry-run"] * options.dry_run + ["--compile"] * (module == "torch" and not options.no_compile)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        print(f"{module}: not done after {limit} s")
        return None
    lines = [v[5:] for v in done.stdout.splitlines() if v.startswith("JSON ")]
    if not lines:
        print(f"{module}: {done.stderr.strip()[-500:]}")
        return None
    return json.loads(lines[-1])


def main() -> int:
    """Run both sides, print the table, write the JSON; 1 when a case of ours failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--compile", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--side", default="", help=argparse.SUPPRESS)
    parser.add_argument("--out", default="")
    options = parser.parse_args()
    if options.side:
        print("JSON " + json.dumps(side(options.side, options.dry_run, options.compile)))
        return 0
    ours = child("tritorch", options, 80)
    theirs = None if options.dry_run else child("torch", options, 65)
    if ours is None:
        return 1
    if options.out:
        with open(options.out, "w") as f:
            json.dump({"dry_run": options.dry_run, "tritorch": ours, "torch": theirs}, f, indent=1)
    print(f"{ours.pop('device')}{'; a dry run: these times say nothing about a GPU' if options.dry_run else ''}")
    copy = ours["copy fp32"]
    bandwidth = copy["bytes"] / copy["s"] if "s" in copy else float("nan")
    reference = (theirs or {}).get("matmul bf16", {})
    peak = reference["flops"] / reference["s"] if "s" in reference else float("nan")
    print(f"copy {bandwidth / 1e9:.0f} GB/s; torch's bf16 matmul {peak / 1e12:.0f} TFLOP/s")
    print(f"{'case':32} {'us':>9} {'rate':>15} {'of peak':>8} {'x eager':>8} {'x compiled':>10} {'host us':>8}")
    for name, row in ours.items():
        if "s" not in row:
            print(f"{name:32} FAILED {row['failed']}")
            continue
        heavy = any(word in name for word in ("matmul", "attention", "conv2d"))
        rate = (row["flops"] if heavy else row["bytes"]) / row["s"]
        share = rate / (peak if heavy else bandwidth)
        peer = (theirs or {}).get(name, {})
        eager, compiled = (f"{peer[k] / row['s']:.2f}" if k in peer else "-" for k in ("s", "compiled_s"))
        text = f"{rate / 1e12:.1f} TFLOP/s" if heavy else f"{rate / 1e9:.0f} GB/s"
        print(
            f"{name:32} {row['s'] * 1e6:9.1f} {text:>15} {share:8.0%} {eager:>8} {compiled:>10} {row['host_us']:8.1f}"
        )
    return int(any("failed" in row for row in ours.values()))


if __name__ == "__main__":
    raise SystemExit(main())
