"""The functions of torch.nn.functional. One file per family; names, signatures and defaults are PyTorch's."""

from __future__ import annotations

from ...functional import bilinear, linear
from . import activation, attention, conv, distance, dropout, embedding, interpolate, loss, norm, padding, pool, vision
from .activation import *
from .attention import *
from .classification import *
from .conv import *
from .ctc import *
from .distance import *
from .dropout import *
from .embedding import *
from .interpolate import *
from .loss import *
from .margin import *
from .norm import *
from .padding import *
from .pool import *
from .softmax import *
from .vision import *
