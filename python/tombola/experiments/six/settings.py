"""What `tombola experiment` is told: a YAML file in sections, with options over it, over defaults.

Every section is a model (`sections`), whose descriptions say what a key may be; what is wrong is said with
the file's line or the option, the key, what is allowed, what came and what is meant, perhaps. Paths in a file
are relative to its folder, paths in options to the working directory. Strategies may have any of their names
(`tombola.strategies.names`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tombola.strategies.names import EXPERIMENT

from ..block_size import BlockSize
from ..config_files import check_model, key_lines, meant_or_known, option_name, read_mapping, resolve_paths
from .config import STRATEGIES, WITH_BLOCKS, ExperimentConfig, check_strategies
from .sections import (
    SECTIONS,
    DataSection,
    OutputSection,
    ScDatasetSection,
    StrategySection,
    TrainingSection,
    WeightsSection,
)

__all__ = ["PACKAGED", "ExperimentSettings", "find_config", "packaged_config", "read_settings"]

PACKAGED = ("default", "pilot")
"""Names of the files in `CONFIGS`."""
CONFIGS = Path(__file__).resolve().parents[1] / "configs"


@dataclass(frozen=True)
class ExperimentSettings:
    """All of it, checked.

    Parameters
    ----------
    data, training, scdataset, weights, output
        The sections.
    strategies : tuple of str
        Those to try, by the names of today.
    block_sizes : mapping of str to int or "file"
        Of strategies whose blocks have a size of their own.
    """

    data: DataSection
    training: TrainingSection
    scdataset: ScDatasetSection
    weights: WeightsSection
    output: OutputSection
    strategies: tuple[str, ...]
    block_sizes: Mapping[str, BlockSize]

    def config(self) -> ExperimentConfig:
        """Return how to train, for the first seed."""
        return ExperimentConfig(
            strategies=self.strategies,
            epochs=self.training.epochs,
            batch_size=self.training.batch_size,
            fetch_factor=self.scdataset.fetch_factor,
            block_sizes=self.block_sizes,
            num_workers=self.scdataset.num_workers,
            min_count_baseline=self.weights.min_count_baseline,
            learning_rate=self.training.learning_rate,
            log1p=self.training.log1p,
            seed=self.training.seeds[0],
            log_interval=self.output.log_interval,
            test_interval=self.output.test_interval,
        )


def find_config(name: str) -> tuple[Path, Path]:
    """Return the file that a path or the name of a packaged configuration means, and its paths' folder."""
    if name in PACKAGED and not Path(name).is_file():
        return CONFIGS / f"{name}.yaml", Path()
    return Path(name), Path(name).parent


