"""State-space layers: S4D by FFT convolution, a selective scan as a loop and by logcumsumexp, a gated linear attention."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class S4DKernel(nn.Module):
    def __init__(self, d_model, N=8, dt_min=0.001, dt_max=0.1):
        super().__init__()
        log_dt = torch.rand(d_model) * (math.log(dt_max) - math.log(dt_min)) + math.log(dt_min)
        C = torch.randn(d_model, N // 2, dtype=torch.cfloat)
        self.C = nn.Parameter(torch.view_as_real(C))
        self.log_dt = nn.Parameter(log_dt)
        self.log_A_real = nn.Parameter(torch.log(0.5 * torch.ones(d_model, N // 2)))
        self.A_imag = nn.Parameter(math.pi * torch.arange(N // 2).repeat(d_model, 1))

    def forward(self, L):
        dt = torch.exp(self.log_dt)
        C = torch.view_as_complex(self.C)
        A = -torch.exp(self.log_A_real) + 1j * self.A_imag
        dtA = A * dt.unsqueeze(-1)
        K = dtA.unsqueeze(-1) * torch.arange(L, device=A.device)
        C = C * (torch.exp(dtA) - 1.0) / A
        return 2 * torch.einsum("hn, hnl -> hl", C, torch.exp(K)).real


class S4D(nn.Module):
    def __init__(self, d_model):
        super().__init__()
        self.D = nn.Parameter(torch.randn(d_model))
        self.kernel = S4DKernel(d_model)
        self.out = nn.Sequential(nn.Conv1d(d_model, 2 * d_model, kernel_size=1), nn.GLU(dim=-2))

    def forward(self, u):
        L = u.size(-1)
        k_f = torch.fft.rfft(self.kernel(L=L), n=2 * L)
        u_f = torch.fft.rfft(u, n=2 * L)
        y = torch.fft.irfft(u_f * k_f, n=2 * L)[..., :L]
        y = y + u * self.D.unsqueeze(-1)
        return self.out(F.gelu(y))


class MambaBlock(nn.Module):
    def __init__(self, d, expand=2, state=4, conv=3, rank=2):
        super().__init__()
        inner = d * expand
        self.in_proj = nn.Linear(d, inner * 2, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, conv, groups=inner, padding=conv - 1)
        self.x_proj = nn.Linear(inner, rank + state * 2, bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.log(torch.arange(1, state + 1, dtype=torch.float32).repeat(inner, 1)))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, d, bias=False)
        self.sizes = [rank, state, state]
        dt = torch.exp(torch.rand(inner) * (math.log(0.1) - math.log(0.001)) + math.log(0.001)).clamp(min=1e-4)
        with torch.no_grad():
            self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))
        self.dt_proj.bias._no_reinit = True

    def forward(self, x):
        L = x.shape[1]
        x, res = self.in_proj(x).split(self.in_proj.out_features // 2, dim=-1)
        x = F.silu(self.conv1d(x.mT)[:, :, :L].mT)
        delta, B, C = self.x_proj(x).split(split_size=self.sizes, dim=-1)
        y = self.scan(x, F.softplus(self.dt_proj(delta)), -torch.exp(self.A_log.float()), B, C)
        return self.out_proj((y + x * self.D) * F.silu(res))

    def scan(self, u, delta, A, B, C):
        dA = torch.exp(torch.einsum("bld,dn->bldn", delta, A))
        dBu = torch.einsum("bld,bln,bld->bldn", delta, B, u)
        h = torch.zeros(dA.shape[0], *dA.shape[2:])
        ys = []
        for i in range(u.shape[1]):
            h = dA[:, i] * h + dBu[:, i]
            ys.append(torch.einsum("bdn,bn->bd", h, C[:, i]))
        return torch.stack(ys, dim=1)


class MinGRU(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.lift = nn.Linear(d, 2 * d)

    def forward(self, x):
        h, gate = self.lift(x).chunk(2, dim=-1)
        log_g = torch.where(h >= 0, (F.relu(h) + 0.5).log(), -F.softplus(-h))
        log_a, log_v = -F.softplus(gate), -F.softplus(-gate) + log_g
        a_star = F.pad(log_a.cumsum(dim=1), (0, 0, 0, 0))
        return (a_star + (log_v - a_star).logcumsumexp(dim=1)).exp()


class Retention(nn.Module):
    def __init__(self, d, heads=2):
        super().__init__()
        self.h, self.qkvg = heads, nn.Linear(d, 4 * d, bias=False)
        self.norm = nn.GroupNorm(heads, d)
        gamma = 1 - torch.exp(torch.linspace(math.log(1 / 32), math.log(1 / 512), heads))
        self.register_buffer("gamma", gamma)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v, g = (y.view(b, t, self.h, -1).transpose(1, 2) for y in self.qkvg(x).chunk(4, -1))
        n = torch.arange(t)
        D = (self.gamma.view(-1, 1, 1) ** (n[:, None] - n)).tril()
        y = ((q @ k.transpose(-1, -2)) * D) @ v
        y = self.norm(y.transpose(1, 2).flatten(0, 1).flatten(1)).view(b, t, d)
        return y * F.silu(g.transpose(1, 2).reshape(b, t, d))


torch.manual_seed(0)
x = torch.randn(8, 24, 12)
y = x.cumsum(1)[..., :1].tanh().detach()
layers = {
    "s4d": lambda: S4D(12),
    "mamba": lambda: MambaBlock(12),
    "mingru": lambda: MinGRU(12),
    "retention": lambda: Retention(12),
}
for name, make in layers.items():
    layer, head = make(), nn.Linear(12, 1)
    special = [p for n, p in layer.named_parameters() if n.endswith(("log_dt", "A_imag", "A_log"))]
    others = [p for p in [*layer.parameters(), *head.parameters()] if not any(p is s for s in special)]
    groups = [{"params": others}] + ([{"params": special, "lr": 1e-3, "weight_decay": 0.0}] if special else [])
    opt = torch.optim.AdamW(groups, lr=1e-2, weight_decay=0.01)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=[g["lr"] for g in opt.param_groups], total_steps=8)
    for step in range(8):
        out = layer(x.mT).mT if name == "s4d" else layer(x)
        loss = F.l1_loss(head(out), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        if step % 3 == 0:
            print(f"{name} {step}: {loss.item():.5f} lr {sched.get_last_lr()[0]:.6f}")
k = S4DKernel(3)
direct = F.conv1d(F.pad(x.mT[:, :3], (23, 0)), k(24).flip(-1).unsqueeze(1), groups=3)
by_fft = torch.fft.irfft(torch.fft.rfft(x.mT[:, :3], 48) * torch.fft.rfft(k(24), 48), 48)[..., :24]
print("convolutions agree", torch.allclose(direct, by_fft, atol=1e-4), [tuple(p.shape) for p in k.parameters()])
