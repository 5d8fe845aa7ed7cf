"""Second derivatives: autograd.functional and torch.func side by side, influence functions, Newton-CG, Fisher, Hutchinson."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import functional as AF
from torch.func import functional_call, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap


def rosen(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


torch.manual_seed(0)
x = torch.randn(4, dtype=torch.float64)
H = AF.hessian(rosen, x)
print(H)
print(torch.allclose(H, hessian(rosen)(x)), torch.allclose(H, jacfwd(jacrev(rosen))(x)))
f = lambda x: torch.stack([x.prod(), x.square().sum().sin(), x[0] / (1 + x[1] ** 2)])
J = AF.jacobian(f, x, vectorize=True)
v, u = torch.randn(4, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
out, tangent = jvp(f, (x,), (v,))
_, pullback = vjp(f, x)
print(J, torch.allclose(J @ v, tangent), torch.allclose(u @ J, pullback(u)[0]))
print(torch.allclose(AF.vjp(f, x, u)[1], u @ J), torch.allclose(AF.jvp(f, x, v)[1], J @ v))
print(torch.allclose(AF.hvp(rosen, x, v)[1], H @ v), torch.allclose(AF.vhp(rosen, x, v)[1], v @ H))
print("linearized", torch.allclose(linearize(f, x)[1](v), J @ v))
print("batched", vmap(hessian(rosen))(torch.randn(3, 4, dtype=torch.float64)).shape)

point = torch.tensor([-1.2, 1.0], dtype=torch.float64)
for it in range(5):
    g, h = jacrev(rosen)(point), hessian(rosen)(point)
    step = torch.linalg.solve(h, -g)
    t = 1.0
    while rosen(point + t * step) > rosen(point) + 1e-4 * t * g @ step:
        t *= 0.5
    point = point + t * step
    print(f"newton {it}: {rosen(point).item():.8f} step {t}")

data = torch.randn(40, 5)
labels = (data @ torch.tensor([1.0, -2.0, 0.5, 0.0, 1.0]) + 0.5 * torch.randn(40) > 0).float()
w = torch.zeros(5, requires_grad=True)
opt = torch.optim.LBFGS([w], max_iter=30, tolerance_grad=1e-9)


def risk(w, x=data, y=labels):
    return F.binary_cross_entropy_with_logits(x @ w, y) + 0.01 * w.square().sum()


def closure():
    opt.zero_grad()
    loss = risk(w)
    loss.backward()
    return loss


opt.step(closure)
w = w.detach()
H = hessian(risk)(w)
test_x, test_y = torch.randn(5), torch.tensor(1.0)
g_test = torch.func.grad(lambda w: F.binary_cross_entropy_with_logits(test_x @ w, test_y))(w)
per = vmap(torch.func.grad(lambda w, x, y: F.binary_cross_entropy_with_logits(x @ w, y)), (None, 0, 0))(w, data, labels)
influence = -per @ torch.linalg.solve(H, g_test)
print("influence", influence[:5], influence.argmax().item())


def conjugate_gradient(matvec, b, steps=10):
    x = torch.zeros_like(b)
    r, p = b.clone(), b.clone()
    rs = r @ r
    for _ in range(steps):
        Ap = matvec(p)
        alpha = rs / (p @ Ap)
        x += alpha * p
        r -= alpha * Ap
        new = r @ r
        if new.sqrt() < 1e-8:
            break
        p = r + (new / rs) * p
        rs = new
    return x


def hvp(v):
    z = w.clone().requires_grad_()
    (g,) = torch.autograd.grad(risk(z), z, create_graph=True)
    return torch.autograd.grad(g, z, grad_outputs=v)[0]


print("cg", torch.allclose(conjugate_gradient(hvp, g_test), torch.linalg.solve(H, g_test), atol=1e-3))
eig = torch.linalg.eigvalsh(H)
vec = F.normalize(torch.ones(5), dim=0)
for _ in range(40):
    vec = F.normalize(hvp(vec), dim=0)
print("power", torch.isclose(vec @ hvp(vec), eig[-1], rtol=1e-3), eig)

net = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 1))
params = {k: p.detach() for k, p in net.named_parameters()}
loss = lambda p: F.binary_cross_entropy_with_logits(functional_call(net, p, data)[:, 0], labels)
blocks = hessian(loss)(params)
print({k: tuple(blocks[k][k].shape) for k in params})
trace = sum(blocks[k][k].reshape(params[k].numel(), -1).diagonal().sum() for k in params)
probes = []
for _ in range(20):
    z = {k: torch.randint_like(p, 2) * 2 - 1 for k, p in params.items()}
    hz = jvp(torch.func.grad(loss), (params,), (z,))[1]
    probes.append(sum((z[k] * hz[k]).sum() for k in params))
print("trace", trace.item(), torch.stack(probes).mean().item())
jac = vmap(jacrev(lambda p, x: functional_call(net, p, x)[0]), (None, 0))(params, data)
flat = torch.cat([j.flatten(1) for j in jac.values()], 1)
prob = net(data)[:, 0].sigmoid().detach()
fisher = (flat * (prob * (1 - prob))[:, None]).T @ flat / len(data)
print("fisher", fisher.shape, fisher.trace().item(), torch.linalg.matrix_rank(fisher).item() <= 40)
ntk = flat @ flat.T
print("ntk", ntk.shape, torch.linalg.cond(ntk + 0.1 * torch.eye(40)).log10().item())
