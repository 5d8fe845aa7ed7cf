"""NeRF: positional encoding, rays, volume rendering by cumprod, hierarchical samples, then a hash grid and a feature plane."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def get_rays(H, W, focal, c2w):
    i, j = torch.meshgrid(torch.linspace(0, W - 1, W), torch.linspace(0, H - 1, H), indexing="xy")
    dirs = torch.stack([(i - W * 0.5) / focal, -(j - H * 0.5) / focal, -torch.ones_like(i)], -1)
    rays_d = torch.sum(dirs[..., None, :] * c2w[:3, :3], -1)
    return c2w[:3, -1].expand(rays_d.shape), rays_d


def embed(x, L=4):
    return torch.cat([x] + [fn(2.0**k * x) for k in range(L) for fn in (torch.sin, torch.cos)], -1)


def sample_pdf(bins, weights, n, det=False):
    weights = weights + 1e-5
    pdf = weights / torch.sum(weights, -1, keepdim=True)
    cdf = torch.cumsum(pdf, -1)
    cdf = torch.cat([torch.zeros_like(cdf[..., :1]), cdf], -1)
    if det:
        u = torch.linspace(0.0, 1.0, steps=n).expand(list(cdf.shape[:-1]) + [n])
    else:
        u = torch.rand(list(cdf.shape[:-1]) + [n])
    u = u.contiguous()
    inds = torch.searchsorted(cdf, u, right=True)
    below = torch.max(torch.zeros_like(inds - 1), inds - 1)
    above = torch.min((cdf.shape[-1] - 1) * torch.ones_like(inds), inds)
    inds_g = torch.stack([below, above], -1)
    shape = [inds_g.shape[0], inds_g.shape[1], cdf.shape[-1]]
    cdf_g = torch.gather(cdf.unsqueeze(1).expand(shape), 2, inds_g)
    bins_g = torch.gather(bins.unsqueeze(1).expand(shape), 2, inds_g)
    denom = cdf_g[..., 1] - cdf_g[..., 0]
    denom = torch.where(denom < 1e-5, torch.ones_like(denom), denom)
    t = (u - cdf_g[..., 0]) / denom
    return bins_g[..., 0] + t * (bins_g[..., 1] - bins_g[..., 0])


def raw2outputs(raw, z_vals, rays_d, noise=0.0):
    dists = z_vals[..., 1:] - z_vals[..., :-1]
    dists = torch.cat([dists, torch.Tensor([1e10]).expand(dists[..., :1].shape)], -1)
    dists = dists * torch.norm(rays_d[..., None, :], dim=-1)
    rgb = torch.sigmoid(raw[..., :3])
    alpha = 1.0 - torch.exp(-F.relu(raw[..., 3] + torch.randn(raw[..., 3].shape) * noise) * dists)
    trans = torch.cumprod(torch.cat([torch.ones((alpha.shape[0], 1)), 1.0 - alpha + 1e-10], -1), -1)[:, :-1]
    weights = alpha * trans
    depth = torch.sum(weights * z_vals, -1)
    acc = torch.sum(weights, -1)
    disp = 1.0 / torch.max(1e-10 * torch.ones_like(depth), depth / acc)
    return torch.sum(weights[..., None] * rgb, -2) + (1.0 - acc[..., None]), disp, weights


class NeRF(nn.Module):
    def __init__(self, d=27, w=32, skips=(1,)):
        super().__init__()
        self.skips = skips
        sizes = [(d, w)] + [(w + d, w) if i in skips else (w, w) for i in range(2)]
        self.layers = nn.ModuleList([nn.Linear(*s) for s in sizes])
        self.out = nn.Linear(w, 4)

    def forward(self, x):
        h = x
        for i, layer in enumerate(self.layers):
            h = F.relu(layer(h))
            if i in self.skips:
                h = torch.cat([x, h], -1)
        return self.out(h)


class HashGrid(nn.Module):
    PRIMES = (1, 2654435761, 805459861)

    def __init__(self, levels=3, size=64, features=2, base=4):
        super().__init__()
        self.size, self.res = size, [base * 2**k for k in range(levels)]
        self.tables = nn.ModuleList([nn.Embedding(size, features) for _ in range(levels)])
        for t in self.tables:
            nn.init.uniform_(t.weight, a=-0.1, b=0.1)
        self.register_buffer("corners", torch.cartesian_prod(*[torch.tensor([0, 1])] * 3))
        self.register_buffer("primes", torch.tensor(self.PRIMES))

    def forward(self, x):
        outs = []
        for res, table in zip(self.res, self.tables):
            pos = (x * 0.5 + 0.5).clamp(0, 1) * res
            low = pos.floor().long()
            frac = (pos - low)[:, None, :]
            ids = low[:, None, :] + self.corners
            mixed = ids * self.primes
            hashed = (mixed[..., 0] ^ mixed[..., 1] ^ mixed[..., 2]) % self.size
            w = torch.where(self.corners.bool(), frac, 1 - frac).prod(-1, keepdim=True)
            outs.append((w * table(hashed)).sum(1))
        return torch.cat(outs, -1)


torch.manual_seed(0)
pose = torch.eye(4)
pose[2, 3] = 4.0
rays_o, rays_d = (r.reshape(-1, 3) for r in get_rays(8, 8, 10.0, pose))
target = torch.where((rays_d[:, :2].norm(dim=-1) < 0.3)[:, None], torch.tensor([0.9, 0.2, 0.1]), torch.ones(3))
coarse, fine = NeRF(), NeRF()
opt = torch.optim.Adam([*coarse.parameters(), *fine.parameters()], lr=5e-3, betas=(0.9, 0.999))
for step in range(10):
    pick = torch.randperm(64)[:32]
    o, d = rays_o[pick], rays_d[pick]
    z = torch.linspace(2.0, 6.0, 12).expand(32, 12)
    mids = 0.5 * (z[..., 1:] + z[..., :-1])
    upper, lower = torch.cat([mids, z[..., -1:]], -1), torch.cat([z[..., :1], mids], -1)
    z = lower + (upper - lower) * torch.rand(z.shape)
    rgb0, _, w = raw2outputs(coarse(embed(o[:, None] + d[:, None] * z[..., None])), z, d, noise=1.0)
    zs = sample_pdf(0.5 * (z[..., 1:] + z[..., :-1]), w[..., 1:-1], 8).detach()
    z, _ = torch.sort(torch.cat([z, zs], -1), -1)
    rgb1, disp, w = raw2outputs(fine(embed(o[:, None] + d[:, None] * z[..., None])), z, d)
    loss = F.mse_loss(rgb1, target[pick]) + F.mse_loss(rgb0, target[pick])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 3 == 0:
        psnr = -10.0 * torch.log(loss) / torch.log(torch.Tensor([10.0]))
        print(f"[TRAIN] Iter: {step} Loss: {loss.item():.5f} PSNR: {psnr.item():.4f} disp {disp.mean().item():.4f}")

points = torch.rand(200, 3) * 2 - 1
values = (points.norm(dim=-1, keepdim=True) - 0.6).sign()
grid, mlp = HashGrid(), nn.Sequential(nn.Linear(6 + 4, 16), nn.ReLU(), nn.Linear(16, 1))
plane = nn.Parameter(0.1 * torch.randn(1, 4, 8, 8))
opt = torch.optim.Adam([{"params": grid.parameters()}, {"params": [plane, *mlp.parameters()], "lr": 1e-3}], lr=1e-2)
for step in range(10):
    sampled = F.grid_sample(
        plane, points[None, None, :, :2], mode="bilinear", padding_mode="border", align_corners=True
    )
    out = mlp(torch.cat([grid(points), sampled[0, :, 0].T], -1))
    tv = (plane[..., 1:] - plane[..., :-1]).abs().mean() + plane.diff(dim=-2).square().mean()
    loss = F.soft_margin_loss(out, values) + 0.1 * tv
    opt.zero_grad()
    loss.backward()
    opt.step()
print(f"hash grid {loss.item():.5f}", grid.tables[2].weight.grad.abs().sum(1).count_nonzero().item())
