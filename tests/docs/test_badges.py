"""The badges of the README say what the package says: drawn anew they are the files that are there."""

import re
from xml.etree import ElementTree

import pytest

from docs.site.badges import FOLDER, badge, facts
from tests.docs.pages import PAGES, READ_FIRST, ROOT
from tombola import _core

HEAD = PAGES[READ_FIRST].partition("\n\n")[2].partition("\n\n")[0]
SHOWN = {file: alt for alt, file in re.findall(r"\[!\[(.+?)\]\(docs/badges/(\w+)\.svg\)\]\(\S+\)", HEAD)}


def test_every_badge_is_shown_and_no_other_is_there() -> None:
    assert list(SHOWN) == list(facts())
    assert {path.name for path in FOLDER.iterdir()} == {f"{file}.svg" for file in SHOWN}


@pytest.mark.parametrize("file", facts())
def test_a_badge_says_the_fact(file: str) -> None:
    name, value = facts()[file]
    text = (FOLDER / f"{file}.svg").read_text(encoding="utf-8")
    assert text == badge(name, value), "draw them anew: python -m docs.site.badges"
    assert [node.text for node in ElementTree.fromstring(text).iter() if node.tag.endswith("text")] == [
        name,
        value,
    ]
    assert SHOWN[file] in {name, value, f"{name} {value}"}


def test_the_facts_are_those_of_the_package() -> None:
    said = {name: value for name, value in facts().values()}
    assert said["plan version"] == str(_core.PLAN_VERSION)
    assert f'requires-python = ">={said["Python"].partition(",")[0]}"' in (ROOT / "pyproject.toml").read_text(
        "utf-8"
    )
