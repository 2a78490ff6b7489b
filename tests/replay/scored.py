"""Batches around class centres, and the weights of a buffer beside those made from scratch."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tombola import BalancedBuffer, importance_scores

CLASSES, WIDTH = 8, 5
CENTRES = np.random.default_rng(2).standard_normal((CLASSES, WIDTH)).astype(np.float32)


def batch(seed: int, count: int, classes: Any = CLASSES) -> dict[str, torch.Tensor]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count) if isinstance(classes, int) else np.resize(classes, count)
    features = CENTRES[labels] + generator.standard_normal((count, WIDTH)).astype(np.float32)
    return {
        "examples": torch.from_numpy(generator.random(count)),
        "labels": torch.from_numpy(labels),
        "features": torch.from_numpy(features.astype(np.float32)),
        "task_labels": torch.from_numpy(labels // 3),
    }


def scores_from_scratch(buffer: BalancedBuffer, prototypes: Any, weight: float) -> npt.NDArray[np.float64]:
    """Scores by `importance_scores` of what is stored, groups as the buffer says."""
    labels = buffer.get_all_data()[1].numpy()
    groups = np.array([buffer.groups[label] for label in labels.tolist()])
    features = buffer._storage.first("features", len(buffer))
    return importance_scores(features, labels, prototypes, groups, balance_weight=weight)


def weights_of(buffer: BalancedBuffer) -> npt.NDArray[np.float64]:
    """What draws go by: the tree's weights times present over applied factors."""
    balance = buffer._balance
    weights, codes = balance.weights, balance.weights.codes[: len(buffer)]
    ratios = balance.factors() / weights.applied
    return weights.tree.get()[: len(buffer)] * ratios[codes]
