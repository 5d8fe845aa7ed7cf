"""`python -m tritorch.kernels.coverage`: how many ops have a Triton kernel, the table of the README.

`--write README.md` puts it between the marks `<!-- coverage -->` and `<!-- /coverage -->` there.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
from pathlib import Path

from . import LIBRARY_OPS
from ._op import OPS, Op

MARKS = ("<!-- coverage -->", "<!-- /coverage -->")


def own_ops() -> dict[str, Op]:
    """All ops of the package, by name; ops that a user registered are left out."""
    package = importlib.import_module("tritorch.kernels")
    for info in pkgutil.iter_modules(package.__path__):
        if info.name not in ("_driver", "_interpreter", "report", "coverage"):  # the former need Triton
            importlib.import_module(f"tritorch.kernels.{info.name}")
    return {name: op for name, op in OPS.items() if family(op).startswith("tritorch.") or family(op) == "elementwise"}


def family(op: Op) -> str:
    """The module that declares an op; "elementwise" for a line of the table."""
    if hasattr(op, "triton"):
        return "elementwise"
    return op.cpu.__module__


def kind(op: Op) -> str:
    """How an op runs on cuda: kernel, view (no kernel is needed), library, or none."""
    if op.name in LIBRARY_OPS:
        return "library"
    if op.view:
        return "view"
    return "kernel" if op.gpu is not None or getattr(op, "triton", None) is not None else "none"


def table() -> str:
    """The table in Markdown: a row per way, with the ops that have no kernel named."""
    ops = own_ops()
    names: dict[str, list[str]] = {"kernel": [], "view": [], "library": [], "none": []}
    for name, op in sorted(ops.items()):
        names[kind(op)].append(name)
    fused = sum(op.gpu_grad is not None for op in ops.values())
    lines = [
        f"| {len(ops)} ops on `cuda` | number |",
        "|---|---|",
        f"| a Triton kernel | {len(names['kernel'])}, {fused} of them with a fused backward |",
        f"| views, which need none | {len(names['view'])} |",
        f"| CuPy's libraries (FFT, decompositions) | {len(names['library'])} |",
        f"| none: the op raises | {len(names['none'])}{': ' if names['none'] else ''}{', '.join(names['none'])} |",
    ]
    return "\n".join(lines)


def written(text: str) -> str:
    """A page with the table between the marks; ValueError when the marks are missing."""
    made, n = re.subn(
        re.escape(MARKS[0]) + ".*?" + re.escape(MARKS[1]), lambda _: f"{MARKS[0]}\n{table()}\n{MARKS[1]}", text,
        flags=re.S,
    )  # fmt: skip
    if not n:
        raise ValueError(f"coverage: the page has no {MARKS[0]} ... {MARKS[1]}")
    return made


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tritorch.kernels.coverage", description=__doc__.splitlines()[0])
    parser.add_argument("--write", metavar="PAGE", help="put the table into this page")
    options = parser.parse_args(arguments)
    if options.write:
        path = Path(options.write)
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())


if __name__ == "__main__":
    main()
