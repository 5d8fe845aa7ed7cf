"""Side-by-side timing: ours and theirs in turn, so that a busy machine slows both; medians, ratios, JSON.

Libraries can share a process (`interleave`), or each gets its own (`in_child`), which memory and import times need.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def once(fn: Callable[[], object], number: int) -> float:
    """Seconds per call, over `number` calls."""
    start = time.perf_counter()
    for _ in range(number):
        fn()
    return (time.perf_counter() - start) / number


def enough(fn: Callable[[], object], seconds: float) -> int:
    """How many calls take about `seconds`."""
    number = 1
    while True:
        took = once(fn, number) * number
        if took >= seconds / 5:
            return max(1, round(number * seconds / took))
        number *= 5


def interleave(
    sides: dict[str, Callable[[], object]], rounds: int = 101, seconds: float = 0.002, collector: bool = True
) -> dict[str, float]:
    """Median seconds per call of each side, measured in turn.

    Args:
        sides: name -> function without arguments.
        rounds: measurements of each side.
        seconds: about how long one measurement takes; shorter than the system's time slice, so that on a busy machine
            most measurements are not interrupted, and the median is one of those.
        collector: leave Python's cyclic garbage collector on, as in a user's program.
    """
    numbers = {name: enough(fn, seconds) for name, fn in sides.items()}
    times: dict[str, list[float]] = {name: [] for name in sides}
    gc.collect()
    if not collector:
        gc.disable()
    try:
        for r in range(rounds):
            names = list(sides) if r % 2 else list(sides)[::-1]
            for name in names:
                times[name].append(once(sides[name], numbers[name]))
    finally:
        gc.enable()
    return {name: statistics.median(ts) for name, ts in times.items()}


def in_child(code: str, env: dict[str, str] | None = None) -> dict:
    """Run `code` in a new Python process; what it prints last is JSON. Adds its peak memory in MiB (VmHWM)."""
    tail = (
        "\nimport json as _json\n"
        "_peak = next(l for l in open('/proc/self/status') if l.startswith('VmHWM'))\n"
        "print(_json.dumps({**result, 'peak_mib': int(_peak.split()[1]) / 1024}))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, env={**os.environ, **(env or {})}
    )
    if run.returncode:
        raise RuntimeError(f"a child failed:\n{run.stderr}")
    return json.loads(run.stdout.splitlines()[-1])


def machine() -> dict[str, str | int]:
    """What the figures were taken on."""
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count() or 0,
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


class Table:
    """Rows of ours against theirs; printed as they come, written to `results/NAME.json` at the end."""

    def __init__(self, name: str, **about: object):
        self.name = name
        self.about = {**machine(), **about}
        self.rows: list[dict] = []
        print(f"{name}: {self.about}")
        print(f"{'':34s} {'tritorch':>10s} {'torch':>10s} {'':4s} {'ratio':>6s} {'target':>7s}")

    def add(
        self, case: str, ours: float, theirs: float, unit: str, target: float | None = None, floor: float | None = None
    ) -> None:
        """One row. `target` bounds ours / theirs, from below for rates (a unit that ends in /s), else from above;
        `floor` is the least that NumPy needs."""
        ratio = ours / theirs
        rate = unit.endswith("/s")
        ok = target is None or (ratio >= target if rate else ratio <= target)
        row = {"case": case, "ours": ours, "theirs": theirs, "unit": unit, "ratio": ratio, "target": target, "ok": ok}
        if floor is not None:
            row["floor"] = floor
        self.rows.append(row)
        bound = "" if target is None else f"{'>' if rate else '<'} {target:5.2f}"
        least = "" if floor is None else f"  NumPy's floor {floor:.2f}, {floor / theirs:.2f} of theirs"
        print(
            f"{case:34s} {ours:10.2f} {theirs:10.2f} {unit:4s} {ratio:6.2f} {bound:>7s}"
            f"{'' if ok else '  missed'}{least}"
        )

    def write(self) -> None:
        """Write the JSON file."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.name}.json"
        path.write_text(json.dumps({"about": self.about, "rows": self.rows}, indent=1) + "\n")
        missed = [row["case"] for row in self.rows if not row["ok"]]
        print(f"{len(self.rows) - len(missed)} of {len(self.rows)} rows within target; written to {path.name}")
