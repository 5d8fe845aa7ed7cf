"""MB/s of saving and loading a state dict of 100 MB, in turn: `python benchmarks/save_load.py`.

Both write the same bytes to the same file system. Ours also flushes them to the disk (fsync) and renames; "both on the
disk" is PyTorch with an fsync after it. Ours checks every byte that it loads, which PyTorch does not: "both checked" is
PyTorch with a CRC-32 of the bytes beside it. The last row is a file that PyTorch wrote, where ours has the CRC-32 to
check by alone.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import zlib

import numpy as np
import torch
from _compare import Table

import tritorch

MB = 100
ROUNDS = 9


def main() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.random((1250, 1000), np.float32) for _ in range(MB // 5)]
    states = {lib: {f"layer{i}.weight": lib.tensor(a) for i, a in enumerate(arrays)} for lib in (tritorch, torch)}
    size = sum(a.nbytes for a in arrays) / 1e6
    table = Table("save_load", torch=torch.__version__, megabytes=size)
    times: dict[str, list[float]] = {}

    def timed(key: str, fn) -> None:
        start = time.perf_counter()
        fn()
        times.setdefault(key, []).append(time.perf_counter() - start)

    with tempfile.TemporaryDirectory() as folder:
        path = {lib: os.path.join(folder, lib.__name__) for lib in states}

        def synced() -> None:
            torch.save(states[torch], path[torch])
            fd = os.open(path[torch], os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)

        def checked() -> None:
            loaded = torch.load(path[torch])
            for t in loaded.values():
                zlib.crc32(t.numpy())

        for r in range(ROUNDS):
            for lib in (tritorch, torch) if r % 2 else (torch, tritorch):
                name = lib.__name__
                timed(f"save {name}", lambda lib=lib: lib.save(states[lib], path[lib]))
                os.sync()
                timed(f"load {name}", lambda lib=lib: lib.load(path[lib]))
                timed(f"mmap {name}", lambda lib=lib: lib.load(path[lib], mmap=True))
            timed("save synced", synced)
            timed("load checked", checked)
            timed("load of torch's", lambda: tritorch.load(path[torch]))
    rate = {key: size / statistics.median(ts) for key, ts in times.items()}
    table.add("save, ours on the disk", rate["save tritorch"], rate["save torch"], "MB/s", 1.0)
    table.add("save, both on the disk", rate["save tritorch"], rate["save synced"], "MB/s", 1.0)
    table.add("load", rate["load tritorch"], rate["load torch"], "MB/s", 1.0)
    table.add("load, both checked", rate["load tritorch"], rate["load checked"], "MB/s", 1.0)
    table.add("load of torch's file", rate["load of torch's"], rate["load torch"], "MB/s")
    table.add("load with mmap=True", rate["mmap tritorch"], rate["mmap torch"], "MB/s", 1.0)
    table.write()


if __name__ == "__main__":
    main()
