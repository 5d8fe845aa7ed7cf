"""Contrastive learning: SimCLR's NT-Xent, CLIP's two-way loss with a learned scale, MoCo's queue, BYOL, triplets, Barlow twins."""

import copy

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class Encoder(nn.Module):
    def __init__(self, cin=1, dim=16):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(cin, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.Hardswish(),
            nn.AdaptiveMaxPool2d(2),
            nn.Flatten(),
        )
        self.projector = nn.Sequential(nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU(inplace=True), nn.Linear(32, dim))

    def forward(self, x):
        return self.projector(self.features(x))


def info_nce(features, temperature=0.5):
    n = features.shape[0] // 2
    labels = torch.cat([torch.arange(n) for _ in range(2)], dim=0)
    labels = (labels.unsqueeze(0) == labels.unsqueeze(1)).float()
    features = F.normalize(features, dim=1)
    similarity = torch.matmul(features, features.T)
    mask = torch.eye(labels.shape[0], dtype=torch.bool)
    labels = labels[~mask].view(labels.shape[0], -1)
    similarity = similarity[~mask].view(similarity.shape[0], -1)
    positives = similarity[labels.bool()].view(labels.shape[0], -1)
    negatives = similarity[~labels.bool()].view(similarity.shape[0], -1)
    logits = torch.cat([positives, negatives], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(logits.shape[0], dtype=torch.long)), logits


def nt_xent(z, t=0.5):
    n = len(z) // 2
    sim = F.cosine_similarity(z[:, None], z[None], dim=-1).div_(t)
    sim.fill_diagonal_(-9e15)
    return F.cross_entropy(sim, torch.arange(2 * n).roll(n))


class Clip(nn.Module):
    def __init__(self):
        super().__init__()
        self.visual, self.text = Encoder(), nn.EmbeddingBag(30, 16, mode="mean", padding_idx=0)
        self.logit_scale = nn.Parameter(torch.ones([]) * np.log(1 / 0.07))

    def forward(self, image, text):
        i, t = self.visual(image), self.text(text)
        i = i / i.norm(dim=1, keepdim=True)
        t = t / t.norm(dim=1, keepdim=True)
        logits = self.logit_scale.exp() * i @ t.t()
        target = torch.arange(len(image), device=image.device)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target)) / 2, logits


def augment(x):
    x = x + 0.1 * torch.randn_like(x)
    angle = (torch.rand(len(x)) - 0.5) * 0.6
    zero = torch.zeros_like(angle)
    theta = torch.stack([angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero], 1).view(-1, 2, 3)
    x = F.grid_sample(
        x, F.affine_grid(theta, x.size(), align_corners=False), padding_mode="reflection", align_corners=False
    )
    keep = torch.rand(len(x), 1, 1, 1).ge(0.2)
    return x * (0.5 + 0.5 * keep)


torch.manual_seed(0)
np.random.seed(0)
images = torch.from_numpy(np.random.rand(16, 1, 10, 10).astype("float32")) + torch.arange(16).view(-1, 1, 1, 1) % 4
model = Encoder()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=4, T_mult=2)
for step in range(8):
    z = model(torch.cat([augment(images), augment(images)]))
    loss, logits = info_nce(z)
    top1 = (logits.argmax(1) == 0).float().mean() * 100
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step(step + 1)
    if step % 2 == 0:
        print(f"simclr {step}: {loss.item():.4f} top1 {top1:.2f} lr {scheduler.get_last_lr()[0]:.5f}")
print("forms agree", torch.isclose(nt_xent(z.detach()), info_nce(z.detach())[0], atol=1e-5))

clip = Clip()
words = torch.randint(1, 30, (16, 5)) * (torch.arange(5) < torch.randint(1, 6, (16, 1)))
opt = torch.optim.AdamW(clip.parameters(), lr=1e-2, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.2)
for step in range(8):
    opt.zero_grad()
    loss, logits = clip(images, words)
    loss.backward()
    opt.step()
    with torch.no_grad():
        clip.logit_scale.clamp_(0, np.log(100))
    if step % 3 == 0:
        acc = (logits.argmax(-1) == torch.arange(16)).float().mean()
        print(f"clip {step}: {loss.item():.4f} scale {clip.logit_scale.exp().item():.4f} acc {acc:.3f}")

q, k = Encoder(), Encoder()
k.load_state_dict(q.state_dict())
k.requires_grad_(False)
queue, ptr = F.normalize(torch.randn(16, 32), dim=0), 0
opt = torch.optim.SGD(q.parameters(), 0.05, weight_decay=1e-4)
for step in range(4):
    zq = F.normalize(q(augment(images)))
    with torch.no_grad():
        for a, b in zip(k.parameters(), q.parameters()):
            a.data = a.data * 0.99 + b.data * 0.01
        shuffle = torch.randperm(16)
        zk = F.normalize(k(augment(images)[shuffle]))[torch.argsort(shuffle)]
    pos = torch.einsum("nc,nc->n", [zq, zk]).unsqueeze(-1)
    neg = torch.einsum("nc,ck->nk", [zq, queue.clone().detach()])
    loss = F.cross_entropy(torch.cat([pos, neg], dim=1) / 0.07, torch.zeros(16, dtype=torch.long))
    opt.zero_grad()
    loss.backward()
    opt.step()
    queue[:, ptr : ptr + 16] = zk.T
    ptr = (ptr + 16) % 32
print(f"moco {loss.item():.5f}")

online, predictor = Encoder(), nn.Sequential(nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 16))
target = copy.deepcopy(online)
for p in target.parameters():
    p.detach_()
opt = torch.optim.Adam([*online.parameters(), *predictor.parameters()], 1e-2)
for step in range(4):
    a, b = augment(images), augment(images)
    loss = 2 - 2 * F.cosine_similarity(predictor(online(a)), target(b).detach(), dim=-1).mean()
    za, zb = online(a), online(b)
    c = ((za - za.mean(0)) / za.std(0)).T @ ((zb - zb.mean(0)) / zb.std(0)) / len(za)
    barlow = (
        torch.diagonal(c).add_(-1).pow_(2).sum()
        + 0.005 * c.masked_select(~torch.eye(16, dtype=torch.bool)).pow(2).sum()
    )
    triplet = nn.TripletMarginLoss(margin=1.0, p=2)(za, zb, zb.roll(1, 0))
    semi = nn.TripletMarginWithDistanceLoss(distance_function=lambda u, v: 1 - F.cosine_similarity(u, v), swap=True)
    loss = loss + 0.1 * barlow + triplet + semi(za, zb, zb.flip(0))
    opt.zero_grad()
    loss.backward()
    opt.step()
    for p, tp in zip(online.parameters(), target.parameters()):
        tp.data.lerp_(p.data, 0.1)
print(f"byol, barlow, triplet {loss.item():.4f} {barlow.item():.4f} {triplet.item():.4f}")
