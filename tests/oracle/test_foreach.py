"""torch's `_foreach_*`: one op on every tensor of a list."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402
from tritorch.functional import foreach  # noqa: E402


def lists(lib, n=2):
    lib.manual_seed(0)
    return [[lib.rand(2, 3) + 0.5, lib.rand(4) + 0.5] for _ in range(n)]


def same(call, n=3):
    """`call(lib, *lists)` gives the same values and leaves the same in its lists."""
    found = []
    for lib in (tritorch, torch):
        given = lists(lib, n)
        out = call(lib, *given)
        tensors = [*out, *(t for one in given for t in one)]
        found.append((type(out), [t.numpy() for t in tensors]))
    assert found[0][0] is found[1][0]
    for a, b in zip(found[0][1], found[1][1], strict=True):
        assert a.shape == b.shape and abs(a - b).max() <= 1e-6 * max(1, abs(b).max())


def test_all_names_but_one_are_here() -> None:
    theirs = {n for n in dir(torch) if n.startswith("_foreach_")}
    assert theirs - foreach.names() == {"_foreach_powsum"}  # the sum that comes before a norm's root
    assert not foreach.names() - theirs
    assert all(callable(getattr(tritorch, n)) for n in foreach.names())
    with pytest.raises(AttributeError, match="_foreach_nothing"):
        tritorch._foreach_nothing


@pytest.mark.parametrize("name", foreach._ONE)
def test_of_one_list(name) -> None:
    for full in {f"_foreach_{name}", f"_foreach_{name}_"} & foreach.names():
        if name not in ("acos", "asin"):
            same(lambda lib, a, full=full: getattr(lib, full)(a), 1)


@pytest.mark.parametrize("name", "add sub mul div maximum minimum clamp_min clamp_max pow".split())
def test_with_lists_and_numbers(name) -> None:
    for full in (f"_foreach_{name}", f"_foreach_{name}_"):
        same(lambda lib, a, b, c, full=full: getattr(lib, full)(a, b))
        same(lambda lib, a, b, c, full=full: getattr(lib, full)(a, 0.75))
        same(lambda lib, a, b, c, full=full: getattr(lib, full)(a, [0.75, 2.0]))
    if name in ("add", "mul", "div"):
        same(lambda lib, a, b, c: getattr(lib, f"_foreach_{name}")(a, lib.tensor(2.5)))


def test_with_more_arguments() -> None:
    same(lambda lib, a, b, c: lib._foreach_add_(a, b, alpha=-0.5))
    same(lambda lib, a, b, c: lib._foreach_lerp_(a, b, 0.25))
    same(lambda lib, a, b, c: lib._foreach_lerp(a, b, c))
    same(lambda lib, a, b, c: lib._foreach_pow(2.0, a))
    same(lambda lib, a, b, c: lib._foreach_copy_(a, b))
    same(lambda lib, a, b, c: lib._foreach_norm(a))
    same(lambda lib, a, b, c: lib._foreach_norm(a, 1))
    same(lambda lib, a, b, c: lib._foreach_norm(a, float("inf"), dtype=lib.float64))
    for name in ("_foreach_addcmul", "_foreach_addcdiv_"):
        same(lambda lib, a, b, c, name=name: getattr(lib, name)(a, b, c))
        same(lambda lib, a, b, c, name=name: getattr(lib, name)(a, b, c, value=0.5))
        same(lambda lib, a, b, c, name=name: getattr(lib, name)(a, b, c, [0.5, -1.0]))
        same(lambda lib, a, b, c, name=name: getattr(lib, name)(a, b, c, lib.tensor([0.5, -1.0])))


def test_lists_that_do_not_fit() -> None:
    x = [tritorch.ones(2)]
    with pytest.raises(RuntimeError, match=r"_foreach_add: .*got \[1, 2\]"):
        tritorch._foreach_add(x, x * 2)
    with pytest.raises(RuntimeError, match="_foreach_add: .* at least one"):
        tritorch._foreach_add([], 1)
    with pytest.raises(TypeError, match="_foreach_mul: needs a list"):
        tritorch._foreach_mul(x[0], 2)
