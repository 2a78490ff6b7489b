"""What MkDocs does not do itself: pages from outside of docs/, links as they stand on GitHub, the API pages.

Rule: `ELSEWHERE` says which files of the repository become pages besides those in docs/. Every link is read
as GitHub reads it, from the place of its file, and leads to the page that was made of its target; what is no
page fails the strict build. A flow chart is shown as the SVG that `charts.py` drew of it. The API reference
has a page for each room of the table "Public names" in docs/architecture.md, with the names that stand there.
"""

import re
from hashlib import sha256
from os.path import normpath, relpath
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
CHARTS = ROOT / "docs" / "charts"
MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "measuring.md",
    "benchmarks/results/2026-11-29-full.md": "report.md",
    "benchmarks/results/2026-11-29-full-growth.png": "2026-11-29-full-growth.png",
    "benchmarks/results/2026-11-29-full-limits.png": "2026-11-29-full-limits.png",
    "benchmarks/results/2026-11-29-full-quality.png": "2026-11-29-full-quality.png",
    "benchmarks/results/coverage.md": "coverage.md",
    "benchmarks/results/large.md": "large.md",
    "benchmarks/results/randomness.md": "randomness.md",
    "benchmarks/results/sanitizers.md": "sanitizers.md",
    "benchmarks/results/wheels.md": "wheels.md",
    "cpp/README.md": "core.md",
    "CITATION.cff": "CITATION.cff",
    "LICENSE": "license.txt",
    "pyproject.toml": "pyproject.toml",
    "docs/site/site.css": "site.css",
}
"""Path in the repository to path in the site."""

FOUND_LAST = (
    "architecture",
    "changelog",
    "contributing",
    "core",
    "coverage",
    "decisions",
    "large",
    "measuring",
    "randomness",
    "report",
    "sanitizers",
    "wheels",
)
"""Pages for those who work on the code: a search for a user's word finds the user's pages first."""

_PLACES = {site: path for path, site in ELSEWHERE.items()}
_LINK = re.compile(r"(?P<code>`[^`\n]*`)|\]\((?P<target>[^)\s]+)\)")
_ROW = re.compile(r"^\| (?P<names>`.+?) \| `(?P<room>\w+)` \| (?P<what>.+) \|$", re.MULTILINE)
_TITLES = {"_core": "threads", "_version": "threads"}


def site_place(path: str) -> str:
    """Return where a file of the repository lies in the site."""
    return ELSEWHERE.get(path) or relpath(path, "docs")


def with_site_links(markdown: str, path: str) -> str:
    """Return a page with its links as the site needs them.

    Parameters
    ----------
    markdown : str
    path : str
        Where the page lies in the repository.
    """
    here = PurePosixPath(path).parent
    there = PurePosixPath(site_place(path)).parent

    def replace(found: re.Match[str]) -> str:
        target = found["target"]
        if target is None or "://" in target or target.startswith("#"):
            return found[0]
        file, sign, anchor = target.partition("#")
        place = site_place(normpath(here / file))
        return f"]({relpath(place, there)}{sign}{anchor})"

    lines, fenced = [], False
    for line in markdown.split("\n"):
        fenced ^= line.startswith("```")
        lines.append(_plain_fence(line) if fenced else _LINK.sub(replace, line))
    return "\n".join(lines)


def _plain_fence(line: str) -> str:
    """Return the line that opens a block with its language alone; words behind it are for the tests."""
    return line.partition(" ")[0] if line.startswith("```") else line


def api_pages(architecture: str) -> dict[str, str]:
    """Return the pages of the API reference by their places in the site.

    What all strategies share stands at `Strategy` alone; other classes show what they inherit, too.

    Parameters
    ----------
    architecture : str
        The page with the table "Public names".
    """
    table = architecture[architecture.index("## Public names") :]
    table = table[: table.index("\n## ", 1)]
    pages: dict[str, str] = {}
    contents = ["# API reference", "", "All of these can be imported from `tombola`.", ""]
    contents += ["| names | what they are |", "|---|---|"]
    for row in _ROW.finditer(table):
        title = _TITLES.get(row["room"], row["room"])
        place = f"api/{title}.md"
        names = re.findall(r"`(\w+)`", row["names"])
        inherits = "false" if row["room"] == "strategies" else "true"
        options = f"\n    options:\n      inherited_members: {inherits}"
        entries = "\n\n".join(f"::: tombola.{name}{options}" for name in names)
        what = row["what"][0].upper() + row["what"][1:]
        pages[place] = pages.get(place, f"# API: {title}\n") + f"\n{what}.\n\n{entries}\n"
        links = ", ".join(f"[`{name}`]({place.removeprefix('api/')}#tombola.{name})" for name in names)
        contents.append(f"| {links} | {row['what']} |")
    return pages | {"api/index.md": "\n".join(contents) + "\n"}


def chart_file(mermaid: str) -> Path:
    """Return where the picture of a flow chart lies, named after what the block says."""
    return CHARTS / f"{sha256(mermaid.encode()).hexdigest()[:12]}.svg"


def with_charts(markdown: str) -> str:
    """Return a page with its flow charts as pictures, drawn before."""

    def picture(found: re.Match[str]) -> str:
        return f'<div class="chart">{chart_file(found[1]).read_text(encoding="utf-8")}</div>'

    return MERMAID.sub(picture, markdown)


def on_files(files: "Files", *, config: "MkDocsConfig") -> "Files":
    """Add the pages that do not lie in docs/."""
    from mkdocs.structure.files import File

    for path, place in ELSEWHERE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    architecture = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for place, text in api_pages(architecture).items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, *, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """Lead the links of a page to where their targets lie in the site, and show its flow charts."""
    place = page.file.src_uri
    if place.removesuffix(".md") in FOUND_LAST:
        page.meta["search"] = {"boost": 0.2}
    if place.startswith("api/"):
        return markdown
    return with_site_links(with_charts(markdown), _PLACES.get(place, f"docs/{place}"))
