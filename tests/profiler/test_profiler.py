"""Profiles of small scripts: which events, how they are nested, counted, summed, sorted and written."""

from __future__ import annotations

import json
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tritorch as torch
from tritorch import nn
from tritorch.autograd import engine
from tritorch.kernels._op import OPS, Array, Op, register
from tritorch.profiler import ProfilerAction, ProfilerActivity, names, profile, record_function, schedule, switch
from tritorch.tensor import wrap

CPU = [ProfilerActivity.CPU]


def mlp(device: str = "cpu") -> tuple[Any, Any, Any]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).to(device)
    return model, torch.optim.SGD(model.parameters(), lr=0.1), torch.randn(4, 8, device=device)


def train(model: Any, optimizer: Any, x: Any) -> None:
    loss = model(x).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def counts(prof: Any) -> dict[str, int]:
    return {e.key: e.count for e in prof.key_averages()}


def test_the_names_of_a_training_step(device: str):
    setup = mlp(device)
    train(*setup)
    with profile(activities=CPU) as prof:
        train(*setup)
    seen = counts(prof)
    for name, n in {
        "aten::linear": 2, "aten::relu": 1, "AddmmBackward0": 2, "ReluBackward0": 1, "SumBackward0": 1,
        "torch::autograd::AccumulateGrad": 4, "Optimizer.step#SGD.step": 1, "Optimizer.zero_grad#SGD.zero_grad": 1,
    }.items():  # fmt: skip
        assert seen[name] == n, name


def test_ranges_within_ranges():
    x = torch.ones(2)
    with profile(activities=CPU) as prof:
        with record_function("outer"):
            x + x
            with record_function("inner"):
                x * x
            with record_function("outer"):
                x - x
    events = {e.name: e for e in prof.events()}
    first = prof.events()[0]
    assert [e.name for e in prof.events()] == ["outer", "aten::add", "inner", "aten::mul", "outer", "aten::sub"]
    assert [c.name for c in first.cpu_children] == ["aten::add", "inner", "outer"] and first.cpu_parent is None
    assert events["aten::mul"].cpu_parent is events["inner"] and events["inner"].is_user_annotation
    assert first.self_cpu_time_total == pytest.approx(
        first.cpu_time_total - sum(c.cpu_time_total for c in first.cpu_children)
    )
    for e in prof.events():
        assert 0 <= e.time_range.start <= e.time_range.end
        assert all(
            e.time_range.start <= c.time_range.start <= c.time_range.end <= e.time_range.end for c in e.cpu_children
        )
    assert prof.events().self_cpu_time_total == pytest.approx(first.cpu_time_total)
    assert prof.events().total_average().count == 6


def test_record_function_decorates_and_does_nothing_alone():
    @record_function("twice")
    def twice(x: Any) -> Any:
        return x + x

    assert twice(torch.ones(2)).tolist() == [2, 2]
    with profile(activities=CPU) as prof:
        twice(torch.ones(2))
    assert [e.name for e in prof.events()] == ["aten::ones", "twice", "aten::add"]


def test_ranges_that_go_beyond_the_profile():
    before = record_function("before")
    before.__enter__()
    prof = profile(activities=CPU)
    prof.start()
    before.__exit__(None, None, None)
    after = record_function("after")
    after.__enter__()
    torch.ones(1)
    prof.stop()
    after.__exit__(None, None, None)
    assert [e.name for e in prof.events()] == ["after", "aten::ones"]
    assert all(0 <= e.time_range.start <= e.time_range.end <= prof.events().info.duration * 1e-3 for e in prof.events())


def test_an_error_closes_what_it_leaves():
    with profile(activities=CPU) as prof:
        with pytest.raises(RuntimeError), record_function("fails"):
            torch.ones(2, 3) @ torch.ones(2, 3)
        torch.ones(1)
    assert prof.events()[-1].name == "aten::ones" and prof.events()[-1].cpu_parent is None


