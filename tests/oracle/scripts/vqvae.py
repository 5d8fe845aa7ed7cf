"""VQ-VAE: nearest codes by distances, straight-through gradients, a codebook by EMA with dead-code revival, perplexity."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class VectorQuantizerEMA(nn.Module):
    def __init__(self, num_embeddings, dim, commitment=0.25, decay=0.9, epsilon=1e-5):
        super().__init__()
        self.n, self.dim, self.commitment, self.decay, self.epsilon = num_embeddings, dim, commitment, decay, epsilon
        self.embedding = nn.Embedding(num_embeddings, dim)
        self.embedding.weight.data.normal_()
        self.register_buffer("ema_size", torch.zeros(num_embeddings))
        self.ema_w = nn.Parameter(torch.Tensor(num_embeddings, dim))
        self.ema_w.data.normal_()

    def forward(self, inputs):
        inputs = inputs.permute(0, 2, 3, 1).contiguous()
        shape = inputs.shape
        flat = inputs.view(-1, self.dim)
        distances = (
            torch.sum(flat**2, dim=1, keepdim=True)
            + torch.sum(self.embedding.weight**2, dim=1)
            - 2 * torch.matmul(flat, self.embedding.weight.t())
        )
        indices = torch.argmin(distances, dim=1).unsqueeze(1)
        encodings = torch.zeros(indices.shape[0], self.n, device=inputs.device)
        encodings.scatter_(1, indices, 1)
        quantized = torch.matmul(encodings, self.embedding.weight).view(shape)
        if self.training:
            self.ema_size = self.ema_size * self.decay + (1 - self.decay) * torch.sum(encodings, 0)
            n = torch.sum(self.ema_size.data)
            self.ema_size = (self.ema_size + self.epsilon) / (n + self.n * self.epsilon) * n
            dw = torch.matmul(encodings.t(), flat)
            self.ema_w = nn.Parameter(self.ema_w * self.decay + (1 - self.decay) * dw)
            self.embedding.weight = nn.Parameter(self.ema_w / self.ema_size.unsqueeze(1))
        e_latent_loss = F.mse_loss(quantized.detach(), inputs)
        loss = self.commitment * e_latent_loss
        quantized = inputs + (quantized - inputs).detach()
        probs = torch.mean(encodings, dim=0)
        perplexity = torch.exp(-torch.sum(probs * torch.log(probs + 1e-10)))
        return loss, quantized.permute(0, 3, 1, 2).contiguous(), perplexity, indices.view(shape[:-1])


class VectorQuantizer(nn.Module):
    def __init__(self, n, dim):
        super().__init__()
        self.codebook = nn.Parameter(torch.empty(n, dim).uniform_(-1 / n, 1 / n))

    def forward(self, x):
        flat = x.flatten(2).transpose(1, 2)
        ids = torch.cdist(flat, self.codebook[None].expand(len(flat), -1, -1)).argmin(-1)
        q = F.embedding(ids, self.codebook).transpose(1, 2).view_as(x)
        loss = F.mse_loss(q, x.detach()) + 0.25 * F.mse_loss(x, q.detach())
        counts = torch.bincount(ids.flatten(), minlength=len(self.codebook)).float()
        entropy = -torch.special.xlogy(counts / counts.sum(), counts / counts.sum()).sum()
        return loss, x + (q - x).detach(), entropy.exp(), ids

    @torch.no_grad()
    def revive(self, x, ids):
        used = torch.zeros(len(self.codebook), dtype=torch.bool).index_fill_(0, ids.unique(), True)
        pool = x.flatten(2).transpose(1, 2).flatten(0, 1)
        pick = torch.randperm(len(pool))[: int((~used).sum())]
        self.codebook[~used] = pool[pick]
        return int((~used).count_nonzero())


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self._block = nn.Sequential(nn.ReLU(True), nn.Conv2d(c, c // 2, 3, 1, 1, bias=False), nn.ReLU(True))
        self.out = nn.Conv2d(c // 2, c, 1, bias=False)

    def forward(self, x):
        return x + self.out(self._block(x.clone()))


class Model(nn.Module):
    def __init__(self, quantizer, dim=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 16, 4, 2, 1), Residual(16), nn.Conv2d(16, dim, 1))
        self.vq = quantizer
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, 16, 3, padding=1), Residual(16), nn.ConvTranspose2d(16, 1, 4, 2, padding=1)
        )

    def forward(self, x):
        loss, q, perplexity, ids = self.vq(self.encoder(x))
        return loss, self.decoder(q), perplexity, ids


torch.manual_seed(0)
waves = torch.sin(torch.arange(8.0)[:, None] * 0.7 + torch.arange(8.0) * torch.rand(32, 1, 1, 1) * 2)
variance = waves.var()
for quantizer in (VectorQuantizerEMA(12, 8), VectorQuantizer(12, 8)):
    model = Model(quantizer)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, amsgrad=False)
    for step in range(25):
        optimizer.zero_grad()
        vq_loss, recon, perplexity, ids = model(waves)
        loss = F.mse_loss(recon, waves) / variance + vq_loss
        loss.backward()
        optimizer.step()
        if step % 8 == 0:
            print(f"{type(quantizer).__name__} {step}: loss {loss:.4f} vq {vq_loss:.5f} perplexity {perplexity:.3f}")
    model.eval()
    with torch.no_grad():
        print(model(waves[:2])[3])
        if hasattr(quantizer, "revive"):
            print("revived", quantizer.revive(model.encoder(waves), model(waves)[3]))
