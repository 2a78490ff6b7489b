"""Batches of every kind on a device ("meta" shows what was moved), of the same type, the given unchanged."""

import collections
import dataclasses
import types
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from tests.training.course import make_trainer, mean_error
from tombola.training.moving import to_device

META = torch.device("meta")


class Named(NamedTuple):
    x: torch.Tensor
    y: Any


@dataclasses.dataclass
class Plain:
    x: torch.Tensor
    to: str  # a name of a field, no method
    made: Any = dataclasses.field(default=None, init=False)

    def __post_init__(self) -> None:
        assert self.x.device.type == "cpu"  # moving does not construct


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: torch.Tensor


class UserMapping(collections.UserDict[str, Any]):
    def __init__(self, source: str, **parts: Any) -> None:
        super().__init__(parts)
        self.source = source


class DictOfOwn(dict[str, Any]):
    note = "class"


class ReadOnly(Mapping[str, Any]):
    def __init__(self, parts: Mapping[str, Any]) -> None:
        self._parts = dict(parts)

    def __getitem__(self, name: str) -> Any:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


class Rows(list[Any]):
    pass


class WithTo:
    def __init__(self, x: torch.Tensor) -> None:
        self.x, self.options = x, dict[str, Any]()

    def to(self, device: Any, non_blocking: bool = False) -> "WithTo":
        moved = WithTo(self.x.to(device))
        moved.options = {"non_blocking": non_blocking}
        return moved


class MovesItself:
    def __init__(self, x: torch.Tensor) -> None:
        self.x = x

    def to(self, device: Any) -> None:
        self.x = self.x.to(device)


def tensors(part: Any) -> list[torch.Tensor]:
    if isinstance(part, torch.Tensor):
        return [part]
    if isinstance(part, PackedSequence):
        return [part.data]
    if isinstance(part, Mapping):
        return [tensor for value in part.values() for tensor in tensors(value)]
    if isinstance(part, list | tuple | collections.deque):
        return [tensor for value in part for tensor in tensors(value)]
    names = [field.name for field in dataclasses.fields(part)] if dataclasses.is_dataclass(part) else ["x"]
    return [tensor for name in names for tensor in tensors(getattr(part, name, ())) if name not in ("to",)]


def one() -> torch.Tensor:
    return torch.ones(2)


CASES: dict[str, Any] = {
    "tensor": one(),
    "dict": {"x": one(), 3: [one(), (one(), "text", None, 1.5)]},
    "named tuple": Named(one(), {"deep": one()}),
    "dataclass": Plain(one(), "nowhere"),
    "frozen dataclass": Frozen(one()),
    "user mapping": UserMapping("file", x=one(), deep=UserMapping("inner", x=one())),
    "dict subclass": DictOfOwn(x=one()),
    "ordered dict": collections.OrderedDict(b=one(), a=one()),
    "default dict": collections.defaultdict(list, x=one()),
    "mapping proxy": types.MappingProxyType({"x": one()}),
    "read-only mapping": ReadOnly({"x": one()}),
    "list subclass": Rows([one(), one()]),
    "deque": collections.deque([one(), one()], maxlen=2),
    "structseq": torch.max(torch.ones(3, 2), dim=0),
    "packed sequence": pack_sequence([torch.ones(3, 2), torch.ones(2, 2)]),
    "object with to": WithTo(one()),
    "object that moves itself": MovesItself(one()),
}


@pytest.mark.parametrize("name", CASES)
def test_everything_is_moved_and_of_the_same_type(name: str) -> None:
    batch = CASES[name]
    moved = to_device(batch, META)
    assert type(moved) is type(batch)
    assert tensors(moved)
    assert all(tensor.device == META for tensor in tensors(moved))
    if name != "object that moves itself":
        assert all(tensor.device.type == "cpu" for tensor in tensors(batch))


def test_what_is_no_tensor_stays() -> None:
    mapping = to_device(CASES["user mapping"], META)
    assert (mapping.source, mapping["deep"].source) == ("file", "inner")
    assert to_device(CASES["default dict"], META).default_factory is list
    assert to_device(CASES["deque"], META).maxlen == 2
    assert list(to_device(CASES["ordered dict"], META)) == ["b", "a"]
    assert to_device(CASES["dataclass"], META).to == "nowhere"
    assert to_device(CASES["object with to"], META).options == {"non_blocking": True}
    assert to_device(CASES["object that moves itself"], META) is not None
    assert to_device(CASES["dict"], META)[3][1][1:] == ("text", None, 1.5)
    for other in ("text", b"bytes", bytearray(b"ab"), 3, None, torch.Tensor, {1, 2}, range(3), object):
        assert to_device(other, META) is other


def test_what_cannot_be_made_anew_is_named() -> None:
    class Odd(ReadOnly):
        def __init__(self) -> None:
            super().__init__({"x": one()})

    with pytest.raises(TypeError, match=r"a Odd cannot be made anew on meta: give it a method to\(device\)"):
        to_device(Odd(), META)


def test_packed_sequences_train_and_validate(tmp_path: Any) -> None:
    batches = [pack_sequence([torch.ones(3, 8), torch.ones(2, 8)])]

    def loss(model: torch.nn.Module, batch: Any) -> torch.Tensor:
        assert isinstance(batch, PackedSequence)
        return mean_error(model, batch.data)

    trainer = make_trainer(tmp_path, loss=loss, validation=batches, device="cpu")
    trainer._make_loader = lambda chunk: batches
    assert trainer.fit().batches == 6
