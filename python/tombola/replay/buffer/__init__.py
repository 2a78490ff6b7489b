"""A replay buffer that draws far and rare items more often: reservoir-filled, balanced over semantic groups.

An item is drawn in proportion to ``1 / (similarity + eps) * (groups / group size) ** balance_weight``, its
similarity that of its features and the prototype of its class, times what options ask for: scores of age,
loss and logits to powers of their own, factors of tasks, priorities.

| file | what it is |
|---|---|
| `balanced_buffer` | `BalancedBuffer`: positions, and calls of what follows |
| `guard` | the lock, which knows when what it guards is half changed |
| `options` | options, checked, and what of them a state holds |
| `arguments` | what users give, checked: items, slots, priorities |
| `items` | slots for items, which item of the stream takes which, its stamp there, and batches out of them |
| `balance` | what balanced draws go by, kept up to date: scores, groups, priorities; the draw |
| `item_scores` | temporal, difficulty and uncertainty scores of items |
| `classes` | codes of labels, and groups of classes whose prototypes are alike |
| `prototypes` | prototypes as given or as means, and the similarity of items to them |
| `followed` | what a learned similarity or threshold goes by, compared at each draw |
| `weights` | the weight of every slot under a sum tree, its own part and that of its class |
| `report` | what is stored and was drawn, as a table and as a picture |
| `state` | all that cannot be made anew, as plain values |

**Filling** is reservoir sampling (algorithm R, Vitter 1985): after t items each of them is stored with
probability ``min(1, buffer_size / t)``. It depends on seed and position in the stream only, not on how the
stream is cut into batches. Adding b items is O(b log size).

**Prototypes** are given to `get_balanced_data`: a tensor or array with that of label k in row k, a row of
NaN where it is missing; a mapping from label to vector, in which labels may be missing; an object with one
of these as its attribute ``prototypes``; or a function without arguments that returns one of these. Else
they are the means of the features that are stored of each class. A class without one has similarity 0.5 and
is a group of its own. Where prototypes have changed since the last draw, items of these classes are scored
anew in one pass of `prototype_similarity` over their features; else a draw of m items costs O(m log size).

**Learned similarity and threshold** are followed: where their values have changed since the last draw, all
items are scored anew. Seen are the tensors, arrays and numbers of a module, and those that a function,
bound method or other callable can be seen to use: what it closes over, its defaults, globals and attributes
that its code names. Values are compared, so changes of ``tensor.data`` count. What is hidden elsewhere (an
opaque extension, a file, a few elements of a tensor of more than 2**16) needs `rescore`. A method of a
large module follows all of it: a module of its own, or `refit_every`, spares scoring all items after each
training step.

**Levels of groups**: several thresholds, rising, make groups within groups, balanced as by `group_balance`.
`groups`, `group_counts` and `semantic_groups` are of the first level, the coarsest.

**Scores of items**: age is counted in items offered; difficulty and uncertainty are of the losses and logits
that came with an item, or that `update_scores` brought since. All are off by default, and take no memory
then.

**Uniform draws** take the place of balanced ones where scores can't be had: no integer labels, features or
prototypes, one group only, or scores that are not finite. The reason is logged once. With `task_weights`
items are then drawn in proportion to these, uniformly inside each task, in O(size). Where options ask for
scores of age, loss or logits, or priorities were set, draws go by these alone.

**Classes** of which nothing is stored are forgotten: labels may change for ever, memory does not grow.

**Priorities** multiply scores after `update_priorities`. A priority is that of an item: where another one
has taken its slot since it was given out it is ignored, and counted in the report. Slots that a draw returns
carry the stamps of their items; as a list, an array or a part of them they stand for what was last given out
of these slots.

**Threads**: each method takes a lock while it runs, so threads may share a buffer; the order of calls
decides what they get. A signal handler may read a buffer, and change it, unless it interrupts a call of its
own thread that reads or changes it: then it gets a RuntimeError. A child that is forked while another
thread is adding or scoring gets one as well, until it calls `empty` or `load_state_dict`; else it has a
buffer of its own. The same seed and history give the same content everywhere, and the same draws wherever
scores are equal to the last bit.

In: items of a stream, prototypes. Out: batches of stored items. May import: `_base`, `draws`, the core, the
scores of `replay`, and torch; matplotlib late.

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

from .balanced_buffer import BalancedBuffer

__all__ = ["BalancedBuffer"]
