from __future__ import annotations

from collections import OrderedDict, UserList, namedtuple
from types import MappingProxyType

import numpy as np
import pytest

import tritorch as torch
from tritorch.utils.data import default_collate, default_convert
from tritorch.utils.data.collate import collate, default_collate_fn_map

Point = namedtuple("Point", ["x", "y"])


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.complex64]
)
@pytest.mark.parametrize("shape", [(), (1,), (3, 2), (0,), (2, 0, 3)])
def test_tensors_are_stacked(dtype, shape):
    samples = [(torch.ones(shape) * i).to(dtype) for i in range(3)]
    batch = default_collate(samples)
    assert batch.dtype is dtype and tuple(batch.shape) == (3, *shape)
    assert batch.tolist() == torch.stack(samples).tolist()


def test_views_are_stacked_by_value():
    x = torch.arange(12.0).reshape(3, 4)
    assert default_collate([x.T, x.T + 1]).tolist() == [x.T.tolist(), (x.T + 1).tolist()]
    assert default_collate([x[:, 1], x[:, 3]]).tolist() == [[1.0, 5.0, 9.0], [3.0, 7.0, 11.0]]


def test_the_batch_shares_no_memory_with_the_samples():
    x = torch.zeros(2)
    batch = default_collate([x])
    batch += 1
    assert x.tolist() == [0.0, 0.0]


def test_a_graph_goes_through():
    x = torch.ones(2, requires_grad=True)
    default_collate([x * 2, x * 3]).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]


def test_shapes_that_differ_are_an_error_even_where_sizes_add_up():
    with pytest.raises(RuntimeError, match="stack"):
        default_collate([torch.zeros(4), torch.zeros(3), torch.zeros(5)])


def test_numbers():
    floats, ints, bools = default_collate([0.5, 1.5]), default_collate([1, 2]), default_collate([True, False])
    assert floats.dtype is torch.float64 and ints.dtype is torch.int64 and bools.dtype is torch.bool
    assert floats.tolist() == [0.5, 1.5] and ints.tolist() == [1, 2] and bools.tolist() == [True, False]


def test_numpy():
    batch = default_collate([np.arange(3, dtype=np.int16), np.ones(3, np.int16)])
    assert batch.dtype is torch.int16 and batch.tolist() == [[0, 1, 2], [1, 1, 1]]
    scalars = default_collate([np.float32(1), np.float32(2)])
    assert scalars.dtype is torch.float32 and scalars.tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match="numeric arrays; found dtype <U1"):
        default_collate([np.array(["a"])])


def test_text_stays():
    assert default_collate(["a", "b"]) == ["a", "b"] and default_collate([b"a"]) == [b"a"]


def test_containers():
    assert [t.tolist() for t in default_collate([(1, 2.0), (3, 4.0)])] == [[1, 3], [2.0, 4.0]]
    assert [t.tolist() for t in default_collate([[1, 2], [3, 4]])] == [[1, 3], [2, 4]]
    point = default_collate([Point(1, 2), Point(3, 4)])
    assert type(point) is Point and point.x.tolist() == [1, 3]
    nested = default_collate([{"a": (1, "x")}, {"a": (2, "y")}])
    assert nested["a"][0].tolist() == [1, 2] and nested["a"][1] == ("x", "y")


def test_containers_keep_their_type():
    ordered = default_collate([OrderedDict(b=1, a=2), OrderedDict(b=3, a=4)])
    assert type(ordered) is OrderedDict and list(ordered) == ["b", "a"]
    assert type(default_collate([UserList([1]), UserList([2])])) is UserList
    assert default_collate([MappingProxyType({"a": 1})])["a"].tolist() == [1]
    assert [t.tolist() for t in default_collate([range(2), range(2)])] == [[0, 0], [1, 1]]


def test_sequences_of_different_length_are_an_error():
    with pytest.raises(RuntimeError, match=r"of equal size; got sizes \[1, 2\]"):
        default_collate([[1], [1, 2]])


def test_unknown_types_are_an_error_that_names_them():
    with pytest.raises(TypeError, match="found <class 'object'>; pass a collate_fn"):
        default_collate([object()])


def test_the_table_can_be_extended():
    table = {**default_collate_fn_map, Point: lambda batch, *, collate_fn_map: len(batch)}
    assert collate([Point(1, 2), Point(3, 4)], collate_fn_map=table) == 2


def test_convert():
    x = torch.zeros(2)
    assert default_convert(x) is x
    assert default_convert(np.float32(2)).dtype is torch.float32
    got = default_convert(
        {"a": np.arange(2), "b": [np.arange(1), "t"], "c": (1, np.arange(1)), "d": Point(np.arange(1), 0)}
    )
    assert got["a"].tolist() == [0, 1] and got["b"][0].tolist() == [0] and got["b"][1] == "t"
    assert got["c"][0] == 1 and type(got["d"]) is Point and got["d"].x.tolist() == [0]
    strings = np.array(["a"])
    assert default_convert(strings) is strings
