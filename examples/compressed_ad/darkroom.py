"""A darkroom and the learning histories of PPO in it, many tasks at once.

The agent starts in the middle of a grid, sees its cell only, moves or stays, and is paid 1 for each step that
ends at the goal, which it has to find and to remember. Each task has its goal and a learner of its own: PPO
with clipped ratios and generalised advantages, over tables of action preferences and values by cell.

Source: Schulman et al., "Proximal policy optimization algorithms" (2017); the grid is that of Laskin et al.,
"In-context reinforcement learning with algorithm distillation" (2022). O(tasks * episodes * steps).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from .config import Config

__all__ = ["Histories", "learn_histories"]

MOVES = torch.tensor([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]])


@dataclass(frozen=True, kw_only=True)
class Histories:
    """Steps of all tasks, in the order of learning.

    Parameters
    ----------
    cells, actions, rewards : int16, int8, int8, shape (n_tasks, history_length)
        The cell before the step, the action taken, what was paid.
    goals : int16, shape (n_tasks,)
    """

    cells: npt.NDArray[np.int16]
    actions: npt.NDArray[np.int8]
    rewards: npt.NDArray[np.int8]
    goals: npt.NDArray[np.int16]


@dataclass
class _Learner:
    """Tables of all tasks: preferences (tasks, cells, actions) and values (tasks, cells)."""

    preferences: torch.Tensor
    values: torch.Tensor
    optimizer: torch.optim.Optimizer


def learn_histories(config: Config, seed: int) -> Histories:
    """Let PPO learn every task, and keep every `keep_every`-th episode."""
    random = torch.Generator().manual_seed(seed)
    cells = config.grid_size**2
    goals = torch.randint(cells, (config.n_tasks,), generator=random)
    preferences = torch.zeros(config.n_tasks, cells, config.n_actions, requires_grad=True)
    values = torch.zeros(config.n_tasks, cells, requires_grad=True)
    optimizer = torch.optim.Adam([preferences, values], lr=config.source_learning_rate)
    learner = _Learner(preferences, values, optimizer)
    kept: list[torch.Tensor] = []
    recent: list[torch.Tensor] = []
    for episode in range(config.source_episodes):
        steps = _play(config, goals, preferences.detach().softmax(dim=-1), random)
        recent.append(steps)
        if (episode + 1) % config.keep_every == 0:
            kept.append(steps)
        if len(recent) == config.episodes_per_update:
            _update(config, learner, torch.stack(recent))
            recent = []
    states, actions, rewards = torch.cat(kept, dim=2).numpy()
    return Histories(
        cells=states.astype(np.int16),
        actions=actions.astype(np.int8),
        rewards=rewards.astype(np.int8),
        goals=goals.numpy().astype(np.int16),
    )


def _play(config: Config, goals: torch.Tensor, policy: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Play an episode of each task; returns cells, actions, rewards as (3, tasks, steps)."""
    size, tasks = config.grid_size, torch.arange(config.n_tasks)
    place = torch.full((config.n_tasks, 2), size // 2)
    steps = torch.empty(3, config.n_tasks, config.episode_length, dtype=torch.int64)
    for step in range(config.episode_length):
        cell = place[:, 0] * size + place[:, 1]
        action = torch.multinomial(policy[tasks, cell], 1, generator=random).squeeze(1)
        place = (place + MOVES[action]).clamp(0, size - 1)
        reward = place[:, 0] * size + place[:, 1] == goals
        steps[:, :, step] = torch.stack([cell, action, reward.long()])
    return steps


def _update(config: Config, learner: _Learner, steps: torch.Tensor) -> None:
    """Take PPO's gradient steps on a few episodes, (episodes, 3, tasks, steps)."""
    cells, actions, rewards = (
        part.transpose(0, 1) for part in steps.transpose(0, 1)
    )  # (tasks, episodes, steps)
    tasks = torch.arange(config.n_tasks)[:, None, None]
    with torch.no_grad():
        before = _log_chance(learner, tasks, cells, actions)
        value = learner.values[tasks, cells]
        advantage = _advantages(config, rewards.float(), value)
        returns = advantage + value
        spread = advantage.std(dim=(1, 2), keepdim=True)
        advantage = (advantage - advantage.mean(dim=(1, 2), keepdim=True)) / (spread + 1e-6)
    for _ in range(config.update_epochs):
        ratio = (_log_chance(learner, tasks, cells, actions) - before).exp()
        clipped = ratio.clamp(1 - config.clip_range, 1 + config.clip_range)
        gain = torch.minimum(ratio * advantage, clipped * advantage)
        error = (learner.values[tasks, cells] - returns).square()
        logs = learner.preferences[tasks, cells].log_softmax(dim=-1)
        entropy = -(logs.exp() * logs).sum(dim=-1)
        loss = (0.5 * error - gain - config.entropy_coefficient * entropy).mean(dim=(1, 2)).sum()
        learner.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        learner.optimizer.step()


def _log_chance(
    learner: _Learner, tasks: torch.Tensor, cells: torch.Tensor, actions: torch.Tensor
) -> torch.Tensor:
    logs = learner.preferences[tasks, cells].log_softmax(dim=-1)
    return logs.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def _advantages(config: Config, rewards: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return generalised advantages of episodes (..., steps); nothing is worth anything after the last."""
    advantage = torch.zeros_like(values)
    following = torch.zeros_like(values[..., 0])
    next_value = torch.zeros_like(following)
    for step in reversed(range(rewards.shape[-1])):
        surprise = rewards[..., step] + config.gamma * next_value - values[..., step]
        following = surprise + config.gamma * config.gae_lambda * following
        advantage[..., step] = following
        next_value = values[..., step]
    return advantage
