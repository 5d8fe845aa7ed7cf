"""Denoising diffusion on 8x8 images: U-Net with time embeddings, GroupNorm, attention, EMA weights, ancestral and DDIM sampling."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class SinusoidalPosEmb(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, t):
        half = self.dim // 2
        freqs = torch.exp(torch.arange(half, device=t.device) * -(math.log(10000) / (half - 1)))
        args = t[:, None].float() * freqs[None, :]
        return torch.cat((args.sin(), args.cos()), dim=-1)


class ResnetBlock(nn.Module):
    def __init__(self, cin, cout, time_dim, groups=4):
        super().__init__()
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(time_dim, cout * 2))
        self.conv1 = nn.Conv2d(cin, cout, 3, padding=1)
        self.norm1 = nn.GroupNorm(groups, cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, cout)
        self.skip = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x, emb):
        scale, shift = self.time(emb)[:, :, None, None].chunk(2, dim=1)
        h = F.silu(self.norm1(self.conv1(x)) * (scale + 1) + shift)
        return F.silu(self.norm2(self.conv2(h))) + self.skip(x)


class Attention(nn.Module):
    def __init__(self, dim, heads=2):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(1, dim)
        self.qkv = nn.Conv2d(dim, dim * 3, 1, bias=False)
        self.out = nn.Conv2d(dim, dim, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = (t.reshape(b, self.heads, c // self.heads, h * w) for t in self.qkv(self.norm(x)).chunk(3, dim=1))
        sim = torch.einsum("bhdi,bhdj->bhij", q * (c // self.heads) ** -0.5, k)
        sim = sim - sim.amax(dim=-1, keepdim=True).detach()
        out = torch.einsum("bhij,bhdj->bhid", sim.softmax(dim=-1), v)
        return x + self.out(out.permute(0, 1, 3, 2).permute(0, 1, 3, 2).reshape(b, c, h, w))


class Unet(nn.Module):
    def __init__(self, dim=8, channels=1):
        super().__init__()
        t = dim * 4
        self.time_mlp = nn.Sequential(SinusoidalPosEmb(dim), nn.Linear(dim, t), nn.GELU(), nn.Linear(t, t))
        self.init = nn.Conv2d(channels, dim, 3, padding=1)
        self.down1 = ResnetBlock(dim, dim, t)
        self.down = nn.Conv2d(dim, dim * 2, 4, 2, 1)
        self.mid = ResnetBlock(dim * 2, dim * 2, t)
        self.attn = Attention(dim * 2)
        self.up = nn.ConvTranspose2d(dim * 2, dim, 4, 2, 1)
        self.up1 = ResnetBlock(dim * 3, dim, t)
        self.final = nn.Conv2d(dim, channels, 1)

    def forward(self, x, time):
        t = self.time_mlp(time)
        h1 = self.down1(self.init(x), t)
        m = self.attn(self.mid(self.down(h1), t))
        wide = F.interpolate(m[:, :8], scale_factor=2, mode="bilinear", align_corners=False)
        return self.final(self.up1(torch.cat((h1, self.up(m), wide + h1), dim=1), t))


def cosine_beta_schedule(timesteps, s=0.008):
    x = torch.linspace(0, timesteps, timesteps + 1, dtype=torch.float64)
    bar = torch.cos(((x / timesteps) + s) / (1 + s) * math.pi * 0.5) ** 2
    return torch.clip(1 - bar[1:] / bar[:-1], 0, 0.999)


def extract(a, t, shape):
    return a.gather(-1, t).reshape(t.shape[0], *((1,) * (len(shape) - 1)))


torch.manual_seed(0)
T = 20
betas = cosine_beta_schedule(T).float()
alphas = 1.0 - betas
bar = torch.cumprod(alphas, dim=0)
bar_prev = F.pad(bar[:-1], (1, 0), value=1.0)
variance = (betas * (1.0 - bar_prev) / (1.0 - bar)).clamp(min=1e-20)


@torch.no_grad()
def sample(model, n):
    x = torch.randn(n, 1, 8, 8)
    for i in reversed(range(T)):
        t = torch.full((n,), i, dtype=torch.long)
        eps = model(x, t)
        x0 = ((x - (1 - bar[i]).sqrt() * eps) / bar[i].sqrt()).clamp(-1, 1)
        mean = bar_prev[i].sqrt() * betas[i] / (1 - bar[i]) * x0
        mean += alphas[i].sqrt() * (1 - bar_prev[i]) / (1 - bar[i]) * x
        x = mean + (variance[i].sqrt() * torch.randn_like(x) if i > 0 else 0)
    return x


@torch.no_grad()
def ddim(model, n, steps=5):
    x = torch.randn(n, 1, 8, 8)
    times = list(reversed(torch.linspace(-1, T - 1, steps=steps + 1).int().tolist()))
    for now, then in zip(times[:-1], times[1:]):
        eps = model(x, torch.full((n,), now))
        x0 = (x - (1 - bar[now]).sqrt() * eps) / bar[now].sqrt()
        x0.clamp_(-1.0, 1.0)
        x = x0 if then < 0 else x0 * bar[then].sqrt() + (1 - bar[then]).sqrt() * eps
    return x


model = Unet()
ema = copy.deepcopy(model).eval().requires_grad_(False)
averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.99))
grid = torch.linspace(-1, 1, 8)
images = torch.sign(grid[:, None] * grid[None, :]).expand(1, 1, 8, 8)
for step in range(30):
    x0 = images * torch.randint(0, 2, (16, 1, 1, 1)).mul(2).sub(1)
    t = torch.randint(0, T, (16,)).long()
    noise = torch.randn_like(x0)
    xt = extract(bar.sqrt(), t, x0.shape) * x0 + extract((1 - bar).sqrt(), t, x0.shape) * noise
    loss = F.smooth_l1_loss(model(xt, t), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    averaged.update_parameters(model)
    with torch.no_grad():
        for pe, p in zip(ema.parameters(), model.parameters()):
            pe.mul_(0.9).add_(p, alpha=0.1)
    if step % 6 == 5:
        print(f"step {step + 1:3d}: loss {loss.item():.4f}")
gap = max((a - b).abs().max().item() for a, b in zip(ema.parameters(), averaged.module.parameters()))
print("two averages agree", gap < 1.0, averaged.n_averaged)
out = sample(ema, 2)
print("ancestral", out.mean().item(), out.std().item(), out.shape)
out = ddim(averaged, 2)
print("ddim", out.mean().item(), out.std().item())
