"""Named results: fields, printing, unpacking, pickling."""

from __future__ import annotations

import copy
import pickle

import pytest

import tritorch as torch
from tritorch import return_types


def test_fields_are_the_items():
    result = torch.tensor([[1.0, 5.0], [3.0, 2.0]]).max(1)
    assert isinstance(result, tuple) and isinstance(result, return_types.max)
    values, indices = result
    assert result.values is values is result[0] and result.indices is indices is result[1]
    assert len(result) == 2 and result._fields == ("values", "indices")


def test_printing():
    text = repr(torch.tensor([2, 7]).sort(descending=True))
    assert text == "torch.return_types.sort(\nvalues=tensor([7, 2]),\nindices=tensor([1, 0]))"


def test_made_from_items_or_an_iterable():
    assert return_types.aminmax(1, 2) == return_types.aminmax([1, 2]) == (1, 2)
    assert return_types.aminmax(1, 2).min == 1 and return_types.aminmax(1, 2).max == 2
    with pytest.raises(TypeError, match="takes 2 items; got 3"):
        return_types.aminmax(1, 2, 3)


def test_copies_and_pickles():
    result = torch.tensor([1.0, 3.0]).max(0)
    for made in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert type(made) is return_types.max and made.values.item() == 3 and made.indices.item() == 1


def test_items_cannot_be_set():
    with pytest.raises(AttributeError):
        torch.tensor([1.0]).max(0).values = 3
    with pytest.raises(AttributeError, match="no attribute 'maxx'"):
        return_types.maxx  # noqa: B018
