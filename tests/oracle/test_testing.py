"""torch.testing against torch: what counts as close, and what the errors say."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

NAN, INF = float("nan"), float("inf")
CASES = {
    "equal": lambda t: (t.ones(2), t.ones(2)),
    "near": lambda t: (t.ones(2), t.ones(2) + 1e-6),
    "apart": lambda t: (t.ones(2), t.ones(2) + 1e-4),
    "double": lambda t: (t.ones(2).double(), t.ones(2).double() + 1e-6),
    "half": lambda t: (t.ones(2).half(), t.ones(2).half() + 1e-3),
    "bfloat16": lambda t: (t.ones(2).bfloat16(), t.ones(2).bfloat16() + 1e-2),
    "integers": lambda t: (t.tensor([1, 2]), t.tensor([1, 3])),
    "bools": lambda t: (t.tensor([True]), t.tensor([False])),
    "shape": lambda t: (t.ones(2), t.ones(3)),
    "dtype": lambda t: (t.ones(2), t.ones(2).double()),
    "nan": lambda t: (t.tensor([NAN]), t.tensor([NAN])),
    "inf": lambda t: (t.tensor([INF]), t.tensor([INF])),
    "inf apart": lambda t: (t.tensor([INF]), t.tensor([-INF])),
    "numbers": lambda t: (1.0, 1.0 + 1e-9),
    "numbers apart": lambda t: (1.0, 1.1),
    "list": lambda t: ([t.ones(1), 2], [t.ones(1), 2]),
    "list apart": lambda t: ([t.ones(1), 2], [t.ones(1), 3]),
    "lengths": lambda t: ([1], [1, 2]),
    "mapping": lambda t: ({"a": t.ones(1)}, {"a": t.zeros(1)}),
    "keys": lambda t: ({"a": 1}, {"b": 1}),
    "complex": lambda t: (t.tensor([1 + 1j]), t.tensor([1 + 1.0000001j])),
    "none": lambda t: (None, None),
    "empty": lambda t: (t.ones(0), t.ones(0)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("options", [{}, {"rtol": 0.1, "atol": 0.2}, {"equal_nan": True}, {"check_dtype": False}])
def test_what_is_close(name: str, options: dict) -> None:
    found = []
    for lib in (tritorch, torch):
        try:
            lib.testing.assert_close(*CASES[name](lib), **options)
        except AssertionError:
            found.append("apart")
        except TypeError:
            found.append("type")
        else:
            found.append("close")
    assert found[0] == found[1]


def test_messages_and_arguments() -> None:
    with pytest.raises(AssertionError, match=r"1 / 3 .*\n.*0\.5 at index \(1,\)"):
        tritorch.testing.assert_close(tritorch.tensor([1.0, 2.0, 3.0]), tritorch.tensor([1.0, 2.5, 3.0]))
    with pytest.raises(AssertionError, match=r"^mine$"):
        tritorch.testing.assert_close(1.0, 2.0, msg="mine")
    with pytest.raises(ValueError, match="both"):
        tritorch.testing.assert_close(1.0, 2.0, rtol=1.0)


def test_make_tensor() -> None:
    for kind in ("float32", "int64", "uint8", "bool", "complex64"):
        dtype = getattr(tritorch, kind)
        x = tritorch.testing.make_tensor((3, 4), dtype=dtype, noncontiguous=True, exclude_zero=kind != "bool")
        assert x.shape == (3, 4) and x.dtype is dtype and not x.is_contiguous()
        assert kind == "bool" or bool((x != 0).all())
    x = tritorch.testing.make_tensor(5, dtype=tritorch.float64, low=1, high=2, requires_grad=True)
    assert x.requires_grad and float(x.min()) >= 1 and float(x.max()) < 2
