"""The flow charts of the pages as SVG: the site shows these, GitHub draws the blocks of the pages itself.

``python -m docs.site.charts`` draws all anew with ``dot`` (``apt-get install graphviz``). A file is named
after what its block says, so that a test can tell whether it is there, and a reader's browser has no chart to
draw. What is understood of Mermaid: ``flowchart TD`` and lines ``a["text"] -- "text" --> b{"text"} --> c``,
with the shapes ``["text"]``, ``{"text"}`` and ``(["text"])``, where each node says its text once.
"""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from docs.site.hooks import CHARTS, MERMAID, chart_file

PAGES = Path(__file__).resolve().parents[1]
_NODE = re.compile(r'(\w+)(?:\(\["([^"]+)"\]\)|\{"([^"]+)"\}|\["([^"]+)"\])?')
_ARROW = re.compile(r' (?:-- "([^"]+)" )?--> ')
_SHAPES = ("box, style=rounded", "hexagon, margin=0.02", "box")


class Chart(NamedTuple):
    """Text and shape of each node, and the arrows: from, to, text."""

    nodes: dict[str, tuple[str, str]]
    arrows: list[tuple[str, str, str]]


def read_chart(mermaid: str) -> Chart:
    """Return what a block says.

    Raises
    ------
    ValueError
        For a line that is not understood, or a node without a text.
    """
    first, *lines = mermaid.strip().splitlines()
    if first != "flowchart TD":
        msg = f"a chart must begin with 'flowchart TD', but begins with {first!r}"
        raise ValueError(msg)
    nodes, arrows, named = dict[str, tuple[str, str]](), list[tuple[str, str, str]](), set[str]()
    for line in map(str.strip, lines):
        place, before, text = 0, "", ""
        while found := _NODE.match(line, place):
            name, *texts = found.groups()
            named.add(name)
            nodes.update((name, (own, shape)) for own, shape in zip(texts, _SHAPES, strict=True) if own)
            if before:
                arrows.append((before, name, text))
            arrow = _ARROW.match(line, found.end())
            if arrow is None:
                place = found.end()
                break
            place, before, text = arrow.end(), name, arrow[1] or ""
        if place != len(line) or not line:
            msg = f"this line of a chart is not understood: {line!r}"
            raise ValueError(msg)
    if named - set(nodes):
        msg = f"these nodes of a chart have no text: {', '.join(sorted(named - set(nodes)))}"
        raise ValueError(msg)
    return Chart(nodes, arrows)


def _dot(chart: Chart) -> str:
    lines = ["digraph {", "bgcolor=transparent; nodesep=0.3; ranksep=0.35;"]
    lines.append('node [fontname="Helvetica", fontsize=12, height=0.3, margin="0.12,0.06"];')
    lines.append('edge [fontname="Helvetica", fontsize=11, arrowsize=0.7];')
    for name, (text, shape) in chart.nodes.items():
        label = text.replace("<br>", "\\n")
        lines.append(f'"{name}" [label="{label}", shape={shape}];')
    lines += [f'"{a}" -> "{b}" [label=" {text} "];' for a, b, text in chart.arrows]
    return "\n".join([*lines, "}"])


def draw_chart(mermaid: str) -> str:
    """Return a block as one SVG element in the colours of the text around it."""
    command = ["dot", "-Tsvg"]
    svg = subprocess.run(command, input=_dot(read_chart(mermaid)), capture_output=True, text=True, check=True)
    text = re.sub(
        r"<!--.*?-->|<title>.*?</title>", "", svg.stdout[svg.stdout.index("<svg") :], flags=re.DOTALL
    )
    text = re.sub(r'(fill|stroke)="black"', r'\1="currentColor"', text)
    text = text.replace("<text ", '<text fill="currentColor" ')
    text = text.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    text = re.sub(r'width="(\d+)pt" height="\d+pt"', r'style="max-width: \1pt"', text)
    return re.sub(r"\n\s*", "\n", text)


def blocks() -> list[str]:
    """Return the charts of all pages, in order."""
    return [
        block
        for page in sorted(PAGES.glob("*.md"))
        for block in MERMAID.findall(page.read_text(encoding="utf-8"))
    ]


def draw() -> None:
    """Write the charts of all pages, and remove those of earlier ones."""
    CHARTS.mkdir(exist_ok=True)
    for path in CHARTS.iterdir():
        path.unlink()
    for block in blocks():
        chart_file(block).write_text(draw_chart(block), encoding="utf-8")


if __name__ == "__main__":
    draw()
