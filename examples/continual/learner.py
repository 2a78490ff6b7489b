"""Experience replay with a balanced buffer: the learner as users of continual-learning frameworks know it.

A step draws from the buffer, trains on new and drawn samples together (Rolnick et al., "Experience Replay for
Continual Learning", 2019), moves the class prototypes and stores the new samples with their features. The
loss is cross-entropy over one head for all classes, plus `sm_weight` times the semantic contrastive loss
of `tombola.replay.SemanticSimilarity`. With `alpha` it is that of dark experience replay (Buzzega et al.,
"Dark Experience for General Continual Learning", 2020, with `beta` that of DER++): cross-entropy of new
samples, plus `beta` times that of drawn ones, plus `alpha` times the mean squared difference of the logits of
drawn samples now and when they were stored, both of one draw, where the paper draws for each. With balanced
sampling or without, all of this is the same; only what the buffer draws differs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from tombola.replay import AdaptiveThreshold, BalancedBuffer, BalanceSchedule, SemanticSimilarity

from .images import ResidualBackbone, crop_and_flip
from .model import ClassPrototypes, GeluBackbone
from .settings import LearnerOptions

__all__ = ["ContinualLearner"]

MOST_AT_ONCE = 2_048
"""Samples that go through the network together where nothing is learned."""


class Drawn(NamedTuple):
    """Samples drawn from the buffer; logits where these are stored."""

    inputs: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor | None
    slots: torch.Tensor


class ContinualLearner(nn.Module):
    """Backbone, head, prototypes and buffer.

    Parameters
    ----------
    shape : tuple of int
        Shape of an input: its length, or channels, height and width of an image.
    n_classes : int
        Classes of all tasks.
    options : LearnerOptions
    on_replay : callable, optional
        Is given the labels of every draw.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        n_classes: int,
        options: LearnerOptions,
        *,
        on_replay: Callable[[torch.Tensor], None] | None = None,
    ) -> None:
        super().__init__()
        self.options = options
        self.on_replay = on_replay
        self.task = 0
        torch.manual_seed(options.seed)
        is_image = len(shape) > 1
        self.backbone = ResidualBackbone(shape[0], options.channels) if is_image else GeluBackbone(shape[0])
        num_feats = self.backbone.num_feats
        self.head = nn.Linear(num_feats, n_classes)
        self.prototypes = ClassPrototypes(n_classes, num_feats)
        self.similarity = SemanticSimilarity(num_feats)
        self.threshold = AdaptiveThreshold()
        self.buffer = self._make_buffer(num_feats)
        self.to(self.buffer.device)
        learned = [*self.backbone.parameters(), *self.head.parameters()]
        semantic = [*self.similarity.parameters(), *self.threshold.parameters()]
        self.optimizer = torch.optim.SGD(learned, lr=options.lr)
        self.semantic_optimizer = torch.optim.Adam(semantic, lr=options.sim_lr)
        self.random = torch.Generator().manual_seed(options.seed)

    def _make_buffer(self, num_feats: int) -> BalancedBuffer:
        options = self.options
        weight: float | BalanceSchedule = options.balance_weight
        if options.balance_schedule != "constant":
            end, steps = options.balance_end, options.balance_steps
            weight = BalanceSchedule(options.balance_weight, end, steps=steps, kind=options.balance_schedule)
        levels = options.threshold_quantile
        return BalancedBuffer(
            options.buffer_size,
            options.device,
            semantic_similarity=self.similarity if options.similarity == "learned" else None,
            adaptive_threshold=self.threshold if options.threshold == "learned" else None,
            num_feats=num_feats,
            use_balanced_sampling=options.use_balanced_sampling,
            balance_weight=weight,
            threshold_quantile=levels if options.threshold == "quantile" else None,
            temporal_weight=options.temporal_weight,
            half_life=options.half_life,
            difficulty_weight=options.difficulty_weight,
            uncertainty_weight=options.uncertainty_weight,
            task_weights=dict(enumerate(options.task_weights)),
            seed=options.seed,
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits of all classes."""
        logits: torch.Tensor = self.head(self.backbone(inputs))
        return logits

    def augment(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return inputs, one or many, changed by chance, from the learner's own random sequence."""
        if isinstance(self.backbone, ResidualBackbone):
            return crop_and_flip(inputs, self.random)
        noise = torch.randn(inputs.shape, generator=self.random)
        return inputs + self.options.noise * noise.to(inputs.device)

    @torch.no_grad()
    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return features as they are where nothing is learned."""
        was_training = self.training
        self.eval()
        parts = [self.backbone(part) for part in torch.split(inputs, MOST_AT_ONCE)]
        self.train(was_training)
        return torch.cat(parts)

    def observe(self, inputs: torch.Tensor, labels: torch.Tensor, not_aug_inputs: torch.Tensor) -> float:
        """Take one step on new samples and on drawn ones; store the new ones as they are unchanged.

        Returns
        -------
        float
            The loss before the step.

        Raises
        ------
        ValueError
            If the loss or a feature is not finite.
        """
        new, drawn = labels, self._draw()
        if drawn is not None:
            inputs, labels = torch.cat([inputs, drawn.inputs]), torch.cat([labels, drawn.labels])
        features = self.backbone(inputs)
        logits = self.head(features)
        losses = F.cross_entropy(logits, labels, reduction="none")
        loss = self._loss(losses, logits, len(new), drawn)
        loss = loss + self.options.sm_weight * self.similarity.loss(features, labels)
        _check_finite("the loss", loss)
        features, logits, losses = features.detach(), logits.detach(), losses.detach()
        total = loss + self._threshold_loss(features, labels)
        self.optimizer.zero_grad()
        self.semantic_optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.semantic_optimizer.step()
        self.prototypes.update(features, labels)
        if drawn is not None:
            self.buffer.update_scores(drawn.slots, losses[len(new) :], logits[len(new) :])
        self._store(not_aug_inputs, new, logits[: len(new)], losses[: len(new)])
        return float(loss.detach())

    def _draw(self) -> Drawn | None:
        if self.buffer.is_empty():
            return None
        inputs, labels, *more, slots = self.buffer.get_balanced_data(
            self.options.minibatch_size,
            transform=self.augment,
            op_prototypes=self.prototypes.vectors,
            return_index=True,
        )
        if self.on_replay is not None:
            self.on_replay(labels)
        return Drawn(inputs, labels, more[0] if self._stores_logits else None, slots)

    def _loss(
        self, losses: torch.Tensor, logits: torch.Tensor, new: int, drawn: Drawn | None
    ) -> torch.Tensor:
        """Return the loss of labels, and of stored logits."""
        if not self.options.alpha or drawn is None:
            return losses.mean()
        dark = F.mse_loss(logits[new:], drawn.logits) if drawn.logits is not None else losses.new_zeros(())
        return losses[:new].mean() + self.options.beta * losses[new:].mean() + self.options.alpha * dark

    @property
    def _stores_logits(self) -> bool:
        return bool(self.options.alpha or self.options.uncertainty_weight)

    def _store(
        self, inputs: torch.Tensor, labels: torch.Tensor, logits: torch.Tensor, losses: torch.Tensor
    ) -> None:
        features = self.features(inputs)
        _check_finite("features", features)
        more: dict[str, Any] = {"logits": logits} if self._stores_logits else {}
        if self.options.task_weights:
            more["task_labels"] = torch.full_like(labels, self.task)
        self.buffer.add_data(inputs, labels=labels, features=features, losses=losses, **more)

    def _threshold_loss(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return how badly the threshold tells pairs of one class from others; only it learns by this."""
        first, second = torch.triu_indices(len(labels), len(labels), offset=1, device=labels.device)
        with torch.no_grad():
            embedded = self.similarity.embed(features)
            alike = ((1 + embedded @ embedded.T) / 2)[first, second]
        return self.threshold.loss(alike, labels[first] == labels[second])


def _check_finite(what: str, values: torch.Tensor) -> None:
    finite = torch.isfinite(values)
    if not finite.all():
        msg = f"{what} must stay finite, but found {values[~finite][0].item()}: lr or sm_weight is too large"
        raise ValueError(msg)
