"""What autograd, and Tensor's base class, need of the module above: the Tensor class and the ways to and from raw arrays.

`tritorch.tensor` sets the three names when it is imported; nothing runs before that.
"""

from __future__ import annotations

from typing import Any

Tensor: Any = None
"""The class that results are made of."""

classes: Any = ()
"""Tensor and its subclasses."""

wrap: Any = None
"""(raw array, device) -> Tensor over it."""

host: Any = None
"""Tensor -> its elements as a NumPy array."""
