"""Profiles of the same script by PyTorch and here: names, counts, nesting, shapes, memory, flops, columns, phases."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402
from tritorch.profiler import names  # noqa: E402

LIBS = {"ours": tritorch, "theirs": torch}


@pytest.fixture(scope="module")
def profiles() -> dict[str, Any]:
    """Two training steps of an MLP, on both sides."""
    made = {}
    for side, lib in LIBS.items():
        lib.manual_seed(0)
        nn = lib.nn
        model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4), nn.Tanh())
        optimizer = lib.optim.SGD(model.parameters(), lr=0.1)
        data = lib.utils.data.TensorDataset(lib.randn(8, 8), lib.randn(8, 4))
        with lib.profiler.profile(
            activities=[lib.profiler.ProfilerActivity.CPU], record_shapes=True, profile_memory=True, with_flops=True
        ) as prof:
            for x, y in lib.utils.data.DataLoader(data, batch_size=4):
                with lib.profiler.record_function("forward"):
                    loss = nn.functional.mse_loss(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        made[side] = prof
    return made


def both(profiles: dict[str, Any], look: Any) -> tuple[Any, Any]:
    return look(profiles["ours"]), look(profiles["theirs"])


def within(event: Any) -> list[str]:
    """The names of what ran directly within an event; the losses of PyTorch's Python call `broadcast_tensors` first."""
    called = sorted(event.cpu_children, key=lambda c: c.time_range.start)
    return [c.name for c in called if c.name != "aten::broadcast_tensors"]


def test_recorded_names_are_those_of_the_dispatcher():
    known = {n.split(".")[0] for n in torch._C._dispatch_get_all_op_names()}
    used = {t.name for t in names.targets(True) if t.kind == "op" and isinstance(t.name, str)}
    assert not {n for n in used if n.startswith("aten::")} - known
    assert not {n for n in used if n.startswith("tritorch::") and n.replace("tritorch", "aten") in known}


def test_ops_of_the_forward(profiles: dict[str, Any]):
    def look(prof: Any) -> list[Any]:
        ranges = [e for e in prof.events() if e.name == "forward"]
        return [within(e) for e in ranges]

    ours, theirs = both(profiles, look)
    assert ours == theirs and len(ours) == 2 and len(ours[0]) == 5


def each(*calls: Any) -> Any:
    return lambda x: [call(x) for call in calls]


