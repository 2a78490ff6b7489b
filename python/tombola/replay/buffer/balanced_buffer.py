"""`BalancedBuffer`: a lock, positions in the stream and in its random numbers, items and their balance."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch

from ... import _core
from ..._base.checks import check_bool, check_integer, check_number
from ..scores.groups import BalanceSchedule
from .arguments import BufferOptions, check_device, check_state, priority_array, read_items, slot_array
from .balance import Balance, balance_state, load_balance
from .guard import Guard
from .items import Batch, Device, Storage, Transform, arrivals, carried
from .prototypes import Measure
from .report import BufferReport, make_report

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
        From two tensors of shape (n, width) the similarity of each pair of rows, in [0, 1], such as that of
        `SemanticSimilarity`. By default ``(1 + cosine) / 2``. Training it is followed, see `rescore`.
    adaptive_threshold : number or callable, optional
        Groups of classes are joined while their prototypes are more alike than this on average: a number of
        [0, 1], or what makes it from a tensor of the similarities of all pairs of classes, such as
        `AdaptiveThreshold`; see `rescore`. By default a quantile of these, `threshold_quantile`.
    num_feats : int, optional
        Width of features, which is checked; by default that of the first ones.
    use_balanced_sampling, balance_weight : bool, number or BalanceSchedule
        False: `get_balanced_data` draws uniformly. 0 leaves groups out, 1 draws each group about equally
        often; a schedule is called with the number of balanced draws so far. Both may be set at any time.
        Keyword-only, as all below.
    threshold_quantile : number, optional
        In [0, 1]; 0.9 by default: one pair of classes in ten is above the threshold.
    task_weights, refit_every : mapping of int to number, int, optional
        Task label to a factor >= 0 on the score of its items, 1 for those not named. Prototypes and modules
        are looked at in every so many balanced draws, and once a class is new; by default in each, and the
        buffer's own prototypes once an eighth of its items is new.
    eps, replace, seed : number, bool, int
        > 0, added to similarities. True: independent draws, as many as asked for; by default no item comes
        twice in a draw. In ``[0, 2**63)``; picks which items are kept and drawn.
    """

    def __init__(
        self,
        buffer_size: int,
        device: str | torch.device = "cpu",
        semantic_similarity: Measure | None = None,
        adaptive_threshold: float | Callable[[torch.Tensor], Any] | None = None,
        num_feats: int | None = None,
        *,
        use_balanced_sampling: bool = True,
        balance_weight: float | BalanceSchedule = 1.0,
        threshold_quantile: float | None = None,
        task_weights: Mapping[int, float] | None = None,
        refit_every: int | None = None,
        eps: float = 1e-6,
        replace: bool = False,
        seed: int = 0,
    ) -> None:
        options = BufferOptions(
            semantic_similarity=semantic_similarity,
            adaptive_threshold=adaptive_threshold,
            num_feats=num_feats,
            balance_weight=balance_weight,
            threshold_quantile=threshold_quantile,
            task_weights=task_weights,
            refit_every=refit_every,
            eps=eps,
            replace=replace,
        )
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
        name, stored = type(self).__name__, len(self)
        return f"{name}(buffer_size={self.buffer_size}, stored={stored}, device='{self.device}')"

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
    def balance_weight(self) -> float | BalanceSchedule:
        """How strongly groups are balanced."""
        return self._balance.options.balance_weight

    @balance_weight.setter
    def balance_weight(self, weight: float | BalanceSchedule) -> None:
        with self._guard:
            self._balance.options = self._balance.options.with_weight(weight)

    @property
    def group_counts(self) -> dict[int, int]:
        """How many items of each semantic group are stored: group number to count, without empty ones."""
        with self._guard:
            return self._balance.items_of_groups()

    @property
    def groups(self) -> dict[int, int]:
        """The semantic group of each class that is stored, as of the last balanced draw: label to number."""
        with self._guard:
            return self._balance.groups_of_labels()

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
    ) -> None:
        """Offer the next items of the stream to the reservoir.

        Parameters
        ----------
        examples, labels, logits, features, task_labels : torch.Tensor or array-like, shape (b, ...)
            The first call fixes which of them there are, their dtypes and shapes. Labels of one integer each
            say the classes. Features are floats of shape (b, width); half types are scored in float32.

        Raises
        ------
        TypeError, ValueError
            If something does not fit, is missing or new, or features are not finite; nothing has changed.
        """
        with self._guard:
            items = read_items(self._balance.options, examples, labels, logits, features, task_labels)
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
            target = self._target(device)
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
            Append the slots, int64, for `get_data_by_index` and `update_priorities`; they carry stamps.
        return_weights, beta : bool, number
            Append ``(n p)^-beta`` of each item, over the largest of them: `correction_weights`, which make up
            for how often an item is drawn. Without replacement p is that of the first draw.

        Returns
        -------
        tuple of torch.Tensor
            ``(examples, labels, logits, task_labels)`` without those never added, then slots, then weights,
            on `device`, by default the buffer's.
            Mind that slots come after the items; some frameworks return them first.

        Raises
        ------
        TypeError, ValueError, IndexError
            If the buffer is empty, or prototypes do not fit its labels or the width of its features.
        """
        power = float(check_number("beta", beta))
        size = check_integer("minibatch_size", minibatch_size)
        with self._guard:
            target = self._target(device)
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
            target, slots = self._target(device), slot_array(indices, len(self))
            return self._storage.known_batch(slots, transform, target)

    def _target(self, device: Device) -> torch.device:
        """Return where a batch goes, if there is something to give."""
        if self.is_empty():
            msg = "the buffer must hold an item or more, but is empty: add_data comes first"
            raise ValueError(msg)
        return self.device if device is None else check_device(device)

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
            Slots, and for each a finite number of [0, 1e100], 0 for what is not to be drawn; where a slot
            comes twice the last one holds.
        stamps : array-like of int, shape (b,), optional
            Which items are meant. By default those that slots of a draw carry (``slots.stamps``) or, where
            `indices` is another object by now, those that were last given out of these slots.
        """
        with self._guard:
            slots = slot_array(indices, len(self))
            values = priority_array(priorities, len(slots))
            current = self._storage.stamps.current(slots, carried(indices, stamps, len(slots)))
            with self._guard.change():
                self._balance.prioritise(slots[current], values[current], len(self))

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
            return {
                **self._balance.options.described(self.buffer_size),
                **{name.lstrip("_"): getattr(self, name) for name in _NUMBERS},
                "balance_weight": self._balance.options.weight_state(),
                "items": self._storage.state(len(self)),
                "balance": balance_state(self._balance, len(self)),
                "stamps": self._storage.stamps.state(len(self)),
            }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly as the buffer would have whose state this is; load the state of modules first.

        ValueError names what differs where the state is of another version, or a buffer with other options.
        """
        with self._guard.renew():
            own = self._balance.options
            check_state(state, own.described(self.buffer_size))
            storage = Storage(self.buffer_size, self.device, state["items"], state["stamps"])
            options = own.with_weight_state(state["balance_weight"])
            balance = Balance(storage, options, self._guard, self._balance.said)
            load_balance(balance, state["balance"], min(state["num_seen_examples"], self.buffer_size))
            for name in _NUMBERS:
                setattr(self, name, state[name.lstrip("_")])
            self._storage, self._balance = storage, balance
