"""Handwritten digits of 43 people, 8 by 8 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tritorch.tensor import Tensor, wrap

_FILE = Path(__file__).with_name("digits.npz")


def digits() -> tuple[Tensor, Tensor]:
    """The 1,797 images of UCI's optical digits test set, and what they show.

    Each pixel counts the ink of a 4 by 4 square of a 32 by 32 bitmap: 0 to 16, divided by 16 here.

    Returns:
        images (1797, 1, 8, 8) float32 in [0, 1], labels (1797,) int64 in [0, 9], about 180 of each.

    Source: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998), UCI Machine Learning
    Repository, doi 10.24432/C50P49; licence CC BY 4.0. scikit-learn's `load_digits` is the same data.

    >>> images, labels = digits()
    >>> images.shape, labels[:5].tolist()
    (torch.Size([1797, 1, 8, 8]), [0, 1, 2, 3, 4])
    """
    with np.load(_FILE) as data:
        images, labels = data["images"], data["labels"]
    scaled = images.astype(np.float32)[:, None] / np.float32(16)
    return wrap(scaled), wrap(labels.astype(np.int64))
