"""Importance and similarity: tiny cases by hand, the oracle bit by bit, plain NumPy to a bound, bad input."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle import scores as oracle
from tombola.replay import importance_scores, prototype_similarity
from tombola.replay.scores import importance_kernels as kernels

X = np.array([[3, 4], [-3, -4], [4, -3], [0, 0]], dtype=np.float32)
P = np.array([[6.0, 8.0], [np.nan, np.nan], [0.0, 0.0]])
ZEROS = [0, 0, 0, 0]


def sample(
    rows: int, width: int, dtype: Any = np.float32, classes: int = 7, seed: int = 1
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    features = generator.standard_normal((rows, width)).astype(dtype)
    labels = generator.integers(0, classes, rows)
    groups = generator.integers(0, 5, rows)
    return features, labels, generator.standard_normal((classes, width)), groups


def test_by_hand() -> None:
    assert prototype_similarity(X, ZEROS, P).tolist() == [1.0, 0.0, 0.5, 0.5]
    scores = importance_scores(X, ZEROS, P, [0, 0, 0, 1], eps=0.25)
    assert scores.tolist() == [2 / 3 / 1.25, 2 / 3 / 0.25, 2 / 3 / 0.75, 2 / 0.75]
    assert importance_scores(X, ZEROS, P, None, eps=0.25).tolist() == [0.8, 4.0, 1 / 0.75, 1 / 0.75]


def test_weight_zero_is_no_balance() -> None:
    assert np.array_equal(
        importance_scores(X, ZEROS, P, [0, 0, 0, 1], balance_weight=0),
        importance_scores(X, ZEROS, P, None),
    )


def test_missing_prototypes_count_as_neither_near_nor_far() -> None:
    assert prototype_similarity(X, [1, 1, 2, 2], P).tolist() == [0.5] * 4


def test_similarity_given() -> None:
    scores = importance_scores(None, None, None, [0, 0, 1], similarity=[0.0, 0.5, 1.0], eps=0.5)
    assert scores.tolist() == [2.0, 1.0, 2 / 1.5]
    given = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float16)
    assert importance_scores(None, None, None, None, similarity=given, eps=0.5).tolist() == [
        2.0,
        1.0,
        1 / 1.5,
    ]


@pytest.mark.parametrize("width", [1, 2, 15, 16, 17, 32, 47, 129])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("narrow", [True, False])
def test_equals_the_oracle_bit_for_bit(form: str, width: int, dtype: Any, narrow: bool) -> None:
    features, labels, prototypes, groups = sample(20_001, width, dtype)
    features[17] = 0
    if narrow:  # every value fits float32, so the table is of that type
        prototypes = prototypes.astype(np.float32).astype(np.float64)
    prototypes[3] = np.nan
    expected = oracle.similarity(features, labels, prototypes)
    assert prototype_similarity(features, labels, prototypes).tobytes() == expected.tobytes()
    scores = importance_scores(features, labels, prototypes, groups)
    assert scores.tobytes() == oracle.importance(expected, groups, 1.0, 1e-6).tobytes()


def test_golden() -> None:
    features = ((np.arange(4 * 19).reshape(4, 19) * 7) % 23 - 11).astype(np.float32)
    prototypes = ((np.arange(2 * 19).reshape(2, 19) * 5) % 17 - 8).astype(np.float64)
    found = importance_scores(features, [0, 1, 1, 0], prototypes, [0, 1, 1, 1])
    assert [value.hex() for value in found.tolist()] == GOLDEN


GOLDEN = ["0x1.2e646158dc23dp+1", "0x1.d6d8fa2bec2dfp+0", "0x1.d3cbe08391861p-1", "0x1.169f6243814b0p+1"]
"""By the oracle, which needs nothing but + - * / and roots of IEEE doubles."""


@given(
    rows=st.integers(0, 40),
    width=st.integers(1, 70),
    classes=st.integers(1, 5),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=50, deadline=None)
def test_plain_numpy_within_the_bound(rows: int, width: int, classes: int, dtype: Any, seed: int) -> None:
    features, labels, prototypes, _ = sample(rows, width, dtype, classes, seed)
    wide, own = features.astype(np.float64), prototypes[labels]
    cosines = (wide * own).sum(axis=1) / np.sqrt((wide * wide).sum(axis=1) * (own * own).sum(axis=1))
    bound = 2 * (width + 8) * 2.0**-53  # the documented one for ours, and the same for NumPy's
    found = prototype_similarity(features, labels, prototypes)
    assert found.shape == (rows,)
    assert np.abs(found - (1 + cosines) / 2).max(initial=0.0) <= bound


@pytest.mark.parametrize("scale", [1e-300, 1e-135, 1e140, 1e300])
def test_float64_of_any_size(scale: float) -> None:
    """Prototypes may have any, features where squares can be summed."""
    features, labels, prototypes, _ = sample(50, 20, np.float64)
    expected = prototype_similarity(features, labels, prototypes)
    found = prototype_similarity(features, labels, prototypes * scale)
    assert np.abs(found - expected).max() <= 2 * 28 * 2.0**-53
    if 1e-140 < scale < 1e150:
        found = prototype_similarity(features * scale, labels, prototypes)
        assert np.abs(found - expected).max() <= 2 * 28 * 2.0**-53
    elif scale < 1:
        assert np.all(prototype_similarity(features * scale, labels, prototypes) == 0.5)
    else:
        with pytest.raises(
            ValueError, match=r"^the squares of a row of features must .* features\[0\] is 1\.3e\+300$"
        ):
            prototype_similarity(features * scale, labels, prototypes)


def test_float32_extremes() -> None:
    features = np.array([[1e-45, 0], [3e38, 3e38], [-1e-45, 0]], dtype=np.float32)
    assert prototype_similarity(features, [0, 1, 0], [[1, 0], [1, 1]]).tolist() == [1.0, 1.0, 0.0]


def layouts() -> dict[str, Any]:
    features = sample(3000, 21)[0]
    wide = np.zeros((3000, 40), dtype=np.float32)
    wide[:, 3:24] = features
    read_only = features.copy()
    read_only.flags.writeable = False
    buffer = np.zeros(features.nbytes + 1, dtype=np.uint8)
    odd = buffer[1:].view(np.float32).reshape(features.shape)
    odd[:] = features
    return {
        "Fortran": np.asfortranarray(features),
        "columns of a wider one": wide[:, 3:24],
        "read-only": read_only,
        "other byte order": features.astype(">f4"),
        "unaligned": odd,
        "torch": torch.from_numpy(features),
        "torch transposed": torch.from_numpy(np.ascontiguousarray(features.T)).T,
        "torch with gradient": torch.from_numpy(features).requires_grad_(),
    }


@pytest.mark.parametrize("name", list(layouts()))
def test_layouts_give_equal_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tombola.replay.scores.arrays.TILE", 4096)
    features, labels, prototypes, groups = sample(3000, 21)
    expected = importance_scores(features, labels, prototypes, groups)
    given = layouts()[name]
    found = importance_scores(given, torch.from_numpy(labels), torch.from_numpy(prototypes), groups.tolist())
    if name == "other byte order":  # read as float64: the same values, and squares that are exact no more
        assert np.abs(found / expected - 1).max() < 1e-12
    else:
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", ["NumPy float16", "float16", "bfloat16", "int16"])
def test_narrow_types_are_read_in_tiles(kind: str, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr("tombola.replay.scores.arrays.TILE", 1000)
    features, labels, prototypes, _ = sample(777, 33)
    given: Any = torch.from_numpy(features * 100).to(getattr(torch, kind.removeprefix("NumPy ")))
    exact = given.float().numpy()
    if kind == "NumPy float16":
        given = given.numpy()
    found = prototype_similarity(given, labels, prototypes)
    assert found.tobytes() == prototype_similarity(exact, labels, prototypes).tobytes()


def test_each_kernel_is_compiled_once_for_each_width_of_floats() -> None:
    layouts_given = [*layouts().values(), sample(3000, 21, np.float64)[0]]
    _, labels, prototypes, groups = sample(3000, 21)
    for features in layouts_given:
        importance_scores(features, labels, prototypes, groups)
    parts: Any = kernels._importance_parts
    assert len(parts.signatures) <= 4  # float32 and float64, features and prototypes


def test_out_is_written_and_returned() -> None:
    features, labels, prototypes, groups = sample(100, 9)
    out = np.full(100, np.nan)
    assert importance_scores(features, labels, prototypes, groups, out=out) is out
    assert np.array_equal(out, importance_scores(features, labels, prototypes, groups))
    assert prototype_similarity(features, labels, prototypes, out=out) is out


def test_empty() -> None:
    assert importance_scores(np.empty((0, 3)), [], np.ones((2, 3)), []).shape == (0,)
    assert importance_scores(None, None, None, [], similarity=[]).shape == (0,)


@pytest.mark.parametrize("row", [0, 9_000, 39_999])
def test_the_first_bad_row_is_named(form: str, row: int) -> None:
    features, labels, prototypes, groups = sample(40_000, 18)
    bad = features.copy()
    bad[row, 17], bad[39_999, 3] = np.nan, np.inf
    column, value = (3, "inf") if row == 39_999 else (17, "nan")
    text = rf"^features must be finite, but features\[{row}, {column}\] = {value}$"
    with pytest.raises(ValueError, match=text):
        importance_scores(bad, labels, prototypes, groups)
    with pytest.raises(ValueError, match=text):
        prototype_similarity(bad.astype(np.float64), labels, prototypes)
    for label in (7, -1):
        wrong = labels.copy()
        wrong[[row, 39_999]] = label
        text = rf"^labels must lie in \[0, 7\), the rows of prototypes, but labels\[{row}\] = {label}$"
        with pytest.raises(IndexError, match=text):
            importance_scores(features, wrong, prototypes, groups)
    similarity = np.full(40_000, 0.5)
    similarity[[row, 39_999]] = 1.5
    with pytest.raises(
        ValueError, match=rf"^similarity must lie in \[0, 1\], but similarity\[{row}\] = 1\.5$"
    ):
        importance_scores(None, None, None, groups, similarity=similarity)


def test_bad_rows_of_tiles_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tombola.replay.scores.arrays.TILE", 100)
    features, labels, prototypes, groups = sample(50, 10, np.float16)
    features[33, 2] = np.inf
    with pytest.raises(ValueError, match=r"features\[33, 2\] = inf$"):
        importance_scores(features, labels, prototypes, groups)


GOOD: dict[str, Any] = {"features": X, "labels": ZEROS, "prototypes": P, "groups": [0, 0, 1, 1]}
BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"features": X[:, :1]},
        ValueError,
        "features must be as wide as prototypes, 2, and not empty, but their width is 1",
    ),
    ({"features": X[0]}, ValueError, r"features must have 2 axes, but the shape is \(2,\)"),
    (
        {"features": X.astype(np.complex64)},
        TypeError,
        "features must be real numbers of at most 64 bits, but the dtype is complex64",
    ),
    (
        {"features": torch.zeros((4, 2), dtype=torch.bool)},
        TypeError,
        r"features must be real numbers .* torch\.bool",
    ),
    (
        {"features": None},
        TypeError,
        "importance_scores needs features, labels and prototypes, or a similarity, but got neither",
    ),
    (
        {"similarity": [0.5] * 4},
        TypeError,
        "importance_scores takes features, labels and prototypes, or a similarity, but got both",
    ),
    (
        {"labels": [0, 0]},
        ValueError,
        r"labels must have the shape \(4,\), one a row of features, but it is \(2,\)",
    ),
    ({"labels": [0.0] * 4}, TypeError, "labels must be integers, but the dtype is float64"),
    ({"labels": torch.zeros(4)}, TypeError, r"labels must be integers, but the dtype is torch\.float32"),
    (
        {"prototypes": [[1.0, np.nan]]},
        ValueError,
        r"prototypes must be finite, or all NaN where missing, but prototypes\[0\] is neither",
    ),
    ({"prototypes": [[1.0, 0.0], [np.inf, 1.0]]}, ValueError, r"but prototypes\[1\] is neither"),
    ({"groups": [0, 0]}, ValueError, r"groups must have the shape \(4,\), one a row, but it is \(2,\)"),
    ({"groups": [0, 0, -1, 0]}, ValueError, "groups must be >= 0, but row 2 is -1"),
    (
        {"group_sizes": [4]},
        IndexError,
        r"groups must lie in \[0, 1\), the groups of group_sizes, but groups\[2\] = 1",
    ),
    ({"balance_weight": -1.0}, ValueError, "balance_weight must be a finite number >= 0, but is -1"),
    (
        {"balance_weight": 1e6, "groups": [0, 1, 2, 2]},
        ValueError,
        "balance_weight 1000000.0 is too large: 3 to that power is not finite",
    ),
    ({"eps": 0.0}, ValueError, "eps must be a finite number > 0, but is 0"),
    ({"eps": 1e-320}, ValueError, "eps must not make scores overflow, but 1 / 1e-320 does"),
    ({"out": np.empty(3)}, ValueError, r"out must have the shape \(4,\), one score a row, but it is \(3,\)"),
    (
        {"out": np.empty(4, dtype=np.float32)},
        TypeError,
        "out must be a NumPy array of float64, but is float32",
    ),
    ({"out": torch.empty(4)}, TypeError, "out must be a NumPy array of float64, but is Tensor"),
    ({"out": np.empty(8)[::2]}, ValueError, "out must be C-contiguous, aligned and writable"),
    ({"out": np.frombuffer(bytes(32))}, ValueError, "out must be C-contiguous, aligned and writable"),
]


@pytest.mark.parametrize(("change", "error", "text"), BAD)
def test_bad_input(change: dict[str, Any], error: type[Exception], text: str) -> None:
    arguments = GOOD | change
    options = {name: arguments.pop(name) for name in list(arguments) if name not in GOOD}
    with pytest.raises(error, match=text):
        importance_scores(*arguments.values(), **options)


def test_out_may_not_overlap_an_input() -> None:
    similarity = np.full(4, 0.5)
    with pytest.raises(ValueError, match=r"^out must not overlap an input$"):
        importance_scores(None, None, None, None, similarity=similarity, out=similarity)
    features = torch.zeros((4, 2), dtype=torch.float64)
    with pytest.raises(ValueError, match=r"^out must not overlap an input$"):
        prototype_similarity(features, ZEROS, P, out=features.numpy().reshape(-1)[:4])
