from __future__ import annotations

import numpy as np

from tritorch import datasets, float32, int64
from tritorch.datasets import digits as module


def test_shapes_types_and_range():
    images, labels = datasets.digits()
    assert tuple(images.shape) == (1797, 1, 8, 8) and images.dtype is float32
    assert tuple(labels.shape) == (1797,) and labels.dtype is int64
    assert images.min().item() == 0 and images.max().item() == 1
    counts = np.bincount(labels.numpy())
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_each_call_gives_its_own_copy():
    images, _ = datasets.digits()
    images.zero_()
    assert datasets.digits()[0].max().item() == 1


def test_the_first_image_is_a_zero():
    images, labels = datasets.digits()
    ink = (images[0, 0] * 16).to(int64).tolist()
    assert labels[0].item() == 0
    assert ink[0] == [0, 0, 5, 13, 9, 1, 0, 0] and ink[4] == [0, 5, 8, 0, 0, 9, 8, 0]


def test_the_file_is_small_and_names_its_source():
    from importlib.resources import files

    path = files("tritorch.datasets").joinpath("digits.npz")
    assert len(path.read_bytes()) < 100_000
    with path.open("rb") as f, np.load(f) as data:
        assert "Alpaydin" in str(data["source"]) and "CC BY 4.0" in str(data["source"])
    assert "CC BY 4.0" in (module.__doc__ or "") + (datasets.digits.__doc__ or "")
