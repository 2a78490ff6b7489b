"""Generated photo series: features of images, and which of two images of a series people prefer.

Generator, all from one seed. A series shows one scene: an embedding that its images share up to a little
noise. Each image has technical features (sharpness, light, ...) and face features (smiles, open eyes, ...),
all standard normal. What people prefer is the sum of two utilities:

- shared taste: a linear function of the technical features, plus one of the face features in those scenes
  that show people, which a half space of the embedding decides. A ranker can learn this for new series.
- the series' own taste: a linear function of both, drawn for each series. Within a series it is as real as
  the rest, but it says nothing about any other series: who learns it by heart has overfitted.

Every two images of a series are a pair; the preferred one is the winner with the logistic chance of the
difference of utilities. Parts for training, validation and test are cut by series, never by pairs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["PairData", "PairSplit", "SeriesDesign", "make_pairs", "split_by_series"]

FEATURES = {"scene": 24, "technical": 8, "faces": 8}
SCENE_NOISE = 0.1
SHARPNESS = 2.5
"""Of choices: a pair that differs by 1 in utility is decided that way 92 times in 100."""

_Floats = npt.NDArray[np.float32]
_Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SeriesDesign:
    """What to generate.

    Parameters
    ----------
    n_series : int
        Number of photo series; the default gives about 9,760 pairs in 3,466 series for training.
    more_images : float
        In [0, 1): a series has 2 images, and one more with this chance, again and again up to `max_images`.
    max_images : int
        Most images of a series, >= 2.
    taste : float
        Size of the series' own taste beside the shared one, >= 0.
    seed : int
        Of everything generated.
    """

    n_series: int = 4_952
    more_images: float = 0.42
    max_images: int = 6
    taste: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("n_series", 20), ("max_images", 2), ("seed", 0)):
            if getattr(self, name) < least:
                msg = f"{name} must be >= {least}, but is {getattr(self, name)}"
                raise ValueError(msg)
        if not 0 <= self.more_images < 1:
            msg = f"more_images must be in [0, 1), but is {self.more_images:g}"
            raise ValueError(msg)
        if not (np.isfinite(self.taste) and self.taste >= 0):
            msg = f"taste must be a finite number >= 0, but is {self.taste:g}"
            raise ValueError(msg)


@dataclass(frozen=True, kw_only=True)
class PairData:
    """Images and the pairs among them.

    Parameters
    ----------
    features : float32, shape (n_images, n_features)
    winner, loser : int64, shape (n_pairs,)
        Images of each pair.
    series : int64, shape (n_pairs,)
        The series that both images of a pair belong to.
    shared_margin : float32, shape (n_pairs,), or None
        Shared utility of the winner less that of the loser: above 0 where shared taste alone ranks rightly;
        of generated pairs only.
    """

    features: _Floats
    winner: _Rows
    loser: _Rows
    series: _Rows
    shared_margin: _Floats | None

    def __len__(self) -> int:
        return len(self.series)


@dataclass(frozen=True, kw_only=True)
class PairSplit:
    """Rows of pairs in each part; no series is in two."""

    train: _Rows
    validation: _Rows
    test: _Rows

    def parts(self) -> dict[str, _Rows]:
        """Return the parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def make_pairs(design: SeriesDesign) -> PairData:
    """Generate images and pairs; O(images + pairs)."""
    random = np.random.default_rng(design.seed)
    extra = random.geometric(1 - design.more_images, design.n_series) - 1
    sizes = 2 + np.minimum(extra, design.max_images - 2)
    series_of_image = np.repeat(np.arange(design.n_series), sizes)
    scene = random.standard_normal((design.n_series, FEATURES["scene"]))[series_of_image]
    technical = random.standard_normal((len(scene), FEATURES["technical"]))
    faces = random.standard_normal((len(scene), FEATURES["faces"]))

    people = scene @ random.standard_normal(FEATURES["scene"]) > 0
    shared = technical @ _direction(random, FEATURES["technical"])
    shared += np.where(people, faces @ _direction(random, FEATURES["faces"]), 0.0)
    own_weights = random.standard_normal((design.n_series, FEATURES["technical"] + FEATURES["faces"]))
    own_weights *= design.taste / np.sqrt(own_weights.shape[1])
    own = np.einsum("ij,ij->i", np.hstack([technical, faces]), own_weights[series_of_image])

    first, second = _pairs_within(sizes)
    chance = 1 / (1 + np.exp(-SHARPNESS * np.subtract(*((shared + own)[rows] for rows in (first, second)))))
    first_wins = random.random(len(first)) < chance
    winner, loser = np.where(first_wins, [first, second], [second, first])
    seen = scene + SCENE_NOISE * random.standard_normal(scene.shape)
    return PairData(
        features=np.hstack([seen, technical, faces]).astype(np.float32),
        winner=winner,
        loser=loser,
        series=series_of_image[winner],
        shared_margin=(shared[winner] - shared[loser]).astype(np.float32),
    )


def split_by_series(data: PairData, *, fraction: float = 1.0, seed: int = 0) -> PairSplit:
    """Deal series, with all their pairs, out to training (70%), validation and test (15% each).

    Parameters
    ----------
    data : PairData
    fraction : float
        In (0, 1]: share of the series to use at all, for quick experiments.
    seed : int
        Of the order in which series are dealt out.

    Raises
    ------
    ValueError
        If a part would be left without series.
    """
    series = np.random.default_rng(seed).permutation(np.unique(data.series))
    series = series[: round(fraction * len(series))]
    bounds = [round(share * len(series)) for share in (0.70, 0.85)]
    parts = np.split(series, bounds)
    if any(len(part) == 0 for part in parts):
        msg = f"each of three parts must hold a series, but there are {len(series)} series in all to deal out"
        raise ValueError(msg)
    train, validation, test = (np.flatnonzero(np.isin(data.series, part)) for part in parts)
    return PairSplit(train=train, validation=validation, test=test)


def _direction(random: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    """Return a random vector of length 1, so that utilities have a spread of about 1."""
    vector = random.standard_normal(size)
    return vector / np.linalg.norm(vector)


def _pairs_within(sizes: _Rows) -> tuple[_Rows, _Rows]:
    """Return every two rows of each run of rows, runs of the given sizes one after the other."""
    starts = np.cumsum(sizes) - sizes
    firsts, seconds = [], []
    for start, size in zip(starts, sizes, strict=True):
        first, second = np.triu_indices(size, k=1)
        firsts.append(start + first)
        seconds.append(start + second)
    return np.concatenate(firsts), np.concatenate(seconds)
