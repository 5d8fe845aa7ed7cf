"""The kernel layer: raw arrays in, raw arrays out; no Tensor is known here. One file per family of ops."""

from __future__ import annotations

from ._library import LIBRARY_OPS as LIBRARY_OPS
