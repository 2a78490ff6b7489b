"""A small transformer that predicts actions from a history, old parts of which it compresses in stages.

An encoder reads the memory and a stage of steps and writes the memory anew, once a stage; a causal decoder
reads the last memory and the newest steps, and predicts the action of each. In a batch of mixed depths the
encoder runs on dummies, too, and what it makes of them is thrown away: a sample's loss does not depend on its
batch.

Source: Laskin et al. (2022) for the distillation; Chevalier et al., "Adapting language models to compress
contexts" (2023) for compression into memory that is carried from part to part.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .config import Config
from .histories import IGNORED

__all__ = ["CompressedHistoryModel"]

REWARDS = 2


class CompressedHistoryModel(nn.Module):
    """Logits of actions, (batch, context_length, n_actions).

    Parameters
    ----------
    config : Config
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.embedding_dim
        self.cell = nn.Embedding(config.grid_size**2, width)
        self.action = nn.Embedding(config.n_actions + 1, width)
        self.reward = nn.Embedding(REWARDS, width)
        self.stage_place = nn.Parameter(0.02 * torch.randn(config.stage_length, width))
        self.context_place = nn.Parameter(0.02 * torch.randn(config.context_length, width))
        self.memory = nn.Parameter(0.02 * torch.randn(config.memory_tokens, width))
        self.memory_place = nn.Parameter(0.02 * torch.randn(config.memory_tokens, width))
        self.encoder = _layers(config, config.encoder_layers)
        self.decoder = _layers(config, config.decoder_layers)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.n_actions))
        self.register_buffer("_hidden", _hidden_from(config), persistent=False)

    def forward(self, batch: dict[str, Any]) -> torch.Tensor:
        """Compress the stages of a batch, one after the other, and predict from memory and context."""
        memory = self.memory.expand(len(batch["targets"]), -1, -1)
        for stage in batch["compression_stages"]:
            memory = self._compress(memory, stage)
        context = self._embed(batch["context"]) + self.context_place
        sequence = torch.cat([memory + self.memory_place, context], dim=1)
        decoded = self.decoder(sequence, mask=self._hidden)
        logits: torch.Tensor = self.head(decoded[:, memory.shape[1] :])
        return logits

    def loss(self, batch: dict[str, Any], *, reduction: str = "mean") -> torch.Tensor:
        """Return the mean cross entropy of the targets, or with ``"none"`` that of each, 0 where ignored."""
        logits = self(batch).transpose(1, 2)
        return F.cross_entropy(logits, batch["targets"], ignore_index=IGNORED, reduction=reduction)

    def _compress(self, memory: torch.Tensor, stage: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the memory after a stage; of samples that lack it, as it was."""
        kept = memory.shape[1]
        steps = self._embed(stage) + self.stage_place[: stage["mask"].shape[1]]
        sequence = torch.cat([memory + self.memory_place, steps], dim=1)
        hidden = F.pad(~stage["mask"], (kept, 0), value=False)
        written = self.encoder(sequence, src_key_padding_mask=hidden)[:, :kept]
        return torch.where((stage["lengths"] > 0)[:, None, None], written, memory)

    def _embed(self, steps: dict[str, torch.Tensor]) -> torch.Tensor:
        embedded: torch.Tensor = (
            self.cell(steps["cells"]) + self.action(steps["actions"]) + self.reward(steps["rewards"])
        )
        return embedded


def _layers(config: Config, count: int) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        config.embedding_dim,
        config.n_heads,
        dim_feedforward=4 * config.embedding_dim,
        dropout=0.0,
        batch_first=True,
        norm_first=True,
    )
    return nn.TransformerEncoder(layer, count, enable_nested_tensor=False)


def _hidden_from(config: Config) -> torch.Tensor:
    """Return what each place of the decoder's sequence must not see: memory sees memory, steps the past."""
    size = config.memory_tokens + config.context_length
    hidden = torch.ones(size, size, dtype=torch.bool).triu(diagonal=1)
    hidden[: config.memory_tokens, : config.memory_tokens] = False
    return hidden
