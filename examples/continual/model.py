"""The learner's parts: a GELU backbone, and class prototypes that follow its features.

GELU: Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016). Prototypes are exponential means of the
features that the learner saw, as kept by many continual learners: O(batch) a step.
"""

import torch
from torch import nn

__all__ = ["ClassPrototypes", "GeluBackbone"]


class GeluBackbone(nn.Module):
    """Inputs to features, by two layers with GELU.

    Parameters
    ----------
    width : int
        Length of an input.
    hidden, num_feats : int
        Width of the hidden layer, and of the features.
    """

    def __init__(self, width: int, hidden: int = 128, num_feats: int = 64) -> None:
        super().__init__()
        self.num_feats = num_feats
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, num_feats), nn.GELU()
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return features; (n, width) gives (n, num_feats)."""
        features: torch.Tensor = self.layers(inputs)
        return features


class ClassPrototypes(nn.Module):
    """The mean feature of each class, old features fading away.

    Parameters
    ----------
    n_classes, num_feats : int
    momentum : float
        In [0, 1): what a step keeps of a prototype whose class it saw; the rest is the mean of that step.
    """

    vectors: torch.Tensor
    """float32, shape (n_classes, num_feats); a row of NaN until its class is seen."""

    def __init__(self, n_classes: int, num_feats: int, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("vectors", torch.full((n_classes, num_feats), torch.nan))

    @property
    def known(self) -> torch.Tensor:
        """bool, shape (n_classes,): which classes were seen."""
        return ~self.vectors[:, 0].isnan()

    @torch.no_grad()
    def update(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        """Move the prototypes of these labels towards their mean features."""
        classes, codes = labels.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        sums = features.new_zeros((len(classes), features.shape[1])).index_add_(0, codes, features)
        means = sums / codes.bincount()[:, None]
        old = self.vectors[classes]
        kept = torch.where(old.isnan(), means, old)
        self.vectors[classes] = self.momentum * kept + (1 - self.momentum) * means

    def nearest(self, features: torch.Tensor) -> torch.Tensor:
        """Return the class whose prototype is nearest to each row by cosine, among those seen."""
        cosine = nn.functional.normalize(features) @ nn.functional.normalize(self.vectors).T
        return cosine.nan_to_num(nan=-torch.inf).argmax(dim=1)
