"""Time of one optimizer step, parameters of several sizes: `python benchmarks/optimizer_step.py`.

PyTorch with its default implementation, which loops over the parameters. Both in one process, in turn.
"""

from __future__ import annotations

import os

import numpy as np
import torch
from _compare import Table, interleave

import tritorch

SETS = {
    "MLP 784-256-128-10": [(256, 784), (256,), (128, 256), (128,), (10, 128), (10,)],
    "150 of 256": [(256,)] * 150,
    "GPT 4 x 128": [(128, 128)] * 32 + [(512, 128)] * 8 + [(128,)] * 40,
    "one of 4 M": [(2048, 2048)],
    "one of 16 M": [(4096, 4096)],
}


def stepper(lib, name: str, shapes: list[tuple[int, ...]], options: dict):
    """A function that does one step of an optimizer of `lib` over parameters of these shapes."""
    rng = np.random.default_rng(0)
    params = []
    for s in shapes:
        p = lib.nn.Parameter(lib.tensor(rng.random(s, np.float32)))
        p.grad = lib.tensor(rng.random(s, np.float32))
        params.append(p)
    optimizer = getattr(lib.optim, name)(params, lr=1e-4, **options)
    optimizer.step()
    return optimizer.step


def main() -> None:
    threads = os.cpu_count() or 1
    torch.set_num_threads(threads)
    tritorch.set_num_threads(threads)
    table = Table("optimizer_step", torch=torch.__version__, threads=threads)
    for title, shapes in SETS.items():
        for name, options in (("SGD", {"momentum": 0.9}), ("Adam", {}), ("AdamW", {}), ("RMSprop", {})):
            if title == "one of 16 M" and name != "Adam":
                continue
            sides = {
                "ours": stepper(tritorch, name, shapes, options),
                "theirs": stepper(torch, name, shapes, options),
            }
            times = interleave(sides, rounds=7)
            table.add(f"{name}, {title}", times["ours"] * 1e6, times["theirs"] * 1e6, "us", 0.9)
    table.write()


if __name__ == "__main__":
    main()
