"""Normalizing flows on two moons: RealNVP with masks as buffers, ActNorm, an LU-parametrised 1x1, and a planar flow."""

import math

import torch
import torch.nn as nn
from torch import distributions as D


class Coupling(nn.Module):
    def __init__(self, dim, hidden, mask):
        super().__init__()
        self.register_buffer("mask", mask)
        self.s = nn.Sequential(nn.Linear(dim, hidden), nn.LeakyReLU(), nn.Linear(hidden, dim), nn.Tanh())
        self.t = nn.Sequential(nn.Linear(dim, hidden), nn.LeakyReLU(), nn.Linear(hidden, dim))
        self.scale = nn.Parameter(torch.Tensor(dim).fill_(0.5))

    def forward(self, x):
        h = x * self.mask
        s, t = self.s(h) * self.scale * (1 - self.mask), self.t(h) * (1 - self.mask)
        return h + (1 - self.mask) * (x * s.exp() + t), s.sum(-1)

    def inverse(self, z):
        h = z * self.mask
        s, t = self.s(h) * self.scale * (1 - self.mask), self.t(h) * (1 - self.mask)
        return h + (1 - self.mask) * ((z - t) * (-s).exp())


class ActNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.loc, self.log_scale = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim))
        self.register_buffer("initialized", torch.tensor(False))

    def forward(self, x):
        if not self.initialized:
            with torch.no_grad():
                std, mean = torch.std_mean(x, dim=0)
                self.loc.copy_(-mean)
                self.log_scale.copy_(-std.add(1e-6).log())
                self.initialized.fill_(True)
        return (x + self.loc) * self.log_scale.exp(), self.log_scale.sum().expand(len(x))

    def inverse(self, z):
        return z * torch.exp(-self.log_scale) - self.loc


class InvertibleLinear(nn.Module):
    def __init__(self, dim):
        super().__init__()
        q = torch.linalg.qr(torch.randn(dim, dim))[0]
        P, L, U = torch.linalg.lu(q)
        self.register_buffer("P", P)
        self.L, self.U = nn.Parameter(L), nn.Parameter(U.triu(1))
        self.log_s = nn.Parameter(U.diagonal().abs().log())
        self.register_buffer("sign", U.diag().sign())

    def weight(self):
        eye = torch.eye(len(self.log_s))
        return self.P @ (self.L.tril(-1) + eye) @ (self.U.triu(1) + torch.diag_embed(self.sign * self.log_s.exp()))

    def forward(self, x):
        return x @ self.weight().mT, self.log_s.sum().expand(x.shape[0])

    def inverse(self, z):
        return torch.linalg.solve(self.weight(), z.mT).mT


class Flow(nn.Module):
    def __init__(self, dim=2, blocks=3):
        super().__init__()
        layers = []
        for i in range(blocks):
            mask = torch.arange(dim).add(i).remainder(2).float()
            layers += [ActNorm(dim), InvertibleLinear(dim), Coupling(dim, 16, mask)]
        self.layers = nn.ModuleList(layers)
        self.register_buffer("loc", torch.zeros(dim))
        self.register_buffer("cov", torch.eye(dim))

    @property
    def prior(self):
        return D.MultivariateNormal(self.loc, self.cov)

    def log_prob(self, x):
        total = x.new_zeros(x.shape[0])
        for layer in self.layers:
            x, logdet = layer(x)
            total = total + logdet
        return self.prior.log_prob(x) + total

    @torch.no_grad()
    def sample(self, n):
        z = self.prior.sample(torch.Size([n]))
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z


class Planar(D.transforms.Transform):
    domain = codomain = D.constraints.real_vector
    bijective = False

    def __init__(self, w, u, b):
        super().__init__(cache_size=1)
        self.w, self.b = w, b
        wu = w @ u
        self.u = u + (nn.functional.softplus(wu) - 1 - wu) * w / w.square().sum()

    def _call(self, x):
        return x + self.u * torch.tanh(x @ self.w + self.b)[..., None]

    def log_abs_det_jacobian(self, x, y):
        h = 1 - torch.tanh(x @ self.w + self.b) ** 2
        return torch.log1p(h * (self.w @ self.u))


def moons(n):
    t = torch.rand(n) * math.pi
    side = torch.randint(2, (n,))
    x = torch.stack([torch.cos(t) * (1 - 2 * side) + side, torch.sin(t) * (1 - 2 * side) + 0.5 * side], 1)
    return x + 0.05 * torch.randn(n, 2)


torch.manual_seed(0)
flow = Flow()
opt = torch.optim.Adam(flow.parameters(), lr=5e-3)
data = moons(128)
for step in range(20):
    loss = -flow.log_prob(data).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 5 == 0:
        print(f"{step}: nll {loss.item():.5f}")
print([k for k in flow.state_dict() if k.startswith("layers.0") or k.startswith("layers.1")])
s = flow.sample(500)
print("samples", s.mean(0), s.std(0))
z = data[:4]
for layer in flow.layers:
    z = layer(z)[0]
for layer in reversed(flow.layers):
    z = layer.inverse(z)
print("inverse", torch.allclose(z, data[:4], atol=1e-4))
logdet = torch.autograd.functional.jacobian(lambda v: flow.layers[2](v[None])[0][0], data[0]).slogdet()
print("jacobian", torch.isclose(logdet.logabsdet, flow.layers[2](data[:1])[1][0], atol=1e-5))

w, u, b = (nn.Parameter(torch.randn(s)) for s in ((2,), (2,), ()))
opt = torch.optim.RAdam([w, u, b], lr=5e-2)
base = D.Independent(D.Normal(torch.zeros(2), torch.ones(2)), 1)
ring = lambda x: -0.5 * ((x.norm(dim=-1) - 1.5) / 0.4) ** 2
for step in range(20):
    q = D.TransformedDistribution(base, [Planar(w, u, b)])
    x = q.rsample((64,))
    loss = (q.log_prob(x) - ring(x)).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
print("planar", loss.item(), w.detach())