def test_only_one_at_a_time():
    with profile(activities=CPU):
        with pytest.raises(RuntimeError, match="a profiler is running already"):
            profile(activities=CPU).start()
        torch.ones(1)
    with profile(activities=CPU) as prof:
        torch.ones(1)
    assert counts(prof) == {"aten::ones": 1}


def test_threads_have_trees_of_their_own():
    def work(name: str) -> None:
        for _ in range(50):
            with record_function(name):
                torch.ones(3) * 2

    with profile(activities=CPU) as prof:
        threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert counts(prof) == {"t0": 50, "t1": 50, "t2": 50, "aten::ones": 150, "aten::mul": 150}
    for e in prof.events():
        assert e.cpu_parent is None if e.name[0] == "t" else e.cpu_parent.name[0] == "t"
        assert all(c.thread == e.thread for c in e.cpu_children)
    assert len({e.thread for e in prof.events()}) == 3


# ---- switching


def test_nothing_is_left_when_it_is_off():
    """Every function has its own code again, with defaults and attributes."""
    targets = list(names.targets(False))
    before = [(t.function, t.function.__code__, t.function.__kwdefaults__, t.function.__defaults__) for t in targets]
    alone = engine._ALONE
    with profile(activities=CPU):
        assert all(f.__code__ is not code for f, code, *_ in before)
        torch.ones(2).sum()
    assert all(f.__code__ is code and f.__kwdefaults__ is kw and f.__defaults__ is d for f, code, kw, d in before)
    assert engine._ALONE == alone and not switch.ACTIVE


def test_functions_that_were_taken_before_are_seen():
    from tritorch import exp as mine  # type: ignore[attr-defined]

    x, method = torch.ones(3), torch.ones(3).sub
    for _ in range(100):  # until the interpreter knows these calls
        x[0], x + 1
    with profile(activities=CPU) as prof:
        mine(x)
        method(1)
        x[0]
        x[1:]
        x[[0, 1]]
        x[0] = 2
        x += 1
        x @ x
    expected = ["exp", "sub", "select", "slice", "index", "copy_", "add_", "matmul"]
    assert [e.name for e in prof.events()] == [f"aten::{n}" for n in expected]


def test_gradients_are_taken_as_without_a_profiler(monkeypatch: pytest.MonkeyPatch):
    """The engine copies a gradient that somebody else refers to; a hook's references do not count."""
    setup, copies = mlp(), []
    monkeypatch.setattr(engine, "copied", lambda a, f=engine.copied: copies.append(a.shape) or f(a))
    train(*setup)
    plain = len(copies)
    with profile(activities=CPU, record_shapes=True, with_flops=True, profile_memory=True):
        train(*setup)
    assert len(copies) == 2 * plain


def test_results_are_the_same(device: str):
    def run() -> list[Any]:
        model, optimizer, x = mlp(device)
        for _ in range(3):
            train(model, optimizer, x)
        return [p.detach().cpu().numpy() for p in model.parameters()]

    plain = run()
    with profile(record_shapes=True, with_flops=True, profile_memory=True, with_stack=True, with_modules=True):
        seen = run()
    assert all(np.array_equal(a, b) for a, b in zip(plain, seen, strict=True))


def test_a_start_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch):
    def some(modules: bool) -> Any:
        yield names.Target(torch.nn.functional.linear, "aten::linear")
        raise KeyboardInterrupt

    code = torch.nn.functional.linear.__code__
    with monkeypatch.context() as patch:
        patch.setattr(names, "targets", some)
        with pytest.raises(KeyboardInterrupt):
            profile(activities=CPU).start()
    assert torch.nn.functional.linear.__code__ is code
    with profile(activities=CPU) as prof:
        torch.ones(1)
    assert counts(prof) == {"aten::ones": 1}


