"""Names of torch.nn are found at the same module paths."""

from __future__ import annotations

import importlib
import inspect

import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

MODULES = [
    "modules.activation", "modules.adaptive", "modules.batchnorm", "modules.channelshuffle", "modules.container",
    "modules.conv", "modules.distance", "modules.dropout", "modules.flatten", "modules.fold", "modules.instancenorm",
    "modules.lazy", "modules.linear", "modules.loss", "modules.module", "modules.normalization", "modules.padding",
    "modules.pixelshuffle", "modules.pooling", "modules.rnn", "modules.sparse", "modules.transformer",
    "modules.upsampling", "modules", "parameter", "init", "utils.clip_grad", "utils.convert_parameters", "utils.fusion",
    "utils.init", "utils.parametrizations", "utils.parametrize", "utils.prune", "utils.rnn", "utils.spectral_norm",
    "utils.weight_norm", "utils", "parallel",
]  # fmt: skip

ABSENT = {
    "apply_permutation", "bind", "Container", "DistributedDataParallel", "convert_conv2d_weight_memory_format",
    "convert_conv3d_weight_memory_format", "register_module_backward_hook", "LinearCrossEntropyOptions",
    "SpectralNormLoadStateDictPreHook", "SpectralNormStateDictHook",
}  # fmt: skip


@pytest.mark.parametrize("path", MODULES)
def test_public_names(path):
    theirs = importlib.import_module(f"torch.nn.{path}")
    ours = importlib.import_module(f"tritorch.nn.{path}")
    names = getattr(theirs, "__all__", None) or [
        name for name, value in vars(theirs).items()
        if not name.startswith("_") and inspect.isroutine(value) and value.__module__ == theirs.__name__
    ]  # fmt: skip
    assert [name for name in names if name not in ABSENT and not hasattr(ours, name)] == []


@pytest.mark.parametrize(
    "name",
    ["batchnorm._BatchNorm", "batchnorm._NormBase", "conv._ConvNd", "conv._ConvTransposeNd", "dropout._DropoutNd",
     "instancenorm._InstanceNorm", "loss._Loss", "loss._WeightedLoss", "utils._pair", "utils._ntuple"],
)  # fmt: skip
def test_names_that_scripts_use_all_the_same(name):
    module, _, member = name.partition(".")
    assert hasattr(importlib.import_module(f"torch.nn.modules.{module}"), member)
    assert hasattr(importlib.import_module(f"tritorch.nn.modules.{module}"), member)
