"""Samples per second of the DataLoader: 60,000 samples of 28x28, batches of 64, 0 and 2 workers.

Both libraries in one process, epoch by epoch in turn; each dataset's own tensors. `python benchmarks/dataloader.py`
"""

from __future__ import annotations

import statistics
import time

import torch
import torch.utils.data as theirs
from _compare import Table

import tritorch
import tritorch.utils.data as ours

N = 60_000


class Custom:
    """A dataset as users write it: one sample per call."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int):
        return self.images[i], self.labels[i]


def epoch(loader) -> float:
    """Seconds for one pass; checks that each sample came once."""
    start = time.perf_counter()
    seen = 0
    for _, labels in loader:
        seen += len(labels)
    took = time.perf_counter() - start
    assert seen == N
    return took


def main(rounds: int = 3) -> None:
    table = Table("dataloader", torch=torch.__version__, samples=N, batch_size=64, rounds=rounds)
    data = {}
    for name, lib in (("ours", tritorch), ("theirs", torch)):
        lib.manual_seed(0)
        data[name] = lib.rand(N, 1, 28, 28), lib.arange(N) % 10
    kinds = {
        "Dataset with __getitem__": lambda module, pair: Custom(*pair),
        "TensorDataset": lambda module, pair: module.TensorDataset(*pair),
    }
    for workers in (0, 2):
        for kind, make in kinds.items():
            loaders = {
                name: module.DataLoader(make(module, data[name]), batch_size=64, shuffle=True, num_workers=workers)
                for name, module in (("ours", ours), ("theirs", theirs))
            }
            times: dict[str, list[float]] = {name: [] for name in loaders}
            for r in range(rounds):
                for name in list(loaders) if r % 2 else list(loaders)[::-1]:
                    times[name].append(epoch(loaders[name]))
            rate = {name: N / statistics.median(ts) for name, ts in times.items()}
            table.add(f"{kind}, {workers} workers", rate["ours"], rate["theirs"], "/s", target=1.0)
    table.write()


if __name__ == "__main__":
    main()
