"""The table of figures itself: ratios, verdicts, text."""

import json
from pathlib import Path

import pytest

from benchmarks.figures import OURS, Figures, Work, parse_count, power_text


def test_less_time_is_better() -> None:
    work = Work("shuffle", target=6.0)
    figures = Figures(10**8)
    figures.add(work, "slow", 90.0, n=10**7)
    figures.add(work, "quick", 30.0, n=10**8)
    assert figures.ratio(work) is None
    assert figures.met(work) is None
    figures.add(work, OURS, 6.0, n=10**8, rounds=5)
    assert figures.ratio(work) == 5.0
    assert figures.met(work) is True
    cells = ("shuffle", "ns/index", "slow 90.0 (n = 10^7), quick 30.0", "6.00", "5.00 x", "<= 6", "yes")
    assert list(figures.rows()) == [cells]
    figures.add(work, OURS, 6.1)
    assert figures.met(work) is False


def test_more_rows_a_second_are_better() -> None:
    work = Work("read", unit="cells/s", ratio=1.5, more_is_better=True)
    figures = Figures(1000)
    figures.add(work, "peer", 100_000.0)
    figures.add(work, OURS, 149_000.0, note="gzip")
    assert figures.met(work) is False
    assert [row[3:] for row in figures.rows()] == [("149,000 (gzip)", "1.49 x", ">= 1.5 x", "NO")]
    figures.add(work, OURS, 150_000.0)
    assert figures.met(work) is True


def test_no_target_no_verdict() -> None:
    figures = Figures(1000)
    work = Work("copy")
    figures.add(work, "limit", 0.4)
    assert [row[2:] for row in figures.rows()] == [("limit 0.40", "-", "-", "-", "-")]


def test_two_works_of_one_name() -> None:
    figures = Figures(1000)
    figures.add(Work("copy"), OURS, 1.0)
    with pytest.raises(ValueError, match="two works are called 'copy'"):
        figures.add(Work("copy", unit="s"), OURS, 1.0)


def test_seconds_in_a_unit() -> None:
    assert Work("a").from_seconds(0.5, 10**9) == 0.5
    assert Work("b", unit="ms").from_seconds(0.5, 10**9) == 500.0


def test_files(tmp_path: Path) -> None:
    figures = Figures(10**6, {"CPU": "abacus"})
    figures.add(Work("shuffle", target=6.0), OURS, 3.0, n=10**6, rounds=3)
    figures.write(tmp_path / "new" / "figures.md")
    lines = (tmp_path / "new" / "figures.md").read_text(encoding="utf-8").splitlines()
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[-1] == "n = 10^6 unless said. CPU abacus"
    figures.write(tmp_path / "figures.json")
    (work,) = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["works"]
    assert work["met"] is True
    assert work["measured"] == [{"who": OURS, "value": 3.0, "n": 10**6, "rounds": 3, "note": ""}]


@pytest.mark.parametrize("text", ["100000000", "100_000_000", "1e8", "10**8", "10^8"])
def test_counts(text: str) -> None:
    assert parse_count(text) == 10**8
    assert power_text(parse_count(text)) == "10^8"


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1e-3", "many", "10**many"])
def test_wrong_counts(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a whole number|could not convert|invalid literal"):
        parse_count(text)
