"""Gaussian processes in float64: marginal likelihood by Cholesky, posterior, sparse variational bound, Thompson sampling, EI."""

import math

import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal


class RBF(nn.Module):
    def __init__(self, lengthscale=1.0, outputscale=1.0):
        super().__init__()
        self.raw_length = nn.Parameter(torch.tensor(math.log(math.expm1(lengthscale))))
        self.raw_scale = nn.Parameter(torch.tensor(math.log(math.expm1(outputscale))))

    def forward(self, a, b):
        length = nn.functional.softplus(self.raw_length)
        d2 = torch.cdist(a / length, b / length, compute_mode="donot_use_mm_for_euclid_dist").square()
        return nn.functional.softplus(self.raw_scale) * torch.exp(-0.5 * d2)


class Matern(RBF):
    def forward(self, a, b):
        length = nn.functional.softplus(self.raw_length)
        r = math.sqrt(5) * (a.unsqueeze(-2) - b.unsqueeze(-3)).div(length).norm(dim=-1).clamp_min(1e-12)
        return nn.functional.softplus(self.raw_scale) * (1 + r + r**2 / 3) * torch.exp(-r)


class GP(nn.Module):
    def __init__(self, kernel, x, y):
        super().__init__()
        self.kernel = kernel
        self.register_buffer("x", x)
        self.register_buffer("y", y)
        self.log_noise = nn.Parameter(torch.tensor(-2.0))

    def train_cov(self):
        return self.kernel(self.x, self.x) + torch.diag(self.log_noise.exp().expand(len(self.x)))

    def nll(self):
        L = torch.linalg.cholesky(self.train_cov())
        alpha = torch.cholesky_solve(self.y.unsqueeze(-1), L).squeeze(-1)
        n = self.y.numel()
        return 0.5 * self.y.dot(alpha) + L.diagonal().log().sum() + 0.5 * n * math.log(2 * math.pi)

    def forward(self, xs):
        L = torch.linalg.cholesky(self.train_cov())
        ks = self.kernel(self.x, xs)
        v = torch.linalg.solve_triangular(L, ks, upper=False)
        mean = ks.mT @ torch.cholesky_solve(self.y[:, None], L)
        return mean[:, 0], self.kernel(xs, xs) - v.mT @ v


torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
x = torch.rand(20, 1) * 6
y = torch.sin(x[:, 0]) + 0.1 * torch.randn(20)
for kernel in (RBF(), Matern(0.5, 2.0)):
    gp = GP(kernel, x, y)
    opt = torch.optim.LBFGS(gp.parameters(), lr=0.5, max_iter=5, line_search_fn=None)

    def closure():
        opt.zero_grad()
        loss = gp.nll()
        loss.backward()
        return loss

    for step in range(4):
        print(f"{type(kernel).__name__} {step}: {opt.step(closure).item():.6f}")
    direct = -MultivariateNormal(torch.zeros(20), gp.train_cov()).log_prob(y)
    K = gp.train_cov()
    by_logdet = 0.5 * (y @ torch.linalg.solve(K, y) + torch.logdet(K) + 20 * math.log(2 * math.pi))
    print(
        torch.allclose(direct, gp.nll()),
        torch.allclose(by_logdet, gp.nll()),
        torch.cholesky_inverse(torch.linalg.cholesky(K)).sum(),
    )
    grads = torch.autograd.grad(by_logdet, list(gp.parameters()))
    print([round(g.item(), 5) for g in grads])

with torch.no_grad():
    xs = torch.linspace(0, 6, 9).unsqueeze(-1)
    mean, cov = gp(xs)
    print("mean", mean)
    print("std", cov.diagonal().clamp_min(0).sqrt())
    post = MultivariateNormal(mean, covariance_matrix=cov + 1e-6 * torch.eye(9))
    print("draws", post.sample((2,)).shape, post.rsample().argmax().item(), post.entropy())

best = y.max()
cand = (torch.rand(5, 1) * 6).requires_grad_()
opt = torch.optim.Adam([cand], lr=0.1)
for _ in range(10):
    mean, cov = gp(cand)
    sigma = cov.diagonal().clamp(min=1e-9).sqrt()
    u = (mean - best) / sigma
    unit = Normal(torch.zeros_like(u), torch.ones_like(u))
    ei = sigma * (torch.exp(unit.log_prob(u)) + u * unit.cdf(u))
    opt.zero_grad()
    (-ei.sum()).backward()
    opt.step()
    with torch.no_grad():
        cand.clamp_(0, 6)
print("expected improvement", ei.max().item(), cand[ei.argmax()].item())


def elbo(kernel, z, m, raw_s, log_noise):
    Kzz = kernel(z, z) + 1e-8 * torch.eye(len(z))
    Lz, factor = torch.linalg.cholesky_ex(Kzz)
    assert factor == 0
    A = torch.linalg.solve_triangular(Lz, kernel(z, x), upper=False)
    S = torch.tril(raw_s, -1) + torch.diag_embed(raw_s.diagonal().exp())
    mean = A.T @ m
    var = kernel(x, x).diagonal() - A.square().sum(0) + (A.T @ S).square().sum(1)
    like = Normal(mean, (0.5 * log_noise).exp()).log_prob(y).sum() - 0.5 * var.sum() / log_noise.exp()
    q = MultivariateNormal(m, scale_tril=S)
    return like - torch.distributions.kl_divergence(q, MultivariateNormal(torch.zeros_like(m), torch.eye(len(m))))


kernel = RBF()
z, m, raw_s = x[:6].clone().requires_grad_(), torch.zeros(6, requires_grad=True), torch.zeros(6, 6, requires_grad=True)
log_noise = torch.tensor(-1.0, requires_grad=True)
opt = torch.optim.Rprop([z, m, raw_s, log_noise, *kernel.parameters()], lr=0.02)
for step in range(12):
    opt.zero_grad()
    loss = -elbo(kernel, z, m, raw_s, log_noise)
    loss.backward()
    opt.step()
    if step % 4 == 3:
        print(f"elbo {step}: {-loss.item():.5f}")
torch.set_default_dtype(torch.float32)
