"""A training step of the MLP 784-256-128-10, batch 64, Adam: time (against the better of torch's 1 and 2 threads) and
peak memory, each library in processes of its own that take turns. `python benchmarks/mlp.py`
"""

from __future__ import annotations

import statistics

from _compare import Table, in_child

STEP = """
import statistics, sys, time
import {lib} as torch
from {lib} import nn
torch.set_num_threads({threads})
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()
x, y = torch.randn(64, 784), torch.randint(0, 10, (64,))

def step():
    loss = criterion(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss

first = step().item()
for _ in range(20):
    step()
times = []
for _ in range(300):
    start = time.perf_counter()
    step()
    times.append(time.perf_counter() - start)
result = {{"step": statistics.median(times), "first": first, "last": step().item()}}
"""


def main(rounds: int = 5) -> None:
    import torch

    sides = {"ours 1": ("tritorch", 1), "ours 2": ("tritorch", 2), "theirs 1": ("torch", 1), "theirs 2": ("torch", 2)}
    runs: dict[str, list[dict]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, (lib, threads) in sides.items():
            runs[name].append(in_child(STEP.format(lib=lib, threads=threads), {"OMP_NUM_THREADS": str(threads)}))

    def step(side: str) -> float:
        return statistics.median(run["step"] for run in runs[side]) * 1e3

    def peak(side: str) -> float:
        return statistics.median(run["peak_mib"] for run in runs[side])

    table = Table("mlp", torch=torch.__version__, rounds=rounds)
    for threads in (1, 2):
        table.add(f"step, {threads} thread(s)", step(f"ours {threads}"), step(f"theirs {threads}"), "ms")
    best = {side: min(step(f"{side} {threads}") for threads in (1, 2)) for side in ("ours", "theirs")}
    table.add("step, best of 1 and 2 threads", best["ours"], best["theirs"], "ms", target=0.9)
    table.add("peak memory", peak("ours 1"), peak("theirs 1"), "MiB", target=0.4)
    print("losses after 1 and 322 steps:", *(f"{n} {r[0]['first']:.6f} {r[0]['last']:.6f}" for n, r in runs.items()))
    table.write()


if __name__ == "__main__":
    main()
