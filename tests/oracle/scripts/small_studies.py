"""Smaller studies: distillation by kl_div, quantile regression, style transfer by Gram matrices, mixers, optimizers side by side."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim import lr_scheduler as L

# tolerance: 1e-3 - LBFGS without a line search amplifies rounding

torch.manual_seed(0)
x = torch.randn(96, 3, 8, 8)
y = (x.mean((1, 2, 3)) * 40).floor().long().remainder(4)


class MixerBlock(nn.Module):
    def __init__(self, tokens, dim):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.token = nn.Sequential(nn.Linear(tokens, 16), nn.GELU(), nn.Linear(16, tokens))
        self.channel = nn.Sequential(nn.Linear(dim, 32), nn.GELU(), nn.Linear(32, dim))

    def forward(self, x):
        x = x + self.token(self.n1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channel(self.n2(x))


class ConvNeXtBlock(nn.Module):
    def __init__(self, dim, layer_scale=1e-2):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pw1, self.act, self.pw2 = nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(layer_scale * torch.ones(dim), requires_grad=True)
        nn.init.trunc_normal_(self.pw1.weight, std=0.02)

    def forward(self, x):
        y = self.dwconv(x).permute(0, 2, 3, 1)
        y = self.gamma * self.pw2(self.act(self.pw1(self.norm(y))))
        return x + y.permute(0, 3, 1, 2)


class SE(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.fc = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(c, c // 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c // 2, c, 1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return x * self.fc(x)


class Mixer(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.stem = nn.Conv2d(3, dim, 2, 2)
        self.blocks = nn.Sequential(MixerBlock(16, dim), MixerBlock(16, dim))
        self.head = nn.Linear(dim, 4)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x).flatten(2).mT).mean(1))


teacher = Mixer()
opt = (
    torch.optim.Lion(teacher.parameters(), lr=1e-3)
    if hasattr(torch.optim, "Lion")
    else torch.optim.AdamW(teacher.parameters(), 5e-3)
)
for step in range(10):
    loss = F.cross_entropy(teacher(x), y, weight=torch.tensor([1.0, 2.0, 1.0, 0.5]))
    opt.zero_grad()
    loss.backward()
    opt.step()
print("teacher", round(loss.item(), 5), (teacher(x).argmax(1) == y).float().mean().item())

student = nn.Sequential(
    nn.Conv2d(3, 8, 3, 2, 1), ConvNeXtBlock(8), SE(8), nn.AvgPool2d(2), nn.Flatten(), nn.LazyLinear(4)
)
T, alpha = 4.0, 0.7
with torch.no_grad():
    soft = teacher(x)
student(x[:1])
print(student)
opt = torch.optim.SGD(student.parameters(), lr=0.05, momentum=0.9)
warm = L.LinearLR(opt, 0.1, total_iters=3)
sched = L.SequentialLR(opt, [warm, L.ExponentialLR(opt, 0.9)], [3])
for step in range(10):
    out = student(x)
    kd = nn.KLDivLoss(reduction="batchmean")(F.log_softmax(out / T, dim=1), F.softmax(soft / T, dim=1)) * (
        T * T * 2.0 * alpha
    )
    also = F.kl_div(F.log_softmax(out, 1), F.log_softmax(soft, 1), log_target=True, reduction="sum")
    loss = kd + F.cross_entropy(out, y) * (1.0 - alpha)
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if step % 3 == 0:
        print(f"distil {step}: {loss.item():.5f} {also.item():.4f} lr {sched.get_last_lr()[0]:.5f}")

xs = torch.linspace(-1, 1, 64)[:, None]
ys = xs**2 + 0.3 * torch.randn(64, 1) * (xs + 1.2)
quantiles = torch.tensor([0.1, 0.5, 0.9])
pinball = lambda p, t: torch.max(quantiles * (t - p), (quantiles - 1) * (t - p)).sum(1).mean()
for name in (
    "Adam",
    "SGD",
    "RMSprop",
    "Adagrad",
    "Adadelta",
    "NAdam",
    "RAdam",
    "Adamax",
    "ASGD",
    "Rprop",
    "AdamW",
    "LBFGS",
):
    torch.manual_seed(5)
    net = nn.Sequential(nn.Linear(1, 16), nn.SiLU(), nn.Linear(16, 3))
    extra = {
        "SGD": {"momentum": 0.9, "nesterov": True},
        "RMSprop": {"centered": True, "momentum": 0.5},
        "Adam": {"amsgrad": True},
        "LBFGS": {"max_iter": 4},
    }
    opt = getattr(torch.optim, name)(
        net.parameters(), lr=0.5 if name in ("LBFGS", "Adadelta") else 0.02, **extra.get(name, {})
    )
    plateau = L.ReduceLROnPlateau(opt, factor=0.5, patience=2)

    def closure():
        opt.zero_grad()
        loss = pinball(net(xs), ys)
        loss.backward()
        return loss

    for _ in range(15):
        loss = opt.step(closure)
        plateau.step(loss.item())
    cover = (ys <= net(xs)).float().mean(0)
    print(
        f"{name:9s} {loss.item():.6f} cover {[round(c, 4) for c in cover.tolist()]} lr {opt.param_groups[0]['lr']:.5f}"
    )

vgg = nn.Sequential(
    *[m for i in range(3) for m in (nn.Conv2d(3 if i == 0 else 8, 8, 3, padding=1), nn.ReLU(inplace=False))]
).eval()
for p in vgg.parameters():
    p.requires_grad_(False)
content, style = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16).cumsum(3) / 8


def gram(f):
    b, c, h, w = f.size()
    f = f.view(b * c, h * w)
    return torch.mm(f, f.t()).div(b * c * h * w)


def features(img):
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(-1, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(-1, 1, 1)
    out, f = [], (img - mean) / std
    for layer in vgg:
        f = layer(f)
        if isinstance(layer, nn.ReLU):
            out.append(f)
    return out


wanted, target = [gram(f).detach() for f in features(style)], features(content)[-1].detach()
img = content.clone().requires_grad_(True)
opt = torch.optim.LBFGS([img], max_iter=4)
run = [0]
while run[0] <= 12:

    def closure():
        with torch.no_grad():
            img.clamp_(0, 1)
        opt.zero_grad()
        fs = features(img)
        style_loss = sum(F.mse_loss(gram(f), w) for f, w in zip(fs, wanted))
        tv = (img[..., 1:] - img[..., :-1]).abs().mean() + (img[:, :, 1:] - img[:, :, :-1]).abs().mean()
        loss = 1e4 * style_loss + F.mse_loss(fs[-1], target) + 0.01 * tv
        loss.backward()
        run[0] += 1
        if run[0] % 6 == 0:
            print(f"run {run[0]}: style {style_loss.item():.3e} total {loss.item():.5f}")
        return loss

    opt.step(closure)
print("image", img.detach().clamp(0, 1).mean().item())
