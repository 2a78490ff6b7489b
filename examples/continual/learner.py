"""Experience replay with a balanced buffer: the learner as users of continual-learning frameworks know it.

A step draws from the buffer, trains on new and drawn samples together (Rolnick et al., "Experience Replay for
Continual Learning", 2019), moves the class prototypes and stores the new samples with their features. The
loss is cross-entropy over one head for all classes, plus `sm_weight` times the semantic contrastive loss
of `tombola.replay.SemanticSimilarity`. With balanced sampling or without, all of this is the same; only what
the buffer draws differs.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from tombola.replay import AdaptiveThreshold, BalancedBuffer, SemanticSimilarity

from .model import ClassPrototypes, GeluBackbone
from .settings import LearnerOptions

__all__ = ["ContinualLearner"]


class ContinualLearner(nn.Module):
    """Backbone, head, prototypes and buffer.

    Parameters
    ----------
    width, n_classes : int
        Length of an input; classes of all tasks.
    options : LearnerOptions
    on_replay : callable, optional
        Is given the labels of every draw.
    """

    def __init__(
        self,
        width: int,
        n_classes: int,
        options: LearnerOptions,
        *,
        on_replay: Callable[[torch.Tensor], None] | None = None,
    ) -> None:
        super().__init__()
        self.options = options
        self.on_replay = on_replay
        torch.manual_seed(options.seed)
        self.backbone = GeluBackbone(width)
        num_feats = self.backbone.num_feats
        self.head = nn.Linear(num_feats, n_classes)
        self.prototypes = ClassPrototypes(n_classes, num_feats)
        self.similarity = SemanticSimilarity(num_feats)
        self.threshold = AdaptiveThreshold()
        self.buffer = BalancedBuffer(
            options.buffer_size,
            semantic_similarity=self.similarity if options.similarity == "learned" else None,
            adaptive_threshold=self.threshold if options.threshold == "learned" else None,
            num_feats=num_feats,
            use_balanced_sampling=options.use_balanced_sampling,
            balance_weight=options.balance_weight,
            threshold_quantile=options.threshold_quantile if options.threshold == "quantile" else None,
            seed=options.seed,
        )
        learned = [*self.backbone.parameters(), *self.head.parameters()]
        semantic = [*self.similarity.parameters(), *self.threshold.parameters()]
        self.optimizer = torch.optim.SGD(learned, lr=options.lr)
        self.semantic_optimizer = torch.optim.Adam(semantic, lr=options.sim_lr)
        self.random = torch.Generator().manual_seed(options.seed)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits of all classes."""
        logits: torch.Tensor = self.head(self.backbone(inputs))
        return logits

    def augment(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return inputs, one or many, with noise of the learner's own random sequence."""
        return inputs + self.options.noise * torch.randn(inputs.shape, generator=self.random)

    def observe(self, inputs: torch.Tensor, labels: torch.Tensor, not_aug_inputs: torch.Tensor) -> float:
        """Take one step on new samples and on drawn ones; store the new ones as they are without noise.

        Returns
        -------
        float
            The loss before the step.

        Raises
        ------
        ValueError
            If the loss or a feature is not finite.
        """
        new = labels
        if not self.buffer.is_empty():
            drawn, drawn_labels, *_ = self.buffer.get_balanced_data(
                self.options.minibatch_size, transform=self.augment, op_prototypes=self.prototypes.vectors
            )
            if self.on_replay is not None:
                self.on_replay(drawn_labels)
            inputs, labels = torch.cat([inputs, drawn]), torch.cat([labels, drawn_labels])
        features = self.backbone(inputs)
        loss = F.cross_entropy(self.head(features), labels)
        loss = loss + self.options.sm_weight * self.similarity.loss(features, labels)
        _check_finite("the loss", loss)
        features = features.detach()
        total = loss + self._threshold_loss(features, labels)
        self.optimizer.zero_grad()
        self.semantic_optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.semantic_optimizer.step()
        self.prototypes.update(features, labels)
        with torch.no_grad():
            stored_features = self.backbone(not_aug_inputs)
        _check_finite("features", stored_features)
        self.buffer.add_data(not_aug_inputs, labels=new, features=stored_features)
        return float(loss.detach())

    def _threshold_loss(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return how badly the threshold tells pairs of one class from others; only it learns by this."""
        first, second = torch.triu_indices(len(labels), len(labels), offset=1)
        with torch.no_grad():
            embedded = self.similarity.embed(features)
            alike = ((1 + embedded @ embedded.T) / 2)[first, second]
        return self.threshold.loss(alike, labels[first] == labels[second])


def _check_finite(what: str, values: torch.Tensor) -> None:
    finite = torch.isfinite(values)
    if not finite.all():
        msg = f"{what} must stay finite, but found {values[~finite][0].item()}: lr or sm_weight is too large"
        raise ValueError(msg)
