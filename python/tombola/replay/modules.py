"""Learned similarity and learned threshold: two small modules for `BalancedBuffer`, each with its loss."""

import torch
from torch import nn
from torch.nn import functional

from .._base.checks import check_integer, check_number

__all__ = ["AdaptiveThreshold", "SemanticSimilarity"]


class SemanticSimilarity(nn.Module):
    """Similarity of features after a learned projection, in [0, 1]: ``(1 + cos(W a, W b)) / 2``.

    W starts as the identity, so that an untrained module is the plain cosine.

    Parameters
    ----------
    num_feats : int
        Width of the features.
    temperature : number, keyword-only
        Of the loss, > 0.

    Examples
    --------
    >>> import torch
    >>> similarity = SemanticSimilarity(3)
    >>> similarity(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])).item()
    0.5
    """

    def __init__(self, num_feats: int, *, temperature: float = 0.1) -> None:
        super().__init__()
        self.num_feats = check_integer("num_feats", num_feats, minimum=1)
        self.temperature = float(check_number("temperature", temperature, above=True))
        self.projection = nn.Linear(self.num_feats, self.num_feats, bias=False)
        nn.init.eye_(self.projection.weight)

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Return projected features of length 1; a row of zeros stays one."""
        if features.ndim == 0 or features.shape[-1] != self.num_feats:
            msg = f"features must be num_feats = {self.num_feats} wide, but have {tuple(features.shape)}"
            raise ValueError(msg)
        return functional.normalize(self.projection(features.to(self.projection.weight.dtype)), dim=-1)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return the similarity of each row of one to the same row of the other, shape (n,)."""
        cosine = (self.embed(first) * self.embed(second)).sum(dim=-1)
        return ((1 + cosine) / 2).clamp(0.0, 1.0)

    def loss(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the semantic contrastive loss of a batch.

        ``mean_i -1/|P(i)| * sum_{p in P(i)} log(exp(z_i z_p / t) / sum_{a != i} exp(z_i z_a / t))``, z the
        projected features, P(i) the other rows with the label of row i, t the temperature: the supervised
        contrastive loss (L_out) of Khosla et al., "Supervised contrastive learning", NeurIPS 2020. Rows
        without a partner are left out; the loss is 0 where there are no pairs.

        Parameters
        ----------
        features : torch.Tensor, shape (n, num_feats)
        labels : torch.Tensor of integers, shape (n,)
        """
        embedded = self.embed(features)
        if labels.shape != embedded.shape[:1]:
            msg = f"labels must be one a row, {tuple(embedded.shape[:1])}, but have {tuple(labels.shape)}"
            raise ValueError(msg)
        own = torch.eye(len(embedded), dtype=torch.bool, device=embedded.device)
        logits = (embedded @ embedded.T / self.temperature).masked_fill(own, -torch.inf)
        partners = (labels[:, None] == labels[None, :]).to(embedded.device) & ~own
        counts = partners.sum(dim=1)
        if not bool((counts > 0).any()):
            return embedded.sum() * 0.0
        logs = (logits - logits.logsumexp(dim=1, keepdim=True)).masked_fill(~partners, 0.0)
        return -(logs.sum(dim=1)[counts > 0] / counts[counts > 0]).mean()


class AdaptiveThreshold(nn.Module):
    """A threshold that follows the similarities it is for: ``mean + k * deviation``, with a learned k.

    Trained on pairs of samples and asked about pairs of classes, k came to 0.5 to 1.2 where it was measured
    (examples/continual_digits.py): a pair of classes in three to nine is above the threshold. Average linkage
    makes groups of these; components of such pairs would be one group of nearly all classes.

    Parameters
    ----------
    initial : number, keyword-only
        k before training: how many standard deviations above the mean.
    temperature : number, keyword-only
        Of the loss, > 0: similarities that far from the threshold count as clear.

    Examples
    --------
    >>> import torch
    >>> AdaptiveThreshold(initial=0.0)(torch.tensor([0.2, 0.4])).item()  # doctest: +ELLIPSIS
    0.3...
    """

    def __init__(self, *, initial: float = 1.0, temperature: float = 0.1) -> None:
        super().__init__()
        self.temperature = float(check_number("temperature", temperature, above=True))
        start = float(check_number("initial", initial, minimum=-float("inf")))
        self.deviations = nn.Parameter(torch.tensor(start))

    def forward(self, similarity: torch.Tensor) -> torch.Tensor:
        """Return the threshold for similarities of any shape, a scalar in [0, 1]; 1 where there are none."""
        if not similarity.numel():
            return self.deviations.new_ones(())
        values = similarity.to(self.deviations.dtype)
        spread = values.std(correction=0) if values.numel() > 1 else values.new_zeros(())
        return (values.mean() + self.deviations * spread).clamp(0.0, 1.0)

    def loss(self, similarity: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
        """Return how badly the threshold tells pairs that belong together from others.

        ``mean over pairs of softplus(-y * (s - threshold) / temperature)``, y = 1 where a pair belongs
        together and -1 else: the logistic loss of a classifier with a learned offset (Platt, "Probabilistic
        outputs for support vector machines", 1999), both kinds of pairs weighing the same in sum.

        Parameters
        ----------
        similarity : torch.Tensor
            Of pairs, any shape; no gradient flows into it.
        same : torch.Tensor of bool, same shape
            Whether a pair belongs together.
        """
        if similarity.shape != same.shape:
            expected, came = tuple(similarity.shape), tuple(same.shape)
            msg = f"same must have the shape of similarity, {expected}, but has {came}"
            raise ValueError(msg)
        values = similarity.detach().reshape(-1)
        alike = same.reshape(-1).to(values.device).bool()
        margin = (values - self(values)) / self.temperature
        losses = functional.softplus(torch.where(alike, -margin, margin))
        parts = [losses[chosen].mean() for chosen in (alike, ~alike) if bool(chosen.any())]
        return torch.stack(parts).mean() if parts else self.deviations * 0.0
