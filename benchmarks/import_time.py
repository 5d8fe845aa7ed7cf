"""`import tritorch` against `import numpy` and `import torch`, in new processes. `python benchmarks/import_time.py`

The package is compiled to bytecode first, as pip does when it installs one.
"""

from __future__ import annotations

import compileall
import statistics
from pathlib import Path

from _compare import Table, in_child

CODE = "import time\nstart = time.perf_counter()\nimport {lib}\nresult = {{'seconds': time.perf_counter() - start}}"


def main(rounds: int = 11) -> None:
    compileall.compile_dir(Path(__file__).parents[1] / "tritorch", quiet=2)
    times: dict[str, list[float]] = {"numpy": [], "tritorch": [], "torch": []}
    for r in range(rounds + 1):
        for lib, seconds in times.items():
            took = in_child(CODE.format(lib=lib))["seconds"]
            if r:  # the first round fills the disk cache
                seconds.append(took)
    numpy, ours, torch = (statistics.median(times[lib]) * 1e3 for lib in ("numpy", "tritorch", "torch"))
    table = Table("import_time", rounds=rounds, numpy_ms=numpy)
    table.add("import", ours, torch, "ms")
    # The target is NumPy's own import plus 0.1 s; NumPy stands in torch's column in this row.
    table.add("import, against numpy + 0.1 s", ours, numpy + 100, "ms", target=1.0)
    table.write()


if __name__ == "__main__":
    main()
