"""The pages for readers, taken apart: fenced blocks, what they promise to print, headings, links, paths.

A page is Markdown: README.md, the other files of the root for readers, and docs/*.md. Blocks are fenced by
three backticks at the beginning of a line; headings, links and paths count outside of them.
"""

import ast
import contextlib
import io
import re
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
READ_FIRST = "README.md"
IN_ROOT = (READ_FIRST, "CONTRIBUTING.md", "SECURITY.md")
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [*(ROOT / name for name in IN_ROOT), *sorted((ROOT / "docs").rglob("*.md"))]
}
"""Path below the root to text."""

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w.*-]*(?:/[\w.*-]+)*/?")
_ENDINGS = (".py", ".pyi", ".hpp", ".cpp", ".inc", ".md", ".txt", ".toml", ".json", ".yml", ".cff", "/")


class Block(NamedTuple):
    """A fenced block, and the text block right below it if there is one."""

    section: str
    line: int
    language: str
    text: str
    output: str | None


class Page(NamedTuple):
    """A page: its fenced blocks and, by number, the lines outside of them."""

    blocks: list[Block]
    lines: dict[int, str]


def take_apart(markdown: str) -> Page:
    """Return all fenced blocks in order, and what lies between them."""
    blocks: list[Block] = []
    lines: dict[int, str] = {}
    section, language, start, body = "", None, 0, list[str]()
    is_next = False  # nothing but empty lines since the last block
    for number, line in enumerate(markdown.splitlines(), start=1):
        if language is None and line.startswith("```"):
            language, start, body = line[3:], number, []
        elif line == "```" and language is not None:
            text = "\n".join(body) + "\n"
            if is_next and language == "text" and blocks[-1].language == "python":
                blocks[-1] = blocks[-1]._replace(output=text)
            else:
                blocks.append(Block(section, start, language, text, None))
            language, is_next = None, True
        elif language is not None:
            body.append(line)
        elif line:
            is_next = False
            section = line.lstrip("# ") if line.startswith("#") else section
            lines[number] = line
    if language is not None:
        msg = f"the block that begins in line {start} has no end"
        raise ValueError(msg)
    return Page(blocks, lines)


def promised(block: Block) -> list[str]:
    """Return the lines that a block says it prints."""
    if block.output is not None:
        return block.output.splitlines()
    lines, below = [], False
    for line in block.text.splitlines():
        comment = line.strip().removeprefix("# ") if line.strip().startswith("# ") else None
        if below and comment is not None:
            lines.append(comment)
            continue
        below = False
        if "print(" in line:
            _, found, behind = line.partition(")  # ")
            lines += [behind] if found else []
            below = not found
    return lines


def imported_by(text: str) -> set[str]:
    """Return the packages that a Python block imports."""
    tree = ast.parse(text)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def printed_by(page: str, block: Block, namespace: dict[str, Any]) -> list[str]:
    """Run a Python block of a page in a namespace; return the lines that it prints."""
    printed = io.StringIO()
    code = compile("\n" * block.line + block.text, str(ROOT / page), "exec")
    with contextlib.redirect_stdout(printed):
        exec(code, namespace)
    return printed.getvalue().splitlines()


def headings(page: Page) -> list[str]:
    """Return the headings with their signs."""
    return [line for line in page.lines.values() if re.match(r"#{1,6} ", line)]


def anchors(page: Page) -> set[str]:
    """Return what a link may name behind ``#``, as GitHub and MkDocs make it of headings."""
    names = (heading.lstrip("#").strip().lower() for heading in headings(page))
    return {re.sub(r"[^\w\- ]", "", name).replace(" ", "-") for name in names}


def links(page: Page) -> list[str]:
    """Return the targets of all links."""
    return [target for line in page.lines.values() for target in _LINK.findall(_CODE.sub("", line))]


def paths(page: Page) -> list[str]:
    """Return what is set as code and looks like a path of the repository; ``NAME`` stands for yours."""
    found = [code for line in page.lines.values() for code in _CODE.findall(line)]
    return [
        code
        for code in found
        if _PATH.fullmatch(code) and code.endswith(_ENDINGS) and "NAME" not in code and code.strip("./*")
    ]


def words(text: str) -> int:
    """Return how many words there are to read: whatever holds a letter or a digit."""
    return sum(any(sign.isalnum() for sign in word) for word in text.split())


TAKEN_APART = {name: take_apart(text) for name, text in PAGES.items()}
BLOCKS = [(name, block) for name, page in TAKEN_APART.items() for block in page.blocks]
