"""The pictures of plans in the pages are those of the plans that a command draws them from."""

import pytest
from PIL import Image

from docs.site.pictures import FOLDER, NOTE, PICTURES, batches_shown
from tests.docs.pages import PAGES
from tombola import Streaming
from tombola.strategies import __all__ as STRATEGY_NAMES

PAGE = PAGES["docs/choosing.md"]


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_its_plan(name: str) -> None:
    plan, _ = PICTURES[name]
    with Image.open(FOLDER / f"{name}.png") as picture:
        assert picture.info[NOTE] == batches_shown(plan), "draw it anew: python -m docs.site.pictures"
    assert f"](plans/{name}.png)" in PAGE


def test_every_strategy_has_a_picture_and_no_picture_is_left_over() -> None:
    shown = {type(plan.strategy).__name__ for plan, _ in PICTURES.values()}
    assert shown == set(STRATEGY_NAMES) - {"Strategy"}
    assert {path.stem for path in FOLDER.iterdir()} == set(PICTURES)


def test_other_batches_are_told_apart() -> None:
    plans = [Streaming(shuffle=True).plan(9, batch_size=size, fetch_factor=2, seed=seed) for size, seed in
             ((3, 0), (3, 1), (4, 0))]  # fmt: skip
    assert len({batches_shown(plan) for plan in plans}) == 3
