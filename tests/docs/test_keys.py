"""The pages list all keys of the configuration files as the models that check them have them."""

import pytest
from pydantic import Field

from tests.docs.keys import PAGE, TABLES, with_tables
from tombola.experiments.config_files import StrictModel
from tombola.experiments.train.keys import key_table


def test_the_tables_are_those_of_the_models() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(page.count(f"<!-- keys of {name} -->") == 1 for name in TABLES)
    assert page == with_tables(page), "write them anew: python -m tests.docs.keys"


@pytest.mark.parametrize("name", TABLES)
def test_every_key_has_a_meaning_and_no_other_has(name: str) -> None:
    model, meanings = TABLES[name]
    assert list(meanings) == list(model.model_fields)
    assert all(field.description for field in model.model_fields.values())


def test_a_table() -> None:
    class Two(StrictModel):
        first: int = Field(description="an integer")
        second: tuple[int, ...] = Field(default=(1, 2), description="a | b")
        third: bool = Field(default=True, description="true or false")

    table = key_table(Two, {"first": "one", "second": "two", "third": "three"})
    assert table.splitlines()[2:] == [
        "| `first` | required | an integer | one |",
        "| `second` | `[1, 2]` | a \\| b | two |",
        "| `third` | `true` | true or false | three |",
    ]
