"""`import tritorch` brings in NumPy and its own files; everything heavy waits until it is used."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("triton", "cupy", "matplotlib", "tqdm", "torch", "multiprocessing", "safetensors", "scipy", "unittest")


def test_import_is_light():
    code = f"import sys, tritorch; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []
