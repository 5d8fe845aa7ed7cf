"""What README.md says holds: its two commands, its extras, its links, its example."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.M | re.S)


def test_it_opens_with_the_demo_and_the_tests():
    (first, demo), (second, tests) = BLOCKS[:2]
    assert first == second == "bash"
    assert "-m tritorch.demo" in demo and "-m pytest" in tests
    for block in (demo, tests):
        assert block.startswith("python3 -m venv ") and "/bin/pip install" in block


def test_ci_runs_the_second_block():
    line = next(line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("block=$("))
    code = f'{line}\nprintf "%s\\n" "$block"'
    run = subprocess.run(["bash", "-euo", "pipefail", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == BLOCKS[1][1]


def test_each_extra_is_named():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    rows = re.findall(r"^\| (`[^|]+`) \|", README.split("## Install")[1], re.M)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(project["optional-dependencies"])


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_example_runs():
    (code,) = [text for kind, text in BLOCKS if kind == "python"]
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["model"][0].weight.grad.shape == (16, 8)
