"""Speech recognition: mel-like features by STFT, SpecAugment, convolutions and a bidirectional LSTM, CTC, greedy and prefix decoding."""

import math
from itertools import groupby

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

CHARS = "-abcd "


def tones(words, rate=800):
    waves = []
    for c in words:
        t = torch.arange(rate // 8) / rate
        waves.append(torch.sin(2 * math.pi * (40 + 60 * CHARS.index(c)) * t) * torch.hann_window(len(t)))
    return torch.cat(waves)


def features(wave, n_fft=64, hop=16, bands=12):
    spec = torch.stft(wave, n_fft, hop, window=torch.hann_window(n_fft), center=True, return_complex=True).abs() ** 2
    edges = torch.linspace(0, n_fft // 2, bands + 2)
    f = torch.arange(n_fft // 2 + 1.0)
    up = (f - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - f) / (edges[2:] - edges[1:-1])[:, None]
    bank = torch.minimum(up, down).clamp_min(0)
    mel = torch.log(bank @ spec + 1e-6)
    return ((mel - mel.mean(1, keepdim=True)) / (mel.std(1, keepdim=True) + 1e-5)).T


def spec_augment(x, width=2):
    x = x.clone()
    f0, t0 = torch.randint(0, 10, (1,)).item(), int(torch.randint(0, x.shape[1] - width, (1,)))
    x[:, :, f0 : f0 + width] = 0
    x.narrow(1, t0, width).zero_()
    return x


class Net(nn.Module):
    def __init__(self, bands=12, hidden=16):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv1d(bands, hidden, 5, stride=2, padding=2),
            nn.BatchNorm1d(hidden),
            nn.Hardtanh(0, 20, inplace=True),
            nn.Conv1d(hidden, hidden, 3, padding="same", groups=2, dilation=2),
            nn.GELU(),
        )
        self.rnn = nn.LSTM(hidden, hidden, num_layers=2, bidirectional=True, batch_first=True, dropout=0.1)
        self.fc = nn.Linear(2 * hidden, len(CHARS))

    def forward(self, x, lengths):
        x = self.conv(x.transpose(1, 2)).transpose(1, 2)
        lengths = torch.div(lengths - 1, 2, rounding_mode="floor") + 1
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        x, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=x.size(1))
        return self.fc(x).log_softmax(2), lengths


def prefix_beam(logp, width=4):
    beams = {"": (0.0, -math.inf)}
    for frame in logp.tolist():
        nxt = {}
        for prefix, (pb, pnb) in beams.items():
            for i, lp in enumerate(frame):
                key = prefix if i == 0 else prefix + CHARS[i]
                b, nb = nxt.get(key, (-math.inf, -math.inf))
                both = torch.logaddexp(torch.tensor(pb), torch.tensor(pnb)).item()
                if i == 0:
                    nxt[key] = (torch.logaddexp(torch.tensor(b), torch.tensor(both + lp)).item(), nb)
                else:
                    nxt[key] = (b, torch.logaddexp(torch.tensor(nb), torch.tensor(both + lp)).item())
        beams = dict(sorted(nxt.items(), key=lambda kv: -max(kv[1]))[:width])
    return next(iter(beams))


torch.manual_seed(0)
words = ["ab", "cad", "dab a", "bcd", "a b", "dd", "abc", "ca"]
data = [features(tones(w) + 0.05 * torch.randn(100 * len(w))) for w in words]
lengths = torch.tensor([len(d) for d in data])
x = pad_sequence(data, batch_first=True)
targets = torch.cat([torch.tensor([CHARS.index(c) for c in w]) for w in words])
target_lengths = torch.tensor([len(w) for w in words])
print(x.shape, lengths.tolist())
model = Net()
ctc = nn.CTCLoss(blank=0, zero_infinity=True)
optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
scheduler = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=2e-2, steps_per_epoch=1, epochs=15, anneal_strategy="linear"
)
for epoch in range(15):
    model.train()
    optimizer.zero_grad()
    output, sizes = model(spec_augment(x), lengths)
    loss = ctc(output.transpose(0, 1), targets, sizes, target_lengths)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0, norm_type=2)
    optimizer.step()
    scheduler.step()
    if epoch % 5 == 4:
        print(
            f"epoch {epoch} loss {loss.item():.4f} lr {scheduler.get_last_lr()[0]:.6f} momentum {optimizer.param_groups[0]['betas'][0]:.4f}"
        )
model.eval()
with torch.no_grad():
    output, sizes = model(x, lengths)
    per = F.ctc_loss(
        output.transpose(0, 1),
        pad_sequence(targets.split(target_lengths.tolist()), True),
        sizes,
        target_lengths,
        reduction="none",
    )
print("per sequence", per)
best = output.argmax(2)
for i in range(3):
    greedy = "".join(CHARS[k] for k, _ in groupby(best[i, : sizes[i]].tolist()) if k != 0)
    print(repr(words[i]), repr(greedy), repr(prefix_beam(output[i, : sizes[i]])))
wave = tones("abcd")
again = torch.istft(
    torch.stft(wave, 64, 16, window=torch.hann_window(64), return_complex=True),
    64,
    16,
    window=torch.hann_window(64),
    length=len(wave),
)
print("istft", torch.allclose(wave, again, atol=1e-5))
