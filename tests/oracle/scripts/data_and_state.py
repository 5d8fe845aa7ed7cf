"""Datasets, samplers, workers, collate functions; checkpoints of model, optimizer and scheduler; resumed runs that agree."""

import os
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    get_worker_info,
    random_split,
)
from torch.utils.data.dataloader import default_collate


class Curves(Dataset):
    def __init__(self, n, transform=None):
        self.x = np.linspace(0, 1, n, dtype=np.float32)
        self.transform = transform

    def __len__(self):
        return len(self.x)

    def __getitem__(self, idx):
        if torch.is_tensor(idx):
            idx = idx.tolist()
        sample = {"x": self.x[idx : idx + 1], "y": float(self.x[idx] ** 2), "id": idx, "name": f"n{idx}"}
        return self.transform(sample) if self.transform else sample


class Stream(IterableDataset):
    def __init__(self, start, end):
        self.start, self.end = start, end

    def __iter__(self):
        info = get_worker_info()
        if info is None:
            return iter(range(self.start, self.end))
        per = -(-(self.end - self.start) // info.num_workers)
        first = self.start + info.id * per
        return iter(range(first, min(first + per, self.end)))


class ByLength(Sampler):
    def __init__(self, lengths, batch):
        self.order, self.batch = np.argsort(lengths, kind="stable"), batch

    def __iter__(self):
        yield from (self.order[i : i + self.batch].tolist() for i in range(0, len(self.order), self.batch))

    def __len__(self):
        return (len(self.order) + self.batch - 1) // self.batch


def seed_worker(worker_id):
    seed = torch.initial_seed() % 2**32
    np.random.seed(seed)
    random.seed(seed)


class Noisy(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, i):
        return torch.rand(1).item(), np.random.rand(), random.random(), get_worker_info().id


torch.manual_seed(0)
loader = DataLoader(Curves(10), batch_size=4, shuffle=True, num_workers=2, worker_init_fn=seed_worker)
for batch in loader:
    print(batch["id"], batch["x"].shape, batch["y"].dtype, batch["name"])
g = torch.Generator()
g.manual_seed(0)
for row in DataLoader(Noisy(), batch_size=3, num_workers=2, worker_init_fn=seed_worker, generator=g):
    print([[round(v, 6) for v in c.tolist()] for c in row])
print(sorted(torch.cat(list(DataLoader(Stream(3, 12), num_workers=2, batch_size=2))).tolist()))
print(list(BatchSampler(SequentialSampler(range(7)), batch_size=3, drop_last=False)), list(RandomSampler(range(5))))
print(list(WeightedRandomSampler([0.1, 0.9, 0.4, 0.7, 3.0, 0.6], 5)), list(SubsetRandomSampler([4, 2, 0])))
lengths = [5, 2, 9, 1, 4]
seqs = [torch.arange(n) for n in lengths]
pad = lambda b: (nn.utils.rnn.pad_sequence(b, batch_first=True), torch.tensor([len(s) for s in b]))
for tokens, n in DataLoader(seqs, batch_sampler=ByLength(lengths, 2), collate_fn=pad):
    print(tuple(tokens.shape), n.tolist())
a, b, c = random_split(range(10), [0.5, 0.3, 0.2], generator=torch.Generator().manual_seed(42))
print(list(a), list(b), len(ConcatDataset([a, b, c])), Subset(c, [1])[0])
print(default_collate([(1, {"a": torch.ones(2)}), (2, {"a": torch.zeros(2)})]))
kf = np.array_split(np.random.RandomState(0).permutation(12), 3)
print([Subset(TensorDataset(torch.arange(12)), f.tolist())[0][0].item() for f in kf])


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)

    def forward(self, x):
        if self.training:
            self.steps += 1
        return self.net(x)


def train(model, opt, sched, epochs):
    data = Curves(16)
    for _ in range(epochs):
        for batch in DataLoader(data, batch_size=8, shuffle=True):
            loss = nn.functional.mse_loss(model(batch["x"]).squeeze(1), batch["y"].float())
            opt.zero_grad()
            loss.backward()
            opt.step()
        sched.step()
    return loss.item()


def make():
    model = Model()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-2)
    return model, opt, torch.optim.lr_scheduler.MultiStepLR(opt, milestones=[2, 4], gamma=0.5)


torch.manual_seed(3)
model, opt, sched = make()
first = train(model, opt, sched, 3)
with tempfile.TemporaryDirectory() as d:
    path = Path(d) / "checkpoint.pt"
    state = {
        "epoch": 3,
        "model": model.state_dict(),
        "optimizer": opt.state_dict(),
        "scheduler": sched.state_dict(),
        "rng": torch.get_rng_state(),
        "args": {"lr": 1e-2, "name": "run"},
    }
    torch.save(state, path)
    straight = train(model, opt, sched, 2)
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    other, opt2, sched2 = make()
    print(other.load_state_dict(checkpoint["model"]))
    opt2.load_state_dict(checkpoint["optimizer"])
    sched2.load_state_dict(checkpoint["scheduler"])
    torch.set_rng_state(checkpoint["rng"])
    resumed = train(other, opt2, sched2, 2)
    print(f"{first:.6f} {straight:.6f} {resumed:.6f}", straight == resumed, checkpoint["args"], other.steps)
    torch.save(model, os.path.join(d, "whole.pt"))
    whole = torch.load(os.path.join(d, "whole.pt"), weights_only=False)
    print(type(whole).__name__, all(torch.equal(p, q) for p, q in zip(model.parameters(), whole.parameters())))
print(list(model.state_dict()), sched2.get_last_lr(), sorted(opt2.state_dict()["param_groups"][0])[:6])
bigger = nn.Sequential(nn.Linear(1, 8), nn.Linear(8, 1))
try:
    bigger.load_state_dict({"0.weight": torch.zeros(8, 2), "2.bias": torch.zeros(1)})
except RuntimeError as error:
    print(error)
print(bigger.load_state_dict({"0.bias": torch.ones(8), "new": torch.ones(1)}, strict=False))
