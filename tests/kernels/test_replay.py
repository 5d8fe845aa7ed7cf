"""Repeated calls on the emulated device: the record of a call gives, for other values, what the call itself gives."""

from __future__ import annotations

import threading
import zlib

import numpy as np
import pytest

import tritorch as torch
from tritorch.device import EMULATED, as_strided, empty, emulate, on_device, to_device, to_host
from tritorch.kernels import _replay
from tritorch.kernels._gemm import set_float32_precision
from tritorch.kernels._library import LIBRARY_OPS
from tritorch.kernels._op import OPS
from tritorch.kernels._pointwise import pointwise
from tritorch.kernels.coverage import own_ops
from tritorch.kernels.elementwise import Elementwise
from tritorch.tensor import wrap

pytest.importorskip("triton", reason="the emulated device needs Triton; install tritorch[triton]")
pytestmark = pytest.mark.skipif(not EMULATED, reason="about the emulated device")

F4 = np.dtype(np.float32)


@pytest.fixture(autouse=True)
def enabled(monkeypatch):
    monkeypatch.setattr(_replay, "ENABLED", True)
    _replay.forget()
    yield
    _replay.forget()


def module_of(function):
    """A function of a test as one of the package: others are not repeated."""
    function.__module__ = "tritorch.kernels.testing"
    return function


def kinds(function) -> list[str]:
    """What is kept for a function: 'seen', 'never' or 'Record'."""
    return [r if isinstance(r, str) else type(r).__name__ for r in _replay._records.get(function, {}).values()]


# ---- every op ------------------------------------------------------------------------------------------------------

NAMES = sorted(
    n for n, op in own_ops().items()
    if (op.triton if isinstance(op, Elementwise) else op.gpu) and op.samples and n not in LIBRARY_OPS
)  # fmt: skip


def results(name: str, at: int, seed: int) -> list[np.ndarray]:
    """An op on the values that `seed` draws for its sample number `at`: results and gradients."""
    op = OPS[name]
    args, params = list(op.samples(np.random.default_rng(seed)))[at]

    def up(a):
        if isinstance(a, list):
            return [up(v) for v in a]
        if a is None:
            return None
        a = np.asarray(a)
        t = wrap(to_device(a.astype(np.float32) if a.dtype == np.float64 else a), torch.device("cuda:0"))
        return t.requires_grad_() if t.dtype.is_floating_point else t

    def there(p):
        """Index arrays and masks are parameters."""
        if isinstance(p, tuple):
            return tuple([there(v) for v in p])
        return to_device(p) if isinstance(p, np.ndarray) else p

    operands = [up(a) for a in args]
    made = op(*operands, *[there(p) for p in params])
    outs = [v for v in (made if isinstance(made, (tuple, list)) else (made,)) if v is not None]
    carrying = [v for v in outs if v.requires_grad]
    if carrying:
        torch.autograd.backward(carrying, [torch.ones_like(v) for v in carrying])
    flat = [t for o in operands for t in (o if isinstance(o, list) else [o]) if t is not None]
    found = [*outs, *[t.grad for t in flat if t.grad is not None]]
    return [to_host(t._a) for t in found]


@pytest.mark.parametrize("name", NAMES)
def test_a_repeated_call_gives_the_calls_bits(name, monkeypatch):
    n = 1 if isinstance(OPS[name], Elementwise) else len(list(OPS[name].samples(np.random.default_rng(0))))
    seeds = [zlib.crc32(f"{name} {i}".encode()) for i in range(3)]
    for at in range(min(n, 3)):
        got = [results(name, at, seed) for seed in seeds]
        with monkeypatch.context() as plain:
            plain.setattr(_replay, "ENABLED", False)
            expected = [results(name, at, seed) for seed in seeds]
        for which, (a, b) in enumerate(zip(got, expected, strict=True)):
            assert len(a) == len(b)
            for x, y in zip(a, b, strict=True):
                assert x.shape == y.shape and x.dtype == y.dtype
                assert x.tobytes() == y.tobytes(), f"{name}, sample {at}, call {which}"


def test_nearly_all_ops_are_repeated():
    left = set()
    for name in NAMES:
        for seed in range(3):
            results(name, 0, seed)
    recorded = {f for f, records in _replay._records.items() if "Record" in kinds(f)}
    for name in NAMES:
        op = OPS[name]
        if not isinstance(op, Elementwise) and not op.view and op.gpu not in recorded:
            left.add(name)
    assert left <= NOT_REPEATED, " ".join(sorted(left - NOT_REPEATED))
    assert NOT_REPEATED <= left, sorted(NOT_REPEATED - left)


NOT_REPEATED = {
    "nonzero",  # reads how many there are
    "resample",  # its taps are an object of their own
    "interleave",  # each draw of its sample has a sum of its own
}  # fmt: skip


# ---- what is recorded, and what is not -----------------------------------------------------------------------------


@module_of
def scaled(x, factor):
    """Two launches over memory of its own in between."""
    half = pointwise("halve", ("x * 0.5",), ("x",), (x,), (F4,))[0]
    return pointwise("scale", ("x * factor",), ("x",), (half,), (F4,), {"factor": factor})[0]


