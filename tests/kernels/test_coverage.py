"""The README's table of kernels is what the registry says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritorch.kernels import coverage
from tritorch.kernels._op import OPS

README = Path(__file__).parents[2] / "README.md"


def test_readme_is_current():
    text = README.read_text(encoding="utf-8")
    assert coverage.written(text) == text, "run python -m tritorch.kernels.coverage --write README.md"


def test_ways(monkeypatch):
    ops = coverage.own_ops()
    assert {name: coverage.kind(ops[name]) for name in ("add", "softmax", "expand", "fft_c2c")} == {
        "add": "kernel", "softmax": "kernel", "expand": "view", "fft_c2c": "library",
    }  # fmt: skip
    monkeypatch.setattr(OPS["softmax"], "gpu", None)
    assert "the op raises | 1: softmax" in coverage.table()


def test_page_without_marks():
    with pytest.raises(ValueError, match="<!-- coverage -->"):
        coverage.written("# a page")
