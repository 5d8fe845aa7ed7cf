"""The one command for a GPU machine, as a dry run on the emulated device: it runs as it is, and writes its results."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
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
    assert {name for name, row in checks.items() if row["ok"] is None} == {"illegal_address", "timing"} and len(
        checks
    ) == 12
    assert (
        all(row["ok"] for row in checks.values() if row["ok"] is not None)
        and checks["ops_against_numpy"]["seen"]["ops"] == 4
    )
    assert all("s" in row for name, row in kernels["tritorch"].items() if name != "device") and kernels["dry_run"]
    assert len(training["tritorch"]) == 9 and all("s" in v for k, v in training["tritorch"].items() if k != "device")
    assert "say nothing about a GPU" in done.stdout
    parts = json.loads((tmp_path / "session.json").read_text())
    assert [(p["part"], p["exit"]) for p in parts] == [("checks", 0), ("kernels", 0), ("training", 0)]


def test_the_limits_add_up_to_nine_minutes():
    text = (ROOT / "benchmarks" / "gpu_session.sh").read_text()
    limits = [int(n) for n in re.findall(r"\bpart \w+ (\d+) ", text)]
    own = [int(n) for n in re.findall(r"--seconds (\d+)", text)]
    assert len(limits) == 4 and sum(limits) <= 540
    assert len(own) == 3 and all(n + 10 <= limit for n, limit in zip(own, [limits[0], *limits[2:]], strict=True))


@pytest.fixture
def children(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("_children")


def test_what_a_child_said_before_its_end_counts(children, tmp_path):
    talks = "import json, sys, time\nfor i in range(3): print('JSON ' + json.dumps({'i': i}), flush=True)\n"
    jobs = {
        "well": ["-c", talks], "late": ["-c", talks + "time.sleep(60)"], "failed": ["-c", talks + "sys.exit('no ' + 'way')"],
        "silent": ["-c", "print('nothing')"], "torn": ["-c", talks + "print('JSON {\"i\": 7', flush=True)"],
    }  # fmt: skip
    begin = time.monotonic()
    answers = children.run(jobs, 4, together=5)
    assert time.monotonic() - begin < 30
    assert list(answers) == list(jobs)
    assert {name: a.found for name, a in answers.items()} == {
        "well": {"i": 2}, "late": {"i": 2}, "failed": {"i": 2}, "silent": None, "torn": {"i": 2},
    }  # fmt: skip
    assert answers["well"].trouble == answers["silent"].trouble == ""
    assert "not done after 4 s" in answers["late"].trouble and "exit 1: no way" in answers["failed"].trouble


def test_jobs_beyond_the_time_are_not_begun(children):
    sleeping = ["-c", "import time; time.sleep(60)"]
    answers = children.run({"a": sleeping, "b": sleeping}, 0.5)
    assert "not done" in answers["a"].trouble and "not begun" in answers["b"].trouble
