"""REINFORCE and PPO on a point that seeks the origin: Categorical, Independent Normal, squashed Gaussian, GAE, clipping."""

from collections import deque

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import (
    AffineTransform,
    Categorical,
    Independent,
    Normal,
    TanhTransform,
    TransformedDistribution,
)


class Env:
    def __init__(self, n, generator):
        self.n, self.g = n, generator

    def reset(self):
        self.t, self.x = 0, torch.rand(self.n, 2, generator=self.g) * 2 - 1
        return self.x.clone()

    def step(self, move):
        self.t += 1
        self.x = (self.x + 0.3 * move).clamp(-2, 2)
        reward = -self.x.norm(dim=-1)
        return self.x.clone(), reward, torch.full((self.n,), float(self.t % 8 == 0))


def layer_init(layer, std=2**0.5, bias_const=0.0):
    torch.nn.init.orthogonal_(layer.weight, std)
    torch.nn.init.constant_(layer.bias, bias_const)
    return layer


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.critic = nn.Sequential(layer_init(nn.Linear(2, 16)), nn.Tanh(), layer_init(nn.Linear(16, 1), std=1.0))
        self.actor_mean = nn.Sequential(layer_init(nn.Linear(2, 16)), nn.Tanh(), layer_init(nn.Linear(16, 2), std=0.01))
        self.actor_logstd = nn.Parameter(torch.zeros(1, 2))

    def get_action_and_value(self, x, action=None):
        mean = self.actor_mean(x)
        probs = Normal(mean, torch.exp(self.actor_logstd.expand_as(mean)))
        if action is None:
            action = probs.sample()
        return action, probs.log_prob(action).sum(1), probs.entropy().sum(1), self.critic(x).squeeze(-1)


torch.manual_seed(1)
env = Env(8, torch.Generator().manual_seed(5))

policy = nn.Sequential(nn.Linear(2, 16), nn.Dropout(p=0.1), nn.ReLU(), nn.Linear(16, 4))
moves = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
opt = torch.optim.Adam(policy.parameters(), lr=1e-2)
for episode in range(4):
    state, saved, rewards = env.reset(), [], []
    for _ in range(8):
        m = Categorical(F.softmax(policy(state), dim=1))
        action = m.sample()
        saved.append(m.log_prob(action))
        state, reward, done = env.step(moves[action])
        rewards.append(reward)
    R, returns = 0, deque()
    for r in rewards[::-1]:
        R = r + 0.99 * R
        returns.appendleft(R)
    returns = torch.stack(list(returns))
    returns = (returns - returns.mean()) / (returns.std() + torch.finfo(torch.float32).eps.real)
    loss = torch.cat([-lp * r for lp, r in zip(saved, returns)]).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(
        f"episode {episode} return {torch.stack(rewards).sum(0).mean():.4f} loss {loss.item():.4f} H {m.entropy().mean():.4f}"
    )

agent = Agent()
optimizer = torch.optim.Adam(agent.parameters(), lr=3e-3, eps=1e-5)
T = 16
obs, nxt, done = torch.zeros(T, 8, 2), env.reset(), torch.zeros(8)
actions, logprobs, rewards, dones, values = (torch.zeros(T, 8, *s) for s in ((2,), (), (), (), ()))
for update in range(3):
    optimizer.param_groups[0]["lr"] = (1.0 - update / 3) * 3e-3
    for step in range(T):
        obs[step], dones[step] = nxt, done
        with torch.no_grad():
            action, logprob, _, value = agent.get_action_and_value(nxt)
            values[step] = value.flatten()
        actions[step], logprobs[step] = action, logprob
        nxt, rewards[step], done = env.step(action.tanh())
    with torch.no_grad():
        next_value = agent.critic(nxt).reshape(1, -1)
        advantages, last = torch.zeros_like(rewards), 0
        for t in reversed(range(T)):
            alive = 1.0 - (done if t == T - 1 else dones[t + 1])
            following = next_value if t == T - 1 else values[t + 1]
            delta = rewards[t] + 0.99 * following * alive - values[t]
            advantages[t] = last = delta + 0.99 * 0.95 * alive * last
        returns = advantages + values
    flat = [x.reshape((-1, *x.shape[2:])) for x in (obs, logprobs, actions, advantages, returns, values)]
    clipfracs = []
    for _ in range(2):
        for mb in torch.randperm(T * 8).split(32):
            o, old, a, adv, ret, val = (x[mb] for x in flat)
            _, newlogprob, entropy, newvalue = agent.get_action_and_value(o, a)
            logratio = newlogprob - old
            ratio = logratio.exp()
            with torch.no_grad():
                approx_kl = ((ratio - 1) - logratio).mean()
                clipfracs += [((ratio - 1.0).abs() > 0.2).float().mean().item()]
            adv = (adv - adv.mean()) / (adv.std() + 1e-8)
            pg_loss = torch.max(-adv * ratio, -adv * torch.clamp(ratio, 1 - 0.2, 1 + 0.2)).mean()
            clipped = val + torch.clamp(newvalue - val, -0.2, 0.2)
            v_loss = 0.5 * torch.max((newvalue - ret) ** 2, (clipped - ret) ** 2).mean()
            loss = pg_loss - 0.01 * entropy.mean() + v_loss * 0.5
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()
    explained = 1 - (flat[4] - flat[5]).var() / flat[4].var()
    print(
        f"update {update} loss {loss:.5f} v {v_loss:.5f} kl {approx_kl:.6f} clip {sum(clipfracs) / len(clipfracs):.4f}"
    )
    print(f"   explained variance {explained:.4f} reward {rewards.mean():.4f}")

base = Independent(Normal(agent.actor_mean(nxt), agent.actor_logstd.exp().expand(8, 2)), 1)
squashed = TransformedDistribution(base, [TanhTransform(cache_size=1), AffineTransform(0.5, 2.0, event_dim=1)])
action = squashed.rsample()
print("squashed", squashed.log_prob(action).mean().item(), action.min().item() > -1.5, squashed.event_shape)
