"""CIFAR-100 in its published format: read and learned on; other files are refused, no code of them runs."""

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from continual.data import load_data
from continual.images import BORDER, crop_and_flip
from continual.learner import ContinualLearner
from continual.pickles import read_pickle
from continual.settings import LearnerOptions, RunOptions
from continual.training import run
from tests.examples.cifar_folder import CLASSES, SUPERCLASSES, python_2, write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("cifar"))


def test_a_folder_is_read(folder: Path) -> None:
    data = load_data("seq-cifar100", seed=5, folder=folder)
    assert data.shape == (3, 32, 32)
    assert (len(data.train), len(data.test)) == (CLASSES * 6, CLASSES * 2)
    assert data.tasks == tuple((2 * k, 2 * k + 1) for k in range(10))
    assert data.groups.tolist() == [k % SUPERCLASSES for k in range(CLASSES)]
    assert data.class_names[3] == "class_3"
    assert data.train.inputs.mean(dim=(0, 2, 3)).abs().max() < 1e-4
    assert (data.train.inputs.std(dim=(0, 2, 3)) - 1).abs().max() < 1e-3
    raw = read_pickle(folder / "cifar-100-python" / "train")
    assert data.train.labels.tolist() == raw["fine_labels"]
    channels = raw["data"].reshape(-1, 3, 32, 32).astype(np.float64)
    mean, deviation = (channels.mean((0, 2, 3)), channels.std((0, 2, 3)))
    expected = (channels[7] - mean[:, None, None]) / deviation[:, None, None]
    np.testing.assert_allclose(data.train.inputs[7], expected, atol=1e-5)
    inside = load_data("seq-cifar100", seed=5, folder=folder / "cifar-100-python")
    assert torch.equal(inside.train.inputs, data.train.inputs)


def test_a_quick_one_has_the_first_of_each_class(tmp_path: Path) -> None:
    whole = load_data("seq-cifar100", seed=0, folder=write_folder(tmp_path, train=10))
    data = load_data("seq-cifar100", seed=0, folder=tmp_path, quick=True)
    assert set(torch.bincount(data.train.labels).tolist()) == {8}
    first = (whole.train.labels == 4).nonzero()[:8, 0]
    rows = (data.train.labels == 4).nonzero()[:, 0]
    assert torch.corrcoef(torch.stack([data.train.inputs[rows[7]], whole.train.inputs[first[7]]]).flatten(1))[
        0, 1
    ] == pytest.approx(1)


def test_a_folder_is_learned_task_by_task(folder: Path) -> None:
    learner = LearnerOptions(
        buffer_size=40, minibatch_size=4, channels=2, lr=0.1, alpha=0.1, uncertainty_weight=0.5
    )
    options = RunOptions(dataset="seq-cifar100", data=str(folder), epochs=1, batch_size=12, learner=learner)
    record = run(options)
    assert record.tasks[9] == (18, 19)
    assert record.groups[5] == 5 % SUPERCLASSES
    assert [len(row) for row in record.accuracies] == list(range(1, 11))
    assert sum(record.stored) == 40
    assert record.buffer_scores[-1]["score_parts"]["uncertainty"]["1.0"] > 0


def test_images_are_learned() -> None:
    """Two classes of two colours: a step sees all new ones, and a few old ones."""
    options = LearnerOptions(buffer_size=20, minibatch_size=8, channels=2, lr=0.1)
    learner = ContinualLearner((3, 16, 16), 2, options)
    labels = torch.arange(16) % 2
    colours = torch.tensor([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.5]])[labels]
    noise = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    images = colours[:, :, None, None] + noise
    losses = [learner.observe(learner.augment(images), labels, images) for _ in range(60)]
    assert losses[-1] < losses[0] / 2
    assert torch.equal(learner.head(learner.features(images)).argmax(dim=1), labels)
    assert learner.training  # again, after what was seen as it is


def test_crops_and_flips() -> None:
    images = torch.arange(1.0, 2 * 3 * 32 * 32 + 1).reshape(2, 3, 32, 32)
    random = torch.Generator().manual_seed(0)
    found = set()
    for _ in range(300):
        changed = crop_and_flip(images, random)
        assert changed.shape == images.shape
        framed = torch.nn.functional.pad(images, (BORDER,) * 4)
        for image, frame in zip(changed, framed, strict=True):
            fits = [
                (down, across, flipped)
                for down in range(9)
                for across in range(9)
                for flipped in (False, True)
                if torch.equal(image[0, 12], _row(frame, down, across, flipped))
            ]
            assert len(fits) == 1
            down, across, flipped = fits[0]
            part = frame[:, down : down + 32, across : across + 32]
            assert torch.equal(image, part.flip(2) if flipped else part)
            found.add(fits[0])
    assert len(found) > 130  # of 162, in 600 draws
    one = crop_and_flip(images[0], torch.Generator().manual_seed(3))
    assert torch.equal(one, crop_and_flip(images[:1], torch.Generator().manual_seed(3))[0])


