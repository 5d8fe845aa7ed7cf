"""A masked language model on nn.TransformerEncoder, with padding masks, ignored labels and a linear warm-up."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset

PAD, CLS, SEP, MASK, VOCAB = 0, 1, 2, 3, 40


class Sentences(Dataset):
    def __init__(self, n):
        self.rows = [(torch.arange(k % 7 + 3) * (k % 5 + 1) + k) % (VOCAB - 4) + 4 for k in range(n)]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return torch.cat([torch.tensor([CLS]), self.rows[i], torch.tensor([SEP])])


def collate(batch):
    ids = pad_sequence(batch, batch_first=True, padding_value=PAD)
    labels = ids.clone()
    prob = torch.full(labels.shape, 0.3)
    prob.masked_fill_((ids == PAD) | (ids == CLS) | (ids == SEP), value=0.0)
    masked = torch.bernoulli(prob).bool()
    labels[~masked] = -100
    replaced = torch.bernoulli(torch.full(labels.shape, 0.8)).bool() & masked
    ids[replaced] = MASK
    swapped = torch.bernoulli(torch.full(labels.shape, 0.5)).bool() & masked & ~replaced
    words = torch.randint(4, VOCAB, labels.shape, dtype=torch.long)
    ids[swapped] = words[swapped]
    return {"input_ids": ids, "attention_mask": (ids != PAD).long(), "labels": labels}


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, dropout=0.1, max_len=64):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(1, max_len, d_model)
        pe[0, :, 0::2] = torch.sin(position * div_term)
        pe[0, :, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return self.dropout(x + self.pe[:, : x.size(1)])


class Bert(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, d, padding_idx=PAD)
        self.position = PositionalEncoding(d)
        layer = nn.TransformerEncoderLayer(d, nhead=4, dim_feedforward=64, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, norm=nn.LayerNorm(d))
        self.head = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.LayerNorm(d, eps=1e-12), nn.Linear(d, VOCAB))
        self.pooler = nn.Linear(d, 2)

    def forward(self, input_ids, attention_mask, labels=None):
        h = self.encoder(self.position(self.embed(input_ids)), src_key_padding_mask=attention_mask == 0)
        logits = self.head(h)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.view(-1, VOCAB), labels.view(-1), ignore_index=-100)
        return loss, logits, torch.tanh(self.pooler(h[:, 0]))


torch.manual_seed(0)
model = Bert()
print(model.encoder.layers[0])
print(sum(p.numel() for p in model.parameters()))
no_decay = ["bias", "norm"]
named = list(model.named_parameters())
groups = [
    {"params": [p for n, p in named if not any(k in n for k in no_decay)], "weight_decay": 0.01},
    {"params": [p for n, p in named if any(k in n for k in no_decay)], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(groups, lr=3e-3, eps=1e-6)
scheduler = LambdaLR(optimizer, lambda step: min((step + 1) / 5, max(0.0, (30 - step) / 25)))
loader = DataLoader(Sentences(64), batch_size=16, shuffle=True, collate_fn=collate, drop_last=True)
for epoch in range(4):
    model.train()
    total, seen = 0.0, 0
    for batch in loader:
        loss, logits, pooled = model(**batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        scheduler.step()
        hit = (logits.argmax(-1) == batch["labels"])[batch["labels"] != -100]
        total, seen = total + hit.sum().item(), seen + hit.numel()
    print(f"epoch {epoch} loss {loss:.4f} accuracy {total / seen:.4f} lr {scheduler.get_last_lr()}")
print("padding row", model.embed.weight[PAD].abs().sum().item(), model.embed.weight.grad[PAD].abs().sum().item())

model.eval()
with torch.no_grad():
    batch = collate([Sentences(5)[i] for i in range(5)])
    _, logits, pooled = model(batch["input_ids"], batch["attention_mask"])
    print(logits.shape, pooled)
    print("perplexity", torch.exp(F.cross_entropy(logits.transpose(1, 2), batch["labels"])).item())
