"""Training steps on a GPU: MLP, ResNet-18 on 32x32, GPT-2 124M in bf16, LSTM; time per step, peak memory, losses.

`python benchmarks/gpu_training.py` on a machine with a GPU; torch, where it is there, runs the same code in a process of its
own. "graphed" replays the whole step - forward, backward, AdamW - as one CUDA graph. First the models are compiled beside
each other; what there is when a side's time is over counts. `--dry-run`: tiny models on the emulated device; its times mean
nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from typing import Any

import _children

NAMES = ("MLP", "ResNet-18", "GPT-2 124M bf16", "LSTM")


def models(ns: Any, dry: bool) -> dict[str, Any]:
    """name -> function that gives (parameters, loss function of nothing)."""
    nn, F = ns.nn, ns.nn.functional

    def mlp() -> Any:
        width, batch = (16, 4) if dry else (1024, 512)
        net = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
        )
        x, t = ns.randn(batch, width).cuda(), ns.randint(0, 10, (batch,)).cuda()
        return net.cuda(), lambda net: F.cross_entropy(net(x), t)

    class Block(nn.Module):
        def __init__(self, a: int, b: int, stride: int):
            super().__init__()
            self.one, self.n1 = nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b)
            self.two, self.n2 = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
            same = stride == 1 and a == b
            self.short = (
                nn.Identity() if same else nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))
            )

        def forward(self, x: Any) -> Any:
            y = self.n2(self.two(F.relu(self.n1(self.one(x)))))
            return F.relu(y + self.short(x))

    def resnet() -> Any:
        widths, batch, size = ((4, 8), 2, 8) if dry else ((64, 128, 256, 512), 128, 32)
        layers: list[Any] = [nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
        before = widths[0]
        for i, w in enumerate(widths):
            layers += [Block(before, w, 1 if i == 0 else 2)] + ([] if dry else [Block(w, w, 1)])
            before = w
        net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))
        x, t = ns.randn(batch, 3, size, size).cuda(), ns.randint(0, 10, (batch,)).cuda()
        return net.cuda(), lambda net: F.cross_entropy(net(x), t)

    class Layer(nn.Module):
        def __init__(self, width: int, heads: int):
            super().__init__()
            self.heads = heads
            self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            n, length, width = x.shape
            split = lambda v: v.reshape(n, length, self.heads, width // self.heads).transpose(1, 2)  # noqa: E731
            q, k, v = (split(v) for v in self.qkv(self.n1(x)).chunk(3, dim=-1))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(n, length, width)
            x = x + self.out(y)
            return x + self.down(F.gelu(self.up(self.n2(x)), approximate="tanh"))

    class GPT(nn.Module):
        def __init__(self, words: int, length: int, width: int, heads: int, layers: int):
            super().__init__()
            self.token, self.place = nn.Embedding(words, width), nn.Embedding(length, width)
            self.layers = nn.ModuleList([Layer(width, heads) for _ in range(layers)])
            self.norm = nn.LayerNorm(width)
            for p in self.parameters():
                if p.dim() > 1:
                    nn.init.normal_(p, std=0.02)

        def forward(self, ids: Any, places: Any) -> Any:
            x = self.token(ids) + self.place(places)
            for layer in self.layers:
                x = layer(x)
            return F.linear(self.norm(x), self.token.weight)

    def gpt() -> Any:
        words, length, width, heads, layers, batch = (64, 8, 16, 2, 1, 1) if dry else (50304, 1024, 768, 12, 12, 4)
        net = GPT(words, length, width, heads, layers).cuda()
        ids, places = ns.randint(0, words, (batch, length + 1)).cuda(), ns.arange(length).cuda()
        source, target = ids[:, :-1].contiguous(), ids[:, 1:].contiguous().reshape(-1)

        def loss(net: Any) -> Any:
            with ns.autocast("cuda", dtype=ns.bfloat16):
                return F.cross_entropy(net(source, places).reshape(batch * length, words), target)

        return net, loss

    def lstm() -> Any:
        steps, batch, width = (3, 2, 8) if dry else (128, 64, 512)
        net, head = nn.LSTM(width, width, 1 if dry else 2), nn.Linear(width, 10)
        both = nn.ModuleList([net, head]).cuda()
        x, t = ns.randn(steps, batch, width).cuda(), ns.randint(0, 10, (batch,)).cuda()
        return both, lambda both: F.cross_entropy(both[1](both[0](x)[0][-1]), t)

    return dict(zip(NAMES, (mlp, resnet, gpt, lstm), strict=True))


def measure(ns: Any, make: Any, dry: bool, graphed: bool) -> dict[str, Any]:
    """Seconds per step, peak memory in MiB and the losses of one model."""
    ns.manual_seed(0)
    net, loss_of = make()
    parameters = list(net.parameters())
    optimizer = ns.optim.AdamW(parameters, lr=1e-4, fused=True, capturable=graphed)
    losses: list[float] = []

    def eager() -> Any:
        optimizer.zero_grad()
        loss = loss_of(net)
        loss.backward()
        optimizer.step()
        return loss

    step = eager
    for _ in range(1 if dry else 3):
        losses.append(float(eager().item()))
    if graphed:
        side = ns.cuda.Stream()
        side.wait_stream(ns.cuda.current_stream())
        with ns.cuda.stream(side):
            for _ in range(1 if dry else 2):
                eager()
        ns.cuda.current_stream().wait_stream(side)
        graph = ns.cuda.CUDAGraph()
        optimizer.zero_grad()
        with ns.cuda.graph(graph):
            static = eager()

        def step() -> Any:
            graph.replay()
            return static

    ns.cuda.synchronize()
    ns.cuda.reset_peak_memory_stats()
    number = 1 if dry else 20
    begin = time.perf_counter()
    for _ in range(number):
        loss = step()
    ns.cuda.synchronize()
    seconds = (time.perf_counter() - begin) / number
    losses.append(float(loss.item()))
    return {"s": seconds, "peak_mib": ns.cuda.max_memory_allocated() / 2**20, "losses": losses}


def side(module: str, dry: bool, only: str) -> None:
    """All models of one library, or one of them, in this process."""
    ns = importlib.import_module(module)
    found: dict[str, Any] = {"device": ns.cuda.get_device_name()}
    for name, make in models(ns, dry).items():
        for graphed in (False, True) if only in ("", name) else ():
            label = f"{name}{', graphed' if graphed else ''}"
            try:
                found[label] = measure(ns, make, dry, graphed)
            except Exception as error:
                found[label] = {"failed": f"{type(error).__name__}: {error}"[:400]}
            _children.say(found)


def main() -> int:
    """Compile, run both sides, write the JSON, print the table; 1 when a model of ours failed or did not come."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--out", default="")
    parser.add_argument("--seconds", type=float, default=135, help="a third to compile, a third for each side")
    parser.add_argument("--side", default="", help=argparse.SUPPRESS)
    parser.add_argument("--only", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side(options.side, options.dry_run, options.only)
        return 0

    def job(module: str, *more: str) -> list[str]:
        return [__file__, "--side", module, *["--dry-run"] * options.dry_run, *more]

    begin = time.monotonic()
    if not options.dry_run:
        warm = {name: job("tritorch", "--only", name) for name in NAMES}
        _children.run(warm, options.seconds / 3, len(warm))
    warmed = time.monotonic() - begin
    answers = {}
    for module in ("tritorch",) if options.dry_run else ("tritorch", "torch"):
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
    print(f"{'model':26} {'ms':>9} {'MiB':>8} {'torch ms':>9} {'ratio':>6}  losses first, last")
    for name, row in ours.items():
        if "s" not in row:
            print(f"{name:26} FAILED {row['failed']}")
            continue
        peer = theirs.get(name, {})
        other = f"{peer['s'] * 1e3:9.2f} {peer['s'] / row['s']:6.2f}" if "s" in peer else f"{'-':>9} {'-':>6}"
        losses = f"{row['losses'][0]:.4f}, {row['losses'][-1]:.4f}"
        print(f"{name:26} {row['s'] * 1e3:9.2f} {row['peak_mib']:8.0f} {other}  {losses}")
    return int("tritorch" in result["trouble"] or any("failed" in row for row in ours.values()))


if __name__ == "__main__":
    raise SystemExit(main())
