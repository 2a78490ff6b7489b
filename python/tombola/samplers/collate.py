"""Batches of compressed histories of one depth, padded inside each stage.

A history of depth d has d stages, each a dict of tensors that share their first axis, the steps. Rows of one
depth have the same stages, so that each is padded to the longest of its own (torch's ``pad_sequence``), and
no encoder sees dummies. O(rows * steps).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import default_collate

from .._base.checks import check_integer

__all__ = ["collate_compressed_batch"]

DEPTH = "num_compression_stages"
STAGES = "compression_stages"
LENGTHS = "lengths"
MASK = "mask"

_Stage = dict[str, torch.Tensor]


def collate_compressed_batch(batch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return items of one compression depth as a batch; a ``collate_fn`` for torch's DataLoader.

    Parameters
    ----------
    batch : sequence of dict
        Each with ``num_compression_stages``, an int >= 0, and ``compression_stages``, a list of so many dicts
        of tensors or arrays of shape (steps, ...). In a stage of an item all have the same number of steps;
        over the items each has the same trailing shape and dtype. What other keys hold is left to torch's
        ``default_collate``.

    Returns
    -------
    dict
        ``num_compression_stages``, an int; ``compression_stages``, a list of as many dicts: each tensor of
        the stage as (batch, longest, ...), padded with zeros, ``lengths``, int64 (batch,), and ``mask``, bool
        (batch, longest), True where a step is real; then the other keys.

    Raises
    ------
    TypeError
        If an item or a stage is no dict, or a depth no integer, or something in a stage no tensor.
    ValueError
        If the batch is empty or mixes depths (they are named), or keys, steps, shapes or dtypes disagree.

    Notes
    -----
    `tombola.BucketSampler` makes batches of one depth. The function runs where the rows are read: in the
    worker processes, if there are some.

    Examples
    --------
    >>> import torch, tombola
    >>> def item(*steps):
    ...     stages = [{"states": torch.ones(count, 3)} for count in steps]
    ...     return {"num_compression_stages": len(stages), "compression_stages": stages, "reward": 0.5}
    >>> batch = tombola.collate_compressed_batch([item(4, 2), item(1, 5)])
    >>> batch["num_compression_stages"], [stage["states"].shape for stage in batch["compression_stages"]]
    (2, [torch.Size([2, 4, 3]), torch.Size([2, 5, 3])])
    >>> batch["compression_stages"][0]["lengths"], batch["reward"]
    (tensor([4, 1]), tensor([0.5000, 0.5000], dtype=torch.float64))
    """
    if not batch:
        msg = "batch must hold at least one item, but is empty"
        raise ValueError(msg)
    for row, item in enumerate(batch):
        _check_item(row, item, batch[0])
    depth = _common_depth(batch)
    stages = [
        _pad(number, [_stage(row, number, item[STAGES][number]) for row, item in enumerate(batch)])
        for number in range(depth)
    ]
    others = [{name: value for name, value in item.items() if name not in (DEPTH, STAGES)} for item in batch]
    return {DEPTH: depth, STAGES: stages, **(default_collate(others) if others[0] else {})}


def _check_item(row: int, item: object, first: Mapping[str, Any]) -> None:
    if not isinstance(item, Mapping):
        msg = f"batch[{row}] must be a dict, but is {type(item).__name__}"
        raise TypeError(msg)
    for name in (DEPTH, STAGES):
        if name not in item:
            msg = f"batch[{row}] must have the key {name!r}, but has {_names(item)}"
            raise ValueError(msg)
    if set(item) != set(first):
        msg = f"batch[{row}] must have the keys of batch[0], {_names(first)}, but has {_names(item)}"
        raise ValueError(msg)
    depth = check_integer(f"batch[{row}][{DEPTH!r}]", item[DEPTH])
    stages = item[STAGES]
    if not isinstance(stages, Sequence):
        msg = f"batch[{row}][{STAGES!r}] must be a list, but is {type(stages).__name__}"
        raise TypeError(msg)
    if len(stages) != depth:
        msg = f"batch[{row}] must have {depth} {STAGES} as {DEPTH} says, but has {len(stages)}"
        raise ValueError(msg)


def _common_depth(batch: Sequence[Mapping[str, Any]]) -> int:
    firsts: dict[int, int] = {}
    for row, item in enumerate(batch):
        firsts.setdefault(int(item[DEPTH]), row)
    if len(firsts) > 1:
        examples = ", ".join(f"{depth} in batch[{firsts[depth]}]" for depth in sorted(firsts))
        msg = (
            f"a batch must be of one {DEPTH}, but mixes the depths {examples}: BucketSampler keeps them apart"
        )
        raise ValueError(msg)
    return next(iter(firsts))


def _stage(row: int, number: int, stage: object) -> _Stage:
    """Return a stage of an item, checked by itself."""
    where = f"batch[{row}][{STAGES!r}][{number}]"
    if not isinstance(stage, Mapping):
        msg = f"{where} must be a dict of tensors, but is {type(stage).__name__}"
        raise TypeError(msg)
    reserved = {LENGTHS, MASK} & set(stage)
    if not stage or reserved:
        rule = "at least one tensor" if not stage else f"no {_names(reserved)}, which the batch adds"
        msg = f"{where} must hold {rule}, but holds {_names(stage)}"
        raise ValueError(msg)
    tensors: _Stage = {}
    for name, value in stage.items():
        if not isinstance(value, torch.Tensor | np.ndarray):
            msg = f"{where}[{name!r}] must be a tensor, but is {type(value).__name__}"
            raise TypeError(msg)
        if not value.ndim:
            msg = f"{where}[{name!r}] must be of shape (steps, ...), but is one number"
            raise ValueError(msg)
        if isinstance(value, np.ndarray):  # torch knows no negative strides, nor foreign byte orders
            value = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("="))
        tensors[name] = torch.as_tensor(value)
    if len({len(tensor) for tensor in tensors.values()}) > 1:
        steps = ", ".join(f"{name!r} {len(tensor)}" for name, tensor in tensors.items())
        msg = f"{where} must hold tensors of as many steps, but has {steps}"
        raise ValueError(msg)
    return tensors


def _pad(number: int, stages: list[_Stage]) -> _Stage:
    """Return a stage of the whole batch."""
    first = stages[0]
    for row, stage in enumerate(stages):
        where = f"batch[{row}][{STAGES!r}][{number}]"
        if set(stage) != set(first):
            msg = f"{where} must hold the tensors of batch[0], {_names(first)}, but holds {_names(stage)}"
            raise ValueError(msg)
        for name, tensor in stage.items():
            like = first[name]
            if tensor.shape[1:] != like.shape[1:] or tensor.dtype != like.dtype:
                expected = f"of shape {_shape(like)} and {like.dtype} as in batch[0]"
                came = f"of shape {_shape(tensor)} and {tensor.dtype}"
                msg = f"{where}[{name!r}] must be {expected}, but is {came}"
                raise ValueError(msg)
    padded = {name: pad_sequence([stage[name] for stage in stages], batch_first=True) for name in first}
    lengths = torch.tensor([len(next(iter(stage.values()))) for stage in stages])
    longest = next(iter(padded.values())).shape[1]
    return {**padded, LENGTHS: lengths, MASK: torch.arange(longest) < lengths[:, None]}


def _names(names: Mapping[str, Any] | set[str]) -> str:
    return ", ".join(sorted(map(repr, names))) or "nothing"  # of any types, which may not compare


def _shape(tensor: torch.Tensor) -> str:
    return f"({', '.join(['steps', *map(str, tensor.shape[1:])])})"
