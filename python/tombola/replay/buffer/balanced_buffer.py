"""`BalancedBuffer`: a lock, positions in the stream and in its random numbers, items and their balance."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch

from ... import _core
from ..._base.checks import check_bool, check_integer, check_number
from .arguments import check_device, priority_array, read_items, slot_array, target_device
from .balance import Balance
from .guard import Guard
from .items import Batch, Device, Storage, Transform, arrivals, carried
from .options import BufferOptions, Threshold, Weights
from .prototypes import Measure
from .report import BufferReport, make_report
from .state import buffer_state, loaded_balance

__all__ = ["BalancedBuffer"]

_NUMBERS = ("use_balanced_sampling", "seed", "num_seen_examples", "_steps", "_uniform_draws")


class BalancedBuffer:
    """Items of a stream, a uniform sample of all seen so far, and draws from them by importance.

    `tombola.replay.buffer` says how it works, and has an example.

    Parameters
    ----------
    buffer_size : int
        Most items that are kept, >= 1. Memory for all is taken when the first ones come.
    device : str or torch.device
        Where items are kept and given out. Scores are kept and draws are made on the CPU.
    semantic_similarity : callable, optional
        From two tensors of shape (n, width) the similarity of each pair of rows, in [0, 1], such as
        `SemanticSimilarity`. By default ``(1 + cosine) / 2``. Training it is followed, see `rescore`.
    adaptive_threshold, threshold_quantile : number, callable or sequence, optional
        Groups of classes are joined while their prototypes are more alike than this on average: a number of
        [0, 1], or what makes it from a tensor of the similarities of all pairs of classes, such as
        `AdaptiveThreshold`; or the quantile of these that it is, by default 0.9: one pair of classes in ten
        is above it. Several, rising, are levels of groups within groups; 1 is classes alone.
    num_feats : int, optional
        Width of features, which is checked; by default that of the first ones.
    use_balanced_sampling, balance_weight : bool, number, BalanceSchedule or one of these a level
        False: `get_balanced_data` draws uniformly. 0 leaves groups out, 1 draws each group about equally
        often; a schedule is called with the number of balanced draws so far. Both may be set at any time.
    temporal_weight, half_life, difficulty_weight, uncertainty_weight : number
        Powers of `temporal_scores`, `difficulty_scores` and `uncertainty_scores` in the score: 0 leaves one
        out, below 0 old, easy or sure items gain. `half_life` is in items offered, by default `buffer_size`.
    task_weights, refit_every : mapping of int to number, int, optional
        Task label to a factor >= 0 on the score of its items, 1 for others. Prototypes and modules are read
        in every so many draws, and for new classes; by default in each, means once an eighth of items is new.
    eps, replace, seed : number, bool, int
        > 0, added to similarities, losses and uncertainties. True: independent draws, as many as asked for;
        by default no item comes twice in a draw. In ``[0, 2**63)``; picks which items are kept and drawn.
    """

    def __init__(
        self,
        buffer_size: int,
        device: str | torch.device = "cpu",
        semantic_similarity: Measure | None = None,
        adaptive_threshold: Threshold | Sequence[Threshold] | None = None,
        num_feats: int | None = None,
        *,
        use_balanced_sampling: bool = True,
        balance_weight: Weights = 1.0,
        threshold_quantile: float | Sequence[float] | None = None,
        temporal_weight: float = 0.0,
        half_life: float | None = None,
        difficulty_weight: float = 0.0,
        uncertainty_weight: float = 0.0,
        task_weights: Mapping[int, float] | None = None,
        refit_every: int | None = None,
        eps: float = 1e-6,
        replace: bool = False,
        seed: int = 0,
    ) -> None:
        options = BufferOptions.among(locals())
        self.buffer_size = check_integer("buffer_size", buffer_size, minimum=1, limit=2**31)
        self.device = check_device(device)
        self.seed = check_integer("seed", seed)
        self.use_balanced_sampling = use_balanced_sampling
        self.num_seen_examples = self._steps = self._uniform_draws = 0
        self._guard = Guard()
        self._storage = Storage(self.buffer_size, self.device)
        self._balance = Balance(self._storage, options, self._guard, set())

    def __len__(self) -> int:
        return min(self.num_seen_examples, self.buffer_size)

    def __repr__(self) -> str:
        sizes = f"buffer_size={self.buffer_size}, stored={len(self)}"
        return f"{type(self).__name__}({sizes}, device='{self.device}')"

    def __getstate__(self) -> dict[str, Any]:
        with self._guard:  # a new one after pickling
            return dict(vars(self))

    @property
    def use_balanced_sampling(self) -> bool:
        """Whether `get_balanced_data` goes by scores; else it draws uniformly."""
        return self._use_balanced_sampling

    @use_balanced_sampling.setter
    def use_balanced_sampling(self, use: bool) -> None:
        self._use_balanced_sampling = check_bool("use_balanced_sampling", use)

    @property
    def balance_weight(self) -> Weights:
        """How strongly groups are balanced."""
        return self._balance.options.balance_weight

    @balance_weight.setter
    def balance_weight(self, weight: Weights) -> None:
        with self._guard:
            self._balance.options = self._balance.options.with_weight(weight)

    @property
    def group_counts(self) -> dict[int, int]:
        """How many items of each semantic group are stored: group number to count, without empty ones."""
        with self._guard:
            return self._balance.items_of_groups()

    @property
    def semantic_groups(self) -> dict[int, torch.Tensor]:
        """The slots of the items of each semantic group, int64, ascending; as many as `group_counts` says."""
        with self._guard:
            return {k: torch.from_numpy(slots) for k, slots in self._balance.slots_of_groups().items()}

    @property
    def groups(self) -> dict[int, int]:
        """The semantic group of each class that is stored, as of the last balanced draw: label to number."""
        return {label: path[0] for label, path in self.group_levels.items()}

    @property
    def group_levels(self) -> dict[int, tuple[int, ...]]:
        """The same at each level, coarse to fine; `groups` and all else that names groups is of the first."""
        with self._guard:
            return self._balance.paths_of_labels()

    @property
    def sample_features(self) -> torch.Tensor | None:
        """The stored features, a copy in the order of slots; None where there are none."""
        with self._guard:
            return self._storage.part("features", len(self))

    def report(self) -> BufferReport:
        """Return groups, scores and draws so far: a dict that prints as a table; it has `plot`."""
        with self._guard:
            return make_report(self._balance, len(self), self.num_seen_examples, self._uniform_draws)

    def is_empty(self) -> bool:
        """Return whether nothing was added yet."""
        return self.num_seen_examples == 0

    def add_data(
        self,
        examples: Any,
        labels: Any = None,
        logits: Any = None,
        features: Any = None,
        task_labels: Any = None,
        losses: Any = None,
    ) -> None:
        """Offer the next items of the stream to the reservoir.

        Parameters
        ----------
        examples, labels, logits, features, task_labels : torch.Tensor or array-like, shape (b, ...)
            The first call fixes which of them there are, their dtypes and shapes. Labels of one integer each
            say the classes. Features are floats of shape (b, width); half types are scored in float32.
        losses : array-like, shape (b,), optional
            For `difficulty_weight`; by default the cross-entropy of logits and labels.

        Raises
        ------
        TypeError, ValueError
            If something does not fit, is missing or new, or features are not finite; nothing has changed.
        """
        parts = examples, labels, logits, features, task_labels
        with self._guard:
            items = read_items(self._balance.options, parts, losses)
            self._storage.check(items.parts)
            rows, slots = arrivals(self.seed, self.num_seen_examples, items.count, self.buffer_size)
            new = self._balance.judge(items, rows)
            self._storage.allocate(items.parts)
            with self._guard.change():
                self._balance.take_out(slots[slots < len(self)])
                self._storage.write(slots, items.parts, rows, self.num_seen_examples)
                self._balance.put(slots, new)
                self.num_seen_examples += items.count

    def get_data(
        self,
        size: int,
        transform: Transform = None,
        *,
        return_index: bool = False,
        return_weights: bool = False,
        device: Device = None,
    ) -> Batch:
        """Return items drawn uniformly; arguments and result as for `get_balanced_data`, all weights 1."""
        with self._guard:
            target = target_device(self, device)
            options, stored = self._balance.options, len(self)
            many = options.most(check_integer("size", size), stored)
            slots = _core.uniform_draws(self.seed, self._steps, stored, many, replace=options.replace)
            self._steps += 1
            self._uniform_draws += 1
            corrections = np.ones(many) if return_weights else None
            return self._storage.batch(slots, transform, target, return_index, corrections)

    def get_balanced_data(
        self,
        minibatch_size: int,
        transform: Transform = None,
        op_prototypes: Any = None,
        *,
        return_index: bool = False,
        return_weights: bool = False,
        beta: float = 1.0,
        device: Device = None,
    ) -> Batch:
        """Return items drawn in proportion to their scores, all copies.

        Parameters
        ----------
        minibatch_size : int
            Items to draw; without replacement at most as many as are stored and of a score > 0.
        transform : callable, optional
            Applied to each example; the results are stacked.
        op_prototypes : optional
            Class prototypes: a table with that of label k in row k, a mapping from label to vector, or what
            has or returns one of these. By default the means of the stored features.
        return_index : bool
            Append the slots, int64, for `get_data_by_index` and the updates; they carry stamps.
        return_weights, beta : bool, number
            Append `correction_weights`, ``(n p)^-beta`` over the largest; p is that of the first draw.

        Returns
        -------
        tuple of torch.Tensor
            ``(examples, labels, logits, task_labels)`` without those never added, slots, weights.

        Raises
        ------
        TypeError, ValueError, IndexError
            If the buffer is empty, or prototypes do not fit its labels or features.
        """
        power = float(check_number("beta", beta))
        size = check_integer("minibatch_size", minibatch_size)
        with self._guard:
            target = target_device(self, device)
            drawn = None
            if self.use_balanced_sampling:
                drawn = self._balance.draw(size, op_prototypes, len(self), self.seed, self._steps)
            if drawn is None:
                options = {"return_index": return_index, "return_weights": return_weights}
                return self.get_data(size, transform, **options, device=target)
            self._steps += max(1, drawn.steps)
            self._uniform_draws += not drawn.by_scores
            corrections = drawn.corrections(power) if return_weights else None
            return self._storage.batch(drawn.slots, transform, target, return_index, corrections)

    def get_all_data(self, transform: Transform = None, device: Device = None) -> Batch:
        """Return all items that are stored, in the order of slots."""
        with self._guard:
            return self.get_data_by_index(np.arange(len(self)), transform, device)

    def get_data_by_index(self, indices: Any, transform: Transform = None, device: Device = None) -> Batch:
        """Return the items of some slots; IndexError names the first slot that holds nothing."""
        with self._guard:
            target, slots = target_device(self, device), slot_array(indices, len(self))
            return self._storage.known_batch(slots, transform, target)

    def stamps(self, indices: Any) -> torch.Tensor:
        """Return which items are in these slots now: their numbers in all that was offered, from 1 on."""
        with self._guard:
            return torch.from_numpy(self._storage.stamps.give_out(slot_array(indices, len(self))))

    def update_priorities(self, indices: Any, priorities: Any, stamps: Any = None) -> None:
        """Set factors on the scores of some items, such as losses: prioritised replay.

        Later items get the largest so far, 1 at least (Schaul et al., ICLR 2016). O(b log size). What is of
        items whose slots others have taken since is left out, and counted in the report.

        Parameters
        ----------
        indices, priorities : array-like, shape (b,)
            Slots, and a number of [0, 1e100] for each, 0 for what is not to be drawn; a slot's last holds.
        stamps : array-like of int, shape (b,), optional
            Which items are meant; by default those of ``indices.stamps``, which slots of a draw carry, or
            else those that were last given out of these slots.
        """
        with self._guard:
            slots = slot_array(indices, len(self))
            values = priority_array(priorities, len(slots))
            self._balance.prioritise(slots, values, carried(indices, stamps, len(slots)), len(self))

    def update_scores(self, indices: Any, losses: Any = None, logits: Any = None, stamps: Any = None) -> None:
        """Score items by what the network says of them now; what is stored stays, their logits too.

        `indices` and `stamps` as in `update_priorities`; losses, shape (b,), by default the cross-entropy of
        logits, (b, classes), and stored labels. What no option asks for is not looked at.
        """
        with self._guard:
            slots = slot_array(indices, len(self))
            self._balance.predict(slots, losses, logits, carried(indices, stamps, len(slots)), len(self))

    def rescore(self) -> None:
        """Let the next balanced draw score all anew: after what `tombola.replay.buffer` does not follow."""
        with self._guard:
            self._balance.rescore_asked = True

    def to(self, device: str | torch.device) -> Self:
        """Move what is stored to a device that is there, and return the buffer."""
        target = check_device(device)
        with self._guard, self._guard.change():
            self.device = self._storage.to(target)
        return self

    def empty(self) -> None:
        """Start anew: items, dtypes, shapes and scores are forgotten; draws don't repeat."""
        with self._guard.renew():
            self._storage.empty(self.num_seen_examples)
            self.num_seen_examples = 0
            self._balance = Balance(self._storage, self._balance.options, self._guard, self._balance.said)

    def state_dict(self) -> dict[str, Any]:
        """Return content, scores and position in all random sequences: tensors, numbers and strings, copied.

        ``torch.load(..., weights_only=True)`` reads it. Parameters of modules are not part of it.
        """
        with self._guard:
            numbers = {name.lstrip("_"): getattr(self, name) for name in _NUMBERS}
            return buffer_state(self._balance, len(self), numbers)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly as the buffer would have whose state this is; load the state of modules first.

        ValueError names what differs where the state is of another version, or a buffer with other options.
        """
        with self._guard.renew():
            balance = loaded_balance(self._balance, state)
            for name in _NUMBERS:
                setattr(self, name, state[name.lstrip("_")])
            self._storage, self._balance = balance.storage, balance
