"""Timer with a clock of the test's own, measurements, and the table."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import tritorch as torch
from tritorch.utils.benchmark import Compare, Language, Measurement, TaskSpec, Timer, set_torch_threads


class Clock:
    """A second passes at each `tick`; reading takes no time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float = 1.0) -> None:
        self.now += seconds


def timed(seconds: Any) -> Timer:
    clock = Clock()
    steps = iter(seconds) if not isinstance(seconds, float) else None
    return Timer(
        "tick()",
        timer=clock,
        globals={"tick": lambda: clock.tick(seconds if steps is None else next(steps))},
        label="t",
    )


def test_timeit() -> None:
    m = timed(0.5).timeit(10)
    assert m.number_per_run == 10 and m.raw_times == [5.0] and m.times == [0.5] and m.median == m.mean == 0.5
    assert m.label == "t" and m.stmt == "tick()" and m.num_threads == 1


def test_blocked_autorange() -> None:
    calls: list = []
    m = timed(1e-5).blocked_autorange(callback=lambda n, t: calls.append((n, t)), min_run_time=0.2)
    assert m.number_per_run == 100  # a millisecond is the clock's share of 1e-4 and a thousandth of the time
    assert sum(m.raw_times) == pytest.approx(0.2, abs=1.1e-3) and len(calls) == len(m.raw_times)
    assert m.median == pytest.approx(1e-5)


def test_adaptive_autorange() -> None:
    m = timed(1.0).adaptive_autorange(max_run_time=3.0)
    assert len(m.raw_times) == 4  # the time is over, but four it takes anyway
    settles = timed([1.0, 1.0, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]).adaptive_autorange(max_run_time=1e3)
    assert settles.meets_confidence() and len(settles.raw_times) >= 4
    noisy = timed([1.0, 1.0] + [1.0, 9.0] * 100).adaptive_autorange(max_run_time=20.0)
    assert noisy.has_warnings and sum(noisy.raw_times) <= 30


def test_code_and_names() -> None:
    m = Timer(
        """
        y = x + 1
        z = y * 2
        """,
        setup="x = torch.ones(3)",
        num_threads=2,
    ).timeit(2)
    assert m.stmt == "y = x + 1\nz = y * 2" and m.num_threads == 2
    names = {"threads": []}
    Timer("threads.append(torch.get_num_threads())", globals=names, num_threads=3).timeit(1)
    assert set(names["threads"]) == {3} and "torch" not in names
    before = torch.get_num_threads()
    with set_torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_cuda_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    torch.ones(1, device="cuda")
    calls: list = []
    module = importlib.import_module("tritorch.utils.benchmark.timer")
    monkeypatch.setattr(
        module, "synchronize", type("S", (), {"__module__": "tritorch.device", "__call__": lambda s: calls.append(1)})()
    )
    Timer("x + 1", globals={"x": torch.ones(2, device="cuda")}).timeit(1)
    assert len(calls) == 4  # two clock readings, of the warm-up and of the measurement


def test_errors() -> None:
    with pytest.raises(ValueError, match="`str` stmt"):
        Timer(lambda: 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="global_setup"):
        Timer("1", global_setup="int x;")
    with pytest.raises(ValueError, match="Invalid language"):
        Timer("1", language="fortran")
    with pytest.raises(NotImplementedError, match="C\\+\\+"):
        Timer("1", language=Language.CPP)
    with pytest.raises(NameError):
        Timer("nothing_of_this_name").timeit(1)
    with pytest.raises(ValueError, match="instance of `Measurement`"):
        Compare([1])  # type: ignore[list-item]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        Measurement(1, [1.0], TaskSpec("a", "pass")).nothing


def test_measurements_are_merged_and_pickled() -> None:
    task = TaskSpec("a", "pass", label="L")
    (one,) = Measurement.merge([Measurement(10, [1.0], task), Measurement(1, [0.3], TaskSpec("a", "pass", label="L"))])
    assert one.times == [0.1, 0.3]
    copy = pickle.loads(pickle.dumps(one))
    assert copy.times == one.times and copy.task_spec == task and copy.label == "L"


def test_the_table(capsys: pytest.CaptureFixture) -> None:
    def entry(seconds: float, row: str, column: str, threads: int) -> Measurement:
        task = TaskSpec("f(x)", "pass", label="product", sub_label=row, description=column, num_threads=threads)
        return Measurement(1, [seconds], task)

    table = Compare([entry(1e-3 * (i + 1) * n, f"[{n}]", c, n) for n in (1, 2) for i, c in enumerate("ab")])
    table.extend_results([entry(5e-2, "[64]", "a", 2)])
    table.print()
    assert capsys.readouterr().out.splitlines()[:-1] == [
        "[-------- product --------]",
        "            |   a    |   b ",
        "1 threads: ----------------",
        "      [1]   |   1.0  |  2.0",
        "2 threads: ----------------",
        "      [2]   |   2.0  |  4.0",
        "      [64]  |  50.0  |     ",
        "",
        "Times are in milliseconds (ms).",
    ]
