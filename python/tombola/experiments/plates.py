"""Make the demo's data: plates of synthetic cells, one h5ad file each, sorted by drug.

Each cell has a cell line and a drug; the drug decides its fine mechanism of action, that one the broad one.
Every line, fine mechanism and drug shifts the expression of a few genes, every plate all genes a little;
counts are Poisson with log-normal depth and are stored log-normalised. Drugs have a long tail (Zipf) and
are numbered without regard to how common they are, so the order within a plate says nothing about rarity.
It says all about order: rows next to each other share a drug.

Plates depend on the design alone. The folder is named by a hash of it and holds a manifest, which is
written last; a plate that is there is whole. Complexity: O(cells * genes) a plate.
"""

import dataclasses
import hashlib
import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tombola._base.checks import check_integer, check_number
from tombola._base.files import make_output, write_json
from tombola._base.types import FloatArray, IndexArray
from tombola.training.signals import SignalNote

from .h5ad_writer import Categorical, Csr, write_h5ad

__all__ = ["LABELS", "PlateDesign", "make_plates"]

LABELS = ("cell_line", "drug", "moa_broad", "moa_fine")
"""The label columns, all of them tasks."""

FORMAT_VERSION = 1
"""Counts changes of this file that change the plates; part of the hash."""

MANIFEST = "manifest.json"
TARGET_SUM = 10_000.0


