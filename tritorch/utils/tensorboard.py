"""`SummaryWriter`: curves, histograms and images for TensorBoard, written by the tensorboardX package.

`pip install "tritorch[tensorboard]"` installs it; reading the files needs TensorBoard itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..tensor import Tensor

try:
    import tensorboardX
except ImportError as error:
    raise ImportError(
        "tritorch.utils.tensorboard: SummaryWriter needs the package tensorboardX; "
        'install it with: pip install "tritorch[tensorboard]"'
    ) from error

__all__ = ["SummaryWriter"]


def _plain(value: Any) -> Any:
    """The value with NumPy arrays in place of tensors, also inside of lists, tuples and dicts."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy(force=True)
    if type(value) in (list, tuple):
        return type(value)(_plain(v) for v in value)
    if type(value) is dict:
        return {k: _plain(v) for k, v in value.items()}
    return value


def _taking_tensors(add: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(add)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return add(self, *_plain(args), **_plain(kwargs))

    return call


class SummaryWriter(tensorboardX.SummaryWriter):
    """Writes event files that TensorBoard shows; all of PyTorch's `add_*` but graphs of models.

    Args:
        log_dir: folder of the files; default runs/DATE_HOST.
        comment: appended to the default folder's name.
        purge_step, max_queue, flush_secs, filename_suffix: as in PyTorch.

    Raises:
        ImportError: (of this module) tensorboardX is not installed.

    >>> import tempfile, tritorch as torch
    >>> from tritorch.utils.tensorboard import SummaryWriter
    >>> with SummaryWriter(tempfile.mkdtemp()) as writer:
    ...     writer.add_scalar("loss", torch.tensor(0.5), 1)
    """

    def __init__(self, log_dir: str | None = None, comment: str = "", **options: Any):
        super().__init__(log_dir, comment, **options)

    def add_graph(self, *args: Any, **kwargs: Any) -> None:
        """Not here: TensorBoard's graphs are TorchScript's.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("SummaryWriter.add_graph: graphs of models are TorchScript's, which is not here")


for _name in dir(tensorboardX.SummaryWriter):
    if _name.startswith("add_") and _name not in ("add_graph", "add_onnx_graph", "add_openvino_graph"):
        setattr(SummaryWriter, _name, _taking_tensors(getattr(tensorboardX.SummaryWriter, _name)))
