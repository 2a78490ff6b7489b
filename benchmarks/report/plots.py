"""The pictures of a run: growth with rows, speed beside quality, distance to the limit."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.figures import OURS, digits
from benchmarks.report.page import limit_rows
from benchmarks.report.results import Measured, Results
from tombola.experiments.pictures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY, picture

__all__ = ["draw"]

LOOKS = {
    OURS: (BLUE, "o"),
    "NumPy": (GREEN, "s"),
    "torch": (RED, "^"),
    "scDataset": (ORANGE, "D"),
    "grain": (PURPLE, "v"),
    "Python lists": (GREY, "P"),
    "pytorch-metric-learning": (SKY, "X"),
    "transformers": (INK, "<"),
    "lhotse": (PURPLE, ">"),
    "cpprb": (ORANGE, "h"),
    "torchrl": (SKY, "p"),
    "AnnLoader": (RED, "^"),
    "annbatch": (GREEN, "s"),
}
COLUMNS = 4


def draw(results: Results, folder: Path, name: str) -> list[Path]:
    """Draw what was measured, and return the files."""
    drawn = []
    for kind, function in (("growth", _growth), ("quality", _quality), ("limits", _limits)):
        path = folder / f"{name}-{kind}.png"
        if function(results, path):
            drawn.append(path)
    return drawn


def _growth(results: Results, path: Path) -> bool:
    found = [one for section in ("order", "first", "memory") for one in results.of(section)]
    works = list(dict.fromkeys(one.work for one in found))
    if not works:
        return False
    lines = -(-len(works) // COLUMNS)
    size = (4.0 * COLUMNS, 3.1 * lines + 0.9)
    with picture(path, size=size, title="Growth with rows", dpi=80) as figure:
        panels: list[Any] = list(figure.subplots(lines, COLUMNS, squeeze=False).flat)
        shown: dict[str, Any] = {}
        for panel, work in zip(panels, works, strict=False):
            _growth_panel(panel, [one for one in found if one.work == work], shown)
        for panel in panels[len(works) :]:
            panel.axis("off")
        figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=6, fontsize=10)
    return True


def _growth_panel(panel: Any, found: list[Measured], shown: dict[str, Any]) -> None:
    from matplotlib.ticker import NullFormatter

    panel.set_title(found[0].work, fontsize=10)
    for who in dict.fromkeys(one.who for one in found):
        mine = sorted((one for one in found if one.who == who), key=lambda one: one.n)
        colour, marker = LOOKS.get(who, (INK, "."))
        (line,) = panel.plot(
            [one.n for one in mine],
            [max(one.value, 1e-3) for one in mine],
            color=colour,
            marker=marker,
            lw=2.2 if who == OURS else 1.2,
            ms=6 if who == OURS else 5,
            zorder=3 if who == OURS else 2,
        )
        shown.setdefault(who, line)
    panel.set_xscale("log")
    panel.set_yscale("log")
    for axis in (panel.xaxis, panel.yaxis):  # decades alone have a number
        axis.set_minor_formatter(NullFormatter())
    low, high = panel.get_ylim()
    if high / low < 30:  # so that at least a decade is marked
        middle = (high * low) ** 0.5
        panel.set_ylim(middle / 5.5, middle * 5.5)
    panel.set_xlim(min(one.n for one in found) / 1.6, max(max(one.n for one in found) * 1.6, 10**5))
    panel.set_xlabel("rows", fontsize=9)
    panel.set_ylabel(found[0].unit, fontsize=9)
    panel.tick_params(labelsize=8)


def _quality(results: Results, path: Path) -> bool:
    found = results.of("quality")
    if not found:
        return False
    with picture(path, size=(14.5, 7.6), title="Speed beside quality", dpi=80) as figure:
        labels = list(found[0].bits)
        panels: Any = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
        handles = []
        for number, one in enumerate(found, 1):
            colour, marker = LOOKS[one.who.partition(":")[0]]
            for panel, label in zip(panels, labels, strict=True):
                (mark,) = panel.plot(one.bits[label], one.value, marker, color=colour, ms=8, ls="")
                mark.set_label(f"{number}  {one.who}")
            handles.append(mark)
        for panel, label in zip(panels, labels, strict=True):
            panel.set_yscale("log")
            panel.set_xlabel(f"bits of {label} a batch")
            _near_the_most(panel, max(one.bits[label] for one in found))
            panel.margins(x=0.12, y=0.12)
        panels[0].set_ylabel("cells/s")
        figure.legend(handles=handles, loc="outside right center", fontsize=10)
        figure.canvas.draw()  # so that places on the canvas are known
        for panel, label in zip(panels, labels, strict=True):
            _number(panel, [(one.bits[label], one.value) for one in found])
    return True


def _near_the_most(panel: Any, most: float) -> None:
    """Give more room to what is nearly as mixed as can be, where most readers are."""
    import numpy as np

    beyond = most + 0.1

    def forward(bits: Any) -> Any:
        return -np.log(np.maximum(beyond - np.asarray(bits), 1e-3))

    def backward(places: Any) -> Any:
        return beyond - np.exp(-np.asarray(places))

    panel.set_xscale("function", functions=(forward, backward))
    panel.set_xticks([bits for bits in (0, 1, 2, 2.5, 3, 3.3, 3.5, 3.7) if bits < beyond - 0.05])


def _number(panel: Any, points: Iterable[tuple[float, float]]) -> None:
    """Write the number of each point beside it, where no other number stands and no point is."""
    marks = [tuple(panel.transData.transform(point)) for point in points]
    taken = list(marks)
    for number, (mark, point) in enumerate(zip(marks, points, strict=True), 1):
        steps = ((11 * k, dy) for k in range(1, 8) for dy in (0, 13, -13, 26, -26))
        sides = ((side * dx, dy) for dx, dy in steps for side in (1, -1))
        free = (
            (dx, dy)
            for dx, dy in sides
            if all(abs(mark[0] + dx - x) > 13 or abs(mark[1] + dy - y) > 10 for x, y in taken)
        )
        dx, dy = next(free, (11, 0))
        taken.append((mark[0] + dx, mark[1] + dy))
        panel.annotate(
            str(number),
            point,
            xytext=(dx * 72 / panel.figure.dpi, dy * 72 / panel.figure.dpi),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=9,
            color=INK,
            arrowprops={"arrowstyle": "-", "lw": 0.5, "color": GREY} if abs(dx) + abs(dy) > 11 else None,
        )


def _limits(results: Results, path: Path) -> bool:
    rows = limit_rows(results)
    if not rows:
        return False
    names = [row[0] for row in rows]
    with picture(path, size=(10.5, 0.36 * len(rows) + 1.9), title="Distance to the limit", dpi=80) as figure:
        panel: Any = figure.subplots()
        places = range(len(rows))
        panel.barh([at - 0.2 for at in places], [row[1] for row in rows], 0.38, color=BLUE, label="measured")
        panel.barh(
            [at + 0.2 for at in places], [row[2] for row in rows], 0.38, color=ORANGE, label="memory alone"
        )
        for at, row in enumerate(rows):
            panel.text(row[1] * 1.05, at - 0.2, digits(row[1]), va="center", fontsize=8, color=INK)
            panel.text(row[2] * 1.05, at + 0.2, digits(row[2]), va="center", fontsize=8, color=INK)
        panel.set_xscale("log")
        panel.set_xlim(right=max(max(row[1], row[2]) for row in rows) * 2)
        panel.set_yticks(list(places), names, fontsize=9)
        panel.invert_yaxis()
        panel.set_xlabel("ns an index, one thread")
        panel.legend(loc="lower right", fontsize=9)
    return True
