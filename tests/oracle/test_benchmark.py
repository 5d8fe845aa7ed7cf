"""Texts and numbers of utils.benchmark against PyTorch's, on given times."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import torch.utils.benchmark as theirs  # noqa: E402

import tritorch.utils.benchmark as ours  # noqa: E402

SIDES = (ours, theirs)
TIMES = [
    [2.5e-6], [2.5e-6, 3e-6], [1e-3, 1.1e-3, 1.2e-3, 0.9e-3, 1.05e-3], [1.0, 2.0, 3.0, 4.0, 5.0], [123.4567e-9] * 7,
    [1e-3, 1.19e-3, 1.2e-3, 0.9e-3], [0.5, 0.5001, 0.5002, 0.5003], np.random.default_rng(0).normal(1e-2, 1e-5, 30).tolist(),
]  # fmt: skip
TASKS: list[dict[str, Any]] = [
    {}, {"label": "L"}, {"label": "L", "sub_label": "S", "description": "D", "env": "E", "num_threads": 4},
    {"stmt": "a\nb", "setup": "q = 1\nr = 2"}, {"stmt": "a", "setup": "q = 1", "description": "D"}, {"sub_label": "S"},
    {"stmt": "a\nb", "sub_label": "S"},
]  # fmt: skip


def made(side: Any, times: list[float], runs: int = 1, **task: Any) -> Any:
    task = {"stmt": "f(x)", "setup": "pass", **task}
    return side.Measurement(runs, [t * runs for t in times], side.TaskSpec(**task))


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("task", TASKS)
def test_a_measurement(times: list[float], task: dict[str, Any]) -> None:
    a, b = (made(side, times, 10, **task) for side in SIDES)
    for name in ("median", "mean", "iqr"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-6, abs=1e-12), name
    for name in ("significant_figures", "has_warnings", "title", "as_row_name", "env", "stmt", "label", "num_threads"):
        assert getattr(a, name) == getattr(b, name), name
    assert repr(a).splitlines()[1:] == repr(b).splitlines()[1:]


def results(side: Any, seed: int) -> list:
    rng = np.random.default_rng(seed)
    found = []
    for row, column, threads, env in itertools.product(
        ("[1]", "[64, 64]", None), ("a", "a long one"), (1, 4), ("e", "far")
    ):
        if rng.random() < 0.8:
            scale = 10.0 ** rng.uniform(-7, -1 if seed else -6)
            spread = rng.choice([1e-3, 0.3])
            times = (scale * (1 + spread * rng.random(6))).tolist()
            label = rng.choice(["mul", "add"])
            found.append(
                made(side, times, label=label, sub_label=row, description=column, num_threads=threads, env=env if seed % 2 else None)
            )  # fmt: skip
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("how", ["plain", "trimmed", "columns", "rows", "warned"])
def test_a_table(seed: int, how: str) -> None:
    texts = []
    for side in SIDES:
        table = side.Compare(results(side, seed))
        if how == "trimmed":
            table.trim_significant_figures()
        elif how == "warned":
            table.highlight_warnings()
        elif how != "plain":
            table.colorize(rowwise=how == "rows")
        texts.append(str(table).splitlines())
    for a, b in zip(*texts, strict=True):
        assert a == b


def test_small_functions() -> None:
    for t in (1.0, 0.5, 3e-3, 2.2e-5, 7e-9, 1e-12, 120.0):
        assert ours.select_unit(t) == theirs.select_unit(t)
    for x, n in ((123456.0, 3), (3.14159, 2), (0.000123456, 4), (-7.77, 1)):
        assert ours.trim_sigfig(x, n) == pytest.approx(theirs.trim_sigfig(x, n), rel=1e-6)
    assert ours.unit_to_english("us") == theirs.unit_to_english("us")
    assert ours.ordered_unique("abcab") == theirs.ordered_unique("abcab")
