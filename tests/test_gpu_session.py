"""The one command for a GPU machine, as a dry run on the emulated device: it runs as it is, and writes its results."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(not shutil.which("bash"), reason="the session is a bash script")
def test_dry_run(tmp_path):
    done = subprocess.run(
        ["bash", str(ROOT / "benchmarks" / "gpu_session.sh"), "--dry-run"], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHON": sys.executable, "OUT": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"}, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    checks, kernels, training = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("checks", "kernels", "training")
    )
    assert checks["driver"]["ok"] and checks["graph_step"]["ok"] and checks["timing"]["ok"] is None and len(checks) == 9
    assert all("s" in row for name, row in kernels["tritorch"].items() if name != "device") and kernels["dry_run"]
    assert len(training["tritorch"]) == 9 and all("s" in v for k, v in training["tritorch"].items() if k != "device")
    assert "say nothing about a GPU" in done.stdout
