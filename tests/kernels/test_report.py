"""The ahead-of-time report: recording, compiling without a GPU, judging. A child process, for this one interprets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="compiling needs Triton; install tritorch[triton]")

FAULTY = """
from __future__ import annotations
import sys
from typing import TYPE_CHECKING
from tritorch.kernels import report
from tritorch.kernels._launch import empty, kernel, launch
if TYPE_CHECKING:
    import triton.language as tl

@kernel
def _mm(a_ptr, b_ptr, c_ptr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, STEPS: tl.constexpr):
    i, j, k = tl.arange(0, M)[:, None], tl.arange(0, N)[None, :], tl.arange(0, K)
    acc = tl.zeros((M, N), tl.float32)
    for s in range(STEPS):
        a = tl.load(a_ptr + i * K * STEPS + k[None, :] + s * K)
        b = tl.load(b_ptr + (k[:, None] + s * K) * N + j)
        acc += tl.dot(a, b)
    tl.store(c_ptr + i * N + j, acc)

@kernel
def _copy(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.load(x_ptr + i, mask=i < n, other=0), mask=i < n)

@kernel
def _broken(x_ptr):
    tl.store(x_ptr, tl.nonsense(1))

def mm(array, m, n, k, steps=4, **options):
    a, b, c = array((m, k * steps), "bf16"), array((k * steps, n), "bf16"), empty((m, n), "f4")
    launch(_mm, (1,), a, b, c, M=m, N=n, K=k, STEPS=steps, **options)

CASES = {
    "good": (lambda array: mm(array, 64, 64, 32), True),
    "spill": (lambda array: mm(array, 128, 128, 64, num_warps=8, maxnreg=64), True),
    "shared": (lambda array: mm(array, 128, 256, 64, num_warps=8, num_stages=6), True),
    "no matrix": (lambda array: launch(_copy, (8,), array((8192,)), empty((8192,), "f4"), 8192, BLOCK=1024), True),
    "broken": (lambda array: launch(_broken, (1,), array((1,)),), False),
    "plain": (lambda array: launch(_copy, (8,), array((8192,)), empty((8192,), "f4"), 8192, BLOCK=1024), False),
}
rows = []
for name, (run, matrix) in CASES.items():
    target = "sm_80" if name == "spill" else "sm_90"
    for one in report.record(run, name, target, matrix):
        rows.append(report.compile_one(one, target))
again = report.compile_one(report.record(CASES["plain"][0], "plain", "gfx942")[0], "gfx942")
import json
print(json.dumps([r._asdict() for r in [*rows, again]]))
assert "torch" not in sys.modules
"""


def _environment(folder: Path) -> dict[str, str]:
    return dict(os.environ, TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(folder), PYTHONPATH=os.pathsep.join(sys.path))


def test_faults_are_found(tmp_path):
    (tmp_path / "faulty_kernels.py").write_text(FAULTY)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "faulty_kernels.py")], env=_environment(tmp_path / "cache"), check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rows = {(r["case"], r["target"]): r for r in json.loads(done.stdout.splitlines()[-1])}
    good, plain, amd = rows["good", "sm_90"], rows["plain", "sm_90"], rows["plain", "gfx942"]
    assert good["fault"] == "" and good["counts"]["HGMMA"] > 0 and good["spill"] == 0 and good["shared"] > 0
    assert plain["fault"] == "" and plain["counts"]["LDG128"] == plain["counts"]["STG128"] == 2
    assert amd["fault"] == "" and amd["counts"]["load128"] > 0 and amd["registers"] > 0
    assert "spills" in rows["spill", "sm_80"]["fault"]
    assert "shared memory" in rows["shared", "sm_90"]["fault"]
    assert rows["no matrix", "sm_90"]["fault"] == "no matrix instruction"
    assert "does not compile" in rows["broken", "sm_90"]["fault"] and "nonsense" in rows["broken", "sm_90"]["fault"]


def test_elementwise_kernels_pass_and_are_vectorised(tmp_path):
    out = tmp_path / "rows.json"
    command = [
        sys.executable,
        "-m",
        "tritorch.kernels.report",
        r"pointwise: (add bf16 flat|copy transposed)",
        "--json",
        str(out),
    ]
    done = subprocess.run(command, env=_environment(tmp_path / "cache"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    rows = json.loads(out.read_text())
    assert {r["target"] for r in rows} == {"sm_80", "sm_90", "sm_100", "gfx942"} and len(rows) == 8
    for r in rows:
        assert r["spill"] == 0 and r["fault"] == ""
        if r["target"].startswith("sm"):
            assert r["counts"]["LDG128"] >= 2 and r["counts"]["STG128"] >= 1
    assert "2 kernels, 8 binaries, 0 faults" in done.stdout


def test_nothing_to_judge_is_a_failure():
    command = [sys.executable, "-m", "tritorch.kernels.report", "no such case"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False
    )  # interpreted here, so it starts a child
    assert done.returncode == 1 and "0 kernels" in done.stdout
