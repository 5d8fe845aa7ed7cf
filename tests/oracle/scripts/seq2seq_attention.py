"""Translation of digit strings into their reverse: packed GRU encoder, additive attention, teacher forcing, beam search."""

import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

PAD, BOS, EOS, WORDS = 0, 1, 2, 12


class Encoder(nn.Module):
    def __init__(self, emb=16, hid=24):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, emb, padding_idx=PAD)
        self.rnn = nn.GRU(emb, hid, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(hid * 2, hid)

    def forward(self, src, lengths):
        packed = pack_padded_sequence(self.embedding(src), lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, hidden = self.rnn(packed)
        outputs, sizes = pad_packed_sequence(outputs, batch_first=True)
        assert torch.equal(sizes, lengths)
        return outputs, torch.tanh(self.fc(torch.cat((hidden[-2], hidden[-1]), dim=1)))


class Attention(nn.Module):
    def __init__(self, hid=24):
        super().__init__()
        self.attn = nn.Linear(hid * 3, hid)
        self.v = nn.Linear(hid, 1, bias=False)

    def forward(self, hidden, outputs, mask):
        hidden = hidden.unsqueeze(1).repeat(1, outputs.shape[1], 1)
        energy = torch.tanh(self.attn(torch.cat((hidden, outputs), dim=2)))
        return self.v(energy).squeeze(2).masked_fill(mask == 0, -1e10).softmax(dim=1)


class Decoder(nn.Module):
    def __init__(self, emb=16, hid=24):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, emb)
        self.attention = Attention(hid)
        self.rnn = nn.GRUCell(hid * 2 + emb, hid)
        self.out = nn.Linear(hid * 3 + emb, WORDS)
        self.dropout = nn.Dropout(0.1)

    def forward(self, token, hidden, outputs, mask):
        embedded = self.dropout(self.embedding(token))
        a = self.attention(hidden, outputs, mask)
        context = torch.bmm(a.unsqueeze(1), outputs).squeeze(1)
        hidden = self.rnn(torch.cat((embedded, context), dim=1), hidden)
        return self.out(torch.cat((hidden, context, embedded), dim=1)), hidden, a


class Seq2Seq(nn.Module):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, src, lengths, trg, ratio=0.5):
        outputs, hidden = self.encoder(src, lengths)
        mask = src != PAD
        logits = torch.zeros(trg.shape[1], trg.shape[0], WORDS)
        token = trg[:, 0]
        for t in range(1, trg.shape[1]):
            logits[t], hidden, _ = self.decoder(token, hidden, outputs, mask)
            token = trg[:, t] if random.random() < ratio else logits[t].argmax(1)
        return logits

    @torch.no_grad()
    def beam(self, src, length, width=3, steps=9):
        outputs, hidden = self.encoder(src[None, :length], torch.tensor([length]))
        mask = torch.ones(1, length, dtype=torch.bool)
        beams = [(0.0, [BOS], hidden)]
        for _ in range(steps):
            grown = []
            for score, words, h in beams:
                if words[-1] == EOS:
                    grown.append((score, words, h))
                    continue
                logits, h2, _ = self.decoder(torch.tensor([words[-1]]), h, outputs, mask)
                best, ids = F.log_softmax(logits, -1).topk(width)
                grown += [(score + s, [*words, i], h2) for s, i in zip(best[0].tolist(), ids[0].tolist())]
            beams = sorted(grown, key=lambda b: b[0] / len(b[1]), reverse=True)[:width]
        return beams[0]


def init_weights(m):
    for name, param in m.named_parameters():
        if "weight" in name:
            nn.init.normal_(param.data, mean=0, std=0.1)
        else:
            nn.init.constant_(param.data, 0)


def batch(n=24):
    rows = [torch.randint(3, WORDS, (int(torch.randint(2, 7, ())),)) for _ in range(n)]
    lengths = torch.as_tensor([len(r) for r in rows])
    src = pad_sequence(rows, batch_first=True)
    trg = pad_sequence(
        [torch.cat([torch.tensor([BOS]), r.flip(0), torch.tensor([EOS])]) for r in rows],
        batch_first=True,
        padding_value=PAD,
    )
    return src, lengths, trg


random.seed(0)
torch.manual_seed(0)
model = Seq2Seq(Encoder(), Decoder()).apply(init_weights)
print(model)
optimizer = optim.Adam(model.parameters(), lr=8e-3)
scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.99)
criterion = nn.CrossEntropyLoss(ignore_index=PAD)
for step in range(40):
    src, lengths, trg = batch()
    optimizer.zero_grad()
    output = model(src, lengths, trg)
    loss = criterion(output[1:].view(-1, WORDS), trg[:, 1:].t().reshape(-1))
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
    optimizer.step()
    scheduler.step()
    if step % 10 == 9:
        print(f"step {step + 1} loss {loss.item():.3f} norm {norm.item():.3f} lr {scheduler.get_last_lr()[0]:.5f}")
model.eval()
src, lengths, trg = batch(3)
for i in range(3):
    score, words, _ = model.beam(src[i], int(lengths[i]))
    print(src[i, : lengths[i]].tolist(), "->", words, f"{score:.3f}")
