"""Logging: SummaryWriter, a tqdm bar, meters, early stopping, a metrics table, an LR finder, timing, seeds, a config from argparse."""

import glob
import logging
import os
import sys
import tempfile
import time
from collections import OrderedDict, deque

import torch
import torch.nn as nn
import torch.nn.functional as F
from tqdm import tqdm

try:
    from torch.utils.tensorboard import SummaryWriter
except ImportError:
    from tensorboardX import SummaryWriter

logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
log = logging.getLogger("run")


class AverageMeter:
    def __init__(self, name, fmt=":f"):
        self.name, self.fmt = name, fmt
        self.val = self.avg = self.sum = self.count = 0

    def update(self, val, n=1):
        self.val = val
        self.sum += val * n
        self.count += n
        self.avg = self.sum / self.count

    def __str__(self):
        return ("{name} {val" + self.fmt + "} ({avg" + self.fmt + "})").format(**self.__dict__)


class EarlyStopping:
    def __init__(self, patience=2):
        self.best, self.left, self.patience, self.state = float("inf"), patience, patience, None

    def __call__(self, value, model):
        if value < self.best:
            self.best, self.left = value, self.patience
            self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}
        else:
            self.left -= 1
        return self.left <= 0


def accuracy(output, target, topk=(1,)):
    with torch.no_grad():
        maxk = max(topk)
        _, pred = output.topk(maxk, 1, True, True)
        pred = pred.t()
        correct = pred.eq(target.view(1, -1).expand_as(pred))
        return [correct[:k].reshape(-1).float().sum(0, keepdim=True).mul_(100.0 / target.size(0)) for k in topk]


def set_seed(seed):
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    torch.backends.cudnn.deterministic = True


set_seed(11)
x = torch.randn(120, 6)
y = (x @ torch.randn(6, 4)).argmax(1)
model = nn.Sequential(OrderedDict(fc1=nn.Linear(6, 24), act=nn.CELU(0.5), drop=nn.Dropout1d(0.0), fc2=nn.Linear(24, 4)))
opt = torch.optim.SGD(model.parameters(), lr=1e-4)
lrs, losses = [], []
finder = torch.optim.lr_scheduler.ExponentialLR(opt, 2.0)
start = {k: v.clone() for k, v in model.state_dict().items()}
for _ in range(14):
    loss = F.cross_entropy(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    lrs.append(finder.get_last_lr()[0])
    losses.append(loss.item())
    finder.step()
best = lrs[int(torch.tensor(losses).diff().argmin())]
model.load_state_dict(start)
print(f"lr found {best:.6f}, losses {losses[0]:.4f} to {min(losses):.4f}")

with tempfile.TemporaryDirectory() as logs, open(os.devnull, "w") as null:
    writer = SummaryWriter(log_dir=logs)
    writer.add_text("config", str({"lr": best}))
    opt = torch.optim.SGD(model.parameters(), lr=best, momentum=0.9)
    top1, top2, stop, recent = (
        AverageMeter("Acc@1", ":6.2f"),
        AverageMeter("Acc@2", ":6.2f"),
        EarlyStopping(),
        deque(maxlen=5),
    )
    for epoch in tqdm(range(10), file=null):
        begin = time.time()
        for xb, yb in zip(x.split(40), y.split(40)):
            out = model(xb)
            loss = F.cross_entropy(out, yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            a1, a2 = accuracy(out, yb, topk=(1, 2))
            top1.update(a1[0], xb.size(0))
            top2.update(a2.item(), xb.size(0))
            recent.append(loss.detach())
        step = epoch * 3
        writer.add_scalar("loss/train", loss, step)
        writer.add_scalars("acc", {"top1": float(top1.avg), "top2": top2.avg}, step)
        for name, p in model.named_parameters():
            writer.add_histogram(name.replace(".", "/"), p, step)
            writer.add_histogram(f"{name}.grad", p.grad, step)
        if epoch % 4 == 0:
            print(f"epoch {epoch} {top1} {top2} recent {torch.stack(list(recent)).mean():.5f}")
        if stop(loss.item(), model):
            break
        assert time.time() >= begin
    writer.add_image("weights", model.fc1.weight.detach()[None].sigmoid(), 0)
    writer.add_hparams({"lr": best}, {"hparam/acc": float(top1.avg)})
    writer.flush()
    writer.close()
    print("event files", len(glob.glob(os.path.join(logs, "**", "events*"), recursive=True)) > 0)
model.load_state_dict(stop.state)
print("best", round(stop.best, 5), sum(p.numel() for p in model.parameters() if p.requires_grad))
confusion = torch.bincount(4 * y + model(x).argmax(1), minlength=16).reshape(4, 4)
precision = confusion.diag() / confusion.sum(0).clamp(min=1)
recall = confusion.diag() / confusion.sum(1).clamp(min=1)
print(confusion, precision, (2 * precision * recall / (precision + recall)).nan_to_num().mean(), sep="\n")
p = model(x).softmax(1)
conf, hit = p.max(1).values, p.argmax(1).eq(y)
bins = torch.bucketize(conf, torch.linspace(0, 1, 6)[1:-1])
ece = sum(
    (conf[bins == b].mean() - hit[bins == b].float().mean()).abs() * (bins == b).float().mean() for b in bins.unique()
)
scores, order = p[:, 0].sort(descending=True)
pos = y[order].eq(0)
auc = torch.trapezoid(pos.cumsum(0) / pos.sum(), (~pos).cumsum(0) / (~pos).sum())
print(f"ece {ece.item():.5f} auc {auc.item():.5f} {torch.get_default_dtype()} {torch.is_grad_enabled()}")
