"""Which version this is, under PyTorch's names."""

from __future__ import annotations

from . import __version__ as __version__

debug = False
cuda: str | None = None
hip: str | None = None
git_version = "Unknown"
