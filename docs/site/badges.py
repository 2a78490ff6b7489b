"""The badges at the head of the README: facts of the package as small pictures that no server draws.

``python -m docs.site.badges`` draws them anew. What they say is read where it is decided: the metadata in
pyproject.toml, and the version of the order of rows in the core.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "badges"
PLAN = ROOT / "cpp" / "include" / "tombola" / "plans" / "plan.hpp"
BADGE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{name}: {value}">
<title>{name}: {value}</title>
<rect width="{width}" height="20" rx="3" fill="#00695c"/>
<path d="M3 0h{left_edge}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="#455a64"/>
<g fill="#fff" font-family="Verdana, DejaVu Sans, sans-serif" font-size="11">
<text x="6" y="14" textLength="{name_length}">{name}</text>
<text x="{value_x}" y="14" textLength="{value_length}">{value}</text>
</g>
</svg>
"""
NARROW, WIDE = "ijl.,: -", "mMwW"
"""Letters that take less and more than others."""


def facts() -> dict[str, tuple[str, str]]:
    """Return what each badge says, by the name of its file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = project["classifiers"]
    pythons = [one.rpartition(" ")[2] for one in known if re.search(r"Python :: \d\.\d+$", one)]
    systems = {"POSIX :: Linux": "Linux", "MacOS": "macOS"}
    found = [name for ending, name in systems.items() if f"Operating System :: {ending}" in known]
    plan = re.search(r"plan_version = (\d+);", PLAN.read_text(encoding="utf-8"))
    if plan is None:
        msg = f"{PLAN.name} must say `plan_version = N;`"
        raise ValueError(msg)
    return {
        "license": ("license", project["license"]),
        "python": ("Python", ", ".join(pythons)),
        "systems": ("systems", ", ".join(found)),
        "docs": ("docs", "code tested"),
        "plan": ("plan version", plan[1]),
    }


def length(text: str) -> int:
    """Return how many pixels a text takes, to which it is stretched whatever font there is."""
    return round(sum(4.2 if sign in NARROW else 10.2 if sign in WIDE else 6.8 for sign in text))


def badge(name: str, value: str) -> str:
    """Return a badge as SVG."""
    lengths = [length(text) for text in (name, value)]
    left = lengths[0] + 12
    return BADGE.format(
        name=name,
        value=value,
        width=left + lengths[1] + 12,
        left_edge=left - 3,
        name_length=lengths[0],
        value_x=left + 6,
        value_length=lengths[1],
    )


def draw() -> None:
    """Write all badges."""
    FOLDER.mkdir(exist_ok=True)
    for file, (name, value) in facts().items():
        (FOLDER / f"{file}.svg").write_text(badge(name, value), encoding="utf-8")


if __name__ == "__main__":
    draw()
