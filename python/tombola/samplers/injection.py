"""What trainers do to batch samplers that they find: build them anew, with a sampler of their own.

Lightning does so for several ranks and for predictions: ``type(s)(sampler, batch_size=..., drop_last=...)``,
which would lose every other option; or, of objects that it has seen being made, by the arguments they were
made with, the one named ``sampler`` replaced. It keeps these under names of its own. Batch samplers here
remember their arguments under the same names, whoever made them, so that they come back as they were; and
the new one shares its passes with the old one, so that states and epochs of either are those of both.
`tests/compat` holds the names against the real package.
"""

import inspect
from typing import Any

from torch.utils.data import Sampler

from ..passes.epochs import Epochs
from ..passes.remade import RECORD, hand_over

__all__ = ["check_injected", "forget_arguments", "refuse_sampler", "remember_arguments", "share_passes"]

_SAVED = ("__pl_saved_args", "__pl_saved_kwargs", "__pl_saved_arg_names", "__pl_saved_default_kwargs")


def remember_arguments(made: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Keep with an object the arguments that its class was called with."""
    parameters = list(inspect.signature(type(made).__init__).parameters.values())[1:]
    names = tuple(parameter.name for parameter in parameters)[: len(args)]
    defaults = {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.default is not parameter.empty and parameter.name not in (*names, *kwargs)
    }
    for name, value in zip(_SAVED, (args, dict(kwargs), names, defaults), strict=True):
        object.__setattr__(made, name, value)


def share_passes(made: object, epochs: Epochs) -> None:
    """Let what is built anew from an object share its passes, if its options are the same."""
    hand_over(made, _adopt, epochs)


def forget_arguments(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an object without what is kept for trainers: copies are not built anew."""
    return {name: value for name, value in state.items() if name not in (*_SAVED, RECORD)}


def refuse_sampler(name: str, value: object) -> None:
    """Raise TypeError if a sampler stands where an argument of a batch sampler belongs."""
    if isinstance(value, Sampler):
        msg = (
            f"{name} must not be a sampler, but is a {type(value).__name__}, as trainers give that build "
            "batch samplers anew: in Lightning pass Trainer(use_distributed_sampler=False), and to predict "
            "make the DataLoader in predict_dataloader()"
        )
        raise TypeError(msg)


def check_injected(sampler: object, ranks: tuple[int, int]) -> None:
    """Check the sampler of a trainer, which chooses nothing here, but says how many ranks there are.

    Raises
    ------
    TypeError
        If it is no sampler.
    ValueError
        If this rank's share is that of another number of ranks.
    """
    if sampler is None:
        return
    if not isinstance(sampler, Sampler):
        msg = f"sampler must be a torch Sampler that a trainer puts in, but is {sampler!r}"
        raise TypeError(msg)
    own = (getattr(sampler, "rank", ranks[0]), getattr(sampler, "num_replicas", ranks[1]))
    if own != ranks:
        msg = (
            f"a trainer has the batch sampler deal out to rank {own[0]} of {own[1]}, but that was given "
            f"rank={ranks[0]} and world_size={ranks[1]}: leave both out"
        )
        raise ValueError(msg)


def _adopt(new: Any, epochs: Epochs) -> None:
    if new._epochs.options == epochs.options:
        new._use(epochs)
