"""`BalancedBuffer`: a lock, positions in the stream and in its random numbers, items and their balance."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch

from ... import _core
from ..._base.checks import check_bool, check_integer, check_number
from ..._base.fork import ForkLock
from ..schedule import BalanceSchedule
from .arguments import BufferOptions, check_device, check_state, priority_array, read_items, slot_array
from .balance import Balance
from .items import Batch, Device, Storage, Transform, arrivals
from .prototypes import Measure
from .report import BufferReport, make_report

__all__ = ["BalancedBuffer"]


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
        `SemanticSimilarity`. By default ``(1 + cosine) / 2``.
    adaptive_threshold : number or callable, optional
        Groups of classes are joined while their prototypes are more alike than this on average: a number of
        [0, 1], or what makes it from a tensor of the similarities of all pairs of classes, such as
        `AdaptiveThreshold`. By default a quantile of these, so that the number of groups follows the data.
    num_feats : int, optional
        Width of features, which is checked; by default that of the first ones.
    use_balanced_sampling : bool, keyword-only
        False: `get_balanced_data` draws uniformly. May be set at any time.
    balance_weight : number or BalanceSchedule, keyword-only
        0 leaves groups out, 1 draws each group about equally often. A schedule is called with the number of
        balanced draws so far. May be set at any time.
    threshold_quantile : number, keyword-only, optional
        In [0, 1]; 0.9 by default, so that one pair of classes in ten is above the threshold.
    task_weights : mapping of int to number, keyword-only, optional
        Task label to a factor >= 0 on the score of its items; 1 for those not named.
    refit_every : int, keyword-only, optional
        Prototypes and modules are looked at in every so many balanced draws, and once a class is new. By
        default in each, and the buffer's own prototypes once an eighth of its items is new.
    eps : number, keyword-only
        > 0, added to similarities.
    replace : bool, keyword-only
        True: independent draws, as many as asked for. By default no item comes twice in a draw.
    seed : int, keyword-only
        In ``[0, 2**63)``; picks which items are kept and drawn.

    Raises
    ------
    TypeError, ValueError
        If an argument is no such value, or the device isn't there.
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
        self._lock = ForkLock(reentrant=True)
        self._storage = Storage(self.buffer_size, self.device)
        self._balance = Balance(self._storage, options, set())

    def __len__(self) -> int:
        return min(self.num_seen_examples, self.buffer_size)

    def __repr__(self) -> str:
        name, stored = type(self).__name__, len(self)
        return f"{name}(buffer_size={self.buffer_size}, stored={stored}, device='{self.device}')"

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:  # the lock itself is a new one after pickling
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
        with self._lock:
            self._balance.options = self._balance.options.with_weight(weight)

    @property
    def group_counts(self) -> dict[int, int]:
        """How many items of each semantic group are stored: group number to count, without empty ones."""
        with self._lock:
            return self._balance.items_of_groups()

    @property
    def groups(self) -> dict[int, int]:
        """The semantic group of each class that is stored, as of the last balanced draw: label to number."""
        with self._lock:
            return self._balance.groups_of_labels()

    def report(self) -> BufferReport:
        """Return groups, scores and draws so far: a dict that prints as a table; it has `plot`."""
        with self._lock:
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
        TypeError
            If a dtype is another than that of the first items, or no number at all.
        ValueError
            If shapes or numbers of items do not fit, something is missing or new, or features or, in float64,
            their squares are not finite (the first one is named). Nothing has changed then.
        """
        with self._lock:
            items = read_items(self._balance.options, examples, labels, logits, features, task_labels)
            self._storage.check(items.parts)
            rows, slots = arrivals(self.seed, self.num_seen_examples, items.count, self.buffer_size)
            new = self._balance.judge(items, rows)
            self._storage.allocate(items.parts)
            self._balance.take_out(slots[slots < len(self)])
            self._storage.write(slots, items.parts, rows)
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
        with self._lock:
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
        """Return items drawn in proportion to their scores.

        Parameters
        ----------
        minibatch_size : int
            Items to draw; without replacement at most as many as are stored and of a score > 0.
        transform : callable, optional
            Applied to each example; the results are stacked.
        op_prototypes : optional
            Class prototypes: a table with that of label k in row k, NaN where it is missing; a mapping from
            label to vector; or what has one of these as its attribute ``prototypes``, or returns it when
            called. By default the means of the stored features.
        return_index : bool, keyword-only
            Append the slots, int64, for `get_data_by_index` and `update_priorities`.
        return_weights : bool, keyword-only
            Append ``(n p)^-beta`` of each item, over the largest of them: `correction_weights`, which make up
            for how often an item is drawn. Without replacement p is that of the first draw.
        beta : number, keyword-only
            1 corrects wholly, 0 not at all.
        device : str or torch.device, keyword-only, optional
            Where the batch is given out; by default the buffer's device.

        Returns
        -------
        tuple of torch.Tensor
            ``(examples, labels, logits, task_labels)`` without those never added, then slots, then weights.
            All are copies. Mind that slots come after the items; some frameworks return them first.

        Raises
        ------
        TypeError, ValueError, IndexError
            If the buffer is empty, or prototypes are no such thing, of another width than the features, or a
            table without a row for the label of a stored item.
        """
        power = float(check_number("beta", beta))
        size = check_integer("minibatch_size", minibatch_size)
        with self._lock:
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
        with self._lock:
            return self._storage.batch(np.arange(len(self)), transform, self._target(device))

    def get_data_by_index(self, indices: Any, transform: Transform = None, device: Device = None) -> Batch:
        """Return the items of some slots; IndexError names the first slot that holds nothing."""
        with self._lock:
            target = self._target(device)
            return self._storage.batch(slot_array(indices, len(self)), transform, target)

    def _target(self, device: Device) -> torch.device:
        """Return where a batch goes, if there is something to give."""
        if self.is_empty():
            msg = "the buffer must hold an item or more, but is empty: add_data comes first"
            raise ValueError(msg)
        return self.device if device is None else check_device(device)

    def update_priorities(self, indices: Any, priorities: Any) -> None:
        """Set factors on the scores of some slots, such as losses: prioritised replay.

        Later items get the largest so far, 1 at least (Schaul et al., ICLR 2016). O(b log size).

        Parameters
        ----------
        indices : array-like of int, shape (b,)
            Slots; where one comes twice the last priority holds.
        priorities : array-like, shape (b,)
            Finite and >= 0, at most 1e100; what has 0 is not drawn.
        """
        with self._lock:
            slots = slot_array(indices, len(self))
            self._balance.prioritise(slots, priority_array(priorities, len(slots)), len(self))

    def to(self, device: str | torch.device) -> Self:
        """Move what is stored to a device that is there, and return the buffer."""
        with self._lock:
            self.device = self._storage.to(check_device(device))
        return self

    def empty(self) -> None:
        """Start anew: items, dtypes, shapes and scores are forgotten; draws don't repeat."""
        with self._lock:
            self.num_seen_examples = 0
            self._storage.empty()
            self._balance = Balance(self._storage, self._balance.options, self._balance.said)

    def state_dict(self) -> dict[str, Any]:
        """Return content, scores and position in all random sequences: tensors, numbers and strings, copied.

        ``torch.load(..., weights_only=True)`` reads it. Parameters of modules are not part of it.
        """
        with self._lock:
            return {
                **self._balance.options.described(self.buffer_size),
                "use_balanced_sampling": self.use_balanced_sampling,
                "balance_weight": self._balance.options.weight_state(),
                "seed": self.seed,
                "num_seen_examples": self.num_seen_examples,
                "steps": self._steps,
                "uniform_draws": self._uniform_draws,
                "items": self._storage.state(len(self)),
                "balance": self._balance.state(len(self)),
            }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly as the buffer would have whose state this is; load the state of modules first.

        Seed, `use_balanced_sampling` and `balance_weight` are taken over. ValueError names what differs where
        the state is of another version, or of a buffer with other options.
        """
        with self._lock:
            own = self._balance.options
            check_state(state, own.described(self.buffer_size))
            storage = Storage(self.buffer_size, self.device, state["items"])
            balance = Balance(storage, own.with_weight_state(state["balance_weight"]), self._balance.said)
            balance.load(state["balance"], min(state["num_seen_examples"], self.buffer_size))
            self.use_balanced_sampling = state["use_balanced_sampling"]
            self.seed, self.num_seen_examples = state["seed"], state["num_seen_examples"]
            self._steps, self._uniform_draws = state["steps"], state["uniform_draws"]
            self._storage, self._balance = storage, balance
