"""The one front end: plain lines stay whole, bars keep off what is no terminal."""

import pytest

from tombola._base.console import make_bars, say, stderr_console, stdout_console

LINE = "a [bold] name in brackets, " + "and a long path " * 20 + "end"


def test_lines_come_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    say(stdout_console(), [LINE, "x"])
    say(stderr_console(), [LINE])
    out, err = capsys.readouterr()
    assert out == f"{LINE}\nx\n"
    assert err == f"{LINE}\n"


def test_bars_need_a_terminal_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    with make_bars() as bars:
        bars.update(bars.add_task("plates", total=3, note=""), completed=3, note="done")
    assert capsys.readouterr().err == ""
    with make_bars(width=10, has_clock=False, needs_terminal=False) as bars:
        bars.update(bars.add_task("plates", total=3, note=""), completed=3, note="done")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.split() == ["plates", "━" * 10, "3/3", "done"]
