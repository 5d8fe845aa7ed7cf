"""Every kernel family on a GPU: time, GB/s or TFLOP/s, share of the measured copy bandwidth or matmul peak, against torch.

`python benchmarks/gpu_kernels.py` on a machine with a GPU. torch, where it is there, runs in a process of its own (eager, and
torch.compile unless `--no-compile`), with the same shapes. First all cases are compiled by many processes beside each
other; the times are then taken by one process at a time, and what there is when its time is over counts. `--dry-run`: tiny
shapes on the emulated device, no torch; it shows that the script runs, its times mean nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
from collections.abc import Callable
from typing import Any

import _children

Case = tuple[Callable[[], Any], float, float]


def cases(ns: Any, dry: bool) -> dict[str, Callable[[], Case]]:
    """name -> what makes (call, bytes moved, flops), the same for tritorch and torch."""
    F = ns.nn.functional
    big, rows, cols = (4096, 8, 64) if dry else (1 << 25, 16384, 2048)
    square, half = (32, 16) if dry else (8192, 4096)
    heads, length, width = (1, 32, 16) if dry else (64, 4096, 128)
    n, c, s = (1, 16, 8) if dry else (64, 256, 56)
    size, image_size = rows * cols * 4, n * c * s * s
    made: dict[str, Callable[[], Case]] = {}

    def new(*shape: int, dtype: Any = ns.float32) -> Any:
        return ns.randn(*shape, device="cuda").to(dtype)

    def backward(f: Callable[..., Any], *leaves: Any) -> Callable[[], Any]:
        leaves = tuple(v.requires_grad_() for v in leaves)
        y = f(*leaves)
        g = ns.ones_like(y)
        return lambda: ns.autograd.grad(y, leaves, g, retain_graph=True)

    def case(name: str, moved: float, flops: float = 0) -> Callable[[Any], None]:
        def add(make: Callable[[], Callable[[], Any]]) -> None:
            made[name] = lambda: (make(), moved, flops)

        return add

    def of(make: Callable[..., Any], f: Callable[..., Any]) -> Callable[[], Any]:
        """f on operands that are made once."""
        operands = make()
        return lambda: f(*operands)

    flat, two = lambda: (new(big),), lambda: (new(big), new(big))  # noqa: E731
    matrix = lambda: (new(rows, cols),)  # noqa: E731
    normed = lambda: (new(rows, cols), new(cols), new(cols))  # noqa: E731
    labels = lambda: ns.arange(rows, device="cuda") % 1000 % cols  # noqa: E731
    case("copy fp32", 8 * big)(lambda: of(flat, lambda x: x.clone()))
    case("add fp32", 12 * big, big)(lambda: of(two, lambda x, y: x + y))
    case("gelu bf16", 4 * big)(lambda: of(lambda: (new(big, dtype=ns.bfloat16),), F.gelu))
    case("gelu backward bf16", 6 * big)(lambda: backward(F.gelu, new(big, dtype=ns.bfloat16)))
    case("cast fp32 to bf16", 6 * big)(lambda: of(flat, lambda x: x.to(ns.bfloat16)))
    case("transpose fp32", 2 * size)(lambda: of(matrix, lambda m: m.t().contiguous()))
    case("sum rows fp32", size)(lambda: of(matrix, lambda m: m.sum(1)))
    case("sum columns fp32", size)(lambda: of(matrix, lambda m: m.sum(0)))
    case("cumsum fp32", 2 * size)(lambda: of(matrix, lambda m: m.cumsum(1)))
    case("cumsum of one row fp32", 8 * big)(lambda: of(flat, lambda x: x.cumsum(0)))
    case("softmax fp32", 2 * size)(lambda: of(matrix, lambda m: F.softmax(m, 1)))
    case("softmax backward fp32", 3 * size)(lambda: backward(lambda v: F.softmax(v, 1), *matrix()))
    norm = lambda m, w, b: F.layer_norm(m, (cols,), w, b)  # noqa: E731
    case("layer_norm fp32", 2 * size)(lambda: of(normed, norm))
    case("layer_norm backward fp32", 3 * size)(lambda: backward(norm, *normed()))
    case("cross_entropy fp32", size)(lambda: of(lambda: (new(rows, cols), labels()), F.cross_entropy))
    case("sort fp32", size / 4)(lambda: of(lambda: (new(max(4, rows // 16), cols),), lambda m: m.sort(1)))
    case("dropout fp32", 2 * size)(lambda: of(matrix, lambda m: F.dropout(m, 0.5)))
    case("embedding fp32", 2 * size)(lambda: of(lambda: (labels(), new(1000, cols)), F.embedding))
    case("embedding backward fp32", size)(
        lambda: (lambda i: backward(lambda t: F.embedding(i, t), new(1000, cols)))(labels())
    )
    case("gather fp32", 2 * size)(
        lambda: of(
            lambda: (new(rows, cols), ns.zeros(rows, cols, dtype=ns.int64, device="cuda")), lambda m, i: m.gather(1, i)
        )
    )
    product = lambda a, b: a @ b  # noqa: E731
    case("matmul bf16", 6 * square**2, 2 * square**3)(
        lambda: of(lambda: (new(square, square, dtype=ns.bfloat16), new(square, square, dtype=ns.bfloat16)), product)
    )
    case("matmul fp32 ieee", 12 * half**2, 2 * half**3)(lambda: of(lambda: (new(half, half), new(half, half)), product))
    attend = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)  # noqa: E731
    qkv = lambda: tuple(new(1, heads, length, width, dtype=ns.bfloat16) for _ in range(3))  # noqa: E731
    elements, flops = heads * length * width, 4 * heads * length * length * width / 2
    case("attention causal bf16", 8 * elements, flops)(lambda: of(qkv, attend))
    case("attention causal backward bf16", 16 * elements, 2.5 * flops)(lambda: backward(attend, *qkv()))
    pixels = lambda: new(n, c, s, s, dtype=ns.bfloat16)  # noqa: E731
    both = lambda: (pixels(), new(c, c, 3, 3, dtype=ns.bfloat16))  # noqa: E731
    conv = lambda i, f: F.conv2d(i, f, padding=1)  # noqa: E731
    conv_flops = 2.0 * n * c * c * 9 * s * s
    case("conv2d 3x3 bf16", 4 * image_size, conv_flops)(lambda: of(both, conv))
    case("conv2d 3x3 backward bf16", 8 * image_size, 2 * conv_flops)(lambda: backward(conv, *both()))
    case("max_pool2d bf16", 2.5 * image_size)(lambda: of(lambda: (pixels(),), lambda i: F.max_pool2d(i, 2)))
    case("batch_norm bf16", 6 * image_size)(
        lambda: of(
            lambda: (pixels(), ns.zeros(c, device="cuda"), ns.ones(c, device="cuda")),
            lambda i, m, v: F.batch_norm(i, m, v, training=True),
        )
    )

    def adam() -> Callable[[], Any]:
        p = ns.nn.Parameter(new(big))
        p.grad = new(big)
        optimizer = ns.optim.AdamW([p], lr=1e-3, fused=True)
        return lambda: optimizer.step()

    case("AdamW fp32", 28 * big)(adam)
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


def side(module: str, dry: bool, compiled: bool, part: tuple[int, int], warm: bool) -> None:
    """Cases part[0], part[0] + part[1], ... of one library, in this process; `warm` only compiles them."""
    ns = importlib.import_module(module)
    found: dict[str, Any] = {"device": ns.cuda.get_device_name()}
    for name, make in list(cases(ns, dry).items())[part[0] :: part[1]]:
        try:
            ns.manual_seed(0)
            call, moved, flops = make()
            again = ns.compile(call) if compiled and "backward" not in name and "AdamW" not in name else None
            if warm:
                for f in (call, again) if again else (call,):
                    f()
            else:
                device, host = timed(ns, call, dry)
                found[name] = {"s": device, "host_us": host * 1e6, "bytes": moved, "flops": flops}
                if again:
                    found[name]["compiled_s"] = timed(ns, again, dry)[0]
        except Exception as error:
            found.setdefault(name, {})["failed"] = f"{type(error).__name__}: {error}"[:300]
        call = again = None
        _children.say(found)


def main() -> int:
    """Compile, run both sides, write the JSON, print the table; 1 when a case of ours failed or did not come."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--out", default="")
    parser.add_argument("--seconds", type=float, default=150, help="a third to compile, a third for each side")
    parser.add_argument("--compile", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--side", default="", help=argparse.SUPPRESS)
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), help=argparse.SUPPRESS)
    parser.add_argument("--warm", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side(options.side, options.dry_run, options.compile, options.part, options.warm)
        return 0

    def job(module: str, *more: str) -> list[str]:
        compiled = ["--compile"] * (module == "torch" and not options.no_compile)
        return [__file__, "--side", module, *compiled, *["--dry-run"] * options.dry_run, *more]

    parts = 1 if options.dry_run else 9
    warm = {f"tritorch {i}": job("tritorch", "--warm", "--part", str(i), str(parts)) for i in range(parts)}
    peers = [] if options.dry_run else ["torch"]
    warm |= {f"{m} {i}": job(m, "--warm", "--part", str(i), "4") for m in peers for i in range(4)}
    together = min(13, os.cpu_count() or 1)
    begin = time.monotonic()
    _children.run(warm, options.seconds / 3, together)
    warmed = time.monotonic() - begin
    answers = {}
    for module in ("tritorch", *peers):
        answers |= _children.run({module: job(module)}, options.seconds / 3)
    result = {"dry_run": options.dry_run, "compiling_s": round(warmed, 1)}
    result |= {m: answers[m].found if m in answers else None for m in ("tritorch", "torch")}
    result["trouble"] = {m: a.trouble for m, a in answers.items() if a.trouble}
    if options.out:
        with open(options.out, "w") as f:
            json.dump(result, f, indent=1)
    for module, trouble in result["trouble"].items():
        print(f"{module}: {trouble}")
    ours, theirs = result["tritorch"], result["torch"] or {}
    if ours is None:
        return 1
    print(f"{ours.pop('device')}{'; a dry run: these times say nothing about a GPU' if options.dry_run else ''}")
    copy = ours.get("copy fp32", {})
    bandwidth = copy["bytes"] / copy["s"] if "s" in copy else float("nan")
    reference = theirs.get("matmul bf16", {})
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
        peer = theirs.get(name, {})
        eager, compiled = (f"{peer[k] / row['s']:.2f}" if k in peer else "-" for k in ("s", "compiled_s"))
        text = f"{rate / 1e12:.1f} TFLOP/s" if heavy else f"{rate / 1e9:.0f} GB/s"
        print(
            f"{name:32} {row['s'] * 1e6:9.1f} {text:>15} {share:8.0%} {eager:>8} {compiled:>10} {row['host_us']:8.1f}"
        )
    return int("tritorch" in result["trouble"] or any("failed" in row for row in ours.values()))


if __name__ == "__main__":
    raise SystemExit(main())
