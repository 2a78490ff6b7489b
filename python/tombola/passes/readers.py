"""Who reads the batches of one sampler or loader: the DataLoaders over it, of which each knows its own pass.

A pass of one leaves those of the others as they are, and so does an epoch that is set for another one. What
is said to the sampler itself is for whoever reads. Trainers say the epoch to a DataLoader's `sampler`, and
then to that of its batch sampler, which many DataLoaders may share: the second repeats what was said for one.
"""

from dataclasses import dataclass

from .progress import Progress

__all__ = ["Handed", "Readers"]


@dataclass(frozen=True, slots=True, eq=False)
class Handed:
    """A batch that a DataLoader handed out.

    Parameters
    ----------
    name : object
        Stands for the DataLoader.
    latest : Progress or None
        The pass in this process that had advanced last.
    is_last : bool
        Whether that was the last batch of its pass.
    """

    name: object
    latest: Progress | None
    is_last: bool


class Readers:
    """Which DataLoader handed out the last batch, and for which one the coming pass was set."""

    def __init__(self) -> None:
        self.generation = 0
        """How often the coming pass was set."""
        self.handed: Handed | None = None
        """The last batch, since then."""
        self.loaded_for: object = None
        """The DataLoader that the state of the coming pass was loaded for; None if it was for anybody."""
        self._set_for: object = None
        self._epoch: int | None = None

    def __getstate__(self) -> dict[str, object]:
        """Leave out the DataLoaders of the process that this is a copy from."""
        return {**vars(self), "handed": None, "loaded_for": None, "_set_for": None, "_epoch": None}

    def set(self, name: object, epoch: int | None, latest: Progress | None) -> None:
        """Note that the coming pass is set for a DataLoader, or with None for anybody.

        Parameters
        ----------
        name : object
        epoch : int or None
            None where a state is loaded.
        latest : Progress or None
            The pass in this process that advanced last since the time before.
        """
        is_said_before = epoch is not None and epoch == self._epoch and latest is None and self.handed is None
        if name is not None or not is_said_before:
            self._set_for = name
        if epoch is None:
            self.loaded_for = name
        self._epoch, self.handed = epoch, None
        self.generation += 1

    def is_set_for(self, name: object, since: int, latest: Progress | None) -> bool:
        """Tell whether the coming pass was set for a DataLoader since so many times.

        What was set for anybody is no longer, once somebody has read.
        """
        if self.generation == since:
            return False
        if self._set_for is None:
            return latest is None and self.handed is None
        return self._set_for is name

    def is_other(self, name: object, latest: Progress | None) -> bool:
        """Tell whether another DataLoader than this one has read last, or is about to."""
        handed = self.handed
        if handed is None:
            return self._set_for not in (None, name) and latest is None
        return handed.name is not name and handed.latest is latest
