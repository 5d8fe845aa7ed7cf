"""Off-policy learning: a double DQN with a NumPy replay buffer, then SAC with twin critics and a learned temperature."""

import copy
import random
from collections import namedtuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Normal

Batch = namedtuple("Batch", "obs actions rewards next_obs dones")


class ReplayBuffer:
    def __init__(self, size, obs_dim, act_dim, device="cpu"):
        self.device, self.size, self.pos, self.full = torch.device(device), size, 0, False
        self.obs = np.zeros((size, obs_dim), dtype=np.float32)
        self.next_obs = np.zeros((size, obs_dim), dtype=np.float32)
        self.actions = np.zeros((size, act_dim), dtype=np.float32)
        self.rewards = np.zeros((size,), dtype=np.float32)
        self.dones = np.zeros((size,), dtype=np.float32)

    def add(self, obs, next_obs, action, reward, done):
        i = self.pos
        self.obs[i], self.next_obs[i], self.actions[i] = np.array(obs), next_obs, np.asarray(action)
        self.rewards[i], self.dones[i] = reward, done
        self.pos = (i + 1) % self.size
        self.full |= self.pos == 0

    def sample(self, n):
        idx = np.random.randint(0, self.size if self.full else self.pos, size=n)
        to = lambda a: torch.as_tensor(a[idx]).to(self.device)
        return Batch(to(self.obs), to(self.actions), to(self.rewards), to(self.next_obs), to(self.dones))


class Dueling(nn.Module):
    def __init__(self, obs, act):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(obs, 24), nn.ReLU6(), nn.LayerNorm(24))
        self.value, self.advantage = nn.Linear(24, 1), nn.Linear(24, act)

    def forward(self, x):
        h = self.body(x)
        a = self.advantage(h)
        return self.value(h) + a - a.mean(dim=1, keepdim=True)


class Actor(nn.Module):
    def __init__(self, obs, act):
        super().__init__()
        self.fc = nn.Linear(obs, 24)
        self.fc_mean, self.fc_logstd = nn.Linear(24, act), nn.Linear(24, act)
        self.register_buffer("action_scale", torch.tensor(1.5, dtype=torch.float32))
        self.register_buffer("action_bias", torch.tensor(0.1, dtype=torch.float32))

    def get_action(self, x):
        h = F.relu(self.fc(x))
        mean, log_std = self.fc_mean(h), torch.tanh(self.fc_logstd(h))
        std = (-5 + 0.5 * (2 + 5) * (log_std + 1)).exp()
        normal = Normal(mean, std)
        x_t = normal.rsample()
        y_t = torch.tanh(x_t)
        log_prob = normal.log_prob(x_t) - torch.log(self.action_scale * (1 - y_t.pow(2)) + 1e-6)
        return y_t * self.action_scale + self.action_bias, log_prob.sum(1, keepdim=True)


random.seed(1)
np.random.seed(1)
torch.manual_seed(1)
torch.backends.cudnn.deterministic = True

buffer, obs = ReplayBuffer(200, 3, 1), np.zeros(3, np.float32)
q = Dueling(3, 4)
target = Dueling(3, 4)
target.load_state_dict(q.state_dict())
optimizer = torch.optim.Adam(q.parameters(), lr=1e-2)
for step in range(160):
    epsilon = max(0.1, 1.0 - step / 80)
    if random.random() < epsilon:
        action = random.randrange(4)
    else:
        action = torch.argmax(q(torch.Tensor(obs).unsqueeze(0)), dim=1).cpu().numpy()[0]
    nxt = np.tanh(obs + 0.3 * np.array([action - 1.5, (action % 2) - 0.5, 0.1], np.float32))
    buffer.add(obs, nxt, [action], -float(np.abs(nxt).sum()), step % 20 == 19)
    obs = nxt if step % 20 != 19 else np.zeros(3, np.float32)
    if step > 32 and step % 4 == 0:
        data = buffer.sample(32)
        with torch.no_grad():
            best = q(data.next_obs).argmax(dim=1, keepdim=True)
            td = data.rewards + 0.99 * target(data.next_obs).gather(1, best).squeeze() * (1 - data.dones)
        old = q(data.obs).gather(1, data.actions.long()).squeeze()
        loss = F.huber_loss(old, td, delta=1.0)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(q.parameters(), 1.0)
        optimizer.step()
        for tp, p in zip(target.parameters(), q.parameters()):
            tp.data.copy_(0.1 * p.data + 0.9 * tp.data)
    if step % 40 == 39:
        print(f"step {step} td loss {loss.item():.5f} q {old.mean().item():.4f}")

actor = Actor(3, 1)
critics = nn.ModuleList([nn.Sequential(nn.Linear(4, 24), nn.Mish(), nn.Linear(24, 1)) for _ in range(2)])
targets = copy.deepcopy(critics).requires_grad_(False)
log_alpha = torch.zeros(1, requires_grad=True)
opts = [torch.optim.Adam(p, lr=3e-3) for p in (actor.parameters(), critics.parameters(), [log_alpha])]
for it in range(30):
    data = buffer.sample(32)
    alpha = log_alpha.exp().item()
    with torch.no_grad():
        a, logp = actor.get_action(data.next_obs)
        nxt = torch.cat([data.next_obs, a], 1)
        soft = torch.min(targets[0](nxt), targets[1](nxt)) - alpha * logp
        y = data.rewards.flatten() + (1 - data.dones.flatten()) * 0.99 * soft.view(-1)
    q_loss = sum(F.mse_loss(c(torch.cat([data.obs, data.actions], 1)).view(-1), y) for c in critics)
    opts[1].zero_grad()
    q_loss.backward()
    opts[1].step()
    pi, logp = actor.get_action(data.obs)
    actor_loss = (alpha * logp - torch.minimum(*[c(torch.cat([data.obs, pi], 1)) for c in critics])).mean()
    opts[0].zero_grad()
    actor_loss.backward()
    opts[0].step()
    alpha_loss = (-log_alpha.exp() * (logp.detach() - 1.0)).mean()
    opts[2].zero_grad()
    alpha_loss.backward()
    opts[2].step()
    with torch.no_grad():
        torch._foreach_lerp_(list(targets.parameters()), list(critics.parameters()), 0.05)
    if it % 10 == 9:
        print(f"sac {it} q {q_loss.item():.4f} actor {actor_loss.item():.4f} alpha {log_alpha.exp().item():.5f}")
