"""SIREN: sine layers fitted to an image by its gradient and its Laplacian, Fourier features beside it, PSNR."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class SineLayer(nn.Module):
    def __init__(self, in_features, out_features, bias=True, is_first=False, omega_0=30):
        super().__init__()
        self.omega_0, self.is_first, self.in_features = omega_0, is_first, in_features
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.init_weights()

    def init_weights(self):
        with torch.no_grad():
            bound = 1 / self.in_features if self.is_first else math.sqrt(6 / self.in_features) / self.omega_0
            self.linear.weight.uniform_(-bound, bound)

    def forward(self, input):
        return torch.sin(self.omega_0 * self.linear(input))


class Siren(nn.Module):
    def __init__(self, hidden=24, layers=2):
        super().__init__()
        net = [SineLayer(2, hidden, is_first=True, omega_0=10)]
        net += [SineLayer(hidden, hidden, omega_0=10) for _ in range(layers)]
        final = nn.Linear(hidden, 1)
        with torch.no_grad():
            final.weight.uniform_(-math.sqrt(6 / hidden) / 10, math.sqrt(6 / hidden) / 10)
        self.net = nn.Sequential(*net, final)

    def forward(self, coords):
        coords = coords.clone().detach().requires_grad_(True)
        return self.net(coords), coords


def gradient(y, x, grad_outputs=None):
    if grad_outputs is None:
        grad_outputs = torch.ones_like(y)
    return torch.autograd.grad(y, [x], grad_outputs=grad_outputs, create_graph=True)[0]


def divergence(y, x):
    div = 0.0
    for i in range(y.shape[-1]):
        div += torch.autograd.grad(y[..., i], x, torch.ones_like(y[..., i]), create_graph=True)[0][..., i : i + 1]
    return div


def laplace(y, x):
    return divergence(gradient(y, x), x)


def get_mgrid(sidelen, dim=2):
    tensors = tuple(dim * [torch.linspace(-1, 1, steps=sidelen)])
    return torch.stack(torch.meshgrid(*tensors, indexing="ij"), dim=-1).reshape(-1, dim)


class ImageFitting(Dataset):
    def __init__(self, n):
        self.coords = get_mgrid(n)
        x, y = self.coords.unbind(-1)
        self.pixels = torch.sin(3 * x * y) + 0.3 * torch.cos(5 * y)
        self.grads = torch.stack(
            [3 * y * torch.cos(3 * x * y), 3 * x * torch.cos(3 * x * y) - 1.5 * torch.sin(5 * y)], -1
        )
        self.laplace = -9 * (x**2 + y**2) * torch.sin(3 * x * y) - 7.5 * torch.cos(5 * y)

    def __len__(self):
        return 1

    def __getitem__(self, idx):
        if idx > 0:
            raise IndexError
        return self.coords, {"img": self.pixels[:, None], "grads": self.grads, "laplace": self.laplace[:, None]}


torch.manual_seed(0)
loader = DataLoader(ImageFitting(12), batch_size=1, pin_memory=False, num_workers=0)
model_input, ground_truth = next(iter(loader))
print({k: tuple(v.shape) for k, v in ground_truth.items()})
for target in ("img", "grads", "laplace"):
    torch.manual_seed(1)
    model = Siren()
    optim = torch.optim.Adam(lr=1e-3, params=model.parameters())
    for step in range(12):
        y, coords = model(model_input)
        out = {"img": lambda: y, "grads": lambda: gradient(y, coords), "laplace": lambda: laplace(y, coords)}[target]()
        loss = torch.mean((out - ground_truth[target]).pow(2).sum(-1))
        if step % 5 == 0:
            print(f"{target} step {step}, loss {loss:0.5f}")
        optim.zero_grad()
        loss.backward()
        optim.step()
    with torch.no_grad():
        mse = (model(model_input)[0] - ground_truth["img"]).square().mean()
    print(f"psnr {-10 * torch.log10(mse):.3f}")

B = torch.randn(16, 2) * 2
proj = (2.0 * torch.pi * model_input) @ B.T
feats = torch.cat([torch.sin(proj), torch.cos(proj)], dim=-1)
net = nn.Sequential(nn.Linear(32, 32), nn.Softplus(beta=10), nn.Linear(32, 1))
opt = torch.optim.NAdam(net.parameters(), lr=1e-2)
for _ in range(10):
    opt.zero_grad()
    loss = nn.functional.mse_loss(net(feats), ground_truth["img"])
    loss.backward()
    opt.step()
print("fourier features", round(loss.item(), 6))
