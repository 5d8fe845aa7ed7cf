"""Unsupervised: k-means++ by cdist and index_add_, Gaussian mixture by EM, PCA by svd_lowrank, t-SNE, spectral embedding, ISTA."""

import math

import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

torch.manual_seed(0)
centers = torch.tensor([[0.0, 4.0], [4.0, 0.0], [-4.0, -2.0]])
label = torch.arange(90) % 3
x = centers[label] + torch.randn(90, 2)


def kmeans(x, k, iters=10):
    c = x[torch.randint(len(x), (1,))]
    for _ in range(k - 1):
        d = torch.cdist(x, c).min(dim=1).values.pow(2)
        c = torch.cat([c, x[torch.multinomial(d, 1)]])
    for _ in range(iters):
        assign = torch.cdist(x, c).argmin(1)
        count = torch.bincount(assign, minlength=k).clamp_(min=1).type_as(x)
        c = torch.zeros_like(c).index_add_(0, assign, x).div_(count.view(-1, 1))
    return c, assign


c, assign = kmeans(x, 3)
order = c[:, 0].argsort()
print(c[order], torch.bincount(assign)[order])
inertia = (x - c[assign]).square().sum()
d = torch.cdist(x, x)
same = assign[:, None] == assign
a = (d * same).sum(1) / (same.sum(1) - 1)
b = torch.stack([torch.where(assign == k, torch.inf, d[:, assign == k].mean(1)) for k in range(3)]).amin(0)
print("inertia", inertia.item(), "silhouette", ((b - a) / torch.maximum(a, b)).mean().item())
table = torch.zeros(3, 3, dtype=torch.long).index_put_((label, assign), torch.tensor(1), accumulate=True)
print("purity", table.max(0).values.sum().item() / 90, table.unique().tolist())

mu, cov, pi = c.clone(), torch.eye(2).repeat(3, 1, 1), torch.full((3,), 1 / 3)
for it in range(8):
    logp = MultivariateNormal(mu, cov).log_prob(x[:, None]) + pi.log()
    ll = logp.logsumexp(1)
    r = (logp - ll[:, None]).exp()
    n = r.sum(0)
    pi, mu = n / n.sum(), (r.T @ x) / n[:, None]
    diff = x[:, None] - mu
    cov = torch.einsum("nk,nki,nkj->kij", r, diff, diff) / n.view(-1, 1, 1) + 1e-4 * torch.eye(2)
    if it % 3 == 0:
        print(f"em {it}: {ll.mean().item():.6f}")
mixture = MixtureSameFamily(Categorical(pi), MultivariateNormal(mu, cov))
print(
    "mixture",
    torch.allclose(mixture.log_prob(x), (MultivariateNormal(mu, cov).log_prob(x[:, None]) + pi.log()).logsumexp(1)),
)
print(mixture.sample((4,)).shape, mixture.mean.norm().item(), torch.linalg.det(cov).sum().item())

data = torch.randn(60, 5) @ torch.randn(5, 20) + 0.01 * torch.randn(60, 20)
centred = data - data.mean(0)
U, S, V = torch.svd_lowrank(centred, q=6, niter=4)
full = torch.linalg.svd(centred, full_matrices=False)
print("lowrank", torch.allclose(S[:5], full.S[:5], rtol=1e-3), full.S[:6])
_, S2, V2 = torch.pca_lowrank(data, q=5)
ratio = S2**2 / centred.square().sum()
print("explained", ratio.sum().item(), torch.allclose((V2.T @ V2), torch.eye(5), atol=1e-4))
eig = torch.linalg.eigh(torch.cov(data.T))
print("eigh", torch.allclose(eig.eigenvalues.flip(0)[:5], S2**2 / 59, rtol=1e-3))
white = centred @ (V2 / S2) * math.sqrt(59)
print("whitened", torch.allclose(torch.cov(white.T), torch.eye(5), atol=1e-3))
rotated, _ = torch.linalg.qr(torch.randn(5, 5))
u, _, vh = torch.linalg.svd(white.T @ (white @ rotated))
print("procrustes", torch.allclose(u @ vh, rotated, atol=1e-4))

w = torch.exp(-(torch.cdist(x, x) ** 2) / 2).fill_diagonal_(0)
deg = w.sum(1)
lap = torch.eye(90) - deg.rsqrt()[:, None] * w * deg.rsqrt()
vals, vecs = torch.linalg.eigh(lap)
print("spectral", vals[1:4], torch.linalg.matrix_rank(vecs[:, :3]).item())

p = torch.softmax(-(torch.cdist(x[:30], x[:30]) ** 2).masked_fill(torch.eye(30, dtype=torch.bool), torch.inf), 1)
p = ((p + p.T) / 60).clamp_min(1e-12)
y = torch.nn.Parameter(1e-2 * torch.randn(30, 2))
opt = torch.optim.SGD([y], lr=5.0, momentum=0.5)
for it in range(20):
    num = 1 / (1 + torch.cdist(y, y, p=2.0).square())
    num = num * (1 - torch.eye(30))
    q = (num / num.sum()).clamp_min(1e-12)
    kl = torch.nn.functional.kl_div(q.log(), p, reduction="sum")
    opt.zero_grad()
    kl.backward()
    opt.step()
    if it % 9 == 0:
        print(f"tsne {it}: {kl.item():.5f}")

A = torch.randn(30, 50) / math.sqrt(30)
truth = torch.zeros(50).scatter_(0, torch.randperm(50)[:4], 3.0)
obs, z = A @ truth, torch.zeros(50)
L = torch.linalg.norm(A, 2) ** 2
for _ in range(100):
    z = torch.nn.functional.softshrink(z - A.T @ (A @ z - obs) / L, lambd=0.02)
print(
    "ista",
    (z.abs() > 0.5).nonzero().flatten().tolist() == truth.nonzero().flatten().tolist(),
    (A @ z - obs).norm().item(),
)
ridge = torch.linalg.lstsq(torch.cat([A, 0.1 * torch.eye(50)]), torch.cat([obs, torch.zeros(50)])[:, None]).solution
print("ridge", ridge.norm().item(), torch.linalg.pinv(A).norm().item())
xs, q = x[:, 0].contiguous(), torch.tensor([0.1, 0.5, 0.9])
print(
    torch.quantile(x, q, dim=0),
    torch.histc(xs, 5),
    torch.bucketize(torch.tensor([-4.0, 0, 4]), xs.sort().values).tolist(),
)
print(
    torch.corrcoef(x.T)[0, 1].item(),
    torch.mode(assign).values.item() in (0, 1, 2),
    torch.kthvalue(xs, 10).values.item(),
)
