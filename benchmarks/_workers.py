"""One process per library and thread count, that take turns: each has its own memory, its own malloc and its own pool.

`turns(cases, sides)` starts the processes, sends each case to all of them, and lets them measure in turn until the
case's time is spent. A process is `python _workers.py LIBRARY THREADS MODULE`; it reads one JSON request per line.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

KEPT = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
"""glibc keeps freed blocks: what tritorch asks for by itself. For torch it is what a user can set."""

SIDES: dict[str, tuple[str, int, dict[str, str]]] = {
    "ours": ("tritorch", 0, {}),
    "torch 1": ("torch", 1, {}),
    "torch 2": ("torch", 2, {}),
    "torch 2, memory kept": ("torch", 2, KEPT),
}


@dataclass
class Times:
    """Seconds per call of one side: the least, the median, and the least processor time of a measurement."""

    least: float
    median: float
    cpu: float


class Worker:
    """A child process with one library."""

    def __init__(self, library: str, threads: int, module: str, env: dict[str, str]):
        self.child = subprocess.Popen(
            [sys.executable, __file__, library, str(threads), module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
        )

    def ask(self, **request: object) -> dict:
        assert self.child.stdin is not None and self.child.stdout is not None
        self.child.stdin.write(json.dumps(request) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError(f"the child of {request} ended with {self.child.wait()}")
        return json.loads(line)

    def close(self) -> None:
        assert self.child.stdin is not None
        self.child.stdin.close()
        self.child.wait()


def turns(
    module: str, cases: list[str], seconds: float, sides: dict | None = None, slice_: float = 0.02
) -> Iterator[tuple[str, dict[str, Times]]]:
    """Measure each case: all sides in turn, for about `seconds` in total, each side at least 3 times."""
    sides = SIDES if sides is None else sides
    workers = {name: Worker(lib, threads, module, env) for name, (lib, threads, env) in sides.items()}
    try:
        for case in cases:
            for worker in workers.values():
                worker.ask(do="make", case=case, slice=slice_)
            seen: dict[str, list[dict]] = {name: [] for name in workers}
            end = time.perf_counter() + seconds
            while time.perf_counter() < end or len(seen[next(iter(seen))]) < 3:
                for name in list(workers) if len(seen["ours"]) % 2 else list(workers)[::-1]:
                    seen[name].append(workers[name].ask(do="time"))
            for worker in workers.values():
                worker.ask(do="drop")
            yield case, {name: _times(runs) for name, runs in seen.items()}
    finally:
        for worker in workers.values():
            worker.close()


def _times(runs: list[dict]) -> Times:
    wall = [r["wall"] for r in runs]
    return Times(min(wall), statistics.median(wall), min(r["cpu"] for r in runs))


def _serve(library: str, threads: int, module: str) -> None:
    lib = importlib.import_module(library)
    if threads:
        lib.set_num_threads(threads)
    make: Callable = importlib.import_module(module).make
    run: Callable[[], object] = lambda: None  # noqa: E731
    number = 1
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict = {}
        if request["do"] == "make":
            lib.manual_seed(0)
            run = make(lib, request["case"])
            run()
            start = time.perf_counter()
            run()
            once = time.perf_counter() - start
            number = max(1, round(request["slice"] / once))
            gc.collect()
        elif request["do"] == "time":
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(number):
                run()
            answer = {
                "wall": (time.perf_counter() - wall) / number,
                "cpu": (time.process_time() - cpu) / number,
            }
        else:
            run = lambda: None  # noqa: E731
            gc.collect()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
