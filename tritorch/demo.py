"""`python -m tritorch.demo`: train a small convolutional network on real handwritten digits, save it, load it, show it.

Writes `digits.pth` (a checkpoint) and `digits.png` (loss curve and some predictions) to the folder given by --out.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import tritorch as torch
from tritorch import nn
from tritorch.datasets import digits
from tritorch.utils.data import DataLoader, Subset, TensorDataset, random_split


def make_model() -> nn.Sequential:
    """Two convolutions with batch norm and one hidden layer, for images (N, 1, 8, 8); logits (N, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def train(tqdm: Any, model: nn.Module, optimizer: Any, data: Any, epochs: int, device: Any) -> list[float]:
    """Train with cross-entropy, batches of 64, under a progress bar of `tqdm`; the loss of each step."""
    loader = DataLoader(data, batch_size=64, shuffle=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs * len(loader))
    criterion = nn.CrossEntropyLoss()
    losses = []
    model.train()
    with tqdm(total=epochs * len(data), unit=" samples", unit_scale=True) as bar:
        for epoch in range(epochs):
            for images, labels in loader:
                loss = criterion(model(images.to(device)), labels.to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
                bar.set_description(f"epoch {epoch + 1}/{epochs}, loss {losses[-1]:.3f}", refresh=False)
                bar.update(len(images))
    return losses


def predict(model: nn.Module, data: Any, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted and true labels, both (N,) int64 on the CPU."""
    model.eval()
    guesses, truth = [], []
    with torch.no_grad():
        for images, labels in DataLoader(data, batch_size=256):
            guesses.append(model(images.to(device)).argmax(1).cpu())
            truth.append(labels)
    return torch.cat(guesses), torch.cat(truth)


def display() -> tuple[Any, Any]:
    """tqdm, and matplotlib.pyplot drawing to files.

    Raises:
        ModuleNotFoundError: one of them is missing; the extra `demo` brings both.
    """
    try:
        import matplotlib
        from tqdm import tqdm
    except ModuleNotFoundError as missing:
        what = "progress bar" if missing.name == "tqdm" else "picture"
        raise ModuleNotFoundError(
            f"demo: the {what} needs {missing.name}; install the extra with pip install 'tritorch[demo]'"
        ) from None
    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    return tqdm, plt


def draw(plt: Any, path: Path, losses: list[float], test: Subset, guesses: torch.Tensor, truth: torch.Tensor) -> None:
    """The loss curve, and eight digits with their predictions: first those that are wrong."""
    wrong = (guesses != truth).long()
    chosen = wrong.argsort(descending=True, stable=True)[:8].tolist()
    figure, axes = plt.subplot_mosaic("LLL1234\nLLL5678", figsize=(11, 4), layout="constrained")
    axes["L"].semilogy(losses, linewidth=0.8)
    axes["L"].set(xlabel="step", ylabel="cross-entropy", title="training loss")
    for place, i in zip("12345678", chosen, strict=True):
        axes[place].imshow(test[i][0][0].numpy(), cmap="gray_r")
        guess, label = int(guesses[i]), int(truth[i])
        color = "black" if guess == label else "red"
        axes[place].set_title(f"{guess} (is {label})", color=color, fontsize=10)
        axes[place].set_axis_off()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main(argv: list[str] | None = None) -> float:
    """Run the demo; returns the accuracy on the held-out fifth."""
    parser = argparse.ArgumentParser(prog="python -m tritorch.demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 ...")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the training set (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="split, weights, order and dropout (default 0)")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder for results (default demo-out)")
    args = parser.parse_args(argv)
    if args.epochs < 1:
        parser.error(f"--epochs must be at least 1; got {args.epochs}")
    tqdm, plt = display()  # before the training, so that a missing extra costs no time
    device = torch.device(args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint, picture = args.out / "digits.pth", args.out / "digits.png"

    torch.manual_seed(args.seed)
    train_set, test_set = random_split(TensorDataset(*digits()), [0.8, 0.2])
    model = make_model().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    n_weights = sum(p.numel() for p in model.parameters())
    print(f"{len(train_set)} digits to train on, {len(test_set)} held out; {n_weights} weights on {device}")

    start = time.perf_counter()
    losses = train(tqdm, model, optimizer, train_set, args.epochs, device)
    seconds = time.perf_counter() - start
    guesses, truth = predict(model, test_set, device)
    accuracy = (guesses == truth).float().mean().item()
    print(f"accuracy on the held-out fifth: {accuracy:.2%}, after {seconds:.1f} s of training")

    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epochs": args.epochs}, checkpoint)
    fresh = make_model().to(device)
    fresh.load_state_dict(torch.load(checkpoint, map_location=device)["model"])
    again = (predict(fresh, test_set, device)[0] == truth).float().mean().item()
    print(f"loaded into a new model: {again:.2%}")
    if again != accuracy:
        raise RuntimeError(f"demo: the loaded model is right in {again:.2%}, the trained one in {accuracy:.2%}")
    draw(plt, picture, losses, test_set, guesses, truth)
    print(f"wrote {checkpoint} and {picture}")
    return accuracy


if __name__ == "__main__":
    main()