def packaged_config(name: str) -> str:
    """Return the text of a configuration that comes with the package, see `PACKAGED`.

    Raises
    ------
    ValueError
        If there is none of the name.
    """
    if name not in PACKAGED:
        msg = f"the package has the configurations {' and '.join(PACKAGED)}, but not {name!r}"
        raise ValueError(msg)
    return (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8")


def read_settings(
    path: Path | None,
    overrides: Mapping[str, Mapping[str, Any]],
    strategies: Sequence[str] = (),
    *,
    folder: Path | None = None,
) -> ExperimentSettings:
    """Read a file, with options over it.

    Parameters
    ----------
    path : Path, optional
        Without, options over defaults.
    overrides : mapping of str to mapping
        Section to its keys' values that replace the file's; of the section ``strategies`` `block_size` alone,
        which replaces those of all strategies that have blocks.
    strategies : sequence of str
        Names to try instead of those that the file enables; "all" are the six.
    folder : Path, optional
        What paths in the file are relative to, if not its own folder.

    Raises
    ------
    ValueError
        If the file is no YAML mapping, a section, key or value is not allowed, or no data are given.
    OSError
        If the file cannot be read.
    """
    if path is None and "h5ad_dir" not in overrides.get("data", {}):
        msg = "no data are given: --h5ad-dir names a folder of h5ad files, or --config a file that does"
        raise ValueError(msg)
    values: Mapping[str, Any] = {} if path is None else read_mapping(path)
    lines = {} if path is None else key_lines(path)
    place = _Place(path, lines, overrides)
    known = [*SECTIONS, "strategies"]
    for name in values:
        if name not in known:
            msg = f"{place.of(name)}: unknown section {name!r}; {meant_or_known(name, known)}"
            raise ValueError(msg)
    given = {name: _mapping(name, values.get(name), place) for name in known}
    sections: dict[str, Any] = {}
    for name, model in SECTIONS.items():
        _refuse_strays(name, given[name], place)
        section = given[name] if path is None else _resolved(given[name], folder or path.parent)
        section = {**section, **overrides.get(name, {})}
        sections[name] = check_model(model, section, place.within(name), inside=name)
    chosen, block_sizes = _read_strategies(given["strategies"], place)
    over = overrides.get("strategies", {})
    if over:
        wanted = check_model(
            StrategySection, over, place.within("strategies"), inside="strategies"
        ).block_size
        block_sizes = block_sizes if wanted is None else dict.fromkeys(WITH_BLOCKS, wanted)
    if strategies:
        chosen = check_strategies(strategies)
    elif not chosen:
        msg = f"{place.of('strategies')}: no strategy is enabled; --all or --strategy chooses some"
        raise ValueError(msg)
    return ExperimentSettings(**sections, strategies=chosen, block_sizes=block_sizes)


class _Place:
    """Says where a key was given: an option, or a line of the file."""

    def __init__(
        self,
        path: Path | None,
        lines: Mapping[tuple[str, ...], int],
        overrides: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._path, self._lines, self._overrides = path, lines, overrides

    def of(self, *keys: str) -> str:
        if len(keys) == 2 and keys[1] in self._overrides.get(keys[0], {}):
            return f"option {option_name(keys[1])}"
        if self._path is None:
            return "experiment"
        line = next((self._lines[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in self._lines), None)
        return str(self._path) if line is None else f"{self._path}, line {line}"

    def within(self, *outer: str) -> Callable[[str], str]:
        return lambda key: self.of(*outer, key)


def _mapping(name: str, value: object, place: _Place) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        msg = f"{place.of(name)}: the section {name!r} must hold keys with values, but is {value!r}"
        raise ValueError(msg)
    return {str(key): part for key, part in value.items()}


def _refuse_strays(name: str, section: Mapping[str, Any], place: _Place) -> None:
    """Say of a key that stands in the wrong section where it belongs."""
    for key in section:
        homes = [other for other, model in SECTIONS.items() if key in model.model_fields]
        if homes and name not in homes:
            msg = f"{place.of(name, key)}: {key!r} belongs to the section {homes[0]!r}, not to {name!r}"
            raise ValueError(msg)


def _resolved(section: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Take paths from the file's folder; a name of a test file stays one, for files of `h5ad_dir`."""
    resolved = resolve_paths(section, ("h5ad_dir", "label_dir", "save_dir", "test_files"), folder)
    bare = section.get("test_files")
    if isinstance(bare, list):
        pairs = zip(bare, resolved["test_files"], strict=True)
        resolved["test_files"] = [name if _is_bare(name) else path for name, path in pairs]
    elif _is_bare(bare):
        resolved["test_files"] = bare
    return resolved


def _is_bare(name: object) -> bool:
    return isinstance(name, str) and Path(name).name == name


def _read_strategies(given: Mapping[str, Any], place: _Place) -> tuple[tuple[str, ...], dict[str, BlockSize]]:
    """Return the enabled strategies, all where the file has none, and their block sizes."""
    block_sizes: dict[str, BlockSize] = {}
    enabled: list[str] = []
    seen: dict[str, str] = {}
    for word, value in given.items():
        where = place.of("strategies", word)
        if word not in EXPERIMENT.words:
            msg = f"{where}: unknown strategy {word!r}; {meant_or_known(word, [*EXPERIMENT.words])}"
            if "perhaps" in msg:
                msg += f"; there are {', '.join(STRATEGIES)}"
            raise ValueError(msg)
        name = EXPERIMENT.words[word]
        if name in seen:
            msg = f"{where}: {word!r} and {seen[name]!r} are the same strategy"
            raise ValueError(msg)
        seen[name] = word
        inside = f"strategies.{word}"
        content = {"enabled": value} if isinstance(value, bool) else _mapping(inside, value, place)
        section = check_model(StrategySection, content, place.within("strategies", word), inside=inside)
        _check_shuffle(name, section, word, place)
        if section.block_size is not None and name in WITH_BLOCKS:
            block_sizes[name] = section.block_size
        elif section.block_size not in (None, 1):
            msg = (
                f"{place.of('strategies', word, 'block_size')}: {inside}.block_size must be 1, as {word} has "
                f"no blocks, but is {section.block_size}; {' and '.join(WITH_BLOCKS)} have blocks"
            )
            raise ValueError(msg)
        if section.enabled:
            enabled.append(name)
    return (tuple(enabled) if given else tuple(STRATEGIES)), block_sizes


def _check_shuffle(name: str, section: StrategySection, word: str, place: _Place) -> None:
    shuffles = name != "streaming"
    if section.shuffle in (None, shuffles):
        return
    other = "streaming_shuffle" if section.shuffle else "streaming"
    where = place.of("strategies", word, "shuffle")
    msg = (
        f"{where}: strategies.{word}.shuffle must be {str(shuffles).lower()}, "
        f"but is {str(section.shuffle).lower()}; {other} is meant, perhaps"
    )
    raise ValueError(msg)
