"""Saving and loading in PyTorch's own file format; safetensors beside it."""

from __future__ import annotations

from .allowed import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from .archive import DamagedFileError
from .loading import load
from .safetensors import load_file, save_file
from .saving import save

__all__ = [
    "DamagedFileError",
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "load",
    "load_file",
    "safe_globals",
    "save",
    "save_file",
]
