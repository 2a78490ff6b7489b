"""Configuration from a YAML file, with options over it, checked by pydantic before anything is done.

Every key of a model says in its description what is allowed; what is wrong is said in one line that names the
place (file or option), the key, what is allowed and what came.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tombola._base.words import meant_or

__all__ = [
    "StrictModel",
    "check_model",
    "expanded",
    "key_lines",
    "meant_or_known",
    "not_bool",
    "option_name",
    "place_of",
    "read_mapping",
    "resolve_paths",
]

Model = TypeVar("Model", bound=BaseModel)
_DEPTH = 3
_MERGE = "tag:yaml.org,2002:merge"


class StrictModel(BaseModel):
    """A frozen model without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def option_name(key: str) -> str:
    """Return the command line's option for a key: ``--batch-size`` for ``batch_size``."""
    return f"--{key.replace('_', '-')}"


def not_bool(value: object) -> object:
    """Return a value as it is; ValueError for true and false, which pydantic takes for 1 and 0."""
    if isinstance(value, bool):
        msg = "a number is needed"
        raise ValueError(msg)
    return value


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file that maps keys to values.

    Raises
    ------
    ValueError
        If it is no YAML, or no mapping, or holds a key twice.
    OSError
        If it cannot be read.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_DistinctKeys)
    except (yaml.YAMLError, ValueError) as error:  # of a day that is none, too
        msg = f"{path}: no valid YAML: {error}"
        raise ValueError(msg) from None
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        msg = f"{path}: expected keys with values, but found {found}"
        raise ValueError(msg)
    return {str(key): value for key, value in content.items()}


def key_lines(path: Path) -> dict[tuple[str, ...], int]:
    """Return the line, from 1, at which each key of a YAML file stands, by the keys from the outermost on.

    As deep as there are keys: what holds itself has no end.
    """
    lines: dict[tuple[str, ...], int] = {}

    def note(node: yaml.Node | None, outer: tuple[str, ...]) -> None:
        if isinstance(node, yaml.MappingNode) and len(outer) < _DEPTH:
            for key, value in node.value:
                if key.tag == _MERGE:
                    for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                        note(merged, outer)
            for key, value in node.value:
                keys = (*outer, str(key.value))
                lines[keys] = key.start_mark.line + 1
                note(value, keys)

    note(yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader), ())
    return lines


def resolve_paths(values: Mapping[str, Any], keys: Iterable[str], folder: Path) -> dict[str, Any]:
    """Return the values of a file, its relative paths taken from its folder; ``~`` is the user's home."""
    resolved = dict(values)
    for key in keys:
        value = resolved.get(key)
        if isinstance(value, str):
            resolved[key] = str(folder / expanded(value))
        elif isinstance(value, list):
            resolved[key] = [
                str(folder / expanded(part)) if isinstance(part, str) else part for part in value
            ]
    return resolved


def expanded(name: str) -> Path:
    """Return the path of a name, with the user's home for ``~``; as it is where there is no such user."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def place_of(origin: object, options: Collection[str] = (), *outer: str) -> Callable[[str], str]:
    """Return what tells where a key was given: as an option, or in which line of a file.

    Parameters
    ----------
    origin : object
        A Path is the YAML file that holds the keys; anything else is named as it is.
    options : collection of str
        Keys that were given as options.
    *outer : str
        The keys that hold them, from the outermost on.
    """
    lines = key_lines(origin) if isinstance(origin, Path) else {}

    def place(key: str) -> str:
        if key in options:
            return f"option {option_name(key)}"
        line = lines.get((*outer, key))
        return str(origin) if line is None else f"{origin}, line {line}"

    return place


class _DistinctKeys(yaml.SafeLoader):
    """Refuses a key that comes twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _MERGE:
                continue  # what may be no key is refused, and merged, by YAML's own rules
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                problem = f"the key {key!r} comes twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def check_model(
    model: type[Model], values: Mapping[str, Any], place: Callable[[str], str], *, inside: str = ""
) -> Model:
    """Return the model of these values.

    Parameters
    ----------
    model : type
        Its fields' descriptions say what is allowed, such as "an integer >= 1".
    values : mapping
    place : callable
        Where a key was given: a file or an option, for the message.
    inside : str
        Name of the mapping that holds the keys, where they are not the outermost.

    Raises
    ------
    ValueError
        If a key is unknown or missing, or a value is none of those allowed.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ValueError(_first_problem(model, error, place, inside)) from None


def _first_problem(
    model: type[BaseModel], error: ValidationError, place: Callable[[str], str], inside: str
) -> str:
    problems = error.errors(include_url=False)
    # A key that is mistyped is missing, too; which one is meant says more.
    problem = next((one for one in problems if one["type"] == "extra_forbidden"), problems[0])
    if not problem["loc"]:
        return f"{place('')}: {_own_words(problem['msg'])}"
    key = str(problem["loc"][0])
    named = f"{inside}.{key}" if inside else key
    if problem["type"] == "extra_forbidden":
        return f"{place(key)}: unknown key {named!r}; {meant_or_known(key, model.model_fields)}"
    allowed = model.model_fields[key].description
    if problem["type"] == "missing":
        return f"{place(key)}: the key {named!r} is missing; it must be {allowed}"
    if problem["type"] == "value_error" and _own_words(problem["msg"]).startswith(key):
        return f"{place(key)}: {_own_words(problem['msg'])}"
    came = problem["input"]
    inner = problem["loc"][1] if len(problem["loc"]) > 1 else None
    item = f"{named}[{inner}] " if isinstance(inner, int) else ""
    return f"{place(key)}: {named} must be {allowed}, but {item}is {came!r}{_meant(came, allowed)}"


def _meant(came: object, allowed: str | None) -> str:
    """Say which of the words that are listed is meant by one that is mistyped."""
    _, is_list, words = (allowed or "").partition("one of ")
    meant = meant_or(came, words.split(", "), "") if is_list and isinstance(came, str) else ""
    return meant and f"; {meant}"


def _own_words(message: str) -> str:
    return message.removeprefix("Value error, ")


def meant_or_known(key: str, known: Iterable[str]) -> str:
    """Return which of the known words is meant by a key; all of them where none is like it."""
    words = list(known)
    return meant_or(key, words, f"known are {', '.join(words)}")
