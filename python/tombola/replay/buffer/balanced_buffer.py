"""A replay buffer that draws far and rare items more often: reservoir-filled, balanced over semantic groups.

An item is drawn in proportion to ``1 / (similarity + eps) * (groups / group size) ** balance_weight``, its
similarity that of its features and the prototype of its class. Adding b items is O(b log size), a balanced
draw of m items O(m log size); what a change of prototypes costs is said in the class.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from ..._base.checks import check_bool, check_integer, check_number
from .._buffer_options import BufferOptions, check_state
from .._reservoir import arrivals
from .._stored_items import Batch, Transform
from .._switched_items import SwitchedItems
from ..schedule import BalanceSchedule
from .arguments import priority_array, read_items, slot_array, task_factors
from .balance import Balance
from .classes import Measure
from .items import Storage
from .weights import Drawn

__all__ = ["BalancedBuffer"]

_VERSION = 2


class BalancedBuffer(SwitchedItems):
    """Items of a stream, a uniform sample of all seen so far, and draws from them.

    Parameters
    ----------
    buffer_size : int
        Most items that are kept, >= 1. Memory for all is taken when the first ones come.
    device : str or torch.device
        Where examples, labels, logits, features and task labels are kept and given out. Scores are kept and
        draws are made on the CPU.
    semantic_similarity : callable, optional
        Takes two tensors of shape (n, width) and returns the similarity of each pair of rows, in [0, 1], such
        as `SemanticSimilarity`. By default ``(1 + cosine) / 2``.
    adaptive_threshold : number or callable, optional
        Groups of classes are joined, most alike first, while their prototypes are more alike than this on
        average: average linkage. A number of [0, 1], or what makes it from a tensor of the similarities of
        all pairs of classes, such as `AdaptiveThreshold`. By default a quantile of these, so that threshold
        and number of groups follow the data.
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
        True: draws are independent, and as many as asked for. By default no item comes twice in a draw, which
        then has at most as many as are stored.
    seed : int, keyword-only
        In ``[0, 2**63)``; picks which items are kept and drawn.

    Raises
    ------
    TypeError, ValueError
        If an argument is no such value, or the device isn't there.

    Notes
    -----
    **Filling** is reservoir sampling (algorithm R, Vitter 1985): after t items each of them is stored with
    probability ``min(1, buffer_size / t)``. It depends on seed and position in the stream only, not on how
    the stream is cut into batches.

    **Prototypes** are given to `get_balanced_data`, or else are the means of the features that are stored of
    each class. A class without one has similarity 0.5 and is a group of its own. Where prototypes (or the
    parameters of a module) have changed since the last draw, items of these classes are scored anew in one
    pass of `prototype_similarity` over their features; else a draw costs O(m log size).

    **Uniform draws** take the place of balanced ones where scores can't be had: no integer labels, features
    or prototypes, one group only, or scores that are not finite. The reason is logged once. With
    `task_weights` items are then drawn in proportion to these, uniformly inside each task, in O(size).

    **Classes** of which nothing is stored are forgotten: labels may change for ever, memory does not grow.

    **Priorities** multiply scores after `update_priorities`; what cannot be had is then left out of scores.

    **Threads**: each method takes a lock while it runs, so threads may share a buffer; the order of calls
    decides what they get. The same seed and history give the same content everywhere, and the same draws
    wherever scores are equal to the last bit.

    Examples
    --------
    >>> import torch
    >>> from tombola import BalancedBuffer
    >>> buffer = BalancedBuffer(100, seed=1)
    >>> labels = torch.arange(1000) % 100 // 90  # nine in ten are of class 0
    >>> examples = torch.arange(1000, dtype=torch.float32)
    >>> features = torch.nn.functional.one_hot(labels, 2).float()
    >>> buffer.add_data(examples, labels, features=features)
    >>> len(buffer), buffer.num_seen_examples
    (100, 1000)
    >>> buffer.group_counts
    {0: 88, 1: 12}
    >>> examples, labels, slots = buffer.get_balanced_data(10, return_index=True)
    >>> int(labels.sum())  # of the rare class
    4
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
        super().__init__(buffer_size, device, seed, options, use_balanced_sampling=use_balanced_sampling)

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
            The first call fixes which of them there are, their dtypes and shapes. Classes are known by labels
            of one integer each. Features have the shape (b, width) and are floats, also of half precision;
            they are scored in float32.

        Raises
        ------
        TypeError
            If a dtype is another than that of the first items, or no number at all.
        ValueError
            If shapes or numbers of items do not fit, something is missing or new, or features are not finite
            or, in float64, so large or small that their squares are not (the first one is named). Nothing has
            changed then.
        """
        with self._lock:
            items = read_items(examples, labels, logits, features, task_labels, self._options.num_feats)
            self._storage.check(items.parts)
            factors = task_factors(items, self._options.factor_of_task)
            count, stored = len(items.parts["examples"]), len(self)
            rows, slots = arrivals(self.seed, self.num_seen_examples, count, self.buffer_size)
            kept = items.parts.get("features")
            if kept is not None and len(rows) < count:
                kept = kept.index_select(0, torch.from_numpy(rows).to(kept.device))
            classes = np.zeros(count, dtype=np.int64) if items.classes is None else items.classes
            new = self._balance.judge(classes[rows], kept, factors[rows])
            self._storage.allocate(items.parts)
            old = slots[slots < stored]
            self._balance.labelled = items.classes is not None
            self._balance.replace(old, None if kept is None else self._storage.read("features", old))
            self._storage.write(slots, items.parts, rows)
            self._balance.put(slots, new, kept)
            self.num_seen_examples += count

    def get_balanced_data(
        self,
        minibatch_size: int,
        transform: Transform | None = None,
        op_prototypes: Any = None,
        *,
        return_index: bool = False,
        return_weights: bool = False,
        beta: float = 1.0,
        device: str | torch.device | None = None,
    ) -> Batch:
        """Return items drawn in proportion to their scores.

        Parameters
        ----------
        minibatch_size : int
            Items to draw; without replacement as many come as are stored, and of a score > 0, where that is
            less.
        transform : callable, optional
            Applied to each example; the results are stacked.
        op_prototypes : optional
            Class prototypes: a tensor or array with that of label k in row k, a row of NaN where it is
            missing; a mapping from label to vector, in which labels may be missing; an object with one of
            these as its attribute ``prototypes``; or a function without arguments that returns one of these.
            By default the means of the stored features.
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
        TypeError, ValueError
            If the buffer is empty, or prototypes are no such thing, or of another width than the features.
        IndexError
            If a table of prototypes has no row for the label of a stored item.
        """
        power = float(check_number("beta", beta))
        size = check_integer("minibatch_size", minibatch_size)
        with self._lock:
            self._check_filled()
            target = self._target(device)
            drawn = self._score_and_draw(size, op_prototypes) if self.use_balanced_sampling else None
            if drawn is None:
                options = {"return_index": return_index, "return_weights": return_weights}
                return self.get_data(size, transform, **options, device=target)
            self._steps += max(1, drawn.steps)
            corrections = None
            if return_weights:
                corrections = (drawn.weights.min(initial=np.inf) / drawn.weights) ** power
            return self._give(drawn.slots, transform, target, return_index, corrections)

    def _score_and_draw(self, size: int, op_prototypes: Any) -> Drawn | None:
        """Draw by scores, or else by task factors; None where there is neither."""
        many, replace = self._how_many(size), self._replace
        reason = self._balance.prepare(op_prototypes, self._storage, len(self))
        if reason is None:
            return self._balance.draw(many, self.seed, self._steps, replace=replace)
        self._say(reason)
        drawn = self._balance.draw_by_task(many, self.seed, self._steps, len(self), replace=replace)
        self._uniform_draws += drawn is not None
        return drawn

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

    def empty(self) -> None:
        """Start anew: items, dtypes, shapes and scores are forgotten; draws don't repeat."""
        with self._lock:
            self.num_seen_examples = 0
            self._storage.empty()
            self._balance = Balance(self.buffer_size, self._options)

    def state_dict(self) -> dict[str, Any]:
        """Return content, scores and position in all random sequences: tensors, numbers and strings, copied.

        ``torch.load(..., weights_only=True)`` reads it. Parameters of modules are not part of it.
        """
        with self._lock:
            return {
                "version": _VERSION,
                "options": self._described(),
                "use_balanced_sampling": self.use_balanced_sampling,
                "balance_weight": self._options.weight_state(),
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
            check_state(state, _VERSION, self._described())
            storage = Storage(self.buffer_size, self.device)
            storage.load(state["items"])
            options = self._options.with_weight_state(state["balance_weight"])
            use = check_bool("use_balanced_sampling", state["use_balanced_sampling"])
            balance = Balance(self.buffer_size, options)
            balance.load(state["balance"], min(state["num_seen_examples"], self.buffer_size))
            self.seed, self.num_seen_examples = state["seed"], state["num_seen_examples"]
            self._steps, self._uniform_draws = state["steps"], state["uniform_draws"]
            self._storage, self._balance = storage, balance
            self._options, self.use_balanced_sampling = options, use
