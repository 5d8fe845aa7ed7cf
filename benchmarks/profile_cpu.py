"""Where the time of a workload of the CPU tables goes: the lines of tritorch at work, by sampling, on one thread.

`python benchmarks/profile_cpu.py [words that a name must contain] [--seconds 3]`; without words, for the workloads that
are slower than their targets, written to results/profile_cpu.txt. A line that is a call of NumPy shows the time of the
call; what is left to Python is spread over the lines of the layers above. (Deterministic profilers do not see NumPy's
ufuncs, and slow Python down.)
"""

from __future__ import annotations

import argparse
import linecache
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import ops_cpu
import training_cpu
from _compare import RESULTS

import tritorch

PACKAGE = Path(tritorch.__file__).parent
SLOW = [
    "sum 8 M, fwd", "sum rows 8192x1024, fwd", "softmax 1024x1024, fwd", "log_softmax 1024x1024, fwd+bwd",
    "layer norm 4096x768, fwd", "layer norm 4096x768, fwd+bwd", "conv 64->64 3x3, 32 of 32x32, fwd",
    "conv 64->64 3x3, 32 of 32x32, fwd+bwd", "conv 64->128 stride 2, 8 of 56x56, fwd",
    "conv 64->128 stride 2, 8 of 56x56, fwd+bwd", "conv depthwise 128, 16 of 28x28, fwd",
    "conv depthwise 128, 16 of 28x28, fwd+bwd", "batch norm 32x64x32x32, fwd+bwd", "group norm 32x64x32x32, fwd",
    "group norm 32x64x32x32, fwd+bwd", "pad reflect 32x64x32x32, fwd", "pad reflect 32x64x32x32, fwd+bwd",
    "bce with logits 1 M, fwd", "SGD momentum, one of 16 M", "SGD momentum, GPT 4 x 128", "Adam, GPT 4 x 128", "LeNet",
    "LSTM",
]  # fmt: skip

Place = tuple[str, int]


def line_of(thread: int) -> Place | None:
    """The innermost line of tritorch that `thread` is at."""
    frame = sys._current_frames().get(thread)
    while frame is not None and not frame.f_code.co_filename.startswith(str(PACKAGE)):
        frame = frame.f_back
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def sample(fn: Callable[[], object], seconds: float, every: float = 2e-4) -> tuple[Counter[Place | None], float]:
    """How often each line was met while `fn` ran again and again, and the seconds of one run."""
    found: Counter[Place | None] = Counter()
    caller, stop = threading.get_ident(), threading.Event()

    def watch() -> None:
        while not stop.wait(every):
            found[line_of(caller)] += 1

    fn()
    watcher, interval = threading.Thread(target=watch), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # else Python code keeps the watcher waiting, and is met less than calls of NumPy
    watcher.start()
    runs, start = 0, time.perf_counter()
    while time.perf_counter() < start + seconds:
        fn()
        runs += 1
    took = (time.perf_counter() - start) / runs
    stop.set()
    watcher.join()
    sys.setswitchinterval(interval)
    return found, took


def report(name: str, found: Counter[Place | None], took: float, to: TextIO, least: float = 0.02) -> None:
    """A line for each place with `least` of the time, the longest first, and a last one for all others."""
    total = sum(found.values())
    print(f"\n{name}: {took * 1e3:.2f} ms on one thread", file=to)
    rest = 1.0
    for place, n in found.most_common():
        if place is None or n < least * total:
            continue
        file, number = place
        rest -= n / total
        where = f"{Path(file).relative_to(PACKAGE)}:{number}"
        print(f"{n / total:7.1%}  {where:34} {linecache.getline(file, number).strip()[:88]}", file=to)
    print(f"{rest:7.1%}  lines below {least:.0%}", file=to)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    tritorch.set_num_threads(1)
    known = [*ops_cpu.CASES, *training_cpu.CASES]
    names = [name for name in known if any(word in name for word in args.words)] if args.words else SLOW
    path = RESULTS / "profile_cpu.txt"
    with open(path.with_suffix(".new"), "w") if not args.words else sys.stdout as to:
        for name in names:
            make = training_cpu.make if name in training_cpu.CASES else ops_cpu.make
            report(name, *sample(make(tritorch, name), args.seconds), to)
    if not args.words:
        path.with_suffix(".new").replace(path)


if __name__ == "__main__":
    main()