@dataclass(frozen=True, kw_only=True)
class PlateDesign:
    """What the plates are like.

    Parameters
    ----------
    n_plates, cells_per_plate, n_genes : int
        Sizes; every plate has all genes.
    n_cell_lines, n_drugs, n_moa_broad, n_moa_fine : int
        Classes of each label; no more fine mechanisms than drugs, no more broad than fine ones.
    skew : float
        Zipf exponent of the drugs: the k-th most common one comes as ``k ** -skew``.
    mean_counts : float
        Median molecules of a cell.
    drug_effect : float
        Standard deviation of the log fold change of the genes that a drug shifts.
    seed : int
        Of everything random.
    """

    n_plates: int = 14
    cells_per_plate: int = 12_000
    n_genes: int = 1_000
    n_cell_lines: int = 12
    n_drugs: int = 50
    n_moa_broad: int = 6
    n_moa_fine: int = 18
    skew: float = 1.3
    mean_counts: float = 450.0
    drug_effect: float = 1.3
    seed: int = 7

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "seed":
                check_integer(field.name, value)
            elif isinstance(field.default, int):
                check_integer(field.name, value, minimum=1)
            else:
                check_number(field.name, value)
        if not self.n_moa_broad <= self.n_moa_fine <= self.n_drugs:
            msg = (
                "n_moa_broad <= n_moa_fine <= n_drugs must hold, "
                f"but they are {self.n_moa_broad}, {self.n_moa_fine} and {self.n_drugs}"
            )
            raise ValueError(msg)

    def digest(self) -> str:
        """Hash the design and the version of its maker, 12 hexadecimal digits."""
        text = json.dumps([FORMAT_VERSION, dataclasses.asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class _World:
    """What all plates share: how common classes are, what causes what, and log expression of each label."""

    base: FloatArray
    line_shift: FloatArray
    drug_shift: FloatArray
    line_share: FloatArray
    drug_share: FloatArray
    fine_of_drug: IndexArray
    broad_of_fine: IndexArray


def make_plates(
    folder: Path,
    design: PlateDesign,
    *,
    compressed: bool = True,
    on_plate: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Make the plates of a design below `folder`, or find them there.

    A signal that asks to stop (Ctrl-C, SIGTERM, SIGUSR1) takes effect when the plate in hand is whole, a
    second Ctrl-C at once.

    Parameters
    ----------
    folder : Path
        The plates' own folder in it is named by the design's hash.
    design : PlateDesign
        What they are like.
    compressed : bool
        Whether values are stored by gzip. Without, files are larger, and the folder's name ends in ``-raw``.
    on_plate : callable, optional
        Called with (plates done, plates in all) while plates are made; never where all are there already.

    Returns
    -------
    list of Path
        The files, first plate first.

    Raises
    ------
    OSError
        If nothing can be written to `folder`.
    """
    home = folder / f"plates-{design.digest()}{'' if compressed else '-raw'}"
    paths = [home / f"plate_{number:02d}.h5ad" for number in range(1, design.n_plates + 1)]
    if _is_complete(home, paths):
        return paths
    make_output(folder, home.name)
    world = _make_world(design)
    for number, path in enumerate(paths):
        if on_plate is not None:
            on_plate(number, len(paths))
        if not path.exists():
            # Within h5py a KeyboardInterrupt can be lost: what weak references' callbacks raise is ignored.
            with SignalNote() as note:
                _make_plate(path, design, world, number, compressed=compressed)
            if note.received:
                signal.raise_signal(note.received)
    if on_plate is not None:
        on_plate(len(paths), len(paths))
    sizes = {path.name: path.stat().st_size for path in paths}
    manifest = {"version": FORMAT_VERSION, "digest": design.digest(), "design": dataclasses.asdict(design)}
    write_json(home / MANIFEST, {**manifest, "bytes": sizes})
    return paths


def _is_complete(home: Path, paths: list[Path]) -> bool:
    """Tell whether the manifest is there and all files are as large as it says; remove those that are not."""
    try:
        sizes = json.loads((home / MANIFEST).read_text(encoding="utf-8"))["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    wrong = [path for path in paths if not path.exists() or path.stat().st_size != sizes.get(path.name)]
    for path in wrong:
        path.unlink(missing_ok=True)
    return not wrong


def _make_world(design: PlateDesign) -> _World:
    rng = np.random.default_rng(design.seed)
    n_genes = design.n_genes

    def signatures(n_classes: int, share: float, effect: float) -> FloatArray:
        shifts = np.zeros((n_classes, n_genes))
        n_shifted = max(1, round(share * n_genes))
        for shift in shifts:
            shift[rng.choice(n_genes, n_shifted, replace=False)] = rng.normal(0.0, effect, n_shifted)
        return shifts

    def parents(n_children: int, n_parents: int) -> IndexArray:
        """Give each child a parent, and each parent at least one child."""
        rest = rng.integers(0, n_parents, n_children - n_parents)
        return rng.permutation(np.concatenate([np.arange(n_parents), rest]))

    fine_of_drug = parents(design.n_drugs, design.n_moa_fine)
    line_shift = signatures(design.n_cell_lines, 0.1, 0.8)
    fine_shift = signatures(design.n_moa_fine, 0.04, 1.0)
    drug_shift = signatures(design.n_drugs, 0.03, design.drug_effect) + fine_shift[fine_of_drug]
    return _World(
        base=rng.normal(0.0, 1.2, n_genes),
        line_shift=line_shift,
        drug_shift=drug_shift,
        line_share=_zipf(design.n_cell_lines, 0.7),
        drug_share=rng.permutation(_zipf(design.n_drugs, design.skew)),
        fine_of_drug=fine_of_drug,
        broad_of_fine=parents(design.n_moa_fine, design.n_moa_broad),
    )


def _zipf(n: int, exponent: float) -> FloatArray:
    share: FloatArray = np.arange(1, n + 1, dtype=np.float64) ** -exponent
    share /= share.sum()
    return share


def _make_plate(path: Path, design: PlateDesign, world: _World, number: int, *, compressed: bool) -> None:
    rng = np.random.default_rng([design.seed, number])
    n_cells = design.cells_per_plate
    drug = np.sort(rng.choice(design.n_drugs, n_cells, p=world.drug_share))
    line = rng.choice(design.n_cell_lines, n_cells, p=world.line_share)
    fine = world.fine_of_drug[drug]
    codes = {"cell_line": line, "drug": drug, "moa_broad": world.broad_of_fine[fine], "moa_fine": fine}
    sizes = {
        "cell_line": design.n_cell_lines,
        "drug": design.n_drugs,
        "moa_broad": design.n_moa_broad,
        "moa_fine": design.n_moa_fine,
    }
    write_h5ad(
        path,
        Csr.from_dense(_expression(rng, design, world, line, drug)),
        {name: Categorical(codes[name], _names(name, sizes[name])) for name in LABELS},
        obs_names=[f"plate_{number + 1:02d}:{cell}" for cell in range(n_cells)],
        var_names=_names("gene", design.n_genes),
        compression="gzip" if compressed else None,
    )


def _expression(
    rng: np.random.Generator, design: PlateDesign, world: _World, line: IndexArray, drug: IndexArray
) -> npt.NDArray[np.float32]:
    """Draw log-normalised counts, shape (cells, genes); profiles are made once a combination of labels."""
    plate_shift = rng.normal(0.0, 0.1, design.n_genes)
    pairs, pair_of_cell = np.unique(line * design.n_drugs + drug, return_inverse=True)
    pair_line, pair_drug = np.divmod(pairs, design.n_drugs)
    profiles = np.exp(world.base + plate_shift + world.line_shift[pair_line] + world.drug_shift[pair_drug])
    profiles /= profiles.sum(axis=1, keepdims=True)
    depth = design.mean_counts * np.exp(rng.normal(0.0, 0.35, len(line)))
    rates = profiles[pair_of_cell]
    rates *= depth[:, None]
    counts = rng.poisson(rates).astype(np.float32)
    counts *= np.float32(TARGET_SUM) / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return np.log1p(counts, out=counts)


def _names(kind: str, n: int) -> list[str]:
    width = len(str(n))
    return [f"{kind}_{number:0{width}d}" for number in range(1, n + 1)]
