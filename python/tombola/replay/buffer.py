"""A replay buffer that draws far and rare items more often: reservoir-filled, balanced over semantic groups.

An item is drawn in proportion to ``1 / (similarity + eps) * (groups / group size) ** balance_weight``, the
similarity being that of its features to the prototype of its class. Adding b items is O(b log b), a balanced
draw of m O(m log size), whatever the buffer's size; what a change of prototypes costs is said below.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .. import _core
from .._validation import IndexArray, check_bool, check_integer, check_number
from ..sum_tree import correction_weights
from ._balance import Balance, BalanceOptions
from ._buffer_input import Items, check_device, check_share, check_threshold, read_items, slot_array
from ._reservoir import arrivals
from ._semantic_groups import Measure, SemanticGroups
from ._storage import Storage
from .schedule import BalanceSchedule

__all__ = ["BalancedBuffer"]

Transform = Callable[[torch.Tensor], torch.Tensor]

_RETURNED = ("examples", "labels", "logits", "task_labels")
_VERSION = 1
_logger = logging.getLogger("tombola")


class BalancedBuffer:
    def __init__(
        self,
        buffer_size: int,
        device: str | torch.device = "cpu",
        semantic_similarity: Measure | None = None,
        adaptive_threshold: Any = None,
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
        self.buffer_size = check_integer("buffer_size", buffer_size, minimum=1, limit=2**31)
        self.device = check_device(device)
        if not isinstance(balance_weight, BalanceSchedule):
            balance_weight = float(check_number("balance_weight", balance_weight))
        if semantic_similarity is not None and not callable(semantic_similarity):
            msg = f"semantic_similarity must be callable, but is {semantic_similarity!r}"
            raise TypeError(msg)
        self.num_feats = None if num_feats is None else check_integer("num_feats", num_feats, minimum=1)
        self.use_balanced_sampling = check_bool("use_balanced_sampling", use_balanced_sampling)
        self.replace = check_bool("replace", replace)
        self.seed = check_integer("seed", seed)
        self.task_weights = {
            check_integer("a task label", task, minimum=-(2**63)): float(check_number(f"task_weights[{task}]", w))
            for task, w in (task_weights or {}).items()
        }
        every = None if refit_every is None else check_integer("refit_every", refit_every, minimum=1)
        epsilon = float(check_number("eps", eps, above=True))
        self._options = BalanceOptions(balance_weight, epsilon, every)
        quantile = check_share("threshold_quantile", threshold_quantile)
        self._rules = (semantic_similarity, check_threshold(adaptive_threshold), quantile)
        self.num_seen_examples = 0
        self._steps = 0
        self._said: set[str] = set()
        self._lock = threading.RLock()
        self._storage = Storage(self.buffer_size, self.device)
        self._balance = self._new_balance()

    def _new_balance(self) -> Balance:
        return Balance(self.buffer_size, self._options, SemanticGroups(*self._rules))

    def __len__(self) -> int:
        return min(self.num_seen_examples, self.buffer_size)

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
        with self._lock:
            items = read_items(examples, labels, logits, features, task_labels, self.num_feats)
            self._storage.check(items.parts)
            extra = self._extra(items)
            seen, count = self.num_seen_examples, len(items.parts["examples"])
            rows, slots = arrivals(self.seed, seen, count, self.buffer_size)
            chosen = torch.from_numpy(rows)
            feats = items.parts.get("features")
            if feats is not None and len(rows) < count:
                feats = feats.index_select(0, chosen.to(feats.device))
            classes = items.classes
            new = None if classes is None else self._balance.judge(classes[rows], feats, extra[rows])
            self._storage.allocate(items.parts)
            stored = min(seen, self.buffer_size)
            old = slots[slots < stored]
            if new is not None:
                before = None if feats is None else self._storage.read("features", old)
                self._balance.replace(old, before)
            self._storage.write(slots, items.parts, rows)
            if new is not None:
                self._balance.put(slots, new, feats)
            self.num_seen_examples += count

    def _extra(self, items: Items) -> npt.NDArray[np.float64]:
        count = len(items.parts["examples"])
        if not self.task_weights:
            return np.ones(count)
        if items.tasks is None:
            msg = "task_labels must be one integer an example where there are task_weights, but are missing"
            raise ValueError(msg)
        tasks, at = np.unique(items.tasks, return_inverse=True)
        return np.array([self.task_weights.get(task, 1.0) for task in tasks.tolist()])[at]

    def get_data(
        self,
        size: int,
        transform: Transform | None = None,
        *,
        return_index: bool = False,
        return_weights: bool = False,
    ) -> tuple[torch.Tensor, ...]:
        with self._lock:
            slots = self._uniform(check_integer("size", size))
            return self._give(slots, transform, return_index, np.ones(len(slots)) if return_weights else None)

    def get_balanced_data(
        self,
        minibatch_size: int,
        transform: Transform | None = None,
        op_prototypes: Any = None,
        *,
        return_index: bool = False,
        return_weights: bool = False,
        beta: float = 1.0,
    ) -> tuple[torch.Tensor, ...]:
        power = float(check_number("beta", beta))
        size = check_integer("minibatch_size", minibatch_size)
        if not self.use_balanced_sampling:
            return self.get_data(size, transform, return_index=return_index, return_weights=return_weights)
        with self._lock:
            self._check_filled()
            reason = self._balance.prepare(op_prototypes, self._storage, len(self))
            if reason is not None:
                self._say(reason)
                return self.get_data(size, transform, return_index=return_index, return_weights=return_weights)
            many = size if self.replace else min(size, len(self))
            drawn = self._balance.draw(many, self.seed, self._steps, replace=self.replace)
            self._steps += max(1, drawn.steps)
            corrections = None
            if return_weights:
                corrections = np.ones(0)
                if len(drawn.weights):
                    relative = drawn.weights.min() / drawn.weights
                    corrections = relative**power
            return self._give(drawn.slots, transform, return_index, corrections)

    def get_all_data(self, transform: Transform | None = None) -> tuple[torch.Tensor, ...]:
        with self._lock:
            return self._give(np.arange(len(self)), transform, False, None)

    def get_data_by_index(self, indices: Any, transform: Transform | None = None) -> tuple[torch.Tensor, ...]:
        with self._lock:
            return self._give(slot_array(indices, len(self)), transform, False, None)

    def _uniform(self, size: int) -> IndexArray:
        self._check_filled()
        many = size if self.replace else min(size, len(self))
        slots = _core.uniform_draws(self.seed, self._steps, len(self), many, replace=self.replace)
        self._steps += 1
        return slots

    def _give(
        self,
        slots: IndexArray,
        transform: Transform | None,
        return_index: bool,
        corrections: npt.NDArray[np.float64] | None,
    ) -> tuple[torch.Tensor, ...]:
        self._check_filled()
        given = [self._storage.read(name, slots) for name in _RETURNED if name in self._storage.parts]
        if transform is not None and len(slots):
            given[0] = torch.stack([transform(example) for example in given[0]]).to(self.device)
        if return_index:
            given.append(torch.from_numpy(slots).to(self.device))
        if corrections is not None:
            given.append(torch.from_numpy(corrections).to(torch.get_default_dtype()).to(self.device))
        return tuple(given)

    def _check_filled(self) -> None:
        if self.is_empty():
            msg = "the buffer is empty: add_data first"
            raise ValueError(msg)

    def _say(self, reason: str) -> None:
        if reason not in self._said:
            self._said.add(reason)
            _logger.warning("BalancedBuffer draws uniformly for now: %s", reason)

    @property
    def group_counts(self) -> dict[int, int]:
        """How many items of each semantic group are stored."""
        sizes = self._balance.group_sizes().astype(np.int64).tolist() if len(self._balance.classes) else []
        return {group: size for group, size in enumerate(sizes) if size}

    def empty(self) -> None:
        """Start anew: items, dtypes, shapes and scores are forgotten; draws go on in their own sequence."""
        with self._lock:
            self.num_seen_examples = 0
            self._storage.empty()
            self._balance = self._new_balance()

    def to(self, device: str | torch.device) -> "BalancedBuffer":
        """Move stored items to a device that is there, and return the buffer."""
        with self._lock:
            self.device = check_device(device)
            self._storage.to(self.device)
        return self

    def state_dict(self) -> dict[str, Any]:
        with self._lock:
            return {
                "version": _VERSION,
                "options": self._described(),
                "seed": self.seed,
                "num_seen_examples": self.num_seen_examples,
                "steps": self._steps,
                "items": self._storage.state(len(self)),
                "balance": self._balance.state(len(self)),
            }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        with self._lock:
            if state.get("version") != _VERSION:
                msg = f"expected the state of a BalancedBuffer, version {_VERSION}, but got {state.get('version')}"
                raise ValueError(msg)
            for name, own in self._described().items():
                if state["options"].get(name) != own:
                    came = state["options"].get(name)
                    msg = f"the state must be of a buffer with {name} = {own}, as this one, but there it is {came}"
                    raise ValueError(msg)
            self.seed = state["seed"]
            self.num_seen_examples = state["num_seen_examples"]
            self._steps = state["steps"]
            self._storage.load(state["items"])
            self._balance = self._new_balance()
            self._balance.load(state["balance"], len(self))

    def _described(self) -> dict[str, Any]:
        """Return the options that a state must share, as plain values."""
        measure, rule, quantile = self._rules
        return {
            "buffer_size": self.buffer_size,
            "num_feats": self.num_feats,
            "use_balanced_sampling": self.use_balanced_sampling,
            "balance_weight": str(self._options.balance_weight),
            "semantic_similarity": "cosine" if measure is None else type(measure).__name__,
            "adaptive_threshold": rule if rule is None or isinstance(rule, float) else type(rule).__name__,
            "threshold_quantile": quantile,
            "task_weights": str(sorted(self.task_weights.items())),
            "refit_every": self._options.refit_every,
            "eps": self._options.eps,
            "replace": self.replace,
        }