def test_ops_that_are_first_used_while_it_is_on():
    def cpu(x: Array) -> Array:
        return x * 3

    op = register(Op("thrice_and_recorded", cpu, grad=lambda g: g * 3))
    try:
        x = torch.ones(2, requires_grad=True)
        with profile(activities=CPU) as prof:
            op(x).sum().backward()
        seen = counts(prof)
        assert seen["tritorch::thrice_and_recorded"] == 1 and seen["ThriceAndRecordedBackward0"] == 1
    finally:
        del OPS[op.name]


def test_second_derivatives_and_functions_of_ones_own():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2 * ctx.saved_tensors[0]

    x = torch.ones(3, requires_grad=True)
    with profile(activities=CPU) as prof:
        y = Square.apply(x).exp().sum()
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        g.sum().backward()
    seen = counts(prof)
    assert seen["SquareBackward"] == 2 and seen["ExpBackward0"] == 2
    node = next(e for e in prof.events() if e.name == "SquareBackward")
    assert [c.name for c in node.cpu_children] == ["aten::mul", "aten::mul"]


# ---- schedules


def test_the_recipe_with_a_schedule(tmp_path: Path):
    model, optimizer, x = mlp()
    tables = []

    def ready(p: Any) -> None:
        tables.append((p.step_num, p.key_averages().table(sort_by="self_cpu_time_total", row_limit=10)))
        p.export_chrome_trace(str(tmp_path / f"trace_{p.step_num}.json"))

    with profile(
        activities=CPU, schedule=torch.profiler.schedule(wait=1, warmup=1, active=2, repeat=2), on_trace_ready=ready
    ) as p:
        for _ in range(10):
            train(model, optimizer, x)
            p.step()
    assert [n for n, _ in tables] == [4, 8]
    assert [e.name for e in p.events() if e.name.startswith("ProfilerStep")] == ["ProfilerStep#6", "ProfilerStep#7"]
    assert all(e.cpu_parent is not None for e in p.events() if not e.name.startswith("ProfilerStep"))
    assert sorted(f.name for f in tmp_path.iterdir()) == ["trace_4.json", "trace_8.json"]


def test_what_a_schedule_says():
    what = schedule(skip_first=2, wait=1, warmup=1, active=2, repeat=1)
    assert [what(i).name for i in range(8)] == ["NONE"] * 3 + ["WARMUP", "RECORD", "RECORD_AND_SAVE", "NONE", "NONE"]
    with pytest.warns(UserWarning, match="warmup"):
        endless = schedule(wait=0, warmup=0, active=1)
    assert {endless(i) for i in range(5)} == {ProfilerAction.RECORD_AND_SAVE}
    with pytest.raises(ValueError, match="active must be at least 1; got 0"):
        schedule(wait=0, warmup=1, active=0)


def test_handlers_and_stops(tmp_path: Path):
    folder = tmp_path / "log"
    handler = torch.profiler.tensorboard_trace_handler(str(folder), worker_name="w", use_gzip=True)
    with profile(activities=CPU, on_trace_ready=handler):
        torch.ones(1)
    (path,) = folder.iterdir()
    assert path.name.startswith("w.") and path.name.endswith(".pt.trace.json.gz")
    dropped = profile(activities=CPU, schedule=schedule(wait=0, warmup=5, active=1))
    with dropped:
        torch.ones(1)
    with pytest.raises(RuntimeError, match="has recorded nothing yet"):
        dropped.events()
    with profile(activities=CPU, schedule=schedule(wait=0, warmup=1, active=1), acc_events=True) as both:
        for _ in range(4):
            torch.ones(1)
            both.step()
    first, second = [e for e in both.events() if e.name == "aten::ones"]
    assert first.time_range.end <= second.time_range.start


# ---- what is kept beside the time


