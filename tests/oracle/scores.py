"""Cosine similarity as the kernels take it: sums in 16 lanes, folded in halves, then what is left over."""

import numpy as np
import numpy.typing as npt

LANES = 16

Reals = npt.NDArray[np.float64]


def fold(lanes: Reals) -> Reals:
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes[:, 0]


def lane_sums(products: Reals) -> Reals:
    """The sum of each row: whole lanes first, the rest one by one."""
    rows, columns = products.shape
    whole = columns - columns % LANES
    lanes = np.zeros((rows, LANES))
    for start in range(0, whole, LANES):
        lanes += products[:, start : start + LANES]
    sums = fold(lanes)
    for column in range(whole, columns):
        sums = sums + products[:, column]
    return sums


def scaled(prototypes: Reals) -> tuple[Reals, Reals]:
    """Prototypes whose largest value is in [0.5, 1), and their lengths; zeros where there is none."""
    table = np.where(np.isfinite(prototypes), prototypes, 0.0)
    _, exponents = np.frexp(np.abs(table).max(axis=1))
    table = np.ldexp(table, -exponents[:, np.newaxis])
    padded = np.pad(table, ((0, 0), (0, -table.shape[1] % LANES)))
    return table, np.sqrt(lane_sums(padded * padded))


def similarity(features: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], prototypes: Reals) -> Reals:
    wide = features.astype(np.float64)
    table, lengths = scaled(prototypes)
    dots = lane_sums(wide * table[labels])
    products = np.sqrt(lane_sums(wide * wide)) * lengths[labels]
    cosines = np.divide(dots, products, out=np.zeros(len(wide)), where=products > 0)
    return np.clip((1 + cosines) * 0.5, 0.0, 1.0)


def importance(similarities: Reals, groups: npt.NDArray[np.int64], weight: float, eps: float) -> Reals:
    sizes = np.bincount(groups)
    return np.asarray((np.count_nonzero(sizes) / sizes[groups]) ** weight / (similarities + eps))
