"""A VAE and a beta-VAE: torch.distributions for the posterior, kl_divergence, BCE from logits, an importance-weighted bound."""

import argparse

import torch
import torch.utils.data
from torch import nn, optim
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.nn import functional as F

parser = argparse.ArgumentParser(description="VAE")
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--latent", type=int, default=4)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args([])
torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class VAE(nn.Module):
    def __init__(self, n_in=36, hidden=32, latent=4):
        super().__init__()
        self.fc1 = nn.Linear(n_in, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, n_in)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 36))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 36), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def images(n):
    rows = torch.zeros(n, 1, 6, 6)
    for i in range(n):
        rows[i, 0, i % 6] = 1.0
        rows[i, 0, :, (i // 6) % 6] = 1.0
    return rows


dataset = torch.utils.data.TensorDataset(images(96), torch.zeros(96))
train_loader = torch.utils.data.DataLoader(dataset, batch_size=args.batch_size, shuffle=True)
model = VAE(latent=args.latent).to(device)
optimizer = optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(1, args.epochs + 1):
    model.train()
    train_loss = 0
    for batch_idx, (data, _) in enumerate(train_loader):
        data = data.to(device)
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
        if batch_idx % 2 == 0:
            done = 100.0 * batch_idx / len(train_loader)
            print(f"Train Epoch: {epoch} [{batch_idx * len(data)}/{len(train_loader.dataset)} ({done:.0f}%)]", end=" ")
            print(f"Loss: {loss.item() / len(data):.6f}")
    print(f"====> Epoch: {epoch} Average loss: {train_loss / len(train_loader.dataset):.4f}")


class BetaVAE(nn.Module):
    def __init__(self, latent=3, beta=4.0):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.LazyLinear(2 * latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, 8 * 9),
            nn.Unflatten(1, (8, 3, 3)),
            nn.ELU(),
            nn.ConvTranspose2d(8, 1, 3, stride=2, padding=1, output_padding=1),
        )
        self.beta = beta
        self.register_buffer("loc", torch.zeros(latent))
        self.register_buffer("scale", torch.ones(latent))

    def posterior(self, x):
        loc, raw = self.encoder(x).chunk(2, dim=-1)
        return Independent(Normal(loc, F.softplus(raw) + 1e-4), 1)

    def elbo(self, x):
        q = self.posterior(x)
        z = q.rsample()
        p = Independent(Bernoulli(logits=self.decoder(z)), 3)
        kl = kl_divergence(q, Independent(Normal(self.loc, self.scale), 1))
        return p.log_prob(x), kl

    def bound(self, x, k=5):
        q = self.posterior(x)
        z = q.rsample((k,))
        p = Independent(Bernoulli(logits=self.decoder(z.flatten(0, 1)).unflatten(0, (k, -1))), 3)
        prior = Independent(Normal(self.loc, self.scale), 1)
        return (torch.logsumexp(p.log_prob(x) + prior.log_prob(z) - q.log_prob(z), 0) - torch.tensor(k).log()).mean()


model = BetaVAE()
model.encoder(images(2))
print(model)
print(model.posterior(images(2)))
optimizer = optim.Adamax(model.parameters(), lr=1e-2)
for step in range(20):
    x = images(36)[torch.randperm(36)[:16]]
    log_px, kl = model.elbo(x)
    loss = -(log_px - model.beta * kl).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 4:
        print(f"{step + 1}: loss {loss:.4f} reconstruction {-log_px.mean():.4f} kl {kl.mean():.4f}")
with torch.no_grad():
    print("bound", model.bound(images(12)).item())