def test_shapes_and_groups():
    with profile(activities=CPU, record_shapes=True) as prof:
        a, b = torch.ones(2, 3), torch.ones(3, 4)
        a @ b
        (a + a) @ b
        b * 2
        torch.cat([a, a])
    assert next(e for e in prof.events() if e.name == "aten::cat").input_shapes[0] == [[2, 3], [2, 3]]
    assert next(e for e in prof.events() if e.name == "aten::mul").input_shapes == [[3, 4], []]
    groups = prof.key_averages(group_by_input_shape=True)
    assert [e.count for e in groups if e.key == "aten::matmul"] == [2]
    assert "[[2, 3], [3, 4]]" in groups.table() and "Input Shapes" not in prof.key_averages().table()


def test_stacks(tmp_path: Path):
    def here() -> None:
        torch.ones(1)

    with profile(activities=CPU, with_stack=True) as prof:
        here()
    (event,) = prof.events()
    assert event.stack[0].startswith(__file__) and event.stack[0].endswith(": here")
    assert event.stack[1].endswith(": test_stacks")
    sums = prof.key_averages(group_by_stack_n=2)
    assert sums[0].stack == event.stack[:2]
    first, second = sums.table(max_src_column_width=200).splitlines()[3:5]
    assert first.endswith(": here") and second.split()[-2:] == event.stack[1].split()
    prof.export_stacks(tmp_path / "stacks", "cpu_time_total")
    (line,) = (tmp_path / "stacks").read_text().splitlines()
    assert line.rsplit(" ", 1)[0].endswith(":_here") and int(line.rsplit(" ", 1)[1]) >= 1
    with pytest.raises(ValueError, match="metric"):
        prof.export_stacks(tmp_path / "stacks", "count")
    with profile(activities=CPU) as without:
        torch.ones(1)
    with pytest.raises(RuntimeError, match="with_stack=True"):
        without.export_stacks(tmp_path / "stacks")


def test_memory_of_results():
    with profile(activities=CPU, profile_memory=True) as prof:
        a = torch.ones(10, 10)
        b = a @ a
        b.T
        b.add_(1)
        with record_function("both"):
            torch.stack([a, b])
            a.reshape(100)
            a.sum()
    got = {e.name: e.cpu_memory_usage for e in prof.events()}
    assert got["aten::ones"] == got["aten::matmul"] == 400
    assert got["aten::add_"] == got["aten::reshape"] == 0
    assert got["both"] == 804 and got["aten::stack"] == 800
    assert "CPU Mem" in prof.key_averages().table()


def test_cost_of_ops_views_and_backward():
    w = torch.ones(32, 16, requires_grad=True)
    with profile(activities=CPU, with_flops=True) as prof:
        with record_function("all"):
            x = torch.ones(8, 32)
            y = x @ w
            z = (y * 2).reshape(2, -1)
        z.sum().backward()
    seen = {e.name: (e.bytes, e.flops) for e in prof.events()}
    product = 2 * 8 * 32 * 16
    assert seen["aten::matmul"] == (4 * (8 * 32 + 32 * 16 + 8 * 16), product)
    assert seen["aten::mul"] == (2 * 4 * 8 * 16, 8 * 16)
    assert seen["aten::reshape"] == (0, 0) and seen["aten::ones"] == (4 * 8 * 32, 0)
    assert seen["MatmulBackward0"][1] == product  # one gradient is asked for
    assert seen["ViewBackward0"] == (0, 0)  # hands a view on
    assert seen["all"][1] == product + 8 * 16
    table = prof.key_averages().table(sort_by="flops")
    assert "GFLOP/s" in table and "GB/s" in table and "% of machine" in table
    assert "This machine at best: copy " in table