def _row(frame: torch.Tensor, down: int, across: int, flipped: bool) -> torch.Tensor:
    row = frame[0, down + 12, across : across + 32]
    return row.flip(0) if flipped else row


class Harmful:
    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return os.system, ("touch harmed",)


class Subclass(np.ndarray[Any, Any]):
    pass


FORGED: dict[str, tuple[bytes, str]] = {
    "a call": (pickle.dumps({b"data": Harmful()}, protocol=2), r"it asks for .*system, which is not read"),
    "objects": (
        pickle.dumps({b"data": np.array([Harmful()])}, protocol=2),
        r"(it asks for .*system|arrays must be of plain numbers)",
    ),
    "fields": (
        pickle.dumps({b"data": np.zeros(2, dtype=[("a", "u1")])}, protocol=2),
        "arrays must be of plain numbers",
    ),
    "a subclass": (
        pickle.dumps({b"data": np.zeros(2, dtype=np.uint8).view(Subclass)}, protocol=2),
        "it asks for .*Subclass, which is not read",
    ),
    "a module": (b"\x80\x02}(U\x01acos\nsystem\nu.", "it asks for os.system, which is not read"),
    "too short": (
        python_2({b"data": np.zeros((2, 3), np.uint8)}).replace(b"\x00" * 6, b"").replace(b"U\x06", b"U\x00"),
        r"an array of shape \(2, 3\) must have 6 bytes, but has 0",
    ),
    "changes a class": (b"\x80\x02cnumpy\nndarray\n}b.", ".*"),
    "changes a function": (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}b.", ".*"),
    "outside": (b"\x80\x02U\x01aQ.", "it asks for b'a' outside of the file"),
    "a list": (python_2([1, 2]), "it holds list, no dictionary"),
    "cut off": (python_2({b"data": np.zeros((9, 9), np.uint8)})[:-40], ".*"),
    "nothing": (b"", "Ran out of input"),
}


@pytest.mark.parametrize("name", FORGED)
def test_pickles_run_no_code(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content, message = FORGED[name]
    (tmp_path / "train").write_bytes(content)
    with pytest.raises(ValueError, match=f"train must be a pickle of plain arrays, .*, but: {message}"):
        read_pickle(tmp_path / "train")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_pickles_of_python_3_are_read(protocol: int, tmp_path: Path) -> None:
    images = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for array in (images, images.astype(">i4"), np.asfortranarray(images)):
        content = {b"data": array, "labels": [1, 2]}
        (tmp_path / "train").write_bytes(pickle.dumps(content, protocol=protocol))
        found = read_pickle(tmp_path / "train")
        assert found["labels"] == [1, 2]
        np.testing.assert_array_equal(found["data"], array)


def without(name: str) -> Callable[[Path], None]:
    return lambda place: (place / name).unlink()


def with_part(name: str, part: bytes, value: Any) -> Callable[[Path], None]:
    def change(place: Path) -> None:
        found = read_pickle(place / name)
        content = {key.encode(): list(v) if isinstance(v, list) else v for key, v in found.items()}
        (place / name).write_bytes(python_2({**content, part: value}))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("meta"), "must hold train, test and meta of CIFAR-100 for Python, but has no meta"),
        (with_part("meta", b"fine_label_names", [b"a"] * 15), "must name classes for 10 tasks, but names 15"),
        (with_part("meta", b"coarse_label_names", 3), "must list coarse_label_names, but does not"),
        (
            with_part("train", b"data", np.zeros((120, 9), np.uint8)),
            r"must be uint8 of shape \(images, 3072\), but is uint8 \(120, 9\)",
        ),
        (with_part("test", b"fine_labels", [0] * 39), r"must be one an image, 40, in \[0, 20\)"),
        (with_part("test", b"coarse_labels", [4] * 40), r"must be one an image, 40, in \[0, 4\)"),
        (
            with_part("train", b"fine_labels", [0] * 120),
            "train must have images of each class, each class in",
        ),
        (with_part("test", b"fine_labels", [0] * 40), "test must have images of each class, each class in"),
    ],
)
def test_a_folder_of_another_format(
    change: Callable[[Path], None], message: str, folder: Path, tmp_path: Path
) -> None:
    place = shutil.copytree(folder / "cifar-100-python", tmp_path / "cifar-100-python")
    change(place)
    with pytest.raises(ValueError, match=message):
        load_data("seq-cifar100", seed=0, folder=tmp_path)


def test_a_data_set_without_its_folder() -> None:
    with pytest.raises(
        ValueError, match=r"^seq-cifar100 is read from a folder, but none is given: --data DIR$"
    ):
        load_data("seq-cifar100", seed=0)
