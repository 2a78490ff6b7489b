"""The demo's plates: anndata reads them, they depend on their design alone, and reruns keep them."""

import dataclasses
import signal
import weakref
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pytest

from tombola.experiments import PlateDesign, make_plates, plates
from tombola.experiments.h5ad_writer import write_h5ad
from tombola.experiments.plates import LABELS, MANIFEST

SMALL = PlateDesign(
    n_plates=3, cells_per_plate=200, n_genes=40, n_cell_lines=3, n_drugs=8, n_moa_broad=2, n_moa_fine=4
)


def test_anndata_reads_them(tmp_path: Path) -> None:
    paths = make_plates(tmp_path, SMALL)
    assert [path.name for path in paths] == ["plate_01.h5ad", "plate_02.h5ad", "plate_03.h5ad"]
    seen = [anndata.read_h5ad(path) for path in paths]
    for adata in seen:
        assert adata.shape == (200, 40)
        assert list(adata.obs.columns) == list(LABELS)
        assert list(adata.var_names) == list(seen[0].var_names)
        drug = adata.obs["drug"].cat.codes.to_numpy()
        assert (np.diff(drug) >= 0).all()  # sorted by drug
        assert adata.X.dtype == np.float32
        assert np.isfinite(adata.X.data).all()
        fine_of_drug = adata.obs.groupby("drug", observed=True)["moa_fine"].nunique()
        broad_of_fine = adata.obs.groupby("moa_fine", observed=True)["moa_broad"].nunique()
        assert (fine_of_drug == 1).all()
        assert (broad_of_fine == 1).all()
    assert not np.array_equal(seen[0].X.data[:50], seen[1].X.data[:50])


def test_raw_plates_hold_the_same_cells_in_a_folder_of_their_own(tmp_path: Path) -> None:
    design = dataclasses.replace(SMALL, n_plates=1)
    (packed,), (raw,) = make_plates(tmp_path, design), make_plates(tmp_path, design, compressed=False)
    assert raw.parent.name == f"{packed.parent.name}-raw"
    with h5py.File(packed) as one, h5py.File(raw) as two:
        assert one["X/data"].compression == "gzip"
        assert two["X/data"].compression is None
        for part in ("data", "indices", "indptr"):
            assert np.array_equal(one[f"X/{part}"][:], two[f"X/{part}"][:])


def test_plates_depend_on_their_design_alone(tmp_path: Path) -> None:
    first = make_plates(tmp_path / "a", SMALL)
    second = make_plates(tmp_path / "b", SMALL)
    other = make_plates(tmp_path / "a", dataclasses.replace(SMALL, seed=8))
    for one, two in zip(first, second, strict=True):
        assert one.parent.name == two.parent.name
        assert one.read_bytes() == two.read_bytes()
    assert other[0].parent != first[0].parent


def test_reruns_keep_whole_plates_and_remake_broken_ones(tmp_path: Path) -> None:
    paths = make_plates(tmp_path, SMALL)
    whole = [path.read_bytes() for path in paths]
    calls: list[tuple[int, int]] = []
    stamps = [path.stat().st_mtime_ns for path in paths]
    make_plates(tmp_path, SMALL, on_plate=lambda done, total: calls.append((done, total)))
    assert calls == []
    assert [path.stat().st_mtime_ns for path in paths] == stamps
    paths[1].write_bytes(whole[1][:100])
    paths[2].unlink()
    make_plates(tmp_path, SMALL, on_plate=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (3, 3)
    assert [path.read_bytes() for path in paths] == whole


def test_an_interruption_leaves_no_broken_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Path] = []
    write = write_h5ad

    def interrupted(path: Path, *args: Any, **kwargs: Any) -> None:
        if done:
            raise KeyboardInterrupt
        write(path, *args, **kwargs)
        done.append(path)

    monkeypatch.setattr("tombola.experiments.plates.write_h5ad", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_plates(tmp_path, SMALL)
    files = sorted(path.name for path in done[0].parent.iterdir())
    assert files == ["plate_01.h5ad"]
    monkeypatch.undo()
    paths = make_plates(tmp_path, SMALL)
    assert all(path.exists() for path in paths)
    assert (paths[0].parent / MANIFEST).exists()


class Held:
    """Something that weak references can watch."""


def test_ctrl_c_is_not_lost_in_a_callback_of_a_weak_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = plates._make_plate

    def make_interrupted(*arguments: Any, **options: Any) -> None:
        held = Held()
        watched = weakref.ref(held, lambda _: signal.raise_signal(signal.SIGINT))
        del held  # what the callback raises is ignored
        assert watched() is None
        make(*arguments, **options)

    monkeypatch.setattr(plates, "_make_plate", make_interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_plates(tmp_path, SMALL)
    assert [path.name for path in tmp_path.glob("plates-*/*")] == ["plate_01.h5ad"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_plates": 0}, "n_plates must be an integer >= 1, but is 0"),
        ({"n_drugs": -2}, "n_drugs must be an integer >= 1, but is -2"),
        ({"seed": -1}, "seed must be an integer >= 0, but is -1"),
        ({"skew": float("nan")}, "skew must be a finite number >= 0, but is nan"),
        ({"mean_counts": -1.0}, "mean_counts must be a finite number >= 0, but is -1"),
        ({"n_moa_fine": 9}, "n_moa_broad <= n_moa_fine <= n_drugs must hold, but they are 2, 9 and 8"),
    ],
)
def test_impossible_designs_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)
