"""Neural networks: modules, parameters, initial values, functions, and what works on whole models.

>>> import tritorch as torch
>>> net = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
>>> net(torch.zeros(64, 784)).shape
torch.Size([64, 10])
"""

from __future__ import annotations

from . import attention, functional, init, modules, parallel, utils
from .modules import *
from .parallel import DataParallel
from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

__all__ = [
    "Buffer", "DataParallel", "Parameter", "UninitializedBuffer", "UninitializedParameter", "attention",
    "functional", "init", "modules", "parallel", "utils",
]  # fmt: skip
__all__ += modules.__all__
