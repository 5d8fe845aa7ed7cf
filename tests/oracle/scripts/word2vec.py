"""Words: skip-gram with negative sampling on sparse-like embeddings, a bag classifier with offsets, a sentence pair loss."""

from collections import Counter

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

TEXT = (
    "the king loves the queen and the queen loves the king while the dog chases the cat "
    "and the cat chases the mouse the king has a dog and the queen has a cat"
).split()
counts = Counter(TEXT)
vocab = {w: i for i, (w, _) in enumerate(counts.most_common())}
ids = torch.tensor([vocab[w] for w in TEXT])
freq = torch.tensor([counts[w] for w in vocab], dtype=torch.float) ** 0.75


class Pairs(Dataset):
    def __init__(self, ids, window=2):
        self.pairs = [
            (ids[i].item(), ids[j].item())
            for i in range(len(ids))
            for j in range(max(0, i - window), min(len(ids), i + window + 1))
            if i != j
        ]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, i):
        return self.pairs[i]


class SkipGram(nn.Module):
    def __init__(self, n, dim):
        super().__init__()
        self.u, self.v = nn.Embedding(n, dim, max_norm=2.0), nn.Embedding(n, dim)
        initrange = 0.5 / dim
        self.u.weight.data.uniform_(-initrange, initrange)
        self.v.weight.data.uniform_(-0, 0)

    def forward(self, center, context, negatives):
        u, v, neg = self.u(center), self.v(context), self.v(negatives)
        score = torch.clamp(torch.sum(u * v, dim=1), max=10, min=-10)
        bad = torch.clamp(torch.bmm(neg, u.unsqueeze(2)).squeeze(), max=10, min=-10)
        return torch.mean(-F.logsigmoid(score) - torch.sum(F.logsigmoid(-bad), dim=1))


torch.manual_seed(0)
pairs = Pairs(ids)
weights = [1.0 / counts[TEXT[0]] if a == 0 else 1.0 for a, _ in pairs.pairs]
loader = DataLoader(pairs, batch_size=32, sampler=WeightedRandomSampler(weights, len(pairs), replacement=True))
model = SkipGram(len(vocab), 8)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.3)
for epoch in range(4):
    total = 0.0
    for center, context in loader:
        negatives = torch.multinomial(freq, len(center) * 4, replacement=True).view(len(center), 4)
        optimizer.zero_grad()
        loss = model(center, context, negatives)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(center)
    print(f"epoch {epoch} loss {total / len(pairs):.5f}")
with torch.no_grad():
    e = F.normalize(model.u.weight)
    near = (e @ e[vocab["king"]]).topk(3)
words = list(vocab)
print([(words[i], round(s, 3)) for s, i in zip(near.values.tolist(), near.indices.tolist())])
print(model.u, model.u.weight.norm(dim=1).max().le(2.0001).item())


class BagClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.EmbeddingBag(len(vocab), 8, mode="sum", include_last_offset=False)
        self.fc = nn.Linear(8, 2)
        self.embedding.weight.data.uniform_(-0.5, 0.5)
        self.fc.bias.data.zero_()

    def forward(self, text, offsets, weights=None):
        return self.fc(self.embedding(text, offsets, per_sample_weights=weights))


def collate(batch):
    labels, texts, offsets = [], [], [0]
    for label, text in batch:
        labels.append(label)
        texts.append(text)
        offsets.append(text.size(0))
    return torch.tensor(labels, dtype=torch.int64), torch.cat(texts), torch.tensor(offsets[:-1]).cumsum(dim=0)


samples = [(int(vocab["king"] in c or vocab["queen"] in c), c) for c in ids.split([3, 5, 4, 2, 6, 5, 4, 5])]
bags = DataLoader(samples, batch_size=4, shuffle=True, collate_fn=collate)
net = BagClassifier()
opt = torch.optim.SGD(net.parameters(), lr=0.5)
for epoch in range(3):
    for label, text, offsets in bags:
        opt.zero_grad()
        w = torch.linspace(0.5, 1.5, len(text))
        loss = F.cross_entropy(net(text, offsets, w), label)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.1)
        opt.step()
    print(f"bag {epoch} {loss.item():.5f}")

a, b = (net.embedding(ids[:32].view(-1, 4)[:, k : k + 2]) for k in (0, 2))
target = torch.tensor([1, -1] * 4)
cosine = nn.CosineEmbeddingLoss(margin=0.2)(a, b, target)
ranking = nn.MarginRankingLoss(margin=0.1)(a.sum(1), b.sum(1), target.float())
hinge = nn.HingeEmbeddingLoss()(torch.pairwise_distance(a, b), target)
(cosine + ranking + hinge).backward()
print(cosine.item(), ranking.item(), hinge.item(), net.embedding.weight.grad.norm().item())
fixed = nn.Embedding.from_pretrained(model.u.weight.detach(), freeze=True)
print(fixed.weight.requires_grad, fixed(torch.LongTensor([[1, 2], [0, 3]])).mean(-1))