def up(*values, dtype=np.float32):
    return to_device(np.array(values, dtype))


def test_the_second_call_is_recorded_and_the_third_repeated():
    for i, kept in enumerate(([], ["seen"], ["Record"], ["Record"])):
        y = _replay.call(scaled, 0, (up(1 + i, 2), 4.0))
        assert y.tolist() == [2.0 + 2 * i, 4.0] and kinds(scaled) == kept
    record = next(iter(_replay._records[scaled].values()))
    assert len(record.launches) == 2 and record.memory == [((2,), F4), (None, 512)]


@pytest.mark.parametrize(
    "other",
    [
        lambda: (to_device(np.ones(3, np.float32)), 4.0),
        lambda: (to_device(np.ones((2, 2), np.float32))[:, 1], 4.0),
        lambda: (up(1, 2), 3.0),
        lambda: (to_device(np.ones(2)), 4.0),
    ],
)
def test_other_shapes_strides_dtypes_and_numbers_are_other_calls(other):
    for _ in range(3):
        _replay.call(scaled, 0, (up(1, 2), 4.0))
    x, factor = other()
    assert np.array_equal(_replay.call(scaled, 0, (x, factor)), (x * 0.5 * factor).astype(np.float32))
    assert sorted(kinds(scaled)) == ["Record", "seen"]


def test_zeros_of_either_sign_are_told_apart():
    for factor in (0.0, -0.0):
        for _ in range(3):
            y = _replay.call(scaled, 0, (up(1, 2), factor))
            assert np.signbit(y).tolist() == [np.signbit(factor)] * 2


def test_each_device_has_its_own_record():
    emulate(2)
    try:
        for index in (0, 1, 0, 1, 0, 1):
            x = up(1, 2)
            with on_device(index):
                x = up(1, 2)
            assert _replay.call(scaled, index, (x, 4.0)).tolist() == [2, 4]
        assert kinds(scaled) == ["Record", "Record"]
    finally:
        emulate(1)


def test_settings_that_change_kernels_drop_all_records():
    a = torch.ones(4, 4, device="cuda")
    for _ in range(3):
        a @ (a + 1)
    assert "Record" in kinds(OPS["matmul"].gpu)
    set_float32_precision("tf32")
    try:
        assert not _replay._records
    finally:
        set_float32_precision("ieee")


@module_of
def chain(x, steps):
    """Each step's memory is used by the next one only; the first step's by the last one, too."""
    first = y = pointwise("add", ("x + 1",), ("x",), (x,), (F4,))[0]
    for _ in range(steps):
        y = pointwise("double", ("x * 2",), ("x",), (y,), (F4,))[0]
    wide = pointwise("widen", ("x + w",), ("x", "w"), (y, first), (np.dtype(np.float64),))[0]
    return pointwise("narrow", ("x - 1",), ("x",), (wide,), (F4,))[0]


def test_memory_that_is_not_needed_any_more_is_used_again():
    for i in range(5):
        y = _replay.call(chain, 0, (up(i, 3), 6))
        assert y.tolist() == [64 * (i + 1) + i, 64 * 4 + 3]
    record = next(iter(_replay._records[chain].values()))
    assert record.memory == [((2,), F4), (None, 512), (None, 512), (None, 512)]  # the result, the first, two in turn
    big = to_device(np.ones(300, np.float32))
    for _ in range(4):
        assert (_replay.call(chain, 0, (big, 2)) == 9).all()
    sizes = sorted(size for shape, size in list(_replay._records[chain].values())[1].memory if shape is None)
    assert sizes == [1536, 1536, 1536, 2560]  # float64 takes memory of its own


@module_of
def several(x, w, parts):
    """A view of an argument, an argument itself, nothing, new memory and a part of it."""
    y = pointwise("add", ("x + w",), ("x", "w"), (x, w), (F4,))[0]
    return x[1:], w, None, [y, as_strided(y, (parts,), (8,), 4)]


def test_results_of_all_kinds():
    for i in range(4):
        x, w = up(1, 2, 3, 4), up(10 + i, 20, 30, 40)
        tail, same, nothing, (y, part) = _replay.call(several, 0, (x, w, 2))
        assert np.shares_memory(tail, x) and tail.tolist() == [2, 3, 4] and same is w and nothing is None
        assert y.tolist() == [11 + i, 22, 33, 44] and part.tolist() == [22, 44] and np.shares_memory(y, part)
    assert kinds(several) == ["Record"]


@module_of
def added(x, w):
    """In place."""
    pointwise("add", ("x + w",), ("x", "w"), (x, w), (F4,), None, (x,))


def test_arguments_that_are_written_to():
    for i in range(4):
        x = up(1, 2)
        assert _replay.call(added, 0, (x, up(i, 1))) is None and x.tolist() == [1 + i, 3]
    assert kinds(added) == ["Record"]


def test_one_array_twice_is_another_call_than_two():
    x, w = up(1, 2), up(5, 6)
    for _ in range(3):
        assert _replay.call(several, 0, (x, x, 1))[3][0].tolist() == [2, 4]
    for _ in range(3):
        assert _replay.call(several, 0, (x, w, 1))[3][0].tolist() == [6, 8]
    assert kinds(several) == ["Record", "Record"]


