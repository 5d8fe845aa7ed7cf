"""Training steps on the CPU against torch eager (the better of 1 and 2 threads): time and peak memory.

`python benchmarks/training_cpu.py [words] [--seconds 12]`. The steps are timed in processes that take turns; the peak
memory (VmHWM, with the library itself) is that of a fresh process that does ten steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import floors_cpu


def lenet(lib: Any) -> tuple[Any, Any, Any]:
    """LeNet with 6 and 16 channels on 28x28, batch 64, SGD with momentum."""
    nn = lib.nn
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    x, y = lib.randn(64, 1, 28, 28), lib.randint(0, 10, (64,))
    optimizer = lib.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return lambda: nn.functional.cross_entropy(model(x), y), optimizer, model


def resnet(lib: Any) -> tuple[Any, Any, Any]:
    """Three residual blocks of 64 channels on 32x32, batch 32, SGD with momentum."""
    nn = lib.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)
            self.conv2, self.bn2 = nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)

        def forward(self, x):
            y = lib.relu(self.bn1(self.conv1(x)))
            return lib.relu(self.bn2(self.conv2(y)) + x)

    model = nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), Block(), Block(), Block(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    x, y = lib.randn(32, 3, 32, 32), lib.randint(0, 10, (32,))
    optimizer = lib.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return lambda: nn.functional.cross_entropy(model(x), y), optimizer, model


def gpt(lib: Any) -> tuple[Any, Any, Any]:
    """GPT with 4 layers, 128 wide, 4 heads, context 64, 65 characters, batch 16, AdamW."""
    nn, F = lib.nn, lib.nn.functional

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln1, self.ln2 = nn.LayerNorm(128), nn.LayerNorm(128)
            self.qkv, self.out = nn.Linear(128, 384), nn.Linear(128, 128)
            self.up, self.down = nn.Linear(128, 512), nn.Linear(512, 128)

        def forward(self, x):
            b, t, c = x.shape
            q, k, v = (z.view(b, t, 4, 32).transpose(1, 2) for z in self.qkv(self.ln1(x)).split(128, dim=2))
            a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(a.transpose(1, 2).reshape(b, t, c))
            return x + self.down(F.gelu(self.up(self.ln2(x))))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(65, 128), nn.Embedding(64, 128)
            self.layers = nn.ModuleList([Layer() for _ in range(4)])
            self.norm, self.head = nn.LayerNorm(128), nn.Linear(128, 65, bias=False)

        def forward(self, x):
            h = self.tokens(x) + self.places(lib.arange(x.shape[1]))
            for layer in self.layers:
                h = layer(h)
            return self.head(self.norm(h))

    model = GPT()
    x, y = lib.randint(0, 65, (16, 64)), lib.randint(0, 65, (16, 64))
    optimizer = lib.optim.AdamW(model.parameters(), lr=3e-4)
    return lambda: F.cross_entropy(model(x).view(-1, 65), y.view(-1)), optimizer, model


def lstm(lib: Any) -> tuple[Any, Any, Any]:
    """An LSTM of 128, length 64, batch 32, Adam."""
    nn = lib.nn

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.LSTM(128, 128, batch_first=True), nn.Linear(128, 10)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    model = Tagger()
    x, y = lib.randn(32, 64, 128), lib.randint(0, 10, (32,))
    return lambda: nn.functional.cross_entropy(model(x), y), lib.optim.Adam(model.parameters(), lr=1e-3), model


def mlp(lib: Any) -> tuple[Any, Any, Any]:
    """784-256-128-10, batch 64, Adam."""
    nn = lib.nn
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    x, y = lib.randn(64, 784), lib.randint(0, 10, (64,))
    return lambda: nn.functional.cross_entropy(model(x), y), lib.optim.Adam(model.parameters(), lr=1e-3), model


CASES: dict[str, tuple[float, Callable[[Any], tuple[Any, Any, Any]]]] = {
    "MLP": (0.9, mlp), "LeNet": (1.2, lenet), "ResNet 3x64": (1.2, resnet), "GPT 4 layers": (1.0, gpt),
    "LSTM": (1.2, lstm),
}  # fmt: skip


def make(lib: Any, name: str) -> Callable[[], object]:
    """A training step of model `name` in library `lib`, or the floor of it."""
    if lib is floors_cpu:
        return floors_cpu.make(name)
    loss_of, optimizer, _ = CASES[name][1](lib)

    def step() -> object:
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


PEAK = """
import importlib, sys
sys.path.insert(0, {folder!r})
import training_cpu
lib = importlib.import_module({lib!r})
if {threads}:
    lib.set_num_threads({threads})
step = training_cpu.make(lib, {name!r})
for _ in range(10):
    step()
result = {{}}
"""


def main() -> None:
    from pathlib import Path

    from _compare import Table, in_child
    from _workers import KEPT, SIDES, turns
    from ops_cpu import chosen, environment

    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seconds", type=float, default=12.0)
    args = parser.parse_args()
    table = Table("training_cpu", openblas=environment(), seconds=args.seconds, statistic="least")
    names = chosen(args.words, list(CASES))
    sides = SIDES | {"floor": ("floors_cpu", 0, KEPT | {"OPENBLAS_NUM_THREADS": "1"})}
    for name, times in turns("training_cpu", names, args.seconds, sides, slice_=0.05):
        best = min((times["torch 1"], times["torch 2"]), key=lambda t: t.least)
        floor = times.pop("floor").least * 1e3 if name in floors_cpu.FLOORS else None
        table.add(f"{name}, step", times["ours"].least * 1e3, best.least * 1e3, "ms", CASES[name][0], floor)
        table.rows[-1]["sides"] = {side: {k: v * 1e3 for k, v in vars(t).items()} for side, t in times.items()}
    folder = str(Path(__file__).parent)
    for name in names:
        peak = {
            (lib, threads): in_child(PEAK.format(folder=folder, lib=lib, threads=threads, name=name))["peak_mib"]
            for lib, threads in (("tritorch", 0), ("torch", 1))
        }
        table.add(f"{name}, peak memory", peak["tritorch", 0], peak["torch", 1], "MiB", 0.7)
    if not args.words:
        table.write()


if __name__ == "__main__":
    main()
