"""A vision transformer: convolutional patch embedding, class token, DropPath, MultiheadAttention, mixup, warm-up into cosine."""

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR


class PatchEmbedding(nn.Module):
    def __init__(self, size=16, patch=4, channels=3, dim=32):
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, kernel_size=patch, stride=patch)
        self.n = (size // patch) ** 2

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class DropPath(nn.Module):
    def __init__(self, p=0.0):
        super().__init__()
        self.p = p

    def forward(self, x):
        if self.p == 0.0 or not self.training:
            return x
        keep = 1 - self.p
        return x * x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep).div_(keep)

    def extra_repr(self):
        return f"p={self.p:0.2f}"


class Block(nn.Module):
    def __init__(self, dim, heads, drop_path):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = nn.MultiheadAttention(dim, heads, dropout=0.1, batch_first=True)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(approximate="tanh"), nn.Linear(2 * dim, dim))
        self.drop_path = DropPath(drop_path)
        self.gamma = nn.Parameter(1e-1 * torch.ones(dim))

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.drop_path(self.gamma * self.attn(y, y, y, need_weights=False)[0])
        return x + self.drop_path(self.mlp(self.norm2(x)))


class ViT(nn.Module):
    def __init__(self, dim=32, depth=3, heads=4, classes=5):
        super().__init__()
        self.patch = PatchEmbedding(dim=dim)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos = nn.Parameter(torch.empty(1, self.patch.n + 1, dim))
        nn.init.trunc_normal_(self.pos, std=0.02)
        rates = [r.item() for r in torch.linspace(0, 0.2, depth)]
        self.blocks = nn.Sequential(*[Block(dim, heads, r) for r in rates])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        x = self.patch(x)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1) + self.pos
        return self.head(self.norm(self.blocks(x))[:, 0])


def mixup(x, y, classes, alpha=0.4):
    lam = torch.distributions.Beta(torch.tensor(alpha), torch.tensor(alpha)).sample()
    perm = torch.randperm(x.size(0))
    hot = nn.functional.one_hot(y, classes).float()
    return x.lerp(x[perm], lam), hot.lerp(hot[perm], lam)


torch.manual_seed(0)
x = torch.randn(64, 3, 16, 16)
y = torch.randint(0, 5, (64,))
x += y.view(-1, 1, 1, 1).sub(2).float() * 0.4
model = ViT()
print(model.blocks[1])
decay, rest = [], []
for name, p in model.named_parameters():
    (rest if p.ndim <= 1 or name in {"pos", "cls"} else decay).append(p)
optimizer = torch.optim.AdamW(
    [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}], lr=2e-3, betas=(0.9, 0.95)
)
scheduler = SequentialLR(
    optimizer,
    [LinearLR(optimizer, start_factor=0.1, total_iters=4), CosineAnnealingLR(optimizer, T_max=12, eta_min=1e-5)],
    milestones=[4],
)
criterion = nn.CrossEntropyLoss()
for epoch in range(16):
    model.train()
    xm, ym = mixup(x, y, 5)
    loss = criterion(model(xm), ym)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 5 == 0:
        print(f"epoch {epoch:2d} loss {loss.item():.4f} lr {optimizer.param_groups[0]['lr']:.2e}")
    scheduler.step()
model.eval()
with torch.inference_mode():
    out = model(x)
    top = out.softmax(-1).topk(2)
    print("accuracy", (out.argmax(1) == y).float().mean().item())
    print(top.indices[:4], top.values[:4], sep="\n")
maps = model.blocks[0].attn(*[model.blocks[0].norm1(model.patch(x[:2]))] * 3, average_attn_weights=False)[1]
print(maps.shape, maps.sum(-1).mean().item())