@module_of
def views_added(x, w):
    return pointwise("add", ("x + w",), ("x", "w"), (x[1:], w[1:]), (F4,))[0]


def test_arguments_that_overlap_are_not_recorded_where_they_cannot_be_told_apart():
    x = up(1, 2, 3, 4)
    for _ in range(4):
        assert _replay.call(views_added, 0, (x[:3], x[1:])).tolist() == [5, 7]
    assert kinds(views_added) == ["never"]
    for _ in range(4):  # as they are, each argument is known
        assert _replay.call(several, 0, (x[:3], x[1:], 1))[1].tolist() == [2, 3, 4]


@module_of
def of_list(xs, key):
    return pointwise("add", ("x + w",), ("x", "w"), (xs[0][key[0]], xs[1] if key[1] is None else key[1]), (F4,))[0]


def test_lists_tuples_and_slices():
    for i in range(4):
        x, w, v = up(1, 2, 3), up(i, 5), up(7, 8)
        assert _replay.call(of_list, 0, ([x, w], (slice(1, None), None))).tolist() == [2 + i, 8]
        assert _replay.call(of_list, 0, ([x, w], (slice(0, 2), None))).tolist() == [1 + i, 7]
        assert _replay.call(of_list, 0, ([x, w], (slice(0, 2), v))).tolist() == [8, 10]
    assert kinds(of_list) == ["Record"] * 3


@module_of
def nested(x, key):
    return pointwise("add", ("x + 1",), ("x",), (x[key[0][0]],), (F4,))[0] if key[0][1] is ... else None


def test_slices_and_dots_deep_in_an_argument():
    for i in range(4):
        x = up(i, 2, 3)
        assert _replay.call(nested, 0, (x, ((slice(1, None), ...),))).tolist() == [3, 4]
        assert _replay.call(nested, 0, (x, ((slice(0, 1), ...),))).tolist() == [i + 1]
        assert _replay.call(nested, 0, (x, (("slice", 0),))) is None
    assert kinds(nested) == ["Record"] * 3


@module_of
def by_value(x):
    return pointwise("add", ("x + n",), ("x",), (x,), (F4,), {"n": float(to_host(x)[0])})[0]


@module_of
def by_upload(x):
    return pointwise("add", ("x + w",), ("x", "w"), (x, to_device(np.arange(2, dtype=np.float32))), (F4,))[0]


table = []


@module_of
def by_memory_from_elsewhere(x):
    return pointwise("add", ("x + w",), ("x", "w"), (x, table[0]), (F4,))[0]


@module_of
def kept_from_elsewhere(x):
    return table[0]


@pytest.mark.parametrize("function", [by_value, by_upload, by_memory_from_elsewhere, kept_from_elsewhere])
def test_calls_that_values_decide_are_never_repeated(function):
    for i in range(4):
        table[:] = [up(i, i)]
        y = _replay.call(function, 0, (up(i, 1),)).tolist()
        assert y == {by_value: [2 * i, 1 + i], by_upload: [i, 2], by_memory_from_elsewhere: [2 * i, 1 + i]}.get(
            function, [i, i]
        )
    assert kinds(function) == ["never"]


def test_functions_from_elsewhere_and_unknown_objects_are_left_alone():
    def own(x, factor):
        return scaled(x, factor)

    for _ in range(3):
        assert _replay.call(own, 0, (up(1, 2), 4.0)).tolist() == [2, 4]
    assert own not in _replay._records

    class Factor(float):
        pass

    for _ in range(4):
        assert _replay.call(scaled, 0, (up(1, 2), Factor(4.0))).tolist() == [2, 4]
    assert kinds(scaled) == []


@module_of
def failing(x):
    if x.shape[0] == 3:
        raise ValueError("three")
    return pointwise("add", ("x + x",), ("x",), (x,), (F4,))[0]


def test_a_call_that_fails_fails_each_time():
    for _ in range(4):
        with pytest.raises(ValueError, match="three"):
            _replay.call(failing, 0, (up(1, 2, 3),))
    assert kinds(failing) == ["seen"]
    for _ in range(3):
        assert _replay.call(failing, 0, (up(1, 2),)).tolist() == [2, 4]


def test_a_function_keeps_a_bounded_number_of_records(monkeypatch):
    monkeypatch.setattr(_replay, "KEPT", 3)
    for n in range(1, 10):
        for _ in range(3):
            assert _replay.call(scaled, 0, (to_device(np.ones(n, np.float32)), 4.0)).shape == (n,)
        assert 1 <= len(kinds(scaled)) <= 3


def test_threads_record_apart():
    def work(i):
        for _ in range(5):
            found.append(_replay.call(scaled, 0, (up(i, 1), 4.0)).tolist() == [2 * i, 2])

    found: list[bool] = []
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 20 and all(found)


def test_empty_arrays():
    for _ in range(4):
        assert _replay.call(scaled, 0, (empty((0, 3), F4), 4.0)).shape == (0, 3)