def test_cost_of_every_op_that_tells_it():
    """The arguments that a recorded call gives to `cost` are those it wants."""
    rng = np.random.default_rng(0)

    def lifted(a: Any) -> Any:
        if isinstance(a, (list, tuple)):
            return [lifted(v) for v in a]
        return wrap(np.asarray(a)) if isinstance(a, (np.ndarray, np.generic)) else a

    ops = [op for op in OPS.values() if op.samples is not None and op.cost is not None]
    with profile(activities=CPU, with_flops=True) as prof:
        for op in ops:
            assert op.samples is not None
            for args, params in op.samples(rng):
                inputs = lifted(args)
                with record_function(op.name):
                    op.apply(*inputs, *params)
    ranges = [e for e in prof.events() if e.kind == "range"]
    assert {e.name for e in ranges} == {op.name for op in ops}
    for e in ranges:
        assert e.bytes is not None and e.bytes >= 0 and e.flops >= 0 and len(e.cpu_children) == 1, e.name


def test_modules():
    model, _, x = mlp()
    with profile(activities=CPU, with_modules=True) as prof:
        model(x)
    top = prof.events()[0]
    assert top.name.startswith("nn.Module: Sequential_")
    assert [c.name.split("_")[0] for c in top.cpu_children] == [
        "nn.Module: Linear",
        "nn.Module: ReLU",
        "nn.Module: Linear",
    ]


def test_batches_of_a_loader():
    data = torch.utils.data.TensorDataset(torch.ones(4, 2))
    with profile(activities=CPU) as prof:
        list(torch.utils.data.DataLoader(data, batch_size=2))
    assert counts(prof)["enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"] == 3


