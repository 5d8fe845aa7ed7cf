"""A model trained in PyTorch, saved there, loaded here, gives the same outputs; trained on here and taken back as well."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402


def convolutions(lib):
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 5)
    )


def dense(lib):
    nn = lib.nn
    norm = nn.utils.parametrizations.weight_norm(nn.Linear(16, 8))
    return nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), norm, nn.Flatten(), nn.Linear(64, 5))


def recurrent(lib):
    class Last(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = lib.nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True)
            self.head = lib.nn.Linear(12, 5)

        def forward(self, x):
            return self.head(self.lstm(x[:, 0])[0][:, -1])

    return Last()


def attention(lib):
    nn = lib.nn

    class Encoded(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(8, 5)

        def forward(self, x):
            return self.head(self.encoder(x[:, 0]).mean(1))

    return Encoded()


RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 1, 8, 8)).astype(np.float32)
CLASSES = RNG.integers(0, 5, 12)


def train(lib, model, optimizer, steps):
    model.train()
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = lib.nn.functional.cross_entropy(model(lib.tensor(X)), lib.tensor(CLASSES))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def outputs(lib, model):
    model.eval()
    with lib.no_grad():
        return model(lib.tensor(X)).numpy()


@pytest.mark.parametrize("make", [convolutions, dense, recurrent, attention])
@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW"])
def test_there_and_back(make, optimizer, tmp_path):
    path = tmp_path / "checkpoint.pth"
    theirs, mine = make(torch), make(tritorch)
    their_steps = getattr(torch.optim, optimizer)(theirs.parameters(), lr=0.01)
    train(torch, theirs, their_steps, 5)
    torch.save({"model": theirs.state_dict(), "optimizer": their_steps.state_dict()}, path)

    checkpoint = tritorch.load(path)
    mine.load_state_dict(checkpoint["model"])
    my_steps = getattr(tritorch.optim, optimizer)(mine.parameters(), lr=0.5)
    my_steps.load_state_dict(checkpoint["optimizer"])
    assert my_steps.param_groups[0]["lr"] == 0.01
    np.testing.assert_allclose(outputs(tritorch, mine), outputs(torch, theirs), rtol=1e-5, atol=1e-6)

    train(tritorch, mine, my_steps, 5)
    tritorch.save({"model": mine.state_dict(), "optimizer": my_steps.state_dict()}, path)
    back, their_steps = make(torch), getattr(torch.optim, optimizer)(theirs.parameters(), lr=0.5)
    checkpoint = torch.load(path)
    back.load_state_dict(checkpoint["model"])
    their_steps.load_state_dict(checkpoint["optimizer"])
    np.testing.assert_allclose(outputs(torch, back), outputs(tritorch, mine), rtol=1e-5, atol=1e-6)
    assert not np.allclose(outputs(torch, back), outputs(torch, theirs), atol=1e-3)  # it did train on


def test_a_whole_model_there_and_back(tmp_path):
    path = tmp_path / "model.pth"
    theirs = convolutions(torch)
    train(torch, theirs, torch.optim.SGD(theirs.parameters(), lr=0.05), 5)
    torch.save(theirs, path)
    mine = tritorch.load(path)
    np.testing.assert_allclose(outputs(tritorch, mine), outputs(torch, theirs), rtol=1e-5, atol=1e-6)
    train(tritorch, mine, tritorch.optim.SGD(mine.parameters(), lr=0.05), 5)
    tritorch.save(mine, path)
    back = torch.load(path, weights_only=False)
    np.testing.assert_allclose(outputs(torch, back), outputs(tritorch, mine), rtol=1e-5, atol=1e-6)
