"""Three class-incremental data sets: scikit-learn's digits, generated classes in superclasses, CIFAR-100.

``digits``: the 1,797 real 8 x 8 images that scikit-learn brings along, a quarter of each class for testing,
five tasks of two classes. Its semantic groups are four clusters of digits of like shape: Ward's method over
the mean images, {1, 2, 7, 8}, {3, 5, 9}, {4, 6}, {0}.

``superclasses``: ten superclasses of four classes each, ten tasks of four classes. Latent centres of
superclasses are far apart, those of classes near their superclass's; samples are noise around them, taken
through a fixed random layer. Superclasses have very unequal numbers of training samples (a geometric series),
so that uniform draws crowd a few of them; testing is even over classes. Its semantic groups are the
superclasses.

``seq-cifar100``: see `cifar`.

Of the first two the seed decides all: the split or the generated world, and which classes come in which task.
No learner is told the semantic groups; they serve for measuring.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from .parts import ContinualData, Part
from .settings import ALL_DATASETS, CIFAR, DatasetName

__all__ = ["SuperclassDesign", "load_data", "make_superclasses"]

N_DIGIT_GROUPS = 4
DIGIT_TASKS = 5
QUICK_ROWS = 60
"""Of each class, in the quick form of the digits' training part."""

_Floats = npt.NDArray[np.float32]
_Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SuperclassDesign:
    """What to generate; the defaults were fixed before any two ways were compared.

    Parameters
    ----------
    n_superclasses, classes_each, n_tasks : int
        `n_tasks` divides the number of classes.
    most, fewest : int
        Training samples of a class in the most common superclass and in the rarest.
    n_test : int
        Test samples of each class.
    latent, width : int
        Dimensions before and after the random layer.
    superclass_spread, class_spread, noise : float
        Standard deviations of superclass centres, of class centres around them, of samples around those.
    """

    n_superclasses: int = 10
    classes_each: int = 4
    n_tasks: int = 10
    most: int = 240
    fewest: int = 24
    n_test: int = 25
    latent: int = 16
    width: int = 64
    superclass_spread: float = 0.6
    class_spread: float = 0.4
    noise: float = 0.35

    def __post_init__(self) -> None:
        if self.n_classes % self.n_tasks:
            msg = f"n_tasks must divide the {self.n_classes} classes, but is {self.n_tasks}"
            raise ValueError(msg)
        if not 1 <= self.fewest <= self.most:
            msg = f"fewest must be in [1, most], but is {self.fewest} beside most = {self.most}"
            raise ValueError(msg)

    @property
    def n_classes(self) -> int:
        """Number of classes of all superclasses."""
        return self.n_superclasses * self.classes_each

    def class_sizes(self) -> _Whole:
        """Return the training samples of each class, shape (n_classes,)."""
        sizes = np.geomspace(self.most, self.fewest, self.n_superclasses).round().astype(np.int64)
        return np.repeat(sizes, self.classes_each)


QUICK_DESIGN = SuperclassDesign(n_superclasses=4, classes_each=2, n_tasks=4, most=120, fewest=24, n_test=10)


def load_data(
    name: DatasetName, seed: int, *, quick: bool = False, folder: str | Path | None = None
) -> ContinualData:
    """Return a data set by name; `quick` gives a small one, `folder` holds the files of one that is not made.

    Raises
    ------
    ValueError
        If the name is unknown, or files are missing or not what they should be.
    """
    if name not in ALL_DATASETS:
        msg = f"dataset must be one of {', '.join(ALL_DATASETS)}, but is {name!r}"
        raise ValueError(msg)
    if name == CIFAR:
        from .cifar import load_cifar100

        if folder is None:
            msg = f"{CIFAR} is read from a folder, but none is given: --data DIR"
            raise ValueError(msg)
        return load_cifar100(Path(folder), quick=quick)
    if name == "digits":
        return _load_digits(seed, quick=quick)
    return make_superclasses(QUICK_DESIGN if quick else SuperclassDesign(), seed)


def _load_digits(seed: int, *, quick: bool) -> ContinualData:
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    means = np.stack([pixels[labels == digit].mean(axis=0) for digit in range(10)])
    groups = AgglomerativeClustering(N_DIGIT_GROUPS).fit_predict(means)
    random = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    in_train = np.zeros(len(labels), dtype=np.bool_)
    for digit in range(10):
        rows = random.permutation(np.flatnonzero(labels == digit))
        in_train[rows[len(rows) // 4 :][: QUICK_ROWS if quick else None]] = True
    in_test = ~in_train
    inputs = (pixels / 16).astype(np.float32)
    return ContinualData(
        name="digits",
        train=_part(inputs[in_train], labels[in_train]),
        test=_part(inputs[in_test], labels[in_test]),
        groups=torch.from_numpy(groups.astype(np.int64)),
        tasks=_deal(10, DIGIT_TASKS, random),
    )


def make_superclasses(design: SuperclassDesign, seed: int) -> ContinualData:
    """Generate classes in superclasses."""
    random = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    groups = np.repeat(np.arange(design.n_superclasses), design.classes_each)
    shape = (design.n_superclasses, design.latent)
    centres = random.normal(scale=design.superclass_spread, size=shape)[groups]
    centres += random.normal(scale=design.class_spread, size=centres.shape)
    layer = random.normal(scale=design.latent**-0.5, size=(design.latent, design.width))

    def draw(sizes: _Whole) -> Part:
        labels = np.repeat(np.arange(design.n_classes), sizes)
        latent = centres[labels] + random.normal(scale=design.noise, size=(len(labels), design.latent))
        return _part(np.tanh(latent @ layer).astype(np.float32), labels)

    return ContinualData(
        name="superclasses",
        train=draw(design.class_sizes()),
        test=draw(np.full(design.n_classes, design.n_test)),
        groups=torch.from_numpy(groups),
        tasks=_deal(design.n_classes, design.n_tasks, random),
    )


def _part(inputs: _Floats, labels: _Whole) -> Part:
    return Part(torch.from_numpy(inputs), torch.from_numpy(labels.astype(np.int64)))


def _deal(n_classes: int, n_tasks: int, random: np.random.Generator) -> tuple[tuple[int, ...], ...]:
    dealt = random.permutation(n_classes).reshape(n_tasks, -1)
    return tuple(tuple(sorted(classes)) for classes in dealt.tolist())