class Recording(torch.utils.data.Dataset):
    """Says whether the process that reads it records."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, i: int) -> Any:
        return len(switch.ACTIVE) + ("_hook" in (torch.nn.functional.linear.__kwdefaults__ or ()))


def test_workers_do_not_record():
    with profile(activities=CPU) as prof:
        here = list(torch.utils.data.DataLoader(Recording()))
        there = list(torch.utils.data.DataLoader(Recording(), num_workers=1, multiprocessing_context="fork"))
    assert [x.item() for x in here] == [2, 2] and [x.item() for x in there] == [0, 0]
    assert counts(prof)["enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__"] == 3


def test_times_and_memory_of_a_device():
    setup = mlp("cuda")
    train(*setup)
    with profile(profile_memory=True, with_flops=True) as prof:
        with record_function("step"):
            train(*setup)
        torch.ones(2)
    got = {e.key: e for e in prof.key_averages()}
    step, linear = got["step"], got["aten::linear"]
    assert linear.device_time_total > 0 and linear.cuda_time_total == linear.device_time_total
    assert got["Optimizer.step#SGD.step"].device_time_total > 0
    assert got["aten::ones"].device_time_total == 0 and step.self_device_time_total == 0
    assert step.device_time_total == pytest.approx(sum(c.device_time_total for c in prof.events()[0].cpu_children))
    assert linear.device_memory_usage >= 4 * (4 * 16 + 4 * 4) and linear.cpu_memory_usage == 0
    assert linear.flops == 2 * 4 * (8 * 16 + 16 * 4)
    table = prof.key_averages().table(sort_by="cuda_time_total")
    assert "CUDA total" in table and "Self CUDA time total" in table and "CUDA Mem" in table


# ---- text and files


def test_tables():
    with profile(activities=CPU) as prof:
        with record_function("a very long name " * 5):
            for _ in range(3):
                torch.ones(2).exp()
    sums = prof.key_averages()
    lines = sums.table(sort_by="count", row_limit=1).splitlines()
    assert lines[1].split()[:4] == ["Name", "Self", "CPU", "%"] and lines[3].split()[-1] == "3" and len(lines) == 6
    assert "..." in sums.table() and "very long name " * 5 not in sums.table()
    top = sums.table(top_level_events_only=True)
    assert "aten::exp" not in prof.events().table(top_level_events_only=True)
    assert top.endswith("\n") and "Self CPU time total: " in top
    assert "ms" in sums.table(time_unit="ms").splitlines()[3] and sums.table(header="mine").splitlines()[1] == "mine"
    with pytest.raises(AttributeError, match="cannot sort by 'speed'"):
        sums.table(sort_by="speed")
    assert [e.key for e in sorted(sums, key=lambda e: -e.cpu_time_total)][0].startswith("a very")


def test_the_trace(tmp_path: Path):
    model, optimizer, x = mlp()
    with profile(activities=CPU, record_shapes=True) as prof:
        train(model, optimizer, x)
    prof.add_metadata("run", "7")
    prof.add_metadata_json("numbers", "[1, 2]")
    path = tmp_path / "trace.json"
    prof.export_chrome_trace(str(path))
    assert [f.name for f in tmp_path.iterdir()] == ["trace.json"]
    trace = json.loads(path.read_text())
    assert trace["run"] == "7" and trace["numbers"] == [1, 2]
    shown = [e for e in trace["traceEvents"] if e["ph"] == "X" and e.get("cat") == "cpu_op"]
    linear = next(e for e in shown if e["name"] == "aten::linear")
    assert linear["args"]["Input Dims"] == [[4, 8], [16, 8], [16]] and linear["dur"] > 0
    arrows = [e for e in trace["traceEvents"] if e["ph"] in "sf"]
    assert len(arrows) == 2 * sum(e["name"].endswith("Backward0") for e in shown)


def test_a_trace_that_fails_leaves_nothing(tmp_path: Path):
    with profile(activities=CPU) as prof:
        torch.ones(1)
    with pytest.raises(OSError):
        prof.export_chrome_trace(tmp_path / "missing" / "trace.json")
    assert not list(tmp_path.iterdir())


def test_arguments_that_are_refused():
    with pytest.raises(NotImplementedError, match="experimental_config"):
        profile(experimental_config=object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="activities"):
        profile(activities=["cpu"])  # type: ignore[list-item]
    with pytest.raises(NotImplementedError, match="freed is not recorded"):
        profile(activities=CPU).export_memory_timeline("timeline.html")


# ---- the other modules


def test_the_profiler_of_autograd(tmp_path: Path):
    with torch.autograd.profiler.profile(record_shapes=True) as prof:
        with torch.autograd.profiler.record_function("range"):
            torch.ones(2).exp()
    assert [e.key for e in prof.key_averages()] == ["range", "aten::ones", "aten::exp"]
    assert prof.total_average().count == 3 and "aten::exp" in str(prof) and "aten::exp" in prof.table()
    prof.export_chrome_trace(tmp_path / "t.json.gz")
    assert (tmp_path / "t.json.gz").read_bytes()[:2] == b"\x1f\x8b"
    with torch.autograd.profiler.profile(enabled=False) as off:
        torch.ones(1)
    assert off is None


def test_nvtx(monkeypatch: pytest.MonkeyPatch):
    from tritorch.device import backend

    seen: list[str] = []
    nvtx = torch.cuda.nvtx
    monkeypatch.setattr(backend(), "range_push", seen.append)
    monkeypatch.setattr(backend(), "range_pop", lambda: seen.append("pop"))
    with nvtx.range("step {}", 3):
        assert nvtx.range_push("inner") == 1
        nvtx.mark("here")
        assert nvtx.range_pop() == 1
    assert seen == ["step 3", "inner", "pop", "pop"] and nvtx.range_pop() == -1
    seen.clear()
    with torch.autograd.profiler.emit_nvtx(record_shapes=True), record_function("mine"):
        x = torch.ones(2, requires_grad=True)
        x.exp().sum().backward()
    assert seen[:2] == ["mine", "aten::ones"] and "aten::exp, sizes = [[2]]" in seen and "ExpBackward0" in str(seen)
    assert seen.count("pop") * 2 == len(seen)
    with torch.cuda.profiler.profile():
        pass


def test_no_warnings_in_a_usual_script():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with profile(schedule=schedule(wait=1, warmup=1, active=1)) as prof:
            for _ in range(4):
                torch.ones(2, device="cuda").sum()
                prof.step()
