"""Each snippet of the tour runs verbatim, but for the import line, on the CPU and on the emulated cuda device.

What a snippet takes as given (a model, a loader, sizes) is set up here; what it leaves is checked here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

import tritorch
import tritorch as torch
from tritorch import nn

from .seed_snippets import SNIPPETS


def run(name: str, space: dict) -> dict:
    """Execute a snippet with `import torch` become `import tritorch as torch`."""
    code = SNIPPETS[name]
    code = re.sub(r"^import torch$", "import tritorch as torch", code, flags=re.M)
    code = re.sub(r"^import torch\.(\S+) as (\w+)$", r"import tritorch.\1 as \2", code, flags=re.M)
    code = re.sub(r"^from torch\b", "from tritorch", code, flags=re.M)
    space.setdefault("__name__", "__main__")
    exec(compile(code, f"<seed: {name}>", "exec"), space)
    return space


def simple_net() -> nn.Module:
    return run("define_a_module", {"torch": torch})["model"]


def test_create_tensors(capsys: pytest.CaptureFixture) -> None:
    space = run("create_tensors", {})
    assert space["x"].device.type == "cuda" and space["x"].dtype is torch.float32
    assert space["rand"].shape == (2, 3) and 0 <= space["rand"].min().item() <= space["rand"].max().item() < 1


def test_tensor_operations() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    space = run("tensor_operations", {"torch": torch, "x": x})
    assert space["z"].tolist() == [[13.0, 16.0], [29.0, 36.0]] and space["x"].tolist() == [[1.0, 3.0], [2.0, 4.0]]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_numpy_and_back(device: str) -> None:
    space = run("numpy_and_back", {"torch": torch, "tensor": torch.ones(2, 3).to(device)})
    assert space["numpy_array"].tolist() == [[1.0] * 3] * 2
    space["numpy_array"][0, 0] = 5  # from_numpy shares memory
    assert space["tensor"][0, 0].item() == 5


def test_define_a_module() -> None:
    model = simple_net()
    assert model(torch.rand(4, 784)).shape == (4, 10)


def test_parameters_device_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    space = run("parameters_device_state", {"torch": torch, "nn": nn, "model": simple_net()})
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "fc1.weight torch.Size([128, 784])" and len(printed) == 4
    assert all(p.device.type == "cuda" for p in space["model"].parameters()) and (tmp_path / "model.pth").exists()


def test_autograd(capsys: pytest.CaptureFixture) -> None:
    run("autograd", {"torch": torch})
    assert capsys.readouterr().out == "tensor([7.])\n"


def test_gradient_control() -> None:
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.rand(5, 3, requires_grad=True)
    loss = model(x).sum()
    space = run("gradient_control", {"torch": torch, "model": model, "x": x, "optimizer": optimizer, "loss": loss})
    assert not space["y"].requires_grad and model.weight.grad is not None


def test_layers() -> None:
    given = {"in_features": 4, "out_features": 2, "in_channels": 3, "out_channels": 5, "kernel_size": 3, "num_features": 3,
             "normalized_shape": 4}  # fmt: skip
    run("layers", dict(given))


def test_losses() -> None:
    space = run("losses", {"nn": nn})
    assert isinstance(space["criterion"], nn.BCELoss)


def test_optimizers() -> None:
    space = run("optimizers", {"model": nn.Linear(2, 2)})
    assert type(space["optimizer"]).__name__ == "AdamW"


def batches(device: str, n: int) -> list:
    images, labels = tritorch.datasets.digits()
    x = images[:n].reshape(n, 64).to(torch.float32)
    y = labels[:n]
    return [(x[i : i + 32].to(device), y[i : i + 32].to(device)) for i in range(0, n, 32)]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
def test_training_loop(device: str, kind: str, capsys: pytest.CaptureFixture) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)).to(device)
    optimizer = {
        "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
        "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.01),
    }[kind](model.parameters())
    data = batches(device, 256)
    space = {"torch": torch, "model": model, "optimizer": optimizer, "criterion": nn.CrossEntropyLoss(), "num_epochs": 4,
             "dataloader": data, "test_loader": data}  # fmt: skip
    run("training_loop", space)
    losses = [float(line.rsplit(" ", 1)[1]) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) == 4 and losses[-1] < 0.8 * losses[0], losses
    assert not space["outputs"].requires_grad and not model.training


def test_dataset_and_dataloader() -> None:
    images, labels = tritorch.datasets.digits()
    space = run("dataset_and_dataloader", {"train_data": images[:100], "train_labels": labels[:100]})
    seen = [y for _, ys in space["dataloader"] for y in ys.tolist()]
    assert len(seen) == 100 and sorted(seen) == sorted(labels[:100].tolist())


def test_saving_and_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loss = model(torch.ones(2, 4)).sum()
    loss.backward()
    optimizer.step()
    before = model(torch.ones(1, 4)).item()
    space = run(
        "saving_and_loading", {"torch": torch, "model": model, "optimizer": optimizer, "epoch": 3, "loss": loss}
    )
    assert space["model"](torch.ones(1, 4)).item() == before
    assert space["checkpoint"]["epoch"] == 3 and sorted(os.listdir(tmp_path)) == [
        "checkpoint.pth", "model_full.pth", "model_weights.pth",
    ]  # fmt: skip
    np.testing.assert_allclose(space["checkpoint"]["loss"].item(), loss.item())


@pytest.mark.parametrize("devices", [1, 2])
def test_gpu(devices: int) -> None:
    from tritorch import device as _  # noqa: F401
    from tritorch.device import EMULATED, emulate

    if not EMULATED and torch.cuda.device_count() < devices:
        pytest.skip(f"needs {devices} cuda devices")
    if EMULATED:
        emulate(devices)
    try:
        space = run("gpu", {"torch": torch, "nn": nn, "model": nn.Linear(3, 2), "inputs": torch.ones(4, 3)})
        out = space["model"](space["inputs"])
        assert out.device.type == "cuda" and out.shape == (4, 2)
        assert isinstance(space["model"], nn.DataParallel) == (devices > 1)
    finally:
        if EMULATED:
            emulate(1)