CALLS = {
    "convolution": lambda lib: lib.nn.Conv2d(4, 2, 3),
    "transposed": lambda lib: lib.nn.ConvTranspose2d(4, 2, 3),
    "norms": lambda lib: each(lib.nn.BatchNorm2d(4), lib.nn.LayerNorm(8), lib.nn.GroupNorm(2, 4)),
    "pools": lambda lib: each(lib.nn.MaxPool2d(2), lib.nn.AvgPool2d(2), lib.nn.AdaptiveAvgPool2d(1)),
    "activations": lambda lib: each(*[getattr(lib.nn, n)() for n in ("GELU", "SiLU", "ELU", "Sigmoid", "LeakyReLU")]),
    "softmax": lambda lib: each(lib.nn.Softmax(1), lib.nn.LogSoftmax(1)),
    "dropout": lambda lib: each(lib.nn.Dropout(), lib.nn.Flatten()),
    "embedding": lambda lib: (lambda x, m=lib.nn.Embedding(4, 2): m(lib.arange(4))),
    "attention": lambda lib: lambda x: lib.nn.functional.scaled_dot_product_attention(x, x, x),
    "losses": lambda lib: lambda x: [getattr(lib.nn, n)()(x, x) for n in ("L1Loss", "SmoothL1Loss", "BCEWithLogitsLoss")],
    "cross_entropy": lambda lib: lambda x: lib.nn.CrossEntropyLoss()(x.reshape(-1, 8), lib.arange(64)[:64] % 8),
    "views": lambda lib: lambda x: (x.reshape(-1), x.view(-1), x.mT, x[0], x[1:], x[None], x.chunk(2), x.expand(2, 4, 8, 8)),
    "reductions": lambda lib: lambda x: (x.sum(), x.mean(0), x.max(), x.argmax(1), x.std(), x.cumsum(0), x.sort(), x.all()),
    "arithmetic": lambda lib: lambda x: (x + 1, 2 * x, x - x, x / x, x**2, -x, abs(x), x > 0, x.clamp(0, 1), x @ x),
    "in_place": lambda lib: lambda x: (x.add_(1), x.exp_(), x.zero_(), x.copy_(x + 1), x.masked_fill_(x > 0, 1.0)),
    "created": lambda lib: lambda x: (lib.zeros(2), lib.ones(2), lib.randn(2), lib.arange(3), lib.full((2,), 1.0), lib.eye(2)),
    "joined": lambda lib: lambda x: (lib.cat([x, x]), lib.stack([x, x]), x.repeat(2, 1, 1, 1), x.clone(), x.detach()),
    "converted": lambda lib: lambda x: (x.to(lib.float64), x.double(), x.float(), lib.where(x > 0, x, x), x.sum().item()),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_names_of_calls(name: str):
    """What PyTorch's table shows at the top of a call is what ours shows."""
    seen = {}
    for side, lib in LIBS.items():
        x, call = lib.ones(2, 4, 8, 8), CALLS[name](lib)
        with lib.profiler.profile(activities=[lib.profiler.ProfilerActivity.CPU]) as prof:
            with lib.profiler.record_function("range"):
                call(x)
        seen[side] = within(next(e for e in prof.events() if e.name == "range"))
    assert seen["ours"] == seen["theirs"] and seen["ours"]


def test_backward_nodes_and_ranges(profiles: dict[str, Any]):
    def look(prof: Any) -> Counter:
        kept = ("Backward0", "AccumulateGrad", "forward", "step", "zero_grad", "__next__")
        return Counter(
            e.name
            for e in prof.events()
            if e.name.endswith(kept) and not e.name.startswith(("autograd::engine", "TBackward0"))
        )

    ours, theirs = both(profiles, look)  # a weight's transpose is part of the product here
    assert ours == theirs and ours["AddmmBackward0"] == 4 and ours["Optimizer.step#SGD.step"] == 2


def test_shapes_memory_and_flops(profiles: dict[str, Any]):
    def look(prof: Any) -> list[Any]:
        found = {e.key: e for e in prof.key_averages()}
        linear = next(e for e in prof.events() if e.name == "aten::linear")
        memory = [found[f"aten::{n}"].cpu_memory_usage for n in ("linear", "relu", "tanh")]
        flops = found.get("aten::addmm", found["aten::linear"]).flops
        groups = [e.count for e in prof.key_averages(group_by_input_shape=True) if e.key == "aten::linear"]
        return [linear.input_shapes, memory, flops, sorted(groups)]

    ours, theirs = both(profiles, look)
    assert ours == theirs


def test_columns(profiles: dict[str, Any]):
    def columns(prof: Any) -> list[str]:
        table = prof.key_averages(group_by_input_shape=True).table(sort_by="cpu_time_total", row_limit=5)
        return [t.strip() for t in table.splitlines()[1].split("  ") if t.strip()]

    ours, theirs = both(profiles, columns)
    assert ours[: len(theirs) - 1] == theirs[:-1]  # the last one counts flops in a unit that depends on the rows
    assert ours[len(theirs) - 1].startswith("Total") and theirs[-1].startswith("Total")


def test_phases_of_the_trace(profiles: dict[str, Any], tmp_path: Path):
    def look(side: str) -> tuple[set, dict]:
        path = tmp_path / f"{side}.json"
        profiles[side].export_chrome_trace(str(path))
        trace = json.loads(path.read_text())
        events = trace["traceEvents"]
        kinds = {(e["ph"], e.get("cat")) for e in events if e["ph"] != "i"}  # moments: allocations, and the tool's own
        keys = {e["cat"]: set(e) for e in events if e.get("cat") in ("cpu_op", "user_annotation", "fwdbwd")}
        return kinds, keys

    ours, theirs = look("ours"), look("theirs")
    assert ours == theirs


@pytest.mark.parametrize("skip_first, skip_first_wait, repeat", [(0, 0, 0), (3, 0, 2), (0, 1, 1), (2, 1, 0)])
def test_schedules(skip_first: int, skip_first_wait: int, repeat: int):
    for wait in (0, 1, 3):
        for warmup in (0, 2):
            for active in (1, 3):
                given = {"wait": wait, "warmup": warmup, "active": active, "repeat": repeat}
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    ours, theirs = (
                        lib.profiler.schedule(**given, skip_first=skip_first, skip_first_wait=skip_first_wait)
                        for lib in LIBS.values()
                    )
                got = [(ours(i).name, theirs(i).name) for i in range(25)]
                assert all(a == b for a, b in got), (given, got)


@pytest.mark.parametrize("numbers", [(0, 1, 1, 0), (1, 1, 2, 2), (2, 0, 1, 1), (0, 2, 3, 0)])
def test_when_traces_are_ready(numbers: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch):
    """PyTorch's recorder itself stays off: it has been seen to crash when it is stopped within a warmup."""
    for name in ("prepare_trace", "start_trace", "stop_trace"):
        monkeypatch.setattr(torch.profiler.profile, name, lambda self: None)
    seen: dict[str, Any] = {}
    for side, lib in LIBS.items():
        wait, warmup, active, repeat = numbers
        handed: list[int] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plan = lib.profiler.schedule(wait=wait, warmup=warmup, active=active, repeat=repeat)
        with lib.profiler.profile(
            activities=[lib.profiler.ProfilerActivity.CPU],
            schedule=plan,
            on_trace_ready=lambda p, handed=handed: handed.append(p.step_num),
        ) as prof:
            for _ in range(7):
                prof.step()
        seen[side] = handed
    assert seen["ours"] == seen["theirs"] and seen["ours"]
